#include "dataset/data.h"

static mcl_context *c;
static mcl_error err;

enum { N = 7, H = 5, W = 4, C = 3, ROW = H * W * C };
static uint8_t bytes[N * ROW];

static mcl_dataset *start(const int32_t *labels) {
  c = test_context(2);
  fill_bytes(bytes, sizeof bytes, 1);
  return array_of(c, bytes, N, H, W, C, labels);
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_context_unref(c);
}

START_TEST(rows_come_as_they_are_in_the_order_asked_for) {
  mcl_dataset *d = start(NULL);
  uint8_t out[4 * ROW];
  const int64_t rows[4] = {6, 0, 3, 0};
  mcl_array a = mcl_images_u8(out, 4, H, W, C);
  CHECK_OK(mcl_dataset_load(d, rows, 4, 0, &a, &err));
  for (int i = 0; i < 4; i++) ck_assert_mem_eq(out + i * ROW, bytes + rows[i] * ROW, ROW);
  stop(d);
}
END_TEST

START_TEST(float_rows_are_bytes_over_255) {
  mcl_dataset *d = start(NULL);
  float out[2 * ROW];
  const int64_t rows[2] = {5, 2};
  mcl_array a = mcl_images_f32(out, 2, H, W, C);
  CHECK_OK(mcl_dataset_load(d, rows, 2, 0, &a, &err));
  for (int i = 0; i < 2 * ROW; i++)
    ck_assert(out[i] == (float)bytes[rows[i / ROW] * ROW + i % ROW] / 255.0f);
  stop(d);
}
END_TEST

START_TEST(the_shape_of_a_row_is_height_width_channels) {
  mcl_dataset *d = start(NULL);
  mcl_array row;
  CHECK_OK(mcl_dataset_shape(d, 0, &row, &err));
  ck_assert_int_eq(row.dtype, MCL_U8);
  ck_assert_int_eq(row.ndim, 3);
  ck_assert_int_eq(row.shape[0], H);
  ck_assert_int_eq(row.shape[1], W);
  ck_assert_int_eq(row.shape[2], C);
  ck_assert_int_eq(row.strides[0], W * C);
  ck_assert_ptr_null(row.data);
  ck_assert_int_eq(mcl_dataset_rows(d), N);
  ck_assert_int_eq(mcl_dataset_modalities(d), 1);
  stop(d);
}
END_TEST

START_TEST(three_dimensions_are_one_channel) {
  mcl_dataset *d = start(NULL), *grey = NULL;
  mcl_array a, row;
  mcl_array_init(&a, bytes, MCL_U8, 3, (int64_t[]){N, H, W});
  a.strides[3] = 77; // beyond ndim: never looked at
  CHECK_OK(mcl_dataset_create_array(c, &a, NULL, &grey, &err));
  CHECK_OK(mcl_dataset_shape(grey, 0, &row, &err));
  ck_assert_int_eq(row.ndim, 3);
  ck_assert_int_eq(row.shape[2], 1);
  uint8_t out[H * W];
  mcl_array to = mcl_images_u8(out, 1, H, W, 1);
  CHECK_OK(mcl_dataset_load(grey, (int64_t[]){2}, 1, 0, &to, &err));
  ck_assert_mem_eq(out, bytes + 2 * H * W, H * W);
  mcl_dataset_unref(grey);
  stop(d);
}
END_TEST

// The same images stored channels first and upside down, as a view.
static mcl_array turned(uint8_t *store) {
  for (int n = 0; n < N; n++)
    for (int y = 0; y < H; y++)
      for (int x = 0; x < W; x++)
        for (int k = 0; k < C; k++)
          store[((n * C + k) * H + (H - 1 - y)) * W + x] = bytes[((n * H + y) * W + x) * C + k];
  mcl_array a = mcl_images_u8(store + (H - 1) * W, N, H, W, C);
  a.strides[0] = ROW, a.strides[1] = -W, a.strides[2] = 1, a.strides[3] = H * W;
  return a;
}

