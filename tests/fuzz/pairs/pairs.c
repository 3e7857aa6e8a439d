// Files of pairs and of questions, beside three images: a byte of choices, one of options, and the file.
//
//   a refusal of the file names it                                                                       (1)
//   a row has a path, a caption of UTF-8 that is not blank, and the tokens of that caption               (2)
//   rows are the same a second time; rows of one path have one image, its first row's                    (3)
//   packed or not: the same rows, so the same fingerprint                                                (4)
//   questions come in pairs of one category                                                              (5)
#include <libmcl/dataset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/gzip.h"
#include "store/utf8.h"

const int fuzz_large = FUZZ_FINDING;

enum {
  KIND = 3,
  MMVP = 3,
  PACK = 4,
  TOKENS = 8,
  QUESTIONS = 16,
  BY_NAME = 32,
  HEADING = 64,
  FAIL = 128
};
enum { SHORT_LINES = 1, SMALL_FILE = 2, KEEP = 4, WRONG = 8 };
enum { SIDE = 2, ROW = SIDE * SIDE * 3, CONTEXT = 12, MOST_ROWS = 4096, TEXT = 8192 };

static char folder[512];

// The images "a.png", "b.png" of other pixels, "bad.png", and those of MMVP-VLM's form: made once.
static void make_images(void) {
  static const char *const paths[] = {"a.png", "b.png", "MLLM_VLM Images/T/1.jpg",
                                      "MLLM_VLM Images/T/2.jpg"};
  mcl_error err;
  mcl_context *c = NULL;
  char path[700];
  if (folder[0]) return;
  snprintf(folder, sizeof folder, "%s", fuzz_empty("pairs"));
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/MLLM_VLM Images%s", folder, i ? "/T" : "");
    if (mkdir(path, 0777)) fuzz_fail("cannot make %s", path);
  }
  if (mcl_context_create(NULL, &c, &err) < 0) fuzz_fail("%s", err.message);
  for (int i = 0; i < 4; i++) {
    uint8_t pixels[ROW];
    memset(pixels, 40 * (i + 1), sizeof pixels);
    mcl_array a = mcl_images_u8(pixels, 1, SIDE, SIDE, 3), one;
    mcl_array_init(&one, pixels, MCL_U8, 3, a.shape + 1);
    snprintf(path, sizeof path, "%s/%s", folder, paths[i]);
    if (mcl_image_write_png(c, path, &one, &err) < 0) fuzz_fail("%s", err.message);
  }
  mcl_context_unref(c);
  fuzz_put("pairs/bad.png", "bad", 3);
}

typedef struct choice {
  mcl_context *context;
  mcl_pairs_options options;
  mcl_folder_options images;
  mcl_tokenizer *tokenizer; // NULL: none
  uint64_t how;
  const char *name; // of the file
} choice;

static mcl_tokenizer *tokenizer(mcl_context *c) {
  mcl_tokenizer_options o;
  mcl_tokenizer *t = NULL;
  mcl_error err;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = CONTEXT;
  const char *merges = fuzz_put("merges.txt", "t h\nth e</w>\n", 13);
  (void)fuzz_read(mcl_tokenizer_load(c, &o, NULL, merges, &t, &err), &err, merges);
  return t;
}

static void choose(choice *x, uint64_t how, uint64_t more) {
  static const char *const names[] = {"p.tsv", "p.csv", "p.jsonl", "p.ndjson"};
  static const int32_t formats[] = {MCL_PAIRS_TSV, MCL_PAIRS_CSV, MCL_PAIRS_JSON_LINES,
                                    MCL_PAIRS_JSON_LINES};
  mcl_folder_options_init(&x->images, sizeof x->images);
  mcl_pairs_options_init(&x->options, sizeof x->options);
  x->how = how;
  x->images.height = x->images.width = SIDE;
  x->images.cache_bytes = more & KEEP ? 1 << 20 : 0;
  x->images.on_bad_file = how & FAIL ? MCL_BAD_FILE_FAIL : MCL_BAD_FILE_SKIP;
  x->options.images = &x->images;
  if (more & SHORT_LINES) x->options.max_line_bytes = 20;
  if (more & SMALL_FILE) x->options.max_file_bytes = 64;
  x->options.heading = how & HEADING ? 1 : 0;
  x->options.format = how & BY_NAME ? MCL_PAIRS_BY_NAME : formats[how & KIND];
  x->name = how & BY_NAME ? names[how & KIND] : "p.unknown";
}

