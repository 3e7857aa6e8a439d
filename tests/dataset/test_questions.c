// Questions in pairs: a file of one's own, and MMVP-VLM's folder. The way from here to a table of
// pair accuracies by category is in tests/probe/test_pair_files.c.
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "dataset/data.h"
#include "dataset/texts.h"

static mcl_context *c;
static mcl_error err;
static char directory[4096];
static mcl_tokenizer *t;

enum { H = 4, W = 5, ROW = H * W * 3, CONTEXT = 12, MOST_ROWS = 8 };

// ---- files --------------------------------------------------------------------------------------

static const char *in(const char *name) {
  static char path[4][8300];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

// A PNG, whatever the name says: what a file is shows in its first bytes.
static void put_image(const char *name, uint64_t seed) {
  uint8_t pixels[ROW];
  mcl_array a;
  fill_bytes(pixels, ROW, seed);
  mcl_array_init(&a, pixels, MCL_U8, 3, (int64_t[]){H, W, 3});
  CHECK_OK(mcl_image_write_png(c, in(name), &a, &err));
}

// Without mcli_file_write_all()'s wait for the disk: the tests of damage write hundreds.
static void put_bytes(const char *name, const char *text, int64_t n) {
  FILE *file = fopen(in(name), "wb");
  ck_assert(file != NULL && fwrite(text, 1, (size_t)n, file) == (size_t)n);
  ck_assert_int_eq(fclose(file), 0);
}

static void put_text(const char *name, const char *text) {
  put_bytes(name, text, (int64_t)strlen(text));
}

static const char *const mmvp = "Question ID,Type,Statement\r\n"
                                "1,Texts,one word\r\n"
                                "2,Texts,\"two words, no more\"\r\n"
                                "3,Quantity and Count,a dog\r\n"
                                "4,Quantity and Count,two dogs\r\n"
                                "11,Texts,a word\r\n"
                                "10,Texts,the word\r\n";

// Images a.png .. d.png of seeds 1 .. 4; a folder of MMVP-VLM's layout, each image of its ID.
static void start(uint32_t threads, const char *name) {
  static const char *const texts[] = {"a red dog", "two cats", "a photo of a dog and the cat"};
  static const int ids[] = {1, 2, 3, 4, 10, 11};
  mcl_tokenizer_options o = token_options(CONTEXT);
  char file[100];
  c = test_context(threads);
  snprintf(directory, sizeof directory, "%s", test_directory(name));
  for (int i = 0; i < 4; i++) {
    snprintf(file, sizeof file, "%c.png", 'a' + i);
    put_image(file, (uint64_t)i + 1);
  }
  CHECK_OK(mcli_directory_make(c, in("mmvp/MLLM_VLM Images/Texts"), &err));
  CHECK_OK(mcli_directory_make(c, in("mmvp/MLLM_VLM Images/Quantity and Count"), &err));
  for (int i = 0; i < COUNT(ids); i++) {
    snprintf(file, sizeof file, "mmvp/MLLM_VLM Images/%s/%d.jpg",
             ids[i] == 3 || ids[i] == 4 ? "Quantity and Count" : "Texts", ids[i]);
    put_image(file, (uint64_t)ids[i]);
  }
  put_text("mmvp/Questions.csv", mmvp);
  o.vocabulary = 530;
  t = NULL;
  CHECK_OK(mcl_tokenizer_create(c, &o, texts, 3, NULL, &t, &err));
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}

static mcl_pairs_options options(void) {
  mcl_pairs_options o;
  mcl_pairs_options_init(&o, sizeof o);
  return o;
}

// Images at their own size, and bad ones to be left out, which has no part here.
static mcl_status open_with(const char *name, mcl_pairs_options o, mcl_dataset **out) {
  mcl_folder_options f;
  mcl_folder_options_init(&f, sizeof f);
  f.height = H, f.width = W, f.on_bad_file = MCL_BAD_FILE_SKIP;
  o.images = &f;
  *out = NULL;
  return mcl_dataset_create_questions(c, in(name), t, &o, NULL, out, &err);
}

static mcl_dataset *open_questions(const char *name) {
  mcl_dataset *d = NULL;
  CHECK_OK(open_with(name, options(), &d));
  return d;
}

static mcl_dataset *of_text(const char *name, const char *text) {
  put_text(name, text);
  return open_questions(name);
}

static void check_text_fails(const char *file, const char *text, const char *open,
                             mcl_status status, const char *word) {
  mcl_dataset *d = NULL;
  put_text(file, text);
  mcl_status s = open_with(open, options(), &d);
  ck_assert_msg(s == status && strstr(err.message, word), "%s: %s, not '%s'", text,
                s == MCL_OK ? "accepted" : err.message, word);
  ck_assert_ptr_null(d);
}

// ---- rows ---------------------------------------------------------------------------------------

typedef struct wanted {
  const char *name, *caption;
  uint64_t seed;
  int32_t label;
} wanted;

static void check_row(mcl_dataset *d, int64_t i, const wanted *w) {
  uint8_t pixels[ROW], want[ROW];
  int32_t tokens[CONTEXT], ids[CONTEXT];
  char caption[200];
  mcl_array a = mcl_images_u8(pixels, 1, H, W, 3), b;
  mcl_array_init(&b, tokens, MCL_I32, 2, (int64_t[]){1, CONTEXT});
  CHECK_OK(mcl_dataset_caption(d, i, caption, sizeof caption, NULL, &err));
  ck_assert_str_eq(name_of(d, i), w->name);
  ck_assert_str_eq(caption, w->caption);
  CHECK_OK(mcl_dataset_load(d, &i, 1, 0, &a, &err));
  CHECK_OK(mcl_dataset_load(d, &i, 1, 1, &b, &err));
  fill_bytes(want, ROW, w->seed);
  ck_assert_mem_eq(pixels, want, ROW);
  CHECK_OK(mcl_tokenizer_encode(t, &w->caption, 1, ids, NULL, &err));
  ck_assert_mem_eq(tokens, ids, sizeof ids);
}

// Names, captions, pixels, tokens and, unless it is negative, the label of all rows.
static void check_rows(mcl_dataset *d, const wanted *w, int64_t n) {
  int32_t labels[MOST_ROWS];
  ck_assert_int_eq(mcl_dataset_rows(d), n);
  ck_assert_int_eq(mcl_dataset_modalities(d), 2);
  for (int64_t i = 0; i < n; i++) check_row(d, i, &w[i]);
  if (w[0].label < 0) {
    CHECK_FAILS(MCL_E_NOT_FOUND, "no labels", mcl_dataset_labels(d, labels, MOST_ROWS, &err));
    return;
  }
  CHECK_OK(mcl_dataset_labels(d, labels, MOST_ROWS, &err));
  for (int64_t i = 0; i < n; i++) ck_assert_int_eq(labels[i], w[i].label);
}

START_TEST(a_record_is_two_rows_with_their_category) {
  static const wanted w[] = {{"b.png", "a dog", 2, 0}, {"a.png", "two dogs", 1, 0},
                             {"c.png", "a cat", 3, 1}, {"d.png", "two, cats", 4, 1},
                             {"a.png", "x", 1, 0},     {"c.png", "y", 3, 0}};
  static const char *const files[][2] = {
      {"x.csv", "b.png,a.png,a dog,two dogs,number\n\nc.png,d.png,a cat,\"two, cats\",a kind\r\n"
                "a.png,c.png,x,y,number"},
      {"x.tsv", "b.png\ta.png\ta dog\ttwo dogs\tnumber\n"
                "c.png\td.png\ta cat\ttwo, cats\ta kind\na.png\tc.png\tx\ty\tnumber\n"}};
  start(2, "questions-own");
  for (int i = 0; i < 2; i++) {
    mcl_dataset *d = of_text(files[i][0], files[i][1]);
    check_rows(d, w, COUNT(w));
    ck_assert_int_eq(report_of(d).classes, 2);
    ck_assert_int_eq(report_of(d).files, 4); // each image is decoded once
    ck_assert_str_eq(class_of(d, 0), "number");
    ck_assert_str_eq(class_of(d, 1), "a kind");
    mcl_dataset_unref(d);
  }
  stop(NULL);
}
END_TEST

START_TEST(without_categories_there_are_no_labels) {
  static const wanted w[] = {{"b.png", "a dog", 2, -1}, {"a.png", "two dogs", 1, -1}};
  start(1, "questions-bare");
  mcl_dataset *d = of_text("x.csv", "b.png,a.png,a dog,two dogs\n");
  check_rows(d, w, 2);
  ck_assert_int_eq(report_of(d).classes, 0);
  stop(d);
}
END_TEST

START_TEST(a_heading_is_passed_over_where_it_is_said_to_be_there) {
  static const wanted w[] = {{"b.png", "a dog", 2, 0}, {"a.png", "two dogs", 1, 0}};
  mcl_pairs_options o = options();
  mcl_dataset *d;
  start(1, "questions-heading");
  put_text("x.csv", "A,B,\"of\nA\"\nb.png,a.png,a dog,two dogs,k\n");
  o.heading = 1;
  CHECK_OK(open_with("x.csv", o, &d));
  check_rows(d, w, 2);
  mcl_dataset_unref(d);
  put_text("x.csv", "A,B,of A,of B,category\n");
  CHECK_FAILS(MCL_E_FORMAT, "x.csv has no questions", open_with("x.csv", o, &d));
  stop(NULL);
}
END_TEST

static const wanted of_mmvp[] = {
    {"MLLM_VLM Images/Texts/1.jpg", "a photo of one word", 1, 0},
    {"MLLM_VLM Images/Texts/2.jpg", "a photo of two words, no more", 2, 0},
    {"MLLM_VLM Images/Quantity and Count/3.jpg", "a photo of a dog", 3, 1},
    {"MLLM_VLM Images/Quantity and Count/4.jpg", "a photo of two dogs", 4, 1},
    {"MLLM_VLM Images/Texts/11.jpg", "a photo of a word", 11, 0},
    {"MLLM_VLM Images/Texts/10.jpg", "a photo of the word", 10, 0}};

START_TEST(mmvps_folder_is_read_as_its_authors_read_it) {
  mcl_pairs_options o = options();
  mcl_dataset *d;
  start(2, "questions-mmvp");
  for (int i = 0; i < 3; i++) { // the heading is there whatever the options say, and it is a CSV
    o.heading = i % 2, o.format = i == 2 ? MCL_PAIRS_JSON_LINES : MCL_PAIRS_BY_NAME;
    CHECK_OK(open_with("mmvp", o, &d));
    check_rows(d, of_mmvp, COUNT(of_mmvp));
    ck_assert_int_eq(report_of(d).classes, 2);
    ck_assert_str_eq(class_of(d, 0), "Texts");
    ck_assert_str_eq(class_of(d, 1), "Quantity and Count");
    mcl_dataset_unref(d);
  }
  mcl_dataset_unref(open_questions("mmvp/"));
  stop(NULL);
}
END_TEST

START_TEST(rows_are_those_of_the_same_pairs) {
  mcl_dataset *pairs = NULL, *sub = NULL;
  mcl_pairs_options o = options();
  mcl_folder_options f;
  char text[1000] = "";
  start(1, "questions-pairs");
  for (int i = 0; i < COUNT(of_mmvp); i++)
    sprintf(text + strlen(text), "%s\t%s\n", of_mmvp[i].name, of_mmvp[i].caption);
  put_text("mmvp/x.tsv", text);
  mcl_folder_options_init(&f, sizeof f);
  f.height = H, f.width = W, o.images = &f;
  CHECK_OK(mcl_dataset_create_pairs(c, in("mmvp/x.tsv"), t, &o, NULL, &pairs, &err));
  mcl_dataset *d = open_questions("mmvp");
  ck_assert(mcl_dataset_fingerprint(d) == mcl_dataset_fingerprint(pairs));
  // Labels and their names come along where rows are picked, as one category's.
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){2, 3}, 2, &sub, &err));
  check_rows(sub, of_mmvp + 2, 2);
  ck_assert_str_eq(class_of(sub, 1), "Quantity and Count");
  mcl_dataset_unref(sub);
  mcl_dataset_unref(pairs);
  stop(d);
}
END_TEST

