# shellcheck shell=bash
# The batch job. The batch file that launch/submit or launch/sweep wrote sources this, sets the variables and calls run_job:
#     run         the run folder; or
#     sweep       the folder of a sweep; SLURM_ARRAY_TASK_ID picks a run, a line of job/points in it
#     program, start_with (srun|mpirun), max_restarts, grace, batch_file, halving (of a sweep; empty or first epoch and share),
#     stage (empty, or the folder of each node's own disk that shards are copied to)
# shellcheck source=launch/job/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"
start_with=srun grace=120 batch_file='' job='' marks='' job_state='' seconds_left=0 stage=''

# ---- shards on the nodes' own disks ----

staged() { # OPTION: "--to=..."; rank.sh adds the node. A job's stage has its number: others' are not ours to remove
  echo "$1=$stage/likeness-$SLURM_JOB_ID"
}

once_a_node() { # SECONDS OPTION COMMAND...: in the background, so long at most (0: for ever); sets ranks_pid
  local starter=(mpirun --bind-to none --map-by ppr:1:node)
  mpi_surroundings "$run"
  [ "$start_with" = mpirun ] || starter=(srun --mpi=none --kill-on-bad-exit=1 --nodes="$SLURM_JOB_NUM_NODES"
    --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1)
  [ "$1" = 0 ] || starter=(timeout "$1" "${starter[@]}")
  "${starter[@]}" bash "$launch/job/rank.sh" "$marks" "${@:2}" </dev/null &
  ranks_pid=$!
}

stage_shards() { # RUN: fails, with `code`, where a node has no whole copy; none of the ranks is started then
  once_a_node 0 "$(staged --to)" "$program" stage "$1/job/config.yaml"
  wait_for_ranks
  [ "$code" != 0 ] || [ -z "$asked" ] || code=75
  [ "$code" = 0 ] || { say "job $job: the shards are not staged (exit code $code): no rank was started"; return 1; }
}

# What the trainer has not removed by itself, as it does once all ranks have opened their shards.
remove_stages() { # RUN
  case $code in 0 | 75 | 137 | 143) [ -e "$stage/likeness-$SLURM_JOB_ID.${SLURMD_NODENAME:-$(hostname -s)}" ] || return 0 ;; esac
  local kept=$code
  once_a_node 60 "$(staged --to)" "$program" stage "$1/job/config.yaml" --remove
  wait_for_ranks
  [ "$code" = 0 ] || say "warning: job $job: $stage/likeness-$SLURM_JOB_ID.* may be left on the nodes' disks"
  code=$kept
}

start_ranks() { # RUN
  local own='' command
  rm -rf "$1"/job/started.*
  mkdir -p "$marks"
  if [ -n "$stage" ]; then
    stage_shards "$1" || return
    own=$(staged --staged)
  fi
  command=(bash "$launch/job/rank.sh" "$marks" "$own" "$program" train "$1/job/config.yaml")
  if [ "$start_with" = srun ]; then
    # srun does not take --cpus-per-task over from sbatch by itself (since 22.05).
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
    srun --mpi=pmix --kill-on-bad-exit=1 "${command[@]}" </dev/null &
  else
    mpi_surroundings "$1"
    mpirun --bind-to none -n "$SLURM_NTASKS" "${command[@]}" </dev/null &
  fi
  ranks_pid=$!
}

# A node that lost its power, or failed to start a step, keeps that step's socket for PMIx (slurm 22.05), and the step of that
# number can never start there again. Each start of a job counts its steps from 0: those that failed in earlier starts are
# passed over.
skip_steps() {
  local number
  [ "$start_with" = srun ] || return 0
  for ((number = $(unstarted_count "$run"); number > 0; number--)); do
    timeout 20 srun --mpi=none --nodes=1 --ntasks=1 true </dev/null 2>/dev/null
  done
}

# ---- what the controller says of this job ----

