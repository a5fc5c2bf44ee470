# The body of a batch job; the batch file that launch/submit or launch/sweep wrote sets the variables and sources this:
#     run         the run folder; or
#     sweep       the folder of a sweep; SLURM_ARRAY_TASK_ID picks a run, a line of job/points in it
#     program, start_with (srun|mpirun), max_restarts, batch_file, halving (of a sweep; empty or first epoch and share)
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"

# A task of an array is requeued by its own name.
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
job=${job:-$SLURM_JOB_ID}

start_ranks() { # RUN
  if [ "$start_with" = srun ]; then
    # srun does not take --cpus-per-task over from sbatch by itself (since 22.05).
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
    srun --mpi=pmix --kill-on-bad-exit=1 "$program" train "$1/config.yaml" </dev/null &
  else
    mpi_as_root
    mpirun --bind-to none -n "$SLURM_NTASKS" "$program" train "$1/config.yaml" </dev/null &
  fi
  ranks_pid=$!
}

# mpirun passes USR1 on to its ranks, but ends them on TERM.
pass_on() {
  if [ "$start_with" = mpirun ]; then forward USR1; else forward "$1"; fi
}
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM

seconds_of() { # [DAYS-]HOURS:MINUTES:SECONDS
  local days=0 time=$1 h m s
  [[ $time = *-* ]] && days=${time%%-*} time=${time#*-}
  IFS=: read -r h m s <<<"$time"
  echo $((((10#$days * 24 + 10#$h) * 60 + 10#$m) * 60 + 10#$s))
}

# What the controller says of this job, nothing where it cannot be asked: RUNNING; TIMEOUT; ENDED where someone cancelled or
# requeued it; TAKEN where it was started again elsewhere because this node was out of reach.
state() {
  local line state
  line=$(scontrol --oneliner show job "$job" 2>/dev/null | head -n 1)
  [[ $line =~ \ JobState=([A-Z_]+) ]] || return
  state=${BASH_REMATCH[1]}
  if [ "$state" != RUNNING ]; then # on its way out, which hides why; short of its time limit it is someone's wish
    state=ENDED
    [[ $line =~ \ RunTime=([-0-9:]+)\ TimeLimit=([-0-9:]+) ]] &&
      [ "$(seconds_of "${BASH_REMATCH[1]}")" -ge "$(seconds_of "${BASH_REMATCH[2]}")" ] && state=TIMEOUT
  elif [[ $line =~ \ Restarts=([0-9]+) ]] && [ "${BASH_REMATCH[1]}" != "${SLURM_RESTART_COUNT:-0}" ]; then
    state=TAKEN
  fi
  echo "$state"
}

requeue() { # RUN: does not return
  trap - USR1 TERM
  local next state
  state=$(state)
  case $state in
    ENDED) say "job $job was cancelled, or was requeued and comes back by itself; saved at step $(newest_step "$1")"; exit 1 ;;
    TAKEN) say "job $job was started again elsewhere; this start ends"; exit 1 ;;
    RUNNING | TIMEOUT)
      if scontrol requeue "$job"; then
        say "job $job: back into the queue, on from step $(newest_step "$1")"
        sleep 600 # SLURM ends this script
      fi
      ;;
  esac
  if [ -z "$state" ] && [ -x "$(command -v scontrol)" ]; then
    say "error: job $job: the controller is out of reach of $(hostname);" \
      "it requeues the job if it gave this node up, else submit again"
    exit 1
  fi
  # Without scontrol a successor that starts when this job has failed, with a code that no site requeues by itself.
  if next=$(sbatch --parsable --dependency="afternotok:$SLURM_JOB_ID" --kill-on-invalid-dep=yes \
    ${SLURM_ARRAY_TASK_ID:+--array="$SLURM_ARRAY_TASK_ID"} "$batch_file"); then
    next=${next%%;*}
    say "job $job: job $next goes on from step $(newest_step "$1")"
    if [ -n "${sweep:-}" ]; then
      sbatch --parsable --dependency="afterany:$next" --kill-on-invalid-dep=yes "$sweep/job/report.sbatch"
    else
      echo "$next" >"$1/job/id"
    fi
    exit 1
  fi
  die 70 "job $job: cannot be requeued: scontrol and sbatch do not work on $(hostname); submit again to go on"
}

run_job() {
  [ -z "${sweep:-}" ] || run=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$sweep/job/points")
  say "job $job on $SLURM_JOB_NODELIST, restart ${SLURM_RESTART_COUNT:-0}: $run from step $(newest_step "$run")"
  attempt "$run" "job=$job nodes=$SLURM_JOB_NODELIST ranks=$SLURM_NTASKS"
  case $verdict in
    done)
      evaluate_run "$run"
      [ -n "${sweep:-}" ] || write_report "$run"
      ;;
    again) requeue "$run" ;;
    failed) say "error: $run: exit code $code is not one that a restart would mend" ;;
    stuck) say "error: $run: $(stuck_reason "$run")" ;;
  esac
  # 75 may be a code that the site requeues.
  [ "$code" != 75 ] || code=70
  exit "$code"
}
run_job
