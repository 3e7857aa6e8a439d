// Writing files: whole or not at all. The bytes go to a file of their own beside the target, NAME.0.part, are flushed to the
// disk, renamed over the target, and the directory is flushed too, or the rename may be lost with the power.
//
// A process that is killed leaves its part behind. The next writer of that target removes it, so there are never more of
// them than there were writers at once. Whose writer lives is known by a lock that it holds on it; its part is left alone,
// and the next one, NAME.1.part, is tried. Names with a process number in them, which were rejected, pile up, and
// two containers with a common disk both have a process 1.
//
// Where the file system has no locks a part that is there is left alone, whosever it is.
//
// The target may be a link: what it leads to is replaced, not the link. Permissions are those of the file that is replaced.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { MOST_LINKS = 40 };   // one after the other, as Linux
enum { PATH_BYTES = 4096 }; // as Linux: no longer path can be opened
enum { NAME_BYTES = 255 };  // of the last part of a path, on every file system of Linux
enum { SUFFIX_BYTES = 16 }; // ".1234.part"
enum { MOST_PARTS = 1000 }; // writers of one file at once; where there are no locks, kills of them

// ---- the target ------------------------------------------------------------------------------------

// Where a link at `path` leads, to be freed.
static char *beside(mcl_context *c, const char *path, const char *to) {
  if (*to == '/') return mcli_strdup(c, to);
  char *parent = mcli_path_parent(c, path);
  char *joined = parent ? mcli_path_join(c, parent, to) : NULL;
  mcli_free(c, parent);
  return joined;
}

static mcl_status follow_links(mcli_writer *w, mcl_error *err) {
  char to[PATH_BYTES];
  for (int i = 0; i <= MOST_LINKS; i++) { // the last look finds no link
    ssize_t n = readlink(w->target, to, sizeof to - 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EINVAL || errno == ENOENT)) return MCL_OK; // no link, or nothing there
    if (n < 0) return mcli_fail_errno(err, "look at", w->path);
    to[n] = 0;
    char *next = beside(w->context, w->target, to);
    if (!next) return mcli_nomem(err, "a path");
    mcli_free(w->context, w->target);
    w->target = next;
  }
  errno = ELOOP;
  return mcli_fail_errno(err, "open", w->path);
}

// The permissions that are to be kept; -1: there is no file yet.
static mcl_status look_at_target(mcli_writer *w, mcl_error *err) {
  struct stat st;
  w->mode = -1;
  if (stat(w->target, &st) != 0)
    return errno == ENOENT ? MCL_OK : mcli_fail_errno(err, "look at", w->path);
  if (!S_ISREG(st.st_mode)) // a device would be replaced by a file
    return mcli_fail(err, MCL_E_IO, "%s is there and is not a regular file",
                     mcli_path_tail(w->path));
  w->mode = st.st_mode & 0777;
  return MCL_OK;
}

// ---- the part --------------------------------------------------------------------------------------

// NAME.number.part, NAME cut at a whole character where the name would be too long. Two names that are cut to the same
// are two writers of one part, which take turns.
static void name_part(char *part, size_t size, const char *target, int number) {
  const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
  size_t n = strlen(name);
  if (n > NAME_BYTES - SUFFIX_BYTES) {
    n = NAME_BYTES - SUFFIX_BYTES;
    while (n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80) n--;
  }
  snprintf(part, size, "%.*s.%d.part", (int)(name - target + (ptrdiff_t)n), target, number);
}

static int is_at(int fd, const char *path) {
  struct stat open, there;
  return fstat(fd, &open) == 0 && lstat(path, &there) == 0 && open.st_dev == there.st_dev &&
         open.st_ino == there.st_ino;
}

static int lock(int fd) {
  int code;
  do code = flock(fd, LOCK_EX | LOCK_NB);
  while (code != 0 && errno == EINTR);
  return code;
}

