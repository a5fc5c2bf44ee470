#!/bin/bash
# A sweep on this machine whose second point goes astray at too high a rate and would run for an hour: halving ends it.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export OMP_NUM_THREADS=1
tiny_world 32
cat >sweep.yaml <<'YAML'
base: tiny.yaml
dir: sweep
set: {train.micro_batch: 2, validate.every_epochs: 10}
points:
  - {optimizer.lr: 1e-4, train.steps: 160}
  - {optimizer.lr: 1, train.steps: 1000000}
halving: {first_epoch: 10, keep: 0.5}
YAML
sweep() { timeout 300 "$LIKENESS_ROOT/launch/sweep" sweep.yaml --local -n 2 >out.log 2>err.log || fail "launch/sweep: exit $?"; }
hopeless=sweep/lr-1-steps-1000000
sweep
[ -e sweep/lr-1e-4-steps-160/DONE ] || fail "the good point is not done: $(ls sweep)"
[ -e $hopeless/STOPPED ] && [ ! -e $hopeless/DONE ] || fail "the hopeless point was not stopped: $(ls sweep/*)"
grep -q "^$hopeless at epoch 10: stop; .*1 of 2 points are better, 1 go on" sweep/job/halving.log ||
  fail "no decision: $(cat sweep/job/halving.log)"
ls $hopeless/checkpoints | grep -q '^step-' || fail "its last state was not saved"
[ -s sweep/report.html ] || fail "no report"
works 1 sweep status sweep
grep -q '^lr-1-steps-1000000 *stopped ' out.log && grep -q '^2 points: 1 done, 1 stopped$' out.log ||
  { cat out.log; fail "sweep status"; }

# What went astray is worse than all others, not better.
mkdir -p astray/job astray/a astray/b
printf 'astray/a\nastray/b\n' >astray/job/points
echo '{"kind": "val", "step": 5, "epoch": 1, "F": "nan", "F1": "nan", "F2": "nan"}' >astray/a/metrics.jsonl
echo '{"kind": "val", "step": 5, "epoch": 1, "F": 9, "F1": 5, "F2": 4}' >astray/b/metrics.jsonl
works 1 sweep halving astray astray/b 1 0.5
works 1 sweep halving astray astray/a 1 0.5
[ -e astray/a/STOPPED ] && [ ! -e astray/b/STOPPED ] || fail "a point that is not finite won: $(cat astray/job/halving.log)"

# Both count as finished; without STOPPED the point goes on.
starts=$(grep -c . $hopeless/job/attempts)
sweep
grep -q '2 points, 2 of them finished' out.log && [ "$(grep -c . $hopeless/job/attempts)" = "$starts" ] ||
  fail "a stopped point ran again"
rm $hopeless/STOPPED sweep/job/halving.log
sweep
[ -e $hopeless/STOPPED ] && grep -q 'resumed from' $hopeless/job/local.log || fail "it did not go on"
echo "ok: $(head -n 1 sweep/job/halving.log)"
