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
// Rows are cut into PARTS parts, which run at once. A part goes through its rows in blocks that stay in the cache, scores
// and gradient in float32, and adds the blocks up in double; the parts are added in order. Of an array the standardised rows
// are held; rows from elsewhere are read and standardised (1) in every evaluation, to the same bits (source.h).
//
// Classes lie in panels of 16, as math/scores.h wants them, the last one filled up: a class that is not there has weights 0
// and so low a bias that its p is 0, hence gradients 0, and it stays so.
#include <math.h>
#include <string.h>

#include "math/rows.h"
#include "math/scores.h"
#include "probe/lbfgs.h"
#include "probe/probe.h"

// Parts: enough to keep many cores busy evenly; each has a gradient of its own, so few where those are large.
enum { PARTS = 64, PARTS_LEAST = 4, PART_DOUBLES = 1 << 22 };
// The bias of a class that is not there: no score of one that is comes near.
static const float ABSENT = -1e30F;

typedef struct fit {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const mcli_scores_kernels *scores;
  const mcl_probe_options *options;
  mcli_watch *watch;
  mcli_source train, test;
  const int32_t *y, *test_y;
  int64_t dim, classes, parts;
  int64_t panels, lanes; // of classes; lanes: 16 panels
  int32_t *class_of;     // [PROBE_LABELS]: class of a label, -1: not in training
  int32_t *label_of;     // [classes], rising
  float *shift;          // [dim]: the first row
  double *mean, *scale;  // [dim]; scale: 1 / sd, 0 for a constant feature
  float *weights, *bias; // this evaluation's point: -W as [panels, dim, 16]; [lanes]
  double *gradients;     // [parts, lanes * (dim + 1)]: weights as above, then bias
  double *losses;        // [parts]
  int64_t *correct;      // [workers]
  float *logits;         // [workers, SOURCE_ROWS, lanes]
  float *product;        // [workers, lanes * dim]: a block's gradient
} fit;

static mcl_status pass(fit *f, mcli_source *source, int64_t parts, mcli_source_fn fn,
                       mcl_error *err) {
  mcli_source_pass p = {source, 0, source->rows.rows, parts, fn, f};
  return mcli_source_run(&p, f->watch, err);
}

// ---- standardisation -------------------------------------------------------------------------------------

