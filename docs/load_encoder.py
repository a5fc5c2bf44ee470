#!/usr/bin/env python3
"""An encoder that `likeness train` wrote (model.safetensors of a run or checkpoint), as a plain PyTorch module.

    python3 docs/load_encoder.py encoder.safetensors [face.png]

needs torch and safetensors (and Pillow for a picture). The picture is an aligned face as `likeness align` makes it. Everything
about the module is read from the shapes in the file; tensors of other parts (`decoder.*`) are left alone. What the outputs are
called stands in the file's note "schema", and how the certainties of its choices were calibrated in its note "temperature".
"""
import json
import re
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet
VGG19 = (2, 2, 4, 4, 4)  # convolutions before each pool


def norm_layer(channels, norm):
    if not norm:
        return []
    return [nn.GroupNorm(32 if channels >= 64 else channels // 2, channels, eps=1e-5)]


class Residual(nn.Module):
    def __init__(self, channels, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if norm:
            self.norm1, self.norm2 = norm_layer(channels, norm) + norm_layer(channels, norm)
        else:
            self.norm1, self.norm2 = nn.Identity(), nn.Identity()

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


class Encoder(nn.Module):
    """channels: of the five stages of VGG19, (64, 128, 256, 512, 512) at width 1; discrete: choices of all groups together."""

    def __init__(self, size, channels, norm, continuous, discrete):
        super().__init__()
        layers, before = [], 3
        for count, after in zip(VGG19, channels):
            for _ in range(count):
                layers += [nn.Conv2d(before, after, 3, padding=1), *norm_layer(after, norm), nn.ReLU()]
                before = after
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.residual = nn.Sequential(*[Residual(before, norm) for _ in range(3)])
        flat = before * (size // 32) ** 2
        self.continuous = nn.Linear(flat, continuous)
        self.discrete = nn.Linear(flat, discrete)

    def forward(self, images):
        """images: uint8 [batch, size, size, 3]. Returns continuous parameters in [0,1] and the logits of all groups in a row:
        split them by the schema's groups; softmax of a part gives the group's probabilities."""
        like = self.continuous.weight
        mean, std = (torch.tensor(v, dtype=like.dtype, device=like.device) for v in (MEAN, STD))
        x = ((images.to(like.device, like.dtype) / 255 - mean) / std).permute(0, 3, 1, 2)
        x = self.residual(self.features(x)).flatten(1)
        return torch.sigmoid(self.continuous(x)), self.discrete(x)


def load_encoder(path):
    """The module in evaluation mode and the side of the pictures that it wants."""
    prefix = "encoder."
    tensors = {name[len(prefix):]: t for name, t in load_file(path).items() if name.startswith(prefix)}
    if not tensors:
        raise SystemExit(f"{path}: holds no tensor called encoder.*")
    norm = tensors["features.1.weight"].dim() == 1 if "features.1.weight" in tensors else False
    step = 3 if norm else 2  # modules a convolution
    starts = [sum(VGG19[:i]) * step + i for i in range(5)]
    channels = [tensors[f"features.{n}.weight"].shape[0] for n in starts]
    continuous, flat = tensors["continuous.weight"].shape
    size = 32 * round((flat / channels[-1]) ** 0.5)
    encoder = Encoder(size, channels, norm, continuous, tensors["discrete.weight"].shape[0])
    encoder.load_state_dict(tensors)  # strict: every tensor of the module and no other
    return encoder.to(tensors["continuous.weight"].dtype).eval(), size


def load_groups(path):
    """The discrete groups in the order of the logits: (name, choices, temperature); [] for a file without a schema."""
    with safe_open(path, "pt") as file:
        notes = file.metadata() or {}
    temperatures = json.loads(notes.get("temperature", "{}"))
    text = '"(?:[^"\\\\]|\\\\.)*"'
    groups = re.findall(r"^  - \{name: (%s), choices: (\[.*\])\}$" % text, notes.get("schema", ""), re.M)
    named = [(json.loads(name), json.loads(choices)) for name, choices in groups]
    return [(name, choices, temperatures.get(name, 1.0)) for name, choices in named]


def choose(groups, logits):
    """What likeness predict says of one face's logits: {group: (choice, certainty)}."""
    said = {}
    if not groups:
        return said
    for (name, choices, temperature), part in zip(groups, logits.double().split([len(c) for _, c, _ in groups])):
        certainty, best = torch.softmax(part / temperature, 0).max(0)
        said[name] = (choices[best], certainty.item())
    return said


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    encoder, size = load_encoder(sys.argv[1])
    images = torch.full((1, size, size, 3), 128, dtype=torch.uint8)
    if len(sys.argv) == 3:
        import numpy
        from PIL import Image
        picture = Image.open(sys.argv[2]).convert("RGB").resize((size, size))
        images = torch.from_numpy(numpy.array(picture))[None]
    with torch.no_grad():
        continuous, logits = encoder(images)
    print("continuous", continuous[0].tolist())
    print("logits", logits[0].tolist())
    for name, (choice, certainty) in choose(load_groups(sys.argv[1]), logits[0]).items():
        print(f"{name} {choice} {certainty:.6g}")


if __name__ == "__main__":
    main()
