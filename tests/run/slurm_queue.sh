#!/bin/bash
# On the SLURM cluster: names that sbatch reads in its own way, preemptions before the first step, nodes that cannot start a
# program, and who may submit a run.
# runs early: minutes, of which most are spent waiting for the cluster
set -u
. "$LIKENESS_ROOT/tests/slurm/setup.sh"
say() { echo "$SECONDS s: $*"; }
starts() { grep -cE '^[^ ]+ start ' "$run/job/attempts"; }
small_training encoder plain | sed 's/steps: 60/steps: 10/' >encoder.yaml

# ---- names ----
# The log is in the run's folder and the job is done, whatever the folder, the folder above and the options are called.
mkdir -p "proj ect%j"
ln -s "$here/data" "proj ect%j/data"
cp encoder.yaml "proj ect%j"

for name in "mein Lauf" per%j-%% '"quote" # &;$(touch bad)' "-x"; do
  out=$(cd "proj ect%j" && on_login "$launch/submit" encoder.yaml --set "run.dir='$name'" \
    --sbatch "--comment=a b # c" --time 10) ||
    fail "submit $name: $out"
  job=${out#job }
  job=${job%%,*}
  run=$here/proj\ ect%j/$name
  poll 120 "$name ends" is_gone "$job"
  [ -e "$run/DONE" ] && grep -q 'done: steps 10' "$run/job/$job.log" ||
    fail "$name: $(ls -R "$run"; on_login scontrol show job "$job")"
done
[ ! -e "proj ect%j/bad" ] || fail "a name was run"
[ "$(job_field 1 Comment)" = a ] && on_login scontrol show job 1 | grep -qx ' *Comment=a b # c *' || fail "--sbatch with a space"
refused() { # CODE TEXT ARGUMENTS...
  local got
  on_login "$launch/submit" encoder.yaml "${@:3}" >refusal 2>&1
  got=$?
  [ $got = "$1" ] && grep -qF -- "$2" refusal || { cat refusal; fail "exit $got, not $1 with '$2': ${*:3}"; }
}
refused 64 "holds a line break" --account $'a\ntouch bad'
refused 64 "a path has a backslash" --set 'run.dir=a\b'
refused 64 "holds a line break" --set run.dir=broken --sbatch $'--comment=a\nb'
[ ! -e bad ] && [ ! -e broken/job/job.sbatch ] || fail "something of a refused job is left"
say "names"

# ---- who may submit ----
exec 8>>"$run/job/lock"
flock 8
cd "proj ect%j" || exit
on_login "$launch/submit" encoder.yaml --set "run.dir='-x'" >refusal 2>&1 && fail "submitted while another launcher works"
grep -q 'another launcher works on it' refusal || { cat refusal; fail "no reason"; }
exec 8>&-
on_login "$launch/submit" encoder.yaml --set "run.dir='-x'" --set loss.lambda=9 >refusal 2>&1 && fail "another lambda was taken"
grep -q 'loss.lambda was .*, is 9' refusal || { cat refusal; fail "no reason"; }
# A finished run whose report is missing gets it, and nothing else.
rm ./-x/report.html
out=$(on_login "$launch/submit" encoder.yaml --set "run.dir='-x'" --time 10) || fail "submit: $out"
job=$(sed -n 's/^job \([0-9]*\), .*/\1/p' <<<"$out")
poll 120 "the report" test -s ./-x/report.html
[ "$(starts)" = 1 ] || fail "a finished run was started"
cd .. || exit
say "who may submit"

# ---- preempted before the first step: still in the queue, and done in the end ----
cat >patient <<END
#!/bin/bash
while [ "\$1" = train ] && [ ! -e $here/go ]; do sleep 0.2; done
exec $LIKENESS "\$@"
END
chmod +x patient
LIKENESS=$here/patient submit encoder.yaml preempted --max-restarts 1
for n in 1 2 3; do
  has_started() { [ -e "$run/job/attempts" ] && [ "$(starts)" -ge "$n" ] && is_state "$job" RUNNING; }
  poll 60 "start $n" has_started
  on_login scontrol requeue "$job" || fail "scontrol requeue"
  hurry "$job"
done
touch go
poll 120 "$run ends" is_gone "$job"
[ -e "$run/DONE" ] && [ "$(starts)" -ge 4 ] || fail "preempted: $(cat "$run/job/attempts")"
no_ranks_left "$run"
say "preempted"

# ---- a node that takes jobs and cannot start a program is left out, and it is not the run's failure ----
on_node n1 mount --bind "$here/cluster/tmp/n1" "$here/cluster/tmp/n1"
on_node n1 mount -o remount,ro,bind "$here/cluster/tmp/n1"
submit encoder.yaml unstarted --max-restarts 0
poll 120 "$run ends" is_gone "$job"
[ -e "$run/DONE" ] || fail "not done: $(cat "$run/job/attempts")"
# The step may have ended before n2 began its program, too.
[ "$(grep -c ': not started by n1' "$run/job/attempts")" -ge 3 ] && tail -n 2 "$run/job/attempts" | grep -q 'nodes=n\[2-3\]' ||
  fail "n1 was not left out: $(cat "$run/job/attempts")"
[ "$(job_field "$job" ExcNodeList)" = n1 ] || fail "ExcNodeList is $(job_field "$job" ExcNodeList)"
no_ranks_left "$run"
say "unstarted"

# Where no other can be had it is waited for.
LIKENESS=$here/patient
rm go
on_login scontrol update nodename=n3 state=drain reason=test
submit encoder.yaml waits --max-restarts 0
is_unstarted() { grep -q ': not started by n1' "$run/job/attempts"; } 2>/dev/null
poll 60 "n1 starts nothing" is_unstarted
on_node n1 umount "$here/cluster/tmp/n1"
touch go
poll 120 "$run ends" is_gone "$job"
[ -e "$run/DONE" ] && tail -n 2 "$run/job/attempts" | grep -q 'nodes=n\[1-2\]' || fail "waits: $(cat "$run/job/attempts")"

# ---- srun that does not hear that the ranks have ended ----
on_login scontrol update nodename=n3 state=resume
cat >lingering <<END
#!/bin/bash
$LIKENESS "\$@"
code=\$?
[ "\$1" != train ] || sleep 600
exit \$code
END
chmod +x lingering
LIKENESS=$here/lingering submit encoder.yaml lingers
poll 120 "$run is done" test -e "$run/DONE"
poll 120 "$run ends" is_gone "$job"
[ "$(job_field "$job" JobState)" = COMPLETED ] && [ -s "$run/report.html" ] &&
  tail -n 1 "$run/job/attempts" | grep -q ': done$' &&
  grep -q 'what started its ranks has not ended' "$run/job/$job.log" || fail "lingers: $(cat "$run/job/attempts")"
no_ranks_left "$run"
say "lingers"
echo "ok: names, locks, preemptions, nodes that start nothing"
