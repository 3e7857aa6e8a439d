#!/usr/bin/python3
"""Arrays, rows, errors, exceptions and handles of examples/hosts/pytorch/libmcl.py."""
import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
import time
import unittest
import weakref

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
        for wrong in (torch.eye(2).to_sparse(), torch.eye(2).to_sparse_csr()):
            with self.assertRaisesRegex(ValueError, "layout"):
                libmcl.array(wrong)
        for wrong in ([[1.0]], 3, None):
            with self.assertRaisesRegex(TypeError, "no tensor"):
                libmcl.array(wrong)

    def test_a_negated_view_is_read_as_its_numbers(self):
        negated = torch.complex(random_rows(4, 3), random_rows(4, 3, seed=1)).conj().imag
        self.assertTrue(negated.is_neg())
        self.same_bits(read_all(negated), negated.contiguous().resolve_neg())

    def test_weights_that_train_are_read_beside_their_graph(self):
        x = torch.nn.Parameter(random_rows(4, 3))
        self.same_bits(read_all(x * 2), (x * 2).detach())

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


class Lender:
    """Has __dlpack__ and nothing else of an array, as arrays of other frameworks."""

    def __init__(self, x, device=(1, 0)):
        self.x, self.device = x, device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self):
        return self.x.__dlpack__()


class Capsule(Lender):
    """A capsule by hand: what PyTorch and numpy do not happen to make. Counts how often it is given
    back."""
    deleter_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def __init__(self, x, code=2, bits=32, lanes=1, strides=None, byte_offset=0):
        super().__init__(x)
        shape = (ctypes.c_int64 * x.dim())(*x.shape)
        strides = (ctypes.c_int64 * x.dim())(*strides) if strides else None
        self.given_back = []

        class Managed(ctypes.Structure):
            _fields_ = [("tensor", libmcl._DLTensor), ("owner", ctypes.c_void_p),
                        ("deleter", self.deleter_type)]
        self.managed = Managed()
        self.managed.tensor = libmcl._DLTensor(x.data_ptr(), 1, 0, x.dim(), code, bits, lanes, shape,
                                               strides, byte_offset)
        self.managed.deleter = self.deleter_type(self.given_back.append)
        self.keep = shape, strides
        # A capsule's destructor, as DLPack demands of it: gives back what nobody has consumed.
        destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
        self.destructor = destructor(lambda _: self.managed.deleter(ctypes.addressof(self.managed)))

    def __dlpack__(self):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.managed), b"dltensor", self.destructor)


