#!/bin/bash
# What a configuration can ask of training: precision, optimizers, schedules, clipping, first weights, steps that are left out.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
make_faces
write_configs
works 1 train decoder.yaml --set train.epochs=2
encoder() { works 1 train encoder.yaml --set run.dir=$1 --set validate.samples=0 "${@:2}"; } # RUN OPTIONS...
numbers() { # PYTHON: judges `trace(run, key)` and `tensors(run)`, name -> float32 numbers
  python3 - <<EOF || fail "$FUNCNAME: see above"
import array, json, math
def trace(run, key):
    return [e[key] for e in map(json.loads, open(f"{run}/metrics.jsonl")) if e["kind"] == "train"]
def tensors(run):
    raw = open(f"{run}/model.safetensors", "rb").read()
    begin = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:begin])
    return {name: array.array("f", raw[begin + t["data_offsets"][0]:begin + t["data_offsets"][1]])
            for name, t in header.items() if name != "__metadata__"}
def distance(a, b):
    a, b = tensors(a), tensors(b)
    return math.sqrt(sum((x - y) ** 2 for name in a for x, y in zip(a[name], b[name])))
$1
EOF
}

# ---- precision ----
encoder f32 --set train.steps=12
encoder bf16 --set train.steps=12 --set train.precision=bf16
works 2 train encoder.yaml --set run.dir=bf16-2 --set validate.samples=0 --set train.steps=12 --set train.precision=bf16
for ranks in 2 3; do
  works $ranks train encoder.yaml --set run.dir=sent-$ranks --set validate.samples=0 --set train.steps=12 \
    --set collectives.dtype=bf16 --set train.global_batch=$((ranks == 3 ? 12 : 8))
done
works 1 train decoder.yaml --set run.dir=decoder-bf16 --set train.precision=bf16 --set train.epochs=2
numbers '
off = [abs(a - b) / a for run in ("bf16", "bf16-2") for a, b in zip(trace("f32", "F"), trace(run, "F"))]
print(f"bfloat16 against float32: F at most {max(off):.1e} off in 12 steps")
assert 0 < max(off) < 0.02
off = [abs(a - b) / a for a, b in zip(trace("f32", "F"), trace("sent-2", "F"))]
print(f"gradients sent as bfloat16: F at most {max(off):.1e} off in 12 steps")
assert off[0] == 0 < max(off) < 0.02 and trace("sent-3", "F")[-1] < trace("sent-3", "F")[0]
assert trace("decoder-bf16", "L1")[-1] < 0.9 * trace("decoder-bf16", "L1")[0]'

# ---- first weights: a run, and the names of torchvision in a file with a classifier of another size ----
encoder kept --set model.init=f32 --set optimizer.lr=0 --set train.steps=1 --set run.seed=7
[ "$(weights_hash kept)" = "$(weights_hash f32)" ] || fail "model.init: not the weights of the run"
# A shorter name and as many spaces: the header keeps its length.
LC_ALL=C sed -e 's/"encoder\.\(features\.[0-9]*\.[a-z]*\)":/"\1":        /g' \
  -e 's/"encoder\.\(residual\|continuous\|discrete\)/"foreign.\1/g' \
  f32/model.safetensors >vgg19.safetensors
[ "$(wc -c <vgg19.safetensors)" = "$(wc -c <f32/model.safetensors)" ] || fail "the file in torchvision's names"
encoder fresh --set optimizer.lr=0 --set train.steps=1 --set run.seed=7
encoder vgg --set model.init=vgg19.safetensors --set optimizer.lr=0 --set train.steps=1 --set run.seed=7
numbers '
trained, fresh, vgg = tensors("f32"), tensors("fresh"), tensors("vgg")
assert len(vgg) == len(fresh) == len(trained) == 32 + 12 + 4, len(vgg)
for name in vgg:
    assert vgg[name] == (trained if ".features." in name else fresh)[name], name
    assert not name.endswith("weight") or trained[name] != fresh[name], name'
encoder continued --set model.init=f32 --set train.steps=12 --set optimizer.warmup_steps=0

# ---- optimizers and clipping: without momentum a step of SGD is lr times the gradient, clipped to a norm ----
sgd="--set optimizer.name=sgd --set optimizer.lr=1e-3 --set optimizer.momentum=0 --set optimizer.warmup_steps=0 \
  --set optimizer.schedule=constant --set optimizer.continuous_head_lr=1 --set run.seed=7 --set train.steps=1"
encoder sgd $sgd
encoder clipped $sgd --set optimizer.clip_norm=0.5
encoder unclipped $sgd --set optimizer.clip_norm=1e6
[ "$(weights_hash sgd)" = "$(weights_hash unclipped)" ] || fail "clip_norm above the norm changes the step"
encoder momentum --set optimizer.name=sgd --set optimizer.lr=1e-4 --set train.steps=12
encoder adamw --set train.steps=1 --set run.seed=7 --set optimizer.warmup_steps=0 --set optimizer.lr=1e-4 \
  --set optimizer.continuous_head_lr=1
