#!/bin/bash
# Random faces as .mhm files in MakeHuman's own core: no modifier is unknown, all have the same value, the head the same vertices;
# hair, brows, lashes, eyes and skin are found and lie in the same place; and the same parameters come back here.
. "$LIKENESS_ROOT/tests/run/lib.bash"
python=${ORACLE_VENV:+$ORACLE_VENV/bin/}python3

"$python" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("mhcore") and u.find_spec("numpy")))' ||
  { echo "needs MakeHuman's core (tests/python; ORACLE_VENV=build/python)"; exit 77; }
data=${LIKENESS_CLIENT:-$LIKENESS_ROOT/build/client}
mkdir faces work
runs "$python" "$LIKENESS_ROOT/tests/run/makehuman.py" assets assets
runs "$LIKENESS_BUILD/tests/print_vertices" faces 20 "$data" assets
"$python" "$LIKENESS_ROOT/tests/run/makehuman.py" faces "$data" assets "$PWD/work"
