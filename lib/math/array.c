// Views of the host's numbers, checked and converted to float32.
#include "math/array.h"

#include <math.h>
#include <string.h>

void mcl_array_init(mcl_array *a, void *data, int32_t dtype, int32_t ndim, const int64_t *shape) {
  *a = (mcl_array){.data = data, .dtype = dtype, .ndim = ndim};
  int64_t stride = 1;
  for (int i = 3; i >= 0; i--) {
    a->shape[i] = i < ndim ? shape[i] : 1;
    a->strides[i] = stride;
    // An overflow here is found by the check of the call that gets the view.
    if (i < ndim && a->shape[i] > 0 && !mcli_mul(stride, a->shape[i], &stride)) stride = INT64_MAX;
  }
}

int64_t mcli_dtype_size(int32_t dtype) {
  switch (dtype) {
  case MCL_F32:
  case MCL_I32:
    return 4;
  case MCL_F64:
  case MCL_I64:
    return 8;
  case MCL_F16:
  case MCL_BF16:
    return 2;
  case MCL_U8:
    return 1;
  default:
    return 0;
  }
}

int mcli_dtype_is_float(int32_t dtype) {
  return dtype == MCL_F32 || dtype == MCL_F64 || dtype == MCL_F16 || dtype == MCL_BF16;
}

int64_t mcli_array_row_size(const mcl_array *a) {
  return a->shape[1] * a->shape[2] * a->shape[3];
}

// ---- checks ----------------------------------------------------------------------------------------

// The farthest element in bytes fits in int64_t, so no index computed later overflows; nor does its address, where
// pointers have 32 bits.
static int extent_fits(const mcl_array *a) {
  int64_t extent = 1, elements = 1;
  for (int i = 0; i < a->ndim; i++) {
    int64_t reach, stride = a->strides[i] < 0 ? -a->strides[i] : a->strides[i];
    if (!mcli_mul(elements, a->shape[i], &elements)) return 0;
    if (a->shape[i] == 0) continue;
    if (a->strides[i] == INT64_MIN || !mcli_mul(a->shape[i] - 1, stride, &reach) ||
        __builtin_add_overflow(extent, reach, &extent))
      return 0;
  }
  int64_t bytes;
  return mcli_mul(extent, 8, &bytes) && mcli_mul(elements, 8, &bytes) &&
         mcli_mul(extent, mcli_dtype_size(a->dtype), &bytes) && bytes <= PTRDIFF_MAX;
}

mcl_status mcli_array_check(const mcl_array *a, const char *name, mcl_error *err) {
  if (!a) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", name);
  if (a->device != 0)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s is on device %d, only host memory (0) is taken",
                     name, (int)a->device);
  if (!mcli_dtype_size(a->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "%s has the unknown dtype %d", name, (int)a->dtype);
  if (a->ndim < 1 || a->ndim > 4)
    return mcli_fail(err, MCL_E_SHAPE, "%s has %d dimensions, not 1..4", name, (int)a->ndim);
  int64_t elements = 1;
  for (int i = 0; i < 4; i++) {
    if (a->shape[i] < 0 || (i >= a->ndim && a->shape[i] != 1))
      return mcli_fail(err, MCL_E_SHAPE, "%s.shape[%d] is %lld", name, i, (long long)a->shape[i]);
    if (a->shape[i] == 0) elements = 0;
  }
  if (!extent_fits(a)) return mcli_fail(err, MCL_E_SHAPE, "%s is too large to address", name);
  if (!a->data && elements) return mcli_fail(err, MCL_E_INVALID, "%s.data is NULL", name);
  return MCL_OK;
}

