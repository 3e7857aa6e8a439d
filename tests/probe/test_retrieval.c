// Retrieval with several right answers, and classification by prompts alone.
#include "probe/common.h"

#include <stdio.h>

#include <libmcl/integrator.h>

static mcl_error err;

// ---- retrieval -------------------------------------------------------------------------------------------

// (1), (2) of lib/probe/recall.c in double.
static int64_t twin_retrieval(const float *q, const int64_t *qg, int64_t n, const float *g,
                              const int64_t *gg, int64_t m, int64_t dim, int32_t k) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    double best = -2;
    int64_t ahead = 0;
    for (int64_t j = 0; j < m; j++) {
      double cosine = twin_cosine(q + i * dim, g + j * dim, dim);
      if (gg[j] == qg[i] && cosine > best) best = cosine;
    }
    for (int64_t j = 0; j < m; j++)
      ahead += gg[j] != qg[i] && twin_cosine(q + i * dim, g + j * dim, dim) > best - 1e-6;
    found += ahead < k;
  }
  return found;
}

// Groups of any numbers, negative and large ones too, in no order.
static int64_t group_of(int64_t i) {
  return (i * 37 % 101 - 50) * INT64_C(100000000001);
}

START_TEST(retrieval_is_the_plain_twins_in_both_directions) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {40, 200}, {129, 645}, {520, 1300}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t n = sizes[s][0], m = sizes[s][1], dim = 12;
    float *q = malloc((size_t)(n * dim) * sizeof *q), *g = malloc((size_t)(m * dim) * sizeof *g);
    int64_t *qg = malloc((size_t)n * sizeof *qg), *gg = malloc((size_t)m * sizeof *gg);
    test_fill_normal(q, n * dim, 31);
    test_fill_normal(g, m * dim, 32);
    for (int64_t i = 0; i < n; i++) qg[i] = group_of(i % 90); // some groups have several queries
    for (int64_t j = 0; j < m; j++) {
      int64_t of = (j * 7 + 3) % n;
      gg[j] = qg[of];
      for (int64_t k = 0; k < dim; k++) g[j * dim + k] += 0.7F * q[of * dim + k];
    }
    mcl_array aq = mcl_matrix_f32(q, n, dim), ag = mcl_matrix_f32(g, m, dim);
    for (int32_t k = 1; k <= n && k <= 10; k += 4) {
      mcl_probe_result r = new_result();
      CHECK_OK(mcl_probe_retrieval(c, NULL, &aq, qg, &ag, gg, k, &r, &err));
      ck_assert_int_eq(r.correct, twin_retrieval(q, qg, n, g, gg, m, dim, k));
      ck_assert_int_eq(r.total, n);
      CHECK_OK(mcl_probe_retrieval(c, NULL, &ag, gg, &aq, qg, k, &r, &err));
      ck_assert_int_eq(r.correct, twin_retrieval(g, gg, m, q, qg, n, dim, k));
      ck_assert_int_eq(r.total, m);
    }
    free(q), free(g), free(qg), free(gg);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(groups_of_one_row_are_recall) {
  mcl_context *c = test_context(2);
  enum { N = 300, DIM = 9 };
  static float q[N * DIM], g[N * DIM];
  int64_t match[N], qg[N], gg[N];
  test_fill_normal(g, N * DIM, 5);
  test_fill_normal(q, N * DIM, 6);
  for (int64_t i = 0; i < N; i++) {
    match[i] = (i * 7 + 3) % N;
    gg[i] = 1000 - 3 * i;
    qg[i] = 1000 - 3 * match[i];
    for (int k = 0; k < DIM; k++) q[i * DIM + k] += g[match[i] * DIM + k];
  }
  mcl_array aq = mcl_matrix_f32(q, N, DIM), ag = mcl_matrix_f32(g, N, DIM);
  for (int32_t k = 1; k <= 10; k += 3) {
    mcl_probe_result a = new_result(), b = new_result();
    CHECK_OK(mcl_probe_recall(c, NULL, &aq, &ag, match, k, &a, &err));
    CHECK_OK(mcl_probe_retrieval(c, NULL, &aq, qg, &ag, gg, k, &b, &err));
    ck_assert_mem_eq(&a, &b, sizeof a);
    ck_assert(a.correct > 0 && a.correct < N);
  }
  mcl_context_unref(c);
}
END_TEST