START_TEST(strides_change_neither_rows_nor_the_fingerprint) {
  static uint8_t store[N * ROW];
  mcl_dataset *d = start(NULL), *view = NULL;
  mcl_array a = turned(store);
  CHECK_OK(mcl_dataset_create_array(c, &a, NULL, &view, &err));
  ck_assert(mcl_dataset_fingerprint(view) == mcl_dataset_fingerprint(d));
  uint8_t out[ROW];
  float floats[ROW];
  mcl_array to = mcl_images_u8(out, 1, H, W, C), wide = mcl_images_f32(floats, 1, H, W, C);
  for (int64_t i = 0; i < N; i++) {
    CHECK_OK(mcl_dataset_load(view, &i, 1, 0, &to, &err));
    ck_assert_mem_eq(out, bytes + i * ROW, ROW);
    CHECK_OK(mcl_dataset_load(view, &i, 1, 0, &wide, &err));
    for (int k = 0; k < ROW; k++) ck_assert(floats[k] == (float)bytes[i * ROW + k] / 255.0f);
  }
  mcl_dataset_unref(view);
  stop(d);
}
END_TEST

START_TEST(an_out_with_gaps_keeps_what_lies_in_them) {
  mcl_dataset *d = start(NULL);
  uint8_t out[2 * H * W * 5];
  memset(out, 200, sizeof out);
  mcl_array a = mcl_images_u8(out, 2, H, W, C);
  a.strides[0] = H * W * 5, a.strides[1] = W * 5, a.strides[2] = 5;
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){1, 4}, 2, 0, &a, &err));
  for (int p = 0; p < 2 * H * W; p++) {
    const uint8_t *pixel = bytes + (p < H * W ? ROW + p * C : 4 * ROW + (p - H * W) * C);
    ck_assert_mem_eq(out + p * 5, pixel, C);
    ck_assert_int_eq(out[p * 5 + 3], 200);
    ck_assert_int_eq(out[p * 5 + 4], 200);
  }
  stop(d);
}
END_TEST

START_TEST(labels_are_copied_and_counted) {
  int32_t labels[N] = {0, 4, 1, 1, 2, 0, 4}, out[N + 1];
  mcl_dataset *d = start(labels);
  labels[1] = 9;
  out[N] = 55;
  CHECK_OK(mcl_dataset_labels(d, out, N + 1, &err));
  ck_assert_int_eq(out[1], 4);
  ck_assert_int_eq(out[N], 55);
  ck_assert_int_eq(report_of(d).classes, 5);
  ck_assert_str_eq(class_of(d, 4), "4");
  CHECK_FAILS(MCL_E_LIMIT, "7 rows", mcl_dataset_labels(d, out, N - 1, &err));
  char text[8];
  CHECK_FAILS(MCL_E_NOT_FOUND, "label is 5, not 0..4",
              mcl_dataset_class_name(d, 5, text, sizeof text, NULL, &err));
  stop(d);
}
END_TEST

