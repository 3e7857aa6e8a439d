// Arguments, copies and intervals of all probes.
//
// Wilson's interval for x successes of n, with z the two-sided quantile of the normal distribution at the wanted
// confidence (Brown, Cai & DasGupta 2001, eq. 4):
//
//   p = x / n
//   centre = (p + z^2 / 2n) / (1 + z^2 / n)                                  (1)
//   half   = z sqrt(p (1 - p) / n + z^2 / 4n^2) / (1 + z^2 / n)              (2)
//
// The usual p +- z sqrt(p (1 - p) / n) was rejected: it is empty at 0 and 1, where the 15 pairs of an MMVP category often end.
#include "probe/probe.h"

#include <math.h>
#include <string.h>

#include "math/rows.h"
#include "math/scores.h"

static const mcl_probe_options defaults = {
    .struct_size = sizeof defaults,
    .neighbours = 20,       // as in the experiments of docs/evidence.md
    .max_iterations = 2000, // ends only what will not converge: some hundreds are usual
    .l2 = 1e-6,             // keeps separable classes from running off, moves no accuracy
    // Of standardised features. At 1e-5 the minimum is 2 % off where classes are separable and the accuracy up to a
    // quarter of a point; below 1e-7 float32 sums stop the search (tests/golden/probe.py's sets).
    .gradient_tolerance = 1e-6,
    .confidence = 0.95,
};

void mcl_probe_options_init(mcl_probe_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

mcl_status mcli_probe_begin(const mcl_context *context, const mcl_probe_options *from,
                            mcl_probe_options *to, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  *to = defaults;
  mcl_status s = mcli_options_copy(to, sizeof *to, from, "options", err);
  if (s < 0) return s;
  if (to->neighbours < 1)
    return mcli_fail(err, MCL_E_INVALID, "neighbours is %d, it must be at least 1",
                     (int)to->neighbours);
  if (to->max_iterations < 1)
    return mcli_fail(err, MCL_E_INVALID, "max_iterations is %d, it must be at least 1",
                     (int)to->max_iterations);
  if (!(to->l2 >= 0) || isinf(to->l2))
    return mcli_fail(err, MCL_E_INVALID, "l2 is %g, it must be finite and at least 0", to->l2);
  if (!(to->gradient_tolerance > 0) || isinf(to->gradient_tolerance))
    return mcli_fail(err, MCL_E_INVALID, "gradient_tolerance is %g, it must be finite and above 0",
                     to->gradient_tolerance);
  if (!(to->confidence > 0 && to->confidence < 1))
    return mcli_fail(err, MCL_E_INVALID, "confidence is %g, it must lie between 0 and 1",
                     to->confidence);
  return MCL_OK;
}

mcl_status mcli_probe_result_check(const mcl_probe_result *out, mcl_error *err) {
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_probe_result scratch;
  memset(&scratch, 0, sizeof scratch);
  return mcli_options_copy(&scratch, sizeof scratch, out, "out", err);
}

mcl_status mcli_probe_matrix_check(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                                   mcl_error *err) {
  mcl_status s = mcli_matrix_check(a, name, rows, cols, err);
  if (s < 0) return s;
  if (a->shape[0] < 1 || a->shape[1] < 1)
    return mcli_fail(err, MCL_E_SHAPE, "%s is [%lld, %lld]: at least one row and column are needed",
                     name, (long long)a->shape[0], (long long)a->shape[1]);
  return MCL_OK;
}

mcl_status mcli_probe_labels_check(const int32_t *y, int64_t n, const char *name, mcl_error *err) {
  if (!y) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", name);
  for (int64_t i = 0; i < n; i++)
    if (y[i] < 0 || y[i] >= PROBE_LABELS)
      return mcli_fail_row(err, MCL_E_INVALID, i, "%s[%lld] is %d, labels are 0..%d", name,
                           (long long)i, (int)y[i], PROBE_LABELS - 1);
  return MCL_OK;
}

mcl_status mcli_probe_side_open(mcl_context *c, const mcl_rows *rows, const char *name,
                                int64_t cols, mcli_source *side, mcl_error *err) {
  mcl_status s = mcli_source_open(c, rows, name, cols, side, err);
  if (s < 0 || side->rows.rows > 0) return s;
  return mcli_fail(err, MCL_E_SHAPE, "%s is [0, %d]: at least one row is needed", name,
                   (int)side->rows.dim);
}

mcl_status mcli_probe_halves_open(mcl_context *c, const mcl_rows *z, const int32_t *y,
                                  const mcl_rows *test_z, const int32_t *test_y, mcli_source *train,
                                  mcli_source *test, mcl_error *err) {
  mcl_status s = mcli_probe_side_open(c, z, "z", -1, train, err);
  if (s == MCL_OK) s = mcli_probe_side_open(c, test_z, "test_z", train->rows.dim, test, err);
  if (s == MCL_OK) s = mcli_probe_labels_check(y, train->rows.rows, "y", err);
  if (s == MCL_OK) s = mcli_probe_labels_check(test_y, test->rows.rows, "test_y", err);
  return s;
}

// ---- shares ----------------------------------------------------------------------------------------------

// The z with P(|N(0, 1)| <= z) = confidence, that is erfc(z / sqrt 2) = 1 - confidence: halving [0, 40] until doubles
// end. erfc underflows near 38, where every confidence a double can hold has long been passed.
static double normal_quantile(double confidence) {
  double low = 0, high = 40;
  for (int i = 0; i < 100; i++) {
    double middle = (low + high) / 2;
    if (erfc(middle / sqrt(2.0)) > 1 - confidence)
      low = middle;
    else
      high = middle;
  }
  return (low + high) / 2;
}

mcl_probe_result mcli_probe_share(int64_t correct, int64_t total, double confidence) {
  mcl_probe_result r = {.struct_size = sizeof r,
                        .value = (double)NAN,
                        .low = 0,
                        .high = 1,
                        .correct = correct,
                        .total = total,
                        .converged = 1};
  if (total == 0) return r;
  double n = (double)total, p = (double)correct / n, z = normal_quantile(confidence), zz = z * z;
  double centre = (p + zz / (2 * n)) / (1 + zz / n);                         // (1)
  double half = z * sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n); // (2)
  r.value = p;
  // At 0 and at n the two terms are equal but for rounding.
  r.low = correct == 0 ? 0 : fmax(0, centre - half);
  r.high = correct == total ? 1 : fmin(1, centre + half);
  return r;
}