mcl_status mcli_array_check_out(const mcl_array *a, const char *name, mcl_error *err) {
  mcl_status s = mcli_array_check(a, name, err);
  if (s < 0) return s;
  if (a->flags & MCL_ARRAY_READONLY)
    return mcli_fail(err, MCL_E_INVALID, "%s is read-only but would be written", name);
  // Each stride at least spans what lies inside it, so that no two elements share a place.
  int64_t inside = 1;
  for (int i = a->ndim - 1; i >= 0; i--) {
    if (a->shape[i] > 1 && a->strides[i] < inside)
      return mcli_fail(err, MCL_E_SHAPE, "%s.strides[%d] is %lld, at least %lld is needed to write",
                       name, i, (long long)a->strides[i], (long long)inside);
    if (a->shape[i] > 1) inside = a->strides[i] * a->shape[i];
  }
  return MCL_OK;
}

static mcl_status check_matrix(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                               mcl_error *err) {
  if (!mcli_dtype_is_float(a->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "%s must be of a float type", name);
  if (a->ndim != 2)
    return mcli_fail(err, MCL_E_SHAPE, "%s has %d dimensions, not 2", name, (int)a->ndim);
  if (rows >= 0 && a->shape[0] != rows)
    return mcli_fail(err, MCL_E_SHAPE, "%s has %lld rows, not %lld", name, (long long)a->shape[0],
                     (long long)rows);
  if (cols >= 0 && a->shape[1] != cols)
    return mcli_fail(err, MCL_E_SHAPE, "%s has %lld columns, not %lld", name,
                     (long long)a->shape[1], (long long)cols);
  return MCL_OK;
}

mcl_status mcli_matrix_check(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                             mcl_error *err) {
  mcl_status s = mcli_array_check(a, name, err);
  return s < 0 ? s : check_matrix(a, name, rows, cols, err);
}

mcl_status mcli_matrix_check_out(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                                 mcl_error *err) {
  mcl_status s = mcli_array_check_out(a, name, err);
  return s < 0 ? s : check_matrix(a, name, rows, cols, err);
}

// ---- numbers ---------------------------------------------------------------------------------------

static float float_of_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static uint32_t bits_of_float(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

float mcli_half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
  if (exponent == 31) return float_of_bits(sign | 0x7F800000 | fraction << 13);
  if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
  float f = (float)fraction * 0x1p-24f; // subnormal
  return sign ? -f : f;
}

uint16_t mcli_float_to_half(float f) {
  uint32_t x = bits_of_float(f), sign = x >> 16 & 0x8000, magnitude = x & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00);  // NaN
  if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7C00); // 2^16 and above: infinity
  if (magnitude < 0x38800000) { // below 2^-14: subnormal, to nearest even by the FPU
    float scaled = float_of_bits(magnitude) * 0x1p24f;
    return (uint16_t)(sign | (uint32_t)lrintf(scaled));
  }
  uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return (uint16_t)(sign | (rounded - 0x38000000) >> 13); // may carry up to infinity, rightly
}

