#!/bin/bash
# likeness evaluate --photos: photos of faces whose parameters are known, judged by a table of what is seen in them.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
faces canonical train 48 0
faces canonical val 8 100000
faces varied train 48 0
faces varied val 24 100000
write_configs
works 1 train decoder.yaml --set train.epochs=2
works 1 train encoder.yaml

# ---- photos: renders, in which the aligner finds faces ----
cat >photos.py <<'PYTHON'
import json, random, re
text = open(f"{__import__('os').environ['LIKENESS_ROOT']}/configs/client-schema.yaml").read()
continuous = [(n, float(a), float(b)) for n, a, b in re.findall(r"- \{name: (\S+), min: (\S+), max: (\S+), default", text)]
groups = {n: c.split(", ") for n, c in re.findall(r"- \{name: (\S+), choices: \[(.*)\]\}", text)}
draw = random.Random(5)
def face(i):
    return {"continuous": {n: a + (b - a) * draw.uniform(0.3, 0.7) for n, a, b in continuous},
            "discrete": {g: draw.choice(c) for g, c in groups.items()} | {"hair": "short", "beard": "none"}}
if __name__ == "__main__":
    for i in range(4):
        json.dump(face(i), open(f"face{i}.json", "w"))
PYTHON
python3 photos.py || fail "parameters"
mkdir photos
for i in 0 1 2 3; do
  works 1 render face$i.json -o photos/face$i.png --size 256 --view photo --seed $i
done
echo "not a photo" >photos/notes.txt

