#!/bin/bash
# launch/submit --stage on the SLURM cluster: shards on the nodes' own disks, through requeues, a stop while they are copied and a
# node whose disk is full. Nothing is left there.
# runs early: minutes, of which most are spent waiting for the cluster
set -u
. "$LIKENESS_ROOT/tests/slurm/setup.sh"
say() { echo "$SECONDS s: $*"; }
starts() { grep -cE '^[^ ]+ start ' "$run/job/attempts"; }
small_training encoder plain >encoder.yaml
near=$here/near
mkdir "$near" # one folder for all nodes, in which each has a name of its own
nothing_left() { [ -z "$(ls -A "$near")" ] || fail "left on the nodes: $(ls "$near")"; }
staged() { grep -c "^likeness: staged .* at $near/likeness-$job.n[123] on n[123] in .*, contents checked" "$run/job/$job.log"; }

"$launch/local" encoder.yaml -n 4 --set "run.dir=$here/runs/reference" >reference.log 2>&1 || { cat reference.log; fail "local"; }
reference=$here/runs/reference
on_login "$launch/submit" encoder.yaml --stage relative --dry-run >refusal 2>&1 && fail "a relative folder was taken"
grep -q -- '--stage takes a folder of the nodes, from the root on' refusal || { cat refusal; fail "no reason"; }

submit encoder.yaml plain --stage "$near"
poll 120 "the staged job ends" is_gone "$job"
same_run "$run" "$reference"
[ "$(staged)" = 2 ] || fail "not staged on two nodes: $(cat "$run/job/$job.log")"
[ "$(starts)" = 1 ] || fail "started more than once"
cmp <(grep -v dir: "$run/config.yaml") <(grep -v dir: "$reference/config.yaml") || fail "the run's configuration knows the stage"
nothing_left
say "over two nodes"

# Under way the copies are read, and are gone already as names.
submit encoder.yaml requeue --stage "$near"
hold_at 8
nothing_left
on_login scancel --signal=TERM "$job" || fail "scancel"
let_go
hurry "$job"
poll 120 "requeue ends" is_gone "$job"
same_run "$run" "$reference"
[ "$(staged)" -ge 4 ] || fail "not staged again"
nothing_left
say "requeued"

# Stopped while shards are copied: no rank is started, and the job comes back.
cat >slow <<END
#!/bin/bash
[ "\$1" != stage ] || [ -e $here/go ] || { touch $here/staging; sleep 30 & wait; exit 75; }
exec $LIKENESS "\$@"
END
chmod +x slow
LIKENESS=$here/slow submit encoder.yaml early --stage "$near"
poll 60 "staging begins" test -e "$here/staging"
on_login scancel --signal=TERM "$job" || fail "scancel"
touch go
hurry "$job"
poll 120 "early ends" is_gone "$job"
same_run "$run" "$reference"
[ "$(grep -c 'end step=0 code=143: again' "$run/job/attempts")" = 1 ] || fail "$(cat "$run/job/attempts")"
nothing_left
say "stopped while staging"

# One node's disk is full: said in one line, tried again as a failure of the system, and given up; nothing half-copied is used.
on_node n2 mount -t tmpfs -o size=200k tmpfs "$near"
submit encoder.yaml full --stage "$near" --max-restarts 1
hurry "$job"
poll 120 "the job with a full disk ends" is_gone "$job"
[ "$(job_field "$job" ExitCode)" = 70:0 ] && [ "$(starts)" = 2 ] ||
  fail "a full disk: $(job_field "$job" ExitCode), $(starts) starts"
[ "$(grep -c 'error: .*the disk has room for' "$run/job/$job.log")" = 2 ] ||
  fail "not one line a start: $(cat "$run/job/$job.log")"
[ ! -e "$run/metrics.jsonl" ] || fail "trained without its shards"
nothing_left
[ -z "$(on_node n2 ls -A "$near")" ] || fail "left on the full disk"
on_node n2 umount "$near"
submit encoder.yaml full --stage "$near"
poll 120 "the job ends when there is room" is_gone "$job"
same_run "$run" "$reference"
nothing_left
say "a full disk"

submit encoder.yaml mpirun --stage "$near" --start-with mpirun
poll 120 "the job by mpirun ends" is_gone "$job"
same_run "$run" "$reference"
[ "$(staged)" = 2 ] || fail "not staged on two nodes by mpirun: $(cat "$run/job/$job.log")"
nothing_left
echo "slurm_stage: ok"
