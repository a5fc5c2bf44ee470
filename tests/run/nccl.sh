#!/bin/bash
# Sums over ranks by NCCL, on stand-ins for NCCL and the CUDA runtime (tests/stand_in/), so without a GPU: the sums, the order of
# calls, and how a job ends when NCCL fails, when a rank never comes, and while a sum is under way.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
program=$LIKENESS_BUILD/tests/mpi_collectives
stand_ins=$LIKENESS_BUILD/tests/stand_in
export LD_LIBRARY_PATH=$stand_ins STAND_IN_RECORD=$PWD/record
mkdir record

# ---- the sums: streams run by themselves, so a wait that is missing shows ----
for n in 1 2 4; do
  runs on $n "$program" --stand-in check
  says "^$n ranks: all checks hold"
  says "NCCL 2\.28\.9 sums gradients over $n GPU"
done

# bfloat16: narrowed, summed and widened on NCCL's stream, between the marks of begin and end
python3 - <<'PYTHON' || fail "the order of calls of sums in bfloat16"
import re
calls = open("record/calls-0").read().splitlines()
sums = [i for i, call in enumerate(calls) if re.match(r"ncclAllReduce \d+ type 9 ", call)]
assert len(sums) > 5, len(sums)
for i in sums:
    own = re.search(r"stream (\d+)$", calls[i])[1]
    assert calls[i - 1] == calls[i + 1] == f"launch stream {own}", calls[i - 1:i + 2]
    for call in calls[i - 2], calls[i + 2]:
        assert re.fullmatch(rf"record event \d+ stream {own}", call), call
PYTHON

