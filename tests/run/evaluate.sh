#!/bin/bash
# likeness evaluate: judges a decoder and an encoder, and draws.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
make_faces
write_configs
works 1 train decoder.yaml
works 2 train encoder.yaml --set train.steps=100 --set optimizer.lr=1e-3

png_size() { od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'; }
works 1 evaluate decoder
grep -Eq '^L1 +0\.[0-9]+ +0\.[0-9]+ +[0-9.]+ +mean picture' out.log || fail "the decoder's L1 against the mean picture"
works 1 evaluate encoder
for text in '^F ' '^F1 .*class frequencies' '^F2 .*true discrete' '^hair ' '^skin ' '^mean absolute error .*10 strongest'; do
  grep -Eq "$text" out.log || fail "no line like $text"
done
parameters=$(grep -c 'min:' "$LIKENESS_ROOT/configs/client-schema.yaml")
[ "$(grep -cE '^[a-z]+/.* [0-9.]+ +[0-9.]+ +[0-9.]+ +-?[0-9.]+$' out.log)" = "$parameters" ] ||
  fail "not every continuous parameter is told"
for run in decoder encoder; do
  [ -s $run/report/triptych.png ] && [ -s $run/report/evaluation.json ] || fail "$run: no report"
  echo "$run: a triptych of $(png_size $run/report/triptych.png)"
done
python3 - <<'EOF' || fail "evaluation.json"
import json, math
e = json.load(open("encoder/report/evaluation.json"))
last = [v for v in map(json.loads, open("encoder/metrics.jsonl")) if v["kind"] == "val"][-1]
for key in ("F", "F1", "F2"):
    assert math.isclose(e[key], last[key], rel_tol=1e-5), (key, e[key], last[key])
assert e["samples"] == 24 and e["baseline_F1"] > 0 and e["baseline_F2"] > 0
assert set(e["accuracy"]) == {"hair", "hair_colour", "brows", "beard", "lips", "skin", "eyes"}
d = json.load(open("decoder/report/evaluation.json"))
last = [v for v in map(json.loads, open("decoder/metrics.jsonl")) if v["kind"] == "val"][-1]
assert math.isclose(d["F"], last["L1"], rel_tol=1e-5) and d["baseline_F"] > 0.05, d
EOF

# Other data, another place.
faces varied other 10 500000
works 1 evaluate encoder --data faces/varied/other -o elsewhere
grep -q '^faces 10$' out.log && [ -s elsewhere/evaluation.json ] || fail "--data and -o"

refused 65 nowhere evaluate nowhere
refused 65 nowhere evaluate encoder --data nowhere
refused 64 "one run folder" evaluate
mkdir unfinished; cp encoder/config.yaml unfinished/
refused 65 unfinished evaluate unfinished
