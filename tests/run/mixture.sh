#!/bin/bash
# Sets with shares, and augmentation: the same faces and pictures on 1, 2 and 4 ranks, and after a stop in the middle of an epoch,
# digit for digit; shares decide what is learnt from; augmentation changes what is learnt and nothing else.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export OMP_NUM_THREADS=1
write_configs
faces canonical train 24 0
faces canonical val 6 100000
faces varied train 40 0
faces varied second 16 5000
faces varied val 6 100000
works 1 train decoder.yaml --set train.epochs=1
mixture='data.train=[{path: faces/varied/train, share: 1}, {path: faces/varied/second, share: 3}]'
augment=()
for kind in flip colour blur noise jpeg occlude crop warp; do augment+=(--set "data.augment.$kind=0.7"); done
set -- train encoder.yaml --set "$mixture" "${augment[@]}" --set train.reproducible=true --set train.micro_batch=1 \
  --set train.epochs=0 --set train.steps=21 --set checkpoint.every_steps=3 --set data.threads=2
for ranks in 1 2 4; do works $ranks "$@" --set run.dir=ranks-$ranks; done
same_run ranks-1 ranks-2
same_run ranks-1 ranks-4

# An epoch is 7 steps: stopped within the first and within the second.
interrupt_at cut 4 TERM 1 "$@" --set run.dir=cut
interrupt_at cut 9 TERM 2 "$@" --set run.dir=cut
works 2 "$@" --set run.dir=cut
same_run ranks-1 cut

# Without shares, and without augmentation, it is another training.
works 1 "$@" --set run.dir=plain --set 'data.train=[faces/varied/train, faces/varied/second]'
[ "$(weights_hash plain)" != "$(weights_hash ranks-1)" ] || fail "shares change nothing"
works 1 train encoder.yaml --set "$mixture" --set train.reproducible=true --set train.micro_batch=1 --set train.epochs=0 \
  --set train.steps=21 --set run.dir=still
[ "$(weights_hash still)" != "$(weights_hash ranks-1)" ] || fail "augmentation changes nothing"
refuses 78 "share 1e-09 of set 2 is too small" train encoder.yaml --set run.dir=RUN --set train.global_batch=6 \
  --set 'data.train=[{path: faces/varied/train, share: 1}, {path: faces/varied/second, share: 1e-9}]'
refuses 78 "set it to 0 for the decoder" train decoder.yaml --set run.dir=RUN --set train.global_batch=6 \
  --set data.augment.flip=0.5
echo "mixture: ok"
