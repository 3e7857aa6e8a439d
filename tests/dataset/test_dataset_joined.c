// Rows of token ids, and datasets side by side.
#include <stdio.h>

#include "base/file.h"
#include "dataset/data.h"

static mcl_context *c;
static mcl_error err;

enum { N = 6, H = 4, W = 2, ROW = H * W, CONTEXT = 5 };
static uint8_t bytes[N * ROW];
static int32_t ids[N * CONTEXT];

static mcl_dataset *tokens_of(int32_t *from, int64_t n, int64_t context) {
  mcl_dataset *d = NULL;
  mcl_array a;
  mcl_array_init(&a, from, MCL_I32, 2, (int64_t[]){n, context});
  CHECK_OK(mcl_dataset_create_tokens(c, &a, &d, &err));
  return d;
}

static mcl_dataset *joined_of(mcl_dataset *first, mcl_dataset *second) {
  mcl_dataset *d = NULL;
  CHECK_OK(mcl_dataset_create_joined(c, first, second, &d, &err));
  return d;
}

static mcl_dataset *images, *tokens;

static void start(const int32_t *labels) {
  c = test_context(2);
  fill_bytes(bytes, sizeof bytes, 8);
  for (int i = 0; i < N * CONTEXT; i++) ids[i] = 1000 * (i / CONTEXT) + i % CONTEXT;
  images = array_of(c, bytes, N, H, W, 1, labels);
  tokens = tokens_of(ids, N, CONTEXT);
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_dataset_unref(images);
  mcl_dataset_unref(tokens);
  mcl_context_unref(c);
}

static mcl_array ids_at(int32_t *to, int64_t n) {
  mcl_array a;
  mcl_array_init(&a, to, MCL_I32, 2, (int64_t[]){n, CONTEXT});
  return a;
}

// ---- tokens -------------------------------------------------------------------------------------

START_TEST(tokens_come_as_they_are_in_the_order_asked_for) {
  start(NULL);
  int32_t out[3 * CONTEXT];
  mcl_array a = ids_at(out, 3), row;
  CHECK_OK(mcl_dataset_load(tokens, (int64_t[]){5, 0, 5}, 3, 0, &a, &err));
  ck_assert_mem_eq(out, ids + 5 * CONTEXT, CONTEXT * sizeof *out);
  ck_assert_mem_eq(out + CONTEXT, ids, CONTEXT * sizeof *out);
  ck_assert_mem_eq(out + 2 * CONTEXT, ids + 5 * CONTEXT, CONTEXT * sizeof *out);
  CHECK_OK(mcl_dataset_shape(tokens, 0, &row, &err));
  ck_assert_int_eq(row.dtype, MCL_I32);
  ck_assert_int_eq(row.ndim, 1);
  ck_assert_int_eq(row.shape[0], CONTEXT);
  ck_assert_int_eq(mcl_dataset_rows(tokens), N);
  ck_assert_int_eq(mcl_dataset_modalities(tokens), 1);
  ck_assert_int_eq(report_of(tokens).cached, 1);
  stop(NULL);
}
END_TEST

START_TEST(tokens_as_floats_are_the_ids_also_with_gaps) {
  start(NULL);
  float out[2 * CONTEXT * 2];
  for (int i = 0; i < 4 * CONTEXT; i++) out[i] = -1;
  mcl_array a = mcl_matrix_f32(out, 2, CONTEXT);
  CHECK_OK(mcl_dataset_load(tokens, (int64_t[]){4, 1}, 2, 0, &a, &err));
  for (int k = 0; k < CONTEXT; k++) {
    ck_assert(out[k] == (float)(4000 + k));
    ck_assert(out[CONTEXT + k] == (float)(1000 + k));
  }
  for (int i = 0; i < 4 * CONTEXT; i++) out[i] = -1;
  a.strides[0] = 2 * CONTEXT, a.strides[1] = 2;
  CHECK_OK(mcl_dataset_load(tokens, (int64_t[]){4, 1}, 2, 0, &a, &err));
  for (int i = 0; i < 4 * CONTEXT; i++)
    ck_assert(out[i] == (i % 2 ? -1 : (float)((i < 2 * CONTEXT ? 4000 : 1000) + i / 2 % CONTEXT)));
  stop(NULL);
}
END_TEST

