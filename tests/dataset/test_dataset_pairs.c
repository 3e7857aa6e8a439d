// Files of image-caption pairs.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "dataset/data.h"
#include "dataset/texts.h"

static mcl_context *c;
static mcl_error err;
static char directory[4096];
static mcl_tokenizer *t;

enum { H = 6, W = 5, ROW = H * W * 3, CONTEXT = 12 };

// ---- a log that can be read ---------------------------------------------------------------------

static char logged[4096];

static void listen(void *user, int32_t level, const char *component, const char *message) {
  size_t used = strlen(logged);
  (void)user, (void)level, (void)component;
  snprintf(logged + used, sizeof logged - used, "%s\n", message);
}

// ---- files --------------------------------------------------------------------------------------

static const char *in(const char *name) {
  static char path[4][8300];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

static void image(uint8_t *out, uint64_t seed) {
  fill_bytes(out, ROW, seed + 100);
}

static void put_png(const char *name, uint64_t seed) {
  uint8_t pixels[ROW];
  mcl_array a;
  image(pixels, seed);
  mcl_array_init(&a, pixels, MCL_U8, 3, (int64_t[]){H, W, 3});
  CHECK_OK(mcl_image_write_png(c, in(name), &a, &err));
}

// Without mcli_file_write_all()'s wait for the disk: the tests of damage write thousands.
static void put_bytes(const char *name, const char *text, int64_t n) {
  FILE *file = fopen(in(name), "wb");
  ck_assert(file != NULL && fwrite(text, 1, (size_t)n, file) == (size_t)n);
  ck_assert_int_eq(fclose(file), 0);
}

static void put_text(const char *name, const char *text) {
  put_bytes(name, text, (int64_t)strlen(text));
}

static mcl_tokenizer *tokenizer(int32_t on_long) {
  static const char *const texts[] = {"a red dog", "two cats", "the dog and the cat"};
  mcl_tokenizer_options o = token_options(CONTEXT);
  mcl_tokenizer *made = NULL;
  o.on_long = on_long;
  o.vocabulary = 530;
  CHECK_OK(mcl_tokenizer_create(c, &o, texts, 3, NULL, &made, &err));
  return made;
}

// Images a.png, b.png and sub/c.png, of seeds 1, 2 and 3.
static void start(uint32_t threads, const char *name) {
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = threads, o.log = listen;
  logged[0] = 0;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  snprintf(directory, sizeof directory, "%s", test_directory(name));
  CHECK_OK(mcli_directory_make(c, in("sub"), &err));
  put_png("a.png", 1);
  put_png("b.png", 2);
  put_png("sub/c.png", 3);
  t = tokenizer(MCL_LONG_TEXT_CUT);
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}

// Images at their own size.
static mcl_status open_with(const char *name, mcl_pairs_options o, mcl_folder_options f,
                            mcl_dataset **out) {
  f.height = H, f.width = W;
  o.images = &f;
  *out = NULL;
  return mcl_dataset_create_pairs(c, in(name), t, &o, NULL, out, &err);
}

static mcl_pairs_options options(void) {
  mcl_pairs_options o;
  mcl_pairs_options_init(&o, sizeof o);
  return o;
}

static mcl_folder_options folder_options(void) {
  mcl_folder_options f;
  mcl_folder_options_init(&f, sizeof f);
  return f;
}

static mcl_dataset *open_pairs(const char *name) {
  mcl_dataset *d = NULL;
  CHECK_OK(open_with(name, options(), folder_options(), &d));
  return d;
}

static mcl_dataset *of_text(const char *name, const char *text) {
  put_text(name, text);
  return open_pairs(name);
}

static void check_text_fails(const char *name, const char *text, mcl_status status,
                             const char *word) {
  mcl_dataset *d = NULL;
  put_text(name, text);
  mcl_status s = open_with(name, options(), folder_options(), &d);
  ck_assert_msg(s == status && strstr(err.message, word), "%s: %s, not '%s'", text,
                s == MCL_OK ? "accepted" : err.message, word);
  ck_assert_ptr_null(d);
}

static const char *caption_of(const mcl_dataset *d, int64_t row) {
  static char text[4096];
  CHECK_OK(mcl_dataset_caption(d, row, text, sizeof text, NULL, &err));
  return text;
}

typedef struct wanted {
  const char *name, *caption;
  uint64_t seed;
} wanted;

// Names, captions, pixels and tokens of all rows.
static void check_rows(mcl_dataset *d, const wanted *w, int64_t n) {
  ck_assert_int_eq(mcl_dataset_rows(d), n);
  for (int64_t i = 0; i < n; i++) {
    uint8_t pixels[ROW], want[ROW];
    int32_t tokens[CONTEXT], ids[CONTEXT];
    mcl_array a = mcl_images_u8(pixels, 1, H, W, 3), b;
    mcl_array_init(&b, tokens, MCL_I32, 2, (int64_t[]){1, CONTEXT});
    ck_assert_str_eq(name_of(d, i), w[i].name);
    ck_assert_str_eq(caption_of(d, i), w[i].caption);
    CHECK_OK(mcl_dataset_load(d, &i, 1, 0, &a, &err));
    CHECK_OK(mcl_dataset_load(d, &i, 1, 1, &b, &err));
    image(want, w[i].seed);
    ck_assert_mem_eq(pixels, want, ROW);
    CHECK_OK(mcl_tokenizer_encode(t, &w[i].caption, 1, ids, NULL, &err));
    ck_assert_mem_eq(tokens, ids, sizeof ids);
  }
}

// ---- what is read -------------------------------------------------------------------------------

START_TEST(a_row_is_one_caption_of_one_image) {
  start(2, "pairs-tsv");
  mcl_dataset *d = of_text("x.tsv", "a.png\ta red dog\tthe \"dog\", here\n"
                                    "sub/c.png\ttwo cats\n"
                                    "a.png\ta dog again\n");
  const wanted w[] = {{"a.png", "a red dog", 1},
                      {"a.png", "the \"dog\", here", 1},
                      {"sub/c.png", "two cats", 3},
                      {"a.png", "a dog again", 1}};
  mcl_array row;
  check_rows(d, w, 4);
  ck_assert_int_eq(mcl_dataset_modalities(d), 2);
  CHECK_OK(mcl_dataset_shape(d, 0, &row, &err));
  ck_assert(row.ndim == 3 && row.dtype == MCL_U8 && row.shape[0] == H && row.shape[1] == W);
  CHECK_OK(mcl_dataset_shape(d, 1, &row, &err));
  ck_assert(row.ndim == 1 && row.dtype == MCL_I32 && row.shape[0] == CONTEXT);
  mcl_dataset_report r = report_of(d);
  ck_assert_int_eq(r.files, 2); // a.png is decoded once
  ck_assert_int_eq(r.skipped, 0);
  ck_assert_int_eq(r.captions_skipped, 0);
  ck_assert_int_eq(r.cached, 1);
  ck_assert_int_eq(r.classes, 0);
  stop(d);
}
END_TEST

START_TEST(line_ends_marks_and_empty_lines_make_no_difference) {
  static const char *const texts[] = {"a.png\tone\nb.png\ttwo\n", "a.png\tone\nb.png\ttwo",
                                      "a.png\tone\r\nb.png\ttwo\r\n", "a.png\tone\r\nb.png\ttwo\r",
                                      ("\xEF\xBB\xBF"
                                       "a.png\tone\n\n\r\nb.png\ttwo\n\n")};
  const wanted w[] = {{"a.png", "one", 1}, {"b.png", "two", 2}};
  uint64_t fingerprint = 0;
  start(1, "pairs-lines");
  for (int i = 0; i < COUNT(texts); i++) {
    mcl_dataset *d = of_text("x.tsv", texts[i]);
    check_rows(d, w, 2);
    if (i > 0) ck_assert(mcl_dataset_fingerprint(d) == fingerprint);
    fingerprint = mcl_dataset_fingerprint(d);
    mcl_dataset_unref(d);
  }
  stop(NULL);
}
END_TEST

START_TEST(csv_is_quoted_as_rfc_4180_says) {
  start(1, "pairs-csv");
  mcl_dataset *d = of_text("x.csv", "a.png,plain,\"with, a comma\"\r\n"
                                    "\"sub/c.png\",\"a \"\"dog\"\"\",\"two\r\nlines\"\r\n"
                                    "b.png,tab\there,\"\"\"\"\n"
                                    "\"b.png\",\"at the end\"");
  const wanted w[] = {{"a.png", "plain", 1},         {"a.png", "with, a comma", 1},
                      {"sub/c.png", "a \"dog\"", 3}, {"sub/c.png", "two\r\nlines", 3},
                      {"b.png", "tab\there", 2},     {"b.png", "\"", 2},
                      {"b.png", "at the end", 2}};
  check_rows(d, w, COUNT(w));
  ck_assert_int_eq(report_of(d).files, 3);
  stop(d);
}
END_TEST

START_TEST(json_lines_hold_one_caption_or_several_and_other_members) {
  start(1, "pairs-json");
  mcl_dataset *d =
      of_text("x.jsonl", "{\"image\": \"a.png\", \"caption\": \"one\"}\r\n"
                         "  \n"
                         "{\"id\": -1.5e3, \"captions\": [\"two\", \"a \\u0064og\\n\"], \"image\": "
                         "\"sub\\/c.png\", \"box\": [[1, 2], {\"k\": null}]}\n"
                         "{\"image\":\"b.png\",\"captions\":[\"\\ud83d\\ude00\"]}");
  const wanted w[] = {{"a.png", "one", 1},
                      {"sub/c.png", "two", 3},
                      {"sub/c.png", "a dog\n", 3},
                      {"b.png", "\xF0\x9F\x98\x80", 2}};
  check_rows(d, w, COUNT(w));
  stop(d);
}
END_TEST

START_TEST(the_format_follows_from_the_name_or_the_option) {
  const wanted w[] = {{"a.png", "one", 1}};
  mcl_dataset *d = NULL;
  char command[17000];
  mcl_pairs_options o = options();
  start(1, "pairs-format");
  mcl_dataset_unref(of_text("x.TSV", "a.png\tone\n"));
  mcl_dataset_unref(of_text("x.Csv", "a.png,one\n"));
  mcl_dataset_unref(of_text("x.ndjson", "{\"image\":\"a.png\",\"caption\":\"one\"}"));
  snprintf(command, sizeof command, "gzip -c '%s' > '%s'", in("x.Csv"), in("y.csv.gz"));
  ck_assert_int_eq(system(command), 0);
  d = open_pairs("y.csv.gz");
  check_rows(d, w, 1);
  mcl_dataset_unref(d);
  check_text_fails("x.txt", "a.png\tone\n", MCL_E_INVALID, "x.txt ends in no name of a format");
  o.format = MCL_PAIRS_TSV;
  CHECK_OK(open_with("x.txt", o, folder_options(), &d));
  check_rows(d, w, 1);
  mcl_dataset_unref(d);
  o.format = MCL_PAIRS_CSV;
  CHECK_FAILS(MCL_E_FORMAT, "x.TSV, line 1: there is a path and no caption",
              open_with("x.TSV", o, folder_options(), &d));
  stop(NULL);
}
END_TEST

START_TEST(a_heading_is_passed_over_where_it_is_said_to_be_there) {
  const wanted w[] = {{"a.png", "one", 1}};
  mcl_dataset *d = NULL;
  mcl_pairs_options o = options();
  o.heading = 1;
  start(1, "pairs-heading");
  put_text("x.tsv", "path\r\na.png\tone\r\n");
  put_text("x.csv", "\nimage,\"the\ncaption\",\na.png,one\n");
  CHECK_OK(open_with("x.csv", o, folder_options(), &d));
  check_rows(d, w, 1);
  mcl_dataset_unref(d);
  CHECK_OK(open_with("x.tsv", o, folder_options(), &d));
  check_rows(d, w, 1);
  mcl_dataset_unref(d);
  put_text("x.jsonl", "{}");
  CHECK_FAILS(MCL_E_INVALID, "heading is 1", open_with("x.jsonl", o, folder_options(), &d));
  stop(NULL);
}
END_TEST

START_TEST(paths_lie_beside_the_file_or_are_absolute) {
  char text[9000];
  start(1, "pairs-paths");
  snprintf(text, sizeof text, "c.png\tone\n../a.png\ttwo\n%s\tthree\n", in("b.png"));
  mcl_dataset *d = of_text("sub/x.tsv", text);
  const wanted w[] = {{"c.png", "one", 3}, {"../a.png", "two", 1}, {in("b.png"), "three", 2}};
  check_rows(d, w, 3);
  stop(d);
}
END_TEST

START_TEST(a_file_in_the_working_directory_is_found) {
  mcl_dataset *d = NULL;
  mcl_folder_options f = folder_options();
  mcl_pairs_options o = options();
  start(1, "pairs-here");
  put_text("x.tsv", "sub/c.png\tone\n");
  ck_assert_int_eq(chdir(directory), 0);
  f.height = H, f.width = W, o.images = &f;
  CHECK_OK(mcl_dataset_create_pairs(c, "x.tsv", t, &o, NULL, &d, &err));
  const wanted w[] = {{"sub/c.png", "one", 3}};
  check_rows(d, w, 1);
  stop(d);
}
END_TEST

// ---- what is wrong, and where -------------------------------------------------------------------

START_TEST(a_bad_table_is_named_with_its_line) {
  start(1, "pairs-bad-tables");
  struct {
    const char *name, *text, *word;
  } bad[] = {
      {"x.tsv", "a.png\tone\n\nb.png\n", "x.tsv, line 3: there is a path and no caption"},
      {"x.tsv", "a.png\tone\tb\t\n", "line 1: caption 3 is empty"},
      {"x.tsv", "a.png\tone\na.png\t \r\n", "line 2: caption 1 is empty"},
      {"x.tsv", "a.png\tone\n\ttwo", "line 2: the image's path is empty"},
      {"x.tsv", "", "x.tsv has no captions"},
      {"x.tsv", "\n\r\n", "x.tsv has no captions"},
      {"x.tsv", "a.png\tone\na.png\tt\xFFwo\n", "line 2: it is not UTF-8 at byte 7"},
      {"x.tsv", "\xEF\xBB\xBF\xFF", "line 1: it is not UTF-8 at byte 0"},
      {"x.csv", "a.png,one\nb.png", "line 2: there is a path and no caption"},
      {"x.csv", "a.png,\"\"\n", "line 1: caption 1 is empty"},
      {"x.csv", "a.png,one,\"two\n\n", "line 1: a quoted field has no end"},
      {"x.csv", "a.png,\"one\ntwo\"\nb.png,\"x\n", "line 3: a quoted field has no end"},
      {"x.csv", "a.png,\"one\ntwo\" x\n", "line 2: something follows the quote"},
      {"x.csv", "a.png,\"one\"\"\n", "line 1: a quoted field has no end"},
      {"x.csv", "a.png,on\"e\n", "line 1: a quote stands in a field"},
      {"x.csv", "a.png,\"x\ny\"\nb.png, \"two\"\n", "line 3: a quote stands in a field"},
      {"x.csv", "a.png,\"one\"\r\n,two\r\n", "line 2: the image's path is empty"},
  };
  for (int i = 0; i < COUNT(bad); i++)
    check_text_fails(bad[i].name, bad[i].text, MCL_E_FORMAT, bad[i].word);
  put_bytes("x.tsv", "a.png\tone\nb\0.png\ttwo\n", 20);
  mcl_dataset *d = NULL;
  CHECK_FAILS(MCL_E_FORMAT, "line 2: there is a NUL at byte 1",
              open_with("x.tsv", options(), folder_options(), &d));
  stop(NULL);
}
END_TEST

START_TEST(bad_json_is_named_with_its_line) {
  start(1, "pairs-bad-json");
  struct {
    const char *text, *word;
  } bad[] = {
      {"{\"image\":\"a.png\",\"caption\":\"x\"}\n[]", "x.jsonl, line 2: an object was expected"},
      {"{\"caption\":\"x\"}", "line 1: there is no image"},
      {"\n{\"image\":\"a.png\"}", "line 2: there is no caption"},
      {"{\"image\":\"a.png\",\"captions\":[]}", "line 1: captions are an empty list"},
      {"{\"image\":\"a.png\",\"captions\":[\"x\",\"\"]}", "line 1: caption 2 is empty"},
      {"{\"image\":\"a.png\",\"caption\":\"\\n\"}", "line 1: caption 1 is empty"},
      {"{\"image\":\"\",\"caption\":\"x\"}", "line 1: the image's path is empty"},
      {"{\"image\":\"a.png\",\"caption\":\"\\q\"}",
       "line 1: an unknown escape stands in a string, at byte 29"},
      {"{\"image\":\"a.png\",\"caption\":\"\\ud800\"}", "half of a surrogate pair"},
      {"{\"image\":\"a.png\",\"caption\":\"\\u0000\"}", "line 1: a string holds a NUL"},
      {"{\"image\":\"a.png\",\"caption\":\"x\nx\"}", "line 1: a string has no end"},
      {"{\"image\":\"a.png\",\"caption\":7}", "line 1: a string was expected"},
      {"{\"image\":\"a.png\",\"captions\":\"x\"}", "line 1: an array was expected"},
      {"{\"image\":\"a.png\",\"image\":\"a.png\",\"caption\":\"x\"}", "line 1: image stands twice"},
      {"{\"image\":\"a.png\",\"caption\":\"x\",\"captions\":[\"y\"]}", "captions stand twice"},
      {"{\"image\":\"a.png\",\"caption\":\"x\",\"k\":[1,}", "line 1: a value was expected"},
      {"{\"image\":\"a.png\",\"caption\":\"x\"} x", "line 1: something follows the end"},
      {" \n\n", "x.jsonl has no captions"},
  };
  for (int i = 0; i < COUNT(bad); i++)
    check_text_fails("x.jsonl", bad[i].text, MCL_E_FORMAT, bad[i].word);
  stop(NULL);
}
END_TEST

START_TEST(what_is_too_long_is_refused_at_its_line) {
  static const struct {
    const char *name, *text;
  } of_20[] = {{"x.tsv", "a.png\t1\na.png\t12345678901234\n"},
               {"x.csv", "a.png,1\na.png,\"1234567\n9012\"\n"},
               {"x.jsonl", "\n{\"image\":   \"a.png\"}\n"}};
  mcl_pairs_options o = options();
  mcl_dataset *d = NULL;
  start(1, "pairs-long");
  for (int i = 0; i < COUNT(of_20); i++) {
    put_text(of_20[i].name, of_20[i].text);
    o.max_line_bytes = 19;
    CHECK_FAILS(MCL_E_LIMIT, "line 2: a record has more than 19 bytes",
                open_with(of_20[i].name, o, folder_options(), &d));
    o.max_line_bytes = 20;
    if (i < 2)
      CHECK_OK(open_with(of_20[i].name, o, folder_options(), &d));
    else
      CHECK_FAILS(MCL_E_FORMAT, "line 2: there is no caption",
                  open_with(of_20[i].name, o, folder_options(), &d));
    mcl_dataset_unref(d);
  }
  o.max_line_bytes = 1 << 20, o.max_file_bytes = 28;
  CHECK_FAILS(MCL_E_LIMIT, "x.tsv has 29 bytes", open_with("x.tsv", o, folder_options(), &d));
  stop(NULL);
}
END_TEST

START_TEST(a_long_caption_is_cut_or_refused_as_the_tokenizer_says) {
  mcl_dataset *d = NULL;
  start(1, "pairs-cut");
  put_text("x.tsv", "a.png\tcat\nb.png\tdog\ta b c d e f g h i j k l m n\n");
  d = open_pairs("x.tsv");
  const wanted w[] = {
      {"a.png", "cat", 1}, {"b.png", "dog", 2}, {"b.png", "a b c d e f g h i j k l m n", 2}};
  check_rows(d, w, 3);
  mcl_tokenizer_unref(t);
  t = tokenizer(MCL_LONG_TEXT_FAIL);
  mcl_dataset_unref(d);
  CHECK_FAILS(MCL_E_LIMIT, "x.tsv, line 2: text 2 has 16 tokens",
              open_with("x.tsv", options(), folder_options(), &d));
  stop(NULL);
}
END_TEST

// ---- images that are bad ------------------------------------------------------------------------

static const char *const with_bad = "no.png\tone\ttwo\na.png\tthree\nbad.png\tfour\n"
                                    "b.png\tfive\nno.png\tsix\n";

START_TEST(captions_of_a_bad_image_are_left_out_with_it_and_counted) {
  start(2, "pairs-skip");
  put_text("bad.png", "bad");
  mcl_dataset *d = of_text("x.tsv", with_bad);
  const wanted w[] = {{"a.png", "three", 1}, {"b.png", "five", 2}};
  check_rows(d, w, 2);
  mcl_dataset_report r = report_of(d);
  ck_assert_int_eq(r.files, 4);
  ck_assert_int_eq(r.skipped, 2);
  ck_assert_int_eq(r.captions_skipped, 4);
  ck_assert_int_eq(r.rows, 2);
  ck_assert_msg(strstr(logged, "x.tsv, line 1: no.png: cannot open") != NULL, "%s", logged);
  ck_assert_msg(strstr(logged, "x.tsv, line 3: bad.png: ") != NULL, "%s", logged);
  mcl_dataset *sub = NULL;
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){1}, 1, &sub, &err));
  ck_assert_int_eq(report_of(sub).captions_skipped, 4);
  mcl_dataset_unref(sub);
  stop(d);
}
END_TEST

