# shellcheck shell=bash disable=SC2034 # most variables are for those who source this
# What launch/submit, launch/local, launch/sweep and the batch job have in common. Sourced; needs bash 4.4.
#
# A run folder is managed through RUN/job/: the lock, the configuration that was asked for (config.yaml; the one in RUN itself
# is the trainer's, which writes it once it has accepted a run), the batch file, the logs, and `attempts`, one line an event:
#     2026-11-24T09:00:00Z submit ...                     someone asked for the run (counting of failures begins anew)
#     2026-11-24T09:00:04Z start step=0 job=12 ...        ranks are started; the newest checkpoint is of this step
#     2026-11-24T09:00:30Z limit step=0 ...               the time limit ended them (a script that is killed writes no end)
#     2026-11-24T09:10:00Z end step=400 code=75: again    they ended, and what follows
# Whether a run is finished is said by RUN/DONE alone, which the trainer writes last: launchers lose exit codes.

launch=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
# Nothing of the same name in the environment counts.
program='' run='' sweep='' halving='' max_restarts=3 verdict='' code=0 outside='' unstarted='' ranks_pid='' signalled='' asked=''
most_unstarted=60 # starts in a row that reached no program, before a run is given up: some hours

die() { # CODE TEXT: the exit codes of the program itself
  echo "likeness: error: $2" >&2
  exit "$1"
}

say() { echo "likeness: $*"; }

find_program() { # sets `program`: $LIKENESS, the one of this source tree, the installed one
  local candidate
  for candidate in "${LIKENESS:-}" "$launch/../build/likeness" "$launch/../../../bin/likeness"; do
    [ -n "$candidate" ] && [ -x "$candidate" ] && program=$(realpath -- "$candidate") && return
  done
  program=$(command -v likeness) || die 64 "the program is not built; run make, or set LIKENESS to its path"
}

# Ranks outlive whoever reads their log: a reader that goes away, or a terminal that is closed, would end this script and crash
# mpirun.
outlive_readers() {
  [ ! -f /dev/stdout ] || [ ! -f /dev/stderr ] || return 0
  exec 3>&1 4>&2
  exec > >(exec setsid tee -ip /dev/null >&3 2>/dev/null 3>&- 4>&-)
  local out=$!
  exec 2> >(exec setsid tee -ip /dev/null >&4 2>/dev/null 3>&- 4>&-)
  # What was said last is to be there when this script has ended.
  # shellcheck disable=SC2064 # the numbers of now
  trap "exec >&- 2>&- 3>&- 4>&-; wait $out $!" EXIT
}

# ---- who works on a run ----

first_line() { # FILE: nothing where there is none; fails, and has said why, where it cannot be looked at for some seconds
  local text pause
  for pause in 1 2 4 ''; do
    text=$(LC_ALL=C head -n 1 -- "$1" 2>&1) && { echo "$text"; return; }
    case $text in *": No such file or directory" | *": Not a directory") return 0 ;; esac
    [ -z "$pause" ] || sleep "$pause"
  done
  say "warning: $text" >&2
  return 1
}

write_file() { # FILE TEXT: whole or not at all
  { printf '%s\n' "$2" >"$1.new" && mv -- "$1.new" "$1"; } 2>/dev/null || die 70 "$1: cannot be written"
}

plain_folder() { # PATH: "-x" would be an option
  case $1 in -*) echo "./$1" ;; *) echo "$1" ;; esac
}

find_run() { # CONFIG [--set K=V ...]: sets `run`
  run=$("$program" config "$@" --get run.dir) || exit
  run=$(plain_folder "$run")
}

# Until this process ends nobody else configures or starts what is in the folder. The lock is of the kernel (flock), which frees
# it with the process however that ends; NFS carries it to the other hosts. Jobs in SLURM's queue hold none: refuse_if_queued
# sees those.
take_lock() { # FOLDER
  mkdir -p "$1/job" || die 70 "$1: cannot be made"
  { exec 9>>"$1/job/lock"; } 2>/dev/null || die 70 "$1/job/lock: cannot be written"
  local problem
  problem=$(flock --nonblock --conflict-exit-code 75 9 2>&1)
  case $? in
    0) ;;
    75) die 64 "$1: another launcher works on it ($(head -n 1 "$1/job/lock")); end that one first" ;;
    *) say "warning: $1/job/lock: $problem; nothing here keeps a second launcher away, start only one" ;;
  esac
  : >"$1/job/lock"
  echo "process $$ on $(hostname), since $(date -u +%Y-%m-%dT%H:%M:%SZ)" >&9
}

