// mcl_rows_read: from arrays and callbacks of every float type into every float type.
#include <math.h>

#include <libmcl/rows.h>

#include "store/store_test.h"

static mcl_error err;
static const int32_t floats[] = {MCL_F32, MCL_F64, MCL_F16, MCL_BF16};

// The ramp in a type, as a contiguous [4, 3]; its numbers fit all four types.
static mcl_array ramp_as(int32_t dtype, void *storage) {
  float x[RAMP];
  for (int i = 0; i < RAMP; i++) x[i] = ramp(i);
  mcl_array a = matrix(storage, dtype, RAMP_ROWS, RAMP_DIM);
  mcli_array_store(&a, 0, RAMP_ROWS, x);
  return a;
}

static void check_ramp_rows(const mcl_array *a, int64_t first) {
  float x[RAMP];
  mcli_array_load(a, 0, a->shape[0], x);
  for (int i = 0; i < a->shape[0] * RAMP_DIM; i++)
    ck_assert(x[i] == ramp((int)first * RAMP_DIM + i));
}

typedef struct source {
  mcl_array array;
  int calls, mood;
  int64_t most;
} source;
enum { GOOD, FAILING, FORGETFUL };

static mcl_status read_source(void *user, int64_t first, int64_t n, const mcl_array *out,
                              mcl_error *e) {
  source *s = user;
  size_t row = (size_t)(RAMP_DIM * mcli_dtype_size(s->array.dtype));
  s->calls++;
  if (n > s->most) s->most = n;
  ck_assert_int_eq(out->dtype, s->array.dtype);
  ck_assert(out->shape[0] == n && out->shape[1] == RAMP_DIM && out->strides[0] == RAMP_DIM);
  if (s->mood == FAILING) return mcl_error_set(e, MCL_E_IO, 5, "the disk is gone");
  memcpy(out->data, (char *)s->array.data + (size_t)first * row, (size_t)n * row);
  return s->mood == FORGETFUL ? MCL_OK : mcl_ok(e);
}

static mcl_rows rows_of(source *s) {
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.rows = RAMP_ROWS;
  r.dim = RAMP_DIM;
  r.dtype = s->array.dtype;
  r.user = s;
  r.read = read_source;
  return r;
}

START_TEST(arrays_are_read_from_every_type_into_every_type) {
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      double from[RAMP], to[RAMP];
      mcl_array a = ramp_as(floats[i], from), out = matrix(to, floats[j], 2, RAMP_DIM);
      mcl_rows r;
      mcl_struct_init(&r, sizeof r);
      r.array = &a;
      CHECK_OK(mcl_rows_read(&r, 1, 2, &out, &err));
      check_ramp_rows(&out, 1);
    }
}
END_TEST

START_TEST(callbacks_are_read_from_every_type_into_every_type) {
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      double from[RAMP], to[RAMP];
      source s = {.array = ramp_as(floats[i], from)};
      mcl_array out = matrix(to, floats[j], 3, RAMP_DIM);
      mcl_rows r = rows_of(&s);
      CHECK_OK(mcl_rows_read(&r, 1, 3, &out, &err));
      check_ramp_rows(&out, 1);
      ck_assert_int_eq(s.calls, 1);
    }
}
END_TEST

START_TEST(views_of_any_stride_are_read_and_written) {
  double from[RAMP];
  float to[4 * RAMP];
  for (int i = 0; i < 4 * RAMP; i++) to[i] = 99;
  source s = {.array = ramp_as(MCL_F32, from)};
  mcl_array backwards = s.array, out = matrix(to, MCL_F32, RAMP_ROWS, RAMP_DIM);
  backwards.data = (float *)backwards.data + RAMP_DIM * (RAMP_ROWS - 1);
  backwards.strides[0] = -RAMP_DIM;
  out.strides[0] = 2 * RAMP_DIM + 1;
  out.strides[1] = 2;
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.array = &backwards;
  CHECK_OK(mcl_rows_read(&r, 0, RAMP_ROWS, &out, &err));
  for (int i = 0; i < RAMP_ROWS; i++)
    for (int j = 0; j < RAMP_DIM; j++)
      ck_assert(to[i * 7 + j * 2] == ramp((RAMP_ROWS - 1 - i) * RAMP_DIM + j));
  ck_assert(to[1] == 99 && to[3] == 99 && to[6] == 99);
  r = rows_of(&s);
  CHECK_OK(mcl_rows_read(&r, 0, RAMP_ROWS, &out, &err));
  check_ramp_rows(&out, 0);
  ck_assert(to[1] == 99 && to[3] == 99 && to[6] == 99);
}
END_TEST

static mcl_status read_number(void *user, int64_t first, int64_t n, const mcl_array *out,
                              mcl_error *e) {
  int64_t *most = user, dim = out->shape[1];
  double *x = out->data;
  if (n * dim > *most) *most = n * dim;
  for (int64_t i = 0; i < n * dim; i++) x[i] = (double)(first * dim + i);
  return mcl_ok(e);
}