START_TEST(a_bad_image_is_fatal_by_option_and_named_with_its_line) {
  mcl_dataset *d = NULL;
  mcl_folder_options f = folder_options();
  f.on_bad_file = MCL_BAD_FILE_FAIL;
  start(2, "pairs-fail");
  put_text("bad.png", "bad");
  put_text("x.tsv", with_bad);
  CHECK_FAILS(MCL_E_NOT_FOUND, "x.tsv, line 1: no.png: cannot open",
              open_with("x.tsv", options(), f, &d));
  put_text("x.tsv", "a.png\tone\n\nbad.png\ttwo\n");
  CHECK_FAILS(MCL_E_FORMAT, "x.tsv, line 3: bad.png: ", open_with("x.tsv", options(), f, &d));
  put_text("x.tsv", "bad.png\tone\nno.png\ttwo\n");
  CHECK_FAILS(MCL_E_FORMAT, "none of the 2 image files in",
              open_with("x.tsv", options(), folder_options(), &d));
  ck_assert_msg(strstr(err.message, "line 1: bad.png") != NULL, "%s", err.message);
  stop(NULL);
}
END_TEST

START_TEST(rows_that_are_not_kept_are_the_same_rows) {
  mcl_dataset *kept, *d = NULL;
  mcl_folder_options f = folder_options();
  start(2, "pairs-cache");
  kept = of_text("x.tsv", "a.png\tone\ttwo\nsub/c.png\tthree\n");
  const wanted w[] = {{"a.png", "one", 1}, {"a.png", "two", 1}, {"sub/c.png", "three", 3}};
  f.cache_bytes = 2 * ROW - 1; // two images, although there are three rows
  CHECK_OK(open_with("x.tsv", options(), f, &d));
  check_rows(d, w, 3);
  ck_assert_int_eq(report_of(d).cached, 0);
  ck_assert(mcl_dataset_fingerprint(d) == mcl_dataset_fingerprint(kept));
  mcl_dataset_unref(d);
  f.cache_bytes = 2 * ROW;
  CHECK_OK(open_with("x.tsv", options(), f, &d));
  ck_assert_int_eq(report_of(d).cached, 1);
  mcl_dataset_unref(kept);
  stop(d);
}
END_TEST

