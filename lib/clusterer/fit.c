// A fit: restarts on the training rows, then the best one's centroids over all rows.
//
//   1. which rows train: all, or a sample held in memory          (max_train_rows)
//   2. each restart: seed, move, remember the least inertia
//   3. label all rows; start clusters that got none anew and label again, a few times
//   4. leave out clusters that still have none; count and report
//
// So labels are those that assign() gives, and sizes and inertia are of those labels.
#include "clusterer/fit.h"

#include <math.h>
#include <string.h>

#include "clusterer/budget.h"
#include "clusterer/kmeans.h"
#include "clusterer/label.h"
#include "clusterer/seeding.h"
#include "clusterer/train.h"
#include "math/array.h"
#include "math/rows.h"

// Step 3 ends when nothing is empty, which one round nearly always brings; a mini-batch may need
// another.
enum { MOST_ROUNDS = 8 };

typedef struct fit {
  mcl_context *context;
  const mcl_kmeans_options *options;
  const float *given;
  mcli_sweep all, training;
  mcl_array sample_array; // of the rows that train, where these are not all
  float *sample;
  mcli_training train;
  mcli_state best;
  int64_t zero_rows;
  double inertia, cosine;
  int labelled; // members.labels are those of all rows by the best centroids
} fit;

// ---- 1: rows that train -------------------------------------------------------------------------

static mcl_status take_sample(fit *f, int64_t n, mcl_error *err) {
  const mcl_rows *rows = &f->all.rows;
  int64_t numbers = n * rows->dim, *at = MCLI_NEW(f->context, int64_t, n);
  f->sample = MCLI_NEW(f->context, float, numbers);
  mcl_status s = at && f->sample ? MCL_OK : mcli_nomem(err, "the rows to train on");
  if (s == MCL_OK) mcli_sweep_draw(f->options->seed, 0, MCLI_DRAW_TRAIN, rows->rows, n, at);
  s = mcli_sweep_gather(&f->all, s, at, n, f->sample, err);
  mcli_free(f->context, at);
  return s;
}

static mcl_status open_training(fit *f, mcl_error *err) {
  mcl_rows rows = f->all.rows;
  int64_t n = f->options->max_train_rows;
  if (n > 0 && n < rows.rows) {
    mcl_status s = take_sample(f, n, err);
    if (s < 0) return s;
    f->sample_array = mcl_matrix_f32(f->sample, n, rows.dim);
    rows.array = &f->sample_array;
    rows.rows = n;
    rows.dtype = MCL_F32;
  }
  return mcli_sweep_open(f->context, f->all.comm, &rows, &f->training, err);
}

static mcl_status open_members(mcl_context *c, const mcli_sweep *s, mcli_members *m,
                               mcl_error *err) {
  m->sweep = s;
  m->norms = MCLI_NEW(c, float, s->n);
  m->labels = MCLI_NEW(c, int32_t, s->n);
  m->distances = MCLI_NEW(c, float, s->n);
  return m->norms && m->labels && m->distances ? MCL_OK : mcli_nomem(err, "labels");
}

static mcl_status open_bounds(mcl_context *c, mcli_members *m, const mcli_groups *g,
                              mcl_error *err) {
  int64_t rows = m->sweep->n, numbers;
  if (!mcli_mul(rows, g->stride, &numbers)) return mcli_nomem(err, "bounds of distances");
  m->bounds.upper = MCLI_NEW(c, float, rows);
  m->bounds.lower = MCLI_NEW(c, float, numbers);
  return m->bounds.upper && m->bounds.lower ? MCL_OK : mcli_nomem(err, "bounds of distances");
}

static void close_members(mcl_context *c, mcli_members *m) {
  mcli_free(c, m->norms);
  mcli_free(c, m->labels);
  mcli_free(c, m->distances);
  mcli_free(c, m->bounds.upper);
  mcli_free(c, m->bounds.lower);
  memset(m, 0, sizeof *m);
}

// ---- 2: restarts --------------------------------------------------------------------------------

static void reset(mcli_state *s) {
  size_t k = (size_t)s->centres->k, numbers = k * (size_t)s->centres->dim;
  memset(s->centres->rows, 0, numbers * sizeof *s->centres->rows);
  memset(s->sums, 0, numbers * sizeof *s->sums);
  memset(s->counts, 0, k * sizeof *s->counts);
  memset(s->alive, 0, k);
  s->inertia = INFINITY;
  s->repairs = s->changed = 0;
  s->iterations = s->converged = s->bounded = 0;
}

