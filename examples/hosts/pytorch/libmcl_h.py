"""The part of libmcl's headers that this host uses, by hand, under the headers' own names.

tests/pytorch holds it to the headers by the C compiler: every struct's size, every member's place
and type, every constant, and every prototype and callback, whose C text is what is parsed here.
mcl_array and mcl_error are frozen; every other struct says its own size, so that a later library
understands this module.

The library is `libmcl.so.0`, or what the environment variable LIBMCL names.
"""
import ctypes as C
import os
import re

I32, I64, U32, U64, F64, SIZE, P = (
    C.c_int32, C.c_int64, C.c_uint32, C.c_uint64, C.c_double, C.c_size_t, C.c_void_p)

MCL_F32, MCL_F64, MCL_F16, MCL_BF16, MCL_U8, MCL_I32, MCL_I64 = range(1, 8)
MCL_ARRAY_READONLY = 1
MCL_LLOYD, MCL_MINIBATCH = 1, 2
MCL_INIT_KMEANSPP, MCL_INIT_RANDOM, MCL_INIT_GIVEN = 1, 2, 3
MCL_COSINE, MCL_L2 = 1, 2
MCL_EMPTY_FARTHEST, MCL_EMPTY_SPLIT_LARGEST, MCL_EMPTY_SHRINK_K = 1, 2, 3
MCL_SMALL_BACK_OFF, MCL_SMALL_KEEP, MCL_SMALL_DROP = 1, 2, 3
MCL_BATCH_ONE_CELL, MCL_BATCH_PACKED = 1, 2
MCL_ORDER_PROPORTIONAL, MCL_ORDER_ROUND_ROBIN, MCL_ORDER_UNIFORM = 1, 2, 3
MCL_REDUCE_SUM, MCL_ROWS_AS_GIVEN, MCL_ONE_WAY, MCL_LEAST_MEMORY, MCL_SOME_ANCHORS = 1, 2, 4, 8, 16
(MCL_BEGIN_STAGE, MCL_RESUME_STAGE, MCL_TRAIN_BATCH, MCL_EMBED_ROWS, MCL_END_STAGE,
 MCL_DONE) = range(1, 7)
(MCL_ADVICE_GO_ON, MCL_ADVICE_RAISE_K, MCL_ADVICE_NOTHING_NEW,
 MCL_ADVICE_CELLS_TOO_SMALL) = range(1, 5)
MCL_LOG_OFF, MCL_LOG_ERROR, MCL_LOG_WARN, MCL_LOG_INFO, MCL_LOG_DEBUG = range(5)
MCL_E_INVALID, MCL_E_NOMEM, MCL_E_UNSUPPORTED, MCL_E_SHAPE, MCL_E_DTYPE = -1, -2, -3, -4, -5
MCL_E_STATE, MCL_E_IO, MCL_E_FORMAT, MCL_E_LIMIT, MCL_E_NOT_FINITE = -6, -7, -8, -9, -10
MCL_E_CANCELLED, MCL_E_CALLBACK, MCL_E_COMM, MCL_E_BUSY, MCL_E_NOT_FOUND = -11, -12, -13, -14, -15
MCL_E_MISMATCH, MCL_E_INTERNAL = -16, -99

