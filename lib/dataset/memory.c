// Rows in memory, images or tokens, viewed through strides: a row is copied out at once where both
// sides are dense, else element by element, so that a transposed array of the host's (channels
// first, upside down) needs no copy of its own.
//
// The fingerprint H is of the contents, in blocks of rows that are hashed side by side:
//
//   h_b = hash(row_m, ... hash(row_1, hash(row_0, b)))     the rows of block b, chained    (1)
//   H   = hash(h_0 h_1 ..., hash(the four sizes, t))                                       (2)
//
// with t = 0 for uint8, else the number of the type, since equal bytes may then be other numbers.
// It depends neither on the strides nor on the threads. 64 bits of a mixer guard against mistakes,
// not against malice.
#include "dataset/memory.h"

#include <string.h>

#include "base/rng.h"
#include "dataset/groups.h"
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

// Element by element, for uint8 or int32 to float32 and for everything else.
static void widen_strided(const mcl_array *from, const void *a, const mcl_array *out, float *b) {
  const int64_t *s = from->strides, *t = out->strides;
  for (int64_t i = 0; i < from->shape[1]; i++)
    for (int64_t j = 0; j < from->shape[2]; j++)
      for (int64_t k = 0; k < from->shape[3]; k++) {
        int64_t at = i * s[1] + j * s[2] + k * s[3];
        b[i * t[1] + j * t[2] + k * t[3]] = from->dtype == MCL_U8
                                                ? (float)((const uint8_t *)a)[at] / 255.0f
                                                : (float)((const int32_t *)a)[at];
      }
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
  int widen = from->dtype != out->dtype;
  const unsigned char *a = (const unsigned char *)from->data + row * from->strides[0] * size;
  unsigned char *b = (unsigned char *)out->data + place * out->strides[0] * out_size;
  float *wide = (float *)out->data + place * out->strides[0];
  if (widen && is_dense(out))
    mcli_array_load(from, row, 1, wide);
  else if (!widen && is_dense(from) && is_dense(out))
    memcpy(b, a, (size_t)(mcli_array_row_size(from) * size));
  else if (widen)
    widen_strided(from, a, out, wide);
  else
    copy_strided(from, a, out, b, size);
}

typedef struct copy_job {
  const mcl_array *from, *out;
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
    mcli_row_copy(j->from, j->indices ? j->indices[i] : i, j->out, i);
}

mcl_status mcli_memory_load(mcl_context *c, const mcl_array *from, const int64_t *indices,
                            int64_t n, const mcl_array *out, mcl_error *err) {
  int64_t block = COPY_ELEMENTS / mcli_array_row_size(from) + 1;
  copy_job j = {from, out, indices, n, mcli_blocks(n, block)};
  return mcli_parallel(c, j.tasks, copy_rows, &j, err);
}

// ---- the fingerprint ----------------------------------------------------------------------------

typedef struct hash_job {
  const mcl_array *from;
  uint64_t *blocks;
  unsigned char *rows; // [workers, row]: a dense copy of the row at hand; NULL: they are dense
} hash_job;

static void hash_block(void *job, uint32_t task, uint32_t worker) {
  const hash_job *j = job;
  const mcl_array *a = j->from;
  int64_t size = mcli_dtype_size(a->dtype), row = mcli_array_row_size(a) * size;
  int64_t first = (int64_t)task * HASH_ROWS;
  int64_t end = first + HASH_ROWS < a->shape[0] ? first + HASH_ROWS : a->shape[0];
  unsigned char *copy = j->rows ? j->rows + worker * row : NULL;
  mcl_array dense = *a;
  mcl_array_init(&dense, copy, a->dtype, 4, (int64_t[]){1, a->shape[1], a->shape[2], a->shape[3]});
  uint64_t h = task;
  for (int64_t i = first; i < end; i++) {
    if (copy) mcli_row_copy(a, i, &dense, 0);
    const unsigned char *bytes = (const unsigned char *)a->data + i * a->strides[0] * size;
    h = mcli_hash(copy ? copy : bytes, (uint64_t)row, h); // (1)
  }
  j->blocks[task] = h;
}

