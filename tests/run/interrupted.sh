#!/bin/bash
# Ctrl-C, a kill or a reader that goes away in the middle of a command that writes: it ends by the signal, with nothing under a
# final name, no unfinished file and no process left, and the same command again works. Files are held just before they get their
# name (tests/faults/faults.c), so however slow the machine is, the signal comes in the middle.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
shim=$LIKENESS_BUILD/tests/faults.so
tiny_world 16
works 1 train tiny.yaml --set run.dir=run --set train.steps=4
cat >schema.yaml <<'YAML'
name: small
continuous:
  - {name: nose, min: -1, max: 1, default: 0}
discrete:
  - {name: hair, choices: [bald, long]}
YAML
cat >sweep.yaml <<'YAML'
base: tiny.yaml
dir: work/sweep
grid: {loss.lambda: [1, 2]}
YAML
mkdir pictures
works 1 render --sheet 2 --size 32 -o pictures/0.png # square
cp pictures/0.png pictures/1.png
for i in 0 1; do echo '{"continuous": {"nose": 0.1}, "discrete": {"hair": "long"}}' >pictures/$i.json; done
works 1 predict pictures --aligned --model run -o predicted

# When the process has come to the held call, the Nth fsync: the signal. It must have ended by it and have left these files.
interrupted() { # SIGNAL N "FILE..." COMMAND...
  local signal=$1 at=$2 stays=$3 job code n; shift 3
  rm -rf work faults.log
  mkdir work
  FAULTS_ROOT=$PWD/work FAULTS_CALL=fsync FAULTS_AT=$at FAULTS_TIMES=1000 FAULTS_ERRNO=HANG FAULTS_LOG=$PWD/faults.log \
    LD_PRELOAD=$shim env --default-signal "$@" >out.log 2>err.log &
  job=$!
  until [ -s faults.log ]; do
    kill -0 $job 2>/dev/null || fail "it wrote nothing: $*"
    pause 0.02
  done
  kill -"$signal" $job
  wait $job 2>/dev/null
  code=$?
  n=$(kill -l "$signal")
  [ $code = $((128 + n)) ] || fail "exit $code after $signal, not $((128 + n)): $*"
  left=$(find work -type f ! -name lock -printf '%P\n' | sort | xargs)
  [ "$left" = "$stays" ] || fail "after $signal there is $left, not $stays: $*"
}
again() { # FILE COMMAND...: it does, and makes the file
  local file=$1; shift
  runs "$@"
  compgen -G "work/$file" >/dev/null || fail "no $file: $*"
}
while read -r signal file arguments; do
  read -ra words <<<"$arguments"
  interrupted "$signal" 1 "" "$LIKENESS" "${words[@]}"
  again "$file" "$LIKENESS" "${words[@]}"
done <<END
INT face.png render predicted/0.json -o work/face.png
TERM shard-00000.h5 render --random 8 --size 32 -o work
INT pack.json pack pictures -o work --schema schema.yaml --size 32
HUP 0.json predict pictures --aligned --model run -o work
PIPE 1.png predict pictures --aligned --model run -o work
INT evaluation.json evaluate run -o work
TERM report.html report run -o work/report.html
INT e.safetensors export run -o work/e.safetensors
TERM sweep/lambda-1/job/config.yaml sweep plan sweep.yaml
INT sheet.png inspect tiny/val --contact-sheet work/sheet.png
END

# Some of the shards are no data set. The mark is synced and its folder, then each shard and its folder.
unfinished() { # "FILE..." FOLDER HOW COMMAND...: interrupted at the second shard; HOW makes the whole of it
  local files=$1 folder=$2 how=$3; shift 3
  interrupted TERM "$at" "$files" "$LIKENESS" "$@"
  refused 65 "$folder: not all of it is there" inspect "$folder"
  refused 65 "remove $folder/unfinished" train tiny.yaml --set run.dir=never --set data.train="$folder"
  works 1 "$@" "$how"
  works 1 inspect "$folder"
  [ ! -e "$folder/unfinished" ] || fail "the mark is left: $*"
}
at=5 unfinished "shard-00000.h5 unfinished" work --force render --random 8 --shard-size 4 --size 32 -o work
at=7 unfinished "pack.json shard-00000.h5 unfinished" work --resume \
  pack pictures -o work --schema schema.yaml --size 32 --shard-size 1

# By its evaluation the launchers take a run for judged, pictures included; a report looks photos up in their sheet.
interrupted TERM 3 triptych.png "$LIKENESS" evaluate run -o work
photos=(evaluate run --photos pictures --aligned -o work)
interrupted TERM 3 photos.png "$LIKENESS" "${photos[@]}"
works 1 "${photos[@]}"
[ -s work/photos.json ] && cp -r work judged

# Labels of some of the photos.
interrupted TERM 3 unfinished "$LIKENESS" label pictures/0.png -o work
refused 65 "work: not all of it is there" pack work -o packed --schema "$LIKENESS_ROOT/configs/client-schema.yaml" --size 32

# A client of one's own runs in a process group that no terminal reaches.
mkdir -p work/client
env --default-signal "$LIKENESS" predict pictures --aligned --model run -o work/client \
  --client "echo \$\$ >work/client/process; exec sleep 1000; echo {params} {picture}" >out.log 2>err.log &
job=$!
until [ -s work/client/process ]; do
  kill -0 $job 2>/dev/null || fail "the client was not started"
  pause 0.02
done
kill -INT $job
wait $job 2>/dev/null
[ $? = 130 ] || fail "another exit code than 130 while a client drew"
client=$(cat work/client/process)
runs_on() { grep -qs '^State:.[^ZX]' "/proc/$client/status"; } # who ended may wait for its new parent
for _ in {1..600}; do ! runs_on || pause 0.05; done
! runs_on || fail "the client's process is left"
[ -z "$(find work/client -name '*tmp*')" ] || fail "what the client read is left"
echo "ok: interrupted commands"
