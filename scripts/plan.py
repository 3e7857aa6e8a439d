#!/usr/bin/env python3
"""What a stage would take on machines that nobody here has: bytes moved and time, from the rates in docs/scaling.md.

    python3 scripts/plan.py                                    # docs/scaling.md, "On paper"
    python3 scripts/plan.py --rows 1e8 --dim 512 --machines 8 --network 25 --clusters 100

Nothing is measured. A step takes as long as the slowest of computing, network and disk, which is named.
"""
import argparse

# Of one core of the machine in docs/scaling.md; see the tables there.
PASS = 35e9  # multiply-adds a second: labels of rows, 100,000 rows of 256 by 100 clusters, and of 64 by 1000
FIT_PASSES = 7.5  # whole passes that 20 passes with bounds come to: a fit of 50,000 rows against their labels
SEEDING = 2.127 / (1000**2 * 64)  # seconds by clusters^2 and numbers: k-means++ of 1000 clusters
LABELS = 14e-9  # seconds a row: adding one stage's labels to the sampler, 10^7 rows
BATCHES = 15e-9  # seconds a row: an epoch's batches, 10^7 rows and more
LOSS = 0.427 / 8192**2 / 128  # seconds by views^2 and numbers: NT-Xent of 8192 views
THREADS = 0.9  # of the cores' sum: two threads against one


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rows", type=float, default=4e8)
    p.add_argument("--dim", type=int, default=768)
    p.add_argument("--machines", type=int, default=64)
    p.add_argument("--cores", type=int, default=16, help="of a machine")
    p.add_argument("--network", type=float, default=10, help="Gbit/s of a machine, each way")
    p.add_argument("--disk", type=float, default=2, help="GB/s of a machine, embeddings that are not in memory")
    p.add_argument("--clusters", type=int, default=1000)
    p.add_argument("--passes", type=int, default=20)
    p.add_argument("--bytes", type=int, default=4, help="of a number on disk: 4, or 2 for float16")
    p.add_argument("--batch", type=int, default=32768, help="rows of all machines")
    p.add_argument("--projection", type=int, default=128)
    p.add_argument("--weights", type=float, default=86e6, help="of the network: ViT-B/16")
    p.add_argument("--step", type=float, default=0.5, help="seconds that a machine's network takes for its part of a batch")
    return p.parse_args()


def size(n):
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if n < 1000 or unit == "TB":
            return f"{n:.3g} {unit}"
        n /= 1000


def time(s):
    for unit, many in (("h", 3600), ("min", 60), ("s", 1)):
        if s >= many:
            return f"{s / many:.3g} {unit}"
    return f"{s * 1000:.3g} ms"


def main():
    a = parse()
    net, disk = a.network * 1e9 / 8, a.disk * 1e9
    rate = a.cores * THREADS
    mine, k, d, m = a.rows / a.machines, a.clusters, a.dim, a.machines
    steps = a.rows / a.batch
    sums = m * k * (d + 1) * 8  # one node of the tree a machine where their number is a power of two
    sample = max(16384, 64 * k)
    lines = []

    def line(what, moved, compute, network, read, note=""):
        worst = max(("computing", compute), ("network", network), ("disk", read), key=lambda x: x[1])
        lines.append((what, size(moved), time(compute), time(network), time(read) if read else "", time(worst[1]), worst[0], note))
        return worst[1]

    pass_s = mine * d * k / PASS / rate
    read = mine * d * a.bytes
    views = 2 * a.batch
    f = 1 / m
    line("a step: projections gathered", a.batch * (8 * a.projection + 16), 0, a.batch * (8 * a.projection + 16) / net, 0)
    line("a step: the loss of a machine's anchors", 0, LOSS * views**2 * a.projection * (2 * f - f * f) / rate, 0, 0)
    line("a step: gradients by projections", 4 * views * a.projection * 2, 0, 4 * views * a.projection * 2 / net, 0)
    line("a step: gradients of weights, by `sum`", 8 * a.weights, 0, 8 * a.weights / net, 0)
    line("a step: the same, without `sum`", 4 * a.weights * m, 0, 4 * a.weights * m / net, 0)
    line("a step: the network itself, as given", 0, a.step, 0, 0)
    line("an epoch's batches drawn", 0, BATCHES * mine, 0, 0)
    line("embeddings written", read, 0, 0, read / disk)
    line("seeding: the sample to all", sample * d * 4, SEEDING * k * k * d / rate, sample * d * 4 / net, 0)
    line("one pass of k-means", sums, pass_s, sums / net, read / disk)
    line(f"{a.passes} passes, with bounds", sums * a.passes, pass_s * FIT_PASSES, sums * a.passes / net, read / disk * a.passes)
    line("labels of all rows to all", 4 * a.rows, pass_s, 4 * a.rows / net, read / disk)
    line("the sampler's new cells, on every machine", 0, LABELS * a.rows, 0, 0)
    line("mini-batches instead: one pass of 4096 a step", a.rows * d * 4, a.rows * d * k / PASS / rate, a.rows * d * 4 / net, read / disk)

    print(f"{a.rows:.3g} rows of {d}, {m} machines of {a.cores} cores, {a.network:g} Gbit/s and {a.disk:g} GB/s from disk each; "
          f"{k} clusters, batches of {a.batch} rows, projections of {a.projection}, {a.weights:.3g} weights, "
          f"{steps:.0f} steps an epoch.\n")
    print("| what | received or read by a machine | computing | network | disk | takes | what saturates |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for x in lines:
        print(f"| {x[0]} | {x[1]} | {x[2] if x[2] != '0 ms' else ''} | {x[3] if x[3] != '0 ms' else ''} | {x[4]} | {x[5]} | {x[6]} |")
    bounds = 12 + 4 + (4 * min(64, (k + 15) // 16) + 31) // 32 * 32
    print(f"\nHeld by a machine: labels of all rows {size(4 * a.rows)}, the sampler {size(4 * a.rows)}, and while it clusters "
          f"{size(mine * bounds)} for its rows' labels and bounds and {size(8 * k * d * (a.cores + 9))} for sums.")


main()
