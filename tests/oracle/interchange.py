"""Files that pass between our C code and Python's safetensors: the same six tensors on both sides.

interchange.py write PATH   what tests/unit/test_safetensors.c reads (fixtures/python.safetensors)
interchange.py check PATH   what tests/unit/test_safetensors.c writes
"""
import sys
import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file

TENSORS = {
    "f32": torch.from_numpy(numpy.array([[0.0, -0.0, 1.5], [-2.25, 3e38, 1e-40]], dtype=numpy.float32)),
    "bf16": torch.tensor([1.0, -2.0, 3.140625], dtype=torch.bfloat16),
    "u8": torch.tensor([0, 1, 127, 128, 255], dtype=torch.uint8),
    'f64 "quoted" é': torch.tensor([0.1, -1e300], dtype=torch.float64),
    "i64": torch.tensor(-1234567890123),
    "empty": torch.zeros(0, 4),
}


def check(path):
    with safe_open(path, "pt") as f:
        assert f.metadata() == {"format": "pt", "schema": '{"a": 1}\n'}, f.metadata()
        assert set(f.keys()) == set(TENSORS), f.keys()
        for name, want in TENSORS.items():
            have = f.get_tensor(name)
            assert have.dtype == want.dtype and have.shape == want.shape, name
            assert have.numpy(force=True).tobytes() == want.numpy().tobytes() if want.dtype != torch.bfloat16 \
                else torch.equal(have, want), name
    print(f"{path}: {len(TENSORS)} tensors as they should be")


if __name__ == "__main__":
    command, path = sys.argv[1:]
    if command == "write":
        save_file(TENSORS, path, metadata={"format": "pt"})
    else:
        check(path)
