#!/bin/bash
# launch/submit --gpus-per-rank on the SLURM cluster, whose GPUs are stand-ins: SLURM takes the lines, and gives ranks what
# docs/gpu.md says. Nothing is computed on a GPU.
# runs early: mostly waiting for the cluster
set -u
. "$LIKENESS_ROOT/tests/slurm/setup.sh"
small_training encoder plain | sed 's/steps: 60/steps: 5/' >encoder.yaml
refused() { # TEXT ARGUMENTS...
  local got
  on_login "$launch/submit" encoder.yaml --dry-run "${@:2}" >refusal 2>&1
  got=$?
  [ $got = 64 ] && grep -qF -- "$1" refusal || { cat refusal; fail "exit $got, not 64 with '$1': ${*:2}"; }
}
refused "a rank computes on one GPU" --gpus-per-rank 2
refused "a rank computes on one GPU" --gpus-per-rank many
refused "--gpu-bind takes own or all, not 'closest'" --gpus-per-rank 1 --gpu-bind closest
refused "needs srun" --gpus-per-rank 1 --gpu-bind own --start-with mpirun

lines() { # EXPECTED ARGUMENTS...: what the batch file says of GPUs
  on_login "$launch/submit" encoder.yaml --dry-run --nodes 2 --ranks-per-node 2 "${@:2}" >dry || fail "--dry-run ${*:2}"
  [ "$(grep -oE -- '--(gpu|gres)[^ ]*' dry | paste -sd' ')" = "$1" ] || { cat dry; fail "not '$1': ${*:2}"; }
}
near="--gres-flags=enforce-binding"
lines ""
lines "--gpus-per-task=1 $near" --gpus-per-rank 1
lines "--gpus-per-node=2 $near" --gpus-per-rank 1 --gpu-bind all
lines "--gpus-per-node=2 $near" --gpus-per-rank 1 --start-with mpirun

cat >see <<END
#!/bin/bash
[ "\$1" != train ] || echo "\$(hostname) \$CUDA_VISIBLE_DEVICES" >>$here/seen
exec $LIKENESS "\$@"
END
chmod +x see
sees() { # NAME EXPECTED [OPTIONS]: the ranks of a job see these GPUs, and it ends well
  rm -f seen
  LIKENESS=$here/see submit encoder.yaml "$1" --gpus-per-rank 1 "${@:3}"
  poll 120 "$1 ends" is_gone "$job"
  [ -e "$run/DONE" ] || fail "$1: not done"
  [ "$(sort seen | paste -sd,)" = "$2" ] || fail "$1: the ranks see $(sort seen | paste -sd,), not $2"
}
sees own "n1 0,n1 1,n2 0,n2 1"
sees all "n1 0,1,n1 0,1,n2 0,1,n2 0,1" --gpu-bind all
sees mpirun "n1 0,1,n1 0,1,n2 0,1,n2 0,1" --start-with mpirun

# What the nodes do not have is refused by SLURM at once, and the run is not begun.
on_login "$launch/submit" encoder.yaml --set "run.dir=$here/runs/many" --gpus-per-rank 1 --ranks-per-node 3 >refusal 2>&1 &&
  fail "three GPUs of a node of two"
grep -q 'sbatch refused' refusal || { cat refusal; fail "no reason"; }
echo "slurm_gpu: ok"
