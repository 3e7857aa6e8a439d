// Pair accuracy the whole way: from a folder laid out as MMVP-VLM's through an integrator of two stages to a table with a line a
// category.
#include "probe/common.h"

#include <stdio.h>

#include <libmcl/dataset.h>
#include <libmcl/image.h>
#include <libmcl/integrator.h>
#include <libmcl/tokenizer.h>

#include "base/file.h"

static mcl_error err;
static mcl_context *c;
static mcl_tokenizer *words;
static char directory[4096];

enum { SIDE = 6, ROW = SIDE * SIDE * 3, CONTEXT = 16, ROWS = 8 };

// ---- files -----------------------------------------------------------------------------------------------

static const char *in(const char *name) {
  static char path[8300];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

// All of one colour; or white dots on black. PNG under any name, which the decoder does not look at, so that no colour is lost.
static void put_image(const char *name, int red, int green, int dots) {
  uint8_t x[ROW] = {0};
  mcl_array a;
  for (int i = 0; i < SIDE * SIDE; i++) {
    x[3 * i] = (uint8_t)red, x[3 * i + 1] = (uint8_t)green;
    if (i % 8 == 0 && i / 8 < dots) x[3 * i] = x[3 * i + 1] = x[3 * i + 2] = 255;
  }
  mcl_array_init(&a, x, MCL_U8, 3, (int64_t[]){SIDE, SIDE, 3});
  CHECK_OK(mcl_image_write_png(c, in(name), &a, &err));
}

// Each pair is two records, one after the other.
static void put_files(void) {
  static const char *const questions = "Question ID,Type,Statement\n"
                                       "1,Color and Appearance,a red wall\n"
                                       "2,Color and Appearance,a green wall\n"
                                       "3,Quantity and Count,\"one dot, white\"\n"
                                       "4,Quantity and Count,\"two dots, white\"\n"
                                       "5,Color and Appearance,a green sky\n"
                                       "6,Color and Appearance,a red sky\n"
                                       "7,Quantity and Count,two stars\n"
                                       "8,Quantity and Count,one star\n";
  CHECK_OK(mcli_directory_make(c, in("MLLM_VLM Images/Color and Appearance"), &err));
  CHECK_OK(mcli_directory_make(c, in("MLLM_VLM Images/Quantity and Count"), &err));
  put_image("MLLM_VLM Images/Color and Appearance/1.jpg", 200, 0, 0);
  put_image("MLLM_VLM Images/Color and Appearance/2.jpg", 0, 200, 0);
  put_image("MLLM_VLM Images/Quantity and Count/3.jpg", 0, 0, 1);
  put_image("MLLM_VLM Images/Quantity and Count/4.jpg", 0, 0, 2);
  put_image("MLLM_VLM Images/Color and Appearance/5.jpg", 20, 90, 0);
  put_image("MLLM_VLM Images/Color and Appearance/6.jpg", 90, 20, 0);
  put_image("MLLM_VLM Images/Quantity and Count/7.jpg", 0, 0, 2);
  put_image("MLLM_VLM Images/Quantity and Count/8.jpg", 0, 0, 1);
  CHECK_OK(
      mcli_file_write_all(c, in("Questions.csv"), questions, (int64_t)strlen(questions), &err));
}

// ---- stages: one knows colours, the other counts ---------------------------------------------------------

static void see(const uint8_t *x, int stage, float *y) {
  int dots = 0;
  y[0] = y[1] = 0;
  for (int i = 0; i < SIDE * SIDE; i++) {
    dots += x[3 * i + 2] == 255;
    if (stage == 0) y[0] += (float)x[3 * i], y[1] += (float)x[3 * i + 1];
  }
  if (stage == 1 && dots > 0) y[dots - 1] = 1;
}

static void read(const char *text, int stage, float *y) {
  static const char *const known[2][2] = {{"red", "green"}, {"one", "two"}};
  for (int i = 0; i < 2; i++) y[i] = strstr(text, known[stage][i]) ? 1 : 0;
  if (stage == 0 && y[0] == y[1]) y[0] = y[1] = 1; // no colour is said
}

static int stages[2] = {0, 1};

static mcl_status embed(void *user, const mcl_inputs *inputs, const mcl_array *out, mcl_error *e) {
  int stage = *(int *)user;
  for (int64_t i = 0; i < inputs->n; i++) {
    float *y = (float *)out->data + 2 * i;
    char text[200];
    if (inputs->modality == 0) {
      see((const uint8_t *)inputs->data->data + i * ROW, stage, y);
      continue;
    }
    const int32_t *row = (const int32_t *)inputs->data->data + i * CONTEXT;
    mcl_status s = mcl_tokenizer_decode(words, row, CONTEXT, text, sizeof text, NULL, e);
    if (s < 0) return s;
    read(text, stage, y);
  }
  return mcl_ok(e);
}

static mcl_integrator *both_stages(void) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  for (int s = 0; s < 2; s++) {
    mcl_host_encoder table;
    mcl_encoder *e = NULL;
    mcl_struct_init(&table, sizeof table);
    table.user = &stages[s], table.dim = 2, table.modalities = 2, table.embed = embed;
    CHECK_OK(mcl_encoder_create_host(c, &table, &e, &err));
    CHECK_OK(mcl_integrator_add_stage(g, e, 0, 1 + s, &err));
    mcl_encoder_unref(e);
  }
  return g;
}

