#!/bin/bash
# Which build this is: likeness --version, and the same line in everything that is kept, also of a run that is not done.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
source_version=$(sed -n 's/.*"\(.*\)"$/\1/p' "$LIKENESS_BUILD/base/source_version.h")
[ -n "$source_version" ] || fail "the build knows no version"
program="likeness $source_version"

works 1 --version
[ "$(head -n 1 out.log)" = "$program" ] || fail "--version begins with $(head -n 1 out.log)"
for line in 'libtorch [0-9]+\.[0-9]+\.[0-9]+' 'Open MPI v[0-9.]+' 'HDF5 [0-9]+\.[0-9]+\.[0-9]+' \
  'CUDA: (cuda:0 .+|none \(.+\))'; do
  grep -Eqx "$line" out.log || { cat out.log; fail "--version has no line '$line'"; }
done
for name in avx2 fma avx512f avx512_bf16; do
  kernel="no $name"
  ! grep -qw "$name" /proc/cpuinfo || kernel=$name
  grep -Eq "^CPU:.* $kernel( |$)" out.log && { [ "$kernel" != "$name" ] || ! grep -q "no $name" out.log; } ||
    { cat out.log; fail "the kernel says: $kernel"; }
done

tiny_world 32
works 1 train tiny.yaml --set train.steps=20
grep -Eqx "steps 20, weights [0-9a-f]{16} on every rank, $program" tiny-run/DONE || { cat tiny-run/DONE; fail "DONE"; }
[ "$(state_of tiny-run 20 program)" = "$program" ] || fail "state.json"
works 1 inspect tiny-run/checkpoints/step-000000020
grep -q "^written by: $program, 1 rank, kernels [a-z0-9-]*$" out.log || { cat out.log; fail "inspect of a checkpoint"; }
works 1 inspect tiny/train
grep -q "^first shard made by: likeness render --random: .*; $program$" out.log || { cat out.log; fail "inspect of shards"; }
rm tiny-run/DONE
for run in tiny-run tiny-decoder; do # not done, and done
  works 1 report $run -o page.html
  grep -q "written .* by $program</p>" page.html || fail "the page does not say who wrote it"
  grep -q "<dt>program</dt><dd>$program</dd>" page.html || fail "the page does not say which build trained $run"
done

# Source without git: a tarball knows its commit, a copy nothing.
mkdir -p copy/launch/setup
cp "$LIKENESS_ROOT/launch/setup/version.sh" copy/launch/setup/
cp "$LIKENESS_ROOT/VERSION" copy/
if [ -e "$LIKENESS_ROOT/.git" ] && commit=$(git -C "$LIKENESS_ROOT" rev-parse --short HEAD 2>/dev/null); then
  [ "$(copy/launch/setup/version.sh)" = unknown ] || fail "a copy of the source: $(copy/launch/setup/version.sh)"
  mkdir tarball
  git -C "$LIKENESS_ROOT" archive HEAD VERSION launch/setup/version.sh .gitattributes | tar -x -C tarball
  [ "$(tarball/launch/setup/version.sh)" = "$commit" ] || fail "a tarball: $(tarball/launch/setup/version.sh), not $commit"
fi
