# What the tests of the program share; source it: . "$LIKENESS_ROOT/tests/run/lib.bash"
# Everything lands in the current folder: out.log and err.log are those of the last command.

fail() {
  echo "FAILED: $*"
  [ ! -s err.log ] || { echo "its standard error:"; tail -n 30 err.log; }
  exit 1
}
sanitized() { [[ "$LIKENESS_BUILD" == *san-* ]]; }
# Processes of this test are known by a mark in their environment.
export LIKENESS_TEST_MARK=$$-$RANDOM
on() { local n=$1; shift; mpirun --oversubscribe --bind-to none -n "$n" "$@"; } # N COMMAND...
likeness_on() { # N ARGUMENTS...: by itself on one rank, under mpirun on several
  local n=$1; shift
  if [ "$n" = 1 ]; then "$LIKENESS" "$@" >out.log 2>err.log; else on "$n" "$LIKENESS" "$@" >out.log 2>err.log; fi
}
works() { likeness_on "$@" || fail "exit $?: $*"; } # N ARGUMENTS...
runs() { "$@" >out.log 2>err.log || fail "exit $?: $*"; } # COMMAND...: any other program
says() { grep -Eq -- "$1" out.log err.log || fail "no line like: $1"; } # REGULAR-EXPRESSION: the last command

none_left() { # [PROGRAM]
  local environment process
  for environment in /proc/[0-9]*/environ; do
    process=${environment%/environ}
    [ "$(readlink "$process/exe" 2>/dev/null)" = "$(realpath "${1:-$LIKENESS}")" ] || continue
    ! { tr '\0' '\n' <"$environment"; } 2>/dev/null | grep -qx "LIKENESS_TEST_MARK=$LIKENESS_TEST_MARK" ||
      fail "process ${process#/proc/} is left"
  done
}

# The command must end with the exit code and exactly one line of error, which holds the text.
fails() { # CODE TEXT COMMAND...
  local code=$1 text=$2 got=0; shift 2
  "$@" >out.log 2>err.log || got=$?
  [ $got = "$code" ] || fail "exit $got, not $code: $*"
  [ "$(grep -c 'error: ' err.log)" = 1 ] || fail "not one line of error: $*"
  grep 'error: ' err.log | grep -qF -- "$text" || fail "no '$text': $*"
}
refused() { fails "$1" "$2" "$LIKENESS" "${@:3}"; } # CODE TEXT ARGUMENTS...
refuses() { # CODE TEXT ARGUMENTS...: a training, on one and on three ranks; RUN stands for a fresh run folder
  local code=$1 text=$2 ranks; shift 2
  for ranks in 1 3; do
    rm -rf refused
    fails "$code" "$text" likeness_on $ranks "${@//RUN/refused}"
    [ ! -e refused/DONE ] && [ ! -e refused/model.safetensors ] || fail "a model in spite of the error on $ranks ranks: $*"
    none_left "$LIKENESS"
  done
}

# ---- data and configurations of a model that learns in seconds: 32 px, an eighth of the channels ----

faces() { # VIEW NAME COUNT FIRST [OPTIONS]: faces/VIEW/NAME
  works 1 render --random "$3" --start "$4" --size 32 --view "$1" --threads 2 -o "faces/$1/$2" "${@:5}"
}
make_faces() {
  local view
  for view in canonical varied; do
    faces $view train 96 0
    faces $view val 24 100000
  done
}

write_configs() { # decoder.yaml, encoder.yaml
  cat >decoder.yaml <<'EOF'
run: {dir: decoder, seed: 1}
data: {train: faces/canonical/train, val: faces/canonical/val, threads: 1, prefetch: 2}
model: {size: 32, decoder: {width: 0.125}}
optimizer: {name: adamw, lr: 2.0e-3, warmup_steps: 10}
train: {stage: decoder, global_batch: 8, micro_batch: 2, epochs: 6, precision: f32, threads: 1, converge: {patience: 0}}
validate: {every_epochs: 1, samples: 4}
EOF
  cat >encoder.yaml <<'EOF'
run: {dir: encoder, seed: 1}
data: {train: faces/varied/train, val: faces/varied/val, threads: 1, prefetch: 2}
model:
  size: 32
  encoder: {width: 0.125, norm: none}
  decoder: {width: 0.125, weights: decoder}
loss: {lambda: 4.0}
optimizer: {name: adamw, lr: 4.0e-4, warmup_steps: 10}
train: {stage: encoder, global_batch: 8, micro_batch: 2, steps: 50, precision: f32, threads: 1, converge: {patience: 0}}
validate: {every_epochs: 0, samples: 4}
EOF
}

# ---- results ----

metric() { # RUN KIND KEY: the values in metrics.jsonl, one a line
  python3 - "$@" <<'EOF'
import json, sys
run, kind, key = sys.argv[1:]
for line in open(f"{run}/metrics.jsonl"):
    entry = json.loads(line)
    if entry["kind"] == kind:
        print(entry[key])
EOF
}
weights_hash() { sed -n 's/.*weights \([0-9a-f]*\) on every rank.*/\1/p' "$1/DONE"; } # RUN

