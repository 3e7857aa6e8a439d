"""libmcl in Python: by ctypes alone, beside PyTorch, without a compiled part.

What a binding has to mind, each in one place:

  layouts      and prototypes are the headers': libmcl_h.py.
  memory       Tensors and ndarrays are borrowed by pointer, never copied, and kept alive for the
               call (array). What libmcl lends to a callback is a tensor on its memory until the
               callback returns: who wants to keep it clones it (_lent).
  ownership    A handle gives its one reference back when it is collected, in any order (_Handle).
  errors       An mcl_error is raised as Error, with status, message and row (_call).
  exceptions   must not pass through C. What a callback raises is kept, C is told MCL_E_CALLBACK,
               and the same exception is raised again where libmcl was called (_callback, _call).
"""
import ctypes as C
import os
import threading
import weakref

import torch

from libmcl_h import *

# ---- errors and exceptions ---------------------------------------------------------------------

class Error(Exception):
    """What libmcl's mcl_error says. `row` is the first offending row, or -1."""

    def __init__(self, err):
        self.status, self.host_code, self.row = err.status, err.host_code, err.row
        self.name = lib.mcl_status_name(err.status).decode()
        self.message = err.message.decode()
        super().__init__(f"{self.name}: {self.message}")


_thread = threading.local()  # .raised: by a callback of the innermost call on this thread


def _call(name, *arguments):
    """libmcl's `name`, with an mcl_error behind the arguments. What failed is raised: a callback's
    own exception, or else Error. Of a lost communicator it is Error, and the exception its cause,
    because ranks whose engine never noticed get the same."""
    err = mcl_error()
    outer, _thread.raised = getattr(_thread, "raised", None), None
    try:
        status = getattr(lib, name)(*arguments, C.byref(err))
        raised = _thread.raised
    finally:
        _thread.raised = outer
    if status >= 0:
        return
    try:
        if raised is None or (status == MCL_E_COMM and isinstance(raised, Exception)):
            raise Error(err) from raised
        raise raised
    finally:
        del raised  # its traceback holds this frame: a ring would hold the frames' tensors


def _callback(name, function):
    """`function` for C to call, its mcl_error being the last argument. An exception that C never
    heard of, from a signal before the first line, is a failure too: nobody said mcl_ok()."""
    def guarded(*arguments):
        try:
            function(*arguments[:-1])
        except BaseException as raised:
            _thread.raised = raised
            text = f"{type(raised).__name__}: {raised}".encode(errors="replace")
            return lib.mcl_error_set(arguments[-1], MCL_E_CALLBACK, 0, text)
        return lib.mcl_ok(arguments[-1])
    return callback_type(name)(guarded)


def _monitor(progress):
    """progress(phase, done, total) cancels the call if it returns what is true, or raises."""
    if progress is None:
        return None

    def watch(_, at):
        p = mcl_progress.from_address(at)
        try:
            return 1 if progress(p.phase.decode(), p.done, p.total) else 0
        except BaseException as raised:
            _thread.raised = raised
            return 1
    return C.byref(made(mcl_monitor, progress=callback_type("mcl_monitor.progress")(watch)))


# ---- arrays ------------------------------------------------------------------------------------

_TYPES = {torch.float32: MCL_F32, torch.float64: MCL_F64, torch.float16: MCL_F16,
          torch.bfloat16: MCL_BF16, torch.uint8: MCL_U8, torch.int32: MCL_I32, torch.int64: MCL_I64,
          "<f4": MCL_F32, "<f8": MCL_F64, "<f2": MCL_F16, "|u1": MCL_U8, "<i4": MCL_I32,
          "<i8": MCL_I64}
_TORCH = {number: kind for kind, number in _TYPES.items() if isinstance(kind, torch.dtype)}


def array(x):
    """An mcl_array that borrows a CPU tensor's or an ndarray's memory, and keeps it alive."""
    flags, strides = 0, None
    if isinstance(x, torch.Tensor):
        if x.device.type != "cpu":
            raise ValueError(f"a tensor on {x.device}: libmcl reads the host's memory, .cpu()")
        kind, pointer, strides = x.dtype, x.data_ptr(), x.stride()
    else:
        about = x.__array_interface__
        kind, (pointer, readonly) = about["typestr"], about["data"]
        flags = MCL_ARRAY_READONLY if readonly else 0
        if about["strides"] is not None:
            strides = [s / int(kind[2:]) for s in about["strides"]]
    if kind not in _TYPES:
        raise TypeError(f"libmcl has no arrays of {kind}")
    if not 1 <= len(x.shape) <= 4:
        raise ValueError(f"an array of {len(x.shape)} dimensions, not 1 to 4")
    a = mcl_array()
    lib.mcl_array_init(C.byref(a), pointer, _TYPES[kind], len(x.shape), (I64 * 4)(*x.shape))
    for i, stride in enumerate(strides or []):
        if stride != int(stride):
            raise ValueError("an ndarray whose strides are no whole numbers of elements")
        a.strides[i] = int(stride)
    a.flags, a.keep = flags, x
    return a


