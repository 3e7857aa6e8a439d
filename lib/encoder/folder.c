// Encoders in a folder, and the list that says which belong together.
//
// A save over an older one must never mix with it, wherever it fails or is killed. Files are replaced one by one, so there is one
// whose replacement counts, the list, and it names the others by their bytes:
//
//   files   stage-0 4f1d0c..., a name and a hash a line, in the list's texts
//
//   1  encoder -> new.safetensors -> stage-0-4f1d0c....safetensors     pending
//   2  the list is replaced                                            here the new state is the one that loads
//   3  stage-0-4f1d0c....safetensors -> stage-0.safetensors            settled
//
// Who loads takes the pending file where there is one of the hash, else the settled one, and compares its bytes with the hash
// before and its identity after: another save may go on meanwhile. Before 1, what a killed save left is settled, so that
// nothing pending is in use, and removed where no list names it.
//
// Names with the hash for good were rejected: hosts know stage-0.safetensors. So were files of both states in two
// folders: a save takes twice the room then, for ever.
#include "encoder/folder.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"

enum { DIGITS = 16, FILE_NAME = MCLI_FOLDER_NAME + DIGITS + 16 };
// Times that a load is begun anew because a save has come between: each is of a whole other save.
enum { TRIES = 10 };
static const char key[] = "files", ending[] = ".safetensors", fresh[] = "new.safetensors";

// ---- lists -----------------------------------------------------------------------------------------

mcl_status mcli_folder_list_add(mcl_context *c, mcli_folder_list *l, const char *name,
                                uint64_t hash, mcl_error *err) {
  if (l->n == l->capacity) {
    int32_t more = l->capacity ? 2 * l->capacity : 8;
    mcli_folder_entry *larger = mcli_realloc(c, l->entries, (uint64_t)more, sizeof *l->entries);
    if (!larger) return mcli_nomem(err, "a list of encoders");
    l->entries = larger, l->capacity = more;
  }
  mcli_folder_entry *e = &l->entries[l->n++];
  snprintf(e->name, sizeof e->name, "%s", name);
  e->hash = hash;
  return MCL_OK;
}

const mcli_folder_entry *mcli_folder_list_find(const mcli_folder_list *l, const char *name) {
  for (int32_t i = 0; i < l->n; i++)
    if (strcmp(l->entries[i].name, name) == 0) return &l->entries[i];
  return NULL;
}

void mcli_folder_list_free(mcl_context *c, mcli_folder_list *l) {
  mcli_free(c, l->entries);
  *l = (mcli_folder_list){0};
}

static const char *print_hash(char text[DIGITS + 1], uint64_t hash) {
  snprintf(text, DIGITS + 1, "%016llx", (unsigned long long)hash);
  return text;
}

// 16 digits: 1, or 0, and a hash of 0, where they are none.
static int read_hash(const char *text, uint64_t *hash) {
  uint64_t h = 0;
  *hash = 0;
  for (int i = 0; i < DIGITS; i++) {
    int d = (unsigned char)text[i];
    if (!isdigit(d) && (d < 'a' || d > 'f')) return 0;
    h = h << 4 | (uint64_t)(isdigit(d) ? d - '0' : d - 'a' + 10);
  }
  *hash = h;
  return 1;
}

// One line, NAME and a hash; names are made of what ours are.
static mcl_status read_line(mcl_context *c, const char *line, size_t n, const char *path,
                            mcli_folder_list *out, mcl_error *err) {
  char name[MCLI_FOLDER_NAME];
  uint64_t hash;
  size_t letters = n > DIGITS + 1 ? n - DIGITS - 1 : 0;
  int good = letters > 0 && letters < sizeof name && line[letters] == ' ' &&
             read_hash(line + letters + 1, &hash);
  for (size_t i = 0; good && i < letters; i++)
    good = isalnum((unsigned char)line[i]) || line[i] == '-';
  if (!good) return mcli_fail(err, MCL_E_FORMAT, "%s has a damaged list of encoders", path);
  memcpy(name, line, letters);
  name[letters] = 0;
  return mcli_folder_list_add(c, out, name, hash, err);
}

