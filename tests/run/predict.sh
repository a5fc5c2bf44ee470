#!/bin/bash
# likeness predict: parameters and pictures from a run, a checkpoint and a file alone; other clients; what is refused.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
make_faces
write_configs
works 1 train decoder.yaml
works 1 train encoder.yaml --set checkpoint.every_steps=50

# Crops: the input pictures of evaluate's triptych, cut out of it. cut_png PAGE X Y W H OUT, and same_pixels A B.
cat >png.py <<'PYTHON'
import struct, sys, zlib
def read(path):
    data, at, packed = open(path, "rb").read(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 2)
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    raw, step, rows, above = zlib.decompress(packed), 3 * width, [], bytes(3 * width)
    for y in range(height):
        kind, line = raw[y * (step + 1)], bytearray(raw[y * (step + 1) + 1:(y + 1) * (step + 1)])
        for x in range(step):
            left, up, corner = line[x - 3] if x > 2 else 0, above[x], above[x - 3] if x > 2 else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda v: abs(guess - v))
            line[x] = line[x] + (0, left, up, (left + up) // 2, paeth)[kind] & 255
        rows.append(bytes(line))
        above = rows[-1]
    return rows
def write(path, rows):
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
def cut(rows, x, y, w, h):
    return [row[3 * x:3 * (x + w)] for row in rows[y:y + h]]
def same(a, b):  # but for the last digits of sums, which depend on how many faces are computed together
    a, b = b"".join(a), b"".join(b)
    return len(a) == len(b) and sum(x != y for x, y in zip(a, b)) < 0.01 * len(a)
PYTHON
works 1 evaluate encoder
mkdir crops
python3 - <<'PYTHON' || fail "evaluate's triptych"
from png import *
page = read("encoder/report/triptych.png")
for i in range(3):
    write(f"crops/face{i}.png", cut(page, i * (3 * 32 + 8), 0, 32, 32))
PYTHON

# ---- the same faces from a run, a checkpoint, a file alone; and what evaluate draws of them ----
works 1 predict crops --aligned --model encoder -o run --sheet sheet.png --threads 2
cp out.log run.jsonl
works 1 predict crops --aligned --model encoder/checkpoints/step-000000050 -o checkpoint
cmp out.log run.jsonl || fail "a checkpoint says something else"
mkdir alone elsewhere
cp encoder/model.safetensors alone/e.safetensors
cp decoder/model.safetensors elsewhere/d.safetensors
tar cf crops.tar crops/face0.png crops/face1.png crops/face2.png
(cd alone && "$LIKENESS" predict ../crops/face0.png ../crops/face1.png ../crops/face2.png --aligned --model e.safetensors \
  --decoder ../elsewhere/d.safetensors -o ../file --threads 1) >out.log 2>err.log || fail "a file alone"
diff <(sed 's|"../crops/|"|' out.log) run.jsonl || fail "a file alone says something else"
works 1 predict crops.tar --aligned --model encoder -o archive
for other in checkpoint file; do
  diff -r run $other || fail "run and $other differ"
done
cmp run/face2.json archive/crops_face2.json || fail "an archive says something else"
python3 - <<'PYTHON' || fail "the pictures are not evaluate's"
from png import *
page = read("encoder/report/triptych.png")
for i in range(3):
    at = i * (3 * 32 + 8)
    whole, decoded, client = (read(f"run/face{i}{part}.png") for part in ("", "-decoded", "-client"))
    assert cut(whole, 0, 0, 32, 32) == cut(page, at, 0, 32, 32), i
    assert cut(whole, 32, 0, 32, 32) == decoded and cut(whole, 64, 0, 32, 32) == client, i
    assert same(decoded, cut(page, at + 32, 0, 32, 32)) and same(client, cut(page, at + 64, 0, 32, 32)), i
assert not same(read("run/face0-client.png"), read("run/face1-client.png"))
sheet = read("sheet.png")
assert len(sheet) == 3 * 32 + 2 * 8 and len(sheet[0]) == 3 * 96, len(sheet)
for i in range(3):
    assert cut(sheet, 0, i * 40, 96, 32) == read(f"run/face{i}.png"), i
PYTHON
# Photos stay what they are, and no file of one face replaces that of another.
cp -r crops photos
refused 64 "what is written to 'photos/' might replace the photos there" predict run photos --aligned --model encoder -o photos/
refused 64 "what is written to '.' might replace the photos there" predict crops ./sheet.png --aligned --model encoder -o .
diff -r crops photos || fail "photos were replaced"
for again in 1 2; do
  works 1 predict photos --aligned --model encoder -o photos/faces
  cmp out.log run.jsonl || fail "what is in the output folder was taken for photos"
done
ln -s photos/face0.png link.png
refused 64 "--sheet: link.png would replace photos/face0.png, which is read" \
  predict photos/face0.png --aligned --model encoder -o two --sheet link.png
refused 64 "--sheet: ./photos/face0.png would replace a file in photos, which is read" \
  predict photos --aligned --model encoder -o two --sheet ./photos/face0.png
cmp photos/face0.png crops/face0.png || fail "the sheet replaced a photo"
# A sheet without a place is told before the first photo.
refused 64 "--sheet: there is no folder gone" predict crops --aligned --model encoder -o three --sheet gone/sheet.png
refused 64 "--sheet: crops is a folder" predict crops --aligned --model encoder -o three --sheet crops
[ -z "$(ls three)" ] || fail "photos were predicted for a sheet that has no place"
for again in 1 2; do # in the folder of the outputs it is no photo
  works 1 predict photos --aligned --model encoder -o photos/faces --sheet photos/faces/all.png
done
cp crops/face1.png photos/face0-client.png
refused 64 'face0.png would become face0-client.png, as another photo has already' predict photos --aligned --model encoder -o two

works 1 render run/face1.json -o again.png --size 32
cmp again.png run/face1-client.png || fail "face1.json is another face"
works 1 render run/face1.mhm -o again.png --size 32
cmp again.png run/face1-client.png || fail "face1.mhm is another face"
python3 - <<'PYTHON' || fail "the lines"
import json
lines = [json.loads(line) for line in open("run.jsonl")]
assert [(l["photo"], l["face"]) for l in lines] == [(f"face{i}.png", f"face{i}") for i in range(3)], lines
for l in lines:
    file = json.load(open(f"run/{l['face']}.json"))
    assert l["continuous"] == file["continuous"] and l["discrete"] == file["discrete"]
    assert set(l["certainty"]) == set(l["discrete"]) and all(0 < c <= 1 for c in l["certainty"].values())
assert lines[0]["continuous"] != lines[1]["continuous"]
PYTHON

# ---- docs/load_encoder.py says the same, also once certainties are calibrated ----
same_as_pytorch() { # LINES: of predict, for crops/face0.png ...
  PYTHONPATH=$LIKENESS_ROOT/docs "$python" - encoder/model.safetensors "$1" <<'PYTHON' || fail "load_encoder.py and $1 differ"
import json, re, sys
import numpy, torch
from PIL import Image
from safetensors import safe_open
from load_encoder import choose, load_encoder, load_groups
path, lines = sys.argv[1:]
encoder, size = load_encoder(path)
with safe_open(path, "pt") as file:
    text = file.metadata()["schema"]
number = "([-+.0-9e]+)"
ranges = [(json.loads(n), float(a), float(b)) for n, a, b in re.findall(f'{{name: (".*?"), min: {number}, max: {number},', text)]
for line in map(json.loads, open(lines)):
    picture = numpy.array(Image.open(f"crops/{line['photo']}").convert("RGB"))
    with torch.no_grad():
        continuous, logits = encoder(torch.from_numpy(picture)[None])
    assert len(ranges) == len(line["continuous"]) == continuous.shape[1]
    for (name, low, high), value in zip(ranges, continuous[0].tolist()):
        assert abs(low + (high - low) * value - line["continuous"][name]) < 1e-5 * (high - low), name
    said = choose(load_groups(path), logits[0])
    assert {g: c for g, (c, _) in said.items()} == line["discrete"], said
    assert all(abs(p - line["certainty"][g]) < 1e-5 for g, (_, p) in said.items()), (said, line["certainty"])
PYTHON
}
python=${ORACLE_VENV:+$ORACLE_VENV/bin/}python3
if "$python" -c 'import torch, safetensors, PIL' 2>/dev/null; then
  same_as_pytorch run.jsonl
  cp -r encoder uncalibrated
  works 1 evaluate encoder --calibrate -o calibrated
  works 1 predict crops --aligned --model encoder -o calibrated
  cp out.log calibrated.jsonl
  same_as_pytorch calibrated.jsonl
  diff <(sed 's/"certainty".*//' run.jsonl) <(sed 's/"certainty".*//' calibrated.jsonl) || fail "calibration changes a face"
  ! cmp -s run.jsonl calibrated.jsonl || fail "calibration changes no certainty"
  rm -r encoder && mv uncalibrated encoder
else
  echo "SKIPPED: docs/load_encoder.py: no torch, safetensors and PIL in $python"
fi

# ---- without a decoder, without the run's decoder, without a client that knows the schema ----
(cd alone && "$LIKENESS" predict ../crops/face0.png --aligned --model e.safetensors -o out) >out.log 2>err.log ||
  fail "no decoder"
grep -q 'no decoder is known for e.safetensors' err.log || fail "no decoder is not told"
[ "$(ls alone/out | tr '\n' ' ')" = "face0-client.png face0.json face0.mhm face0.png " ] || fail "files without a decoder"
python3 -c 'from png import *; assert len(read("alone/out/face0.png")[0]) == 3 * 64' || fail "a triptych without a decoder"
mv decoder gone
works 1 predict crops/face0.png --aligned --model encoder -o gone-out
grep -q 'no decoded faces: the decoder of encoder/config.yaml' err.log && [ ! -e gone-out/face0-decoded.png ] ||
  fail "a run whose decoder is gone"
mv gone decoder
LIKENESS_CLIENT=nowhere works 1 predict crops/face0.png --aligned --model encoder -o no-client
grep -q "no client's faces" err.log && [ ! -e no-client/face0-client.png ] || fail "no client is not told"

# ---- another client ----
cat >"their client" <<'SHELL'
#!/bin/sh
grep -q '"continuous"' "$1" || exit 9
echo drawn && cp again.png "$2"
SHELL
chmod +x "their client"
works 1 predict crops --aligned --model encoder -o "it's theirs" --client "'./their client' {params} {picture}"
cmp out.log run.jsonl || fail "another client changes the lines"
python3 - <<'PYTHON' || fail "another client's picture"
from png import *
theirs = read("again.png")
for i in range(3):
    assert read(f"it's theirs/face{i}-client.png") == theirs
    assert cut(read(f"it's theirs/face{i}.png"), 64, 0, 32, 32) == theirs
PYTHON
! ls "it's theirs" | grep -q tmp || fail "left: $(ls "it's theirs")"
client_fails() { # TEXT COMMAND [OPTIONS]
  refused 65 "$1" predict crops/face0.png --aligned --model encoder -o bad --client "$2" "${@:3}"
  [ -s bad/face0.json ] && [ ! -e bad/face0-client.png ] && [ ! -e bad/face0.png ] && [ ! -s out.log ] || fail "$2: $(ls bad)"
  ! ls bad | grep -q tmp || fail "left: $(ls bad)"
  rm -r bad
}
client_fails "ended with exit code 3" 'exit 3 {params} {picture}'
client_fails "ended by signal 9" 'kill -9 $$ {params} {picture}'
client_fails "ended with exit code 127" 'no-such-client {params} {picture}'
client_fails "left nothing at {picture}" 'true {params} {picture}'
client_fails "{picture}: is neither a PNG nor a JPEG" 'cp {params} {picture}'
client_fails "has 96 x 32 pixels, and must be square" 'cp run/face0.png {picture}; : {params}'
client_fails "was not done after 1 s" 'sleep 98765 & sleep 98765; : {params} {picture}' --client-seconds 1
! pgrep -f 'sleep 98765' >/dev/null || fail "a client that hangs is left"
refused 64 "has no {picture}" predict crops/face0.png --aligned --model encoder -o bad --client 'draw {params}'

# ---- what is refused ----
"$LIKENESS" predict crops/face0.png --aligned --model encoder -o full >/dev/full 2>err.log
[ $? = 70 ] && grep -q 'error: .*standard output' err.log || fail "lines that cannot be written"
echo words >crops/words.png
head -c 300 crops/face0.png >crops/short.png
python3 -c 'from png import *; write("crops/wide.png", cut(read("run/face0.png"), 0, 0, 96, 32))' || fail "a wide picture"
works 1 predict crops --aligned --model encoder -o some
[ "$(wc -l <out.log)" = 6 ] && [ "$(grep -c '"refused":' out.log)" = 3 ] || fail "photos that are no pictures"
grep -q '^{"photo":"wide.png","refused":".*has 96 x 32 pixels' out.log || fail "a crop that is not square"
refused 65 "no face in 2 photos" predict crops/words.png crops/short.png --aligned --model encoder -o none
refused 64 "would become face0.png" predict crops/face0.png crops/face0.png --aligned --model encoder -o twice
refused 65 "is a decoder" predict crops/face0.png --aligned --model decoder -o x
refused 65 "nowhere: there is no such file" predict crops/face0.png --aligned --model nowhere -o x
refused 65 "faces: is neither a checkpoint nor a run" predict crops/face0.png --aligned --model faces -o x
refused 64 "--model" predict crops/face0.png -o x

# ---- real photos ----
if photos=$("$LIKENESS_ROOT/tests/photos" 2>&1); then
  works 1 predict "$photos"/{obama,free-mountain-vector-01,45-m7-di-ph}.jpg --model encoder -o real
  python3 - <<'PYTHON' || fail "real photos"
import json
face, mountain, turned = [json.loads(line) for line in open("out.log")]
assert face["face"] == "obama" and mountain["refused"] == "no face" and turned["refused"] == "turned away"
PYTHON
  works 1 align "$photos/obama.jpg" -o aligned --size 32
  works 1 predict aligned/obama.png --aligned --model encoder -o real-aligned
  diff -r real real-aligned || fail "a photo and its crop give other faces"
  works 1 predict "$photos/multi_face.jpg" --model encoder -o all --faces all
  [ "$(ls all | grep -c -- '-[1-4]\.json')" = 4 ] || fail "--faces all"
  refused 65 "has 4 faces" predict "$photos/multi_face.jpg" --model encoder -o x --faces error
else
  echo "SKIPPED: real photos: $photos"
fi
echo "ok"