// One image, its captions 1 and 2, another's caption 0 in between.
START_TEST(any_row_of_the_group_is_right_and_others_stand_in_the_way) {
  mcl_context *c = test_context(1);
  float image[2] = {1, 0}, captions[6] = {1, 0.5F, 1, 0.2F, 0, 1};
  int64_t of_image[1] = {7}, of_captions[3] = {8, 7, 7};
  mcl_array a = mcl_matrix_f32(image, 1, 2), t = mcl_matrix_f32(captions, 3, 2);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_retrieval(c, NULL, &a, of_image, &t, of_captions, 1, &r, &err));
  ck_assert_int_eq(r.correct, 1);
  captions[3] = 0.5F; // as near as the other one's: a tie counts against it
  CHECK_OK(mcl_probe_retrieval(c, NULL, &a, of_image, &t, of_captions, 1, &r, &err));
  ck_assert_int_eq(r.correct, 0);
  CHECK_OK(mcl_probe_retrieval(c, NULL, &a, of_image, &t, of_captions, 2, &r, &err));
  ck_assert_int_eq(r.correct, 1);
  of_captions[0] = 7; // copies of one's own are no others
  CHECK_OK(mcl_probe_retrieval(c, NULL, &a, of_image, &t, of_captions, 1, &r, &err));
  ck_assert_int_eq(r.correct, 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_groups_are_named) {
  mcl_context *c = test_context(1);
  float z[6] = {1, 0, 0, 1, 1, 1};
  int64_t q[3] = {0, 1, 2}, g[3] = {2, 1, 0};
  mcl_array a = mcl_matrix_f32(z, 3, 2), narrow = mcl_matrix_f32(z, 3, 1);
  mcl_probe_result r = new_result();
#define RETRIEVE(c, a, q, b, g, k, r) mcl_probe_retrieval(c, NULL, a, q, b, g, k, r, &err)
  CHECK_FAILS(MCL_E_INVALID, "context", RETRIEVE(NULL, &a, q, &a, g, 1, &r));
  CHECK_FAILS(MCL_E_INVALID, "queries", RETRIEVE(c, NULL, q, &a, g, 1, &r));
  CHECK_FAILS(MCL_E_SHAPE, "gallery", RETRIEVE(c, &a, q, &narrow, g, 1, &r));
  CHECK_FAILS(MCL_E_INVALID, "query_group is NULL", RETRIEVE(c, &a, NULL, &a, g, 1, &r));
  CHECK_FAILS(MCL_E_INVALID, "gallery_group is NULL", RETRIEVE(c, &a, q, &a, NULL, 1, &r));
  CHECK_FAILS(MCL_E_INVALID, "k is 4", RETRIEVE(c, &a, q, &a, g, 4, &r));
  CHECK_FAILS(MCL_E_INVALID, "out", RETRIEVE(c, &a, q, &a, g, 1, NULL));
  q[1] = 5;
  CHECK_FAILS(MCL_E_INVALID, "query_group[1] is 5", RETRIEVE(c, &a, q, &a, g, 1, &r));
  ck_assert_int_eq(err.row, 1);
  q[1] = -5;
  CHECK_FAILS(MCL_E_INVALID, "query_group[1] is -5", RETRIEVE(c, &a, q, &a, g, 1, &r));
  q[1] = 1;
  z[2] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1 of queries", RETRIEVE(c, &a, q, &a, g, 1, &r));
  mcl_context_unref(c);
}
END_TEST

// ---- zero shot -------------------------------------------------------------------------------------------

