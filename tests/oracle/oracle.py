"""The method in plain PyTorch, and the numbers that the C code is compared with.

oracle.py FOLDER writes the fixtures that README.md beside this file describes. References are computed in float64 from the
float32 weights and rounded once; what PyTorch makes of the same in float32 is stored beside, for scale.
"""
import copy
import json
import math
import os
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs"))
from load_encoder import Encoder  # noqa: E402: the module that users get is the one that is checked

SIZE, BATCH, CONTINUOUS, GROUPS, LAMBDA = 64, 4, 7, (3, 2, 4), 0.25
ENCODER_WIDTH, DECODER_WIDTH = 1 / 16, 1 / 32
SGD = dict(lr=1e-3, momentum=0.9)
ADAMW = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
DECODER_SGD = dict(lr=0.1, momentum=0.9)
TRACE = 4  # losses kept: before each of three steps, and after
ROUNDING = 4e-6  # float32 and float64 of PyTorch may differ by this much in a gradient, relative to its norm


class Decoder(nn.Module):
    def __init__(self, size, width, inputs):
        super().__init__()
        channels = [int(c * width) for c in (512, 512, 512, 256, 128, 64, 64)[: int(math.log2(size)) - 2]]
        layers, before = [], inputs
        for i, after in enumerate([*channels, 3]):
            layers.append(nn.ConvTranspose2d(before, after, 4, stride=1 if i == 0 else 2, padding=0 if i == 0 else 1))
            if i < len(channels):
                layers += [nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.layers = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, continuous, onehot):
        return self.layers(torch.cat([continuous, onehot], 1)[:, :, None, None])


def encoder_losses(encoder, decoder, batch):
    """F, F1, F2 of a batch; the decoder is frozen and in evaluation mode."""
    images, continuous, discrete = batch
    target = decoder(continuous, one_hot(discrete, continuous.dtype)).detach()
    pc, logits = encoder(images)
    f1 = sum(F.cross_entropy(part.float() if part.dtype == torch.bfloat16 else part, discrete[:, i].long())
             for i, part in enumerate(logits.split(GROUPS, 1)))
    difference = (decoder(pc, one_hot(discrete, pc.dtype)) - target).flatten(1)
    f2 = torch.linalg.vector_norm(difference.float() if difference.dtype == torch.bfloat16 else difference, dim=1).mean()
    return f1 + LAMBDA * f2, f1, f2


def decoder_loss(decoder, batch):
    """L1 against the pictures, batch norm in training mode."""
    images, continuous, discrete = batch
    picture = decoder(continuous, one_hot(discrete, continuous.dtype))
    return (picture - images.to(picture.dtype).permute(0, 3, 1, 2) / 255).abs().mean()


def one_hot(discrete, dtype):
    return torch.cat([F.one_hot(discrete[:, i].long(), k) for i, k in enumerate(GROUPS)], 1).to(dtype)


# ---- weights and batch: nothing is zero or one that could hide a mistake ----

def randomize(module, generator):
    def normal(t, mean, std):
        t.copy_(mean + std * torch.randn(t.shape, generator=generator))
    with torch.no_grad():
        for m in module.modules():
            if isinstance(m, nn.Conv2d):
                normal(m.weight, 0, (2 / (9 * m.out_channels)) ** 0.5)
            elif isinstance(m, nn.ConvTranspose2d):
                normal(m.weight, 0, (2 / (4 * m.in_channels)) ** 0.5)
            elif isinstance(m, nn.Linear):
                normal(m.weight, 0, m.in_features ** -0.5)
            elif isinstance(m, nn.GroupNorm):  # mostly above zero: 22 of them at random are chaotic and magnify rounding
                normal(m.weight, 0.6, 0.06)
                normal(m.bias, 0.6, 0.2)
                continue
            elif isinstance(m, nn.BatchNorm2d):
                normal(m.weight, 1, 0.2)
            else:
                continue
            normal(m.bias, 0, 0.1)
            if isinstance(m, nn.BatchNorm2d):
                normal(m.running_mean, 0, 0.3)
                m.running_var.copy_(0.5 + torch.rand(m.running_var.shape, generator=generator))