// ---- what is wrong, and where -------------------------------------------------------------------

START_TEST(a_bad_record_is_named_with_its_line) {
  static const struct {
    const char *text, *word;
  } bad[] = {
      {"", "x.csv has no questions"},
      {"\n\n", "x.csv has no questions"},
      {"a.png,b.png,x,y\n\na.png,b.png,x\n", "x.csv, line 3: there are 3 fields, not two images"},
      {"a.png,b.png,x,y,k,z,z\n", "line 1: there are 7 fields"},
      {"a.png,b.png,x,y,k\na.png,b.png,x,y\n", "line 2: there is no category, unlike in line 1"},
      {"\na.png,b.png,x,y\na.png,b.png,x,y,k\n", "line 3: there is a category, unlike in line 2"},
      {"a.png,b.png,x,y,\n", "line 1: the category is empty"},
      {"a.png,b.png,x,\"x\ny\",k\n ,b.png,x,y,k\n", "line 3: the image's path is empty"},
      {"a.png,b.png,x,y,k\na.png,\"\",x,y,k\n", "line 2: the image's path is empty"},
      {"a.png,b.png, ,y,k\n", "line 1: caption 1 is empty"},
      {"a.png,b.png,x,,k\n", "line 1: caption 2 is empty"},
      {"a.png,b.png,x,y,k\na.png,b.png,x,\"y", "line 2: a quoted field has no end"},
      {"a.png,b.png,x,y,k\nb.png,a.png,x,y,\xFF", "line 2: it is not UTF-8 at byte 16"},
  };
  start(1, "questions-bad");
  for (int i = 0; i < COUNT(bad); i++)
    check_text_fails("x.csv", bad[i].text, "x.csv", MCL_E_FORMAT, bad[i].word);
  stop(NULL);
}
END_TEST

