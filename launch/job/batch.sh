# shellcheck shell=bash disable=SC2034,SC2154 # variables for those who source this, and of functions.sh
# The options of launch/submit and launch/sweep, and the batch file they write. Sourced after functions.sh.

slurm_options_help='  --nodes N             nodes of a job (1)
  --ranks-per-node R    processes on each node (1)
  --cpus-per-rank C     cores for each (what the site gives)
  --gpus-per-rank 1     a GPU for each rank, and cores that are near it (train.device: cuda)
  --gpu-bind HOW        own: SLURM shows each rank its GPU alone (default under srun); all: each sees those of its node and takes
                        the one of its number there, which NCCL may need to join GPUs by NVLink (default under mpirun)
  --stage DIR           copy the shards to this folder, on a disk of each node, before the ranks start, and read them there
  --time T              time limit, as 12:00:00 (what the site gives); the run goes on in another job when it is reached
  --partition P         where
  --account A           on whose account
  --sbatch OPTION       any other option of sbatch, as --sbatch --qos=long (may be repeated)
  --set KEY=VALUE       one key of the configuration (may be repeated)
  --grace SECONDS       how long before the time limit ranks are told to save (120)
  --max-restarts M      give up after so many restarts without a newer checkpoint (3)
  --start-with HOW      srun or mpirun (srun where srun --mpi=list has pmix)
  --dry-run             print the batch file, write and submit nothing'

nodes=1 ranks_per_node=1 cpus_per_rank='' gpus_per_rank='' gpu_bind='' time_limit='' partition='' account='' grace=120 stage=''
start_with='' dry_run=''
sets=() sbatch_options=()
# Inside of another job its variables would be taken for those of ours.
[ -z "${SLURM_JOB_ID:-}" ] || for name in "${!SLURM_@}"; do [ "$name" = SLURM_CONF ] || unset "$name"; done

parse_slurm_option() { # takes one option off "$@" of the caller: sets `taken` to how many words, 0 if it is not one of these
  taken=2
  case $1 in
    --nodes) nodes=${2-} ;;
    --ranks-per-node) ranks_per_node=${2-} ;;
    --cpus-per-rank) cpus_per_rank=${2-} ;;
    --gpus-per-rank) gpus_per_rank=${2-} ;;
    --gpu-bind) gpu_bind=${2-} ;;
    --stage) stage=${2-} ;;
    --time) time_limit=${2-} ;;
    --partition) partition=${2-} ;;
    --account) account=${2-} ;;
    --sbatch) sbatch_options+=("${2-}") ;;
    --set) sets+=(--set "${2-}") ;;
    --grace) grace=${2-} ;;
    --max-restarts) max_restarts=${2-} ;;
    --start-with) start_with=${2-} ;;
    --dry-run) dry_run=yes taken=1; return ;;
    *) taken=0; return ;;
  esac
  [ -n "${2-}" ] || die 64 "$1 needs a value"
}

