// Probes of rows that need not be in memory: the same bits by every way, whatever fails, within the memory that is stated.
#include "probe/reading.h"

static mcl_error err;

// Rows of all probes at once. At 1030 numbers a slab is 512 rows: three of the gallery, the last one not whole.
enum { N = 1100, M = 270, DIM = 1030, CLASSES = 5 };

typedef struct problem {
  float *z, *t; // [N, DIM], [M, DIM]
  int32_t *y, *ty;
  int64_t match[M], group_t[M], group_z[N];
} problem;

static problem *new_problem(void) {
  problem *p = calloc(1, sizeof *p);
  p->z = class_rows(N, DIM, CLASSES, 0.05F, 21, &p->y);
  p->t = class_rows(M, DIM, CLASSES, 0.05F, 22, &p->ty);
  for (int64_t i = 0; i < N; i++) p->group_z[i] = i % 150;
  for (int64_t i = 0; i < M; i++) {
    p->match[i] = (i * 7 + 3) % N;
    p->group_t[i] = i % 140;
    for (int64_t k = 0; k < DIM; k++) p->t[i * DIM + k] += 0.08F * p->z[p->match[i] * DIM + k];
  }
  for (int32_t i = 0; i < CLASSES; i++) p->y[i] = i; // each class has a prompt
  make_exact(p->z, N * DIM);
  make_exact(p->t, M * DIM);
  return p;
}

static void free_problem(problem *p) {
  free(p->z), free(p->t), free(p->y), free(p->ty);
  free(p);
}

typedef mcl_status (*probe)(mcl_context *c, const problem *p, const mcl_rows *z, const mcl_rows *t,
                            mcl_probe_result *out);

static mcl_status linear(mcl_context *c, const problem *p, const mcl_rows *z, const mcl_rows *t,
                         mcl_probe_result *out) {
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.max_iterations = 3;
  return mcl_probe_linear_rows(c, &o, z, p->y, t, p->ty, NULL, out, &err);
}
static mcl_status knn(mcl_context *c, const problem *p, const mcl_rows *z, const mcl_rows *t,
                      mcl_probe_result *out) {
  return mcl_probe_knn_rows(c, NULL, z, p->y, t, p->ty, NULL, out, &err);
}
static mcl_status recall(mcl_context *c, const problem *p, const mcl_rows *z, const mcl_rows *t,
                         mcl_probe_result *out) {
  return mcl_probe_recall_rows(c, NULL, t, z, p->match, 3, out, &err);
}
static mcl_status retrieval(mcl_context *c, const problem *p, const mcl_rows *z, const mcl_rows *t,
                            mcl_probe_result *out) {
  return mcl_probe_retrieval_rows(c, NULL, t, p->group_t, z, p->group_z, 9, out, &err);
}
// Of both sides z is the larger: the prompts are the first rows of the array.
static mcl_status zero_shot(mcl_context *c, const problem *p, const mcl_rows *z, const mcl_rows *t,
                            mcl_probe_result *out) {
  (void)t;
  mcl_array prompts = mcl_matrix_f32(p->z, 60, DIM);
  return mcl_probe_zero_shot_rows(c, NULL, &prompts, p->y, z, p->y, out, &err);
}

static const struct {
  const char *name, *z, *t; // the arguments' names
  probe call;
  int uses_t;
} probes[] = {{"linear", "z", "test_z", linear, 1},
              {"knn", "z", "test_z", knn, 1},
              {"recall", "gallery", "queries", recall, 1},
              {"retrieval", "gallery", "queries", retrieval, 1},
              {"zero_shot", "z", NULL, zero_shot, 0}};
enum { PROBES = sizeof probes / sizeof *probes };

// ---- the same bits ---------------------------------------------------------------------------------------

static void by_array(mcl_context *c, const problem *p, mcl_probe_result *out) {
  mcl_array az = mcl_matrix_f32(p->z, N, DIM), at = mcl_matrix_f32(p->t, M, DIM), prompts = az;
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.max_iterations = 3;
  prompts.shape[0] = 60;
  for (int i = 0; i < PROBES; i++) out[i] = new_result();
  CHECK_OK(mcl_probe_linear(c, &o, &az, p->y, &at, p->ty, NULL, &out[0], &err));
  CHECK_OK(mcl_probe_knn(c, NULL, &az, p->y, &at, p->ty, NULL, &out[1], &err));
  CHECK_OK(mcl_probe_recall(c, NULL, &at, &az, p->match, 3, &out[2], &err));
  CHECK_OK(mcl_probe_retrieval(c, NULL, &at, p->group_t, &az, p->group_z, 9, &out[3], &err));
  CHECK_OK(mcl_probe_zero_shot(c, NULL, &prompts, p->y, &az, p->y, &out[4], &err));
}