refuse_if_queued() { # FOLDER...: two jobs on one run would be in each other's way
  local folder id answer query=''
  declare -A folder_of=()
  for folder; do
    id=$(first_line "$folder/job/id") ||
      die 70 "$folder/job/id: cannot be read, so a job that works on the run may be overlooked; try again"
    [ -n "$id" ] || continue
    folder_of[$id]=$folder
    [[ ,$query, = *,${id%%_*},* ]] || query+=${query:+,}${id%%_*}
  done
  [ -n "$query" ] || return 0
  folder=$1
  command -v squeue >/dev/null ||
    die 64 "$folder: a job may work on it, and there is no squeue here to ask; if none does, remove $folder/job/id"
  if ! answer=$(squeue --noheader --array --jobs="$query" --format=%i 2>&1); then
    [[ $answer != *"Invalid job id"* ]] || return 0 # forgotten, so long ago has it ended
    die 70 "$folder: squeue cannot say whether a job works on it: $answer"
  fi
  for id in $answer; do
    [ -z "${folder_of[${id%%_*}]:-}" ] || id=${id%%_*} # 12_3 of an array is a point's job, 12 the whole sweep's
    folder=${folder_of[$id]:-}
    [ -z "$folder" ] || die 64 "$folder: job $id works on it; scancel $id ends that"
  done
}

# The configuration that ranks are started with. One that does not fit what the run was begun with is refused.
ask_for() { # CONFIG [--set K=V ...], for `run`, whose lock is ours
  local text begun=()
  [ ! -e "$run/metrics.jsonl" ] || [ ! -e "$run/config.yaml" ] || begun=(--resumes "$run/config.yaml")
  text=$("$program" config "$@" "${begun[@]}") || exit
  write_file "$run/job/config.yaml" "$text"
}

# ---- the record of a run ----

newest_step() { # RUN: the step of its newest checkpoint, 0 without one
  local path newest=0 step
  for path in "$1"/checkpoints/step-*/; do
    path=${path%/} step=${path##*/step-}
    [[ $step =~ ^[0-9]+$ ]] && ((10#$step > newest)) && newest=$((10#$step))
  done
  echo "$newest"
}

record() { # RUN EVENT...: one line in RUN/job/attempts
  local folder=$1
  shift
  mkdir -p "$folder/job"
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$folder/job/attempts"
}

# How often in a row the program ended by itself, or reached its time limit, without a newer checkpoint, since the run was last
# asked for. Whatever others did to it does not count: preemption, lost nodes, nodes that could not start it.
failures() { # RUN STEP
  [ -e "$1/job/attempts" ] || { echo 0; return; }
  awk -v now="$2" '
    function to(word) { step = substr(word, 6) + 0; if (step > at) { at = step; n = 0 } }
    $2 == "submit" { n = 0; at = -1; limited = 0 }
    $2 == "start" { n += limited; limited = 0; to($3) }
    $2 == "limit" { limited = 1; to($3) }
    $2 == "end" { before = at; to($3); if (at == before) n += / code=[0-9]+: again$/ || limited; limited = 0 }
    BEGIN { at = -1 }
    END { print at == now + 0 ? n + limited : 0 }' "$1/job/attempts"
}

# The nodes that did not start the program in the starts since it last came to life, the latest first.
unstarted_nodes() { # RUN
  tac "$1/job/attempts" 2>/dev/null |
    awk '$2 == "submit" { exit }
      $2 == "end" { if (!sub(/.*: not started by /, "")) exit; for (i = 1; i <= NF; i++) if (!seen[$i]++) print $i }'
}
unstarted_count() { # RUN: how many starts those are
  tac "$1/job/attempts" 2>/dev/null |
    awk '$2 == "submit" { exit } $2 == "end" { if (!/: not started by /) exit; n++ } END { print n + 0 }'
}

stuck_reason() { # RUN
  echo "no progress: $max_restarts restarts, and the newest checkpoint is still of step $(newest_step "$1");" \
    "look into the log, then start it again"
}

generation() { # RUN: how often a trainer has taken it over; "unknown" where that cannot be read
  local number
  number=$(first_line "$1/generation") || number=unknown
  [ "$number" = unknown ] || number=${number%%[!0-9]*}
  echo "${number:-0}"
}

taken_over() { # RUN GENERATION-BEFORE: by another trainer than the one that was started since
  local now
  now=$(generation "$1")
  [ "$now" != unknown ] && [ "$2" != unknown ] && [ "$now" -gt $(($2 + 1)) ]
}

# ---- one attempt ----

forward() { # SIGNAL: to what starts the ranks, which passes it on to them
  [ -z "$ranks_pid" ] || kill -s "$1" "$ranks_pid" 2>/dev/null
}

wait_for_ranks() { # sets `code`; traps set `signalled`, since a trapped signal ends a wait early
  local again
  wait "$ranks_pid"
  code=$?
  while [ -n "$signalled" ]; do
    signalled=
    wait "$ranks_pid"
    again=$?
    [ $again = 127 ] || code=$again # 127: it had ended before the signal came
  done
  ranks_pid=
}

# Starts the ranks, waits, and sets `verdict` and `code`, the exit code to end with:
#     done       RUN/DONE is there
#     halved     the sweep ended this point (RUN/STOPPED)
#     failed     the exit code is one that a restart would not mend
#     taken      another trainer has taken the run over meanwhile: restarting ours would take it back, and so on for ever
#     outside    someone or something else ended it; `outside` says how
#     unstarted  some nodes, in `unstarted`, never started the program
#     stuck      ended by itself too often without a newer checkpoint
#     again      ended by itself
# The caller defines start_ranks RUN (puts them into the background, sets ranks_pid; or fails with `code`) and look_outside RUN
# (sets `outside` and `unstarted`, both empty where the program ended by itself). Its traps set `asked` where the ranks are to
# save and stop: asked before they are started they are not, and while they are, they hear of it as soon as they can.
attempt() { # RUN WHERE...
  local folder=$1 before text watcher
  shift
  code=0 verdict='done' outside='' unstarted=''
  [ ! -e "$folder/DONE" ] || return 0
  # The last of them was killed at its time limit.
  if [ "$(failures "$folder" "$(newest_step "$folder")")" -gt "$max_restarts" ]; then
    verdict=stuck code=70
    record "$folder" "end step=$(newest_step "$folder"): $(stuck_reason "$folder")"
    return
  fi
  before=$(generation "$folder")
  record "$folder" "start step=$(newest_step "$folder") $*"
  if [ -n "$asked" ]; then
    code=75
  elif start_ranks "$folder"; then
    [ -z "$asked" ] || forward USR1
    watch_ranks "$folder" 3>&- 4>&- 9>&- & # launch/local's own output and lock are not the watcher's
    watcher=$!
    wait_for_ranks
    kill "$watcher" 2>/dev/null
  fi
  look_outside "$folder"
  decide "$folder" "$before"
  case $verdict in
    outside) text=$outside ;;
    halved) text="stopped by halving" ;;
    taken) text="another has taken the run over" ;;
    unstarted) text="not started by $unstarted" ;;
    stuck) text=$(stuck_reason "$folder") ;;
    *) text=$verdict ;;
  esac
  record "$folder" "end step=$(newest_step "$folder") code=$code: $text"
  case $verdict in
    done | halved) code=0 ;;
    stuck | taken) code=70 ;;
  esac
}

