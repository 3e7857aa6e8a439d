// Weights fitted by labelled rows: what they find, what they report, and what is refused.
#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/integrator.h>

static mcl_error err;

enum { ROWS = 96, STAGES = 3, DIM = 8, WIDTH = STAGES * DIM };

// Stage s shows attribute s: label (i / 4^s) % 4 as a corner, with noise. What stage 0 shows is sharpest.
typedef struct problem {
  float rows[ROWS * WIDTH];
  int32_t labels[STAGES][ROWS];
} problem;

static problem *new_problem(uint64_t seed) {
  problem *p = malloc(sizeof *p);
  test_fill_normal(p->rows, (int64_t)ROWS * WIDTH, seed);
  for (int i = 0; i < ROWS; i++)
    for (int s = 0; s < STAGES; s++) {
      int32_t label = (i >> (2 * s)) % 4;
      p->labels[s][i] = label;
      for (int d = 0; d < DIM; d++) p->rows[i * WIDTH + s * DIM + d] *= 0.25F + 0.05F * (float)s;
      p->rows[i * WIDTH + s * DIM + label] += 1;
    }
  return p;
}

static mcl_integrator *integrator(mcl_context *c, int32_t stages) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  for (int32_t s = 0; s < stages; s++) CHECK_OK(mcl_integrator_add_stage(g, NULL, DIM, 1, &err));
  return g;
}

static double weight_of(const mcl_integrator *g, int32_t stage) {
  double w = -1;
  CHECK_OK(mcl_integrator_get_weight(g, stage, &w, &err));
  return w;
}

static mcl_weights_options options_of(int32_t method) {
  mcl_weights_options o;
  mcl_weights_options_init(&o, sizeof o);
  o.method = method;
  return o;
}

static mcl_weights_report fit(mcl_integrator *g, const mcl_weights_options *o, float *rows,
                              int64_t n, const int32_t *labels) {
  mcl_weights_report r;
  mcl_struct_init(&r, sizeof r);
  mcl_array a = mcl_matrix_f32(rows, n, mcl_integrator_dim(g));
  CHECK_OK(mcl_integrator_fit_weights(g, o, &a, labels, NULL, &r, &err));
  return r;
}