check_slurm_options() {
  local number
  for number in "$nodes" "$ranks_per_node" "${cpus_per_rank:-1}" "$grace"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die 64 "'$number' is not a whole number above 0 (nodes, ranks, cpus, grace)"
  done
  [[ ${gpus_per_rank:-1} = 1 ]] || die 64 "--gpus-per-rank takes 1, not '$gpus_per_rank': a rank computes on one GPU; add ranks"
  [[ $max_restarts =~ ^[0-9]+$ ]] || die 64 "--max-restarts takes a whole number, not '$max_restarts'"
  [[ -z $stage || $stage = /* ]] || die 64 "--stage takes a folder of the nodes, from the root on, not '$stage'"
  command -v sbatch >/dev/null || die 64 "there is no sbatch here: run this on a login node, or use launch/local"
  if [ -z "$start_with" ]; then
    if srun --mpi=list 2>&1 | grep -qw pmix; then start_with=srun; else start_with=mpirun; fi
  fi
  [[ $start_with = srun || $start_with = mpirun ]] || die 64 "--start-with takes srun or mpirun, not '$start_with'"
  if [ -z "$gpu_bind" ]; then
    if [ "$start_with" = srun ]; then gpu_bind=own; else gpu_bind=all; fi
  fi
  [[ $gpu_bind = own || $gpu_bind = all ]] || die 64 "--gpu-bind takes own or all, not '$gpu_bind'"
  # mpirun has one task on each node, whose GPU would be everyone's.
  [ "$gpu_bind$start_with" != ownmpirun ] || die 64 "--gpu-bind own needs srun (--start-with srun)"
}

# ---- the batch file ----

# sbatch takes words in double quotes off its lines, with backslashes before what is not to be read; a line cannot hold a line
# break.
quoted() { # TEXT
  [[ $1 != *[[:cntrl:]]* ]] ||
    die 64 "'${1//[[:cntrl:]]/?}' holds a line break or another control character, which a batch file cannot; rename it"
  if [[ $1 =~ ^[-A-Za-z0-9_./:=,@%+]+$ ]]; then
    echo "$1"
    return
  fi
  local text=${1//\\/\\\\}
  echo "\"${text//\"/\\\"}\""
}

# What follows the name of an option is one word, whatever it holds: "--comment=a b", "-C a&b".
directive() { # OPTION
  local text
  if [[ $1 =~ ^(-[A-Za-z]|--[-a-z]+)(=| +)(.+)$ ]]; then
    text=$(quoted "${BASH_REMATCH[3]}") || exit
    text=${BASH_REMATCH[1]}${BASH_REMATCH[2]}$text
  else
    text=$(quoted "$1") || exit
  fi
  printf '#SBATCH %s\n' "$text"
}

# In the path of a log SLURM replaces what follows a %, unless it is doubled; with a backslash in it the log would be written
# nowhere.
log_path() { # FOLDER NAME: of which only the name is a pattern
  local folder=$1
  [[ $1 = /* ]] || folder=$PWD/$1
  [[ $folder != *\\* ]] || die 64 "$1: SLURM cannot write a log where a path has a backslash; choose another run.dir"
  echo "${folder//%/%%}/$2"
}

batch_header() { # NAME LOG
  echo '#!/bin/bash'
  directive "--job-name=$1"
  directive "--output=$2"
  directive "--open-mode=append"
  directive "--chdir=$PWD"
}

# A GPU is told to ranks by SLURM, or found by each from its number on the node.
gpu_directives() {
  if [ "$gpu_bind" = own ]; then
    directive "--gpus-per-task=1"
  else
    # Not --gpu-bind=none, with which SLURM leaves out which GPUs of the node are the job's.
    directive "--gpus-per-node=$ranks_per_node"
  fi
  directive "--gres-flags=enforce-binding" # only cores that the site calls near the GPUs
}

batch_file_text() { # FOLDER LOG-NAME run|sweep: a job that trains that run, or a point of that sweep
  local log option
  log=$(log_path "$1/job" "$2") || exit
  # The ranks get the signal from SLURM, but mpirun's only through the script.
  local signal=USR1
  [ "$start_with" = srun ] || signal=B:USR1
  batch_header "$(basename -- "$1")" "$log"
  directive "--nodes=$nodes"
  directive "--ntasks-per-node=$ranks_per_node"
  [ -z "$cpus_per_rank" ] || directive "--cpus-per-task=$cpus_per_rank"
  [ -z "$gpus_per_rank" ] || gpu_directives
  [ -z "$time_limit" ] || directive "--time=$time_limit"
  [ -z "$partition" ] || directive "--partition=$partition"
  [ -z "$account" ] || directive "--account=$account"
  directive "--signal=$signal@$grace"
  directive "--requeue"
  for option in "${sbatch_options[@]}"; do directive "$option"; done
  printf '. %q\n' "$launch/job/job.sh"
  printf '%s=%q\n' "$3" "$1" batch_file "$1/job/job.sbatch" program "$program" start_with "$start_with" \
    max_restarts "$max_restarts" grace "$grace" halving "$halving" stage "$stage"
  echo run_job
}

submit_batch() { # FILE [SBATCH-OPTIONS...]: sets `id`
  id=$(sbatch --parsable "${@:2}" "$1") || die 70 "sbatch refused $1"
  id=${id%%;*}
}

# By which a second job on the same folder is refused: a job that cannot be remembered must not be there.
remember_job() { # ID FOLDER
  (write_file "$2/job/id" "$1") 2>/dev/null && return
  scancel "${1%%_*}"
  die 70 "$2: job $1 is cancelled again, since its number could not be kept; submit once more"
}
