#!/bin/bash
# A MakeHuman folder's assets as choices: from render through training to evaluate and predict, and what is refused.
. "$LIKENESS_ROOT/tests/run/lib.bash"
runs python3 "$LIKENESS_ROOT/tests/run/makehuman.py" assets pack

# ---- the choices stand in the shards' schema, and a model learns them ----
tiny_world 64 --assets pack
for choice in hair/cap hair/veil eyebrows/bar eyelashes/fan eyes/pink skins/blue; do
  grep -aqF "\"$choice\"" tiny/train/shard-00000.h5 || fail "the schema of the shard lacks $choice"
done
works 1 train tiny.yaml --set train.steps=20
works 1 evaluate tiny-run --assets pack -o with
says 'accuracy'
works 1 evaluate tiny-run -o without
says "no client's faces in the picture: the client knows no choice \"hair/cap\" of the group \"hair\"; --assets names the folder"
cmp -s with/triptych.png without/triptych.png && fail "the renders are missing from the triptych with assets"

# ---- predict: parameters of a face that wears them, as files and as a picture ----
python3 - "$LIKENESS_ROOT/configs/client-schema.yaml" <<'PYTHON'
import json, re, sys
found = re.findall(r"\{name: ([^,]+), min: [^,]+, max: [^,]+, default: ([^}]+)\}", open(sys.argv[1]).read())
worn = {"hair": "hair/cap", "hair_colour": "red", "brows": "eyebrows/bar", "beard": "none", "lips": "pink",
        "skin": "skins/blue", "eyes": "eyes/pink", "eyelashes": "eyelashes/fan"}
json.dump({"continuous": {name: float(value) for name, value in found}, "discrete": worn}, open("face.json", "w"))
PYTHON
works 1 render face.json --assets pack --size 32 -o face.png
works 1 predict face.png --aligned --model tiny-run --assets pack -o out
for file in face.json face.mhm face.png face-client.png; do [ -s "out/$file" ] || fail "no $file"; done
works 1 render out/face.json --assets pack --size 32 -o again.png
cmp again.png out/face-client.png || fail "predict draws another face"
works 1 render out/face.mhm --assets pack --size 32 -o again.png
cmp again.png out/face-client.png || fail "the .mhm is another face"
python3 - <<'PYTHON' || fail "the .mhm does not name what the face wears"
import json
lines, choices = open("out/face.mhm").read().splitlines(), json.load(open("out/face.json"))["discrete"]
words = {"hair": "hair", "brows": "eyebrows", "eyelashes": "eyelashes", "eyes": "eyes", "skin": "skinMaterial"}
for group, word in words.items():
    assert any(line.startswith(word + " ") for line in lines) == ("/" in choices[group]), (group, choices[group])
PYTHON
works 1 predict face.png --aligned --model tiny-run -o bare
says "no client's faces: .*--assets names the folder"
[ ! -e bare/face-client.png ] && [ -s bare/face.json ] || fail "without assets"

# ---- what is refused ----
refused 65 "nowhere: no such folder of assets" render --random 3 --assets nowhere -o x
refused 65 "group 'hair' has no choice 'hair/cap'" render face.json --schema "$LIKENESS_ROOT/configs/client-schema.yaml" -o x.png
sed -i '11s/.*/1 2 3/' pack/hair/cap/cap.mhclo
refused 65 "pack/hair/cap/cap.mhclo:11: expected one vertex" render --random 3 --assets pack -o x
[ ! -e x ] || [ -z "$(ls x)" ] || fail "shards in spite of an error"
echo "assets: ok"
