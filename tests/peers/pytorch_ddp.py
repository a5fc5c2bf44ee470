#!/usr/bin/env python3
"""The encoder's training in PyTorch, for comparisons of speed: the same model, loss, data and batch as `likeness bench step`.

    python pytorch_ddp.py FOLDER ...                                          one rank
    torchrun --standalone --nproc-per-node 2 pytorch_ddp.py FOLDER ...        several, DistributedDataParallel over gloo
    python pytorch_ddp.py FOLDER ... --device cuda --resident [--compile]     one GPU, its batches there from the start
    python pytorch_ddp.py FOLDER/loader-2000 --loader                         the DataLoader alone

FOLDER is that of `likeness bench --folder`: shards in train/, decoder.safetensors. Prints one JSON object with the keys of
`likeness bench --json`. PyTorch is given what makes it fast: channels_last, fused AdamW, gradients as views of the buckets.
"""
import argparse
import contextlib
import glob
import json
import os
import resource
import statistics
import sys
import time
import h5py
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../oracle"))
import oracle  # noqa: E402: the model and the losses that the fixtures of the tests come from

WARM_UP = 2


class Shards(Dataset):
    def __init__(self, folder):
        self.paths = sorted(glob.glob(f"{folder}/*.h5"))
        if not self.paths:
            sys.exit(f"{folder}: there are no shards")
        self.files = {}  # opened by each worker for itself
        self.index = []
        for path in self.paths:
            with h5py.File(path) as file:
                self.index += [(path, i) for i in range(len(file["images"]))]
                self.continuous, self.size = file["continuous"].shape[1], file["images"].shape[1]
                schema = file.attrs["schema"]
        self.groups = choices_of(schema)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, k):
        path, i = self.index[k]
        if path not in self.files:
            self.files[path] = h5py.File(path)
        file = self.files[path]
        return tuple(torch.from_numpy(file[name][i]) for name in ("images", "continuous", "discrete"))


def choices_of(schema):
    """How many choices each group has, from the canonical text of the schema: one line a group."""
    text = schema.decode() if isinstance(schema, bytes) else str(schema)
    lines = [line for line in text.splitlines() if "choices:" in line]
    return tuple(line.split("[", 1)[1].count('", "') + 1 for line in lines)


def initialize(encoder):
    """torchvision's start of VGG."""
    for m in encoder.modules():
        if isinstance(m, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            torch.nn.init.zeros_(m.bias)
        elif isinstance(m, torch.nn.Linear):
            torch.nn.init.normal_(m.weight, 0, 0.01)
            torch.nn.init.zeros_(m.bias)


def make_models(a, data):
    torch.manual_seed(1)
    channels = [int(c * a.width) for c in (64, 128, 256, 512, 512)]
    encoder = oracle.Encoder(data.size, channels, a.norm == "group", data.continuous, sum(data.groups))
    initialize(encoder)
    decoder = oracle.Decoder(data.size, a.decoder_width, data.continuous + sum(data.groups))
    weights = {n.removeprefix("decoder."): t for n, t in load_file(f"{a.folder}/decoder.safetensors").items()}
    decoder.load_state_dict(weights, strict=False)
    decoder.eval().requires_grad_(False)
    return [m.to(a.device, memory_format=torch.channels_last) for m in (encoder, decoder)]


def forever(loader):
    epoch = 0
    while True:
        loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def resident(batches, device):
    """Four batches on the device, over and over: no loader and no upload can be what is measured."""
    kept = [[t.to(device) for t in next(batches)] for _ in range(4)]
    while True:
        yield from kept


def bench_step(a):
    several = "RANK" in os.environ
    if several:
        dist.init_process_group("gloo")
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if several else (0, 1)
    data = Shards(f"{a.folder}/train")
    oracle.GROUPS, oracle.LAMBDA = data.groups, 4.0
    encoder, decoder = make_models(a, data)
    net = DistributedDataParallel(encoder, gradient_as_bucket_view=True) if several else encoder
    if a.compile:
        net, decoder = torch.compile(net), torch.compile(decoder)
    optimizer = torch.optim.AdamW(encoder.parameters(), 4e-4, weight_decay=0, fused=True)
    sampler = DistributedSampler(data, ranks, rank, shuffle=True, drop_last=True)
    batches = forever(DataLoader(data, a.micro_batch, sampler=sampler, num_workers=a.workers, drop_last=True,
                                 persistent_workers=a.workers > 0))
    if a.resident:
        batches = resident(batches, a.device)
    accumulation = a.global_batch // (a.micro_batch * ranks)

    def step():
        optimizer.zero_grad(set_to_none=True)
        for k in range(accumulation):
            batch = [t.to(a.device, non_blocking=True) for t in next(batches)]
            last = k == accumulation - 1
            with net.no_sync() if several and not last else contextlib.nullcontext():
                with torch.autocast(a.device, torch.bfloat16, enabled=a.precision == "bf16"):
                    loss = oracle.encoder_losses(net, decoder, batch)[0] / accumulation
                loss.backward()
        optimizer.step()
        return loss.item()

    seconds, computing = [], []
    for i in range(WARM_UP + a.steps):
        start, cpu = time.perf_counter(), time.process_time()
        step()
        seconds.append(time.perf_counter() - start)
        computing.append(time.process_time() - cpu)
        if i == 0:
            ticks = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
            first = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    timed = seconds[WARM_UP:]
    values = torch.tensor([1e3 * statistics.median(timed), 1e3 * min(timed), first,
                           resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                           1e3 * statistics.median(computing[WARM_UP:])], dtype=torch.float64)
    if several:
        dist.all_reduce(values, dist.ReduceOp.MAX)
    median, best, first, peak, cpu = values.tolist()
    if rank == 0:
        print(json.dumps({"step": {
            "size": data.size, "ranks": ranks, "threads": torch.get_num_threads(), "global_batch": a.global_batch,
            "micro_batch": a.micro_batch, "width": a.width, "decoder_width": a.decoder_width, "norm": a.norm,
            "precision": a.precision, "step_ms": median, "best_step_ms": best, "samples_per_s": 1e3 * a.global_batch / median,
            "first_step_s": first, "peak_mb": peak, "step_cpu_ms": cpu}}))
    if several:
        dist.destroy_process_group()


def bench_loader(a):
    data = Shards(a.folder)
    loader = DataLoader(data, 32, shuffle=True, num_workers=2, persistent_workers=True, drop_last=True)
    for _ in loader:  # warms the page cache and starts the workers
        pass
    samples, start = 0, time.perf_counter()
    while time.perf_counter() - start < 2:
        for batch in loader:
            samples += len(batch[0])
    print(json.dumps({"loader": {"samples_per_s": samples / (time.perf_counter() - start)}}))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--loader", action="store_true", help="only the DataLoader: 2 workers, batches of 32")
    p.add_argument("--width", type=float, default=0.25)
    p.add_argument("--decoder-width", type=float, default=0.25)
    p.add_argument("--norm", choices=("none", "group"), default="none")
    p.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    p.add_argument("--global-batch", type=int, default=16)
    p.add_argument("--micro-batch", type=int, default=16, help="per rank and pass")
    p.add_argument("--steps", type=int, default=20, help="timed, after two that warm up")
    p.add_argument("--threads", type=int, default=1, help="per rank")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--resident", action="store_true", help="batches lie on the device already: the step alone is timed")
    p.add_argument("--compile", action="store_true", help="torch.compile, in its default mode")
    p.add_argument("--workers", type=int, default=1, help="of the DataLoader, per rank")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    if a.loader:
        bench_loader(a)
    else:
        bench_step(a)


if __name__ == "__main__":
    main()