numbers '
norm = trace("sgd", "grad_norm")[0]
print(f"norm of the first gradient {norm:.3f}")
assert norm > 1 and trace("clipped", "grad_norm")[0] == norm  # told as it was
assert abs(distance("fresh", "sgd") / (1e-3 * norm) - 1) < 1e-3, distance("fresh", "sgd")
assert abs(distance("fresh", "clipped") / (1e-3 * 0.5) - 1) < 1e-2, distance("fresh", "clipped")
# The first step of AdamW moves every weight by lr, whatever its gradient, except those far below eps and those that see none.
a, b = tensors("adamw"), tensors("fresh")
moved = sorted(abs(x - y) for name in a for x, y in zip(a[name], b[name]))
moved = [m for m in moved if m > 0]  # weights behind a ReLU that never opens do not move
middle = moved[len(moved) // 2]
assert len(moved) > 1000 and abs(middle / 1e-4 - 1) < 1e-2 and moved[-1] < 1.01e-4, (middle, moved[-1])
assert all(math.isfinite(f) for f in trace("momentum", "F"))'

# ---- schedules ----
rate="--set optimizer.lr=1e-3 --set optimizer.warmup_steps=4 --set train.steps=36" # 12 steps an epoch
encoder constant $rate --set optimizer.schedule=constant
encoder step $rate --set optimizer.schedule=step --set optimizer.step_epochs=1 --set optimizer.step_gamma=0.5
encoder cosine $rate --set optimizer.schedule=cosine --set optimizer.final_lr=0.1
numbers '
warm = [min(1, (s + 1) / 4) for s in range(36)]
expected = {
    "constant": [1e-3 * w for w in warm],
    "step": [1e-3 * w * 0.5 ** (s // 12) for s, w in enumerate(warm)],
    "cosine": [1e-3 * w * (0.1 + 0.9 * (1 + math.cos(math.pi * s / 35)) / 2) for s, w in enumerate(warm)],
}
for run, rates in expected.items():
    for s, (got, want) in enumerate(zip(trace(run, "lr"), rates, strict=True)):
        assert math.isclose(got, want, rel_tol=1e-12), (run, s, got, want)'

# ---- steps that are not finite: left out, so many and no more ----
likeness_on 1 train encoder.yaml --set run.dir=exploded --set optimizer.name=sgd --set optimizer.lr=100 \
  --set optimizer.warmup_steps=0 --set train.nonfinite=skip --set train.max_skips=3 --set validate.samples=0
[ $? = 65 ] || fail "skipping without end"
[ "$(grep -c 'skipped, [123] of at most 3' err.log)" = 3 ] && [ "$(grep -c 'error: ' err.log)" = 1 ] ||
  fail "what is said of skipped steps"

# ---- numbers that are finite in training and not in what it writes: none gets into the weights, none is the best ----
edit() { # OUT TENSOR=FACTOR-OR-VALUE...: the decoder's weights with a tensor times a factor (*1e25) or of one value
  python3 - "$@" <<'EOF'
import json, struct, sys
raw = bytearray(open("decoder/model.safetensors", "rb").read())
begin = 8 + int.from_bytes(raw[:8], "little")
header = json.loads(raw[8:begin])
for name, value in (change.split("=") for change in sys.argv[2:]):
    first, end = (begin + at for at in header["decoder.layers." + name]["data_offsets"])
    numbers = struct.unpack(f"<{(end - first) // 4}f", raw[first:end])
    changed = [x * float(value[1:]) if value[0] == "*" else float(value) for x in numbers]
    raw[first:end] = struct.pack(f"<{len(changed)}f", *changed)
open(sys.argv[1], "wb").write(raw)
EOF
}
decoder_from() { # WEIGHTS RUN OPTIONS...
  likeness_on 1 train decoder.yaml --set run.dir=$2 --set model.init=$1 --set train.epochs=2 --set validate.samples=0 \
    --set train.converge.patience=1 "${@:3}"
}
# Statistics of a batch that overflow while the loss, which they only divide, stays finite.
edit huge.safetensors '0.weight=*1e25'
for how in stop skip; do
  decoder_from huge.safetensors overflow-$how --set train.nonfinite=$how --set train.max_skips=4
  [ $? = 65 ] || fail "nonfinite $how: statistics that overflow"
  grep -Eq 'error: .*not finite: L1 is 0\.[0-9]+, first bad gradient: decoder\.layers\.[0-9]+\.running_' err.log ||
    fail "nonfinite $how: the statistic is not named"
  [ ! -e overflow-$how/DONE ] && [ ! -e overflow-$how/model.safetensors ] || fail "nonfinite $how: a model in spite of it"
done
[ "$(grep -c 'skipped, [1-4] of at most 4' err.log)" = 4 ] || fail "skipped statistics are not told"
# A validation that is not finite: running statistics at the end of float32, which only judging uses.
edit extreme.safetensors 1.running_mean=-3e38 1.running_var=0
decoder_from extreme.safetensors extreme-stop
[ $? = 65 ] && grep -q 'error: step 12: not finite: validation L1 is -\?nan' err.log ||
  fail "a validation that is not finite does not stop"
# The statistics have come down by the second one, though to numbers that would overflow in our own kernels' sums.
decoder_from extreme.safetensors extreme-skip --set train.nonfinite=skip --set train.kernels=torch ||
  fail "a validation that is not finite is not skipped"
grep -q 'warning: step 12: not finite: validation L1 is -\?nan; skipped' err.log || fail "a skipped validation is not told"
[ "$(metric extreme-skip val L1 | head -n 1)" = nan ] || fail "it is not in the metrics"
# Neither a gain nor a validation without gain, which patience 1 would have ended the run for.
grep -q '^steps 24' extreme-skip/DONE && [ "$(readlink extreme-skip/checkpoints/best)" = step-000000024 ] ||
  fail "it counts for the best or for patience"
[ "$(state_of extreme-skip 24 skipped)" = 1 ] || fail "it is not counted as skipped"
echo "options: ok"
