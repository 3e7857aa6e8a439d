#include "probe/common.h"

static mcl_error err;

typedef struct scores {
  double nmi, ari, purity;
} scores;

// The plain twin: the whole contingency table, and the adjusted Rand index over all pairs of rows.
static scores twin(const int32_t *a, const int32_t *b, int64_t n, int32_t ka, int32_t kb) {
  int64_t *table = calloc((size_t)(ka * kb), sizeof *table),
          *of_a = calloc((size_t)ka, sizeof *of_a);
  int64_t *of_b = calloc((size_t)kb, sizeof *of_b);
  scores s = {0, 0, 0};
  for (int64_t i = 0; i < n; i++) table[a[i] * kb + b[i]]++, of_a[a[i]]++, of_b[b[i]]++;
  double ha = 0, hb = 0, mutual = 0, size = (double)n;
  for (int32_t i = 0; i < ka; i++) {
    double p = (double)of_a[i] / size;
    int64_t most = 0;
    if (p > 0) ha -= p * log(p);
    for (int32_t j = 0; j < kb; j++) {
      double pij = (double)table[i * kb + j] / size, q = (double)of_b[j] / size;
      if (pij > 0) mutual += pij * log(pij / (p * q));
      if (table[i * kb + j] > most) most = table[i * kb + j];
    }
    s.purity += (double)most / size;
  }
  for (int32_t j = 0; j < kb; j++)
    if (of_b[j]) hb -= (double)of_b[j] / size * log((double)of_b[j] / size);
  s.nmi = mutual / ((ha + hb) / 2);
  double both = 0, in_a = 0, in_b = 0, all = size * (size - 1) / 2;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++) {
      both += a[i] == a[j] && b[i] == b[j];
      in_a += a[i] == a[j];
      in_b += b[i] == b[j];
    }
  s.ari = (both - in_a * in_b / all) / ((in_a + in_b) / 2 - in_a * in_b / all);
  free(table), free(of_a), free(of_b);
  return s;
}

static int32_t *labels(int64_t n, int32_t k, uint64_t seed) {
  float *u = malloc((size_t)n * sizeof *u);
  int32_t *y = malloc((size_t)n * sizeof *y);
  test_fill(u, n, seed, 0, (float)k);
  for (int64_t i = 0; i < n; i++) y[i] = (int32_t)u[i];
  free(u);
  return y;
}

