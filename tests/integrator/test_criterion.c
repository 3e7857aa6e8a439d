// The criteria of weights, each against a plain twin and finite differences, and leave-one-out kNN against the probe.
#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/integrator.h>
#include <libmcl/probe.h>

#include "integrator/criterion.h"

static mcl_error err;

enum { ROWS = 37, STAGES = 3, DIM = 4 };

// Cosines of random rows; labels 0..4, the last row's own is nobody else's. Row 5 has a zero embedding in stage 1.
typedef struct problem {
  float z[STAGES][ROWS * DIM], cosines[STAGES * ROWS * ROWS];
  int32_t labels[ROWS];
} problem;

static double dot(const float *a, const float *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static problem *new_problem(uint64_t seed) {
  problem *p = malloc(sizeof *p);
  for (int i = 0; i < ROWS; i++) p->labels[i] = i % 5;
  p->labels[ROWS - 1] = 9;
  for (int s = 0; s < STAGES; s++) {
    test_fill_normal(p->z[s], ROWS * DIM, seed + (uint64_t)s);
    for (int i = 0; i < ROWS; i++) p->z[s][i * DIM + s] += (float)(p->labels[i] % (s + 2));
    if (s == 1) memset(p->z[s] + 5 * DIM, 0, DIM * sizeof(float));
    for (int i = 0; i < ROWS; i++)
      for (int j = 0; j < ROWS; j++) {
        const float *a = p->z[s] + i * DIM, *b = p->z[s] + j * DIM;
        double length = sqrt(dot(a, a, DIM) * dot(b, b, DIM));
        p->cosines[(s * ROWS + i) * ROWS + j] = (float)(length > 0 ? dot(a, b, DIM) / length : 0);
      }
  }
  return p;
}

static mcli_criterion criterion_of(mcl_context *c, const problem *p, int32_t kind, double penalty) {
  mcli_criterion k = {.context = c,
                      .kind = kind,
                      .stages = STAGES,
                      .rows = ROWS,
                      .penalty = penalty,
                      .labels = p->labels,
                      .cosines = p->cosines};
  CHECK_OK(mcli_criterion_open(&k, &err));
  return k;
}

static double score(const problem *p, const double *theta, int i, int j) {
  double s = 0;
  for (int t = 0; t < STAGES; t++)
    s += exp(2 * theta[t]) * (double)p->cosines[(t * ROWS + i) * ROWS + j];
  return s;
}

// Formulas (1) to (4) as they are written.
static double twin(const problem *p, int32_t kind, const double *theta) {
  double sum = 0;
  int anchors = 0;
  for (int i = 0; i < ROWS; i++) {
    double all = 0, own = 0, logs = 0;
    int partners = 0;
    for (int j = 0; j < ROWS; j++)
      if (j != i) all += exp(score(p, theta, i, j));
    for (int j = 0; j < ROWS; j++) {
      if (j == i || p->labels[j] != p->labels[i]) continue;
      own += exp(score(p, theta, i, j)) / all;
      logs += log(exp(score(p, theta, i, j)) / all);
      partners++;
    }
    if (!partners) continue;
    sum -= kind == MCL_WEIGHTS_NEIGHBOURS ? log(own) : logs / partners;
    anchors++;
  }
  ck_assert_int_eq(anchors, ROWS - 1);
  return sum / anchors;
}

static const double points[][STAGES] = {{0, 0, 0}, {1, -2, 0.5}, {-1, 0.7, 1.5}, {-6, -6, 1.2}};
enum { POINTS = sizeof points / sizeof *points };

START_TEST(both_criteria_are_the_plain_twins) {
  mcl_context *c = test_context(2);
  problem *p = new_problem(1);
  for (int32_t kind = MCL_WEIGHTS_NEIGHBOURS; kind <= MCL_WEIGHTS_CONTRASTIVE; kind++) {
    mcli_criterion k = criterion_of(c, p, kind, 0.3);
    ck_assert_int_eq(k.anchors, ROWS - 1);
    for (int i = 0; i < POINTS; i++) {
      double value, cost, spread = 0, mean = 0, squares = 0;
      for (int s = 0; s < STAGES; s++) mean += points[i][s] / STAGES;
      for (int s = 0; s < STAGES; s++) spread += pow(points[i][s] - mean, 2);
      for (int s = 0; s < STAGES; s++) squares += exp(2 * points[i][s]);
      CHECK_OK(mcli_criterion_evaluate(&k, points[i], &value, &cost, NULL, &err));
      ck_assert_double_eq_tol(value, twin(p, kind, points[i]), 1e-10);
      double longer = log(squares) - log(10); // than a temperature of 0.1
      ck_assert_double_eq_tol(cost, value + 0.3 * spread + 1e-4 * longer * longer, 1e-10);
    }
    mcli_criterion_free(&k);
  }
  free(p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(gradients_are_finite_differences) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(2);
  for (int32_t kind = MCL_WEIGHTS_NEIGHBOURS; kind <= MCL_WEIGHTS_CONTRASTIVE; kind++) {
    mcli_criterion k = criterion_of(c, p, kind, 0.02);
    for (int i = 0; i < POINTS; i++) {
      double value, cost, gradient[STAGES], unused[STAGES];
      CHECK_OK(mcli_criterion_evaluate(&k, points[i], &value, &cost, gradient, &err));
      for (int s = 0; s < STAGES; s++) {
        double up[STAGES], down[STAGES], cost_up, cost_down, h = 1e-5;
        memcpy(up, points[i], sizeof up);
        memcpy(down, points[i], sizeof down);
        up[s] += h, down[s] -= h;
        CHECK_OK(mcli_criterion_evaluate(&k, up, &value, &cost_up, unused, &err));
        CHECK_OK(mcli_criterion_evaluate(&k, down, &value, &cost_down, unused, &err));
        ck_assert_double_eq_tol(gradient[s], (cost_up - cost_down) / (2 * h), 1e-8);
      }
    }
    mcli_criterion_free(&k);
  }
  free(p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_contrastive_criterion_is_convex_in_squared_weights) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(3);
  mcli_criterion k = criterion_of(c, p, MCL_WEIGHTS_CONTRASTIVE, 0);
  for (int i = 0; i < POINTS; i++)
    for (int j = 0; j < i; j++) {
      double middle[STAGES], at_i, at_j, between;
      for (int s = 0; s < STAGES; s++)
        middle[s] = 0.5 * log((exp(2 * points[i][s]) + exp(2 * points[j][s])) / 2);
      CHECK_OK(mcli_criterion_evaluate(&k, points[i], &at_i, NULL, NULL, &err));
      CHECK_OK(mcli_criterion_evaluate(&k, points[j], &at_j, NULL, NULL, &err));
      CHECK_OK(mcli_criterion_evaluate(&k, middle, &between, NULL, NULL, &err));
      ck_assert_double_lt(between, (at_i + at_j) / 2);
    }
  mcli_criterion_free(&k);
  free(p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(large_scores_lose_nothing) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(4);
  mcli_criterion k = criterion_of(c, p, MCL_WEIGHTS_NEIGHBOURS, 0);
  double huge[STAGES] = {9, 8.5, 9.2}, value,
         gradient[STAGES]; // exp(2 * 9) is 6.6e7: exp of that is not
  CHECK_OK(mcli_criterion_evaluate(&k, huge, &value, NULL, gradient, &err));
  ck_assert(isfinite(value) && value > 0);
  for (int s = 0; s < STAGES; s++) ck_assert(isfinite(gradient[s]));
  mcli_criterion_free(&k);
  free(p);
  mcl_context_unref(c);
}
END_TEST

// The probe, asked once a row with that row left out.
static int64_t probe_without(mcl_context *c, const problem *p, const double *theta, int32_t k) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  float r[ROWS * STAGES * DIM], others[ROWS * STAGES * DIM];
  int32_t labels[ROWS];
  const int64_t width = (int64_t)STAGES * DIM;
  mcl_array stages[STAGES], all = mcl_matrix_f32(r, ROWS, width);
  for (int s = 0; s < STAGES; s++) {
    CHECK_OK(mcl_integrator_add_stage(g, NULL, DIM, exp(theta[s]), &err));
    stages[s] = mcl_matrix_f32((float *)(uintptr_t)p->z[s], ROWS, DIM);
  }
  CHECK_OK(mcl_integrator_concat(g, stages, STAGES, &all, &err));
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.neighbours = k;
  int64_t correct = 0;
  for (int64_t i = 0; i < ROWS; i++) {
    memcpy(others, r, (size_t)(i * width) * sizeof *r);
    memcpy(others + i * width, r + (i + 1) * width, (size_t)((ROWS - 1 - i) * width) * sizeof *r);
    memcpy(labels, p->labels, (size_t)i * sizeof *labels);
    memcpy(labels + i, p->labels + i + 1, (size_t)(ROWS - 1 - i) * sizeof *labels);
    mcl_array train = mcl_matrix_f32(others, ROWS - 1, width),
              test = mcl_matrix_f32(r + i * width, 1, width);
    mcl_probe_result result;
    mcl_struct_init(&result, sizeof result);
    CHECK_OK(mcl_probe_knn(c, &o, &train, labels, &test, p->labels + i, NULL, &result, &err));
    correct += result.correct;
  }
  mcl_integrator_unref(g);
  return correct;
}

START_TEST(leaving_one_out_is_the_knn_probe_without_each_row) {
  mcl_context *c = test_context(2);
  problem *p = new_problem(5);
  mcli_criterion k = criterion_of(c, p, MCL_WEIGHTS_NEIGHBOURS, 0);
  int64_t least = ROWS, most = 0;
  for (int i = 0; i < POINTS; i++)
    for (int32_t neighbours = 1; neighbours <= 2 * ROWS; neighbours = 2 * neighbours + 1) {
      int64_t correct = -1;
      CHECK_OK(mcli_leave_one_out(&k, points[i], neighbours, &correct, &err));
      ck_assert_int_eq(correct, probe_without(c, p, points[i], neighbours));
      least = correct < least ? correct : least;
      most = correct > most ? correct : most;
    }
  ck_assert_int_lt(least, most);
  mcli_criterion_free(&k);
  free(p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_order_of_rows_does_not_matter) {
  mcl_context *c = test_context(1);
  problem *p = new_problem(6), *q = malloc(sizeof *q);
  for (int i = 0; i < ROWS; i++) {
    int from = (i * 11 + 3) % ROWS;
    q->labels[i] = p->labels[from];
    for (int s = 0; s < STAGES; s++)
      for (int j = 0; j < ROWS; j++)
        q->cosines[(s * ROWS + i) * ROWS + j] =
            p->cosines[(s * ROWS + from) * ROWS + (j * 11 + 3) % ROWS];
  }
  for (int32_t kind = MCL_WEIGHTS_NEIGHBOURS; kind <= MCL_WEIGHTS_CONTRASTIVE; kind++) {
    mcli_criterion k = criterion_of(c, p, kind, 0), l = criterion_of(c, q, kind, 0);
    double a, b;
    int64_t of_k, of_l;
    CHECK_OK(mcli_criterion_evaluate(&k, points[1], &a, NULL, NULL, &err));
    CHECK_OK(mcli_criterion_evaluate(&l, points[1], &b, NULL, NULL, &err));
    ck_assert_double_eq_tol(a, b, 1e-12);
    CHECK_OK(mcli_leave_one_out(&k, points[1], 5, &of_k, &err));
    CHECK_OK(mcli_leave_one_out(&l, points[1], 5, &of_l, &err));
    ck_assert_int_eq(of_k, of_l);
    mcli_criterion_free(&k);
    mcli_criterion_free(&l);
  }
  free(p), free(q);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("criterion", both_criteria_are_the_plain_twins, gradients_are_finite_differences,
          the_contrastive_criterion_is_convex_in_squared_weights, large_scores_lose_nothing,
          leaving_one_out_is_the_knn_probe_without_each_row, the_order_of_rows_does_not_matter)