START_TEST(many_rows_are_staged_a_block_at_a_time) {
  enum { ROWS = 1000, DIM = 100 };
  float *out = malloc(sizeof *out * ROWS * DIM);
  int64_t most = 0;
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.rows = ROWS + 5;
  r.dim = DIM;
  r.dtype = MCL_F64;
  r.user = &most;
  r.read = read_number;
  mcl_array a = matrix(out, MCL_F32, ROWS, DIM);
  CHECK_OK(mcl_rows_read(&r, 5, ROWS, &a, &err));
  for (int i = 0; i < ROWS * DIM; i++) ck_assert(out[i] == (float)(5 * DIM + i));
  ck_assert(most * (int64_t)sizeof(double) <= 256 * 1024);
  free(out);
}
END_TEST

START_TEST(doubles_keep_their_bits) {
  double from[2] = {0.1, 1e300}, to[2];
  mcl_array a = matrix(from, MCL_F64, 1, 2), out = matrix(to, MCL_F64, 1, 2);
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.array = &a;
  CHECK_OK(mcl_rows_read(&r, 0, 1, &out, &err));
  ck_assert_mem_eq(from, to, sizeof from);
}
END_TEST

START_TEST(no_rows_are_read_without_a_call) {
  double from[RAMP];
  source s = {.array = ramp_as(MCL_F32, from), .mood = FAILING};
  mcl_rows r = rows_of(&s);
  mcl_array out = matrix(NULL, MCL_F32, 0, RAMP_DIM);
  CHECK_OK(mcl_rows_read(&r, RAMP_ROWS, 0, &out, &err));
  ck_assert_int_eq(s.calls, 0);
}
END_TEST

START_TEST(callbacks_that_fail_are_heard) {
  double from[RAMP], to[RAMP];
  source s = {.array = ramp_as(MCL_F32, from), .mood = FAILING};
  mcl_rows r = rows_of(&s);
  mcl_array same = matrix(to, MCL_F32, 4, RAMP_DIM), other = matrix(to, MCL_F64, 4, RAMP_DIM);
  CHECK_FAILS(MCL_E_IO, "the disk is gone", mcl_rows_read(&r, 0, 4, &same, &err));
  ck_assert_int_eq(err.host_code, 5);
  CHECK_FAILS(MCL_E_IO, "the disk is gone", mcl_rows_read(&r, 0, 4, &other, &err));
  s.mood = FORGETFUL;
  CHECK_FAILS(MCL_E_CALLBACK, "mcl_ok", mcl_rows_read(&r, 0, 4, &same, &err));
  CHECK_FAILS(MCL_E_CALLBACK, "mcl_rows.read", mcl_rows_read(&r, 0, 4, &other, &err));
}
END_TEST

START_TEST(arguments_that_do_not_fit_are_named) {
  double from[RAMP], to[2 * RAMP];
  source s = {.array = ramp_as(MCL_F32, from)};
  mcl_rows r = rows_of(&s), empty;
  mcl_struct_init(&empty, sizeof empty);
  mcl_array out = matrix(to, MCL_F32, 2, RAMP_DIM), wide = matrix(to, MCL_F32, 2, RAMP_DIM + 1),
            labels = matrix(to, MCL_I32, 2, RAMP_DIM), fixed = out;
  fixed.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_INVALID, "rows", mcl_rows_read(NULL, 0, 2, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows", mcl_rows_read(&empty, 0, 2, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_rows_read(&r, 0, 2, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "read-only", mcl_rows_read(&r, 0, 2, &fixed, &err));
  CHECK_FAILS(MCL_E_SHAPE, "columns", mcl_rows_read(&r, 0, 2, &wide, &err));
  CHECK_FAILS(MCL_E_SHAPE, "rows", mcl_rows_read(&r, 0, 3, &out, &err));
  CHECK_FAILS(MCL_E_DTYPE, "out", mcl_rows_read(&r, 0, 2, &labels, &err));
  CHECK_FAILS(MCL_E_LIMIT, "there are 4", mcl_rows_read(&r, 3, 2, &out, &err));
  CHECK_FAILS(MCL_E_LIMIT, "there are 4", mcl_rows_read(&r, -1, 2, &out, &err));
  CHECK_FAILS(MCL_E_LIMIT, "there are 4", mcl_rows_read(&r, 0, -1, &out, &err));
  CHECK_FAILS(MCL_E_LIMIT, "there are 4", mcl_rows_read(&r, INT64_MAX, 2, &out, &err));
  CHECK_FAILS(MCL_E_LIMIT, "there are 4", mcl_rows_read(&r, 1, INT64_MAX, &out, &err));
  ck_assert_int_eq(s.calls, 0);
}
END_TEST

RUN_TESTS("rows_read", arrays_are_read_from_every_type_into_every_type,
          callbacks_are_read_from_every_type_into_every_type,
          views_of_any_stride_are_read_and_written, many_rows_are_staged_a_block_at_a_time,
          doubles_keep_their_bits, no_rows_are_read_without_a_call, callbacks_that_fail_are_heard,
          arguments_that_do_not_fit_are_named)
