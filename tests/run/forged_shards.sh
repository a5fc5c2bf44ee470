#!/bin/bash
# Forged shards (right checksums, wrong metadata) through inspect, train and evaluate: each reads them or refuses them in a line,
# also where the process that checks them crashes, hangs or is killed. N=2000 tries more of them than the suite does.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
N=${N:-8} SEED=${SEED:-1}

tiny_world 24
cp tiny-decoder.yaml short.yaml
sed -i 's/steps: 10/steps: 2/' short.yaml

accepts_or_refuses() { # FILE ARGUMENTS...
  local file=$1 code; shift
  "$LIKENESS" "$@" >out.log 2>err.log
  code=$?
  [ $code = 0 ] && return
  [ $code = 65 ] && [ "$(grep -c 'error: ' err.log)" = 1 ] && grep -qF "$file" err.log || fail "exit $code: $*"
}
"$LIKENESS_BUILD/tests/test_shard_forged" tiny/train/shard-00000.h5 forged "$N" "$SEED" || fail "no forgeries"
tried=0
for file in forged/*.h5; do
  rm -rf forged-run
  accepts_or_refuses "$file" inspect "$file" --verify
  accepts_or_refuses "$file" evaluate tiny-decoder --data "$file" -o forged-report
  accepts_or_refuses "$file" train short.yaml --set run.dir=forged-run --set "data.train=$file"
  tried=$((tried + 1))
done
[ $tried = "$N" ] || fail "$tried forgeries instead of $N"

# A file on which libhdf5 itself goes astray cannot be had for every version of it: a stand-in does so for certain.
checker() { # COMMAND SECONDS
  printf '#!/bin/bash\nexec >&0\nprintf "likeness\\0"\n%s\n' "$1" >checker
  chmod +x checker
  export LIKENESS_SHARD_CHECKER=$PWD/checker LIKENESS_SHARD_CHECKER_SECONDS=$2
}
broken() { # CODE TEXT
  rm -rf broken-run
  refused "$1" "$2" inspect tiny/train
  refused "$1" "$2" evaluate tiny-decoder --data tiny/train -o broken-report
  refused "$1" "$2" train short.yaml --set run.dir=broken-run
}
checker 'kill -SEGV $$' 60
broken 65 'tiny/train/shard-00000.h5: HDF5 crashes on it (signal 11)'
checker 'kill -STOP $$' 1
broken 65 'tiny/train/shard-00000.h5: HDF5 does not come to an end with it'
checker 'kill -KILL $$' 60
broken 70 'tiny/train/shard-00000.h5: the process that checks it was killed from outside'
none_left
echo "ok: $tried forgeries, and a checker that crashes, hangs and is killed"