def make_batch(generator):
    coarse = torch.rand(BATCH, 3, SIZE // 8, SIZE // 8, generator=generator)
    smooth = F.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic").clamp(0, 1)
    images = (255 * smooth).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    continuous = torch.rand(BATCH, CONTINUOUS, generator=generator)
    discrete = torch.stack([torch.randint(0, k, (BATCH,), generator=generator) for k in GROUPS], 1).to(torch.uint8)
    return images, continuous, discrete


# ---- references ----

def with_dtype(batch, dtype):
    return batch[0], batch[1].to(dtype), batch[2]


def gradients(module, loss):
    module.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters()}


def whole_norm(grads):
    return torch.stack([g.norm() for g in grads.values()]).norm()


def reference_gradients(exact, singles):
    """The gradients for the file: float64 rounded; one that is zero but for rounding (a bias before batch norm in training
    mode) becomes zero. Also their norm, and the worst relative error among those computed in float32."""
    whole = whole_norm(exact)
    exact = {n: g if g.norm() > 1e-10 * whole else torch.zeros_like(g) for n, g in exact.items()}
    error = max(((s[n].double() - g).norm() / (g.norm() if g.any() else whole)).item() for s in singles for n, g in exact.items())
    return {n: g.float() for n, g in exact.items()}, whole, error


class Unstable(Exception):
    """A draw in which float32 takes another branch (ReLU, pool, sign) than float64, or that magnifies rounding."""


def draw(make, fixture, what):
    """The first draw whose gradients float32 can hold to ROUNDING."""
    for seed in range(1, 1000):
        module = make()
        randomize(module, torch.Generator().manual_seed(seed))
        try:
            return module, fixture(module, f"{what}, seed {seed}")
        except Unstable:
            pass
    raise SystemExit(f"{what}: no draw is stable")


def trace(module, loss, optimizer):
    losses = []
    for _ in range(TRACE):
        value = loss(module)
        losses.append(value[0].item() if isinstance(value, tuple) else value.item())
        gradients(module, value[0] if isinstance(value, tuple) else value)
        optimizer.step()
    return torch.tensor(losses, dtype=torch.float64)


def encoder_fixture(encoder, decoder, batch, name):
    exact, frozen = copy.deepcopy(encoder).double(), copy.deepcopy(decoder).double().eval().requires_grad_(False)
    frozen32 = copy.deepcopy(decoder).eval().requires_grad_(False)
    batch64 = with_dtype(batch, torch.float64)
    losses, losses32 = encoder_losses(exact, frozen, batch64), encoder_losses(encoder, frozen32, batch)
    out = {}
    for key, value, value32 in zip(("F", "F1", "F2"), losses, losses32):
        out[key], out[f"{key}.f32"] = value.detach(), value32.detach()
    with torch.no_grad():
        half = encoder_losses(copy.deepcopy(encoder).bfloat16(), copy.deepcopy(frozen32).bfloat16(),
                              with_dtype(batch, torch.bfloat16))
        out["continuous"], out["logits"] = (t.float() for t in exact(batch[0]))
    for key, value in zip(("F", "F1", "F2"), half):
        out[f"{key}.bf16"] = value.float()
    last = copy.deepcopy(encoder).to(memory_format=torch.channels_last)
    reference, out["gradient_norm"], error = reference_gradients(
        gradients(exact, losses[0]),
        [gradients(encoder, losses32[0]), gradients(last, encoder_losses(last, frozen32, batch)[0])])
    if error > ROUNDING:
        raise Unstable
    print(f"{name}: every gradient of float32 is within {error:.1e} of float64")
    out |= {f"gradient.encoder.{n}": g for n, g in reference.items()}
    for kind, make, settings in (("sgd", torch.optim.SGD, SGD), ("adamw", torch.optim.AdamW, ADAMW)):
        for dtype, suffix, dec, data in ((torch.float64, "", frozen, batch64), (torch.float32, ".f32", frozen32, batch)):
            module = copy.deepcopy(encoder).to(dtype)
            out[f"trace.{kind}{suffix}"] = trace(module, lambda m: encoder_losses(m, dec, data),
                                                 make(module.parameters(), **settings))
        print(f"{name}: {kind} trace {[round(v, 6) for v in out[f'trace.{kind}'].tolist()]}, float32 differs by "
              f"{(out[f'trace.{kind}.f32'] / out[f'trace.{kind}'] - 1).abs().max():.1e}")
    return out


