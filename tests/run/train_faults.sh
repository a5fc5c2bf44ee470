#!/bin/bash
# What goes wrong on one rank of two in the middle of a step is told by its name: a rank that hangs in backward.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
program=$LIKENESS_BUILD/tests/mpi_training
tiny_world 64
fault() { # CODE RANK HOW
  sed -e "s/dir: tiny-decoder/dir: $3-$2/; s/steps: 10/steps: 100/" tiny-decoder.yaml >$3.yaml
  printf 'stall: {warn_s: 1, abort_s: 4}\n' >>$3.yaml
  sed -i 's/micro_batch: 8/micro_batch: 2/' $3.yaml
  timeout -s KILL 60 mpirun --oversubscribe --bind-to none -n 2 "$program" $3.yaml "$2" "$3" >out.log 2>err.log
  local code=$?
  [ $code = "$1" ] || fail "$3 of rank $2: exit code $code instead of $1"
}

for rank in 1 0; do
  fault 75 $rank backward
  grep -Eq "error: no progress for .*; waiting for rank $rank on [^ ]+ \(step 2, phase backward\); the job ends" err.log ||
    fail "rank $rank hangs in backward: no line that says so"
done
echo "a rank that hangs in backward is named with its phase"