START_TEST(the_stage_that_shows_the_label_gets_the_weight) {
  mcl_context *c = test_context(2);
  problem *p = new_problem(1);
  for (int32_t method = MCL_WEIGHTS_NEIGHBOURS; method <= MCL_WEIGHTS_CONTRASTIVE; method++)
    for (int32_t s = 0; s < STAGES; s++) {
      mcl_integrator *g = integrator(c, STAGES);
      mcl_weights_options o = options_of(method);
      mcl_weights_report r = fit(g, &o, p->rows, ROWS, p->labels[s]);
      for (int32_t t = 0; t < STAGES; t++)
        ck_assert(t == s ? weight_of(g, t) == 1 : weight_of(g, t) < 0.5);
      ck_assert(r.criterion < r.criterion_before && r.accuracy > r.accuracy_before);
      ck_assert_double_gt(r.accuracy, 0.8);
      ck_assert(r.anchors == ROWS && r.iterations > 0 && r.converged == 1);
      ck_assert_int_lt(r.iterations, 40);
      mcl_integrator_unref(g);
    }
  free(p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(without_a_penalty_a_useless_stage_goes_to_the_floor_and_no_further) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(2);
  mcl_integrator *g = integrator(c, STAGES);
  mcl_weights_options o = options_of(MCL_WEIGHTS_CONTRASTIVE);
  o.penalty = 0;
  for (int i = 0; i < ROWS; i++) // stage 2 tells the contrary: rows of one label point apart
    for (int d = 0; d < DIM; d++)
      p->rows[i * WIDTH + 2 * DIM + d] = (float)((i / 4 + d) % 2 ? 1 : -1);
  fit(g, &o, p->rows, ROWS, p->labels[0]);
  ck_assert(weight_of(g, 0) == 1);
  ck_assert_double_eq_tol(weight_of(g, 2), 1.0 / 1024, 1e-15);
  mcl_integrator_unref(g);
  free(p);
  mcl_context_unref(c);
}
END_TEST

// Two corners without noise: every longer scale is better, and without bound the search would end where scores have no digits.
START_TEST(rows_told_apart_without_a_mistake_leave_the_scale_finite) {
  mcl_context *c = test_context(1);
  float rows[8 * DIM] = {0};
  int32_t labels[8];
  for (int i = 0; i < 8; i++) rows[i * DIM + i % 2] = 1, labels[i] = i % 2;
  for (int32_t method = MCL_WEIGHTS_NEIGHBOURS; method <= MCL_WEIGHTS_CONTRASTIVE; method++) {
    mcl_integrator *g = integrator(c, 1);
    mcl_weights_options o = options_of(method);
    o.penalty = 0;
    mcl_weights_report r = fit(g, &o, rows, 8, labels);
    // S is the squared weight, 3 rows of a label are alike and 4 others at a right angle.
    double s = 0, least = INFINITY;
    for (double x = 1; x < 100; x += 1e-3) {
      double cost = log(1 + 4.0 / 3 * exp(-x)) + 1e-4 * pow(log(x / 10), 2);
      if (cost < least) least = cost, s = x;
    }
    double wanted = log(1 + 4.0 / 3 * exp(-s)) + (method == MCL_WEIGHTS_CONTRASTIVE ? log(3) : 0);
    ck_assert_double_eq_tol(r.criterion, wanted, 1e-7);
    ck_assert(r.converged == 1 && r.iterations < 20);
    mcl_integrator_unref(g);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_large_penalty_keeps_weights_equal) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(3);
  mcl_integrator *g = integrator(c, STAGES);
  mcl_weights_options o = options_of(MCL_WEIGHTS_NEIGHBOURS);
  o.penalty = 1e4;
  CHECK_OK(mcl_integrator_set_growth(g, 3, &err));
  fit(g, &o, p->rows, ROWS, p->labels[1]);
  for (int32_t s = 0; s < STAGES; s++) ck_assert_double_eq_tol(weight_of(g, s), 1, 1e-3);
  mcl_integrator_unref(g);
  free(p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_result_depends_neither_on_weights_before_nor_on_those_of_the_rows_nor_on_threads) {
  problem *p = new_problem(4);
  double wanted[STAGES];
  mcl_weights_report first = {0};
  for (uint32_t threads = 1; threads <= 4; threads++) {
    mcl_context *c = test_context(threads);
    mcl_integrator *g = integrator(c, STAGES);
    mcl_weights_options o = options_of(MCL_WEIGHTS_NEIGHBOURS);
    CHECK_OK(mcl_integrator_set_growth(g, threads, &err));
    mcl_weights_report r = fit(g, &o, p->rows, ROWS, p->labels[1]);
    for (int32_t s = 0; s < STAGES; s++) {
      if (threads == 1) wanted[s] = weight_of(g, s), first = r;
      ck_assert(weight_of(g, s) == wanted[s]);
    }
    ck_assert(r.criterion == first.criterion && r.accuracy == first.accuracy);
    ck_assert(r.iterations == first.iterations);
    for (int i = 0; i < ROWS; i++) // twice the length of a stage's part is the same part
      for (int d = 0; d < DIM; d++) p->rows[i * WIDTH + DIM + d] *= 2;
    mcl_integrator_unref(g);
    mcl_context_unref(c);
  }
  free(p);
}
END_TEST

START_TEST(rows_in_another_order_give_the_same_weights) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(5), *q = malloc(sizeof *q);
  for (int i = 0; i < ROWS; i++) {
    int from = (i * 35 + 7) % ROWS;
    memcpy(q->rows + i * WIDTH, p->rows + from * WIDTH, WIDTH * sizeof *q->rows);
    for (int s = 0; s < STAGES; s++) q->labels[s][i] = p->labels[s][from];
  }
  mcl_integrator *g = integrator(c, STAGES), *h = integrator(c, STAGES);
  mcl_weights_report a = fit(g, NULL, p->rows, ROWS, p->labels[2]);
  mcl_weights_report b = fit(h, NULL, q->rows, ROWS, q->labels[2]);
  for (int32_t s = 0; s < STAGES; s++)
    ck_assert_double_eq_tol(weight_of(g, s), weight_of(h, s), 1e-4);
  ck_assert_double_eq_tol(a.criterion, b.criterion, 1e-6);
  mcl_integrator_unref(g);
  mcl_integrator_unref(h);
  free(p), free(q);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_report_compares_with_the_weights_before_at_their_best_scale) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(6);
  mcl_integrator *g = integrator(c, STAGES);
  mcl_weights_report r = fit(g, NULL, p->rows, ROWS, p->labels[1]);
  for (int32_t s = 0; s < STAGES; s++)
    CHECK_OK(mcl_integrator_set_weight(g, s, 1e-5 * weight_of(g, s), &err));
  mcl_weights_report again = fit(g, NULL, p->rows, ROWS, p->labels[1]);
  ck_assert_double_eq_tol(again.criterion_before, r.criterion, 1e-9);
  ck_assert(again.accuracy_before == r.accuracy && again.criterion == r.criterion);
  mcl_integrator_unref(g);
  free(p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(one_stage_and_zero_embeddings_are_fine) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c, 1);
  float rows[4 * DIM] = {1, 0};
  rows[DIM + 1] = 1;
  rows[2 * DIM] = 1;
  const int32_t labels[] = {3, 8, 3, 8}; // the last row is zero
  CHECK_OK(mcl_integrator_set_weight(g, 0, 7, &err));
  mcl_weights_report r = fit(g, NULL, rows, 4, labels);
  ck_assert(weight_of(g, 0) == 1 && r.anchors == 4 && isfinite(r.criterion));
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// ---- what goes wrong -----------------------------------------------------------------------------------------

START_TEST(what_cannot_be_fitted_is_named_and_changes_nothing) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(7);
  mcl_integrator *g = integrator(c, STAGES), *none = integrator(c, 0);
  CHECK_OK(mcl_integrator_set_growth(g, 2, &err));
  mcl_array a = mcl_matrix_f32(p->rows, ROWS, WIDTH), narrow = mcl_matrix_f32(p->rows, ROWS, 3),
            few = mcl_matrix_f32(p->rows, 4, WIDTH), empty = mcl_matrix_f32(p->rows, 0, WIDTH);
  int32_t *labels = p->labels[0];
  const int32_t one[] = {1, 1, 1, 1}, apart[] = {1, 2, 3, 4}, lone[] = {1, 2, 1, 3};
  mcl_weights_report r;
  mcl_struct_init(&r, sizeof r);
  r.accuracy = -5;
#define FIT(g, o, a, l) mcl_integrator_fit_weights(g, o, a, l, NULL, &r, &err)
  CHECK_FAILS(MCL_E_INVALID, "integrator", FIT(NULL, NULL, &a, labels));
  CHECK_FAILS(MCL_E_INVALID, "rows", FIT(g, NULL, NULL, labels));
  CHECK_FAILS(MCL_E_INVALID, "labels is NULL", FIT(g, NULL, &a, NULL));
  CHECK_FAILS(MCL_E_STATE, "no stages", FIT(none, NULL, &a, labels));
  CHECK_FAILS(MCL_E_SHAPE, "rows", FIT(g, NULL, &narrow, labels));
  CHECK_FAILS(MCL_E_INVALID, "only one label", FIT(g, NULL, &few, one));
  CHECK_FAILS(MCL_E_INVALID, "no label", FIT(g, NULL, &few, apart));
  CHECK_FAILS(MCL_E_INVALID, "only one label", FIT(g, NULL, &few, lone));
  CHECK_FAILS(MCL_E_INVALID, "no label", FIT(g, NULL, &empty, labels));
  labels[11] = -1;
  CHECK_FAILS(MCL_E_INVALID, "labels[11] is -1", FIT(g, NULL, &a, labels));
  ck_assert_int_eq(err.row, 11);
  labels[11] = 3;
  p->rows[23 * WIDTH + 9] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 23", FIT(g, NULL, &a, labels));
  ck_assert_int_eq(err.row, 23);
  p->rows[23 * WIDTH + 9] = 0;
  int64_t shape[2] = {ROWS, WIDTH};
  mcl_array integers;
  mcl_array_init(&integers, p->rows, MCL_I32, 2, shape);
  CHECK_FAILS(MCL_E_DTYPE, "rows", FIT(g, NULL, &integers, labels));

  mcl_weights_options o = options_of(3);
  CHECK_FAILS(MCL_E_INVALID, "method", FIT(g, &o, &a, labels));
  o = options_of(MCL_WEIGHTS_CONTRASTIVE);
  o.neighbours = 0;
  CHECK_FAILS(MCL_E_INVALID, "neighbours", FIT(g, &o, &a, labels));
  o = options_of(MCL_WEIGHTS_CONTRASTIVE);
  o.max_iterations = 0;
  CHECK_FAILS(MCL_E_INVALID, "max_iterations", FIT(g, &o, &a, labels));
  o = options_of(MCL_WEIGHTS_CONTRASTIVE);
  o.flags = 2;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "flags", FIT(g, &o, &a, labels));
  static const double wrong[] = {-1, NAN, INFINITY};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    o = options_of(MCL_WEIGHTS_CONTRASTIVE);
    o.penalty = wrong[i];
    CHECK_FAILS(MCL_E_INVALID, "penalty", FIT(g, &o, &a, labels));
  }
  mcl_weights_report unset = {0};
  CHECK_FAILS(MCL_E_INVALID, "report",
              mcl_integrator_fit_weights(g, NULL, &a, labels, NULL, &unset, &err));
  for (int32_t s = 0; s < STAGES; s++) ck_assert(weight_of(g, s) == pow(2, s));
  ck_assert(r.accuracy == -5);
  CHECK_OK(mcl_integrator_fit_weights(g, NULL, &a, labels, NULL, NULL, NULL));
  mcl_integrator_unref(none);
  mcl_integrator_unref(g);
  free(p);
  mcl_context_unref(c);
}
END_TEST