// ---- what is made of them -----------------------------------------------------------------------

START_TEST(rows_of_one_path_or_of_equal_tokens_are_the_same) {
  int64_t out[6];
  start(1, "pairs-groups");
  mcl_dataset *d = of_text("x.tsv", "b.png\tDog\na.png\tcat\tdog\n./b.png\tcat\nb.png\tcat \tx\n");
  CHECK_OK(mcl_dataset_groups(d, 0, out, 6, &err));
  ck_assert_mem_eq(out, ((int64_t[]){0, 1, 1, 3, 0, 0}), sizeof out);
  CHECK_OK(mcl_dataset_groups(d, 1, out, 6, &err));
  ck_assert_mem_eq(out, ((int64_t[]){0, 1, 0, 1, 1, 5}), sizeof out);
  stop(d);
}
END_TEST

START_TEST(wrappers_keep_paths_captions_and_groups) {
  mcl_dataset *sub = NULL, *bits = NULL;
  int64_t out[3];
  mcl_array row;
  start(1, "pairs-wrapped");
  mcl_dataset *d = of_text("x.tsv", "a.png\tone\ttwo\nsub/c.png\tthree\n");
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){2, 1, 0}, 3, &sub, &err));
  const wanted w[] = {{"sub/c.png", "three", 3}, {"a.png", "two", 1}, {"a.png", "one", 1}};
  check_rows(sub, w, 3);
  CHECK_OK(mcl_dataset_groups(sub, 0, out, 3, &err));
  ck_assert_mem_eq(out, ((int64_t[]){0, 1, 1}), sizeof out);
  CHECK_OK(mcl_dataset_create_randbits(c, sub, 3, 1, &bits, &err));
  ck_assert_str_eq(caption_of(bits, 1), "two");
  ck_assert_str_eq(name_of(bits, 0), "sub/c.png");
  CHECK_OK(mcl_dataset_shape(bits, 0, &row, &err));
  ck_assert_int_eq(row.shape[2], 6);
  ck_assert_int_eq(mcl_dataset_modalities(bits), 2);
  mcl_dataset_unref(sub), mcl_dataset_unref(bits);
  stop(d);
}
END_TEST