# ---- what predict says is the truth of one table, and false by another ----
works 1 predict photos --model encoder -o said
faces=$(ls said/*.mhm | wc -l)
[ "$faces" -ge 3 ] || fail "only $faces of 4 renders are faces to the aligner"
python3 - <<'PYTHON' || fail "tables"
import json, glob, os
from photos import groups
names = sorted(p[5:-5] for p in glob.glob("said/*.json"))
right, wrong = open("right.csv", "w"), open("wrong.csv", "w")
right.write("face,sex,beard,nose=nose/nose-trans-down|up(low|high),hair\n")
wrong.write("face,beard\n")
for name in names:
    p = json.load(open(f"said/{name}.json"))
    sex = "fm"[p["continuous"]["macrodetails/Gender"] > 0.5]
    nose = ("low", "high")[p["continuous"]["nose/nose-trans-down|up"] > 0]
    right.write(f"{name[1:]},{sex},none|{p['discrete']['beard']},{nose},\n")
    wrong.write(f"{name},{'|'.join(c for c in groups['beard'] if c != p['discrete']['beard'])}\n")
right.write("nobody,f,none,low,bald\n")
PYTHON
works 1 evaluate encoder --photos photos --table right.csv
says "^sex +$faces +$faces +1.000$" && says "^nose +$faces +$faces +1.000$" && says '^hair +0 +0 +-?nan$' &&
  says '^mean +1.000$' && says 'right.csv: 1 of .* rows are about no face, the first: nobody'
[ -s encoder/report/photos.png ] && [ ! -e encoder/report/evaluation.json ] || fail "photos alone were asked for"
tar cf photos.tar photos
works 1 evaluate encoder/model.safetensors --photos photos.tar --table wrong.csv --decoder decoder -o wrong
says "^beard +0 +$faces +0.000$" && says '^beard, wrong: photos_face'
python3 - "$faces" <<'PYTHON' || fail "photos.json"
import json, sys
good, bad = json.load(open("encoder/report/photos.json")), json.load(open("wrong/photos.json"))
n = int(sys.argv[1])
assert good["samples"] == bad["samples"] == n and good["mean_accuracy"] == 1 and bad["mean_accuracy"] == 0
assert good["absent"] == ["nobody"] and bad["absent"] == []
assert [c["name"] for c in good["columns"]] == ["sex", "beard", "nose", "hair"]
assert good["columns"][3]["accuracy"] is None and good["columns"][3]["judged"] == 0
wrong = bad["columns"][0]["wrong"]
assert len(wrong) == n and all(w["said"] not in w["seen"] and 0 < w["certainty"] <= 1 for w in wrong)
assert all(f["right"] == f["judged"] == 3 for f in good["faces"]) and all(f["right"] == 0 for f in bad["faces"])
PYTHON

# ---- landmarks and identity ----
says "^landmarks of photo and client's picture: median distance 0\.[0-9]+ eye distances, $faces faces$"
if model=$("$LIKENESS_ROOT/tests/identity_model" 2>&1); then
  mkdir drawn
  for i in 0 1 2 3; do
    works 1 render face$i.json -o drawn/face$i.png --size 256
  done
  works 1 evaluate encoder --photos drawn --aligned --identity "$model" -o identity
  python3 - <<'PYTHON' || fail "identity"
import json
e = json.load(open("identity/photos.json"))
who = e["identity"]
assert e["samples"] == who["faces"] == 4 and 0 <= who["auc"] <= 1 and 0 < who["own"] < 1 and 0 < who["other"] < 1
assert who["rank1"] * 4 == sum(f["rank"] == 1 for f in e["faces"]) and all(0 < f["distance"] < 1 for f in e["faces"])
assert abs(sum(f["distance"] for f in e["faces"]) / 4 - who["own"]) < 1e-6
median = sorted(f["landmarks"] for f in e["faces"])
assert abs((median[1] + median[2]) / 2 - e["landmarks"]["median"]) < 1e-6 and median[0] > 0
assert [f["landmarks"] for f in e["faces"]] == median # nothing is seen: the nearest first
PYTHON
else
  echo "SKIPPED: identity: $model"
fi
refused 65 "right.csv: cannot read dlib's model" evaluate encoder --photos photos --identity right.csv

# ---- another client, which draws every face red ----
works 1 render face0.json -o theirs.png --size 100
cat >their-client <<'SHELL'
#!/bin/sh
grep -q '"continuous"' "$1" || exit 9
cp theirs.png "$2"
SHELL
chmod +x their-client
works 1 evaluate encoder --photos photos -o theirs --client './their-client {params} {picture}'
! cmp -s theirs/photos.png encoder/report/photos.png || fail "the built-in client has drawn"
works 1 evaluate encoder -o ours
works 1 evaluate encoder -o theirs --client './their-client {params} {picture}'
cmp ours/evaluation.json theirs/evaluation.json || fail "another client changes the numbers"
! cmp -s ours/triptych.png theirs/triptych.png || fail "the built-in client has drawn the triptych"
client_fails() { # TEXT COMMAND [OPTIONS]
  refused 65 "$1" evaluate encoder --photos photos/face0.png --aligned -o bad --client "$2" "${@:3}"
  ! ls bad | grep -q tmp || fail "left: $(ls bad)"
}
client_fails "ended with exit code 3" 'exit 3 {params} {picture}'
client_fails "{picture}: is neither a PNG nor a JPEG" 'cp {params} {picture}'
client_fails "was not done after 1 s" 'sleep 98764 & sleep 98764; : {params} {picture}' --client-seconds 1
! pgrep -f 'sleep 98764' >/dev/null || fail "a client that hangs is left"
refused 65 "ended with exit code 3" evaluate encoder -o bad --client 'exit 3 {params} {picture}'
refused 64 "has no {picture}" evaluate encoder --client 'draw {params}'

# ---- the report ----
works 1 evaluate encoder
works 1 report encoder -o report.html
python3 - "$faces" <<'PYTHON' || fail "photos in the report"
import re, sys
from html.parser import HTMLParser
text, n = open("report.html").read(), int(sys.argv[1])
class Page(HTMLParser):
    stack = []
    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "link", "br", "img", "hr", "input"):
            self.stack.append(tag)
    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, tag
page = Page()
page.feed(text)
assert not page.stack
photos = text[text.index(f"<h3>Photos <small>{n} faces"):]
assert re.search(r"<td>sex</td>.*?1\.000", photos, re.S) and "median distance" in photos
assert photos.count('class="tile p0"') == 3 * n and ".p0{background-image" in text
assert text.count("<h3>Certainties ") == 2 # of photos, and of renders
PYTHON

# ---- what is refused ----
printf 'face,hair\nface0,bold\n' >bad.csv
refused 65 "bad.csv:2:7: 'bold' is no word of the column 'hair'" evaluate encoder --photos photos --table bad.csv
refused 65 "nowhere" evaluate encoder --photos nowhere
refused 65 "is a decoder" evaluate decoder --photos photos
refused 64 "belong to --photos" evaluate encoder --table right.csv
refused 64 "belong to --photos" evaluate encoder --faces all
refused 64 "two evaluations" evaluate encoder --photos photos --data faces/varied/val
refused 64 "-o must say where" evaluate encoder/model.safetensors --photos photos
refused 65 "nowhere: there is no such file" evaluate nowhere --photos photos
mkdir named
cp right.csv named/photos.json
refused 64 "named/photos.json would replace named/photos.json" evaluate encoder --photos photos --table named/photos.json -o named
mkdir empty
refused 65 "there is no photo (.jpg, .jpeg, .png) in empty" evaluate encoder --photos empty --aligned
echo "ok"
