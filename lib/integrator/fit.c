// Weights from labelled rows: the criterion's least cost over one number a stage.
//
//   t = arg min cost(t)                  by L-BFGS, the best of several starts      (1)
//   w_s = max( exp(t_s - max t), 2^-10 )                                            (2)
//
// Starts: all stages alike, and for MCL_WEIGHTS_NEIGHBOURS, which has several minima, each stage ahead of the others. The
// weights at hand are none of them, so that fitting twice gives the same. The weights before are compared at their best
// common scale: cosines do not know it.
//
// A search over a grid of weights by leave-one-out accuracy was rejected: a hundred rows have a hundred steps of accuracy, many
// weights tie, and the ties differ by a tenth in other rows (docs/design.md).
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "integrator/criterion.h"
#include "integrator/integrator.h"
#include "math/array.h"
#include "math/rows.h"
#include "probe/lbfgs.h"

// Ahead: a hundred times the others' square. More, and the others' slopes vanish; less, and it is the first start again.
static const double AHEAD = 100;
// Of the cost by a log weight. The slope of a useless stage falls with its squared weight: at 1e-6 it would stop above the
// floor. Sums are in double, so that less is no noise.
static const double TOLERANCE = 1e-7;
// (2)
static const double FLOOR = 1.0 / 1024;
// Rows of cosines a task.
enum { BLOCK = 8 };

static const mcl_weights_options defaults = {.struct_size = sizeof defaults,
                                             .method = MCL_WEIGHTS_NEIGHBOURS,
                                             .neighbours = 5,
                                             .max_iterations = 200,
                                             .penalty = 1e-3};

