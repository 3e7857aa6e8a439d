// The rows of another dataset at another size, made once: small images are resized in a hundredth
// of the time it takes to train on them, and are then loaded as fast as any array.
#include "base/rng.h"
#include "dataset/memory.h"
#include "image/resize.h"
#include "math/array.h"

// Bytes of source rows that are loaded at a time: enough to keep every thread busy, small beside
// the result.
static const int64_t BLOCK_BYTES = (int64_t)16 << 20;

// A side, as everywhere.
enum { MOST_SIDE = 16384 };

typedef struct resized_dataset {
  mcl_dataset base;
  mcl_array images; // [rows, height, width, channels]
  uint8_t *pixels;
} resized_dataset;

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  if (modality != 0) return mcl_dataset_load(d->inner, indices, n, modality, out, err);
  return mcli_memory_load(d->context, &((resized_dataset *)d)->images, indices, n, out, err);
}

static void destroy(mcl_dataset *d) {
  mcli_free(d->context, ((resized_dataset *)d)->pixels);
}

static const mcli_dataset_kind resized_kind = {.load = load, .destroy = destroy};

typedef struct resize_job {
  mcl_context *context;
  const uint8_t *from;
  uint8_t *to;
  const mcl_array *in, *out; // shapes of a row
  int32_t filter;
  mcl_status *statuses; // one a task
} resize_job;

static void resize_row(void *job, uint32_t task, uint32_t worker) {
  const resize_job *j = job;
  const int64_t *in = j->in->shape, *out = j->out->shape;
  (void)worker;
  j->statuses[task] =
      mcli_resize_u8(j->context, j->from + task * in[0] * in[1] * in[2], (int)in[0], (int)in[1],
                     (int)in[2], (int)out[0], (int)out[1], j->to + task * out[0] * out[1] * out[2],
                     j->filter, MCL_FIT_STRETCH, NULL);
}

static mcl_status resize_block(resize_job *j, mcl_dataset *inner, int64_t *indices, int64_t first,
                               int64_t n, mcl_error *err) {
  mcl_array rows;
  mcl_array_init(&rows, (void *)j->from, MCL_U8, 4,
                 (int64_t[]){n, j->in->shape[0], j->in->shape[1], j->in->shape[2]});
  for (int64_t i = 0; i < n; i++) indices[i] = first + i;
  mcl_status s = mcl_dataset_load(inner, indices, n, 0, &rows, err);
  if (s == MCL_OK) s = mcli_parallel(j->context, (uint32_t)n, resize_row, j, err);
  for (int64_t i = 0; s == MCL_OK && i < n; i++)
    if (j->statuses[i] < 0)
      s = mcli_fail(err, j->statuses[i], "resizing failed for want of memory");
  return s;
}

static mcl_status resize_all(resized_dataset *r, int32_t filter, mcl_error *err) {
  mcl_dataset *d = &r->base;
  mcl_context *c = d->context;
  const mcl_array *in = &d->inner->shapes[0], *out = &d->shapes[0];
  int64_t in_row = in->shape[0] * in->shape[1] * in->shape[2];
  int64_t out_row = out->shape[0] * out->shape[1] * out->shape[2], block = BLOCK_BYTES / in_row + 1;
  if (block > d->rows) block = d->rows;
  uint8_t *from = mcli_alloc(c, (uint64_t)block, (uint64_t)in_row);
  int64_t *indices = MCLI_NEW(c, int64_t, block);
  mcl_status *statuses = MCLI_NEW(c, mcl_status, block);
  r->pixels = mcli_alloc(c, (uint64_t)d->rows, (uint64_t)out_row);
  resize_job j = {c, from, NULL, in, out, filter, statuses};
  mcl_status s = MCL_OK;
  if (!from || !indices || !statuses || !r->pixels) s = mcli_nomem(err, "the resized rows");
  for (int64_t first = 0; s == MCL_OK && first < d->rows; first += block) {
    j.to = r->pixels + first * out_row;
    s = resize_block(&j, d->inner, indices, first,
                     d->rows - first < block ? d->rows - first : block, err);
  }
  mcl_array_init(&r->images, r->pixels, MCL_U8, 4,
                 (int64_t[]){d->rows, out->shape[0], out->shape[1], out->shape[2]});
  mcli_free(c, statuses);
  mcli_free(c, indices);
  mcli_free(c, from);
  return s;
}

static mcl_status check(const mcl_dataset *inner, int32_t height, int32_t width, int32_t filter,
                        mcl_error *err) {
  mcl_status s = mcli_dataset_check_images(inner, err);
  if (s < 0) return s;
  const int64_t *shape = inner->shapes[0].shape;
  // The kernels work on the channels of one pixel at once, and have room for four.
  if (shape[2] > 4)
    return mcli_fail(err, MCL_E_SHAPE, "dataset has %lld channels, at most 4 can be resized",
                     (long long)shape[2]);
  if (height < 1 || height > MOST_SIDE)
    return mcli_fail(err, MCL_E_INVALID, "height is %d, not 1..%d", (int)height, MOST_SIDE);
  if (width < 1 || width > MOST_SIDE)
    return mcli_fail(err, MCL_E_INVALID, "width is %d, not 1..%d", (int)width, MOST_SIDE);
  if (filter != MCL_FILTER_TRIANGLE && filter != MCL_FILTER_BOX)
    return mcli_fail(err, MCL_E_INVALID, "filter is %d, not MCL_FILTER_TRIANGLE or MCL_FILTER_BOX",
                     (int)filter);
  return MCL_OK;
}

mcl_status mcl_dataset_create_resized(mcl_context *c, mcl_dataset *inner, int32_t height,
                                      int32_t width, int32_t filter, mcl_dataset **out,
                                      mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = check(inner, height, width, filter, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_dataset *d =
      mcli_dataset_wrap(c, sizeof(resized_dataset), &resized_kind, inner, NULL, inner->rows);
  if (!d) return mcli_nomem(err, "a dataset");
  mcli_dataset_set_shape(d, 0, MCL_U8, 3, (int64_t[]){height, width, inner->shapes[0].shape[2]});
  d->cached = 1;
  int32_t words[3] = {height, width, filter};
  d->fingerprint = mcli_hash(words, sizeof words, inner->fingerprint);
  s = resize_all((resized_dataset *)d, filter, err);
  if (s < 0) {
    mcl_dataset_unref(d);
    return s;
  }
  *out = d;
  return mcl_ok(err);
}
