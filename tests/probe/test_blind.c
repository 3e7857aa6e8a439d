#include "probe/common.h"

static mcl_error err;

typedef struct scored {
  float apart;
  int64_t low, high;
} scored;

static int by_apart(const void *a, const void *b) {
  const scored *x = a, *y = b;
  if (x->apart != y->apart) return x->apart > y->apart ? -1 : 1;
  if (x->low != y->low) return x->low < y->low ? -1 : 1;
  return x->high < y->high ? -1 : 1;
}

// The plain twin: all pairs, sorted, taken greedily.
static int64_t twin_blind(const float *before, int64_t d1, const float *after, int64_t d2,
                          int64_t n, double alike, int64_t *pairs, int64_t capacity) {
  scored *all = malloc((size_t)(n * n / 2 + 1) * sizeof *all);
  char *used = calloc((size_t)n, 1);
  int64_t count = 0, got = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++)
      if (twin_cosine(before + i * d1, before + j * d1, d1) >= alike - 1e-6)
        all[count++] = (scored){(float)-twin_cosine(after + i * d2, after + j * d2, d2), i, j};
  qsort(all, (size_t)count, sizeof *all, by_apart);
  for (int64_t p = 0; p < count && got < capacity; p++) {
    if (used[all[p].low] || used[all[p].high]) continue;
    used[all[p].low] = used[all[p].high] = 1;
    pairs[2 * got] = all[p].low;
    pairs[2 * got + 1] = all[p].high;
    got++;
  }
  free(all), free(used);
  return got;
}

static void against_twin(mcl_context *c, const float *before, int64_t d1, const float *after,
                         int64_t d2, int64_t n, double alike, int64_t capacity) {
  int64_t *want = malloc((size_t)(2 * capacity) * sizeof *want);
  int64_t *got = malloc((size_t)(2 * capacity + 1) * sizeof *got), count = -1;
  for (int64_t i = 0; i <= 2 * capacity; i++) got[i] = -9;
  mcl_array b = mcl_matrix_f32((float *)(uintptr_t)before, n, d1);
  mcl_array a = mcl_matrix_f32((float *)(uintptr_t)after, n, d2);
  int64_t wanted = twin_blind(before, d1, after, d2, n, alike, want, capacity);
  CHECK_OK(mcl_probe_blind_pairs(c, &b, &a, alike, got, capacity, &count, &err));
  ck_assert_int_eq(count, wanted);
  for (int64_t i = 0; i < 2 * count; i++)
    ck_assert_msg(got[i] == want[i], "pair %d: (%d, %d), not (%d, %d)", (int)(i / 2),
                  (int)got[i / 2 * 2], (int)got[i / 2 * 2 + 1], (int)want[i / 2 * 2],
                  (int)want[i / 2 * 2 + 1]);
  for (int64_t i = 2 * count; i <= 2 * capacity; i++) ck_assert_int_eq(got[i], -9);
  free(want), free(got);
}

START_TEST(pairs_are_the_greedy_ones_of_the_plain_twin) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[] = {2, 3, 31, 129, 600};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t n = sizes[s];
    int32_t *y;
    // Nearly equal inside a class before, anything after.
    float *before = class_rows(n, 8, 4, 6, 41, &y),
          *after = malloc((size_t)(n * 11) * sizeof *after);
    test_fill_normal(after, n * 11, 42);
    for (double alike = 0.5; alike < 1; alike += 0.45)
      for (int64_t capacity = 1; capacity <= n; capacity = capacity * 4 + 1)
        against_twin(c, before, 8, after, 11, n, alike, capacity);
    free(before), free(after), free(y);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_few_rows_that_are_everyones_farthest_do_not_hide_the_rest) {
  // 40 rows point away from all others in `after`: every list is full of them and runs out.
  mcl_context *c = test_context(2);
  enum { N = 500, HUBS = 40, D = 6 };
  float *before = malloc(sizeof(float) * N * D), *after = malloc(sizeof(float) * N * D);
  test_fill(before, N * D, 43, 0.9F, 1);
  test_fill_normal(after, N * D, 44);
  for (int i = 0; i < N; i++) after[i * D] += i % 12 == 0 && i / 12 < HUBS ? -30.0F : 4.0F;
  against_twin(c, before, D, after, D, N, 0.9, N / 2);
  free(before), free(after);
  mcl_context_unref(c);
}
END_TEST

