#!/bin/bash
# The process group under mpirun on 1, 2, 3 and 4 ranks: sums, trees, buckets, agreement, abort.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
program=$LIKENESS_BUILD/tests/mpi_collectives

# By itself the program is a group of one and starts no MPI.
runs "$program" check
for n in 1 2 3 4; do
  runs on $n "$program" check
  says "^$n ranks: all checks hold"
done

# One line for the whole job, which names the rank that failed, and its exit code.
fails 65 ': shard.h5 is torn' on 3 "$program" disagree 2
says 'error: rank 2 on .*: shard.h5 is torn'

# A rank ends the job while the others wait.
on 3 "$program" abort 1 >out.log 2>err.log
code=$?
[ $code = 75 ] || fail "abort: exit code $code instead of 75"
echo "1, 2, 3 and 4 ranks agree"