def decoder_fixture(decoder, batch, name):
    batch64 = with_dtype(batch, torch.float64)
    exact, single = copy.deepcopy(decoder).double(), copy.deepcopy(decoder)
    with torch.no_grad():
        out = {"target": exact.eval()(batch64[1], one_hot(batch[2], torch.float64)).float()}
    loss, loss32 = decoder_loss(exact.train(), batch64), decoder_loss(single.train(), batch)
    out["L1"], out["L1.f32"] = loss.detach(), loss32.detach()
    reference, out["gradient_norm"], error = reference_gradients(gradients(exact, loss), [gradients(single, loss32)])
    if error > ROUNDING:
        raise Unstable
    print(f"{name}: every gradient of float32 is within {error:.1e} of float64")
    out |= {f"gradient.decoder.{n}": g for n, g in reference.items()}
    out |= {f"after.decoder.{n}": b.float() for n, b in exact.named_buffers() if n.endswith(("mean", "var"))}
    for dtype, suffix, data in ((torch.float64, "", batch64), (torch.float32, ".f32", batch)):
        module = copy.deepcopy(decoder).to(dtype).train()
        out[f"trace.sgd{suffix}"] = trace(module, lambda m: decoder_loss(m, data),
                                          torch.optim.SGD(module.parameters(), **DECODER_SGD))
    print(f"{name}: sgd trace {[round(v, 6) for v in out['trace.sgd'].tolist()]}, float32 differs by "
          f"{(out['trace.sgd.f32'] / out['trace.sgd'] - 1).abs().max():.1e}")
    return out


def optimizer_fixture(generator):
    """Three steps of each optimizer on gradients that are given, in float64."""
    shapes = {"a": (7, 5), "b": (11,)}
    start = {n: torch.randn(s, generator=generator) for n, s in shapes.items()}
    given = [{n: torch.randn(s, generator=generator) for n, s in shapes.items()} for _ in range(3)]
    out = {f"start.{n}": t for n, t in start.items()}
    out |= {f"gradient.{i}.{n}": t for i, g in enumerate(given) for n, t in g.items()}
    for kind, make, settings in (("sgd", torch.optim.SGD, SGD | {"lr": 0.1, "weight_decay": 0.01}),
                                 ("adamw", torch.optim.AdamW, ADAMW | {"lr": 0.1})):
        weights = {n: t.double().requires_grad_() for n, t in start.items()}
        optimizer = make(weights.values(), **settings)
        for i, g in enumerate(given):
            for n, w in weights.items():
                w.grad = g[n].double()
            optimizer.step()
            out |= {f"{kind}.{i}.{n}": w.detach().float() for n, w in weights.items()}
    return out


def stable_bytes(tensors, notes):
    """A safetensors file whose __metadata__ is in order, not in that of Rust's hash map: the same bytes every time."""
    raw = save(tensors, notes)
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length]) | {"__metadata__": notes}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + raw[8 + length:]


def main(folder):
    torch.set_num_threads(1)  # one order of summation, whatever the machine
    generator = torch.Generator().manual_seed(1)

    def put(name, tensors):
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(stable_bytes({n: t.contiguous() for n, t in tensors.items()}, {
                "size": str(SIZE), "groups": ",".join(map(str, GROUPS)), "continuous": str(CONTINUOUS), "lambda": str(LAMBDA),
                "encoder_width": str(ENCODER_WIDTH), "decoder_width": str(DECODER_WIDTH), "torch": torch.__version__}))
        print(f"{path}: {os.path.getsize(path)} bytes")

    batch = make_batch(generator)
    put("batch.safetensors", dict(zip(("images", "continuous", "discrete"), batch)))
    decoder, expected = draw(lambda: Decoder(SIZE, DECODER_WIDTH, CONTINUOUS + sum(GROUPS)),
                             lambda d, name: decoder_fixture(d, batch, name), "decoder")
    put("decoder.safetensors", {f"decoder.{n}": t for n, t in decoder.state_dict().items()
                                 if not n.endswith("num_batches_tracked")})
    put("expected-decoder.safetensors", expected)
    channels = [int(c * ENCODER_WIDTH) for c in (64, 128, 256, 512, 512)]
    for norm in ("none", "group"):
        encoder, expected = draw(lambda: Encoder(SIZE, channels, norm == "group", CONTINUOUS, sum(GROUPS)),
                                 lambda e, name: encoder_fixture(e, decoder, batch, name), norm)
        put(f"encoder-{norm}.safetensors", {f"encoder.{n}": t for n, t in encoder.state_dict().items()})
        put(f"expected-{norm}.safetensors", expected)
    put("optimizer.safetensors", optimizer_fixture(generator))


if __name__ == "__main__":
    main(sys.argv[1])
