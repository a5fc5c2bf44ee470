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
[ $code = 64 ] && grep -q 'obama.jpg would become obama.png, as another photo has already' out.txt || say "two photos of one name"
code=0; "$LIKENESS" align "$photos/free-mountain-vector-01.jpg" -o none >out.txt 2>&1 || code=$?
[ $code = 65 ] || say "no face is exit $code"

# A folder, an archive and a pipe give what the photos by themselves give, in the order of the source.
mkdir -p some/sub
cp "$photos"/{obama,free-mountain-vector-01}.jpg some/
cp "$photos/biden.jpg" some/sub/
echo words >some/README.txt
head -c 1000 "$photos/obama.jpg" >some/cut.jpg
(cd some && tar -czf ../some.tar.gz cut.jpg free-mountain-vector-01.jpg obama.jpg README.txt sub/biden.jpg)
"$LIKENESS" align some -o from-folder --size 96 --threads 2 >folder.txt 2>log.txt || { cat log.txt; say "a folder"; }
"$LIKENESS" align some.tar.gz -o from-archive --size 96 --threads 1 >archive.txt 2>>log.txt || say "an archive"
"$LIKENESS" align - -o from-pipe --size 96 <some.tar.gz >pipe.txt 2>>log.txt || say "standard input"
for other in archive pipe; do
  cmp folder.txt $other.txt || say "the lines differ: $other"
  diff -r from-folder from-$other >/dev/null || say "the crops differ: $other"
done
[ "$(cut -d : -f 1 folder.txt | tr '\n' ' ')" = "cut free-mountain-vector-01 obama sub_biden " ] ||
  { cat folder.txt; say "order and names"; }
[ "$(ls from-folder | tr '\n' ' ')" = "obama.png sub_biden.png " ] || say "the crops' names"
cmp from-folder/obama.png crops/obama.png || say "a folder's crop is another one"
grep -q 'passed over 1 files' log.txt || say "what is no photo is not told"

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
