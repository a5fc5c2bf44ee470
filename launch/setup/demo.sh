#!/bin/bash
# What `make demo` runs: renders faces, trains the decoder, freezes it, trains the encoder on two ranks, judges both.
# Everything lands in data/demo, runs/demo-decoder and runs/demo. A run that was interrupted goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/../.."
likeness=build/likeness
# Many faces seen few times teach more than few seen often, and drawing one costs less than learning from it.
canonical=16000 varied=40000 validation=1500
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 # containers often run as root
ranks="mpirun --bind-to none --oversubscribe -n 2"
start=$SECONDS
say() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - start)); }

render() { # VIEW SET COUNT FIRST
  local folder=data/demo/$1/$2
  [ -e "$folder/.complete-$3" ] && return
  rm -rf "$folder"
  $likeness render --random "$3" --start "$4" --view "$1" --size 64 -o "$folder"
  touch "$folder/.complete-$3"
}

say "faces: the same parameters as canonical pictures for the decoder and as varied ones for the encoder"
for view in canonical varied; do
  render $view train ${!view} 0
  render $view val $validation 1000000
done

say "decoder: learns to draw what the client draws"
$ranks $likeness train configs/demo-decoder.yaml
$likeness evaluate runs/demo-decoder

say "encoder: learns the parameters of a picture through the frozen decoder"
$ranks $likeness train configs/demo.yaml
$likeness evaluate runs/demo

say "done: look at runs/demo/report/triptych.png (input | decoder | the client's render)"
