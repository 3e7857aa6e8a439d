// libmcl/dlpack.h: tensors become views of the same numbers, and back.
#include "support/suite.h"

#include <string.h>

#include <libmcl/dlpack.h>

static mcl_error err;

static DLTensor tensor(void *data, int64_t *shape, int64_t *strides, uint8_t code, uint8_t bits) {
  DLTensor t;
  memset(&t, 0, sizeof t);
  t.data = data;
  t.device.device_type = kDLCPU;
  t.ndim = 2;
  t.dtype.code = code;
  t.dtype.bits = bits;
  t.dtype.lanes = 1;
  t.shape = shape;
  t.strides = strides;
  return t;
}

START_TEST(a_transposed_slice_becomes_a_view_with_its_strides_and_offset) {
  float x[12];
  int64_t shape[2] = {3, 4}, strides[2] = {1, 3};
  mcl_array a;
  DLTensor t = tensor(x, shape, strides, kDLFloat, 32);
  t.byte_offset = 8;
  CHECK_OK(mcl_array_from_dltensor(&t, &a, &err));
  ck_assert_ptr_eq(a.data, x + 2);
  ck_assert_int_eq(a.dtype, MCL_F32);
  ck_assert_int_eq(a.ndim, 2);
  ck_assert_int_eq(a.shape[0], 3);
  ck_assert_int_eq(a.shape[1], 4);
  ck_assert_int_eq(a.strides[0], 1);
  ck_assert_int_eq(a.strides[1], 3);
}
END_TEST

START_TEST(without_strides_a_tensor_is_row_major) {
  float x[12];
  int64_t shape[2] = {3, 4};
  mcl_array a;
  DLTensor t = tensor(x, shape, NULL, kDLFloat, 32);
  CHECK_OK(mcl_array_from_dltensor(&t, &a, &err));
  ck_assert_int_eq(a.strides[0], 4);
  ck_assert_int_eq(a.strides[1], 1);
}
END_TEST

START_TEST(every_type_survives_the_way_there_and_back) {
  char x[64];
  int64_t shape[2] = {2, 3};
  for (int32_t dtype = MCL_F32; dtype <= MCL_I64; dtype++) {
    mcl_array a, back;
    DLTensor t;
    mcl_array_init(&a, x, dtype, 2, shape);
    CHECK_OK(mcl_array_to_dltensor(&a, &t, &err));
    CHECK_OK(mcl_array_from_dltensor(&t, &back, &err));
    ck_assert_mem_eq(&a, &back, sizeof a);
  }
}
END_TEST

START_TEST(what_has_no_counterpart_is_refused_by_name) {
  float x[12];
  int64_t shape[2] = {3, 4};
  mcl_array a;
  DLTensor t = tensor(x, shape, NULL, kDLFloat, 8);
  CHECK_FAILS(MCL_E_DTYPE, "type", mcl_array_from_dltensor(&t, &a, &err));
  t = tensor(x, shape, NULL, kDLFloat, 32);
  t.dtype.lanes = 4;
  CHECK_FAILS(MCL_E_DTYPE, "type", mcl_array_from_dltensor(&t, &a, &err));
  t = tensor(x, shape, NULL, kDLFloat, 32);
  t.device.device_type = kDLCUDA;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "host memory", mcl_array_from_dltensor(&t, &a, &err));
  t = tensor(x, shape, NULL, kDLFloat, 32);
  t.ndim = 0;
  CHECK_FAILS(MCL_E_SHAPE, "dimensions", mcl_array_from_dltensor(&t, &a, &err));
  t.ndim = 5;
  CHECK_FAILS(MCL_E_SHAPE, "dimensions", mcl_array_from_dltensor(&t, &a, &err));
}
END_TEST

RUN_TESTS("dlpack", a_transposed_slice_becomes_a_view_with_its_strides_and_offset,
          without_strides_a_tensor_is_row_major, every_type_survives_the_way_there_and_back,
          what_has_no_counterpart_is_refused_by_name)