START_TEST(every_probe_gives_the_same_however_its_rows_come) {
  problem *p = new_problem();
  mcl_probe_result wanted[PROBES];
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    if (threads == 1) by_array(c, p, wanted);
    for (int way = 0; way < WAYS; way++) {
      if ((way + threads) % 3 == 0) continue; // each way by two numbers of threads
      given z, t;
      give(&z, way, c, p->z, N, DIM, "probe-z");
      give(&t, (way + 5) % WAYS, c, p->t, M, DIM, "probe-t");
      for (int i = 0; i < PROBES; i++) {
        mcl_probe_result r = new_result();
        CHECK_OK(probes[i].call(c, p, &z.rows, &t.rows, &r));
        ck_assert_msg(memcmp(&r, &wanted[i], sizeof r) == 0, "%s, way %d, %u threads: %d, not %d",
                      probes[i].name, way, threads, (int)r.correct, (int)wanted[i].correct);
        ck_assert_msg(r.correct > 0 && r.correct < r.total, "%s decides nothing", probes[i].name);
      }
      give_back(&z), give_back(&t);
    }
    mcl_context_unref(c);
  }
  free_problem(p);
}
END_TEST

// By all cosines in double: whether the nearest row has the label, and how near the match and the query's group are.
static void twins(const problem *p, int64_t tests, int64_t found[3]) {
  static double s[N];
  memset(found, 0, 3 * sizeof *found);
  for (int64_t i = 0; i < tests; i++) {
    int64_t nearest = 0, ahead = 0, others = 0;
    double group = -2;
    for (int64_t j = 0; j < N; j++) {
      s[j] = twin_cosine(p->t + i * DIM, p->z + j * DIM, DIM);
      if (s[j] > s[nearest]) nearest = j;
      if (p->group_z[j] == p->group_t[i]) group = fmax(group, s[j]);
    }
    for (int64_t j = 0; j < N; j++) {
      ahead += j != p->match[i] && s[j] > s[p->match[i]] - 1e-6;
      others += p->group_z[j] != p->group_t[i] && s[j] > group - 1e-6;
    }
    found[0] += p->y[nearest] == p->ty[i];
    found[1] += ahead < 3;
    found[2] += others < 9;
  }
}

// 1 vote: no tie to break. The nearest of a test row, its match and its group lie in any slab.
START_TEST(slabs_are_one_gallery_to_the_plain_twins) {
  enum { TESTS = 200 };
  problem *p = new_problem();
  mcl_context *c = test_context(2);
  mcl_array az = mcl_matrix_f32(p->z, N, DIM), at = mcl_matrix_f32(p->t, TESTS, DIM);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.neighbours = 1;
  int64_t wanted[3];
  mcl_probe_result r[3] = {new_result(), new_result(), new_result()};
  twins(p, TESTS, wanted);
  CHECK_OK(mcl_probe_knn(c, &o, &az, p->y, &at, p->ty, NULL, &r[0], &err));
  CHECK_OK(mcl_probe_recall(c, NULL, &at, &az, p->match, 3, &r[1], &err));
  CHECK_OK(mcl_probe_retrieval(c, NULL, &at, p->group_t, &az, p->group_z, 9, &r[2], &err));
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(r[i].correct, wanted[i]);
    ck_assert(wanted[i] > 0 && wanted[i] < TESTS);
  }
  mcl_context_unref(c);
  free_problem(p);
}
END_TEST

typedef struct told {
  double loss;
  int64_t calls, cancel_at;
} told;

static int32_t listen(void *user, const mcl_progress *p) {
  told *t = user;
  t->calls++;
  if (strcmp(p->phase, "fit") == 0) t->loss = p->loss;
  return t->cancel_at && t->calls >= t->cancel_at;
}

static mcl_monitor monitor_of(told *t) {
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  memset(t, 0, sizeof *t);
  m.user = t;
  m.progress = listen;
  return m;
}

