# Functions of the tests that train; sourced. A small world: 32 px, a sixteenth of the widths.

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

on() { # RANKS COMMAND...
  local ranks=$1; shift
  mpirun --bind-to none --oversubscribe -n "$ranks" "$@"
}

quiet() { # COMMAND...: shows the output only if it fails; it stays in quiet.log
  local code=0
  "$@" >quiet.log 2>&1 || code=$?
  [ $code = 0 ] || [ $code = 75 ] || tail -20 quiet.log
  return $code
}

expect() { # CODE TEXT COMMAND...: that exit code, and one error line with the text; all output in expect.log
  local want=$1 text=$2 code=0; shift 2
  "$@" >expect.log 2>&1 || code=$?
  if [ $code != "$want" ] || [ "$(grep -c 'likeness: error' expect.log)" != 1 ] || ! grep 'likeness: error' expect.log | grep -qF -- "$text"; then
    cat expect.log
    echo "FAIL: wanted exit code $want and one error line with '$text', got $code: $*"
    exit 1
  fi
}

make_data() { # TRAIN VALIDATION: shards, a trained decoder, encoder.yaml and decoder.yaml in the current folder
  "$LIKENESS" render --random "$1" --size 32 -o data/train >/dev/null 2>&1
  "$LIKENESS" render --random "$2" --size 32 --start 100000 -o data/val >/dev/null 2>&1
  cat >decoder.yaml <<'Y'
run: {dir: decoder, seed: 3}
data: {train: data/train, val: data/val, threads: 1}
model: {size: 32, decoder: {width: 0.0625}}
optimizer: {name: adamw, lr: 2.0e-3, warmup_steps: 5}
train: {stage: decoder, global_batch: 16, micro_batch: 16, steps: 40, precision: f32, threads: 1, converge: {patience: 0}}
validate: {samples: 4}
Y
  cat >encoder.yaml <<'Y'
run: {dir: encoder, seed: 3}
data: {train: data/train, val: data/val, threads: 1}
model:
  size: 32
  encoder: {width: 0.0625}
  decoder: {width: 0.0625, weights: decoder}
loss: {lambda: 2.0}
optimizer: {name: adamw, lr: 4.0e-4, warmup_steps: 20}
train: {stage: encoder, global_batch: 16, micro_batch: 16, epochs: 2, precision: f32, threads: 1}
validate: {samples: 4}
Y
  quiet "$LIKENESS" train decoder.yaml
}

weights() { # RUN: the hash of its final weights
  sed -n 's/.*weights \([0-9a-f]*\).*/\1/p' "$1/DONE"
}
