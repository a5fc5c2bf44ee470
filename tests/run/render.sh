#!/bin/bash
# likeness render: one picture, shards that do not depend on ranks or threads, and its errors.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"

# ---- one picture, from the schema's default face ----
schema=$LIKENESS_ROOT/configs/client-schema.yaml
awk '
  /^continuous:/ { printf "{\"continuous\": {"; next }
  /^discrete:/ { printf "}, \"discrete\": {"; comma = ""; discrete = 1; next }
  /- \{name:/ {
    name = $0; sub(/.*name: /, "", name); sub(/,.*/, "", name)
    value = $0
    if (discrete) { sub(/.*choices: \[/, "", value); sub(/[],].*/, "", value); value = "\"" value "\"" }
    else { sub(/.*default: /, "", value); sub(/}.*/, "", value) }
    printf "%s\"%s\": %s", comma, name, value; comma = ", "
  }
  END { printf "}}\n" }' "$schema" >face.json
works 1 render face.json -o a.png --size 96
works 1 render face.json -o b.png --size 96 --schema "$schema"
cmp a.png b.png || fail "the default schema is another"
[ "$(od -An -tx1 -j16 -N8 a.png | tr -d ' \n')" = 0000006000000060 ] || fail "not a PNG of 96 x 96"
works 1 render face.json -o c.png --size 96 --varied --seed 4
works 1 render face.json -o d.png --size 96 --view varied --seed 5
cmp -s a.png c.png && fail "the varied view is the canonical one"
cmp -s c.png d.png && fail "the seed changes nothing"
works 1 render --sheet 5 -o sheet.png --size 32
[ "$(od -An -tx1 -j16 -N8 sheet.png | tr -d ' \n')" = 0000008000000060 ] || fail "not a sheet of 4 x 3 pictures"

# ---- what is read stays ----
cp face.json kept.json
ln -s face.json link.json
refused 64 "face.json would replace face.json, which is read" render face.json -o face.json
refused 64 "./face.json would replace link.json, which is read" render link.json -o ./face.json
refused 64 "link.json would replace face.json, which is read" render face.json -o link.json
cp "$schema" schema.yaml
refused 64 "schema.yaml would replace schema.yaml, which is read" render --sheet 2 --schema schema.yaml -o schema.yaml
mkdir behind-faces
cp a.png behind-faces/
refused 64 "would replace a file in behind-faces/, which is read" \
  render --sheet 2 --view photo --backgrounds behind-faces/ -o ./behind-faces/a.png --size 32
cmp face.json kept.json && cmp "$schema" schema.yaml && cmp a.png behind-faces/a.png && [ -L link.json ] ||
  fail "what was read was replaced"

# ---- shards: the same bytes for any number of ranks and threads ----
common="--random 90 --size 48 --shard-size 20 --seed 3"
works 1 render $common -o one --threads 1
says '90 faces of 48 x 48 pixels in 5 shards'
[ "$(cd one && echo *)" = "shard-00000.h5 shard-00001.h5 shard-00002.h5 shard-00003.h5 shard-00004.h5" ] || fail "names of shards"
works 1 render $common -o threads --threads 4
works 4 render $common -o ranks --threads 1
diff -r one threads || fail "threads change the shards"
diff -r one ranks || fail "ranks change the shards"
works 1 render $common -o varied --view varied --jpeg 90
cmp -s one/shard-00000.h5 varied/shard-00000.h5 && fail "the view changes nothing"

# ---- the photo view: natural faces, backgrounds of one's own, the same bytes for any number of ranks and threads ----
mkdir pictures
cp a.png c.png pictures/
echo "no picture" >pictures/note.txt
photo="--random 60 --size 48 --shard-size 20 --view photo --prior natural"
works 1 render $photo -o photo --threads 1
works 3 render $photo -o photo-ranks --threads 2
diff -r photo photo-ranks || fail "ranks or threads change view photo"
works 1 render $photo -o behind --backgrounds pictures
tar cf pictures.tar pictures
works 2 render $photo -o behind-tar --backgrounds pictures.tar
diff -r behind behind-tar || fail "a folder and its archive give different backgrounds"
diff -rq photo behind >/dev/null && fail "--backgrounds changes nothing"
works 1 render $photo -o uniform --prior uniform
diff -rq photo uniform >/dev/null && fail "--prior changes nothing"
cp "$LIKENESS_ROOT/configs/client-prior.yaml" own.yaml
works 1 render $photo -o own --prior own.yaml
works 1 render --sheet 3 --view photo -o sheet-photo.png --size 32
cmp -s sheet.png sheet-photo.png && fail "the sheet does not show the view"
mkdir empty
refused 65 "holds no picture" render --random 3 --view photo --backgrounds empty -o x
differ=0
for seed in 1 2 3 4; do # some scenes have no picture behind them
  works 1 render face.json --view photo --seed $seed --size 48 -o plain.png
  works 1 render face.json --view photo --seed $seed --size 48 --backgrounds pictures -o behind.png
  cmp -s plain.png behind.png || differ=1
done
[ $differ = 1 ] || fail "--backgrounds changes nothing of one face"
sed -i 's/stubble/whiskers/' own.yaml
refused 78 "no choice 'whiskers'" render --random 3 --prior own.yaml -o x

# ---- errors ----
refused 64 "already holds shards" render $common -o one
cp one/shard-00004.h5 kept.h5
works 1 render --random 20 --size 48 --shard-size 20 --seed 3 -o one --force
[ "$(cd one && echo *)" = shard-00000.h5 ] || fail "--force left shards of another run"
refused 64 "either one parameter file" render -o x
refused 64 "either one parameter file" render face.json --random 3 -o x
refused 64 "needs --output PATH" render --random 3
refused 64 "--size takes a whole number from 32 to 1024" render face.json -o x.png --size 31
refused 64 "--random takes a whole number" render --random 3x -o x
refused 64 "canonical, varied or photo" render face.json -o x.png --view both
refused 64 "no option --rendom" render --rendom 3 -o x
refused 64 "--seed needs a value" render face.json -o x.png --seed
refused 65 "missing.json" render missing.json -o x.png
sed 's/"bald"/"toupee"/' face.json >wrong.json
refused 65 "toupee" render wrong.json -o x.png
cat >odd.yaml <<'END'
name: x
continuous:
  - {name: chin/none-such, min: 0, max: 1, default: 0}
discrete:
  - {name: hair, choices: [bald, bob]}
END
refused 65 "no modifier \"chin/none-such\"" render --random 3 -o x --schema odd.yaml
echo 'name: [' >broken.yaml
refused 78 "broken.yaml" render --random 3 -o x --schema broken.yaml
fails 65 "nowhere" env LIKENESS_CLIENT=nowhere "$LIKENESS" render face.json -o x.png
[ -e x.png ] && fail "a picture in spite of an error"
works 1 render --help
says 'usage: likeness render'

# ---- a full disk, on one and three ranks ----
mkdir small
if mount -t tmpfs -o size=600k tmpfs small 2>/dev/null; then
  trap 'umount small' EXIT
  refused 70 "the disk is full" render --random 200 --size 64 --shard-size 50 -o small/s
  [ "$(ls small/s)" = unfinished ] || fail "left on the full disk: $(ls small/s)"
  fails 70 "the disk is full" on 3 "$LIKENESS" render --random 200 --size 64 --shard-size 50 -o small/t
  [ "$(ls small/t)" = unfinished ] || fail "left on the full disk: $(ls small/t)"
else
  echo "SKIPPED: a full disk: no right to mount a tmpfs"
fi
echo "render: ok"
