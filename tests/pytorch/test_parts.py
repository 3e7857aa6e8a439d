#!/usr/bin/python3
"""k-means, sampler, integrator and probes through libmcl.py, against numpy."""
import sys
import unittest

import numpy
import torch

from suite import Suite, random_rows

import libmcl


def unit(x):
    x = numpy.asarray(x, "f8")
    return x / numpy.linalg.norm(x, axis=1, keepdims=True)


class Clusters(Suite):
    def check(self, metric, seen):
        x = random_rows(3000, 5, seed=1, clusters=6)
        k = libmcl.KMeans(self.context, k=6, seed=2, metric=metric)
        k.fit(x)
        distances = torch.empty(3000, dtype=torch.float64)
        labels = k.assign(x, distances).numpy()
        centroids = k.centroids().numpy().astype("f8")
        z = seen(x)
        squares = ((z[:, None] - centroids) ** 2).sum(2)
        self.assertTrue((labels == squares.argmin(1)).all())
        numpy.testing.assert_allclose(distances, squares.min(1), rtol=1e-5, atol=1e-6)
        means = numpy.stack([z[labels == c].mean(0) for c in range(6)])
        if metric == libmcl.MCL_COSINE:
            means = unit(means)
        numpy.testing.assert_allclose(centroids, means, rtol=1e-5, atol=1e-5)
        report = k.report()
        self.assertEqual(k.sizes().tolist(), numpy.bincount(labels).tolist())
        self.assertAlmostEqual(report.inertia, float(distances.mean()), 12)
        self.assertEqual((report.rows, report.k, report.k_effective), (3000, 6, 6))
        self.assertEqual(report.converged, 1)

    def test_labels_centroids_and_report_by_cosine(self):
        self.check(libmcl.MCL_COSINE, unit)

    def test_labels_centroids_and_report_by_distance(self):
        self.check(libmcl.MCL_L2, lambda x: x.numpy().astype("f8"))

    def test_given_centroids_label_without_a_fit(self):
        k = libmcl.KMeans(self.context, k=2, metric=libmcl.MCL_L2)
        k.set_centroids(torch.tensor([[0.0, 0], [10, 10]]))
        self.assertEqual(k.assign(torch.tensor([[9.0, 9], [1, 1]])).tolist(), [1, 0])
        self.fails(libmcl.MCL_E_STATE, "fit", k.report)


class Cells(Suite):
    def setUp(self):
        g = numpy.random.default_rng(5)
        self.labels = [torch.tensor(g.integers(0, n, 1000), dtype=torch.int32) for n in (3, 4)]
        self.labels[0][::50] = -1

    def make(self, rank=0, world=1):
        s = libmcl.Sampler(self.context, 1000, rank, world, batch_rows=48, seed=1)
        for stage, labels in enumerate(self.labels):
            s.add_labels(stage, labels)
        return s

    def test_cells_are_the_pairs_of_labels(self):
        a, b = (labels.numpy() for labels in self.labels)
        pairs = sorted({(i, j) for i, j in zip(a, b) if i >= 0})
        wanted = [pairs.index((i, j)) if i >= 0 else -1 for i, j in zip(a, b)]
        s = self.make()
        self.assertEqual(s.cells().tolist(), wanted)
        report = s.report()
        self.assertEqual((report.cells, report.excluded, report.used), (12, 20, 980))

    def test_every_row_comes_once_over_ranks_and_steps_beside_its_cell(self):
        ranks = [self.make(rank, 3) for rank in range(3)]
        cells = ranks[0].cells()
        seen = []
        for step in range(ranks[0].steps):
            parts = [s.batch(4, step) for s in ranks]
            self.assertEqual(len({int(c) for _, cell in parts for c in cell}), 1)
            for rows, cell in parts:
                self.assertEqual((rows.dtype, cell.dtype), (torch.int64, torch.int64))
                self.assertEqual(cells[rows].tolist(), cell.tolist())
                seen += rows.tolist()
        self.assertEqual(sorted(seen), (cells >= 0).nonzero()[:, 0].tolist())
        self.same_bits(ranks[1].batch(4, 2)[0], self.make(1, 3).batch(4, 2)[0])

    def test_bad_labels_and_steps_are_refused(self):
        s = libmcl.Sampler(self.context, 1000)
        wrong = self.labels[0].clone()
        wrong[6] = -2
        self.assertEqual(self.fails(libmcl.MCL_E_INVALID, "label", s.add_labels, 0, wrong).row, 6)
        self.fails(libmcl.MCL_E_SHAPE, "", s.add_labels, 0, wrong[:9])
        self.assertRaises(ValueError, s.add_labels, 0, wrong.long())
        self.fails(libmcl.MCL_E_LIMIT, "step", s.batch, 0, s.steps)


