// The rows of two datasets side by side, as of images and of their captions.
//
// A joined dataset wraps two others, so it has no `inner`: a load goes to the one that has the
// modality, and what is known of rows is the first one's, else the second one's.
#include <string.h>

#include "base/rng.h"
#include "dataset/dataset.h"

// A set of modalities is a uint32_t of bits elsewhere.
enum { MOST_MODALITIES = 32 };

typedef struct joined_dataset {
  mcl_dataset base;
  mcl_dataset *part[2]; // references
} joined_dataset;

static mcl_dataset *part_of(const mcl_dataset *d, int32_t *modality) {
  const joined_dataset *j = (const joined_dataset *)d;
  int32_t first = j->part[0]->modalities;
  if (*modality < first) return j->part[0];
  *modality -= first;
  return j->part[1];
}

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  mcl_dataset *part = part_of(d, &modality);
  return mcl_dataset_load(part, indices, n, modality, out, err);
}

static const char *row_name(const mcl_dataset *d, int64_t *row) {
  const joined_dataset *j = (const joined_dataset *)d;
  int64_t rows[2] = {*row, *row};
  for (int i = 0; i < 2; i++) {
    const char *name = mcli_dataset_row_name(j->part[i], &rows[i]);
    if (name) return name;
  }
  *row = rows[0];
  return NULL;
}

static const char *caption(const mcl_dataset *d, int64_t row) {
  const joined_dataset *j = (const joined_dataset *)d;
  const char *first = mcli_dataset_caption_of(j->part[0], row);
  return first ? first : mcli_dataset_caption_of(j->part[1], row);
}

static mcl_status groups(mcl_dataset *d, int32_t modality, int64_t *out, mcl_error *err) {
  mcl_dataset *part = part_of(d, &modality);
  return mcli_dataset_raw_groups(part, modality, out, err);
}

static void destroy(mcl_dataset *d) {
  joined_dataset *j = (joined_dataset *)d;
  mcl_dataset_unref(j->part[0]);
  mcl_dataset_unref(j->part[1]);
}

static const mcli_dataset_kind joined_kind = {
    .load = load, .row_name = row_name, .caption = caption, .groups = groups, .destroy = destroy};

static mcl_status check(const mcl_dataset *first, const mcl_dataset *second, mcl_error *err) {
  if (!first || !second)
    return mcli_fail(err, MCL_E_INVALID, "%s is NULL", first ? "second" : "first");
  if (!first->shapes || !second->shapes)
    return mcli_fail(err, MCL_E_NOT_FOUND, "%s has no data: the host's encoder holds it",
                     first->shapes ? "second" : "first");
  if (first->rows != second->rows)
    return mcli_fail(err, MCL_E_SHAPE, "first has %lld rows, second %lld", (long long)first->rows,
                     (long long)second->rows);
  if (first->modalities + second->modalities > MOST_MODALITIES)
    return mcli_fail(err, MCL_E_LIMIT, "first has %d modalities, second %d: at most %d together",
                     (int)first->modalities, (int)second->modalities, MOST_MODALITIES);
  return MCL_OK;
}

// Labels, codes and the report's figures: the first one's, where it has any.
static mcl_status take_known(mcl_dataset *d, const mcl_dataset *first, const mcl_dataset *second,
                             mcl_error *err) {
  const mcl_dataset *labels = first->labels ? first : second;
  const mcl_dataset *codes = first->codes ? first : second;
  const mcl_dataset *files = first->files ? first : second;
  d->classes = labels->classes;
  d->labelled = labels;
  d->files = files->files;
  d->skipped = files->skipped;
  d->captions_skipped = files->captions_skipped;
  d->cached = first->cached && second->cached;
  d->is_host = first->is_host || second->is_host;
  if (labels->labels) d->labels = mcli_dataset_pick(d->context, labels->labels, NULL, d->rows);
  if (codes->codes) d->codes = mcli_dataset_pick(d->context, codes->codes, NULL, d->rows);
  if ((labels->labels && !d->labels) || (codes->codes && !d->codes))
    return mcli_nomem(err, "labels");
  return MCL_OK;
}

mcl_status mcl_dataset_create_joined(mcl_context *c, mcl_dataset *first, mcl_dataset *second,
                                     mcl_dataset **out, mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = check(first, second, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_dataset *d = mcli_dataset_new(c, sizeof(joined_dataset), &joined_kind,
                                    first->modalities + second->modalities);
  if (!d) return mcli_nomem(err, "a dataset");
  joined_dataset *j = (joined_dataset *)d;
  j->part[0] = mcl_dataset_ref(first);
  j->part[1] = mcl_dataset_ref(second);
  d->rows = first->rows;
  memcpy(d->shapes, first->shapes, (size_t)first->modalities * sizeof *d->shapes);
  memcpy(d->shapes + first->modalities, second->shapes,
         (size_t)second->modalities * sizeof *d->shapes);
  d->fingerprint = mcli_hash(&second->fingerprint, sizeof second->fingerprint, first->fingerprint);
  s = take_known(d, first, second, err);
  if (s < 0) {
    mcl_dataset_unref(d);
    return s;
  }
  *out = d;
  return mcl_ok(err);
}