void mcl_weights_options_init(mcl_weights_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

typedef struct fit {
  const mcl_integrator *integrator;
  mcl_weights_options o;
  mcli_criterion criterion;
  mcli_watch watch;
  int64_t start, starts;
  float *rows, *cosines; // [n, dim], each stage's part of length 1; [stages, n, n]
  double *theta, *best;  // [stages]: where a search is, the best end so far
  double *base, *slope;  // [stages]: what a common scale is added to, and the slopes there
  mcl_weights_report report;
} fit;

// ---- cosines -----------------------------------------------------------------------------------------------

static void normalise_parts(const fit *f, float *part) {
  const mcl_integrator *g = f->integrator;
  for (int64_t i = 0; i < f->criterion.rows; i++)
    for (int32_t s = 0; s < g->stages; s++) {
      float *of = f->rows + i * g->dim + g->stage[s].first;
      mcli_normalise(g->context, of, 1, g->stage[s].dim, part, NULL);
      memcpy(of, part, (size_t)g->stage[s].dim * sizeof *part);
    }
}

static void cosines_task(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const fit *f = job;
  const mcl_integrator *g = f->integrator;
  const mcli_rows_kernels *k = mcli_rows_kernels_of(g->context);
  int64_t n = f->criterion.rows, first = (int64_t)task * BLOCK;
  int64_t end = first + BLOCK < n ? first + BLOCK : n;
  for (int32_t s = 0; s < g->stages; s++) {
    const float *z = f->rows + g->stage[s].first;
    float *c = f->cosines + (int64_t)s * n * n;
    for (int64_t i = first; i < end; i++)
      for (int64_t j = 0; j < n; j++)
        c[i * n + j] = k->dot(z + i * g->dim, z + j * g->dim, g->stage[s].dim);
  }
}

static mcl_status allocate(fit *f, mcl_error *err) {
  const mcl_integrator *g = f->integrator;
  int64_t n = f->criterion.rows, pairs, cosines, numbers;
  if (!mcli_mul(n, n, &pairs) || !mcli_mul(pairs, g->stages, &cosines) ||
      !mcli_mul(n, g->dim, &numbers))
    return mcli_fail(err, MCL_E_LIMIT, "%lld rows are too many", (long long)n);
  f->rows = MCLI_NEW(g->context, float, numbers);
  f->cosines = MCLI_NEW(g->context, float, cosines);
  f->theta = MCLI_NEW(g->context, double, 4 * (int64_t)g->stages);
  if (!f->rows || !f->cosines || !f->theta) return mcli_nomem(err, "cosines");
  f->best = f->theta + g->stages;
  f->base = f->best + g->stages;
  f->slope = f->base + g->stages;
  f->criterion.cosines = f->cosines;
  return mcli_criterion_open(&f->criterion, err);
}

static mcl_status make_cosines(fit *f, const mcl_array *rows, mcl_error *err) {
  const mcl_integrator *g = f->integrator;
  int64_t n = f->criterion.rows;
  mcli_array_load(rows, 0, n, f->rows);
  int64_t bad = mcli_first_not_finite(f->rows, n, g->dim);
  if (bad >= 0)
    return mcli_fail_row(err, MCL_E_NOT_FINITE, bad, "row %lld of rows is not finite",
                         (long long)bad);
  float *part = MCLI_NEW(g->context, float, g->dim);
  if (!part) return mcli_nomem(err, "a row");
  normalise_parts(f, part);
  mcli_free(g->context, part);
  return mcli_parallel(g->context, mcli_blocks(n, BLOCK), cosines_task, f, err);
}

// ---- the search --------------------------------------------------------------------------------------------

static mcl_status cost_of_weights(void *user, const double *x, double *value, double *gradient,
                                  mcl_error *err) {
  double without;
  return mcli_criterion_evaluate(&((fit *)user)->criterion, x, &without, value, gradient, err);
}

// Of one number: the common scale on top of base.
static mcl_status cost_of_scale(void *user, const double *x, double *value, double *gradient,
                                mcl_error *err) {
  fit *f = user;
  double without;
  for (int32_t s = 0; s < f->criterion.stages; s++) f->theta[s] = f->base[s] + x[0];
  mcl_status status =
      mcli_criterion_evaluate(&f->criterion, f->theta, &without, value, f->slope, err);
  *gradient = 0;
  for (int32_t s = 0; s < f->criterion.stages; s++) *gradient += f->slope[s];
  return status;
}

static mcl_status told(void *user, int32_t iteration, double value, mcl_error *err) {
  (void)iteration;
  fit *f = user;
  return mcli_watch_tell(&f->watch, f->start, value, err);
}

// F at theta, at the best common scale.
static mcl_status judge(fit *f, const double *theta, double *criterion, double *accuracy,
                        mcl_error *err) {
  mcli_criterion *k = &f->criterion;
  double largest = theta[0], scale = 0.5 * log(MCLI_SQUARES_AT_START);
  for (int32_t s = 1; s < k->stages; s++) largest = fmax(largest, theta[s]);
  for (int32_t s = 0; s < k->stages; s++) f->base[s] = theta[s] - largest;
  mcli_lbfgs_problem p = {1, f, cost_of_scale, NULL, TOLERANCE, f->o.max_iterations};
  mcli_lbfgs_outcome outcome;
  int64_t correct = 0;
  mcl_status s = mcli_lbfgs(k->context, &p, &scale, &outcome, err);
  for (int32_t i = 0; i < k->stages; i++) f->theta[i] = f->base[i] + scale;
  if (s == MCL_OK) s = mcli_criterion_evaluate(k, f->theta, criterion, NULL, NULL, err);
  if (s == MCL_OK) s = mcli_leave_one_out(k, f->base, f->o.neighbours, &correct, err);
  *accuracy = (double)correct / (double)k->rows;
  return s;
}

// Start 0 is all stages alike, start s + 1 has stage s ahead.
static void begin(const fit *f, double *theta) {
  int32_t stages = f->criterion.stages;
  double rest = MCLI_SQUARES_AT_START / (f->start ? AHEAD + stages - 1 : stages);
  for (int32_t s = 0; s < stages; s++)
    theta[s] = 0.5 * log(s + 1 == f->start ? AHEAD * rest : rest);
}

static mcl_status search(fit *f, mcl_error *err) {
  mcl_context *c = f->criterion.context;
  double least = INFINITY;
  mcl_status s = MCL_OK;
  for (f->start = 0; s == MCL_OK && f->start < f->starts; f->start++) { // (1)
    mcli_lbfgs_problem p = {f->criterion.stages, f, cost_of_weights, told, TOLERANCE,
                            f->o.max_iterations};
    mcli_lbfgs_outcome outcome;
    begin(f, f->theta);
    s = mcli_lbfgs(c, &p, f->theta, &outcome, err);
    if (s == MCL_OK) s = mcli_watch_tell(&f->watch, f->start + 1, outcome.value, err);
    if (s < 0 || !(outcome.value < least)) continue;
    least = outcome.value;
    memcpy(f->best, f->theta, (size_t)f->criterion.stages * sizeof *f->best);
    f->report.iterations = outcome.iterations;
    f->report.converged = outcome.converged;
  }
  return s;
}

// (2), as logarithms.
static void put_on_floor(const fit *f) {
  int32_t stages = f->criterion.stages;
  double largest = f->best[0];
  for (int32_t s = 1; s < stages; s++) largest = fmax(largest, f->best[s]);
  for (int32_t s = 0; s < stages; s++) f->best[s] = fmax(f->best[s] - largest, log(FLOOR));
}

static mcl_status run(fit *f, const mcl_array *rows, mcl_error *err) {
  mcl_weights_report *r = &f->report;
  mcl_status s = allocate(f, err);
  if (s == MCL_OK) s = make_cosines(f, rows, err);
  if (s < 0) return s;
  r->anchors = f->criterion.anchors;
  for (int32_t i = 0; i < f->criterion.stages; i++)
    f->best[i] = log(f->integrator->stage[i].weight);
  s = judge(f, f->best, &r->criterion_before, &r->accuracy_before, err);
  if (s == MCL_OK) s = search(f, err);
  if (s < 0) return s;
  put_on_floor(f);
  return judge(f, f->best, &r->criterion, &r->accuracy, err);
}

// ---- arguments -----------------------------------------------------------------------------------------------

static mcl_status options_check(const mcl_weights_options *o, mcl_error *err) {
  if (o->method != MCL_WEIGHTS_NEIGHBOURS && o->method != MCL_WEIGHTS_CONTRASTIVE)
    return mcli_fail(err, MCL_E_INVALID, "options.method is %d", (int)o->method);
  if (o->neighbours < 1)
    return mcli_fail(err, MCL_E_INVALID, "options.neighbours is %d, at least 1 is needed",
                     (int)o->neighbours);
  if (o->max_iterations < 1)
    return mcli_fail(err, MCL_E_INVALID, "options.max_iterations is %d, at least 1 is needed",
                     (int)o->max_iterations);
  if (o->flags) return mcli_fail(err, MCL_E_UNSUPPORTED, "options.flags must be 0 in this version");
  if (!(o->penalty >= 0 && isfinite(o->penalty)))
    return mcli_fail(err, MCL_E_INVALID, "options.penalty is %g, not finite and at least 0",
                     o->penalty);
  return MCL_OK;
}

// Two labels of two rows: otherwise nothing can be told apart, or nothing be near.
static mcl_status labels_check(const int32_t *labels, int64_t n, mcl_error *err) {
  int32_t pair = -1; // a label seen twice
  bool two = false;
  for (int64_t i = 0; i < n; i++)
    if (labels[i] < 0)
      return mcli_fail_row(err, MCL_E_INVALID, i, "labels[%lld] is %d, below 0", (long long)i,
                           (int)labels[i]);
  for (int64_t i = 0; i < n && !two; i++) {
    if (labels[i] == pair) continue;
    int64_t j = i + 1;
    while (j < n && labels[j] != labels[i]) j++;
    if (j == n) continue;
    two = pair >= 0;
    pair = labels[i];
  }
  if (two) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "labels: %s has two rows or more, two are needed",
                   pair >= 0 ? "only one label" : "no label");
}