static mcl_dataset *open_file(const choice *x, const char *path, mcl_error *err) {
  mcl_dataset *d = NULL;
  mcl_status s =
      x->how & QUESTIONS
          ? mcl_dataset_create_questions(x->context, path, x->tokenizer, &x->options, NULL, &d, err)
          : mcl_dataset_create_pairs(x->context, path, x->tokenizer, &x->options, NULL, &d, err);
  if (fuzz_ok(s, err)) return d;
  if (d) fuzz_fail("refused, and given");
  const char *name = path == folder ? "Questions.csv" : x->name;
  if (s != MCL_E_NOMEM && s != MCL_E_INVALID && !strstr(err->message, name)) // (1)
    fuzz_fail("%s is not named: %s", name, err->message);
  return NULL;
}

// ---- what must hold -----------------------------------------------------------------------------

// (3)
static void *load(mcl_dataset *d, int32_t modality, const int64_t *indices, int64_t n, size_t row) {
  mcl_error err;
  mcl_array shape, a;
  if (!fuzz_ok(mcl_dataset_shape(d, modality, &shape, &err), &err))
    fuzz_fail("no shape: %s", err.message);
  int64_t sizes[4] = {n, shape.shape[0], shape.shape[1], shape.shape[2]};
  void *to = fuzz_room((size_t)n * row);
  mcl_array_init(&a, to, shape.dtype, shape.ndim + 1, sizes);
  if (fuzz_ok(mcl_dataset_load(d, indices, n, modality, &a, &err), &err)) return to;
  fuzz_untouched(to, (size_t)n * row, "mcl_dataset_load");
  if (!fuzz_memory_may_fail()) fuzz_fail("not loaded: %s", err.message);
  free(to);
  return NULL;
}

static void check_images(mcl_dataset *d, const int64_t *indices, int64_t n) {
  mcl_error err;
  int64_t *groups = fuzz_room((size_t)n * sizeof *groups);
  uint8_t *x = load(d, 0, indices, n, ROW), *y = load(d, 0, indices, n, ROW);
  if (x && y && memcmp(x, y, (size_t)n * ROW)) fuzz_fail("loaded again: other images");
  if (!fuzz_ok(mcl_dataset_groups(d, 0, groups, n, &err), &err))
    fuzz_untouched(groups, (size_t)n * sizeof *groups, "mcl_dataset_groups");
  else
    for (int64_t i = 0; i < n; i++) {
      if (groups[i] < 0 || groups[i] > i || groups[groups[i]] != groups[i])
        fuzz_fail("row %lld of no group", (long long)i);
      if (x && memcmp(x + i * ROW, x + groups[i] * ROW, ROW)) fuzz_fail("one path, two images");
    }
  free(groups);
  free(x);
  free(y);
}

// (2)
static void check_texts(const choice *x, mcl_dataset *d, const int64_t *indices, int64_t n) {
  mcl_error err;
  char *text = malloc(TEXT);
  int32_t again[CONTEXT];
  int32_t *tokens = x->tokenizer ? load(d, 1, indices, n, sizeof again) : NULL;
  for (int64_t i = 0; i < n; i++) {
    const char *one = text;
    if (!fuzz_ok(mcl_dataset_name(d, i, text, TEXT, NULL, &err), &err) ||
        text[strspn(text, " \t\r\n\v\f")] == 0)
      fuzz_fail("row %lld has no path", (long long)i);
    if (!fuzz_ok(mcl_dataset_caption(d, i, text, TEXT, NULL, &err), &err))
      fuzz_fail("no caption: %s", err.message);
    if (text[strspn(text, " \t\r\n\v\f")] == 0 || !mcli_utf8_valid(text, (int64_t)strlen(text)))
      fuzz_fail("'%s' is no caption", text);
    if (tokens && fuzz_ok(mcl_tokenizer_encode(x->tokenizer, &one, 1, again, NULL, &err), &err) &&
        memcmp(again, tokens + i * CONTEXT, sizeof again))
      fuzz_fail("the tokens are not those of '%s'", text);
  }
  free(tokens);
  free(text);
}

// (5)
static void check_questions(const mcl_dataset *d, int64_t n) {
  mcl_error err;
  char name[TEXT];
  int32_t *labels = fuzz_room((size_t)n * sizeof *labels);
  int has = fuzz_ok(mcl_dataset_labels(d, labels, n, &err), &err);
  if (n % 2) fuzz_fail("%lld rows are no pairs", (long long)n);
  for (int64_t i = 0; has && i < n; i += 2)
    if (labels[i] != labels[i + 1] ||
        !fuzz_ok(mcl_dataset_class_name(d, labels[i], name, sizeof name, NULL, &err), &err))
      fuzz_fail("pair %lld has no category", (long long)i / 2);
  free(labels);
}

