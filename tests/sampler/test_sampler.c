#include "sampler/sampler.h"

#include <sys/wait.h>
#include <unistd.h>

#include "sampler/cells.h"
#include "sampler/twin.h"

enum { ROWS = 200 };

static mcl_sampler *plain(mcl_context *c, int64_t rows) {
  mcl_error err;
  mcl_sampler *s;
  mcl_sampler_options o = options_of(16, MCL_SMALL_BACK_OFF);
  CHECK_OK(mcl_sampler_create(c, &o, rows, 0, 1, &s, &err));
  return s;
}

static const int32_t *labels_of(int32_t stage) {
  static int32_t labels[ROWS];
  for (int32_t i = 0; i < ROWS; i++) labels[i] = i * 31 % (5 + 2 * stage) / (1 + stage);
  return labels;
}

// Everything a sampler gives, as one number.
static uint64_t digest(const mcl_sampler *s) {
  mcl_error err;
  int64_t rows[ROWS], cells[ROWS];
  mcl_sampler_report report = report_of(s);
  uint64_t hash = mcli_hash(&report, sizeof report, 0);
  mcl_batch b;
  mcl_struct_init(&b, sizeof b);
  b.indices = rows, b.cells = cells, b.capacity = ROWS;
  for (int32_t epoch = 0; epoch < 2; epoch++)
    for (int64_t step = 0; step < mcl_sampler_steps(s); step++) {
      CHECK_OK(mcl_sampler_batch(s, epoch, step, &b, &err));
      hash = mcli_hash(rows, (uint64_t)b.n * 8, hash);
      hash = mcli_hash(cells, (uint64_t)b.n * 8, hash ^ (uint64_t)b.stage);
    }
  return hash;
}

START_TEST(defaults_are_as_documented) {
  mcl_sampler_options o;
  memset(&o, 0xa5, sizeof o);
  mcl_sampler_options_init(&o, sizeof o);
  ck_assert_uint_eq(o.struct_size, sizeof o);
  ck_assert_uint_eq(o.seed, 0);
  ck_assert_int_eq(o.batch_rows, 256);
  ck_assert_int_eq(o.min_cell_rows, 4);
  ck_assert_int_eq(o.small_cells, MCL_SMALL_BACK_OFF);
  ck_assert_int_eq(o.batching, MCL_BATCH_ONE_CELL);
  ck_assert_int_eq(o.order, MCL_ORDER_PROPORTIONAL);
  ck_assert_uint_eq(o.flags, 0);
}
END_TEST

START_TEST(no_options_are_the_defaults) {
  mcl_context *c = test_context(1);
  mcl_error err;
  mcl_sampler *s;
  CHECK_OK(mcl_sampler_create(c, NULL, 1000, 0, 1, &s, &err));
  ck_assert_int_eq(mcl_sampler_batch_capacity(s), 256);
  ck_assert_int_eq(mcl_sampler_steps(s), 4);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(one_row_is_a_sampler) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, 1);
  ck_assert_int_eq(mcl_sampler_steps(s), 1);
  ck_assert_int_eq(mcl_sampler_batch_capacity(s), 1);
  ck_assert_int_eq(report_of(s).alone, 1);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

// ---- bad input ----------------------------------------------------------------------------------

static mcl_status create(mcl_context *c, const mcl_sampler_options *o, int64_t rows, int32_t rank,
                         int32_t world, mcl_error *err) {
  mcl_sampler *mark = (mcl_sampler *)&mark, *s = mark;
  mcl_status status = mcl_sampler_create(c, o, rows, rank, world, &s, err);
  if (status < 0)
    ck_assert_ptr_eq(s, mark);
  else
    mcl_sampler_unref(s);
  return status;
}