START_TEST(a_bad_question_of_mmvp_is_named_with_its_line) {
#define HEADING "Question ID,Type,Statement\n"
  static const struct {
    const char *text, *word;
  } bad[] = {
      {"", "Questions.csv has no questions"},
      {HEADING, "Questions.csv has no questions"},
      {"1,Texts,one\n2,Texts,two\n", "Questions.csv, line 1: the heading is not Question ID, Type"},
      {"Question ID,Type\n", "line 1: the heading is not"},
      {"Question ID,Type,Statement,More\n", "line 1: the heading is not"},
      {HEADING "1,Texts,x\n2,Texts,y\n3,Quantity and Count,z\n",
       "line 4: the pair is cut in half: no second question follows"},
      {HEADING "1,Texts,x\n\n3,Quantity and Count,z\n",
       "line 4: the pair is cut in half: its first question, in line 2, is of another type"},
      {HEADING "1,Texts,x\n2,Texts\n", "line 3: there are 2 fields, not Question ID, Type"},
      {HEADING "1,Texts,x,y\n2,Texts,y\n", "line 2: there are 4 fields"},
      {HEADING "1,Texts,x\n2b,Texts,y\n", "line 3: the Question ID is no number"},
      {HEADING ",Texts,x\n2,Texts,y\n", "line 2: the Question ID is no number"},
      {HEADING "1,,x\n2,,y\n", "line 2: the category is empty"},
      {HEADING "1,Texts,x\n2,Texts, \n", "line 3: caption 1 is empty"},
  };
  start(1, "questions-bad-mmvp");
  for (int i = 0; i < COUNT(bad); i++)
    check_text_fails("mmvp/Questions.csv", bad[i].text, "mmvp", MCL_E_FORMAT, bad[i].word);
  check_text_fails("mmvp/Questions.csv", HEADING "1,Texts,x\n2,Texts,y\n1,Color,x\n2,Color,y\n",
                   "mmvp", MCL_E_NOT_FOUND,
                   "Questions.csv, line 4: there is no folder MLLM_VLM Images/Color");
  CHECK_OK(mcli_file_remove(in("mmvp/Questions.csv"), &err));
  mcl_dataset *d;
  CHECK_FAILS(MCL_E_NOT_FOUND, "mmvp/Questions.csv", open_with("mmvp", options(), &d));
  stop(NULL);
}
END_TEST

