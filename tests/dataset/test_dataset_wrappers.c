#include "dataset/data.h"

static mcl_context *c;
static mcl_error err;

enum { N = 9, H = 6, W = 4, C = 2, ROW = H * W * C };
static uint8_t bytes[N * ROW];

static mcl_dataset *start(uint32_t threads) {
  static const int32_t labels[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  c = test_context(threads);
  fill_bytes(bytes, sizeof bytes, 4);
  return array_of(c, bytes, N, H, W, C, labels);
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_context_unref(c);
}

// ---- subset -------------------------------------------------------------------------------------

START_TEST(a_subset_is_the_rows_it_names) {
  mcl_dataset *d = start(1), *sub = NULL;
  int64_t rows[5] = {8, 0, 3, 3, 1};
  CHECK_OK(mcl_dataset_create_subset(c, d, rows, 5, &sub, &err));
  mcl_dataset_unref(d); // the subset holds it
  memset(rows, 0, sizeof rows);
  uint8_t out[3 * ROW];
  int32_t labels[5];
  mcl_array a = mcl_images_u8(out, 3, H, W, C);
  ck_assert_int_eq(mcl_dataset_rows(sub), 5);
  CHECK_OK(mcl_dataset_load(sub, (int64_t[]){0, 2, 4}, 3, 0, &a, &err));
  ck_assert_mem_eq(out, bytes + 8 * ROW, ROW);
  ck_assert_mem_eq(out + ROW, bytes + 3 * ROW, ROW);
  ck_assert_mem_eq(out + 2 * ROW, bytes + 1 * ROW, ROW);
  CHECK_OK(mcl_dataset_labels(sub, labels, 5, &err));
  ck_assert_mem_eq(labels, ((int32_t[]){8, 0, 3, 3, 1}), sizeof labels);
  ck_assert_str_eq(name_of(sub, 2), "3");
  ck_assert_str_eq(class_of(sub, 7), "7"); // the parent's classes, whether or not a row has them
  ck_assert_int_eq(report_of(sub).classes, 9);
  ck_assert_int_eq(report_of(sub).rows, 5);
  ck_assert_int_eq(report_of(sub).cached, 1);
  CHECK_FAILS(MCL_E_LIMIT, "indices[0] is 5, not 0..4",
              mcl_dataset_load(sub, (int64_t[]){5, 2, 4}, 3, 0, &a, &err));
  stop(sub);
}
END_TEST

START_TEST(a_subset_of_a_subset_names_the_innermost_rows) {
  mcl_dataset *d = start(1), *a = NULL, *b = NULL;
  uint8_t out[ROW];
  mcl_array to = mcl_images_u8(out, 1, H, W, C);
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){7, 5, 2}, 3, &a, &err));
  CHECK_OK(mcl_dataset_create_subset(c, a, (int64_t[]){2, 0}, 2, &b, &err));
  ck_assert_str_eq(name_of(b, 0), "2");
  ck_assert_str_eq(name_of(b, 1), "7");
  CHECK_OK(mcl_dataset_load(b, (int64_t[]){1}, 1, 0, &to, &err));
  ck_assert_mem_eq(out, bytes + 7 * ROW, ROW);
  mcl_dataset_unref(a);
  mcl_dataset_unref(b);
  stop(d);
}
END_TEST

START_TEST(a_subsets_fingerprint_follows_its_rows_in_order) {
  mcl_dataset *d = start(1), *s[4] = {0};
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){0, 1, 2}, 3, &s[0], &err));
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){0, 2, 1}, 3, &s[1], &err));
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){0, 1}, 2, &s[2], &err));
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){0, 1, 2}, 3, &s[3], &err));
  uint64_t f[5] = {mcl_dataset_fingerprint(d)};
  for (int i = 0; i < 4; i++) f[i + 1] = mcl_dataset_fingerprint(s[i]);
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++) ck_assert(f[i] != f[j]);
  ck_assert(f[4] == f[1]);
  for (int i = 0; i < 4; i++) mcl_dataset_unref(s[i]);
  stop(d);
}
END_TEST