static mcl_status seed(fit *f, mcl_error *err) {
  mcli_state *s = &f->train.state;
  reset(s);
  if (f->options->init != MCL_INIT_GIVEN) {
    mcli_watch_phase(f->train.watch, "seed", s->centres->k);
    return mcli_seed(&f->train, err);
  }
  memcpy(s->centres->rows, f->given,
         (size_t)s->centres->k * (size_t)s->centres->dim * sizeof(float));
  memset(s->alive, 1, (size_t)s->centres->k);
  return MCL_OK;
}

// The last restart's bounds are still there: where it is the best one, and all rows train, its labels
// by the last centroids cost a pass that passes over most rows.
static mcl_status settle_labels(fit *f, mcl_error *err) {
  mcli_training *t = &f->train;
  if (f->options->method != MCL_LLOYD || f->sample) return MCL_OK;
  f->labelled = 1;
  if (t->state.bounded && t->state.changed == 0) return MCL_OK; // no centroid has moved
  return mcli_pass(t, &t->members, err);
}

static mcl_status run_restarts(fit *f, mcl_error *err) {
  const mcl_kmeans_options *o = f->options;
  mcli_training *t = &f->train;
  uint32_t restarts = o->init == MCL_INIT_GIVEN ? 1 : (uint32_t)o->restarts;
  int64_t total = (int64_t)restarts * o->max_iterations;
  for (t->restart = 0; t->restart < restarts; t->restart++) {
    mcl_status s = seed(f, err);
    if (s < 0) return s;
    mcli_watch_phase(t->watch, "fit", total);
    s = o->method == MCL_LLOYD ? mcli_lloyd(t, err) : mcli_minibatch(t, err);
    if (s < 0) return s;
    if (t->restart > 0 && !(t->state.inertia < f->best.inertia)) continue;
    if (t->restart + 1 == restarts) s = settle_labels(f, err);
    if (s < 0) return s;
    mcli_state kept = t->state;
    t->state = f->best;
    f->best = kept;
  }
  return mcli_watch_tell(t->watch, total, f->best.inertia, err);
}

// Mini-batches are gathered by every rank, which does the whole step.
static mcl_status open_tree(fit *f, mcl_error *err) {
  const mcl_kmeans_options *o = f->options;
  mcli_grid grid = f->training.grid;
  mcl_comm *comm = o->method == MCL_LLOYD ? f->all.comm : NULL;
  if (o->method != MCL_LLOYD) grid = mcli_grid_make(NULL, mcli_batch_rows(o, grid.rows));
  return mcli_tree_open(f->context, comm, &grid, o->k, f->all.rows.dim, &f->train.tree, err);
}

static mcl_status train(fit *f, mcl_error *err) {
  mcl_context *c = f->context;
  mcli_training *t = &f->train;
  const mcl_kmeans_options *o = f->options;
  int32_t dim = f->all.rows.dim;
  t->context = c;
  t->options = o;
  int32_t groups = 0;
  mcl_status s = mcli_budget_groups(o, &f->all, &groups, err);
  if (s == MCL_OK) s = open_training(f, err);
  if (s < 0) return s;
  // A mini-batch has fewer segments than all rows, but maybe more than this rank's share of them.
  t->n_slots =
      mcli_workers(c) < f->training.grid.segments ? mcli_workers(c) : f->training.grid.segments;
  s = open_members(c, &f->training, &t->members, err);
  if (s == MCL_OK) s = mcli_state_open(c, o->k, dim, o->metric, groups, &t->state, err);
  if (s == MCL_OK && o->method == MCL_LLOYD && groups > 0)
    s = open_bounds(c, &t->members, &t->state.groups, err);
  if (s == MCL_OK) s = mcli_state_open(c, o->k, dim, o->metric, groups, &f->best, err);
  if (s == MCL_OK) s = mcli_slots_open(c, t->n_slots, o->k, dim, &t->slots, err);
  if (s == MCL_OK) s = open_tree(f, err);
  if (s == MCL_OK)
    s = mcli_survey(c, &f->training, o->metric, t->members.norms, &t->variance, &t->squares, err);
  if (s < 0) return s;
  f->training.finite = 1;
  s = run_restarts(f, err);
  mcli_slots_close(c, t->slots, t->n_slots);
  mcli_tree_close(c, &t->tree);
  t->slots = NULL;
  return s;
}

// ---- 3: all rows --------------------------------------------------------------------------------

