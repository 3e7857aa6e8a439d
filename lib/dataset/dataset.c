// The dataset handle: every public call that is the same for all kinds.
//
// Checks stand here, before any kind is asked: a kind's load() gets only rows that exist and an
// `out` of the right shape. Wrappers (subset, resized, randbits) hold a reference to what they
// wrap. Labels and codes are copied outwards when a wrapper is made, since they are small; names
// are looked up inwards when asked for, since they are not.
#include "dataset/dataset.h"

#include <stdio.h>
#include <string.h>

#include "math/array.h"

mcl_dataset *mcli_dataset_new(mcl_context *c, size_t size, const mcli_dataset_kind *kind,
                              int32_t modalities) {
  mcl_dataset *d = mcli_calloc(c, 1, size);
  if (!d) return NULL;
  mcli_ref_init(&d->refs);
  d->kind = kind;
  d->context = mcl_context_ref(c);
  d->modalities = modalities;
  d->shapes = MCLI_NEW0(c, mcl_array, modalities);
  if (d->shapes) return d;
  mcl_dataset_unref(d);
  return NULL;
}

int32_t *mcli_dataset_pick(mcl_context *c, const int32_t *from, const int64_t *rows, int64_t n) {
  int32_t *to = MCLI_NEW(c, int32_t, n);
  for (int64_t i = 0; to && i < n; i++) to[i] = from[rows ? rows[i] : i];
  return to;
}

mcl_dataset *mcli_dataset_wrap(mcl_context *c, size_t size, const mcli_dataset_kind *kind,
                               mcl_dataset *inner, int64_t *inner_rows, int64_t rows) {
  mcl_dataset *d = mcli_dataset_new(c, size, kind, inner->modalities);
  if (!d) {
    mcli_free(c, inner_rows);
    return NULL;
  }
  d->inner = mcl_dataset_ref(inner);
  d->inner_rows = inner_rows;
  d->rows = rows;
  d->classes = inner->classes;
  d->files = inner->files;
  d->skipped = inner->skipped;
  d->captions_skipped = inner->captions_skipped;
  d->cached = inner->cached;
  d->is_host = inner->is_host;
  if (inner->shapes) {
    memcpy(d->shapes, inner->shapes, (size_t)inner->modalities * sizeof *d->shapes);
  } else {
    mcli_free(c, d->shapes);
    d->shapes = NULL;
  }
  if (inner->labels) d->labels = mcli_dataset_pick(c, inner->labels, inner_rows, rows);
  if (inner->codes) d->codes = mcli_dataset_pick(c, inner->codes, inner_rows, rows);
  if ((inner->labels && !d->labels) || (inner->codes && !d->codes)) {
    mcl_dataset_unref(d);
    return NULL;
  }
  return d;
}

void mcli_dataset_set_shape(mcl_dataset *d, int32_t modality, int32_t dtype, int32_t ndim,
                            const int64_t *shape) {
  mcl_array_init(&d->shapes[modality], NULL, dtype, ndim, shape);
}

mcl_dataset *mcl_dataset_ref(mcl_dataset *d) {
  if (d) mcli_ref(&d->refs);
  return d;
}

void mcl_dataset_unref(mcl_dataset *d) {
  if (!d || !mcli_unref_is_last(&d->refs)) return;
  mcl_context *c = d->context;
  if (d->kind->destroy) d->kind->destroy(d);
  mcl_dataset_unref(d->inner);
  mcli_free(c, d->inner_rows);
  mcli_free(c, d->shapes);
  mcli_free(c, d->labels);
  mcli_free(c, d->codes);
  for (int32_t k = 0; d->class_names && k < d->classes; k++) mcli_free(c, d->class_names[k]);
  mcli_free(c, d->class_names);
  mcli_free(c, d);
  mcl_context_unref(c);
}

int64_t mcl_dataset_rows(const mcl_dataset *d) {
  return d ? d->rows : 0;
}
int32_t mcl_dataset_modalities(const mcl_dataset *d) {
  return d ? d->modalities : 0;
}
uint64_t mcl_dataset_fingerprint(const mcl_dataset *d) {
  return d ? d->fingerprint : 0;
}