START_TEST(creation_refuses_what_cannot_be) {
  mcl_context *c = test_context(1);
  mcl_error err;
  mcl_sampler *s;
  mcl_sampler_options good = options_of(16, MCL_SMALL_KEEP), o = good;
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_sampler_create(NULL, &o, 9, 0, 1, &s, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_sampler_create(c, &o, 9, 0, 1, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows is 0", create(c, &o, 0, 0, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows is -3", create(c, &o, -3, 0, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows", create(c, &o, (INT64_C(1) << 62) + 1, 0, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "world is 0", create(c, &o, 9, 0, 0, &err));
  CHECK_FAILS(MCL_E_INVALID, "rank is -1", create(c, &o, 9, -1, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "rank is 2", create(c, &o, 9, 2, 2, &err));
  o.batch_rows = 1;
  CHECK_FAILS(MCL_E_INVALID, "batch_rows is 1", create(c, &o, 9, 0, 1, &err));
  o.batch_rows = 7;
  CHECK_FAILS(MCL_E_INVALID, "batch_rows is 7", create(c, &o, 9, 0, 8, &err));
  CHECK_OK(create(c, &o, 9, 0, 7, &err));
  o.batching = MCL_BATCH_PACKED;
  CHECK_FAILS(MCL_E_INVALID, "batch_rows is 7", create(c, &o, 9, 0, 4, &err));
  CHECK_OK(create(c, &o, 9, 0, 3, &err));
  o.order = MCL_ORDER_ROUND_ROBIN;
  CHECK_FAILS(MCL_E_INVALID, "order is 2", create(c, &o, 9, 0, 1, &err));
  o = good, o.min_cell_rows = 0;
  CHECK_FAILS(MCL_E_INVALID, "min_cell_rows is 0", create(c, &o, 9, 0, 1, &err));
  o = good, o.small_cells = 4;
  CHECK_FAILS(MCL_E_INVALID, "small_cells is 4", create(c, &o, 9, 0, 1, &err));
  o = good, o.small_cells = 0;
  CHECK_FAILS(MCL_E_INVALID, "small_cells is 0", create(c, &o, 9, 0, 1, &err));
  o = good, o.batching = 3;
  CHECK_FAILS(MCL_E_INVALID, "batching is 3", create(c, &o, 9, 0, 1, &err));
  o = good, o.order = 4;
  CHECK_FAILS(MCL_E_INVALID, "order is 4", create(c, &o, 9, 0, 1, &err));
  o = good, o.flags = 1;
  CHECK_FAILS(MCL_E_INVALID, "flags is 1", create(c, &o, 9, 0, 1, &err));
  o = good, o.struct_size = 0;
  CHECK_FAILS(MCL_E_INVALID, "mcl_sampler_options", create(c, &o, 9, 0, 1, &err));
  struct {
    mcl_sampler_options o;
    int64_t newer;
  } longer = {good, 0};
  longer.o.struct_size = sizeof longer;
  CHECK_OK(create(c, &longer.o, 9, 0, 1, &err));
  longer.newer = 1;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "mcl_sampler_options", create(c, &longer.o, 9, 0, 1, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(labels_that_are_refused_change_nothing) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, ROWS);
  mcl_error err;
  int32_t labels[ROWS];
  memcpy(labels, labels_of(0), sizeof labels);
  uint64_t before = digest(s);
  CHECK_FAILS(MCL_E_INVALID, "sampler", mcl_sampler_add_labels(NULL, 0, labels, ROWS, &err));
  CHECK_FAILS(MCL_E_INVALID, "labels", mcl_sampler_add_labels(s, 0, NULL, ROWS, &err));
  CHECK_FAILS(MCL_E_SHAPE, "199", mcl_sampler_add_labels(s, 0, labels, ROWS - 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "stage is 1", mcl_sampler_add_labels(s, 1, labels, ROWS, &err));
  CHECK_FAILS(MCL_E_INVALID, "stage is -1", mcl_sampler_add_labels(s, -1, labels, ROWS, &err));
  labels[150] = -3, labels[77] = -2;
  CHECK_FAILS(MCL_E_INVALID, "labels[77]", mcl_sampler_add_labels(s, 0, labels, ROWS, &err));
  ck_assert_int_eq(err.row, 77);
  labels[150] = -1; // -2 is the lowest then
  CHECK_FAILS(MCL_E_INVALID, "labels[77]", mcl_sampler_add_labels(s, 0, labels, ROWS, &err));
  ck_assert_uint_eq(digest(s), before);
  labels[77] = -1;
  CHECK_OK(mcl_sampler_add_labels(s, 0, labels, ROWS, &err));
  CHECK_OK(mcl_sampler_add_labels(s, 0, labels, ROWS, &err));
  CHECK_OK(mcl_sampler_add_labels(s, 1, labels, ROWS, &err));
  before = digest(s);
  CHECK_FAILS(MCL_E_INVALID, "stage is 0", mcl_sampler_add_labels(s, 0, labels, ROWS, &err));
  CHECK_FAILS(MCL_E_INVALID, "stage is 3", mcl_sampler_add_labels(s, 3, labels, ROWS, &err));
  ck_assert_uint_eq(digest(s), before);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(batches_that_are_refused_write_nothing) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, ROWS);
  mcl_error err;
  int64_t rows[16];
  mcl_batch b, copy;
  mcl_struct_init(&b, sizeof b);
  b.indices = rows, b.capacity = 16, b.n = -9;
  copy = b;
  rows[0] = -5;
  int64_t steps = mcl_sampler_steps(s);
  CHECK_FAILS(MCL_E_INVALID, "sampler", mcl_sampler_batch(NULL, 0, 0, &b, &err));
  CHECK_FAILS(MCL_E_INVALID, "mcl_batch", mcl_sampler_batch(s, 0, 0, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "epoch is -1", mcl_sampler_batch(s, -1, 0, &b, &err));
  CHECK_FAILS(MCL_E_LIMIT, "step is -1", mcl_sampler_batch(s, 0, -1, &b, &err));
  CHECK_FAILS(MCL_E_LIMIT, "steps - 1 = 12", mcl_sampler_batch(s, 0, steps, &b, &err));
  ck_assert(!memcmp(&b, &copy, sizeof b));
  b.capacity = -1;
  CHECK_FAILS(MCL_E_INVALID, "capacity is -1", mcl_sampler_batch(s, 0, 0, &b, &err));
  b.capacity = 16, b.indices = NULL;
  CHECK_FAILS(MCL_E_INVALID, "indices", mcl_sampler_batch(s, 0, 0, &b, &err));
  b.struct_size = 0;
  CHECK_FAILS(MCL_E_INVALID, "mcl_batch", mcl_sampler_batch(s, 0, 0, &b, &err));
  ck_assert_int_eq(rows[0], -5);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(too_small_a_buffer_learns_the_number_wanted) {
  mcl_context *c = test_context(1);
  mcl_error err;
  for (int32_t batching = MCL_BATCH_ONE_CELL; batching <= MCL_BATCH_PACKED; batching++) {
    mcl_sampler_options o = options_of(16, MCL_SMALL_KEEP);
    o.batching = batching;
    mcl_sampler *s;
    CHECK_OK(mcl_sampler_create(c, &o, ROWS, 0, 1, &s, &err));
    CHECK_OK(mcl_sampler_add_labels(s, 0, labels_of(0), ROWS, &err));
    int64_t rows[16];
    mcl_batch b;
    for (int64_t step = 0; step < mcl_sampler_steps(s); step++) {
      mcl_struct_init(&b, sizeof b);
      CHECK_FAILS(MCL_E_LIMIT, "capacity", mcl_sampler_batch(s, 0, step, &b, &err));
      int64_t wanted = b.n;
      ck_assert(wanted > 0 && wanted <= 16);
      b.indices = rows, b.capacity = wanted - 1, rows[0] = -5;
      CHECK_FAILS(MCL_E_LIMIT, "capacity", mcl_sampler_batch(s, 0, step, &b, &err));
      ck_assert_int_eq(b.n, wanted);
      ck_assert_int_eq(rows[0], -5);
      b.capacity = wanted;
      CHECK_OK(mcl_sampler_batch(s, 0, step, &b, &err));
      ck_assert_int_eq(b.n, wanted);
    }
    mcl_sampler_unref(s);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(cells_and_reports_refuse_wrong_buffers) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, ROWS);
  mcl_error err;
  int64_t cells[ROWS];
  mcl_sampler_report r;
  memset(&r, 0, sizeof r);
  CHECK_FAILS(MCL_E_INVALID, "sampler", mcl_sampler_cells(NULL, cells, ROWS, &err));
  CHECK_FAILS(MCL_E_INVALID, "cell_of_row", mcl_sampler_cells(s, NULL, ROWS, &err));
  CHECK_FAILS(MCL_E_SHAPE, "201", mcl_sampler_cells(s, cells, ROWS + 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "sampler", mcl_sampler_get_report(NULL, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_sampler_get_report(s, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "mcl_sampler_report", mcl_sampler_get_report(s, &r, &err));
  ck_assert_int_eq(mcl_sampler_steps(NULL), 0);
  ck_assert_int_eq(mcl_sampler_batch_capacity(NULL), 0);
  mcl_sampler_unref(s);
  mcl_sampler_unref(NULL);
  ck_assert_ptr_null(mcl_sampler_ref(NULL));
  mcl_context_unref(c);
}
END_TEST

// Rows are only bounded by 2^62: before labels a sampler holds nothing a row.
START_TEST(a_huge_sampler_costs_nothing_before_labels) {
  mcl_context *c = test_context(1);
  mcl_error err;
  mcl_sampler *s;
  mcl_sampler_options o = options_of(16, MCL_SMALL_BACK_OFF);
  int64_t rows[16], n = INT64_C(1) << 62;
  CHECK_OK(mcl_sampler_create(c, &o, n, 0, 1, &s, &err));
  mcl_batch b;
  mcl_struct_init(&b, sizeof b);
  b.indices = rows, b.capacity = 16;
  ck_assert_int_eq(mcl_sampler_steps(s), n / 16);
  CHECK_OK(mcl_sampler_batch(s, 7, n / 16 - 1, &b, &err));
  ck_assert_int_eq(b.n, 16);
  for (int i = 0; i < 16; i++) ck_assert(rows[i] >= 0 && rows[i] < n);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

// ---- negatives ----------------------------------------------------------------------------------

START_TEST(negatives_are_the_other_rows_of_the_cell_once_each) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_DATA, 0, 0);
  mcl_error err;
  static twin t;
  for (int k = 0; k < 30; k++) {
    twin_random(&t, &r, 100, 2, 5, .05);
    mcl_sampler_options o = options_of(8, 1 + k % 3);
    mcl_sampler *s;
    CHECK_OK(mcl_sampler_create(c, &o, t.rows, 0, 1, &s, &err));
    twin_add(&t, s);
    int64_t cell_of[100], out[101], got;
    CHECK_OK(mcl_sampler_cells(s, cell_of, t.rows, &err));
    for (int64_t anchor = 0; anchor < t.rows; anchor++) {
      CHECK_OK(mcl_sampler_negatives(s, 0, anchor, out, 101, &got, &err));
      int64_t wanted = 0;
      char seen[100] = {0};
      for (int64_t i = 0; i < t.rows; i++)
        wanted += cell_of[anchor] >= 0 && i != anchor && cell_of[i] == cell_of[anchor];
      ck_assert_int_eq(got, wanted);
      for (int64_t i = 0; i < got; i++) {
        ck_assert_int_eq(cell_of[out[i]], cell_of[anchor]);
        ck_assert(out[i] != anchor && !seen[out[i]]);
        seen[out[i]] = 1;
      }
      int64_t some[3], few;
      CHECK_OK(mcl_sampler_negatives(s, 0, anchor, some, 3, &few, &err));
      ck_assert_int_eq(few, wanted < 3 ? wanted : 3);
      for (int64_t i = 0; i < few; i++) ck_assert_int_eq(some[i], out[i]);
    }
    mcl_sampler_unref(s);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(negatives_differ_by_anchor_and_epoch) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, ROWS);
  mcl_error err;
  int64_t a[8], b[8], d[8], got;
  CHECK_OK(mcl_sampler_negatives(s, 0, 3, a, 8, &got, &err));
  CHECK_OK(mcl_sampler_negatives(s, 1, 3, b, 8, &got, &err));
  CHECK_OK(mcl_sampler_negatives(s, 0, 4, d, 8, &got, &err));
  ck_assert(memcmp(a, b, sizeof a) != 0);
  ck_assert(memcmp(a, d, sizeof a) != 0);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(negatives_refuse_bad_arguments) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, ROWS);
  mcl_error err;
  int64_t x[4], got = -7;
  CHECK_FAILS(MCL_E_INVALID, "sampler", mcl_sampler_negatives(NULL, 0, 0, x, 4, &got, &err));
  CHECK_FAILS(MCL_E_LIMIT, "epoch", mcl_sampler_negatives(s, -1, 0, x, 4, &got, &err));
  CHECK_FAILS(MCL_E_LIMIT, "anchor is -1", mcl_sampler_negatives(s, 0, -1, x, 4, &got, &err));
  CHECK_FAILS(MCL_E_LIMIT, "rows - 1 = 199", mcl_sampler_negatives(s, 0, ROWS, x, 4, &got, &err));
  CHECK_FAILS(MCL_E_INVALID, "capacity", mcl_sampler_negatives(s, 0, 0, x, -1, &got, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_sampler_negatives(s, 0, 0, NULL, 4, &got, &err));
  CHECK_FAILS(MCL_E_INVALID, "got", mcl_sampler_negatives(s, 0, 0, x, 4, NULL, &err));
  ck_assert_int_eq(got, -7);
  CHECK_OK(mcl_sampler_negatives(s, 0, 0, NULL, 0, &got, &err));
  ck_assert_int_eq(got, 0);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

// ---- clones, references, memory, threads, fork --------------------------------------------------

START_TEST(a_clone_stays_as_it_was) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, ROWS), *clone;
  mcl_error err;
  CHECK_OK(mcl_sampler_add_labels(s, 0, labels_of(0), ROWS, &err));
  uint64_t before = digest(s);
  CHECK_OK(mcli_sampler_clone(s, &clone, &err));
  CHECK_OK(mcl_sampler_add_labels(s, 1, labels_of(1), ROWS, &err));
  ck_assert_uint_eq(digest(clone), before);
  uint64_t after = digest(s);
  ck_assert_uint_ne(after, before);
  CHECK_OK(mcl_sampler_add_labels(clone, 1, labels_of(1), ROWS, &err)); // and goes on by itself
  mcl_sampler_unref(s);
  ck_assert_uint_eq(digest(clone), after);
  mcl_sampler_unref(clone);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_sampler_outlives_the_context_reference) {
  mcl_context *c = test_context(1);
  mcl_sampler *s = plain(c, ROWS);
  mcl_context_unref(c);
  mcl_sampler *again = mcl_sampler_ref(s);
  ck_assert_ptr_eq(again, s);
  mcl_sampler_unref(s);
  ck_assert_int_eq(mcl_sampler_steps(again), 13);
  mcl_sampler_unref(again);
}
END_TEST

static void use_allocator(const mcl_sampler_options *o) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 1);
  mcl_error err;
  mcl_sampler *s = NULL, *clone = NULL;
  int64_t before = a.live;
  int refused = 0;
  for (int64_t n = 1; !s; n++) {
    a.fail_at = n;
    mcl_status status = mcl_sampler_create(c, o, ROWS, 0, 1, &s, &err);
    a.fail_at = 0;
    if (status == MCL_OK) break;
    refused++;
    ck_assert_int_eq(status, MCL_E_NOMEM);
    ck_assert_ptr_null(s);
    ck_assert_int_eq(a.live, before);
  }
  for (int32_t call = 0; call < 3; call++) {
    uint64_t was = digest(s);
    int64_t live = a.live;
    for (int64_t n = 1;; n++) {
      a.fail_at = n;
      mcl_status status = mcl_sampler_add_labels(s, call / 2, labels_of(call), ROWS, &err);
      a.fail_at = 0;
      if (status == MCL_OK) break;
      refused++;
      ck_assert_int_eq(status, MCL_E_NOMEM);
      ck_assert_int_eq(a.live, live);
      ck_assert_uint_eq(digest(s), was);
    }
    ck_assert_uint_ne(digest(s), was);
  }
  a.fail_at = 1;
  CHECK_FAILS(MCL_E_NOMEM, "sampler", mcli_sampler_clone(s, &clone, &err));
  a.fail_at = 0;
  int64_t requests = a.requests; // nothing below may ask for memory
  digest(s);
  int64_t cells[ROWS], got;
  CHECK_OK(mcl_sampler_cells(s, cells, ROWS, &err));
  CHECK_OK(mcl_sampler_negatives(s, 0, 5, cells, ROWS, &got, &err));
  ck_assert_int_eq(a.requests, requests);
  ck_assert_int_gt(refused, 20);
  mcl_sampler_unref(s);
  ck_assert_int_eq(a.live, before);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}

START_TEST(a_failed_allocation_changes_nothing_and_leaks_nothing) {
  mcl_sampler_options o = options_of(16, MCL_SMALL_BACK_OFF);
  use_allocator(&o);
  o.batching = MCL_BATCH_PACKED;
  use_allocator(&o);
  o = options_of(5, MCL_SMALL_DROP);
  o.order = MCL_ORDER_ROUND_ROBIN;
  use_allocator(&o);
  o = options_of(5, MCL_SMALL_KEEP);
  o.order = MCL_ORDER_UNIFORM;
  use_allocator(&o);
}
END_TEST

typedef struct readers {
  const mcl_sampler *s;
  uint64_t hash[8];
} readers;

static void read_one(void *job, uint32_t task, uint32_t worker) {
  readers *r = job;
  (void)worker;
  r->hash[task] = digest(r->s);
}

START_TEST(threads_read_the_same_batches) {
  mcl_context *c = test_context(3);
  mcl_sampler *s = plain(c, ROWS);
  mcl_error err;
  CHECK_OK(mcl_sampler_add_labels(s, 0, labels_of(0), ROWS, &err));
  readers r = {.s = s};
  for (int k = 0; k < 20; k++) {
    CHECK_OK(mcli_parallel(c, 8, read_one, &r, &err));
    for (int i = 0; i < 8; i++) ck_assert_uint_eq(r.hash[i], digest(s));
  }
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(batches_do_not_depend_on_the_number_of_threads) {
  uint64_t hash[3];
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    mcl_sampler *s = plain(c, ROWS);
    mcl_error err;
    CHECK_OK(mcl_sampler_add_labels(s, 0, labels_of(0), ROWS, &err));
    hash[threads - 1] = digest(s);
    mcl_sampler_unref(s);
    mcl_context_unref(c);
  }
  ck_assert_uint_eq(hash[0], hash[1]);
  ck_assert_uint_eq(hash[0], hash[2]);
}
END_TEST

START_TEST(a_forked_child_reads_the_same_batches) {
  mcl_context *c = test_context(2);
  mcl_sampler *s = plain(c, ROWS);
  mcl_error err;
  CHECK_OK(mcl_sampler_add_labels(s, 0, labels_of(0), ROWS, &err));
  uint64_t mine = digest(s), theirs = 0;
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    uint64_t hash = digest(s);
    _exit(write(ends[1], &hash, sizeof hash) != sizeof hash);
  }
  ck_assert_int_eq(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
  ck_assert_uint_eq(mine, theirs);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  mcl_sampler_unref(s);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("sampler", defaults_are_as_documented, no_options_are_the_defaults, one_row_is_a_sampler,
          creation_refuses_what_cannot_be, labels_that_are_refused_change_nothing,
          batches_that_are_refused_write_nothing, too_small_a_buffer_learns_the_number_wanted,
          cells_and_reports_refuse_wrong_buffers, a_huge_sampler_costs_nothing_before_labels,
          negatives_are_the_other_rows_of_the_cell_once_each, negatives_differ_by_anchor_and_epoch,
          negatives_refuse_bad_arguments, a_clone_stays_as_it_was,
          a_sampler_outlives_the_context_reference,
          a_failed_allocation_changes_nothing_and_leaks_nothing, threads_read_the_same_batches,
          batches_do_not_depend_on_the_number_of_threads, a_forked_child_reads_the_same_batches)
