#!/bin/bash
# How long it takes to open data sets of many shards, and what memory: seconds and resident megabytes of two training steps of a
# tiny model on 1 and on many shards of the same faces, so that their difference is what opening costs.
# usage: tests/bench/open.sh PROGRAM[,OTHER PROGRAM...] [SHARDS] [FACES IN EACH]      default: 1000 shards of 10,000 faces
# The shards are one file under many names (hard links). TMPDIR says on which disk: 3 KB a face.
set -eu -o pipefail
IFS=, read -ra programs <<<"$1"
shards=${2:-1000} faces=${3:-10000}
for i in "${!programs[@]}"; do programs[i]=$(realpath "${programs[i]}"); done
work=$(mktemp -d "${TMPDIR:-/tmp}/likeness-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
quietly() { "$@" >log 2>&1 || { cat log >&2; exit 1; }; }

quietly "${programs[0]}" render --random "$faces" --size 32 --shard-size "$faces" -o one
quietly "${programs[0]}" render --random 16 --start "$faces" --size 32 -o val
mkdir many
for ((i = 0; i < shards; i++)); do ln one/shard-00000.h5 "many/shard-$(printf %05d "$i").h5"; done
cp one/*.json many/ 2>/dev/null || true

train() { # PROGRAM SET: "SECONDS MEGABYTES"
  rm -rf run
  cat >config.yaml <<YAML
run: {dir: run, seed: 1}
data: {train: $2, val: val, threads: 1}
model: {size: 32, decoder: {width: 0.0625}}
train: {stage: decoder, global_batch: 8, micro_batch: 8, steps: 2, precision: f32, threads: 1, converge: {patience: 0}}
validate: {samples: 0}
YAML
  python3 - "$1" <<'PYTHON'
import resource, subprocess, sys, time
begin = time.monotonic()
subprocess.run([sys.argv[1], "train", "config.yaml"], check=True, stdout=open("log", "w"), stderr=subprocess.STDOUT)
seconds = time.monotonic() - begin
print(f"{seconds:.2f} s {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3:.0f} MB")
PYTHON
}

printf '%-40s %18s %18s\n' "$shards shards, $((shards * faces)) faces" "1 shard" "$shards shards"
for program in "${programs[@]}"; do
  train "$program" one >/dev/null # caches
  for round in 1 2 3; do
    printf '%-40s %18s %18s\n' "$program" "$(train "$program" one)" "$(train "$program" many)"
  done
done
