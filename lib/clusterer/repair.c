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

// The farthest row of a rank; row -1: there is none.
typedef struct far {
  int64_t row;
  float distance;
  int32_t label;
} far;

typedef struct mending {
  mcl_context *context;
  const mcli_members *members;
  mcli_state *state;
  int64_t *room; // [k]: members of each cluster, less those given away; 0: gives no more
  float *row;    // [dim]
  far *far;      // [ranks]
  int with_sums;
} mending;

// The row as the metric sees it, into m->row.
static mcl_status fetch(const mending *m, int64_t row, mcl_error *err) {
  mcl_status status = mcli_sweep_gather(m->members->sweep, MCL_OK, &row, 1, m->row, err);
  if (status == MCL_OK && m->state->centres->metric == MCL_COSINE)
    mcli_normalise(m->context, m->row, 1, m->state->centres->dim, m->row, NULL);
  return status;
}

// The place of a row among this rank's; -1: it is another's.
static int64_t place_of(const mending *m, int64_t row) {
  int64_t i = row - m->members->sweep->first;
  return i >= 0 && i < m->members->sweep->n ? i : -1;
}

static void place(const mending *m, int32_t j, const far *f, int half_way) {
  mcli_centres *centres = m->state->centres;
  int32_t dim = centres->dim, donor = f->label;
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
  int64_t i = place_of(m, f->row);
  if (i >= 0) m->members->labels[i] = j;
}

// The farthest row, the first among equals, of one cluster or of all (-1) that may still give.
static far farthest_here(const mending *m, int32_t cluster) {
  const mcli_members *rows = m->members;
  far best = {-1, 0, -1};
  int cosine = m->state->centres->metric == MCL_COSINE;
  for (int64_t i = 0; i < rows->sweep->n; i++) {
    int32_t j = rows->labels[i];
    if (best.row >= 0 && rows->distances[i] <= best.distance) continue;
    if (cluster >= 0 ? j != cluster : m->room[j] < 2) continue;
    double l = rows->norms[i];
    if (cosine && l == 0) continue;
    if (rows->distances[i] <= MCLI_SAME * (cosine ? 1 : l * l)) continue;
    best = (far){rows->sweep->first + i, rows->distances[i], j};
  }
  return best;
}

// The same of all ranks, whose rows follow each other.
static mcl_status farthest(const mending *m, int32_t cluster, far *out, mcl_error *err) {
  mcl_comm *comm = m->members->sweep->comm;
  far mine = farthest_here(m, cluster);
  mcl_status status = mcli_comm_gather(comm, MCL_OK, &mine, m->far, (int64_t)sizeof mine, err);
  *out = m->far[0];
  for (int32_t r = 1; r < mcl_comm_size(comm) && status == MCL_OK; r++)
    if (m->far[r].row >= 0 && (out->row < 0 || m->far[r].distance > out->distance))
      *out = m->far[r];
  return status;
}

static mcl_status to_farthest(mending *m, int32_t j, int *found, mcl_error *err) {
  far f;
  mcl_status status = farthest(m, -1, &f, err);
  *found = f.row >= 0;
  if (status == MCL_OK && *found) status = fetch(m, f.row, err);
  if (status < 0 || !*found) return status;
  int64_t i = place_of(m, f.row);
  if (i >= 0) m->members->distances[i] = 0; // gives once
  m->room[f.label]--;
  place(m, j, &f, 0);
  return MCL_OK;
}

static mcl_status split_largest(mending *m, int32_t j, int *found, mcl_error *err) {
  for (;;) {
    int32_t largest = 0;
    for (int32_t i = 1; i < m->state->centres->k; i++)
      if (m->room[i] > m->room[largest]) largest = i;
    *found = m->room[largest] >= 2;
    if (!*found) return MCL_OK;
    far f;
    mcl_status status = farthest(m, largest, &f, err);
    m->room[largest] = 0;
    if (status == MCL_OK && f.row < 0) continue;
    if (status == MCL_OK) status = fetch(m, f.row, err);
    if (status == MCL_OK) place(m, j, &f, 1);
    return status;
  }
}

mcl_status mcli_repair(mcl_context *c, int32_t policy, const mcli_members *members, mcli_state *s,
                       int with_sums, mcl_error *err) {
  int32_t k = s->centres->k, dim = s->centres->dim;
  mending m = {.context = c, .members = members, .state = s, .with_sums = with_sums};
  m.room = MCLI_NEW(c, int64_t, k);
  m.row = MCLI_NEW(c, float, dim);
  m.far = MCLI_NEW0(c, far, mcl_comm_size(members->sweep->comm));
  mcl_status status = m.room && m.row && m.far ? MCL_OK : mcli_nomem(err, "empty clusters");
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
  mcli_free(c, m.far);
  return status;
}