PROTOTYPES = """
const char *mcl_version_string(void);
const char *mcl_status_name(mcl_status status);
mcl_status mcl_error_set(mcl_error *err, mcl_status status, int32_t code, const char *message);
mcl_status mcl_ok(mcl_error *err);
void mcl_struct_init(void *s, size_t struct_size);
void mcl_array_init(mcl_array *a, void *data, int32_t dtype, int32_t ndim, const int64_t *shape);

void mcl_context_options_init(mcl_context_options *options, size_t struct_size);
mcl_status mcl_context_create(const mcl_context_options *options, mcl_context **out,
                              mcl_error *err);
void mcl_context_unref(mcl_context *context);

mcl_status mcl_comm_create_host(mcl_context *context, const mcl_host_comm *host, mcl_comm **out,
                                mcl_error *err);
void mcl_comm_unref(mcl_comm *comm);
void mcl_comm_share(const mcl_comm *comm, int64_t rows, int64_t *first, int64_t *n);

mcl_status mcl_rows_read(const mcl_rows *rows, int64_t first, int64_t n, const mcl_array *out,
                         mcl_error *err);
mcl_status mcl_npy_open(mcl_context *context, const char *path, mcl_npy **out, mcl_error *err);
void mcl_npy_rows(const mcl_npy *file, mcl_rows *out);
void mcl_npy_unref(mcl_npy *file);

void mcl_kmeans_options_init(mcl_kmeans_options *options, size_t struct_size);
mcl_status mcl_clusterer_create_kmeans(mcl_context *context, const mcl_kmeans_options *options,
                                       mcl_comm *comm, mcl_clusterer **out, mcl_error *err);
mcl_status mcl_clusterer_set_centroids(mcl_clusterer *clusterer, const mcl_array *centroids,
                                       mcl_error *err);
mcl_status mcl_clusterer_fit(mcl_clusterer *clusterer, const mcl_rows *rows,
                             const mcl_monitor *monitor, mcl_error *err);
mcl_status mcl_clusterer_assign(const mcl_clusterer *clusterer, const mcl_rows *rows,
                                const mcl_monitor *monitor, int32_t *labels, double *distances,
                                mcl_error *err);
mcl_status mcl_clusterer_centroids(const mcl_clusterer *clusterer, const mcl_array *out,
                                   mcl_error *err);
mcl_status mcl_clusterer_sizes(const mcl_clusterer *clusterer, int64_t *out, int32_t n,
                               mcl_error *err);
mcl_status mcl_clusterer_get_report(const mcl_clusterer *clusterer, mcl_clusterer_report *out,
                                    mcl_error *err);
void mcl_clusterer_unref(mcl_clusterer *clusterer);

void mcl_sampler_options_init(mcl_sampler_options *options, size_t struct_size);
mcl_status mcl_sampler_create(mcl_context *context, const mcl_sampler_options *options,
                              int64_t rows, int32_t rank, int32_t world, mcl_sampler **out,
                              mcl_error *err);
mcl_status mcl_sampler_add_labels(mcl_sampler *sampler, int32_t stage, const int32_t *labels,
                                  int64_t n, mcl_error *err);
int64_t mcl_sampler_steps(const mcl_sampler *sampler);
int64_t mcl_sampler_batch_capacity(const mcl_sampler *sampler);
mcl_status mcl_sampler_batch(const mcl_sampler *sampler, int32_t epoch, int64_t step,
                             mcl_batch *out, mcl_error *err);
mcl_status mcl_sampler_cells(const mcl_sampler *sampler, int64_t *cell_of_row, int64_t n,
                             mcl_error *err);
mcl_status mcl_sampler_get_report(const mcl_sampler *sampler, mcl_sampler_report *out,
                                  mcl_error *err);
void mcl_sampler_unref(mcl_sampler *sampler);

mcl_status mcl_integrator_create(mcl_context *context, const mcl_integrator_options *options,
                                 mcl_integrator **out, mcl_error *err);
mcl_status mcl_integrator_add_stage(mcl_integrator *integrator, mcl_encoder *encoder, int32_t dim,
                                    double weight, mcl_error *err);
int32_t mcl_integrator_stages(const mcl_integrator *integrator);
int32_t mcl_integrator_dim(const mcl_integrator *integrator);
mcl_status mcl_integrator_concat(const mcl_integrator *integrator, const mcl_array *stages,
                                 int32_t n, const mcl_array *out, mcl_error *err);
mcl_status mcl_integrator_set_growth(mcl_integrator *integrator, double base, mcl_error *err);
void mcl_integrator_unref(mcl_integrator *integrator);

void mcl_loss_options_init(mcl_loss_options *options, size_t struct_size);
mcl_status mcl_loss_nt_xent(mcl_context *context, const mcl_loss_options *options,
                            const mcl_loss_inputs *in, mcl_loss_result *out, mcl_error *err);
mcl_status mcl_loss_info_nce(mcl_context *context, const mcl_loss_options *options,
                             const mcl_loss_inputs *in, mcl_loss_result *out, mcl_error *err);

void mcl_multistage_options_init(mcl_multistage_options *options, size_t struct_size);
mcl_status mcl_multistage_create(mcl_context *context, const mcl_multistage_options *options,
                                 int64_t rows, mcl_comm *comm, mcl_multistage **out,
                                 mcl_error *err);
void mcl_multistage_unref(mcl_multistage *loop);
uint64_t mcl_multistage_seed(uint64_t seed, int32_t stage);
int64_t mcl_multistage_batch_capacity(const mcl_multistage *loop);
mcl_status mcl_multistage_next(mcl_multistage *loop, const mcl_monitor *monitor, mcl_event *event,
                               mcl_batch *batch, mcl_error *err);
mcl_status mcl_multistage_put_embeddings(mcl_multistage *loop, int32_t modality,
                                         const int64_t *indices, int64_t n, const mcl_array *z,
                                         mcl_error *err);
mcl_status mcl_multistage_put_labels(mcl_multistage *loop, int32_t modality, const int32_t *labels,
                                     int64_t n, mcl_error *err);
mcl_status mcl_multistage_seek(mcl_multistage *loop, int32_t stage, int32_t epoch, int64_t step,
                               mcl_error *err);
mcl_status mcl_multistage_save(const mcl_multistage *loop, const char *directory, mcl_error *err);
mcl_status mcl_multistage_resume(mcl_multistage *loop, const char *directory, mcl_error *err);
mcl_status mcl_multistage_get_report(const mcl_multistage *loop, int32_t stage, int32_t modality,
                                     mcl_stage_report *out, mcl_error *err);
mcl_status mcl_multistage_labels(const mcl_multistage *loop, int32_t stage, int32_t modality,
                                 int32_t *out, int64_t n, mcl_error *err);
mcl_status mcl_multistage_sampler(const mcl_multistage *loop, mcl_sampler **out, mcl_error *err);
const char *mcl_advice_text(int32_t advice);

void mcl_probe_options_init(mcl_probe_options *options, size_t struct_size);
mcl_status mcl_probe_linear(mcl_context *context, const mcl_probe_options *options,
                            const mcl_array *z, const int32_t *y, const mcl_array *test_z,
                            const int32_t *test_y, const mcl_monitor *monitor,
                            mcl_probe_result *out, mcl_error *err);
mcl_status mcl_probe_knn(mcl_context *context, const mcl_probe_options *options,
                         const mcl_array *z, const int32_t *y, const mcl_array *test_z,
                         const int32_t *test_y, const mcl_monitor *monitor, mcl_probe_result *out,
                         mcl_error *err);
"""