START_TEST(a_bad_image_is_fatal_whatever_the_options_say) {
  start(2, "questions-images");
  put_text("bad.png", "bad");
  check_text_fails("x.csv", "a.png,b.png,x,y,k\na.png,no.png,x,y,k\n", "x.csv", MCL_E_NOT_FOUND,
                   "x.csv, line 2: no.png: cannot open");
  check_text_fails("x.csv", "a.png,b.png,x,y,k\n\nbad.png,a.png,x,y,k\n", "x.csv", MCL_E_FORMAT,
                   "x.csv, line 3: bad.png: ");
  check_text_fails("mmvp/Questions.csv", HEADING "1,Texts,x\n7,Texts,y\n", "mmvp", MCL_E_NOT_FOUND,
                   "Questions.csv, line 3: MLLM_VLM Images/Texts/7.jpg: cannot open");
  stop(NULL);
}
END_TEST

START_TEST(threads_make_no_difference) {
  uint64_t fingerprint = 0;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    start(threads, "questions-threads");
    mcl_dataset *d = open_questions("mmvp");
    check_rows(d, of_mmvp, COUNT(of_mmvp));
    if (threads > 1) ck_assert(mcl_dataset_fingerprint(d) == fingerprint);
    fingerprint = mcl_dataset_fingerprint(d);
    stop(d);
  }
}
END_TEST

// ---- damage -------------------------------------------------------------------------------------

