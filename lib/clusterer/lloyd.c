// Lloyd's algorithm, with sums that are kept from pass to pass.
//
//   label_i = nearest(x_i; c)                                              (1)
//   S_j = sum of x_i with label j,  n_j = their number                     (2)
//   c_j = S_j / n_j in L2,  S_j / |S_j| in cosine                          (3)
//
// A row whose label stays adds nothing to (2): only rows that move are taken from one sum and added
// to another, in double. After the first passes few rows move, and (2) costs nothing beside (1).
// The rounding that this gathers over a thousand passes is some 1e-13 of a sum, far below the
// float32 that c_j is rounded to.
//
// Mini-batches (Sculley 2010) move c_j towards each new member by 1 / (members so far); that is the
// mean of all members so far, so (2) and (3) serve again, with every row of a batch new.
//
// Left out: bounds on distances (Hamerly, Elkan) that skip rows of which nothing can have changed.
// They would cost 8 to 4 k bytes a row, and must themselves be safe against rounding to keep labels
// exact.
#include <math.h>
#include <string.h>

#include "clusterer/train.h"
#include "math/array.h"
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
  if (s->sums && s->counts && s->alive && s->moves) return MCL_OK;
  mcli_state_close(c, s);
  return mcli_nomem(err, "the sums of clusters");
}

