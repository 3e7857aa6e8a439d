// Files of pairs that are read without a tokenizer.
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "dataset/data.h"
#include "dataset/texts.h"

static mcl_context *c;
static mcl_error err;
static char directory[4096];

enum { H = 6, W = 5, ROW = H * W * 3, CONTEXT = 12 };

static const char *in(const char *name) {
  static char path[4][8300];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

static void put_png(const char *name, uint64_t seed) {
  uint8_t pixels[ROW];
  mcl_array a;
  fill_bytes(pixels, ROW, seed);
  mcl_array_init(&a, pixels, MCL_U8, 3, (int64_t[]){H, W, 3});
  CHECK_OK(mcl_image_write_png(c, in(name), &a, &err));
}

// Images a.png and b.png, of seeds 1 and 2.
static void start(const char *name) {
  CHECK_OK(mcl_context_create(NULL, &c, &err));
  snprintf(directory, sizeof directory, "%s", test_directory(name));
  put_png("a.png", 1);
  put_png("b.png", 2);
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_context_unref(c);
}

static mcl_status open_file(const char *text, const mcl_tokenizer *t, mcl_dataset **out) {
  mcl_pairs_options o;
  mcl_folder_options f;
  mcl_pairs_options_init(&o, sizeof o);
  mcl_folder_options_init(&f, sizeof f);
  f.height = H, f.width = W;
  o.images = &f;
  FILE *file = fopen(in("x.tsv"), "wb");
  ck_assert(file != NULL && fputs(text, file) >= 0);
  ck_assert_int_eq(fclose(file), 0);
  *out = NULL;
  return mcl_dataset_create_pairs(c, in("x.tsv"), t, &o, NULL, out, &err);
}

static mcl_dataset *texts(const char *text) {
  mcl_dataset *d = NULL;
  CHECK_OK(open_file(text, NULL, &d));
  return d;
}

static void check_row(mcl_dataset *d, int64_t row, const char *name, const char *caption,
                      uint64_t seed) {
  uint8_t pixels[ROW], want[ROW];
  char text[64];
  mcl_array a = mcl_images_u8(pixels, 1, H, W, 3);
  ck_assert_str_eq(name_of(d, row), name);
  CHECK_OK(mcl_dataset_caption(d, row, text, sizeof text, NULL, &err));
  ck_assert_str_eq(text, caption);
  CHECK_OK(mcl_dataset_load(d, &row, 1, 0, &a, &err));
  fill_bytes(want, ROW, seed);
  ck_assert_mem_eq(pixels, want, ROW);
}

START_TEST(without_a_tokenizer_rows_are_images_and_texts) {
  int64_t groups[4];
  mcl_array row;
  start("texts-rows");
  mcl_dataset *d = texts("b.png\tone\ttwo\na.png\tone\nb.png\tthree\n");
  ck_assert_int_eq(mcl_dataset_rows(d), 4);
  ck_assert_int_eq(mcl_dataset_modalities(d), 1);
  check_row(d, 0, "b.png", "one", 2);
  check_row(d, 1, "b.png", "two", 2);
  check_row(d, 2, "a.png", "one", 1);
  check_row(d, 3, "b.png", "three", 2);
  CHECK_OK(mcl_dataset_groups(d, 0, groups, 4, &err));
  ck_assert_mem_eq(groups, ((int64_t[]){0, 0, 2, 0}), sizeof groups);
  CHECK_FAILS(MCL_E_LIMIT, "modality is 1, not 0..0", mcl_dataset_shape(d, 1, &row, &err));
  ck_assert_int_eq(report_of(d).files, 2);
  ck_assert_int_eq(report_of(d).cached, 1);
  stop(d);
}
END_TEST

START_TEST(texts_of_a_bad_image_are_left_out_with_it_and_counted) {
  start("texts-bad");
  mcl_dataset *d = texts("no.png\tone\ttwo\na.png\tthree\nno.png\tfour\nb.png\tfive\n");
  ck_assert_int_eq(mcl_dataset_rows(d), 2);
  check_row(d, 0, "a.png", "three", 1);
  check_row(d, 1, "b.png", "five", 2);
  ck_assert_int_eq(report_of(d).skipped, 1);
  ck_assert_int_eq(report_of(d).captions_skipped, 3);
  stop(d);
}
END_TEST

// What the header proposes: a tokenizer of some rows' captions, and the rows joined with tokens.
START_TEST(rows_joined_with_tokens_are_those_read_with_the_tokenizer) {
  static const char *const file = "b.png\ta red dog\ttwo cats\na.png\ta red dog\n";
  static const char *const captions[] = {"a red dog", "two cats", "a red dog"};
  mcl_tokenizer_options o = token_options(CONTEXT);
  mcl_tokenizer *t = NULL;
  mcl_dataset *read = NULL, *tokens = NULL, *joined = NULL;
  int32_t ids[3 * CONTEXT], loaded[3 * CONTEXT];
  int64_t groups[2][3];
  mcl_array a, b;
  start("texts-joined");
  o.vocabulary = 530;
  CHECK_OK(mcl_tokenizer_create(c, &o, captions, 2, NULL, &t, &err));
  CHECK_OK(mcl_tokenizer_encode(t, captions, 3, ids, NULL, &err));
  mcl_array_init(&a, ids, MCL_I32, 2, (int64_t[]){3, CONTEXT});
  mcl_array_init(&b, loaded, MCL_I32, 2, (int64_t[]){3, CONTEXT});
  mcl_dataset *d = texts(file);
  CHECK_OK(mcl_dataset_create_tokens(c, &a, &tokens, &err));
  CHECK_OK(mcl_dataset_create_joined(c, d, tokens, &joined, &err));
  CHECK_OK(open_file(file, t, &read));
  CHECK_OK(mcl_dataset_load(read, (int64_t[]){0, 1, 2}, 3, 1, &b, &err));
  ck_assert_mem_eq(ids, loaded, sizeof ids);
  check_row(joined, 1, "b.png", "two cats", 2);
  for (int m = 0; m < 2; m++) {
    CHECK_OK(mcl_dataset_groups(joined, m, groups[0], 3, &err));
    CHECK_OK(mcl_dataset_groups(read, m, groups[1], 3, &err));
    ck_assert_mem_eq(groups[0], groups[1], sizeof groups[0]);
  }
  mcl_dataset_unref(read), mcl_dataset_unref(joined), mcl_dataset_unref(tokens);
  mcl_tokenizer_unref(t);
  stop(d);
}
END_TEST

START_TEST(without_tokens_the_fingerprint_follows_images_texts_and_their_order) {
  static const char *const files[] = {"a.png\tone\nb.png\ttwo\n", "b.png\ttwo\na.png\tone\n",
                                      "a.png\tone\nb.png\tone\n", "a.png\tone\na.png\ttwo\n",
                                      "a.png\tonet\nb.png\two\n", "a.png\tone\nb.png\ttwo\n"};
  uint64_t f[6];
  start("texts-print");
  for (int i = 0; i < 6; i++) {
    mcl_dataset *d = texts(files[i]);
    f[i] = mcl_dataset_fingerprint(d);
    mcl_dataset_unref(d);
  }
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < i; j++) ck_assert(f[i] != f[j]);
  ck_assert(f[5] == f[0]);
  stop(NULL);
}
END_TEST

RUN_TESTS("dataset", without_a_tokenizer_rows_are_images_and_texts,
          texts_of_a_bad_image_are_left_out_with_it_and_counted,
          rows_joined_with_tokens_are_those_read_with_the_tokenizer,
          without_tokens_the_fingerprint_follows_images_texts_and_their_order)
