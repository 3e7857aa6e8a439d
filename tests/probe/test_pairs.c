#include "probe/common.h"

static mcl_error err;

// ---- pair accuracy ---------------------------------------------------------------------------------------

START_TEST(a_pair_counts_when_both_images_prefer_their_own_caption) {
  mcl_context *c = test_context(1);
  float images[16] = {1, 0, 0, 1, /* right, right */ 1, 0, 1, 0, /* right, wrong */
                      1, 1, 0, 1, /* tie, right */ 0,   1, 1, 0 /* wrong, wrong */};
  float texts[16] = {2, 0, 0, 3, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1};
  int32_t category[4] = {2, 0, 0, 2};
  mcl_array a = mcl_matrix_f32(images, 8, 2), t = mcl_matrix_f32(texts, 8, 2);
  mcl_probe_result r[4];
  for (int i = 0; i < 4; i++) r[i] = new_result();
  CHECK_OK(mcl_probe_pairs(c, NULL, &a, &t, category, r, 3, &err));
  ck_assert(r[0].correct == 1 && r[0].total == 4 && r[0].value == 0.25);
  ck_assert(r[1].correct == 0 && r[1].total == 2 && r[1].low == 0);
  ck_assert(r[2].total == 0 && isnan(r[2].value) && r[2].low == 0 && r[2].high == 1);
  ck_assert(r[3].correct == 1 && r[3].total == 2);
  CHECK_OK(mcl_probe_pairs(c, NULL, &a, &t, NULL, r, 0, &err));
  ck_assert(r[0].correct == 1 && r[0].total == 4);
  mcl_context_unref(c);
}
END_TEST

START_TEST(swapped_arrays_ask_the_captions) {
  mcl_context *c = test_context(1);
  // Both captions are nearest their image, but the second image prefers the first caption.
  float images[4] = {1, 0, 1, 1}, texts[4] = {1, 0.2F, -0.2F, 0.9F};
  mcl_array a = mcl_matrix_f32(images, 2, 2), t = mcl_matrix_f32(texts, 2, 2);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_pairs(c, NULL, &a, &t, NULL, &r, 0, &err));
  ck_assert_int_eq(r.correct, 0);
  CHECK_OK(mcl_probe_pairs(c, NULL, &t, &a, NULL, &r, 0, &err));
  ck_assert_int_eq(r.correct, 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(equal_captions_tie_exactly_and_a_tie_is_wrong) {
  mcl_context *c = test_context(1);
  enum { N = 200, DIM = 37 };
  float *images = malloc(sizeof(float) * N * DIM), *texts = malloc(sizeof(float) * N * DIM);
  test_fill_normal(images, N * DIM, 1);
  test_fill_normal(texts, N * DIM, 2);
  for (int i = 0; i < N; i += 2)
    memcpy(texts + (i + 1) * DIM, texts + i * DIM, DIM * sizeof *texts);
  mcl_array a = mcl_matrix_f32(images, N, DIM), t = mcl_matrix_f32(texts, N, DIM);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_pairs(c, NULL, &a, &t, NULL, &r, 0, &err));
  ck_assert(r.correct == 0 && r.total == N / 2);
  free(images), free(texts);
  mcl_context_unref(c);
}
END_TEST

START_TEST(random_pairs_come_out_at_a_quarter) {
  mcl_context *c = test_context(1);
  enum { N = 8000, DIM = 16 };
  float *images = malloc(sizeof(float) * N * DIM), *texts = malloc(sizeof(float) * N * DIM);
  test_fill_normal(images, N * DIM, 3);
  test_fill_normal(texts, N * DIM, 4);
  mcl_array a = mcl_matrix_f32(images, N, DIM), t = mcl_matrix_f32(texts, N, DIM);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.confidence = 0.999;
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_pairs(c, &o, &a, &t, NULL, &r, 0, &err));
  ck_assert(r.low < 0.25 && r.high > 0.25 && r.high - r.low < 0.06);
  free(images), free(texts);
  mcl_context_unref(c);
}
END_TEST

