#!/bin/bash
# Trainings on a real SLURM cluster: over two hosts, and through everything that can end a job early.
# runs early: minutes, of which most are spent waiting for the cluster
set -u
. "$LIKENESS_ROOT/tests/slurm/setup.sh"
say() { echo "$SECONDS s: $*"; }
starts() { grep -cE '^[^ ]+ start ' "$run/job/attempts"; }
small_training encoder plain | sed 's/steps: 60/steps: 120/' >encoder.yaml

# ---- undisturbed: by mpirun on this machine, and by SLURM over two hosts ----
"$launch/local" encoder.yaml -n 4 --set "run.dir=$here/runs/reference" >reference.log 2>&1 || { cat reference.log; fail "local"; }
reference=$here/runs/reference
[ "$(restarts "$reference")" = 0 ] || fail "the undisturbed run was restarted"
say "undisturbed run"

on_login "$launch/submit" encoder.yaml --dry-run --nodes 2 --gpus-per-rank 1 --cpus-per-rank 3 --account a --partition q >dry ||
  fail "--dry-run"
[ ! -e runs/plain ] || fail "--dry-run left something"
for line in --nodes=2 --gpus-per-task=1 --gres-flags=enforce-binding --cpus-per-task=3 --account=a --partition=q \
  --signal=USR1@120 --requeue; do
  grep -qxF -- "#SBATCH $line" dry || { cat dry; fail "no $line in the batch file"; }
done

submit encoder.yaml plain
poll 120 "the plain job ends" is_gone "$job"
same_run "$run" "$reference"
grep -q 'nodes=n\[1-2\] ranks=4' "$run/job/attempts" || fail "not on two nodes"
[ -s "$run/report.html" ] || fail "no report"
on_login "$launch/submit" encoder.yaml | grep -q 'finished already' || fail "a finished run was submitted again"
say "over two hosts"

# ---- what ends a job early ----
begin() { # NAME [OPTIONS]: a job that is under way, its ranks held
  local name=$1
  shift
  submit encoder.yaml "$name" "$@"
  hold_at 10
}
comes_to_the_same() { # waits for the end; the run is the undisturbed one
  poll 300 "$run ends" is_gone "$job"
  same_run "$run" "$reference"
  # One restart, or more where a loaded machine made SLURM lose a node of its own accord.
  local counted
  counted=$(restarts "$run")
  [ "$counted" -ge 1 ] && [ "$counted" -lt "$(starts)" ] || fail "$run: $counted restarts counted in $(starts) starts"
  no_ranks_left "$run"
  say "${run##*/}"
}

begin requeue
on_login scontrol requeue "$job" || fail "scontrol requeue"
let_go
hurry "$job"
comes_to_the_same

begin terminate
on_login "$launch/submit" encoder.yaml --set "run.dir=$run" 2>&1 | grep -q "job $job works on it" || fail "submitted twice"
on_login scancel --signal=TERM "$job" || fail "scancel"
let_go
hurry "$job"
comes_to_the_same
grep -q 'end step=.* code=75: again' "$run/job/attempts" || fail "the ranks did not save: $(cat "$run/job/attempts")"

begin dead-rank
kill -9 "$(ranks_of "$run" | tail -n 1)"
let_go
hurry "$job"
comes_to_the_same

# The time limit: the ranks are held until SLURM has sent its signal (which may wake them), or the run would be over before a
# minute is.
begin time-limit --time 1 --grace 30
got_signal() { ! grep -q "^State:.T" "/proc/$1/status" || ! grep -q "^ShdPnd:.0*$" "/proc/$1/status"; } 2>/dev/null
for rank in $held; do poll 70 "the signal before the time limit" got_signal "$rank"; done
let_go
hurry "$job"
grep -q 'end step=.* code=75: again' "$run/job/attempts" || fail "the ranks did not save: $(cat "$run/job/attempts")"
on_login scontrol update "jobid=$job" TimeLimit=10
comes_to_the_same

# The node with the batch script and rank 0 loses power; the spare node takes over.
begin lost-node
"$cluster" kill "$here/cluster" n1
let_go
hurry "$job"
comes_to_the_same
grep -q 'nodes=n\[2-3\]' "$run/job/attempts" || fail "the spare node did not take over: $(cat "$run/job/attempts")"
"$cluster" boot "$here/cluster" n1
poll 60 "n1 comes back" is_idle n1

# The same node loses its network, while its ranks and its batch script live on. They write nothing when they are back.
begin cut-link
"$cluster" cut "$here/cluster" n1
let_go
hurry "$job"
comes_to_the_same
find "$run" -type f ! -path '*/job/*' -exec sha256sum {} + | sort >before
"$cluster" heal "$here/cluster" n1
poll 60 "n1 comes back" is_idle n1
srun_ended() { ! pgrep -f "train $run/job/config.yaml" >/dev/null; }
poll 60 "srun on n1 ends" srun_ended
find "$run" -type f ! -path '*/job/*' -exec sha256sum {} + | sort >after
diff before after || fail "the isolated ranks wrote into the run"
[ "$(job_field "$job" Restarts)" = 1 ] || fail "the isolated batch script requeued the job"
no_ranks_left "$run"

# ---- what is not started again ----
submit encoder.yaml wrong --set train.micro_batch=16
poll 60 "a wrong configuration ends" is_gone "$job"
[ "$(job_field "$job" ExitCode)" = 78:0 ] && [ "$(starts)" = 1 ] ||
  fail "wrong configuration: $(job_field "$job" ExitCode), $(starts) starts"
say "wrong configuration"

printf '#!/bin/bash\n[ "$1" != train ] || exit 1\nexec %q "$@"\n' "$LIKENESS" >broken
chmod +x broken
LIKENESS=$here/broken submit encoder.yaml stuck --max-restarts 2
for n in 1 2; do hurry "$job"; done
poll 60 "a run without progress ends" is_gone "$job"
failed=$(grep -cE ' end step=0 code=1: (again|no progress.*)$' "$run/job/attempts")
[ "$(job_field "$job" ExitCode)" = 70:0 ] && [ "$failed" = 3 ] ||
  fail "no progress: $(job_field "$job" ExitCode), $failed failures"
grep -q 'no progress: 2 restarts, and the newest checkpoint is still of step 0' "$run/job/$job.log" || fail "no reason in the log"
say "no progress"

begin cancelled
on_login scancel "$job"
let_go
poll 60 "a cancelled job ends" is_gone "$job"
sleep 1
is_state "$job" CANCELLED && [ "$(starts)" = 1 ] || fail "a cancelled job came back"
no_ranks_left "$run"
say "cancelled"

# ---- sites that lack something ----
begin mpirun --start-with mpirun
on_login scancel --batch --signal=USR1 "$job"
let_go
hurry "$job"
comes_to_the_same
grep -q 'end step=.* code=75: stopped by USR1' "$run/job/attempts" || fail "the ranks did not save: $(cat "$run/job/attempts")"

for node in n1 n2 n3; do on_node "$node" mount --bind /dev/null "$(command -v scontrol)"; done
begin chain
kill -9 "$(ranks_of "$run" | tail -n 1)"
let_go
poll 90 "the first job of the chain ends" is_gone "$job"
[ "$(cat "$run/job/id")" != "$job" ] || fail "no successor"
# A loaded machine may lose a start, and so make the chain longer.
last_is_gone() { job=$(cat "$run/job/id"); is_gone "$job" && [ "$job" = "$(cat "$run/job/id")" ]; }
poll 300 "the chain ends" last_is_gone
comes_to_the_same