mcl_status mcli_folder_list_read(mcl_context *c, const mcl_checkpoint *f, const char *path,
                                 mcli_folder_list *out, mcl_error *err) {
  size_t wanted = 0;
  mcl_error ignored;
  mcl_status s = mcl_checkpoint_meta(f, key, NULL, 0, &wanted, &ignored);
  if (s == MCL_E_NOT_FOUND) return MCL_OK; // of a host, or from before there were lists
  char *text = mcli_alloc(c, wanted + 1, 1);
  if (!text) return mcli_nomem(err, "a list of encoders");
  s = mcl_checkpoint_meta(f, key, text, wanted, NULL, err);
  for (const char *line = text; s == MCL_OK && *line;) {
    const char *end = strchr(line, '\n');
    size_t n = end ? (size_t)(end - line) : strlen(line);
    s = read_line(c, line, n, path, out, err);
    line += n + (end != NULL);
  }
  out->is_known = s == MCL_OK;
  mcli_free(c, text);
  return s;
}

mcl_status mcli_folder_list_write(mcl_context *c, const mcli_folder_list *l,
                                  mcl_checkpoint_writer *w, mcl_error *err) {
  char hash[DIGITS + 1];
  size_t room = (size_t)l->n * (MCLI_FOLDER_NAME + DIGITS + 2) + 1, n = 0;
  char *text = mcli_alloc(c, room, 1);
  if (!text) return mcli_nomem(err, "a list of encoders");
  text[0] = 0;
  for (int32_t i = 0; i < l->n; i++)
    n += (size_t)snprintf(text + n, room - n, "%s %s\n", l->entries[i].name,
                          print_hash(hash, l->entries[i].hash));
  mcl_status s = mcl_checkpoint_writer_meta(w, key, text, err);
  mcli_free(c, text);
  return s;
}

// ---- paths -----------------------------------------------------------------------------------------

// To be freed; NULL without memory.
static char *settled_path(mcl_context *c, const char *directory, const char *name) {
  char file[FILE_NAME];
  snprintf(file, sizeof file, "%s%s", name, ending);
  return mcli_path_join(c, directory, file);
}

static char *pending_path(mcl_context *c, const char *directory, const mcli_folder_entry *e) {
  char file[FILE_NAME], hash[DIGITS + 1];
  snprintf(file, sizeof file, "%s-%s%s", e->name, print_hash(hash, e->hash), ending);
  return mcli_path_join(c, directory, file);
}

// What a file's name says: 1 for one of ours, with its entry; e->hash is 0 where it is settled.
static int read_name(const char *file, mcli_folder_entry *e) {
  size_t n = strlen(file), m = sizeof ending - 1;
  if (n <= m || n >= FILE_NAME || strcmp(file + n - m, ending) != 0) return 0;
  if (strncmp(file, "stage-", 6) != 0) return 0;
  n -= m;
  e->hash = 0;
  if (n > DIGITS + 1 && file[n - DIGITS - 1] == '-' && read_hash(file + n - DIGITS, &e->hash))
    n -= DIGITS + 1;
  if (n >= sizeof e->name) return 0;
  memcpy(e->name, file, n);
  e->name[n] = 0;
  return 1;
}

// A place within a stage, which nothing but the list has a use for. What is not spelt as a save spells it is a host's own.
static int is_place(const char *name) {
  int stage, epoch;
  long long step;
  char again[MCLI_FOLDER_NAME];
  // NOLINTNEXTLINE(cert-err34-c): numbers out of range do not make the same name again
  if (sscanf(name, "stage-%d-epoch-%d-step-%lld", &stage, &epoch, &step) != 3) return 0;
  if (stage < 0 || epoch < 0 || step < 0) return 0;
  snprintf(again, sizeof again, "stage-%d-epoch-%d-step-%lld", stage, epoch, step);
  return strcmp(name, again) == 0;
}