// (3) in double, with the prompts' norms and the prototypes' both taken out.
static int64_t twin_zero_shot(const float *p, const int32_t *py, int64_t prompts, const float *z,
                              const int32_t *y, int64_t n, int64_t dim, int32_t classes) {
  double *mean = calloc((size_t)(classes * dim), sizeof *mean);
  for (int64_t i = 0; i < prompts; i++) {
    double norm = 0;
    for (int64_t k = 0; k < dim; k++) norm += (double)p[i * dim + k] * (double)p[i * dim + k];
    for (int64_t k = 0; k < dim; k++) mean[py[i] * dim + k] += (double)p[i * dim + k] / sqrt(norm);
  }
  int64_t right = 0;
  for (int64_t i = 0; i < n; i++) {
    double best = -2, own = -2;
    for (int32_t c = 0; c < classes; c++) {
      double dot = 0, norm = 0, length = 0;
      for (int64_t k = 0; k < dim; k++) {
        dot += (double)z[i * dim + k] * mean[c * dim + k];
        norm += mean[c * dim + k] * mean[c * dim + k];
        length += (double)z[i * dim + k] * (double)z[i * dim + k];
      }
      double cosine = norm > 0 ? dot / sqrt(norm * length) : 0;
      if (c == y[i]) own = cosine;
      if (c != y[i] && cosine > best) best = cosine;
    }
    right += own > best + 1e-6 || own == best + 1e-6;
  }
  free(mean);
  return right;
}

START_TEST(zero_shot_is_the_plain_twins) {
  enum { CLASSES = 9, PROMPTS = CLASSES * 7, N = 700, DIM = 11 };
  int32_t *y, *py;
  float *z = class_rows(N, DIM, CLASSES, 0.7F, 3, &y);
  float *p = class_rows(PROMPTS, DIM, CLASSES, 0.7F, 4, &py);
  for (int i = 0; i < CLASSES; i++) py[i] = i; // each has a prompt
  mcl_array ap = mcl_matrix_f32(p, PROMPTS, DIM), az = mcl_matrix_f32(z, N, DIM);
  int64_t wanted = twin_zero_shot(p, py, PROMPTS, z, y, N, DIM, CLASSES);
  ck_assert(wanted > N / CLASSES && wanted < N);
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    mcl_probe_result r = new_result();
    CHECK_OK(mcl_probe_zero_shot(c, NULL, &ap, py, &az, y, &r, &err));
    ck_assert_int_eq(r.correct, wanted);
    ck_assert_int_eq(r.total, N);
    ck_assert(r.low < r.value && r.value < r.high);
    mcl_context_unref(c);
  }
  free(z), free(p), free(y), free(py);
}
END_TEST

// A prompt's length plays no part, but its direction does; equal prototypes are wrong for all.
START_TEST(prompts_count_alike_whatever_their_length) {
  mcl_context *c = test_context(1);
  // Class 5: along x and y, mean along the diagonal. Class 2: along -x.
  float p[6] = {1, 0, 0, 1000, -1, 0}, z[4] = {0.5F, 0.6F, -1, -0.2F};
  int32_t py[3] = {5, 5, 2}, y[2] = {5, 2};
  mcl_array ap = mcl_matrix_f32(p, 3, 2), az = mcl_matrix_f32(z, 2, 2);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_zero_shot(c, NULL, &ap, py, &az, y, &r, &err));
  ck_assert_int_eq(r.correct, 2);
  z[0] = 1,
  z[1] = -0.9F; // nearer to the diagonal than to -x; nearest to neither's prompts by 1000 y
  CHECK_OK(mcl_probe_zero_shot(c, NULL, &ap, py, &az, y, &r, &err));
  ck_assert_int_eq(r.correct, 2);
  float same[6] = {1, 0, 1, 0, 1, 0};
  ap = mcl_matrix_f32(same, 3, 2);
  CHECK_OK(mcl_probe_zero_shot(c, NULL, &ap, py, &az, y, &r, &err));
  ck_assert_int_eq(r.correct, 0);
  mcl_context_unref(c);
}
END_TEST

