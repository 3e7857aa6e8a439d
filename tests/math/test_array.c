#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/array.h"

static mcl_error err;

START_TEST(half_floats_round_trip_and_round_to_nearest_even) {
  for (uint32_t h = 0; h < 65536; h++) {
    float f = mcli_half_to_float((uint16_t)h);
    if (isnan(f))
      ck_assert(isnan(mcli_half_to_float(mcli_float_to_half(f))));
    else
      ck_assert_uint_eq(mcli_float_to_half(f), h);
  }
  ck_assert_uint_eq(mcli_float_to_half(1 + 0x1p-11f), 0x3C00); // a tie goes to the even one
  ck_assert_uint_eq(mcli_float_to_half(1 + 3 * 0x1p-11f), 0x3C02);
  ck_assert_uint_eq(mcli_float_to_half(65520), 0x7C00); // half way past the largest
  ck_assert_uint_eq(mcli_float_to_half(65519.996f), 0x7BFF);
  ck_assert_uint_eq(mcli_float_to_half(0x1p-25f), 0);
  ck_assert_uint_eq(mcli_float_to_half(-0x1.8p-25f), 0x8001);
}
END_TEST

START_TEST(every_type_is_loaded_and_stored) {
  static const float values[6] = {0, 1, 0.5f, 0.25f, 1, 0};
  static const int32_t types[] = {MCL_F32, MCL_F64, MCL_F16, MCL_BF16};
  int64_t shape[2] = {2, 3};
  for (int t = 0; t < 4; t++) {
    double storage[6];
    float back[6];
    mcl_array a;
    mcl_array_init(&a, storage, types[t], 2, shape);
    mcli_array_store(&a, 0, 2, values);
    mcli_array_load(&a, 0, 2, back);
    ck_assert_mem_eq(values, back, sizeof back);
  }
  uint8_t bytes[6] = {0, 255, 51, 0, 0, 0};
  float loaded[3];
  mcl_array a;
  mcl_array_init(&a, bytes, MCL_U8, 2, shape);
  mcli_array_load(&a, 0, 1, loaded);
  ck_assert(loaded[1] == 1 && fabsf(loaded[2] - 0.2f) < 1e-7f);
}
END_TEST

START_TEST(strides_are_followed_negative_and_zero_ones_too) {
  float data[12];
  for (int i = 0; i < 12; i++) data[i] = (float)i;
  mcl_array a = mcl_matrix_f32(data + 9, 4, 3);
  a.strides[0] = -3;
  float out[12];
  CHECK_OK(mcli_matrix_check(&a, "a", 4, 3, &err));
  mcli_array_load(&a, 0, 4, out);
  ck_assert(out[0] == 9 && out[11] == 2);
  a.strides[0] = 0;
  CHECK_OK(mcli_matrix_check(&a, "a", 4, 3, &err));
  CHECK_FAILS(MCL_E_SHAPE, "strides", mcli_matrix_check_out(&a, "a", 4, 3, &err));
  a = mcl_matrix_f32(data, 3, 4); // transposed in place
  a.strides[0] = 1, a.strides[1] = 3;
  mcli_array_load(&a, 0, 3, out);
  ck_assert(out[0] == 0 && out[1] == 3 && out[4] == 1);
  ck_assert_ptr_null(mcli_array_plain(&a, 0));
}
END_TEST

