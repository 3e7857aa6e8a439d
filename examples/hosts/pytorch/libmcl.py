"""libmcl in Python: by ctypes alone, beside PyTorch, without a compiled part.

What a binding has to mind, each in one place:

  layouts      and prototypes are the headers': libmcl_h.py.
  memory       Tensors, ndarrays and whatever has __dlpack__ are borrowed by pointer, never copied,
               and kept alive for the call (array). What libmcl lends to a callback is a tensor on
               its memory until the callback returns: who wants to keep it clones it (_lent).
  ownership    A handle gives its one reference back when it is collected, in any order, and keeps
               what it was made of, whose callbacks it may call (_Handle).
  errors       An mcl_error is raised as Error, with status, message and row (_call).
  exceptions   must not pass through C. What a callback raises is kept, C is told MCL_E_CALLBACK,
               and the same exception is raised again where libmcl was called (_callback, _call).
               So is what a signal handler raises, KeyboardInterrupt first of all (_unraisable).
"""
import ctypes as C
import os
import sys
import threading
import weakref

import torch

from libmcl_h import *

# ---- errors and exceptions ---------------------------------------------------------------------

class Error(Exception):
    """What libmcl's mcl_error says. `row` is the first offending row, or -1."""

    def __init__(self, status, message, row=-1, host_code=0):
        super().__init__(status, message, row, host_code)  # all of it: it may come from a worker
        self.status, self.message, self.row, self.host_code = status, message, row, host_code
        self.name = lib.mcl_status_name(status).decode()

    def __str__(self):
        return f"{self.name}: {self.message}"


_thread = threading.local()  # of this thread: .calls within one another; .raised in the innermost


def _call(name, *arguments):
    """libmcl's `name`, with an mcl_error behind the arguments. What failed is raised: a callback's
    own exception, or else Error. Of a lost communicator it is Error, and the exception its cause,
    because ranks whose engine never noticed get the same. An exception of what cannot fail the call,
    as a log, comes out when the call has done its work."""
    err = mcl_error()
    outer, calls = getattr(_thread, "raised", None), getattr(_thread, "calls", 0)
    _thread.raised, _thread.calls = None, calls + 1
    try:
        status = getattr(lib, name)(*arguments, C.byref(err))
        raised = _thread.raised
    finally:
        _thread.raised, _thread.calls = outer, calls
    if status >= 0 and raised is None:
        return
    try:
        if raised is None or (status == MCL_E_COMM and isinstance(raised, Exception)):
            raise Error(err.status, err.message.decode(), err.row, err.host_code) from raised
        raise raised
    finally:
        del raised  # its traceback holds this frame: a ring would hold the frames' tensors


def _keep(raised):
    """For the call that is under way on this thread: the first exception comes out. False where
    there is none, as on a thread of libmcl's own."""
    if not getattr(_thread, "calls", 0):
        return False
    if _thread.raised is None:
        _thread.raised = raised
    return True


_before = sys.unraisablehook


def _unraisable(about):
    """What a signal handler raises on the way into a callback, before any `try`, ctypes can only
    report. Of callbacks of this module it is kept as everything else."""
    if not (getattr(about.object, "of_libmcl", False) and _keep(about.exc_value)):
        _before(about)


sys.unraisablehook = _unraisable


def _for_c(name, function):
    function.of_libmcl = True
    return callback_type(name)(function)


def _callback(name, function):
    """`function` for C to call, its mcl_error being the last argument. Nobody has said mcl_ok()
    where an exception comes before the first line: that is a failure too."""
    def guarded(*arguments):
        try:
            function(*arguments[:-1])
        except BaseException as raised:
            _keep(raised)
            text = f"{type(raised).__name__}: {raised}".encode(errors="replace")
            return lib.mcl_error_set(arguments[-1], MCL_E_CALLBACK, 0, text)
        return lib.mcl_ok(arguments[-1])
    return _for_c(name, guarded)