# ---- the order of calls ----
rm -f record/*
runs on 2 "$program" --stand-in stall 0 none
python3 - <<'PYTHON' || fail "the order of calls"
import re
for rank in 0, 1:
    calls = open(f"record/calls-{rank}").read().splitlines()
    assert calls[0] == f"ncclCommInitRank {rank} of 2" or "event" in calls[0], calls[0]
    sums = [i for i, call in enumerate(calls) if call.startswith("ncclAllReduce")]
    assert len(sums) == 60, len(sums)
    streams = {re.search(r"stream (\d+)", calls[i])[1] for i in sums}
    assert len(streams) == 1, streams
    own = streams.pop()
    for i in sums:
        assert calls[i] == f"ncclAllReduce 1 type 7 operator 0 stream {own}", calls[i]
        # the bucket's mark on computing's stream, for which NCCL's stream waits before it sums
        mark, computing = re.fullmatch(r"record event (\d+) stream (\d+)", calls[i - 4]).groups()
        assert computing != own and calls[i - 3] == f"wait event {mark} stream {own}", calls[i - 4:i]
        # first and begun; ended and last; computing goes on behind the last
        for call in calls[i - 2:i] + calls[i + 1:i + 3]:
            assert re.fullmatch(rf"record event \d+ stream {own}", call), call
        last = calls[i + 2].split()[2]
        assert re.fullmatch(rf"record event \d+ stream {computing}", calls[i + 3]), calls[i + 3]
        assert calls[i + 4] == f"wait event {last} stream {computing}", calls[i + 4]
        assert re.fullmatch(rf"record event \d+ stream {computing}", calls[i + 5]), calls[i + 5]
    assert calls[-1] == "ncclCommDestroy, 0 under way", calls[-1]
PYTHON

# ---- failures ----
ranks=3
ends() { # CODE FAULT ARGUMENTS...: so many ranks; exactly one line of error, and nothing is left
  local code=$1 fault=$2 got=0 start=$SECONDS; shift 2
  rm -rf record/* collectives
  STAND_IN_FAIL=$fault timeout -s KILL 300 mpirun --oversubscribe --bind-to none -n $ranks "$program" --stand-in "$@" \
    >out.log 2>err.log || got=$?
  [ $got = "$code" ] || fail "$fault, $*: exit $got instead of $code"
  [ "$(grep -c 'error: ' err.log)" = 1 ] || fail "$fault, $*: not one line of error"
  none_left "$program"
  echo "ok: '$fault' $*: exit $got after $((SECONDS - start)) s"
}
aborted() { # RANK: what was under way was ended, and nothing was asked for after it
  tail -n 1 record/calls-$1 | grep -q '^ncclCommAbort, [01] under way$' || fail "rank $1 did not abort"
  python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines and lines[-1]["number"] == len(lines) and all(line["ended"] for line in lines[:-1]), lines' \
    collectives/rank-$1.jsonl || fail "the collectives of rank $1"
}

# when it is opened: everybody hears of what one rank can say before the others come, else the rank that fails ends the job
ends 70 '0 ncclGetUniqueId 1 2' open
says 'error: rank 0 on [^ ]+: NCCL: ncclGetUniqueId: unhandled system error: the stand-in was told to$'
ends 70 '1 ncclCommInitRank 1 2' open
says 'rank 1 on [^ ]+: error: NCCL: ncclCommInitRank: unhandled system error: .* the job ends$'
ends 78 '0 ncclCommInitRank 1 5' open
mkdir without
ln -s "$stand_ins/libcudart.so.13" without/
echo "no library" >without/libnccl.so.2 # an NCCL of this machine must not be found instead
LD_LIBRARY_PATH=$PWD/without ends 70 '' open
says 'error: sums over several GPUs need NCCL: [^ ]*libnccl\.so\.2: .*; make deps CUDA=1 installs it$'

# at a collective, while one is under way, and at a stream's wait, on the rank that speaks for all and on others
fails_at() { # RANK FAULT WHAT
  ends 75 "$1 $2" stall 0 none
  if [ "$1" = 0 ]; then
    says "error: rank 0 on [^ ]+ \(step [0-9]+, phase [a-z]+\): $3.*; the job ends"
  else
    says "rank $1 on [^ ]+: error: step [0-9]+, phase [a-z]+: $3.*; the job ends"
  fi
  for r in 0 1 2; do aborted $r; done
}
lost='NCCL: a sum under way: remote process exited or there was a network error'
fails_at 0 'asynchronous 6 6' "$lost"
fails_at 2 'asynchronous 6 6' "$lost"
fails_at 1 'ncclAllReduce 6 2' 'NCCL: ncclAllReduce: unhandled system error'
fails_at 1 'cudaStreamWaitEvent 20 719' 'cuda:1 stand-in for a GPU failed: cudaStreamWaitEvent: a failure of the stand-in \(719\)'

# in the tree, within a group: it is left all the same
ranks=2
ends 75 '1 ncclRecv 6 2' stall 0 tree
says 'rank 1 on [^ ]+: error: step 5, phase reduce: NCCL: ncclRecv: unhandled system error.*; the job ends'
[ "$(grep -cE '^nccl(Send|Recv) ' record/calls-1)" = "$(grep -c '^ncclGroupEnd$' record/calls-1)" ] ||
  fail "rank 1 is still within a group"
ranks=3

# a rank that never comes to the sum: the others' is under way, and ended
ends 75 '' stall 2 hang
says 'error: no progress for .*; waiting for rank 2 on [^ ]+ \(step 5, phase data\); the job ends'
says 'first collective that differs: 6 \(bucket 0, 4 bytes\): begun on 2 ranks \(0, 1\), not asked for on rank 2;'
for r in 0 1; do
  aborted $r
  grep -q '^ncclCommAbort, 1 under way$' record/calls-$r || fail "no sum was under way on rank $r"
done
ends 75 '' stall 2 stop
says 'error: no progress for .*; waiting for rank 2 on [^ ]+ \(last heard of'

# the death of a rank is told as such, not as what it does to the others' sums
ends 137 '' stall 1 die
says 'error: rank 1 on [^ ]+ \(step [0-5], phase [a-z]+\) is gone; the job ends'
echo "NCCL's sums, calls and failures are as they should be, on stand-ins"