def _numbers(x, dtype, n, what):
    """The address of `n` numbers that stand one after the other: what C has as a pointer."""
    a = array(x)
    if (a.dtype, a.ndim, a.shape[0]) != (_TYPES[dtype], 1, n) or (n > 1 and a.strides[0] != 1):
        raise ValueError(f"{what} is not a vector of {n} contiguous {dtype}")
    return P(a.data)


def _lent(address, dtype, *shape):
    """A tensor on memory of libmcl's, for as long as that is lent."""
    n = torch.empty(0, dtype=dtype).element_size()
    for size in shape:
        n *= size
    return torch.frombuffer((C.c_char * n).from_address(address), dtype=dtype).view(shape)


# ---- handles -----------------------------------------------------------------------------------

class _Handle:
    """One reference. `name`(*arguments, &handle, &err) made it, `kind`_unref gives it back."""

    def __init__(self, kind, name, *arguments):
        handle = P()
        _call(name, *arguments, C.byref(handle))
        self._as_parameter_ = handle
        weakref.finalize(self, getattr(lib, kind + "_unref"), handle)


class Context(_Handle):
    def __init__(self, threads=0):
        options = made(mcl_context_options, threads=threads)
        super().__init__("mcl_context", "mcl_context_create", C.byref(options))


class Comm(_Handle):
    """Several processes. allgather(send, recv): uint8 tensors [bytes] and [size, bytes], lent.
    allreduce(data): a float32 tensor that becomes the sum over ranks, in place. See gloo.py."""

    def __init__(self, context, rank, size, allgather, allreduce=None):
        def gather(_, send, recv, n):
            allgather(_lent(send, torch.uint8, n), _lent(recv, torch.uint8, size, n))

        def add(_, data, n):
            allreduce(_lent(data, torch.float32, n))
        table = made(mcl_host_comm, rank=rank, size=size)
        table.allgather = _callback("mcl_host_comm.allgather", gather)
        if allreduce is not None:
            table.sum = _callback("mcl_host_comm.sum", add)
        self.rank, self.size, self._table = rank, size, table  # the handle calls its callbacks
        super().__init__("mcl_comm", "mcl_comm_create_host", context, C.byref(table))

    def share(self, rows):
        """Which of `rows` rows are this rank's: the first, and how many."""
        first, n = I64(), I64()
        lib.mcl_comm_share(self, rows, C.byref(first), C.byref(n))
        return first.value, n.value


class Rows:
    """Rows that a clusterer reads: of a matrix, a function, or a .npy file."""

    def __init__(self, struct, keep=None):
        self._struct, self._keep = struct, keep
        self._as_parameter_ = C.byref(struct)

    def __len__(self):
        return self._struct.array.contents.shape[0] if self._struct.array else self._struct.rows

    @property
    def dim(self):
        return self._struct.array.contents.shape[1] if self._struct.array else self._struct.dim

    @classmethod
    def of(cls, x):
        """x: a Rows, or a tensor or ndarray [rows, dim], borrowed."""
        if isinstance(x, Rows):
            return x
        view = array(x)
        return cls(made(mcl_rows, array=C.pointer(view)), view)

    @classmethod
    def reading(cls, read, rows, dim, dtype=torch.float32):
        """read(first, out) fills `out`, a lent tensor [n, dim], with rows first .. first + n - 1.
        With a comm, a rank is asked for rows of its share."""
        def fill(_, first, n, out):
            read(first, _lent(mcl_array.from_address(out).data, dtype, n, dim))
        struct = made(mcl_rows, rows=rows, dim=dim, dtype=_TYPES[dtype])
        struct.read = _callback("mcl_rows.read", fill)
        return cls(struct)

    @classmethod
    def npy(cls, context, path):
        file = _Handle("mcl_npy", "mcl_npy_open", context, os.fsencode(path))
        struct = made(mcl_rows)
        lib.mcl_npy_rows(file, C.byref(struct))
        return cls(struct, file)

    def read(self, first, n):
        out = torch.empty(n, self.dim)
        _call("mcl_rows_read", self, first, n, C.byref(array(out)))
        return out


