# What launch/submit, launch/local, launch/sweep and the batch job have in common. Sourced; needs bash 4.4.
#
# A run folder is managed through RUN/job/: the batch file, the logs, and `attempts`, one line an event:
#     2026-11-24T09:00:00Z submit ...                     someone asked for the run (counting of restarts begins anew)
#     2026-11-24T09:00:04Z start step=0 job=12 ...        ranks are started; the newest checkpoint is of this step
#     2026-11-24T09:10:00Z end step=400 code=75: again    they ended, and what follows
# Whether a run is finished is said by RUN/DONE alone, which the trainer writes last: launchers lose exit codes.

launch=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() { # CODE TEXT: the exit codes of the program itself
  echo "likeness: error: $2" >&2
  exit "$1"
}

say() { echo "likeness: $*"; }

find_program() { # sets `program`: $LIKENESS, the one of this source tree, the installed one
  local candidate
  for candidate in "${LIKENESS:-}" "$launch/../build/likeness" "$launch/../../../bin/likeness"; do
    [ -n "$candidate" ] && [ -x "$candidate" ] && program=$(realpath "$candidate") && return
  done
  program=$(command -v likeness) || die 64 "the program is not built; run make, or set LIKENESS to its path"
}

# ---- the record of a run ----

newest_step() { # RUN: the step of its newest checkpoint, 0 without one
  local newest
  newest=$(ls "$1/checkpoints" 2>/dev/null | sed -n 's/^step-0*\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
  echo "${newest:-0}"
}

record() { # RUN EVENT...: one line in RUN/job/attempts
  local run=$1
  shift
  mkdir -p "$run/job"
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$run/job/attempts"
}

starts_at() { # RUN STEP: how often in a row the run was started at this step since it was last asked for
  [ -e "$1/job/attempts" ] || { echo 0; return; }
  awk -v step="step=$2" '$2 == "submit" { n = 0 } $2 == "start" { n = $3 == step ? n + 1 : 0 } END { print n + 0 }' \
    "$1/job/attempts"
}

is_stuck() { # RUN: restarted max_restarts times without a newer checkpoint
  [ "$(starts_at "$1" "$(newest_step "$1")")" -gt "$max_restarts" ]
}

stuck_reason() { # RUN
  echo "no progress: $max_restarts restarts, and the newest checkpoint is still of step $(newest_step "$1");" \
    "look into the log, then start it again"
}

# ---- one attempt ----

forward() { # SIGNAL: to what starts the ranks, which passes it on to them
  [ -z "${ranks_pid:-}" ] || kill -s "$1" "$ranks_pid" 2>/dev/null
}

wait_for_ranks() { # sets `code`; a trapped signal ends a wait early, so wait until the process is gone
  while :; do
    wait "$ranks_pid"
    code=$?
    kill -0 "$ranks_pid" 2>/dev/null || break
  done
  ranks_pid=
}

# Starts the ranks through start_ranks (which the caller defines: it puts them into the background and sets ranks_pid), waits, and
# sets `verdict`: done | again | stopped | failed | stuck, and `code`, the exit code to end with.
attempt() { # RUN WHERE...
  local run=$1 step
  shift
  code=0 verdict=done
  [ -e "$run/DONE" ] && return
  if is_stuck "$run"; then
    verdict=stuck code=70
    record "$run" "end step=$(newest_step "$run") $(stuck_reason "$run")"
    return
  fi
  record "$run" "start step=$(newest_step "$run") $*"
  start_ranks "$run"
  [ -z "${halving:-}" ] || watch_halving "$run" 9>&- & # the lock of launch/local is not the watcher's
  wait_for_ranks
  decide "$run"
  step=$(newest_step "$run")
  case $verdict in
    stuck) record "$run" "end step=$step code=$code: $(stuck_reason "$run")"; code=70 ;;
    *) record "$run" "end step=$step code=$code: $verdict" ;;
  esac
  [ $verdict != done ] && [ $verdict != stopped ] || code=0
}

# Of a sweep with `halving` (first epoch and share): saves and ends the ranks of a point that falls behind, which leaves STOPPED.
watch_halving() { # RUN
  trap - INT TERM USR1
  while sleep 5 && kill -0 "$ranks_pid" 2>/dev/null; do
    # shellcheck disable=SC2086 # the first epoch and the share are two words
    "$program" sweep halving "$sweep" "$1" $halving
    [ ! -e "$1/STOPPED" ] || { forward USR1; return; }
  done
}

decide() { # RUN: sets `verdict` from DONE and `code`
  if [ -e "$1/DONE" ]; then
    verdict=done
  elif [ -e "$1/STOPPED" ]; then
    verdict=stopped
  else
    case $code in
      64 | 65 | 78) verdict=failed ;;
      *) if is_stuck "$1"; then verdict=stuck; else verdict=again; fi ;;
    esac
  fi
}

evaluate_run() { # RUN: measures the finished run on its validation faces, by which reports rank; a failure does not fail the run
  "$program" evaluate "$1" || say "warning: the evaluation of $1 failed; 'likeness evaluate $1' makes it again"
}

write_report() { # DIR: a report that fails does not fail the run
  "$program" report "$1" || say "warning: the report of $1 failed; 'likeness report $1' writes it again"
}

# Writes the configuration of a run into its folder, from which the ranks read it.
prepare_run() { # CONFIG [--set K=V ...]: sets `run`
  run=$("$program" config "$@" --get run.dir) || exit
  mkdir -p "$run/job" || die 70 "$run: cannot be made"
  [ "$(realpath "$1")" = "$(realpath "$run/config.yaml")" ] && [ $# = 1 ] && return
  "$program" config "$@" >"$run/config.yaml.new" || exit
  mv "$run/config.yaml.new" "$run/config.yaml"
}

mpi_as_root() { # containers often run as root, which mpirun refuses unless it is told
  [ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
}
