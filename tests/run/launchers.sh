#!/bin/bash
# launch/local and launch/sweep on this machine: who may write a run's configuration, who may work on it, what ends them and
# how. What needs a queue is in slurm.sh.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
launch=$LIKENESS_ROOT/launch
export OMP_NUM_THREADS=1
tiny_world 32
sed -i "s/micro_batch: 4/micro_batch: 2/" tiny.yaml # for two ranks
say() { echo "$SECONDS s: $*"; }
local_run() { "$launch/local" "$@" >out.log 2>err.log; } # ARGUMENTS...
ends_with() { # CODE TEXT ARGUMENTS...: launch/local does, and says so
  local got
  local_run "${@:3}"
  got=$?
  [ $got = "$1" ] && cat out.log err.log | grep -qF -- "$2" ||
    { cat out.log; fail "exit $got, not $1 with '$2': launch/local ${*:3}"; }
}
# In the background INT is ignored, and so it would be by the script.
begin() { # RUN ARGUMENTS...: launch/local is under way in the background, in a session of its own; sets $script
  local run=$1
  shift
  setsid env --default-signal=INT "$launch/local" tiny.yaml --set run.dir="$run" --set train.steps=100000 -n 2 --no-report \
    "$@" >"$run.log" 2>&1 &
  script=$!
  until_lines "$run" 4
}
until_lines() { # RUN LINES: its metrics have so many
  until lines_of "$1/metrics.jsonl"; [ "$lines" -ge "$2" ]; do
    kill -0 $script 2>/dev/null || { cat "$1.log"; fail "$1: the script ended early"; }
    pause 0.05
  done
}
until_gone() { # COMMAND...: which lists processes, until it lists none
  local deadline=$((SECONDS + 120))
  while [ -n "$("$@")" ]; do
    [ $SECONDS -lt $deadline ] || fail "processes are left: $("$@")"
    pause 0.1
  done
}
last_attempt() { tail -n 1 "$1/job/attempts"; } # RUN

# ---- names ----
# shellcheck disable=SC2088 # as a user may write it
ends_with 78 "only a shell replaces ~" tiny.yaml --set 'run.dir=~/run'
ends_with 78 "is a line break" tiny.yaml --set 'run.dir="a\nb"'
[ ! -e '~' ] || fail "a folder ~"
# Variables of these names in the environment are not the scripts'.
others=(sweep=/nowhere halving="1 0.5" run=/nowhere dir=/nowhere sets=x points=x marks=/nowhere code=7 verdict=stuck outside=x
  asked=x CDPATH=/ ranks_pid=1)
env "${others[@]}" "$launch/local" tiny.yaml --set run.dir=-x --set train.steps=6 >out.log 2>err.log || fail "-x: exit $?"
[ -e ./-x/DONE ] && [ -s ./-x/report.html ] && [ -s ./-x/report/evaluation.json ] || fail "-x: $(ls ./-x)"
say "names"

# ---- what is missing is said before anything is begun ----
mkdir few
for tool in bash dirname realpath; do ln -s "$(command -v $tool)" few/; done
fails 70 "there is no mpirun on the PATH" env PATH="$PWD/few" "$launch/local" tiny.yaml --set run.dir=unstarted
[ ! -e unstarted ] || fail "a run was begun without mpirun"
mkdir -p tree/launch
cp -r "$launch/setup" tree/launch/
fails 65 "PHOTOS=no/photos: there is no such folder or archive" env PHOTOS=no/photos tree/launch/setup/demo.sh cpu
[ ! -e tree/data ] || fail "the demo was begun without its photos"

# ---- a finished run ----
rm ./-x/report.html
ends_with 0 "is finished already" tiny.yaml --set run.dir=-x --set train.steps=6
[ -s ./-x/report.html ] || fail "the report was not made up for"
find ./-x -type f ! -path '*/job/lock' -exec sha256sum {} + | sort >before
ends_with 0 "is finished already" tiny.yaml --set run.dir=-x --set train.steps=6 --set data.prefetch=3
ends_with 78 "loss.lambda was 2, is 99" tiny.yaml --set run.dir=-x --set train.steps=6 --set loss.lambda=99
find ./-x -type f ! -path '*/job/*' -exec sha256sum {} + | sort >after
diff <(grep -v /job/ before) after || fail "a finished run was changed"
say "a finished run"

