// Some rows of another dataset, in an order of their own. Nothing is copied but labels: a load asks
// the other one.
#include <string.h>

#include "base/rng.h"
#include "dataset/dataset.h"

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  int64_t *rows = MCLI_NEW(d->context, int64_t, n);
  if (!rows) return mcli_nomem(err, "indices");
  for (int64_t i = 0; i < n; i++) rows[i] = d->inner_rows[indices[i]];
  mcl_status s = mcl_dataset_load(d->inner, rows, n, modality, out, err);
  mcli_free(d->context, rows);
  return s;
}

static const mcli_dataset_kind subset_kind = {.load = load};

mcl_status mcl_dataset_create_subset(mcl_context *c, mcl_dataset *inner, const int64_t *indices,
                                     int64_t n, mcl_dataset **out, mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!inner) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  if (!indices) return mcli_fail(err, MCL_E_INVALID, "indices is NULL");
  if (n < 1) return mcli_fail(err, MCL_E_INVALID, "n is %lld, not 1 or more", (long long)n);
  mcl_status s = mcli_dataset_check_indices(indices, n, inner->rows, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  int64_t *rows = MCLI_NEW(c, int64_t, n);
  if (!rows) return mcli_nomem(err, "indices");
  memcpy(rows, indices, (size_t)n * sizeof *rows);
  mcl_dataset *d = mcli_dataset_wrap(c, sizeof *d, &subset_kind, inner, rows, n);
  if (!d) return mcli_nomem(err, "a dataset");
  d->fingerprint = mcli_hash(rows, (uint64_t)n * sizeof *rows, inner->fingerprint);
  *out = d;
  return mcl_ok(err);
}
