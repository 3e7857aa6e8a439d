// IDX, the format of MNIST (LeCun, Cortes & Burges, "The MNIST database of handwritten digits",
// section "File formats"). All numbers are big-endian:
//
//   0 0 type ndim | ndim sizes of 32 bits | the elements, the last dimension fastest
//
// A file has exactly the bytes that its sizes ask for: fewer is a file cut short, more is a header
// that lies.
#include "base/file.h"
#include "dataset/memory.h"
#include "math/array.h"

// The most that is unpacked, 300 times ImageNet at 32 x 32: a small gzip can claim any size.
// Whoever has more rows maps them and uses mcl_dataset_create_array().
static const int64_t MAX_BYTES = (int64_t)16 << 30;

enum { IDX_U8 = 0x08, IDX_I8 = 0x09, IDX_I16 = 0x0B, IDX_I32 = 0x0C };

typedef struct idx {
  unsigned char *bytes; // the whole file
  const unsigned char *elements;
  int type, ndim;
  int64_t shape[4];
} idx;

static int64_t element_size(int type) {
  return type == IDX_U8 || type == IDX_I8 ? 1 : type == IDX_I16 ? 2 : type == IDX_I32 ? 4 : 0;
}

static int64_t big_endian(const unsigned char *p, int64_t size) {
  uint32_t x = 0;
  for (int64_t i = 0; i < size; i++) x = x << 8 | p[i];
  if (size == 1) return (int8_t)x;
  return size == 2 ? (int16_t)x : (int32_t)x;
}

// Checks the header of f->bytes against the `size` bytes there are.
static mcl_status parse(idx *f, int64_t size, const char *path, mcl_error *err) {
  const unsigned char *p = f->bytes;
  const char *name = mcli_path_tail(path);
  if (size < 4 || p[0] != 0 || p[1] != 0 || p[3] == 0)
    return mcli_fail(err, MCL_E_FORMAT, "%s is not an IDX file", name);
  f->type = p[2];
  f->ndim = p[3];
  int64_t bytes = element_size(f->type), head = 4 + 4 * (int64_t)f->ndim;
  if (bytes == 0)
    return mcli_fail(err, MCL_E_FORMAT, "%s has IDX type 0x%02x, only integers are read", name,
                     (unsigned)f->type);
  if (f->ndim > 4)
    return mcli_fail(err, MCL_E_FORMAT, "%s has %d dimensions, at most 4 are read", name, f->ndim);
  if (size < head) return mcli_fail(err, MCL_E_FORMAT, "%s is cut short in its header", name);
  for (int i = 0; i < f->ndim; i++) {
    int64_t n = big_endian(p + 4 + 4 * i, 4) & 0xFFFFFFFF;
    if (n == 0) return mcli_fail(err, MCL_E_FORMAT, "%s has size 0 in dimension %d", name, i);
    if (!mcli_mul(bytes, n, &bytes) || bytes > MAX_BYTES)
      return mcli_fail(err, MCL_E_LIMIT, "%s claims over %lld bytes", name, (long long)MAX_BYTES);
    f->shape[i] = n;
  }
  f->elements = p + head;
  if (size - head == bytes) return MCL_OK;
  return mcli_fail(err, MCL_E_FORMAT, "%s is %s: its header asks for %lld bytes, it has %lld", name,
                   size - head < bytes ? "cut short" : "too long", (long long)(head + bytes),
                   (long long)size);
}

static mcl_status read_images(mcl_context *c, const char *path, idx *f, mcl_error *err) {
  int64_t size;
  mcl_status s = mcli_file_read_all_gz(c, path, MAX_BYTES, &f->bytes, &size, err);
  if (s == MCL_OK) s = parse(f, size, path, err);
  if (s < 0) return s;
  const char *name = mcli_path_tail(path);
  if (f->type != IDX_U8)
    return mcli_fail(err, MCL_E_FORMAT, "%s has IDX type 0x%02x, images are of 0x08", name,
                     (unsigned)f->type);
  if (f->ndim != 3 && f->ndim != 4)
    return mcli_fail(err, MCL_E_FORMAT, "%s has %d dimensions, images have 3 or 4", name, f->ndim);
  if (f->ndim == 3) f->shape[3] = 1;
  return MCL_OK;
}

static mcl_status convert_labels(mcl_dataset *d, const idx *f, const char *name, mcl_error *err) {
  int64_t bytes = element_size(f->type);
  int32_t *labels = MCLI_NEW(d->context, int32_t, d->rows);
  if (!labels) return mcli_nomem(err, "labels");
  for (int64_t i = 0; i < d->rows; i++) {
    const unsigned char *at = f->elements + i * bytes;
    labels[i] = f->type == IDX_U8 ? *at : (int32_t)big_endian(at, bytes);
  }
  mcl_status s = mcli_memory_set_labels(d, labels, name, err);
  mcli_free(d->context, labels);
  return s;
}

static mcl_status read_labels(mcl_dataset *d, const char *path, mcl_error *err) {
  mcl_context *c = d->context;
  idx f = {0};
  int64_t size;
  const char *name = mcli_path_tail(path);
  mcl_status s = mcli_file_read_all_gz(c, path, MAX_BYTES, &f.bytes, &size, err);
  if (s == MCL_OK) s = parse(&f, size, path, err);
  if (s == MCL_OK && f.ndim != 1)
    s = mcli_fail(err, MCL_E_FORMAT, "%s has %d dimensions, labels have 1", name, f.ndim);
  if (s == MCL_OK && f.shape[0] != d->rows)
    s = mcli_fail(err, MCL_E_SHAPE, "%s has %lld labels for %lld images", name,
                  (long long)f.shape[0], (long long)d->rows);
  if (s == MCL_OK) s = convert_labels(d, &f, name, err);
  mcli_free(c, f.bytes);
  return s;
}

mcl_status mcl_dataset_create_idx(mcl_context *c, const char *images, const char *labels,
                                  mcl_dataset **out, mcl_error *err) {
  idx f = {0};
  mcl_array view;
  mcl_dataset *d = NULL;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!images) return mcli_fail(err, MCL_E_INVALID, "images is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = read_images(c, images, &f, err);
  if (s < 0) goto done;
  mcl_array_init(&view, (void *)f.elements, MCL_U8, 4, f.shape);
  s = mcli_memory_create(c, &view, f.bytes, &d, err);
  if (s < 0) goto done;
  f.bytes = NULL; // the dataset's now
  if (labels) s = read_labels(d, labels, err);
  if (s < 0) goto done;
  *out = d;
  return mcl_ok(err);
done:
  mcl_dataset_unref(d);
  mcli_free(c, f.bytes);
  return s;
}
