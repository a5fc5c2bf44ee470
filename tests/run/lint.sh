#!/bin/bash
# tests/lint is clean, and one planted violation of each of its rules is found, by file and by the rule's name.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
for program in clang-format shellcheck; do
  command -v $program >/dev/null || { echo "no $program; make deps DEVELOP=1 installs it"; exit 77; }
done
"$LIKENESS_ROOT/tests/lint" >out.log || { cat out.log; fail "the tree is not clean"; }

# A copy of the source, each violation in a fresh file of it.
mkdir "a tree"
tar -C "$LIKENESS_ROOT" --exclude=./{.git,build,.deps,runs,data} -cf - . | tar -C "a tree" -xf -
cd "a tree" || exit
tests/lint >../out.log || { cat ../out.log; fail "a clean tree in a path with a space"; }

finds() { # RULE PLACE: the rule finds that, and nothing else; the file is taken out again
  local code
  tests/lint "$1" >../out.log
  code=$?
  [ $code = 1 ] && grep -q "^$2: $1: " ../out.log && grep -qx 'lint: 1 findings' ../out.log ||
    { cat ../out.log; fail "rule $1: exit code $code, no $2"; }
  rm "${2%:*}"
}
say='/* Planted; declared in file.h. */'
printf '%s\nint  planted;\n' "$say" >base/planted.c
finds format base/planted.c:2
printf '%s\n/* %0140d */\n' "$say" 0 >base/planted.c
finds columns base/planted.c:2
{ echo "$say"; printf 'int planted(void)\n{\n'; for ((i = 0; i < 100; i++)); do echo '    ;'; done; echo '}'; } >base/planted.c
finds length base/planted.c:3
printf '%s\n#include "trainer/train.h"\n' "$say" >base/planted.c
finds rooms base/planted.c:2
printf '%s\n#include "trainer/model/loss.h"\n' "$say" >collectives/planted.c
finds rooms collectives/planted.c:2
printf '%s\n#include <torch/csrc/stable/c/shim.h>\n' "$say" >trainer/model/planted.c
finds seams trainer/model/planted.c:2
printf '%s\n#include <mpi.h>\n' "$say" >collectives/planted.c
finds seams collectives/planted.c:2
echo 'int planted;' >base/planted.c
finds opening base/planted.c:1
printf '/* Planted. */\nint planted;\n' >base/planted.c
finds opening base/planted.c:1
printf '# Planted\n\n[a page](nowhere.md)\n' >docs/planted.md
finds links docs/planted.md:3
printf '# Planted\n\n[a heading](planted.md#other)\n' >docs/planted.md
finds links docs/planted.md:3
printf '# Planted\n\nSee `base/nowhere.c`.\n' >docs/planted.md
finds links docs/planted.md:3
printf '#!/bin/bash\nrm -r $1\n' >launch/planted
finds shell launch/planted:2
printf 'cd %s\n' "/ho""me/someone" >launch/planted.sh
finds machine launch/planted.sh:1
printf '%s\n/* TO%s: later */\n' "$say" DO >base/planted.c
finds notes base/planted.c:2
tests/lint nonsense 2>../err.log
[ $? = 64 ] || fail "a rule that is not there"
tests/lint >../out.log || { cat ../out.log; fail "not clean when all is taken out again"; }
echo "ok: 10 rules, 15 violations"
