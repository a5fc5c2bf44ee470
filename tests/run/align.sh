#!/bin/bash
# likeness align and pack --align on real photos.
set -eu
photos=$("$LIKENESS_ROOT/tests/photos") || { echo "no photos: the package registry cannot be reached"; exit 77; }
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
say() { echo "align.sh: $*" >&2; exit 1; }

"$LIKENESS" align "$photos"/{obama,biden,45-m7-di-ph,free-mountain-vector-01,multi_face}.jpg -o crops --size 96 --draw >out.txt
cat out.txt
grep -q '^obama: taken' out.txt || say "obama.jpg was not taken"
grep -q '^45-m7-di-ph: turned away' out.txt || say "the face turned by 45 degrees was not refused"
grep -q '^free-mountain-vector-01: no face' out.txt || say "a mountain has a face"
for file in obama.png biden.png multi_face.png obama-drawn.png 45-m7-di-ph-drawn.png; do
  [ -s crops/$file ] || say "crops/$file is missing"
done
[ ! -e crops/45-m7-di-ph.png ] || say "a refused face was written"
"$LIKENESS" align "$photos/multi_face.jpg" -o all --faces all >out.txt
[ "$(ls all | wc -l)" = 4 ] || say "not every face"
code=0; "$LIKENESS" align "$photos/multi_face.jpg" -o error --faces error >out.txt 2>&1 || code=$?
[ $code = 65 ] && grep -q 'multi_face.jpg: has 4 faces' out.txt || { cat out.txt; say "--faces error"; }
code=0; "$LIKENESS" align "$photos/obama.jpg" "$work/x/obama.jpg" -o twice >out.txt 2>&1 || code=$?
[ $code = 64 ] && grep -q 'would both become obama.png' out.txt || say "two photos of one name"
code=0; "$LIKENESS" align "$photos/free-mountain-vector-01.jpg" -o none >out.txt 2>&1 || code=$?
[ $code = 65 ] || say "no face is exit $code"

# Labelled photos into shards: the same on 1 and 2 threads.
cat >schema.yaml <<'Y'
name: small
continuous:
  - {name: jaw, min: 0, max: 10, default: 5}
discrete:
  - {name: hair, choices: [short, long]}
Y
{ echo key,hair,jaw; for file in "$photos"/*.*; do echo "$(basename "$file"),short,$((RANDOM % 10))"; done; } >labels.csv
for threads in 1 2; do
  "$LIKENESS" pack "$photos" labels.csv -o packed-$threads --schema schema.yaml --align --size 96 \
    --threads $threads >report.txt 2>log.txt ||
    { cat report.txt log.txt; say "pack --align"; }
done
cat report.txt
cmp packed-1/shard-00000.h5 packed-2/shard-00000.h5 || say "threads change the result"
cmp packed-1/pack.json packed-2/pack.json || say "threads change the report"
for reason in 'no face' 'turned away' 'cut off'; do
  grep -q "$reason" packed-1/rejected.jsonl || say "'$reason' is not told"
done
"$LIKENESS" inspect packed-1 --verify --contact-sheet sheet.png >/dev/null 2>&1 || say inspect
[ -z "${LIKENESS_KEEP:-}" ] || cp sheet.png crops/*-drawn.png "$LIKENESS_KEEP/"
