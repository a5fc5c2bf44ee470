#!/bin/bash
# likeness bench measures and leaves nothing behind. What it measures is not judged: the machine may be shared.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export TMPDIR=$PWD/temporary
mkdir temporary
small="--steps 3 --seconds 1 --megabytes 4 --set model.size=32 --set model.encoder.width=0.125 --set train.threads=1"
most_faults=1100 # two huge pages that the kernel gave in small ones
sanitized && most_faults=1000000000 # they keep what is freed
for n in 1 2; do
  works $n bench --json $small
  tail -n 1 out.log | python3 -c '
import json, sys
result, ranks = json.load(sys.stdin), int(sys.argv[1])
step, loader, exchanges = result["step"], result["loader"], result["collectives"]
assert (step["ranks"], step["size"], step["width"], step["global_batch"]) == (ranks, 32, 0.125, 16 * ranks), step
assert 0 < step["best_step_ms"] <= step["step_ms"] and 0 <= step["data_wait_share"] < 1, step
# What a step frees, the next one takes again: a few pages come late, of stacks and tables.
assert step["page_faults"] < int(sys.argv[2]), step
assert abs(step["samples_per_s"] * step["step_ms"] / (16e3 * ranks) - 1) < 1e-6, step
assert 0 < step["first_step_s"] < 600 and step["peak_mb"] > 10 and step["step_cpu_ms"] > 0, step
assert loader["samples_per_s"] > 100, loader
assert [e["reproducible"] for e in exchanges] == [False, True][:2 * (ranks - 1)], exchanges' $n $most_faults ||
  fail "the numbers on $n ranks: $(tail -n 1 out.log)"
  [ -z "$(ls temporary)" ] || fail "left behind: $(ls temporary)"
done
works 2 bench collectives --megabytes 4 --set train.device=cpu --set collectives.dtype=bf16 --set collectives.bucket_mb=1
says '^collectives  2 ranks, 4 MB of gradients in buckets of 1 MB as bfloat16, cpu$'
[ "$(grep -c 'ms allreduce' out.log)" = 1 ] && ! grep -q reproducible out.log || fail "bfloat16 is summed in no tree"
fails 78 'collectives.reducer: nccl sums on GPUs' "$LIKENESS" bench collectives --set train.device=cpu \
  --set collectives.reducer=nccl
[ -e /dev/nvidiactl ] ||
  fails 78 'train.device cuda: there is no NVIDIA driver' "$LIKENESS" bench collectives --set train.device=cuda

# A rank that is stopped in an exchange keeps the other for stall.abort_s, of which no less than 15 s count.
likeness_on 2 bench collectives --megabytes 400 --set stall.warn_s=0.5 --set stall.abort_s=1 &
job=$!
both_exchange() {
  local process ready=0
  for process in $(ranks_of_test); do # both have their gradients
    [ "$(awk '/^VmRSS/ { print int($2 / 1000) }' "/proc/$process/status" 2>/dev/null || echo 0)" -lt 400 ] || ready=$((ready + 1))
  done
  [ $ready = 2 ]
}
until both_exchange; do
  kill -0 $job 2>/dev/null || fail "ended before its exchange"
  pause 0.05
done
kill -STOP "$(ranks_of_test | tail -n 1)"
wait $job
code=$?
[ $code = 75 ] || fail "a rank stopped in an exchange: exit $code instead of 75"
says 'error: no progress for 15 s in an exchange of likeness bench: a rank is stopped or hangs; the job ends'

works 1 bench step $small --folder kept
for line in '32 px, width 0.125, norm none, f32, batch 16' 'samples/s' 'ms a step' 'MB of memory'; do
  grep -q "$line" out.log || fail "the table has no '$line'"
done
[ -s kept/train/shard-00000.h5 ] && [ -s kept/decoder.safetensors ] || fail "--folder keeps no inputs"

# A folder of its own is used again; one of somebody else's stays.
for time in 1 2; do works 1 bench loader --seconds 1 --faces 40 --folder kept; done
[ -s kept/loader-40/shard-00000.h5 ] || fail "--folder keeps no faces"
mv kept/loader-40 kept/loader-50
echo mine >kept/loader-50/notes
fails 65 'loader-50: holds 40 faces, so it is not, or not all, what bench makes' "$LIKENESS" bench loader --seconds 1 --faces 50 \
  --folder kept
