# docs/load_encoder.py loads encoder files into plain PyTorch and gets the outputs that the fixtures hold.
set -eu -o pipefail
python=${ORACLE_VENV:+$ORACLE_VENV/bin/}python3
"$python" -c 'import torch, safetensors' 2>/dev/null || { echo "no torch and safetensors in $python"; exit 77; }
fixtures=$LIKENESS_ROOT/tests/oracle/fixtures
for norm in none group; do
  "$python" "$LIKENESS_ROOT/docs/load_encoder.py" "$fixtures/encoder-$norm.safetensors" | grep -q '^logits '
  PYTHONPATH=$LIKENESS_ROOT/docs "$python" - "$fixtures" "$norm" <<'EOF'
import sys
from safetensors.torch import load_file
from load_encoder import load_encoder
fixtures, norm = sys.argv[1:]
encoder, size = load_encoder(f"{fixtures}/encoder-{norm}.safetensors")
expected = load_file(f"{fixtures}/expected-{norm}.safetensors")
images = load_file(f"{fixtures}/batch.safetensors")["images"]
assert images.shape[1] == size, size
for name, value in zip(("continuous", "logits"), encoder(images)):
    error = ((value - expected[name]).norm() / expected[name].norm()).item()
    print(f"{norm} {name}: relative error {error:.1e}")
    assert error < 1e-5
EOF
done
