// The small CLIP of tests/golden/clip.py as a file, whole or spoilt.
#ifndef MCL_TESTS_ENCODER_CLIP_FILE_H
#define MCL_TESTS_ENCODER_CLIP_FILE_H

#include "encoder/golden.h"

#include <libmcl/checkpoint.h>

#include "math/array.h"

#ifndef CLIP_VOCABULARY
#define CLIP_VOCABULARY 50 // of clip.py
#endif

enum {
  SIDE = 32,
  PATCH = 8,
  IMAGE_WIDTH = 128,
  TEXT_WIDTH = 64,
  BLOCKS = 2,
  VOCABULARY = CLIP_VOCABULARY,
  CONTEXT = 12,
  WIDTH = 48, // of the projections
  TENSORS = 5 + 2 + 2 + 2 + 3 + 2 * 12 * BLOCKS
};

typedef struct file_tensor {
  char name[96];
  int32_t ndim;
  int64_t shape[4];
} file_tensor;

// In what a file differs from the whole one.
typedef struct file_options {
  int32_t dtype;       // 0: MCL_F32
  const char *without; // a tensor that is missing
  const char *with;    // one that is too many
  const char *longer;  // one whose first axis has one more
  const char *deeper;  // one of one dimension more
  const char *whole;   // one of integers
  const char *spoilt;  // one with a NaN
  int through_half;    // values as float16 has them
  double log_scale;    // 0: that of clip.py
} file_options;

static inline void add_tensor(file_tensor *all, int *n, const char *name, int32_t ndim, int64_t a,
                              int64_t b, int64_t c, int64_t d) {
  file_tensor *t = &all[(*n)++];
  *t = (file_tensor){.ndim = ndim, .shape = {a, b, c, d}};
  snprintf(t->name, sizeof t->name, "%s", name);
}

static inline void add_blocks(file_tensor *all, int *n, const char *prefix, int64_t width) {
  const struct {
    const char *name;
    int64_t rows, cols; // cols 0: one dimension
  } block[12] = {{"ln_1.weight", width, 0},
                 {"ln_1.bias", width, 0},
                 {"attn.in_proj_weight", 3 * width, width},
                 {"attn.in_proj_bias", 3 * width, 0},
                 {"attn.out_proj.weight", width, width},
                 {"attn.out_proj.bias", width, 0},
                 {"ln_2.weight", width, 0},
                 {"ln_2.bias", width, 0},
                 {"mlp.c_fc.weight", 4 * width, width},
                 {"mlp.c_fc.bias", 4 * width, 0},
                 {"mlp.c_proj.weight", width, 4 * width},
                 {"mlp.c_proj.bias", width, 0}};
  for (int b = 0; b < BLOCKS; b++)
    for (int i = 0; i < 12; i++) {
      char name[96];
      snprintf(name, sizeof name, "%stransformer.resblocks.%d.%s", prefix, b, block[i].name);
      add_tensor(all, n, name, block[i].cols ? 2 : 1, block[i].rows, block[i].cols, 0, 0);
    }
}

// `order` of clip.py.
static inline void list_tensors(file_tensor all[TENSORS]) {
  int n = 0;
  add_tensor(all, &n, "visual.conv1.weight", 4, IMAGE_WIDTH, 3, PATCH, PATCH);
  add_tensor(all, &n, "visual.class_embedding", 1, IMAGE_WIDTH, 0, 0, 0);
  add_tensor(all, &n, "visual.positional_embedding", 2, 17, IMAGE_WIDTH, 0, 0);
  add_tensor(all, &n, "visual.ln_pre.weight", 1, IMAGE_WIDTH, 0, 0, 0);
  add_tensor(all, &n, "visual.ln_pre.bias", 1, IMAGE_WIDTH, 0, 0, 0);
  add_blocks(all, &n, "visual.", IMAGE_WIDTH);
  add_tensor(all, &n, "visual.ln_post.weight", 1, IMAGE_WIDTH, 0, 0, 0);
  add_tensor(all, &n, "visual.ln_post.bias", 1, IMAGE_WIDTH, 0, 0, 0);
  add_tensor(all, &n, "token_embedding.weight", 2, VOCABULARY, TEXT_WIDTH, 0, 0);
  add_tensor(all, &n, "positional_embedding", 2, CONTEXT, TEXT_WIDTH, 0, 0);
  add_blocks(all, &n, "", TEXT_WIDTH);
  add_tensor(all, &n, "ln_final.weight", 1, TEXT_WIDTH, 0, 0, 0);
  add_tensor(all, &n, "ln_final.bias", 1, TEXT_WIDTH, 0, 0, 0);
  add_tensor(all, &n, "visual.proj", 2, IMAGE_WIDTH, WIDTH, 0, 0);
  add_tensor(all, &n, "text_projection", 2, TEXT_WIDTH, WIDTH, 0, 0);
  add_tensor(all, &n, "logit_scale", 1, 1, 0, 0, 0);
  ck_assert_int_eq(n, TENSORS);
}