START_TEST(strides_of_tokens_change_neither_rows_nor_the_fingerprint) {
  start(NULL);
  int32_t turned[N * CONTEXT], out[N * CONTEXT];
  mcl_dataset *d = NULL;
  mcl_array a, to = ids_at(out, N);
  for (int i = 0; i < N; i++)
    for (int k = 0; k < CONTEXT; k++) turned[k * N + N - 1 - i] = ids[i * CONTEXT + k];
  mcl_array_init(&a, turned + N - 1, MCL_I32, 2, (int64_t[]){N, CONTEXT});
  a.strides[0] = -1, a.strides[1] = N;
  CHECK_OK(mcl_dataset_create_tokens(c, &a, &d, &err));
  ck_assert(mcl_dataset_fingerprint(d) == mcl_dataset_fingerprint(tokens));
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){0, 1, 2, 3, 4, 5}, N, 0, &to, &err));
  ck_assert_mem_eq(out, ids, sizeof ids);
  mcl_dataset_unref(d);
  ids[7]++;
  d = tokens_of(ids, N, CONTEXT);
  ck_assert(mcl_dataset_fingerprint(d) != mcl_dataset_fingerprint(tokens));
  stop(d);
}
END_TEST

START_TEST(bytes_of_ids_taken_as_pixels_are_other_rows) {
  start(NULL);
  mcl_dataset *i32 = tokens_of(ids, 1, 1);
  mcl_dataset *u8 = array_of(c, (uint8_t *)ids, 1, 1, 1, 1, NULL);
  ck_assert(mcl_dataset_fingerprint(i32) != mcl_dataset_fingerprint(u8));
  mcl_dataset_unref(u8);
  stop(i32);
}
END_TEST

START_TEST(what_is_no_row_of_tokens_is_refused) {
  start(NULL);
  mcl_dataset *d = NULL;
  mcl_array a = ids_at(ids, N);
  CHECK_FAILS(MCL_E_INVALID, "context is NULL", mcl_dataset_create_tokens(NULL, &a, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "tokens is NULL", mcl_dataset_create_tokens(c, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_dataset_create_tokens(c, &a, NULL, &err));
  a.dtype = MCL_I64;
  CHECK_FAILS(MCL_E_DTYPE, "not MCL_I32", mcl_dataset_create_tokens(c, &a, &d, &err));
  mcl_array_init(&a, ids, MCL_I32, 3, (int64_t[]){N, CONTEXT, 1});
  CHECK_FAILS(MCL_E_SHAPE, "3 dimensions, not 2", mcl_dataset_create_tokens(c, &a, &d, &err));
  mcl_array_init(&a, ids, MCL_I32, 2, (int64_t[]){N, 0});
  CHECK_FAILS(MCL_E_SHAPE, "shape[1] is 0", mcl_dataset_create_tokens(c, &a, &d, &err));
  a = ids_at(ids, N);
  a.shape[1] = INT64_C(1) << 31, a.strides[1] = 0;
  CHECK_FAILS(MCL_E_SHAPE, "too large", mcl_dataset_create_tokens(c, &a, &d, &err));
  a = ids_at(ids, N);
  ids[3 * CONTEXT + 2] = -7;
  CHECK_FAILS(MCL_E_LIMIT, "tokens[3, 2] is -7, not 0 or more",
              mcl_dataset_create_tokens(c, &a, &d, &err));
  ck_assert_int_eq(err.row, 3);
  ck_assert_ptr_null(d);
  stop(NULL);
}
END_TEST

// ---- joined -------------------------------------------------------------------------------------

START_TEST(a_joined_row_is_a_row_of_each) {
  start(NULL);
  mcl_dataset *d = joined_of(images, tokens);
  uint8_t pixels[2 * ROW];
  int32_t out[2 * CONTEXT];
  mcl_array a = mcl_images_u8(pixels, 2, H, W, 1), b = ids_at(out, 2), row;
  ck_assert_int_eq(mcl_dataset_modalities(d), 2);
  ck_assert_int_eq(mcl_dataset_rows(d), N);
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){5, 2}, 2, 0, &a, &err));
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){5, 2}, 2, 1, &b, &err));
  ck_assert_mem_eq(pixels, bytes + 5 * ROW, ROW);
  ck_assert_mem_eq(pixels + ROW, bytes + 2 * ROW, ROW);
  ck_assert_mem_eq(out, ids + 5 * CONTEXT, CONTEXT * sizeof *out);
  ck_assert_mem_eq(out + CONTEXT, ids + 2 * CONTEXT, CONTEXT * sizeof *out);
  CHECK_OK(mcl_dataset_shape(d, 0, &row, &err));
  ck_assert_int_eq(row.ndim, 3);
  CHECK_OK(mcl_dataset_shape(d, 1, &row, &err));
  ck_assert_int_eq(row.ndim, 1);
  CHECK_FAILS(MCL_E_LIMIT, "modality is 2, not 0..1", mcl_dataset_shape(d, 2, &row, &err));
  ck_assert_int_eq(report_of(d).cached, 1);
  stop(d);
}
END_TEST