static int32_t stop(void *user, const mcl_progress *p) {
  ck_assert_str_eq(p->phase, "fit");
  ck_assert_int_eq(p->total, STAGES + 1);
  return p->done >= *(int64_t *)user;
}

START_TEST(a_monitor_that_stops_the_search_leaves_the_weights) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(8);
  mcl_integrator *g = integrator(c, STAGES);
  int64_t at = STAGES + 1;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &at;
  m.progress = stop;
  mcl_array a = mcl_matrix_f32(p->rows, ROWS, WIDTH);
  CHECK_FAILS(MCL_E_CANCELLED, "",
              mcl_integrator_fit_weights(g, NULL, &a, p->labels[2], &m, NULL, &err));
  for (int32_t s = 0; s < STAGES; s++) ck_assert(weight_of(g, s) == 1);
  at = STAGES + 2;
  CHECK_OK(mcl_integrator_fit_weights(g, NULL, &a, p->labels[2], &m, NULL, &err));
  ck_assert(weight_of(g, 0) < 1);
  mcl_integrator_unref(g);
  free(p);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("fit", the_stage_that_shows_the_label_gets_the_weight,
          without_a_penalty_a_useless_stage_goes_to_the_floor_and_no_further,
          rows_told_apart_without_a_mistake_leave_the_scale_finite,
          a_large_penalty_keeps_weights_equal,
          the_result_depends_neither_on_weights_before_nor_on_those_of_the_rows_nor_on_threads,
          rows_in_another_order_give_the_same_weights,
          the_report_compares_with_the_weights_before_at_their_best_scale,
          one_stage_and_zero_embeddings_are_fine,
          what_cannot_be_fitted_is_named_and_changes_nothing,
          a_monitor_that_stops_the_search_leaves_the_weights)
