// A dataset whose rows the host loads.
//
// The host's shapes are asked for once, when the dataset is made, so that mcl_dataset_shape() stays
// a const call of any thread. Rows are loaded into memory of ours and copied on when they are known
// to be right: a callback that fails half way, or writes a NaN, leaves the caller's array as it
// was.
#include <string.h>

#include "dataset/memory.h"
#include "math/array.h"

typedef struct host_dataset {
  mcl_dataset base;
  mcl_host_dataset host;
  mcli_guard guard; // one load at a time
} host_dataset;

// MCL_E_NOT_FINITE with the dataset's row; only float types can be wrong. `floats` has room for one
// row.
static mcl_status check_finite(const mcl_array *rows, const int64_t *indices, float *floats,
                               mcl_error *err) {
  if (!mcli_dtype_is_float(rows->dtype)) return MCL_OK;
  for (int64_t i = 0; i < rows->shape[0]; i++) {
    mcli_array_load(rows, i, 1, floats);
    if (mcli_first_not_finite(floats, 1, mcli_array_row_size(rows)) < 0) continue;
    return mcli_fail_row(err, MCL_E_NOT_FINITE, indices[i],
                         "mcl_host_dataset.load gave a NaN or an infinity in row %lld",
                         (long long)indices[i]);
  }
  return MCL_OK;
}

static mcl_status copy_out(mcl_context *c, const mcl_array *rows, const mcl_array *out,
                           float *floats, mcl_error *err) {
  if (rows->dtype == out->dtype || rows->dtype == MCL_U8)
    return mcli_memory_load(c, rows, NULL, rows->shape[0], out, err);
  mcl_array converted;
  mcl_array_init(&converted, floats, MCL_F32, out->ndim, out->shape);
  for (int64_t i = 0; i < rows->shape[0]; i++) {
    mcli_array_load(rows, i, 1, floats);
    mcli_row_copy(&converted, 0, out, i);
  }
  return MCL_OK;
}

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  host_dataset *h = (host_dataset *)d;
  mcl_array rows;
  mcl_error inner;
  mcl_status s = mcli_guard_enter(&h->guard, "dataset", err);
  if (s < 0) return s;
  mcl_array_init(&rows, NULL, d->shapes[modality].dtype, out->ndim, out->shape);
  int64_t row = mcli_array_row_size(&rows);
  float *floats = MCLI_NEW(d->context, float, row);
  rows.data = mcli_alloc(d->context, (uint64_t)(n * row), (uint64_t)mcli_dtype_size(rows.dtype));
  if (!rows.data || !floats) {
    s = mcli_nomem(err, "a batch");
    goto done;
  }
  mcli_callback_begin(&inner);
  s = mcli_callback_end(h->host.load(h->host.user, indices, n, modality, &rows, &inner), &inner,
                        "mcl_host_dataset.load", err);
  if (s == MCL_OK) s = check_finite(&rows, indices, floats, err);
  if (s == MCL_OK) s = copy_out(d->context, &rows, out, floats, err);
done:
  mcli_free(d->context, rows.data);
  mcli_free(d->context, floats);
  mcli_guard_leave(&h->guard);
  return s;
}

// Rows that share with none get numbers that no row of the host's has.
static mcl_status groups(mcl_dataset *d, int32_t modality, int64_t *out, mcl_error *err) {
  host_dataset *h = (host_dataset *)d;
  mcl_error inner;
  if (!h->host.groups)
    return mcli_fail(err, MCL_E_NOT_FOUND,
                     "the host's dataset does not say which rows are the same");
  mcl_status s = mcli_guard_enter(&h->guard, "dataset", err);
  if (s < 0) return s;
  mcli_callback_begin(&inner);
  s = mcli_callback_end(h->host.groups(h->host.user, modality, out, &inner), &inner,
                        "mcl_host_dataset.groups", err);
  for (int64_t i = 0; s == MCL_OK && i < d->rows; i++)
    if (out[i] < 0) out[i] = -1 - i;
  mcli_guard_leave(&h->guard);
  return s;
}

static void destroy(mcl_dataset *d) {
  host_dataset *h = (host_dataset *)d;
  if (h->host.destroy) h->host.destroy(h->host.user);
}