static mcl_status fingerprint(mcl_context *c, const mcl_array *from, uint64_t *out,
                              mcl_error *err) {
  uint32_t blocks = mcli_blocks(from->shape[0], HASH_ROWS);
  uint64_t type = from->dtype == MCL_U8 ? 0 : (uint64_t)from->dtype;
  hash_job j = {.from = from, .blocks = MCLI_NEW(c, uint64_t, blocks)};
  mcl_status s = j.blocks ? MCL_OK : mcli_nomem(err, "hashes");
  if (s == MCL_OK && !is_dense(from)) {
    size_t size = (size_t)mcli_dtype_size(from->dtype);
    j.rows = mcli_alloc(c, mcli_workers(c), (uint64_t)mcli_array_row_size(from) * size);
    if (!j.rows) s = mcli_nomem(err, "hashes");
  }
  if (s == MCL_OK) s = mcli_parallel(c, blocks, hash_block, &j, err);
  if (s == MCL_OK)
    *out = mcli_hash(j.blocks, blocks * sizeof *j.blocks,
                     mcli_hash(from->shape, sizeof from->shape, type)); // (2)
  mcli_free(c, j.rows);
  mcli_free(c, j.blocks);
  return s;
}

// ---- the kind -----------------------------------------------------------------------------------

typedef struct memory_dataset {
  mcl_dataset base;
  mcl_array kept;
  void *owned;
} memory_dataset;

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  (void)modality;
  return mcli_memory_load(d->context, &((memory_dataset *)d)->kept, indices, n, out, err);
}

static void destroy(mcl_dataset *d) {
  mcli_free(d->context, ((memory_dataset *)d)->owned);
}

static const mcli_dataset_kind memory_kind = {.load = load, .destroy = destroy};

// ---- rows of tokens, which are the same where their ids are ---------------------------------------

static int compare_tokens(const void *user, int64_t a, int64_t b) {
  const mcl_array *from = user;
  const int32_t *ids = from->data;
  for (int64_t k = 0; k < from->shape[1]; k++) {
    int32_t x = ids[a * from->strides[0] + k * from->strides[1]];
    int32_t y = ids[b * from->strides[0] + k * from->strides[1]];
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

static mcl_status token_groups(mcl_dataset *d, int32_t modality, int64_t *out, mcl_error *err) {
  const mcl_array *from = &((memory_dataset *)d)->kept;
  mcl_context *c = d->context;
  (void)modality;
  int64_t context = from->shape[1];
  int32_t *row = MCLI_NEW(c, int32_t, context);
  mcli_group_key *keys = MCLI_NEW(c, mcli_group_key, d->rows);
  mcl_status s = row && keys ? MCL_OK : mcli_nomem(err, "groups");
  mcl_array dense;
  mcl_array_init(&dense, row, MCL_I32, 2, (int64_t[]){1, context});
  for (int64_t i = 0; s == MCL_OK && i < d->rows; i++) {
    mcli_row_copy(from, i, &dense, 0);
    keys[i] = (mcli_group_key){mcli_hash(row, (uint64_t)context * sizeof *row, 0), i};
  }
  if (s == MCL_OK) s = mcli_group(c, keys, d->rows, compare_tokens, from, out, err);
  mcli_free(c, row);
  mcli_free(c, keys);
  return s;
}

static const mcli_dataset_kind tokens_kind = {
    .load = load, .groups = token_groups, .destroy = destroy};

// ---- making one ---------------------------------------------------------------------------------

mcl_status mcli_memory_create(mcl_context *c, const mcl_array *from, void *owned, mcl_dataset **out,
                              mcl_error *err) {
  const mcli_dataset_kind *kind = from->dtype == MCL_I32 ? &tokens_kind : &memory_kind;
  mcl_dataset *d = mcli_dataset_new(c, sizeof(memory_dataset), kind, 1);
  if (!d) return mcli_nomem(err, "a dataset");
  memory_dataset *m = (memory_dataset *)d;
  m->kept = *from;
  d->rows = from->shape[0];
  d->cached = 1;
  mcli_dataset_set_shape(d, 0, from->dtype, from->ndim - 1, from->shape + 1);
  mcl_status s = fingerprint(c, from, &d->fingerprint, err);
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
