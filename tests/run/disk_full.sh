#!/bin/bash
# A full disk while saving: training goes on, a warning names the path and the bytes missing, the last good checkpoint stays, no
# line of metrics is lost; when there is room again the next checkpoint is written. The run's folder is a small file system in
# memory.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
mkdir small
mount -t tmpfs -o size=32m tmpfs small 2>/dev/null || { echo "cannot mount a tmpfs here (needs root)"; exit 77; }
trap 'kill $job 2>/dev/null; wait; umount small' EXIT
job=
tiny_world 64
wait_for() { # WHAT CONDITION...: until the condition holds, at most two minutes
  local what=$1 deadline=$((SECONDS + 120)); shift
  until "$@"; do
    kill -0 $job 2>/dev/null || fail "the run ended before: $what"
    ((SECONDS < deadline)) || fail "not within two minutes: $what"
    pause 0.1
  done
}
saved() { compgen -G 'small/run/checkpoints/step-?????????' | wc -l; }
has_saved() { [ "$(saved)" -ge "$1" ]; }
warned() { grep -q "$1" err.log; }

likeness_on 1 train tiny.yaml --set run.dir=small/run --set train.steps=1000000 --set checkpoint.every_steps=20 \
  --set checkpoint.keep=2 --set validate.every_epochs=4 &
job=$!
wait_for "two checkpoints" has_saved 2
dd if=/dev/zero of=small/ballast bs=4096 status=none 2>/dev/null # until the disk is full
warning='warning: no checkpoint was written, training goes on: small/run/checkpoints/step-[^ ]*/[a-z.]*: cannot [a-z]*'
wait_for "a warning" warned "$warning.*: the disk is full"
grep -Eq 'no checkpoint was written.*[0-9]+ bytes (are missing|free)' err.log || fail "the warning does not name the bytes"
newest=$(ls -d small/run/checkpoints/step-????????? | tail -n 1)
works_still() { "$LIKENESS" inspect "$newest" >inspected.log 2>&1; }
works_still || { cat inspected.log; fail "the last good checkpoint is damaged"; }
wait_for "metrics that wait in memory" warned 'warning: training goes on, its metrics are kept in memory'
# Once each time: a checkpoint that was under way when the disk filled leaves room again when it is given up.
[ "$(grep -c 'metrics are kept in memory' err.log)" -le $((1 + $(grep -c 'metrics are written again' err.log))) ] ||
  fail "told more than once"
rm small/ballast
wait_for "metrics again" warned 'metrics are written again'
later() { [ "$(ls -d small/run/checkpoints/step-????????? | tail -n 1)" != "$newest" ]; }
wait_for "a later checkpoint" later
kill -TERM $(ranks_of_test)
wait $job
code=$?
job=
[ $code = 75 ] || fail "ended with $code instead of 75"
[ -z "$(compgen -G 'small/run/checkpoints/*.tmp*')" ] || fail "leftovers of failed writes"
python3 - <<'PYTHON' || fail "lines of metrics are missing or double"
import json
steps = [e["step"] for e in map(json.loads, open("small/run/metrics.jsonl")) if e["kind"] == "train"]
assert steps == list(range(1, len(steps) + 1)), steps
print(f"{len(steps)} steps, each once")
PYTHON
echo "ok: a full disk for a while"
