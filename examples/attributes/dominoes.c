// Dominoes: two independent images on one tile (after Shah et al. 2020, "The Pitfalls of Simplicity Bias in Neural
// Networks", and the MultiDigit data of Chen, Luo & Li 2021).
//
// The upper half is easy: one of a few images, at full contrast, so that it is soon told apart and stays the same from row to
// row, like a logo. The lower half is hard: another image in each row, and faint. Both are of 14 x 14 pixels. Train and
// test rows have the same few upper images, but no lower image in common.
#include "attributes.h"

#include <math.h>
#include <stdlib.h>

enum { SIDE = 14 };

typedef struct source {
  uint8_t *images; // [n, SIDE, SIDE]
  int32_t *labels; // [n]
  int64_t *order;  // [n], of a draw without repetition
  int64_t n;
} source;

static void source_free(source *s) {
  free(s->images), free(s->labels), free(s->order);
}

static mcl_status read_all(mcl_dataset *small, source *s) {
  mcl_array row;
  mcl_status status = mcl_dataset_shape(small, 0, &row, &err);
  if (status < 0) return status;
  if (row.shape[2] != 1)
    return mcl_error_set(&err, MCL_E_SHAPE, 0, "images of one channel are wanted");
  s->n = mcl_dataset_rows(small);
  s->images = malloc((size_t)s->n * SIDE * SIDE);
  s->labels = malloc((size_t)s->n * sizeof *s->labels);
  s->order = malloc((size_t)s->n * sizeof *s->order);
  if (!s->images || !s->labels || !s->order) return out_of_memory();
  for (int64_t i = 0; i < s->n; i++) s->order[i] = i;
  mcl_array all = mcl_images_u8(s->images, s->n, SIDE, SIDE, 1);
  status = mcl_dataset_load(small, s->order, s->n, 0, &all, &err);
  return status < 0 ? status : mcl_dataset_labels(small, s->labels, s->n, &err);
}

static int source_open(mcl_context *c, const char *images, const char *labels, uint64_t seed,
                       source *s) {
  mcl_dataset *idx = NULL, *small = NULL;
  mcl_status status = mcl_dataset_create_idx(c, images, labels, &idx, &err);
  if (status == MCL_OK)
    status = mcl_dataset_create_resized(c, idx, SIDE, SIDE, MCL_FILTER_BOX, &small, &err);
  if (status == MCL_OK) status = read_all(small, s);
  mcl_dataset_unref(small);
  mcl_dataset_unref(idx);
  for (int64_t i = s->n - 1; status == MCL_OK && i > 0; i--) {
    int64_t j = (int64_t)(next_random(&seed) % (uint64_t)(i + 1)), other = s->order[j];
    s->order[j] = s->order[i];
    s->order[i] = other;
  }
  return status;
}

static void paint(const source *s, int64_t image, double contrast, uint8_t *out) {
  const uint8_t *in = s->images + image * SIDE * SIDE;
  for (int p = 0; p < SIDE * SIDE; p++) out[p] = (uint8_t)lround(contrast * in[p]);
}

// Lower images are the first of their draw; upper ones the last `distinct` of the training file's.
static int compose(const options *o, const source *upper, const source *lower, int64_t n,
                   uint64_t seed, rows *r) {
  if (n > lower->n)
    return mcl_error_set(&err, MCL_E_INVALID, 0, "--rows or --test-rows is more than the file has");
  if (o->distinct > upper->n)
    return mcl_error_set(&err, MCL_E_INVALID, 0, "--distinct is more than the file has");
  if (rows_allocate(r, n, 2 * SIDE, SIDE, 1, 2) < 0) return -1;
  for (int64_t i = 0; i < n; i++) {
    int64_t which = (int64_t)(next_random(&seed) % (uint64_t)o->distinct);
    int64_t first = upper->order[upper->n - 1 - which], second = lower->order[i];
    uint8_t *out = r->images + i * 2 * SIDE * SIDE;
    paint(upper, first, 1, out);
    paint(lower, second, o->contrast, out + SIDE * SIDE);
    r->values[0][i] = upper->labels[first];
    r->values[1][i] = lower->labels[second];
  }
  return 0;
}

int dominoes_make(mcl_context *c, const options *o, rows *train, rows *test) {
  source a = {0}, b = {0};
  const uint64_t seed = (uint64_t)o->shared.seed * 4;
  int s = source_open(c, o->images, o->labels, seed, &a);
  if (s == 0) s = source_open(c, o->test_images, o->test_labels, seed + 1, &b);
  if (s == 0) s = compose(o, &a, &a, o->shared.rows, seed + 2, train);
  if (s == 0) s = compose(o, &a, &b, o->shared.test_rows, seed + 3, test);
  source_free(&a), source_free(&b);
  return s;
}