START_TEST(joined_datasets_are_joined_again) {
  start(NULL);
  mcl_dataset *pair = joined_of(tokens, images), *d = joined_of(pair, pair);
  int32_t out[CONTEXT];
  mcl_array b = ids_at(out, 1);
  mcl_dataset_unref(pair);
  ck_assert_int_eq(mcl_dataset_modalities(d), 4);
  for (int32_t m = 0; m < 4; m += 2) {
    memset(out, 0, sizeof out);
    CHECK_OK(mcl_dataset_load(d, (int64_t[]){3}, 1, m, &b, &err));
    ck_assert_mem_eq(out, ids + 3 * CONTEXT, sizeof out);
  }
  stop(d);
}
END_TEST

START_TEST(labels_are_those_of_the_first_that_has_some) {
  static const int32_t labels[N] = {2, 0, 1, 1, 0, 2}, others[N] = {0, 0, 0, 0, 0, 7};
  int32_t out[N];
  start(labels);
  mcl_dataset *more = array_of(c, bytes, N, H, W, 1, others);
  mcl_dataset *d[3] = {joined_of(images, more), joined_of(tokens, more), joined_of(tokens, tokens)};
  CHECK_OK(mcl_dataset_labels(d[0], out, N, &err));
  ck_assert_mem_eq(out, labels, sizeof out);
  ck_assert_int_eq(report_of(d[0]).classes, 3);
  CHECK_OK(mcl_dataset_labels(d[1], out, N, &err));
  ck_assert_mem_eq(out, others, sizeof out);
  ck_assert_int_eq(report_of(d[1]).classes, 8);
  ck_assert_str_eq(class_of(d[1], 7), "7");
  CHECK_FAILS(MCL_E_NOT_FOUND, "no labels", mcl_dataset_labels(d[2], out, N, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "no codes", mcl_dataset_codes(d[0], out, N, &err));
  for (int i = 0; i < 3; i++) mcl_dataset_unref(d[i]);
  stop(more);
}
END_TEST

// A folder of two classes, an image each.
static mcl_dataset *folder(void) {
  mcl_dataset *d = NULL;
  mcl_folder_options o;
  char path[4300];
  const char *root = test_directory("joined");
  mcl_array a = mcl_images_u8(bytes, 1, H, W, 1);
  a.ndim = 3;
  memmove(a.shape, a.shape + 1, 3 * sizeof *a.shape), a.shape[3] = 1;
  memmove(a.strides, a.strides + 1, 3 * sizeof *a.strides);
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", root, i ? "dog" : "cat");
    CHECK_OK(mcli_directory_make(c, path, &err));
    strcat(path, "/a.png");
    CHECK_OK(mcl_image_write_png(c, path, &a, &err));
  }
  mcl_folder_options_init(&o, sizeof o);
  o.height = o.width = 2;
  CHECK_OK(mcl_dataset_create_folder(c, root, &o, NULL, &d, &err));
  return d;
}