[ "$(cat kept/loader-50/notes)" = mine ] || fail "bench removed a folder that is not its own"

# What the loader is told, and from the disk.
works 1 bench loader --json --faces 600 --block 16 --cold
tail -n 1 out.log | python3 -c '
import json, sys
loader = json.load(sys.stdin)["loader"]
assert loader["block"] == 16 and 0 < loader["runs_in_a_step"] <= 38 and 0 <= loader["met_share"] <= 1, loader
assert loader["samples_per_s"] > 10, loader' || fail "the loader with --block --cold: $(tail -n 1 out.log)"

works 1 bench peak --json --threads 2
tail -n 1 out.log | python3 -c '
import json, sys
result = json.load(sys.stdin)
assert set(result) == {"peak"} and result["peak"]["threads"] == 2 and result["peak"]["f32_gflops"] > 1, result
flags = next(line for line in open("/proc/cpuinfo") if line.startswith("flags")).split()
assert (result["peak"]["bf16_gflops"] > 1) == ("avx512_bf16" in flags), result' || fail "the peak: $(tail -n 1 out.log)"
ONEDNN_MAX_CPU_ISA=AVX2 works 1 bench peak
says 'in f32, 0 in bf16'

works 1 bench kernels --json --threads 2 --set model.size=32 --set model.encoder.width=0.125 --set model.decoder.width=0.125 \
  --set train.micro_batch=2 --set train.global_batch=2
tail -n 1 out.log >kernels.json
python3 - <<'PYTHON' || fail "the kernels"
import json
rows = json.load(open("kernels.json"))["kernels"]
ways = {}
for r in rows:
    assert r["ms"] > 0 and r["gflops"] > 0 and r["share"] > 0 and r["error"] < 2e-5, r
    ways.setdefault((r["layer"], r["direction"]), []).append(r)
# 16 + 6 convolutions of the encoder, 4 of a decoder of 32 px; the first one has no data gradient.
assert sum(w[0]["layers"] for (_, direction), w in ways.items() if direction == "forward") == 26, ways.keys()
assert ("encoder.features.0.weight", "data gradient") not in ways
for key, w in ways.items():
    assert w[0]["kernel"] == "torch" and sum(r["chosen"] for r in w) == 1, w
of_middle = ways["encoder.features.19.weight", "forward"]
assert {r["instructions"] for r in of_middle} >= {"", "avx2"} and not of_middle[0]["chosen"], of_middle
for direction in ("forward", "data gradient", "weight gradient"):
    assert [r["kernel"] for r in ways["decoder.layers.9.weight", direction] if r["chosen"]] == ["narrow-4x4"]
PYTHON
works 1 bench kernels --threads 1 --set model.size=32 --set model.encoder.width=0.125 --set model.decoder.width=0.125 \
  --set train.micro_batch=1 --set train.global_batch=1 --set train.precision=bf16
says '^encoder.features.2.weight, bf16: 1 x 32 x 32, 8 to 8, relu, pool$'
says '^    weight gradient torch'

# The model of many GPUs: nothing is run, one GPU is what was measured of it, and its assumptions are said and can be set.
works 1 bench scale
for line in 'a model, nothing was run' 'forward 15.3 ms' '370 GB/s' '90 % is used' ' 512      64 '; do
  grep -qF -- "$line" out.log || fail "the table of scale has no '$line'"
done
works 1 bench scale --json --gpus 16 --forward-ms 20 --backward-ms 10 --update-ms 0 --checkpoint-s 0 --gbit 100 --bytes 2
tail -n 1 out.log | python3 -c '
import json, sys
rows = json.load(sys.stdin)["scale"]
assert [r["gpus"] for r in rows] == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16] and [r["gbit"] for r in rows[:2]] == [100, 400], rows
assert abs(rows[0]["step_ms"] - 30) < 1e-9 and rows[0]["efficiency"] == 1, rows[0]
assert all(0 < r["efficiency"] <= 1 for r in rows) and rows[8]["step_ms"] > rows[9]["step_ms"] > rows[7]["step_ms"], rows
' || fail "scale: $(tail -n 1 out.log)"
refused 64 "--used" bench scale --used 2

refused 64 "step, loader, collectives, peak, kernels or scale, not 'speed'" bench speed
refused 64 "--steps takes a whole number" bench --steps 0
refused 78 "model.width" bench step --set model.width=1