// ---- the table -------------------------------------------------------------------------------------------

enum { CATEGORIES = 8 };
typedef struct table {
  char names[CATEGORIES][64];
  int32_t n, category[ROWS / 2];
  mcl_probe_result results[1 + CATEGORIES];
} table;

static void find_categories(const mcl_dataset *d, table *t) {
  mcl_dataset_report r;
  int32_t labels[ROWS];
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_dataset_get_report(d, &r, &err));
  CHECK_OK(mcl_dataset_labels(d, labels, ROWS, &err));
  t->n = r.classes;
  for (int64_t p = 0; p < ROWS / 2; p++) t->category[p] = labels[2 * p];
  for (int32_t k = 0; k < t->n; k++)
    CHECK_OK(mcl_dataset_class_name(d, k, t->names[k], sizeof t->names[k], NULL, &err));
}

static void embed_rows(mcl_dataset *d, mcl_integrator *g, int32_t modality, float *z) {
  int64_t rows[ROWS], shape[4] = {ROWS, SIDE, SIDE, 3}, tokens[2] = {ROWS, CONTEXT};
  static uint8_t images[ROWS * ROW];
  static int32_t texts[ROWS * CONTEXT];
  mcl_array data, out = mcl_matrix_f32(z, ROWS, mcl_integrator_dim(g));
  mcl_inputs inputs;
  for (int i = 0; i < ROWS; i++) rows[i] = i;
  if (modality == 0) mcl_array_init(&data, images, MCL_U8, 4, shape);
  if (modality == 1) mcl_array_init(&data, texts, MCL_I32, 2, tokens);
  mcl_struct_init(&inputs, sizeof inputs);
  inputs.indices = rows, inputs.n = ROWS, inputs.data = &data;
  inputs.modality = modality, inputs.view = -1;
  CHECK_OK(mcl_dataset_load(d, rows, ROWS, modality, &data, &err));
  CHECK_OK(mcl_integrator_embed(g, &inputs, &out, &err));
}

static void make_table(mcl_dataset *d, mcl_integrator *g, table *t) {
  float images[ROWS * 4], texts[ROWS * 4];
  mcl_array a = mcl_matrix_f32(images, ROWS, mcl_integrator_dim(g));
  mcl_array b = mcl_matrix_f32(texts, ROWS, mcl_integrator_dim(g));
  embed_rows(d, g, 0, images);
  embed_rows(d, g, 1, texts);
  find_categories(d, t);
  for (int i = 0; i <= t->n; i++) t->results[i] = new_result();
  CHECK_OK(mcl_probe_pairs(c, NULL, &a, &b, t->category, t->results, t->n, &err));
}

START_TEST(what_a_stage_knows_shows_in_its_category) {
  c = test_context(2);
  snprintf(directory, sizeof directory, "%s", test_directory("pair-files"));
  put_files();
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = CONTEXT, o.vocabulary = 600, o.min_count = 1;
  const char *texts[] = {"a photo of a red wall", "green sky one two dots stars white"};
  CHECK_OK(mcl_tokenizer_create(c, &o, texts, 2, NULL, &words, &err));
  mcl_pairs_options pairs;
  mcl_folder_options images;
  mcl_dataset *d = NULL;
  mcl_pairs_options_init(&pairs, sizeof pairs);
  mcl_folder_options_init(&images, sizeof images);
  images.height = images.width = SIDE;
  pairs.images = &images;
  CHECK_OK(mcl_dataset_create_questions(c, directory, words, &pairs, NULL, &d, &err));
  ck_assert_int_eq(mcl_dataset_rows(d), ROWS);

  mcl_integrator *g = both_stages(), *first = NULL;
  CHECK_OK(mcl_integrator_view(g, &(int32_t){0}, 1, &first, &err));
  table before, after;
  make_table(d, first, &before);
  make_table(d, g, &after);
  ck_assert_int_eq(after.n, 2);
  ck_assert_str_eq(after.names[0], "Color and Appearance");
  ck_assert_str_eq(after.names[1], "Quantity and Count");
  const int64_t right[2][3] = {{2, 2, 0}, {4, 2, 2}};
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(before.results[i].correct, right[0][i]);
    ck_assert_int_eq(after.results[i].correct, right[1][i]);
    ck_assert_int_eq(after.results[i].total, i == 0 ? 4 : 2);
  }
  // Wilson's interval at .95: z^2 = 3.8415, so 2 of 2 give 2 / (2 + z^2) .. 1.
  ck_assert_double_eq_tol(after.results[2].low, 2 / (2 + 3.841459), 1e-6);
  ck_assert_double_eq(after.results[2].high, 1);
  mcl_integrator_unref(first);
  mcl_integrator_unref(g);
  mcl_dataset_unref(d);
  mcl_tokenizer_unref(words);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("probe", what_a_stage_knows_shows_in_its_category)
