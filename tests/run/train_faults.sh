#!/bin/bash
# What goes wrong on one rank of two is told by its name: hanging in backward, failing in the update, opening a disk that is away.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
program=$LIKENESS_BUILD/tests/mpi_training
tiny_world 64
fault() { # CODE RANK HOW
  sed -e "s/dir: tiny-decoder/dir: $3-$2/; s/steps: 10/steps: 100/" tiny-decoder.yaml >$3.yaml
  printf 'stall: {warn_s: 1, abort_s: 4}\n' >>$3.yaml
  sed -i 's/micro_batch: 8/micro_batch: 4/' $3.yaml
  timeout -s KILL 60 mpirun --oversubscribe --bind-to none -n 2 "$program" $3.yaml "$2" "$3" >out.log 2>err.log
  local code=$?
  [ $code = "$1" ] || fail "$3 of rank $2: exit code $code instead of $1"
}

for rank in 1 0; do
  fault 75 $rank backward
  grep -Eq "error: no progress for .*; waiting for rank $rank on [^ ]+ \(step 2, phase backward\); the job ends" err.log ||
    fail "rank $rank hangs in backward: no line that says so"
done

# The failing rank takes part in the next exchange: one line, which says what and where, and no stall.
for rank in 1 0; do
  fault 70 $rank update
  [ "$(grep -c 'error: ' err.log)" = 1 ] && grep -q "error: rank $rank on [^ ]*: a planted failure" err.log ||
    fail "the update of rank $rank fails: not one line that says so"
  [ "$(grep -c 'took step 2' err.log)" = 2 ] && ! grep -q 'took step 3' err.log || fail "not told by the next exchange"
done

# Before the first step: a shard whose open(2) does not return, as on a dead mount of one rank's host.
sed 's/micro_batch: 8/micro_batch: 4/' tiny-decoder.yaml >away.yaml
set -- train away.yaml --set run.dir=away --set stall.warn_s=1 --set stall.abort_s=3
timeout -s KILL 60 mpirun --oversubscribe --bind-to none -n 1 "$LIKENESS" "$@" : -n 1 env FAULTS_ROOT="$PWD/tiny/train" \
  FAULTS_CALL=open FAULTS_AT=1 FAULTS_TIMES=1 FAULTS_ERRNO=HANG LD_PRELOAD="$LIKENESS_BUILD/tests/faults.so" "$LIKENESS" "$@" \
  >out.log 2>err.log
code=$?
[ $code = 75 ] || fail "a disk that is away: exit $code instead of 75"
grep -Eq 'error: no progress for .*; waiting for rank 1 on [^ ]+ \(step 0, phase start\); the job ends' err.log ||
  fail "a disk that is away is not told"
echo "hanging and failing ranks are named"
