#!/usr/bin/python3
"""The pulled loop, batches in a DataLoader's workers, and train_stages.py."""
import contextlib
import io
import multiprocessing
import re
import shutil
import sys
import tempfile
import unittest

import torch

from suite import SCRATCH, Suite, random_rows

import libmcl

try:
    import torchvision
except ImportError:
    torchvision = None

ROWS, STAGES, EPOCHS = 400, 3, 2


class Loop(Suite):
    def make(self, **options):
        options = {"stages": STAGES, "epochs": EPOCHS, "seed": 5} | options
        return libmcl.Multistage(self.context, ROWS, kmeans={"k": 3}, sampler={"batch_rows": 32},
                                 **options)

    def embeddings(self, stage):
        return random_rows(ROWS, 4, seed=stage, clusters=3)

    def carry_out(self, loop, event):
        if event.kind == libmcl.MCL_EMBED_ROWS:
            loop.put_embeddings(event, self.embeddings(event.stage)[event.rows])

    def test_events_come_in_order_with_the_batches_of_the_sampler(self):
        loop, kinds, seen = self.make(), [], []
        for event in loop:
            kinds.append((event.stage, event.kind))
            if event.kind == libmcl.MCL_BEGIN_STAGE:
                sampler, seen = loop.sampler(), []
            if event.kind == libmcl.MCL_TRAIN_BATCH:
                rows, cells = sampler.batch(event.epoch, event.step)
                self.same_bits(event.rows, rows)
                self.same_bits(event.cells, cells)
                self.assertEqual(event.steps, sampler.steps)
                seen += rows.tolist()
            if event.kind == libmcl.MCL_EMBED_ROWS and seen:
                self.assertEqual(sorted(seen), sorted(EPOCHS * list(range(ROWS))))
                seen = []
            self.carry_out(loop, event)
        order = [libmcl.MCL_BEGIN_STAGE, libmcl.MCL_TRAIN_BATCH, libmcl.MCL_EMBED_ROWS,
                 libmcl.MCL_END_STAGE]
        self.assertEqual(list(dict.fromkeys(kinds)), [(s, k) for s in range(STAGES) for k in order])
        self.assertEqual(loop.next().kind, libmcl.MCL_DONE)

    def test_cells_are_rows_that_shared_their_clusters(self):
        loop = self.make()
        for event in loop:
            self.carry_out(loop, event)
            if event.kind == libmcl.MCL_TRAIN_BATCH and event.stage == 2:
                for labels in (loop.labels(0), loop.labels(1)):
                    self.assertEqual(len(labels[event.rows].unique()), 1)
            if event.kind == libmcl.MCL_END_STAGE:
                report = loop.report(event.stage)
                self.assertEqual((report.stage, report.k_effective, report.rows_seen),
                                 (event.stage, 3, ROWS))
                self.assertIn(report.advice, range(1, 5))
                self.assertRegex(libmcl.advice(report.advice), r"^[A-Z].*\.$")
        # Every stage's clusters are row % 3 again: there is nothing to split.
        self.assertEqual(loop.report(2).cells, 3)
        self.assertEqual(loop.report(1).advice, libmcl.MCL_ADVICE_NOTHING_NEW)

    def test_the_host_may_cluster(self):
        loop, labels = self.make(), torch.arange(ROWS, dtype=torch.int32) % 7
        while (event := loop.next()).kind != libmcl.MCL_EMBED_ROWS:
            pass
        loop.put_labels(labels)
        self.assertEqual(loop.next().kind, libmcl.MCL_END_STAGE)
        self.same_bits(loop.labels(0), labels)

    def test_it_goes_on_from_a_save_and_to_any_place(self):
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            loop = self.make()
            for event in loop:
                self.carry_out(loop, event)
                if (event.stage, event.kind) == (1, libmcl.MCL_TRAIN_BATCH) and event.step == 4:
                    break
            loop.save(folder)
            rest = [(e.stage, e.epoch, e.step, e.rows.tolist()) for e in self.until_embedding(loop)]
            again = self.make()
            again.resume(folder)
            self.assertEqual(again.next().kind, libmcl.MCL_RESUME_STAGE)
            self.assertEqual([(e.stage, e.epoch, e.step, e.rows.tolist())
                              for e in self.until_embedding(again)], rest)
            again.seek(1, 0, 2)
            self.assertEqual(again.next().kind, libmcl.MCL_RESUME_STAGE)
            event = again.next()
            self.assertEqual((event.stage, event.epoch, event.step), (1, 0, 2))
            self.fails(libmcl.MCL_E_MISMATCH, "seed", self.make(seed=6).resume, folder)

    def until_embedding(self, loop):
        while (event := loop.next()).kind == libmcl.MCL_TRAIN_BATCH:
            yield event

    def test_what_is_wrong_is_said(self):
        loop = self.make()
        event = loop.next()
        self.fails(libmcl.MCL_E_STATE, "", loop.put_labels, torch.zeros(ROWS, dtype=torch.int32))
        self.fails(libmcl.MCL_E_NOT_FOUND, "", loop.report, 0)
        self.assertRaises(ValueError, loop.put_embeddings, event, torch.zeros(3, 4))
        self.fails(libmcl.MCL_E_INVALID, "stages", self.make, stages=-1)
        self.assertRaises(TypeError, self.make, stage=1)
        with self.assertRaises(TypeError):
            libmcl.Multistage(self.context, ROWS, kmeans={"clusters": 3})

    def test_clustering_can_be_watched_and_stopped(self):
        loop = self.make()

        def broken(phase, done, total):
            raise LookupError(phase)
        for event in self.until_clustering(loop):
            self.carry_out(loop, event)
        self.assertRaises(LookupError, loop.next, broken)
        self.assertEqual(loop.next().kind, libmcl.MCL_END_STAGE)  # the same call again

    def until_clustering(self, loop):
        while True:
            event = loop.next()
            yield event
            if event.kind == libmcl.MCL_EMBED_ROWS and event.step + 1 == event.steps:
                return


