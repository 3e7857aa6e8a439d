// Representations of embeddings that need not be in memory, and what is made of them without ever being whole.
#include "probe/reading.h"

#include <libmcl/integrator.h>

static mcl_error err;

enum { N = 1300, A = 7, B = 20, DIM = A + B };

static mcl_integrator *new_integrator(mcl_context *c) {
  mcl_integrator *g;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, A, 1, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, B, 0.3, &err));
  return g;
}

typedef struct stages {
  float *a, *b; // [N, A], [N, B]
  int32_t *y;   // labels of b
} stages;

static stages new_stages(uint64_t seed) {
  stages s;
  int32_t *other;
  s.a = class_rows(N, A, 5, 0.5F, seed, &other);
  s.b = class_rows(N, B, 5, 0.5F, seed + 1, &s.y);
  free(other);
  make_exact(s.a, N * A);
  make_exact(s.b, N * B);
  return s;
}

static void free_stages(stages *s) {
  free(s->a), free(s->b), free(s->y);
}

static float *by_arrays(mcl_integrator *g, const stages *s) {
  float *r = malloc(sizeof *r * N * DIM);
  mcl_array in[2] = {mcl_matrix_f32(s->a, N, A), mcl_matrix_f32(s->b, N, B)};
  mcl_array out = mcl_matrix_f32(r, N, DIM);
  CHECK_OK(mcl_integrator_concat(g, in, 2, &out, &err));
  return r;
}

// ---- the same bits ---------------------------------------------------------------------------------------

START_TEST(any_rows_are_those_of_arrays_however_they_come) {
  static const int64_t ranges[][2] = {{0, N}, {0, 1}, {5, 256}, {255, 257}, {700, 600}, {N, 0}};
  stages s = new_stages(1);
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    mcl_integrator *g = new_integrator(c);
    float *wanted = by_arrays(g, &s), *r = malloc(sizeof *r * N * DIM);
    for (int way = 0; way < WAYS; way++) {
      given a, b;
      give(&a, way, c, s.a, N, A, "concat-a");
      give(&b, (way + 7) % WAYS, c, s.b, N, B, "concat-b");
      mcl_rows both[2] = {a.rows, b.rows};
      for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        int64_t first = ranges[i][0], n = ranges[i][1];
        mcl_array out = mcl_matrix_f32(r, n, DIM);
        memset(r, 0xFF, sizeof *r * N * DIM);
        CHECK_OK(mcl_integrator_concat_rows(g, both, 2, first, n, &out, &err));
        ck_assert_mem_eq(r, wanted + first * DIM, sizeof *r * (size_t)(n * DIM));
        if (n < N) ck_assert(isnan(r[n * DIM]));
      }
      give_back(&a), give_back(&b);
    }
    free(wanted), free(r);
    mcl_integrator_unref(g);
    mcl_context_unref(c);
  }
  free_stages(&s);
}
END_TEST

START_TEST(out_may_be_of_any_float_type_and_stride) {
  stages s = new_stages(3);
  mcl_context *c = test_context(2);
  mcl_integrator *g = new_integrator(c);
  float *wanted = by_arrays(g, &s);
  reader r[2];
  mcl_rows both[2] = {rows_by(&r[0], s.a, MCL_F32, N, A, 0), rows_by(&r[1], s.b, MCL_F32, N, B, 1)};
  enum { WIDE = 2 * DIM + 3 };
  double *wide = malloc(sizeof *wide * N * WIDE);
  for (int64_t i = 0; i < (int64_t)N * WIDE; i++) wide[i] = -9;
  int64_t shape[2] = {N, DIM};
  mcl_array out;
  mcl_array_init(&out, wide, MCL_F64, 2, shape);
  out.strides[0] = WIDE;
  out.strides[1] = 2;
  CHECK_OK(mcl_integrator_concat_rows(g, both, 2, 0, N, &out, &err));
  for (int64_t i = 0; i < N; i++)
    for (int64_t k = 0; k < WIDE; k++) {
      int ours = k % 2 == 0 && k < 2 * DIM;
      double number = ours ? (double)wanted[i * DIM + k / 2] : -9;
      ck_assert(wide[i * WIDE + k] == number);
    }
  free(wide), free(wanted);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
  free_stages(&s);
}
END_TEST