// Over 64 parts of 256 rows: parts of several blocks, and of unequal length.
START_TEST(the_linear_probe_adds_up_alike_however_its_rows_come) {
  enum { MANY = 64 * 256 + 777, FEW = 6 };
  int32_t *y;
  float *x = class_rows(MANY, FEW, 7, 0.5F, 23, &y);
  make_exact(x, (int64_t)MANY * FEW);
  mcl_probe_result wanted = new_result();
  double loss = 0;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    for (int way = 0; way < WAYS; way++) {
      given z;
      told t;
      mcl_monitor m = monitor_of(&t);
      mcl_probe_result r = new_result();
      give(&z, way, c, x, MANY, FEW, "probe-many");
      CHECK_OK(mcl_probe_linear_rows(c, NULL, &z.rows, y, &z.rows, y, &m, &r, &err));
      if (threads == 1 && way == 0) wanted = r, loss = t.loss;
      ck_assert_mem_eq(&r, &wanted, sizeof r);
      ck_assert_mem_eq(&t.loss, &loss, sizeof loss);
      give_back(&z);
    }
    mcl_context_unref(c);
  }
  ck_assert(wanted.converged && wanted.correct > MANY / 3 && wanted.correct < MANY);
  free(x), free(y);
}
END_TEST

// With 16,000 bytes of neighbours a chunk is 3200 test rows; three slabs, so that z is read again for the second.
START_TEST(test_rows_of_several_chunks_count_as_the_sum_of_their_calls) {
  enum { T = 3500, CUT = 1500 };
  problem *p = new_problem();
  mcl_context *c = test_context(2);
  int32_t *ty;
  float *t = class_rows(T, DIM, CLASSES, 0.05F, 25, &ty);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.neighbours = 1000;
  mcl_array az = mcl_matrix_f32(p->z, N, DIM);
  mcl_array parts[2] = {mcl_matrix_f32(t, CUT, DIM), mcl_matrix_f32(t + CUT * DIM, T - CUT, DIM)};
  mcl_probe_result part = new_result(), whole = new_result();
  int64_t votes = 0;
  for (int i = 0; i < 2; i++) {
    CHECK_OK(mcl_probe_knn(c, &o, &az, p->y, &parts[i], ty + i * CUT, NULL, &part, &err));
    votes += part.correct;
  }
  for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++) {
    reader r[2];
    mcl_rows z = rows_by(&r[0], p->z, MCL_F32, N, DIM, flags);
    mcl_rows all = rows_by(&r[1], t, MCL_F32, T, DIM, flags);
    CHECK_OK(mcl_probe_knn_rows(c, &o, &z, p->y, &all, ty, NULL, &whole, &err));
    ck_assert_int_eq(r[0].rows, flags ? 2 * N : 2 * N - 512); // one slab is still there
    ck_assert_int_eq(r[1].rows, T);
    ck_assert_int_eq(whole.correct, votes);
  }
  ck_assert(votes > T / CLASSES && votes < T);
  free(t), free(ty);
  mcl_context_unref(c);
  free_problem(p);
}
END_TEST

// A chunk is 768 queries, and two slabs are kept: the gallery is read once.
START_TEST(queries_of_several_chunks_count_as_the_sum_of_their_calls) {
  enum { LONG = 20000, Q = 800, G = 520, CUT = 300 };
  mcl_context *c = test_context(2);
  float *g = malloc(sizeof *g * G * LONG), *q = malloc(sizeof *q * Q * LONG);
  static int64_t match[Q];
  uint32_t s = 1;
  for (int64_t i = 0; i < (int64_t)G * LONG; i++)
    s = s * 1664525 + 1013904223, g[i] = (float)(s >> 8) * 0x1p-24F - 0.5F;
  for (int64_t i = 0; i < Q; i++) {
    match[i] = (i * 11 + 5) % G;
    for (int64_t k = 0; k < LONG; k++) {
      s = s * 1664525 + 1013904223;
      q[i * LONG + k] = (float)(s >> 8) * 0x1p-24F - 0.5F + 0.02F * g[match[i] * LONG + k];
    }
  }
  reader r[2];
  mcl_rows gallery = rows_by(&r[0], g, MCL_F32, G, LONG, 0);
  mcl_rows all = rows_by(&r[1], q, MCL_F32, Q, LONG, MCL_ROWS_ANY_THREAD);
  mcl_array parts[2] = {mcl_matrix_f32(q, CUT, LONG),
                        mcl_matrix_f32(q + CUT * LONG, Q - CUT, LONG)};
  mcl_array ag = mcl_matrix_f32(g, G, LONG);
  mcl_probe_result whole = new_result(), part = new_result();
  CHECK_OK(mcl_probe_recall_rows(c, NULL, &all, &gallery, match, 2, &whole, &err));
  ck_assert_int_eq(r[0].rows, G);
  ck_assert_int_eq(r[1].rows, Q);
  int64_t found = 0;
  for (int i = 0; i < 2; i++) {
    CHECK_OK(mcl_probe_recall(c, NULL, &parts[i], &ag, match + i * CUT, 2, &part, &err));
    found += part.correct;
  }
  ck_assert_int_eq(whole.correct, found);
  ck_assert(found > 0 && found < Q);
  free(g), free(q);
  mcl_context_unref(c);
}
END_TEST

