// Directories: making, listing, flushing, locking, and what lies at a path.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

// ---- making and flushing ---------------------------------------------------------------------------

char *mcli_path_parent(mcl_context *c, const char *path) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') n--; // "d/x/" lies in "d"
  while (n > 0 && path[n - 1] != '/') n--;
  while (n > 1 && path[n - 1] == '/') n--;
  char *parent = mcli_alloc(c, n + 2, 1);
  if (!parent) return NULL;
  memcpy(parent, n ? path : ".", n ? n : 1);
  parent[n ? n : 1] = 0;
  return parent;
}

int mcli_flush(int fd) {
  int code;
  do code = fsync(fd);
  while (code != 0 && errno == EINTR);
  return code;
}

mcl_status mcli_directory_open(const char *path, int *fd, mcl_error *err) {
  *fd = mcli_open(path, O_RDONLY | O_DIRECTORY, 0);
  // Who may write into a directory but not read it cannot flush it.
  return *fd < 0 && errno != EACCES ? mcli_fail_errno(err, "open", path) : MCL_OK;
}

int mcli_directory_flush(int fd) {
  if (fd < 0 || mcli_flush(fd) == 0) return 0;
  // File systems that have no flush of a directory: there is nothing better to do.
  return errno == EINVAL || errno == EROFS || errno == ENOTSUP ? 0 : -1;
}

mcl_status mcli_directory_sync(const char *path, mcl_error *err) {
  int fd;
  mcl_status s = mcli_directory_open(path, &fd, err);
  if (s == MCL_OK && mcli_directory_flush(fd) != 0) s = mcli_fail_errno(err, "flush", path);
  if (fd >= 0) close(fd);
  return s;
}

// A directory that has just been made may be lost with the power too, and all in it.
static mcl_status flush_parent_of(mcl_context *c, const char *path, mcl_error *err) {
  char *parent = mcli_path_parent(c, path);
  if (!parent) return mcli_nomem(err, "a path");
  mcl_status s = mcli_directory_sync(parent, err);
  mcli_free(c, parent);
  return s;
}

static mcl_status make_one(mcl_context *c, const char *path, mcl_error *err) {
  int code, there;
  mcl_status s = mcli_directory_is(path, &there, err);
  if (s < 0 || there) return s;
  do code = mkdir(path, 0777);
  while (code != 0 && errno == EINTR);
  if (code == 0) return flush_parent_of(c, path, err);
  // Another has made it meanwhile; or something else is there, which shows at the end.
  return errno == EEXIST ? MCL_OK : mcli_fail_errno(err, "create", path);
}

static mcl_status make_all(mcl_context *c, const char *path, mcl_error *err) {
  int there = 0;
  char *prefix = mcli_strdup(c, path);
  if (!prefix) return mcli_nomem(err, "a path");
  mcl_status s = MCL_OK;
  for (char *p = prefix + (*prefix != 0); s == MCL_OK; p++) {
    char was = *p;
    if (was != '/' && was != 0) continue;
    *p = 0;
    s = make_one(c, prefix, err);
    *p = was;
    if (was == 0) break;
  }
  mcli_free(c, prefix);
  if (s == MCL_OK) s = mcli_directory_is(path, &there, err);
  return s == MCL_OK && !there
             ? mcli_fail(err, MCL_E_IO, "%s is not a directory", mcli_path_tail(path))
             : s;
}

mcl_status mcli_directory_make(mcl_context *c, const char *path, mcl_error *err) {
  int there;
  mcl_status s = mcli_directory_is(path, &there, err);
  return s < 0 || there ? s : make_all(c, path, err);
}

// None of these says that the disk could not be asked. Links may lead nowhere, or in circles.
static int is_absence(int code) {
  return code == ENOENT || code == ENOTDIR || code == ELOOP || code == EACCES;
}

mcl_status mcli_directory_is(const char *path, int *answer, mcl_error *err) {
  struct stat st;
  int code = stat(path, &st);
  *answer = code == 0 && S_ISDIR(st.st_mode);
  if (code == 0 || is_absence(errno)) return MCL_OK;
  return mcli_fail_errno(err, "look at", path);
}

int mcli_file_exists(const char *path) {
  return access(path, F_OK) == 0;
}

int mcli_file_may_have(const char *path, int64_t bytes) {
  struct stat st;
  if (stat(path, &st) != 0) return !is_absence(errno);
  return S_ISREG(st.st_mode) && (int64_t)st.st_size >= bytes;
}

void mcli_file_take_mode(const char *path, const char *like) {
  struct stat st;
  if (stat(like, &st) == 0) (void)!chmod(path, st.st_mode & 0777);
}

mcl_status mcli_file_remove(const char *path, mcl_error *err) {
  int code;
  do code = unlink(path);
  while (code != 0 && errno == EINTR);
  return code == 0 || errno == ENOENT ? MCL_OK : mcli_fail_errno(err, "remove", path);
}

