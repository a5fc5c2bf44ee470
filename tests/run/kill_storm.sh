#!/bin/bash
# A storm of SIGKILLs: of one rank, of all ranks, of mpirun, at random times, also while a checkpoint is written; the run is
# resumed after each. Every run comes to the same losses and weights as one that nobody disturbed, and no checkpoint that does not
# verify is ever resumed from. A run that got through is judged, and the next one begins. KILLS=N for another number, SEED=N to
# repeat one.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
sanitized && usual=4 || usual=10 # make nightly has 200
kills=${KILLS:-$usual} seed=${SEED:-$RANDOM}
echo "seed $seed (SEED=$seed KILLS=$kills repeats it)"
RANDOM=$seed
declare -A count
export OMP_NUM_THREADS=1
tiny_world 64
# A checkpoint every third step: most kills meet one under way.
set -- train tiny.yaml --set train.steps=200 --set train.micro_batch=2 --set checkpoint.every_steps=3 \
  --set validate.every_epochs=2
works 2 "$@" --set run.dir=calm

wait_or_kill() { # JOB: what is left of it after a minute is a failure
  local deadline=$((SECONDS + 60))
  while kill -0 "$1" 2>/dev/null; do
    ((SECONDS < deadline)) || fail "the job does not end after a kill"
    pause 0.05
  done
  wait "$1"
}
finish_storm() { # to the end of this run, which is as the calm one
  works 2 "$@" --set run.dir=storm
  ! grep -q 'skipped a damaged checkpoint' err.log || fail "a damaged checkpoint"
  same_run calm storm
  runs=$((runs + 1))
}

done_kills=0 runs=0 torn=0
while [ $done_kills -lt $kills ]; do
  if [ -e storm/DONE ]; then
    finish_storm "$@"
    rm -r storm
  fi
  lines_of storm/metrics.jsonl
  # Some lines from here, and a part of a step; now and then at once, while it starts.
  goal=$((RANDOM % 8 == 0 ? 0 : lines + 1 + RANDOM % 12)) delay=0.0$((RANDOM % 100)) # of a second
  likeness_on 2 "$@" --set run.dir=storm &
  job=$!
  # Metrics are cut at the resume: the goal counts from whatever is left.
  until lines_of storm/metrics.jsonl; [ "$lines" -ge $goal ] || [ -e storm/DONE ]; do
    kill -0 $job 2>/dev/null || fail "ended by itself before line $goal"
    pause 0.02
  done
  pause $delay
  victims=$(ranks_of_test)
  case $((RANDOM % 3)) in
    0) how="one rank"; victims=$(head -n $((1 + RANDOM % 2)) <<<"$victims" | tail -n 1) ;;
    1) how="all ranks" ;;
    2) how=mpirun; victims=$(pgrep -P $job -x mpirun || pgrep -P $job || echo $job) ;;
  esac
  if [ -e storm/DONE ]; then # too late
    wait_or_kill $job
    continue
  fi
  [ -z "$victims" ] || kill -KILL $victims 2>/dev/null
  wait_or_kill $job
  deadline=$((SECONDS + 60)) # the watchdog ends ranks that lost their launcher or a peer
  while [ -n "$(ranks_of_test)" ]; do
    ((SECONDS < deadline)) || fail "ranks are left a minute after killing $how"
    pause 0.1
  done
  done_kills=$((done_kills + 1))
  ! compgen -G 'storm/checkpoints/*.tmp*' >/dev/null || torn=$((torn + 1))
  count[${how// /_}]=$((${count[${how// /_}]:-0} + 1))
  # Whatever has a final name is whole.
  if [ -n "$(compgen -G 'storm/checkpoints/step-?????????')" ]; then
    "$LIKENESS" inspect storm >inspected.log 2>&1 || { cat inspected.log; fail "a damaged checkpoint after killing $how"; }
  fi
done
finish_storm "$@"
echo "ok: seed $seed, $done_kills kills (${count[one_rank]:-0} of one rank, ${count[all_ranks]:-0} of all," \
  "${count[mpirun]:-0} of mpirun; $torn while a checkpoint was written)" \
  "over $runs runs, each to the weights $(weights_hash storm) as without them"
