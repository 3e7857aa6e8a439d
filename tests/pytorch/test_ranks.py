#!/usr/bin/python3
"""Ranks over gloo: libmcl.Comm and gloo.py in processes of their own, and clusters_over_ranks.py.

Processes are forked, so that PyTorch is loaded once; a process makes its context after that."""
import datetime
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import numpy
import torch
import torch.distributed as dist

from suite import HOST, SCRATCH, Suite, random_rows

import clusters_over_ranks
import libmcl
from gloo import Gloo

LIMIT = 5  # seconds until a rank is lost, where one is; PATIENCE elsewhere
PATIENCE = 60
ROWS, DIM, K = 9000, 6, 8
fork = multiprocessing.get_context("fork")


def one_rank(work, rank, size, folder, pipe, limit):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank,
                            world_size=size, timeout=datetime.timedelta(seconds=limit))
    context = libmcl.Context(1)
    pipe.send(work(context, Gloo(context)))
    pipe.close()


def answer(pipe):
    try:
        return pipe.recv() if pipe.poll(PATIENCE) else "hangs"
    except EOFError:
        return None


def on_ranks(size, work, limit=PATIENCE):
    """What work(context, comm) returned on each rank; None of one that was killed."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        pipes = [fork.Pipe(duplex=False) for _ in range(size)]
        ranks = [fork.Process(target=one_rank, args=(work, rank, size, folder, write, limit))
                 for rank, (_, write) in enumerate(pipes)]
        for rank in ranks:
            rank.start()
        for _, write in pipes:
            write.close()
        results = [answer(read) for read, _ in pipes]
        for rank in ranks:
            rank.kill()
            rank.join()
        return results


def my_rows(comm, before=lambda: None):
    """Rows of which a rank has its share, and no others."""
    first, n = comm.share(ROWS)
    mine = random_rows(ROWS, DIM, seed=2, clusters=20)[first:first + n]

    def read(at, out):
        before()
        assert first <= at and at + len(out) <= first + n
        out.copy_(mine[at - first:at - first + len(out)])
    return libmcl.Rows.reading(read, ROWS, DIM)


def bits(*tensors):
    return [t.numpy().tobytes() for t in tensors]


def clustered(context, comm, rows):
    k = libmcl.KMeans(context, comm, k=K, seed=5)
    k.fit(rows)
    distances = torch.empty(ROWS, dtype=torch.float64)
    labels = k.assign(rows, distances)
    return bits(labels, distances, k.centroids(), k.sizes()) + [repr(k.report())]


def by_callback(context, comm):
    return clustered(context, comm, my_rows(comm))


def by_file(context, comm):
    return clustered(context, comm, libmcl.Rows.npy(context, SCRATCH / "ranks.npy"))


def caught(function, *arguments):
    began = time.monotonic()
    try:
        function(*arguments)
    except Exception as e:
        status, message = getattr(e, "status", None), getattr(e, "message", str(e))
        return (type(e).__name__, status, message, type(e.__cause__).__name__,
                time.monotonic() - began)
    return None


def one_raises(context, comm):
    def fail():
        if comm.rank == 1:
            raise ValueError("the disk is gone")
    first = caught(libmcl.KMeans(context, comm, k=K).fit, my_rows(comm, fail))
    return first, clustered(context, comm, my_rows(comm))


def others_differ(context, comm):
    return caught(libmcl.KMeans(context, comm, k=K + comm.rank).fit, my_rows(comm))


def one_ends(how):
    def work(context, comm):
        reads = []

        def end():
            reads.append(1)
            if comm.rank == 1 and len(reads) == 5:
                how()
        k = libmcl.KMeans(context, comm, k=K)
        rows = my_rows(comm, end)
        return caught(k.fit, rows), caught(k.fit, rows)
    return work


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def silent():
    time.sleep(LIMIT + 2)


def added(context, comm):
    """What gloo adds, by the callbacks that libmcl has been given."""
    out = []
    err = libmcl.mcl_error()
    for n in (1, 5, 100003):
        x = random_rows(n, 1, seed=comm.rank)
        status = comm._table.sum(None, x.data_ptr(), n, libmcl.C.addressof(err))
        out.append((status, x.numpy()[:, 0]))
    return out


class Ranks(Suite):
    @classmethod
    def setUpClass(cls):
        SCRATCH.mkdir(parents=True, exist_ok=True)
        numpy.save(SCRATCH / "ranks.npy", random_rows(ROWS, DIM, seed=2, clusters=20).numpy())
        context = libmcl.Context(1)
        cls.alone = clustered(context, None, random_rows(ROWS, DIM, seed=2, clusters=20))

    def test_clusters_are_those_of_one_process_to_the_bit(self):
        for size in (1, 2, 3):
            for work in (by_callback, by_file):
                for result in on_ranks(size, work):
                    self.assertEqual(result, self.alone)

    def test_sums_have_the_same_bits_on_every_rank(self):
        results = on_ranks(3, added)
        for i, n in enumerate((1, 5, 100003)):
            wanted = sum(random_rows(n, 1, seed=r).double() for r in range(3))[:, 0]
            for result in results:
                self.assertEqual(result[i][0], 0)
                self.assertEqual(result[i][1].tobytes(), results[0][i][1].tobytes())
            numpy.testing.assert_allclose(results[0][i][1], wanted, atol=1e-6)

    def test_an_exception_on_one_rank_is_an_error_on_the_others(self):
        results = on_ranks(3, one_raises)
        for rank, (failure, after) in enumerate(results):
            if rank == 1:
                self.assertEqual(failure[:3], ("ValueError", None, "the disk is gone"))
            else:
                self.assertEqual(failure[:2], ("Error", libmcl.MCL_E_CALLBACK))
                self.assertIn("rank 1: ", failure[2])
                self.assertIn("ValueError: the disk is gone", failure[2])
            self.assertEqual(after, self.alone)  # the next call works

    def test_ranks_that_differ_are_told(self):
        for result in on_ranks(2, others_differ):
            self.assertEqual(result[:2], ("Error", libmcl.MCL_E_MISMATCH))

    def check_lost(self, how):
        results = on_ranks(3, one_ends(how), LIMIT)
        for rank in (0, 2):
            first, later = results[rank]
            self.assertEqual((first[0], first[1], first[3]),
                             ("Error", libmcl.MCL_E_COMM, "RuntimeError"))
            self.assertLess(first[4], LIMIT + 3)
            self.assertEqual(later[:2], ("Error", libmcl.MCL_E_COMM))
            self.assertIn("earlier call", later[2])
            self.assertLess(later[4], 1)
        return results[1]

    def test_a_killed_rank_is_a_lost_comm_on_the_others(self):
        self.assertIsNone(self.check_lost(killed))

    def test_a_silent_rank_is_a_lost_comm_on_all(self):
        first, later = self.check_lost(silent)
        self.assertEqual((first[1], later[1]), (libmcl.MCL_E_COMM, libmcl.MCL_E_COMM))


def example(arguments, out):
    """The program in this process, which has been forked: PyTorch is loaded already."""
    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    sys.argv[1:] = arguments
    clusters_over_ranks.main()


class Example(unittest.TestCase):
    """clusters_over_ranks.py, alone, started by itself and by torchrun."""

    def arguments(self, size):
        SCRATCH.mkdir(parents=True, exist_ok=True)
        return ["--rows", "5000", "--save", str(SCRATCH / f"over_{size}.npz")]

    def result(self, size, printed):
        lines = [line for line in printed.splitlines() if line.startswith(("stage", "rank"))]
        self.assertEqual(len(lines), 2 + size, printed)
        return lines[:2], (SCRATCH / f"over_{size}.npz").read_bytes()

    def started(self, size):
        arguments = [*self.arguments(size), "--processes", str(size)]
        program = fork.Process(target=example, args=(arguments, SCRATCH / "printed"))
        program.start()
        program.join()
        self.assertEqual(program.exitcode, 0)
        return self.result(size, (SCRATCH / "printed").read_text())

    def test_any_number_of_processes_prints_and_saves_the_same(self):
        alone = self.started(1)
        self.assertIn("12 cells", alone[0][1])
        for size in (2, 3):
            self.assertEqual(self.started(size), alone)

    @unittest.skipUnless(shutil.which("torchrun"), "no torchrun")
    def test_torchrun_starts_it(self):
        # The PyTorch of Debian 12 takes "no redirects" for nothing at all, hence a rank 9's.
        command = "torchrun -r 9:1 -t 9:1 --standalone --nproc_per_node 2".split()
        script = HOST / "clusters_over_ranks.py"
        done = subprocess.run([*command, script, *self.arguments(2)], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.result(2, done.stdout), self.started(1))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
