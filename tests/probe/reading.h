// Rows for the probe tests by every way that rows can come: arrays of all float types, callbacks, files.
#ifndef MCL_TESTS_PROBE_READING_H
#define MCL_TESTS_PROBE_READING_H

#include "probe/common.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <libmcl/rows.h>

#include "math/array.h"

// A callback over numbers in memory, watched, that can fail or spoil a row.
typedef struct reader {
  const unsigned char *bytes; // [n, dim] of dtype
  int64_t row_bytes;
  pthread_t caller;
  pthread_mutex_t lock;
  int64_t calls, rows, elsewhere, at_once, most_at_once;
  int64_t fail_at;        // the call that fails, from 1; 0: none
  int64_t nan_at[2];      // rows that are not finite, of float32; -1: none
  int wait_for_elsewhere; // with a block, the caller's thread waits until another has read, 5 s at most
} reader;

static inline mcl_status read_watched(void *user, int64_t first, int64_t n, const mcl_array *out,
                                      mcl_error *err) {
  reader *r = user;
  pthread_mutex_lock(&r->lock);
  int64_t call = ++r->calls;
  int here = pthread_equal(pthread_self(), r->caller);
  r->rows += n;
  r->elsewhere += !here;
  if (++r->at_once > r->most_at_once) r->most_at_once = r->at_once;
  for (int i = 0; i < 5000 && here && n > 1 && r->wait_for_elsewhere && r->elsewhere == 0; i++) {
    pthread_mutex_unlock(&r->lock);
    usleep(1000);
    pthread_mutex_lock(&r->lock);
  }
  pthread_mutex_unlock(&r->lock);
  memcpy(out->data, r->bytes + first * r->row_bytes, (size_t)(n * r->row_bytes));
  for (int i = 0; i < 2; i++)
    if (r->nan_at[i] >= first && r->nan_at[i] < first + n)
      ((float *)out->data)[(r->nan_at[i] - first) * out->shape[1]] = NAN;
  pthread_mutex_lock(&r->lock);
  r->at_once--;
  pthread_mutex_unlock(&r->lock);
  return call == r->fail_at ? mcl_error_set(err, MCL_E_IO, 77, "the disk is gone") : mcl_ok(err);
}

static inline mcl_rows rows_by(reader *r, const void *bytes, int32_t dtype, int64_t n, int64_t dim,
                               int32_t flags) {
  memset(r, 0, sizeof *r);
  r->bytes = bytes;
  r->row_bytes = dim * mcli_dtype_size(dtype);
  r->caller = pthread_self();
  r->nan_at[0] = r->nan_at[1] = -1;
  pthread_mutex_init(&r->lock, NULL);
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.user = r;
  rows.read = read_watched;
  rows.rows = n;
  rows.dim = (int32_t)dim;
  rows.dtype = dtype;
  rows.flags = flags;
  return rows;
}

// ---- every way -------------------------------------------------------------------------------------------

enum { BY_ARRAY, BY_CALLER, BY_ANY_THREAD, BY_FILE };
static const struct {
  int by;
  int32_t dtype;
} ways[] = {{BY_ARRAY, MCL_F32},   {BY_ARRAY, MCL_F64},      {BY_ARRAY, MCL_F16},
            {BY_ARRAY, MCL_BF16},  {BY_CALLER, MCL_F32},     {BY_CALLER, MCL_F64},
            {BY_CALLER, MCL_BF16}, {BY_ANY_THREAD, MCL_F32}, {BY_ANY_THREAD, MCL_F16},
            {BY_FILE, MCL_F32},    {BY_FILE, MCL_F64},       {BY_FILE, MCL_F16}};
enum { WAYS = sizeof ways / sizeof *ways };

// Sixteenths below 8 in size: the same in every float type.
static inline void make_exact(float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = fminf(fmaxf(roundf(x[i] * 16) / 16, -7.9375F), 7.9375F);
}

static inline void *converted(const float *x, int64_t n, int32_t dtype) {
  void *out = malloc((size_t)(n * mcli_dtype_size(dtype)));
  int64_t shape[2] = {n, 1};
  mcl_array a;
  mcl_array_init(&a, out, dtype, 2, shape);
  mcli_array_store(&a, 0, n, x);
  return out;
}

typedef struct given {
  mcl_rows rows;
  mcl_array array;
  reader r;
  mcl_npy *file;
  void *bytes;
  char path[512];
} given;

// x [n, dim] by ways[way]; stays where it is until give_back().
static inline void give(given *g, int way, mcl_context *c, const float *x, int64_t n, int64_t dim,
                        const char *name) {
  mcl_error err;
  int32_t dtype = ways[way].dtype;
  int64_t shape[2] = {n, dim};
  memset(g, 0, sizeof *g);
  g->bytes = converted(x, n * dim, dtype);
  mcl_array_init(&g->array, g->bytes, dtype, 2, shape);
  mcl_struct_init(&g->rows, sizeof g->rows);
  g->rows.array = &g->array;
  if (ways[way].by == BY_CALLER || ways[way].by == BY_ANY_THREAD)
    g->rows = rows_by(&g->r, g->bytes, dtype, n, dim,
                      ways[way].by == BY_ANY_THREAD ? MCL_ROWS_ANY_THREAD : 0);
  if (ways[way].by != BY_FILE) return;
  snprintf(g->path, sizeof g->path, "%s/rows.npy", test_directory(name));
  CHECK_OK(mcl_npy_create(c, g->path, dtype, n, (int32_t)dim, &g->file, &err));
  CHECK_OK(mcl_npy_write(g->file, 0, &g->array, &err));
  CHECK_OK(mcl_npy_commit(g->file, &err));
  mcl_npy_unref(g->file);
  CHECK_OK(mcl_npy_open(c, g->path, &g->file, &err));
  mcl_npy_rows(g->file, &g->rows);
}

static inline void give_back(given *g) {
  mcl_npy_unref(g->file);
  free(g->bytes);
}

#endif
