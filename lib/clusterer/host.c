// The host's own clusterer. Its answers are checked: labels in range, and success said aloud
// (base/status.h).
//
// After its fit every row is assigned once, so that sizes are known and a wrong label is found here
// and not in the sampler, stages later.
#include <math.h>
#include <string.h>

#include "clusterer/clusterer.h"
#include "clusterer/sweep.h"
#include "math/array.h"

typedef struct host_clusterer {
  mcl_context *context;
  mcl_host_clusterer table;
} host_clusterer;

static mcl_status assign_block(host_clusterer *h, const float *x, int64_t first, int64_t n,
                               int32_t dim, int32_t k, int32_t *labels, mcl_error *err) {
  mcl_array block;
  mcl_error inner;
  int64_t shape[2] = {n, dim};
  mcl_array_init(&block, (void *)(uintptr_t)x, MCL_F32, 2, shape);
  block.flags = MCL_ARRAY_READONLY;
  for (int64_t i = 0; i < n; i++) labels[i] = -1; // a label it forgets is out of range
  mcli_callback_begin(&inner);
  mcl_status s = h->table.assign(h->table.user, &block, labels, &inner);
  s = mcli_callback_end(s, &inner, "mcl_host_clusterer.assign", err);
  for (int64_t i = 0; i < n && s == MCL_OK; i++)
    if (labels[i] < 0 || labels[i] >= k)
      s = mcli_fail_row(err, MCL_E_CALLBACK, first + i,
                        "mcl_host_clusterer.assign gave row %lld the label %d, not 0..%d",
                        (long long)(first + i), (int)labels[i], (int)k - 1);
  return s;
}

// All rows in order, on the calling thread. labels may be NULL; sizes [k] too.
static mcl_status assign_all(host_clusterer *h, const mcl_rows *rows, int32_t k, mcli_watch *w,
                             int32_t *labels, int64_t *sizes, mcl_error *err) {
  mcl_context *c = h->context;
  int64_t most = rows->rows < MCLI_SWEEP_BLOCK ? rows->rows : MCLI_SWEEP_BLOCK;
  float *buffer = MCLI_NEW(c, float, most * rows->dim);
  double *scratch = MCLI_NEW(c, double, most * rows->dim);
  int32_t *block = MCLI_NEW(c, int32_t, most);
  mcl_status s = buffer && scratch && block ? MCL_OK : mcli_nomem(err, "a block of rows");
  for (int64_t first = 0, n; first < rows->rows && s == MCL_OK; first += n) {
    const float *x;
    n = rows->rows - first < MCLI_SWEEP_BLOCK ? rows->rows - first : MCLI_SWEEP_BLOCK;
    s = mcli_rows_block(rows, first, n, buffer, scratch, &x, err);
    if (s == MCL_OK) s = assign_block(h, x, first, n, rows->dim, k, block, err);
    if (s < 0) break;
    for (int64_t i = 0; i < n && sizes; i++) sizes[block[i]]++;
    if (labels) memcpy(labels + first, block, (size_t)n * sizeof *labels);
    s = mcli_watch_tell(w, first + n, NAN, err);
  }
  mcli_free(c, buffer);
  mcli_free(c, scratch);
  mcli_free(c, block);
  return s;
}

static mcl_status host_fit(void *self, const mcl_rows *rows, mcli_watch *w, mcli_fitted **out,
                           mcl_error *err) {
  host_clusterer *h = self;
  mcl_error inner;
  int32_t k = 0;
  mcli_watch_phase(w, "fit", 0);
  mcli_callback_begin(&inner);
  mcl_status s = h->table.fit(h->table.user, rows, &k, &inner);
  s = mcli_callback_end(s, &inner, "mcl_host_clusterer.fit", err);
  if (s < 0) return s;
  if (k < 1)
    return mcli_fail(err, MCL_E_CALLBACK, "mcl_host_clusterer.fit gave k = %d, not at least 1",
                     (int)k);
  mcli_fitted *f;
  s = mcli_fitted_new(h->context, k, &f, err);
  if (s < 0) return s;
  mcli_watch_phase(w, "assign", rows->rows);
  s = assign_all(h, rows, k, w, NULL, f->sizes, err);
  if (s < 0) {
    mcli_fitted_unref(h->context, f);
    return s;
  }
  f->counted = 1;
  f->report.rows = rows->rows;
  mcli_fitted_balance(f);
  *out = f;
  return MCL_OK;
}

static mcl_status host_assign(void *self, const mcli_fitted *f, const mcl_rows *rows, mcli_watch *w,
                              int32_t *labels, double *distances, mcl_error *err) {
  host_clusterer *h = self;
  if (distances)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "a host clusterer has no distances: pass NULL");
  int32_t *all = MCLI_NEW(h->context, int32_t, rows->rows);
  if (!all) return mcli_nomem(err, "labels");
  mcli_watch_phase(w, "assign", rows->rows);
  mcl_status s = assign_all(h, rows, f->report.k, w, all, NULL, err);
  if (s == MCL_OK) memcpy(labels, all, (size_t)rows->rows * sizeof *labels);
  mcli_free(h->context, all);
  return s;
}

static void host_destroy(void *self) {
  host_clusterer *h = self;
  if (h->table.destroy) h->table.destroy(h->table.user);
  mcli_free(h->context, h);
}

static const mcli_clusterer_kind host_kind = {
    .fit = host_fit, .assign = host_assign, .destroy = host_destroy};

mcl_status mcl_clusterer_create_host(mcl_context *c, const mcl_host_clusterer *host,
                                     mcl_clusterer **out, mcl_error *err) {
  mcl_host_clusterer table;
  mcl_status s = mcli_struct_in(&table, sizeof table, host, "mcl_host_clusterer", err);
  host_clusterer *h = NULL;
  if (s == MCL_OK && (!c || !out || !table.fit || !table.assign))
    s = mcli_fail(err, MCL_E_INVALID, "%s",
                  !c     ? "context is NULL"
                  : !out ? "out is NULL"
                         : "mcl_host_clusterer needs both fit and assign");
  if (s == MCL_OK && !(h = MCLI_NEW(c, host_clusterer, 1))) s = mcli_nomem(err, "a clusterer");
  if (s != MCL_OK) {
    if (table.destroy) table.destroy(table.user);
    return s;
  }
  h->context = c; // alive as long as the handle, which refers to it
  h->table = table;
  return mcli_clusterer_new(c, NULL, &host_kind, h, NULL, out, err);
}