seconds_of() { # [DAYS-]HOURS:MINUTES:SECONDS
  local days=0 time=$1 h m s
  [[ $time = *-* ]] && days=${time%%-*} time=${time#*-}
  IFS=: read -r h m s <<<"$time"
  echo $((((10#$days * 24 + 10#$h) * 60 + 10#$m) * 60 + 10#$s))
}

# Sets `job_state`: RUNNING; PREEMPTED, its grace time runs; TIMEOUT; ENDED where someone cancelled or requeued it; TAKEN where
# it was started again elsewhere because this node was out of reach; LOST where the controller does not answer; NONE without
# scontrol. Sets `seconds_left` to the time limit.
look_at_job() {
  local line
  job_state=NONE seconds_left=999999999
  command -v scontrol >/dev/null && [ -x "$(command -v scontrol)" ] || return 0
  job_state=LOST
  line=$(scontrol --oneliner show job "$job" 2>/dev/null | head -n 1)
  [[ $line =~ \ JobState=([A-Z_]+) ]] || return 0
  job_state=${BASH_REMATCH[1]}
  [[ $line =~ \ RunTime=([-0-9:]+)\ TimeLimit=([-0-9:]+) ]] &&
    seconds_left=$(($(seconds_of "${BASH_REMATCH[2]}") - $(seconds_of "${BASH_REMATCH[1]}")))
  if [ "$job_state" != RUNNING ]; then # on its way out, which hides why; short of its time limit it is someone's wish
    [ "$seconds_left" -le 0 ] && job_state=TIMEOUT || job_state=ENDED
  elif [[ $line =~ \ Restarts=([0-9]+) ]] && [ "${BASH_REMATCH[1]}" != "${SLURM_RESTART_COUNT:-0}" ]; then
    job_state=TAKEN
  elif [[ $line =~ \ PreemptTime=[0-9] ]]; then
    job_state=PREEMPTED
  fi
}

# mpirun passes USR1 on to its ranks, but ends them on TERM.
signal_came() { # USR1|TERM
  signalled=yes
  if [ "$start_with" = mpirun ]; then forward USR1; else forward "$1"; fi
  look_at_job
  # SLURM sends its signal up to a minute early.
  if [ "$job_state" = TIMEOUT ] || { [ "$1" = USR1 ] && [ "$seconds_left" -le $((grace + 60)) ]; }; then
    record "$run" "limit step=$(newest_step "$run") the time limit"
  else
    asked=$1
  fi
}

look_outside() { # RUN
  [ -z "$stage" ] || remove_stages "$1"
  look_at_job
  outside=${asked:+stopped by $asked}
  case $job_state in
    PREEMPTED) outside=preempted ;;
    ENDED) outside="cancelled, requeued or preempted" ;;
    TAKEN) outside="started again elsewhere" ;;
    LOST) outside="cut off from the controller" ;;
  esac
  [ -n "$outside" ] || look_who_started
}

look_who_started() { # sets `unstarted` to the nodes without a mark
  local names node count
  count=$(find "$marks" -type f | wc -l)
  [ "$count" -lt "$SLURM_JOB_NUM_NODES" ] || return 0
  # These codes are the program's own: there is no mark at all where the disk is full.
  [ "$count" != 0 ] || { [ "$code" != 70 ] && [ "$code" != 75 ]; } || return 0
  names=$(scontrol show hostnames "$SLURM_JOB_NODELIST" 2>/dev/null)
  for node in $names; do [ -e "$marks/$node" ] || unstarted+=${unstarted:+ }$node; done
  unstarted=${unstarted:-$((SLURM_JOB_NUM_NODES - count)) nodes}
}

# ---- back into the queue ----

enough_without() { # NODES: whether the job finds room in its partition without these, a list with commas
  local up
  up=$(sinfo --noheader --Node --partition="$SLURM_JOB_PARTITION" --states=idle,mixed,allocated,completing --format=%N | sort -u |
    grep -cvxFf <(scontrol show hostnames "$1"))
  [ "$up" -ge "$SLURM_JOB_NUM_NODES" ]
}

# After `scontrol requeue`, which has SLURM end this script soon. Nodes that did not start the program are left out of the next
# start where enough others are up, and the job waits twice as long each time. What the user left out stays so; a start that
# worked takes ours back.
choose_next_start() { # RUN
  local line own node nodes eligible delay kept=$1/job/excluded.$SLURM_JOB_ID
  line=$(scontrol --oneliner show job "$job" | head -n 1)
  own=$(cat "$kept" 2>/dev/null) || { [[ $line =~ \ ExcNodeList=([^ ]+) ]] && own=${BASH_REMATCH[1]}; }
  [ "$own" != "(null)" ] || own=''
  if [ "$verdict" != unstarted ]; then
    rm "$kept" && scontrol update "JobId=$job" "ExcNodeList=$own"
    return
  fi
  echo "$own" >"$kept"
  nodes=$own
  for node in $(unstarted_nodes "$1"); do
    ! enough_without "${nodes:+$nodes,}$node" || nodes=${nodes:+$nodes,}$node
  done
  scontrol update "JobId=$job" "ExcNodeList=$nodes"
  delay=$(start_delay "$1")
  [[ $line =~ \ StartTime=([^ ]+) ]] && eligible=$(date -d "${BASH_REMATCH[1]}" +%s 2>/dev/null)
  [ "${eligible:-0}" -ge $(($(date +%s) + delay)) ] || scontrol update "JobId=$job" "StartTime=now+$delay"
  say "job $job: the next start is in $delay s or later${nodes:+, without $nodes}"
}

start_delay() { # RUN: seconds, more after each start that reached no program
  local rounds=$(($(unstarted_count "$1") / 3))
  echo $((rounds > 6 ? 900 : 15 << rounds))
}

requeue() { # RUN: does not return
  trap - USR1 TERM
  local choose=''
  if [ "$verdict" = unstarted ] || [ -e "$1/job/excluded.$SLURM_JOB_ID" ]; then choose=yes; fi
  [ -z "$choose" ] || trap '' TERM # by which SLURM ends this script, that has something to do yet
  case $job_state in RUNNING | TIMEOUT | PREEMPTED)
    if scontrol requeue "$job"; then
      say "job $job: back into the queue, on from step $(newest_step "$1")"
      [ -z "$choose" ] || choose_next_start "$1"
      sleep 600
    fi
    look_at_job
    ;;
  esac
  case $job_state in
    ENDED) say "job $job was cancelled, or was requeued and comes back by itself; saved at step $(newest_step "$1")"; exit 1 ;;
    TAKEN) say "job $job was started again elsewhere; this start ends"; exit 1 ;;
    LOST)
      say "error: job $job: the controller is out of reach of $(hostname);" \
        "it requeues the job if it gave this node up, else submit again"
      exit 1
      ;;
  esac
  submit_successor "$1"
}