static const mcli_dataset_kind host_kind = {.load = load, .groups = groups, .destroy = destroy};

static mcl_status check_host(const mcl_host_dataset *h, mcl_error *err) {
  if (h->rows < 1)
    return mcli_fail(err, MCL_E_INVALID, "mcl_host_dataset.rows is %lld, not 1 or more",
                     (long long)h->rows);
  // 32: a set of modalities is a uint32_t of bits elsewhere.
  if (h->modalities < 1 || h->modalities > 32)
    return mcli_fail(err, MCL_E_INVALID, "mcl_host_dataset.modalities is %d, not 1..32",
                     (int)h->modalities);
  if (h->flags != 0)
    return mcli_fail(err, MCL_E_INVALID, "mcl_host_dataset.flags is %u, not 0", h->flags);
  if (!h->shape != !h->load)
    return mcli_fail(err, MCL_E_INVALID, "mcl_host_dataset.%s is NULL, the other callback is not",
                     h->shape ? "load" : "shape");
  return MCL_OK;
}

static mcl_status ask_shape(mcl_dataset *d, const mcl_host_dataset *h, int32_t modality,
                            mcl_error *err) {
  mcl_array row;
  mcl_error inner;
  memset(&row, 0, sizeof row);
  mcli_callback_begin(&inner);
  mcl_status s = mcli_callback_end(h->shape(h->user, modality, &row, &inner), &inner,
                                   "mcl_host_dataset.shape", err);
  if (s < 0) return s;
  if (!mcli_dtype_size(row.dtype))
    return mcli_fail(err, MCL_E_DTYPE, "mcl_host_dataset.shape gave dtype %d for modality %d",
                     (int)row.dtype, (int)modality);
  if (row.ndim < 1 || row.ndim > 3)
    return mcli_fail(err, MCL_E_SHAPE, "mcl_host_dataset.shape gave ndim %d, not 1..3",
                     (int)row.ndim);
  int64_t elements = 1;
  for (int i = 0; i < row.ndim; i++)
    // 2^31 elements a row: whatever is computed from one fits in int64_t.
    if (row.shape[i] < 1 || !mcli_mul(elements, row.shape[i], &elements) || elements > INT32_MAX)
      return mcli_fail(err, MCL_E_SHAPE, "mcl_host_dataset.shape gave shape[%d] = %lld", i,
                       (long long)row.shape[i]);
  mcli_dataset_set_shape(d, modality, row.dtype, row.ndim, row.shape);
  return MCL_OK;
}

static mcl_status create(mcl_context *c, const mcl_host_dataset *h, mcl_dataset **out,
                         mcl_error *err) {
  mcl_status s = check_host(h, err);
  if (s < 0) return s;
  mcl_dataset *d = mcli_dataset_new(c, sizeof(host_dataset), &host_kind, h->modalities);
  if (!d) return mcli_nomem(err, "a dataset");
  d->rows = h->rows;
  d->fingerprint = h->fingerprint;
  d->is_host = 1;
  mcli_guard_init(&((host_dataset *)d)->guard);
  for (int32_t m = 0; s == MCL_OK && h->shape && m < h->modalities; m++)
    s = ask_shape(d, h, m, err);
  if (s < 0) {
    mcl_dataset_unref(d);
    return s;
  }
  if (!h->shape) {
    mcli_free(c, d->shapes);
    d->shapes = NULL;
  }
  ((host_dataset *)d)->host = *h; // last, so that a half-built dataset does not call destroy
  *out = d;
  return MCL_OK;
}

mcl_status mcl_dataset_create_host(mcl_context *c, const mcl_host_dataset *host, mcl_dataset **out,
                                   mcl_error *err) {
  mcl_host_dataset h;
  mcl_status s = mcli_struct_in(&h, sizeof h, host, "mcl_host_dataset", err);
  if (s == MCL_OK && !c) s = mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (s == MCL_OK && !out) s = mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (s == MCL_OK) s = create(c, &h, out, err);
  if (s == MCL_OK) return mcl_ok(err);
  if (h.destroy) h.destroy(h.user);
  return s;
}
