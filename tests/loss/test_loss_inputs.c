// How the losses are called: types, strides, buffers, memory, threads, and everything that is
// refused.
#include "loss/twin.h"

#include "math/array.h"

enum { N = 6, D = 3 };

// A call whose parts a test may change.
typedef struct plain_call {
  float a[N * D], b[N * D], da[N * D], db[N * D];
  mcl_array za, zb, dza, dzb;
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_result r;
} plain_call;

static plain_call *new_call(void) {
  plain_call *l = zeros(1, sizeof *l);
  test_fill_normal(l->a, N * D, 1);
  test_fill_normal(l->b, N * D, 2);
  for (int i = 0; i < N * D; i++) l->da[i] = l->db[i] = 42;
  l->za = mcl_matrix_f32(l->a, N, D), l->zb = mcl_matrix_f32(l->b, N, D);
  l->dza = mcl_matrix_f32(l->da, N, D), l->dzb = mcl_matrix_f32(l->db, N, D);
  mcl_loss_options_init(&l->o, sizeof l->o);
  mcl_struct_init(&l->in, sizeof l->in);
  mcl_struct_init(&l->r, sizeof l->r);
  l->in.za = &l->za, l->in.zb = &l->zb, l->in.dza = &l->dza, l->in.dzb = &l->dzb;
  return l;
}

static mcl_status run_kind(mcl_context *c, plain_call *l, int kind) {
  l->o.flags = kind == 2 ? l->o.flags | MCL_ONE_WAY : l->o.flags;
  return kind == 0 ? mcl_loss_nt_xent(c, &l->o, &l->in, &l->r, &err)
                   : mcl_loss_info_nce(c, &l->o, &l->in, &l->r, &err);
}

START_TEST(any_float_type_and_any_strides_are_taken) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 3; kind++) {
    plain_call *want = new_call(), *got = new_call();
    // Numbers that every type holds: halves and quarters.
    for (int i = 0; i < N * D; i++) {
      want->a[i] = (float)(i * 5 % 11 - 5) / 4;
      want->b[i] = (float)(i * 7 % 13 - 6) / 2;
    }
    CHECK_OK(run_kind(c, want, kind));
    uint16_t half[N * D], brain[N * D];
    double doubles[D * N], out_doubles[N * 2 * D];
    float out_wide[N * 5];
    for (int i = 0; i < N * D; i++) {
      uint32_t bits;
      half[i] = mcli_float_to_half(want->a[i]);
      memcpy(&bits, &want->b[i], sizeof bits);
      brain[i] = (uint16_t)(bits >> 16);
      doubles[i % D * N + i / D] = (double)want->b[i]; // [D, N], read turned
    }
    int64_t shape[2] = {N, D};
    for (int type = 0; type < 2; type++) {
      mcl_array_init(&got->za, half, MCL_F16, 2, shape);
      mcl_array_init(&got->zb, type ? (void *)brain : doubles, type ? MCL_BF16 : MCL_F64, 2, shape);
      if (!type) got->zb.strides[0] = 1, got->zb.strides[1] = N;
      mcl_array_init(&got->dza, out_doubles, MCL_F64, 2, shape);
      got->dza.strides[0] = 2 * D;
      got->dzb = mcl_matrix_f32(out_wide, N, D);
      got->dzb.strides[0] = 5;
      for (int i = 0; i < N * 2 * D; i++) out_doubles[i] = 42;
      CHECK_OK(run_kind(c, got, kind));
      ck_assert(got->r.loss == want->r.loss);
      for (int i = 0; i < N * D; i++) {
        ck_assert(out_doubles[i / D * 2 * D + i % D] == (double)want->da[i]);
        ck_assert(out_doubles[i / D * 2 * D + D + i % D] == 42);
        ck_assert(out_wide[i / D * 5 + i % D] == want->db[i]);
      }
    }
    free(want), free(got);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_gradient_that_is_not_wanted_changes_nothing_else) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 3; kind++) {
    plain_call *want = new_call();
    CHECK_OK(run_kind(c, want, kind));
    for (int without = 1; without < 4; without++) {
      plain_call *got = new_call();
      if (without & 1) got->in.dza = NULL;
      if (without & 2) got->in.dzb = NULL;
      CHECK_OK(run_kind(c, got, kind));
      ck_assert_mem_eq(&got->r, &want->r, sizeof got->r);
      for (int i = 0; i < N * D; i++) {
        ck_assert(got->da[i] == (without & 1 ? 42 : want->da[i]));
        ck_assert(got->db[i] == (without & 2 ? 42 : want->db[i]));
      }
      free(got);
    }
    free(want);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(gradients_may_take_the_place_of_the_rows) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 3; kind++)
    for (int crosswise = 0; crosswise < 2; crosswise++) {
      plain_call *want = new_call(), *got = new_call();
      CHECK_OK(run_kind(c, want, kind));
      got->in.dza = crosswise ? &got->zb : &got->za;
      got->in.dzb = crosswise ? &got->za : &got->zb;
      CHECK_OK(run_kind(c, got, kind));
      ck_assert(got->r.loss == want->r.loss);
      ck_assert_mem_eq(crosswise ? got->b : got->a, want->da, sizeof want->da);
      ck_assert_mem_eq(crosswise ? got->a : got->b, want->db, sizeof want->db);
      free(want), free(got);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_default_temperature_is_one_half) {
  mcl_context *c = test_context(1);
  plain_call *l = new_call();
  ck_assert(l->o.temperature == 0.5 && l->o.flags == 0);
  CHECK_OK(mcl_loss_nt_xent(c, &l->o, &l->in, &l->r, &err));
  double loss = l->r.loss;
  CHECK_OK(mcl_loss_nt_xent(c, NULL, &l->in, &l->r, &err));
  ck_assert(l->r.loss == loss);
  l->o.temperature = 0.4;
  CHECK_OK(mcl_loss_nt_xent(c, &l->o, &l->in, &l->r, &err));
  ck_assert(l->r.loss != loss);
  free(l);
  mcl_context_unref(c);
}
END_TEST

