#!/bin/bash
# Disks that fail: commands are run while one class of calls (stat, open, read, readdir, write, rename, link, unlink, fsync,
# mkdir) fails from a random call on, for once or for good, with a random reason (tests/faults/faults.c). None of these says
# what a file holds, so: the exit code is 0 or 70, never 65; no checkpoint is lost and no line of metrics is wrong; and the
# same command without failures comes to the result of a calm run. RUNS=N for another number, SEED=N to repeat one,
# ONLY=SCENARIO for one kind of command.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
sanitized && usual=12 || usual=60
runs=${RUNS:-$usual} seed=${SEED:-$RANDOM}
echo "seed $seed (SEED=$seed RUNS=$runs repeats it)"
RANDOM=$seed
export OMP_NUM_THREADS=1
shim=$LIKENESS_BUILD/tests/faults.so
[ -e "$shim" ] || fail "$shim is not built"

# ---- a small world: everything that a command reads or writes lies in work/ ----

mkdir world
cd world || exit
tiny_world 16
cat >run.yaml <<'YAML'
run: {dir: run, seed: 3}
data: {train: tiny/train, val: tiny/val, threads: 1, prefetch: 2}
model: {size: 32, decoder: {width: 0.0625}}
optimizer: {name: adamw, lr: 2.0e-3, warmup_steps: 5}
train: {stage: decoder, global_batch: 4, micro_batch: 4, steps: 12, precision: f32, threads: 1, converge: {patience: 0}}
validate: {samples: 2}
checkpoint: {every_steps: 3, keep: 3}
YAML
works 1 train run.yaml
mv run calm
cat >schema.yaml <<'YAML'
name: small
continuous:
  - {name: nose, min: -1, max: 1, default: 0}
discrete:
  - {name: hair, choices: [bald, long]}
YAML
mkdir -p photos/more
for i in 1 2 3 4 5 6; do
  [ $i -gt 4 ] && place=photos/more || place=photos
  cp calm/samples/step-000000012.png $place/$i.png # a square picture
  echo "{\"continuous\": {\"nose\": 0.$i}, \"discrete\": {\"hair\": \"long\"}}" >$place/$i.json
done
tar -cf photos.tar photos
tar -czf photos.tar.gz photos
cp -r calm begun # before its last checkpoint: three lines of metrics are to be cut
rm -r begun/DONE begun/model.safetensors begun/checkpoints/{step-000000012,best}
cp -r calm passed # its newest checkpoint is damaged
rm -r passed/DONE passed/model.safetensors
flip passed/checkpoints/step-000000012/model.safetensors 5000
cd ..

# ---- the commands ----

train=("$LIKENESS" train run.yaml --set run.dir=run)
pack=(-o packed --schema schema.yaml --size 32 --shard-size 4 --threads 1 --resume)
command_of() { # SCENARIO: sets `command`; work/ is as it should be before
  rm -rf work
  mkdir work
  cp -r world/{tiny,run.yaml,schema.yaml} work
  case $1 in
    fresh) command=("${train[@]}") ;;
    begun | passed) cp -r "world/$1" work/run; command=("${train[@]}") ;;
    back) cp -r world/calm work/run; command=("${train[@]}" --resume run/checkpoints/step-000000008) ;;
    folder) cp -r world/photos work; command=("$LIKENESS" pack photos "${pack[@]}") ;;
    archive) cp world/photos.tar.gz work; command=("$LIKENESS" pack photos.tar.gz "${pack[@]}") ;;
    tar) cp world/photos.tar work; command=("$LIKENESS" pack photos.tar "${pack[@]}") ;;
    render) command=("$LIKENESS" render --random 6 --size 32 --shard-size 4 --threads 1 --force -o drawn) ;;
    report) cp -r world/calm work/run; command=("$LIKENESS" report run -o report.html) ;;
    evaluate)
      cp -r world/calm work/run
      sed -i 's/^  dir: .*/  dir: run/' work/run/config.yaml
      command=("$LIKENESS" evaluate run)
      ;;
    export) cp -r world/begun work/run; command=("$LIKENESS" export run -o exported.safetensors) ;;
    inspect) command=("$LIKENESS" inspect tiny/train --verify) ;;
    submit) rm -f queue; cp -r world/begun work/run; command=("$LIKENESS_ROOT/launch/submit" run.yaml --set run.dir=run) ;;
  esac
}
scenarios=(fresh begun passed back fresh begun passed back folder archive tar render report evaluate export inspect submit)