// Two stages, weights 1 and 2. In the second the prompts of class 0 contradict one another: what is left of them points at the
// row of class 1 and would win with full weight, but is short.
START_TEST(a_stage_whose_prompts_contradict_one_another_says_little) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 2, 1, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 2, 2, &err));
  float first[6] = {1, 0, 1, 0, 0, 1}; // prompts 0, 1 of class 0; 2 of class 1
  float second[6] = {1, 0.05F, -1, 0.05F, 0.8F, 0.6F};
  float x[4] = {0, 1, 0, 1}, rows[12], row[4]; // the row: class 1's by stage 0
  mcl_array stages[2] = {mcl_matrix_f32(first, 3, 2), mcl_matrix_f32(second, 3, 2)};
  mcl_array of_row[2] = {mcl_matrix_f32(x, 1, 2), mcl_matrix_f32(x + 2, 1, 2)};
  mcl_array prompts = mcl_matrix_f32(rows, 3, 4), z = mcl_matrix_f32(row, 1, 4);
  CHECK_OK(mcl_integrator_concat(g, stages, 2, &prompts, &err));
  CHECK_OK(mcl_integrator_concat(g, of_row, 2, &z, &err));
  const int32_t py[3] = {0, 0, 1}, y[1] = {1};
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_zero_shot(c, NULL, &prompts, py, &z, y, &r, &err));
  ck_assert_int_eq(r.correct, 1);
  // The stages' own means, normalised by concat: the other way, for who wants it.
  float means[2][4] = {{1, 0, 0, 1}, {0, 0.1F, 0.8F, 0.6F}};
  mcl_array of_classes[2] = {mcl_matrix_f32(means[0], 2, 2), mcl_matrix_f32(means[1], 2, 2)};
  mcl_array two = mcl_matrix_f32(rows, 2, 4);
  const int32_t two_y[2] = {0, 1};
  CHECK_OK(mcl_integrator_concat(g, of_classes, 2, &two, &err));
  CHECK_OK(mcl_probe_zero_shot(c, NULL, &two, two_y, &z, y, &r, &err));
  ck_assert_int_eq(r.correct, 0);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_prompts_are_named) {
  mcl_context *c = test_context(1);
  float x[6] = {1, 0, 0, 1, 1, 1};
  int32_t py[3] = {4, 9, 4}, y[3] = {9, 4, 4};
  mcl_array a = mcl_matrix_f32(x, 3, 2), narrow = mcl_matrix_f32(x, 3, 1);
  mcl_probe_result r = new_result();
#define ZERO_SHOT(c, p, py, z, y, r) mcl_probe_zero_shot(c, NULL, p, py, z, y, r, &err)
  CHECK_FAILS(MCL_E_INVALID, "context", ZERO_SHOT(NULL, &a, py, &a, y, &r));
  CHECK_FAILS(MCL_E_INVALID, "prompts", ZERO_SHOT(c, NULL, py, &a, y, &r));
  CHECK_FAILS(MCL_E_SHAPE, "z", ZERO_SHOT(c, &a, py, &narrow, y, &r));
  CHECK_FAILS(MCL_E_INVALID, "prompt_y is NULL", ZERO_SHOT(c, &a, NULL, &a, y, &r));
  CHECK_FAILS(MCL_E_INVALID, "y is NULL", ZERO_SHOT(c, &a, py, &a, NULL, &r));
  CHECK_FAILS(MCL_E_INVALID, "out", ZERO_SHOT(c, &a, py, &a, y, NULL));
  y[2] = 5;
  CHECK_FAILS(MCL_E_INVALID, "y[2] is 5, a class that has no prompt",
              ZERO_SHOT(c, &a, py, &a, y, &r));
  ck_assert_int_eq(err.row, 2);
  y[2] = -1;
  CHECK_FAILS(MCL_E_INVALID, "y[2] is -1", ZERO_SHOT(c, &a, py, &a, y, &r));
  y[2] = 4;
  x[1] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 0 of prompts", ZERO_SHOT(c, &a, py, &a, y, &r));
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("probe", retrieval_is_the_plain_twins_in_both_directions, groups_of_one_row_are_recall,
          any_row_of_the_group_is_right_and_others_stand_in_the_way, bad_groups_are_named,
          zero_shot_is_the_plain_twins, prompts_count_alike_whatever_their_length,
          a_stage_whose_prompts_contradict_one_another_says_little, bad_prompts_are_named)
