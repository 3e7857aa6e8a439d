// make_clip DIR: a tiny CLIP with random weights, its tokenizer, and images to ask it about.
//   DIR/clip.safetensors, vocab.json, merges.txt
//   DIR/mmvp/                    laid out as MMVP-VLM's
//   DIR/pairs.tsv, few.tsv       images with captions, all and three
//   DIR/small.json, small.txt    a tokenizer of another model
//   DIR/expected                 "image 3 2 1": of all pairs, and of each category, those whose images both find their caption;
//                                "caption ...": whose captions both find their image; one image and one text at a time
#define CLIP_VOCABULARY 530
#include "encoder/clip_file.h"

#include <sys/stat.h>

#include <libmcl/image.h>
#include <libmcl/tokenizer.h>

enum { PAIRS = 12, TRAINED = 40, CATEGORIES = 2 };

static mcl_context *context;
static const char *folder;

static const char *in(const char *name) {
  static char path[4200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static FILE *begin(const char *name) {
  FILE *f = fopen(in(name), "w");
  ck_assert_ptr_nonnull(f);
  return f;
}

static void draw(uint8_t *x, int i) {
  for (int p = 0; p < SIDE * SIDE; p++)
    for (int c = 0; c < 3; c++)
      x[3 * p + c] = (uint8_t)((p / (1 + i % 7) + p / SIDE / (1 + i % 5)) % 2 * 120 +
                               (i * 37 + c * 50 + p) % 130);
}

static void put_image(const char *name, int i) {
  static uint8_t x[SIDE * SIDE * 3];
  mcl_array a = mcl_images_u8(x, 1, SIDE, SIDE, 3);
  mcl_array_init(&a, x, MCL_U8, 3, (int64_t[]){SIDE, SIDE, 3});
  draw(x, i);
  CHECK_OK(mcl_image_write_png(context, in(name), &a, &err));
}

static const char *statement(int i) {
  static char text[80];
  static const char *const ends[] = {"bright", "dark", "left", "right", "near", "far", "big"};
  snprintf(text, sizeof text, "%s %d", ends[i % 7], i);
  return text;
}

// ---- the model and its words ---------------------------------------------------------------------------

static mcl_tokenizer *make_tokenizer(int32_t vocabulary, const char *vocab, const char *merges) {
  static char lines[TRAINED][120];
  const char *texts[TRAINED];
  char where[4200];
  mcl_tokenizer *t = NULL;
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.vocabulary = vocabulary, o.context = CONTEXT;
  for (int i = 0; i < TRAINED; i++) {
    snprintf(lines[i], sizeof lines[i], "a photo of %s", statement(i));
    texts[i] = lines[i];
  }
  CHECK_OK(mcl_tokenizer_create(context, &o, texts, TRAINED, NULL, &t, &err));
  ck_assert_int_eq(mcl_tokenizer_vocabulary(t), vocabulary);
  snprintf(where, sizeof where, "%s", in(vocab));
  CHECK_OK(mcl_tokenizer_save(t, where, in(merges), &err));
  return t;
}

static mcl_encoder *make_model(void) {
  mcl_encoder *e = NULL;
  mcl_clip_options o;
  mcl_clip_options_init(&o, sizeof o);
  write_clip(context, in("clip.safetensors"), &(file_options){0});
  CHECK_OK(mcl_encoder_create_clip(context, &o, in("clip.safetensors"), &e, &err));
  return e;
}

// ---- files -----------------------------------------------------------------------------------------------

static int category_of(int pair) {
  return pair % 3 == 0;
}

static const char *const types[CATEGORIES] = {"Quantity \"and\" Count", "Colour"};

// Row 2 i and 2 i + 1 are pair i, the image of row r is that of r, its file ID r + 1.
static void put_questions(void) {
  mkdir(in("mmvp"), 0777), mkdir(in("mmvp/MLLM_VLM Images"), 0777);
  for (int c = 0; c < CATEGORIES; c++) {
    char path[200];
    snprintf(path, sizeof path, "mmvp/MLLM_VLM Images/%s", types[c]);
    mkdir(in(path), 0777);
  }
  FILE *f = begin("mmvp/Questions.csv");
  fputs("Question ID,Type,Statement\n", f);
  for (int r = 0; r < 2 * PAIRS; r++) {
    const int c = category_of(r / 2);
    char path[200];
    fprintf(f, "%d,%s,%s\n", r + 1, c ? types[1] : "\"Quantity \"\"and\"\" Count\"", statement(r));
    snprintf(path, sizeof path, "mmvp/MLLM_VLM Images/%s/%d.jpg", types[c], r + 1);
    put_image(path, r);
  }
  fclose(f);
}

static void put_pairs(void) {
  FILE *all = begin("pairs.tsv"), *few = begin("few.tsv");
  for (int i = 0; i < TRAINED; i++) {
    char name[40];
    snprintf(name, sizeof name, "%02d.png", i);
    put_image(name, 100 + i);
    fprintf(all, "%s\ta photo of %s\n", name, statement(i));
    if (i < 3) fprintf(few, "%s\t%s\n", name, statement(i));
  }
  fclose(all), fclose(few);
}

// ---- what it answers -------------------------------------------------------------------------------------

static void embed_one(mcl_encoder *e, const mcl_tokenizer *t, int row, int modality, float *z) {
  static uint8_t x[SIDE * SIDE * 3];
  int32_t words[CONTEXT];
  char text[120];
  const char *texts[1] = {text};
  mcl_inputs in;
  mcl_array data = mcl_images_u8(x, 1, SIDE, SIDE, 3), out = mcl_matrix_f32(z, 1, WIDTH);
  draw(x, row);
  snprintf(text, sizeof text, "a photo of %s", statement(row));
  CHECK_OK(mcl_tokenizer_encode(t, texts, 1, words, NULL, &err));
  if (modality) mcl_array_init(&data, words, MCL_I32, 2, (int64_t[]){1, CONTEXT});
  mcl_struct_init(&in, sizeof in);
  in.n = 1, in.modality = modality, in.view = -1, in.data = &data;
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
}

static double cosine(const float *a, const float *b) {
  double ab = 0, aa = 0, bb = 0;
  for (int i = 0; i < WIDTH; i++)
    ab += (double)a[i] * b[i], aa += (double)a[i] * a[i], bb += (double)b[i] * b[i];
  return ab / sqrt(aa * bb);
}

static void put_expected(mcl_encoder *e, const mcl_tokenizer *t) {
  int right[2][1 + CATEGORIES] = {{0}}, first = category_of(0);
  for (int i = 0; i < PAIRS; i++) {
    float z[2][2][WIDTH];
    double c[2][2];
    for (int r = 0; r < 2; r++)
      for (int m = 0; m < 2; m++) embed_one(e, t, 2 * i + r, m, z[r][m]);
    for (int r = 0; r < 2; r++)
      for (int q = 0; q < 2; q++) c[r][q] = cosine(z[r][0], z[q][1]);
    const int found[2] = {c[0][0] > c[0][1] && c[1][1] > c[1][0],
                          c[0][0] > c[1][0] && c[1][1] > c[0][1]};
    for (int way = 0; way < 2; way++) {
      right[way][0] += found[way];
      right[way][1 + (category_of(i) != first)] += found[way]; // as they are first named
    }
  }
  FILE *f = begin("expected");
  for (int way = 0; way < 2; way++)
    fprintf(f, "%s %d %d %d\n", way ? "caption" : "image", right[way][0], right[way][1],
            right[way][2]);
  fclose(f);
}

// A test, because what it shares with tests says so with Check.
START_TEST(make_all) {
  CHECK_OK(mcl_context_create(NULL, &context, &err));
  mcl_encoder *e = make_model();
  mcl_tokenizer *t = make_tokenizer(CLIP_VOCABULARY, "vocab.json", "merges.txt");
  mcl_tokenizer_unref(make_tokenizer(CLIP_VOCABULARY - 2, "small.json", "small.txt"));
  put_questions();
  put_pairs();
  put_expected(e, t);
  mcl_tokenizer_unref(t);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

int main(int argc, char **argv) {
  if (argc != 2) return 1;
  folder = argv[1];
  mkdir(folder, 0777);
  Suite *suite = suite_create("make_clip");
  TCase *only = tcase_create("make_clip");
  tcase_add_test(only, make_all);
  suite_add_tcase(suite, only);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