START_TEST(scores_are_those_of_the_plain_twin) {
  mcl_context *c = test_context(1);
  static const int32_t k[][2] = {{2, 2}, {3, 7}, {40, 5}, {1, 9}, {200, 150}};
  for (size_t t = 0; t < sizeof k / sizeof *k; t++) {
    enum { N = 601 };
    int32_t *a = labels(N, k[t][0], 21), *b = labels(N, k[t][1], 22);
    for (int i = 0; i < N / 2; i++) b[i] = a[i] % k[t][1];
    scores want = twin(a, b, N, k[t][0], k[t][1]), got;
    CHECK_OK(mcl_probe_agreement(c, a, b, N, &got.nmi, &got.ari, &got.purity, &err));
    ck_assert_double_eq_tol(got.nmi, want.nmi, 1e-12);
    ck_assert_double_eq_tol(got.ari, want.ari, 1e-12);
    ck_assert_double_eq_tol(got.purity, want.purity, 1e-12);
    free(a), free(b);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(names_of_labels_do_not_matter) {
  mcl_context *c = test_context(1);
  int32_t a[6] = {0, 0, 1, 1, 2, 2}, b[6] = {INT32_MAX, INT32_MAX, 70000, 70000, 256, 256};
  double nmi, ari, purity;
  CHECK_OK(mcl_probe_agreement(c, a, b, 6, &nmi, &ari, &purity, &err));
  ck_assert(nmi == 1 && ari == 1 && purity == 1);
  for (int byte = 0; byte < 31;
       byte += 8) { // labels that differ in one byte only, and not in order
    int32_t x[6] = {0, 1 << byte, 0, 1 << byte, 0, 1 << byte}, y[6] = {5, 9, 5, 9, 5, 9};
    CHECK_OK(mcl_probe_agreement(c, x, y, 6, &nmi, &ari, &purity, &err));
    ck_assert(nmi == 1 && ari == 1 && purity == 1);
    CHECK_OK(mcl_probe_agreement(c, y, x, 6, &nmi, &ari, &purity, &err));
    ck_assert(nmi == 1 && ari == 1 && purity == 1);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(independent_labels_have_no_nmi_and_a_textbook_ari) {
  mcl_context *c = test_context(1);
  int32_t a[4] = {0, 0, 1, 1}, b[4] = {0, 1, 0, 1};
  double nmi, ari, purity;
  CHECK_OK(mcl_probe_agreement(c, a, b, 4, &nmi, &ari, &purity, &err));
  ck_assert(nmi == 0 && purity == 0.5);
  ck_assert_double_eq_tol(ari, -0.5, 1e-15);
  for (int32_t wide = 3; wide <= 13; wide += 2) { // a grid: every combination as often
    int32_t x[91], y[91];
    for (int32_t i = 0; i < 7 * wide; i++) x[i] = i % 7, y[i] = i / 7;
    CHECK_OK(mcl_probe_agreement(c, x, y, 7 * wide, &nmi, NULL, NULL, &err));
    ck_assert(nmi == 0);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(purity_asks_in_one_direction) {
  mcl_context *c = test_context(1);
  int32_t a[4] = {0, 1, 2, 3}, b[4] = {0, 0, 1, 1};
  double purity;
  CHECK_OK(mcl_probe_agreement(c, a, b, 4, NULL, NULL, &purity, &err));
  ck_assert(purity == 1);
  CHECK_OK(mcl_probe_agreement(c, b, a, 4, NULL, NULL, &purity, &err));
  ck_assert(purity == 0.5);
  mcl_context_unref(c);
}
END_TEST

START_TEST(outputs_may_be_missing) {
  mcl_context *c = test_context(1);
  int32_t a[3] = {0, 0, 1};
  double x;
  CHECK_OK(mcl_probe_agreement(c, a, a, 3, &x, NULL, NULL, &err));
  CHECK_OK(mcl_probe_agreement(c, a, a, 3, NULL, &x, NULL, &err));
  CHECK_OK(mcl_probe_agreement(c, a, a, 3, NULL, NULL, NULL, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_input_is_named_and_writes_nothing) {
  mcl_context *c = test_context(1);
  int32_t a[3] = {0, 0, 1}, b[3] = {0, -1, 1};
  double nmi = 7, ari = 7, purity = 7;
  CHECK_FAILS(MCL_E_INVALID, "context",
              mcl_probe_agreement(NULL, a, a, 3, &nmi, &ari, &purity, &err));
  CHECK_FAILS(MCL_E_INVALID, "a is NULL",
              mcl_probe_agreement(c, NULL, a, 3, &nmi, &ari, &purity, &err));
  CHECK_FAILS(MCL_E_INVALID, "b is NULL",
              mcl_probe_agreement(c, a, NULL, 3, &nmi, &ari, &purity, &err));
  CHECK_FAILS(MCL_E_INVALID, "n is 0", mcl_probe_agreement(c, a, a, 0, &nmi, &ari, &purity, &err));
  CHECK_FAILS(MCL_E_INVALID, "b[1] is -1",
              mcl_probe_agreement(c, a, b, 3, &nmi, &ari, &purity, &err));
  ck_assert_int_eq(err.row, 1);
  CHECK_FAILS(MCL_E_INVALID, "a[1] is -1",
              mcl_probe_agreement(c, b, a, 3, &nmi, &ari, &purity, &err));
  CHECK_FAILS(MCL_E_LIMIT, "n",
              mcl_probe_agreement(c, a, a, INT64_MAX / 8, &nmi, &ari, &purity, &err));
  ck_assert(nmi == 7 && ari == 7 && purity == 7);
  mcl_context_unref(c);
}
END_TEST

typedef struct agreement_out {
  size_t struct_size;
  double nmi, ari, purity;
} agreement_out;

RUN_TESTS("probe", scores_are_those_of_the_plain_twin, names_of_labels_do_not_matter,
          independent_labels_have_no_nmi_and_a_textbook_ari, purity_asks_in_one_direction,
          outputs_may_be_missing, bad_input_is_named_and_writes_nothing)