// ---- rows ---------------------------------------------------------------------------------------

static mcl_status check_modality(const mcl_dataset *d, int32_t modality, mcl_error *err) {
  if (!d) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  if (modality < 0 || modality >= d->modalities)
    return mcli_fail(err, MCL_E_LIMIT, "modality is %d, not 0..%d", (int)modality,
                     (int)d->modalities - 1);
  if (!d->shapes)
    return mcli_fail(err, MCL_E_NOT_FOUND, "the dataset has no data: the host's encoder holds it");
  return MCL_OK;
}

mcl_status mcl_dataset_shape(const mcl_dataset *d, int32_t modality, mcl_array *row,
                             mcl_error *err) {
  mcl_status s = check_modality(d, modality, err);
  if (s < 0) return s;
  if (!row) return mcli_fail(err, MCL_E_INVALID, "row is NULL");
  *row = d->shapes[modality];
  return mcl_ok(err);
}

static mcl_status check_out(const mcl_array *row, int64_t n, const mcl_array *out, mcl_error *err) {
  mcl_status s = mcli_array_check_out(out, "out", err);
  if (s < 0) return s;
  if (out->dtype != row->dtype && out->dtype != MCL_F32)
    return mcli_fail(err, MCL_E_DTYPE, "out has dtype %d, not the rows' %d or MCL_F32 (%d)",
                     (int)out->dtype, (int)row->dtype, (int)MCL_F32);
  if (out->ndim != row->ndim + 1)
    return mcli_fail(err, MCL_E_SHAPE, "out has %d dimensions, not %d", (int)out->ndim,
                     (int)row->ndim + 1);
  if (out->shape[0] != n)
    return mcli_fail(err, MCL_E_SHAPE, "out has %lld rows, n is %lld", (long long)out->shape[0],
                     (long long)n);
  for (int i = 0; i < row->ndim; i++)
    if (out->shape[i + 1] != row->shape[i])
      return mcli_fail(err, MCL_E_SHAPE, "out.shape[%d] is %lld, the rows have %lld", i + 1,
                       (long long)out->shape[i + 1], (long long)row->shape[i]);
  return MCL_OK;
}

mcl_status mcli_dataset_check_indices(const int64_t *indices, int64_t n, int64_t rows,
                                      mcl_error *err) {
  if (n < 0) return mcli_fail(err, MCL_E_INVALID, "n is %lld", (long long)n);
  if (n > 0 && !indices) return mcli_fail(err, MCL_E_INVALID, "indices is NULL");
  for (int64_t i = 0; i < n; i++)
    if (indices[i] < 0 || indices[i] >= rows)
      return mcli_fail_row(err, MCL_E_LIMIT, i, "indices[%lld] is %lld, not 0..%lld", (long long)i,
                           (long long)indices[i], (long long)rows - 1);
  return MCL_OK;
}