START_TEST(captions_are_given_by_row_where_there_are_some) {
  char text[8] = "before";
  size_t needed = 0;
  start(1, "pairs-captions");
  mcl_dataset *d = of_text("x.tsv", "a.png\tthirteen\n");
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL",
              mcl_dataset_caption(NULL, 0, text, sizeof text, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "row is 1, not 0..0",
              mcl_dataset_caption(d, 1, text, sizeof text, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "9 bytes", mcl_dataset_caption(d, 0, text, sizeof text, &needed, &err));
  ck_assert_str_eq(text, "before");
  ck_assert_int_eq(needed, 9);
  uint8_t pixels[ROW];
  mcl_dataset *images = array_of(c, pixels, 1, H, W, 3, NULL);
  CHECK_FAILS(MCL_E_NOT_FOUND, "no texts of captions",
              mcl_dataset_caption(images, 0, text, sizeof text, NULL, &err));
  mcl_dataset_unref(images);
  stop(d);
}
END_TEST

START_TEST(the_fingerprint_follows_images_captions_and_their_order) {
  static const char *const texts[] = {"a.png\tone\nb.png\ttwo\n", "b.png\ttwo\na.png\tone\n",
                                      "a.png\tone\nb.png\tone\n", "a.png\tone\na.png\ttwo\n",
                                      "a.png\tone\nb.png\ttwo\n"};
  uint64_t f[5];
  start(1, "pairs-print");
  for (int i = 0; i < 5; i++) {
    mcl_dataset *d = of_text("x.tsv", texts[i]);
    f[i] = mcl_dataset_fingerprint(d);
    mcl_dataset_unref(d);
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++) ck_assert(f[i] != f[j]);
  ck_assert(f[4] == f[0]);
  stop(NULL);
}
END_TEST

START_TEST(threads_make_no_difference) {
  enum { ROWS = 900 };
  static char text[ROWS * 40], log[sizeof logged];
  static uint8_t out[2][ROWS * ROW];
  static int32_t tokens[2][ROWS * CONTEXT];
  uint64_t fingerprint = 0;
  int64_t rows[ROWS], good = 0;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    start(threads, "pairs-threads");
    put_text("bad.png", "bad");
    text[0] = 0;
    char *to = text;
    for (int i = 0; i < ROWS; i++)
      to += sprintf(to, "%s\tcaption %d\n",
                    i % 7 == 3 ? "bad.png"
                    : i % 3    ? "a.png"
                    : i % 2    ? "./b.png"
                               : "sub/c.png",
                    i);
    mcl_dataset *d = of_text("x.tsv", text);
    good = mcl_dataset_rows(d);
    ck_assert_int_eq(good + report_of(d).captions_skipped, ROWS);
    for (int64_t i = 0; i < good; i++) rows[i] = i;
    mcl_array a = mcl_images_u8(out[threads > 1], good, H, W, 3), b;
    mcl_array_init(&b, tokens[threads > 1], MCL_I32, 2, (int64_t[]){good, CONTEXT});
    CHECK_OK(mcl_dataset_load(d, rows, good, 0, &a, &err));
    CHECK_OK(mcl_dataset_load(d, rows, good, 1, &b, &err));
    if (threads == 1) {
      fingerprint = mcl_dataset_fingerprint(d);
      memcpy(log, logged, sizeof log);
    }
    ck_assert(mcl_dataset_fingerprint(d) == fingerprint);
    ck_assert_str_eq(logged, log);
    if (threads > 1) {
      ck_assert_mem_eq(out[0], out[1], (size_t)good * ROW);
      ck_assert_mem_eq(tokens[0], tokens[1], (size_t)good * CONTEXT * 4);
    }
    stop(d);
  }
}
END_TEST

