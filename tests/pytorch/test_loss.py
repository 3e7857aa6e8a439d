#!/usr/bin/python3
"""Losses of libmcl.py as autograd functions, against the formulas by torch's own operations, in float64."""
import sys
import unittest

import numpy
import torch

from suite import Suite, random_rows

import libmcl

N, DIM = 24, 7


def scores_of(a, b, tau):
    return torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T / tau


def cross_entropy(scores, positives, cells, apart):
    """Of each row of scores: its positive against the columns of its cell, those `apart` left out."""
    rows = torch.arange(len(scores))
    negative = (cells[:, None] == cells) & ~apart
    negative[rows, positives] = True
    return torch.nn.functional.cross_entropy(scores.masked_fill(~negative, -torch.inf), positives,
                                             reduction="sum")


def by_hand(name, a, b, tau, cells, ids):
    n = len(a)
    cells = torch.zeros(n, dtype=torch.int64) if cells is None else cells
    same = torch.zeros(n, n, dtype=torch.bool) if ids is None else ids[:, None] == ids
    if name == "info_nce":
        scores, positives = scores_of(a, b, tau), torch.arange(n)
        return (cross_entropy(scores, positives, cells, same) +
                cross_entropy(scores.T, positives, cells, same)) / (2 * n)
    both = torch.cat([a, b])
    apart = same.repeat(2, 2) | torch.eye(2 * n, dtype=torch.bool)
    positives = torch.arange(2 * n).roll(n)
    return cross_entropy(scores_of(both, both, tau), positives, cells.repeat(2), apart) / (2 * n)


def views(dtype=torch.float32, seed=0):
    a = random_rows(N, DIM, seed)
    b = a + .7 * random_rows(N, DIM, seed + 1)
    return [z.to(dtype).requires_grad_() for z in (a, b)]


