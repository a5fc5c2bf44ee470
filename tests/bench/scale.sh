#!/bin/bash
# The model of `likeness bench scale` beside the truth: ranks on hosts of their own, whose links have a limited rate.
# usage: tests/bench/scale.sh PROGRAM [MBIT/S...]     (300 100; root, SLURM and iproute2, as the tests of SLURM)
# Hosts are namespaces of this machine (tests/slurm/cluster.sh) and share its cores: what n ranks compute is measured for each n,
# with links that nothing limits. A hop's latency and the share of the rate that data get are measured on 2 hosts, at each rate,
# and everything else is predicted. Backward of the encoder is 0.55 of a step by its arithmetic.
set -eu -o pipefail
program=$(realpath "$1"); shift
cd "$(dirname "$0")/../.."
cluster=$PWD/tests/slurm/cluster.sh
work=$(mktemp -d)
trap '"$cluster" down "$work/cluster"; rm -rf "$work"' EXIT
"$cluster" up "$work/cluster" 4 2
cd "$work"
export OMP_NUM_THREADS=1

on() { # RANKS ARGUMENTS...: one a host; the last line of likeness bench
  "$cluster" exec "$work/cluster" ctl srun --quiet --mpi=pmix --nodes="$1" --ntasks="$1" --ntasks-per-node=1 \
    "$program" bench --json --folder "$work/bench" "${@:2}" 2>"$work/err.log" | tail -n 1 || { cat "$work/err.log" >&2; exit 1; }
}
limit() { # MBIT/S of what each host sends; 0: none
  local host
  for host in n1 n2 n3 n4; do
    if [ "$1" = 0 ]; then
      "$cluster" exec "$work/cluster" $host tc qdisc del dev eth0 root 2>/dev/null || true
    else
      "$cluster" exec "$work/cluster" $host tc qdisc replace dev eth0 root tbf rate "$1mbit" burst 128kb latency 100ms
    fi
  done
}
record() { sed "s/^/$1 $2 $3 $4 /" >>results; } # WHAT RATE RANKS MEGABYTES, and JSON on standard input
faces=2 # of a rank: little to compute and 8.8 MB to exchange, so that the network counts
step=(step --steps 6 --set "train.micro_batch=$faces" --set train.threads=1 --set data.threads=1
  --set collectives.bucket_mb=2 --set train.kernels=torch)

rates=("$@")
[ ${#rates[@]} -gt 0 ] || rates=(300 100)
for ranks in 2 4; do on $ranks "${step[@]}" --set train.global_batch=$((faces * ranks)) | record step 0 $ranks 0; done
for rate in "${rates[@]}"; do
  limit "$rate"
  for ranks in 2 4; do
    for megabytes in 1 8; do on $ranks collectives --megabytes $megabytes | record sum "$rate" $ranks $megabytes; done
    on $ranks "${step[@]}" --set train.global_batch=$((faces * ranks)) | record step "$rate" $ranks 0
  done
done

python3 - results "$program" "$(uname -m), $(nproc --all) cores, load $(cut -d' ' -f1 /proc/loadavg)" <<'EOF2'
import json, subprocess, sys
measured = {}
for line in open(sys.argv[1]):
    what, rate, ranks, megabytes, text = line.split(" ", 4)
    result = json.loads(text)
    if what == "sum":  # training sums in the tree, which moves as much as a ring
        value = next(e["exchange_ms"] for e in result["collectives"] if e["reproducible"])
    else:
        value = result["step"]
    measured[what, int(rate), int(ranks), int(megabytes)] = value

def ring(megabytes, n, a, b):  # ms; a in ms, b in MB/s
    return 2 * (n - 1) * a + 2 * (n - 1) / n * megabytes / b * 1e3

print(sys.argv[3])
print("| Mbit/s | hosts | what | predicted | measured | off by |")
print("|---|---|---|---|---|---|")
def row(rate, ranks, what, predicted, truth):
    print(f"| {rate} | {ranks} | {what} | {predicted:.1f} ms | {truth:.1f} ms | {100 * (predicted / truth - 1):+.0f} % |")

for rate in sorted({k[1] for k in measured} - {0}, reverse=True):
    small, large = measured["sum", rate, 2, 1], measured["sum", rate, 2, 8]
    b = 7 / (large - small) * 1e3          # on 2 hosts a ring moves each byte once
    a = max(0, (small - 1 / b * 1e3) / 2)
    used = min(1, b / (rate / 8))
    print(f"| {rate} | 2 | from 1 and 8 MB: {a * 1e3:.0f} us a hop, {b:.1f} MB/s, {100 * used:.0f} % of the rate | | | |")
    for megabytes in (1, 8):
        row(rate, 4, f"sum of {megabytes} MB", ring(megabytes, 4, a, b), measured["sum", rate, 4, megabytes])
    for ranks in (2, 4):
        free, now = measured["step", 0, ranks, 0], measured["step", rate, ranks, 0]
        computing = free["step_ms"] - free["comm_exposed_ms"]
        options = {"gpus": ranks, "batch": 2, "size": free["size"], "width": free["width"], "forward-ms": .45 * computing,
                   "backward-ms": .55 * computing, "update-ms": 0, "bucket-mb": 2, "node": 1, "far-us": a * 1e3,
                   "near-gb": 1000, "gbit": rate / 1e3, "faster": rate / 1e3, "used": used, "outputs": 132, "jitter": 0,
                   "agree-us": 0, "checkpoint-s": 0}
        words = [w for k, v in options.items() for w in (f"--{k}", f"{v:.6g}")]
        rows = json.loads(subprocess.run([sys.argv[2], "bench", "scale", "--json", *words], check=True, stdout=subprocess.PIPE,
                                         text=True).stdout)["scale"]
        row(rate, ranks, "step", rows[-1]["step_ms"], now["step_ms"])
        row(rate, ranks, "of it exposed", rows[-1]["comm_exposed_ms"], now["comm_exposed_ms"])
EOF2