void mcli_state_close(mcl_context *c, mcli_state *s) {
  mcli_centres_free(c, s->centres);
  mcli_free(c, s->sums);
  mcli_free(c, s->counts);
  mcli_free(c, s->alive);
  mcli_free(c, s->moves);
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
    if (status == MCL_OK && slots[i].sums && slots[i].counts && slots[i].touched) continue;
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

static mcl_status pass_block(void *job, const mcli_block *b, mcl_error *err) {
  const pass *p = job;
  const mcli_centres *m = p->t->state.centres;
  mcl_context *c = p->t->context;
  mcli_slot *slot = &p->t->slots[b->slot];
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(c);
  const float *norms = p->members->norms + b->first;
  float *distances = p->members->distances + b->first;
  int32_t *labels = p->members->labels + b->first;
  mcli_assign_block(c, m, &slot->scorer, b->x, norms, b->n, slot->labels, distances, 0);
  for (int64_t i = 0; i < b->n; i++) {
    slot->inertia += distances[i];
    if (slot->labels[i] == labels[i]) continue;
    slot->changed++;
    double scale = m->metric == MCL_COSINE ? 1 / (double)norms[i] : 1;
    if (m->metric != MCL_COSINE || norms[i] > 0) {
      move_row(slot, kernels, b->x + i * m->dim, m->dim, -scale, labels[i]);
      move_row(slot, kernels, b->x + i * m->dim, m->dim, scale, slot->labels[i]);
    }
    labels[i] = slot->labels[i];
  }
  (void)err;
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

static mcl_status run_pass(mcli_training *t, const mcli_members *members, mcl_error *err) {
  pass p = {.t = t, .members = members};
  mcli_centres_prepare(t->context, t->state.centres, t->state.alive);
  t->state.inertia = 0;
  t->state.changed = 0;
  mcl_status status = mcli_sweep_run(members->sweep, pass_block, pass_wave, &p, err);
  t->state.inertia /= (double)members->sweep->rows.rows;
  return status;
}

// ---- new centroids: (3) -------------------------------------------------------------------------

// A sum that cancels out has no direction: such a centroid stays. 1e-12 a member is what double
// leaves of it.
static double divisor(const mcli_state *s, const double *sum, int32_t j) {
  if (s->centres->metric == MCL_L2) return (double)s->counts[j];
  double square = 0;
  for (int32_t d = 0; d < s->centres->dim; d++) square += sum[d] * sum[d];
  double length = sqrt(square);
  return length > 1e-12 * (double)s->counts[j] ? length : 0;
}

static void update_part(void *job, uint32_t task, uint32_t worker) {
  mcli_state *s = job;
  int64_t dim = s->centres->dim, first, n;
  (void)worker;
  mcli_part(s->centres->k, COMBINE_TASKS, task, &first, &n);
  for (int64_t j = first; j < first + n; j++) {
    const double *sum = s->sums + j * dim;
    float *centre = s->centres->rows + j * dim;
    double by = s->counts[j] > 0 ? divisor(s, sum, (int32_t)j) : 0, move = 0;
    for (int64_t d = 0; d < dim && by > 0; d++) {
      float now = (float)(sum[d] / by);
      double step = (double)now - (double)centre[d];
      move += step * step;
      centre[d] = now;
    }
    s->moves[j] = move;
  }
}

static mcl_status update(mcli_training *t, double *moved, mcl_error *err) {
  mcli_state *s = &t->state;
  mcl_status status = mcli_parallel(t->context, COMBINE_TASKS, update_part, s, err);
  *moved = 0;
  for (int32_t j = 0; j < s->centres->k; j++) *moved += s->moves[j];
  return status;
}

static int has_empty(const mcli_state *s) {
  for (int32_t j = 0; j < s->centres->k; j++)
    if (s->counts[j] == 0) return 1;
  return 0;
}

// ---- the two methods ----------------------------------------------------------------------------

mcl_status mcli_lloyd(mcli_training *t, mcl_error *err) {
  const mcl_kmeans_options *o = t->options;
  mcli_state *s = &t->state;
  int64_t rows = t->members.sweep->rows.rows;
  for (int64_t i = 0; i < rows; i++) t->members.labels[i] = -1;
  for (s->iterations = 1;; s->iterations++) {
    t->told = (int64_t)t->restart * o->max_iterations + s->iterations - 1;
    mcl_status status = run_pass(t, &t->members, err);
    if (status < 0) return status;
    int64_t repairs = s->repairs;
    if (has_empty(s)) status = mcli_repair(t->context, o->empty, &t->members, s, 1, err);
    if (status < 0) return status;
    double moved;
    status = update(t, &moved, err);
    if (status == MCL_OK) status = mcli_watch_tell(t->watch, t->told, s->inertia, err);
    if (status < 0) return status;
    s->converged =
        s->repairs == repairs && (s->changed == 0 || moved <= o->tolerance * t->variance);
    if (s->converged || s->iterations == o->max_iterations) return MCL_OK;
  }
}

// Ten steps: batches differ, and one that is worse than the last says nothing.
enum { PATIENCE = 10 };

static mcl_status minibatch_step(mcli_training *t, const mcli_sweep *rows, int64_t step,
                                 int64_t *at, float *x, float *norms, int32_t *labels,
                                 float *distances, mcl_error *err) {
  int64_t all = rows->rows.rows, dim = rows->rows.dim;
  int64_t n = t->options->minibatch_rows < all ? t->options->minibatch_rows : all;
  mcli_sweep_draw(t->options->seed, t->restart, (uint64_t)(MCLI_DRAW_BATCH + step), all, n, at);
  mcl_status status = mcli_sweep_gather(rows, at, n, x, err);
  if (status < 0) return status;
  mcl_array array = mcl_matrix_f32(x, n, dim);
  mcl_rows opened = rows->rows;
  opened.array = &array;
  opened.rows = n;
  opened.dtype = MCL_F32;
  mcli_sweep batch;
  status = mcli_sweep_open(t->context, &opened, &batch, err);
  if (status < 0) return status;
  batch.finite = 1;
  for (int64_t i = 0; i < n; i++) labels[i] = -1;
  status = mcli_row_norms(t->context, x, 0, n, dim, norms, err);
  mcli_members members = {&batch, norms, labels, distances};
  if (status == MCL_OK) status = run_pass(t, &members, err);
  mcli_sweep_close(&batch);
  double moved;
  return status < 0 ? status : update(t, &moved, err);
}

mcl_status mcli_minibatch(mcli_training *t, mcl_error *err) {
  const mcl_kmeans_options *o = t->options;
  const mcli_sweep *rows = t->members.sweep;
  mcl_context *c = t->context;
  int64_t all = rows->rows.rows, n = o->minibatch_rows < all ? o->minibatch_rows : all;
  int64_t *at = MCLI_NEW(c, int64_t, n);
  float *x = MCLI_NEW(c, float, n * rows->rows.dim), *norms = MCLI_NEW(c, float, n);
  float *distances = MCLI_NEW(c, float, n);
  int32_t *labels = MCLI_NEW(c, int32_t, n);
  mcl_status status =
      at && x && norms && distances && labels ? MCL_OK : mcli_nomem(err, "a mini-batch");
  // A batch of b out of n rows is weighted 2 b / n in the smoothed inertia, as in scikit-learn.
  double smooth = NAN, least = INFINITY, weight = 2.0 * (double)n / (double)(all + 1);
  int64_t most = (int64_t)ceil((double)o->max_iterations * (double)all / (double)n), waited = 0;
  mcli_state *s = &t->state;
  if (weight > 1) weight = 1;
  for (int64_t step = 0; status == MCL_OK && step < most && !s->converged; step++) {
    s->iterations = (int32_t)((double)step * (double)n / (double)all) + 1;
    t->told = (int64_t)t->restart * o->max_iterations + s->iterations - 1;
    status = minibatch_step(t, rows, step, at, x, norms, labels, distances, err);
    smooth = step == 0 ? s->inertia : smooth + weight * (s->inertia - smooth);
    waited = smooth < least * (1 - o->tolerance) ? 0 : waited + 1;
    if (smooth < least) least = smooth;
    s->converged = waited >= PATIENCE;
  }
  s->inertia = smooth;
  mcli_free(c, at);
  mcli_free(c, x);
  mcli_free(c, norms);
  mcli_free(c, distances);
  mcli_free(c, labels);
  return status;
}