static inline int ends_with(const char *name, const char *end) {
  size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

// `value` of clip.py: how numbers of a tensor are spread, and around what.
static inline double spread_of(const file_tensor *t, double *centre) {
  double fan_in = 1;
  *centre = strstr(t->name, "ln_") && ends_with(t->name, "weight") ? 1 : 0;
  if (*centre != 0) return 0.5;
  if (ends_with(t->name, "bias")) return 0.25;
  if (ends_with(t->name, "_embedding") || strncmp(t->name, "token_embedding", 15) == 0) return 1;
  if (strcmp(t->name, "visual.proj") == 0 || strcmp(t->name, "text_projection") == 0)
    return 1.75 / sqrt((double)t->shape[0]);
  for (int32_t i = 1; i < t->ndim; i++) fan_in *= (double)t->shape[i];
  return 1.75 / sqrt(fan_in);
}

static inline int is(const char *one, const char *name) {
  return one && strcmp(one, name) == 0;
}

static inline void put_tensor(mcl_checkpoint_writer *f, const file_options *o, file_tensor t,
                              uint64_t stream) {
  double centre, spread = spread_of(&t, &centre);
  if (is(o->longer, t.name)) t.shape[0]++;
  if (is(o->deeper, t.name)) t.shape[t.ndim++] = 1;
  int64_t n = 1;
  for (int32_t i = 0; i < t.ndim; i++) n *= t.shape[i];
  float *x = calloc((size_t)n, sizeof *x);
  unsigned char *bytes = calloc((size_t)n, 8);
  for (int64_t i = 0; i < n; i++)
    x[i] = (float)(centre + (double)(float)spread * uniform(stream, (uint64_t)i));
  if (is("logit_scale", t.name)) x[0] = (float)(o->log_scale != 0 ? o->log_scale : 2.3);
  if (is(o->spoilt, t.name)) x[n - 1] = NAN;
  for (int64_t i = 0; i < n && o->through_half; i++)
    x[i] = mcli_half_to_float(mcli_float_to_half(x[i]));
  mcl_array a;
  mcl_array_init(&a, bytes, o->dtype ? o->dtype : MCL_F32, t.ndim, t.shape);
  if (is(o->whole, t.name))
    a.dtype = MCL_I32;
  else
    mcli_array_store(&a, 0, t.shape[0], x);
  CHECK_OK(mcl_checkpoint_writer_add(f, t.name, &a, &err));
  free(x), free(bytes);
}

static inline void write_clip(mcl_context *c, const char *path, const file_options *o) {
  file_tensor all[TENSORS];
  mcl_checkpoint_writer *f = NULL;
  list_tensors(all);
  CHECK_OK(mcl_checkpoint_writer_create(c, path, &f, &err));
  for (int i = 0; i < TENSORS; i++)
    if (!is(o->without, all[i].name)) put_tensor(f, o, all[i], (uint64_t)i);
  file_tensor extra = {.ndim = 1, .shape = {1}};
  if (o->with) {
    snprintf(extra.name, sizeof extra.name, "%s", o->with);
    put_tensor(f, o, extra, 0);
  }
  CHECK_OK(mcl_checkpoint_writer_commit(f, &err));
  mcl_checkpoint_writer_unref(f);
}

enum { N = 5 }; // ROWS of clip.py

// batch() of clip.py.
static uint8_t pixels[N * SIDE * SIDE * 3];
static int32_t ids[N * CONTEXT];

static inline void make_batch(mcl_array data[2]) {
  for (uint64_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)((uniform(1000, i) + 1) * 128);
  for (int i = 0; i < N * CONTEXT; i++) {
    int64_t u = (int64_t)((uniform(1001, (uint64_t)i) + 1) * 8388608);
    int row = i / CONTEXT, at = i % CONTEXT;
    ids[i] = (int32_t)(u * (VOCABULARY - 2) >> 24);
    if (at == 0) ids[i] = VOCABULARY - 2;
    if (at == 3 + 2 * row) ids[i] = VOCABULARY - 1;
    if (at > 3 + 2 * row) ids[i] = 0;
  }
  const int64_t image[4] = {N, SIDE, SIDE, 3}, text[2] = {N, CONTEXT};
  mcl_array_init(&data[0], pixels, MCL_U8, 4, image);
  mcl_array_init(&data[1], ids, MCL_I32, 2, text);
}

#endif
