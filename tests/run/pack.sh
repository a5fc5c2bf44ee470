#!/bin/bash
# likeness pack, inspect on the command line: real tar, gzip, zstd, xz, zip as users make them; exit codes; reports.
set -eu
. "$LIKENESS_ROOT/tests/run/lib.bash"

# Faces of the client as a studio would export them: pictures and parameter files.
schema=$LIKENESS_ROOT/configs/client-schema.yaml
count=${LIKENESS_PACK_COUNT:-10}
mkdir -p studio/a
jsons() { # parameter files of random faces: the schema's names with values inside their ranges
  awk -v count="$count" -v seed=1 '
    BEGIN { srand(seed) }
    /^ *- *\{name:/ {
      line = $0; sub(/.*\{name: */, "", line); name = line; sub(/,.*/, "", name); gsub(/^"|"$/, "", name)
      if (line ~ /min:/) {
        low = line; sub(/.*min: */, "", low); high = line; sub(/.*max: */, "", high)
        names[++n] = name; lows[n] = low + 0; highs[n] = high + 0
      } else {
        list = line; sub(/.*choices: *\[/, "", list); sub(/\].*/, "", list)
        groups[++g] = name; counts[g] = split(list, parts, / *, */)
        for (k = 1; k <= counts[g]; k++) { gsub(/^"|"$/, "", parts[k]); choice[g, k] = parts[k] }
      }
    }
    END {
      for (i = 0; i < count; i++) {
        file = sprintf("studio/a/%04d.json", i)
        printf "{\"continuous\": {" > file
        for (k = 1; k <= n; k++)
          printf "%s\"%s\": %.6f", (k > 1 ? ", " : ""), names[k], lows[k] + rand() * (highs[k] - lows[k]) > file
        printf "}, \"discrete\": {" > file
        for (k = 1; k <= g; k++)
          printf "%s\"%s\": \"%s\"", (k > 1 ? ", " : ""), groups[k], choice[k, 1 + int(rand() * counts[k])] > file
        printf "}}\n" > file
        close(file)
      }
    }' "$schema"
}
jsons
for file in studio/a/*.json; do
  works 1 render "$file" -o "${file%.json}.png" --size 64
done

tar -C studio --sort=name -cf plain.tar .
gzip -k plain.tar && zstd -q plain.tar -o plain.tar.zst && xz -k -1 plain.tar
hash_of() { "$LIKENESS" inspect "$1" | sed -n 's/^content hash: //p'; }
pack() { works 1 pack "$@" --schema "$schema" --size 64; }
pack studio -o from-folder
wanted=$(hash_of from-folder)
says "^taken: $count$"
says "content hash: $wanted"
for source in plain.tar plain.tar.gz plain.tar.zst plain.tar.xz; do
  for threads in 1 2; do
    pack $source -o from-$source-$threads --threads $threads
    [ "$(hash_of from-$source-$threads)" = "$wanted" ] || fail "$source on $threads threads differs from the folder"
  done
done
if command -v zip >/dev/null; then
  (cd studio && find . -type f | LC_ALL=C sort | zip -q -@ ../made.zip)
  pack made.zip -o from-zip
  [ "$(hash_of from-zip)" = "$wanted" ] || fail "zip differs from the folder"
else
  echo "SKIPPED: zip as people make it: no zip"
fi
pack - -o from-pipe <plain.tar.gz
[ "$(hash_of from-pipe)" = "$wanted" ] || fail "standard input differs from the folder"
# A pipe by its name: what was read of it does not come again.
pack <(cat plain.tar.gz) -o from-substitution
mkfifo named-pipe
cat plain.tar >named-pipe &
pack named-pipe -o from-named-pipe
for folder in from-substitution from-named-pipe; do
  [ "$(hash_of $folder)" = "$wanted" ] || fail "$folder differs from the folder"
done

# Splits, the data set is what it was.
pack plain.tar.zst -o split --split 0.7/0.3 --expect "$count"
works 1 inspect split/train split/val --verify --values --contact-sheet sheet.png
says "^samples: $count$"
says "^verified: all $count samples are whole$"
[ "$(head -c 8 sheet.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail "the contact sheet is no PNG"
shard=$(ls split/val/*.h5 | head -n 1)
ln -s "$shard" shard.png
for shards in split/val "$shard"; do
  refused 64 "shard.png would replace $shard, which is read" inspect split/train "$shards" --contact-sheet shard.png
done
works 1 inspect split/train split/val --verify
[ -z "${LIKENESS_KEEP:-}" ] || cp sheet.png "$LIKENESS_KEEP/"

# Damage is told, at whatever place.
shard=$(ls from-folder/*.h5 | head -n 1)
size=$(stat -c %s "$shard")
cp "$shard" damaged.h5
printf '\125' | dd of=damaged.h5 bs=1 seek=$((size / 2)) conv=notrunc status=none
refused 65 damaged inspect damaged.h5 --verify

# A file that may not be read is told by its whole path.
forbidden() {
  FAULTS_ROOT=$PWD/studio/a FAULTS_CALL=open FAULTS_AT=3 FAULTS_TIMES=1000 FAULTS_ERRNO=EACCES \
    LD_PRELOAD=$LIKENESS_BUILD/tests/faults.so "$LIKENESS" "$@"
}
fails 70 "studio/a/0000.png: cannot open: Permission denied" forbidden pack studio -o forbidden --schema "$schema" --size 64

# The command line.
refused 64 "needs a source" pack -o x --schema "$schema"
refused 64 "needs --schema FILE" pack studio -o x
refused 64 "--split takes" pack studio -o x --schema "$schema" --split 0.7/0.7
refused 64 "there is no option --sise" pack studio -o x --schema "$schema" --sise 3
refused 64 "--size takes a whole number" pack studio -o x --schema "$schema" --size big
refused 64 "packed into already" pack studio -o from-folder --schema "$schema" --size 64
pack studio -o from-folder --resume
says "is complete"
if unshare -m true 2>/dev/null; then # nor is anything written
  LIKENESS=$LIKENESS schema=$schema set=$PWD/from-folder unshare -m bash -c '
    mount --bind "$set" "$set" && mount -o remount,ro,bind "$set" &&
      exec "$LIKENESS" pack studio -o from-folder --schema "$schema" --size 64 --resume' >out.log 2>err.log ||
    fail "a whole set on a disk that is read-only"
  says "is complete"
else
  echo "SKIPPED: a set on a disk that is read-only (needs root)"
fi
refused 64 "begun with size" pack studio -o from-folder --schema "$schema" --size 32 --resume
mkdir named
cp "$schema" named/rejected.jsonl
refused 64 "named/rejected.jsonl would replace named/rejected.jsonl" pack studio -o named --schema named/rejected.jsonl --size 64
cmp "$schema" named/rejected.jsonl || fail "pack replaced its schema"
refused 65 "$((count + 1)) were expected" pack studio -o short --schema "$schema" --size 64 --expect $((count + 1))
refused 65 "gone.zip: cannot open" pack gone.zip -o x --schema "$schema"
refused 78 "gone.yaml" pack studio -o x2 --schema gone.yaml
refused 64 "needs a folder" inspect
refused 65 "nowhere" inspect nowhere
head -c $(($(stat -c %s plain.tar.gz) / 2)) plain.tar.gz >half.tar.gz
refused 65 "half.tar.gz" pack half.tar.gz -o half --schema "$schema" --size 64
[ -z "$(ls half/*.h5 2>/dev/null)" ] || fail "a part of a shard was written"
# ... and with the whole archive it goes on.
pack plain.tar.gz -o half --resume
[ "$(hash_of half)" = "$wanted" ] || fail "going on after a damaged archive"
echo "pack.sh: $count faces out of eight kinds of source are the same"