static uint16_t float_to_bf16(float f) {
  uint32_t x = bits_of_float(f);
  if ((x & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(x >> 16 | 0x40);
  return (uint16_t)((x + 0x7FFF + (x >> 16 & 1)) >> 16);
}

static float load_one(const void *data, int32_t dtype, int64_t i) {
  switch (dtype) {
  case MCL_F32:
    return ((const float *)data)[i];
  case MCL_F64:
    return (float)((const double *)data)[i];
  case MCL_F16:
    return mcli_half_to_float(((const uint16_t *)data)[i]);
  case MCL_BF16:
    return float_of_bits((uint32_t)((const uint16_t *)data)[i] << 16);
  case MCL_U8:
    return (float)((const uint8_t *)data)[i] / 255.0f;
  case MCL_I32:
    return (float)((const int32_t *)data)[i];
  default:
    return (float)((const int64_t *)data)[i];
  }
}

static void store_one(void *data, int32_t dtype, int64_t i, float x) {
  switch (dtype) {
  case MCL_F32:
    ((float *)data)[i] = x;
    return;
  case MCL_F64:
    ((double *)data)[i] = x;
    return;
  case MCL_F16:
    ((uint16_t *)data)[i] = mcli_float_to_half(x);
    return;
  case MCL_BF16:
    ((uint16_t *)data)[i] = float_to_bf16(x);
    return;
  case MCL_U8: {
    float scaled = x <= 0 ? 0 : x >= 1 ? 255 : x * 255.0f;
    ((uint8_t *)data)[i] = (uint8_t)lrintf(scaled);
    return;
  }
  case MCL_I32:
    ((int32_t *)data)[i] = (int32_t)lrintf(x);
    return;
  default:
    ((int64_t *)data)[i] = llrintf(x);
    return;
  }
}

// ---- rows ------------------------------------------------------------------------------------------

static int rows_are_dense(const mcl_array *a) {
  int64_t inside = 1;
  for (int i = a->ndim - 1; i >= 1; i--) {
    if (a->shape[i] != 1 && a->strides[i] != inside) return 0;
    inside *= a->shape[i];
  }
  return 1;
}

const float *mcli_array_plain(const mcl_array *a, int64_t first) {
  int64_t row = mcli_array_row_size(a);
  if (a->dtype != MCL_F32 || !rows_are_dense(a)) return NULL;
  if (a->shape[0] > 1 && a->strides[0] != row) return NULL;
  return (const float *)a->data + first * row;
}

// n / 255 in pieces of a fixed size, which the compiler turns into vector code: four divisions at a time.
static void load_bytes(const uint8_t *restrict in, int64_t n, float *restrict out) {
  enum { PIECE = 16 };
  for (; n >= PIECE; n -= PIECE, in += PIECE, out += PIECE)
    for (int k = 0; k < PIECE; k++) out[k] = (float)in[k] / 255.0f;
  for (int64_t i = 0; i < n; i++) out[i] = (float)in[i] / 255.0f;
}

// One dense row of the commonest types without a switch an element.
static void load_dense(const mcl_array *a, int64_t at, int64_t n, float *out) {
  if (a->dtype == MCL_F32) {
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): who has rows has data, see the check
    memcpy(out, (const float *)a->data + at, (size_t)n * sizeof *out);
  } else if (a->dtype == MCL_U8) {
    load_bytes((const uint8_t *)a->data + at, n, out);
  } else {
    for (int64_t i = 0; i < n; i++) out[i] = load_one(a->data, a->dtype, at + i);
  }
}

void mcli_array_load(const mcl_array *a, int64_t first, int64_t n, float *out) {
  int64_t row = mcli_array_row_size(a);
  int dense = rows_are_dense(a);
  for (int64_t r = 0; r < n; r++, out += row) {
    int64_t base = (first + r) * a->strides[0];
    if (dense) {
      load_dense(a, base, row, out);
      continue;
    }
    float *o = out;
    for (int64_t i = 0; i < a->shape[1]; i++)
      for (int64_t j = 0; j < a->shape[2]; j++)
        for (int64_t k = 0; k < a->shape[3]; k++)
          *o++ = load_one(a->data, a->dtype,
                          base + i * a->strides[1] + j * a->strides[2] + k * a->strides[3]);
  }
}

void mcli_array_store(const mcl_array *a, int64_t first, int64_t n, const float *rows) {
  int64_t row = mcli_array_row_size(a);
  int dense = rows_are_dense(a) && a->dtype == MCL_F32;
  for (int64_t r = 0; r < n; r++, rows += row) {
    int64_t base = (first + r) * a->strides[0];
    if (dense) {
      memcpy((float *)a->data + base, rows, (size_t)row * sizeof *rows);
      continue;
    }
    const float *x = rows;
    for (int64_t i = 0; i < a->shape[1]; i++)
      for (int64_t j = 0; j < a->shape[2]; j++)
        for (int64_t k = 0; k < a->shape[3]; k++)
          store_one(a->data, a->dtype,
                    base + i * a->strides[1] + j * a->strides[2] + k * a->strides[3], *x++);
  }
}

static uint32_t is_not_finite(float x) {
  return (bits_of_float(x) & 0x7F800000) == 0x7F800000;
}

// No branch a number, and lanes that compilers turn into vectors at any level of optimisation.
int64_t mcli_first_not_finite(const float *rows, int64_t n, int64_t dim) {
  enum { LANES = 16 };
  for (int64_t r = 0; r < n; r++, rows += dim) {
    uint32_t bad[LANES] = {0}, any = 0;
    int64_t i = 0;
    for (; i + LANES <= dim; i += LANES)
      for (int l = 0; l < LANES; l++) bad[l] |= is_not_finite(rows[i + l]);
    for (; i < dim; i++) any |= is_not_finite(rows[i]);
    for (int l = 0; l < LANES; l++) any |= bad[l];
    if (any) return r;
  }
  return -1;
}

// ---- mcl_rows ----------------------------------------------------------------------------------------

mcl_status mcli_rows_open(const mcl_rows *rows, const char *name, mcl_rows *out, mcl_error *err) {
  mcl_status s = mcli_struct_in(out, sizeof *out, rows, name, err);
  if (s < 0) return s;
  if (out->array) {
    s = mcli_matrix_check(out->array, name, -1, -1, err);
    if (s < 0) return s;
    if (out->array->shape[1] > INT32_MAX)
      return mcli_fail(err, MCL_E_SHAPE, "%s has too many columns", name);
    out->rows = out->array->shape[0];
    out->dim = (int32_t)out->array->shape[1];
    out->dtype = out->array->dtype;
  } else if (!out->read) {
    return mcli_fail(err, MCL_E_INVALID, "%s has neither an array nor a read callback", name);
  }
  if (out->flags & ~MCL_ROWS_ANY_THREAD)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s.flags has unknown bits: %d", name,
                     (int)out->flags);
  int64_t bytes;
  if (out->rows < 0 || out->dim < 1)
    return mcli_fail(err, MCL_E_SHAPE, "%s is [%lld, %d]: at least one column is needed", name,
                     (long long)out->rows, (int)out->dim);
  if (!mcli_mul(out->rows, out->dim, &bytes) || !mcli_mul(bytes, 8, &bytes))
    return mcli_fail(err, MCL_E_SHAPE, "%s is too large to address", name);
  if (!mcli_dtype_is_float(out->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "%s must be of a float type", name);
  return MCL_OK;
}

static mcl_status read_block(const mcl_rows *r, int64_t first, int64_t n, float *buffer,
                             void *scratch, mcl_error *err) {
  mcl_array a;
  int64_t shape[2] = {n, r->dim};
  int direct = r->dtype == MCL_F32;
  mcl_error inner;
  mcl_array_init(&a, direct ? (void *)buffer : scratch, r->dtype, 2, shape);
  mcli_callback_begin(&inner);
  mcl_status s = r->read(r->user, first, n, &a, &inner);
  s = mcli_callback_end(s, &inner, "mcl_rows.read", err);
  if (s == MCL_OK && !direct) mcli_array_load(&a, 0, n, buffer);
  return s;
}

mcl_status mcli_rows_load(const mcl_rows *r, int64_t first, int64_t n, float *out, void *scratch,
                          mcl_error *err) {
  if (!r->array) return read_block(r, first, n, out, scratch, err);
  mcli_array_load(r->array, first, n, out);
  return MCL_OK;
}

mcl_status mcli_rows_block(const mcl_rows *r, int64_t first, int64_t n, float *buffer,
                           void *scratch, const float **block, mcl_error *err) {
  const float *plain = r->array ? mcli_array_plain(r->array, first) : NULL;
  mcl_status s = plain ? MCL_OK : mcli_rows_load(r, first, n, buffer, scratch, err);
  if (s < 0) return s;
  *block = plain ? plain : buffer;
  int64_t bad = mcli_first_not_finite(*block, n, r->dim);
  if (bad >= 0)
    return mcli_fail_row(err, MCL_E_NOT_FINITE, first + bad, "row %lld is not finite",
                         (long long)(first + bad));
  return MCL_OK;
}
