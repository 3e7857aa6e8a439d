// Safetensors files: all of the input is one.
//
//   a file is refused whole, by its name, or every tensor in it can be asked for                         (1)
//   a tensor lies in the file: its shape times its type is no more than the file has                     (2)
//   it is read as its own type always, as another float type where it is one, else not at all            (3)
//   what is read is the same a second time, and after it was written to another file                     (4)
#include <libmcl/checkpoint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "store/checkpoint.h"
#include "store/copy.h"

const int fuzz_large = FUZZ_FINDING;

// Tensors looked at, texts asked for: an input has few.
enum { MOST = 24 };

static size_t size_of(const mcl_array *a) {
  int64_t n = mcli_dtype_size(a->dtype);
  for (int i = 0; i < a->ndim; i++)
    if (a->shape[i] < 0 || !mcli_mul(n, a->shape[i], &n))
      fuzz_fail("a tensor of %lld", (long long)a->shape[i]);
  return (size_t)n;
}

// (3)
static void read_as(const mcl_checkpoint *k, const char *name, const mcl_array *there,
                    int32_t dtype) {
  mcl_error err;
  mcl_array a;
  mcl_array_init(&a, NULL, dtype, there->ndim, there->shape);
  size_t n = size_of(&a);
  a.data = fuzz_room(n);
  int fits =
      dtype == there->dtype || (mcli_dtype_is_float(dtype) && mcli_dtype_is_float(there->dtype));
  if (!fuzz_ok(mcl_checkpoint_read(k, name, &a, &err), &err)) {
    fuzz_untouched(a.data, n, "mcl_checkpoint_read");
    if (fits && !fuzz_memory_may_fail()) fuzz_fail("not read: %s", err.message);
  } else if (!fits) {
    fuzz_fail("type %d is read as %d", (int)there->dtype, (int)dtype);
  }
  free(a.data);
}

// The tensor's numbers, to be freed; NULL without memory.
static void *numbers_of(const mcl_checkpoint *k, const char *name, mcl_array *a) {
  mcl_error err;
  if (!fuzz_ok(mcl_checkpoint_shape(k, name, a, &err), &err)) return NULL;
  a->data = fuzz_room(size_of(a));
  if (fuzz_ok(mcl_checkpoint_read(k, name, a, &err), &err)) return a->data;
  free(a->data);
  return NULL;
}

static void compare(const mcl_checkpoint *k, const mcl_checkpoint *same, const char *name) {
  mcl_array a, b;
  void *x = numbers_of(k, name, &a), *y = numbers_of(same, name, &b);
  if ((!x || !y) && !fuzz_memory_may_fail()) fuzz_fail("tensor %s is lost", name);
  if (x && y &&
      (a.dtype != b.dtype || a.ndim != b.ndim || memcmp(a.shape, b.shape, sizeof a.shape) ||
       memcmp(x, y, size_of(&a))))
    fuzz_fail("tensor %s is another", name);
  free(x);
  free(y);
}

static void read_tensor(const mcl_checkpoint *k, const char *name, size_t file) {
  mcl_error err;
  mcl_array there;
  memset(&there, 1, sizeof there);
  if (!fuzz_ok(mcl_checkpoint_shape(k, name, &there, &err), &err)) {
    if (err.status != MCL_E_UNSUPPORTED) fuzz_fail("the shape of %s: %s", name, err.message);
    return;
  }
  if (size_of(&there) > file) fuzz_fail("%s has more than the file", name); // (2)
  for (int32_t dtype = MCL_F32; dtype <= MCL_I64; dtype++) read_as(k, name, &there, dtype);
  compare(k, k, name);
}

static void read_text(const mcl_checkpoint *k, const char *key) {
  mcl_error err;
  char *room = fuzz_room(4096);
  size_t wanted = 0;
  if (fuzz_ok(mcl_checkpoint_meta(k, key, room, 4096, &wanted, &err), &err)) {
    if (strlen(room) + 1 != wanted) fuzz_fail("a text of %zu, not %zu", strlen(room) + 1, wanted);
    free(room);
    room = fuzz_room(4096);
    if (mcl_checkpoint_meta(k, key, room, wanted - 1, NULL, &err) != MCL_E_LIMIT)
      fuzz_fail("a text in too little room");
  }
  fuzz_untouched(room, 4096, "mcl_checkpoint_meta");
  free(room);
}