// Either whole pairs of one category come out, or an error with a message.
static void survive(const char *file, const char *text, int64_t n, const char *open) {
  int32_t labels[32];
  mcl_dataset *d = NULL;
  put_bytes(file, text, n);
  mcl_status s = open_with(open, options(), &d);
  if (s < 0) {
    ck_assert_ptr_null(d);
    ck_assert(err.message[0] != 0);
    ck_assert(s == MCL_E_FORMAT || s == MCL_E_NOT_FOUND || s == MCL_E_IO);
    return;
  }
  int64_t rows = mcl_dataset_rows(d);
  ck_assert(rows > 0 && rows % 2 == 0);
  if (report_of(d).classes > 0) {
    CHECK_OK(mcl_dataset_labels(d, labels, COUNT(labels), &err));
    for (int64_t i = 0; i < rows; i++) {
      ck_assert_int_eq(labels[i], labels[i - i % 2]);
      ck_assert(strlen(class_of(d, labels[i])) > 0);
    }
  }
  mcl_dataset_unref(d);
}

static void damage(const char *file, const char *text, const char *open) {
  int64_t n = (int64_t)strlen(text);
  char copy[512];
  for (int64_t cut = 0; cut < n; cut++) survive(file, text, cut, open);
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 5; k++) {
      memcpy(copy, text, (size_t)n);
      copy[i] = "\0\"\n,\xFF"[k];
      survive(file, copy, n, open);
    }
  mcli_rng r = mcli_rng_make(6, MCLI_RNG_DATA, 0, 0);
  for (int trial = 0; trial < 200; trial++) {
    memcpy(copy, text, (size_t)n);
    for (int k = 0; k < 3; k++)
      copy[mcli_rng_below(&r, (uint64_t)n)] ^= (char)(1 << mcli_rng_below(&r, 8));
    survive(file, copy, n, open);
  }
}

START_TEST(a_damaged_file_is_an_error_or_other_pairs) {
  start(1, "questions-damage");
  damage("x.csv", "a.png,b.png,one,\"t\"\"w,o\",k\r\n\nc.png,a.png,x,y,\"l\"\n", "x.csv");
  damage("mmvp/Questions.csv",
         HEADING "1,Texts,x\n2,Texts,\"y\"\n3,Quantity and Count,z\n"
                 "4,Quantity and Count,z\n",
         "mmvp");
  stop(NULL);
}
END_TEST

START_TEST(without_a_tokenizer_captions_are_texts_alone) {
  mcl_dataset *d = NULL;
  mcl_pairs_options o = options();
  char text[64];
  start(1, "questions-texts");
  CHECK_OK(mcl_dataset_create_questions(c, in("mmvp"), NULL, &o, NULL, &d, &err));
  ck_assert_int_eq(mcl_dataset_modalities(d), 1);
  CHECK_OK(mcl_dataset_caption(d, 0, text, sizeof text, NULL, &err));
  ck_assert_str_eq(text, "a photo of one word");
  stop(d);
}
END_TEST

// ---- arguments ----------------------------------------------------------------------------------

START_TEST(bad_arguments_are_named) {
  mcl_dataset *d = NULL;
  mcl_pairs_options o = options();
  start(1, "questions-arguments");
  CHECK_FAILS(MCL_E_INVALID, "context is NULL",
              mcl_dataset_create_questions(NULL, "x.csv", t, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "path is NULL",
              mcl_dataset_create_questions(c, NULL, t, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL",
              mcl_dataset_create_questions(c, in("mmvp"), t, NULL, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "/nowhere.csv",
              mcl_dataset_create_questions(c, "/nowhere.csv", t, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "x.jsonl is read as JSON lines",
              mcl_dataset_create_questions(c, "x.jsonl", t, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "ends in no name of a format",
              mcl_dataset_create_questions(c, "/nowhere", t, NULL, NULL, &d, &err));
  o.heading = 2;
  CHECK_FAILS(MCL_E_INVALID, "heading is 2",
              mcl_dataset_create_questions(c, in("mmvp"), t, &o, NULL, &d, &err));
  ck_assert_ptr_null(d);
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
  start(1, "questions-cancel");
  CHECK_FAILS(MCL_E_CANCELLED, "decode",
              mcl_dataset_create_questions(c, in("mmvp"), t, NULL, &m, &d, &err));
  ck_assert_ptr_null(d);
  stop(NULL);
}
END_TEST

RUN_TESTS("dataset", without_a_tokenizer_captions_are_texts_alone,
          a_record_is_two_rows_with_their_category, without_categories_there_are_no_labels,
          a_heading_is_passed_over_where_it_is_said_to_be_there,
          mmvps_folder_is_read_as_its_authors_read_it, rows_are_those_of_the_same_pairs,
          a_bad_record_is_named_with_its_line, a_bad_question_of_mmvp_is_named_with_its_line,
          a_bad_image_is_fatal_whatever_the_options_say, threads_make_no_difference,
          a_damaged_file_is_an_error_or_other_pairs, bad_arguments_are_named,
          the_monitor_can_cancel)
