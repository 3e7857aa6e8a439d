// Which rows share their image or their caption.
//
// Equal items are found by sorting: by hash, then by content, then by number. A table of hashes
// would be somewhat faster, but a file made so that all its hashes are equal would keep it busy for
// n^2 comparisons; sorting takes n log n whatever is in the file.
#include "dataset/groups.h"

#include "dataset/dataset.h"

// ---- equal items --------------------------------------------------------------------------------

typedef struct order {
  int (*compare)(const void *user, int64_t a, int64_t b);
  const void *user;
} order;

static int compare_keys(const order *o, const mcli_group_key *a, const mcli_group_key *b) {
  if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
  return o->compare ? o->compare(o->user, a->item, b->item) : 0;
}

// Of two sorted runs [from, middle) and [middle, end), one into `out`; of equals the left one comes
// first, which has the smaller numbers.
static void merge(const order *o, const mcli_group_key *keys, int64_t from, int64_t middle,
                  int64_t end, mcli_group_key *out) {
  for (int64_t a = from, b = middle, to = from; to < end; to++)
    out[to] = b == end || (a < middle && compare_keys(o, &keys[a], &keys[b]) <= 0) ? keys[a++]
                                                                                   : keys[b++];
}

mcl_status mcli_group(mcl_context *c, mcli_group_key *keys, int64_t n,
                      int (*compare)(const void *user, int64_t a, int64_t b), const void *user,
                      int64_t *first, mcl_error *err) {
  order o = {compare, user};
  mcli_group_key *other = MCLI_NEW(c, mcli_group_key, n), *from = keys, *to = other;
  if (!other) return mcli_nomem(err, "groups");
  for (int64_t run = 1; run < n; run *= 2) {
    for (int64_t i = 0; i < n; i += 2 * run) {
      int64_t middle = i + run < n ? i + run : n, end = i + 2 * run < n ? i + 2 * run : n;
      merge(&o, from, i, middle, end, to);
    }
    mcli_group_key *swap = from;
    from = to;
    to = swap;
  }
  for (int64_t i = 0, of = 0; i < n; i++) {
    if (i == 0 || compare_keys(&o, &from[i - 1], &from[i]) != 0) of = from[i].item;
    first[from[i].item] = of;
  }
  mcli_free(c, other);
  return MCL_OK;
}

// ---- rows of a dataset --------------------------------------------------------------------------

static mcl_status of_inner(mcl_dataset *d, int32_t modality, int64_t *out, mcl_error *err) {
  int64_t *inner = MCLI_NEW(d->context, int64_t, d->inner->rows);
  if (!inner) return mcli_nomem(err, "groups");
  mcl_status s = mcli_dataset_raw_groups(d->inner, modality, inner, err);
  for (int64_t i = 0; s == MCL_OK && i < d->rows; i++) out[i] = inner[d->inner_rows[i]];
  mcli_free(d->context, inner);
  return s;
}

mcl_status mcli_dataset_raw_groups(mcl_dataset *d, int32_t modality, int64_t *out, mcl_error *err) {
  if (d->kind->groups) return d->kind->groups(d, modality, out, err);
  if (d->inner && d->inner_rows) return of_inner(d, modality, out, err);
  if (d->inner) return mcli_dataset_raw_groups(d->inner, modality, out, err);
  for (int64_t i = 0; i < d->rows; i++) out[i] = i;
  return MCL_OK;
}

mcl_status mcl_dataset_groups(mcl_dataset *d, int32_t modality, int64_t *out, int64_t n,
                              mcl_error *err) {
  if (!d) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  if (modality < 0 || modality >= d->modalities)
    return mcli_fail(err, MCL_E_LIMIT, "modality is %d, not 0..%d", (int)modality,
                     (int)d->modalities - 1);
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (n < d->rows)
    return mcli_fail(err, MCL_E_LIMIT, "n is %lld, the dataset has %lld rows", (long long)n,
                     (long long)d->rows);
  int64_t *raw = MCLI_NEW(d->context, int64_t, d->rows);
  mcli_group_key *keys = MCLI_NEW(d->context, mcli_group_key, d->rows);
  mcl_status s = raw && keys ? MCL_OK : mcli_nomem(err, "groups");
  if (s == MCL_OK) s = mcli_dataset_raw_groups(d, modality, raw, err);
  for (int64_t i = 0; s == MCL_OK && i < d->rows; i++)
    keys[i] = (mcli_group_key){(uint64_t)raw[i], i};
  if (s == MCL_OK) s = mcli_group(d->context, keys, d->rows, NULL, NULL, out, err);
  mcli_free(d->context, raw);
  mcli_free(d->context, keys);
  return s < 0 ? s : mcl_ok(err);
}
