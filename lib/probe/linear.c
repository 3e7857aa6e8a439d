// Linear probe: how much of a label can a linear map read off the embedding?
//
// Multinomial logistic regression over the classes that occur among the training rows, on features standardised by them:
//
//   x_if = (z_if - mean_f) / sd_f,  0 where feature f is constant               (1)
//   p_i  = softmax(W x_i + b)                                                  (2)
//   f    = 1/n sum_i -log p_i[y_i]  +  l2 sum W^2                               (3)
//   df/dW = 1/n sum_i (p_i - onehot y_i) x_i^T + 2 l2 W                         (4)
//   df/db = 1/n sum_i (p_i - onehot y_i)                                        (5)
//
// minimised to a gradient tolerance. An early stop was rejected: an unconverged probe rewards embeddings for being well
// conditioned and has shown differences three times too large.
//
// Rows are cut into PARTS parts, a task each. A part goes through its rows in blocks that stay in the cache, scores
// and gradient in float32, and adds the blocks up in double; the parts are added in order.
//
// Classes lie in panels of 16, as math/scores.h wants them, the last one filled up: a class that is not there has weights 0
// and so low a bias that its p is 0, hence gradients 0, and it stays so.
#include <math.h>
#include <string.h>

#include "math/rows.h"
#include "math/scores.h"
#include "probe/lbfgs.h"
#include "probe/probe.h"

// Rows a block: at 128 features 256 rows are 128 KiB, which a core's second cache holds while both products read it.
enum { BLOCK = 256 };
// Parts: enough to keep many cores busy evenly; each has a gradient of its own, so few where those are large.
enum { PARTS = 64, PARTS_LEAST = 4, PART_DOUBLES = 1 << 22 };
// The bias of a class that is not there: no score of one that is comes near.
static const float ABSENT = -1e30F;

typedef struct part_sum {
  double loss;
  int64_t correct;
} part_sum;

typedef struct fit {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const mcli_scores_kernels *scores;
  const mcl_probe_options *options;
  mcli_watch *watch;
  int64_t rows, dim, classes, parts;
  int64_t panels, lanes; // of classes; lanes: 16 panels
  float *x;              // [rows, dim], standardised
  int32_t *y;            // [rows], class numbers
  int32_t *class_of;     // [PROBE_LABELS]: class of a label, -1: not in training
  int32_t *label_of;     // [classes], rising
  double *mean, *scale;  // [dim]; scale: 1 / sd, 0 for a constant feature
  float *weights, *bias; // this evaluation's point: -W as [panels, dim, 16]; [lanes]
  double *gradients;     // [parts, lanes * (dim + 1)]: weights as above, then bias
  part_sum *sums;        // [parts]
  float *logits;         // [workers, BLOCK, lanes]
  float *block;          // [workers, max(lanes, BLOCK), dim]: a gradient, or test rows
  const mcl_array *test_z;
  const int32_t *test_y;
} fit;

// ---- standardisation -------------------------------------------------------------------------------------

// Sums of (z - shift) and its square over one part, shift being the first row: a constant feature then has the sum
// 0 exactly, and a large common offset costs no digits.
static void moments_task(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  fit *f = job;
  int64_t first, n, dim = f->dim;
  mcli_part(f->rows, f->parts, task, &first, &n);
  double *sum = f->gradients + (int64_t)task * 2 * dim, *squares = sum + dim;
  memset(sum, 0, (size_t)(2 * dim) * sizeof *sum);
  for (int64_t i = first; i < first + n; i++) {
    const float *row = f->x + i * dim;
    for (int64_t k = 0; k < dim; k++) {
      double d = (double)row[k] - (double)f->x[k];
      sum[k] += d;
      squares[k] += d * d;
    }
  }
}

// A test row may be anything; beyond this it would overflow in the product, and says no more.
static const double FARTHEST = 1e15;

static void standardise(const fit *f, float *rows, int64_t n) {
  for (int64_t i = 0; i < n; i++, rows += f->dim)
    for (int64_t k = 0; k < f->dim; k++) {
      double x = ((double)rows[k] - f->mean[k]) * f->scale[k]; // (1)
      rows[k] = (float)(x < -FARTHEST ? -FARTHEST : x > FARTHEST ? FARTHEST : x);
    }
}

