#!/bin/bash
# likeness label: parameters for photos by fitting; likeness pack takes them as they are; what is poor or refused is told.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
labels() { # FOLDER EXPRESSION: of `lines`, the lines of its labels.jsonl
  python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1] + "/labels.jsonl")]
assert eval(sys.argv[2]), lines' "$@" || fail "$1/labels.jsonl: $2"
}

# ---- "photos" that the client drew; two threads and one say the same ----
mkdir photos
python3 - "$LIKENESS_ROOT/configs/client-schema.yaml" <<'PYTHON'
import json, re, sys
text = open(sys.argv[1]).read()
face = {"continuous": {n: float(d) for n, d in re.findall(r"\{name: (\S+), min.*default: ([-.0-9]+)\}", text)}, "discrete": {}}
groups = [(g, c.split(", ")) for g, c in re.findall(r"\{name: (\w+), choices: \[(.*)\]\}", text)]
for i in 1, 2, 3:
    face["continuous"]["head/head-scale-vert-decr|incr"] = 0.1 * (i - 2)
    face["discrete"] = {g: c[(i if g in ("hair", "skin") else 0) % len(c)] for g, c in groups}
    json.dump(face, open(f"{i}.json", "w"))
PYTHON
for i in 1 2 3; do
  works 1 render $i.json -o photos/$i.png --size 320 --view varied --seed $i
done
echo "no photo" >photos/broken.jpg
works 1 label photos -o two --threads 2 --sheet two.png --mhm
works 1 label photos -o one --threads 1 --sheet one.png --mhm
says '^3 faces of 4 photos labelled, 0 poor, 1 refused; landmarks are off by 0\.0'
diff -r one two && cmp one.png two.png || fail "threads change labels"
labels one '[line.get("face") for line in lines] == ["1", "2", "3", None]'
labels one 'all(line["status"] == "good" and line["landmarks"]["median"] < .06 for line in lines[:3])'
labels one '"neither a PNG nor a JPEG" in lines[3]["refused"]'
works 1 render one/2.json -o json.png --size 64
works 1 render one/2.mhm -o mhm.png --size 64
cmp json.png mhm.png || fail "the two files of a face differ"

# ---- what is poor is left out, also where it lay before; or kept ----
refused 65 "every fit is poor" label photos/1.png photos/2.png -o one --max-error 0.002
[ "$(ls one | tr '\n' ' ')" = "3.json 3.mhm 3.png labels.jsonl " ] || fail "poor: $(ls one)"
labels one '[line["status"] for line in lines] == ["poor", "poor"]'
works 1 label photos/1.png -o kept --max-error 0.002 --keep-poor
[ -s kept/1.json ] && [ -s kept/1.png ] || fail "--keep-poor keeps nothing"

# ---- what is refused ----
refused 65 "no face in 1 photos" label photos/broken.jpg -o none
mkdir empty
touch empty/IMG_1.HEIC
refused 65 "there is no photo (.jpg, .jpeg, .png) in empty" label empty -o none
refused 64 "needs --output" label photos/1.png
cp -r photos kept-photos
refused 64 "--sheet: photos/1.png would replace photos/1.png, which is read" label photos/1.png -o none --sheet photos/1.png
refused 64 "--sheet: photos/1.png would replace a file in photos, which is read" label photos -o none --sheet photos/1.png
diff -r photos kept-photos || fail "the sheet replaced a photo"
echo "continuous: {nose: {normal: [0.5, 0.1]}}" >bad.yaml
refused 78 "label: --prior: bad.yaml:1: the schema has no continuous parameter 'nose'" label photos/1.png -o none --prior bad.yaml
schema=$LIKENESS_ROOT/configs/client-schema.yaml
sed 's/name: hair, choices: \[/&quiff, /' "$schema" >other.yaml
refused 65 "label: --schema other.yaml: labels are fitted by the built-in client" label photos/1.png -o none --schema other.yaml
sed '0,/name: .*, min/{/name: .*, min/d}' "$schema" >fewer.yaml
refused 78 "label: --schema fewer.yaml needs a --prior of its own parameters" label photos/1.png -o none --schema fewer.yaml
LIKENESS_CLIENT=nowhere refused 65 "nowhere/3dobjs/base.obj" label photos/1.png -o none

# ---- packed as they are, and trained on beside renders ----
works 1 pack two -o packed --schema "$LIKENESS_ROOT/configs/client-schema.yaml" --size 32
grep -q '"taken": 3,' packed/pack.json || fail "pack.json: $(head -c 600 packed/pack.json)"
if ! sanitized; then
  make_faces
  write_configs
  works 1 train decoder.yaml
  works 1 train encoder.yaml --set train.steps=10 \
    --set 'data.train=[{path: faces/varied/train, share: 0.8}, {path: packed, share: 0.2}]'
  [ -s encoder/model.safetensors ] || fail "no model of a mixture with labelled photos"
fi

# ---- real photos ----
real=$("$LIKENESS_ROOT/tests/photos") || { echo "SKIPPED: real photos: no photos can be fetched"; exit 0; }
works 1 label "$real/obama.jpg" "$real/biden.jpg" "$real/single_face.jpg" "$real/BWPictureHuman.jpg" -o real
labels real 'sorted(l["landmarks"]["median"] for l in lines if "face" in l)[1] < .06 and sum("face" in l for l in lines) == 3'
labels real 'sorted(l["model_landmarks"]["median"] for l in lines if "face" in l)[1] < .08'
labels real 'lines[3]["refused"] == "no face"'