class Losses(Suite):
    def setUp(self):
        g = torch.Generator().manual_seed(3)
        self.cells = torch.randint(4, (N,), generator=g)
        self.ids = torch.randint(12, (N,), generator=g)

    def compare(self, name, a, b, tau, cells=None, ids=None, scale=1., rtol=1e-5):
        """Value and gradients of all three, times scale; gradients to rtol of the largest."""
        exact = [z.detach().double().requires_grad_() for z in (a, b)]
        exact_tau = torch.tensor(float(tau), dtype=torch.float64, requires_grad=True)
        wanted = by_hand(name, *exact, exact_tau, cells, ids)
        (wanted * scale).backward()
        tau = torch.tensor(float(tau), requires_grad=True)
        loss = getattr(libmcl, name)(self.context, a, b, tau, cells, duplicates=ids)
        (loss * scale).backward()
        self.assertAlmostEqual(loss.item() / wanted.item(), 1, delta=1e-5)
        for got, right in ((a.grad, exact[0].grad), (b.grad, exact[1].grad),
                           (tau.grad, exact_tau.grad)):
            numpy.testing.assert_allclose(got.double(), right, rtol=0,
                                          atol=rtol * float(right.abs().max()))
        self.assertEqual((a.grad.dtype, a.grad.shape), (a.dtype, a.shape))

    def test_value_and_gradients_are_torchs_by_its_formula(self):
        for name in ("nt_xent", "info_nce"):
            for cells in (None, self.cells):
                for ids in (None, self.ids):
                    for tau in (.1, .5, 3):
                        with self.subTest(name=name, cells=cells, ids=ids, tau=tau):
                            self.compare(name, *views(), tau, cells, ids)

    def test_an_incoming_gradient_scales_all_of_them(self):
        self.compare("nt_xent", *views(), .3, self.cells, scale=-2.5)

    def test_float64_and_strided_rows_are_taken(self):
        self.compare("info_nce", *views(torch.float64), .3, self.cells)
        a, b = (z.detach().t().contiguous().t().requires_grad_() for z in views())
        self.assertFalse(a.is_contiguous())
        self.compare("nt_xent", a, b, .3)

    def test_float16_has_gradients_that_float16_would_lose(self):
        for dtype, rtol in ((torch.float16, 1e-3), (torch.bfloat16, 8e-3)):
            a, b = views(dtype)
            a, b = ((z.detach() * 2000).requires_grad_() for z in (a, b))  # gradients are small then
            self.compare("nt_xent", a, b, .5, scale=2. ** 16, rtol=rtol)
            loss = libmcl.nt_xent(self.context, a, b)
            self.assertEqual(loss.dtype, torch.float32)

    def test_it_goes_on_through_the_graph(self):
        w = random_rows(DIM, DIM, seed=5).requires_grad_()
        exact = w.detach().double().requires_grad_()
        a, b = (z.detach() for z in views())
        log_tau = torch.tensor(-1., requires_grad=True)
        exact_tau = torch.tensor(-1., dtype=torch.float64, requires_grad=True)
        libmcl.info_nce(self.context, a @ w, b @ w, log_tau.exp(), self.cells).backward()
        by_hand("info_nce", a.double() @ exact, b.double() @ exact, exact_tau.exp(), self.cells,
                None).backward()
        numpy.testing.assert_allclose(w.grad, exact.grad, rtol=0,
                                      atol=1e-5 * float(exact.grad.abs().max()))
        self.assertAlmostEqual(log_tau.grad.item(), exact_tau.grad.item(), delta=1e-5)

    def test_only_gradients_that_are_wanted_are_made(self):
        a, b = views()
        loss = libmcl.nt_xent(self.context, a, b.detach(), .2)
        loss.backward()
        self.assertIsNotNone(a.grad)
        self.assertIsNone(b.grad)
        with torch.no_grad():
            self.assertFalse(libmcl.nt_xent(self.context, a, b).requires_grad)
        self.assertEqual(libmcl.nt_xent(self.context, a.detach(), b.detach(), .2).item(), loss.item())

    def test_a_second_derivative_is_refused(self):
        a, b = views()
        tau = torch.tensor(.5, requires_grad=True)
        loss = libmcl.nt_xent(self.context, a, b, tau)
        for x in (a, b, tau):
            gradient, = torch.autograd.grad(loss, x, create_graph=True)
            plain, = torch.autograd.grad(loss, x, retain_graph=True)
            self.same_bits(gradient.detach(), plain)  # as it is it may be used
            with self.assertRaisesRegex(RuntimeError, "first derivatives only"):
                (a.sum() + gradient.square().sum()).backward(retain_graph=True)

    def test_the_result_has_accuracy_and_counts(self):
        result = libmcl.made(libmcl.mcl_loss_result)
        a, b = views()
        alone = torch.arange(N).clamp(max=N // 2)  # the rows of the first half are alone in their cells
        loss = libmcl.nt_xent(self.context, a, b, cells=alone, result=result)
        self.assertEqual((result.anchors, result.anchors_without_negatives), (2 * N, N))
        self.assertAlmostEqual(result.loss, loss.item(), 6)
        self.assertTrue(0 < result.accuracy <= 1)

    def test_flags_and_other_inputs_reach_libmcl(self):
        a, b = views()
        total = libmcl.nt_xent(self.context, a, b, flags=libmcl.MCL_REDUCE_SUM)
        self.assertAlmostEqual(total.item() / libmcl.nt_xent(self.context, a, b).item(), 2 * N, 3)
        one_way = libmcl.info_nce(self.context, a[3:9], b, flags=libmcl.MCL_ONE_WAY,
                                  first_positive=3)
        scores = scores_of(a[3:9].double(), b.double(), .5)
        wanted = torch.nn.functional.cross_entropy(scores, torch.arange(3, 9))
        self.assertAlmostEqual(one_way.item(), wanted.item(), 5)

    def test_what_is_wrong_is_said(self):
        a, b = views()
        self.fails(libmcl.MCL_E_SHAPE, "zb", libmcl.nt_xent, self.context, a, b[:5])
        self.fails(libmcl.MCL_E_INVALID, "temperature", libmcl.nt_xent, self.context, a, b, 0)
        with self.assertRaisesRegex(ValueError, "cells"):
            libmcl.nt_xent(self.context, a, b, cells=self.cells.int())
        with self.assertRaisesRegex(ValueError, "duplicates"):
            libmcl.nt_xent(self.context, a, b, duplicates=self.ids[:5])
        with self.assertRaisesRegex(ValueError, "meta"):
            libmcl.nt_xent(self.context, a.to("meta"), b)
        with torch.no_grad():
            b[4, 2] = torch.nan
        e = self.fails(libmcl.MCL_E_NOT_FINITE, "zb", libmcl.info_nce, self.context, a, b)
        self.assertEqual(e.row, 4)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