static mcl_status label_once(fit *f, mcli_members *m, mcl_error *err) {
  mcli_tally tally = {.counts = f->best.counts};
  memset(tally.counts, 0, (size_t)f->best.centres->k * sizeof *tally.counts);
  mcli_centres_prepare(f->context, f->best.centres, f->best.alive);
  mcl_status s = mcli_label(f->context, f->best.centres, m->sweep, f->train.watch, f->labelled,
                            m->labels, m->distances, m->norms, &tally, err);
  f->labelled = 0; // what is mended now changes them
  double rows = (double)m->sweep->rows.rows;
  f->zero_rows = tally.zero_rows;
  f->inertia = tally.inertia / rows;
  f->cosine = tally.cosine / rows;
  return s;
}

static mcl_status label_all(fit *f, mcl_error *err) {
  mcli_members *m = &f->train.members;
  mcl_status s = MCL_OK;
  if (f->sample) {
    close_members(f->context, m);
    s = open_members(f->context, &f->all, m, err);
  }
  for (int round = 0; s == MCL_OK; round++) {
    mcli_watch_phase(f->train.watch, "assign", m->sweep->blocks);
    s = label_once(f, m, err);
    int64_t repairs = f->best.repairs;
    if (s < 0 || round == MOST_ROUNDS) break;
    s = mcli_repair(f->context, f->options->empty, m, &f->best, 0, err);
    if (f->best.repairs == repairs) break;
  }
  return s;
}

// ---- 4: the result ------------------------------------------------------------------------------

static mcl_status report(fit *f, mcli_fitted **out, mcl_error *err) {
  const mcli_state *best = &f->best;
  int32_t kept = 0, dim = best->centres->dim, k = best->centres->k;
  for (int32_t j = 0; j < k; j++) kept += best->counts[j] > 0;
  mcli_centres *centres;
  mcli_fitted *fitted;
  mcl_status s =
      mcli_centres_new(f->context, kept ? kept : 1, dim, f->options->metric, &centres, err);
  if (s < 0) return s;
  memcpy(centres->rows, best->centres->rows, (size_t)dim * sizeof *centres->rows); // kept == 0
  for (int32_t j = 0, to = 0; j < k; j++)
    if (best->counts[j] > 0)
      memcpy(centres->rows + (int64_t)to++ * dim, best->centres->rows + (int64_t)j * dim,
             (size_t)dim * sizeof *centres->rows);
  s = mcli_kmeans_fitted(f->context, k, centres, &fitted, err);
  if (s < 0) return s;
  for (int32_t j = 0, to = 0; j < k; j++)
    if (best->counts[j] > 0) fitted->sizes[to++] = best->counts[j];
  fitted->sizes[0] += f->zero_rows;
  fitted->counted = 1;
  mcl_clusterer_report *r = &fitted->report;
  r->rows = f->all.rows.rows;
  r->repairs = best->repairs;
  r->zero_rows = f->zero_rows;
  r->iterations = best->iterations;
  r->converged = best->converged;
  r->inertia = f->inertia;
  r->mean_cosine = f->cosine;
  mcli_fitted_balance(fitted);
  *out = fitted;
  return MCL_OK;
}

mcl_status mcli_fit(mcl_context *c, mcl_comm *comm, const mcl_kmeans_options *o, const float *given,
                    const mcl_rows *rows, mcli_watch *w, mcli_fitted **out, mcl_error *err) {
  fit f = {.context = c, .options = o, .given = given, .train = {.watch = w}};
  mcli_fitted *fitted = NULL;
  int64_t distinct = 0;
  mcl_status s = mcli_sweep_open(c, comm, rows, &f.all, err);
  if (s == MCL_OK) s = train(&f, err);
  if (s == MCL_OK) s = label_all(&f, err);
  if (s == MCL_OK) s = mcli_count_distinct(c, &f.all, o->metric, o->k, &distinct, err);
  if (s == MCL_OK) s = report(&f, &fitted, err);
  if (s == MCL_OK) {
    fitted->report.distinct = distinct;
    *out = fitted;
  }
  mcli_slots_close(c, f.train.slots, f.train.n_slots);
  mcli_tree_close(c, &f.train.tree);
  close_members(c, &f.train.members);
  mcli_state_close(c, &f.train.state);
  mcli_state_close(c, &f.best);
  mcli_free(c, f.sample);
  mcli_sweep_close(&f.training);
  mcli_sweep_close(&f.all);
  return s;
}
