#!/bin/bash
# A storm on the SLURM cluster: cut links, requeues, killed ranks, TERM, power losses, and nodes that come back unable to start
# a program, in random order and spacing, each at a random step or before the first one. Whatever gets through is as the calm
# run, digit for digit, and no rank is left. A run that is done is judged, and the next one begins. The suite has a short one;
# EVENTS=20 is a long one (15 minutes), SEED=N repeats one.
# runs early: minutes, of which most are spent waiting for the cluster
set -u
. "$LIKENESS_ROOT/tests/slurm/setup.sh"
events=${EVENTS:-5} seed=${SEED:-$RANDOM}
echo "seed $seed (SEED=$seed EVENTS=$events repeats it)"
RANDOM=$seed
say() { echo "$SECONDS s: $*"; }
small_training encoder calm >encoder.yaml
"$launch/local" encoder.yaml -n 4 --no-report >calm.log 2>&1 || { cat calm.log; fail "the calm run"; }
calm=$here/runs/calm
run=$here/runs/storm job='' out_node='' out_how='' held=0 runs=0

# ---- the cluster ----

state() { on_login scontrol --oneliner show job "$job" 2>/dev/null; }
# A requeued job waits for as long as its old credential is valid, and after failures of the cluster longer; the test does not.
pending=0
nudge() {
  local line
  line=$(state)
  case $line in
    *JobState=PENDING*Reason=*held*) # SLURM itself holds a job whose script could not be launched on a node; people release it
      held=$((held + 1))
      on_login scontrol release "$job"
      ;;
    *JobState=PENDING*)
      pending=$((pending + 1))
      [ $((pending % 4)) != 0 ] || on_login scontrol update "jobid=$job" StartTime=now 2>/dev/null
      # A node was left out of this start while three were up, and another is out by now: two make no pair.
      [ $pending != 100 ] || [ -z "$out_node" ] || { say "the job waits for $out_node"; repair; }
      ;;
    *) pending=0 ;;
  esac
  case $line in *JobState=FAILED* | *JobState=CANCELLED* | *JobState=TIMEOUT*) fail "the job was given up: $line" ;; esac
}
wait_until() { # SECONDS WHAT COMMAND...: while the job is nudged
  local end=$((SECONDS + 3 * $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "timed out: $what"
    nudge
    sleep 0.5
  done
}
is_up() { [[ $(on_login sinfo --noheader --nodes="$1" --format=%T 2>/dev/null) =~ ^(idle|mixed|allocated|completing)$ ]]; }
repair() { # the node that is out, so that two are always well
  local node=$out_node
  [ -n "$node" ] || return 0
  out_node=''
  case $out_how in
    cut) "$cluster" heal "$here/cluster" "$node" ;;
    power) "$cluster" boot "$here/cluster" "$node" ;;
    unable) on_node "$node" umount "$here/cluster/tmp/$node" ;;
  esac
  wait_until 60 "$node comes back" is_up "$node"
}
lose_power() { # NODE
  "$cluster" kill "$here/cluster" "$1"
  sleep $((RANDOM % 4))
}

# ---- the events ----

strike() { # cut|requeue|rank|term|power|unable
  local node=n$((RANDOM % 3 + 1)) ranks
  case $1 in
    cut | power | unable) repair ;;
  esac
  case $1 in
    cut) "$cluster" cut "$here/cluster" "$node" ;;
    requeue) on_login scontrol requeue "$job" 2>/dev/null ;;
    rank)
      mapfile -t ranks < <(ranks_of "$run")
      [ ${#ranks[@]} = 0 ] || kill -KILL "${ranks[RANDOM % ${#ranks[@]}]}" 2>/dev/null
      ;;
    term) on_login scancel --signal=TERM "$job" 2>/dev/null ;;
    power) lose_power "$node" ;;
    unable)
      lose_power "$node"
      "$cluster" boot "$here/cluster" "$node"
      until on_node "$node" mount --bind -o ro "$here/cluster/tmp/$node" "$here/cluster/tmp/$node" 2>/dev/null; do sleep 0.1; done
      on_node "$node" mount -o remount,ro,bind "$here/cluster/tmp/$node" || fail "$node does not get unable"
      ;;
  esac
  case $1 in cut | power | unable) out_node=$node out_how=$1 ;; esac
  echo "$SECONDS s: event $((done_events + 1)): $1 ${out_node:+($out_node is out) }at step $(last_train_step "$run")"
}

# ---- the runs ----

finish() { # the run, to its end
  wait_until 300 "$run ends" test -e "$run/DONE"
  repair # an isolated script and its ranks end when their node is back
  wait_until 120 "the job ends" is_gone "$job"
  same_run "$run" "$calm"
  poll 60 "the ranks end" no_ranks
  runs=$((runs + 1))
  say "run $runs is as the calm one, after $(grep -cE '^[^ ]+ start ' "$run/job/attempts") starts"
}
no_ranks() { [ -z "$(ranks_of "$run")" ]; }
is_due() { # STEP: the run has come there, or is done
  [ -e "$run/DONE" ] || is_at_step "$run" "$1"
}

done_events=0
kinds=(cut requeue rank term power unable)
while [ $done_events -lt "$events" ]; do
  if [ -z "$job" ] || [ -e "$run/DONE" ]; then
    [ -z "$job" ] || finish
    rm -rf "$run"
    submit encoder.yaml storm
  fi
  # Some steps from here; now and then at once, wherever the job is just now.
  if [ $((RANDOM % 4)) != 0 ]; then
    at=$(last_train_step "$run")
    wait_until 200 "$run goes on" is_due $((${at:-0} + 1 + RANDOM % 12))
    [ ! -e "$run/DONE" ] || continue
  fi
  sleep 0.$((RANDOM % 10))
  strike "${kinds[RANDOM % 6]}"
  done_events=$((done_events + 1))
done
finish
echo "ok: seed $seed, $done_events events over $runs runs, each as the calm one${held:+; released by hand $held times}"
