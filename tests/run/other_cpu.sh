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

# With group norm on maps of 1 x 1 the gradient's norm is that of a few weights after their first step, which rounding decides:
# it is compared before it.
learns_the_same() { # NORM HOW-MANY: so many of the numbers (three losses, three norms of the gradient) are compared
  set -- "$@" train tiny.yaml --set model.encoder.norm="$1" --set train.steps=3 --set validate.samples=0
  works 1 "${@:3}" --set run.dir="here-$1"
  haswell "${@:3}" --set run.dir="there-$1"
  [ -n "$(weights_hash "there-$1")" ] || fail "no weights"
  for key in F grad_norm; do paste -d ' ' <(metric "here-$1" train $key) <(metric "there-$1" train $key); done >numbers
  [ "$(wc -l <numbers)" = 6 ] || fail "$1: not three steps"
  head -n "$2" numbers | awk '{ d = $1 / $2 - 1; if (d > 1e-4 || d < -1e-4) exit 1 }' ||
    { cat numbers; fail "$1: another CPU learns something else"; }
}
learns_the_same none 6
learns_the_same group 4
echo "ok: a Haswell draws the same faces and learns the same"
