// Reading a safetensors header that nobody vouches for.
//
// The checks, in an order in which each may rely on those before it:
//
//   the header's length is at most 1 MB, and it ends inside the file (checkpoint.c)        (1)
//   the grammar, UTF-8, and no name or key twice                                           (2)
//   begin <= end <= bytes of numbers, for each tensor                                      (3)
//   sorted by begin, each tensor begins where the one before ended, the last at the end    (4)
//   the product of the shape fits                                                          (5)
//   product * size of the type = end - begin, for the types known here                     (6)
//
// (4) leaves no room for bytes that no tensor owns, where something could be hidden.
#include "store/safetensors.h"

#include <stdlib.h>
#include <string.h>

// More dimensions than any framework has, as in numpy.
enum { MOST_DIMENSIONS = 32 };

// Bytes of a name that a message has: a name may have a megabyte, and the reason stands behind it.
enum { MOST_NAME = 60 };

typedef struct reading {
  mcl_context *context;
  const char *path;
  mcl_error *err;
  mcli_json json;
  mcli_tensors *out;
  int64_t bytes;
} reading;

// ---- (2) the grammar ----------------------------------------------------------------------------

static int32_t dtype_of(const char *name) {
  for (int32_t dtype = MCL_F32; dtype <= MCL_I64; dtype++)
    if (strcmp(name, mcli_dtype_name(dtype)) == 0) return dtype;
  return 0;
}

static void read_shape(mcli_json *j, mcli_tensor *t, int *overflow) {
  t->elements = 1;
  for (int i = 0; i < 4; i++) t->shape[i] = 1;
  mcli_json_open(j, '[');
  while (mcli_json_more(j, ']')) {
    int64_t size = mcli_json_count(j);
    if (t->ndim == MOST_DIMENSIONS) mcli_json_fail(j, "a tensor has more than 32 dimensions");
    if (j->problem) return;
    if (t->ndim < 4) t->shape[t->ndim] = size;
    t->ndim++;
    if (!mcli_mul(t->elements, size, &t->elements)) {
      *overflow = 1;
      t->elements = 0;
    }
  }
}

static void read_offsets(mcli_json *j, mcli_tensor *t) {
  int64_t both[2] = {0, 0};
  int n = 0;
  mcli_json_open(j, '[');
  while (mcli_json_more(j, ']')) {
    int64_t offset = mcli_json_count(j);
    if (n == 2) mcli_json_fail(j, "data_offsets are two numbers");
    if (j->problem) return;
    both[n++] = offset;
  }
  if (n != 2) mcli_json_fail(j, "data_offsets are two numbers");
  t->begin = both[0];
  t->end = both[1];
}

static void read_fields(mcli_json *j, mcli_tensor *t, int *overflow) {
  enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
  int seen = 0;
  mcli_json_open(j, '{');
  while (mcli_json_more(j, '}')) {
    const char *key = mcli_json_key(j);
    int which = strcmp(key, "dtype") == 0          ? DTYPE
                : strcmp(key, "shape") == 0        ? SHAPE
                : strcmp(key, "data_offsets") == 0 ? OFFSETS
                                                   : 0;
    if (!which || (seen & which)) mcli_json_fail(j, "a tensor has an unknown field, or one twice");
    seen |= which;
    if (which == DTYPE) t->type = mcli_json_string(j);
    if (which == SHAPE) read_shape(j, t, overflow);
    if (which == OFFSETS) read_offsets(j, t);
  }
  if (seen != ALL) mcli_json_fail(j, "a tensor lacks dtype, shape or data_offsets");
}

static mcl_status fail_tensor(const reading *r, const char *name, const char *what) {
  return mcli_fail(r->err, MCL_E_FORMAT, "%s is damaged: tensor %s %s", r->path,
                   mcli_path_end(name, MOST_NAME), what);
}

static mcl_status read_tensor(reading *r, const char *name) {
  mcli_tensor t = {.name = name, .type = ""};
  int overflow = 0;
  int64_t size;
  read_fields(&r->json, &t, &overflow);
  if (r->json.problem) // where the text was spoilt the name is still whole
    return mcli_fail(r->err, MCL_E_FORMAT,
                     "%s is damaged: %s, in tensor %s at byte %lld of the header", r->path,
                     r->json.problem, mcli_path_end(name, MOST_NAME), (long long)r->json.place);
  t.dtype = dtype_of(t.type);
  if (t.begin > t.end || t.end > r->bytes)
    return fail_tensor(r, name, "lies outside the file");                     // (3)
  if (overflow) return fail_tensor(r, name, "has a shape that is too large"); // (5)
  if (t.dtype &&
      (!mcli_mul(t.elements, mcli_dtype_size(t.dtype), &size) || size != t.end - t.begin))
    return fail_tensor(r, name, "has a shape that does not fit its bytes"); // (6)
  mcli_tensor *tensors = mcli_grown(r->context, r->out->tensors, r->out->n, sizeof t);
  if (!tensors) return mcli_nomem(r->err, "a checkpoint's header");
  r->out->tensors = tensors;
  r->out->tensors[r->out->n++] = t;
  return MCL_OK;
}