CALLBACKS = {
    "mcl_context_options.log": "void (void *user, int32_t level, const char *component, "
                               "const char *message)",
    "mcl_monitor.progress": "int32_t (void *user, const mcl_progress *progress)",
    "mcl_rows.read": "mcl_status (void *user, int64_t first, int64_t n, const mcl_array *out, "
                     "mcl_error *err)",
    "mcl_host_comm.allgather": "mcl_status (void *user, const void *send, void *recv, "
                               "uint64_t bytes_per_rank, mcl_error *err)",
    "mcl_host_comm.sum": "mcl_status (void *user, float *data, uint64_t n, mcl_error *err)",
}

_WORDS = {"void": None, "int32_t": I32, "mcl_status": I32, "int64_t": I64, "uint32_t": U32,
          "uint64_t": U64, "size_t": SIZE, "double": F64}


def _ctype(words):
    if words.startswith("const char *"):
        return C.c_char_p
    return P if "*" in words else _WORDS[words.split()[0]]


def _arguments(text):
    return [] if text == "void" else [_ctype(a.strip()) for a in text.split(",")]


def _load():
    lib = C.CDLL(os.environ.get("LIBMCL", "libmcl.so.0"))
    for result, name, arguments in re.findall(r"(\w[\w *]*?)(mcl_\w+)\(([^)]*)\);", PROTOTYPES):
        getattr(lib, name).restype = _ctype(result)
        getattr(lib, name).argtypes = _arguments(arguments)
    return lib


def callback_type(name):
    result, arguments = CALLBACKS[name].rstrip(")").split("(")
    return C.CFUNCTYPE(_ctype(result), *_arguments(arguments))


class Struct(C.Structure):
    def __repr__(self):
        shown = (f"{n}={getattr(self, n)!r}" for n, _ in self._fields_ if n != "struct_size")
        return f"{type(self).__name__}({', '.join(shown)})"


def _members(*groups):
    return [(name, kind) for kind, names in groups for name in names.split()]


class mcl_array(Struct):
    _fields_ = _members((P, "data"), (I32, "dtype ndim"), (U32, "flags"), (I32, "device"),
                        (I64 * 4, "shape strides"))


class mcl_error(Struct):
    _fields_ = _members((I32, "status host_code"), (I64, "row"), (I64 * 2, "reserved"),
                        (C.c_char * 224, "message"))


class mcl_context_options(Struct):
    _fields_ = _members((SIZE, "struct_size"), (P, "allocator runner"),
                        (callback_type("mcl_context_options.log"), "log"), (P, "log_user"),
                        (I32, "log_level"), (U32, "threads"))


class mcl_progress(Struct):
    _fields_ = _members((SIZE, "struct_size"), (C.c_char_p, "phase"), (I64, "done total"),
                        (I32, "stage epoch"), (F64, "loss seconds"))


class mcl_monitor(Struct):
    _fields_ = _members((SIZE, "struct_size"), (P, "user"),
                        (callback_type("mcl_monitor.progress"), "progress"))


class mcl_host_comm(Struct):
    _fields_ = _members((SIZE, "struct_size"), (P, "user"), (I32, "rank size"),
                        (callback_type("mcl_host_comm.allgather"), "allgather"), (P, "destroy"),
                        (callback_type("mcl_host_comm.sum"), "sum"))


