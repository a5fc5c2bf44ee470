#!/bin/bash
# likeness stage and train --staged on this machine: what is copied, checked, used and removed; damage, a full disk, a stop.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
export OMP_NUM_THREADS=1
tiny_world 48
works 1 render --random 24 --start 5000 --size 32 --view varied --threads 2 -o tiny/more
mixture='data.train=[{path: tiny/train, share: 1}, {path: tiny/more, share: 2}]'
set -- --set "$mixture" --set train.steps=40 --set train.micro_batch=2
content() { "$LIKENESS" inspect "$@" | sed -n 's/^content hash: //p'; } # SHARDS...

works 1 stage tiny.yaml --to near "$@"
for pair in "train.0 train" "train.1 more" "val.0 val"; do
  read -r copy original <<<"$pair"
  [ -n "$(content near/$copy)" ] && [ "$(content near/$copy)" = "$(content tiny/$original)" ] || fail "$copy is not $original"
done
grep -q 'staged .* MB at near on .*, contents checked' err.log || fail "no line about the stage"
works 1 train tiny.yaml "$@" --set run.dir=plain

# Trained from the copies: the same digits, no trace of where they were, and the stage is gone. The originals are not opened:
# they are away.
mv tiny/train tiny/more tiny/val .
works 2 train tiny.yaml "$@" --set run.dir=staged --staged near
[ ! -e near ] || fail "the stage is left"
! grep -r near staged/config.yaml staged/checkpoints/*/state.json || fail "the run says where its shards were staged"
mv train more val tiny
same_run plain staged

# Goes on elsewhere: from the originals, and from another stage.
works 1 stage tiny.yaml --to near "$@"
interrupt_at moved 3 TERM 2 train tiny.yaml "$@" --set run.dir=moved --staged near
[ ! -e near ] || fail "the stage of a stopped training is left"
lines_of moved/metrics.jsonl
interrupt_at moved $((lines + 4)) TERM 1 train tiny.yaml "$@" --set run.dir=moved
works 1 stage tiny.yaml --to other/place "$@"
works 1 train tiny.yaml "$@" --set run.dir=moved --staged other/place
same_run plain moved
# The contents decide: a stage of other faces does not go on.
rm moved/DONE
works 1 stage tiny.yaml --to near --set 'data.train=[{path: tiny/more, share: 1}, {path: tiny/train, share: 2}]'
refused 65 "now holds other faces" train tiny.yaml "$@" --set run.dir=moved --staged near
[ ! -e near ] || fail "the stage of a refused training is left"

# Damage in an original is met before a rank is, and leaves nothing.
cp -r tiny/more damaged
flip damaged/*.h5 $(($(stat -c %s damaged/*.h5) / 2))
refused 65 "damaged" stage tiny.yaml --to near --set 'data.train=[tiny/train, damaged]'
[ ! -e near ] || fail "a stage of damaged shards"
# Half of a stage is none; a folder that is no stage is left alone.
mkdir near
echo unfinished >near/stage
refused 65 "is not a whole stage" train tiny.yaml "$@" --set run.dir=fresh --staged near
[ ! -e fresh/metrics.jsonl ] || fail "trained from half a stage"
works 1 stage tiny.yaml --to near "$@" # made anew
works 1 stage tiny.yaml --to near --remove
[ ! -e near ] || fail "--remove"
works 1 stage tiny.yaml --to near "$@"
moved='data.train=[near/train.0, near/train.1]' # the only copy that is left, say
refused 64 "making this stage would remove near/train.0/" stage tiny.yaml --to ./near --set "$moved"
works 1 inspect near/train.0 near/train.1 --verify
works 1 stage tiny.yaml --to near --remove
mkdir mine
touch mine/file
refused 64 "is not a stage" stage tiny.yaml --to mine "$@"
refused 64 "is not a stage" stage tiny.yaml --to mine --remove
[ -e mine/file ] || fail "a folder of the user's is gone"
rm mine/file
touch mine/.hidden
refused 64 "is not a stage" stage tiny.yaml --to mine "$@"
[ -e mine/.hidden ] || fail "a hidden file of the user's is gone"
rm mine/.hidden
works 1 stage tiny.yaml --to mine "$@" # made beforehand

# Killed while it is made or removed: the same command again makes it.
killed() { # CALL N ARGUMENTS...: while the Nth call of that class is held
  rm -f faults.log
  FAULTS_ROOT=$PWD/near FAULTS_CALL=$1 FAULTS_AT=$2 FAULTS_TIMES=1000 FAULTS_ERRNO=HANG FAULTS_LOG=$PWD/faults.log \
    LD_PRELOAD=$LIKENESS_BUILD/tests/faults.so "$LIKENESS" "${@:3}" 2>err.log &
  job=$!
  until grep -qs fault faults.log; do kill -0 $job 2>/dev/null || fail "no call $2 of $1: ${*:3}"; pause 0.02; done
  kill -KILL $job
  wait $job 2>/dev/null
}
killed fsync 1 stage tiny.yaml --to near "$@"
works 1 stage tiny.yaml --to near "$@"
for n in 2 4 6 8; do
  killed unlink $n stage tiny.yaml --to near --remove
  works 1 stage tiny.yaml --to near "$@"
done
works 1 stage tiny.yaml --to near --remove

# A disk that is too small, as is known beforehand; and one that fills up meanwhile.
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
  small() { # KB ARGUMENTS...: likeness with a disk of that size at ./disk, whose files are listed afterwards
    local size=$1
    shift
    mkdir -p disk
    unshare --mount bash -c 'mount -t tmpfs -o size='"$size"'k tmpfs disk && "$@"; code=$?; ls -A disk >listed; exit $code' \
      - "$LIKENESS" "$@"
  }
  fails 70 "the disk has room for" small 200 stage tiny.yaml --to disk/near "$@"
  [ ! -s listed ] || fail "left on a small disk: $(cat listed)"
else
  echo "SKIPPED: a full disk: needs root and a mount namespace"
fi

# Stopped: exit code 75, and nothing is left. A large set, so that the signal comes in the middle.
works 1 bench loader --seconds 1 --faces 6000 --folder large
printf 'run: {dir: big}\ndata: {train: large/loader-6000, val: large/loader-6000}\nmodel: {size: 128, decoder: {weights: none}}
train: {stage: decoder, steps: 1}\n' >big.yaml
"$LIKENESS" stage big.yaml --to near 2>err.log &
job=$!
until compgen -G "near/train.0/*.h5" >/dev/null; do kill -0 $job 2>/dev/null || fail "staging ended early"; pause 0.01; done
kill -TERM $job
wait $job
code=$?
[ $code = 75 ] && [ ! -e near ] || fail "stopped: exit $code, $(ls near 2>&1)"
echo "stage: ok"