// ---- what is refused ----------------------------------------------------------------------------

// Both losses refuse it, and nothing is written.
#define BOTH_REFUSE(status, word, ...)                                                             \
  for (int kind = 0; kind < 2; kind++) {                                                           \
    plain_call *l = new_call();                                                                    \
    l->r.loss = 42;                                                                                \
    __VA_ARGS__;                                                                                   \
    CHECK_FAILS(status, word, run_kind(c, l, kind));                                               \
    ck_assert(l->r.loss == 42 && l->r.anchors == 0);                                               \
    for (int i = 0; i < N * D; i++) ck_assert(l->da[i] == 42 && l->db[i] == 42);                   \
    free(l);                                                                                       \
  }

START_TEST(options_outside_their_range_are_named) {
  mcl_context *c = test_context(1);
  BOTH_REFUSE(MCL_E_INVALID, "temperature is 0, not in [1e-4, 1e4]", l->o.temperature = 0);
  BOTH_REFUSE(MCL_E_INVALID, "temperature is -1", l->o.temperature = -1);
  BOTH_REFUSE(MCL_E_INVALID, "temperature is nan", l->o.temperature = (double)NAN);
  BOTH_REFUSE(MCL_E_INVALID, "temperature is inf", l->o.temperature = (double)INFINITY);
  BOTH_REFUSE(MCL_E_INVALID, "temperature", l->o.temperature = 0.99e-4);
  BOTH_REFUSE(MCL_E_INVALID, "temperature", l->o.temperature = 1.01e4);
  BOTH_REFUSE(MCL_E_INVALID, "flags has 0x20", l->o.flags = 32 | MCL_REDUCE_SUM);
  BOTH_REFUSE(MCL_E_INVALID, "reserved is 1", l->o.reserved = 1);
  plain_call *one_way = new_call();
  one_way->o.flags = MCL_ONE_WAY;
  CHECK_FAILS(MCL_E_INVALID, "flags has 0x4", run_kind(c, one_way, 0));
  free(one_way);
  mcl_context_unref(c);
}
END_TEST

