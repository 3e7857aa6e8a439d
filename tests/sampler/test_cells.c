#include "sampler/cells.h"

#include "sampler/plan.h"
#include "sampler/sampler.h"
#include "sampler/twin.h"

static mcl_sampler *make(mcl_context *c, const mcl_sampler_options *o, int64_t rows, int wide) {
  mcl_error err;
  mcl_sampler *s;
  CHECK_OK(mcli_sampler_create(c, o, rows, 0, 1, wide, &s, &err));
  return s;
}

// A sampler with the twin's labels, batch_rows 8.
static mcl_sampler *labelled(mcl_context *c, const twin *t, int32_t small_cells, int64_t min) {
  mcl_sampler_options o = options_of(8, small_cells);
  o.min_cell_rows = min;
  mcl_sampler *s = make(c, &o, t->rows, 0);
  twin_add(t, s);
  return s;
}

START_TEST(before_labels_all_rows_are_one_cell) {
  mcl_context *c = test_context(1);
  twin t = {.rows = 9};
  mcl_sampler *s = labelled(c, &t, MCL_SMALL_KEEP, 4);
  check_cells(&t, s); // zeros
  ck_assert_int_eq(report_of(s).cells, 1);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

// The rule that the method's first implementation broke: it used the labels of the last stage for
// every stage.
START_TEST(rows_that_differ_in_an_earlier_stage_never_share_a_cell) {
  mcl_context *c = test_context(1);
  twin t = {8, 2, 2, {0, 1}, {{0, 0, 0, 0, 1, 1, 1, 1}, {0, 0, 1, 1, 0, 0, 1, 1}}, {0}, {0}};
  mcl_sampler *s = labelled(c, &t, MCL_SMALL_KEEP, 1);
  int64_t cells[8];
  mcl_error err;
  CHECK_OK(mcl_sampler_cells(s, cells, 8, &err));
  static const int64_t wanted[8] = {0, 0, 1, 1, 2, 2, 3, 3};
  for (int i = 0; i < 8; i++) ck_assert_int_eq(cells[i], wanted[i]);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(cells_are_the_label_tuples_over_all_stages) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_DATA, 0, 0);
  static twin t;
  for (int k = 0; k < 120; k++) {
    twin_random(&t, &r, 1 + (int64_t)mcli_rng_below(&r, TWIN_ROWS),
                1 + (int32_t)mcli_rng_below(&r, 5), 1 + (int32_t)mcli_rng_below(&r, 12),
                k % 3 ? 0 : .1);
    twin_keep(&t);
    mcl_sampler *s = labelled(c, &t, MCL_SMALL_KEEP, 1);
    check_cells(&t, s);
    mcl_sampler_unref(s);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(ten_stages_of_ten_clusters_do_not_overflow) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(2, MCLI_RNG_DATA, 0, 0);
  static twin t;
  t = (twin){.rows = TWIN_ROWS, .vectors = 10, .stages = 10};
  for (int32_t v = 0; v < 10; v++) {
    t.stage[v] = v;
    // Few rows differ at a stage, so that cells of many rows stay to the last: 10^10 keys, of which
    // some dozens exist.
    for (int64_t i = 0; i < t.rows; i++)
      t.labels[v][i] = mcli_rng_unit(&r) < .05 ? (int32_t)mcli_rng_below(&r, 10) : 9;
  }
  twin_keep(&t);
  mcl_sampler *s = labelled(c, &t, MCL_SMALL_KEEP, 1);
  check_cells(&t, s);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(labels_may_have_gaps_and_be_as_large_as_can_be) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(3, MCLI_RNG_DATA, 0, 0);
  static twin t;
  static const int32_t values[] = {0,     255,   256,      257,     65535,         65536,
                                   65537, 65792, 16777215, 1 << 24, INT32_MAX - 1, INT32_MAX};
  for (int largest = 2; largest <= 12; largest++) { // one to four radix passes
    t = (twin){.rows = TWIN_ROWS, .vectors = 2, .stages = 2, .stage = {0, 1}};
    for (int32_t v = 0; v < 2; v++)
      for (int64_t i = 0; i < t.rows; i++)
        t.labels[v][i] = values[mcli_rng_below(&r, (uint64_t)largest)];
    twin_keep(&t);
    mcl_sampler *s = labelled(c, &t, MCL_SMALL_KEEP, 1);
    check_cells(&t, s);
    mcl_sampler_unref(s);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(an_excluded_row_stays_excluded) {
  mcl_context *c = test_context(1);
  twin t = {6, 2, 2, {0, 1}, {{0, -1, 0, 0, 0, 0}, {1, 0, 0, -1, 1, 0}}, {0}, {0}};
  mcl_sampler *s = labelled(c, &t, MCL_SMALL_KEEP, 1);
  int64_t cells[6];
  mcl_error err;
  CHECK_OK(mcl_sampler_cells(s, cells, 6, &err));
  static const int64_t wanted[6] = {1, -1, 0, -1, 1, 0};
  for (int i = 0; i < 6; i++) ck_assert_int_eq(cells[i], wanted[i]);
  ck_assert_int_eq(report_of(s).excluded, 2);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(all_rows_may_be_excluded) {
  mcl_context *c = test_context(1);
  for (int32_t small = MCL_SMALL_BACK_OFF; small <= MCL_SMALL_DROP; small++)
    for (int32_t batching = MCL_BATCH_ONE_CELL; batching <= MCL_BATCH_PACKED; batching++)
      for (int32_t order = MCL_ORDER_PROPORTIONAL; order <= MCL_ORDER_UNIFORM; order++) {
        if (batching == MCL_BATCH_PACKED && order != MCL_ORDER_PROPORTIONAL) continue;
        mcl_sampler_options o = options_of(8, small);
        o.batching = batching, o.order = order;
        mcl_sampler *s = make(c, &o, 3, 0);
        twin t = {3, 2, 2, {0, 1}, {{-1, 0, -1}, {0, -1, 0}}, {-1, -1, -1}, {0}};
        twin_add(&t, s);
        check_cells(&t, s);
        mcl_sampler_report r = report_of(s);
        ck_assert_int_eq(r.excluded, 3);
        ck_assert_int_eq(r.used + r.dropped + r.repeated + r.cells + r.steps, 0);
        ck_assert_int_eq(r.smallest_cell + r.median_cell + r.largest_cell, 0);
        mcl_sampler_unref(s);
      }
  mcl_context_unref(c);
}
END_TEST

// ---- back-off by hand: labels as a string, one digit a row --------------------------------------

static void hand_add(mcl_sampler *s, int32_t stage, const char *labels) {
  mcl_error err;
  int32_t l[64];
  int64_t n = (int64_t)strlen(labels);
  for (int64_t i = 0; i < n; i++) l[i] = labels[i] - '0';
  CHECK_OK(mcl_sampler_add_labels(s, stage, l, n, &err));
}

static void hand_check(const mcl_sampler *s, const char *cells, int64_t backed_off) {
  mcl_error err;
  int64_t got[64], n = (int64_t)strlen(cells);
  CHECK_OK(mcl_sampler_cells(s, got, n, &err));
  for (int64_t i = 0; i < n; i++)
    ck_assert_msg(got[i] == cells[i] - '0', "row %d is in cell %d, not %c", (int)i, (int)got[i],
                  cells[i]);
  ck_assert_int_eq(report_of(s).backed_off, backed_off);
}

// One sampler a case: backs off under 4 rows.
static mcl_sampler *hand(mcl_context *c, const char *stage0) {
  mcl_sampler_options o = options_of(8, MCL_SMALL_BACK_OFF);
  mcl_sampler *s = make(c, &o, (int64_t)strlen(stage0), 0);
  hand_add(s, 0, stage0);
  return s;
}

START_TEST(a_small_cell_joins_the_smallest_sibling) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = hand(c, "000000111112222233"); // 6, 5, 5 and 2 rows: of equals the lower
  hand_check(s, "000000111112222211", 2);
  mcl_sampler_unref(s);
  s = hand(c, "000000111122222233"); // 6, 4, 6, 2
  hand_check(s, "000000111122222211", 2);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(small_cells_join_each_other_first) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = hand(c, "0000001122"); // 6, 2, 2
  hand_check(s, "0000001111", 4);
  mcl_sampler_unref(s);
  s = hand(c, "00000012"); // 6, 1, 1: together still small, so they go on
  hand_check(s, "00000000", 2);
  mcl_sampler_unref(s);
  s = hand(c, "0000001223"); // 6, 1, 2, 1: 1 + 3, then with 2
  hand_check(s, "0000001111", 4);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_cell_of_four_rows_is_not_small) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = hand(c, "00001111222");
  hand_check(s, "00001111000", 3);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_small_cell_without_siblings_goes_up_a_stage) {
  mcl_context *c = test_context(1);
  // Stage 0: a cell of 10 and one of 3. Stage 1 cuts the first into 6 + 4; the second is alone
  // below its parent and joins the smallest cell below the parent's parent, which is the 4.
  mcl_sampler *s = hand(c, "0000000000111");
  hand_add(s, 1, "0000001111555");
  hand_check(s, "0000001111111", 3);
  mcl_sampler_unref(s);
  // Two stages up: 0, 0.0 and 0.0.0 against 1.
  s = hand(c, "00011111");
  hand_add(s, 1, "00000000");
  hand_add(s, 2, "00000000");
  hand_check(s, "00000000", 3);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_sibling_goes_before_a_smaller_cousin) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = hand(c, "000000011111111"); // 7 rows: 5 + 2; 8 rows: 4 + 4
  hand_add(s, 1, "000001100001111");
  hand_check(s, "000000011112222", 2);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(rows_that_are_too_few_altogether_train_together) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = hand(c, "012");
  hand_check(s, "000", 3);
  ck_assert_int_eq(report_of(s).used, 3);
  mcl_sampler_unref(s);
  s = hand(c, "000"); // small, and alone in the world: nothing to back off to
  hand_check(s, "000", 0);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(backing_off_undoes_all_labels_of_a_stage) {
  mcl_context *c = test_context(1);
  // Stage 0 by two modalities: cells 00, 01 (2 rows), 10, 11. Going back from 01 undoes both, so
  // all others are siblings; the smallest of them is 11, although 00 shares the first label.
  mcl_sampler *s = hand(c, "00000001111111111");
  hand_add(s, 0, "00000110000001111");
  hand_check(s, "00000112222221111", 2);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(later_labels_refine_the_true_cells) {
  mcl_context *c = test_context(1);
  // After stage 0 the cell of 2 trains with the first; stage 1 does not split, and still they are
  // not one cell of 7, but 5 and 2, of which the second backs off again.
  mcl_sampler *s = hand(c, "00000112222222");
  hand_check(s, "00000001111111", 2);
  hand_add(s, 1, "00000000000000");
  hand_check(s, "00000001111111", 2);
  // Stage 2 splits 2222222 as 4 + 3 and the first as 4 + 1: 1 + 4, 3 + 4; the 2 joins the smallest,
  // 5.
  hand_add(s, 2, "00001000000111");
  hand_check(s, "00000001111111", 6);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(backing_off_is_its_plain_twin) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(4, MCLI_RNG_DATA, 0, 0);
  static twin t;
  for (int k = 0; k < 150; k++) {
    int64_t min = 1 + (int64_t)mcli_rng_below(&r, k % 2 ? 6 : 40);
    twin_random(&t, &r, 1 + (int64_t)mcli_rng_below(&r, 150), 1 + (int32_t)mcli_rng_below(&r, 5),
                1 + (int32_t)mcli_rng_below(&r, 6), k % 3 ? 0 : .1);
    twin_true_cells(&t);
    twin_back_off(&t, min);
    mcl_sampler *s = labelled(c, &t, MCL_SMALL_BACK_OFF, min);
    check_cells(&t, s);
    int64_t joined = 0;
    for (int64_t i = 0; i < t.rows; i++) {
      if (t.cell[i] < 0) continue;
      int64_t own = twin_size(&t, t.true_cell, t.true_cell[i]);
      joined += own < min && twin_size(&t, t.cell, t.cell[i]) > own;
    }
    ck_assert_int_eq(report_of(s).backed_off, joined);
    mcl_sampler_unref(s);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(labels_of_one_stage_may_come_in_any_number_of_calls) {
  mcl_context *c = test_context(1);
  mcl_sampler *a = hand(c, "000011112222"), *b = hand(c, "000011112222");
  hand_add(a, 1, "010101010101");
  hand_add(a, 1, "001100110011");
  hand_add(b, 1, "021302130213"); // the same, as one vector in the same order
  mcl_error err;
  int64_t x[12], y[12];
  CHECK_OK(mcl_sampler_cells(a, x, 12, &err));
  CHECK_OK(mcl_sampler_cells(b, y, 12, &err));
  for (int i = 0; i < 12; i++) ck_assert_int_eq(x[i], y[i]);
  mcl_sampler_unref(a);
  mcl_sampler_unref(b);
  mcl_context_unref(c);
}
END_TEST

// ---- where rows are kept ------------------------------------------------------------------------

START_TEST(rows_of_64_bits_give_the_same_batches) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(5, MCLI_RNG_DATA, 0, 0);
  static twin t;
  for (int k = 0; k < 20; k++) {
    twin_random(&t, &r, 300, 3, 6, .05);
    mcl_sampler_options o = options_of(8, 1 + k % 3);
    mcl_sampler *narrow = make(c, &o, t.rows, 0), *wide = make(c, &o, t.rows, 1);
    twin_add(&t, narrow);
    twin_add(&t, wide);
    mcl_error err;
    int64_t x[8], y[8];
    mcl_batch a, b;
    mcl_struct_init(&a, sizeof a);
    mcl_struct_init(&b, sizeof b);
    a.indices = x, b.indices = y, a.capacity = b.capacity = 8;
    ck_assert_int_eq(mcl_sampler_steps(narrow), mcl_sampler_steps(wide));
    for (int64_t step = 0; step < mcl_sampler_steps(wide); step++) {
      CHECK_OK(mcl_sampler_batch(narrow, 3, step, &a, &err));
      CHECK_OK(mcl_sampler_batch(wide, 3, step, &b, &err));
      ck_assert_int_eq(a.n, b.n);
      for (int64_t i = 0; i < a.n; i++) ck_assert_int_eq(x[i], y[i]);
    }
    mcl_sampler_unref(narrow);
    mcl_sampler_unref(wide);
  }
  mcl_context_unref(c);
}
END_TEST

// Counts bytes, and the most there ever were.
typedef struct meter {
  int64_t now, peak;
} meter;

static void *meter_alloc(void *user, size_t size, size_t alignment) {
  meter *m = user;
  m->now += (int64_t)size;
  m->peak = m->now > m->peak ? m->now : m->peak;
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void meter_free(void *user, void *ptr, size_t size, size_t alignment) {
  meter *m = user;
  (void)alignment;
  m->now -= (int64_t)size;
  free(ptr);
}

static void check_memory(int32_t wide, double bytes_a_row) {
  enum { MANY = 1000000, STAGES = 3 };
  meter m = {0, 0};
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  mcl_allocator a = {sizeof a, &m, meter_alloc, meter_free};
  o.allocator = &a;
  o.threads = 1;
  mcl_context *c;
  mcl_error err;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  int32_t *labels = malloc(MANY * sizeof *labels);
  int64_t before = m.now;
  mcl_sampler_options so = options_of(256, MCL_SMALL_BACK_OFF);
  mcl_sampler *s = make(c, &so, MANY, wide);
  ck_assert_int_lt(m.now - before, 4096); // no labels, nothing a row
  for (int32_t stage = 0; stage < STAGES; stage++) {
    for (int64_t i = 0; i < MANY; i++) { // of 12 clusters one has nearly half the rows
      int32_t of_20 = (int32_t)((i * 7919 >> (4 * stage)) % 20);
      labels[i] = of_20 < 9 ? 0 : of_20 - 8;
    }
    CHECK_OK(mcl_sampler_add_labels(s, stage, labels, MANY, &err));
  }
  ck_assert_int_lt(m.peak - before, (int64_t)(bytes_a_row * MANY));
  ck_assert_int_gt(report_of(s).cells, 200);
  mcl_sampler_unref(s);
  ck_assert_int_eq(m.now, before);
  free(labels);
  mcl_context_unref(c);
}

START_TEST(adding_labels_needs_little_more_than_an_index_a_row) {
  check_memory(0, 4.4); // 1.1 times one index
  check_memory(1, 8.8);
}
END_TEST

// Eight cells, one of 2^61 rows: 2^60 pieces of two, for each cell.
START_TEST(a_uniform_epoch_of_more_than_2_to_62_steps_is_refused) {
  mcl_context *c = test_context(1);
  mcl_error err;
  mcli_cells *cells;
  mcli_plan *p = NULL;
  int64_t large = INT64_C(1) << 61;
  mcl_sampler_options o = options_of(2, MCL_SMALL_KEEP);
  for (int64_t n = 4; n <= 8; n += 4) {
    CHECK_OK(mcli_cells_root(c, large + n - 1, 1, &cells, &err));
    mcli_free(c, cells->first);
    mcli_free(c, cells->size);
    cells->n = n;
    cells->first = MCLI_NEW0(c, int64_t, n);
    cells->size = MCLI_NEW0(c, int64_t, n);
    for (int64_t f = 0; f < n; f++) {
      cells->first[f] = f;
      cells->size[f] = f + 1 < n ? 1 : large;
    }
    o.order = MCL_ORDER_UNIFORM;
    if (n == 8) {
      CHECK_FAILS(MCL_E_LIMIT, "UNIFORM", mcli_plan_make(&o, 1, cells, &p, &err));
      ck_assert_ptr_null(p);
    } else {
      CHECK_OK(mcli_plan_make(&o, 1, cells, &p, &err));
      ck_assert_int_eq(p->report.steps, INT64_C(1) << 62);
      mcli_plan_unref(p);
      p = NULL;
    }
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(quantiles_of_sizes_are_those_of_the_sorted_list) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(6, MCLI_RNG_DATA, 0, 0);
  static const double q[MCLI_QUANTILES] = {0, .05, .25, .5, .75, .95, 1};
  static twin t;
  for (int k = 0; k < 60; k++) {
    twin_random(&t, &r, 1 + (int64_t)mcli_rng_below(&r, TWIN_ROWS), 2, 1 + k % 15, 0);
    twin_keep(&t);
    mcl_sampler *s = labelled(c, &t, MCL_SMALL_KEEP, 1);
    mcli_cell_sizes sizes;
    mcli_sampler_sizes(s, &sizes);
    mcl_sampler_report report = report_of(s);
    ck_assert_int_eq(sizes.cells, report.cells);
    ck_assert_int_eq(sizes.quantile[0], report.smallest_cell);
    ck_assert_int_eq(sizes.quantile[3], report.median_cell);
    ck_assert_int_eq(sizes.quantile[6], report.largest_cell);
    for (int i = 0; i < MCLI_QUANTILES; i++) {
      int64_t under = 0, within = 0; // cells smaller; cells not larger
      for (int64_t cell = 0; cell < sizes.cells; cell++) {
        int64_t n = twin_size(&t, t.cell, cell);
        under += n < sizes.quantile[i];
        within += n <= sizes.quantile[i];
      }
      double wanted = q[i] * (double)sizes.cells;
      ck_assert(within >= 1 && (double)within >= wanted - 1e-9);
      ck_assert((double)under < wanted + 1e-9 || under == 0);
      ck_assert(within > under); // it is a size that occurs
    }
    mcl_sampler_unref(s);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(of_an_even_number_of_cells_the_median_is_the_lower) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = hand(c, "0000111112222223333333");
  ck_assert_int_eq(report_of(s).median_cell, 5);
  ck_assert_int_eq(report_of(s).smallest_cell, 4);
  ck_assert_int_eq(report_of(s).largest_cell, 7);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("cells", before_labels_all_rows_are_one_cell,
          rows_that_differ_in_an_earlier_stage_never_share_a_cell,
          cells_are_the_label_tuples_over_all_stages, ten_stages_of_ten_clusters_do_not_overflow,
          labels_may_have_gaps_and_be_as_large_as_can_be, an_excluded_row_stays_excluded,
          all_rows_may_be_excluded, a_small_cell_joins_the_smallest_sibling,
          small_cells_join_each_other_first, a_cell_of_four_rows_is_not_small,
          a_small_cell_without_siblings_goes_up_a_stage, a_sibling_goes_before_a_smaller_cousin,
          rows_that_are_too_few_altogether_train_together, backing_off_undoes_all_labels_of_a_stage,
          later_labels_refine_the_true_cells, backing_off_is_its_plain_twin,
          labels_of_one_stage_may_come_in_any_number_of_calls,
          rows_of_64_bits_give_the_same_batches,
          adding_labels_needs_little_more_than_an_index_a_row,
          a_uniform_epoch_of_more_than_2_to_62_steps_is_refused,
          quantiles_of_sizes_are_those_of_the_sorted_list,
          of_an_even_number_of_cells_the_median_is_the_lower)
