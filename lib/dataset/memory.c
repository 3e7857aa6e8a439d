// Images in memory, viewed through strides: a row is copied out at once where both sides are dense,
// else element by element, so that a transposed array of the host's (channels first, upside down)
// needs no copy of its own.
//
// The fingerprint H is of the contents, in blocks of rows that are hashed side by side:
//
//   h_b = hash(row_m, ... hash(row_1, hash(row_0, b)))     the rows of block b, chained    (1)
//   H   = hash(h_0 h_1 ..., hash(n h w c))                                                 (2)
//
// It depends neither on the strides nor on the threads. 64 bits of a mixer guard against mistakes,
// not against malice.
#include "dataset/memory.h"

#include <string.h>

#include "base/rng.h"
#include "math/array.h"

// Elements a task of copying moves: some 10 microseconds, a hundred times what starting a task
// costs.
static const int64_t COPY_ELEMENTS = 65536;

// Rows of one hash (1). Fixed for ever: it is part of what a fingerprint means.
enum { HASH_ROWS = 1024 };

// ---- copying ------------------------------------------------------------------------------------

static int is_dense(const mcl_array *a) {
  int64_t inside = 1;
  for (int i = a->ndim - 1; i >= 1; i--) {
    if (a->shape[i] != 1 && a->strides[i] != inside) return 0;
    inside *= a->shape[i];
  }
  return 1;
}

// Element by element, for uint8 to float32 and for everything else.
static void widen_strided(const mcl_array *from, const uint8_t *a, const mcl_array *out, float *b) {
  const int64_t *s = from->strides, *t = out->strides;
  for (int64_t i = 0; i < from->shape[1]; i++)
    for (int64_t j = 0; j < from->shape[2]; j++)
      for (int64_t k = 0; k < from->shape[3]; k++)
        b[i * t[1] + j * t[2] + k * t[3]] = (float)a[i * s[1] + j * s[2] + k * s[3]] / 255.0f;
}

static void copy_strided(const mcl_array *from, const unsigned char *a, const mcl_array *out,
                         unsigned char *b, int64_t size) {
  const int64_t *s = from->strides, *t = out->strides;
  for (int64_t i = 0; i < from->shape[1]; i++)
    for (int64_t j = 0; j < from->shape[2]; j++)
      for (int64_t k = 0; k < from->shape[3]; k++)
        memcpy(b + (i * t[1] + j * t[2] + k * t[3]) * size,
               a + (i * s[1] + j * s[2] + k * s[3]) * size, (size_t)size);
}

void mcli_row_copy(const mcl_array *from, int64_t row, const mcl_array *out, int64_t place) {
  int64_t size = mcli_dtype_size(from->dtype), out_size = mcli_dtype_size(out->dtype);
  int widen = from->dtype == MCL_U8 && out->dtype == MCL_F32;
  const unsigned char *a = (const unsigned char *)from->data + row * from->strides[0] * size;
  unsigned char *b = (unsigned char *)out->data + place * out->strides[0] * out_size;
  float *wide = (float *)out->data + place * out->strides[0];
  int64_t n = mcli_array_row_size(from);
  int dense = is_dense(from) && is_dense(out);
  if (dense && widen)
    for (int64_t i = 0; i < n; i++) wide[i] = (float)a[i] / 255.0f;
  else if (dense)
    memcpy(b, a, (size_t)(n * size));
  else if (widen)
    widen_strided(from, a, out, wide);
  else
    copy_strided(from, a, out, b, size);
}

typedef struct copy_job {
  const mcl_array *images, *out;
  const int64_t *indices;
  int64_t n;
  uint32_t tasks;
} copy_job;

static void copy_rows(void *job, uint32_t task, uint32_t worker) {
  const copy_job *j = job;
  int64_t first, n;
  (void)worker;
  mcli_part(j->n, j->tasks, task, &first, &n);
  for (int64_t i = first; i < first + n; i++)
    mcli_row_copy(j->images, j->indices ? j->indices[i] : i, j->out, i);
}

mcl_status mcli_memory_load(mcl_context *c, const mcl_array *images, const int64_t *indices,
                            int64_t n, const mcl_array *out, mcl_error *err) {
  int64_t block = COPY_ELEMENTS / mcli_array_row_size(images) + 1;
  copy_job j = {images, out, indices, n, mcli_blocks(n, block)};
  return mcli_parallel(c, j.tasks, copy_rows, &j, err);
}

// ---- the fingerprint ----------------------------------------------------------------------------