// A report that can be written, where there is one.
static mcl_status report_check(const mcl_weights_report *report, mcl_error *err) {
  mcl_weights_report scratch;
  memset(&scratch, 0, sizeof scratch);
  return mcli_options_copy(&scratch, sizeof scratch, report, "report", err);
}

static mcl_status fit_check(const mcl_integrator *g, const mcl_array *rows, const int32_t *labels,
                            mcl_error *err) {
  if (g->stages == 0) return mcli_fail(err, MCL_E_STATE, "the integrator has no stages");
  mcl_status s = mcli_matrix_check(rows, "rows", -1, g->dim, err);
  return s == MCL_OK ? labels_check(labels, rows->shape[0], err) : s;
}

static mcl_status fit_weights(mcl_integrator *g, const mcl_weights_options *o,
                              const mcl_array *rows, const int32_t *labels,
                              const mcl_monitor *monitor, mcl_weights_report *report,
                              mcl_error *err) {
  mcl_status s = fit_check(g, rows, labels, err);
  if (s < 0) return s;
  fit f = {.integrator = g, .o = *o};
  f.criterion.context = g->context;
  f.criterion.kind = o->method;
  f.criterion.stages = g->stages;
  f.criterion.rows = rows->shape[0];
  f.criterion.penalty = o->penalty;
  f.criterion.labels = labels;
  f.starts = o->method == MCL_WEIGHTS_NEIGHBOURS && g->stages > 1 ? g->stages + 1 : 1;
  s = mcli_watch_begin(&f.watch, monitor, "fit", f.starts, err);
  if (s == MCL_OK) s = run(&f, rows, err);
  if (s == MCL_OK) s = mcli_struct_out(report, &f.report, sizeof f.report, "report", err);
  for (int32_t i = 0; s == MCL_OK && i < g->stages; i++) g->stage[i].weight = exp(f.best[i]);
  mcli_criterion_free(&f.criterion);
  mcli_free(g->context, f.rows);
  mcli_free(g->context, f.cosines);
  mcli_free(g->context, f.theta);
  return s;
}

mcl_status mcl_integrator_fit_weights(mcl_integrator *integrator,
                                      const mcl_weights_options *options, const mcl_array *rows,
                                      const int32_t *labels, const mcl_monitor *monitor,
                                      mcl_weights_report *report, mcl_error *err) {
  if (!integrator) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (!labels) return mcli_fail(err, MCL_E_INVALID, "labels is NULL");
  mcl_weights_options o = defaults;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "options", err);
  if (s == MCL_OK) s = options_check(&o, err);
  if (s == MCL_OK) s = report_check(report, err);
  if (s == MCL_OK) s = mcli_guard_enter(&integrator->guard, "integrator", err);
  if (s < 0) return s;
  s = fit_weights(integrator, &o, rows, labels, monitor, report, err);
  mcli_guard_leave(&integrator->guard);
  return s == MCL_OK ? mcl_ok(err) : s;
}