class DLPack(Suite):
    def test_it_is_borrowed_with_type_and_strides(self):
        x = random_rows(6, 4)
        a = libmcl.array(Lender(x))
        self.assertEqual(a.data, x.data_ptr())
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            for view in (x.to(dtype), x.to(dtype).t(), x.to(dtype)[1::2, 1:3]):
                self.same_bits(read_all(Lender(view)), view.float().contiguous())
        for kind in ("f4", "f8", "f2"):
            self.same_bits(read_all(Lender(x.numpy().astype(kind).T)),
                           torch.tensor(x.numpy().astype(kind).T.astype("f4")))
        for dtype, number in ((torch.uint8, libmcl.MCL_U8), (torch.int32, libmcl.MCL_I32),
                              (torch.int64, libmcl.MCL_I64)):
            self.assertEqual(libmcl.array(Lender(x.to(dtype))).dtype, number)

    def test_memory_is_held_while_the_array_lives_and_given_back_once(self):
        x = random_rows(6, 4)
        capsule = Capsule(x)
        for times in (1, 2):
            rows = libmcl.Rows.of(capsule)
            self.same_bits(rows.read(0, 6), x)
            self.assertEqual(len(capsule.given_back), times - 1)
            del rows
            gc.collect()
            self.assertEqual(len(capsule.given_back), times)

    def test_its_owner_may_go_before(self):
        x = numpy.ones((5, 3), "f4")
        alive = weakref.ref(x)
        rows = libmcl.Rows.of(Lender(x))
        del x
        gc.collect()
        self.assertIsNotNone(alive())
        self.assertEqual(float(rows.read(4, 1).sum()), 3)
        del rows
        gc.collect()
        self.assertIsNone(alive())

    def test_an_offset_counts_bytes(self):
        x = random_rows(6, 4)
        part = Capsule(x[:3], byte_offset=3 * 4 * 4, strides=(4, 1))
        self.same_bits(read_all(part), x[3:])

    def test_what_libmcl_does_not_have_is_refused_and_given_back(self):
        x = random_rows(6, 4)
        with self.assertRaisesRegex(ValueError, "device .2, 1."):
            libmcl.array(Lender(x, (2, 1)))
        for wrong in (dict(code=5, bits=64), dict(code=0, bits=16), dict(lanes=2)):
            capsule = Capsule(x, **wrong)
            self.assertRaises(TypeError, libmcl.array, capsule)
            gc.collect()
            self.assertEqual(len(capsule.given_back), 1)
        self.assertRaises(ValueError, libmcl.array, Lender(torch.zeros([1] * 5)))

    def test_what_its_owner_raises_comes_out(self):
        x = numpy.ones((5, 3), "f4")
        x.flags.writeable = False  # numpy lends no such memory by DLPack
        with self.assertRaises((TypeError, BufferError)):
            libmcl.array(Lender(x))


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


    def test_an_error_survives_the_way_from_another_process(self):
        e = self.fails(libmcl.MCL_E_INVALID, "k is 0", libmcl.KMeans, self.context, k=0)
        again = pickle.loads(pickle.dumps(e))
        self.assertEqual((str(again), again.status, again.row), (str(e), e.status, e.row))


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

    def test_a_signal_ends_a_long_call(self):
        x = random_rows(40000, 32)
        k = libmcl.KMeans(self.context, k=300, max_iterations=1000, restarts=1000)
        for progress in (None, lambda *_: None):  # with and without a callback of one's own
            later = threading.Timer(.3, os.kill, (os.getpid(), signal.SIGINT))
            later.start()
            began = time.monotonic()
            with self.assertRaises(KeyboardInterrupt):
                k.fit(x, progress=progress)
            self.assertLess(time.monotonic() - began, 60)
            later.join()

    def test_what_a_signal_raises_before_the_first_line_comes_out(self):
        """As ctypes reports it: by the hook, with the callback."""
        class Marked(Exception):
            pass

        def read(first, out):
            out.zero_()
        rows = libmcl.Rows.reading(read, 100, 3)
        guarded = libmcl._for_c("mcl_rows.read", lambda *_: raise_marked())

        def raise_marked():
            raise Marked
        rows._struct.read = guarded
        with self.assertRaises(Marked):
            libmcl.KMeans(self.context, k=2).fit(rows)

    def test_what_was_kept_cancels_the_call(self):
        def read(first, out):
            out.copy_(torch.arange(first, first + len(out))[:, None])
            libmcl._keep(LookupError("kept"))  # as of a signal; the callback itself has succeeded
        k = libmcl.KMeans(self.context, k=2, metric=libmcl.MCL_L2)
        self.assertRaises(LookupError, k.fit, libmcl.Rows.reading(read, 100, 3))
        self.fails(libmcl.MCL_E_STATE, "fit", k.report)

    def test_what_a_log_raises_comes_out_when_the_call_has_done_its_work(self):
        heard = []

        def log(level, component, message):
            heard.append((level, component, message))
            if len(heard) == 1:
                raise LookupError(message)
        context = libmcl.Context(1, log, libmcl.MCL_LOG_DEBUG)
        self.assertEqual(heard, [])
        table = context._keeps[0]._obj
        say = table.log

        def logs(arguments_of_c):
            say(None, libmcl.MCL_LOG_WARN, b"part", b"gone \xff")
            return 0
        libmcl.lib.logs = logs
        try:
            self.assertRaisesRegex(LookupError, "gone", libmcl._call, "logs")
            libmcl._call("logs")  # nothing is left of it
        finally:
            del libmcl.lib.logs
        self.assertEqual(heard, [(libmcl.MCL_LOG_WARN, "part", "gone \ufffd")] * 2)
        reported = []
        before, sys.unraisablehook = sys.unraisablehook, reported.append
        try:
            heard.clear()
            say(None, libmcl.MCL_LOG_WARN, b"part", b"elsewhere")  # outside of any call
        finally:
            sys.unraisablehook = before
        self.assertIsInstance(reported[0].exc_value, LookupError)
        libmcl.Sampler(context, 10)  # and of that, too, nothing is left

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
        y = torch.zeros(3000, dtype=torch.int32)
        for probe in (libmcl.probe_knn, libmcl.probe_linear):
            self.assertRaises(LookupError, probe, self.context, x, y, x, y, progress=broken)


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

    def test_what_a_handle_was_made_of_lives_as_long(self):
        said = []
        context = libmcl.Context(1, lambda *_: said.append(1))
        alive = weakref.ref(context)
        sampler = libmcl.Sampler(context, 100)
        del context
        gc.collect()
        self.assertIsNotNone(alive())
        del sampler
        gc.collect()
        self.assertIsNone(alive())

    def test_none_is_pickled(self):
        for handle in (self.context, libmcl.Sampler(self.context, 10)):
            with self.assertRaisesRegex(TypeError, "fork"):
                pickle.dumps(handle)

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