START_TEST(an_older_callers_smaller_results_are_not_overrun) {
  mcl_context *c = test_context(1);
  float images[4] = {1, 0, 0, 1};
  int32_t category = 0;
  mcl_array a = mcl_matrix_f32(images, 2, 2);
  struct {
    size_t struct_size;
    double value;
  } small[3];
  for (int i = 0; i < 2; i++) mcl_struct_init(&small[i], sizeof small[i]);
  small[2].value = -5;
  CHECK_OK(mcl_probe_pairs(c, NULL, &a, &a, &category, (mcl_probe_result *)(void *)small, 1, &err));
  ck_assert(small[0].value == 1 && small[1].value == 1 && small[2].value == -5);
  small[1].struct_size = sizeof(mcl_probe_result);
  CHECK_FAILS(
      MCL_E_INVALID, "out[1].struct_size",
      mcl_probe_pairs(c, NULL, &a, &a, &category, (mcl_probe_result *)(void *)small, 1, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_pairs_are_named) {
  mcl_context *c = test_context(1);
  float z[12] = {1, 0, 0, 1, 1, 1, 2, 1, 0, 1, 1, 2};
  int32_t category[2] = {0, 1};
  mcl_array a = mcl_matrix_f32(z, 4, 2), odd = mcl_matrix_f32(z, 3, 2),
            two = mcl_matrix_f32(z, 2, 2);
  mcl_probe_result r[3] = {new_result(), new_result(), new_result()};
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_probe_pairs(NULL, NULL, &a, &a, NULL, r, 0, &err));
  CHECK_FAILS(MCL_E_INVALID, "images is NULL",
              mcl_probe_pairs(c, NULL, NULL, &a, NULL, r, 0, &err));
  CHECK_FAILS(MCL_E_INVALID, "texts is NULL", mcl_probe_pairs(c, NULL, &a, NULL, NULL, r, 0, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_probe_pairs(c, NULL, &a, &a, NULL, NULL, 0, &err));
  CHECK_FAILS(MCL_E_SHAPE, "even", mcl_probe_pairs(c, NULL, &odd, &odd, NULL, r, 0, &err));
  CHECK_FAILS(MCL_E_SHAPE, "texts", mcl_probe_pairs(c, NULL, &a, &two, NULL, r, 0, &err));
  CHECK_FAILS(MCL_E_INVALID, "n_categories is -1",
              mcl_probe_pairs(c, NULL, &a, &a, NULL, r, -1, &err));
  CHECK_FAILS(MCL_E_INVALID, "category is NULL",
              mcl_probe_pairs(c, NULL, &a, &a, NULL, r, 2, &err));
  CHECK_FAILS(MCL_E_INVALID, "category[1] is 1",
              mcl_probe_pairs(c, NULL, &a, &a, category, r, 1, &err));
  ck_assert_int_eq(err.row, 1);
  z[5] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2 of images",
              mcl_probe_pairs(c, NULL, &a, &a, NULL, r, 0, &err));
  mcl_context_unref(c);
}
END_TEST

// ---- recall ----------------------------------------------------------------------------------------------

static int64_t twin_recall(const float *q, int64_t n, const float *g, int64_t m, int64_t dim,
                           const int64_t *match, int32_t k) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    double own = twin_cosine(q + i * dim, g + match[i] * dim, dim);
    int64_t ahead = 0;
    for (int64_t j = 0; j < m; j++)
      ahead += j != match[i] && twin_cosine(q + i * dim, g + j * dim, dim) > own - 1e-6;
    found += ahead < k;
  }
  return found;
}

