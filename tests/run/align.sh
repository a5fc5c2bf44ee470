#!/bin/bash
# likeness align and pack --align on real photos.
set -eu
. "$LIKENESS_ROOT/tests/run/lib.bash"
photos=$("$LIKENESS_ROOT/tests/photos") || { echo "no photos: the package registry cannot be reached"; exit 77; }

works 1 align "$photos"/{obama,biden,45-m7-di-ph,free-mountain-vector-01,multi_face}.jpg -o crops --size 96 --draw
cat out.log
says '^obama: taken'
says '^45-m7-di-ph: turned away'
says '^free-mountain-vector-01: no face'
for file in obama.png biden.png multi_face.png obama-drawn.png 45-m7-di-ph-drawn.png; do
  [ -s crops/$file ] || fail "crops/$file is missing"
done
[ ! -e crops/45-m7-di-ph.png ] || fail "a refused face was written"
works 1 align "$photos/multi_face.jpg" -o all --faces all
[ "$(ls all | wc -l)" = 4 ] || fail "not every face"
refused 65 'multi_face.jpg: has 4 faces' align "$photos/multi_face.jpg" -o error --faces error
refused 64 'obama.jpg would become obama.png, as another photo has already' align "$photos/obama.jpg" "$PWD/x/obama.jpg" -o twice
mkdir tails
cp "$photos/obama.jpg" tails/a.jpg
cp "$photos/biden.jpg" tails/a-drawn.jpg
refused 64 'a.jpg would become a-drawn.png, as another photo has already' align tails -o drawn --draw
works 1 align tails -o drawn
refused 65 '' align "$photos/free-mountain-vector-01.jpg" -o none

# A folder, an archive and a pipe give what the photos by themselves give, in the order of the source.
mkdir -p some/sub
cp "$photos"/{obama,free-mountain-vector-01}.jpg some/
cp "$photos/biden.jpg" some/sub/
echo words >some/README.txt
head -c 1000 "$photos/obama.jpg" >some/cut.jpg
(cd some && tar -czf ../some.tar.gz cut.jpg free-mountain-vector-01.jpg obama.jpg README.txt sub/biden.jpg)
works 1 align some.tar.gz -o from-archive --size 96 --threads 1
mv out.log archive.txt
works 1 align - -o from-pipe --size 96 <some.tar.gz
mv out.log pipe.txt
works 1 align some -o from-folder --size 96 --threads 2
for other in archive pipe; do
  cmp out.log $other.txt || fail "the lines differ: $other"
  diff -r from-folder from-$other >/dev/null || fail "the crops differ: $other"
done
[ "$(cut -d : -f 1 out.log | tr '\n' ' ')" = "cut free-mountain-vector-01 obama sub_biden " ] ||
  { cat out.log; fail "order and names"; }
[ "$(ls from-folder | tr '\n' ' ')" = "obama.png sub_biden.png " ] || fail "the crops' names"
cmp from-folder/obama.png crops/obama.png || fail "a folder's crop is another one"
says 'passed over 1 files'

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
  works 1 pack "$photos" labels.csv -o packed-$threads --schema schema.yaml --align --size 96 --threads $threads
done
cat out.log
cmp packed-1/shard-00000.h5 packed-2/shard-00000.h5 || fail "threads change the result"
cmp packed-1/pack.json packed-2/pack.json || fail "threads change the report"
for reason in 'no face' 'turned away' 'cut off'; do
  grep -q "$reason" packed-1/rejected.jsonl || fail "'$reason' is not told"
done
works 1 inspect packed-1 --verify --contact-sheet sheet.png
[ -z "${LIKENESS_KEEP:-}" ] || cp sheet.png crops/*-drawn.png "$LIKENESS_KEEP/"
