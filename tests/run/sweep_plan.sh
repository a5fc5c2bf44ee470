#!/bin/bash
# likeness sweep plan: a folder for each point, or one line and nothing at all.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
cat >base.yaml <<'YAML'
run: {dir: base, seed: 3}
data: {train: train, val: val}
model: {size: 32, encoder: {width: 0.0625}, decoder: {width: 0.0625, weights: decoder}}
train: {stage: encoder, global_batch: 4, micro_batch: 4, steps: 100, converge: {patience: 0}}
YAML
sed 's/stage: encoder/stage: decoder/' base.yaml >decoder.yaml
sweep() { printf '%s\n' 'dir: planned' "$@" >planned.yaml; } # LINE...
plan() { # TEXT LINE...
  sweep "${@:2}"
  refused 78 "$1" sweep plan planned.yaml
  [ ! -s out.log ] || fail "points of a sweep that is refused: $(cat out.log)"
}

# Halving of what has nothing to be compared by is refused, as is a sweep that says two things of one key.
plan "which a decoder has not" 'base: decoder.yaml' 'seeds: [1, 2]' 'halving: {first_epoch: 1}'
plan "set validate.every_epochs above 0" 'base: base.yaml' 'set: {validate.every_epochs: 0}' 'seeds: [1]' 'halving: {keep: 0.5}'
plan "planned.yaml:3: key 'run.dir': each point has its own" 'base: base.yaml' 'grid: {run.dir: [a, b]}'
plan "key 'run.seed': varies twice" 'base: base.yaml' 'grid: {run.seed: [1, 2]}' 'seeds: [3, 4]'
plan "key 'loss.lambda': varies twice" 'base: base.yaml' 'grid: {loss.lambda: [1, 2]}' 'points: [{loss.lambda: 3}]'
sweep 'base: base.yaml' 'grid: {loss.lambda: [1, 2]}' 'points: [{optimizer.lr: 1e-3}, {optimizer.lr: 2e-3}]' 'seeds: [1, 2]'
refused 64 "--set loss.lambda: planned.yaml:3 varies this key" sweep plan planned.yaml --set loss.lambda=5
refused 64 "--set optimizer.lr: planned.yaml:4 varies this key" sweep plan planned.yaml --set train.steps=9 --set optimizer.lr=1
refused 64 "--set run.seed: planned.yaml:5 varies this key" sweep plan planned.yaml --set run.seed=1
refused 64 "--set run.dir: each point has its own" sweep plan planned.yaml --set run.dir=here

# Where a later point is refused, nothing is made of the earlier ones.
plan "loss.lambda" 'base: base.yaml' 'grid: {loss.lambda: [1, 2, -1]}'
plan "would be called" 'base: base.yaml' 'grid: {data.val: ["a b", "a:b"]}'
[ ! -e planned ] || fail "a sweep that is refused left a folder"
sweep 'base: base.yaml' 'grid: {loss.lambda: [1, 2]}'
mkdir -p planned/lambda-2/job
exec {lock}>planned/lambda-2/job/lock
flock $lock
refused 64 "planned/lambda-2: another launcher works on this point" sweep plan planned.yaml
[ "$(find planned -type f)" = planned/lambda-2/job/lock ] || fail "made although a point is another's: $(find planned)"
exec {lock}>&-

# Made; and once more. A base that planning would replace is refused.
for again in 1 2; do
  works 1 sweep plan planned.yaml --set train.steps=9
  [ "$(cat out.log)" = "$(printf '%s\n' 'dir planned' 'at_once 0' 'point planned/lambda-1' 'point planned/lambda-2')" ] ||
    fail "the plan is $(cat out.log)"
  for lambda in 1 2; do
    [ "$("$LIKENESS" config planned/lambda-$lambda/job/config.yaml --get loss.lambda)" = $lambda ] || fail "lambda $lambda"
    [ "$("$LIKENESS" config planned/lambda-$lambda/config.yaml --get train.steps)" = 9 ] || fail "--set is not in lambda $lambda"
  done
done
cp -r planned before
for base in planned/lambda-2/config.yaml ./planned/lambda-2/job/config.yaml; do
  plan "key 'base': $base is written for a point of this sweep" "base: $base" 'grid: {loss.lambda: [1, 2, 3]}'
done
diff -r planned before || fail "a sweep that is refused changed its points"
sweep 'base: base.yaml' 'grid: {loss.lambda: [4, 4.0, 8]}'
works 1 sweep plan planned.yaml --dry-run
grep -qx 'note lambda-4.0 is the same point as lambda-4 and is left out' out.log || fail "one point twice: $(cat out.log)"
[ ! -e planned/lambda-4 ] || fail "--dry-run makes a folder"

# Values that are lists of lists or of maps: the shares of data.train, for all points or as what they differ in.
plan "a list is not a name or path" 'base: base.yaml' 'set: {data.val: [[a, b], c]}' 'seeds: [1]'
sweep 'base: base.yaml' 'grid: {data.train: [[{path: a, share: 1}, {path: "b c", share: 2}], [a, b]]}' \
  'set: {data.val: [a, "b c"]}'
works 1 sweep plan planned.yaml
point=$(sed -n 's/^point //p' out.log | head -n 1)
[ "$("$LIKENESS" config "$point/config.yaml" --get data.train)" = "a, b c" ] || fail "the paths of $point: $(cat out.log)"
grep -q 'train: \[{path: a, share: 1}, {path: "b c", share: 2}\]' "$point/config.yaml" ||
  fail "shares: $(cat "$point/config.yaml")"
echo "ok: a sweep is planned whole, or not at all"
