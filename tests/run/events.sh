# The real TensorBoard reads the event files of a run that was resumed.
set -eu -o pipefail
python=${ORACLE_VENV:+$ORACLE_VENV/bin/}python3
"$python" -c 'import tensorboard' 2>/dev/null || { echo "no tensorboard in $python"; exit 77; }
"$LIKENESS_BUILD/tests/test_events" 2>&1 | tail -n 1
"$python" - <<'EOF'
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
run = EventAccumulator("tensorboard").Reload()
def scalars(tag):  # new files hold tensors, ours hold simple values; the reader gives both
    if tag in run.Tags()["scalars"]:
        return [(e.step, e.value) for e in run.Scalars(tag)]
    return [(e.step, e.tensor_proto.float_val[0]) for e in run.Tensors(tag)]
assert scalars("train/F") == [(1, 10.0), (2, 5.0), (3, 3.5)], scalars("train/F")
assert scalars("train/lr") == [(1, 0.5), (2, 0.5), (3, 0.25)], scalars("train/lr")
(image,) = run.Images("samples")
assert (image.step, image.width, image.height) == (2, 2, 1) and image.encoded_image_string.startswith(b"\x89PNG")
print("TensorBoard reads every step once, and the picture")
EOF