class KMeans(_Handle):
    """options: members of mcl_kmeans_options. With a comm, fit and assign are COLLECTIVE."""

    def __init__(self, context, comm=None, **options):
        self._comm, self._dim = comm, 0
        super().__init__("mcl_clusterer", "mcl_clusterer_create_kmeans", context,
                         C.byref(made(mcl_kmeans_options, **options)), comm)

    def fit(self, rows, progress=None):
        rows = Rows.of(rows)
        _call("mcl_clusterer_fit", self, rows, _monitor(progress))
        self._dim = rows.dim

    def set_centroids(self, centroids):
        _call("mcl_clusterer_set_centroids", self, C.byref(array(centroids)))
        self._dim = centroids.shape[1]

    def assign(self, rows, distances=None, progress=None):
        """int32 labels of all rows. distances: a float64 vector for their squared distances."""
        rows = Rows.of(rows)
        labels = torch.empty(len(rows), dtype=torch.int32)
        if distances is not None:
            distances = _numbers(distances, torch.float64, len(rows), "distances")
        _call("mcl_clusterer_assign", self, rows, _monitor(progress), labels.data_ptr(), distances)
        return labels

    def centroids(self):
        out = torch.empty(self.report().k_effective, self._dim)
        _call("mcl_clusterer_centroids", self, C.byref(array(out)))
        return out

    def sizes(self):
        out = torch.empty(self.report().k_effective, dtype=torch.int64)
        _call("mcl_clusterer_sizes", self, out.data_ptr(), len(out))
        return out

    def report(self):
        out = made(mcl_clusterer_report)
        _call("mcl_clusterer_get_report", self, C.byref(out))
        return out


class Sampler(_Handle):
    """options: members of mcl_sampler_options. batch() may be called by any thread and, after a
    fork, by any process, in any order."""

    def __init__(self, context, rows, rank=0, world=1, **options):
        self.rows = rows
        super().__init__("mcl_sampler", "mcl_sampler_create", context,
                         C.byref(made(mcl_sampler_options, **options)), rows, rank, world)
        self._capacity = lib.mcl_sampler_batch_capacity(self)

    def add_labels(self, stage, labels):
        """labels: int32, one a row."""
        n = len(labels)
        _call("mcl_sampler_add_labels", self, stage, _numbers(labels, torch.int32, n, "labels"), n)

    @property
    def steps(self):
        return lib.mcl_sampler_steps(self)

    def batch(self, epoch, step):
        """Rows of this rank's part of a step and the cell of each, int64; possibly none."""
        both = torch.empty(2, self._capacity, dtype=torch.int64)
        b = made(mcl_batch, indices=both[0].data_ptr(), cells=both[1].data_ptr(),
                  capacity=self._capacity)
        _call("mcl_sampler_batch", self, epoch, step, C.byref(b))
        return both[0, :b.n], both[1, :b.n]

    def cells(self):
        """The training cell of every row, -1 where it does not train."""
        out = torch.empty(self.rows, dtype=torch.int64)
        _call("mcl_sampler_cells", self, out.data_ptr(), self.rows)
        return out

    def report(self):
        out = made(mcl_sampler_report)
        _call("mcl_sampler_get_report", self, C.byref(out))
        return out


class Integrator(_Handle):
    """Stages whose embeddings the host makes."""

    def __init__(self, context):
        super().__init__("mcl_integrator", "mcl_integrator_create", context, None)

    def add_stage(self, dim, weight=1.0):
        _call("mcl_integrator_add_stage", self, None, dim, weight)

    def concat(self, stages):
        """Representations, float32 [rows, sum of dims], of a matrix of embeddings a stage."""
        views = [array(z) for z in stages]
        rows = views[0].shape[0] if views else 0
        out = torch.empty(rows, lib.mcl_integrator_dim(self))
        _call("mcl_integrator_concat", self, (mcl_array * len(views))(*views), len(views),
              C.byref(array(out)))
        return out


# ---- probes ------------------------------------------------------------------------------------

def _probe(name, context, z, y, test_z, test_y, progress, options):
    """z, test_z: matrices; y, test_y: int32 labels of their rows. Gives an mcl_probe_result."""
    out = made(mcl_probe_result)
    _call(name, context, C.byref(made(mcl_probe_options, **options)), C.byref(array(z)),
          _numbers(y, torch.int32, len(z), "y"), C.byref(array(test_z)),
          _numbers(test_y, torch.int32, len(test_z), "test_y"), _monitor(progress), C.byref(out))
    return out


def probe_linear(context, z, y, test_z, test_y, progress=None, **options):
    return _probe("mcl_probe_linear", context, z, y, test_z, test_y, progress, options)


def probe_knn(context, z, y, test_z, test_y, progress=None, **options):
    return _probe("mcl_probe_knn", context, z, y, test_z, test_y, progress, options)
