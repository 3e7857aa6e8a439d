// Files with torchvision's names, as tests/golden/vision.py lists and fills them, whole or spoilt.
#ifndef MCL_TESTS_ENCODER_TORCH_FILE_H
#define MCL_TESTS_ENCODER_TORCH_FILE_H

#include "encoder/golden.h"

#include <libmcl/checkpoint.h>

#include "math/array.h"

typedef struct golden_tensor {
  const char *name;
  int32_t ndim;
  int64_t shape[4];
  double spread, centre;
} golden_tensor;

#include "golden/vision.h"

// In what a file differs from the whole one.
typedef struct file_options {
  int32_t dtype;              // 0: MCL_F32
  const char *without;        // what the name of tensors that are missing begins with
  const char *with;           // a tensor [1] that is too many, or 0 .. without a value
  const char *longer;         // one whose first axis has one more
  const char *whole;          // one of integers
  const char *spoilt;         // one with a NaN
  const char *from, *to;      // a part of names that is another
  const golden_tensor *other; // a tensor in place of the one of its name, or besides
} file_options;

static inline int64_t size_of(const golden_tensor *t) {
  int64_t n = 1;
  for (int32_t i = 0; i < t->ndim; i++) n *= t->shape[i];
  return n;
}

static inline float value_of(const golden_tensor *t, uint64_t stream, int64_t i) {
  return (float)(t->centre + (double)(float)t->spread * uniform(stream, (uint64_t)i));
}

static inline int is(const char *one, const char *name) {
  return one && strcmp(one, name) == 0;
}

static inline void put_tensor(mcl_checkpoint_writer *f, const file_options *o, golden_tensor t,
                              uint64_t stream) {
  char name[128];
  if (is(o->longer, t.name)) t.shape[0]++;
  int64_t n = size_of(&t);
  float *x = calloc((size_t)n, sizeof *x);
  unsigned char *bytes = calloc((size_t)n, 8);
  for (int64_t i = 0; i < n; i++) x[i] = value_of(&t, stream, i);
  if (is(o->spoilt, t.name)) x[n - 1] = NAN;
  const char *at = o->from ? strstr(t.name, o->from) : NULL;
  if (at)
    snprintf(name, sizeof name, "%.*s%s%s", (int)(at - t.name), t.name, o->to,
             at + strlen(o->from));
  else
    snprintf(name, sizeof name, "%s", t.name);
  mcl_array a;
  mcl_array_init(&a, bytes, o->dtype ? o->dtype : MCL_F32, t.ndim, t.shape);
  if (is(o->whole, t.name))
    a.dtype = MCL_I32;
  else
    mcli_array_store(&a, 0, t.shape[0], x);
  CHECK_OK(mcl_checkpoint_writer_add(f, name, &a, &err));
  free(x), free(bytes);
}

static inline void write_torch(mcl_context *c, const char *path, const golden_tensor *all, size_t n,
                               const file_options *o) {
  mcl_checkpoint_writer *f = NULL;
  CHECK_OK(mcl_checkpoint_writer_create(c, path, &f, &err));
  for (size_t i = 0; i < n; i++) {
    if (o->without && strncmp(all[i].name, o->without, strlen(o->without)) == 0) continue;
    put_tensor(f, o, o->other && is(o->other->name, all[i].name) ? *o->other : all[i], i);
  }
  golden_tensor extra = {.name = o->with, .ndim = 1, .shape = {1}};
  if (o->with) put_tensor(f, o, extra, 0);
  CHECK_OK(mcl_checkpoint_writer_commit(f, &err));
  mcl_checkpoint_writer_unref(f);
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

#endif
