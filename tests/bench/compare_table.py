"""The table of tests/bench/compare, from its lines `ours JSON` and `peer JSON`, which come in pairs."""
import json
import statistics
import sys

cases, loaders, exchanges, peak = {}, {}, [], None
for line in open(sys.argv[1]):
    who, text = line.split(" ", 1)
    result = json.loads(text)
    peak = result.get("peak", peak)
    exchanges += result.get("collectives", [])
    if "loader" in result:
        loaders[who] = result["loader"]["samples_per_s"]
    if "step" in result:
        step = result["step"]
        keys = ("size", "width", "norm", "precision", "ranks", "threads", "global_batch")
        case = cases.setdefault(tuple(step[k] for k in keys), {"ours": [], "peer": [], "peak": peak})
        case[who].append(step)


def median(runs, key):
    return statistics.median(run[key] for run in runs)


print("\n| size, width, norm, precision | ranks x threads, batch | ms a step | PyTorch | times as fast (range) "
      "| CPU ms a step | PyTorch | ratio (range) | first step | PyTorch | of it | memory a rank | PyTorch | of it "
      "| peak, GFLOP/s |")
print("|" + 15 * "---|")
for (size, width, norm, precision, ranks, threads, batch), case in cases.items():
    ours, peer = case["ours"], case["peer"]
    if len(ours) != len(peer):
        sys.exit(f"{len(ours)} runs of ours and {len(peer)} of PyTorch's are no pairs")
    ratios = sorted(p["step_ms"] / o["step_ms"] for o, p in zip(ours, peer))
    computing = sorted(p["step_cpu_ms"] / o["step_cpu_ms"] for o, p in zip(ours, peer))
    first, peer_first = median(ours, "first_step_s"), median(peer, "first_step_s")
    memory, peer_memory = max(o["peak_mb"] for o in ours), max(p["peak_mb"] for p in peer)
    print(f"| {size} px, {width:g}, {norm}, {precision} | {ranks} x {threads}, {batch} | {median(ours, 'step_ms'):.0f} "
          f"| {median(peer, 'step_ms'):.0f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) "
          f"| {median(ours, 'step_cpu_ms'):.0f} | {median(peer, 'step_cpu_ms'):.0f} "
          f"| {statistics.median(computing):.2f} ({computing[0]:.2f} to {computing[-1]:.2f}) "
          f"| {first:.2f} s | {peer_first:.2f} s | {first / peer_first:.2f} "
          f"| {memory:.0f} MB | {peer_memory:.0f} MB | {memory / peer_memory:.2f} "
          f"| {case['peak']['f32_gflops']:.0f} f32, {case['peak']['bf16_gflops']:.0f} bf16 |")
print(f"\nLoader, 3 x 128 x 128, 2 threads or workers: {loaders['ours']:.0f} samples/s, PyTorch's DataLoader with h5py "
      f"{loaders['peer']:.0f}: ratio {loaders['ours'] / loaders['peer']:.0f}.")
for e in exchanges:
    print(f"Exchange of 100 MB between 2 ranks, {'reproducible' if e['reproducible'] else 'allreduce'}: "
          f"{e['exchange_ms']:.1f} ms, {100 * e['hidden']:.0f} % of it hidden behind arithmetic.")
