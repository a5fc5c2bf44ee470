#!/bin/bash
# Exact resume: a run that was interrupted is the run that was not. 300 steps straight against 300 steps stopped by a signal at
# three random steps (one in the first epoch, two in the second): every digit of every loss, and the final weights. Then
# reproducible runs on 1, 2 and 4 ranks, elastic resume 4 -> 2 -> 1, and what a resume refuses. FULL=1: all of f32 and bf16, SGD
# and AdamW, accumulation 1 and 2, instead of half of these combinations.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
seed=${SEED:-$RANDOM}
echo "seed $seed (SEED=$seed repeats it)"
RANDOM=$seed
export OMP_NUM_THREADS=1

tiny_world 400

cases=("f32 adamw 4" "bf16 sgd 4" "f32 sgd 2" "bf16 adamw 2")
[ -z "${FULL:-}" ] || cases+=("f32 adamw 2" "bf16 sgd 2" "f32 sgd 4" "bf16 adamw 4")
for case in "${cases[@]}"; do
  read -r precision optimizer micro <<<"$case"
  name=$precision-$optimizer-$micro
  set -- train tiny.yaml --set train.steps=300 --set checkpoint.every_steps=70 --set train.precision=$precision \
    --set optimizer.name=$optimizer --set train.micro_batch=$micro --set optimizer.lr=1e-3
  works 1 "$@" --set run.dir=straight-$name
  stops=
  for step in $((5 + RANDOM % 60)) $((102 + RANDOM % 20)) $((140 + RANDOM % 20)); do
    interrupt_at cut-$name $step TERM 1 "$@" --set run.dir=cut-$name
    stops="$stops $stopped_at"
  done
  read -r a b c <<<"$stops"
  ((a < 100 && b > 100 && c > b && c < 200)) ||
    fail "stopped at $stops instead of once in the first and twice in the second epoch"
  works 1 "$@" --set run.dir=cut-$name
  same_run straight-$name cut-$name
  [ "$(state_of cut-$name 300 restarts)" = 3 ] || fail "$name: not three restarts"
  echo "ok $name: 300 steps = 300 steps stopped at$stops; weights $(weights_hash cut-$name)"
done

# Reproducible: the same digits on 1, 2 and 4 ranks, and over two resumes that change the number of ranks.
set -- train tiny.yaml --set train.reproducible=true --set train.steps=30 --set train.micro_batch=1 \
  --set checkpoint.every_steps=10
for ranks in 1 2 4; do works $ranks "$@" --set run.dir=ranks-$ranks; done
same_run ranks-1 ranks-2
same_run ranks-1 ranks-4
for ranks in 4 2; do
  likeness_on $ranks "$@" --set run.dir=elastic --set train.max_minutes=0.0001
  [ $? = 75 ] || fail "max_minutes does not stop $ranks ranks with 75"
done
works 1 "$@" --set run.dir=elastic
same_run ranks-1 elastic
echo "ok reproducible: 1 = 2 = 4 ranks = a run over 4, 2, 1; weights $(weights_hash elastic)"

refused() { # CODE TEXT ARGUMENTS...: one line of error, the run folder as it was
  local code=$1 text=$2 before got; shift 2
  before=$(ls elastic/checkpoints; md5sum elastic/{metrics.jsonl,generation})
  likeness_on 1 "$@"
  got=$?
  [ $got = "$code" ] || fail "exit $got, not $code: $*"
  [ "$(grep -c 'error: ' err.log)" = 1 ] && grep 'error: ' err.log | grep -qF -- "$text" ||
    fail "no line of error with '$text': $*"
  [ "$before" = "$(ls elastic/checkpoints; md5sum elastic/{metrics.jsonl,generation})" ] ||
    fail "a refused resume changed the run: $*"
}

# A finished run is left alone; a begun one is refused by --resume never; a key that matters is named with both values.
works 1 "$@" --set run.dir=elastic
grep -q 'done already$' err.log || fail "a finished run is trained again"
# Another length or another configuration: said, with what to do, and nothing is trained.
works 1 "$@" --set run.dir=elastic --set optimizer.lr=0.123
grep -q 'done already, by another configuration.*start in another run.dir: optimizer.lr.*0\.123.*model.init' err.log ||
  fail "a finished run asked for another learning rate"
