#!/bin/bash
# How long likeness report takes for many runs, how large the page becomes and how much memory that takes.
# usage: tests/bench/report.sh PROGRAM[,OTHER PROGRAM...] [RUNS] [STEPS]      default: 200 runs of 6,250 steps
# One small run is trained and judged for its files; the others are copies with curves of their own length, lambda and seed. Every
# curve has one spike of one step. KEEP=FOLDER leaves runs and pages there; TMPDIR says which disk otherwise.
set -eu -o pipefail
IFS=, read -ra programs <<<"$1"
runs=${2:-200} steps=${3:-6250}
for i in "${!programs[@]}"; do programs[i]=$(realpath "${programs[i]}"); done
cd "$(dirname "$0")/../.."
if [ -n "${KEEP:-}" ]; then
  mkdir -p "$KEEP" && work=$(realpath "$KEEP")
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/likeness-bench-XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
likeness=${programs[0]}
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
train() { # CONFIG RUN SETTINGS...
  quietly "$likeness" train "configs/$1.yaml" --set run.dir="$work/$2" --set data.train="[$work/train]" \
    --set data.val="$work/val" \
    --set train.epochs=0 --set train.steps="$steps" --set model.decoder.width=0.0625 --set validate.samples=16 "${@:3}"
}

if [ ! -e "$work/first/report/triptych.png" ]; then
  quietly "$likeness" render --random 64 --size 64 -o "$work/train"
  quietly "$likeness" render --random 16 --start 64 --size 64 -o "$work/val"
  steps=2 train demo-decoder decoder
  steps=2 train demo first --set model.encoder.width=0.0625 --set model.decoder.weights="$work/decoder"
  quietly "$likeness" evaluate "$work/first"
fi

# A training line of `likeness train` with the numbers of step `s`; a validation every 125 steps.
make_run() { # INDEX
  local lambda run
  # 0.5 to 2048, five seeds each
  lambda=$(awk -v i="$1" -v n="$runs" 'BEGIN { printf "%g", 0.5 * 2 ^ (12 * int(i / 5) / int((n + 4) / 5)) }')
  run=$work/sweep/$(printf 'lambda-%s/seed-%d' "$lambda" $(($1 % 5 + 1)))
  [ -e "$run/DONE" ] && return
  mkdir -p "$run/report" "$run/samples"
  sed -e "s/^\( *lambda: \).*/\1$lambda/" -e "s/^\( *seed: \).*/\1$(($1 % 5 + 1))/" -e "s/^\( *steps: \).*/\1$steps/" \
    "$work/first/config.yaml" >"$run/config.yaml"
  cp "$work"/first/report/triptych.png "$run/report/"
  cp "$work"/first/samples/*.png "$run/samples/$(printf 'step-%09d.png' "$steps")"
  awk -v seed="$1" 'BEGIN { srand(seed); f = 0.6 + rand() }
    /"(mae_ratio_20|F1|F2)"/ { sub(/[0-9.]+,?$/, sprintf("%.6f,", (/F1/ ? 2 : 1) * f * (0.9 + 0.2 * rand()))) }
    { print }' \
    "$work/first/report/evaluation.json" >"$run/report/evaluation.json"
  awk -v seed="$1" -v steps="$steps" -v lambda="$lambda" 'BEGIN {
    srand(seed); spike = int(steps * (0.2 + 0.6 * rand()))
    for (s = 1; s <= steps; s++) {
      d = exp(-4 * s / steps); noise = 0.9 + 0.2 * rand()
      f1 = (1.5 + 12 * d) * noise; f2 = (1.2 + 4 * d) * (0.9 + 0.2 * rand()); if (s == spike) f1 *= 40
      printf "{\"kind\":\"train\",\"step\":%d,\"epoch\":%d,\"F\":%.15f,\"F1\":%.15f,\"F2\":%.15f,\"lr\":%.19g,",
        s, int((s - 1) / 1250) + 1, f1 + lambda * f2, f1, f2, 0.001 * (1 - s / steps)
      printf "\"grad_norm\":%.15f,\"samples_per_s\":%.5f,\"step_ms\":%.7f,\"data_wait_ms\":%.10f,", 30 * noise, 500 * noise,
        62 / noise, 0.77 * noise
      printf "\"comm_exposed_ms\":%.15f,\"rss_mb\":%.6f}\n", 0.0003 * noise, 177.2
      if (s % 125 == 0)
        printf "{\"kind\":\"val\",\"step\":%d,\"epoch\":%d,\"F\":%.15f,\"F1\":%.15f,\"F2\":%.15f}\n", s, int((s - 1) / 1250) + 1,
          1.1 * (f1 + lambda * f2), 1.1 * f1, 1.1 * f2
    }
  }' >"$run/metrics.jsonl"
  cp "$work/first/DONE" "$run/"
}
for i in $(seq 0 $((runs - 1))); do make_run "$i"; done

printf '%s runs of %s steps, %s MB of metrics, %s MB of pictures\n' "$runs" "$steps" \
  "$(cat "$work"/sweep/*/*/metrics.jsonl | wc -c | awk '{ printf "%.0f", $1 / 1e6 }')" \
  "$(cat "$work"/sweep/*/*/*/*.png | wc -c | awk '{ printf "%.0f", $1 / 1e6 }')"
for program in "${programs[@]}"; do
  # Children count: gnuplot's seconds are the report's.
  python3 - "$program" "$work" <<'EOF'
import os, resource, subprocess, sys, time
program, work = sys.argv[1:]
page = f"{work}/sweep/report.html"
start = time.time()
child = subprocess.run([program, "report", f"{work}/sweep", "-o", page], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
seconds = time.time() - start
if child.returncode:
    sys.exit(f"{program}: {child.returncode}: {child.stderr}")
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{program}: {seconds:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of CPU, page {os.path.getsize(page) / 1e6:.1f} MB, "
      f"peak memory {usage.ru_maxrss / 1e3:.0f} MB")
EOF
done
