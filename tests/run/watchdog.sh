#!/bin/bash
# The stall watchdog under mpirun on three ranks: a rank that is stopped, hangs or dies ends the job in time, with a line that
# names it; a slow one does not. (It warns after 1 s and ends the job after 3 s.)
# runs alone: seconds are judged
set -u
program=$LIKENESS_BUILD/tests/mpi_collectives
fail() { echo "FAILED: $*"; cat out 2>/dev/null; exit 1; }

stall() { # RANK HOW EXPECTED-CODE: also checks that the job ended in time and that nothing is left of it
  local start=$SECONDS code
  timeout -s KILL 60 mpirun --oversubscribe -x WATCHDOG_TEST=$$ -n 3 "$program" stall "$1" "$2" >out 2>&1
  code=$?
  [ $code = "$3" ] || fail "$2 of rank $1: exit code $code instead of $3"
  [ $code = 0 ] || [ $((SECONDS - start)) -le 13 ] || fail "$2 of rank $1: took $((SECONDS - start)) s"
  for left in $(pgrep -x mpi_collectives); do
    ! { tr '\0' '\n' <"/proc/$left/environ"; } 2>/dev/null | grep -qx "WATCHDOG_TEST=$$" ||
      fail "$2 of rank $1: process $left is left"
  done
}
expect() { grep -Eq "$1" out || fail "no line like: $1"; }

stall 2 slow 0
expect 'warning: no progress for 1\.[0-9] s; waiting for rank 2 on [^ ]+ \(step 5, phase forward\); the job ends after 3 s'
expect 'all ranks make progress again'
expect 'reached the end'
[ "$(grep -c warning: out)" = 1 ] || fail "slow: not exactly one warning"

# A slow disk is no stall while bytes are written, though nobody reports for longer than the watchdog waits.
for rank in 0 1; do
  stall $rank write 0
  expect 'reached the end'
  ! grep -q 'warning:\|error:' out || fail "a warning while rank $rank writes"
done

# A stopped process still has its connections: it is known by its silence.
stall 2 stop 75
expect 'likeness: warning: no progress for .*; waiting for rank 2 on [^ ]+ \(last heard of .* in step [0-5], phase [a-z]+\)'
expect 'likeness: error: no progress for 3\.[0-9] s; waiting for rank 2 on .*; the job ends'

# Rank 0, which watches: the others notice.
stall 0 stop 75
expect 'likeness: rank 1 on .*: warning: no progress for .*; waiting for rank 0 on [^ ]+ \(last heard of'
expect 'likeness: rank 1 on .*: error: no progress for 3\.[0-9] s; waiting for rank 0 on .*; the job ends'

# A rank whose threads beat while its main thread does not come on; the others wait in a later phase.
stall 1 hang 75
expect 'likeness: error: no progress for 3\.[0-9] s; waiting for rank 1 on [^ ]+ \(step 5, phase data\); the job ends'

# A killed rank: mpirun ends the job with the code of the signal.
stall 1 die 137
expect 'likeness: error: rank 1 on [^ ]+ \(step [0-5], phase [a-z]+\) is gone; the job ends'

# Connections of others to the port of the watchdog.
timeout -s KILL 60 mpirun --oversubscribe -n 3 "$program" strangers >out 2>&1 || fail "strangers: exit code $?"
expect '3 ranks: strangers kept nobody waiting'

# By itself.
timeout 20 "$program" stall 0 hang >out 2>&1
code=$?
[ $code = 75 ] || fail "hang of a single process: exit code $code instead of 75"
expect 'waiting for rank 0 on [^ ]+ \(step 5, phase data\)'
echo "stopped, hanging, dead and slow ranks are told apart"
