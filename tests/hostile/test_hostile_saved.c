// What libmcl saves, made to cost as much as it can when it is loaded: the good file of each kind (faults/kinds.h), with as
// much added as a file may have.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmcl/checkpoint.h>

#include "base/file.h"
#include "faults/kinds.h"
#include "hostile/hostile.h"
#include "store/checkpoint.h"

static mcl_error err;

// ---- bytes -----------------------------------------------------------------------------------------

enum { TENSORS, TEXTS, NUMBERS, WAYS };
static const char *const ways[] = {"as many tensors as fit", "as many texts as fit",
                                   "a tensor of the rest"};
enum { MOST_HEADER = 1000000 / SHRINK };

static blob read_blob(const char *path) {
  blob b = {0};
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  uint8_t bytes[4096];
  for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;) blob_add(&b, bytes, n);
  fclose(f);
  return b;
}

// The good file, with more in its header; its numbers stay where they are.
static blob with_more(const blob *good, int way) {
  uint64_t length = 0;
  blob h = {0}, out = {0};
  for (int i = 0; i < 8; i++) length |= (uint64_t)good->data[i] << 8 * i;
  const char *text = (const char *)good->data + 8;
  size_t numbers = good->n - 8 - length, more = way == NUMBERS ? MOST_BYTES - MB - numbers : 0;
  const char *meta = "\"__metadata__\":{";
  while (text[length - 1] != '}') length--;
  int has_meta = length > 1 + strlen(meta) && !memcmp(text + 1, meta, strlen(meta));
  blob_text(&h, "{");
  if (way == TEXTS) {
    blob_text(&h, "%s", meta);
    for (int i = 0; h.n + length + 100 < MOST_HEADER; i++)
      blob_text(&h, "%s\"%d\":\"\"", i ? "," : "", i);
    blob_text(&h, has_meta ? "," : "},");
    size_t skip = has_meta ? 1 + strlen(meta) : 1;
    blob_add(&h, text + skip, length - 1 - skip);
  } else {
    blob_add(&h, text + 1, length - 2);
  }
  if (way == NUMBERS)
    blob_text(&h, ",\"x\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}", more,
              numbers, numbers + more);
  for (int i = 0; way == TENSORS && h.n + 100 < MOST_HEADER; i++)
    blob_text(&h, ",\"%d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[%zu,%zu]}", i,
              numbers, numbers);
  blob_text(&h, "}");
  blob_little(&out, h.n, 8);
  blob_add(&out, h.data, h.n);
  blob_add(&out, good->data + good->n - numbers, numbers);
  blob_fill(&out, 0, more);
  blob_free(&h);
  return out;
}

// ---- cases -----------------------------------------------------------------------------------------

typedef struct loading {
  const kind *kind;
  const char *directory;
} loading;

static mcl_status load(mcl_context *c, void *user, mcl_error *why) {
  static seen s;
  const loading *l = user;
  return l->kind->load(c, l->directory, &s, why);
}

static void try_file(const loading *l, const char *file) {
  char path[4300], name[120];
  snprintf(path, sizeof path, "%s/%s", l->directory, file);
  blob good = read_blob(path);
  for (int way = 0; way < WAYS; way++) {
    blob b = with_more(&good, way);
    snprintf(name, sizeof name, "%s: %s, and %s", l->kind->name, file, ways[way]);
    blob_write(&b, path);
    run_hostile(&(hostile_case){.name = name, .bytes = (int64_t)b.n, .accepted = -1, .file = file},
                load, (void *)(uintptr_t)l);
    blob_free(&b);
  }
  blob_write(&good, path);
  blob_free(&good);
}

static void try_files(mcl_context *c, const loading *l) {
  mcli_listing files;
  CHECK_OK(mcli_directory_list(c, l->directory, &files, &err));
  int tried = 0;
  for (int64_t i = 0; i < files.n; i++)
    if (strstr(files.entries[i].name, ".safetensors")) tried++, try_file(l, files.entries[i].name);
  ck_assert_msg(tried > 0, "%s has no file", l->kind->name);
  mcli_listing_free(c, &files);
}

