# Python's safetensors loads what our writer wrote, value for value.
set -eu -o pipefail
python=${ORACLE_VENV:+$ORACLE_VENV/bin/}python3
"$python" -c 'import numpy, torch, safetensors' 2>/dev/null || { echo "no numpy, torch and safetensors in $python"; exit 77; }
"$LIKENESS_BUILD/tests/test_safetensors" 2>&1 | tail -n 1
"$python" "$LIKENESS_ROOT/tests/oracle/interchange.py" check written.safetensors
