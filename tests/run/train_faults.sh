#!/bin/bash
# What goes wrong on one rank of two is told by its name: hanging in backward, failing in the update, opening a disk that is away.
# Before the watchdog begins and behind its end nobody knows the rank, but the job ends in time.
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

# Calls of open(2) that do not return, as on a dead mount of one rank's host.
sed 's/micro_batch: 8/micro_batch: 4/' tiny-decoder.yaml >away.yaml
away() { # RANK PATH
  local line=("$LIKENESS" train away.yaml --set run.dir=away --set stall.warn_s=1 --set stall.abort_s=3) code
  local there=(-n 1 env FAULTS_ROOT="$PWD/$2" FAULTS_CALL=open FAULTS_AT=1 FAULTS_TIMES=1 FAULTS_ERRNO=HANG
    LD_PRELOAD="$LIKENESS_BUILD/tests/faults.so" "${line[@]}")
  if [ "$1" = 0 ]; then line=("${there[@]}" : -n 1 "${line[@]}"); else line=(-n 1 "${line[@]}" : "${there[@]}"); fi
  timeout -s KILL 60 mpirun --oversubscribe --bind-to none "${line[@]}" >out.log 2>err.log
  code=$?
  [ $code = 75 ] || fail "$2 is away for rank $1: exit $code instead of 75"
  [ "$(grep -c 'error: ' err.log)" = 1 ] || fail "$2 is away for rank $1: not one line of error"
}
away 1 tiny/train # before the first step
says 'error: no progress for .*; waiting for rank 1 on [^ ]+ \(step 0, phase start\); the job ends'
away 0 away.yaml # before MPI
says "rank 1 on [^ ]+: error: no progress for 15 s while the ranks start: a rank is stopped or hangs; the job ends"

fault 75 1 end
says "rank 0 on [^ ]+: error: no progress for 15 s while the ranks end: a rank is stopped or hangs; the job ends"
none_left
none_left "$program"
echo "hanging and failing ranks are named"
