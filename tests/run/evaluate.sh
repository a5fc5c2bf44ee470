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

# Where all faces are alike there is nothing to be better than.
faces varied single 1 700000
works 1 train encoder.yaml --set run.dir=alike --set data.train=faces/varied/single --set data.val=faces/varied/single \
  --set train.global_batch=1 --set train.micro_batch=1 --set train.steps=2
works 1 evaluate alike
says '^F1 .* -   class frequencies'
says 'mean: 10 strongest -, 20 strongest -, all [0-9]+ -$'
grep -q '"mae_ratio_20": null' alike/report/evaluation.json || fail "a ratio to a guess that is always right"

# Other data, another place.
faces varied other 10 500000
works 1 evaluate encoder --data faces/varied/other -o elsewhere
grep -q '^faces 10$' out.log && [ -s elsewhere/evaluation.json ] || fail "--data and -o"

# ---- certainties: as often right as they say ----
cat >certainty.py <<'PYTHON'
import json, math, struct
def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size])["__metadata__"], data[8 + size:]
PYTHON
[ "$(grep -cE '^0\.[0-9] to [0-9.]+ +[0-9]+ +[0-9.]+ +[0-9.]+$' out.log)" -ge 1 ] && says '^expected calibration error 0\.' ||
  fail "no reliability table"
cp encoder/model.safetensors before.safetensors
works 1 evaluate encoder --calibrate -o calibrated
python3 - <<'PYTHON' || fail "the calibrated file"
from certainty import *
(old, weights), (new, same) = read("before.safetensors"), read("encoder/model.safetensors")
assert weights == same and "temperature" not in old and new["schema"] == old["schema"]
noted = json.loads(new["temperature"])
e, f = json.load(open("encoder/report/evaluation.json")), json.load(open("calibrated/evaluation.json"))
assert set(e["temperature"].values()) == {1} and set(noted) == set(e["accuracy"])
assert all(math.isclose(noted[g], f["temperature"][g], rel_tol=1e-5) and 0.04 < noted[g] < 21 for g in noted)
assert e["accuracy"] == f["accuracy"] and e["F1"] == f["F1"] and e["calibration_errors"] != f["calibration_errors"]
for report in e, f:
    assert sum(b["choices"] for b in report["reliability"]) == 24 * 7
    error = sum(b["choices"] * abs(b["certainty"] - b["right"]) for b in report["reliability"]) / (24 * 7)
    assert math.isclose(error, report["calibration_error"], abs_tol=1e-6)
PYTHON
works 1 export encoder -o calibrated.safetensors
python3 -c 'from certainty import *
assert read("calibrated.safetensors")[0]["temperature"] == read("encoder/model.safetensors")[0]["temperature"]' ||
  fail "export drops the temperatures"
for output in encoder/model.safetensors encoder/config.yaml ./encoder/../encoder/model.safetensors; do
  refused 64 "$output would replace encoder/" export encoder -o $output
done
checkpoint=$(ls -d encoder/checkpoints/step-* | head -n 1)
for output in "$checkpoint/model.safetensors" "$checkpoint/state.json"; do
  refused 64 "$output would replace $output, which is read" export "$checkpoint" -o "$output"
done
works 1 export "$checkpoint" -o encoder/first.safetensors
works 1 export "$checkpoint" -o encoder/first.safetensors
works 1 evaluate encoder -o again
cmp calibrated/evaluation.json again/evaluation.json || fail "the note is not read back"
refused 64 "trained a decoder" evaluate decoder --calibrate
refused 64 "--calibrate needs the labels" evaluate encoder --calibrate --photos .
python3 - <<'PYTHON' || fail "a wrong note"
from certainty import *
data = open("encoder/model.safetensors", "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
header["__metadata__"]["temperature"] = '{"hair": 1}'
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("wrong.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data[8 + size:])
PYTHON
refused 65 'wrong.safetensors: its note "temperature"' predict /dev/null --model wrong.safetensors -o x

refused 65 nowhere evaluate nowhere
refused 65 nowhere evaluate encoder --data nowhere
refused 64 "one run folder" evaluate
mkdir unfinished; cp encoder/config.yaml unfinished/
refused 65 unfinished evaluate unfinished
