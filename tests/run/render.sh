#!/bin/bash
# likeness render: one picture, shards that do not depend on ranks or threads, and its errors.
set -u
fail() { echo "FAIL: $*" >&2; exit 1; }
on() { local n=$1; shift; mpirun -n "$n" "$@"; }

# Runs a command that must exit with a code and print exactly one line of error that holds a text.
refuses() { # CODE TEXT COMMAND...
  local code=$1 text=$2; shift 2
  "$@" >out.log 2>err.log
  local got=$?
  [ "$got" = "$code" ] || { cat err.log >&2; fail "exit $got, not $code: $*"; }
  [ "$(grep -c 'likeness: ' err.log)" = 1 ] || { cat err.log >&2; fail "not one line of error: $*"; }
  grep -qF -- "$text" err.log || { cat err.log >&2; fail "no '$text': $*"; }
}

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
"$LIKENESS" render face.json -o a.png --size 96 || fail "one face"
"$LIKENESS" render face.json -o b.png --size 96 --schema "$schema" || fail "one face with its schema named"
cmp a.png b.png || fail "the default schema is another"
[ "$(od -An -tx1 -j16 -N8 a.png | tr -d ' \n')" = 0000006000000060 ] || fail "not a PNG of 96 x 96"
"$LIKENESS" render face.json -o c.png --size 96 --varied --seed 4 || fail "a varied face"
"$LIKENESS" render face.json -o d.png --size 96 --view varied --seed 5 || fail "a varied face"
cmp -s a.png c.png && fail "the varied view is the canonical one"
cmp -s c.png d.png && fail "the seed changes nothing"
"$LIKENESS" render --sheet 5 -o sheet.png --size 32 || fail "a sheet"
[ "$(od -An -tx1 -j16 -N8 sheet.png | tr -d ' \n')" = 0000008000000060 ] || fail "not a sheet of 4 x 3 pictures"

# ---- shards: the same bytes for any number of ranks and threads ----
common="--random 90 --size 48 --shard-size 20 --seed 3"
"$LIKENESS" render $common -o one --threads 1 >one.log || fail "one rank"
grep -q '90 faces of 48 x 48 pixels in 5 shards' one.log || fail "no result line"
[ "$(cd one && echo *)" = "shard-00000.h5 shard-00001.h5 shard-00002.h5 shard-00003.h5 shard-00004.h5" ] || fail "names of shards"
"$LIKENESS" render $common -o threads --threads 4 >/dev/null || fail "four threads"
on 4 "$LIKENESS" render $common -o ranks --threads 1 >/dev/null 2>ranks.log || { cat ranks.log; fail "four ranks"; }
diff -r one threads || fail "threads change the shards"
diff -r one ranks || fail "ranks change the shards"
"$LIKENESS" render $common -o varied --view varied --jpeg 90 >/dev/null || fail "varied JPEG shards"
cmp -s one/shard-00000.h5 varied/shard-00000.h5 && fail "the view changes nothing"

# ---- the photo view: natural faces, backgrounds of one's own, the same bytes for any number of ranks and threads ----
mkdir pictures
cp a.png c.png pictures/
echo "no picture" >pictures/note.txt
photo="--random 60 --size 48 --shard-size 20 --view photo --prior natural"
"$LIKENESS" render $photo -o photo --threads 1 >/dev/null || fail "view photo"
on 3 "$LIKENESS" render $photo -o photo-ranks --threads 2 >/dev/null || fail "view photo on three ranks"
diff -r photo photo-ranks || fail "ranks or threads change view photo"
"$LIKENESS" render $photo -o behind --backgrounds pictures >/dev/null || fail "--backgrounds FOLDER"
tar cf pictures.tar pictures
on 2 "$LIKENESS" render $photo -o behind-tar --backgrounds pictures.tar >/dev/null || fail "--backgrounds ARCHIVE"
diff -r behind behind-tar || fail "a folder and its archive give different backgrounds"
diff -rq photo behind >/dev/null && fail "--backgrounds changes nothing"
"$LIKENESS" render $photo -o uniform --prior uniform >/dev/null || fail "--prior uniform"
diff -rq photo uniform >/dev/null && fail "--prior changes nothing"
cp "$LIKENESS_ROOT/configs/client-prior.yaml" own.yaml
"$LIKENESS" render $photo -o own --prior own.yaml >/dev/null || fail "--prior FILE"
"$LIKENESS" render --sheet 3 --view photo -o sheet-photo.png --size 32 || fail "a sheet of photos"
cmp -s sheet.png sheet-photo.png && fail "the sheet does not show the view"
mkdir empty
refuses 65 "holds no picture" "$LIKENESS" render --random 3 --view photo --backgrounds empty -o x
sed -i 's/stubble/whiskers/' own.yaml
refuses 78 "no choice 'whiskers'" "$LIKENESS" render --random 3 --prior own.yaml -o x

# ---- errors ----
refuses 64 "already holds shards" "$LIKENESS" render $common -o one
cp one/shard-00004.h5 kept.h5
"$LIKENESS" render --random 20 --size 48 --shard-size 20 --seed 3 -o one --force >/dev/null || fail "--force"
[ "$(cd one && echo *)" = shard-00000.h5 ] || fail "--force left shards of another run"
refuses 64 "either one parameter file" "$LIKENESS" render -o x
refuses 64 "either one parameter file" "$LIKENESS" render face.json --random 3 -o x
refuses 64 "needs --output PATH" "$LIKENESS" render --random 3
refuses 64 "--size takes a whole number from 32 to 1024" "$LIKENESS" render face.json -o x.png --size 31
refuses 64 "--random takes a whole number" "$LIKENESS" render --random 3x -o x
refuses 64 "canonical, varied or photo" "$LIKENESS" render face.json -o x.png --view both
refuses 64 "no option --rendom" "$LIKENESS" render --rendom 3 -o x
refuses 64 "--seed needs a value" "$LIKENESS" render face.json -o x.png --seed
refuses 65 "missing.json" "$LIKENESS" render missing.json -o x.png
sed 's/"bald"/"toupee"/' face.json >wrong.json
refuses 65 "toupee" "$LIKENESS" render wrong.json -o x.png
cat >odd.yaml <<'END'
name: x
continuous:
  - {name: chin/none-such, min: 0, max: 1, default: 0}
discrete:
  - {name: hair, choices: [bald, bob]}
END
refuses 65 "no modifier \"chin/none-such\"" "$LIKENESS" render --random 3 -o x --schema odd.yaml
echo 'name: [' >broken.yaml
refuses 78 "broken.yaml" "$LIKENESS" render --random 3 -o x --schema broken.yaml
refuses 65 "nowhere" env LIKENESS_CLIENT=nowhere "$LIKENESS" render face.json -o x.png
[ -e x.png ] && fail "a picture in spite of an error"
"$LIKENESS" render --help | grep -q 'usage: likeness render' || fail "no help"

# ---- a full disk, on one and three ranks ----
mkdir small
if mount -t tmpfs -o size=600k tmpfs small 2>/dev/null; then
  trap 'umount small' EXIT
  refuses 70 "the disk is full" "$LIKENESS" render --random 200 --size 64 --shard-size 50 -o small/s
  [ -z "$(ls small/s)" ] || fail "left on the full disk: $(ls small/s)"
  refuses 70 "the disk is full" on 3 "$LIKENESS" render --random 200 --size 64 --shard-size 50 -o small/t
  [ -z "$(ls small/t)" ] || fail "left on the full disk: $(ls small/t)"
else
  echo "SKIPPED: a full disk: no right to mount a tmpfs"
fi
echo "render: ok"