class Together(Suite):
    def test_stages_are_normalised_weighted_and_concatenated(self):
        stages = [random_rows(20, 3), random_rows(20, 5, seed=1).double()]
        integrator = libmcl.Integrator(self.context)
        integrator.add_stage(3)
        integrator.add_stage(5, 2.5)
        wanted = numpy.concatenate([unit(stages[0]), 2.5 * unit(stages[1])], 1)
        numpy.testing.assert_allclose(integrator.concat(stages), wanted, rtol=1e-5, atol=1e-6)
        self.fails(libmcl.MCL_E_INVALID, "2 stages", integrator.concat, stages[:1])
        self.fails(libmcl.MCL_E_SHAPE, "stage", integrator.concat, stages[::-1])


class Probes(Suite):
    def setUp(self):
        x = random_rows(300, 4, seed=3)
        noise = random_rows(300, 1, seed=4)[:, 0]
        y = ((x[:, 0] + .8 * noise > 0).int() + 2 * (x[:, 1] > .3).int()).to(torch.int32)
        self.z, self.y, self.test_z, self.test_y = x[:200], y[:200], x[200:], y[200:]

    def ask(self, probe, **options):
        return probe(self.context, self.z, self.y, self.test_z, self.test_y, **options)

    def test_neighbours_vote_by_cosine(self):
        cosine = unit(self.test_z) @ unit(self.z).T
        order = (-cosine).argsort(1, kind="stable")[:, :7]
        right = 0
        for votes, label in zip(self.y.numpy()[order], self.test_y.numpy()):
            counts = numpy.bincount(votes, minlength=4)
            best = next(v for v in votes if counts[v] == counts.max())
            right += best == label
        result = self.ask(libmcl.probe_knn, neighbours=7)
        self.assertEqual((result.correct, result.total), (right, 100))
        self.assertEqual(result.value, right / 100)
        self.assertTrue(result.low < result.value < result.high)

    def test_a_line_is_fitted_to_its_end(self):
        mean, deviation = self.z.numpy().mean(0), self.z.numpy().std(0)
        a, b = ((x.numpy() - mean) / deviation for x in (self.z, self.test_z))
        w, bias, truth = numpy.zeros((4, 4)), numpy.zeros(4), numpy.eye(4)[self.y.numpy()]
        for _ in range(4000):
            p = numpy.exp(a @ w + bias)
            p = (p / p.sum(1, keepdims=True) - truth) / len(a)
            w -= a.T @ p + 2e-2 * w
            bias -= p.sum(0)
        right = int(((b @ w + bias).argmax(1) == self.test_y.numpy()).sum())
        result = self.ask(libmcl.probe_linear, l2=1e-2)
        self.assertEqual((result.correct, result.total, result.converged), (right, 100, 1))
        self.assertGreater(right, 60)

    def test_a_label_out_of_range_is_named(self):
        self.y[5] = -1
        self.assertEqual(self.fails(libmcl.MCL_E_INVALID, "", self.ask, libmcl.probe_knn).row, 5)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
