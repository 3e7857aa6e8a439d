// Writing a checkpoint: everything is gathered in memory, so that a failed call changes nothing and
// the header, which comes first in the file and must say where each tensor lies, is made once.
//
// Tensors are laid out by size of element, largest first, and the header is padded with blanks to 8
// bytes (both as the format's own writer does): every number then lies aligned, for readers that
// map the file.
#include <libmcl/checkpoint.h>

#include <string.h>

#include "base/file.h"
#include "store/safetensors.h"
#include "store/utf8.h"

typedef struct tensor {
  char *name;
  void *data; // contiguous
  int64_t shape[4];
  int64_t bytes;
  int32_t dtype, ndim;
} tensor;

typedef struct text {
  char *key, *value;
} text;

struct mcl_checkpoint_writer {
  mcli_refcount refs;
  mcli_guard guard;
  mcl_context *context;
  char *path;
  tensor *tensors;
  text *texts;
  int64_t n, n_texts;
  int committed;
};

mcl_checkpoint_writer *mcl_checkpoint_writer_ref(mcl_checkpoint_writer *w) {
  if (w) mcli_ref(&w->refs);
  return w;
}

void mcl_checkpoint_writer_unref(mcl_checkpoint_writer *w) {
  if (!w || !mcli_unref_is_last(&w->refs)) return;
  mcl_context *c = w->context;
  for (int64_t i = 0; i < w->n; i++) {
    mcli_free(c, w->tensors[i].name);
    mcli_free(c, w->tensors[i].data);
  }
  for (int64_t i = 0; i < w->n_texts; i++) {
    mcli_free(c, w->texts[i].key);
    mcli_free(c, w->texts[i].value);
  }
  mcli_free(c, w->tensors);
  mcli_free(c, w->texts);
  mcli_free(c, w->path);
  mcli_free(c, w);
  mcl_context_unref(c);
}

mcl_status mcl_checkpoint_writer_create(mcl_context *c, const char *path,
                                        mcl_checkpoint_writer **out, mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_checkpoint_writer *w = MCLI_NEW0(c, mcl_checkpoint_writer, 1);
  if (!w) return mcli_nomem(err, "a checkpoint");
  mcli_ref_init(&w->refs);
  mcli_guard_init(&w->guard);
  w->context = mcl_context_ref(c);
  w->path = mcli_strdup(c, path);
  if (!w->path) {
    mcl_checkpoint_writer_unref(w);
    return mcli_nomem(err, "a path");
  }
  *out = w;
  return mcl_ok(err);
}

// ---- gathering ----------------------------------------------------------------------------------

static mcl_status check_text(const char *given, const char *argument, mcl_error *err) {
  if (!given) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", argument);
  if (!mcli_utf8_valid(given, (int64_t)strlen(given)))
    return mcli_fail(err, MCL_E_INVALID, "%s is not UTF-8", argument);
  return MCL_OK;
}

static mcl_status check_name(const mcl_checkpoint_writer *w, const char *name, mcl_error *err) {
  mcl_status s = check_text(name, "name", err);
  if (s < 0) return s;
  if (!*name || strcmp(name, MCLI_META_NAME) == 0)
    return mcli_fail(err, MCL_E_INVALID, "name is '%s', which no tensor can have", name);
  for (int64_t i = 0; i < w->n; i++)
    if (strcmp(w->tensors[i].name, name) == 0)
      return mcli_fail(err, MCL_E_INVALID, "name %s is used by another tensor", name);
  return MCL_OK;
}

static mcl_status check_open(const mcl_checkpoint_writer *w, mcl_error *err) {
  return w->committed ? mcli_fail(err, MCL_E_STATE, "%s has been committed", w->path) : MCL_OK;
}