# SLURM as far as launch/submit needs it; its queue is not on the disk that fails.
mkdir slurm
export SLURM_QUEUE=$PWD/queue
stand_in() { printf '#!/bin/bash\n%s\n' "$2" >"slurm/$1" && chmod +x "slurm/$1"; }
stand_in sbatch 'tail -n 1 "${!#}" | grep -qx run_job || exit
  id=$((1 + $(wc -l <"$SLURM_QUEUE.all"))); echo $id >>"$SLURM_QUEUE.all"; echo $id >>"$SLURM_QUEUE"; echo $id'
stand_in scancel 'sed -i "/^$1\$/d" "$SLURM_QUEUE"'
stand_in squeue 'for word; do case $word in --jobs=*) grep -x "${word#*=}" "$SLURM_QUEUE" ;; esac; done; true'
stand_in srun 'echo pmix'
touch queue.all
export PATH=$PWD/slurm:$PATH LIKENESS
result_of() { # SCENARIO: what must be the same whatever happened on the way
  case $1 in
    fresh | begun | passed | back)
      losses work/run
      sha256sum <work/run/model.safetensors
      cat work/run/DONE
      ls -d work/run/checkpoints/step-000000012
      ;;
    folder | archive | tar)
      "$LIKENESS" inspect work/packed --verify
      ls work/packed | grep -v '\.tmp-'
      sed '/"seconds"\|"threads"/d' work/packed/pack.json
      cat work/packed/rejected.jsonl
      ;;
    render) (cd work/drawn && sha256sum ./*.h5) ;;
    report) sed 's/; written [^<]*//; s/unfinished\|running/-/g' work/report.html ;;
    evaluate) cat work/run/report/evaluation.json; (cd work/run/report && sha256sum ./*.png) ;;
    export) sha256sum <work/exported.safetensors ;;
    inspect) cat out.log ;;
    submit)
      cat work/run/job/{config.yaml,job.sbatch}
      diff work/run/job/id queue && echo "one job, and the folder knows it"
      ;;
  esac
}
calmly() { (cd work && exec "${command[@]}") >out.log 2>err.log; }

# ---- what may never happen ----

judge() { # WHAT: of a training that was disturbed; before/ is its folder as it was
  python3 - "$1" <<'PYTHON' || fail "$1: the run folder"
import glob, hashlib, json, os, re, sys
def contents(folder):
    return {f: hashlib.sha256(open(f"{folder}/{f}", "rb").read()).hexdigest() for f in sorted(os.listdir(folder))}
def checkpoints(run):
    names = os.listdir(f"{run}/checkpoints") if os.path.isdir(f"{run}/checkpoints") else []
    return {n: contents(f"{run}/checkpoints/{n}") for n in names if re.fullmatch(r"step-\d{9}(\.aside-\d+)?", n)}
def lines(run):
    if not os.path.exists(f"{run}/metrics.jsonl"):
        return []
    return [json.loads(l, parse_float=str) for l in open(f"{run}/metrics.jsonl")]
before, after = checkpoints("before"), checkpoints("work/run")
newest = max((int(n[5:]) for n in after if len(n) == 14), default=0)
for name, files in before.items(): # there, set aside, or a commit of its step or a later one has come
    kept = files in [after[n] for n in after if n[:14] == name[:14]]
    assert kept or newest >= int(name[5:14]), f"lost {name}: {sorted(after)}"
keys = ("kind", "step", "epoch", "L1", "lr", "grad_norm")
calm = {(e["kind"], e["step"]): [e.get(k) for k in keys] for e in lines("world/calm")}
forgiven = "kept in memory" in open("err.log").read()
steps = []
for e in lines("work/run"):
    if e["kind"] == "checkpoint":
        continue
    assert [e.get(k) for k in keys] == calm[e["kind"], e["step"]], f"wrong line {e}"
    if e["kind"] == "train":
        steps.append(e["step"])
assert steps == sorted(set(steps)), f"steps {steps}"
assert forgiven or steps == list(range(1, len(steps) + 1)), f"steps {steps}"
assert forgiven or len(steps) >= newest, f"a checkpoint of step {newest}, metrics of {len(steps)} steps"
PYTHON
}

# But for lines of metrics that could not be written, were kept in memory, and went with the process that had to end.
same_result() { # LOG-OF-THE-DISTURBED-RUN WHAT
  diff "result-$scenario" result >differences || grep -q 'kept in memory' "$1" || { cat faults.log; head differences; fail "$2"; }
}

already_submitted() { [ $scenario = submit ] && grep -q 'job [0-9]* works on it' err.log; }

is_training() { [[ $1 =~ ^(fresh|begun|passed|back)$ ]]; }

# ---- calm runs, which count the calls ----

declare -A calls
for scenario in "${scenarios[@]}"; do
  [ ! -e "result-$scenario" ] || continue
  command_of $scenario
  rm -f calls.log
  FAULTS_LOG=$PWD/calls.log FAULTS_ROOT=$PWD/work FAULTS_AT=0 LD_PRELOAD=$shim calmly ||
    fail "$scenario without failures: ${command[*]}"
  result_of $scenario >"result-$scenario" 2>&1
  while read -r _ class n; do calls[$scenario,$class]=$n; done < <(grep '^calls ' calls.log)
done

# ---- the storm ----

classes=(stat open read readdir write rename link unlink fsync mkdir)
reasons=(ESTALE EIO EACCES EMFILE ENOSPC EPERM EROFS)
declare -A ended
done_runs=0 struck=0
while [ $done_runs -lt $runs ]; do
  scenario=${ONLY:-${scenarios[RANDOM % ${#scenarios[@]}]}}
  class=${classes[RANDOM % ${#classes[@]}]} reason=${reasons[RANDOM % ${#reasons[@]}]}
  most=${calls[$scenario,$class]}
  at=$((1 + (RANDOM * 32768 + RANDOM) % (most > 0 ? most : 1)))
  pick=(1 2 4 1000000) times=${pick[RANDOM % 4]}
  [ "$most" -gt 0 ] || continue
  done_runs=$((done_runs + 1))
  what="run $done_runs: $scenario, $times x $class from call $at of $most: $reason"
  command_of $scenario
  rm -rf before faults.log
  ! is_training $scenario || if [ -e work/run ]; then cp -r work/run before; else mkdir before; fi
  FAULTS_LOG=$PWD/faults.log FAULTS_ROOT=$PWD/work FAULTS_CALL=$class FAULTS_AT=$at FAULTS_TIMES=$times FAULTS_ERRNO=$reason \
    LD_PRELOAD=$shim calmly
  code=$?
  ! grep -q '^fault ' faults.log || struck=$((struck + 1))
  [ $code = 0 ] || [ $code = 70 ] || { cat faults.log; fail "$what: exit $code"; }
  [ $code = 0 ] || [ "$(grep -c 'error: ' err.log)" = 1 ] || { cat faults.log; fail "$what: not one line of error"; }
  cp err.log disturbed.log
  ended[$code]=$((${ended[$code]:-0} + 1))
  ! is_training $scenario || judge "$what"
  if [ $code = 0 ]; then
    result_of $scenario >result 2>&1
    same_result err.log "$what: exit 0 and another result"
  fi
  calmly || already_submitted || { cat faults.log; fail "$what: then exit $? without failures"; }
  result_of $scenario >result 2>&1
  same_result disturbed.log "$what: then another result"
done
echo "ok: seed $seed, $done_runs runs, in $struck of them calls failed;" \
  "${ended[0]:-0} ended with 0, ${ended[70]:-0} with 70; nothing lost"
