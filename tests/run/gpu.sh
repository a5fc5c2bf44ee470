#!/bin/bash
# What docs/gpu.md ends in on a machine without a GPU: one line and 78 from a training, 77 from tests/gpu/run.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
[ ! -e /dev/nvidiactl ] || { echo "this machine has a GPU: tests/gpu/run checks more"; exit 77; }

"$LIKENESS_ROOT/tests/gpu/run" "$LIKENESS" >out.log 2>err.log
code=$?
[ $code = 77 ] && grep -qx 'tests/gpu/run: this machine has no NVIDIA GPU .*: nothing on CUDA was checked' out.log ||
  fail "tests/gpu/run: exit $code: $(cat out.log)"

# The script itself, rehearsed on the CPU: the part about NCCL gets as far as the program's refusal, and tells it.
code=0
REHEARSE=1 ONLY=NCCL MINUTES=60 "$LIKENESS_ROOT/tests/gpu/run" "$LIKENESS" >out.log 2>err.log || code=$?
[ $code = 77 ] && [ "$(grep -c NCCL out.log)" = 2 ] &&
  grep -q '^NCCL on one rank .*collectives.reducer: nccl sums on GPUs' out.log ||
  fail "a rehearsal of tests/gpu/run: exit $code: $(cat out.log)"

# The demo as a GPU has it: its configurations and its part of demo.sh, with a few faces and steps.
code=0
REHEARSE=1 ONLY=demo MINUTES=60 "$LIKENESS_ROOT/tests/gpu/run" "$LIKENESS" >out.log 2>err.log || code=$?
[ $code = 77 ] && grep -Eq '^make demo +passed ' out.log || fail "a rehearsal of the demo on a GPU: exit $code: $(cat out.log)"

works 1 config "$LIKENESS_ROOT/configs/gpu-128.yaml" --get train.device
[ "$(cat out.log)" = cuda ] || fail "configs/gpu-128.yaml is not for CUDA"
tiny_world 16
set -- train tiny.yaml --set run.dir=on-gpu --set train.device=cuda --set train.steps=2
likeness_on 1 "$@"
code=$?
[ $code = 78 ] && [ "$(grep -c 'error: ' err.log)" = 1 ] && grep 'error: ' err.log | grep -Eq 'train.device|CUDA|NVIDIA' ||
  fail "train.device=cuda without a GPU: exit $code"
[ ! -e on-gpu/metrics.jsonl ] || fail "trained without the GPU that was asked for"
echo "gpu: ok"
