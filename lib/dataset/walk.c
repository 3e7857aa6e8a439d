// A walk over a folder and its sub-folders. Entries are taken by the bytes of their names, a
// sub-folder's files where the sub-folder stands, so that two machines list the same folder alike.
//
// Symbolic links are followed: data sets are often put together from them. A folder is known by its
// identity (device and inode), whatever path leads to it, and is read the first time only; so a
// loop of links ends, k folders that all link to one another are k folders, not k! paths, and k links
// to a folder of k files are k files. The depth is bounded besides, since the walk recurses.
#include "dataset/walk.h"

#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/rng.h"
#include "dataset/dataset.h"

// Deeper than any folder of images that was made by hand; each level costs a path and a listing.
enum { MOST_DEPTH = 32 };

// A set of identities: open addressing, at most half full.
typedef struct seen_set {
  uint64_t (*slots)[2];
  char *taken;
  uint64_t n, capacity; // a power of two, or 0
} seen_set;

typedef struct walker {
  mcl_context *context;
  const char *root;
  mcli_walk *out;
  seen_set seen;
} walker;

// ---- folders that have been read ----------------------------------------------------------------

static uint64_t find(const seen_set *set, const uint64_t id[2]) {
  uint64_t i = mcli_hash(id, 2 * sizeof *id, 0);
  for (;; i++) {
    i &= set->capacity - 1;
    if (!set->taken[i] || memcmp(set->slots[i], id, sizeof set->slots[i]) == 0) return i;
  }
}

static mcl_status grow(walker *w, mcl_error *err) {
  mcl_context *c = w->context;
  seen_set old = w->seen, set = {.n = old.n, .capacity = old.capacity ? 2 * old.capacity : 64};
  set.slots = mcli_alloc(c, set.capacity, sizeof *set.slots);
  set.taken = mcli_calloc(c, set.capacity, 1);
  if (!set.slots || !set.taken) {
    mcli_free(c, set.slots);
    mcli_free(c, set.taken);
    return mcli_nomem(err, "a set of folders");
  }
  for (uint64_t i = 0; i < old.capacity; i++) {
    if (!old.taken[i]) continue;
    uint64_t at = find(&set, old.slots[i]);
    set.taken[at] = 1;
    memcpy(set.slots[at], old.slots[i], sizeof set.slots[at]);
  }
  mcli_free(c, old.slots);
  mcli_free(c, old.taken);
  w->seen = set;
  return MCL_OK;
}

// *first = 1 the first time a folder is seen.
static mcl_status see(walker *w, const uint64_t id[2], int *first, mcl_error *err) {
  seen_set *set = &w->seen;
  if (2 * set->n >= set->capacity) {
    mcl_status s = grow(w, err);
    if (s < 0) return s;
  }
  uint64_t at = find(set, id);
  *first = !set->taken[at];
  if (!*first) return MCL_OK;
  set->taken[at] = 1;
  memcpy(set->slots[at], id, sizeof set->slots[at]);
  set->n++;
  return MCL_OK;
}

// ---- files --------------------------------------------------------------------------------------

static int is_image(const char *name) {
  static const char *const endings[] = {".png", ".jpg", ".jpeg"};
  size_t n = strlen(name);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t m = strlen(endings[i]);
    if (n >= m && strcasecmp(name + n - m, endings[i]) == 0) return 1;
  }
  return 0;
}

static mcl_status add_file(walker *w, const char *relative, mcl_error *err) {
  mcli_walk *out = w->out;
  int64_t n = (int64_t)strlen(relative) + 1;
  if (out->used + n > out->capacity) {
    int64_t capacity = 2 * (out->used + n);
    char *larger = mcli_realloc(w->context, out->text, (uint64_t)capacity, 1);
    if (!larger) return mcli_nomem(err, "file names");
    out->text = larger;
    out->capacity = capacity;
  }
  memcpy(out->text + out->used, relative, (size_t)n);
  out->used += n;
  out->files++;
  return MCL_OK;
}

static mcl_status walk(walker *w, const char *relative, int depth, mcl_error *err);

static mcl_status take_entry(walker *w, const char *relative, const mcli_entry *e, int depth,
                             mcl_error *err) {
  if (!e->is_directory && !is_image(e->name)) return MCL_OK;
  char *path = mcli_path_join(w->context, relative, e->name);
  if (!path) return mcli_nomem(err, "a path");
  mcl_status s = e->is_directory ? walk(w, path, depth + 1, err) : add_file(w, path, err);
  mcli_free(w->context, path);
  return s;
}

static mcl_status walk(walker *w, const char *relative, int depth, mcl_error *err) {
  mcl_context *c = w->context;
  mcli_listing list = {0};
  uint64_t identity[2];
  int first = 0;
  if (depth > MOST_DEPTH)
    return mcli_fail(err, MCL_E_LIMIT, "folders are over %d deep: %s", MOST_DEPTH,
                     mcli_path_tail(relative));
  char *path = mcli_path_join(c, w->root, relative);
  if (!path) return mcli_nomem(err, "a path");
  mcl_status s = mcli_directory_identity(path, identity, err);
  if (s == MCL_OK) s = see(w, identity, &first, err);
  if (s == MCL_OK && first) s = mcli_directory_list(c, path, &list, err);
  mcli_free(c, path);
  for (int64_t i = 0; s == MCL_OK && i < list.n; i++)
    s = take_entry(w, relative, &list.entries[i], depth, err);
  mcli_listing_free(c, &list);
  return s;
}

mcl_status mcli_walk_images(mcl_context *c, const char *root, mcli_walk *out, mcl_error *err) {
  walker w = {.context = c, .root = root, .out = out};
  mcl_status s = walk(&w, "", 0, err);
  mcli_free(c, w.seen.slots);
  mcli_free(c, w.seen.taken);
  return s;
}

void mcli_walk_free(mcl_context *c, mcli_walk *w) {
  mcli_free(c, w->text);
  *w = (mcli_walk){0};
}
