#!/bin/bash
# Ranks of a host keep to cores of their own: those that a launcher bound them to, else each its share of what it may run on.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
mapfile -t allowed < <(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0)), sep="\n")')
cores=${#allowed[@]}
[ "$cores" -gt 1 ] || { echo "one core alone"; exit 77; }
small="--set model.size=32 --set model.encoder.width=0.125 --set data.threads=1"

threads() { # of the last bench
  tail -n 1 out.log | python3 -c 'import json, sys; print(json.load(sys.stdin)["step"]["threads"])'
}
works 1 bench step --json --steps 1 $small
[ "$(threads)" = "$cores" ] || fail "one rank takes $(threads) threads of $cores cores"
works 2 bench step --json --steps 1 $small
[ "$(threads)" = $((cores < 16 ? cores / 2 : cores / 2 - 1)) ] || fail "two ranks take $(threads) threads each of $cores cores"
works 2 bench step --json --steps 1 $small --set train.threads=3
[ "$(threads)" = 3 ] || fail "train.threads is not obeyed"
runs taskset -c "${allowed[0]}" mpirun --oversubscribe --bind-to none -n 2 "$LIKENESS" bench step --json --steps 1 $small
[ "$(threads)" = 1 ] || fail "two ranks on one core take $(threads) threads each"

# Which cores the main threads of all ranks may run on, a line for each rank.
cores_of_ranks() {
  local environment process
  for environment in /proc/[0-9]*/environ; do
    process=${environment%/environ}
    [ "$(readlink "$process/exe" 2>/dev/null)" = "$(realpath "$LIKENESS")" ] || continue
    { tr '\0' '\n' <"$environment"; } 2>/dev/null | grep -qx "LIKENESS_TEST_MARK=$LIKENESS_TEST_MARK" || continue
    sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$process/status" 2>/dev/null
  done | sort
}
are_apart() { # ALLOWED...: two lists like "0-3,8" on standard input
  python3 -c '
import sys
def cores(text):
    ends = [part.split("-") for part in text.strip().split(",")]
    return {core for e in ends for core in range(int(e[0]), int(e[-1]) + 1)}
lists = [cores(line) for line in sys.stdin]
sys.exit(not (len(lists) == 2 and not lists[0] & lists[1] and lists[0] | lists[1] <= {int(a) for a in sys.argv[1:]}))' "$@"
}
apart() { # WHAT MPIRUN-OPTIONS...: two ranks come to stand on cores that have none in common, of those that are allowed
  local what=$1 process tries; shift
  mpirun --oversubscribe "$@" -n 2 "$LIKENESS" bench step --steps 100000 $small >apart.log 2>&1 &
  process=$!
  for tries in {1..300}; do
    cores_of_ranks >now
    ! are_apart "${allowed[@]}" <now || break
    kill -0 $process 2>/dev/null || { cat apart.log; fail "$what: ended by itself"; }
    sleep 0.2
  done
  kill $process
  wait $process
  [ "$tries" -lt 300 ] || fail "$what: the ranks stand on $(tr '\n' ' ' <now)"
  echo "ok $what: $(tr '\n' ' ' <now)"
}
apart "two ranks, bound by nobody" --bind-to none
apart "two ranks, bound by mpirun" --bind-to core