def _monitor(progress):
    """progress(phase, done, total) cancels the call if it returns what is true, or raises. Without
    one Python still gets its turn, for signals: Ctrl-C ends a long call."""
    def watch(_, at):
        try:
            if _thread.raised is None and progress is not None:
                p = mcl_progress.from_address(at)
                return 1 if progress(p.phase.decode(), p.done, p.total) else 0
        except BaseException as raised:
            _keep(raised)
        return 1 if _thread.raised is not None else 0
    return C.byref(made(mcl_monitor, progress=_for_c("mcl_monitor.progress", watch)))


# ---- arrays ------------------------------------------------------------------------------------

_TYPES = {torch.float32: MCL_F32, torch.float64: MCL_F64, torch.float16: MCL_F16,
          torch.bfloat16: MCL_BF16, torch.uint8: MCL_U8, torch.int32: MCL_I32, torch.int64: MCL_I64,
          "<f4": MCL_F32, "<f8": MCL_F64, "<f2": MCL_F16, "|u1": MCL_U8, "<i4": MCL_I32,
          "<i8": MCL_I64}
_TORCH = {number: kind for kind, number in _TYPES.items() if isinstance(kind, torch.dtype)}


class _DLTensor(C.Structure):
    """Where a DLPack capsule's pointer leads to; behind it is the owner's business."""
    _fields_ = [("data", P), ("device_type", I32), ("device_id", I32), ("ndim", I32),
                ("code", C.c_uint8), ("bits", C.c_uint8), ("lanes", C.c_uint16),
                ("shape", C.POINTER(I64)), ("strides", C.POINTER(I64)), ("byte_offset", U64)]


_DLPACK = {(2, 32): MCL_F32, (2, 64): MCL_F64, (2, 16): MCL_F16, (4, 16): MCL_BF16, (1, 8): MCL_U8,
           (0, 32): MCL_I32, (0, 64): MCL_I64}  # (code, bits) of one lane
_pointer_of = C.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = P, [C.py_object, C.c_char_p]


def _of_tensor(x):
    if x.layout != torch.strided:
        raise ValueError(f"a tensor of layout {x.layout}: libmcl reads strided ones, .to_dense()")
    if x.device.type != "cpu":
        raise ValueError(f"a tensor on {x.device}: libmcl reads the host's memory, .cpu()")
    x = x.detach().resolve_neg()
    return x, x.data_ptr(), x.dtype, _TYPES.get(x.dtype), x.shape, x.stride(), 0


def _of_interface(x):
    about = x.__array_interface__
    kind, (pointer, readonly), strides = about["typestr"], about["data"], about.get("strides")
    if strides is not None:
        strides = [s / int(kind[2:]) for s in strides]
    return (x, pointer, kind, _TYPES.get(kind), about["shape"], strides,
            MCL_ARRAY_READONLY if readonly else 0)


def _of_dlpack(x):
    """The capsule is kept, not consumed: its own destructor gives the memory back, once, when the
    array goes."""
    device = x.__dlpack_device__()
    if device[0] != 1:
        raise ValueError(f"memory of DLPack's device {tuple(map(int, device))}: libmcl reads the "
                         "host's, (1, 0)")
    capsule = x.__dlpack__()
    t = _DLTensor.from_address(_pointer_of(capsule, b"dltensor"))
    kind = (t.code, t.bits) if t.lanes == 1 else None
    return (capsule, (t.data or 0) + t.byte_offset, f"DLPack's type {t.code, t.bits, t.lanes}",
            _DLPACK.get(kind), t.shape[:t.ndim], t.strides[:t.ndim] if t.strides else None, 0)


