#!/bin/bash
# tests/bench/compare goes through on a tiny model, beside PyTorch, and its table has the case. The figures are not judged.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
"${ORACLE_VENV:-none}/bin/python" -c 'import torch, numpy, safetensors, h5py' 2>/dev/null ||
  { echo "needs PyTorch and h5py (tests/python; ORACLE_VENV=build/python)"; exit 77; }
! sanitized || { echo "SKIPPED: speeds of a sanitized program compare with nothing"; exit 77; }
PAIRS=1 STEPS=1 THREADS=1 RESULTS=results.jsonl "$LIKENESS_ROOT/tests/bench/compare" "$LIKENESS" \
  32:0.125:group:bf16:2:2 >out.log 2>err.log || fail "exit $?"
for line in '^\| 32 px, 0\.125, group, bf16 \| 2 x 1, 4 \| [0-9]+ ' \
  '^Loader, .*: [0-9]+ samples/s, PyTorch' '^Exchange of 100 MB between 2 ranks, allreduce'; do
  grep -Eq "$line" out.log || fail "the table has no '$line'"
done
[ "$(grep -c '"step"' results.jsonl)" = 2 ] || fail "RESULTS: $(cat results.jsonl)"