START_TEST(a_subset_of_no_row_or_of_a_missing_row_is_refused) {
  mcl_dataset *d = start(1), *s = NULL;
  const int64_t rows[2] = {0, 9};
  CHECK_FAILS(MCL_E_LIMIT, "indices[1] is 9, not 0..8",
              mcl_dataset_create_subset(c, d, rows, 2, &s, &err));
  ck_assert_int_eq(err.row, 1);
  CHECK_FAILS(MCL_E_INVALID, "n is 0", mcl_dataset_create_subset(c, d, rows, 0, &s, &err));
  CHECK_FAILS(MCL_E_INVALID, "indices", mcl_dataset_create_subset(c, d, NULL, 1, &s, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset", mcl_dataset_create_subset(c, NULL, rows, 1, &s, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_dataset_create_subset(NULL, d, rows, 1, &s, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_dataset_create_subset(c, d, rows, 1, NULL, &err));
  stop(d);
}
END_TEST

// ---- random bits --------------------------------------------------------------------------------

START_TEST(bits_are_constant_channels_that_spell_the_code) {
  mcl_dataset *d = start(2), *r = NULL;
  enum { B = 5, WIDE = C + B };
  static uint8_t out[N * H * W * WIDE];
  static float floats[N * H * W * WIDE];
  int64_t rows[N];
  int32_t codes[N];
  mcl_array a = mcl_images_u8(out, N, H, W, WIDE), f = mcl_images_f32(floats, N, H, W, WIDE), row;
  for (int i = 0; i < N; i++) rows[i] = N - 1 - i;
  CHECK_OK(mcl_dataset_create_randbits(c, d, B, 99, &r, &err));
  CHECK_OK(mcl_dataset_codes(r, codes, N, &err));
  CHECK_OK(mcl_dataset_shape(r, 0, &row, &err));
  ck_assert_int_eq(row.shape[2], WIDE);
  CHECK_OK(mcl_dataset_load(r, rows, N, 0, &a, &err));
  CHECK_OK(mcl_dataset_load(r, rows, N, 0, &f, &err));
  for (int i = 0; i < N; i++)
    for (int p = 0; p < H * W; p++)
      for (int k = 0; k < WIDE; k++) {
        int wanted = k < C                           ? bytes[rows[i] * ROW + p * C + k]
                     : codes[rows[i]] >> (k - C) & 1 ? 255
                                                     : 0;
        ck_assert_int_eq(out[(i * H * W + p) * WIDE + k], wanted);
        ck_assert(floats[(i * H * W + p) * WIDE + k] == (float)wanted / 255.0f);
      }
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(a_code_is_the_first_word_of_the_rows_own_stream) {
  mcl_dataset *d = start(1), *r = NULL, *most = NULL;
  int32_t codes[N], wide[N];
  CHECK_OK(mcl_dataset_create_randbits(c, d, 6, 5, &r, &err));
  CHECK_OK(mcl_dataset_create_randbits(c, d, 31, 5, &most, &err));
  CHECK_OK(mcl_dataset_codes(r, codes, N, &err));
  CHECK_OK(mcl_dataset_codes(most, wide, N, &err));
  for (int i = 0; i < N; i++) {
    mcli_rng stream = mcli_rng_make(5, MCLI_RNG_DATA, (uint64_t)i, 0);
    uint32_t word = mcli_rng_u32(&stream);
    ck_assert_int_eq(codes[i], (int32_t)(word & 63)); // (1)
    ck_assert_int_eq(wide[i], (int32_t)(word & 0x7FFFFFFF));
  }
  mcl_dataset_unref(most);
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(every_bit_is_set_about_half_of_the_time) {
  enum { MANY = 4000, B = 10 };
  static uint8_t dots[MANY];
  static int32_t codes[MANY];
  mcl_dataset *d = NULL, *r = NULL;
  c = test_context(1);
  d = array_of(c, dots, MANY, 1, 1, 1, NULL);
  CHECK_OK(mcl_dataset_create_randbits(c, d, B, 0, &r, &err));
  CHECK_OK(mcl_dataset_codes(r, codes, MANY, &err));
  for (int b = 0; b < B; b++) {
    int set = 0;
    for (int i = 0; i < MANY; i++) set += codes[i] >> b & 1;
    ck_assert_int_ge(set, MANY / 2 - 158); // 5 standard deviations of a fair coin
    ck_assert_int_le(set, MANY / 2 + 158);
  }
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(codes_follow_the_rows_into_a_subset) {
  mcl_dataset *d = start(1), *r = NULL, *s = NULL;
  int32_t codes[N], some[2];
  CHECK_OK(mcl_dataset_create_randbits(c, d, 8, 1, &r, &err));
  CHECK_OK(mcl_dataset_create_subset(c, r, (int64_t[]){4, 2}, 2, &s, &err));
  CHECK_OK(mcl_dataset_codes(r, codes, N, &err));
  CHECK_OK(mcl_dataset_codes(s, some, 2, &err));
  ck_assert_int_eq(some[0], codes[4]);
  ck_assert_int_eq(some[1], codes[2]);
  CHECK_FAILS(MCL_E_LIMIT, "2 rows", mcl_dataset_codes(s, some, 1, &err));
  // The bits of a row are those of its number in what is wrapped: bits on a subset are other bits.
  mcl_dataset *again = NULL;
  CHECK_OK(mcl_dataset_create_randbits(c, s, 8, 1, &again, &err));
  CHECK_OK(mcl_dataset_codes(again, some, 2, &err));
  ck_assert_int_eq(some[0], codes[0]);
  mcl_dataset_unref(again);
  mcl_dataset_unref(s);
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(seed_and_bits_are_in_the_fingerprint) {
  mcl_dataset *d = start(1), *r[3] = {0};
  CHECK_OK(mcl_dataset_create_randbits(c, d, 4, 1, &r[0], &err));
  CHECK_OK(mcl_dataset_create_randbits(c, d, 4, 2, &r[1], &err));
  CHECK_OK(mcl_dataset_create_randbits(c, d, 5, 1, &r[2], &err));
  for (int i = 0; i < 3; i++) {
    ck_assert(mcl_dataset_fingerprint(r[i]) != mcl_dataset_fingerprint(d));
    ck_assert(mcl_dataset_fingerprint(r[i]) != mcl_dataset_fingerprint(r[(i + 1) % 3]));
  }
  for (int i = 0; i < 3; i++) mcl_dataset_unref(r[i]);
  stop(d);
}
END_TEST

START_TEST(no_bits_leave_the_rows_alone) {
  mcl_dataset *d = start(1), *r = NULL;
  uint8_t out[ROW];
  int32_t codes[N];
  mcl_array a = mcl_images_u8(out, 1, H, W, C);
  CHECK_OK(mcl_dataset_create_randbits(c, d, 0, 1, &r, &err));
  CHECK_OK(mcl_dataset_load(r, (int64_t[]){3}, 1, 0, &a, &err));
  ck_assert_mem_eq(out, bytes + 3 * ROW, ROW);
  CHECK_OK(mcl_dataset_codes(r, codes, N, &err));
  for (int i = 0; i < N; i++) ck_assert_int_eq(codes[i], 0);
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

// ---- resized ------------------------------------------------------------------------------------

START_TEST(halving_by_box_is_the_mean_of_four_pixels) {
  mcl_dataset *d = start(2), *r = NULL;
  enum { SMALL = ROW / 4 };
  uint8_t out[N * SMALL];
  int64_t rows[N];
  mcl_array a = mcl_images_u8(out, N, H / 2, W / 2, C), row;
  for (int i = 0; i < N; i++) rows[i] = i;
  CHECK_OK(mcl_dataset_create_resized(c, d, H / 2, W / 2, MCL_FILTER_BOX, &r, &err));
  CHECK_OK(mcl_dataset_shape(r, 0, &row, &err));
  ck_assert_int_eq(row.shape[0], H / 2);
  ck_assert_int_eq(row.shape[1], W / 2);
  ck_assert_int_eq(row.shape[2], C);
  CHECK_OK(mcl_dataset_load(r, rows, N, 0, &a, &err));
  for (int i = 0; i < N; i++)
    for (int y = 0; y < H / 2; y++)
      for (int x = 0; x < W / 2; x++)
        for (int k = 0; k < C; k++) {
          const uint8_t *p = bytes + i * ROW + (2 * y * W + 2 * x) * C + k;
          int sum = p[0] + p[C] + p[W * C] + p[W * C + C];
          ck_assert_int_eq(out[i * SMALL + (y * (W / 2) + x) * C + k], (sum + 2) / 4);
        }
  int32_t labels[N];
  CHECK_OK(mcl_dataset_labels(r, labels, N, &err));
  ck_assert_int_eq(labels[8], 8);
  ck_assert_str_eq(name_of(r, 4), "4");
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(resized_rows_do_not_depend_on_threads) {
  static uint8_t out[3][N * 5 * 7 * C];
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_dataset *d = start(threads), *r = NULL;
    int64_t rows[N];
    for (int i = 0; i < N; i++) rows[i] = i;
    mcl_array a = mcl_images_u8(out[threads - 1], N, 5, 7, C);
    CHECK_OK(mcl_dataset_create_resized(c, d, 5, 7, MCL_FILTER_TRIANGLE, &r, &err));
    CHECK_OK(mcl_dataset_load(r, rows, N, 0, &a, &err));
    mcl_dataset_unref(r);
    stop(d);
  }
  ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
  ck_assert_mem_eq(out[0], out[2], sizeof out[0]);
}
END_TEST

START_TEST(a_resized_code_channel_is_still_its_code) {
  mcl_dataset *d = start(1), *r = NULL, *s = NULL;
  uint8_t out[N * 9 * (C + 2)];
  int64_t rows[N];
  int32_t codes[N];
  mcl_array a = mcl_images_u8(out, N, 3, 3, C + 2);
  for (int i = 0; i < N; i++) rows[i] = i;
  CHECK_OK(mcl_dataset_create_randbits(c, d, 2, 7, &r, &err));
  CHECK_OK(mcl_dataset_create_resized(c, r, 3, 3, MCL_FILTER_TRIANGLE, &s, &err));
  CHECK_OK(mcl_dataset_codes(s, codes, N, &err));
  CHECK_OK(mcl_dataset_load(s, rows, N, 0, &a, &err));
  for (int i = 0; i < N; i++)
    for (int p = 0; p < 9; p++)
      for (int b = 0; b < 2; b++)
        ck_assert_int_eq(out[(i * 9 + p) * (C + 2) + C + b], codes[i] >> b & 1 ? 255 : 0);
  mcl_dataset_unref(s);
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(more_rows_than_one_block_are_all_resized) {
  // Rows of 1 MiB: a block of 16 MiB holds 17 of them.
  enum { MANY = 40, SIDE = 1024 };
  static uint8_t big[MANY * SIDE * SIDE];
  mcl_dataset *d = NULL, *r = NULL;
  c = test_context(2);
  for (int i = 0; i < MANY; i++) memset(big + i * SIDE * SIDE, i, SIDE * SIDE);
  d = array_of(c, big, MANY, SIDE, SIDE, 1, NULL);
  CHECK_OK(mcl_dataset_create_resized(c, d, 1, 2, MCL_FILTER_BOX, &r, &err));
  for (int64_t i = 0; i < MANY; i++) {
    uint8_t out[2];
    mcl_array a = mcl_images_u8(out, 1, 1, 2, 1);
    CHECK_OK(mcl_dataset_load(r, &i, 1, 0, &a, &err));
    ck_assert_int_eq(out[0], i);
    ck_assert_int_eq(out[1], i);
  }
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(a_row_larger_than_a_block_is_resized) {
  // 4100 x 4100 is over 16 MiB; all its pixels are one byte of memory.
  uint8_t pixel = 123, out[2] = {0};
  mcl_dataset *d = NULL, *r = NULL;
  c = test_context(1);
  mcl_array a = mcl_images_u8(&pixel, 2, 4100, 4100, 1), to = mcl_images_u8(out, 2, 1, 1, 1);
  for (int i = 0; i < 4; i++) a.strides[i] = 0;
  CHECK_OK(mcl_dataset_create_array(c, &a, NULL, &d, &err));
  CHECK_OK(mcl_dataset_create_resized(c, d, 1, 1, MCL_FILTER_TRIANGLE, &r, &err));
  CHECK_OK(mcl_dataset_load(r, (int64_t[]){0, 1}, 2, 0, &to, &err));
  ck_assert_int_eq(out[0], 123);
  ck_assert_int_eq(out[1], 123);
  mcl_dataset_unref(r);
  stop(d);
}
END_TEST

START_TEST(size_and_filter_are_in_the_fingerprint) {
  mcl_dataset *d = start(1), *r[4] = {0};
  CHECK_OK(mcl_dataset_create_resized(c, d, 3, 2, MCL_FILTER_BOX, &r[0], &err));
  CHECK_OK(mcl_dataset_create_resized(c, d, 2, 3, MCL_FILTER_BOX, &r[1], &err));
  CHECK_OK(mcl_dataset_create_resized(c, d, 3, 2, MCL_FILTER_TRIANGLE, &r[2], &err));
  CHECK_OK(mcl_dataset_create_resized(c, d, 3, 2, MCL_FILTER_BOX, &r[3], &err));
  uint64_t f[4];
  for (int i = 0; i < 4; i++) f[i] = mcl_dataset_fingerprint(r[i]);
  ck_assert(f[0] != f[1] && f[0] != f[2] && f[1] != f[2]);
  ck_assert(f[0] == f[3] && f[0] != mcl_dataset_fingerprint(d));
  for (int i = 0; i < 4; i++) mcl_dataset_unref(r[i]);
  stop(d);
}
END_TEST

START_TEST(bad_arguments_of_wrappers_are_refused) {
  mcl_dataset *d = start(1), *r = NULL, *w = NULL;
  CHECK_FAILS(MCL_E_INVALID, "bits is -1, not 0..31",
              mcl_dataset_create_randbits(c, d, -1, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "bits is 32", mcl_dataset_create_randbits(c, d, 32, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset", mcl_dataset_create_randbits(c, NULL, 3, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_dataset_create_randbits(NULL, d, 3, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_dataset_create_randbits(c, d, 3, 1, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "height is 0", mcl_dataset_create_resized(c, d, 0, 3, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "width is 16385",
              mcl_dataset_create_resized(c, d, 3, 16385, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "filter is 9", mcl_dataset_create_resized(c, d, 3, 3, 9, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset", mcl_dataset_create_resized(c, NULL, 3, 3, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_dataset_create_resized(NULL, d, 3, 3, 1, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_dataset_create_resized(c, d, 3, 3, 1, NULL, &err));
  CHECK_OK(mcl_dataset_create_randbits(c, d, 3, 1, &w, &err));
  CHECK_FAILS(MCL_E_SHAPE, "5 channels", mcl_dataset_create_resized(c, w, 3, 3, 1, &r, &err));
  ck_assert_ptr_null(r);
  mcl_dataset_unref(w);
  stop(d);
}
END_TEST

// A host with an image of bytes, or of what else is asked for, and tokens beside it.
static mcl_status two_shapes(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  row->dtype = modality ? MCL_I32 : *(int32_t *)user;
  row->ndim = modality ? 1 : *(int32_t *)user == MCL_U8 ? 3 : 2;
  row->shape[0] = row->shape[1] = row->shape[2] = 2;
  return mcl_ok(e);
}
static mcl_status two_rows(void *user, const int64_t *indices, int64_t n, int32_t modality,
                           const mcl_array *out, mcl_error *e) {
  (void)user;
  for (int64_t i = 0; i < n; i++) {
    if (modality)
      ((int32_t *)out->data)[2 * i] = ((int32_t *)out->data)[2 * i + 1] = (int32_t)indices[i];
    else
      memset((uint8_t *)out->data + 8 * i, (int)indices[i], 8);
  }
  return mcl_ok(e);
}

static mcl_dataset *pairs(int32_t *dtype) {
  mcl_dataset *d = NULL;
  mcl_host_dataset t;
  mcl_struct_init(&t, sizeof t);
  t.rows = 6, t.modalities = 2, t.user = dtype, t.shape = two_shapes, t.load = two_rows;
  CHECK_OK(mcl_dataset_create_host(c, &t, &d, &err));
  return d;
}

START_TEST(other_modalities_pass_through_every_wrapper) {
  int32_t dtype = MCL_U8, tokens[4];
  c = test_context(1);
  mcl_dataset *d = pairs(&dtype), *bits = NULL, *small = NULL, *sub = NULL;
  CHECK_OK(mcl_dataset_create_resized(c, d, 1, 1, MCL_FILTER_BOX, &small, &err));
  CHECK_OK(mcl_dataset_create_randbits(c, small, 2, 0, &bits, &err));
  CHECK_OK(mcl_dataset_create_subset(c, bits, (int64_t[]){5, 1}, 2, &sub, &err));
  ck_assert_int_eq(mcl_dataset_modalities(sub), 2);
  mcl_array a;
  mcl_array_init(&a, tokens, MCL_I32, 2, (int64_t[]){2, 2});
  CHECK_OK(mcl_dataset_load(sub, (int64_t[]){0, 1}, 2, 1, &a, &err));
  ck_assert_mem_eq(tokens, ((int32_t[]){5, 5, 1, 1}), sizeof tokens);
  uint8_t image[4];
  mcl_array b = mcl_images_u8(image, 1, 1, 1, 4);
  CHECK_OK(mcl_dataset_load(sub, (int64_t[]){0}, 1, 0, &b, &err));
  ck_assert_int_eq(image[0], 5);
  ck_assert_int_eq(image[1], 5);
  mcl_dataset_unref(sub);
  mcl_dataset_unref(small);
  mcl_dataset_unref(bits);
  stop(d);
}
END_TEST

START_TEST(only_images_of_bytes_are_resized_or_given_bits) {
  int32_t dtype = MCL_F32;
  c = test_context(1);
  mcl_dataset *d = pairs(&dtype), *out = NULL;
  CHECK_FAILS(MCL_E_DTYPE, "dataset", mcl_dataset_create_resized(c, d, 1, 1, 1, &out, &err));
  CHECK_FAILS(MCL_E_DTYPE, "dataset", mcl_dataset_create_randbits(c, d, 1, 1, &out, &err));
  stop(d);
}
END_TEST

RUN_TESTS("dataset", a_subset_is_the_rows_it_names, a_subset_of_a_subset_names_the_innermost_rows,
          a_subsets_fingerprint_follows_its_rows_in_order,
          a_subset_of_no_row_or_of_a_missing_row_is_refused,
          bits_are_constant_channels_that_spell_the_code,
          a_code_is_the_first_word_of_the_rows_own_stream, every_bit_is_set_about_half_of_the_time,
          codes_follow_the_rows_into_a_subset, seed_and_bits_are_in_the_fingerprint,
          no_bits_leave_the_rows_alone, halving_by_box_is_the_mean_of_four_pixels,
          resized_rows_do_not_depend_on_threads, a_resized_code_channel_is_still_its_code,
          more_rows_than_one_block_are_all_resized, a_row_larger_than_a_block_is_resized,
          size_and_filter_are_in_the_fingerprint, bad_arguments_of_wrappers_are_refused,
          other_modalities_pass_through_every_wrapper,
          only_images_of_bytes_are_resized_or_given_bits)
