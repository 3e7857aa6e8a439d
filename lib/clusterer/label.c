// Labels of all rows by fixed centroids, with what a report needs:
//
//   inertia     = 1/n sum_i D(x_i, c_i)                          (1)
//   mean cosine = 1/n sum_i x_i.c_i / (|x_i| |c_i|)              (2), in cosine 1 - D / 2
//
// Sums are gathered a segment and added in order of segments, of all ranks.
#include "clusterer/label.h"

#include <math.h>
#include <string.h>

#include "math/rows.h"

typedef struct label_slot {
  mcli_scorer scorer;
  int64_t *counts; // [k + 1]: the last one counts rows of zeros
} label_slot;

enum { INERTIA, COSINE, SUMS }; // of a segment

typedef struct labelling {
  mcl_context *context;
  const mcli_centres *centres;
  mcli_watch *watch;
  int known;
  int32_t *labels;
  float *distances, *norms;
  float *lengths; // [k] of centroids, where a tally is wanted
  double *sums;   // [segments, SUMS]
  mcli_tally *total;
  label_slot *slots;
} labelling;

static double cosine(const labelling *l, const float *x, float norm, int32_t j, float distance) {
  const mcli_centres *m = l->centres;
  if (m->metric == MCL_COSINE) return 1 - (double)distance / 2;
  if (norm == 0 || l->lengths[j] == 0) return 0;
  double dot = mcli_rows_kernels_of(l->context)->dot(x, m->rows + (int64_t)j * m->dim, m->dim);
  return dot / ((double)norm * l->lengths[j]);
}

static mcl_status label_block(void *job, const mcli_block *b, mcl_error *err) {
  const labelling *l = job;
  const mcli_centres *m = l->centres;
  label_slot *slot = &l->slots[b->slot];
  float *norms = l->norms ? l->norms + b->first : slot->scorer.norms;
  float *distances = l->distances ? l->distances + b->first : NULL;
  int32_t *labels = l->labels + b->first;
  for (int64_t i = 0; i < b->n && l->known; i++)
    distances[i] = // NOLINT(clang-analyzer-core.NullDereference): `known` asks for distances
        mcli_distance(l->context, m, b->x + i * m->dim, norms[i], labels[i], slot->scorer.unit);
  if (!l->known) {
    mcl_status s = mcli_row_norms(l->context, b->x, b->row, b->n, m->dim, norms, err);
    if (s < 0) return s;
    mcli_assign_block(l->context, m, &slot->scorer, b->x, norms, b->n, labels, distances, 1);
  }
  for (int64_t i = 0; i < b->n && l->total; i++) {
    double *sums = l->sums + b->segment * SUMS;
    sums[INERTIA] += distances[i]; // NOLINT(clang-analyzer-core.NullDereference): so does a tally
    sums[COSINE] += cosine(l, b->x + i * m->dim, norms[i], labels[i], distances[i]);
    slot->counts[m->metric == MCL_COSINE && norms[i] == 0 ? m->k : labels[i]]++;
  }
  return MCL_OK;
}

static mcl_status label_wave(void *job, uint32_t segment, uint32_t n, int64_t done, int64_t blocks,
                             mcl_error *err) {
  const labelling *l = job;
  (void)segment, (void)n, (void)blocks;
  return mcli_watch_tell(l->watch, done, NAN, err);
}

static mcl_status open_slots(labelling *l, uint32_t n, uint32_t segments, mcl_error *err) {
  mcl_context *c = l->context;
  const mcli_centres *m = l->centres;
  l->slots = MCLI_NEW0(c, label_slot, n);
  if (!l->slots) return mcli_nomem(err, "labels");
  for (uint32_t i = 0; i < n; i++) {
    mcl_status s = mcli_scorer_open(c, m->k, m->dim, &l->slots[i].scorer, err);
    if (s < 0) return s;
    if (l->total && !(l->slots[i].counts = MCLI_NEW0(c, int64_t, m->k + 1)))
      return mcli_nomem(err, "the sizes of clusters");
  }
  if (!l->total) return MCL_OK;
  l->sums = MCLI_NEW0(c, double, (int64_t)segments *SUMS);
  if (!l->sums) return mcli_nomem(err, "the inertia of clusters");
  l->lengths = MCLI_NEW(c, float, m->k);
  if (!l->lengths) return mcli_nomem(err, "the lengths of centroids");
  for (int32_t j = 0; j < m->k; j++)
    l->lengths[j] =
        (float)sqrt(mcli_rows_kernels_of(c)->sum_squares(m->rows + (int64_t)j * m->dim, m->dim));
  return MCL_OK;
}

// What the slots of all ranks have counted, and the segments summed.
static mcl_status total(labelling *l, const mcli_sweep *s, mcl_status status, mcl_error *err) {
  int32_t k = l->centres->k;
  int64_t *counts = l->slots && l->slots[0].counts ? l->slots[0].counts : NULL;
  // NOLINTBEGIN(clang-analyzer-core.NullDereference): status is a failure where there are no slots, and stays one
  for (uint32_t i = 1; status == MCL_OK && i < s->slots; i++)
    for (int32_t j = 0; j <= k; j++) counts[j] += l->slots[i].counts[j];
  status = mcli_comm_add(s->comm, status, counts, k + 1, err);
  status = mcli_sweep_share(s, status, l->sums, SUMS, err);
  if (status < 0) return status;
  for (int32_t j = 0; j < k; j++) l->total->counts[j] += counts[j];
  l->total->zero_rows += counts[k];
  for (uint32_t i = 0; i < s->grid.segments; i++) {
    l->total->inertia += l->sums[i * SUMS + INERTIA];
    l->total->cosine += l->sums[i * SUMS + COSINE];
  }
  // NOLINTEND(clang-analyzer-core.NullDereference)
  return MCL_OK;
}

mcl_status mcli_label(mcl_context *c, const mcli_centres *m, const mcli_sweep *s, mcli_watch *w,
                      int known, int32_t *labels, float *distances, float *norms, mcli_tally *tally,
                      mcl_error *err) {
  labelling l = {c, m, w, known, labels, distances, norms, NULL, NULL, tally, NULL};
  mcl_status status = open_slots(&l, s->slots, s->grid.segments, err);
  if (status == MCL_OK) status = mcli_sweep_run(s, label_block, label_wave, &l, err);
  if (tally) status = total(&l, s, status, err);
  for (uint32_t i = 0; l.slots && i < s->slots; i++) {
    mcli_scorer_close(c, &l.slots[i].scorer);
    mcli_free(c, l.slots[i].counts);
  }
  mcli_free(c, l.slots);
  mcli_free(c, l.lengths);
  mcli_free(c, l.sums);
  return status;
}
