// Clusters that have lost all their rows.
//
// MCL_EMPTY_FARTHEST gives each, in order of their ids, the row that lies farthest from its own
// centroid, as scikit-learn does; the row leaves its old cluster at once. MCL_EMPTY_SPLIT_LARGEST
// puts it half-way between the centroid of the cluster with most rows and that cluster's farthest
// row; faiss moves it a thousandth aside instead, by coordinates, which does nothing at a centroid
// of zeros and takes many passes to come apart. A cluster gives once a round, so that no two are
// put in one place.
//
// A row at its centroid (MCLI_SAME) has nothing to gain; mcli_assign_block tells that from nearly
// there. Where no row is left the cluster stays out of the race until the next round.
#include <string.h>

#include "clusterer/train.h"
#include "math/rows.h"

typedef struct mending {
  mcl_context *context;
  const mcli_members *members;
  mcli_state *state;
  int64_t *room; // [k]: members of each cluster, less those given away; 0: gives no more
  float *row;    // [dim]
  int with_sums;
} mending;

// The row as the metric sees it, into m->row.
static mcl_status fetch(const mending *m, int64_t i, mcl_error *err) {
  mcl_status status = mcli_sweep_gather(m->members->sweep, &i, 1, m->row, err);
  if (status == MCL_OK && m->state->centres->metric == MCL_COSINE)
    mcli_normalise(m->context, m->row, 1, m->state->centres->dim, m->row, NULL);
  return status;
}

static void place(const mending *m, int32_t j, int64_t i, int half_way) {
  mcli_centres *centres = m->state->centres;
  int32_t dim = centres->dim, donor = m->members->labels[i];
  float *to = centres->rows + (int64_t)j * dim;
  const float *from = centres->rows + (int64_t)donor * dim;
  for (int32_t d = 0; d < dim; d++)
    to[d] = half_way ? from[d] + (m->row[d] - from[d]) / 2 : m->row[d];
  if (half_way && centres->metric == MCL_COSINE) mcli_normalise(m->context, to, 1, dim, to, NULL);
  m->state->alive[j] = 1;
  m->state->repairs++;
  if (half_way || !m->with_sums) return;
  double *gain = m->state->sums + (int64_t)j * dim, *lose = m->state->sums + (int64_t)donor * dim;
  for (int32_t d = 0; d < dim; d++) gain[d] = m->row[d], lose[d] -= m->row[d];
  m->state->counts[j] = 1;
  m->state->counts[donor]--;
  m->members->labels[i] = j;
}

// The farthest row, the first among equals, of one cluster or of all (-1) that may still give; -1:
// there is none.
static int64_t farthest(const mending *m, int32_t cluster) {
  int64_t best = -1, rows = m->members->sweep->rows.rows;
  const float *distances = m->members->distances;
  int cosine = m->state->centres->metric == MCL_COSINE;
  for (int64_t i = 0; i < rows; i++) {
    int32_t j = m->members->labels[i];
    if (best >= 0 && distances[i] <= distances[best]) continue;
    if (cluster >= 0 ? j != cluster : m->room[j] < 2) continue;
    double l = m->members->norms[i];
    if (cosine && l == 0) continue;
    if (distances[i] <= MCLI_SAME * (cosine ? 1 : l * l)) continue;
    best = i;
  }
  return best;
}

static mcl_status to_farthest(mending *m, int32_t j, int *found, mcl_error *err) {
  int64_t i = farthest(m, -1);
  *found = i >= 0;
  mcl_status status = i < 0 ? MCL_OK : fetch(m, i, err);
  if (i < 0 || status < 0) return status;
  m->members->distances[i] = 0; // gives once
  m->room[m->members->labels[i]]--;
  place(m, j, i, 0);
  return MCL_OK;
}

static mcl_status split_largest(mending *m, int32_t j, int *found, mcl_error *err) {
  for (;;) {
    int32_t largest = 0;
    for (int32_t i = 1; i < m->state->centres->k; i++)
      if (m->room[i] > m->room[largest]) largest = i;
    *found = m->room[largest] >= 2;
    if (!*found) return MCL_OK;
    int64_t i = farthest(m, largest);
    m->room[largest] = 0;
    if (i < 0) continue;
    mcl_status status = fetch(m, i, err);
    if (status == MCL_OK) place(m, j, i, 1);
    return status;
  }
}

mcl_status mcli_repair(mcl_context *c, int32_t policy, const mcli_members *members, mcli_state *s,
                       int with_sums, mcl_error *err) {
  int32_t k = s->centres->k, dim = s->centres->dim;
  mending m = {.context = c, .members = members, .state = s, .with_sums = with_sums};
  m.room = MCLI_NEW(c, int64_t, k);
  m.row = MCLI_NEW(c, float, dim);
  mcl_status status = m.room && m.row ? MCL_OK : mcli_nomem(err, "empty clusters");
  if (status == MCL_OK) memcpy(m.room, s->counts, (size_t)k * sizeof *m.room);
  int found = 1;
  for (int32_t j = 0; j < k && status == MCL_OK; j++) {
    if (s->counts[j] > 0) continue;
    s->alive[j] = 0;
    if (found && policy == MCL_EMPTY_FARTHEST) status = to_farthest(&m, j, &found, err);
    if (found && policy == MCL_EMPTY_SPLIT_LARGEST) status = split_largest(&m, j, &found, err);
  }
  mcli_free(c, m.room);
  mcli_free(c, m.row);
  return status;
}