// ---- settling --------------------------------------------------------------------------------------

// Into the folder's own room.
static void print_settled(const mcli_folder *f, char *to, const char *name) {
  snprintf(to, strlen(f->directory) + FILE_NAME, "%s/%s%s", f->directory, name, ending);
}

static void print_pending(const mcli_folder *f, char *to, const mcli_folder_entry *e) {
  char hash[DIGITS + 1];
  snprintf(to, strlen(f->directory) + FILE_NAME, "%s/%s-%s%s", f->directory, e->name,
           print_hash(hash, e->hash), ending);
}

static mcl_status rename_pending(const mcli_folder *f, const mcli_folder_entry *e, mcl_error *err) {
  print_pending(f, f->from, e);
  print_settled(f, f->to, e->name);
  return mcli_file_move(f->from, f->to, err);
}

// A file that is in nobody's way stays where it cannot be removed.
static mcl_status remove_stale(const mcli_folder *f, const char *file, mcl_error *err) {
  mcl_error why;
  char *path = mcli_path_join(f->context, f->directory, file);
  if (!path) return mcli_nomem(err, "a path");
  if (mcli_file_remove(path, &why) < 0)
    mcli_log(f->context, MCL_LOG_WARN, "folder", "left where it is: %s", why.message);
  mcli_free(f->context, path);
  return MCL_OK;
}

static mcl_status settle_file(const mcli_folder *f, const mcli_folder_list *l, const char *file,
                              int *moved, mcl_error *err) {
  mcli_folder_entry e;
  if (strcmp(file, fresh) == 0) return remove_stale(f, file, err);
  if (!read_name(file, &e)) return MCL_OK;
  const mcli_folder_entry *listed = mcli_folder_list_find(l, e.name);
  if (e.hash == 0) return !listed && is_place(e.name) ? remove_stale(f, file, err) : MCL_OK;
  if (!listed || listed->hash != e.hash) return remove_stale(f, file, err);
  *moved = 1;
  return rename_pending(f, &e, err);
}

// Pending files that the list names take their names, others go, and places that it does not name.
static mcl_status settle(const mcli_folder *f, const mcli_folder_list *l, mcl_error *err) {
  mcli_listing files;
  int moved = 0;
  mcl_status s = mcli_directory_list(f->context, f->directory, &files, err);
  if (s < 0) return s;
  for (int64_t i = 0; s == MCL_OK && i < files.n; i++)
    if (!files.entries[i].is_directory) s = settle_file(f, l, files.entries[i].name, &moved, err);
  mcli_listing_free(f->context, &files);
  return s == MCL_OK && moved ? mcli_directory_sync(f->directory, err) : s;
}

// ---- saving ----------------------------------------------------------------------------------------

// A list that is no such file belongs to nothing; what cannot be read may.
static mcl_status read_old_list(mcli_folder *f, mcl_error *err) {
  mcl_checkpoint *k = NULL;
  mcl_status s = mcl_checkpoint_open(f->context, f->path, &k, err);
  if (s == MCL_E_NOT_FOUND) {
    f->was.is_known = 1;
    return MCL_OK;
  }
  if (s == MCL_OK) s = mcli_folder_list_read(f->context, k, f->path, &f->was, err);
  mcl_checkpoint_unref(k);
  return s == MCL_E_FORMAT || s == MCL_E_LIMIT ? MCL_OK : s;
}

static void folder_free(mcli_folder *f) {
  mcli_directory_unlock(f->lock);
  mcli_free(f->context, f->from);
  mcli_free(f->context, f->to);
  mcli_folder_list_free(f->context, &f->was);
  mcli_folder_list_free(f->context, &f->now);
  mcli_free(f->context, f->directory);
  mcli_free(f->context, f->path);
}