typedef struct hash_job {
  const mcl_array *images;
  uint64_t *blocks;
  unsigned char *rows; // [workers, row]: a dense copy of the row at hand; NULL: they are dense
} hash_job;

static void hash_block(void *job, uint32_t task, uint32_t worker) {
  const hash_job *j = job;
  const mcl_array *a = j->images;
  int64_t row = mcli_array_row_size(a), first = (int64_t)task * HASH_ROWS;
  int64_t end = first + HASH_ROWS < a->shape[0] ? first + HASH_ROWS : a->shape[0];
  unsigned char *copy = j->rows ? j->rows + worker * row : NULL;
  mcl_array dense = *a;
  mcl_array_init(&dense, copy, MCL_U8, 4, (int64_t[]){1, a->shape[1], a->shape[2], a->shape[3]});
  uint64_t h = task;
  for (int64_t i = first; i < end; i++) {
    if (copy) mcli_row_copy(a, i, &dense, 0);
    const unsigned char *bytes = (const unsigned char *)a->data + i * a->strides[0];
    h = mcli_hash(copy ? copy : bytes, (uint64_t)row, h); // (1)
  }
  j->blocks[task] = h;
}

static mcl_status fingerprint(mcl_context *c, const mcl_array *images, uint64_t *out,
                              mcl_error *err) {
  uint32_t blocks = mcli_blocks(images->shape[0], HASH_ROWS);
  hash_job j = {.images = images, .blocks = MCLI_NEW(c, uint64_t, blocks)};
  mcl_status s = j.blocks ? MCL_OK : mcli_nomem(err, "hashes");
  if (s == MCL_OK && !is_dense(images)) {
    j.rows = mcli_alloc(c, mcli_workers(c), (size_t)mcli_array_row_size(images));
    if (!j.rows) s = mcli_nomem(err, "hashes");
  }
  if (s == MCL_OK) s = mcli_parallel(c, blocks, hash_block, &j, err);
  if (s == MCL_OK)
    *out = mcli_hash(j.blocks, blocks * sizeof *j.blocks,
                     mcli_hash(images->shape, sizeof images->shape, 0)); // (2)
  mcli_free(c, j.rows);
  mcli_free(c, j.blocks);
  return s;
}

// ---- the kind -----------------------------------------------------------------------------------

typedef struct memory_dataset {
  mcl_dataset base;
  mcl_array images;
  void *owned;
} memory_dataset;

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  (void)modality;
  return mcli_memory_load(d->context, &((memory_dataset *)d)->images, indices, n, out, err);
}

static void destroy(mcl_dataset *d) {
  mcli_free(d->context, ((memory_dataset *)d)->owned);
}

static const mcli_dataset_kind memory_kind = {.load = load, .destroy = destroy};

mcl_status mcli_memory_create(mcl_context *c, const mcl_array *images, void *owned,
                              mcl_dataset **out, mcl_error *err) {
  mcl_dataset *d = mcli_dataset_new(c, sizeof(memory_dataset), &memory_kind, 1);
  if (!d) return mcli_nomem(err, "a dataset");
  memory_dataset *m = (memory_dataset *)d;
  m->images = *images;
  d->rows = images->shape[0];
  d->cached = 1;
  mcli_dataset_set_shape(d, 0, MCL_U8, 3, images->shape + 1);
  mcl_status s = fingerprint(c, images, &d->fingerprint, err);
  if (s < 0) {
    mcl_dataset_unref(d);
    return s;
  }
  m->owned = owned;
  *out = d;
  return MCL_OK;
}

mcl_status mcli_memory_set_labels(mcl_dataset *d, const int32_t *labels, const char *where,
                                  mcl_error *err) {
  int32_t largest = 0;
  for (int64_t i = 0; i < d->rows; i++) {
    if (labels[i] < 0)
      return mcli_fail_row(err, MCL_E_LIMIT, i, "label %lld in %s is %d, not 0 or more",
                           (long long)i, where, (int)labels[i]);
    // One below the top, so that the number of classes is an int32 too.
    if (labels[i] == INT32_MAX)
      return mcli_fail_row(err, MCL_E_LIMIT, i, "label %lld in %s is %d, the largest is %d",
                           (long long)i, where, (int)labels[i], INT32_MAX - 1);
    if (labels[i] > largest) largest = labels[i];
  }
  d->labels = MCLI_NEW(d->context, int32_t, d->rows);
  if (!d->labels) return mcli_nomem(err, "labels");
  memcpy(d->labels, labels, (size_t)d->rows * sizeof *labels);
  d->classes = largest + 1;
  return MCL_OK;
}
