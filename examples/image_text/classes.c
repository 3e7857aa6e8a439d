// Images of ten classes with random bits, from IDX files: 14 x 14 pixels, the mean of four each,
// and a constant channel for each bit. Pairs to judge by have the same bits and another class, and
// were never trained on.
#include "image_text.h"

#include <stdlib.h>

enum { SIDE = 14, TEN = 10, CLASS = 0, CODE };

static const char *const digits[] = {"zero", "one", "two",   "three", "four",
                                     "five", "six", "seven", "eight", "nine"};
static const char *const clothes[] = {"tshirt", "trouser", "pullover", "dress", "coat",
                                      "sandal", "shirt",   "sneaker",  "bag",   "boot"};

// All rows of the file, with their classes and codes, in a seeded order.
typedef struct source {
  mcl_dataset *images;
  int64_t n, *order;
  int32_t *class_of, *code_of;
} source;

static void source_free(source *s) {
  mcl_dataset_unref(s->images);
  free(s->order), free(s->class_of), free(s->code_of);
}

static int source_fill(source *s, long bits, uint64_t seed) {
  s->n = mcl_dataset_rows(s->images);
  s->order = malloc((size_t)s->n * sizeof *s->order);
  s->class_of = calloc((size_t)s->n, sizeof *s->class_of);
  s->code_of = calloc((size_t)s->n, sizeof *s->code_of);
  if (!s->order || !s->class_of || !s->code_of) return out_of_memory();
  for (int64_t i = 0; i < s->n; i++) {
    int64_t j = (int64_t)(next_random(&seed) % (uint64_t)(i + 1));
    s->order[i] = s->order[j];
    s->order[j] = i;
  }
  TRY(mcl_dataset_labels(s->images, s->class_of, s->n, &err));
  if (bits) TRY(mcl_dataset_codes(s->images, s->code_of, s->n, &err));
  for (int64_t i = 0; i < s->n; i++)
    if (s->class_of[i] >= TEN) return mcl_error_set(&err, MCL_E_LIMIT, 0, "over ten classes");
  return 0;
}

static int source_open(mcl_context *c, const options *o, source *s) {
  static const char folder[] = "/usr/share/datasets/fashion-mnist/";
  char images[64], labels[64];
  snprintf(images, sizeof images, "%strain-images-idx3-ubyte.gz", folder);
  snprintf(labels, sizeof labels, "%strain-labels-idx1-ubyte.gz", folder);
  mcl_dataset *idx = NULL, *small = NULL;
  uint64_t seed = (uint64_t)o->shared.seed * 2;
  mcl_status status = mcl_dataset_create_idx(c, o->images ? o->images : images,
                                             o->labels ? o->labels : labels, &idx, &err);
  if (status == MCL_OK)
    status = mcl_dataset_create_resized(c, idx, SIDE, SIDE, MCL_FILTER_BOX, &small, &err);
  if (status == MCL_OK)
    status = mcl_dataset_create_randbits(c, small, (int32_t)o->bits, seed, &s->images, &err);
  mcl_dataset_unref(small);
  mcl_dataset_unref(idx);
  return status < 0 ? -1 : source_fill(s, o->bits, seed + 1);
}

static int take(mcl_context *c, const source *s, const world *w, const int64_t *indices, int64_t n,
                rows *r) {
  if (rows_allocate(r, n, w->n_known) < 0) return -1;
  for (int64_t i = 0; i < n; i++) {
    r->values[CLASS][i] = s->class_of[indices[i]];
    if (w->bits) r->values[CODE][i] = s->code_of[indices[i]];
  }
  return mcl_dataset_create_subset(c, s->images, indices, n, &r->images, &err);
}

// Of the rows first, first + 1, ... of the order, a row waits until one of the same code and
// another class comes by.
static int64_t match(const source *s, int64_t first, long bits, int64_t pairs, int64_t *out) {
  const size_t codes = (size_t)1 << bits;
  int64_t *waits = malloc(codes * sizeof *waits), got = 0;
  if (!waits) return out_of_memory();
  for (size_t code = 0; code < codes; code++) waits[code] = -1;
  for (int64_t i = first; i < s->n && got < pairs; i++) {
    const int64_t row = s->order[i];
    int64_t *other = &waits[s->code_of[row]];
    if (*other < 0) {
      *other = row;
    } else if (s->class_of[*other] != s->class_of[row]) {
      out[2 * got] = *other, out[2 * got + 1] = row;
      got++;
      *other = -1;
    }
  }
  free(waits);
  return got;
}

static int split(mcl_context *c, const options *o, const source *s, world *w) {
  const int64_t n = o->shared.rows, pairs = o->shared.test_rows;
  if (n > s->n) return mcl_error_set(&err, MCL_E_INVALID, 0, "--rows is more than the file has");
  int64_t *both = malloc((size_t)pairs * 2 * sizeof *both);
  w->category = calloc((size_t)pairs, sizeof *w->category); // all of them differ in the class
  if (!both || !w->category) {
    free(both);
    return out_of_memory();
  }
  int64_t got = match(s, n, o->bits, pairs, both);
  int code = got == pairs ? 0
             : got < 0    ? -1
                          : mcl_error_set(&err, MCL_E_INVALID, 0,
                                          "--pairs is more than the rows left can give");
  if (code == 0) code = take(c, s, w, s->order, n, &w->train);
  if (code == 0) code = take(c, s, w, both, 2 * pairs, &w->test);
  free(both);
  return code;
}

int classes_make(mcl_context *c, const options *o, world *w) {
  source s = {0};
  world_know(w, "class", o->images ? digits : clothes, TEN);
  if (o->bits) world_know(w, "bits", NULL, (int32_t)1 << o->bits);
  w->bits = (int32_t)o->bits;
  int code = source_open(c, o, &s);
  if (code == 0) code = split(c, o, &s, w);
  source_free(&s);
  return code;
}