# ---- damage ----

flip() { # FILE OFFSET: turns one bit
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf %02x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
weights_at() { echo $((8 + $(od -An -tu8 -N 8 "$1"))); } # SAFETENSORS: where its numbers begin

# ---- interrupted runs: a model that takes a few milliseconds a step ----

# SAMPLES [RENDER-OPTION...]: shards, a trained decoder, and tiny.yaml: 32 px, a sixteenth of the channels, 4 samples a step
tiny_world() {
  works 1 render --random "$1" --size 32 --view varied --threads 2 -o tiny/train "${@:2}"
  works 1 render --random 16 --start 100000 --size 32 --view varied --threads 2 -o tiny/val "${@:2}"
  cat >tiny.yaml <<'YAML'
run: {dir: tiny-run, seed: 3}
data: {train: tiny/train, val: tiny/val, threads: 1, prefetch: 2}
model:
  size: 32
  encoder: {width: 0.0625}
  decoder: {width: 0.0625, weights: tiny-decoder}
loss: {lambda: 2.0}
optimizer: {name: adamw, lr: 5.0e-4, warmup_steps: 20}
train: {stage: encoder, global_batch: 4, micro_batch: 4, steps: 100, precision: f32, threads: 1, converge: {patience: 0}}
validate: {samples: 2}
YAML
  cat >tiny-decoder.yaml <<'YAML'
run: {dir: tiny-decoder, seed: 3}
data: {train: tiny/train, val: tiny/val, threads: 1, prefetch: 2}
model: {size: 32, decoder: {width: 0.0625}}
optimizer: {name: adamw, lr: 2.0e-3, warmup_steps: 5}
train: {stage: decoder, global_batch: 8, micro_batch: 8, steps: 10, precision: f32, threads: 1, converge: {patience: 0}}
validate: {samples: 0}
YAML
  works 1 train tiny-decoder.yaml
}

# Waits without starting processes: on a loaded machine every sleep(1) costs the run it waits for.
exec {pause_fd}<> <(:)
pause() { read -rt "$1" -u $pause_fd || true; } # SECONDS

lines_of() { # FILE: sets $lines; 0 without the file
  local all=()
  [ ! -e "$1" ] || mapfile -t all <"$1" 2>/dev/null
  lines=${#all[@]}
}

# Runs likeness until that many lines are in the run's metrics, then signals each of its ranks; it must exit with 75. Sets
# $stopped_at to the step that it saved.
interrupt_at() { # RUN LINES SIGNAL RANKS ARGUMENTS...
  local run=$1 wanted=$2 signal=$3 ranks=$4 code job before processes=; shift 4
  lines_of "$run/metrics.jsonl"
  before=$lines
  likeness_on "$ranks" "$@" &
  job=$!
  until lines_of "$run/metrics.jsonl"; [ "$lines" -ge "$wanted" ]; do
    kill -0 $job 2>/dev/null || fail "$run ended before line $wanted"
    # Looked for while there is time: a step takes less.
    [ "$lines" = "$before" ] || processes=${processes:-$(ranks_of_test)}
    pause 0.02
  done
  kill -"$signal" ${processes:-$(ranks_of_test)}
  wait $job
  code=$?
  [ $code = 75 ] || fail "$run ended with $code instead of 75 after $signal"
  stopped_at=$(sed -n 's/.*at step \([0-9]*\) of [0-9]*, saved.*/\1/p' err.log)
  [ -n "$stopped_at" ] || fail "$run does not say where it stopped"
}

ranks_of_test() { # the processes of likeness that this test started
  local process
  for process in $(pgrep -x likeness); do
    ! { tr '\0' '\n' <"/proc/$process/environ"; } 2>/dev/null | grep -qx "LIKENESS_TEST_MARK=$LIKENESS_TEST_MARK" ||
      echo "$process"
  done
}

losses() { # RUN: what training and validation computed, digit for digit
  python3 - "$1" <<'PYTHON'
import json, sys
for line in open(f"{sys.argv[1]}/metrics.jsonl"):
    entry = json.loads(line, parse_float=str)
    if entry["kind"] != "checkpoint":
        print(entry["kind"], entry["step"], entry["epoch"], *(entry.get(k) for k in ("F", "F1", "F2", "L1", "lr", "grad_norm")))
PYTHON
}
same_run() { # RUN RUN: the same losses, lines and weights
  diff <(losses "$1") <(losses "$2") >differences || { head differences; fail "losses of $1 and $2 differ"; }
  [ -s "$1/metrics.jsonl" ] && [ -n "$(weights_hash "$1")" ] && [ "$(weights_hash "$1")" = "$(weights_hash "$2")" ] ||
    fail "weights of $1 and $2 differ"
  cmp "$1/model.safetensors" "$2/model.safetensors" || fail "models of $1 and $2 differ"
}
state_of() { # RUN STEP KEY
  python3 -c 'import json, sys
run, step, key = sys.argv[1:]
print(json.load(open("%s/checkpoints/step-%09d/state.json" % (run, int(step))))[key])' "$@"
}
