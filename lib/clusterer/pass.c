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
// Most rows keep their label without being looked at: bounds.c.
//
// Inertia needs no distances:
//
//   sum_i |x_i - c|^2 = sum_i |x_i|^2 - sum_j |S_j|^2 / n_j  in L2,
//                       2 n - 2 sum_j |S_j|                  in cosine     (3)
#include <math.h>
#include <string.h>

#include "clusterer/train.h"
#include "math/rows.h"

mcl_status mcli_state_open(mcl_context *c, int32_t k, int32_t dim, int32_t metric, int32_t groups,
                           mcli_state *s, mcl_error *err) {
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
  status = mcli_groups_open(c, k, groups, &s->groups, err);
  if (s->sums && s->counts && s->alive && s->moves && s->gains && status == MCL_OK) return MCL_OK;
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
  mcli_groups_close(c, &s->groups);
  memset(s, 0, sizeof *s);
}

mcl_status mcli_slots_open(mcl_context *c, uint32_t n, int32_t k, int32_t dim, mcli_slot **out,
                           mcl_error *err) {
  mcli_slot *slots = MCLI_NEW0(c, mcli_slot, n);
  if (!slots) return mcli_nomem(err, "the sums of clusters");
  for (uint32_t i = 0; i < n; i++) {
    mcl_status status = mcli_scorer_open(c, k, dim, &slots[i].scorer, err);
    if (status == MCL_OK) status = mcli_races_open(c, k, dim, &slots[i].races, err);
    if (status == MCL_OK) status = mcli_sums_open(c, k, dim, &slots[i].gained, err);
    slots[i].counts = MCLI_NEW0(c, int64_t, k);
    if (status == MCL_OK && slots[i].counts) continue;
    mcli_slots_close(c, slots, n);
    return status < 0 ? status : mcli_nomem(err, "the sums of clusters");
  }
  *out = slots;
  return MCL_OK;
}

void mcli_slots_close(mcl_context *c, mcli_slot *slots, uint32_t n) {
  for (uint32_t i = 0; slots && i < n; i++) {
    mcli_scorer_close(c, &slots[i].scorer);
    mcli_sums_close(c, &slots[i].gained);
    mcli_free(c, slots[i].counts);
    mcli_races_close(c, &slots[i].races);
  }
  mcli_free(c, slots);
}

// ---- one pass: (1) and (2) ----------------------------------------------------------------------

typedef struct pass {
  mcli_training *t;
  const mcli_members *members;
} pass;

static void move_row(mcli_slot *s, const mcli_rows_kernels *kernels, const float *x, int32_t dim,
                     double scale, int32_t cluster) {
  if (cluster < 0) return;
  s->gained.touched[cluster] = 1;
  s->counts[cluster] += scale > 0 ? 1 : -1;
  kernels->add_scaled(scale, x, s->gained.sums + (int64_t)cluster * dim, dim);
}

static void settle(const pass *p, mcli_slot *slot, const mcli_block *b, int64_t i, int32_t label,
                   float distance) {
  const mcli_centres *m = p->t->state.centres;
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(p->t->context);
  const mcli_members *to = p->members;
  int64_t row = b->first + i;
  int32_t before = to->labels[row];
  slot->inertia += distance;
  to->distances[row] = distance;
  if (before == label) return;
  to->labels[row] = label;
  slot->changed++;
  if (m->metric == MCL_COSINE && to->norms[row] == 0) return;
  double scale = m->metric == MCL_COSINE ? 1 / (double)to->norms[row] : 1;
  move_row(slot, kernels, b->x + i * m->dim, m->dim, -scale, before);
  move_row(slot, kernels, b->x + i * m->dim, m->dim, scale, label);
}