// ---- damage -------------------------------------------------------------------------------------

// Either a dataset comes out, or an error with a message: never a crash, and nothing is lost.
static void survive(const char *name, const char *text, int64_t n) {
  mcl_dataset *d = NULL;
  put_bytes(name, text, n);
  mcl_status s = open_with(name, options(), folder_options(), &d);
  if (s < 0) {
    ck_assert_ptr_null(d);
    ck_assert(err.message[0] != 0);
    ck_assert(s == MCL_E_FORMAT || s == MCL_E_NOT_FOUND || s == MCL_E_IO);
    return;
  }
  for (int64_t i = 0; i < mcl_dataset_rows(d); i++) ck_assert(strlen(caption_of(d, i)) > 0);
  mcl_dataset_unref(d);
}

static void damage(const char *name, const char *text) {
  int64_t n = (int64_t)strlen(text);
  char copy[512];
  for (int64_t cut = 0; cut < n; cut++) survive(name, text, cut);
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 7; k++) {
      memcpy(copy, text, (size_t)n);
      copy[i] = "\0\"\n\t,\\\xFF"[k];
      survive(name, copy, n);
    }
  mcli_rng r = mcli_rng_make(5, MCLI_RNG_DATA, 0, 0);
  for (int trial = 0; trial < 300; trial++) {
    memcpy(copy, text, (size_t)n);
    for (int k = 0; k < 3; k++)
      copy[mcli_rng_below(&r, (uint64_t)n)] ^= (char)(1 << mcli_rng_below(&r, 8));
    survive(name, copy, n);
  }
}