class mcl_rows(Struct):
    _fields_ = _members((SIZE, "struct_size"), (C.POINTER(mcl_array), "array"), (I64, "rows"),
                        (I32, "dim dtype"), (P, "user"), (callback_type("mcl_rows.read"), "read"),
                        (I32, "flags reserved"))


class mcl_kmeans_options(Struct):
    _fields_ = _members((SIZE, "struct_size"), (U64, "seed"),
                        (I32, "k method metric init empty restarts max_iterations minibatch_rows"),
                        (F64, "tolerance"), (I64, "max_train_rows max_bytes"))


class mcl_clusterer_report(Struct):
    _fields_ = _members((SIZE, "struct_size"), (I64, "rows distinct repairs zero_rows"),
                        (I32, "k k_effective iterations converged"),
                        (F64, "inertia mean_cosine imbalance"))


class mcl_sampler_options(Struct):
    _fields_ = _members((SIZE, "struct_size"), (U64, "seed"), (I64, "batch_rows min_cell_rows"),
                        (I32, "small_cells batching order"), (U32, "flags"))


class mcl_batch(Struct):
    _fields_ = _members((SIZE, "struct_size"), (P, "indices cells"), (I64, "capacity n step steps"),
                        (I32, "stage epoch"))


class mcl_sampler_report(Struct):
    _fields_ = _members((SIZE, "struct_size"),
                        (I64, "rows used dropped repeated backed_off alone excluded steps cells "
                              "smallest_cell median_cell largest_cell"))


class mcl_loss_options(Struct):
    _fields_ = _members((SIZE, "struct_size"), (F64, "temperature"), (U32, "flags"),
                        (I32, "reserved"))


class mcl_loss_inputs(Struct):
    _fields_ = _members((SIZE, "struct_size"), (C.POINTER(mcl_array), "za zb"),
                        (P, "cells duplicates"), (I64, "first_positive"),
                        (C.POINTER(mcl_array), "dza dzb"), (P, "other_duplicates"),
                        (I64, "first_anchor anchors"))


class mcl_loss_result(Struct):
    _fields_ = _members((SIZE, "struct_size"), (F64, "loss d_log_temperature accuracy"),
                        (I64, "anchors anchors_without_negatives"))


class mcl_multistage_options(Struct):
    _fields_ = _members((SIZE, "struct_size"), (U64, "seed"), (I32, "stages epochs modalities"),
                        (U32, "cluster_modalities"), (U64, "fingerprint"),
                        (C.c_char_p, "embedding_directory"), (P, "clusterer"),
                        (C.POINTER(mcl_kmeans_options), "kmeans"),
                        (C.POINTER(mcl_sampler_options), "sampler"),
                        (C.POINTER(mcl_loss_options), "loss"), (C.c_char_p, "save_directory"),
                        (I64, "save_every_steps"), (F64, "learning_rate warm_up"),
                        (I32, "loss_kind schedule"), (F64, "growth"), (I64, "chunk_rows"),
                        (I32, "trained_stages initial"))


class mcl_event(Struct):
    _fields_ = _members((SIZE, "struct_size"), (I32, "kind stage epoch modality"))


class mcl_stage_report(Struct):
    _fields_ = _members((SIZE, "struct_size"), (I32, "stage modality k_effective epochs"),
                        (I64, "rows_seen cells smallest_cell median_cell largest_cell backed_off "
                              "repairs"),
                        (F64, "loss_first loss_last accuracy nmi_previous entropy_given_previous "
                              "cell_cosine inertia"),
                        (I64, "low_cell high_cell"), (F64, "enough_negatives"),
                        (I64, "next_cells next_smallest_cell next_low_cell next_median_cell "
                              "next_high_cell next_largest_cell next_backed_off"),
                        (F64, "next_enough_negatives told_before told told_next"),
                        (I32, "advice reserved"))


class mcl_probe_options(Struct):
    _fields_ = _members((SIZE, "struct_size"), (U64, "seed"), (I32, "neighbours max_iterations"),
                        (F64, "l2 gradient_tolerance confidence"))


class mcl_probe_result(Struct):
    _fields_ = _members((SIZE, "struct_size"), (F64, "value low high"), (I64, "correct total"),
                        (I32, "iterations converged"))


lib = _load()


def made(kind, **given):
    """A struct with its defaults and what was given, by the names of its members."""
    s = kind()
    init = getattr(lib, kind.__name__ + "_init" if "options" in kind.__name__ else
                   "mcl_struct_init")
    init(C.byref(s), C.sizeof(s))
    for name, value in given.items():
        if name not in dict(kind._fields_):
            raise TypeError(f"{kind.__name__} has no {name}")
        setattr(s, name, value)
    return s