// Only rows that their bounds leave in doubt.
static void race(const pass *p, mcli_slot *slot, const mcli_block *b) {
  const mcli_state *s = &p->t->state;
  const mcli_members *m = p->members;
  int64_t step = mcli_race_rows(&s->groups);
  for (int64_t first = 0; first < b->n; first += step) {
    int64_t row = b->first + first, rows = b->n - first < step ? b->n - first : step;
    mcli_bounds bounds = {m->bounds.upper + row, m->bounds.lower + row * s->groups.stride};
    int64_t n = mcli_race_run(p->t->context, s->centres, &s->groups, &slot->races,
                              b->x + first * s->centres->dim, m->norms + row, m->labels + row, rows,
                              &bounds, s->bounded);
    for (const mcli_race *r = slot->races.rows; r < slot->races.rows + n; r++)
      settle(p, slot, b, first + r->row, r->label, r->distance);
  }
}

static mcl_status pass_block(void *job, const mcli_block *b, mcl_error *err) {
  const pass *p = job;
  mcli_slot *slot = &p->t->slots[b->slot];
  (void)err;
  if (p->members->bounds.upper) {
    race(p, slot, b);
    return MCL_OK;
  }
  mcli_assign_block(p->t->context, p->t->state.centres, &slot->scorer, b->x,
                    p->members->norms + b->first, b->n, slot->labels, slot->distances, 0);
  for (int64_t i = 0; i < b->n; i++) settle(p, slot, b, i, slot->labels[i], slot->distances[i]);
  return MCL_OK;
}

static mcl_status pass_wave(void *job, uint32_t segment, uint32_t n, int64_t done, int64_t blocks,
                            mcl_error *err) {
  pass *p = job;
  mcli_training *t = p->t;
  (void)done, (void)blocks;
  for (uint32_t i = 0; i < n; i++) {
    mcli_slot *s = &t->slots[i];
    mcli_tree_push(&t->tree, segment + i, &s->gained);
    for (int32_t j = 0; j < t->tree.k; j++) t->tree.counts[j] += s->counts[j], s->counts[j] = 0;
    t->state.inertia += s->inertia;
    t->state.changed += s->changed;
    s->inertia = 0;
    s->changed = 0;
  }
  mcl_status status = mcli_tree_add(&t->tree, err);
  return status < 0 ? status : mcli_watch_tell(t->watch, t->told, NAN, err);
}

mcl_status mcli_pass(mcli_training *t, const mcli_members *members, mcl_error *err) {
  pass p = {.t = t, .members = members};
  mcli_state *s = &t->state;
  if (members->bounds.upper && s->bounded) mcli_groups_moved(&s->groups, s->moves, s->centres->k);
  if (members->bounds.upper && !s->bounded) mcli_groups_form(t->context, &s->groups, s->centres);
  mcli_centres_prepare(t->context, s->centres, s->alive);
  s->inertia = 0;
  s->changed = 0;
  mcl_status status = mcli_sweep_run(members->sweep, pass_block, pass_wave, &p, err);
  status = mcli_tree_finish(&t->tree, status, s->sums, s->counts, &s->changed, err);
  s->inertia /= (double)members->sweep->rows.rows;
  return status;
}

// ---- new centroids -------------------------------------------------------------------------

// A sum that cancels out has no direction: such a centroid stays. 1e-12 a member is what double
// leaves of it.
static double divisor(mcli_state *s, const double *sum, int64_t j) {
  double square = 0, n = (double)s->counts[j];
  for (int32_t d = 0; d < s->centres->dim; d++) square += sum[d] * sum[d];
  s->gains[j] = 0;
  if (n == 0) return 0;
  double by = s->centres->metric == MCL_L2 ? n : sqrt(square);
  if (by <= 1e-12 * n) return 0;
  s->gains[j] = square / by; // (3)
  return by;
}

// Clusters are shared out in a fixed number of parts.
enum { UPDATE_TASKS = 16 };

static void update_part(void *job, uint32_t task, uint32_t worker) {
  mcli_state *s = job;
  int64_t dim = s->centres->dim, first, n;
  (void)worker;
  mcli_part(s->centres->k, UPDATE_TASKS, task, &first, &n);
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
  mcl_status status = mcli_parallel(t->context, UPDATE_TASKS, update_part, s, err);
  *moved = 0;
  for (int32_t j = 0; j < s->centres->k; j++) *moved += s->moves[j];
  return status;
}