static void standardise_task(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  fit *f = job;
  int64_t first, n;
  mcli_part(f->rows, f->parts, task, &first, &n);
  standardise(f, f->x + first * f->dim, n);
}

static mcl_status standardise_all(fit *f, mcl_error *err) {
  mcl_status s = mcli_parallel(f->context, (uint32_t)f->parts, moments_task, f, err);
  if (s < 0) return s;
  double n = (double)f->rows;
  for (int64_t k = 0; k < f->dim; k++) {
    double sum = 0, squares = 0;
    for (int64_t t = 0; t < f->parts; t++) {
      sum += f->gradients[t * 2 * f->dim + k];
      squares += f->gradients[t * 2 * f->dim + f->dim + k];
    }
    double variance = squares / n - (sum / n) * (sum / n);
    f->mean[k] = (double)f->x[k] + sum / n;
    f->scale[k] = squares > 0 && variance > 0 ? 1 / sqrt(variance) : 0;
  }
  return mcli_parallel(f->context, (uint32_t)f->parts, standardise_task, f, err);
}

// ---- the function to minimise ------------------------------------------------------------------------------

static void logits_of(const fit *f, const float *x, int64_t n, float *logits) {
  f->scores->score(x, n, f->dim, f->weights, f->panels, f->bias, logits);
}

// Logits become p - onehot; returns the sum of -log p[y] (2), (3).
static double residuals(const fit *f, const int32_t *y, int64_t n, float *logits) {
  double loss = 0;
  for (int64_t i = 0; i < n; i++, logits += f->lanes) {
    float own = logits[y[i]];
    loss += (double)mcli_softmax(f->context, logits, f->lanes) - (double)own;
    logits[y[i]] -= 1;
  }
  return loss;
}

// Adds the gradient of n rows to `sum` (4), (5), undivided.
static void add_gradient(const fit *f, const float *x, const float *residual, int64_t n,
                         float *scratch, double *sum) {
  int64_t size = f->lanes * f->dim;
  f->scores->product(x, n, f->dim, residual, f->panels, scratch);
  f->kernels->add_scaled(1, scratch, sum, size);
  for (int64_t i = 0; i < n; i++)
    f->kernels->add_scaled(1, residual + i * f->lanes, sum + size, f->lanes);
}

static float *scratch_block(const fit *f, uint32_t worker) {
  int64_t rows = f->lanes > BLOCK ? f->lanes : BLOCK;
  return f->block + (int64_t)worker * rows * f->dim;
}

static void evaluate_task(void *job, uint32_t task, uint32_t worker) {
  fit *f = job;
  int64_t first, n, size = f->lanes * (f->dim + 1);
  mcli_part(f->rows, f->parts, task, &first, &n);
  double *gradient = f->gradients + (int64_t)task * size, loss = 0;
  float *logits = f->logits + (int64_t)worker * BLOCK * f->lanes;
  memset(gradient, 0, (size_t)size * sizeof *gradient);
  for (int64_t i = first, left = n; left > 0; i += BLOCK, left -= BLOCK) {
    int64_t m = left < BLOCK ? left : BLOCK;
    const float *x = f->x + i * f->dim;
    logits_of(f, x, m, logits);
    loss += residuals(f, f->y + i, m, logits);
    add_gradient(f, x, logits, m, scratch_block(f, worker), gradient);
  }
  f->sums[task].loss = loss;
}

static void set_point(fit *f, const double *x) {
  int64_t size = f->lanes * f->dim;
  for (int64_t k = 0; k < size; k++) f->weights[k] = -(float)x[k];
  for (int64_t k = 0; k < f->lanes; k++) f->bias[k] = k < f->classes ? (float)x[size + k] : ABSENT;
}

static mcl_status evaluate(void *user, const double *x, double *value, double *gradient,
                           mcl_error *err) {
  fit *f = user;
  int64_t size = f->lanes * f->dim, all = size + f->lanes;
  set_point(f, x);
  mcl_status s = mcli_parallel(f->context, (uint32_t)f->parts, evaluate_task, f, err);
  if (s < 0) return s;
  double n = (double)f->rows, loss = 0, squares = 0;
  memset(gradient, 0, (size_t)all * sizeof *gradient);
  for (int64_t t = 0; t < f->parts; t++) {
    loss += f->sums[t].loss;
    for (int64_t k = 0; k < all; k++) gradient[k] += f->gradients[t * all + k];
  }
  for (int64_t k = 0; k < all; k++) gradient[k] /= n;
  for (int64_t k = 0; k < size; k++) {
    squares += x[k] * x[k];
    gradient[k] += 2 * f->options->l2 * x[k];
  }
  *value = loss / n + f->options->l2 * squares;
  return MCL_OK;
}

