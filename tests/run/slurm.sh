#!/bin/bash
# Trainings on a real SLURM cluster: over two hosts, and through everything that can end a job early.
set -u
. "$LIKENESS_ROOT/tests/slurm/setup.sh"
say() { echo "$SECONDS s: $*"; }
small_training encoder plain >encoder.yaml

# ---- undisturbed: by mpirun on this machine, and by SLURM over two hosts ----
"$launch/local" encoder.yaml -n 4 --set "run.dir=$here/runs/reference" >reference.log 2>&1 || { cat reference.log; fail "local"; }
reference=$here/runs/reference
[ "$(restarts "$reference")" = 0 ] || fail "the undisturbed run was restarted"
say "undisturbed run"

on_login "$launch/submit" encoder.yaml --dry-run --nodes 2 --gpus-per-rank 1 --cpus-per-rank 3 --account a --partition q >dry || fail "--dry-run"
[ ! -e runs/plain ] || fail "--dry-run left something"
for line in --nodes=2 --gpus-per-task=1 --cpus-per-task=3 --account=a --partition=q --signal=USR1@120 --requeue; do
  grep -qxF -- "#SBATCH $line" dry || { cat dry; fail "no $line in the batch file"; }
done

submit encoder.yaml plain
poll 60 "the plain job" is_gone "$job"
same_run "$run" "$reference"
grep -q 'nodes=n\[1-2\] ranks=4' "$run/job/attempts" || fail "not on two nodes"
on_login "$launch/submit" encoder.yaml | grep -q 'finished already' || fail "a finished run was submitted again"
say "plain job"

# ---- what a user or the site does to a job ----
interrupted() { # NAME HOW...: submits, waits for step 30, disturbs it, waits for its end
  local name=$1
  shift
  submit encoder.yaml "$name"
  poll 60 "$name reaches step 30" is_at_step "$run" 30
  "$@" || fail "$name: cannot disturb it"
  hurry "$job"
  poll 150 "$name ends" is_gone "$job"
  same_run "$run" "$reference"
  [ "$(restarts "$run")" = 1 ] || fail "$name: $(restarts "$run") restarts instead of 1"
  no_ranks_left "$run"
  say "$name"
}

requeue_job() { on_login scontrol requeue "$job"; }
terminate_job() { on_login scancel --signal=TERM "$job"; }
kill_rank() { kill -9 "$(pgrep -f "likeness train $run/config.yaml" | tail -n 1)"; }

interrupted requeue requeue_job
interrupted terminate terminate_job
grep -q 'end step=.* code=75: again' "$run/job/attempts" || fail "terminate: the ranks did not save: $(cat "$run/job/attempts")"
interrupted dead-rank kill_rank
