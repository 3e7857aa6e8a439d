// Copies between views beside their plain twin, over types, shapes and strides of every kind.
#include "store/copy.h"
#include "store/store_test.h"

enum { MOST = 1 << 14 };

// A random view of `shape` into `storage`, dimensions in any order of strides, gaps between them;
// `backwards` lets some run from the end.
static mcl_array random_view(mcli_rng *r, void *storage, int32_t dtype, int32_t ndim,
                             const int64_t *shape, int backwards) {
  mcl_array a;
  int order[4] = {0, 1, 2, 3};
  int64_t inside = 1, start = 0;
  mcl_array_init(&a, storage, dtype, ndim, shape);
  for (int i = ndim - 1; i > 0; i--) {
    int j = (int)mcli_rng_below(r, (uint64_t)i + 1), was = order[i];
    order[i] = order[j];
    order[j] = was;
  }
  for (int i = 0; i < ndim; i++) {
    int d = order[i];
    int64_t stride = inside + (int64_t)mcli_rng_below(r, 2);
    inside = stride * (shape[d] ? shape[d] : 1);
    int turned = backwards && shape[d] > 0 && mcli_rng_below(r, 2);
    a.strides[d] = turned ? -stride : stride;
    if (turned) start += stride * (shape[d] - 1);
  }
  ck_assert(inside <= MOST);
  a.data = (char *)storage + start * mcli_dtype_size(dtype);
  return a;
}

static void *at(const mcl_array *a, const int64_t *index) {
  int64_t place = 0;
  for (int i = 0; i < a->ndim; i++) place += index[i] * a->strides[i];
  return (char *)a->data + place * mcli_dtype_size(a->dtype);
}

static double number_at(const mcl_array *a, const int64_t *index) {
  float x;
  mcl_array one = view(at(a, index), a->dtype, 1, 1, 1, 1, 1);
  mcli_array_load(&one, 0, 1, &x);
  return x;
}

static int next(const mcl_array *a, int64_t *index) {
  for (int i = a->ndim - 1; i >= 0; i--) {
    if (++index[i] < a->shape[i]) return 1;
    index[i] = 0;
  }
  return 0;
}

static void check_copy(mcli_rng *r, int32_t from_type, int32_t to_type) {
  static double from_storage[MOST], to_storage[MOST];
  int32_t ndim = 1 + (int32_t)mcli_rng_below(r, 4);
  int64_t shape[4] = {1, 1, 1, 1}, index[4] = {0}, written = 0, touched = 0;
  for (int i = 0; i < ndim; i++) shape[i] = (int64_t)mcli_rng_below(r, ndim == 1 ? 900 : 6);
  mcl_array from = random_view(r, from_storage, from_type, ndim, shape, 1);
  mcl_array to = random_view(r, to_storage, to_type, ndim, shape, 0);
  for (int i = 0; i < MOST; i++) { // every type's zero is zero bits, and 1 is not
    from_storage[i] = 0;
    to_storage[i] = 0;
  }
  int64_t n = shape[0] * mcli_array_row_size(&from);
  for (int64_t i = 0; i < n; i++, next(&from, index)) {
    float x = (float)(1 + i % 250) / (from_type == MCL_U8 ? 255 : 1); // exact in every type
    mcl_array one = view(at(&from, index), from_type, 1, 1, 1, 1, 1);
    mcli_array_store(&one, 0, 1, &x);
  }
  mcli_array_copy(&from, &to);
  for (int64_t i = 0; i < n; i++, next(&to, index)) {
    ck_assert(number_at(&to, index) == number_at(&from, index));
    ck_assert(number_at(&to, index) != 0);
    written++;
  }
  mcl_array flat = view(to_storage, to_type, 1, MOST, 1, 1, 1);
  for (int64_t i = 0; i < MOST; i++) touched += number_at(&flat, &i) != 0;
  ck_assert_int_eq(written, touched);
}

START_TEST(every_element_is_copied_and_nothing_between) {
  mcli_rng r = mcli_rng_make(4, MCLI_RNG_DATA, 0, 0);
  for (int trial = 0; trial < 60; trial++)
    for (int32_t from = MCL_F32; from <= MCL_I64; from++)
      for (int32_t to = MCL_F32; to <= MCL_I64; to++)
        if (mcli_dtype_converts(from, to)) check_copy(&r, from, to);
}
END_TEST

START_TEST(floats_convert_and_integers_do_not) {
  ck_assert(mcli_dtype_converts(MCL_F64, MCL_BF16) && mcli_dtype_converts(MCL_F16, MCL_F32));
  ck_assert(mcli_dtype_converts(MCL_I32, MCL_I32) && mcli_dtype_converts(MCL_U8, MCL_U8));
  ck_assert(!mcli_dtype_converts(MCL_I32, MCL_I64) && !mcli_dtype_converts(MCL_U8, MCL_F32));
  ck_assert(!mcli_dtype_converts(MCL_F32, MCL_I32));
}
END_TEST

START_TEST(views_without_gaps_are_known_whatever_their_single_dimensions_say) {
  float x[24];
  mcl_array a = view(x, MCL_F32, 4, 2, 1, 3, 4);
  ck_assert(mcli_array_is_contiguous(&a));
  a.strides[1] = -99;
  ck_assert(mcli_array_is_contiguous(&a));
  a.strides[0] = 13;
  ck_assert(!mcli_array_is_contiguous(&a));
  a = matrix(x, MCL_F32, 4, 6);
  a.strides[0] = 1;
  a.strides[1] = 4;
  ck_assert(!mcli_array_is_contiguous(&a));
}
END_TEST

START_TEST(dtypes_have_the_names_of_safetensors) {
  const char *names[] = {"F32", "F64", "F16", "BF16", "U8", "I32", "I64"};
  for (int32_t d = MCL_F32; d <= MCL_I64; d++) ck_assert_str_eq(mcli_dtype_name(d), names[d - 1]);
  ck_assert_str_eq(mcli_dtype_name(0), "?");
  ck_assert_str_eq(mcli_dtype_name(8), "?");
  ck_assert_str_eq(mcli_dtype_name(INT32_MIN), "?");
}
END_TEST

RUN_TESTS("copy", every_element_is_copied_and_nothing_between, floats_convert_and_integers_do_not,
          views_without_gaps_are_known_whatever_their_single_dimensions_say,
          dtypes_have_the_names_of_safetensors)