static mcl_status told(void *user, int32_t iteration, double value, mcl_error *err) {
  fit *f = user;
  return mcli_watch_tell(f->watch, iteration, value, err);
}

// ---- test --------------------------------------------------------------------------------------------------

// Rows of the test set a task, a few blocks: a task each would cost more than the block at few classes.
enum { TEST_ROWS = 4 * BLOCK };

static void test_task(void *job, uint32_t task, uint32_t worker) {
  fit *f = job;
  int64_t end = ((int64_t)task + 1) * TEST_ROWS, rows = f->test_z->shape[0];
  float *logits = f->logits + (int64_t)worker * BLOCK * f->lanes, *x = scratch_block(f, worker);
  if (end > rows) end = rows;
  f->sums[task].correct = 0;
  for (int64_t first = (int64_t)task * TEST_ROWS; first < end; first += BLOCK) {
    int64_t n = end - first < BLOCK ? end - first : BLOCK;
    mcli_array_load(f->test_z, first, n, x);
    standardise(f, x, n);
    logits_of(f, x, n, logits);
    for (int64_t i = 0; i < n; i++) {
      int64_t best = f->kernels->argmax(logits + i * f->lanes, f->lanes);
      f->sums[task].correct += f->label_of[best] == f->test_y[first + i];
    }
  }
}

static mcl_status test(fit *f, int64_t *correct, mcl_error *err) {
  uint32_t tasks = mcli_blocks(f->test_z->shape[0], TEST_ROWS);
  mcl_status s = mcli_parallel(f->context, tasks, test_task, f, err);
  *correct = 0;
  for (uint32_t t = 0; s == MCL_OK && t < tasks; t++) *correct += f->sums[t].correct;
  return s == MCL_OK ? mcli_watch_tell(f->watch, f->watch->now.total, (double)NAN, err) : s;
}

// ---- the call ----------------------------------------------------------------------------------------------

// Numbers the labels that occur in y from 0, in rising order.
static mcl_status make_classes(fit *f, const int32_t *y, mcl_error *err) {
  f->class_of = MCLI_NEW(f->context, int32_t, PROBE_LABELS);
  f->y = MCLI_NEW(f->context, int32_t, f->rows);
  if (!f->class_of || !f->y) return mcli_nomem(err, "the labels");
  memset(f->class_of, 0xFF, PROBE_LABELS * sizeof *f->class_of);
  for (int64_t i = 0; i < f->rows; i++) f->class_of[y[i]] = 0;
  for (int32_t l = 0; l < PROBE_LABELS; l++)
    if (f->class_of[l] == 0) f->class_of[l] = (int32_t)f->classes++;
  f->label_of = MCLI_NEW(f->context, int32_t, f->classes);
  if (!f->label_of) return mcli_nomem(err, "the labels");
  for (int32_t l = 0; l < PROBE_LABELS; l++)
    if (f->class_of[l] >= 0) f->label_of[f->class_of[l]] = l;
  for (int64_t i = 0; i < f->rows; i++) f->y[i] = f->class_of[y[i]];
  return MCL_OK;
}

// At least `least` and at most PARTS, within the budget of doubles.
static int64_t parts_for(int64_t rows, int64_t gradient) {
  int64_t parts = PART_DOUBLES / gradient, blocks = mcli_blocks(rows, BLOCK);
  if (parts < PARTS_LEAST) parts = PARTS_LEAST;
  if (parts > PARTS) parts = PARTS;
  return parts < blocks ? parts : blocks;
}

