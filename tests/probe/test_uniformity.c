#include "probe/common.h"

static mcl_error err;

static double twin_uniformity(const float *z, int64_t n, int64_t dim) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++)
      sum += exp(-2 * (2 - 2 * twin_cosine(z + i * dim, z + j * dim, dim)));
  return log(sum / ((double)n * (double)(n - 1) / 2));
}

static double twin_alignment(const float *a, const float *b, int64_t n, int64_t dim) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += 2 - 2 * twin_cosine(a + i * dim, b + i * dim, dim);
  return sum / (double)n;
}

START_TEST(both_are_the_plain_twins_at_odd_sizes) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[] = {2, 3, 255, 256, 257, 700};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t n = sizes[s], dim = 9;
    float *a = malloc((size_t)(n * dim) * sizeof *a), *b = malloc((size_t)(n * dim) * sizeof *b);
    test_fill_normal(a, n * dim, 51);
    test_fill_normal(b, n * dim, 52);
    for (int64_t i = 0; i < n * dim; i++) b[i] = a[i] + 0.3F * b[i];
    mcl_array aa = mcl_matrix_f32(a, n, dim), ab = mcl_matrix_f32(b, n, dim);
    double alignment, uniformity, of_a = twin_uniformity(a, n, dim),
                                  of_b = twin_uniformity(b, n, dim);
    CHECK_OK(mcl_probe_alignment_uniformity(c, &aa, &ab, &alignment, &uniformity, &err));
    ck_assert_double_eq_tol(alignment, twin_alignment(a, b, n, dim), 1e-6);
    ck_assert_double_eq_tol(uniformity, (of_a + of_b) / 2, 2e-6);
    CHECK_OK(mcl_probe_alignment_uniformity(c, &aa, NULL, NULL, &uniformity, &err));
    ck_assert_double_eq_tol(uniformity, of_a, 2e-6);
    free(a), free(b);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(collapsed_rows_have_uniformity_zero_and_copies_alignment_zero) {
  mcl_context *c = test_context(1);
  float z[15];
  for (int i = 0; i < 15; i++) z[i] = (float)(1 + i % 3) * (float)(1 + i / 3);
  mcl_array a = mcl_matrix_f32(z, 5, 3);
  double alignment, uniformity;
  CHECK_OK(mcl_probe_alignment_uniformity(c, &a, &a, &alignment, &uniformity, &err));
  ck_assert(alignment == 0);
  ck_assert_double_eq_tol(uniformity, 0, 1e-6);
  mcl_context_unref(c);
}
END_TEST

START_TEST(two_opposite_rows_are_at_minus_eight) {
  mcl_context *c = test_context(1);
  float z[4] = {3, 0, -1, 0};
  mcl_array a = mcl_matrix_f32(z, 2, 2);
  double uniformity;
  CHECK_OK(mcl_probe_alignment_uniformity(c, &a, NULL, NULL, &uniformity, &err));
  ck_assert_double_eq_tol(uniformity, -8, 1e-6); // |a - b|^2 = 4, times -2
  mcl_context_unref(c);
}
END_TEST

START_TEST(one_row_has_an_alignment_but_no_uniformity) {
  mcl_context *c = test_context(1);
  float z[2] = {1, 0}, w[2] = {0, 1};
  mcl_array a = mcl_matrix_f32(z, 1, 2), b = mcl_matrix_f32(w, 1, 2);
  double alignment = 7, uniformity = 7;
  CHECK_OK(mcl_probe_alignment_uniformity(c, &a, &b, &alignment, NULL, &err));
  ck_assert_double_eq_tol(alignment, 2, 1e-6);
  CHECK_FAILS(MCL_E_SHAPE, "uniformity",
              mcl_probe_alignment_uniformity(c, &a, &b, &alignment, &uniformity, &err));
  ck_assert(uniformity == 7);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_same_bits_for_any_number_of_threads) {
  enum { N = 1111, D = 21 };
  float *z = malloc(sizeof(float) * N * D);
  test_fill_normal(z, N * D, 53);
  mcl_array a = mcl_matrix_f32(z, N, D);
  double first = 0, uniformity;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    CHECK_OK(mcl_probe_alignment_uniformity(c, &a, NULL, NULL, &uniformity, &err));
    if (threads == 1) first = uniformity;
    ck_assert_mem_eq(&first, &uniformity, sizeof first);
    mcl_context_unref(c);
  }
  free(z);
}
END_TEST

START_TEST(bad_input_is_named) {
  mcl_context *c = test_context(1);
  float z[6] = {1, 0, 0, 1, 1, 1};
  mcl_array a = mcl_matrix_f32(z, 3, 2), two = mcl_matrix_f32(z, 2, 2);
  double x = 7, y = 7;
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_probe_alignment_uniformity(NULL, &a, &a, &x, &y, &err));
  CHECK_FAILS(MCL_E_INVALID, "za", mcl_probe_alignment_uniformity(c, NULL, &a, &x, &y, &err));
  CHECK_FAILS(MCL_E_INVALID, "zb is NULL",
              mcl_probe_alignment_uniformity(c, &a, NULL, &x, &y, &err));
  CHECK_FAILS(MCL_E_SHAPE, "zb", mcl_probe_alignment_uniformity(c, &a, &two, &x, &y, &err));
  z[4] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2 of za",
              mcl_probe_alignment_uniformity(c, &a, &a, &x, &y, &err));
  ck_assert(x == 7 && y == 7);
  mcl_context_unref(c);
}
END_TEST

typedef struct uniformity_out {
  size_t struct_size;
  double alignment, uniformity;
} uniformity_out;

RUN_TESTS("probe", both_are_the_plain_twins_at_odd_sizes,
          collapsed_rows_have_uniformity_zero_and_copies_alignment_zero,
          two_opposite_rows_are_at_minus_eight, one_row_has_an_alignment_but_no_uniformity,
          the_same_bits_for_any_number_of_threads, bad_input_is_named)
