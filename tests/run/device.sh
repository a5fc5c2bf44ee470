#!/bin/bash
# Where training computes: auto says what it took and why, cuda without a GPU is one line and 78, on one rank and on several.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
write_configs
faces canonical train 24 0
faces canonical val 6 100000
sed -i 's/global_batch: 8, micro_batch: 2/global_batch: 6, micro_batch: 2/' decoder.yaml
short=(--set train.epochs=0 --set train.steps=2 --set validate.samples=0)

works 1 train decoder.yaml "${short[@]}" --set run.dir=plain --set train.device=cpu
says '1 rank x 1 thread, cpu, '
fails 78 "train.cudnn_benchmark=true: picks convolutions that differ from run to run" \
  "$LIKENESS" train decoder.yaml --set train.cudnn_benchmark=true --set train.reproducible=true

fails 78 "train.cudnn_fuse=true: takes convolutions that need not repeat themselves" \
  "$LIKENESS" train decoder.yaml --set train.cudnn_fuse=true --set train.reproducible=true

# A driver that is not there, as seen by this process.
if [ -e /dev/nvidiactl ] || [ -e /dev/nvidia0 ]; then
  echo "SKIPPED: this machine has a GPU; without one train.device cuda must be refused"
  exit 0
fi
works 1 train decoder.yaml "${short[@]}" --set run.dir=auto
says '1 rank x 1 thread, cpu \(there is no NVIDIA driver on this machine'
[ "$(weights_hash plain)" = "$(weights_hash auto)" ] || fail "auto without a GPU is not what cpu is"
works 3 train decoder.yaml "${short[@]}" --set run.dir=auto-3
says '3 ranks x 1 thread, cpu \(there is no NVIDIA driver on this machine'
refuses 78 "train.device cuda: there is no NVIDIA driver on this machine" train decoder.yaml "${short[@]}" --set run.dir=RUN \
  --set train.device=cuda

# Who uses a trained model.
refused 78 "--device cuda: there is no NVIDIA driver on this machine" evaluate plain --device cuda
refused 64 "--device" evaluate plain --device gpu
works 1 evaluate plain --device auto
says 'computes on cpu \(there is no NVIDIA driver'
cp out.log auto.out
works 1 evaluate plain
diff auto.out out.log || fail "auto without a GPU is not what cpu is"

# Micro-batches of auto: on the CPU at most 16, and a divisor of the rank's share.
works 2 train decoder.yaml "${short[@]}" --set run.dir=micro --set train.micro_batch=auto
says 'train.micro_batch auto: 3'
fails 78 "train.micro_batch=auto: auto depends on the number of ranks" \
  "$LIKENESS" train decoder.yaml --set train.micro_batch=auto --set train.reproducible=true
