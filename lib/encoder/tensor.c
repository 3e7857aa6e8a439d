// Other axes are a view with other strides: copying to it or from it puts every number in its place, both ways.
#include "encoder/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "math/array.h"
#include "store/copy.h"

enum { SHAPE_SIZE = 96 };

static void say_shape(const mcl_array *a, char text[SHAPE_SIZE]) {
  int at = snprintf(text, SHAPE_SIZE, "[");
  for (int32_t i = 0; i < a->ndim; i++)
    at +=
        snprintf(text + at, SHAPE_SIZE - (size_t)at, "%s%" PRId64, i > 0 ? ", " : "", a->shape[i]);
  snprintf(text + at, SHAPE_SIZE - (size_t)at, "]");
}

mcl_status mcli_tensor_check(const mcl_checkpoint *f, const char *path, const char *name,
                             const mcl_array *wanted, mcl_error *err) {
  mcl_array found;
  char theirs[SHAPE_SIZE], ours[SHAPE_SIZE];
  mcl_status s = mcl_checkpoint_shape(f, name, &found, err);
  if (s == MCL_E_NOT_FOUND)
    return mcli_fail(err, MCL_E_MISMATCH, "%s has no tensor %s", path, name);
  if (s < 0) return s;
  if (found.ndim != wanted->ndim || memcmp(found.shape, wanted->shape, sizeof found.shape) != 0) {
    say_shape(&found, theirs);
    say_shape(wanted, ours);
    return mcli_fail(err, MCL_E_MISMATCH, "%s: tensor %s is %s, the network's is %s", path, name,
                     theirs, ours);
  }
  if (!mcli_dtype_is_float(found.dtype))
    return mcli_fail(err, MCL_E_MISMATCH, "%s: tensor %s is not of a float type", path, name);
  return MCL_OK;
}

static mcl_status read_plain(const mcl_checkpoint *f, const char *path, const char *name,
                             const mcl_array *to, mcl_error *err) {
  mcl_status s = mcl_checkpoint_read(f, name, to, err);
  if (s == MCL_OK &&
      mcli_first_not_finite(to->data, 1, to->shape[0] * mcli_array_row_size(to)) >= 0)
    return mcli_fail(err, MCL_E_NOT_FINITE, "%s: tensor %s has a NaN or infinity", path, name);
  return s;
}

mcl_status mcli_tensor_read(mcl_context *c, const mcl_checkpoint *f, const char *path,
                            const char *name, const mcl_array *to, mcl_error *err) {
  if (mcli_array_is_contiguous(to)) return read_plain(f, path, name, to, err);
  mcl_array plain;
  float *numbers = MCLI_NEW(c, float, to->shape[0] * mcli_array_row_size(to));
  if (!numbers) return mcli_nomem(err, "a tensor");
  mcl_array_init(&plain, numbers, MCL_F32, to->ndim, to->shape);
  mcl_status s = read_plain(f, path, name, &plain, err);
  if (s == MCL_OK) mcli_array_copy(&plain, to);
  mcli_free(c, numbers);
  return s;
}

mcl_array mcli_tensor_view(const mcli_param *t, float *numbers) {
  const int64_t *h = t->shape;
  mcl_array a;
  mcl_array_init(&a, numbers, MCL_F32, t->ndim, h);
  if (t->ndim == 4) { // (2)
    a = (mcl_array){.data = numbers,
                    .dtype = MCL_F32,
                    .ndim = 4,
                    .shape = {h[3], h[2], h[0], h[1]},
                    .strides = {1, h[3], h[1] * h[2] * h[3], h[2] * h[3]}};
  } else if (t->ndim == 2 && strncmp(t->name, "dense", 5) == 0) { // (1)
    a = (mcl_array){.data = numbers,
                    .dtype = MCL_F32,
                    .ndim = 2,
                    .shape = {h[1], h[0], 1, 1},
                    .strides = {1, h[1], 1, 1}};
  }
  return a;
}