static mcl_status allocate(fit *f, mcl_error *err) {
  mcl_context *c = f->context;
  f->panels = mcli_panels(f->classes);
  f->lanes = f->panels * MCLI_PANEL;
  int64_t size, tall = f->lanes > BLOCK ? f->lanes : BLOCK, scratch, gradients;
  if (!mcli_mul(f->lanes, f->dim + 1, &size) || !mcli_mul(tall, f->dim, &scratch))
    return mcli_fail(err, MCL_E_LIMIT, "%lld classes of %lld features are too many",
                     (long long)f->classes, (long long)f->dim);
  f->parts = parts_for(f->rows, size);
  if (!mcli_mul(size, f->parts, &gradients))
    return mcli_fail(err, MCL_E_LIMIT, "%lld classes of %lld features are too many",
                     (long long)f->classes, (long long)f->dim);
  int64_t tests = mcli_blocks(f->test_z->shape[0], TEST_ROWS);
  f->mean = MCLI_NEW(c, double, f->dim);
  f->scale = MCLI_NEW(c, double, f->dim);
  f->weights = MCLI_NEW(c, float, size);
  f->bias = MCLI_NEW(c, float, f->lanes);
  f->gradients = MCLI_NEW(c, double, gradients);
  f->sums = MCLI_NEW0(c, part_sum, f->parts > tests ? f->parts : tests);
  f->logits = mcli_probe_scratch(c, BLOCK * f->lanes);
  f->block = mcli_probe_scratch(c, scratch);
  if (!f->mean || !f->scale || !f->weights || !f->bias || !f->gradients || !f->sums || !f->logits ||
      !f->block)
    return mcli_nomem(err, "the linear probe");
  return MCL_OK;
}

static void release(fit *f) {
  void *all[] = {f->x,       f->y,    f->class_of,  f->label_of, f->mean,   f->scale,
                 f->weights, f->bias, f->gradients, f->sums,     f->logits, f->block};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mcli_free(f->context, all[i]);
}

static mcl_status fit_and_test(fit *f, mcli_lbfgs_outcome *o, int64_t *correct, mcl_error *err) {
  int64_t size = f->lanes * (f->dim + 1);
  double *point = MCLI_NEW0(f->context, double, size);
  if (!point) return mcli_nomem(err, "the linear probe");
  mcli_lbfgs_problem p = {
      size, f, evaluate, told, f->options->gradient_tolerance, f->options->max_iterations};
  mcl_status s = mcli_lbfgs(f->context, &p, point, o, err);
  if (s == MCL_OK) {
    // The phase has ended, earlier than feared.
    f->watch->now.total = o->iterations;
    s = mcli_watch_tell(f->watch, o->iterations, o->value, err);
  }
  if (s == MCL_OK) {
    set_point(f, point);
    mcli_watch_phase(f->watch, "test", f->test_z->shape[0]);
    s = test(f, correct, err);
  }
  mcli_free(f->context, point);
  return s;
}

mcl_status mcl_probe_linear(mcl_context *context, const mcl_probe_options *options,
                            const mcl_array *z, const int32_t *y, const mcl_array *test_z,
                            const int32_t *test_y, const mcl_monitor *monitor,
                            mcl_probe_result *out, mcl_error *err) {
  mcl_probe_options o;
  mcli_watch watch;
  mcli_lbfgs_outcome outcome;
  int64_t correct = 0;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = mcli_probe_halves_check(z, y, test_z, test_y, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, monitor, "fit", o.max_iterations, err);
  if (s < 0) return s;
  fit f = {.context = context,
           .kernels = mcli_rows_kernels_of(context),
           .scores = mcli_scores_kernels_of(context),
           .options = &o,
           .watch = &watch,
           .rows = z->shape[0],
           .dim = z->shape[1],
           .test_z = test_z,
           .test_y = test_y};
  s = mcli_probe_finite(context, test_z, "test_z", err);
  if (s == MCL_OK) s = mcli_probe_copy(context, z, "z", PROBE_AS_GIVEN, &f.x, err);
  if (s == MCL_OK) s = make_classes(&f, y, err);
  if (s == MCL_OK) s = allocate(&f, err);
  if (s == MCL_OK) s = standardise_all(&f, err);
  if (s == MCL_OK) s = fit_and_test(&f, &outcome, &correct, err);
  if (s == MCL_OK) {
    mcl_probe_result r = mcli_probe_share(correct, test_z->shape[0], o.confidence);
    r.iterations = outcome.iterations;
    r.converged = outcome.converged;
    s = mcli_struct_out(out, &r, sizeof r, "out", err);
  }
  release(&f);
  return s == MCL_OK ? mcl_ok(err) : s;
}
