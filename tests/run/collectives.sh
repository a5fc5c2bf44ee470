#!/bin/bash
# The process group under mpirun on 1, 2, 3 and 4 ranks: sums, trees, buckets, agreement, abort.
set -u
program=$LIKENESS_BUILD/tests/mpi_collectives
on() { timeout 120 mpirun --oversubscribe -n "$@"; }
fail() { echo "FAILED: $*"; cat out 2>/dev/null; exit 1; }

# By itself the program is a group of one and starts no MPI.
"$program" check >out 2>&1 || fail "one process without mpirun"
for n in 1 2 3 4; do
  on $n "$program" check >out 2>&1 || fail "$n ranks"
  grep -q "^$n ranks: all checks hold" out || fail "$n ranks: no closing line"
done

# One line for the whole job, which names the rank that failed, and its exit code.
on 3 "$program" disagree 2 >out 2>&1
code=$?
[ $code = 65 ] || fail "disagree: exit code $code instead of 65"
[ "$(grep -c 'shard.h5 is torn' out)" = 1 ] || fail "disagree: not exactly one line"
grep -q 'error: rank 2 on .*: shard.h5 is torn' out || fail "disagree: the line does not name the rank"

# A rank ends the job while the others wait.
on 3 "$program" abort 1 >out 2>&1
code=$?
[ $code = 75 ] || fail "abort: exit code $code instead of 75"
echo "1, 2, 3 and 4 ranks agree"
