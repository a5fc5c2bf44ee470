#!/bin/bash
# The stall watchdog under mpirun on three ranks: a rank that is stopped, hangs or dies ends the job in time, with a line that
# names it; a slow one does not. (It warns after 1 s and ends the job after 3 s.)
# runs alone: seconds are judged
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
program=$LIKENESS_BUILD/tests/mpi_collectives

stall() { # RANK HOW EXPECTED-CODE: also checks that the job ended in time and that nothing is left of it
  local start=$SECONDS code
  rm -rf collectives
  timeout -s KILL 60 mpirun --oversubscribe -n 3 "$program" stall "$1" "$2" >out.log 2>err.log
  code=$?
  [ $code = "$3" ] || fail "$2 of rank $1: exit code $code instead of $3"
  [ $code = 0 ] || [ $((SECONDS - start)) -le 13 ] || fail "$2 of rank $1: took $((SECONDS - start)) s"
  none_left "$program"
}

recorded() { # RANK ASKED ENDED: as its file tells
  python3 - "$@" <<'EOF' || fail "the collectives of rank $1 are not recorded"
import json, sys
rank, asked, ended = map(int, sys.argv[1:])
lines = [json.loads(line) for line in open(f"collectives/rank-{rank}.jsonl")]
assert [line["number"] for line in lines] == list(range(1, asked + 1)), lines
for line in lines:
    assert (line["bucket"], line["bytes"]) == (0, 4) and line["asked"] <= line["begun"], line
    assert (line["ended"] is not None) == (line["number"] <= ended), line
    assert line["ended"] is None or line["begun"] <= line["ended"], line
EOF
}

stall 2 slow 0
says 'warning: no progress for 1\.[0-9] s; waiting for rank 2 on [^ ]+ \(step 5, phase forward\); the job ends after 3 s'
says 'all ranks make progress again'
says 'reached the end'
[ "$(grep -c warning: err.log)" = 1 ] || fail "slow: not exactly one warning"

# A slow disk is no stall while bytes are written, though nobody reports for longer than the watchdog waits.
for rank in 0 1; do
  stall $rank write 0
  says 'reached the end'
  ! grep -q 'warning:\|error:' err.log || fail "a warning while rank $rank writes"
done

# A stopped process still has its connections: it is known by its silence.
stall 2 stop 75
says 'likeness: warning: no progress for .*; waiting for rank 2 on [^ ]+ \(last heard of .* in step [0-5], phase [a-z]+\)'
says 'likeness: error: no progress for 3\.[0-9] s; waiting for rank 2 on .*; the job ends'
says 'first collective that differs: [4-6] \(bucket 0, 4 bytes\): .* on 2 ranks \(0, 1\), .* on rank 2; .*: collectives$'
recorded 0 6 5
recorded 1 6 5

# Rank 0, which watches: the others notice.
stall 0 stop 75
says 'likeness: rank 1 on .*: warning: no progress for .*; waiting for rank 0 on [^ ]+ \(last heard of'
says 'likeness: rank 1 on .*: error: no progress for 3\.[0-9] s; waiting for rank 0 on .*; the job ends'
says 'rank 1 on .*first collective that differs: [4-6] \(bucket 0, 4 bytes\): .* on rank 0, .* on rank 1;'
! grep -q 'is gone' err.log || fail "rank 0, which wakes as the job ends, takes those that ended it for dead"
recorded 1 6 5

# A rank whose threads beat while its main thread does not come on; the others wait in a later phase.
stall 1 hang 75
says 'likeness: error: no progress for 3\.[0-9] s; waiting for rank 1 on [^ ]+ \(step 5, phase data\); the job ends'
says 'first collective that differs: 6 \(bucket 0, 4 bytes\): begun on 2 ranks \(0, 2\), not asked for on rank 1;'
recorded 1 5 5
recorded 2 6 5

# A killed rank: mpirun ends the job with the code of the signal.
stall 1 die 137
says 'likeness: error: rank 1 on [^ ]+ \(step [0-5], phase [a-z]+\) is gone; the job ends'

# Connections of others to the port of the watchdog.
runs timeout -s KILL 60 mpirun --oversubscribe -n 3 "$program" strangers
says '3 ranks: strangers kept nobody waiting'

# By itself.
timeout 20 "$program" stall 0 hang >out.log 2>err.log
code=$?
[ $code = 75 ] || fail "hang of a single process: exit code $code instead of 75"
says 'waiting for rank 0 on [^ ]+ \(step 5, phase data\)'
echo "stopped, hanging, dead and slow ranks are told apart"
