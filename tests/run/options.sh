#!/bin/bash
# The command line of every command: a wrong one is exactly one line and 64, the help begins with the usage, completion in bash
# knows what the help tells. Here one example of each for every command; tests/unit/test_options.c goes through all options.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"

one_line() { # TEXT ARGUMENTS...: refused with 64 and one line on standard error, which holds the text and the command's name
  local text=$1 got; shift
  "$LIKENESS" "$@" >out.log 2>err.log </dev/null
  got=$?
  [ $got = 64 ] || fail "exit $got, not 64: $*"
  [ "$(wc -l <err.log)" = 1 ] && [ ! -s out.log ] || fail "not exactly one line: $*"
  grep -qF -- "$text" err.log && grep -q "^likeness: error: $name: " err.log || fail "no '$text' of '$name': $*"
}

"$LIKENESS" --help >help || fail "no help"
mapfile -t commands < <(sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' help)
"$LIKENESS" sweep --help >help || fail "no help of sweep"
mapfile -t -O ${#commands[@]} commands < <(sed -n 's/^  \(sweep [a-z]*\) .*/\1/p' help)
[ ${#commands[@]} -ge 15 ] || fail "the commands are ${commands[*]}"
"$LIKENESS" completion bash >completion.bash || fail "no completion"
bash -n completion.bash || fail "completion is no bash"
. ./completion.bash

complete_() { # WORD...: sets `completed` to what bash would offer for the last word
  COMP_WORDS=(likeness "$@") COMP_CWORD=$#
  _likeness
  completed=" ${COMPREPLY[*]} "
}

options=0
for name in "${commands[@]}"; do
  read -ra words <<<"$name"
  one_line --bogus "${words[@]}" --bogus
  [ "$name" != sweep ] || continue
  "$LIKENESS" "${words[@]}" --help >help 2>err.log && [ ! -s err.log ] || fail "$name --help"
  [[ "$(head -n 1 help)" == "usage: likeness $name "* ]] || fail "$name --help begins otherwise"
  complete_ "${words[@]}" --
  tried=
  while read -r option value; do
    options=$((options + 1))
    [[ "$completed" == *" $option "* ]] || fail "$name: completion does not know $option"
    [ -n "$value" ] && [ -z "$tried" ] || continue
    tried=yes
    one_line "$option needs a value" "${words[@]}" "$option"
  done < <(sed -n 's/^  \(-., \|    \)\(--[a-z-]*\)\( \([^ ]*\)\)\{0,1\}.*/\2 \4/p' help)
done
[ $options -ge 50 ] || fail "only $options options were seen"

while read -r text arguments; do
  read -ra words <<<"$arguments"
  name=${words[0]}
  [ "$name" != sweep ] || name="sweep ${words[1]}"
  one_line "$text" "${words[@]}"
done <<'END'
--size align a.jpg -o x --size large
--steps bench --steps 1.5
--samples inspect x --samples 401
--jpeg pack x -o y --schema z --jpeg -1
--seed render a.json -o b.png --seed 99999999999999999999
FIRST_EPOCH sweep halving a b zero 0.5
'b' sweep plan a b
--output export a
x.jpg render --sheet 2 -o x.jpg
gone export a -o gone/x.safetensors
folder report a -o .
device report a -o /dev/null
gone inspect a --contact-sheet gone/x.png
END
[ -c /dev/null ] || fail "/dev/null was replaced"
"$LIKENESS" nonsense 2>err.log; [ $? = 64 ] && [ "$(wc -l <err.log)" = 1 ] || fail "a command that there is not"
"$LIKENESS" sweep 2>err.log; [ $? = 64 ] && [ "$(wc -l <err.log)" = 1 ] || fail "sweep alone"

# ---- what is printed is a result ----
for words in --help --version "completion bash" "render --help" "config demo.yaml"; do
  read -ra words <<<"$words"
  [ "${words[0]}" != config ] || words[1]=$LIKENESS_ROOT/configs/demo.yaml
  "$LIKENESS" "${words[@]}" >/dev/full 2>err.log
  [ $? = 70 ] && [ "$(wc -l <err.log)" = 1 ] && grep -q 'error: standard output: cannot write' err.log ||
    fail "a full disk: ${words[*]}"
done

# ---- completion ----
offers() { # WANTED WORD...
  local wanted=$1; shift
  complete_ "$@"
  [ "$completed" = " $wanted " ] || fail "completion of '$*' is '$completed', not '$wanted'"
}
offers "render report" re
offers "--view --varied" render --v
offers "varied" render face.json --view v
offers "varied" render --view = v
offers "central all one error" pack a.zip -o x --faces ""
offers "" align --size ""
offers "" export -o ""
offers "auto never" train demo.yaml --resume ""
offers "--help plan halving status" sweep ""
offers "--help --set --dry-run" sweep plan -
offers "loss.lambda=" train demo.yaml --set loss
offers "validate.every_epochs validate.samples" config demo.yaml --get val
offers "step scale" bench s
offers "bash" completion ""
[ "$(complete -p likeness)" = "complete -o default -F _likeness likeness" ] || fail "not bound to the program's name"
echo "ok: $options options of ${#commands[@]} commands"