# ---- two at once ----
begin twice --set checkpoint.every_steps=2
before=$(sha256sum twice/config.yaml twice/job/config.yaml)
ends_with 64 "another launcher works on it (process $script on $(hostname)" tiny.yaml --set run.dir=twice --set optimizer.lr=1e-3
[ "$before" = "$(sha256sum twice/config.yaml twice/job/config.yaml)" ] || fail "the refused start changed the configuration"
# A killed rank: the first one goes on, with its own configuration.
kill -KILL "$(ranks_of_test | tail -n 1)"
deadline=$((SECONDS + 120))
until grep -q 'resumed from' twice.log && [ "$(grep -c 'Z start ' twice/job/attempts)" = 2 ]; do
  [ $SECONDS -lt $deadline ] || { cat twice.log; fail "not restarted"; }
  pause 0.1
done
# Where the file system has no locks another can start; whoever lost the run does not take it back.
rm twice/job/lock
first=$script
script=
setsid "$launch/local" tiny.yaml --set run.dir=twice --set train.steps=100000 -n 2 --no-report >second.log 2>&1 &
second=$!
wait $first
[ $? = 70 ] && grep -q 'another trainer has taken it over' twice.log || { cat twice.log; fail "the first one did not end"; }
script=$second
lines_of twice/metrics.jsonl
until_lines twice $((lines + 2))
generation=$(cat twice/generation)
kill -TERM $second
wait $second
[ $? = 75 ] && [ "$(cat twice/generation)" = "$generation" ] || { cat second.log; fail "the run changed hands again"; }
until_gone ranks_of_test
say "two at once"

# ---- how it ends ----
for signal in HUP INT TERM; do
  begin on-$signal
  kill -$signal $script
  wait $script
  code=$?
  [ $code = 75 ] || { cat on-$signal.log; fail "$signal: exit $code"; }
  [[ $(last_attempt on-$signal) = *" code=75: stopped" ]] || fail "$signal: $(last_attempt on-$signal)"
  [ -z "$(ranks_of_test)" ] || fail "$signal: ranks are left"
  compgen -G "on-$signal/checkpoints/step-*" >/dev/null || fail "$signal: nothing saved"
done
# Asked to stop before there are ranks to hear of it, here while it counts its attempts: none are started.
mkdir early
cat >early/awk <<'AWK'
#!/bin/bash
if mkdir early/asked 2>/dev/null; then
  read -r _ script _ <asked/job/lock
  kill -USR1 "$script"
fi
exec "$AWK" "$@"
AWK
chmod +x early/awk
AWK=$(command -v awk) PATH=$PWD/early:$PATH local_run tiny.yaml --set run.dir=asked --set train.steps=60 -n 2 --no-report
code=$?
[ -d early/asked ] && [ $code = 75 ] && [ ! -e asked/metrics.jsonl ] && [[ $(last_attempt asked) = *" code=75: stopped" ]] ||
  fail "asked to stop before its ranks were started: exit $code, $(last_attempt asked)"
begin killed
kill -KILL $script
until_gone ranks_of_test
compgen -G "killed/checkpoints/step-*" >/dev/null || fail "the ranks of a killed launch/local did not save"
# Whoever reads the log goes away.
("$launch/local" tiny.yaml --set run.dir=unread --set train.steps=60 -n 2 2>&1; echo $? >unread-code) | head -n 1 >/dev/null
[ "$(cat unread-code)" = 0 ] && [ -e unread/DONE ] && [ -s unread/report.html ] ||
  fail "a reader that went away: $(cat unread/job/attempts)"
[ "$(grep -c 'Z start ' unread/job/attempts)" = 1 ] || fail "a reader that went away: $(cat unread/job/attempts)"
say "how it ends"

