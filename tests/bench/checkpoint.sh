#!/bin/bash
# How long a checkpoint holds up training at full size (width 1, 128 px, AdamW), and how long it would if the loop wrote it
# itself: the last checkpoint of a run is written while training waits.
# usage: tests/bench/checkpoint.sh PROGRAM [TIMES]      TMPDIR says which disk
set -eu -o pipefail
program=$(realpath "$1") times=${2:-4}
cd "$(dirname "$0")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/likeness-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
train() { # CONFIG NAME SETTINGS...
  local config=$1 run=$work/$2
  shift 2
  "$program" train "configs/$config.yaml" --set run.dir="$run" --set data.train="$work/train" --set data.val="$work/val" \
    --set train.epochs=0 --set train.global_batch=2 --set train.micro_batch=2 --set validate.samples=0 \
    --set checkpoint.every_minutes=0 "$@" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
}
encoder() { train full-128 "$@" --set model.decoder.weights="$work/decoder"; }

"$program" render --random 64 --size 128 -o "$work/train" >/dev/null
"$program" render --random 2 --start 64 --size 128 -o "$work/val" >/dev/null
train full-decoder-128 decoder --set train.steps=1
encoder background --set train.steps=$((6 * times)) --set checkpoint.every_steps=6
for i in $(seq "$times"); do encoder "waiting-$i" --set train.steps=1; done

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
of() { grep -h '"kind":"checkpoint"' "$work"/$1/metrics.jsonl | sed "s/.*\"$2\":\([0-9.e+-]*\).*/\1/"; }
step=$(grep -h '"kind":"train"' "$work"/background/metrics.jsonl | sed 's/.*"step_ms":\([0-9.]*\).*/\1/' | median)
echo "$(of background bytes | tail -n 1) bytes a checkpoint, a step takes $step ms"
# The last one of the first run was waited for.
stall=$(of background stall_ms | head -n -1 | median) longest=$(of background stall_ms | head -n -1 | sort -n | tail -n 1)
echo "written beside training: training stalls for $stall ms (longest $longest), writing takes" \
  "$(of background write_s | head -n -1 | median) s"
waited=$(paste -d' ' <(of 'waiting-*' stall_ms) <(of 'waiting-*' write_s) | awk '{ print $1 + 1000 * $2 }' | median)
echo "written by the loop:     training stalls for $waited ms"
awk -v a="$waited" -v b="$stall" 'BEGIN { printf "ratio %.0f\n", a / b }'