// A new part, or -1; errno is EEXIST where the name is taken. One that is locked at once was taken for dead between the two
// calls, and is removed by now.
static int create_part(const char *part, mode_t mode) {
  int fd = mcli_open(part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  if (fd < 0) return -1;
  if ((lock(fd) == 0 || errno != EWOULDBLOCK) && is_at(fd, part)) return fd;
  close(fd);
  errno = EEXIST;
  return -1;
}

// Removes the part of a writer that is no more: 1, or 0 where it lives, or nobody can tell.
static int remove_dead_part(const char *part) {
  int fd = mcli_open(part, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
  if (fd < 0) return errno == ENOENT;
  mcl_error ignored;
  int removed = lock(fd) == 0 && is_at(fd, part) && mcli_file_remove(part, &ignored) == MCL_OK;
  close(fd);
  return removed;
}

static mcl_status open_part(mcli_writer *w, mcl_error *err) {
  size_t size = strlen(w->target) + SUFFIX_BYTES;
  // Nobody may read what he could not read before, nor while it is written.
  mode_t mode = w->mode < 0 ? 0666 : (mode_t)w->mode | S_IRUSR | S_IWUSR;
  char *part =
      mcli_alloc(w->context, size, 1); // the writer's once there is such a file: abort removes it
  if (!part) return mcli_nomem(err, "a path");
  errno = EEXIST;
  for (int number = 0; w->fd < 0 && errno == EEXIST && number < MOST_PARTS; number++) {
    name_part(part, size, w->target, number);
    w->fd = create_part(part, mode);
    if (w->fd >= 0 || errno != EEXIST) break;
    if (remove_dead_part(part))
      w->fd = create_part(part, mode);
    else
      errno = EEXIST;
  }
  if (w->fd >= 0) {
    w->temporary = part;
    return MCL_OK;
  }
  mcl_status s = mcli_fail_errno(err, "create", w->path);
  mcli_free(w->context, part);
  return s;
}

mcl_status mcli_writer_open(mcl_context *c, const char *path, mcli_writer *w, mcl_error *err) {
  *w = (mcli_writer){.fd = -1, .context = c};
  w->path = mcli_strdup(c, path);
  w->target = mcli_strdup(c, path);
  mcl_status s = w->path && w->target ? MCL_OK : mcli_nomem(err, "a path");
  if (s == MCL_OK) s = follow_links(w, err);
  if (s == MCL_OK && !(w->parent = mcli_path_parent(c, w->target))) s = mcli_nomem(err, "a path");
  if (s == MCL_OK) s = look_at_target(w, err);
  if (s == MCL_OK) s = open_part(w, err);
  if (s < 0) mcli_writer_abort(w);
  return s;
}

mcl_status mcli_writer_at(mcli_writer *w, int64_t offset, const void *bytes, int64_t n,
                          mcl_error *err) {
  const unsigned char *from = bytes;
  for (int64_t done = 0; done < n;) {
    ssize_t put = pwrite(w->fd, from + done, (size_t)(n - done), offset + done);
    if (put < 0 && errno == EINTR) continue;
    if (put == 0) errno = ENOSPC; // nothing taken, and no reason given: once more would be for ever
    if (put <= 0) return mcli_fail_errno(err, "write", w->path);
    done += put;
  }
  return MCL_OK;
}

mcl_status mcli_writer_size(mcli_writer *w, int64_t size, mcl_error *err) {
  int code;
  do code = ftruncate(w->fd, size);
  while (code != 0 && errno == EINTR);
  return code == 0 ? MCL_OK : mcli_fail_errno(err, "write", w->path);
}

// ---- commit and abort ------------------------------------------------------------------------------

// Over a network a rename may be carried out and its answer lost; the second try then finds nothing to rename.
static int put_in_place(const mcli_writer *w) {
  int code;
  do code = rename(w->temporary, w->target);
  while (code != 0 && errno == EINTR);
  if (code == 0) return 0;
  int why = errno;
  code = is_at(w->fd, w->target) ? 0 : -1;
  errno = why;
  return code;
}

static mcl_status commit(mcli_writer *w, int directory, mcl_error *err) {
  // Wider than the mode is it nowhere, so what forbids a change of it does no harm.
  if (w->mode >= 0) (void)!fchmod(w->fd, (mode_t)w->mode);
  // After a failed flush the system may have dropped what it could not write, so that the next one would succeed: the
  // part is given up.
  if (mcli_flush(w->fd) != 0) return mcli_fail_errno(err, "write", w->path);
  // The lock is held until the name is gone: a part that another writer took for dead and made anew would be renamed half written.
  if (put_in_place(w) != 0) return mcli_fail_errno(err, "rename", w->path);
  mcli_free(w->context, w->temporary);
  w->temporary = NULL;
  w->placed = 1;
  if (mcli_directory_flush(directory) == 0) return MCL_OK;
  // The new file is whole and in its place; whoever would now remove what it replaces must not.
  return mcli_fail_errno(err, "flush the directory of", w->path);
}

mcl_status mcli_writer_commit(mcli_writer *w, mcl_error *err) {
  int directory = -1;
  // Opened before anything has changed: then there may be no more descriptors.
  mcl_status s = mcli_directory_open(w->parent, &directory, err);
  if (s == MCL_OK) s = commit(w, directory, err);
  if (directory >= 0) close(directory);
  int placed = w->placed;
  mcli_writer_abort(w); // close says nothing that the flush has not said
  w->placed = placed;
  return s;
}

void mcli_writer_abort(mcli_writer *w) {
  mcl_error ignored;
  // Removed while locked: once it is not, it may be another's.
  if (w->temporary) mcli_file_remove(w->temporary, &ignored);
  if (w->fd >= 0) close(w->fd);
  if (w->context) {
    mcli_free(w->context, w->temporary);
    mcli_free(w->context, w->parent);
    mcli_free(w->context, w->target);
    mcli_free(w->context, w->path);
  }
  *w = (mcli_writer){.fd = -1};
}

mcl_status mcli_file_write_all(mcl_context *c, const char *path, const void *bytes, int64_t n,
                               mcl_error *err) {
  mcli_writer w;
  mcl_status s = mcli_writer_open(c, path, &w, err);
  if (s < 0) return s;
  s = mcli_writer_at(&w, 0, bytes, n, err);
  if (s == MCL_OK) return mcli_writer_commit(&w, err);
  mcli_writer_abort(&w);
  return s;
}

mcl_status mcli_file_copy(mcl_context *c, const char *from, const char *to, mcl_error *err) {
  unsigned char *bytes = NULL;
  int64_t n = 0;
  mcl_status s = mcli_file_read_all(c, from, INT64_MAX / 2, &bytes, &n, err);
  if (s < 0) return s;
  s = mcli_file_write_all(c, to, bytes, n, err);
  mcli_free(c, bytes);
  return s;
}
