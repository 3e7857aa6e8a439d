#!/usr/bin/python3
"""Arrays, rows, errors, exceptions and handles of examples/hosts/pytorch/libmcl.py."""
import gc
import sys
import unittest

import numpy
import torch

from suite import SCRATCH, Suite, random_rows

import libmcl


def read_all(x):
    rows = libmcl.Rows.of(x)
    return rows.read(0, len(rows))


def by_callback(x, dtype=torch.float32):
    def read(first, out):
        out.copy_(x[first:first + len(out)])
    return libmcl.Rows.reading(read, *x.shape, dtype)


class Arrays(Suite):
    def test_a_tensor_is_borrowed(self):
        x = random_rows(4, 3)
        rows = libmcl.Rows.of(x)
        x[2, 1] = 77
        self.assertEqual(libmcl.array(x).data, x.data_ptr())
        self.assertEqual(rows.read(2, 1)[0, 1], 77)

    def test_every_float_type_and_stride_is_read(self):
        x = random_rows(6, 4)
        for dtype in (torch.float64, torch.float16, torch.bfloat16):
            self.same_bits(read_all(x.to(dtype)), x.to(dtype).float())
        for view in (x.t(), x[::2], x[:, 1:3], x[:1].expand(5, 4), x.requires_grad_()):
            self.same_bits(read_all(view), view.detach().contiguous())
        a = x.detach().numpy()
        for view in (a, a.T, a[::-1], a[:, ::-2], a.astype("f8"), a.astype("f2")):
            self.same_bits(read_all(view), torch.tensor(view.astype("f4")))

    def test_what_libmcl_does_not_have_is_refused(self):
        odd = numpy.zeros(4, dtype=[("a", "f4"), ("b", "u1")])["a"]
        for wrong in (torch.zeros(2, 2, dtype=torch.complex64), numpy.zeros((2, 2), ">f4"),
                      numpy.zeros(2, object)):
            self.assertRaises(TypeError, libmcl.array, wrong)
        for wrong in (torch.zeros(2, 2, device="meta"), torch.zeros(()), torch.zeros([1] * 5), odd):
            self.assertRaises(ValueError, libmcl.array, wrong)

    def test_a_read_only_ndarray_is_not_written_to(self):
        a = numpy.zeros((2, 3), "f4")
        a.flags.writeable = False
        integrator = libmcl.Integrator(self.context)
        integrator.add_stage(3)
        self.fails(libmcl.MCL_E_INVALID, "out", libmcl._call, "mcl_integrator_concat", integrator,
                   libmcl.C.byref(libmcl.array(a)), 1, libmcl.C.byref(libmcl.array(a)))

    def test_vectors_are_checked(self):
        z, y = random_rows(4, 2), torch.zeros(4, dtype=torch.int32)
        for wrong in (y[:3], y.long(), torch.zeros(8, dtype=torch.int32)[::2], y[:, None]):
            with self.assertRaisesRegex(ValueError, "test_y"):
                libmcl.probe_knn(self.context, z, y, z, wrong)


class RowsTests(Suite):
    def test_rows_of_a_callback_and_of_a_file_give_the_bits_of_the_array(self):
        x = random_rows(5000, 6, clusters=4)
        path = SCRATCH / "rows.npy"
        numpy.save(path, x.numpy())
        results = []
        for rows in (x, libmcl.Rows.npy(self.context, path), by_callback(x),
                     by_callback(x, torch.float64)):
            k = libmcl.KMeans(self.context, k=4, seed=3)
            k.fit(rows)
            results.append((k.assign(rows), k.centroids()))
        for labels, centroids in results[1:]:
            self.same_bits(labels, results[0][0])
            self.same_bits(centroids, results[0][1])

    def test_bfloat16_comes_from_a_callback(self):
        x = random_rows(10, 3).bfloat16()
        self.same_bits(by_callback(x, torch.bfloat16).read(2, 7), x[2:9].float())

    def test_a_missing_file_is_not_found(self):
        self.fails(libmcl.MCL_E_NOT_FOUND, "nowhere.npy", libmcl.Rows.npy, self.context,
                   "nowhere.npy")


