#!/usr/bin/python3
"""Clusters over several processes, and the batches of their cells.

    clusters_over_ranks.py --processes 3
    torchrun --standalone --nproc_per_node 3 clusters_over_ranks.py

Each process embeds its share of the rows and keeps those embeddings to itself. k-means reads each
share where it lies; what crosses between processes are sums. Then every process has all labels,
its own sampler, and so its own part of every step. Labels, centroids and cells are the same to the
byte for any number of processes.

There are two stages here. What a later stage's network has learnt beyond the first one's is played
by a second property of the rows: in each there are colours, 4, and shapes, 3.
"""
import argparse
import datetime
import os
import tempfile

import numpy
import torch
import torch.distributed as dist

import libmcl
from gloo import Gloo

# Shares consist of whole blocks of these many rows. Whoever embeds block by block embeds a row
# beside the same rows on any number of processes: a product's rounding may depend on them.
BLOCK = 1024
WIDTH, DIM, KINDS = 24, 8, (4, 3)


def make(first, n):
    """Rows first .. first + n - 1 of the data, at most a block: whatever a dataset would load."""
    g = torch.Generator().manual_seed(first)
    x = torch.randn(n, WIDTH, generator=g)
    for stage, kinds in enumerate(KINDS):
        kind = torch.randint(kinds, (n,), generator=g)
        x[torch.arange(n), 8 * stage + kind] += 9
    return x


def network(stage):
    """Sees one property of a row: the stage's columns, turned."""
    torch.manual_seed(stage)
    net = torch.nn.Linear(WIDTH, DIM, bias=False)
    with torch.no_grad():
        net.weight[:, :8 * stage] = 0
        net.weight[:, 8 * stage + 8:] = 0
    return net


@torch.no_grad()
def embed(net, first, n):
    z = torch.empty(n, DIM)
    for at in range(0, n, BLOCK):
        m = min(BLOCK, n - at)
        z[at:at + m] = net(make(first + at, m))
    return z


def cluster(context, comm, net, rows, k):
    """Labels of all rows, from embeddings of which every process has its share."""
    first, n = comm.share(rows) if comm else (0, rows)
    z = embed(net, first, n)

    def read(at, out):
        out.copy_(z[at - first:at - first + len(out)])
    source = libmcl.Rows.reading(read, rows, DIM)
    clusters = libmcl.KMeans(context, comm, k=k, seed=1)
    clusters.fit(source)
    return clusters, clusters.assign(source)


def run(options, **group):
    """One process of one, of torchrun's, or of forked(), which alone gives `group`."""
    torch.set_num_threads(1)  # a product's rounding may depend on its threads, too
    context, comm, rank, world = libmcl.Context(), None, 0, 1
    if group or "RANK" in os.environ:
        limit = datetime.timedelta(seconds=options.seconds)
        dist.init_process_group("gloo", timeout=limit, **group)
        comm = Gloo(context)
        rank, world = comm.rank, comm.size

    sampler = libmcl.Sampler(context, options.rows, rank, world, batch_rows=256)
    lines, kept = [], {}
    for stage, kinds in enumerate(KINDS):
        clusters, labels = cluster(context, comm, network(stage), options.rows, kinds)
        sampler.add_labels(stage, labels)
        report = sampler.report()
        lines += [f"stage {stage}: {len(clusters.sizes())} clusters, {report.cells} cells of "
                  f"{report.smallest_cell} to {report.largest_cell} rows, {sampler.steps} steps"]
        kept |= {f"labels_{stage}": labels, f"centroids_{stage}": clusters.centroids()}
    rows, cells = sampler.batch(0, 0)
    first, n = comm.share(options.rows) if comm else (0, options.rows)
    mine = [f"rank {rank} of {world}: embedded {n} rows from {first}; of step 0 it has {len(rows)} "
            f"rows, all of cell {cells.unique().tolist()}"]
    every = [mine] * world
    if comm:
        dist.all_gather_object(every, mine)
    if rank == 0:
        print(*lines, *sum(every, []), sep="\n", flush=True)
        if options.save:
            numpy.savez(options.save, **kept)
    if comm:
        dist.destroy_process_group()


def forked(rank, options, path):
    run(options, init_method=f"file://{path}", rank=rank, world_size=options.processes)


def main():
    parser = argparse.ArgumentParser(description="Clusters over several processes.")
    parser.add_argument("--processes", type=int, default=1, help="started here, without torchrun")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=60, help="one silent for longer is lost")
    parser.add_argument("--save", help="a .npz for labels and centroids")
    options = parser.parse_args()
    if options.processes == 1:
        return run(options)
    with tempfile.TemporaryDirectory() as folder:
        # By fork: nothing is loaded twice. With CUDA, or once there is a context, spawn is wanted.
        torch.multiprocessing.start_processes(forked, (options, f"{folder}/meet"),
                                              options.processes, start_method="fork")


if __name__ == "__main__":
    main()