START_TEST(names_and_files_are_those_of_the_one_that_has_some) {
  if (!test_has("png")) return; // a folder of images is what has names
  start(NULL);
  mcl_dataset *files = folder(), *two = tokens_of(ids, 2, CONTEXT), *sub = NULL;
  mcl_dataset *d[2] = {joined_of(files, two), joined_of(two, files)};
  for (int i = 0; i < 2; i++) {
    ck_assert_str_eq(name_of(d[i], 1), "dog/a.png");
    ck_assert_str_eq(class_of(d[i], 0), "cat");
    ck_assert_int_eq(report_of(d[i]).files, 2);
  }
  CHECK_OK(mcl_dataset_create_subset(c, d[1], (int64_t[]){1, 0, 1}, 3, &sub, &err));
  ck_assert_str_eq(name_of(sub, 2), "dog/a.png");
  ck_assert_str_eq(class_of(sub, 1), "dog");
  mcl_dataset_unref(sub);
  // Without names, a row is its number in the innermost of the first.
  CHECK_OK(mcl_dataset_create_subset(c, images, (int64_t[]){4, 2}, 2, &sub, &err));
  mcl_dataset *plain = joined_of(sub, two);
  ck_assert_str_eq(name_of(plain, 0), "4");
  mcl_dataset_unref(plain), mcl_dataset_unref(sub), mcl_dataset_unref(two);
  mcl_dataset_unref(d[0]), mcl_dataset_unref(d[1]);
  stop(files);
}
END_TEST

START_TEST(images_with_random_bits_are_joined_with_tokens_and_some_rows_taken) {
  static const int32_t labels[N] = {0, 1, 2, 3, 4, 5};
  start(labels);
  mcl_dataset *bits = NULL, *sub = NULL;
  int32_t codes[N], of_sub[3], out[3 * CONTEXT];
  uint8_t pixels[3 * ROW * 5];
  CHECK_OK(mcl_dataset_create_randbits(c, images, 4, 3, &bits, &err));
  CHECK_OK(mcl_dataset_codes(bits, codes, N, &err));
  mcl_dataset *d = joined_of(bits, tokens);
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){5, 1, 1}, 3, &sub, &err));
  CHECK_OK(mcl_dataset_codes(sub, of_sub, 3, &err));
  ck_assert_mem_eq(of_sub, ((int32_t[]){codes[5], codes[1], codes[1]}), sizeof of_sub);
  CHECK_OK(mcl_dataset_labels(sub, of_sub, 3, &err));
  ck_assert_mem_eq(of_sub, ((int32_t[]){5, 1, 1}), sizeof of_sub);
  mcl_array a = mcl_images_u8(pixels, 3, H, W, 5), b = ids_at(out, 3);
  CHECK_OK(mcl_dataset_load(sub, (int64_t[]){0, 1, 2}, 3, 0, &a, &err));
  CHECK_OK(mcl_dataset_load(sub, (int64_t[]){0, 1, 2}, 3, 1, &b, &err));
  for (int i = 0; i < 3; i++) {
    int row = i == 0 ? 5 : 1;
    ck_assert_mem_eq(out + i * CONTEXT, ids + row * CONTEXT, CONTEXT * sizeof *out);
    for (int p = 0; p < ROW; p++) {
      ck_assert_int_eq(pixels[(i * ROW + p) * 5], bytes[row * ROW + p]);
      for (int k = 0; k < 4; k++)
        ck_assert_int_eq(pixels[(i * ROW + p) * 5 + 1 + k], codes[row] >> k & 1 ? 255 : 0);
    }
  }
  mcl_dataset_unref(bits), mcl_dataset_unref(sub);
  stop(d);
}
END_TEST

START_TEST(joined_rows_are_resized_and_given_bits_in_their_images_alone) {
  start(NULL);
  mcl_dataset *d = joined_of(images, tokens), *small = NULL, *bits = NULL;
  int32_t out[CONTEXT];
  mcl_array row, b = ids_at(out, 1);
  CHECK_OK(mcl_dataset_create_resized(c, d, 2, 1, MCL_FILTER_BOX, &small, &err));
  CHECK_OK(mcl_dataset_create_randbits(c, small, 2, 1, &bits, &err));
  CHECK_OK(mcl_dataset_shape(bits, 0, &row, &err));
  ck_assert_int_eq(row.shape[0], 2);
  ck_assert_int_eq(row.shape[2], 3);
  CHECK_OK(mcl_dataset_load(bits, (int64_t[]){4}, 1, 1, &b, &err));
  ck_assert_mem_eq(out, ids + 4 * CONTEXT, sizeof out);
  mcl_dataset *turned = joined_of(tokens, images), *none = NULL;
  CHECK_FAILS(MCL_E_DTYPE, "not MCL_U8", mcl_dataset_create_randbits(c, turned, 2, 1, &none, &err));
  mcl_dataset_unref(turned), mcl_dataset_unref(small), mcl_dataset_unref(bits);
  stop(d);
}
END_TEST