mcl_status mcli_folder_open(mcl_context *c, const char *directory, const char *list, mcli_folder *f,
                            mcl_error *err) {
  *f = (mcli_folder){.context = c, .lock = -1};
  f->directory = mcli_strdup(c, directory);
  f->path = mcli_path_join(c, directory, list);
  f->from = mcli_alloc(c, strlen(directory) + FILE_NAME, 1);
  f->to = mcli_alloc(c, strlen(directory) + FILE_NAME, 1);
  mcl_status s = f->directory && f->path && f->from && f->to ? MCL_OK : mcli_nomem(err, "a path");
  if (s == MCL_OK) s = mcli_directory_make(c, directory, err);
  if (s == MCL_OK) s = mcli_directory_lock(directory, &f->lock, err);
  if (s == MCL_OK) s = read_old_list(f, err);
  if (s == MCL_OK && f->was.is_known) s = settle(f, &f->was, err);
  if (s == MCL_OK) f->has_list = mcli_file_identify(f->path, &f->list);
  if (s < 0) folder_free(f);
  return s;
}

// What an encoder has written, by whatever means: on the disk, its hash, and under the pending name.
static mcl_status take_file(mcli_folder *f, const char *path, const char *name, mcl_error *err) {
  mcli_folder_entry e;
  mcl_status s = mcli_file_hash(f->context, path, 1, &e.hash, NULL, err);
  if (s == MCL_E_NOT_FOUND) e.hash = 0; // a host that keeps nothing
  if (s < 0 && s != MCL_E_NOT_FOUND) return s;
  snprintf(e.name, sizeof e.name, "%s", name);
  s = mcli_folder_list_add(f->context, &f->now, name, e.hash, err);
  if (s < 0 || e.hash == 0) return s;
  print_pending(f, f->from, &e);
  print_settled(f, f->to, name);
  mcli_file_take_mode(path, f->to);
  s = mcli_file_move(path, f->from, err);
  return s < 0 ? s : mcli_directory_sync(f->directory, err);
}

mcl_status mcli_folder_put(mcli_folder *f, mcl_encoder *e, const char *name, mcl_error *err) {
  char *path = mcli_path_join(f->context, f->directory, fresh);
  mcl_status s = path ? mcl_encoder_save(e, path, err) : mcli_nomem(err, "a path");
  if (s == MCL_OK) s = take_file(f, path, name, err);
  mcli_free(f->context, path);
  return s;
}

int mcli_folder_keep(mcli_folder *f, const char *name, uint64_t hash, mcl_status *s,
                     mcl_error *err) {
  const mcli_folder_entry *there = mcli_folder_list_find(&f->was, name);
  if (hash == 0 || !there || there->hash != hash) return 0;
  *s = mcli_folder_list_add(f->context, &f->now, name, hash, err);
  return 1;
}

static void remove_pending(const mcli_folder *f) {
  mcl_error ignored;
  for (int32_t i = 0; i < f->now.n; i++) {
    print_pending(f, f->from, &f->now.entries[i]);
    mcli_file_remove(f->from, &ignored);
  }
  snprintf(f->from, strlen(f->directory) + FILE_NAME, "%s/%s", f->directory, fresh);
  mcli_file_remove(f->from, &ignored);
}

// What is pending belongs to nothing now, unless the list was replaced and something failed after that.
static void give_up(mcli_folder *f) {
  mcl_error ignored;
  mcli_identity is;
  int there = mcli_file_identify(f->path, &is);
  if (there == f->has_list && (!there || memcmp(&is, &f->list, sizeof is) == 0)) {
    remove_pending(f);
    return;
  }
  mcli_folder_list_free(f->context, &f->was);
  if (read_old_list(f, &ignored) == MCL_OK && f->was.is_known) (void)settle(f, &f->was, &ignored);
}

