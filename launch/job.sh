# The body of a batch job; the batch file that launch/submit or launch/sweep wrote sets the variables and sources this:
#     run         the run folder; or
#     points      a file with a run folder a line, of which SLURM_ARRAY_TASK_ID picks one
#     program, start_with (srun|mpirun), max_restarts, batch_file
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

is_cancelled() {
  scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null | grep -q ' JobState=CANCELLED'
}

requeue() { # RUN: does not return
  trap - USR1 TERM
  if command -v scontrol >/dev/null; then
    if is_cancelled; then
      say "job $job was cancelled; submit again to go on"
      exit 1
    fi
    if scontrol requeue "$job"; then
      say "job $job: back into the queue, on from step $(newest_step "$1")"
      sleep 600 # SLURM ends this script
    fi
  fi
  # Without scontrol a successor that starts when this job has failed. It must fail with a code that no site requeues by itself.
  local next
  if next=$(sbatch --parsable --dependency="afternotok:$SLURM_JOB_ID" --kill-on-invalid-dep=yes \
    ${SLURM_ARRAY_TASK_ID:+--array="$SLURM_ARRAY_TASK_ID"} "$batch_file"); then
    say "job $job: job ${next%%;*} goes on from step $(newest_step "$1")"
    [ -n "${SLURM_ARRAY_JOB_ID:-}" ] || echo "${next%%;*}" >"$1/job/id"
    exit 1
  fi
  die 70 "job $job: cannot be requeued: scontrol and sbatch do not work on $(hostname); submit again to go on"
}

run_job() {
  [ -z "${points:-}" ] || run=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$points")
  say "job $job on $SLURM_JOB_NODELIST, restart ${SLURM_RESTART_COUNT:-0}: $run from step $(newest_step "$run")"
  attempt "$run" "job=$job nodes=$SLURM_JOB_NODELIST ranks=$SLURM_NTASKS"
  case $verdict in
    done) [ -n "${points:-}" ] || write_report "$run" ;;
    stopped) code=0 ;;
    again) requeue "$run" ;;
    failed) say "error: $run: exit code $code is not one that a restart would mend" ;;
    stuck) say "error: $run: $(stuck_reason "$run")" ;;
  esac
  # 75 may be a code that the site requeues.
  [ "$code" != 75 ] || code=70
  exit "$code"
}
run_job
