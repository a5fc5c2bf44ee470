#!/bin/bash
# data.block: runs of neighbouring faces come close to each other; the same faces on 1, 2 and 4 ranks and after a stop in the
# middle of an epoch, digit for digit, with shares and augmentation; 1 is what a configuration without it means.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export OMP_NUM_THREADS=1
write_configs
faces canonical train 24 0
faces canonical val 6 100000
faces varied train 41 0
faces varied second 16 5000
faces varied val 6 100000
works 1 train decoder.yaml --set train.epochs=1
mixture='data.train=[{path: faces/varied/train, share: 1}, {path: faces/varied/second, share: 3}]'
joint='data.train=[faces/varied/train, faces/varied/second]'
training=(train encoder.yaml --set train.reproducible=true --set train.micro_batch=1 --set train.epochs=0 --set train.steps=16
  --set checkpoint.every_steps=3 --set data.threads=2 --set optimizer.schedule=constant)

set -- "${training[@]}" --set data.block=4 --set "$mixture" --set data.augment.flip=0.5 --set data.augment.crop=0.7
for ranks in 1 2 4; do works $ranks "$@" --set run.dir=ranks-$ranks; done
same_run ranks-1 ranks-2
same_run ranks-1 ranks-4
# An epoch is 7 steps: ended within the first and within the second, and gone on with by other ranks. (Their validations come
# besides.)
for part in "1 4" "2 10" "4 16"; do
  read -r ranks steps <<<"$part"
  works $ranks "$@" --set run.dir=cut --set train.steps=$steps
  rm cut/DONE
done
works 1 "$@" --set run.dir=cut
diff <(losses ranks-1 | grep ^train) <(losses cut | grep ^train) >differences ||
  { head differences; fail "the steps of cut differ"; }
cmp ranks-1/model.safetensors cut/model.safetensors || fail "the weights of cut differ"

set -- "${training[@]}" --set "$joint"
works 1 "$@" --set run.dir=plain
works 1 "$@" --set run.dir=one --set data.block=1
same_run plain one
works 1 "$@" --set run.dir=runs --set data.block=4 --set train.steps=4
rm runs/DONE
likeness_on 1 "$@" --set run.dir=runs --set data.block=5
[ $? = 78 ] && grep -q 'data.block was 4, is 5' err.log || fail "another block on resume"
works 1 "$@" --set run.dir=runs --set data.block=4
[ "$(weights_hash runs)" != "$(weights_hash plain)" ] || fail "data.block changes nothing"
refused 78 "data.block" train encoder.yaml --set data.block=0
echo "block: ok"