START_TEST(what_it_does_not_have_is_not_found) {
  mcl_dataset *d = start(NULL);
  int32_t out[N];
  char text[8];
  CHECK_FAILS(MCL_E_NOT_FOUND, "no labels", mcl_dataset_labels(d, out, N, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "no codes", mcl_dataset_codes(d, out, N, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "no labels",
              mcl_dataset_class_name(d, 0, text, sizeof text, NULL, &err));
  stop(d);
}
END_TEST

START_TEST(a_row_is_named_by_its_number) {
  mcl_dataset *d = start(NULL);
  char text[2] = "x";
  size_t wanted = 0;
  ck_assert_str_eq(name_of(d, 6), "6");
  CHECK_FAILS(MCL_E_LIMIT, "row is 7", mcl_dataset_name(d, N, text, 2, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "row is -1", mcl_dataset_name(d, -1, text, 2, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "capacity is 1", mcl_dataset_name(d, 0, text, 1, &wanted, &err));
  ck_assert_int_eq(wanted, 2);
  ck_assert_str_eq(text, "x");
  stop(d);
}
END_TEST

START_TEST(the_fingerprint_follows_count_shape_contents_and_order) {
  mcl_dataset *d = start(NULL);
  static uint8_t other[N * ROW];
  uint64_t seen[6] = {mcl_dataset_fingerprint(d)};
  memcpy(other, bytes, sizeof other);
  other[N * ROW - 1] ^= 1;
  mcl_dataset *e[5] = {
      array_of(c, other, N, H, W, C, NULL), array_of(c, bytes, N - 1, H, W, C, NULL),
      array_of(c, bytes, N, W, H, C, NULL), NULL, array_of(c, bytes, N * H, 1, W, C, NULL)};
  memcpy(other, bytes + ROW, ROW); // rows 0 and 1 change places
  memcpy(other + ROW, bytes, ROW);
  other[N * ROW - 1] ^= 1;
  e[3] = array_of(c, other, N, H, W, C, NULL);
  for (int i = 0; i < 5; i++) seen[i + 1] = mcl_dataset_fingerprint(e[i]);
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < i; j++) ck_assert(seen[i] != seen[j]);
  mcl_dataset *same = array_of(c, bytes, N, H, W, C, (int32_t[N]){0});
  ck_assert(mcl_dataset_fingerprint(same) == seen[0]); // labels have no part in it
  for (int i = 0; i < 5; i++) mcl_dataset_unref(e[i]);
  mcl_dataset_unref(same);
  stop(d);
}
END_TEST

START_TEST(the_fingerprint_and_rows_do_not_depend_on_threads) {
  enum { MANY = 3000, SMALL = 6 * 6 };
  static uint8_t many[MANY * SMALL];
  static float out[2][MANY * SMALL];
  static int64_t rows[MANY];
  uint64_t seen[3];
  fill_bytes(many, sizeof many, 2);
  for (int64_t i = 0; i < MANY; i++) rows[i] = (i * 7) % MANY;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    c = test_context(threads);
    mcl_dataset *d = array_of(c, many, MANY, 6, 6, 1, NULL);
    seen[threads - 1] = mcl_dataset_fingerprint(d);
    mcl_array a = mcl_images_f32(out[threads > 1], MANY, 6, 6, 1);
    CHECK_OK(mcl_dataset_load(d, rows, MANY, 0, &a, &err));
    if (threads > 1) ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    mcl_dataset_unref(d);
    mcl_context_unref(c);
  }
  ck_assert(seen[0] == seen[1] && seen[1] == seen[2]);
}
END_TEST

// The two formulas at the head of memory.c, row by row.
static uint64_t plain_fingerprint(const uint8_t *rows, int64_t n, const int64_t shape[4]) {
  uint64_t blocks[8];
  int64_t size = shape[1] * shape[2] * shape[3], b = 0;
  for (int64_t first = 0; first < n; first += 1024, b++) {
    blocks[b] = (uint64_t)b;
    for (int64_t i = first; i < n && i < first + 1024; i++)
      blocks[b] = mcli_hash(rows + i * size, (uint64_t)size, blocks[b]); // (1)
  }
  return mcli_hash(blocks, (uint64_t)b * 8, mcli_hash(shape, 32, 0)); // (2)
}

START_TEST(the_fingerprint_is_the_hash_that_is_written_down) {
  enum { MANY = 5000, SIDE = 20, BIG = SIDE * SIDE };
  static uint8_t many[MANY * BIG], turned_over[MANY * BIG];
  const int64_t shape[4] = {MANY, SIDE, SIDE, 1};
  mcl_dataset *d = NULL;
  c = test_context(3);
  fill_bytes(many, sizeof many, 5);
  for (int64_t i = 0; i < MANY * BIG; i++) turned_over[i / BIG * BIG + BIG - 1 - i % BIG] = many[i];
  uint64_t wanted = plain_fingerprint(many, MANY, shape);
  d = array_of(c, many, MANY, SIDE, SIDE, 1, NULL);
  ck_assert(mcl_dataset_fingerprint(d) == wanted);
  mcl_dataset_unref(d);
  // Rows that must be copied to be hashed, by several threads at once.
  mcl_array a = mcl_images_u8(turned_over + BIG - 1, MANY, SIDE, SIDE, 1);
  a.strides[1] = -SIDE, a.strides[2] = -1;
  CHECK_OK(mcl_dataset_create_array(c, &a, NULL, &d, &err));
  ck_assert(mcl_dataset_fingerprint(d) == wanted);
  stop(d);
}
END_TEST

START_TEST(an_index_out_of_range_is_named_and_nothing_is_written) {
  mcl_dataset *d = start(NULL);
  uint8_t out[3 * ROW];
  memset(out, 9, sizeof out);
  mcl_array a = mcl_images_u8(out, 3, H, W, C);
  CHECK_FAILS(MCL_E_LIMIT, "indices[2] is 7, not 0..6",
              mcl_dataset_load(d, (int64_t[]){0, 6, 7}, 3, 0, &a, &err));
  ck_assert_int_eq(err.row, 2);
  CHECK_FAILS(MCL_E_LIMIT, "indices[0] is -1",
              mcl_dataset_load(d, (int64_t[]){-1, 6, 7}, 3, 0, &a, &err));
  CHECK_FAILS(MCL_E_LIMIT, "modality is 1",
              mcl_dataset_load(d, (int64_t[]){0, 1, 2}, 3, 1, &a, &err));
  for (size_t i = 0; i < sizeof out; i++) ck_assert_int_eq(out[i], 9);
  stop(d);
}
END_TEST

START_TEST(an_out_of_the_wrong_kind_is_refused) {
  mcl_dataset *d = start(NULL);
  static double out[2 * ROW];
  const int64_t rows[2] = {0, 1};
  mcl_array a = mcl_images_u8((uint8_t *)out, 2, H, W, C), b = a;
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_dataset_load(d, rows, 2, 0, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "indices is NULL", mcl_dataset_load(d, NULL, 2, 0, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "n is -1", mcl_dataset_load(d, rows, -1, 0, &a, &err));
  CHECK_FAILS(MCL_E_SHAPE, "out has 2 rows, n is 1", mcl_dataset_load(d, rows, 1, 0, &a, &err));
  b.shape[3] = 1;
  CHECK_FAILS(MCL_E_SHAPE, "out.shape[3] is 1", mcl_dataset_load(d, rows, 2, 0, &b, &err));
  mcl_array_init(&b, out, MCL_U8, 2, (int64_t[]){2, ROW});
  CHECK_FAILS(MCL_E_SHAPE, "2 dimensions, not 4", mcl_dataset_load(d, rows, 2, 0, &b, &err));
  mcl_array_init(&b, out, MCL_F64, 4, (int64_t[]){2, H, W, C});
  CHECK_FAILS(MCL_E_DTYPE, "dtype", mcl_dataset_load(d, rows, 2, 0, &b, &err));
  b = a;
  b.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_INVALID, "read-only", mcl_dataset_load(d, rows, 2, 0, &b, &err));
  stop(d);
}
END_TEST

START_TEST(no_rows_are_loaded_without_complaint) {
  mcl_dataset *d = start(NULL);
  mcl_array a = mcl_images_u8(NULL, 0, H, W, C);
  CHECK_OK(mcl_dataset_load(d, NULL, 0, 0, &a, &err));
  stop(d);
}
END_TEST

START_TEST(bad_images_and_labels_are_refused) {
  mcl_dataset *d = start(NULL), *out = NULL;
  mcl_array a = mcl_images_u8(bytes, N, H, W, C), b = a;
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_dataset_create_array(NULL, &a, NULL, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "images is NULL", mcl_dataset_create_array(c, NULL, NULL, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_dataset_create_array(c, &a, NULL, NULL, &err));
  b.data = NULL;
  CHECK_FAILS(MCL_E_INVALID, "images.data", mcl_dataset_create_array(c, &b, NULL, &out, &err));
  b = a, b.dtype = MCL_F32;
  CHECK_FAILS(MCL_E_DTYPE, "images", mcl_dataset_create_array(c, &b, NULL, &out, &err));
  b = a, b.device = 1;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "device 1", mcl_dataset_create_array(c, &b, NULL, &out, &err));
  b = a, b.shape[0] = 0;
  CHECK_FAILS(MCL_E_SHAPE, "images.shape[0] is 0",
              mcl_dataset_create_array(c, &b, NULL, &out, &err));
  mcl_array_init(&b, bytes, MCL_U8, 2, (int64_t[]){N, ROW});
  CHECK_FAILS(MCL_E_SHAPE, "2 dimensions", mcl_dataset_create_array(c, &b, NULL, &out, &err));
  int32_t labels[N] = {0, 1, 2, -1, 0, -5, 0};
  CHECK_FAILS(MCL_E_LIMIT, "label 3 in labels is -1",
              mcl_dataset_create_array(c, &a, labels, &out, &err));
  ck_assert_int_eq(err.row, 3);
  labels[3] = INT32_MAX;
  CHECK_FAILS(MCL_E_LIMIT, "2147483647", mcl_dataset_create_array(c, &a, labels, &out, &err));
  ck_assert_ptr_null(out);
  stop(d);
}
END_TEST

START_TEST(null_handles_are_fine_or_refused) {
  mcl_array row;
  int32_t labels[1];
  char text[4];
  mcl_dataset_report r;
  ck_assert_ptr_null(mcl_dataset_ref(NULL));
  mcl_dataset_unref(NULL);
  ck_assert_int_eq(mcl_dataset_rows(NULL), 0);
  ck_assert_int_eq(mcl_dataset_modalities(NULL), 0);
  ck_assert(mcl_dataset_fingerprint(NULL) == 0);
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL", mcl_dataset_shape(NULL, 0, &row, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL", mcl_dataset_load(NULL, NULL, 0, 0, &row, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL", mcl_dataset_labels(NULL, labels, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL", mcl_dataset_codes(NULL, labels, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL", mcl_dataset_name(NULL, 0, text, 4, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL",
              mcl_dataset_class_name(NULL, 0, text, 4, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL", mcl_dataset_get_report(NULL, &r, &err));
  mcl_dataset *d = start(NULL);
  CHECK_FAILS(MCL_E_INVALID, "row is NULL", mcl_dataset_shape(d, 0, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "modality is -1", mcl_dataset_shape(d, -1, &row, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_dataset_labels(d, NULL, N, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_dataset_get_report(d, NULL, &err));
  memset(&r, 0, sizeof r);
  CHECK_FAILS(MCL_E_INVALID, "struct_size", mcl_dataset_get_report(d, &r, &err));
  ck_assert_int_eq(mcl_dataset_labels(d, NULL, N, NULL), MCL_E_INVALID); // err may be NULL
  stop(d);
}
END_TEST

START_TEST(an_old_callers_report_gets_what_fits) {
  mcl_dataset *d = start((int32_t[N]){0, 1, 2});
  mcl_dataset_report r;
  mcl_struct_init(&r, sizeof r);
  r.struct_size = offsetof(mcl_dataset_report, classes);
  r.classes = 77;
  CHECK_OK(mcl_dataset_get_report(d, &r, &err));
  ck_assert_int_eq(r.rows, N);
  ck_assert_int_eq(r.classes, 77);
  ck_assert_int_eq(report_of(d).cached, 1);
  ck_assert_int_eq(report_of(d).files, 0);
  stop(d);
}
END_TEST

START_TEST(a_second_reference_keeps_it_alive) {
  mcl_dataset *d = start(NULL);
  ck_assert_ptr_eq(mcl_dataset_ref(d), d);
  mcl_dataset_unref(d);
  mcl_context_unref(c); // the dataset has its own
  ck_assert_int_eq(mcl_dataset_rows(d), N);
  mcl_dataset_unref(d);
}
END_TEST

RUN_TESTS("dataset", rows_come_as_they_are_in_the_order_asked_for, float_rows_are_bytes_over_255,
          the_shape_of_a_row_is_height_width_channels, three_dimensions_are_one_channel,
          strides_change_neither_rows_nor_the_fingerprint, an_out_with_gaps_keeps_what_lies_in_them,
          labels_are_copied_and_counted, what_it_does_not_have_is_not_found,
          a_row_is_named_by_its_number, the_fingerprint_follows_count_shape_contents_and_order,
          the_fingerprint_and_rows_do_not_depend_on_threads,
          the_fingerprint_is_the_hash_that_is_written_down,
          an_index_out_of_range_is_named_and_nothing_is_written,
          an_out_of_the_wrong_kind_is_refused, no_rows_are_loaded_without_complaint,
          bad_images_and_labels_are_refused, null_handles_are_fine_or_refused,
          an_old_callers_report_gets_what_fits, a_second_reference_keeps_it_alive)