decide() { # RUN GENERATION-BEFORE: sets `verdict`
  local step
  step=$(newest_step "$1")
  if [ -e "$1/DONE" ]; then
    verdict='done'
  elif [ -e "$1/STOPPED" ]; then
    verdict=halved
  elif taken_over "$@"; then
    verdict=taken
  elif [ "$code" = 64 ] || [ "$code" = 65 ] || [ "$code" = 78 ]; then
    verdict=failed
  elif [ -n "$outside" ]; then
    verdict=outside
  elif [ -n "$unstarted" ]; then
    verdict=unstarted
  elif [ "$(failures "$1" "$step")" -ge "$max_restarts" ] && [ "$(started_at "$1")" -ge "$step" ]; then
    verdict=stuck
  else
    verdict=again
  fi
}

started_at() { # RUN: the newest checkpoint when its ranks were last started
  awk '$2 == "start" { step = substr($3, 6) } END { print step + 0 }' "$1/job/attempts"
}

# Beside the ranks until they have ended. What starts them may never hear of that (srun of slurm 22.05, where a cable was out as
# the last rank ended): a minute after DONE it is ended. Of a sweep with `halving` (first epoch and share): saves and ends the
# ranks of a point that falls behind, which leaves STOPPED.
watch_ranks() { # RUN
  trap - INT TERM USR1 HUP EXIT
  local first share patience=60
  read -r first share <<<"$halving"
  while sleep 5 >/dev/null 2>&1 && kill -0 "$ranks_pid" 2>/dev/null; do
    if [ -e "$1/DONE" ]; then
      patience=$((patience - 5))
      if [ $patience = 0 ]; then
        say "warning: $1 is finished and what started its ranks has not ended: it is ended"
        forward TERM
      elif [ $patience -lt 0 ]; then
        forward KILL
      fi
    elif [ -n "$halving" ] && [ ! -e "$1/STOPPED" ]; then
      "$program" sweep halving "$sweep" "$1" "$first" "$share"
      [ ! -e "$1/STOPPED" ] || forward USR1
    fi
  done
}

# What belongs to a finished run besides DONE, where it is missing or older: a job may end before it came to that.
evaluate_run() { # RUN: measures it on its validation faces, by which reports rank; a failure does not fail the run
  [ "$1/report/evaluation.json" -nt "$1/DONE" ] || "$program" evaluate "$1" ||
    say "warning: the evaluation of $1 failed; 'likeness evaluate $1' makes it again"
}

has_report() { # RUN
  [ "$1/report.html" -nt "$1/DONE" ]
}

write_report() { # DIR: a report that fails does not fail the run
  "$program" report "$1" || say "warning: the report of $1 failed; 'likeness report $1' writes it again"
}

say_finished() { # RUN
  say "$1: is finished already; to train it on with more epochs or steps, remove $1/DONE first"
}

# ---- the surroundings of mpirun ----

mpi_surroundings() { # RUN
  # Containers often run as root, which mpirun refuses unless it is told.
  [ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  # Or as a user that is on no list: without HOME mpirun looks there, and crashes. A folder of others could hold settings for
  # it.
  [ -n "${HOME:-}" ] || getent passwd "$(id -u)" >/dev/null || HOME=$(realpath "$1/job")
  export HOME
}