def array(x):
    """An mcl_array that borrows the memory of a CPU tensor, an ndarray, or anything that has
    __array_interface__ or __dlpack__, and keeps it alive. Strides are taken as they are."""
    if isinstance(x, torch.Tensor):
        about = _of_tensor(x)
    elif hasattr(x, "__array_interface__"):
        about = _of_interface(x)
    elif hasattr(x, "__dlpack__"):
        about = _of_dlpack(x)
    else:
        raise TypeError(f"{type(x).__name__}: no tensor, ndarray or object with __dlpack__")
    keep, pointer, kind, dtype, shape, strides, flags = about
    if dtype is None:
        raise TypeError(f"libmcl has no arrays of {kind}")
    if not 1 <= len(shape) <= 4:
        raise ValueError(f"an array of {len(shape)} dimensions, not 1 to 4")
    a = mcl_array()
    lib.mcl_array_init(C.byref(a), pointer, dtype, len(shape), (I64 * 4)(*shape))
    for i, stride in enumerate(strides or []):
        if stride != int(stride):
            raise ValueError("an ndarray whose strides are no whole numbers of elements")
        a.strides[i] = int(stride)
    a.flags, a.keep = flags, (x, keep)
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
    """One reference. `name`(*arguments, &handle, &err) made it, `kind`_unref gives it back. It keeps
    the arguments, as their callbacks may be called for as long as it is there."""

    def __init__(self, kind, name, *arguments):
        handle = P()
        try:
            _call(name, *arguments, C.byref(handle))
        finally:
            if handle:  # what a log raises comes after the call
                self._as_parameter_, self._keeps = handle, arguments
                weakref.finalize(self, getattr(lib, kind + "_unref"), handle)

    def __reduce__(self):
        raise TypeError(f"a {type(self).__name__} of libmcl is this process's, and its children's by "
                        "fork: it cannot be pickled")


