#!/bin/bash
# The program that was built here runs on another CPU of level x86-64-v3: qemu's Haswell, which has no AVX-512. Faces come out as
# the same bytes, training as the same numbers up to the rounding of libtorch's kernels, which differ from CPU to CPU.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
sanitized && { echo "sanitizers do not run under qemu"; exit 77; }
command -v qemu-x86_64 >/dev/null || { echo "no qemu-x86_64; make deps DEVELOP=1 installs it"; exit 77; }
export OMP_NUM_THREADS=1
haswell() { # ARGUMENTS...
  qemu-x86_64 -cpu Haswell "$LIKENESS" "$@" >out.log 2>err.log || fail "exit $? on a Haswell: $*"
}

tiny_world 16
haswell render --random 16 --size 32 --view varied --threads 1 -o haswell
cmp tiny/train/shard-00000.h5 haswell/shard-00000.h5 || fail "another CPU draws other faces"

set -- train tiny.yaml --set model.encoder.norm=group --set train.steps=3 --set validate.samples=0
works 1 "$@" --set run.dir=here
haswell "$@" --set run.dir=there
[ -n "$(weights_hash there)" ] || fail "no weights"
for key in F grad_norm; do paste -d ' ' <(metric here train $key) <(metric there train $key); done >numbers
python3 - <<'PYTHON' || { cat numbers; fail "another CPU learns something else"; }
lines = [[float(number) for number in line.split()] for line in open("numbers")]
assert len(lines) == 6
for i, (here, there) in enumerate(lines):
    assert abs(here / there - 1) < (1e-4 if i < 3 else 1e-2), (here, there)
PYTHON
echo "ok: a Haswell draws the same faces and learns the same"