START_TEST(missing_arguments_are_named) {
  mcl_context *c = test_context(1);
  BOTH_REFUSE(MCL_E_INVALID, "za", l->in.za = NULL);
  BOTH_REFUSE(MCL_E_INVALID, "zb", l->in.zb = NULL);
  BOTH_REFUSE(MCL_E_INVALID, "mcl_loss_inputs", l->in.struct_size = 0);
  BOTH_REFUSE(MCL_E_INVALID, "mcl_loss_options", l->o.struct_size = 0);
  BOTH_REFUSE(MCL_E_INVALID, "mcl_loss_result", l->r.struct_size = 0);
  plain_call *l = new_call();
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_loss_nt_xent(NULL, &l->o, &l->in, &l->r, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_loss_nt_xent(c, &l->o, &l->in, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "mcl_loss_inputs", mcl_loss_info_nce(c, &l->o, NULL, &l->r, &err));
  ck_assert_int_eq(mcl_loss_info_nce(c, &l->o, NULL, &l->r, NULL), MCL_E_INVALID);
  free(l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_named) {
  mcl_context *c = test_context(1);
  BOTH_REFUSE(MCL_E_SHAPE, "za", l->za.ndim = 1);
  BOTH_REFUSE(MCL_E_SHAPE, "za", l->za.shape[0] = 0);
  BOTH_REFUSE(MCL_E_SHAPE, "zb has 6 rows, za 5", l->za.shape[0] = 5);
  BOTH_REFUSE(MCL_E_SHAPE, "zb has 5 rows, za 6", l->zb.shape[0] = 5);
  BOTH_REFUSE(MCL_E_SHAPE, "zb", l->zb.shape[1] = 2);
  BOTH_REFUSE(MCL_E_SHAPE, "dza", l->dza.shape[0] = 5);
  BOTH_REFUSE(MCL_E_SHAPE, "dzb", l->dzb.shape[1] = 2);
  BOTH_REFUSE(MCL_E_INVALID, "dza", l->dza.flags = MCL_ARRAY_READONLY);
  BOTH_REFUSE(MCL_E_DTYPE, "za", l->za.dtype = MCL_I32);
  BOTH_REFUSE(MCL_E_DTYPE, "dzb", l->dzb.dtype = MCL_U8);
  BOTH_REFUSE(MCL_E_UNSUPPORTED, "zb", l->zb.device = 1);
  BOTH_REFUSE(MCL_E_LIMIT, "too large", l->za.shape[0] = l->zb.shape[0] = INT64_C(1) << 31;
              l->za.strides[0] = l->zb.strides[0] = 0; l->in.dza = l->in.dzb = NULL);
  mcl_context_unref(c);
}
END_TEST

START_TEST(first_positive_stays_among_the_candidates) {
  mcl_context *c = test_context(1);
  BOTH_REFUSE(MCL_E_INVALID, "first_positive is 1, which needs MCL_ONE_WAY",
              l->in.first_positive = 1);
  for (int64_t first = -1; first <= 3; first++) {
    plain_call *l = new_call();
    l->za.shape[0] = l->dza.shape[0] = N - 2;
    l->in.first_positive = first;
    if (first < 0 || first > 2)
      CHECK_FAILS(MCL_E_INVALID, "not in 0..2", run_kind(c, l, 2));
    else
      CHECK_OK(run_kind(c, l, 2));
    free(l);
  }
  plain_call *l = new_call();
  l->zb.shape[0] = l->dzb.shape[0] = N - 1;
  CHECK_FAILS(MCL_E_SHAPE, "zb has 5 rows, za 6", run_kind(c, l, 2));
  free(l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(anchors_stay_among_the_rows) {
  mcl_context *c = test_context(1);
  BOTH_REFUSE(MCL_E_INVALID, "anchors is 1, which needs MCL_SOME_ANCHORS", l->in.anchors = 1);
  BOTH_REFUSE(MCL_E_INVALID, "first_anchor is 2, which needs MCL_SOME_ANCHORS",
              l->in.first_anchor = 2);
  static const int64_t refused[][2] = {{-1, 1},        {0, -1}, {0, 7},         {6, 1}, {7, 0},
                                       {5, INT64_MAX}, {3, 4},  {INT64_MAX, 1}, {1, -1}};
  for (size_t k = 0; k < sizeof refused / sizeof *refused; k++)
    BOTH_REFUSE(MCL_E_INVALID, "of 6 rows", l->o.flags = MCL_SOME_ANCHORS;
                l->in.first_anchor = refused[k][0]; l->in.anchors = refused[k][1]);
  plain_call *l = new_call();
  l->o.flags = MCL_SOME_ANCHORS, l->in.anchors = 2, l->r.loss = 42;
  CHECK_FAILS(MCL_E_INVALID, "MCL_SOME_ANCHORS with MCL_ONE_WAY", run_kind(c, l, 2));
  ck_assert(l->r.loss == 42 && l->da[0] == 42 && l->db[0] == 42);
  free(l);
  mcl_context_unref(c);
}
END_TEST

// Cells in falling order: the row that is named is the caller's first, not the first after sorting.
START_TEST(the_first_row_that_is_not_finite_is_named) {
  mcl_context *c = test_context(1);
  static const int64_t cells[N] = {5, 4, 3, 2, 1, 0};
  BOTH_REFUSE(MCL_E_NOT_FINITE, "za's row 2", l->in.cells = cells; l->a[2 * D] = NAN;
              l->a[4 * D] = INFINITY; l->b[0] = NAN);
  ck_assert_int_eq(err.row, 2);
  BOTH_REFUSE(MCL_E_NOT_FINITE, "zb's row 3", l->in.cells = cells; l->b[3 * D + 2] = -INFINITY;
              l->b[5 * D] = NAN);
  ck_assert_int_eq(err.row, 3);
  // Nor does it matter whether anchors meet it.
  BOTH_REFUSE(MCL_E_NOT_FINITE, "zb's row 3", l->in.cells = cells; l->b[3 * D] = NAN;
              l->o.flags = MCL_SOME_ANCHORS; l->in.anchors = 2);
  BOTH_REFUSE(MCL_E_NOT_FINITE, "overflow", l->o.flags = MCL_ROWS_AS_GIVEN;
              for (int i = 0; i < N * D; i++) l->a[i] = l->b[i] = 1e30f);
  ck_assert_int_eq(err.row, -1);
  // A positive alone: row 0 is at right angles to all others.
  BOTH_REFUSE(MCL_E_NOT_FINITE, "overflow", l->o.flags = MCL_ROWS_AS_GIVEN;
              for (int i = 0; i < N * D; i++) l->a[i] = l->b[i] = i % D == 1;
              l->a[0] = l->b[0] = 1e30f; l->a[1] = l->b[1] = 0);
  mcl_context_unref(c);
}
END_TEST

// ---- memory and threads -------------------------------------------------------------------------

typedef struct meter {
  pthread_mutex_t lock;
  int64_t live, most;
} meter;

static void *metered_alloc(void *user, size_t size, size_t alignment) {
  meter *m = user;
  pthread_mutex_lock(&m->lock);
  m->live += (int64_t)size;
  if (m->live > m->most) m->most = m->live;
  pthread_mutex_unlock(&m->lock);
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void metered_free(void *user, void *ptr, size_t size, size_t alignment) {
  (void)alignment;
  meter *m = user;
  pthread_mutex_lock(&m->lock);
  m->live -= (int64_t)size;
  pthread_mutex_unlock(&m->lock);
  free(ptr);
}

enum { METERED_THREADS = 2, METERED_DIM = 16 };

// Cells of 17 rows, one more than lie together, and of 2, which share with neither neighbour.
static int64_t uneven_cell(int64_t row) {
  return row / 19 * 2 + (row % 19 >= 17);
}

// Without cells, with the most cells that are not alone, these with other ids too, and with the
// cells that leave most room unused; all rows and every other one as anchors.
static void check_memory(mcl_context *c, meter *m, int64_t rows, bool least, int first) {
  problem p = make_problem(rows, rows, METERED_DIM, 8);
  int64_t *cells = zeros(rows, sizeof *cells), before = m->live;
  for (int kind = 0; kind < 5; kind++)
    for (int with = first; with <= 3; with++) {
      for (int64_t i = 0; i < rows; i++) {
        int64_t row = kind > 2 ? i % (rows / 2) * 2 + i / (rows / 2) : i;
        cells[i] = with == 3 ? uneven_cell(row) : row / 2;
      }
      p.nt_xent = kind % 3 == 0;
      p.flags = (kind == 2 ? MCL_ONE_WAY : 0) | (least ? MCL_LEAST_MEMORY : 0);
      p.flags |= kind > 2 ? MCL_SOME_ANCHORS : 0;
      p.anchors = kind > 2 ? rows / 2 : 0;
      p.cells = p.duplicates = with ? cells : NULL;
      p.others = with == 2 ? cells : NULL;
      int64_t a_row = (with ? 21 : 8) * METERED_DIM + 128 + (with == 2 ? 72 : 0);
      if (kind > 2) a_row += 16;
      int64_t stated = 2 * rows * a_row + 256 * METERED_DIM;
      if (!least && stated < 30 << 20) stated = 30 << 20;
      stated += 200 * 1024 * METERED_THREADS;
      m->most = before;
      solved s = solve(c, &p);
      ck_assert_msg(m->most - before <= stated, "%lld bytes, %lld stated",
                    (long long)(m->most - before), (long long)stated);
      ck_assert_int_eq(m->live, before);
      solved_free(&s);
    }
  free(cells);
  problem_free(&p);
}

START_TEST(memory_is_what_the_header_says) {
  meter m = {.lock = PTHREAD_MUTEX_INITIALIZER};
  mcl_allocator a;
  mcl_struct_init(&a, sizeof a);
  a.user = &m, a.alloc = metered_alloc, a.free = metered_free;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.allocator = &a, o.threads = METERED_THREADS;
  mcl_context *c;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  check_memory(c, &m, 2, true, 0);
  check_memory(c, &m, 4096, true, 0);
  check_memory(c, &m, 4096, false, 0);
  check_memory(c, &m, 100000, false, 1); // more than 30 MiB without any scores
  mcl_context_unref(c);
}
END_TEST

START_TEST(every_failing_allocation_is_an_error_and_the_retry_is_the_same) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 1);
  problem p = make_problem(10, 10, 4, 10);
  int64_t cells[10] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  for (int kind = 0; kind < 16; kind++) {
    p.nt_xent = kind & 1;
    p.flags = kind & 8 ? MCL_SOME_ANCHORS : 0;
    p.anchors = kind & 8 ? 4 : 0;
    p.cells = p.duplicates = kind & 2 ? cells : NULL;
    p.others = kind & 4 ? cells : NULL;
    solved want = solve(c, &p);
    int64_t live = a.live, sites = 0;
    for (;; sites++) {
      mcl_loss_result r;
      float da[40], db[40];
      for (int i = 0; i < 40; i++) da[i] = db[i] = 42;
      a.fail_at = sites + 1;
      mcl_status s = call(c, &p, &r, da, db);
      a.fail_at = 0;
      ck_assert_int_eq(a.live, live);
      if (s == MCL_OK) {
        ck_assert_mem_eq(da, want.dza, sizeof da);
        ck_assert_mem_eq(&r, &want.r, sizeof r);
        break;
      }
      ck_assert_int_eq(s, MCL_E_NOMEM);
      ck_assert(r.loss == 0 && r.anchors == 0);
      for (int i = 0; i < 40; i++) ck_assert(da[i] == 42 && db[i] == 42);
    }
    ck_assert_int_ge(sites, 15);
    solved_free(&want);
  }
  problem_free(&p);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}
END_TEST

typedef struct failing_runner {
  int jobs_left;
} failing_runner;

static uint32_t two(void *user) {
  (void)user;
  return 2;
}

static int32_t run_some(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  failing_runner *r = user;
  if (r->jobs_left-- <= 0) return 1;
  for (uint32_t t = 0; t < tasks; t++) fn(job, t, 0);
  return 0;
}

START_TEST(a_host_s_runner_that_fails_leaves_the_outputs_alone) {
  for (int jobs = 0;; jobs++) {
    failing_runner f = {1000};
    mcl_runner r;
    mcl_struct_init(&r, sizeof r);
    r.user = &f, r.concurrency = two, r.run = run_some;
    mcl_context_options o;
    mcl_context_options_init(&o, sizeof o);
    o.runner = &r;
    mcl_context *c;
    CHECK_OK(mcl_context_create(&o, &c, &err));
    problem p = make_problem(150, 150, 3, 1);
    p.nt_xent = true;
    float da[450], db[450];
    for (int i = 0; i < 450; i++) da[i] = db[i] = 42;
    mcl_loss_result result;
    f.jobs_left = jobs;
    mcl_status s = call(c, &p, &result, da, db);
    problem_free(&p);
    mcl_context_unref(c);
    if (s == MCL_OK) {
      ck_assert_int_ge(jobs, 2);
      break;
    }
    ck_assert_int_eq(s, MCL_E_CALLBACK);
    for (int i = 0; i < 450; i++) ck_assert(da[i] == 42 && db[i] == 42);
    ck_assert(result.loss == 0);
  }
}
END_TEST

// Of so many rows most scores are kept and some are not; with one shift for all and with moving ones.
START_TEST(least_memory_gives_the_same_bits) {
  mcl_context *c = test_context(2);
  int64_t cells[2900];
  for (int64_t i = 0; i < 2900; i++) cells[i] = i % 3;
  for (int kind = 0; kind < 5; kind++)
    for (int variant = 0; variant < 4; variant++) {
      int64_t n = kind % 3 == 0 ? 2100 : 2900, bytes = n * 4 * (int64_t)sizeof(float);
      problem p = make_problem(n, n, 4, 3);
      p.nt_xent = kind % 3 == 0;
      p.anchors = kind > 2 ? n * 3 / 4 : 0;
      p.flags = (kind > 2 ? MCL_SOME_ANCHORS : 0) | (kind == 2 ? MCL_ONE_WAY : 0) |
                (variant & 1 ? MCL_ROWS_AS_GIVEN : 0);
      if (variant & 2) p.cells = cells;
      solved kept = solve(c, &p);
      p.flags |= MCL_LEAST_MEMORY;
      solved twice = solve(c, &p);
      ck_assert_mem_eq(&kept.r, &twice.r, sizeof kept.r);
      ck_assert_mem_eq(kept.dza, twice.dza, (size_t)bytes);
      ck_assert_mem_eq(kept.dzb, twice.dzb, (size_t)bytes);
      solved_free(&kept), solved_free(&twice);
      problem_free(&p);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits) {
  problem p = make_problem(700, 700, 16, 7);
  int64_t cells[700], others[700];
  for (int i = 0; i < 700; i++) cells[i] = i % 9 < 6 ? 0 : i % 3, others[i] = i % 23;
  for (int kind = 0; kind < 12; kind++) {
    solved first = {0};
    bool some = kind >= 6 && kind % 3 != 2;
    p.nt_xent = kind % 3 == 0;
    p.flags = kind % 3 == 2 ? MCL_ONE_WAY : some ? MCL_SOME_ANCHORS : 0;
    p.first_anchor = some ? 150 : 0, p.anchors = some ? 300 : 0;
    p.cells = kind % 2 ? cells : NULL;
    p.others = kind % 6 >= 2 ? others : NULL;
    p.tau = kind % 6 < 3 ? 0.3 : 0.01;
    for (uint32_t threads = 1; threads <= 3; threads++) {
      mcl_context *c = test_context(threads);
      solved s = solve(c, &p);
      if (threads > 1) {
        ck_assert_mem_eq(&s.r, &first.r, sizeof s.r);
        ck_assert_mem_eq(s.dza, first.dza, 700 * 16 * sizeof(float));
        ck_assert_mem_eq(s.dzb, first.dzb, 700 * 16 * sizeof(float));
        solved_free(&s);
      } else {
        first = s;
      }
      mcl_context_unref(c);
    }
    solved_free(&first);
  }
  problem_free(&p);
}
END_TEST

RUN_TESTS("loss inputs", any_float_type_and_any_strides_are_taken,
          a_gradient_that_is_not_wanted_changes_nothing_else,
          gradients_may_take_the_place_of_the_rows, the_default_temperature_is_one_half,
          options_outside_their_range_are_named, missing_arguments_are_named,
          shapes_that_do_not_fit_are_named, first_positive_stays_among_the_candidates,
          anchors_stay_among_the_rows, the_first_row_that_is_not_finite_is_named,
          memory_is_what_the_header_says,
          every_failing_allocation_is_an_error_and_the_retry_is_the_same,
          a_host_s_runner_that_fails_leaves_the_outputs_alone, least_memory_gives_the_same_bits,
          any_number_of_threads_gives_the_same_bits)