// As the header shows it.
struct mine {
  const mcl_integrator *integrator;
  const mcl_rows *stages;
  int32_t n;
};

static mcl_status representation(void *user, int64_t first, int64_t n, const mcl_array *out,
                                 mcl_error *e) {
  const struct mine *m = user;
  return mcl_integrator_concat_rows(m->integrator, m->stages, m->n, first, n, out, e);
}

static mcl_rows rows_of(struct mine *m, int64_t n, int32_t flags) {
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.user = m;
  rows.read = representation;
  rows.rows = n;
  rows.dim = mcl_integrator_dim(m->integrator);
  rows.dtype = MCL_F32;
  rows.flags = flags;
  return rows;
}

START_TEST(files_of_stages_are_probed_as_arrays_of_their_representation_are) {
  stages train = new_stages(5), test = new_stages(7);
  mcl_probe_result wanted[2] = {new_result(), new_result()};
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    mcl_integrator *g = new_integrator(c);
    if (threads == 1) {
      float *r = by_arrays(g, &train), *t = by_arrays(g, &test);
      mcl_array ar = mcl_matrix_f32(r, N, DIM), at = mcl_matrix_f32(t, N, DIM);
      CHECK_OK(mcl_probe_knn(c, NULL, &ar, train.y, &at, test.y, NULL, &wanted[0], &err));
      CHECK_OK(mcl_probe_linear(c, NULL, &ar, train.y, &at, test.y, NULL, &wanted[1], &err));
      free(r), free(t);
    }
    given z[2], t[2];
    ck_assert(ways[WAYS - 3].by == BY_FILE && ways[WAYS - 1].by == BY_FILE);
    give(&z[0], WAYS - 3, c, train.a, N, A, "concat-file-0");
    give(&z[1], WAYS - 1, c, train.b, N, B, "concat-file-1");
    give(&t[0], WAYS - 3, c, test.a, N, A, "concat-file-2");
    give(&t[1], WAYS - 1, c, test.b, N, B, "concat-file-3");
    mcl_rows of_z[2] = {z[0].rows, z[1].rows}, of_t[2] = {t[0].rows, t[1].rows};
    struct mine mine_z = {g, of_z, 2}, mine_t = {g, of_t, 2};
    for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++) {
      mcl_rows rows_z = rows_of(&mine_z, N, flags), rows_t = rows_of(&mine_t, N, flags);
      mcl_probe_result got[2] = {new_result(), new_result()};
      CHECK_OK(mcl_probe_knn_rows(c, NULL, &rows_z, train.y, &rows_t, test.y, NULL, &got[0], &err));
      CHECK_OK(
          mcl_probe_linear_rows(c, NULL, &rows_z, train.y, &rows_t, test.y, NULL, &got[1], &err));
      ck_assert_mem_eq(got, wanted, sizeof got);
    }
    for (int i = 0; i < 2; i++) give_back(&z[i]), give_back(&t[i]);
    mcl_integrator_unref(g);
    mcl_context_unref(c);
  }
  ck_assert(wanted[0].correct > N / 4 && wanted[0].correct < N);
  free_stages(&train), free_stages(&test);
}
END_TEST

// ---- what goes wrong -------------------------------------------------------------------------------------

START_TEST(a_reader_that_fails_fails_the_call) {
  stages s = new_stages(9);
  mcl_context *c = test_context(3);
  mcl_integrator *g = new_integrator(c);
  float *x = malloc(sizeof *x * N * DIM);
  mcl_array out = mcl_matrix_f32(x, N, DIM);
  for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++)
    for (int side = 0; side < 2; side++)
      for (int64_t at = 1; at <= 6; at++) {
        reader r[2];
        mcl_rows both[2] = {rows_by(&r[0], s.a, MCL_F32, N, A, flags),
                            rows_by(&r[1], s.b, MCL_F32, N, B, flags)};
        r[side].fail_at = at;
        CHECK_FAILS(MCL_E_IO, "the disk is gone",
                    mcl_integrator_concat_rows(g, both, 2, 0, N, &out, &err));
        ck_assert_int_eq(err.host_code, 77);
        r[side].fail_at = 0;
        r[side].nan_at[0] = at * 200;
        r[side].nan_at[1] = N - 1;
        char wanted[64];
        snprintf(wanted, sizeof wanted, "row %d of stages[%d] is not finite", (int)at * 200, side);
        CHECK_FAILS(MCL_E_NOT_FINITE, wanted,
                    mcl_integrator_concat_rows(g, both, 2, 0, N, &out, &err));
        ck_assert_int_eq(err.row, at * 200);
      }
  free(x);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
  free_stages(&s);
}
END_TEST

