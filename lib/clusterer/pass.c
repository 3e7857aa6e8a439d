// One pass of k-means over rows, and the update of centroids after it.
//
//   label_i = nearest(x_i; c)                                              (1)
//   S_j = sum of x_i with label j,  n_j = their number                     (2)
//   c_j = S_j / n_j in L2,  S_j / |S_j| in cosine
//
// A row whose label stays adds nothing to (2): only rows that move are taken from one sum and added
// to another, in double. The rounding that this gathers over a thousand passes is some 1e-13 of a
// sum, far below the float32 that c_j is rounded to.
//
// Most rows need not even be looked at (Hamerly, "Making k-means even faster", 2010). With
// u_i >= |x_i - c_a| for the row's own centroid and l_i <= |x_i - c_j| for all others, moves p_j of
// the centroids leave
//
//   u_i + p_a  and  l_i - max_{j != a} p_j                                 (3)
//
// as bounds, and label a is certain while
//
//   u_i^2 + slop < l_i^2                                                   (4)
//
// where slop covers all rounding (mcli_slop); so labels are those of (1) to the last one, and with
// them everything that follows. Elkan's bounds, one a centroid, would skip more and cost 4 k bytes
// a row.
//
// Inertia needs no distances:
//
//   sum_i |x_i - c|^2 = sum_i |x_i|^2 - sum_j |S_j|^2 / n_j  in L2,
//                       2 n - 2 sum_j |S_j|                  in cosine     (5)
#include <math.h>
#include <string.h>

#include "clusterer/train.h"
#include "math/rows.h"

mcl_status mcli_state_open(mcl_context *c, int32_t k, int32_t dim, int32_t metric, mcli_state *s,
                           mcl_error *err) {
  int64_t numbers;
  memset(s, 0, sizeof *s);
  if (!mcli_mul(k, dim, &numbers)) return mcli_nomem(err, "centroids");
  mcl_status status = mcli_centres_new(c, k, dim, metric, &s->centres, err);
  if (status < 0) return status;
  s->sums = MCLI_NEW0(c, double, numbers);
  s->counts = MCLI_NEW0(c, int64_t, k);
  s->alive = MCLI_NEW0(c, uint8_t, k);
  s->moves = MCLI_NEW0(c, double, k);
  s->gains = MCLI_NEW0(c, double, k);
  s->drift = MCLI_NEW0(c, float, k);
  if (s->sums && s->counts && s->alive && s->moves && s->gains && s->drift) return MCL_OK;
  mcli_state_close(c, s);
  return mcli_nomem(err, "the sums of clusters");
}

void mcli_state_close(mcl_context *c, mcli_state *s) {
  mcli_centres_free(c, s->centres);
  mcli_free(c, s->sums);
  mcli_free(c, s->counts);
  mcli_free(c, s->alive);
  mcli_free(c, s->moves);
  mcli_free(c, s->gains);
  mcli_free(c, s->drift);
  memset(s, 0, sizeof *s);
}

mcl_status mcli_slots_open(mcl_context *c, uint32_t n, int32_t k, int32_t dim, mcli_slot **out,
                           mcl_error *err) {
  mcli_slot *slots = MCLI_NEW0(c, mcli_slot, n);
  if (!slots) return mcli_nomem(err, "the sums of clusters");
  for (uint32_t i = 0; i < n; i++) {
    mcl_status status = mcli_scorer_open(c, k, dim, &slots[i].scorer, err);
    slots[i].sums = MCLI_NEW0(c, double, (int64_t)k *dim);
    slots[i].counts = MCLI_NEW0(c, int64_t, k);
    slots[i].touched = MCLI_NEW0(c, uint8_t, k);
    slots[i].x = MCLI_NEW(c, float, slots[i].scorer.tile *dim);
    if (status == MCL_OK && slots[i].sums && slots[i].counts && slots[i].touched && slots[i].x)
      continue;
    mcli_slots_close(c, slots, n);
    return status < 0 ? status : mcli_nomem(err, "the sums of clusters");
  }
  *out = slots;
  return MCL_OK;
}

void mcli_slots_close(mcl_context *c, mcli_slot *slots, uint32_t n) {
  for (uint32_t i = 0; slots && i < n; i++) {
    mcli_scorer_close(c, &slots[i].scorer);
    mcli_free(c, slots[i].sums);
    mcli_free(c, slots[i].counts);
    mcli_free(c, slots[i].touched);
    mcli_free(c, slots[i].x);
  }
  mcli_free(c, slots);
}

