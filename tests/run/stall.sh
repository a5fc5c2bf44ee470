#!/bin/bash
# A rank stopped (SIGSTOP) in the middle of training: within stall.warn_s a warning names rank, host, step and phase; within
# stall.abort_s + 10 s the job is gone everywhere, with exit code 75. The rank that waited leaves its last collectives.
# runs alone: seconds are judged
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
tiny_world 64
warn=2 abort=6
for victim in 1 0; do
  run=stalled-$victim
  likeness_on 2 train tiny.yaml --set run.dir=$run --set train.steps=1000000 --set train.micro_batch=2 --set stall.warn_s=$warn \
    --set stall.abort_s=$abort --set collectives.bucket_mb=0.02 &
  job=$!
  until lines_of $run/metrics.jsonl; [ "$lines" -ge 80 ]; do
    kill -0 $job 2>/dev/null || fail "ended before step 80"
    pause 0.05
  done
  for process in $(ranks_of_test); do
    { tr '\0' '\n' <"/proc/$process/environ"; } 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$victim" && kill -STOP "$process"
  done
  start=$SECONDS
  wait $job
  code=$?
  took=$((SECONDS - start))
  [ $code = 75 ] || fail "rank $victim stopped: exit $code instead of 75"
  [ $took -le $((abort + 10)) ] || fail "rank $victim stopped: gone after $took s"
  who="rank $victim on $(hostname)"
  grep -Eq "warning: no progress for [23]\.[0-9] s; waiting for $who \(.*step [0-9]+, phase [a-z]+\)" err.log ||
    fail "no warning that names rank $victim, host, step and phase"
  found="(the first collective that differs: [0-9]+( \(bucket [0-9]+, [0-9]+ bytes\))?:|no collective differs).*"
  found+=": $run/collectives\$"
  grep -Eq "error: .*${who} .*; $found" err.log || fail "nothing of the collectives of rank $victim"
  python3 - $run/collectives/rank-$((1 - victim)).jsonl <<'EOF' || fail "the other rank's collectives are not recorded"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert [line["number"] - lines[0]["number"] for line in lines] == list(range(64)), lines
assert len({line["bucket"] for line in lines}) > 1 and all(line["bytes"] > 0 for line in lines), lines
ended = [line["ended"] is not None for line in lines]
assert ended[0] and ended == sorted(ended, reverse=True), lines
EOF
  none_left
  echo "ok: rank $victim stopped, gone after $took s"
done
# What was saved before is good, and the run goes on from it.
likeness_on 2 train tiny.yaml --set run.dir=stalled-0 --set train.steps=1000000 --set train.micro_batch=2 \
  --set train.max_minutes=0.001
[ $? = 75 ] && grep -q ', saved; the same command goes on' err.log || fail "the run does not go on"