class Context(_Handle):
    """log(level, component, message) hears of what is at most log_level, MCL_LOG_WARN by default. It
    may be called by any thread. What it raises comes out of the call that it was called in, once
    that has done its work; on a thread of libmcl's own Python can only report it."""

    def __init__(self, threads=0, log=None, log_level=MCL_LOG_WARN):
        options = made(mcl_context_options, threads=threads, log_level=log_level)

        def say(_, level, component, message):
            try:
                log(level, component.decode(), message.decode(errors="replace"))
            except BaseException as raised:
                if not _keep(raised):
                    raise
        if log is not None:
            options.log = _for_c("mcl_context_options.log", say)
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
        self.rank, self.size, self._table = rank, size, table
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
        self._dim = 0
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
    fork, by any process, in any order: a batch is a function of epoch and step."""

    def __init__(self, context, rows, rank=0, world=1, **options):
        self._begin(rows, "mcl_sampler_create", context,
                    C.byref(made(mcl_sampler_options, **options)), rows, rank, world)

    def _begin(self, rows, name, *arguments):
        super().__init__("mcl_sampler", name, *arguments)
        self.rows, self._capacity = rows, lib.mcl_sampler_batch_capacity(self)

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


class Batches:
    """A batch_sampler of torch.utils.data.DataLoader: the steps of an epoch, each a list of rows.
    They are the same for any number of workers, which only load them."""

    def __init__(self, sampler, epoch=0):
        self.sampler, self.epoch = sampler, epoch

    def __len__(self):
        return self.sampler.steps

    def __iter__(self):
        for step in range(len(self)):
            yield self.sampler.batch(self.epoch, step)[0].tolist()


class Integrator(_Handle):
    """Stages whose embeddings the host makes."""

    def __init__(self, context):
        super().__init__("mcl_integrator", "mcl_integrator_create", context, None)

    def add_stage(self, dim, weight=1.0):
        _call("mcl_integrator_add_stage", self, None, dim, weight)

    def set_growth(self, base):
        """Stage s weighs base ** s: what later stages have learnt, too, decides a cosine."""
        _call("mcl_integrator_set_growth", self, base)

    def concat(self, stages):
        """Representations, float32 [rows, sum of dims], of a matrix of embeddings a stage."""
        views = [array(z) for z in stages]
        rows = views[0].shape[0] if views else 0
        out = torch.empty(rows, lib.mcl_integrator_dim(self))
        _call("mcl_integrator_concat", self, (mcl_array * len(views))(*views), len(views),
              C.byref(array(out)))
        return out


# ---- the loop ------------------------------------------------------------------------------------

def _optional(kind, given):
    return None if given is None else C.pointer(made(kind, **given))


class Multistage(_Handle):
    """The stages of a run whose training is the host's: the loop says what comes next.

        for event in loop:
            if event.kind == MCL_BEGIN_STAGE:    a network for event.stage
            if event.kind == MCL_TRAIN_BATCH:    a step on event.rows, whose cells are event.cells
            if event.kind == MCL_EMBED_ROWS:     loop.put_embeddings(event, embeddings of event.rows)
            if event.kind == MCL_END_STAGE:      loop.report(event.stage), loop.labels(event.stage)

    An event is an mcl_event, with the batch's rows, cells, step and steps. To ask for the next one is
    to say that this one was carried out. options: members of mcl_multistage_options; kmeans, sampler:
    dicts of members of theirs."""

    def __init__(self, context, rows, comm=None, kmeans=None, sampler=None, **options):
        for name in ("embedding_directory", "save_directory"):
            if options.get(name) is not None:
                options[name] = os.fsencode(options[name])
        made_of = made(mcl_multistage_options, kmeans=_optional(mcl_kmeans_options, kmeans),
                       sampler=_optional(mcl_sampler_options, sampler), **options)
        super().__init__("mcl_multistage", "mcl_multistage_create", context, C.byref(made_of), rows,
                         comm)
        self.rows = rows
        self._buffers = torch.empty(2, lib.mcl_multistage_batch_capacity(self), dtype=torch.int64)

    def next(self, progress=None):
        """The next event. Where a stage is clustered this takes long: progress, as KMeans.fit()."""
        rows, cells = self._buffers
        event = made(mcl_event)
        batch = made(mcl_batch, indices=rows.data_ptr(), cells=cells.data_ptr(),
                     capacity=len(rows))
        _call("mcl_multistage_next", self, _monitor(progress), C.byref(event), C.byref(batch))
        n = batch.n if event.kind in (MCL_TRAIN_BATCH, MCL_EMBED_ROWS) else 0
        event.rows, event.cells = rows[:n].clone(), cells[:n].clone()
        event.step, event.steps = batch.step, batch.steps
        return event

    def __iter__(self):
        while (event := self.next()).kind != MCL_DONE:
            yield event

    def put_embeddings(self, event, z):
        rows = event.rows
        if len(z) != len(rows):
            raise ValueError(f"{len(z)} embeddings of {len(rows)} rows")
        _call("mcl_multistage_put_embeddings", self, event.modality, rows.data_ptr(), len(rows),
              C.byref(array(z)))

    def put_labels(self, labels, modality=0):
        """In place of embeddings: int32 labels of all rows, -1 for one that is to train no more."""
        n = len(labels)
        _call("mcl_multistage_put_labels", self, modality,
              _numbers(labels, torch.int32, n, "labels"), n)

    def seek(self, stage, epoch, step):
        _call("mcl_multistage_seek", self, stage, epoch, step)

    def save(self, directory):
        _call("mcl_multistage_save", self, os.fsencode(directory))

    def resume(self, directory):
        _call("mcl_multistage_resume", self, os.fsencode(directory))

    def report(self, stage, modality=0):
        out = made(mcl_stage_report)
        _call("mcl_multistage_get_report", self, stage, modality, C.byref(out))
        return out

    def labels(self, stage, modality=0):
        out = torch.empty(self.rows, dtype=torch.int32)
        _call("mcl_multistage_labels", self, stage, modality, out.data_ptr(), len(out))
        return out

    def sampler(self):
        """The sampler of the stage that is trained now, for workers that load batches ahead."""
        sampler = Sampler.__new__(Sampler)
        sampler._begin(self.rows, "mcl_multistage_sampler", self)
        return sampler


def seed(run, stage):
    """A seed for the weights of a stage's network, a function of the run's and the stage."""
    return lib.mcl_multistage_seed(run, stage)


def advice(number):
    return lib.mcl_advice_text(number).decode()


# ---- losses --------------------------------------------------------------------------------------

class _Once(torch.autograd.Function):
    """A gradient in a graph of its own (create_graph=True): it is no constant, so who differentiates
    it is told, where torch's once_differentiable would leave it out without a word."""

    @staticmethod
    def forward(ctx, gradient, *_of):
        return gradient.clone()

    @staticmethod
    def backward(ctx, _):
        raise RuntimeError("libmcl's losses have first derivatives only: their gradient cannot be "
                           "differentiated")