# ---- what counts as a failure ----
counted() { # EXPECTED STEP: of the attempts on standard input
  mkdir -p counted/job
  sed 's/^/2026-11-24T09:00:00Z /' >counted/job/attempts
  local got
  # shellcheck disable=SC2016 # the other shell expands it
  got=$(bash -c '. "$1/job/functions.sh"; failures counted "$2"' - "$launch" "$2")
  [ "$got" = "$1" ] || { cat counted/job/attempts; fail "$got failures instead of $1"; }
}
counted 0 0 </dev/null
# A node lost, preempted twice, not started: none. Then the program ends by itself, and a time limit kills it.
before="submit job=1
start step=0 job=1
start step=0 job=1
end step=0 code=143: cancelled, requeued or preempted
start step=0 job=1
end step=0 code=137: not started by n1 n2"
counted 0 0 <<<"$before"
counted 2 0 <<<"$before
start step=0 job=1
end step=0 code=1: again
start step=0 job=1
limit step=0 the time limit
start step=0 job=1"
counted 1 4 <<<"$before
start step=0 job=1
end step=0 code=1: again
start step=0 job=1
end step=4 code=137: again
start step=4 job=1
end step=4 code=137: again"
counted 0 4 <<<"start step=4 job=1
end step=4 code=137: again
submit job=2"
printf '#!/bin/bash\n[ "$1" != train ] || exit 1\nexec %q "$@"\n' "$LIKENESS" >broken
chmod +x broken
LIKENESS=$PWD/broken ends_with 70 "no progress: 1 restarts" tiny.yaml --set run.dir=stuck --max-restarts 1
[ "$(grep -c 'Z start ' stuck/job/attempts)" = 2 ] || fail "$(cat stuck/job/attempts)"
say "failures"

# ---- a job in the queue ----
mkdir -p queue queued/job
echo 7 >queued/job/id
fake_squeue() { printf '#!/bin/bash\n%s\n' "$1" >queue/squeue; chmod +x queue/squeue; }
queued() { PATH=$PWD/queue:$PATH ends_with "$@" tiny.yaml --set run.dir=queued --set train.steps=4 --no-report; }
fake_squeue 'echo 7'
queued 64 "job 7 works on it"
fake_squeue 'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1'
queued 70 "squeue cannot say whether a job works on it: slurm_load_jobs"
fake_squeue 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
queued 0 "done: steps 4"
say "a job in the queue"

# ---- a user whom nobody knows: no passwd entry, no HOME ----
stranger=(unshare --user --map-user=54321 --map-group=54321)
if "${stranger[@]}" true 2>/dev/null; then
  "${stranger[@]}" env -u HOME -u USER "$launch/local" tiny.yaml --set run.dir=strange --set train.steps=4 -n 2 --no-report \
    >out.log 2>&1 || { cat out.log; fail "a user without passwd entry and HOME"; }
  say "a user whom nobody knows"
else
  echo "SKIPPED: a user whom nobody knows: this machine has no user namespaces"
fi

# ---- sweeps ----
sweep_of() { # VALUES
  printf 'base: tiny.yaml\ndir: sweep\nset: {train.steps: 6}\ngrid: {loss.lambda: [%s]}\n' "$1" >sweep.yaml
}
sweep() { "$launch/sweep" sweep.yaml --local "$@" >out.log 2>err.log; }
sweep_of "1, 1.0, 2, 1e0"
env "${others[@]}" "$launch/sweep" sweep.yaml --local >out.log 2>err.log || fail "launch/sweep: exit $?"
[ "$(ls -d sweep/lambda-*)" = "$(printf 'sweep/lambda-1\nsweep/lambda-2')" ] || fail "not two points: $(ls sweep)"
grep -q 'lambda-1.0 is the same point as lambda-1 and is left out' out.log &&
  grep -q '2 points, 0 of them finished' out.log || { cat out.log; fail "no sentence"; }
# Again, with what may change: config.yaml stays what was trained, of a finished and of an unfinished point.
rm sweep/lambda-2/DONE
before=$(cat sweep/lambda-*/config.yaml)
printf '#!/bin/bash\n[ "$1" != train ] || exit 65\nexec %q "$@"\n' "$LIKENESS" >broken
LIKENESS=$PWD/broken sweep --set data.prefetch=3 && fail "a broken program trained"
[ "$before" = "$(cat sweep/lambda-*/config.yaml)" ] || fail "launch/sweep changed the configuration of trained points"
grep -q 'prefetch: 3' sweep/lambda-2/job/config.yaml || fail "the next start is not asked for"
exec {held}>>sweep/lambda-2/job/lock
flock $held
sweep && fail "a point that another works on was started"
grep -q 'sweep/lambda-2: another launcher works on this point' err.log || fail "no reason"
exec {held}>&-
sweep --set data.prefetch=3 || fail "launch/sweep: exit $?"
[ -e sweep/lambda-2/DONE ] && grep -q 'prefetch: 3' sweep/lambda-2/config.yaml ||
  fail "the point did not go on: $(cat sweep/lambda-2/job/attempts)"
none_left
echo "ok: names, locks, signals, failures, sweeps"