START_TEST(any_thread_reads_where_it_may_and_only_the_callers_otherwise) {
  problem *p = new_problem();
  mcl_context *c = test_context(3);
  for (int i = 0; i < PROBES; i++)
    for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++) {
      reader r[2];
      mcl_rows z = rows_by(&r[0], p->z, MCL_F32, N, DIM, flags);
      mcl_rows t = rows_by(&r[1], p->t, MCL_F32, M, DIM, flags);
      r[0].wait_for_elsewhere = flags;
      mcl_probe_result out = new_result();
      CHECK_OK(probes[i].call(c, p, &z, &t, &out));
      ck_assert_msg((r[0].elsewhere > 0) == (flags != 0), "%s", probes[i].name);
      for (int side = 0; side < 2 && !flags; side++)
        ck_assert(r[side].elsewhere == 0 && r[side].most_at_once <= 1);
    }
  mcl_context_unref(c);
  free_problem(p);
}
END_TEST

// ---- what goes wrong -------------------------------------------------------------------------------------

// The n-th call of one side's reader fails, n = 1, 2, ... until the probe has no n-th call.
static int64_t fail_in_turn(mcl_context *c, const problem *p, int i, int side, int32_t flags) {
  int64_t step = 1;
  for (int64_t n = 1;; n += step) {
    reader r[2];
    mcl_rows z = rows_by(&r[0], p->z, MCL_F32, N, DIM, flags);
    mcl_rows t = rows_by(&r[1], p->t, MCL_F32, M, DIM, flags);
    r[side].fail_at = n;
    mcl_probe_result out = new_result(), before = out;
    mcl_status s = probes[i].call(c, p, &z, &t, &out);
    if (r[side].calls < n) {
      ck_assert_int_eq(s, MCL_OK);
      return n;
    }
    ck_assert_int_eq(s, MCL_E_IO);
    ck_assert(err.status == MCL_E_IO && err.host_code == 77);
    ck_assert_msg(strstr(err.message, "the disk is gone") != NULL, "%s", err.message);
    ck_assert_mem_eq(&out, &before, sizeof out);
    if (n == 12) step = 3; // later calls are of passes that have been seen
  }
}

START_TEST(a_reader_that_fails_on_any_block_fails_the_call_and_nothing_is_written) {
  problem *p = new_problem();
  mcl_context *c = test_context(2);
  for (int i = 0; i < PROBES; i++)
    for (int side = 0; side <= probes[i].uses_t; side++)
      for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++)
        ck_assert_int_gt(fail_in_turn(c, p, i, side, flags), 2);
  mcl_context_unref(c);
  free_problem(p);
}
END_TEST

static void spoil(mcl_context *c, const problem *p, int i, int side, int32_t flags) {
  static const int64_t rows[] = {0, 255, 256, 600, N - 1};
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    reader r[2];
    mcl_rows z = rows_by(&r[0], p->z, MCL_F32, N, DIM, flags);
    mcl_rows t = rows_by(&r[1], p->t, MCL_F32, M, DIM, flags);
    int64_t at = side ? rows[k] % M : rows[k];
    r[side].nan_at[0] = at;
    r[side].nan_at[1] = (side ? M : N) - 1; // a second one, that must not be named
    mcl_probe_result out = new_result(), before = out;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "row %d of %s is not finite", (int)at,
             side ? probes[i].t : probes[i].z);
    CHECK_FAILS(MCL_E_NOT_FINITE, wanted, probes[i].call(c, p, &z, &t, &out));
    ck_assert_int_eq(err.row, at);
    ck_assert_mem_eq(&out, &before, sizeof out);
  }
}

