#!/bin/bash
# Ranks that have not the same program, configuration, faces or weights are refused before the first step, on 2 and 4 ranks, with
# the rank, its host and what refused_on; a resumed run's faces are compared by content.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
write_configs
for view in canonical varied; do
  faces $view train 24 0 --shard-size 12
  faces $view val 6 100000
done
works 1 train decoder.yaml --set train.epochs=1
works 1 train decoder.yaml --set train.epochs=1 --set run.dir=other-decoder --set run.seed=9
for seed in 1 2; do
  works 1 train encoder.yaml --set run.dir=init-$seed --set run.seed=$seed --set train.steps=1 --set validate.samples=0
done

# Another build is one that says so: a copy with one letter of its version changed.
version=$("$LIKENESS" --version | head -n 1)
version=${version#likeness } other=${version%?}~
sed "s/$version/$other/g" "$LIKENESS" >other-build
chmod +x other-build
LIKENESS_CLIENT=$(realpath "$LIKENESS_ROOT/build/client" 2>/dev/null) "$PWD/other-build" --version | grep -qF "$other" ||
  fail "no other build"

# Each node has its own copies, reached by the same relative paths: a folder for each rank to start in.
nodes() { # COUNT
  rm -rf node-*
  for ((n = 0; n < $1; n++)); do
    mkdir "node-$n"
    cp -r faces decoder decoder.yaml encoder.yaml "node-$n/"
    cp init-1/model.safetensors "node-$n/init.safetensors"
  done
}
each_from_its_node() { # COUNT COMMAND...: one program a rank, of which each begins in its own folder; on the last `its_build`
  local count=$1 line=() n; shift
  for ((n = 0; n < count; n++)); do
    [ "$n" = 0 ] || line+=(:)
    [ "$n" != $((count - 1)) ] || set -- "${its_build:-$1}" "${@:2}"
    line+=(-n 1 --wdir "$PWD/node-$n" "$@")
  done
  timeout 120 mpirun "${line[@]}"
}
refused_on() { # COUNT CODE TEXT
  fails "$2" "rank $(($1 - 1)) ($(hostname)): $3 than on rank 0 ($(hostname))" each_from_its_node "$1" "${program[@]}"
  [ ! -e run/metrics.jsonl ] || ! grep -q '"train"' run/metrics.jsonl || fail "$3: a step was made"
}

program=("$LIKENESS" train encoder.yaml --set "run.dir=$PWD/run" --set train.steps=4 --set validate.samples=0)
for ranks in 2 4; do
  last=node-$((ranks - 1))
  nodes $ranks
  cp "$last/faces/varied/val/"*.h5 "$last/faces/varied/train/shard-00001.h5"
  refused_on $ranks 65 "data.train holds other faces"
  nodes $ranks
  works 1 render --random 6 --size 32 --start 500 --view varied -o "$last/faces/varied/val" --force
  refused_on $ranks 65 "data.val holds other faces"
  nodes $ranks
  cp other-decoder/model.safetensors "$last/decoder/model.safetensors"
  rm -rf "$last/decoder/checkpoints"
  refused_on $ranks 65 "model.decoder.weights is another decoder"
  nodes $ranks
  sed -i 's/lambda: .*/lambda: 3.5}/' "$last/encoder.yaml"
  refused_on $ranks 78 "has another configuration"
  nodes $ranks
  its_build=$PWD/other-build refused_on $ranks 78 "is another build of likeness"
  cp init-2/model.safetensors "$last/init.safetensors"
  program+=(--set model.init=init.safetensors)
  refused_on $ranks 65 "the weights begin otherwise (model.init)"
  program=("${program[@]:0:${#program[@]}-2}")
done

# A node without the file takes rank 0's configuration.
nodes 2
rm node-1/encoder.yaml
runs each_from_its_node 2 "${program[@]}"
[ -e run/DONE ] || fail "not done"

# Other faces in the same number under the same names: refused at a resume.
works 1 train encoder.yaml --set run.dir=again --set train.steps=2 --set validate.samples=0 --set checkpoint.every_steps=1 \
  --set optimizer.schedule=constant
rm again/DONE
faces varied train 24 700 --shard-size 12 --force
refused 65 "holds other faces than the run was trained with" train encoder.yaml --set run.dir=again \
  --set train.steps=4 --set validate.samples=0 --set optimizer.schedule=constant
echo "ranks_differ: ok"