// Sums of (z - shift) and its square over one part, shift being the first row: a constant feature then has the sum
// 0 exactly, and a large common offset costs no digits.
static void moments_block(void *job, const mcli_source_block *b) {
  fit *f = job;
  int64_t dim = f->dim;
  double *sum = f->gradients + b->part * 2 * dim, *squares = sum + dim;
  if (b->number == 0) memset(sum, 0, (size_t)(2 * dim) * sizeof *sum);
  for (int64_t i = 0; i < b->n; i++) {
    const float *row = b->x + i * dim;
    for (int64_t k = 0; k < dim; k++) {
      double d = (double)row[k] - (double)f->shift[k];
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

static void standardise_block(void *job, const mcli_source_block *b) {
  standardise(job, b->x, b->n);
}

static mcl_status standardise_all(fit *f, mcl_error *err) {
  mcl_status s = mcli_source_row(&f->train, 0, f->shift, err);
  if (s == MCL_OK) s = pass(f, &f->train, f->parts, moments_block, err);
  if (s < 0) return s;
  double n = (double)f->train.rows.rows;
  for (int64_t k = 0; k < f->dim; k++) {
    double sum = 0, squares = 0;
    for (int64_t t = 0; t < f->parts; t++) {
      sum += f->gradients[t * 2 * f->dim + k];
      squares += f->gradients[t * 2 * f->dim + f->dim + k];
    }
    double variance = squares / n - (sum / n) * (sum / n);
    f->mean[k] = (double)f->shift[k] + sum / n;
    f->scale[k] = squares > 0 && variance > 0 ? 1 / sqrt(variance) : 0;
  }
  return f->train.held ? pass(f, &f->train, f->parts, standardise_block, err) : MCL_OK;
}

// ---- the function to minimise ------------------------------------------------------------------------------

static void logits_of(const fit *f, const float *x, int64_t n, float *logits) {
  f->scores->score(x, n, f->dim, f->weights, f->panels, f->bias, logits);
}

// Logits become p - onehot; returns the sum of -log p[y] (2), (3).
static double residuals(const fit *f, const int32_t *y, int64_t n, float *logits) {
  double loss = 0;
  for (int64_t i = 0; i < n; i++, logits += f->lanes) {
    int32_t class = f->class_of[y[i]];
    float own = logits[class];
    loss += (double)mcli_softmax(f->context, logits, f->lanes) - (double)own;
    logits[class] -= 1;
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

static void evaluate_block(void *job, const mcli_source_block *b) {
  fit *f = job;
  int64_t size = f->lanes * (f->dim + 1);
  double *gradient = f->gradients + b->part * size;
  float *logits = f->logits + (int64_t)b->worker * SOURCE_ROWS * f->lanes;
  if (b->number == 0) {
    memset(gradient, 0, (size_t)size * sizeof *gradient);
    f->losses[b->part] = 0;
  }
  if (!f->train.held) standardise(f, b->x, b->n);
  logits_of(f, b->x, b->n, logits);
  f->losses[b->part] += residuals(f, f->y + b->first, b->n, logits);
  add_gradient(f, b->x, logits, b->n, f->product + (int64_t)b->worker * f->lanes * f->dim,
               gradient);
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
  mcl_status s = pass(f, &f->train, f->parts, evaluate_block, err);
  if (s < 0) return s;
  double n = (double)f->train.rows.rows, loss = 0, squares = 0;
  memset(gradient, 0, (size_t)all * sizeof *gradient);
  for (int64_t t = 0; t < f->parts; t++) {
    loss += f->losses[t];
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

// Rows of the test set a part, a few blocks: a task each would cost more than the block at few classes.
enum { TEST_ROWS = 4 * SOURCE_ROWS };

static void test_block(void *job, const mcli_source_block *b) {
  fit *f = job;
  float *logits = f->logits + (int64_t)b->worker * SOURCE_ROWS * f->lanes;
  standardise(f, b->x, b->n);
  logits_of(f, b->x, b->n, logits);
  for (int64_t i = 0; i < b->n; i++) {
    int64_t best = f->kernels->argmax(logits + i * f->lanes, f->lanes);
    f->correct[b->worker] += f->label_of[best] == f->test_y[b->first + i];
  }
}

static mcl_status test(fit *f, int64_t *correct, mcl_error *err) {
  uint32_t parts = mcli_blocks(f->test.rows.rows, TEST_ROWS);
  mcl_status s = pass(f, &f->test, parts, test_block, err);
  *correct = 0;
  for (uint32_t w = 0; s == MCL_OK && w < mcli_workers(f->context); w++) *correct += f->correct[w];
  return s == MCL_OK ? mcli_watch_tell(f->watch, f->watch->now.total, (double)NAN, err) : s;
}

// ---- the call ----------------------------------------------------------------------------------------------

// Numbers the labels that occur in y from 0, in rising order.
static mcl_status make_classes(fit *f, mcl_error *err) {
  f->class_of = MCLI_NEW(f->context, int32_t, PROBE_LABELS);
  if (!f->class_of) return mcli_nomem(err, "the labels");
  memset(f->class_of, 0xFF, PROBE_LABELS * sizeof *f->class_of);
  for (int64_t i = 0; i < f->train.rows.rows; i++) f->class_of[f->y[i]] = 0;
  for (int32_t l = 0; l < PROBE_LABELS; l++)
    if (f->class_of[l] == 0) f->class_of[l] = (int32_t)f->classes++;
  f->label_of = MCLI_NEW(f->context, int32_t, f->classes);
  if (!f->label_of) return mcli_nomem(err, "the labels");
  for (int32_t l = 0; l < PROBE_LABELS; l++)
    if (f->class_of[l] >= 0) f->label_of[f->class_of[l]] = l;
  return MCL_OK;
}

// At least `least` and at most PARTS, within the budget of doubles.
static int64_t parts_for(int64_t rows, int64_t gradient) {
  int64_t parts = PART_DOUBLES / gradient, blocks = mcli_blocks(rows, SOURCE_ROWS);
  if (parts < PARTS_LEAST) parts = PARTS_LEAST;
  if (parts > PARTS) parts = PARTS;
  return parts < blocks ? parts : blocks;
}

static mcl_status allocate(fit *f, mcl_error *err) {
  mcl_context *c = f->context;
  f->panels = mcli_panels(f->classes);
  f->lanes = f->panels * MCLI_PANEL;
  int64_t size, gradients, dim = f->dim, workers = mcli_workers(c);
  if (!mcli_mul(f->lanes, dim + 1, &size))
    return mcli_fail(err, MCL_E_LIMIT, "%lld classes of %lld features are too many",
                     (long long)f->classes, (long long)dim);
  f->parts = parts_for(f->train.rows.rows, size);
  if (!mcli_mul(size, f->parts, &gradients))
    return mcli_fail(err, MCL_E_LIMIT, "%lld classes of %lld features are too many",
                     (long long)f->classes, (long long)dim);
  f->shift = MCLI_NEW(c, float, dim);
  f->mean = MCLI_NEW(c, double, dim);
  f->scale = MCLI_NEW(c, double, dim);
  f->weights = MCLI_NEW(c, float, size);
  f->bias = MCLI_NEW(c, float, f->lanes);
  f->gradients = MCLI_NEW(c, double, gradients);
  f->losses = MCLI_NEW(c, double, f->parts);
  f->correct = MCLI_NEW0(c, int64_t, workers);
  f->logits = mcli_probe_scratch(c, SOURCE_ROWS * f->lanes);
  f->product = mcli_probe_scratch(c, f->lanes * dim);
  if (!f->shift || !f->mean || !f->scale || !f->weights || !f->bias || !f->gradients ||
      !f->losses || !f->correct || !f->logits || !f->product)
    return mcli_nomem(err, "the linear probe");
  return MCL_OK;
}

static void release(fit *f) {
  void *all[] = {f->class_of, f->label_of, f->shift,     f->mean,    f->scale,  f->weights,
                 f->bias,     f->losses,   f->gradients, f->correct, f->logits, f->product};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mcli_free(f->context, all[i]);
  mcli_source_stop(&f->train);
  mcli_source_stop(&f->test);
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
    mcli_watch_phase(f->watch, "test", f->test.rows.rows);
    s = test(f, correct, err);
  }
  mcli_free(f->context, point);
  return s;
}

mcl_status mcl_probe_linear_rows(mcl_context *context, const mcl_probe_options *options,
                                 const mcl_rows *z, const int32_t *y, const mcl_rows *test_z,
                                 const int32_t *test_y, const mcl_monitor *monitor,
                                 mcl_probe_result *out, mcl_error *err) {
  mcl_probe_options o;
  mcli_watch watch;
  mcli_lbfgs_outcome outcome;
  fit f = {.context = context, .options = &o, .watch = &watch, .y = y, .test_y = test_y};
  int64_t correct = 0;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK)
    s = mcli_probe_halves_open(context, z, y, test_z, test_y, &f.train, &f.test, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, monitor, "fit", o.max_iterations, err);
  if (s < 0) return s;
  f.kernels = mcli_rows_kernels_of(context);
  f.scores = mcli_scores_kernels_of(context);
  f.dim = f.train.rows.dim;
  int64_t rows = f.train.rows.rows, tests = f.test.rows.rows;
  s = mcli_source_start(&f.test, tests, 0, err);
  if (s == MCL_OK) s = mcli_source_finite(&f.test, 0, tests, err);
  if (s == MCL_OK) s = mcli_source_start(&f.train, rows, f.train.rows.array != NULL, err);
  if (s == MCL_OK) s = make_classes(&f, err);
  if (s == MCL_OK) s = allocate(&f, err);
  if (s == MCL_OK) s = standardise_all(&f, err);
  if (s == MCL_OK) s = fit_and_test(&f, &outcome, &correct, err);
  if (s == MCL_OK) {
    mcl_probe_result r = mcli_probe_share(correct, tests, o.confidence);
    r.iterations = outcome.iterations;
    r.converged = outcome.converged;
    s = mcli_struct_out(out, &r, sizeof r, "out", err);
  }
  release(&f);
  return s == MCL_OK ? mcl_ok(err) : s;
}

mcl_status mcl_probe_linear(mcl_context *context, const mcl_probe_options *options,
                            const mcl_array *z, const int32_t *y, const mcl_array *test_z,
                            const int32_t *test_y, const mcl_monitor *monitor,
                            mcl_probe_result *out, mcl_error *err) {
  mcl_rows train, test;
  return mcl_probe_linear_rows(context, options, mcli_source_of(z, &train), y,
                               mcli_source_of(test_z, &test), test_y, monitor, out, err);
}