START_TEST(the_first_row_that_is_not_finite_is_named) {
  problem *p = new_problem();
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    for (int i = 0; i < PROBES; i++)
      for (int side = 0; side <= probes[i].uses_t; side++)
        for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++) spoil(c, p, i, side, flags);
    mcl_context_unref(c);
  }
  free_problem(p);
}
END_TEST

START_TEST(a_file_cut_short_is_an_error_and_not_a_signal) {
  problem *p = new_problem();
  mcl_context *c = test_context(2);
  for (int i = 0; i < PROBES; i++)
    for (int side = 0; side <= probes[i].uses_t; side++) {
      given g[2];
      give(&g[0], WAYS - 3, c, p->z, N, DIM, "probe-short-z");
      give(&g[1], WAYS - 3, c, p->t, M, DIM, "probe-short-t");
      ck_assert_int_eq(ways[WAYS - 3].by, BY_FILE);
      ck_assert_int_eq(truncate(g[side].path, (side ? M : N) * DIM * 3), 0);
      mcl_probe_result out = new_result(), before = out;
      CHECK_FAILS(MCL_E_IO, "rows.npy", probes[i].call(c, p, &g[0].rows, &g[1].rows, &out));
      ck_assert_mem_eq(&out, &before, sizeof out);
      give_back(&g[0]), give_back(&g[1]);
    }
  mcl_context_unref(c);
  free_problem(p);
}
END_TEST

START_TEST(bad_rows_are_named_as_arrays_are) {
  float x[6] = {1, 2, 3, 4, 5, 6};
  int32_t y[3] = {0, 1, 1};
  mcl_context *c = test_context(1);
  reader r;
  mcl_rows good = rows_by(&r, x, MCL_F32, 3, 2, 0), bad = good;
  mcl_probe_result out = new_result();
#define KNN(z, t) mcl_probe_knn_rows(c, NULL, z, y, t, y, NULL, &out, &err)
  CHECK_FAILS(MCL_E_INVALID, "test_z is NULL", KNN(&good, NULL));
  bad.flags = 6;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "z.flags", KNN(&bad, &good));
  bad = good, bad.dim = 1;
  CHECK_FAILS(MCL_E_SHAPE, "test_z has 1 columns, not 2", KNN(&good, &bad));
  bad = good, bad.rows = 0;
  CHECK_FAILS(MCL_E_SHAPE, "test_z is [0, 2]", KNN(&good, &bad));
  bad = good, bad.dtype = MCL_I32;
  CHECK_FAILS(MCL_E_DTYPE, "z", KNN(&bad, &good));
  bad = good, bad.read = NULL;
  CHECK_FAILS(MCL_E_INVALID, "z has neither", KNN(&bad, &good));
  ck_assert_int_eq(r.calls, 0);
  CHECK_OK(KNN(&good, &good));
  mcl_context_unref(c);
}
END_TEST

// ---- many rows -------------------------------------------------------------------------------------------

enum { MANY = 200000, NARROW = 32 };

// Number k of row i, of one of 4 classes.
static mcl_status formula(void *user, int64_t first, int64_t n, const mcl_array *out,
                          mcl_error *e) {
  int64_t *rows = user;
  float *x = out->data;
  if (rows) *rows += n;
  for (int64_t i = first; i < first + n; i++)
    for (int64_t k = 0; k < NARROW; k++) {
      uint64_t h = (uint64_t)(i * NARROW + k + 1) * UINT64_C(0x9E3779B97F4A7C15);
      *x++ = (float)(h >> 40) * 0x1p-24F + (k % 4 == i % 4 ? 0.2F : 0);
    }
  return mcl_ok(e);
}

static mcl_rows rows_of_formula(int64_t n, int32_t flags, int64_t *rows_read) {
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.user = rows_read;
  rows.read = formula;
  rows.rows = n;
  rows.dim = NARROW;
  rows.dtype = MCL_F32;
  rows.flags = flags;
  return rows;
}