static mcl_status add_tensor(mcl_checkpoint_writer *w, const char *name, const mcl_array *a,
                             mcl_error *err) {
  mcl_context *c = w->context;
  int64_t n = a->shape[0] * mcli_array_row_size(a);
  tensor t = {.dtype = a->dtype, .ndim = a->ndim, .bytes = n * mcli_dtype_size(a->dtype)};
  memcpy(t.shape, a->shape, sizeof t.shape);
  t.name = mcli_strdup(c, name);
  t.data = mcli_alloc(c, (uint64_t)t.bytes, 1);
  // Last, so that a call that fails leaves the list as large as it was.
  tensor *tensors = t.name && t.data ? mcli_grown(c, w->tensors, w->n, sizeof t) : NULL;
  if (tensors) w->tensors = tensors;
  if (!tensors) {
    mcli_free(c, t.name);
    mcli_free(c, t.data);
    return mcli_nomem(err, "a tensor");
  }
  mcl_array to;
  mcl_array_init(&to, t.data, t.dtype, t.ndim, t.shape);
  mcli_array_copy(a, &to);
  w->tensors[w->n++] = t;
  return MCL_OK;
}

mcl_status mcl_checkpoint_writer_add(mcl_checkpoint_writer *w, const char *name, const mcl_array *a,
                                     mcl_error *err) {
  if (!w) return mcli_fail(err, MCL_E_INVALID, "writer is NULL");
  mcl_status s = mcli_guard_enter(&w->guard, "mcl_checkpoint_writer", err);
  if (s < 0) return s;
  s = check_open(w, err);
  if (s == MCL_OK) s = check_name(w, name, err);
  if (s == MCL_OK) s = mcli_array_check(a, "a", err);
  if (s == MCL_OK) s = add_tensor(w, name, a, err);
  mcli_guard_leave(&w->guard);
  return s < 0 ? s : mcl_ok(err);
}

static mcl_status add_text(mcl_checkpoint_writer *w, const char *key, const char *value,
                           mcl_error *err) {
  mcl_context *c = w->context;
  text t = {mcli_strdup(c, key), mcli_strdup(c, value)};
  text *texts = t.key && t.value ? mcli_grown(c, w->texts, w->n_texts, sizeof t) : NULL;
  if (texts) w->texts = texts;
  if (!texts) {
    mcli_free(c, t.key);
    mcli_free(c, t.value);
    return mcli_nomem(err, "a text");
  }
  w->texts[w->n_texts++] = t;
  return MCL_OK;
}

static mcl_status check_meta(const mcl_checkpoint_writer *w, const char *key, const char *value,
                             mcl_error *err) {
  mcl_status s = check_open(w, err);
  if (s == MCL_OK) s = check_text(key, "key", err);
  if (s == MCL_OK) s = check_text(value, "value", err);
  for (int64_t i = 0; i < w->n_texts && s == MCL_OK; i++)
    if (strcmp(w->texts[i].key, key) == 0)
      s = mcli_fail(err, MCL_E_INVALID, "key %s is used by another text", key);
  return s;
}

mcl_status mcl_checkpoint_writer_meta(mcl_checkpoint_writer *w, const char *key, const char *value,
                                      mcl_error *err) {
  if (!w) return mcli_fail(err, MCL_E_INVALID, "writer is NULL");
  mcl_status s = mcli_guard_enter(&w->guard, "mcl_checkpoint_writer", err);
  if (s < 0) return s;
  s = check_meta(w, key, value, err);
  if (s == MCL_OK) s = add_text(w, key, value, err);
  mcli_guard_leave(&w->guard);
  return s < 0 ? s : mcl_ok(err);
}

// ---- the file -----------------------------------------------------------------------------------

// Calls visit for each tensor in the order of the file: four passes, for elements of 8, 4, 2 and 1
// bytes.
typedef mcl_status (*visit_fn)(void *to, const tensor *t, int64_t begin, mcl_error *err);

static mcl_status for_each(const mcl_checkpoint_writer *w, visit_fn visit, void *to,
                           mcl_error *err) {
  int64_t begin = 0;
  for (int64_t size = 8; size >= 1; size /= 2)
    for (int64_t i = 0; i < w->n; i++) {
      const tensor *t = w->tensors + i;
      if (mcli_dtype_size(t->dtype) != size) continue;
      mcl_status s = visit(to, t, begin, err);
      if (s < 0) return s;
      begin += t->bytes;
    }
  return MCL_OK;
}