class _Loss(torch.autograd.Function):
    """libmcl gives value and gradients in one call, so backward() only scales. Gradients are float32,
    or float64 for such rows, until they are scaled: those of float16 would vanish before."""

    @staticmethod
    def forward(ctx, za, zb, temperature, name, context, result, flags, inputs):
        wanted = [torch.empty(z.shape, dtype=torch.promote_types(z.dtype, torch.float32))
                  if needed else None for z, needed in zip((za, zb), ctx.needs_input_grad)]
        views = [C.pointer(array(z)) if z is not None else None for z in (za, zb, *wanted)]
        struct = made(mcl_loss_inputs, **dict(zip(("za", "zb", "dza", "dzb"), views)), **inputs)
        options = made(mcl_loss_options, temperature=float(temperature), flags=flags)
        _call(name, context, C.byref(options), C.byref(struct), C.byref(result))
        tau = temperature if isinstance(temperature, torch.Tensor) else None
        wanted.append(torch.full_like(tau, result.d_log_temperature / float(tau))
                      if ctx.needs_input_grad[2] else None)
        ctx.save_for_backward(za, zb, tau, *wanted)
        return za.new_tensor(result.loss, dtype=torch.promote_types(za.dtype, torch.float32))

    @staticmethod
    def backward(ctx, g):
        of, ready = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
        scaled = [(g * d).to(x.dtype) if d is not None else None for x, d in zip(of, ready)]
        if torch.is_grad_enabled():
            scaled = [d if d is None else _Once.apply(d, *of) for d in scaled]
        return (*scaled, *[None] * 5)


def _loss(name, context, za, zb, temperature, cells, result, flags, inputs):
    for key, ids in ("cells", cells), *inputs.items():
        if isinstance(ids, torch.Tensor):
            inputs = inputs | {key: _numbers(ids, torch.int64, len(zb), key)}
    result = made(mcl_loss_result) if result is None else result
    return _Loss.apply(za, zb, temperature, name, context, result, flags, inputs)


def nt_xent(context, za, zb, temperature=.5, cells=None, result=None, flags=0, **inputs):
    """NT-Xent of two views' projections, [n, dim], as a scalar tensor; backward() fills the gradients
    of both and of `temperature`, where that is a tensor that wants one. It is differentiable once.

    cells: int64 [n], a row's negatives are those of its cell. inputs: other members of
    mcl_loss_inputs, as duplicates=int64 [n]. result: an mcl_loss_result, gets accuracy and counts."""
    return _loss("mcl_loss_nt_xent", context, za, zb, temperature, cells, result, flags, inputs)


def info_nce(context, za, zb, temperature=.5, cells=None, result=None, flags=0, **inputs):
    """Cross-view InfoNCE, CLIP's loss; arguments as for nt_xent()."""
    return _loss("mcl_loss_info_nce", context, za, zb, temperature, cells, result, flags, inputs)


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
