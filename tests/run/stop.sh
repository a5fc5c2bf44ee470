#!/bin/bash
# A stop at any time is seen soon, saved, and forgotten by the end: in the middle of a validation, whose batches three ranks share
# unevenly; by HUP; when the reader of the log is gone.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export OMP_NUM_THREADS=1
tiny_world 96
works 1 render --random 9001 --start 200000 --size 32 --view varied --threads 2 -o tiny/long # validations of seconds

# 8 steps an epoch, 2251 batches a validation: 750, 750 and 751 of them on three ranks.
set -- train tiny.yaml --set data.val=tiny/long --set train.global_batch=12 --set train.micro_batch=4 --set train.epochs=2 \
  --set train.steps=0 --set train.converge.min_delta=1 --set train.converge.patience=3
val_lines() { metric "$1" val step | tr '\n' ' '; }
for ranks in 1 3; do
  works $ranks "$@" --set run.dir=calm-$ranks
  run=cut-$ranks
  # In the first validation, twice: its checkpoint is there already.
  for time in 1 2; do
    likeness_on $ranks "$@" --set run.dir=$run &
    job=$!
    until { [ $time = 1 ] && compgen -G "$run/checkpoints/step-000000008*"; } >/dev/null ||
      grep -q 'resumed from' err.log 2>/dev/null; do
      kill -0 $job 2>/dev/null || fail "$run ended before its first validation"
      pause 0.02
    done
    pause 0.3
    kill -TERM $(ranks_of_test)
    wait $job
    code=$?
    [ $code = 75 ] || fail "$run: exit $code instead of 75 in a validation"
    grep -q 'at step 8 of 16, saved' err.log || fail "$run: not stopped in its first validation"
    [ "$(val_lines $run)" = "" ] && [ "$(state_of $run 8 validated)" = 0 ] || fail "$run: a validation that was broken off counts"
  done
  interrupt_at $run 13 HUP $ranks "$@" --set run.dir=$run
  works $ranks "$@" --set run.dir=$run
  same_run calm-$ranks $run
  [ "$(val_lines $run)" = "8 16 " ] || fail "$run: validations at $(val_lines $run)"
  for key in best best_step gained epochs_without_gain validated; do
    [ "$(state_of calm-$ranks 16 $key)" = "$(state_of $run 16 $key)" ] || fail "$run: another $key"
  done
  [ "$(readlink calm-$ranks/checkpoints/best)" = "$(readlink $run/checkpoints/best)" ] || fail "$run: another best"
done
echo "ok a stop in a validation on 1 and 3 ranks"

# The last checkpoint was written before its validation. A lost DONE: that is done again, and nothing else.
rm calm-1/DONE
works 1 "$@" --set run.dir=calm-1
same_run calm-1 cut-1
[ "$(val_lines calm-1)" = "8 16 " ] || fail "a validation is recorded twice: $(val_lines calm-1)"

# The best is the least loss, however little it gained (min_delta is 1): its checkpoint stays.
python3 - <<'PYTHON' || fail "checkpoints/best is not that of the least loss"
import json, os
val = [e for e in map(json.loads, open("calm-3/metrics.jsonl")) if e["kind"] == "val"]
assert os.readlink("calm-3/checkpoints/best") == "step-%09d" % min(val, key=lambda e: e["F"])["step"]
PYTHON

# head takes one line and goes: training does not care.
("$LIKENESS" train tiny.yaml --set run.dir=unread --set train.steps=40 2>&1; echo $? >code) | head -n 1 >/dev/null
[ "$(cat code)" = 0 ] && [ -e unread/DONE ] || fail "exit $(cat code) when the reader of the log was gone"
# nohup: a hangup is nothing.
(trap '' HUP; likeness_on 1 train tiny.yaml --set run.dir=nohup --set train.steps=400) &
job=$!
until lines_of nohup/metrics.jsonl; [ "$lines" -ge 10 ]; do pause 0.02; done
kill -HUP $(ranks_of_test)
wait $job && [ -e nohup/DONE ] || fail "a hangup that was to be ignored"
echo "ok: stops"
