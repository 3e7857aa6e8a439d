// Copies between views, element by element where nothing better can be done.
#include "store/copy.h"

#include <string.h>

// Floats converted at a time, on the stack: no context, and so no allocator, comes with a view.
enum { CHUNK = 256 };

int mcli_dtype_converts(int32_t from, int32_t to) {
  return from == to || (mcli_dtype_is_float(from) && mcli_dtype_is_float(to));
}

const char *mcli_dtype_name(int32_t dtype) {
  static const char *const names[] = {"?", "F32", "F64", "F16", "BF16", "U8", "I32", "I64"};
  return names[dtype >= MCL_F32 && dtype <= MCL_I64 ? dtype : 0];
}

int mcli_array_is_contiguous(const mcl_array *a) {
  int64_t inside = 1;
  for (int i = a->ndim - 1; i >= 0; i--) {
    if (a->shape[i] != 1 && a->strides[i] != inside) return 0;
    inside *= a->shape[i];
  }
  return 1;
}

static void *element(const mcl_array *a, int64_t at) {
  // A view without elements may have no data, and NULL + 0 is no valid sum.
  return a->data ? (char *)a->data + at * mcli_dtype_size(a->dtype) : NULL;
}

mcl_array mcli_array_rows(const mcl_array *a, int64_t first, int64_t n) {
  mcl_array part = *a;
  part.data = element(a, first * a->strides[0]);
  part.shape[0] = n;
  return part;
}

// n elements along the last dimension.
static void copy_line(const mcl_array *from, int64_t at, const mcl_array *to, int64_t to_at,
                      int64_t n, int64_t from_stride, int64_t to_stride) {
  size_t size = (size_t)mcli_dtype_size(from->dtype);
  if (from->dtype != to->dtype) {
    float numbers[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
      int64_t part = n - i < CHUNK ? n - i : CHUNK;
      mcl_array in = {element(from, at + i * from_stride),
                      from->dtype,
                      1,
                      0,
                      0,
                      {part, 1, 1, 1},
                      {from_stride, 1, 1, 1}};
      mcl_array out = {element(to, to_at + i * to_stride),
                       to->dtype,
                       1,
                       0,
                       0,
                       {part, 1, 1, 1},
                       {to_stride, 1, 1, 1}};
      mcli_array_load(&in, 0, part, numbers);
      mcli_array_store(&out, 0, part, numbers);
    }
  } else if (from_stride == 1 && to_stride == 1) {
    memcpy(element(to, to_at), element(from, at), (size_t)n * size);
  } else {
    for (int64_t i = 0; i < n; i++)
      memcpy(element(to, to_at + i * to_stride), element(from, at + i * from_stride), size);
  }
}

void mcli_array_copy(const mcl_array *from, const mcl_array *to) {
  const int64_t *f = from->strides, *t = to->strides, *shape = from->shape;
  for (int i = 0; i < 4; i++)
    if (shape[i] == 0) return;
  if (from->dtype == to->dtype && mcli_array_is_contiguous(from) && mcli_array_is_contiguous(to)) {
    int64_t n = shape[0] * mcli_array_row_size(from);
    memcpy(to->data, from->data, (size_t)(n * mcli_dtype_size(from->dtype)));
    return;
  }
  int last = from->ndim - 1;
  int64_t lines[4] = {1, 1, 1, 1};
  for (int i = 0; i < last; i++) lines[i] = shape[i];
  for (int64_t i = 0; i < lines[0]; i++)
    for (int64_t j = 0; j < lines[1]; j++)
      for (int64_t k = 0; k < lines[2]; k++)
        copy_line(from, i * f[0] + j * f[1] + k * f[2], to, i * t[0] + j * t[1] + k * t[2],
                  shape[last], f[last], t[last]);
}

// Full whenever n is a power of two: then it has never been larger.
void *mcli_grown(mcl_context *c, void *items, int64_t n, size_t size) {
  return n & (n - 1) ? items : mcli_realloc(c, items, n ? (uint64_t)n * 2 : 1, size);
}