mcl_status mcli_file_move(const char *from, const char *to, mcl_error *err) {
  int code, again = 0;
  while ((code = rename(from, to)) != 0 && errno == EINTR) again = 1;
  // Carried out before, and only the answer was lost.
  if (code != 0 && again && errno == ENOENT && mcli_file_exists(to)) code = 0;
  return code == 0 ? MCL_OK : mcli_fail_errno(err, "rename", from);
}

// ---- locks -----------------------------------------------------------------------------------------

// A save holds it for the time of a flush or a few. A minute is more than any of them takes, and little enough for who
// waits in vain, for a process that was stopped.
enum { LOCK_TRIES = 12000, LOCK_PAUSE_NS = 5000000 };

mcl_status mcli_directory_lock(const char *path, int *lock, mcl_error *err) {
  mcl_status s = mcli_directory_open(path, lock, err);
  if (s < 0 || *lock < 0) return s;
  for (int i = 0; i < LOCK_TRIES; i++) {
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0) return MCL_OK;
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) break;
    nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
  }
  // No locks here, a system that keeps none of directories, or somebody who never lets go.
  if (errno == EWOULDBLOCK)
    s = mcli_fail(err, MCL_E_IO, "another save has held %s for a minute", path);
  else if (errno == EIO)
    s = mcli_fail_errno(err, "lock", path);
  close(*lock);
  *lock = -1;
  return s;
}

void mcli_directory_unlock(int lock) {
  if (lock < 0) return;
  // In so many words: a process that was forked meanwhile holds it too, without knowing.
  (void)!flock(lock, LOCK_UN);
  close(lock);
}

char *mcli_path_join(mcl_context *c, const char *directory, const char *name) {
  size_t n = strlen(directory), m = strlen(name);
  char *path = mcli_alloc(c, n + m + 2, 1);
  if (!path) return NULL;
  memcpy(path, directory, n); // NOLINT(bugprone-not-null-terminated-result): more follows
  if (n && directory[n - 1] != '/') path[n++] = '/';
  memcpy(path + n, name, m + 1);
  return path;
}

mcl_status mcli_directory_identity(const char *path, uint64_t identity[2], mcl_error *err) {
  struct stat st;
  if (stat(path, &st) != 0) return mcli_fail_errno(err, "open", path);
  identity[0] = (uint64_t)st.st_dev;
  identity[1] = (uint64_t)st.st_ino;
  return MCL_OK;
}

// ---- listing ---------------------------------------------------------------------------------------

static int by_name(const void *a, const void *b) {
  return strcmp(((const mcli_entry *)a)->name, ((const mcli_entry *)b)->name);
}

static mcl_status add_entry(mcl_context *c, mcli_listing *l, const char *directory,
                            const char *name, mcl_error *err) {
  if ((l->n & (l->n - 1)) == 0) { // full at every power of two
    mcli_entry *larger =
        mcli_realloc(c, l->entries, l->n ? (uint64_t)l->n * 2 : 1, sizeof *l->entries);
    if (!larger) return mcli_nomem(err, "a directory's entries");
    l->entries = larger;
  }
  char *path = mcli_path_join(c, directory, name), *copy = mcli_strdup(c, name);
  if (!path || !copy) {
    mcli_free(c, path);
    mcli_free(c, copy);
    return mcli_nomem(err, "a directory's entries");
  }
  // Said not to be a directory because the disk failed, a folder would be left out with all its files.
  int is_directory;
  mcl_status s = mcli_directory_is(path, &is_directory, err);
  mcli_free(c, path);
  if (s < 0)
    mcli_free(c, copy);
  else
    l->entries[l->n++] = (mcli_entry){copy, is_directory};
  return s;
}

mcl_status mcli_directory_list(mcl_context *c, const char *path, mcli_listing *out,
                               mcl_error *err) {
  mcli_listing l = {0};
  DIR *directory = opendir(path);
  if (!directory) return mcli_fail_errno(err, "open", path);
  mcl_status s = MCL_OK;
  while (s == MCL_OK) {
    errno = 0;
    struct dirent *e = readdir(directory); // NOLINT(concurrency-mt-unsafe): nobody else has it
    if (!e && errno) s = mcli_fail_errno(err, "read", path);
    if (!e) break;
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      s = add_entry(c, &l, path, e->d_name, err);
  }
  closedir(directory);
  if (s < 0) {
    mcli_listing_free(c, &l);
    return s;
  }
  if (l.n) qsort(l.entries, (size_t)l.n, sizeof *l.entries, by_name);
  *out = l;
  return MCL_OK;
}

void mcli_listing_free(mcl_context *c, mcli_listing *l) {
  for (int64_t i = 0; i < l->n; i++) mcli_free(c, l->entries[i].name);
  mcli_free(c, l->entries);
  *l = (mcli_listing){0};
}
