#!/bin/bash
# likeness bench measures and leaves nothing behind. What it measures is not judged: the machine may be shared.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export TMPDIR=$PWD/temporary
mkdir temporary
small="--steps 3 --seconds 1 --megabytes 4 --set model.size=32 --set model.encoder.width=0.125 --set train.threads=1"
for n in 1 2; do
  works $n bench --json $small
  tail -n 1 out.log | python3 -c '
import json, sys
result, ranks = json.load(sys.stdin), int(sys.argv[1])
step, loader, exchanges = result["step"], result["loader"], result["collectives"]
assert (step["ranks"], step["size"], step["width"], step["global_batch"]) == (ranks, 32, 0.125, 16 * ranks), step
assert 0 < step["best_step_ms"] <= step["step_ms"] and 0 <= step["data_wait_share"] < 1, step
assert abs(step["samples_per_s"] * step["step_ms"] / (16e3 * ranks) - 1) < 1e-6, step
assert 0 < step["first_step_s"] < 600 and step["peak_mb"] > 10, step
assert loader["samples_per_s"] > 100, loader
assert [e["reproducible"] for e in exchanges] == [False, True][:2 * (ranks - 1)], exchanges' $n ||
  fail "the numbers on $n ranks: $(tail -n 1 out.log)"
  [ -z "$(ls temporary)" ] || fail "left behind: $(ls temporary)"
done
works 1 bench step $small --folder kept
for line in '32 px, width 0.125, norm none, f32, batch 16' 'samples/s' 'ms a step' 'MB of memory'; do
  grep -q "$line" out.log || fail "the table has no '$line'"
done
[ -s kept/train/shard-00000.h5 ] && [ -s kept/decoder.safetensors ] || fail "--folder keeps no inputs"

refused 64 "step, loader or collectives, not 'speed'" bench speed
refused 64 "--steps takes a whole number" bench --steps 0
refused 78 "model.width" bench step --set model.width=1
