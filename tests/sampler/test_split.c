#include "sampler/split.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support/suite.h"

// More than a cell that is sorted in a buffer, and many blocks of a large one.
enum { ROWS = 60000 };

static int32_t *random_labels(mcli_rng *r, int32_t k, int32_t step, double excluded) {
  int32_t *labels = malloc(ROWS * sizeof *labels);
  for (int64_t i = 0; i < ROWS; i++) {
    labels[i] = (int32_t)(mcli_rng_unit(r) * mcli_rng_unit(r) * k) * step; // uneven
    if (mcli_rng_unit(r) < excluded) labels[i] = -1;
  }
  return labels;
}

static mcli_labels checked(const int32_t *labels) {
  mcli_labels l = {.of = labels};
  for (int64_t i = 0; i < ROWS; i++) {
    l.max = labels[i] > l.max ? labels[i] : l.max;
    l.given += labels[i] >= 0;
  }
  return l;
}

// The plain twin: rows by their labels, then by their number.
static const int32_t *first_label, *second_label;

static int by_labels(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  if (first_label[x] != first_label[y]) return first_label[x] < first_label[y] ? -1 : 1;
  if (second_label && second_label[x] != second_label[y])
    return second_label[x] < second_label[y] ? -1 : 1;
  return x < y ? -1 : 1;
}

static int same_cell(int32_t x, int32_t y) {
  return first_label[x] == first_label[y] && (!second_label || second_label[x] == second_label[y]);
}

static void check_sorted(const mcli_cells *cells, const int32_t *a, const int32_t *b) {
  static int32_t rows[ROWS];
  int64_t n = 0, cell = 0;
  for (int32_t i = 0; i < ROWS; i++)
    if (a[i] >= 0 && (!b || b[i] >= 0)) rows[n++] = i;
  first_label = a, second_label = b;
  qsort(rows, (size_t)n, sizeof *rows, by_labels);
  ck_assert_int_eq(cells->included, n);
  for (int64_t i = 0; i < n; i++) {
    if (i > 0 && !same_cell(rows[i], rows[i - 1])) cell++;
    int64_t place = i - cells->first[cell], row = mcli_index_get(&cells->index, i);
    if (row != rows[i] || place < 0 || place >= cells->size[cell])
      ck_abort_msg("place %d has row %d, not %d", (int)i, (int)row, rows[i]);
  }
  ck_assert_int_eq(cells->n, n ? cell + 1 : 0);
}

static mcli_cells *refined(mcli_cells *old, int own, int32_t stage, const int32_t *labels) {
  mcl_error err;
  mcli_refined r;
  mcli_labels l = checked(labels);
  CHECK_OK(mcli_cells_refine(old, own, stage, &l, &r, &err));
  mcli_cells_finish(old, &r);
  return r.cells;
}

static void check_two_stages(int32_t k, int32_t step, double excluded, int wide, int own) {
  mcl_context *c = test_context(1);
  mcl_error err;
  mcli_rng r = mcli_rng_make((uint64_t)k, MCLI_RNG_DATA, 0, 0);
  int32_t *a = random_labels(&r, k, step, excluded), *b = random_labels(&r, k, step, excluded);
  mcli_cells *root, *first, *second;
  CHECK_OK(mcli_cells_root(c, ROWS, wide, &root, &err));
  first = refined(root, own, 0, a);
  check_sorted(first, a, NULL);
  second = refined(first, own, 1, b);
  check_sorted(second, a, b);
  if (!own) check_sorted(first, a, NULL);
  mcli_cells_free(second);
  mcli_cells_free(first);
  mcli_cells_free(root);
  free(a);
  free(b);
  mcl_context_unref(c);
}

START_TEST(large_cells_are_sorted_stably_by_label) {
  static const int32_t clusters[] = {1, 2, 10, 128, 255, 256, 257, 1000, 30000};
  for (size_t i = 0; i < sizeof clusters / sizeof *clusters; i++)
    for (int wide = 0; wide < 2; wide++) check_two_stages(clusters[i], 1, 0, wide, 1);
}
END_TEST

START_TEST(excluded_rows_leave_no_gaps) {
  static const int32_t clusters[] = {1, 10, 255, 256, 1000};
  for (size_t i = 0; i < sizeof clusters / sizeof *clusters; i++) {
    check_two_stages(clusters[i], 1, .1, 0, 1);
    check_two_stages(clusters[i], 1, .9, 1, 1);
  }
}
END_TEST

START_TEST(labels_of_any_size_are_sorted_eight_bits_at_a_time) {
  check_two_stages(10, INT32_MAX / 10, .01, 0, 1);
  check_two_stages(30000, 70001, 0, 0, 1);
}
END_TEST

START_TEST(shared_cells_are_copied_and_stay_as_they_were) {
  check_two_stages(10, 1, .1, 0, 0);
  check_two_stages(1000, 1, 0, 1, 0);
}
END_TEST

START_TEST(undoing_needs_no_memory_and_brings_every_row_back) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 1);
  mcl_error err;
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_DATA, 0, 0);
  int32_t *x = random_labels(&r, 10, 1, .1), *y = random_labels(&r, 1000, 1, .1);
  mcli_labels l = checked(y);
  mcli_cells *root, *first;
  CHECK_OK(mcli_cells_root(c, ROWS, 0, &root, &err));
  first = refined(root, 1, 0, x);
  int64_t live = a.live;
  int refused = 0;
  for (int64_t n = 1;; n++) {
    mcli_refined out;
    a.fail_at = n, a.for_ever = 1;
    mcl_status status = mcli_cells_refine(first, 1, 1, &l, &out, &err);
    mcli_cells_undo(first, &out); // also after a success
    a.fail_at = 0, a.for_ever = 0;
    ck_assert_int_eq(a.live, live);
    check_sorted(first, x, NULL);
    if (status == MCL_OK) break;
    ck_assert_int_eq(status, MCL_E_NOMEM);
    refused++;
  }
  ck_assert_int_gt(refused, 12);
  mcli_cells_free(first);
  mcli_cells_free(root);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
  free(x);
  free(y);
}
END_TEST

RUN_TESTS("split", large_cells_are_sorted_stably_by_label, excluded_rows_leave_no_gaps,
          labels_of_any_size_are_sorted_eight_bits_at_a_time,
          shared_cells_are_copied_and_stay_as_they_were,
          undoing_needs_no_memory_and_brings_every_row_back)