START_TEST(a_damaged_tsv_is_an_error_or_other_rows) {
  start(1, "pairs-damage-tsv");
  damage("x.tsv", "\xEF\xBB\xBF"
                  "a.png\tone\tz\xC3\xA9ro\r\n\nsub/c.png\tthree\n");
  stop(NULL);
}
END_TEST

START_TEST(a_damaged_csv_is_an_error_or_other_rows) {
  start(1, "pairs-damage-csv");
  damage("x.csv", "a.png,\"o\"\"n,e\",\"z\xC3\xA9\nro\"\r\n\n\"sub/c.png\",three");
  stop(NULL);
}
END_TEST

START_TEST(damaged_json_is_an_error_or_other_rows) {
  start(1, "pairs-damage-json");
  damage("x.jsonl", "{\"image\":\"a.png\",\"captions\":[\"o\\u00e9\",\"\\ud83d\\ude00\"]}\r\n"
                    "{\"k\":[1,{}],\"caption\":\"three\",\"image\":\"b.png\"}\n");
  stop(NULL);
}
END_TEST

// ---- arguments ----------------------------------------------------------------------------------

START_TEST(bad_options_are_named_before_the_file_is_read) {
  start(1, "pairs-options");
  mcl_dataset *d = NULL;
  mcl_pairs_options o = options();
  mcl_folder_options f = folder_options();
  ck_assert(o.images == NULL && o.max_file_bytes == INT64_C(1) << 30 &&
            o.max_line_bytes == 1 << 20 && o.format == 0 && o.heading == 0);
#define REFUSED(word, ...)                                                                         \
  o = options();                                                                                   \
  __VA_ARGS__;                                                                                     \
  CHECK_FAILS(MCL_E_INVALID, word,                                                                 \
              mcl_dataset_create_pairs(c, "/nowhere.tsv", t, &o, NULL, &d, &err));
  REFUSED("max_file_bytes is 0", o.max_file_bytes = 0);
  REFUSED("max_file_bytes", o.max_file_bytes = (INT64_C(1) << 34) + 1);
  REFUSED("max_line_bytes is 0", o.max_line_bytes = 0);
  REFUSED("max_line_bytes", o.max_line_bytes = (INT64_C(1) << 30) + 1);
  REFUSED("format is 4", o.format = 4);
  REFUSED("heading is 2", o.heading = 2);
  REFUSED("mcl_folder_options.width is 0", f.width = 0; o.images = &f);
  REFUSED("mcl_pairs_options", o.struct_size = 0);
  CHECK_FAILS(MCL_E_INVALID, "context is NULL",
              mcl_dataset_create_pairs(NULL, "x.tsv", t, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "path is NULL",
              mcl_dataset_create_pairs(c, NULL, t, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL",
              mcl_dataset_create_pairs(c, "x.tsv", t, NULL, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "/nowhere.tsv",
              mcl_dataset_create_pairs(c, "/nowhere.tsv", t, NULL, NULL, &d, &err));
  stop(NULL);
}
END_TEST

static int32_t cancel(void *user, const mcl_progress *p) {
  (void)user;
  return strcmp(p->phase, "decode") == 0;
}

START_TEST(the_monitor_can_cancel) {
  mcl_dataset *d = NULL;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.progress = cancel;
  start(1, "pairs-cancel");
  put_text("x.tsv", "a.png\tone\n");
  CHECK_FAILS(MCL_E_CANCELLED, "decode",
              mcl_dataset_create_pairs(c, in("x.tsv"), t, NULL, &m, &d, &err));
  ck_assert_ptr_null(d);
  stop(NULL);
}
END_TEST

RUN_TESTS("dataset", a_row_is_one_caption_of_one_image,
          line_ends_marks_and_empty_lines_make_no_difference, csv_is_quoted_as_rfc_4180_says,
          json_lines_hold_one_caption_or_several_and_other_members,
          the_format_follows_from_the_name_or_the_option,
          a_heading_is_passed_over_where_it_is_said_to_be_there,
          paths_lie_beside_the_file_or_are_absolute, a_file_in_the_working_directory_is_found,
          a_bad_table_is_named_with_its_line, bad_json_is_named_with_its_line,
          what_is_too_long_is_refused_at_its_line,
          a_long_caption_is_cut_or_refused_as_the_tokenizer_says,
          captions_of_a_bad_image_are_left_out_with_it_and_counted,
          a_bad_image_is_fatal_by_option_and_named_with_its_line,
          rows_that_are_not_kept_are_the_same_rows,
          rows_of_one_path_or_of_equal_tokens_are_the_same, wrappers_keep_paths_captions_and_groups,
          captions_are_given_by_row_where_there_are_some,
          the_fingerprint_follows_images_captions_and_their_order, threads_make_no_difference,
          a_damaged_tsv_is_an_error_or_other_rows, a_damaged_csv_is_an_error_or_other_rows,
          damaged_json_is_an_error_or_other_rows, bad_options_are_named_before_the_file_is_read,
          the_monitor_can_cancel)