START_TEST(the_fingerprint_is_of_both_in_order) {
  start(NULL);
  mcl_dataset *d[4] = {joined_of(images, tokens), joined_of(tokens, images),
                       joined_of(images, images), joined_of(images, tokens)};
  uint64_t f[4];
  for (int i = 0; i < 4; i++) f[i] = mcl_dataset_fingerprint(d[i]);
  ck_assert(f[0] != f[1] && f[0] != f[2] && f[1] != f[2]);
  ck_assert(f[0] == f[3]);
  for (int i = 0; i < 4; i++) mcl_dataset_unref(d[i]);
  stop(NULL);
}
END_TEST

static mcl_status host_shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  (void)user, (void)modality;
  row->dtype = MCL_F32, row->ndim = 1, row->shape[0] = 2;
  return mcl_ok(e);
}
static mcl_status host_load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                            const mcl_array *out, mcl_error *e) {
  for (int64_t i = 0; i < 2 * n; i++)
    ((float *)out->data)[i] = (float)(indices[i / 2] * 10 + modality);
  ++*(int *)user;
  return mcl_ok(e);
}

static mcl_dataset *host_of(int *calls, int32_t modalities, int has_data) {
  mcl_dataset *d = NULL;
  mcl_host_dataset h;
  mcl_struct_init(&h, sizeof h);
  h.user = calls, h.rows = N, h.modalities = modalities;
  if (has_data) h.shape = host_shape, h.load = host_load;
  CHECK_OK(mcl_dataset_create_host(c, &h, &d, &err));
  return d;
}

START_TEST(a_hosts_rows_are_joined_with_ours) {
  int calls = 0;
  start(NULL);
  mcl_dataset *host = host_of(&calls, 3, 1), *d = joined_of(tokens, host);
  float out[4];
  mcl_array a = mcl_matrix_f32(out, 2, 2);
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){5, 3}, 2, 2, &a, &err));
  ck_assert(out[0] == 51 && out[1] == 51 && out[2] == 31);
  ck_assert_int_eq(calls, 1);
  mcl_dataset_unref(host);
  stop(d);
}
END_TEST

START_TEST(what_does_not_go_together_is_refused) {
  int calls = 0;
  start(NULL);
  mcl_dataset *few = tokens_of(ids, N - 1, CONTEXT), *bare = host_of(&calls, 1, 0),
              *wide = host_of(&calls, 32, 1), *d = NULL;
  CHECK_FAILS(MCL_E_INVALID, "context is NULL",
              mcl_dataset_create_joined(NULL, images, tokens, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "first is NULL", mcl_dataset_create_joined(c, NULL, tokens, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "second is NULL",
              mcl_dataset_create_joined(c, images, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL",
              mcl_dataset_create_joined(c, images, tokens, NULL, &err));
  CHECK_FAILS(MCL_E_SHAPE, "first has 6 rows, second 5",
              mcl_dataset_create_joined(c, images, few, &d, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "second has no data",
              mcl_dataset_create_joined(c, images, bare, &d, &err));
  CHECK_FAILS(MCL_E_LIMIT, "first has 32 modalities, second 1",
              mcl_dataset_create_joined(c, wide, tokens, &d, &err));
  ck_assert_ptr_null(d);
  mcl_dataset_unref(bare), mcl_dataset_unref(wide);
  stop(few);
}
END_TEST

RUN_TESTS("dataset", tokens_come_as_they_are_in_the_order_asked_for,
          tokens_as_floats_are_the_ids_also_with_gaps,
          strides_of_tokens_change_neither_rows_nor_the_fingerprint,
          bytes_of_ids_taken_as_pixels_are_other_rows, what_is_no_row_of_tokens_is_refused,
          a_joined_row_is_a_row_of_each, joined_datasets_are_joined_again,
          labels_are_those_of_the_first_that_has_some,
          names_and_files_are_those_of_the_one_that_has_some,
          images_with_random_bits_are_joined_with_tokens_and_some_rows_taken,
          joined_rows_are_resized_and_given_bits_in_their_images_alone,
          the_fingerprint_is_of_both_in_order, a_hosts_rows_are_joined_with_ours,
          what_does_not_go_together_is_refused)
