#!/bin/bash
# What `make demo` runs: renders faces, trains the decoder, freezes it, trains the encoder, judges both, and shows what the
# encoder makes of photos: those of the folder or archive PHOTOS, else the ones of tests/photos.
# usage: launch/setup/demo.sh [cpu|gpu [ARGUMENT...]]
# gpu: 128 px, in one process; cpu: 64 px, on two ranks. By itself it takes what `likeness --version` says of CUDA. Arguments are
# those of both trainings; FACES="CANONICAL PHOTO VALIDATION" draws so many: both are for trying this script.
# Everything lands in data/demo, runs/demo-decoder and runs/demo. A run that was interrupted goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/../.."
likeness=build/likeness
[ -z "${PHOTOS:-}" ] || [ -e "$PHOTOS" ] ||
  { echo "demo.sh: error: PHOTOS=$PHOTOS: there is no such folder or archive" >&2; exit 65; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 # containers often run as root
kind=${1:-}
if [ -z "$kind" ]; then
  cuda=$($likeness --version | grep '^CUDA: ')
  echo "$cuda"
  case $cuda in 'CUDA: none'*) kind=cpu ;; *) kind=gpu ;; esac
fi
# Many faces seen few times teach more than few seen often, and drawing one costs less than learning from it.
case $kind in
  cpu) size=64 configuration=demo faces="16000 40000 1500" ranks="mpirun --bind-to none --oversubscribe -n 2" judge=() ;;
  gpu) size=128 configuration=demo-gpu faces="12000 50000 1500" ranks='' judge=(--device auto) ;;
  *) echo "demo.sh: '$kind' is neither cpu nor gpu" >&2; exit 64 ;;
esac
read -r canonical photo validation <<<"${FACES:-$faces}"
start=$SECONDS
say() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - start)); }

render() { # VIEW PRIOR SET COUNT FIRST
  local folder=data/demo/$1/$3
  [ -e "$folder/.complete-$4-$size" ] && return
  rm -rf "$folder"
  $likeness render --random "$4" --start "$5" --view "$1" --prior "$2" --size $size -o "$folder"
  touch "$folder/.complete-$4-$size"
}

say "faces: any that the client can draw, for the decoder; people as cameras take them, for the encoder"
render canonical uniform train "$canonical" 0
render canonical uniform val "$validation" 1000000
render photo natural train "$photo" 0
render photo natural val "$validation" 1000000

say "decoder: learns to draw what the client draws"
$ranks $likeness train configs/$configuration-decoder.yaml "${@:2}"
$likeness evaluate runs/demo-decoder "${judge[@]}"

say "encoder: learns the parameters of a picture through the frozen decoder"
$ranks $likeness train configs/$configuration.yaml "${@:2}"
$likeness evaluate runs/demo "${judge[@]}"

say "photos: people whom the encoder was never shown"
if photos=${PHOTOS:-$(tests/photos)}; then
  $likeness predict "$photos" --model runs/demo --faces all --max-enlarge 6 -o runs/demo/photos \
    --sheet runs/demo/report/photos.png "${judge[@]}" >runs/demo/photos.jsonl
else
  echo "no sheet of photos: name some with PHOTOS=FOLDER make demo"
fi

say "done: look at runs/demo/report/triptych.png and photos.png (input | decoder | the client's render)"
