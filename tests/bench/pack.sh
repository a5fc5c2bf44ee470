#!/bin/bash
# Throughput and memory of likeness pack beside the same job in Python (dlib, Pillow, h5py, two processes), in one run: photos of
# 640 x 480 with alignment, pictures of 512 x 512 stored as they are and as raw pixels.
# usage: tests/bench/pack.sh PROGRAM [COUNT [THREADS]]
# COUNT 20000 shows that memory stays flat; Python gets at most 2000 of them
set -eu
program=$(realpath "$1") count=${2:-400} threads=${3:-2}
fewer=$((count < 2000 ? count : 2000))
cd "$(dirname "$0")/../.."
root=$PWD
photos=$(tests/photos) || { echo "bench pack: no photos, the package registry cannot be reached"; exit 77; }
peer=$root/build/peer-pack
if [ ! -e "$peer/.complete" ]; then
  rm -rf "$peer"
  python3 -m venv "$peer"
  "$peer/bin/pip" install --quiet --disable-pip-version-check dlib-bin pillow h5py numpy ||
    { echo "bench pack: no peer"; exit 77; }
  touch "$peer/.complete"
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/likeness-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
"$peer/bin/python" tests/bench/pack_peer.py make "$photos" configs/client-schema.yaml "$work" "$count"

rate=0
measure() { # NAME COUNT COMMAND...: seconds and the most memory of a command and its children together
  local name=$1 count=$2 start=$EPOCHREALTIME peak=0; shift 2
  "$@" >"$work/out" 2>"$work/err" &
  local pid=$!
  while kill -0 $pid 2>/dev/null; do
    local sum=0 p
    for p in $pid $(pgrep -P $pid 2>/dev/null); do
      local kb
      kb=$(awk '/^VmRSS/ {print $2}' /proc/$p/status 2>/dev/null)
      sum=$((sum + ${kb:-0}))
    done
    [ $sum -le $peak ] || peak=$sum
    sleep 0.05
  done
  wait $pid || { cat "$work/err" >&2; echo "bench pack: $name failed" >&2; exit 1; }
  rate=$(awk -v a=$start -v b=$EPOCHREALTIME -v n=$count 'BEGIN {printf "%.1f", n / (b - a)}')
  printf '%-34s %8s pictures/s, %4d MB\n' "$name" "$rate" $((peak / 1024))
}
compare() { # NAME SOURCE PEER-MODE OPTIONS...
  local name=$1 source=$2 mode=$3 ours; shift 3
  measure "$name: likeness" "$count" "$program" pack "$source" -o "$work/ours-$mode" --schema configs/client-schema.yaml \
    --threads "$threads" "$@"
  ours=$rate
  measure "$name: Python" "$fewer" "$peer/bin/python" tests/bench/pack_peer.py "$mode" "$source" configs/client-schema.yaml \
    "$work/peer-$mode.h5" "$threads" "$fewer"
  awk -v a="$ours" -v b="$rate" -v name="$name" 'BEGIN {printf "%-34s %8.2f times as fast\n", name, a / b}'
  rm -rf "$work/ours-$mode" "$work/peer-$mode.h5"
}
echo "$count pictures, $threads threads, $(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg)"
compare "align 640x480 to 512, JPEG" "$work/photos.tar" align --align --size 512 --jpeg 95 --max-enlarge 4
compare "512x512 JPEG as it is" "$work/square.tar" jpeg --size 512 --jpeg 95
compare "512x512 to raw pixels" "$work/square.tar" raw --size 512
