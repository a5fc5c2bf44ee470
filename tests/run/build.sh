#!/bin/bash
# The build where a path has a space: the source, the dependencies and the run. The user's flags come after the project's; a
# warning is an error only where that is asked for; the default is for every CPU of level v3.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
sanitized && { echo "builds anew, without sanitizers"; exit 77; }
unset WERROR ARCH MAKEFLAGS CFLAGS CPPFLAGS LDFLAGS # of whoever runs the suite
tree="$PWD/my source" deps="$PWD/my dependencies"
mkdir "$tree"
tar -C "$LIKENESS_ROOT" --exclude=./{.git,build,.deps,runs,data} -cf - . | tar -C "$tree" -xf -
ln -s "$(realpath "$(dirname "$(readlink "$LIKENESS_ROOT/build/client")")")" "$deps"

runs make -C "$tree" -n DEPS="$deps" all # only tells, also before anything is built
[ ! -e "$tree/build" ] || fail "make -n wrote something"

# -O0 wins over the project's -O3, and takes a third of the time.
make -C "$tree" -j2 DEPS="$deps" CFLAGS=-O0 CXXFLAGS=-O0 LDFLAGS=-Wl,--build-id=0x600df1a9 all >out.log 2>err.log ||
  fail "make in a path with a space"
program=$tree/build/likeness
readelf -n "$program" | grep -q 600df1a9 || fail "the user's LDFLAGS are not used"
python3 -c 'import json, sys; assert "-O0" in json.load(open(sys.argv[1]))[0]["command"]' "$tree/compile_commands.json" ||
  fail "compile_commands.json"
LIKENESS=$program
works 1 render --random 16 --size 32 -o "my data/train" # finds the client's data
make -C "$tree" -s DEPS="$deps" install PREFIX="$PWD/my programs" CFLAGS=-O0 CXXFLAGS=-O0 \
  LDFLAGS=-Wl,--build-id=0x600df1a9 >out.log 2>err.log || fail "make install into a path with a space"

# The launcher, from another folder, with a run in a path with a space; the program that is installed.
cat >decoder.yaml <<'YAML'
run: {dir: my runs/decoder, seed: 3}
data: {train: my data/train, val: my data/train, threads: 1, prefetch: 2}
model: {size: 32, decoder: {width: 0.0625}}
optimizer: {name: adamw, lr: 2.0e-3, warmup_steps: 5}
train: {stage: decoder, global_batch: 8, micro_batch: 8, steps: 2, precision: f32, threads: 1, converge: {patience: 0}}
validate: {samples: 0}
YAML
env -u LIKENESS "my programs/share/likeness/launch/local" decoder.yaml --no-report >out.log 2>err.log || fail "launch/local"
[ -s "my runs/decoder/DONE" ] || fail "the run is not done"
rm -r "my programs" # 600 MB of libraries

# Of dependencies with CUDA all libraries, those among them that are loaded late. Nothing is built for it.
mkdir -p cuda-deps/lib
ln -s "$deps/client" cuda-deps/
ln -s "$deps"/lib/* cuda-deps/lib/
echo "kernels of a GPU" >cuda-deps/libtorch_cuda.so
ln -s ../libtorch_cuda.so cuda-deps/lib/
installs() { # KIND of the dependencies: into a folder "with KIND"
  echo "2.15.0 0.6.2 $1" >cuda-deps/.installed
  make -C "$tree" -s -o all DEPS="$PWD/cuda-deps" install PREFIX="$PWD/with $1" || fail "make install with $1"
}
installs cpu
[ ! -e "with cpu/lib/likeness/libtorch_cuda.so" ] || fail "libraries for CUDA without it"
rm -r "with cpu"
installs cuda
cmp cuda-deps/libtorch_cuda.so "with cuda/lib/likeness/libtorch_cuda.so" && [ ! -L "with cuda/lib/likeness/libtorch_cuda.so" ] ||
  fail "the libraries for CUDA were not installed"
[ "$(ls "with cuda/lib/likeness")" = "$(ls cuda-deps/lib)" ] || fail "not all libraries were installed"
# A program that runs keeps its libraries when newer ones are installed.
exec {running}<"with cuda/lib/likeness/libtorch_cuda.so"
echo "newer kernels" >cuda-deps/libtorch_cuda.so
installs cuda # over another
[ "$(cat <&$running)" = "kernels of a GPU" ] || fail "make install wrote over a library that is in use"
cmp cuda-deps/libtorch_cuda.so "with cuda/lib/likeness/libtorch_cuda.so" || fail "the newer library was not installed"
exec {running}<&-
rm -r "with cuda"

# What a plain make compiles with.
flags=$(make -C "$tree" -n -B DEPS="$deps" V=1 2>/dev/null | grep 'base/error\.c')
[[ $flags == *"-march=x86-64-v3"* && $flags != *-Werror* ]] || fail "the default flags: $flags"
flags=$(make -C "$tree" -n -B DEPS="$deps" V=1 ARCH=native WERROR=1 2>/dev/null | grep 'base/error\.c')
[[ $flags == *"-march=native"* && $flags == *-Werror* ]] || fail "ARCH and WERROR: $flags"
echo "ok: built, installed and trained where paths have a space"
