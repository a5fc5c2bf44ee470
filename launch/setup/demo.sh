#!/bin/bash
# What `make demo` runs: renders faces, trains the decoder, freezes it, trains the encoder on two ranks or a GPU, judges both, and
# shows what the encoder makes of photos: those of the folder or archive PHOTOS, else the ones of tests/photos.
# Everything lands in data/demo, runs/demo-decoder and runs/demo. A run that was interrupted goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/../.."
likeness=build/likeness
# Many faces seen few times teach more than few seen often, and drawing one costs less than learning from it.
canonical=16000 photo=40000 validation=1500
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 # containers often run as root
# Two ranks on CPUs. One on a GPU (of make deps CUDA=1), which two would not share: train.device auto would have both on CPUs.
ranks="mpirun --bind-to none --oversubscribe -n 2" pass=16
[ ! -e /dev/nvidiactl ] || [ ! -e .deps/lib/libtorch_cuda.so ] || ranks='' pass=32
start=$SECONDS
say() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - start)); }

render() { # VIEW PRIOR SET COUNT FIRST
  local folder=data/demo/$1/$3
  [ -e "$folder/.complete-$4" ] && return
  rm -rf "$folder"
  $likeness render --random "$4" --start "$5" --view "$1" --prior "$2" --size 64 -o "$folder"
  touch "$folder/.complete-$4"
}

say "faces: any that the client can draw, for the decoder; people as cameras take them, for the encoder"
render canonical uniform train $canonical 0
render canonical uniform val $validation 1000000
render photo natural train $photo 0
render photo natural val $validation 1000000

say "decoder: learns to draw what the client draws"
$ranks $likeness train configs/demo-decoder.yaml --set train.micro_batch=$pass
$likeness evaluate runs/demo-decoder

say "encoder: learns the parameters of a picture through the frozen decoder"
$ranks $likeness train configs/demo.yaml --set train.micro_batch=$pass
$likeness evaluate runs/demo

say "photos: people whom the encoder was never shown"
if photos=${PHOTOS:-$(tests/photos)}; then
  $likeness predict "$photos" --model runs/demo --faces all --max-enlarge 6 -o runs/demo/photos \
    --sheet runs/demo/report/photos.png >runs/demo/photos.jsonl
else
  echo "no sheet of photos: name some with PHOTOS=FOLDER make demo"
fi

say "done: look at runs/demo/report/triptych.png and photos.png (input | decoder | the client's render)"