# Without scontrol a job that starts when this one has failed, with a code that no site requeues by itself.
submit_successor() { # RUN: does not return
  local next delay=''
  [ "$verdict" != unstarted ] || delay=$(start_delay "$1")
  next=$(sbatch --parsable --dependency="afternotok:$SLURM_JOB_ID" --kill-on-invalid-dep=yes \
    ${delay:+--begin="now+$delay"} ${sweep:+--array="$SLURM_ARRAY_TASK_ID"} "$batch_file") ||
    die 70 "job $job: cannot be requeued: scontrol and sbatch do not work on $(hostname); submit again to go on"
  next=${next%%;*}
  say "job $job: job $next goes on from step $(newest_step "$1")"
  echo "$next${sweep:+_$SLURM_ARRAY_TASK_ID}" >"$1/job/id"
  [ -z "$sweep" ] || sbatch --parsable --dependency="afterany:$next" --kill-on-invalid-dep=yes "$sweep/job/report.sbatch"
  exit 1
}

# ---- the whole ----

run_job() {
  job=$SLURM_JOB_ID
  if [ -n "$sweep" ]; then
    job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID # a task of an array is requeued by its own name
    run=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$sweep/job/points")
  fi
  marks=$run/job/started.$job.${SLURM_RESTART_COUNT:-0}
  trap 'signal_came USR1' USR1
  trap 'signal_came TERM' TERM
  say "job $job on $SLURM_JOB_NODELIST, restart ${SLURM_RESTART_COUNT:-0}: $run from step $(newest_step "$run")"
  skip_steps
  local pause
  for pause in 2 10 0; do
    attempt "$run" "job=$job nodes=$SLURM_JOB_NODELIST ranks=$SLURM_NTASKS"
    if [ "$verdict" != unstarted ] || [ $pause = 0 ]; then break; fi
    say "no program was started by $unstarted: that is the cluster's failure; once more in $pause s"
    sleep $pause &
    wait $!
    [ -z "$asked" ] || { verdict=outside; look_at_job; break; }
  done
  if [ "$verdict" = unstarted ] && [ "$(unstarted_count "$run")" -ge "$most_unstarted" ]; then
    verdict=failed code=70
    say "error: $run: $most_unstarted starts in a row reached no program; last it was not started by $unstarted"
  fi
  case $verdict in
    done)
      evaluate_run "$run"
      [ -n "$sweep" ] || has_report "$run" || write_report "$run"
      ;;
    again | outside | unstarted) requeue "$run" ;;
    failed) say "error: $run: exit code $code is not one that a restart would mend" ;;
    taken) say "error: $run: another trainer has taken it over (generation $(cat "$run/generation")); this job ends" ;;
    stuck) say "error: $run: $(stuck_reason "$run")" ;;
  esac
  # 75 may be a code that the site requeues.
  [ "$code" != 75 ] || code=70
  exit "$code"
}
