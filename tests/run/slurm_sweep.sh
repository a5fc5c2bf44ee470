#!/bin/bash
# A sweep as a job array on the SLURM cluster, through the loss of a node; and without SLURM.
# runs early: minutes, of which most are spent waiting for the cluster
set -u
. "$LIKENESS_ROOT/tests/slurm/setup.sh"
say() { echo "$SECONDS s: $*"; }
small_training encoder base >base.yaml
cat >sweep.yaml <<END
base: base.yaml
dir: $here/runs/sweep
set: {train.steps: 16, checkpoint.every_steps: 4, validate.samples: 2}
grid: {loss.lambda: [0.25, 0.5, 1, 2, 4, 8, 16, 32]}
seeds: [1, 2]
at_once: 3
END
sweep=$here/runs/sweep
done_points() { ls "$sweep"/*/DONE 2>/dev/null | wc -l; }
started_points() { # a start that SLURM could not carry out (an earlier one is not quite gone) is tried again
  cat "$sweep"/*/job/attempts | awk '$2 == "start" { n++ } / not started by / { n-- } END { print n }'
}
at_least_done() { [ "$(done_points)" -ge "$1" ]; }
start_sweep() { on_login "$launch/sweep" sweep.yaml --ranks-per-node 2 --time 10; }

out=$(start_sweep) || fail "sweep: $out"
job=$(sed -n 's/^job \([0-9]*\):.*/\1/p' <<<"$out")
grep -q '16 points, at most 3 at once' <<<"$out" || fail "sweep says: $out"
start_sweep 2>&1 | grep -q "sweep: job $job works on it" || fail "the same sweep was submitted twice"

# At no time do more than three points run; in the middle a node loses power.
most=0 killed=
until is_gone "$job" && [ "$(done_points)" = 16 ]; do
  [ $SECONDS -lt 500 ] || fail "the sweep does not end: $(on_login squeue)"
  now=$(on_login squeue --noheader --states=RUNNING --array --jobs="$job" 2>/dev/null | wc -l)
  [ "$now" -le "$most" ] || most=$now
  if [ -z "$killed" ] && at_least_done 3; then
    "$cluster" kill "$here/cluster" n3
    killed=yes
  fi
  sleep 0.3
done
[ "$most" = 3 ] || fail "$most points at once instead of 3"
[ "$killed" = yes ] || fail "no node was lost"
poll 60 "the report" test -s "$sweep/report.html"
for point in "$sweep"/lambda-*; do
  [ "$(last_train_step "$point")" = 16 ] || fail "$point: ended at step $(last_train_step "$point")"
done
on_login "$LIKENESS" sweep status "$sweep" >states || fail "sweep status"
[ "$(grep -c ' done ' states)" = 16 ] && grep -q '^lambda-0.25-seed-1 ' states || { cat states; fail "sweep status"; }
say "16 points, one node lost, $(started_points) starts"

# Again: nothing to do. One point's DONE gone: that point alone.
before=$(started_points)
start_sweep >again || fail "sweep: $(cat again)"
grep -q '16 points, 16 of them finished' again && ! grep -q '^job ' again ||
  { cat again; fail "a finished sweep was submitted again"; }
rm "$sweep/lambda-4-seed-2/DONE"
out=$(start_sweep) || fail "sweep: $out"
job=$(sed -n 's/^job \([0-9]*\): 1 points.*/\1/p' <<<"$out")
[ -n "$job" ] || fail "not one point: $out"
poll 90 "the one point" test -e "$sweep/lambda-4-seed-2/DONE"
poll 30 "the job of the one point" is_gone "$job"
[ "$(started_points)" = $((before + 1)) ] || fail "other points were started too"
say "continued"

# A point that was made with another configuration is not taken for the new one.
on_login "$launch/sweep" sweep.yaml --set train.global_batch=64 2>error && fail "another configuration was taken"
grep -q 'train.global_batch was 32, is 64' error || { cat error; fail "no reason"; }

# Without SLURM, two keys that change together.
cat >local.yaml <<END
base: base.yaml
dir: $here/runs/local
set: {train.steps: 8}
points: [{loss.lambda: 1, optimizer.lr: 1e-3}, {loss.lambda: 2, optimizer.lr: 2e-3}]
END
"$launch/sweep" local.yaml --local --at-once 2 >local.log 2>&1 || { cat local.log; fail "--local"; }
[ -e runs/local/lambda-1-lr-1e-3/DONE ] && [ -e runs/local/lambda-2-lr-2e-3/DONE ] && [ -s runs/local/report.html ] ||
  fail "--local: not all there"
say "without SLURM"
