#!/bin/bash
# train.kernels: a run says in its checkpoints what computed it and goes on with that; ours computes what libtorch does but for
# rounding, and the same on one rank and two.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"

tiny_world 64
set -- train tiny.yaml --set optimizer.schedule=constant --set checkpoint.every_steps=6

works 1 "$@" --set train.steps=12 --set run.dir=ours
works 1 "$@" --set train.steps=12 --set run.dir=torch --set train.kernels=torch
[ "$(state_of ours 12 kernels)" = winograd-5 ] && [ "$(state_of torch 12 kernels)" = torch ] || fail "kernels in state.json"
works 1 inspect torch/checkpoints/step-000000012
says 'kernels torch'
! cmp -s ours/model.safetensors torch/model.safetensors || fail "ours computed nothing"
python3 - <<'PYTHON' || fail "losses of ours and torch differ by more than rounding"
import json
runs = [[json.loads(line) for line in open(f"{run}/metrics.jsonl")] for run in ("ours", "torch")]
pairs = list(zip(*([entry["F"] for entry in run if entry["kind"] == "train"] for run in runs)))
assert len(pairs) == 12 and all(abs(a - b) < 1e-3 * b for a, b in pairs), pairs
PYTHON
echo "ok ours and libtorch's: another file, the same losses"

# auto goes on as it began.
works 1 "$@" --set train.steps=6 --set run.dir=part --set train.kernels=torch
rm part/DONE
cp -r part asked
works 1 "$@" --set train.steps=12 --set run.dir=part
cmp part/model.safetensors torch/model.safetensors || fail "auto did not go on with libtorch's kernels"
[ "$(state_of part 12 kernels)" = torch ] || fail "what went on with libtorch's kernels says something else"
works 1 "$@" --set train.steps=12 --set run.dir=asked --set train.kernels=ours
says 'was computed with kernels torch and goes on with winograd-5'
[ "$(state_of asked 12 kernels)" = winograd-5 ] || fail "ours were asked for and not taken"
echo "ok a resume: auto as it began, ours with a warning"

works 1 "$@" --set train.steps=6 --set run.dir=exact --set train.reproducible=true
rm exact/DONE
refused 78 'train.kernels was auto, is torch' "$@" --set train.steps=12 --set run.dir=exact --set train.reproducible=true \
  --set train.kernels=torch
works 1 "$@" --set train.steps=12 --set run.dir=exact --set train.reproducible=true
works 2 "$@" --set train.steps=12 --set run.dir=two --set train.reproducible=true --set train.micro_batch=2
works 1 "$@" --set train.steps=12 --set run.dir=one --set train.reproducible=true --set train.micro_batch=2
cmp one/model.safetensors two/model.safetensors || fail "reproducible: one and two ranks differ"
echo "ok reproducible"

# bfloat16 is kept in memory alone: what ours compute is as near to float32 as libtorch's.
for kernels in ours torch; do
  works 1 "$@" --set train.steps=12 --set train.precision=bf16 --set train.kernels=$kernels --set run.dir=bf16-$kernels
done
[ "$(state_of bf16-ours 12 kernels)" = winograd-5 ] || fail "kernels of a run in bfloat16"
! cmp -s bf16-ours/model.safetensors bf16-torch/model.safetensors || fail "ours computed nothing in bfloat16"
python3 - <<'PYTHON' || fail "losses in bfloat16 differ by more than rounding"
import json
f32, ours, torch = ([entry["F"] for entry in map(json.loads, open(f"{run}/metrics.jsonl")) if entry["kind"] == "train"]
                    for run in ("ours", "bf16-ours", "bf16-torch"))
assert len(ours) == 12 and all(abs(a - b) < 0.02 * b for run in (ours, torch) for a, b in zip(run, f32)), (f32, ours, torch)
PYTHON
echo "ok bfloat16"
