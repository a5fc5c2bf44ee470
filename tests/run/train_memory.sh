#!/bin/bash
# Memory does not grow with steps (by then the allocator has grown its heap, in the first hundreds by 2 to 4 MB: a leak of 2.2 KB
# a step fails), the demo's shape stays small, and full width holds values, gradients, two moments, the decoder and little else:
# no bfloat16 that nobody reads, no filters of the last step, no snapshot between checkpoints.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
sanitized && { echo "sanitizers keep freed memory"; exit 77; }
make_faces
write_configs
works 1 train decoder.yaml --set train.epochs=1
works 1 train encoder.yaml --set train.steps=2000 --set model.encoder.width=0.0625 --set train.micro_batch=8 \
  --set checkpoint.every_steps=100
python3 - $(metric encoder train rss_mb) <<'EOF' || fail "memory grows"
import sys
values = [float(v) for v in sys.argv[1:]]
print(f"resident memory: {values[499]:.1f} MB at step 500, {values[1999]:.1f} MB at step 2000")
assert len(values) == 2000 and values[1999] < 1.02 * values[499]
EOF

for view in canonical varied; do
  faces $view demo 64 0 --size 64
done
works 2 train "$LIKENESS_ROOT/configs/demo-decoder.yaml" --set run.dir=demo-decoder --set data.train=faces/canonical/demo \
  --set data.val=faces/canonical/demo --set train.epochs=0 --set train.steps=4
works 2 train "$LIKENESS_ROOT/configs/demo.yaml" --set run.dir=demo --set data.train=faces/varied/demo \
  --set data.val=faces/varied/demo --set model.decoder.weights=demo-decoder --set train.epochs=0 --set train.steps=8
for run in demo-decoder demo; do
  python3 - $run $(metric $run train rss_mb) <<'EOF' || fail "$run needs too much memory"
import sys
most = max(float(v) for v in sys.argv[2:])
print(f"{sys.argv[1]}: at most {most:.0f} MB a rank")
assert most < 800
EOF
done

# 35 million weights four times and the decoder's 12 million: 584 MB, and 105 of libraries.
for precision in f32 bf16; do
  works 1 bench step --json --folder bench --steps 1 --set model.size=64 --set model.encoder.width=1 --set model.decoder.width=1 \
    --set train.precision=$precision --set train.micro_batch=2 --set train.global_batch=2 --set train.threads=1
  python3 - out.log $precision <<'EOF' || fail "a rank of full width needs too much memory"
import json
import sys
most = json.load(open(sys.argv[1]))["step"]["peak_mb"]
print(f"full width, {sys.argv[2]}: at most {most:.0f} MB")
assert most < 960
EOF
done
