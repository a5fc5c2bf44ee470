#!/bin/bash
# Exact resume: a run that was interrupted is the run that was not. For each precision, optimizer and accumulation: 300 steps
# straight against 300 steps stopped by a signal at three random steps (two in the same epoch), every digit of every loss and the
# final weights. Then reproducible runs over 1, 2, 4 ranks, elastic resume 4 -> 2 -> 1, and what a resume refuses.
set -euo pipefail
source "$LIKENESS_ROOT/tests/run/training.sh"
seed=${SEED:-$RANDOM}
echo "seed $seed (SEED=$seed repeats it)"
RANDOM=$seed

make_data 640 96

losses() { # RUN: every loss line without times
  python3 -c '
import json, sys
for line in open(sys.argv[1] + "/metrics.jsonl"):
    r = json.loads(line, parse_float=str)
    if r["kind"] != "checkpoint":
        print(r["kind"], r["step"], r["epoch"], *(r.get(k) for k in ("F", "F1", "F2", "L1", "lr", "grad_norm")))' "$1"
}

same_run() { # A B
  diff <(losses "$1") <(losses "$2") >/dev/null || { diff <(losses "$1") <(losses "$2") | head; echo "FAIL: losses of $1 and $2 differ"; exit 1; }
  cmp "$1/model.safetensors" "$2/model.safetensors"
  [ "$(weights "$1")" = "$(weights "$2")" ] || { echo "FAIL: weights of $1 and $2 differ"; exit 1; }
}

interrupt_at() { # RUN STEP COMMAND...: TERM as soon as that step is in metrics.jsonl; expects 75
  local run=$1 step=$2; shift 2
  "$@" >>"$run.log" 2>&1 &
  local pid=$!
  until [ -e "$run/metrics.jsonl" ] && [ "$(grep -c '"kind":"train"' "$run/metrics.jsonl")" -ge "$step" ]; do
    kill -0 $pid 2>/dev/null || { wait $pid || true; tail -5 "$run.log"; echo "FAIL: $run ended before step $step"; exit 1; }
    sleep 0.01
  done
  kill -TERM $pid
  local code=0; wait $pid || code=$?
  [ $code = 75 ] || { tail -5 "$run.log"; echo "FAIL: $run stopped with $code instead of 75"; exit 1; }
}

# 640 samples are 40 steps an epoch; checkpoints fall elsewhere.
long="--set train.steps=300 --set train.epochs=0 --set checkpoint.every_steps=70 --set train.converge.patience=0"
for case in "f32 adamw 16" "bf16 sgd 8" "f32 sgd 8" "bf16 adamw 16"; do
  read -r precision optimizer micro <<<"$case"
  name=$precision-$optimizer-$micro
  set -- "$LIKENESS" train encoder.yaml $long --set train.precision=$precision --set optimizer.name=$optimizer \
    --set train.micro_batch=$micro --set optimizer.lr=2e-3
  quiet "$@" --set run.dir=straight-$name
  a=$((5 + RANDOM % 60)) b=$((85 + RANDOM % 15)) c=$((105 + RANDOM % 10))
  for step in $a $b $c; do interrupt_at cut-$name $step "$@" --set run.dir=cut-$name; done
  quiet "$@" --set run.dir=cut-$name
  same_run straight-$name cut-$name
  [ "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["restarts"])' cut-$name/checkpoints/step-000000300/state.json)" = 3 ]
  echo "ok $name: 300 steps = 300 steps interrupted at $a, $b, $c; weights $(weights cut-$name)"
done

# Reproducible: the same digits on 1, 2 and 4 ranks, and over two resumes that change the number of ranks.
set -- train encoder.yaml --set train.reproducible=true --set train.steps=60 --set train.epochs=0 --set train.micro_batch=4 \
  --set train.precision=f32 --set checkpoint.every_steps=20 --set train.converge.patience=0
for ranks in 1 2 4; do quiet on $ranks "$LIKENESS" "$@" --set run.dir=ranks-$ranks; done
same_run ranks-1 ranks-2
same_run ranks-1 ranks-4
quiet on 4 "$LIKENESS" "$@" --set run.dir=elastic --set train.max_minutes=0.0001 && exit 1
quiet on 2 "$LIKENESS" "$@" --set run.dir=elastic --set train.max_minutes=0.0001 && exit 1
quiet on 1 "$LIKENESS" "$@" --set run.dir=elastic
same_run ranks-1 elastic
echo "ok reproducible: 1 = 2 = 4 ranks = a run over 4, 2, 1; weights $(weights elastic)"

# A finished run is left alone; a begun one is refused by --resume never; a changed key that matters is named with both values.
quiet "$LIKENESS" "$@" --set run.dir=elastic
grep -q 'done already' quiet.log
expect 78 "holds a run already" "$LIKENESS" "$@" --set run.dir=elastic --resume never
rm elastic/DONE
expect 78 "optimizer.lr" "$LIKENESS" "$@" --set run.dir=elastic --set optimizer.lr=0.123
grep -q '0.123' expect.log

# Back to an earlier checkpoint: later lines and later checkpoints go, and the run comes to the same end.
quiet "$LIKENESS" "$@" --set run.dir=elastic --resume elastic/checkpoints/step-000000040
same_run ranks-1 elastic
echo "ok what a resume refuses, and going back"