// ---- copies ----------------------------------------------------------------------------------------------

void mcli_probe_fill_block(void *job, const mcli_source_block *b) {
  const mcli_probe_fill *f = job;
  mcl_context *c = f->source->context;
  int64_t dim = f->source->rows.dim;
  float *out = f->out + (b->first - f->first) * dim;
  if (f->how == PROBE_AS_GIVEN) {
    memcpy(out, b->x, (size_t)(b->n * dim) * sizeof *out);
  } else if (f->how == PROBE_PACKED) {
    mcli_normalise(c, b->x, b->n, dim, b->x, NULL);
    mcli_scores_pack(b->x, b->n, dim, out);
  } else {
    mcli_normalise(c, b->x, b->n, dim, out, NULL);
    if (f->how == PROBE_NEGATED) mcli_rows_kernels_of(c)->scale(-1, out, b->n * dim);
  }
}

mcl_status mcli_probe_fill_rows(const mcli_probe_fill *f, int64_t n, mcl_error *err) {
  mcli_probe_fill mine = *f;
  mcli_source_pass p = {f->source, f->first, n, 0, mcli_probe_fill_block, &mine};
  return mcli_source_run(&p, NULL, err);
}

mcl_status mcli_probe_copy(mcl_context *c, const mcl_array *a, const char *name, int how,
                           float **out, mcl_error *err) {
  mcl_rows rows;
  mcli_source source;
  int64_t size;
  *out = NULL;
  mcl_status s = mcli_source_open(c, mcli_source_of(a, &rows), name, -1, &source, err);
  if (s < 0) return s;
  if (!mcli_mul(mcli_panels(source.rows.rows) * MCLI_PANEL, source.rows.dim, &size))
    return mcli_fail(err, MCL_E_LIMIT, "%s has too many numbers", name);
  s = mcli_source_start(&source, source.rows.rows, 0, err);
  if (s < 0) return s;
  *out = MCLI_NEW(c, float, size);
  mcli_probe_fill f = {&source, 0, *out, how};
  s = *out ? mcli_probe_fill_rows(&f, source.rows.rows, err) : mcli_nomem(err, name);
  if (s < 0) {
    mcli_free(c, *out);
    *out = NULL;
  }
  mcli_source_stop(&source);
  return s;
}

float *mcli_probe_scratch(mcl_context *c, int64_t n) {
  int64_t size;
  return mcli_mul(n, mcli_workers(c), &size) ? MCLI_NEW(c, float, size) : NULL;
}

// ---- tiles -----------------------------------------------------------------------------------------------

void mcli_probe_unpack(const float *packed, int64_t i, int64_t dim, float *row) {
  const float *from = packed + i / MCLI_PANEL * MCLI_PANEL * dim + i % MCLI_PANEL;
  for (int64_t d = 0; d < dim; d++) row[d] = from[d * MCLI_PANEL];
}

int64_t mcli_probe_tile(const mcl_context *c, const float *queries, int64_t n, int64_t dim,
                        const float *packed, int64_t first, int64_t rows, float *out) {
  static const float no_bias[PROBE_TILE];
  int64_t panels = mcli_panels(rows - first < PROBE_TILE ? rows - first : PROBE_TILE);
  mcli_scores_kernels_of(c)->score(queries, n, dim, packed + first * dim, panels, no_bias, out);
  return panels * MCLI_PANEL;
}