static mcl_status read_meta(reading *r) {
  mcli_json_open(&r->json, '{');
  while (mcli_json_more(&r->json, '}')) {
    mcli_meta m = {.key = mcli_json_key(&r->json)};
    m.value = mcli_json_string(&r->json);
    if (r->json.problem) break;
    mcli_meta *meta = mcli_grown(r->context, r->out->meta, r->out->n_meta, sizeof m);
    if (!meta) return mcli_nomem(r->err, "a checkpoint's header");
    r->out->meta = meta;
    r->out->meta[r->out->n_meta++] = m;
  }
  return MCL_OK;
}

static mcl_status read_all(reading *r) {
  int meta = 0;
  mcl_status s = MCL_OK;
  mcli_json_open(&r->json, '{');
  while (s == MCL_OK && mcli_json_more(&r->json, '}')) {
    const char *name = mcli_json_key(&r->json);
    if (r->json.problem) break;
    if (strcmp(name, MCLI_META_NAME) != 0) {
      s = read_tensor(r, name);
    } else {
      if (meta) mcli_json_fail(&r->json, MCLI_META_NAME " stands there twice");
      meta = 1;
      s = read_meta(r);
    }
  }
  mcli_json_end(&r->json);
  if (s == MCL_OK && r->json.problem)
    s = mcli_fail(r->err, MCL_E_FORMAT, "%s is damaged: %s, at byte %lld of the header", r->path,
                  r->json.problem, (long long)r->json.place);
  return s;
}

// ---- (2), (4): what concerns several tensors ----------------------------------------------------

static int by_name(const void *a, const void *b) {
  return strcmp(((const mcli_tensor *)a)->name, ((const mcli_tensor *)b)->name);
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const mcli_meta *)a)->key, ((const mcli_meta *)b)->key);
}

// Empty tensors first where several begin at one place, so that each begins where the one before
// ended.
static int by_place(const void *a, const void *b) {
  const mcli_tensor *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  if (x->end != y->end) return x->end < y->end ? -1 : 1;
  return 0;
}

static void sort(void *items, int64_t n, size_t size, int (*order)(const void *, const void *)) {
  if (n > 1) qsort(items, (size_t)n, size, order);
}

static mcl_status check_places(const reading *r) {
  mcli_tensors *t = r->out;
  int64_t end = 0;
  sort(t->tensors, t->n, sizeof *t->tensors, by_place);
  for (int64_t i = 0; i < t->n; i++) {
    if (t->tensors[i].begin < end) return fail_tensor(r, t->tensors[i].name, "overlaps another");
    if (t->tensors[i].begin > end)
      return fail_tensor(r, t->tensors[i].name, "leaves a gap before it");
    end = t->tensors[i].end;
  }
  if (end != r->bytes)
    return mcli_fail(r->err, MCL_E_FORMAT, "%s is damaged: its tensors end at byte %lld of %lld",
                     r->path, (long long)end, (long long)r->bytes);
  return MCL_OK;
}

static mcl_status check_names(const reading *r) {
  mcli_tensors *t = r->out;
  sort(t->tensors, t->n, sizeof *t->tensors, by_name);
  sort(t->meta, t->n_meta, sizeof *t->meta, by_key);
  for (int64_t i = 1; i < t->n; i++)
    if (by_name(t->tensors + i - 1, t->tensors + i) == 0)
      return fail_tensor(r, t->tensors[i].name, "stands there twice");
  for (int64_t i = 1; i < t->n_meta; i++)
    if (by_key(t->meta + i - 1, t->meta + i) == 0)
      return mcli_fail(r->err, MCL_E_FORMAT, "%s is damaged: key %s stands there twice", r->path,
                       mcli_path_end(t->meta[i].key, MOST_NAME));
  return MCL_OK;
}

// ---- the whole ----------------------------------------------------------------------------------

mcl_status mcli_tensors_read(mcl_context *c, const char *path, char *text, int64_t length,
                             int64_t bytes, mcli_tensors *out, mcl_error *err) {
  reading r = {.context = c, .path = path, .err = err, .out = out, .bytes = bytes};
  *out = (mcli_tensors){0};
  mcli_json_begin(&r.json, text, length);
  mcl_status s = read_all(&r);
  if (s == MCL_OK) s = check_places(&r);
  if (s == MCL_OK) s = check_names(&r); // last: it leaves them sorted by name
  if (s < 0) mcli_tensors_free(c, out);
  return s;
}

void mcli_tensors_free(mcl_context *c, mcli_tensors *t) {
  mcli_free(c, t->tensors);
  mcli_free(c, t->meta);
  *t = (mcli_tensors){0};
}

const mcli_tensor *mcli_tensors_find(const mcli_tensors *t, const char *name) {
  mcli_tensor key = {.name = name};
  return t->n ? bsearch(&key, t->tensors, (size_t)t->n, sizeof key, by_name) : NULL;
}

const char *mcli_tensors_meta(const mcli_tensors *t, const char *key) {
  mcli_meta wanted = {.key = key};
  const mcli_meta *found =
      t->n_meta ? bsearch(&wanted, t->meta, (size_t)t->n_meta, sizeof wanted, by_key) : NULL;
  return found ? found->value : NULL;
}