START_TEST(arrays_are_looked_at_before_anything_is_written) {
  stages s = new_stages(11);
  mcl_context *c = test_context(2);
  mcl_integrator *g = new_integrator(c);
  mcl_array a = mcl_matrix_f32(s.a, N, A), b = mcl_matrix_f32(s.b, N, B);
  mcl_rows both[2];
  for (int i = 0; i < 2; i++) mcl_struct_init(&both[i], sizeof both[i]);
  both[0].array = &a;
  both[1].array = &b;
  float *x = calloc(N * DIM, sizeof *x);
  mcl_array out = mcl_matrix_f32(x, N - 1, DIM);
  s.b[(N - 1) * B] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1299 of stages[1]",
              mcl_integrator_concat_rows(g, both, 2, 1, N - 1, &out, &err));
  for (int64_t i = 0; i < N * DIM; i++) ck_assert(x[i] == 0);
  CHECK_OK(
      mcl_integrator_concat_rows(g, both, 2, 0, N - 1, &out, &err)); // that row is not asked for
  free(x);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
  free_stages(&s);
}
END_TEST

START_TEST(a_file_cut_short_is_an_error_and_not_a_signal) {
  stages s = new_stages(13);
  mcl_context *c = test_context(2);
  mcl_integrator *g = new_integrator(c);
  given a, b;
  give(&a, WAYS - 3, c, s.a, N, A, "concat-short");
  give(&b, 0, c, s.b, N, B, "concat-whole");
  mcl_rows both[2] = {a.rows, b.rows};
  ck_assert_int_eq(truncate(a.path, N * A * 2), 0);
  float *x = malloc(sizeof *x * N * DIM);
  mcl_array out = mcl_matrix_f32(x, N, DIM);
  CHECK_FAILS(MCL_E_IO, "rows.npy", mcl_integrator_concat_rows(g, both, 2, 0, N, &out, &err));
  free(x);
  give_back(&a), give_back(&b);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
  free_stages(&s);
}
END_TEST

