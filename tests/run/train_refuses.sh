#!/bin/bash
# Bad input to training: one clear line, the right exit code, no rank left running and no model, on one and on three ranks.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
write_configs
for view in canonical varied; do
  faces $view train 24 0 --shard-size 12
  faces $view val 6 100000
done
sed -i 's/global_batch: 8, micro_batch: 2/global_batch: 6, micro_batch: 2/' decoder.yaml encoder.yaml
works 1 train decoder.yaml --set train.epochs=1
works 1 train encoder.yaml --set train.steps=2 --set validate.samples=0

refuses_data() { # TEXT KEY=VALUE...: a training of the encoder, bad data
  local text=$1 sets=() set; shift
  for set in "$@"; do sets+=(--set "$set"); done
  refuses 65 "$text" train encoder.yaml --set run.dir=RUN --set train.steps=4 "${sets[@]}"
}
damaged() { # NAME: a copy of the training faces whose second shard is to be damaged
  rm -rf "$1"; cp -r faces/varied/train "$1"
}

# ---- shards ----
refuses_data nowhere data.train=nowhere
refuses_data nowhere data.val=nowhere
mkdir empty
refuses_data empty data.train=empty
damaged truncated
truncate -s -100 truncated/shard-00001.h5
refuses_data truncated/shard-00001.h5 data.train=truncated
damaged header
flip header/shard-00001.h5 20
refuses_data header/shard-00001.h5 data.train=header
# 12 pictures come first in the file, the names of the samples, eight digits each, after the labels.
damaged pixels
flip pixels/shard-00001.h5 20000
refuses_data pixels/shard-00001.h5 data.train=pixels
refuses_data pixels/shard-00001.h5 data.val=pixels
damaged labels
names=$(grep -abo 00000012 labels/shard-00001.h5 | head -n 1 | cut -d: -f1)
flip labels/shard-00001.h5 $((names - 200))
refuses_data labels/shard-00001.h5 data.train=labels
refuses_data "32 px" model.size=64 model.decoder.weights=decoder

# ---- another schema ----
awk '/^continuous:/ { n = 0 } /- \{name/ && ++n > 5 && !discrete { next } /^discrete:/ { discrete = 1 } { print }' \
  "$LIKENESS_ROOT/configs/client-schema.yaml" >other.yaml
for view in canonical varied; do
  faces $view other 24 0 --schema other.yaml
done
works 1 train decoder.yaml --set run.dir=other-decoder --set data.train=faces/canonical/other \
  --set data.val=faces/canonical/other --set train.epochs=1
works 1 train encoder.yaml --set run.dir=other-encoder --set data.train=faces/varied/other --set data.val=faces/varied/other \
  --set model.decoder.weights=other-decoder --set train.steps=1 --set validate.samples=0
cp -r faces/varied/train mixed
cp faces/varied/other/shard-00000.h5 mixed/shard-00002.h5
refuses_data mixed/shard-00002.h5 data.train=mixed
refuses_data faces/varied/other data.val=faces/varied/other
refuses_data decoder.layers.0.weight model.decoder.weights=other-decoder
refuses_data encoder.continuous.weight model.init=other-encoder

# ---- weights ----
mkdir nan
cp decoder/model.safetensors nan/decoder.safetensors
cp encoder/model.safetensors nan/encoder.safetensors
for name in decoder encoder; do
  at=$(($(weights_at nan/$name.safetensors) + 40))
  printf '\x00\x00\xc0\x7f' | dd of=nan/$name.safetensors bs=1 seek=$at conv=notrunc status=none
done
refuses_data nan/decoder.safetensors model.decoder.weights=nan/decoder.safetensors
refuses_data nan/encoder.safetensors model.init=nan/encoder.safetensors
refuses_data missing.safetensors model.init=missing.safetensors
python3 - decoder/model.safetensors wrapped.safetensors <<'PYTHON' # as DistributedDataParallel names them
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size, = struct.unpack("<Q", data[:8])
header = json.loads(data[8:8 + size])
wrapped = json.dumps({k if k == "__metadata__" else "module." + k: v for k, v in header.items()}).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(wrapped)) + wrapped + data[8 + size:])
PYTHON
refuses_data 'prefix "module."' model.decoder.weights=wrapped.safetensors
cp -r encoder nan/run
cp nan/encoder.safetensors nan/run/model.safetensors
refused 65 "nan/run/model.safetensors: the tensor encoder." export nan/run -o nan/exported.safetensors
[ ! -e nan/exported.safetensors ] || fail "weights that are not finite are exported"
head -c 5000 decoder/model.safetensors >short.safetensors
refuses_data short.safetensors model.decoder.weights=short.safetensors

# ---- configuration ----
refuses 78 "optimizer.learning_rate" train encoder.yaml --set run.dir=RUN --set optimizer.learning_rate=1
sed 's/^loss:.*/loss: {lamda: 4.0}/' encoder.yaml >unknown.yaml
refuses 78 "unknown.yaml:$(grep -n lamda unknown.yaml | cut -d: -f1)" train unknown.yaml --set run.dir=RUN
refuses 78 lamda train unknown.yaml --set run.dir=RUN
refuses 78 "train.global_batch" train encoder.yaml --set run.dir=RUN --set train.global_batch=7
refuses 78 "collectives.reducer: nccl sums on GPUs" train encoder.yaml --set run.dir=RUN --set collectives.reducer=nccl
faces varied two 2 0
refuses_data "2 samples" data.train=faces/varied/two train.global_batch=3 train.micro_batch=1

# ---- a training that explodes ----
refuses_data "not finite" optimizer.name=sgd optimizer.lr=100 optimizer.warmup_steps=0 train.steps=24

echo "bad input is refused on 1 and 3 ranks"
