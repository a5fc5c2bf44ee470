#!/bin/bash
# Disks and folders that are unkind to checkpoints: what cannot be looked at just now is not absent (tests/faults/faults.c
# makes calls fail), links that cannot be made, copied runs, leftovers that cannot be removed, foreign names. Nothing is lost,
# and the run comes to the same end.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export OMP_NUM_THREADS=1
shim=$LIKENESS_BUILD/tests/faults.so
tiny_world 16
cat >run.yaml <<'YAML'
run: {dir: run, seed: 3}
data: {train: tiny/train, val: tiny/val, threads: 1, prefetch: 2}
model: {size: 32, decoder: {width: 0.0625}}
optimizer: {name: adamw, lr: 2.0e-3, warmup_steps: 5}
train: {stage: decoder, global_batch: 4, micro_batch: 4, steps: 12, precision: f32, threads: 1, converge: {patience: 0}}
validate: {samples: 2}
checkpoint: {every_steps: 100, keep: 100}
YAML
train=(train run.yaml)
begun() { # run/: stopped after step 8, its metrics four lines ahead
  rm -rf run
  cp -r calm run
  rm -r run/DONE run/model.safetensors run/checkpoints/{step-000000012,best}
}
failing() { # ROOT CALL FROM TIMES ERRNO COMMAND...
  FAULTS_ROOT=$PWD/$1 FAULTS_CALL=$2 FAULTS_AT=$3 FAULTS_TIMES=$4 FAULTS_ERRNO=$5 \
    LD_PRELOAD=$shim "$LIKENESS" "${@:6}" >out.log 2>err.log
}
contents() { find run -type f -exec sha256sum {} + | sort -k 2; }
names() { (cd run/checkpoints && echo *); }

works 1 "${train[@]}"
mv run calm
best=$(metric calm val L1 | awk '!n || $1 < least { least = $1; n = NR } END { print 4 * n }')
best=$(printf 'step-%09d' "$best")
kept=$(printf '%s\n' best step-000000008 step-000000012 "$best" | sort -u | xargs) # with checkpoint.keep=2

# ---- looked at in vain: 70, nothing is changed, and the next start goes on ----
for case in "stat checkpoints ESTALE Stale" "readdir checkpoints EIO Input/output" "open checkpoints EACCES Permission" \
  "open checkpoints EMFILE Too" "read checkpoints ESTALE Stale" "open generation EIO Input/output" \
  "stat DONE EACCES Permission"; do
  read -r call name reason words <<<"$case"
  begun
  contents >before
  failing run/$name $call 1 1000000 $reason "${train[@]}"
  code=$?
  [ $code = 70 ] || fail "$case: exit $code"
  [ "$(grep -c 'error: ' err.log)" = 1 ] && grep -q "error: .*run/$name.*$words" err.log ||
    fail "$case: not one line with path and reason"
  contents | diff before - || fail "$case: the run is not as it was"
done
begun
failing run/checkpoints open 2 2 ESTALE "${train[@]}" || fail "two stale handles end a start"
same_run calm run
begun
failing tiny read 1 1000000 EIO "${train[@]}"
[ $? = 70 ] && grep -q 'tiny/train/shard-00000.h5: cannot' err.log || fail "a shard that cannot be read is not 70"
works 1 "${train[@]}"
same_run calm run
echo "ok what cannot be looked at"

# ---- what is passed over is set aside until the run has come as far ----
begun
cp -r calm/checkpoints/step-000000012 run/checkpoints
flip run/checkpoints/step-000000012/model.safetensors 5000
likeness_on 1 "${train[@]}" --set train.max_minutes=0.0000001
[ $? = 75 ] || fail "max_minutes does not stop"
[ -d run/checkpoints/step-000000012.aside-1 ] || fail "a damaged checkpoint was not set aside: $(names)"
cmp -s run/checkpoints/step-000000012.aside-1/state.json calm/checkpoints/step-000000012/state.json ||
  fail "it is not the one set aside"
cp -r run/checkpoints/step-000000012.aside-1 run/checkpoints/step-000000012.aside-1.kept
works 1 "${train[@]}"
same_run calm run
[ "$(cd run/checkpoints && compgen -G '*.aside-*')" = step-000000012.aside-1.kept ] || fail "it stays, or more went: $(names)"
# A job that ended before its first checkpoint: begun anew, its lines kept until there is one.
begun
rm -r run/checkpoints
sed -i '/"checkpoint"/d; 3q' run/metrics.jsonl
cp run/metrics.jsonl early
failing run/checkpoints rename 1 1000000 EIO "${train[@]}"
[ $? = 70 ] || fail "a run that cannot save ends with 0"
cmp -s early run/metrics.jsonl.aside-1 || fail "metrics without a checkpoint were cut"
rm -rf run
echo "ok set aside"

# ---- best ----
failing run link 1 1000000 EOPNOTSUPP "${train[@]}" --set checkpoint.keep=2 || fail "exit $? without symbolic links"
[ "$(grep -c 'warning: ' err.log)" = 1 ] || fail "not one warning without symbolic links"
[ "$(cat run/checkpoints/best)" = "$best" ] && [ "$(names)" = "$kept" ] ||
  fail "without symbolic links: $(names)"
# A copy that followed the links.
begun
ln -s step-000000004 run/checkpoints/best
rm -r copied 2>/dev/null; cp -rL run copied; rm -r run; mv copied run
works 1 "${train[@]}" --set checkpoint.keep=2
[ "$(readlink run/checkpoints/best)" = "$best" ] && [ "$(names)" = "$kept" ] || fail "a copied best: $(names)"
# min_delta is for convergence alone.
works 1 "${train[@]}" --set run.dir=delta --set train.converge.min_delta=10
[ "$(readlink delta/checkpoints/best)" = "$best" ] || fail "best waits for min_delta"
[ "$(state_of delta 12 epochs_without_gain)" = 1 ] || # the checkpoint is from before its validation
  fail "min_delta does not count for convergence"
echo "ok best"

# ---- leftovers and foreign names ----
begun
mkdir run/checkpoints/step-000000039.vm-1.tmp run/checkpoints/step-99
touch run/checkpoints/step-000000039.vm-1.tmp/.nfs0001 run/checkpoints/step-000000500 run/metrics.jsonl.tmp-here-1-0a0b0c0d
failing run/checkpoints/step-000000039.vm-1.tmp unlink 1 1000000 EACCES "${train[@]}" ||
  fail "a leftover that cannot be removed blocks the start"
grep -q 'warning: a leftover of an earlier job stays: run/checkpoints/step-000000039' err.log || fail "it is not told"
same_run calm run
[ ! -e run/metrics.jsonl.tmp-here-1-0a0b0c0d ] || fail "a leftover of metrics stays"
[ -d run/checkpoints/step-99 ] && [ -f run/checkpoints/step-000000500 ] || fail "foreign names are gone: $(names)"
echo "ok: unkind disks and folders: nothing is lost"