START_TEST(recall_is_the_plain_twins_at_odd_sizes) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {127, 64}, {129, 513}, {300, 1100}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t n = sizes[s][0], m = sizes[s][1], dim = 12;
    float *q = malloc((size_t)(n * dim) * sizeof *q), *g = malloc((size_t)(m * dim) * sizeof *g);
    int64_t *match = malloc((size_t)n * sizeof *match);
    test_fill_normal(q, n * dim, 31);
    test_fill_normal(g, m * dim, 32);
    for (int64_t i = 0; i < n; i++) {
      match[i] = (i * 7 + 3) % m;
      for (int64_t k = 0; k < dim; k++) q[i * dim + k] += 0.8F * g[match[i] * dim + k];
    }
    mcl_array aq = mcl_matrix_f32(q, n, dim), ag = mcl_matrix_f32(g, m, dim);
    for (int32_t k = 1; k <= m && k <= 10; k += 4) {
      mcl_probe_result r = new_result();
      CHECK_OK(mcl_probe_recall(c, NULL, &aq, &ag, match, k, &r, &err));
      ck_assert_int_eq(r.correct, twin_recall(q, n, g, m, dim, match, k));
      ck_assert_int_eq(r.total, n);
    }
    free(q), free(g), free(match);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_collapsed_gallery_is_never_right_until_k_takes_it_all) {
  mcl_context *c = test_context(2);
  enum { N = 700, DIM = 5 };
  float *z = malloc(sizeof(float) * N * DIM);
  int64_t match[N];
  for (int i = 0; i < N; i++) match[i] = i;
  for (int i = 0; i < N * DIM; i++) z[i] = 0.1F * (float)(1 + i % DIM) * (float)(1 + i / DIM % 3);
  mcl_array a = mcl_matrix_f32(z, N, DIM);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_recall(c, NULL, &a, &a, match, N - 1, &r, &err));
  ck_assert_int_eq(r.correct, 0);
  CHECK_OK(mcl_probe_recall(c, NULL, &a, &a, match, N, &r, &err));
  ck_assert_int_eq(r.correct, N);
  free(z);
  mcl_context_unref(c);
}
END_TEST

START_TEST(recall_is_the_same_for_any_number_of_threads) {
  enum { N = 900, DIM = 20 };
  float *q = malloc(sizeof(float) * N * DIM), *g = malloc(sizeof(float) * N * DIM);
  int64_t match[N];
  test_fill_normal(g, N * DIM, 33);
  test_fill_normal(q, N * DIM, 34);
  for (int i = 0; i < N * DIM; i++) q[i] += 0.5F * g[i];
  for (int i = 0; i < N; i++) match[i] = i;
  mcl_array aq = mcl_matrix_f32(q, N, DIM), ag = mcl_matrix_f32(g, N, DIM);
  mcl_probe_result first = new_result();
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    mcl_probe_result r = new_result();
    CHECK_OK(mcl_probe_recall(c, NULL, &aq, &ag, match, 5, &r, &err));
    if (threads == 1) first = r;
    ck_assert_mem_eq(&r, &first, sizeof r);
    mcl_context_unref(c);
  }
  ck_assert(first.correct > N / 10 && first.correct < N);
  free(q), free(g);
}
END_TEST

START_TEST(bad_queries_are_named) {
  mcl_context *c = test_context(1);
  float z[6] = {1, 0, 0, 1, 1, 1};
  int64_t match[3] = {0, 1, 2};
  mcl_array a = mcl_matrix_f32(z, 3, 2), narrow = mcl_matrix_f32(z, 3, 1);
  mcl_probe_result r = new_result();
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_probe_recall(NULL, NULL, &a, &a, match, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "queries", mcl_probe_recall(c, NULL, NULL, &a, match, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "gallery", mcl_probe_recall(c, NULL, &a, NULL, match, 1, &r, &err));
  CHECK_FAILS(MCL_E_SHAPE, "gallery", mcl_probe_recall(c, NULL, &a, &narrow, match, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "match is NULL", mcl_probe_recall(c, NULL, &a, &a, NULL, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "k is 0", mcl_probe_recall(c, NULL, &a, &a, match, 0, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "k is 4", mcl_probe_recall(c, NULL, &a, &a, match, 4, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_probe_recall(c, NULL, &a, &a, match, 1, NULL, &err));
  match[1] = 3;
  CHECK_FAILS(MCL_E_INVALID, "match[1] is 3",
              mcl_probe_recall(c, NULL, &a, &a, match, 1, &r, &err));
  ck_assert_int_eq(err.row, 1);
  match[1] = 1;
  z[2] = INFINITY;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1 of queries",
              mcl_probe_recall(c, NULL, &a, &a, match, 1, &r, &err));
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("probe", a_pair_counts_when_both_images_prefer_their_own_caption,
          swapped_arrays_ask_the_captions, equal_captions_tie_exactly_and_a_tie_is_wrong,
          random_pairs_come_out_at_a_quarter, an_older_callers_smaller_results_are_not_overrun,
          bad_pairs_are_named, recall_is_the_plain_twins_at_odd_sizes,
          a_collapsed_gallery_is_never_right_until_k_takes_it_all,
          recall_is_the_same_for_any_number_of_threads, bad_queries_are_named)