START_TEST(bad_arguments_are_named) {
  float x[12] = {1, 2, 3}, r[4 * DIM];
  mcl_context *c = test_context(1);
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  reader of[2];
  mcl_rows both[2] = {rows_by(&of[0], x, MCL_F32, 3, 2, 0), rows_by(&of[1], x, MCL_F32, 3, 1, 0)};
  mcl_rows good = both[1];
  mcl_array out = mcl_matrix_f32(r, 3, 3);
#define CONCAT(g, s, n, first, rows) mcl_integrator_concat_rows(g, s, n, first, rows, &out, &err)
  CHECK_FAILS(MCL_E_INVALID, "integrator", CONCAT(NULL, both, 2, 0, 3));
  CHECK_FAILS(MCL_E_STATE, "no stages", CONCAT(g, both, 2, 0, 3));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 2, 1, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 1, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "stages is NULL", CONCAT(g, NULL, 2, 0, 3));
  CHECK_FAILS(MCL_E_INVALID, "n is 1", CONCAT(g, both, 1, 0, 3));
  CHECK_FAILS(MCL_E_LIMIT, "rows 1 .. + 3", CONCAT(g, both, 2, 1, 3));
  CHECK_FAILS(MCL_E_LIMIT, "rows -1", CONCAT(g, both, 2, -1, 3));
  CHECK_FAILS(MCL_E_LIMIT, "+ -1", CONCAT(g, both, 2, 0, -1));
  CHECK_FAILS(MCL_E_LIMIT, "there are 3", CONCAT(g, both, 2, INT64_MAX, INT64_MAX));
  CHECK_FAILS(MCL_E_SHAPE, "out", CONCAT(g, both, 2, 0, 2));
  both[1].rows = 4;
  CHECK_FAILS(MCL_E_SHAPE, "stages[1] has 4 rows, not 3", CONCAT(g, both, 2, 0, 3));
  both[1] = good, both[1].dim = 2;
  CHECK_FAILS(MCL_E_SHAPE, "stages[1] has 2 columns, not 1", CONCAT(g, both, 2, 0, 3));
  both[1] = good, both[1].flags = 4;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "stages[1].flags", CONCAT(g, both, 2, 0, 3));
  both[1] = good, both[1].struct_size = 0;
  CHECK_FAILS(MCL_E_INVALID, "stages[1].struct_size", CONCAT(g, both, 2, 0, 3));
  both[1] = good;
  CHECK_OK(CONCAT(g, both, 2, 0, 3));
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// A header of another day: larger structs, one after another.
START_TEST(structs_of_a_newer_header_are_stepped_over_by_their_own_size) {
  struct newer {
    mcl_rows rows;
    int64_t more;
  } both[2];
  float x[3] = {3, 4, 5}, z[1] = {-2}, r[3];
  mcl_array a = mcl_matrix_f32(x, 1, 2), b = mcl_matrix_f32(z, 1, 1), out = mcl_matrix_f32(r, 1, 3);
  mcl_context *c = test_context(1);
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 2, 1, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 1, 1, &err));
  for (int i = 0; i < 2; i++) mcl_struct_init(&both[i], sizeof both[i]);
  both[0].rows.array = &a;
  both[1].rows.array = &b;
  CHECK_OK(mcl_integrator_concat_rows(g, &both[0].rows, 2, 0, 1, &out, &err));
  ck_assert(r[2] == -1);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// ---- memory ----------------------------------------------------------------------------------------------

// Number k of row i.
static mcl_status formula(void *user, int64_t first, int64_t n, const mcl_array *out,
                          mcl_error *e) {
  (void)user;
  double *x = out->data;
  for (int64_t i = first * out->shape[1]; i < (first + n) * out->shape[1]; i++)
    *x++ = (double)(i * 7919 % 1009) - 504;
  return mcl_ok(e);
}

START_TEST(two_hundred_thousand_rows_take_a_block_of_every_stage_a_thread) {
  enum { MANY = 200000, FEW = 3, MORE = 5 };
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 2);
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, FEW, 1, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, MORE, 1, &err));
  float *r = malloc(sizeof *r * MANY * (FEW + MORE));
  for (int32_t flags = 0; flags <= MCL_ROWS_ANY_THREAD; flags++) {
    mcl_rows both[2];
    for (int i = 0; i < 2; i++) {
      mcl_struct_init(&both[i], sizeof both[i]);
      both[i].read = formula;
      both[i].rows = MANY;
      both[i].dim = i ? MORE : FEW;
      both[i].dtype = MCL_F64;
      both[i].flags = flags;
    }
    for (int64_t n = 256; n <= MANY; n += MANY - 256) {
      mcl_array out = mcl_matrix_f32(r, n, FEW + MORE);
      int64_t before = a.bytes, threads = n > 256 ? 2 : 1;
      a.peak = a.bytes;
      CHECK_OK(mcl_integrator_concat_rows(g, both, 2, MANY - n, n, &out, &err));
      ck_assert_int_le(a.peak - before, threads * 256 * (FEW + MORE) * (4 + 8) + 8 * 1024);
    }
  }
  free(r);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}
END_TEST

RUN_TESTS("concat_rows", any_rows_are_those_of_arrays_however_they_come,
          out_may_be_of_any_float_type_and_stride,
          files_of_stages_are_probed_as_arrays_of_their_representation_are,
          a_reader_that_fails_fails_the_call, arrays_are_looked_at_before_anything_is_written,
          a_file_cut_short_is_an_error_and_not_a_signal, bad_arguments_are_named,
          structs_of_a_newer_header_are_stepped_over_by_their_own_size,
          two_hundred_thousand_rows_take_a_block_of_every_stage_a_thread)