class Errors(Suite):
    def test_an_error_has_status_name_message_and_row(self):
        x = random_rows(100, 3)
        x[7, 2] = float("nan")
        e = self.fails(libmcl.MCL_E_NOT_FINITE, "row 7", libmcl.KMeans(self.context, k=2).fit, x)
        self.assertEqual((e.name, e.row, e.host_code), ("MCL_E_NOT_FINITE", 7, 0))
        self.assertEqual(str(e), f"MCL_E_NOT_FINITE: {e.message}")

    def test_an_option_that_does_not_exist_is_refused(self):
        self.assertRaises(TypeError, libmcl.KMeans, self.context, clusters=3)
        self.fails(libmcl.MCL_E_INVALID, "k is 0", libmcl.KMeans, self.context, k=0)


class Exceptions(Suite):
    def raised_by_read(self, exception, before=lambda: None):
        def read(first, out):
            before()
            raise exception
        k = libmcl.KMeans(self.context, k=2)
        with self.assertRaises(type(exception)) as caught:
            k.fit(libmcl.Rows.reading(read, 100, 3))
        self.assertIs(caught.exception, exception)
        k.fit(random_rows(100, 3))  # it is as before

    def test_what_a_callback_raises_comes_out(self):
        for exception in (ValueError("no such row"), KeyboardInterrupt(), SystemExit(3),
                          UnicodeError("\udc80")):
            self.raised_by_read(exception)

    def test_libmcls_own_error_within_a_callback_comes_out(self):
        with self.assertRaises(libmcl.Error) as caught:
            libmcl.KMeans(self.context, k=0)
        self.raised_by_read(caught.exception)

    def test_calls_within_a_callback_keep_to_themselves(self):
        def fails_within():
            self.assertRaises(libmcl.Error, libmcl.KMeans, self.context, k=0)
        self.raised_by_read(ValueError("after"), fails_within)

    def test_an_exception_of_an_earlier_call_is_not_raised_again(self):
        self.raised_by_read(ValueError("early"))
        self.fails(libmcl.MCL_E_INVALID, "k is 0", libmcl.KMeans, self.context, k=0)

    def test_an_exception_that_c_never_heard_of_is_a_failure(self):
        rows = libmcl.Rows.reading(None, 100, 3)
        rows._struct.read = libmcl.callback_type("mcl_rows.read")(lambda *_: 1 / 0)
        ignored = []
        before, sys.unraisablehook = sys.unraisablehook, ignored.append
        try:
            self.fails(libmcl.MCL_E_CALLBACK, "mcl_rows.read",
                       libmcl.KMeans(self.context, k=2).fit, rows)
        finally:
            sys.unraisablehook = before
        self.assertTrue(ignored)

    def test_progress_watches_cancels_and_raises(self):
        x, phases = random_rows(3000, 4), set()
        def watch(phase, done, total):
            phases.add(phase)
        def broken(phase, done, total):
            raise LookupError(phase)
        k = libmcl.KMeans(self.context, k=3)
        k.fit(x, progress=watch)
        self.assertIn("assign", phases)
        self.fails(libmcl.MCL_E_CANCELLED, "", k.fit, x, progress=lambda *_: True)
        self.assertRaises(LookupError, k.fit, x, progress=broken)
        self.assertRaises(LookupError, k.assign, x, progress=broken)


class Handles(Suite):
    def test_each_is_given_back_once_in_any_order(self):
        back = []
        real = libmcl.lib.mcl_sampler_unref
        libmcl.lib.mcl_sampler_unref = lambda handle: (back.append(handle.value), real(handle))
        try:
            context = libmcl.Context(1)
            sampler = libmcl.Sampler(context, 100)
        finally:
            libmcl.lib.mcl_sampler_unref = real
        address = sampler._as_parameter_.value
        del context
        gc.collect()
        self.assertEqual(len(sampler.batch(0, 0)[0]), 100)
        self.assertEqual(back, [])
        del sampler
        gc.collect()
        self.assertEqual(back, [address])

    def test_a_failed_call_holds_no_tensor(self):
        class Marked(Exception):
            pass
        def read(first, out):
            raise Marked
        k = libmcl.KMeans(self.context, k=2)
        gc.disable()
        try:
            try:
                k.fit(libmcl.Rows.reading(read, 100, 3))
            except Marked:
                pass
            self.assertFalse([o for o in gc.get_objects() if isinstance(o, Marked)])
        finally:
            gc.enable()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