static mcl_status describe(void *to, const tensor *t, int64_t begin, mcl_error *err) {
  mcli_text *header = to;
  (void)err; // memory that ran out is found at the end
  if (header->n > 1) mcli_text_add(header, ",");
  mcli_text_quote(header, t->name);
  mcli_text_format(header, ":{\"dtype\":\"%s\",\"shape\":[", mcli_dtype_name(t->dtype));
  for (int i = 0; i < t->ndim; i++)
    mcli_text_format(header, i ? ",%lld" : "%lld", (long long)t->shape[i]);
  mcli_text_format(header, "],\"data_offsets\":[%lld,%lld]}", (long long)begin,
                   (long long)(begin + t->bytes));
  return MCL_OK;
}

static mcl_status make_header(const mcl_checkpoint_writer *w, mcli_text *header, mcl_error *err) {
  mcli_text_add(header, "{");
  for (int64_t i = 0; i < w->n_texts; i++) {
    mcli_text_add(header, i ? "," : "\"" MCLI_META_NAME "\":{");
    mcli_text_quote(header, w->texts[i].key);
    mcli_text_add(header, ":");
    mcli_text_quote(header, w->texts[i].value);
  }
  if (w->n_texts) mcli_text_add(header, "}");
  (void)for_each(w, describe, header, NULL);
  mcli_text_add(header, "}");
  while (!header->failed && header->n % 8) mcli_text_add(header, " ");
  if (header->failed) return mcli_nomem(err, "a checkpoint's header");
  if (header->n > MCLI_HEADER_LIMIT)
    return mcli_fail(err, MCL_E_LIMIT, "%s would have a header of %lld bytes, the limit is %d",
                     w->path, (long long)header->n, MCLI_HEADER_LIMIT);
  return MCL_OK;
}

typedef struct target {
  mcli_writer *file;
  int64_t begin;
} target;

static mcl_status write_tensor(void *to, const tensor *t, int64_t begin, mcl_error *err) {
  const target *o = to;
  return mcli_writer_at(o->file, o->begin + begin, t->data, t->bytes, err);
}

static mcl_status write_file(const mcl_checkpoint_writer *w, const mcli_text *header,
                             mcl_error *err) {
  mcli_writer file;
  unsigned char length[MCLI_LENGTH_BYTES];
  for (int i = 0; i < MCLI_LENGTH_BYTES; i++)
    length[i] = (unsigned char)(header->n >> 8 * i & 0xFF);
  mcl_status s = mcli_writer_open(w->context, w->path, &file, err);
  if (s < 0) return s;
  target to = {&file, MCLI_LENGTH_BYTES + header->n};
  s = mcli_writer_at(&file, 0, length, sizeof length, err);
  if (s == MCL_OK) s = mcli_writer_at(&file, MCLI_LENGTH_BYTES, header->data, header->n, err);
  if (s == MCL_OK) s = for_each(w, write_tensor, &to, err);
  if (s == MCL_OK) return mcli_writer_commit(&file, err);
  mcli_writer_abort(&file);
  return s;
}

mcl_status mcl_checkpoint_writer_commit(mcl_checkpoint_writer *w, mcl_error *err) {
  mcli_text header;
  if (!w) return mcli_fail(err, MCL_E_INVALID, "writer is NULL");
  mcl_status s = mcli_guard_enter(&w->guard, "mcl_checkpoint_writer", err);
  if (s < 0) return s;
  mcli_text_begin(&header, w->context);
  s = check_open(w, err);
  if (s == MCL_OK) s = make_header(w, &header, err);
  if (s == MCL_OK) s = write_file(w, &header, err);
  if (s == MCL_OK) w->committed = 1;
  mcli_text_free(&header);
  mcli_guard_leave(&w->guard);
  return s < 0 ? s : mcl_ok(err);
}