START_TEST(copies_are_alike_at_one) {
  mcl_context *c = test_context(1);
  float before[] = {0.1F, 0.2F, 0.7F, 0.3F, 0.6F, 2.1F, 0.1F, 0.2F, 0.71F};
  float after[] = {1, 0, 0, 1, 1, 1};
  against_twin(c, before, 3, after, 2, 3, 1, 5);
  mcl_array b = mcl_matrix_f32(before, 3, 3), a = mcl_matrix_f32(after, 3, 2);
  int64_t pairs[2], got;
  CHECK_OK(mcl_probe_blind_pairs(c, &b, &a, 1, pairs, 1, &got, &err));
  ck_assert(got == 1 && pairs[0] == 0 && pairs[1] == 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(every_copy_is_found_however_its_length_was_rounded) {
  mcl_context *c = test_context(1);
  enum { N = 400, D = 37 };
  float *before = malloc(sizeof(float) * N * D);
  int64_t pairs[N], got;
  test_fill_normal(before, N * D / 2, 47);
  for (int i = 0; i < N * D / 2; i++) before[N * D / 2 + i] = 3 * before[i];
  mcl_array b = mcl_matrix_f32(before, N, D);
  CHECK_OK(mcl_probe_blind_pairs(c, &b, &b, 1, pairs, N / 2, &got, &err));
  ck_assert_int_eq(got, N / 2);
  for (int i = 0; i < N / 2; i++) ck_assert_int_eq(pairs[2 * i + 1], pairs[2 * i] + N / 2);
  free(before);
  mcl_context_unref(c);
}
END_TEST

START_TEST(equal_cosines_go_by_row_number) {
  mcl_context *c = test_context(1);
  enum { N = 90 };
  float before[N], after[2 * N];
  int64_t pairs[N], got;
  for (int i = 0; i < N; i++) before[i] = 1, after[2 * i] = i % 2 ? 1 : -1, after[2 * i + 1] = 0;
  mcl_array b = mcl_matrix_f32(before, N, 1), a = mcl_matrix_f32(after, N, 2);
  CHECK_OK(mcl_probe_blind_pairs(c, &b, &a, 0.95, pairs, N / 2, &got, &err));
  ck_assert_int_eq(got, N / 2);
  for (int i = 0; i < N; i++) ck_assert_int_eq(pairs[i], i);
  mcl_context_unref(c);
}
END_TEST

START_TEST(no_pair_is_no_error) {
  mcl_context *c = test_context(1);
  float z[4] = {1, 0, 0, 1};
  int64_t pairs[2] = {-9, -9}, got = -9;
  mcl_array a = mcl_matrix_f32(z, 2, 2), one = mcl_matrix_f32(z, 1, 2);
  CHECK_OK(mcl_probe_blind_pairs(c, &a, &a, 0.95, pairs, 1, &got, &err));
  ck_assert(got == 0 && pairs[0] == -9);
  got = -9;
  CHECK_OK(mcl_probe_blind_pairs(c, &one, &one, 0.95, pairs, 1, &got, &err));
  ck_assert(got == 0 && pairs[0] == -9);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_same_pairs_for_any_number_of_threads) {
  enum { N = 1500, D = 10 };
  float *before = malloc(sizeof(float) * N * D), *after = malloc(sizeof(float) * N * D);
  test_fill(before, N * D, 45, 0.5F, 1);
  test_fill_normal(after, N * D, 46);
  mcl_array b = mcl_matrix_f32(before, N, D), a = mcl_matrix_f32(after, N, D);
  int64_t first[400], pairs[400], got;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    CHECK_OK(mcl_probe_blind_pairs(c, &b, &a, 0.95, pairs, 200, &got, &err));
    ck_assert_int_eq(got, 200);
    if (threads == 1) memcpy(first, pairs, sizeof first);
    ck_assert_mem_eq(pairs, first, sizeof first);
    mcl_context_unref(c);
  }
  free(before), free(after);
}
END_TEST

START_TEST(bad_input_is_named) {
  mcl_context *c = test_context(1);
  float z[4] = {1, 0, 0, 1};
  int64_t pairs[2], got;
  mcl_array a = mcl_matrix_f32(z, 2, 2), one = mcl_matrix_f32(z, 1, 2);
#define BLIND(...) mcl_probe_blind_pairs(__VA_ARGS__, &err)
  CHECK_FAILS(MCL_E_INVALID, "context", BLIND(NULL, &a, &a, 0.9, pairs, 1, &got));
  CHECK_FAILS(MCL_E_INVALID, "before", BLIND(c, NULL, &a, 0.9, pairs, 1, &got));
  CHECK_FAILS(MCL_E_INVALID, "after", BLIND(c, &a, NULL, 0.9, pairs, 1, &got));
  CHECK_FAILS(MCL_E_SHAPE, "after", BLIND(c, &a, &one, 0.9, pairs, 1, &got));
  CHECK_FAILS(MCL_E_INVALID, "alike is 1.1", BLIND(c, &a, &a, 1.1, pairs, 1, &got));
  CHECK_FAILS(MCL_E_INVALID, "alike is -1", BLIND(c, &a, &a, -1, pairs, 1, &got));
  CHECK_FAILS(MCL_E_INVALID, "alike", BLIND(c, &a, &a, (double)NAN, pairs, 1, &got));
  CHECK_FAILS(MCL_E_INVALID, "pairs", BLIND(c, &a, &a, 0.9, NULL, 1, &got));
  CHECK_FAILS(MCL_E_INVALID, "got", BLIND(c, &a, &a, 0.9, pairs, 1, NULL));
  CHECK_FAILS(MCL_E_INVALID, "capacity is 0", BLIND(c, &a, &a, 0.9, pairs, 0, &got));
  z[2] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1 of before", BLIND(c, &a, &a, 0.9, pairs, 1, &got));
  ck_assert_int_eq(err.row, 1);
  mcl_context_unref(c);
}
END_TEST

typedef struct blind_out {
  size_t struct_size;
  int64_t pairs[4], got;
} blind_out;

RUN_TESTS("probe", pairs_are_the_greedy_ones_of_the_plain_twin,
          a_few_rows_that_are_everyones_farthest_do_not_hide_the_rest, copies_are_alike_at_one,
          every_copy_is_found_however_its_length_was_rounded, equal_cosines_go_by_row_number,
          no_pair_is_no_error, the_same_pairs_for_any_number_of_threads, bad_input_is_named)