START_TEST(whatever_is_added_to_a_saved_state_is_bounded) {
  mcl_context *c = test_context(1);
  for (int i = 0; i < kinds_count(); i++) {
    const kind *k = kind_at(i);
    char directory[4096];
    if (!strstr(k->files, ".safetensors")) continue;
    snprintf(directory, sizeof directory, "%s", test_directory("hostile_saved"));
    void *thing = k->make(c, 0);
    CHECK_OK(k->save(thing, directory, &err));
    k->drop(thing);
    try_files(c, &(loading){k, directory});
  }
  mcl_context_unref(c);
}
END_TEST

// ---- a CLIP that is large and good -----------------------------------------------------------------

enum { MOST_VALUES = 1 << 20, CLIP_WIDTH = 8 };

// The good CLIP with `tokens` tokens, all in float16: half the size of what the network is made of.
static void write_large_clip(const char *from, const char *to, int64_t tokens) {
  mcl_context *c = test_context(1);
  mcl_checkpoint *k = NULL;
  mcl_checkpoint_writer *w = NULL;
  static float values[MOST_VALUES];
  mcl_array a;
  CHECK_OK(mcl_checkpoint_open(c, from, &k, &err));
  CHECK_OK(mcl_checkpoint_writer_create(c, to, &w, &err));
  for (int64_t i = 0; mcli_checkpoint_name(k, i); i++) {
    const char *name = mcli_checkpoint_name(k, i);
    CHECK_OK(mcl_checkpoint_shape(k, name, &a, &err));
    if (!strcmp(name, "token_embedding.weight")) {
      ck_assert_int_eq(a.shape[1], CLIP_WIDTH);
      int64_t shape[2] = {tokens, CLIP_WIDTH};
      mcl_array_init(&a, calloc((size_t)(tokens * shape[1]), 2), MCL_F16, 2, shape);
      CHECK_OK(mcl_checkpoint_writer_add(w, name, &a, &err));
      free(a.data);
      continue;
    }
    a.data = values, a.dtype = MCL_F32;
    CHECK_OK(mcl_checkpoint_read(k, name, &a, &err));
    CHECK_OK(mcl_checkpoint_writer_add(w, name, &a, &err));
  }
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  mcl_checkpoint_writer_unref(w);
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}

static mcl_status create_clip(mcl_context *c, void *user, mcl_error *why) {
  mcl_encoder *e = NULL;
  mcl_clip_options o;
  mcl_clip_options_init(&o, sizeof o);
  o.image_heads = o.text_heads = 2;
  mcl_status s = mcl_encoder_create_clip(c, &o, user, &e, why);
  mcl_encoder_unref(e);
  return s;
}

// Weights, gradients and two moments, in float32, are 8 times a file of float16; and its largest tensor is read whole.
START_TEST(a_large_clip_costs_what_its_network_does) {
  const kind *k = kind_named("clip");
  mcl_context *c = test_context(1);
  char directory[4096], small[4200], large[4200];
  snprintf(directory, sizeof directory, "%s", test_directory("hostile_clip"));
  snprintf(small, sizeof small, "%s/clip.safetensors", directory);
  snprintf(large, sizeof large, "%s/large.safetensors", directory);
  void *thing = k->make(c, 0);
  CHECK_OK(k->save(thing, directory, &err));
  k->drop(thing);
  int64_t bytes = MOST_BYTES - MB;
  write_large_clip(small, large, bytes / 2 / CLIP_WIDTH);
  run_hostile(&(hostile_case){.name = "clip: all tokens, in float16",
                              .bytes = bytes,
                              .accepted = 1,
                              .megabytes = 9 * 64},
              create_clip, large);
  mcl_context_unref(c);
  remove(large);
}
END_TEST

RUN_TESTS("hostile_saved", whatever_is_added_to_a_saved_state_is_bounded,
          a_large_clip_costs_what_its_network_does)