mcl_status mcl_dataset_load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                            const mcl_array *out, mcl_error *err) {
  mcl_status s = check_modality(d, modality, err);
  if (s == MCL_OK) s = mcli_dataset_check_indices(indices, n, d->rows, err);
  if (s == MCL_OK) s = check_out(&d->shapes[modality], n, out, err);
  if (s == MCL_OK && n > 0) s = d->kind->load(d, indices, n, modality, out, err);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcli_dataset_check_images(const mcl_dataset *d, mcl_error *err) {
  mcl_status s = check_modality(d, 0, err);
  if (s < 0) return s;
  const mcl_array *row = &d->shapes[0];
  if (row->dtype != MCL_U8)
    return mcli_fail(err, MCL_E_DTYPE, "dataset has rows of dtype %d, not MCL_U8 (%d)",
                     (int)row->dtype, (int)MCL_U8);
  if (row->ndim != 3)
    return mcli_fail(err, MCL_E_SHAPE, "dataset has rows of %d dimensions, not 3", (int)row->ndim);
  return MCL_OK;
}

// ---- what is known of them ----------------------------------------------------------------------

static mcl_status copy_out(const mcl_dataset *d, const int32_t *from, const char *what,
                           int32_t *out, int64_t n, mcl_error *err) {
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (!from) return mcli_fail(err, MCL_E_NOT_FOUND, "the dataset has no %s", what);
  if (n < d->rows)
    return mcli_fail(err, MCL_E_LIMIT, "n is %lld, the dataset has %lld rows", (long long)n,
                     (long long)d->rows);
  memcpy(out, from, (size_t)d->rows * sizeof *out);
  return mcl_ok(err);
}

mcl_status mcl_dataset_labels(const mcl_dataset *d, int32_t *out, int64_t n, mcl_error *err) {
  if (!d) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  return copy_out(d, d->labels, "labels", out, n, err);
}

mcl_status mcl_dataset_codes(const mcl_dataset *d, int32_t *out, int64_t n, mcl_error *err) {
  if (!d) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  return copy_out(d, d->codes, "codes", out, n, err);
}

static mcl_status check_row(const mcl_dataset *d, int64_t row, mcl_error *err) {
  if (!d) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  if (row < 0 || row >= d->rows)
    return mcli_fail(err, MCL_E_LIMIT, "row is %lld, not 0..%lld", (long long)row,
                     (long long)d->rows - 1);
  return MCL_OK;
}

const char *mcli_dataset_row_name(const mcl_dataset *d, int64_t *row) {
  for (; d->inner; d = d->inner)
    if (d->inner_rows) *row = d->inner_rows[*row];
  return d->kind->row_name ? d->kind->row_name(d, row) : NULL;
}

mcl_status mcl_dataset_name(const mcl_dataset *d, int64_t row, char *text, size_t capacity,
                            size_t *wanted, mcl_error *err) {
  mcl_status s = check_row(d, row, err);
  if (s < 0) return s;
  const char *name = mcli_dataset_row_name(d, &row);
  if (name) return mcli_text_out(name, text, capacity, wanted, err);
  char number[24];
  snprintf(number, sizeof number, "%lld", (long long)row);
  return mcli_text_out(number, text, capacity, wanted, err);
}

const char *mcli_dataset_caption_of(const mcl_dataset *d, int64_t row) {
  for (; !d->kind->caption && d->inner; d = d->inner)
    if (d->inner_rows) row = d->inner_rows[row];
  return d->kind->caption ? d->kind->caption(d, row) : NULL;
}

mcl_status mcl_dataset_caption(const mcl_dataset *d, int64_t row, char *text, size_t capacity,
                               size_t *wanted, mcl_error *err) {
  mcl_status s = check_row(d, row, err);
  if (s < 0) return s;
  const char *caption = mcli_dataset_caption_of(d, row);
  if (!caption) return mcli_fail(err, MCL_E_NOT_FOUND, "the dataset has no texts of captions");
  return mcli_text_out(caption, text, capacity, wanted, err);
}

mcl_status mcl_dataset_class_name(const mcl_dataset *d, int32_t label, char *text, size_t capacity,
                                  size_t *wanted, mcl_error *err) {
  if (!d) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  if (!d->labels) return mcli_fail(err, MCL_E_NOT_FOUND, "the dataset has no labels");
  if (label < 0 || label >= d->classes)
    return mcli_fail(err, MCL_E_NOT_FOUND, "label is %d, not 0..%d", (int)label,
                     (int)d->classes - 1);
  while (d->inner || d->labelled) d = d->inner ? d->inner : d->labelled;
  if (d->class_names) return mcli_text_out(d->class_names[label], text, capacity, wanted, err);
  char number[16];
  snprintf(number, sizeof number, "%d", (int)label);
  return mcli_text_out(number, text, capacity, wanted, err);
}

mcl_status mcl_dataset_get_report(const mcl_dataset *d, mcl_dataset_report *out, mcl_error *err) {
  if (!d) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_dataset_report r = {.files = d->files,
                          .skipped = d->skipped,
                          .rows = d->rows,
                          .classes = d->classes,
                          .cached = d->cached,
                          .captions_skipped = d->captions_skipped};
  mcl_status s = mcli_struct_out(out, &r, sizeof r, "mcl_dataset_report", err);
  return s < 0 ? s : mcl_ok(err);
}