set -- "$@" --set optimizer.schedule=constant
works 1 "$@" --set run.dir=longer --set train.steps=2
works 1 "$@" --set run.dir=longer --set train.steps=3
grep -q 'done already, at train.epochs 0, train.steps 2, .*train.steps 3, remove longer/DONE' err.log ||
  fail "a finished run asked for more"
[ "$(grep -c '"kind":"train"' longer/metrics.jsonl)" = 2 ] || fail "a finished run was trained on"
rm longer/DONE
works 1 "$@" --set run.dir=longer --set train.steps=3
grep -q '^steps 3,' longer/DONE || fail "a finished run did not go on to its new length"
[ "$(metric longer val step | xargs)" = "2 3" ] && [ "$(state_of longer 3 best_step)" = 2 ] ||
  fail "the run does not know of the validation with which it had ended: $(state_of longer 3 best_step)"
set -- "${@:1:$#-2}"
refused 78 "holds a run already" "$@" --set run.dir=elastic --resume never
rm elastic/DONE
refused 78 "optimizer.lr" "$@" --set run.dir=elastic --set optimizer.lr=0.123
grep -q '0\.123' err.log && grep -q '0\.0005' err.log || fail "not both values of the changed key"
refused 65 "--resume elastic: there is no state.json in it, so it is no checkpoint" "$@" --set run.dir=elastic --resume elastic
# DONE lost: nothing is trained again, and it comes back.
works 1 "$@" --set run.dir=elastic
same_run ranks-1 elastic

# Back to an earlier checkpoint: later lines and checkpoints go, and the run comes to the same end. By its name and by a link.
# (A checkpoint that is due while the one before is still being written comes some steps later.)
saved() { find elastic/checkpoints -name 'step-*' -printf '%f\n' | sort; }
works 1 "$@" --set run.dir=elastic --resume "elastic/checkpoints/$(saved | sed -n 2p)"
same_run ranks-1 elastic
ln -s "$(saved | head -n 1)" elastic/checkpoints/here
works 1 "$@" --set run.dir=elastic --resume elastic/checkpoints/here
same_run ranks-1 elastic
# A run that had checkpoints is not begun anew because they are gone or damaged; brought back, it goes on.
rm elastic/DONE
mv elastic/checkpoints away
refused 65 "had a checkpoint of step 30" "$@" --set run.dir=elastic
mv away elastic/checkpoints
cp -r elastic/checkpoints away
for checkpoint in $(saved); do flip "elastic/checkpoints/$checkpoint/state.json" 100; done
likeness_on 1 "$@" --set run.dir=elastic
[ $? = 65 ] && grep -q "none of its $(saved | wc -l) checkpoints can be used" err.log ||
  fail "a run is begun anew where no checkpoint holds"
[ "$(ls elastic/checkpoints)" = "$(ls away)" ] || fail "checkpoints are gone after a refused start"
rm -r elastic/checkpoints
mv away elastic/checkpoints
works 1 "$@" --set run.dir=elastic
same_run ranks-1 elastic
# A copy of a damaged checkpoint, of a run that is stopped in the validation with which it begins: it is saved all the same.
cp -r elastic/checkpoints/step-000000030 copy
rm elastic/DONE
flip elastic/checkpoints/step-000000030/model.safetensors 5000
likeness_on 1 "$@" --set run.dir=elastic --set train.max_minutes=1e-9 --resume copy
[ $? = 75 ] || fail "not stopped at once"
works 1 "$@" --set run.dir=elastic
says 'resumed from elastic/checkpoints/step-000000030 '
same_run ranks-1 elastic
# Another run's checkpoint: this run has one of its own at the end.
works 1 "$@" --set run.dir=other --resume ranks-1/checkpoints/step-000000030
[ -d other/checkpoints/step-000000030 ] || fail "a run begun from another's last checkpoint has none"
echo "ok what a resume refuses, and going back"