// ---- one pass: (1) and (2) ----------------------------------------------------------------------

typedef struct pass {
  mcli_training *t;
  const mcli_members *members;
  uint32_t n; // slots of this wave
} pass;

static void move_row(mcli_slot *s, const mcli_rows_kernels *kernels, const float *x, int32_t dim,
                     double scale, int32_t cluster) {
  if (cluster < 0) return;
  s->touched[cluster] = 1;
  s->counts[cluster] += scale > 0 ? 1 : -1;
  kernels->add_scaled(scale, x, s->sums + (int64_t)cluster * dim, dim);
}

static void settle(const pass *p, mcli_slot *slot, const mcli_block *b, int64_t i, int64_t at) {
  const mcli_centres *m = p->t->state.centres;
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(p->t->context);
  const mcli_members *to = p->members;
  int64_t row = b->first + i;
  int32_t before = to->labels[row], label = slot->labels[at];
  slot->inertia += slot->distances[at];
  to->distances[row] = slot->distances[at];
  if (to->upper) to->upper[row] = slot->upper[at];
  if (to->lower) to->lower[row] = slot->lower[at];
  if (before == label) return;
  to->labels[row] = label;
  slot->changed++;
  if (m->metric == MCL_COSINE && to->norms[row] == 0) return;
  double scale = m->metric == MCL_COSINE ? 1 / (double)to->norms[row] : 1;
  move_row(slot, kernels, b->x + i * m->dim, m->dim, -scale, before);
  move_row(slot, kernels, b->x + i * m->dim, m->dim, scale, label);
}

// Rows rows[0 .. n - 1] of the block, at most a tile of them. Neighbours are read where they lie.
static void score_rows(const pass *p, mcli_slot *slot, const mcli_block *b, const int32_t *rows,
                       int64_t n) {
  const mcli_centres *m = p->t->state.centres;
  const float *x = b->x + (int64_t)rows[0] * m->dim;
  const float *norms = p->members->norms + b->first + rows[0];
  if (rows[n - 1] - rows[0] != n - 1) {
    for (int64_t i = 0; i < n; i++) {
      memcpy(slot->x + i * m->dim, b->x + (int64_t)rows[i] * m->dim, (size_t)m->dim * sizeof *x);
      slot->norms[i] = p->members->norms[b->first + rows[i]];
    }
    x = slot->x;
    norms = slot->norms;
  }
  mcli_found found = {slot->labels, slot->distances, slot->upper, slot->lower};
  mcli_assign_block(p->t->context, m, &slot->scorer, x, norms, n, &found, 0);
  for (int64_t i = 0; i < n; i++) settle(p, slot, b, rows[i], i);
}

// (3) and (4): is the label of this row still certain?
static int stays(const pass *p, int64_t row) {
  const mcli_state *s = &p->t->state;
  const mcli_members *m = p->members;
  int32_t label = m->labels[row];
  float others = label == s->drift_of ? s->drift_next : s->drift_most;
  double upper = ((double)m->upper[row] + s->drift[label]) * (1 + 2e-7);
  double lower = ((double)m->lower[row] - others) * (1 - 2e-7);
  m->upper[row] = (float)upper;
  m->lower[row] = lower > 0 ? (float)lower : 0;
  return lower > 0 && upper * upper + mcli_slop(s->centres, m->norms[row]) < lower * lower;
}

static mcl_status pass_block(void *job, const mcli_block *b, mcl_error *err) {
  const pass *p = job;
  mcli_slot *slot = &p->t->slots[b->slot];
  int bounded = p->members->upper && p->t->state.bounded;
  int64_t n = 0;
  (void)err;
  for (int64_t i = 0; i < b->n; i++)
    if (!bounded || !stays(p, b->first + i)) slot->rows[n++] = (int32_t)i;
  for (int64_t i = 0; i < n; i += slot->scorer.tile)
    score_rows(p, slot, b, slot->rows + i, n - i < slot->scorer.tile ? n - i : slot->scorer.tile);
  return MCL_OK;
}

// Clusters are shared out in a fixed number of parts: each adds its clusters of every slot, in the
// order of slots.
enum { COMBINE_TASKS = 16 };