// The most that call `i` held beyond what the context does, by 2 threads.
static int64_t peak_of(int i, int32_t flags) {
  static int32_t y[MANY];
  static int64_t match[300], group[MANY];
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 2);
  for (int64_t k = 0; k < MANY; k++) y[k] = (int32_t)(k % 4), group[k] = k / 2;
  for (int64_t k = 0; k < 300; k++) match[k] = k * 600;
  mcl_rows many = rows_of_formula(MANY, flags, NULL), few = rows_of_formula(300, flags, NULL);
  float prompts[4 * NARROW];
  mcl_array ap = mcl_matrix_f32(prompts, 4, NARROW);
  CHECK_OK(mcl_rows_read(&few, 0, 4, &ap, &err));
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.max_iterations = 5;
  mcl_probe_result out = new_result();
  int64_t before = a.bytes;
  a.peak = a.bytes;
  if (i == 0) CHECK_OK(mcl_probe_linear_rows(c, &o, &many, y, &few, y, NULL, &out, &err));
  if (i == 1) CHECK_OK(mcl_probe_knn_rows(c, &o, &many, y, &few, y, NULL, &out, &err));
  if (i == 2) CHECK_OK(mcl_probe_recall_rows(c, &o, &few, &many, match, 1, &out, &err));
  if (i == 3) CHECK_OK(mcl_probe_retrieval_rows(c, &o, &few, group, &many, group, 1, &out, &err));
  if (i == 4) CHECK_OK(mcl_probe_zero_shot_rows(c, &o, &ap, y, &many, y, &out, &err));
  if (i == 5) CHECK_OK(mcl_probe_knn_rows(c, &o, &few, y, &many, y, NULL, &out, &err));
  int64_t peak = a.peak - before;
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
  return peak;
}

START_TEST(two_hundred_thousand_rows_stay_within_the_memory_that_is_stated) {
  const int64_t block = 256 * NARROW * 4, threads = 2, mib = 1 << 20, slack = 64 * 1024;
  const int64_t weights = 16 * (NARROW + 1), slabs = 2 * 4 * mib + threads * (mib / 4);
  const int64_t blocks = threads * 2 * block, copy = (int64_t)MANY * NARROW * 4;
  const int64_t bounds[] = {
      50 * 8 * weights + 64 * 8 * weights + 5 * mib +
          threads * (2 * block + 256 * 16 * 4 + 4 * weights),
      300 * (NARROW * 4 + 20 * 16) + slabs + blocks,
      300 * (NARROW * 4 + 12) + slabs + blocks,
      300 * (NARROW * 4 + 12) + slabs + blocks + 16 * MANY,
      64 * mib + 4 * mib + slabs + blocks,
      64 * mib + slabs + blocks,
  };
  for (int i = 0; i < 6; i++)
    for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++) {
      int64_t peak = peak_of(i, flags);
      ck_assert_msg(peak <= bounds[i] + slack, "call %d holds %lld, not %lld", i, (long long)peak,
                    (long long)bounds[i]);
      if (i < 3) ck_assert_int_lt(peak, copy / 2);
    }
}
END_TEST

START_TEST(a_host_may_cancel_within_a_pass) {
  static int32_t y[MANY];
  for (int64_t k = 0; k < MANY; k++) y[k] = (int32_t)(k % 4);
  for (uint32_t threads = 1; threads <= 2; threads++) {
    mcl_context *c = test_context(threads);
    for (int which = 0; which < 2; which++) {
      int64_t rows_read = 0;
      mcl_rows many = rows_of_formula(MANY, 0, &rows_read), few = rows_of_formula(600, 0, NULL);
      told t;
      mcl_monitor m = monitor_of(&t);
      t.cancel_at = 1;
      mcl_probe_result out = new_result(), before = out;
      CHECK_FAILS(MCL_E_CANCELLED, "cancelled",
                  which ? mcl_probe_knn_rows(c, NULL, &many, y, &few, y, &m, &out, &err)
                        : mcl_probe_linear_rows(c, NULL, &many, y, &few, y, &m, &out, &err));
      ck_assert_int_lt(rows_read, MANY / 3);
      ck_assert_mem_eq(&out, &before, sizeof out);
    }
    mcl_context_unref(c);
  }
}
END_TEST

RUN_TESTS("probe_rows", every_probe_gives_the_same_however_its_rows_come,
          slabs_are_one_gallery_to_the_plain_twins,
          the_linear_probe_adds_up_alike_however_its_rows_come,
          test_rows_of_several_chunks_count_as_the_sum_of_their_calls,
          queries_of_several_chunks_count_as_the_sum_of_their_calls,
          any_thread_reads_where_it_may_and_only_the_callers_otherwise,
          a_reader_that_fails_on_any_block_fails_the_call_and_nothing_is_written,
          the_first_row_that_is_not_finite_is_named, a_file_cut_short_is_an_error_and_not_a_signal,
          bad_rows_are_named_as_arrays_are,
          two_hundred_thousand_rows_stay_within_the_memory_that_is_stated,
          a_host_may_cancel_within_a_pass)