static int add_tensors(const mcl_checkpoint *k, mcl_checkpoint_writer *w) {
  mcl_error err;
  const char *name;
  for (int64_t i = 0; i < MOST && (name = mcli_checkpoint_name(k, i)); i++) {
    mcl_array a;
    void *x = numbers_of(k, name, &a);
    int added = !x || !*name || fuzz_ok(mcl_checkpoint_writer_add(w, name, &a, &err), &err);
    free(x);
    if (!added && !fuzz_memory_may_fail()) fuzz_fail("not written: %s", err.message);
    if (!added) return 0;
  }
  return 1;
}

// (4)
static void write_again(mcl_context *context, const mcl_checkpoint *k) {
  mcl_error err;
  mcl_checkpoint_writer *w = NULL;
  mcl_checkpoint *back = NULL;
  const char *path = fuzz_path("again.safetensors"), *name;
  int done = fuzz_ok(mcl_checkpoint_writer_create(context, path, &w, &err), &err);
  done = done && add_tensors(k, w) &&
         fuzz_read(mcl_checkpoint_writer_commit(w, &err), &err, path) &&
         fuzz_read(mcl_checkpoint_open(context, path, &back, &err), &err, path);
  if (!done && !fuzz_memory_may_fail()) fuzz_fail("not written and read: %s", err.message);
  for (int64_t i = 0; done && i < MOST && (name = mcli_checkpoint_name(back, i)); i++)
    compare(k, back, name);
  mcl_checkpoint_unref(back);
  mcl_checkpoint_writer_unref(w);
}

static void refuse(mcl_context *c, const mcl_checkpoint *k) {
  mcl_error err;
  mcl_checkpoint *never = NULL;
  mcl_array a;
  const char *name = mcli_checkpoint_name(k, 0);
  const int64_t shape[4] = {7, 7, 7, 7};
  uint8_t bytes[8];
  fuzz_refused(mcl_checkpoint_open(NULL, "x", &never, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_open(c, NULL, &never, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_open(c, "x", NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_open(c, fuzz_path("none"), &never, &err), &err, MCL_E_NOT_FOUND);
  fuzz_refused(mcl_checkpoint_shape(NULL, "x", &a, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_shape(k, NULL, &a, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_shape(k, "x", NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_shape(k, "not there", &a, &err), &err, MCL_E_NOT_FOUND);
  fuzz_refused(mcl_checkpoint_meta(NULL, "x", NULL, 0, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_meta(k, NULL, NULL, 0, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_checkpoint_meta(k, "not there", NULL, 0, NULL, &err), &err, MCL_E_NOT_FOUND);
  for (int i = 1; i <= 4; i++) {
    mcl_array_init(&a, bytes, MCL_U8, i, shape);
    fuzz_refused(mcl_checkpoint_read(k, name, &a, &err), &err, MCL_E_SHAPE);
  }
  fuzz_refused(mcl_checkpoint_read(k, name, NULL, &err), &err, MCL_E_INVALID);
  mcl_checkpoint *same = mcl_checkpoint_ref((mcl_checkpoint *)(uintptr_t)k);
  mcl_checkpoint_unref(same);
  if (same != k || never || mcl_checkpoint_ref(NULL)) fuzz_fail("another reference");
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  static const char *const keys[] = {"format", "k", "", "\xC3\xA4", "a\nb"};
  mcl_error err;
  mcl_checkpoint *k = NULL;
  const char *path = fuzz_put("file.safetensors", bytes, n), *name;
  if (!fuzz_read(mcl_checkpoint_open(context, path, &k, &err), &err, path)) {
    if (k) fuzz_fail("refused, and given");
    return;
  }
  for (int64_t i = 0; i < MOST && (name = mcli_checkpoint_name(k, i)); i++) read_tensor(k, name, n);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) read_text(k, keys[i]);
  write_again(context, k);
  mcl_array any;
  // A file that asks for wrong calls: it has a tensor of this name, in the order of names the first.
  if (mcl_checkpoint_shape(k, "!wrong", &any, &err) == MCL_OK) refuse(context, k);
  mcl_checkpoint_unref(k);
}
