// Reading a checkpoint: the header is read and checked whole when the file is opened
// (safetensors.c), the numbers by pread when a tensor is asked for.
#include "store/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "store/safetensors.h"

struct mcl_checkpoint {
  mcli_refcount refs;
  mcl_context *context;
  mcli_reader reader;
  char *header; // the text that names point into
  mcli_tensors tensors;
  int64_t begin; // of the numbers, in bytes
};

const char *mcli_checkpoint_name(const mcl_checkpoint *k, int64_t i) {
  return i >= 0 && i < k->tensors.n ? k->tensors.tensors[i].name : NULL;
}

mcl_checkpoint *mcl_checkpoint_ref(mcl_checkpoint *k) {
  if (k) mcli_ref(&k->refs);
  return k;
}

void mcl_checkpoint_unref(mcl_checkpoint *k) {
  if (!k || !mcli_unref_is_last(&k->refs)) return;
  mcl_context *c = k->context;
  mcli_tensors_free(c, &k->tensors);
  mcli_free(c, k->header);
  mcli_reader_close(&k->reader);
  mcli_free(c, k);
  mcl_context_unref(c);
}

// Check (1) of safetensors.c. A file of another kind says some absurd length: that is no question
// of limits.
static mcl_status read_length(const mcli_reader *r, int64_t *length, mcl_error *err) {
  unsigned char bytes[MCLI_LENGTH_BYTES];
  uint64_t n = 0;
  if (r->size < MCLI_LENGTH_BYTES)
    return mcli_fail(err, MCL_E_FORMAT, "%s is no safetensors file: it has %lld bytes", r->path,
                     (long long)r->size);
  mcl_status s = mcli_reader_at(r, 0, bytes, sizeof bytes, err);
  if (s < 0) return s;
  for (int i = MCLI_LENGTH_BYTES - 1; i >= 0; i--) n = n << 8 | bytes[i];
  if (n > (uint64_t)(r->size - MCLI_LENGTH_BYTES))
    return mcli_fail(err, MCL_E_FORMAT, "%s is no safetensors file, or cut short inside its header",
                     r->path);
  if (n > MCLI_HEADER_LIMIT)
    return mcli_fail(err, MCL_E_LIMIT, "%s has a header of %lld bytes, the limit is %d", r->path,
                     (long long)n, MCLI_HEADER_LIMIT);
  *length = (int64_t)n;
  return MCL_OK;
}

static mcl_status read_header(mcl_checkpoint *k, mcl_error *err) {
  int64_t length = 0;
  mcl_status s = read_length(&k->reader, &length, err);
  if (s < 0) return s;
  k->header = mcli_alloc(k->context, (uint64_t)length + 1, 1);
  if (!k->header) return mcli_nomem(err, "a checkpoint's header");
  s = mcli_reader_at(&k->reader, MCLI_LENGTH_BYTES, k->header, length, err);
  if (s < 0) return s;
  k->begin = MCLI_LENGTH_BYTES + length;
  return mcli_tensors_read(k->context, k->reader.path, k->header, length, k->reader.size - k->begin,
                           &k->tensors, err);
}

mcl_status mcl_checkpoint_open(mcl_context *c, const char *path, mcl_checkpoint **out,
                               mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_checkpoint *k = MCLI_NEW0(c, mcl_checkpoint, 1);
  if (!k) return mcli_nomem(err, "a checkpoint");
  mcli_ref_init(&k->refs);
  k->context = mcl_context_ref(c);
  k->reader.fd = -1;
  mcl_status s = mcli_reader_open(c, path, &k->reader, err);
  if (s == MCL_OK) s = read_header(k, err);
  if (s < 0) {
    mcl_checkpoint_unref(k);
    return s;
  }
  *out = k;
  return mcl_ok(err);
}

static mcl_status find(const mcl_checkpoint *k, const char *name, const mcli_tensor **out,
                       mcl_error *err) {
  if (!k) return mcli_fail(err, MCL_E_INVALID, "checkpoint is NULL");
  if (!name) return mcli_fail(err, MCL_E_INVALID, "name is NULL");
  const mcli_tensor *t = mcli_tensors_find(&k->tensors, name);
  if (!t) return mcli_fail(err, MCL_E_NOT_FOUND, "%s has no tensor %s", k->reader.path, name);
  if (!t->dtype)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s: tensor %s is of type %s, which is not read here",
                     k->reader.path, name, mcli_path_end(t->type, 20));
  if (t->ndim > 4)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s: tensor %s has %d dimensions, at most 4 are read",
                     k->reader.path, name, (int)t->ndim);
  *out = t;
  return MCL_OK;
}

static mcl_array view_of(const mcli_tensor *t, void *data) {
  mcl_array a;
  mcl_array_init(&a, data, t->dtype, t->ndim ? t->ndim : 1, t->shape);
  return a;
}

mcl_status mcl_checkpoint_shape(const mcl_checkpoint *k, const char *name, mcl_array *out,
                                mcl_error *err) {
  const mcli_tensor *t;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = find(k, name, &t, err);
  if (s < 0) return s;
  *out = view_of(t, NULL);
  return mcl_ok(err);
}

// "60000, 128"
static void print_shape(char text[96], const mcl_array *a) {
  int n = 0;
  for (int i = 0; i < a->ndim; i++)
    n += snprintf(text + n, (size_t)(96 - n), i ? ", %lld" : "%lld", (long long)a->shape[i]);
}

static mcl_status check_fit(const mcl_checkpoint *k, const mcli_tensor *t, const mcl_array *out,
                            mcl_error *err) {
  char has[96], wanted[96];
  mcl_status s = mcli_array_check_out(out, "out", err);
  if (s < 0) return s;
  mcl_array file = view_of(t, NULL);
  if (out->ndim != file.ndim || memcmp(out->shape, file.shape, sizeof file.shape) != 0) {
    print_shape(has, &file);
    print_shape(wanted, out);
    return mcli_fail(err, MCL_E_SHAPE, "%s: tensor %s is [%s], out is [%s]", k->reader.path,
                     t->name, has, wanted);
  }
  if (!mcli_dtype_converts(t->dtype, out->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "%s: tensor %s is %s, out is %s", k->reader.path, t->name,
                     t->type, mcli_dtype_name(out->dtype));
  return MCL_OK;
}

mcl_status mcl_checkpoint_read(const mcl_checkpoint *k, const char *name, const mcl_array *out,
                               mcl_error *err) {
  const mcli_tensor *t;
  mcl_status s = find(k, name, &t, err);
  if (s < 0) return s;
  s = check_fit(k, t, out, err);
  if (s < 0) return s;
  int64_t bytes = t->end - t->begin;
  void *staged = mcli_alloc(k->context, (uint64_t)bytes, 1);
  if (!staged) return mcli_nomem(err, "a tensor");
  s = mcli_reader_at(&k->reader, k->begin + t->begin, staged, bytes, err);
  if (s == MCL_OK) {
    mcl_array from = view_of(t, staged);
    mcli_array_copy(&from, out);
  }
  mcli_free(k->context, staged);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_checkpoint_meta(const mcl_checkpoint *k, const char *key, char *text,
                               size_t capacity, size_t *wanted, mcl_error *err) {
  if (!k) return mcli_fail(err, MCL_E_INVALID, "checkpoint is NULL");
  if (!key) return mcli_fail(err, MCL_E_INVALID, "key is NULL");
  const char *value = mcli_tensors_meta(&k->tensors, key);
  if (!value) return mcli_fail(err, MCL_E_NOT_FOUND, "%s has no text %s", k->reader.path, key);
  return mcli_text_out(value, text, capacity, wanted, err);
}