// The new state loads as it is: what fails here, which memory cannot, is put in order by the next save, or the next run.
static void take_effect(mcli_folder *f) {
  mcl_error why;
  mcl_status s = MCL_OK;
  for (int32_t i = 0; s == MCL_OK && i < f->now.n; i++) {
    s = rename_pending(f, &f->now.entries[i], &why);
    if (s == MCL_E_NOT_FOUND) s = MCL_OK; // kept from before, or a host's that keeps nothing
  }
  for (int32_t i = 0; s == MCL_OK && i < f->was.n; i++) {
    const char *name = f->was.entries[i].name;
    if (!is_place(name) || mcli_folder_list_find(&f->now, name)) continue;
    print_settled(f, f->from, name);
    s = mcli_file_remove(f->from, &why);
  }
  if (s == MCL_OK) s = mcli_directory_sync(f->directory, &why);
  if (s < 0) mcli_log(f->context, MCL_LOG_WARN, "folder", "not in order yet: %s", why.message);
}

mcl_status mcli_folder_close(mcli_folder *f, mcl_status s) {
  if (s == MCL_OK)
    take_effect(f);
  else
    give_up(f);
  folder_free(f);
  return s;
}

mcl_status mcli_folder_tidy(mcl_context *c, const char *directory, const char *list,
                            mcl_error *err) {
  mcli_folder f;
  mcl_status s = mcli_folder_open(c, directory, list, &f, err);
  if (s == MCL_OK) folder_free(&f);
  return s;
}

// ---- loading ---------------------------------------------------------------------------------------

typedef struct found {
  char *path;
  mcli_identity identity;
} found;

// Takes over the path, which is NULL without memory.
static mcl_status try_path(mcl_context *c, char *path, const mcli_folder_entry *e, found *out,
                           mcl_error *err) {
  uint64_t hash = 0;
  if (!path) return mcli_nomem(err, "a path");
  mcl_status s = mcli_file_hash(c, path, 0, &hash, &out->identity, err);
  if (s == MCL_OK && e->hash && hash != e->hash)
    s = mcli_fail(err, MCL_E_MISMATCH, "%s is not the file that was saved with the others", path);
  if (s == MCL_OK)
    out->path = path;
  else
    mcli_free(c, path);
  return s;
}

static mcl_status find(mcl_context *c, const char *directory, const mcli_folder_entry *e,
                       found *out, mcl_error *err) {
  mcl_status s = MCL_E_NOT_FOUND;
  *out = (found){0};
  if (e->hash) s = try_path(c, pending_path(c, directory, e), e, out, err);
  return s == MCL_E_NOT_FOUND ? try_path(c, settled_path(c, directory, e->name), e, out, err) : s;
}

mcl_status mcli_folder_check(mcl_context *c, const char *directory, const mcli_folder_entry *e,
                             mcl_error *err) {
  found f;
  mcl_status s = find(c, directory, e, &f, err);
  mcli_free(c, f.path);
  return s;
}

mcl_status mcli_folder_load(mcl_context *c, const char *directory, const mcli_folder_entry *entry,
                            mcl_encoder *e, mcl_error *err) {
  mcl_status s = MCL_OK;
  int still = 0;
  // The pending file may be settled meanwhile, and what was settled replaced.
  for (int i = 0; i < TRIES && s == MCL_OK && !still; i++) {
    found f;
    s = find(c, directory, entry, &f, err);
    if (s == MCL_OK) s = mcl_encoder_load(e, f.path, err);
    still = f.path && mcli_file_is(f.path, &f.identity);
    if (f.path && !still) s = MCL_OK;
    mcli_free(c, f.path);
  }
  if (s == MCL_OK && !still)
    s = mcli_fail(err, MCL_E_BUSY, "%s is saved into without a pause", directory);
  return s;
}

int mcli_folder_has_changed(mcl_context *c, const char *directory, const char *list,
                            const mcli_folder_list *was) {
  mcli_folder f = {.context = c, .lock = -1, .path = mcli_path_join(c, directory, list)};
  mcl_error ignored;
  int changed = 0;
  if (f.path && read_old_list(&f, &ignored) == MCL_OK) {
    changed = f.was.n != was->n;
    for (int32_t i = 0; !changed && i < was->n; i++)
      changed = f.was.entries[i].hash != was->entries[i].hash ||
                strcmp(f.was.entries[i].name, was->entries[i].name) != 0;
  }
  folder_free(&f);
  return changed;
}
