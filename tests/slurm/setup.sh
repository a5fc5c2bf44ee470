# What the tests on the SLURM cluster have in common; sourced by tests/run/slurm*.sh in their empty folder. Starts a cluster of 3
# nodes, renders two small sets of faces, trains a small decoder, and takes everything down at the end.
cluster=$LIKENESS_ROOT/tests/slurm/cluster.sh
launch=$LIKENESS_ROOT/launch
here=$PWD
failed_with() { # on failure: what the jobs said
  echo "FAIL: $*"
  for log in "$here"/runs/*/job/attempts "$here"/runs/*/job/*.log; do
    [ -e "$log" ] && echo "--- $log" && tail -n 25 "$log"
  done
  on_login squeue 2>&1
  tail -n 25 "$here"/cluster/log/slurmctld.log
}
fail() { # the reason stands first and last: the suite shows the end of a log
  failed_with "$@"
  echo "FAIL: $*"
  exit 1
}
skip() { echo "$*"; exit 77; }

[[ "$LIKENESS_BUILD" != *san-* ]] || skip "SLURM loses nodes of its own accord where ranks are as slow as under a sanitizer"
[ "$(id -u)" = 0 ] || skip "a SLURM cluster on this machine needs root, for namespaces"
packages="slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge iproute2"
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    skip "$package is not installed; make deps installs it"
done
unshare --net --uts --mount --ipc --pid --fork true 2>/dev/null || skip "this machine does not allow namespaces (CAP_SYS_ADMIN)"

on_login() { "$cluster" exec "$here/cluster" ctl "$@"; }
on_node() { local node=$1; shift; "$cluster" exec "$here/cluster" "$node" "$@"; }
trap '"$cluster" down "$here/cluster"' EXIT
"$cluster" up "$here/cluster" 3 2 || fail "the cluster does not start"

small_training() { # STAGE NAME [SECTION-LINES]: a configuration on standard output
  cat <<END
run: {dir: $here/runs/$2, seed: 1}
data: {train: $here/data/train, val: $here/data/val, threads: 1}
model: {size: 32, encoder: {width: 0.0625}, decoder: {width: 0.0625, weights: $here/runs/decoder}}
optimizer: {warmup_steps: 5}
train: {stage: $1, global_batch: 32, micro_batch: 8, steps: 60, precision: f32, threads: 1, reproducible: true,
  converge: {patience: 0}}
validate: {samples: 4, every_epochs: 10}
checkpoint: {every_steps: 5}
stall: {warn_s: 3, abort_s: 10}
END
}
"$LIKENESS" render --random 256 --size 32 -o data/train >/dev/null || fail "render"
"$LIKENESS" render --random 64 --size 32 --start 100000 -o data/val >/dev/null || fail "render"
small_training decoder decoder >decoder.yaml
"$LIKENESS" train decoder.yaml --set train.steps=20 2>decoder.log || { cat decoder.log; fail "the decoder"; }

# ---- waiting ----

poll() { # SECONDS WHAT COMMAND...: until the command succeeds; a machine that does other work gets three times as long
  local end=$((SECONDS + 3 * $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "timed out: $what"
    sleep 0.2
  done
}
last_train_step() { # RUN
  grep '"kind":"train"' "$1/metrics.jsonl" 2>/dev/null | tail -n 1 | sed 's/.*"step":\([0-9]*\).*/\1/'
}
is_at_step() { local at; at=$(last_train_step "$1"); [ "${at:-0}" -ge "$2" ]; }
is_gone() { # JOB
  [ -n "$(on_login squeue --noheader --jobs="$1" 2>/dev/null)" ] || return 0
  # A start that SLURM could not carry out, since the one before is not quite gone, puts the job off again.
  [ "$hurried" != "$1" ] || ! is_put_off "$1" || hurry "$1"
  return 1
}

submit() { # CONFIG NAME [OPTIONS]: on two nodes of two ranks; sets job and run
  local config=$1 out
  run=$here/runs/$2
  shift 2
  out=$(on_login "$launch/submit" "$config" --set "run.dir=$run" --nodes 2 --ranks-per-node 2 --time 10 "$@") ||
    fail "submit $config: $out"
  job=${out#job }
  job=${job%%,*}
}
is_idle() { [ "$(on_login sinfo --noheader --nodes="$1" --format=%T 2>/dev/null)" = idle ]; }
job_field() { # JOB FIELD
  on_login scontrol --oneliner show job "$1" | sed -n "s/.* $2=\\([^ ]*\\).*/\\1/p" | head -n 1
}
is_state() { [ "$(job_field "$1" JobState)" = "$2" ]; }

# A requeued job waits for as long as its old credential is valid; the tests do not. A job that has just been submitted or
# hurried is pending, too, but may start at once.
is_put_off() { # JOB
  is_state "$1" PENDING && [ "$(date -d "$(job_field "$1" EligibleTime)" +%s 2>/dev/null || echo 0)" -gt "$(date +%s)" ]
}
hurried=
hurry() { # JOB
  hurried=$1
  poll 90 "job $1 comes back into the queue" is_put_off "$1"
  sleep 1.5
  on_login scontrol update "jobid=$1" StartTime=now 2>/dev/null
}

# However fast the machine is, what follows finds the run under way.
hold_at() { # STEP: stops the ranks of the run when it has come there
  poll 120 "$run comes to step $1" is_at_step "$run" "$1"
  held=$(ranks_of "$run")
  [ "$(wc -w <<<"$held")" = 4 ] && kill -STOP $held || fail "$run ended before it could be held"
  # On a loaded machine a process stops when its turn comes.
  poll 30 "$run stops" are_stopped
}
are_stopped() {
  local rank
  for rank in $held; do grep -qs '^State:.T' "/proc/$rank/status" || return; done
}
let_go() { kill -CONT $held 2>/dev/null; } # some may have ended since

# ---- judging ----

# Everything that is the same in two runs of the same digits.
digits() { # RUN
  grep -E '"kind":"(train|val)"' "$1/metrics.jsonl" |
    sed -E 's/"(samples_per_s|step_ms|data_wait_ms|comm_exposed_ms|rss_mb)":[^,}]*,?//g; s/,}/}/'
}
same_run() { # RUN AS
  [ -e "$1/DONE" ] || fail "$1: is not done"
  diff <(digits "$2") <(digits "$1") >difference || { head -n 6 difference; fail "$1: other metrics than $2"; }
  cmp "$1/model.safetensors" "$2/model.safetensors" || fail "$1: other weights than $2"
  cmp "$1/DONE" "$2/DONE" || fail "$1: ended otherwise than $2"
}
ranks_of() { pgrep -f "^[^ ]*likeness train $1/job/config.yaml"; } # RUN: not srun, whose arguments these are too
no_ranks_left() { # RUN
  local left
  left=$(ranks_of "$1") && fail "$1: ranks are left: $left"
  return 0
}
restarts() { # RUN: as the newest checkpoint counts them
  local newest
  newest=$(ls -d "$1"/checkpoints/step-* | tail -n 1)
  sed -n 's/^ "restarts": \([0-9]*\),*$/\1/p' "$newest/state.json"
}