START_TEST(bad_views_are_named) {
  float data[6];
  mcl_array good = mcl_matrix_f32(data, 2, 3), a = good;
  CHECK_OK(mcli_matrix_check(&a, "z", 2, 3, &err));
  CHECK_FAILS(MCL_E_INVALID, "z is NULL", mcli_matrix_check(NULL, "z", 2, 3, &err));
  CHECK_FAILS(MCL_E_SHAPE, "z has 2 rows", mcli_matrix_check(&a, "z", 3, 3, &err));
  CHECK_FAILS(MCL_E_SHAPE, "columns", mcli_matrix_check(&a, "z", 2, 4, &err));
  a.device = 1;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "device", mcli_matrix_check(&a, "z", 2, 3, &err));
  a = good, a.dtype = 99;
  CHECK_FAILS(MCL_E_DTYPE, "99", mcli_matrix_check(&a, "z", 2, 3, &err));
  a.dtype = MCL_I32;
  CHECK_FAILS(MCL_E_DTYPE, "float", mcli_matrix_check(&a, "z", 2, 3, &err));
  a = good, a.ndim = 5;
  CHECK_FAILS(MCL_E_SHAPE, "dimensions", mcli_matrix_check(&a, "z", 2, 3, &err));
  a = good, a.shape[1] = -1;
  CHECK_FAILS(MCL_E_SHAPE, "shape", mcli_matrix_check(&a, "z", 2, 3, &err));
  a = good, a.data = NULL;
  CHECK_FAILS(MCL_E_INVALID, "z.data", mcli_matrix_check(&a, "z", 2, 3, &err));
  a = good, a.shape[0] = INT64_MAX / 2, a.strides[0] = INT64_MAX / 4;
  CHECK_FAILS(MCL_E_SHAPE, "too large", mcli_matrix_check(&a, "z", -1, 3, &err));
  a = good, a.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_INVALID, "read-only", mcli_matrix_check_out(&a, "z", 2, 3, &err));
}
END_TEST

static mcl_status read_counting(void *user, int64_t first, int64_t n, const mcl_array *out,
                                mcl_error *e) {
  for (int64_t i = 0; i < n * 2; i++) ((double *)out->data)[i] = (double)(first * 2 + i);
  return *(int *)user ? mcl_ok(e) : 0;
}

START_TEST(rows_come_from_callbacks_and_a_forgotten_ok_is_found) {
  int says_ok = 1;
  mcl_rows r, opened;
  mcl_struct_init(&r, sizeof r);
  r.rows = 10, r.dim = 2, r.dtype = MCL_F64, r.user = &says_ok, r.read = read_counting;
  float buffer[6];
  double scratch[6];
  const float *block;
  CHECK_OK(mcli_rows_open(&r, "rows", &opened, &err));
  CHECK_OK(mcli_rows_block(&opened, 4, 3, buffer, scratch, &block, &err));
  ck_assert(block[0] == 8 && block[5] == 13);
  says_ok = 0;
  CHECK_FAILS(MCL_E_CALLBACK, "mcl_rows.read",
              mcli_rows_block(&opened, 4, 3, buffer, scratch, &block, &err));
  r.read = NULL;
  CHECK_FAILS(MCL_E_INVALID, "neither", mcli_rows_open(&r, "rows", &opened, &err));
}
END_TEST

START_TEST(a_row_that_is_not_finite_is_named) {
  float data[12] = {0};
  mcl_array a = mcl_matrix_f32(data, 4, 3);
  mcl_rows r, opened;
  const float *block;
  mcl_struct_init(&r, sizeof r);
  r.array = &a;
  data[7] = NAN;
  CHECK_OK(mcli_rows_open(&r, "rows", &opened, &err));
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2", mcli_rows_block(&opened, 1, 3, NULL, NULL, &block, &err));
  ck_assert_int_eq(err.row, 2);
  data[7] = -INFINITY;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2", mcli_rows_block(&opened, 1, 3, NULL, NULL, &block, &err));
  data[7] = 3e38f;
  CHECK_OK(mcli_rows_block(&opened, 1, 3, NULL, NULL, &block, &err));
  ck_assert_ptr_eq(block, data + 3);
}
END_TEST

RUN_TESTS("math", half_floats_round_trip_and_round_to_nearest_even, every_type_is_loaded_and_stored,
          strides_are_followed_negative_and_zero_ones_too, bad_views_are_named,
          rows_come_from_callbacks_and_a_forgotten_ok_is_found, a_row_that_is_not_finite_is_named)