class Shown(torch.utils.data.Dataset):
    """Row numbers, as a DataLoader's workers see them."""

    def __getitem__(self, row):
        return row, torch.utils.data.get_worker_info() is not None


class Steps(torch.utils.data.Dataset):
    """A step's batch, asked for in the worker itself: the sampler came by fork."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __len__(self):
        return self.sampler.steps

    def __getitem__(self, step):
        return *self.sampler.batch(1, step), torch.utils.data.get_worker_info() is not None


def pickled(sampler):
    process = multiprocessing.get_context("spawn").Process(target=print, args=(sampler,))
    process.start()


class Workers(Suite):
    def setUp(self):
        self.sampler = libmcl.Sampler(self.context, 1000, batch_rows=48, seed=1)
        g = torch.Generator().manual_seed(1)
        self.sampler.add_labels(0, torch.randint(5, (1000,), generator=g, dtype=torch.int32))
        self.alone = [self.sampler.batch(1, step) for step in range(self.sampler.steps)]

    def test_batches_are_the_same_for_any_number_of_workers(self):
        for workers in (0, 1, 3):
            loader = torch.utils.data.DataLoader(
                Shown(), batch_sampler=libmcl.Batches(self.sampler, 1), num_workers=workers)
            self.assertEqual(len(loader), len(self.alone))
            batches = list(loader)
            self.assertEqual([rows.tolist() for rows, _ in batches],
                             [rows.tolist() for rows, _ in self.alone])
            self.assertTrue(all(bool(there.all()) == (workers > 0) for _, there in batches))

    def test_another_epoch_has_others(self):
        batches = libmcl.Batches(self.sampler, 1)
        first = list(batches)
        batches.epoch = 2
        self.assertNotEqual(list(batches), first)
        self.assertEqual(sorted(sum(batches, [])), list(range(1000)))

    def test_workers_may_ask_the_sampler_themselves(self):
        for workers in (1, 3):
            loader = torch.utils.data.DataLoader(Steps(self.sampler), batch_size=None,
                                                 num_workers=workers)
            for (rows, cells, there), (wanted, wanted_cells) in zip(loader, self.alone, strict=True):
                self.assertTrue(there)
                self.same_bits(rows, wanted)
                self.same_bits(cells, wanted_cells)

    def test_what_fails_in_a_worker_is_told(self):
        class Wrong(Steps):
            def __getitem__(self, step):
                return self.sampler.batch(1, 10 ** 6)
        with self.assertRaisesRegex(RuntimeError, "MCL_E_LIMIT"):
            list(torch.utils.data.DataLoader(Wrong(self.sampler), batch_size=None, num_workers=1))

    def test_a_spawned_worker_is_refused(self):
        with self.assertRaisesRegex(TypeError, "fork"):
            pickled(self.sampler)




@unittest.skipUnless(torchvision, "no torchvision here")
@unittest.skipUnless(shutil.os.path.exists("/usr/share/datasets/fashion-mnist"), "no Fashion-MNIST")
class Program(Suite):
    """train_stages.py in this process, with as little of everything as shows that it works."""

    def lines(self, *words):
        import train_stages
        before, printed = sys.argv, io.StringIO()
        sys.argv = ["train_stages.py", *map(str, words)]
        try:
            with contextlib.redirect_stdout(printed):
                train_stages.main()
        finally:
            sys.argv = before
        return printed.getvalue().splitlines()

    def test_a_vision_transformer_learns_the_code_alike_with_any_workers(self):
        words = "--network vit --rows 192 --test-rows 96 --epochs 3 --batch 32 --k 4 --stages".split()
        alone = self.lines(*words, 2)
        self.assertEqual(self.lines(*words, 1, "--workers", 2)[0], alone[0])
        self.assertEqual(len(alone), 3)
        first, second = (re.findall(r"[\d.]+", line) for line in alone[:2])
        self.assertEqual(first[:2], ["0", "1"], alone)
        self.assertEqual(second[0], "1")
        self.assertTrue(2 <= int(second[1]) <= 4, alone)  # cells, at most k
        self.assertLess(float(first[3]), float(first[2]) - .3)  # the loss falls
        self.assertNotEqual(first[4], "0.200")  # the temperature learns
        self.assertGreater(float(first[5]), .5)  # chance is 1/16
        self.assertRegex(alone[2], r"^vit, all stages: neighbours know code \d\.\d\d, clothes")

    def test_a_resnet_trains(self):
        words = "--network resnet18 --rows 16 --test-rows 16 --epochs 1 --stages 2 --batch 8 --k 2"
        lines = self.lines(*words.split())
        self.assertEqual([line.split(":")[0] for line in lines],
                         ["resnet18, stage 0", "resnet18, stage 1", "resnet18, all stages"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