static void check(const choice *x, mcl_dataset *d) {
  mcl_error err;
  mcl_dataset_report report;
  mcl_struct_init(&report, sizeof report);
  int64_t n = mcl_dataset_rows(d), indices[MOST_ROWS];
  if (!fuzz_ok(mcl_dataset_get_report(d, &report, &err), &err) || report.rows != n || n < 1 ||
      n > MOST_ROWS)
    fuzz_fail("%lld rows", (long long)n);
  if (mcl_dataset_modalities(d) != (x->tokenizer ? 2 : 1))
    fuzz_fail("%d modalities", (int)mcl_dataset_modalities(d));
  for (int64_t i = 0; i < n; i++) indices[i] = i;
  check_images(d, indices, n);
  check_texts(x, d, indices, n);
  if (x->how & QUESTIONS) check_questions(d, n);
}

// (4)
static void check_packed(const choice *x, fuzz_bytes file, uint64_t fingerprint) {
  char name[64];
  mcl_error err;
  snprintf(name, sizeof name, "pairs/%s.gz", x->name);
  mcl_dataset *d = open_file(x, fuzz_put_packed(name, file.at, file.n), &err);
  // A short file is longer when it is packed, and may be over the limit then.
  if (!d && err.status != MCL_E_LIMIT && !fuzz_memory_may_fail())
    fuzz_fail("packed: %s", err.message);
  if (d && mcl_dataset_fingerprint(d) != fingerprint) fuzz_fail("packed: another fingerprint");
  mcl_dataset_unref(d);
}

static void refuse(const choice *x, const char *path) {
  mcl_pairs_options wrong[7];
  mcl_folder_options images = x->images;
  mcl_dataset *d = NULL;
  mcl_error err;
  enum { N = sizeof wrong / sizeof *wrong };
  for (int i = 0; i < N; i++) wrong[i] = x->options;
  wrong[0].max_file_bytes = 0, wrong[1].max_line_bytes = 0, wrong[2].format = 4,
  wrong[3].heading = 2;
  wrong[4].format = MCL_PAIRS_JSON_LINES, wrong[4].heading = 1;
  wrong[5].format = MCL_PAIRS_BY_NAME, images.height = 0, wrong[6].images = &images;
  for (int i = 0; i < N; i++)
    fuzz_refused(mcl_dataset_create_pairs(x->context, i == 5 ? "p.txt" : path, NULL, &wrong[i],
                                          NULL, &d, &err),
                 &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_pairs(NULL, path, NULL, NULL, NULL, &d, &err), &err,
               MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_pairs(x->context, NULL, NULL, NULL, NULL, &d, &err), &err,
               MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_pairs(x->context, path, NULL, &x->options, NULL, NULL, &err),
               &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_pairs(x->context, "not-there.tsv", NULL, NULL, NULL, &d, &err),
               &err, MCL_E_NOT_FOUND);
  fuzz_refused(mcl_dataset_create_questions(NULL, path, NULL, NULL, NULL, &d, &err), &err,
               MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_questions(x->context, NULL, NULL, NULL, NULL, &d, &err), &err,
               MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_questions(x->context, path, NULL, NULL, NULL, NULL, &err), &err,
               MCL_E_INVALID);
  if (d) fuzz_fail("refused, and given");
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  choice x = {.context = context};
  mcl_error err;
  char name[64];
  uint64_t how = fuzz_bits(&b, 1);
  make_images();
  uint64_t more = fuzz_bits(&b, 1);
  choose(&x, how, more);
  if (how & TOKENS && !(x.tokenizer = tokenizer(context))) return;
  int mmvp = how & QUESTIONS && (how & KIND) == MMVP;
  snprintf(name, sizeof name, "pairs/%s", mmvp ? "Questions.csv" : x.name);
  const char *path = fuzz_put(name, b.at, b.n);
  mcl_dataset *d = open_file(&x, mmvp ? folder : path, &err);
  if (d) check(&x, d);
  if (d && how & PACK && !mmvp && !(b.n > 1 && b.at[0] == 0x1F))
    check_packed(&x, b, mcl_dataset_fingerprint(d));
  if (more & WRONG) refuse(&x, path);
  mcl_dataset_unref(d);
  mcl_tokenizer_unref(x.tokenizer);
}