static void combine_part(void *job, uint32_t task, uint32_t worker) {
  const pass *p = job;
  mcli_state *state = &p->t->state;
  int64_t dim = state->centres->dim, first, n;
  (void)worker;
  mcli_part(state->centres->k, COMBINE_TASKS, task, &first, &n);
  for (uint32_t i = 0; i < p->n; i++) {
    mcli_slot *s = &p->t->slots[i];
    for (int64_t j = first; j < first + n; j++) {
      if (!s->touched[j]) continue;
      double *from = s->sums + j * dim, *to = state->sums + j * dim;
      for (int64_t d = 0; d < dim; d++) to[d] += from[d];
      memset(from, 0, (size_t)dim * sizeof *from);
      state->counts[j] += s->counts[j];
      s->counts[j] = s->touched[j] = 0;
    }
  }
}

static mcl_status pass_wave(void *job, uint32_t n, int64_t done, int64_t blocks, mcl_error *err) {
  pass *p = job;
  mcli_state *state = &p->t->state;
  (void)done, (void)blocks;
  p->n = n;
  mcl_status status = mcli_parallel(p->t->context, COMBINE_TASKS, combine_part, p, err);
  if (status < 0) return status;
  for (uint32_t i = 0; i < n; i++) {
    state->inertia += p->t->slots[i].inertia;
    state->changed += p->t->slots[i].changed;
    p->t->slots[i].inertia = 0;
    p->t->slots[i].changed = 0;
  }
  return mcli_watch_tell(p->t->watch, p->t->told, NAN, err);
}

static void measure_drift(mcli_state *s) {
  s->drift_most = s->drift_next = 0;
  s->drift_of = 0;
  for (int32_t j = 0; j < s->centres->k; j++) {
    float d = s->drift[j] = (float)(sqrt(s->moves[j]) * (1 + 1e-6));
    if (d > s->drift_most) {
      s->drift_next = s->drift_most;
      s->drift_most = d;
      s->drift_of = j;
    } else if (d > s->drift_next) {
      s->drift_next = d;
    }
  }
}

mcl_status mcli_pass(mcli_training *t, const mcli_members *members, mcl_error *err) {
  pass p = {.t = t, .members = members};
  mcli_centres_prepare(t->context, t->state.centres, t->state.alive);
  measure_drift(&t->state);
  t->state.inertia = 0;
  t->state.changed = 0;
  mcl_status status = mcli_sweep_run(members->sweep, pass_block, pass_wave, &p, err);
  t->state.inertia /= (double)members->sweep->rows.rows;
  return status;
}

// ---- new centroids: (3) -------------------------------------------------------------------------

// A sum that cancels out has no direction: such a centroid stays. 1e-12 a member is what double
// leaves of it.
static double divisor(mcli_state *s, const double *sum, int64_t j) {
  double square = 0, n = (double)s->counts[j];
  for (int32_t d = 0; d < s->centres->dim; d++) square += sum[d] * sum[d];
  s->gains[j] = 0;
  if (n == 0) return 0;
  double by = s->centres->metric == MCL_L2 ? n : sqrt(square);
  if (by <= 1e-12 * n) return 0;
  s->gains[j] = square / by; // (5)
  return by;
}

static void update_part(void *job, uint32_t task, uint32_t worker) {
  mcli_state *s = job;
  int64_t dim = s->centres->dim, first, n;
  (void)worker;
  mcli_part(s->centres->k, COMBINE_TASKS, task, &first, &n);
  for (int64_t j = first; j < first + n; j++) {
    const double *sum = s->sums + j * dim;
    float *centre = s->centres->rows + j * dim;
    double by = divisor(s, sum, j), move = 0;
    for (int64_t d = 0; d < dim && by > 0; d++) {
      float now = (float)(sum[d] / by);
      double step = (double)now - (double)centre[d];
      move += step * step;
      centre[d] = now;
    }
    s->moves[j] = move;
  }
}

mcl_status mcli_update(mcli_training *t, double *moved, mcl_error *err) {
  mcli_state *s = &t->state;
  mcl_status status = mcli_parallel(t->context, COMBINE_TASKS, update_part, s, err);
  *moved = 0;
  for (int32_t j = 0; j < s->centres->k; j++) *moved += s->moves[j];
  return status;
}
