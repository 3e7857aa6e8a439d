// Files. A write is complete or absent: the bytes go to a file of their own beside the target, are flushed to the disk,
// renamed over the target, and the directory is flushed too, or the rename may be lost with the power.
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static mcl_status fail_errno(mcl_error *err, const char *verb, const char *path) {
  int code = errno;
  char why[128];
  const char *text = strerror_r(code, why, sizeof why);
  mcl_status status = code == ENOENT ? MCL_E_NOT_FOUND : MCL_E_IO;
  return mcli_fail(err, status, "cannot %s %s: %s", verb, path, text);
}

static mcl_status fail_short(mcl_error *err, const char *path, int64_t wanted, int64_t offset) {
  return mcli_fail(err, MCL_E_IO, "%s is cut short: no %lld bytes at %lld", path, (long long)wanted,
                   (long long)offset);
}

// ---- reading ---------------------------------------------------------------------------------------

static int open_again(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

mcl_status mcli_reader_open(mcl_context *c, const char *path, mcli_reader *r, mcl_error *err) {
  struct stat st;
  *r = (mcli_reader){.fd = -1, .context = c};
  // Not blocking: opening a pipe that nobody writes to would wait for ever. Regular files do not care.
  int fd = open_again(path, O_RDONLY | O_NONBLOCK, 0);
  if (fd < 0) return fail_errno(err, "open", path);
  mcl_status s = MCL_OK;
  if (fstat(fd, &st) != 0)
    s = fail_errno(err, "read", path);
  else if (!S_ISREG(st.st_mode))
    s = mcli_fail(err, MCL_E_IO, "%s is not a regular file", path);
  else if (!(r->path = mcli_strdup(c, path)))
    s = mcli_nomem(err, "a path");
  if (s < 0) {
    close(fd);
    return s;
  }
  r->fd = fd;
  r->size = st.st_size;
  return MCL_OK;
}

mcl_status mcli_reader_at(const mcli_reader *r, int64_t offset, void *bytes, int64_t n,
                          mcl_error *err) {
  unsigned char *to = bytes;
  for (int64_t done = 0; done < n;) {
    ssize_t got = pread(r->fd, to + done, (size_t)(n - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(err, "read", r->path);
    if (got == 0) return fail_short(err, r->path, n, offset);
    done += got;
  }
  return MCL_OK;
}

void mcli_reader_ahead(const mcli_reader *r, int64_t offset, int64_t n) {
  if (n > r->size - offset) n = r->size - offset;
#ifdef POSIX_FADV_WILLNEED
  if (n > 0) posix_fadvise(r->fd, offset, n, POSIX_FADV_WILLNEED);
#endif
}

void mcli_reader_close(mcli_reader *r) {
  if (r->fd >= 0) close(r->fd);
  if (r->context) mcli_free(r->context, r->path);
  *r = (mcli_reader){.fd = -1};
}

mcl_status mcli_file_read_all(mcl_context *c, const char *path, int64_t limit,
                              unsigned char **bytes, int64_t *size, mcl_error *err) {
  mcli_reader r;
  unsigned char *buffer = NULL;
  mcl_status s = mcli_reader_open(c, path, &r, err);
  if (s < 0) return s;
  if (r.size > limit)
    s = mcli_fail(err, MCL_E_LIMIT, "%s has %lld bytes, the limit is %lld", path, (long long)r.size,
                  (long long)limit);
  else if (!(buffer = mcli_alloc(c, (size_t)r.size + 1, 1)))
    s = mcli_nomem(err, "a file's bytes");
  else
    s = mcli_reader_at(&r, 0, buffer, r.size, err);
  if (s == MCL_OK) {
    buffer[r.size] = 0;
    *bytes = buffer;
    *size = r.size;
    buffer = NULL;
  }
  mcli_free(c, buffer);
  mcli_reader_close(&r);
  return s;
}

static void *z_alloc(void *c, unsigned n, unsigned size) {
  return mcli_alloc(c, n, size);
}
static void z_free(void *c, void *p) {
  mcli_free(c, p);
}

// Unpacks into a buffer that doubles up to `limit`: the size a gzip file states of itself is not to be believed.
static mcl_status unpack(mcl_context *c, z_stream *z, const char *path, int64_t limit,
                         unsigned char **bytes, int64_t *size, mcl_error *err) {
  int64_t capacity = 1 << 16, have = 0;
  unsigned char *buffer = mcli_alloc(c, (size_t)capacity + 1, 1);
  mcl_status s = buffer ? MCL_OK : mcli_nomem(err, "an unpacked file");
  int code = Z_OK;
  while (s == MCL_OK && code != Z_STREAM_END) {
    if (have == capacity) {
      unsigned char *larger = mcli_realloc(c, buffer, (size_t)capacity * 2 + 1, 1);
      if (!larger)
        s = mcli_nomem(err, "an unpacked file");
      else
        buffer = larger, capacity *= 2;
      if (s < 0) break;
    }
    int64_t room = capacity - have;
    z->next_out = buffer + have;
    z->avail_out = (unsigned)(room < 1 << 30 ? room : 1 << 30);
    unsigned asked = z->avail_out;
    code = inflate(z, Z_NO_FLUSH);
    have += asked - z->avail_out;
    if (have > limit)
      s = mcli_fail(err, MCL_E_LIMIT, "%s unpacks to more than %lld bytes", path, (long long)limit);
    else if (code == Z_MEM_ERROR)
      s = mcli_nomem(err, "an unpacked file");
    else if (code != Z_OK && code != Z_STREAM_END)
      s = mcli_fail(err, MCL_E_FORMAT, "%s is a damaged gzip file: %s", path,
                    z->msg ? z->msg : "it ends too soon");
    // A gzip file may be several members, one after the other.
    if (s == MCL_OK && code == Z_STREAM_END && z->avail_in > 0 && inflateReset(z) == Z_OK)
      code = Z_OK;
  }
  if (s == MCL_OK) {
    buffer[have] = 0;
    *bytes = buffer;
    *size = have;
    return s;
  }
  mcli_free(c, buffer);
  return s;
}

mcl_status mcli_file_read_all_gz(mcl_context *c, const char *path, int64_t limit,
                                 unsigned char **bytes, int64_t *size, mcl_error *err) {
  unsigned char *packed;
  int64_t n;
  mcl_status s = mcli_file_read_all(c, path, limit, &packed, &n, err);
  if (s < 0) return s;
  if (n < 2 || packed[0] != 0x1F || packed[1] != 0x8B) {
    *bytes = packed;
    *size = n;
    return MCL_OK;
  }
  z_stream z = {.zalloc = z_alloc, .zfree = z_free, .opaque = c};
  z.next_in = packed;
  z.avail_in = (unsigned)n;
  if (n > UINT32_MAX)
    s = mcli_fail(err, MCL_E_LIMIT, "%s is over 4 GB packed", path);
  else if (inflateInit2(&z, 15 + 16) != Z_OK)
    s = mcli_nomem(err, "unpacking"); // 16: gzip's wrapping
  else {
    s = unpack(c, &z, path, limit, bytes, size, err);
    inflateEnd(&z);
  }
  mcli_free(c, packed);
  return s;
}

// ---- writing ---------------------------------------------------------------------------------------

mcl_status mcli_writer_open(mcl_context *c, const char *path, mcli_writer *w, mcl_error *err) {
  static atomic_uint serial; // two writers of one process to one path must not share a file
  *w = (mcli_writer){.fd = -1, .context = c};
  size_t n = strlen(path) + 48;
  w->path = mcli_strdup(c, path);
  char *temporary = mcli_alloc(c, n, 1); // the writer's once there is such a file: abort removes it
  if (!w->path || !temporary) {
    mcli_free(c, temporary);
    mcli_writer_abort(w);
    return mcli_nomem(err, "a path");
  }
  snprintf(temporary, n, "%s.%ld-%u.part", path, (long)getpid(), atomic_fetch_add(&serial, 1));
  w->fd = open_again(temporary, O_RDWR | O_CREAT | O_TRUNC, 0666);
  if (w->fd >= 0) {
    w->temporary = temporary;
    return MCL_OK;
  }
  mcl_status s = fail_errno(err, "create", path);
  mcli_free(c, temporary);
  mcli_writer_abort(w);
  return s;
}

mcl_status mcli_writer_at(mcli_writer *w, int64_t offset, const void *bytes, int64_t n,
                          mcl_error *err) {
  const unsigned char *from = bytes;
  for (int64_t done = 0; done < n;) {
    ssize_t put = pwrite(w->fd, from + done, (size_t)(n - done), offset + done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail_errno(err, "write", w->path);
    done += put;
  }
  return MCL_OK;
}

mcl_status mcli_writer_size(mcli_writer *w, int64_t size, mcl_error *err) {
  int code;
  do code = ftruncate(w->fd, size);
  while (code != 0 && errno == EINTR);
  return code == 0 ? MCL_OK : fail_errno(err, "write", w->path);
}

static int flush(int fd) {
  int code;
  do code = fsync(fd);
  while (code != 0 && errno == EINTR);
  return code;
}

static void flush_directory_of(const char *path) {
  char directory[4096];
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) : 1;
  if (n >= sizeof directory) return;
  memcpy(directory, slash ? path : ".", n);
  directory[n] = 0;
  int fd = open_again(n ? directory : "/", O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return;
  flush(fd); // some file systems cannot; the rename itself has succeeded
  close(fd);
}

mcl_status mcli_writer_commit(mcli_writer *w, mcl_error *err) {
  mcl_status s = MCL_OK;
  if (flush(w->fd) != 0) s = fail_errno(err, "write", w->path);
  int closed = close(w->fd);
  w->fd = -1;
  if (s == MCL_OK && closed != 0 && errno != EINTR) s = fail_errno(err, "write", w->path);
  if (s == MCL_OK && rename(w->temporary, w->path) != 0) s = fail_errno(err, "rename", w->path);
  if (s == MCL_OK) {
    flush_directory_of(w->path);
    mcli_free(w->context, w->temporary);
    w->temporary = NULL;
  }
  mcli_writer_abort(w);
  return s;
}

void mcli_writer_abort(mcli_writer *w) {
  if (w->fd >= 0) close(w->fd);
  if (w->temporary) unlink(w->temporary);
  if (w->context) {
    mcli_free(w->context, w->temporary);
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

// ---- directories -----------------------------------------------------------------------------------

mcl_status mcli_directory_make(mcl_context *c, const char *path, mcl_error *err) {
  char *prefix = mcli_strdup(c, path);
  if (!prefix) return mcli_nomem(err, "a path");
  mcl_status s = MCL_OK;
  for (char *p = prefix + 1; s == MCL_OK; p++) {
    char was = *p;
    if (was != '/' && was != 0) continue;
    *p = 0;
    if (mkdir(prefix, 0777) != 0 && errno != EEXIST) s = fail_errno(err, "create", prefix);
    *p = was;
    if (was == 0) break;
  }
  if (s == MCL_OK && !mcli_is_directory(path))
    s = mcli_fail(err, MCL_E_IO, "%s is not a directory", path);
  mcli_free(c, prefix);
  return s;
}

int mcli_file_exists(const char *path) {
  return access(path, F_OK) == 0;
}

int mcli_is_directory(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

mcl_status mcli_file_remove(const char *path, mcl_error *err) {
  return unlink(path) == 0 || errno == ENOENT ? MCL_OK : fail_errno(err, "remove", path);
}

char *mcli_path_join(mcl_context *c, const char *directory, const char *name) {
  size_t n = strlen(directory), m = strlen(name);
  char *path = mcli_alloc(c, n + m + 2, 1);
  if (!path) return NULL;
  memcpy(path, directory, n);
  if (n && directory[n - 1] != '/') path[n++] = '/';
  memcpy(path + n, name, m + 1);
  return path;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const mcli_entry *)a)->name, ((const mcli_entry *)b)->name);
}

static mcl_status add_entry(mcl_context *c, mcli_listing *l, const char *directory,
                            const char *name, mcl_error *err) {
  if ((l->n & (l->n - 1)) == 0) { // full at every power of two
    mcli_entry *larger =
        mcli_realloc(c, l->entries, l->n ? (size_t)l->n * 2 : 1, sizeof *l->entries);
    if (!larger) return mcli_nomem(err, "a directory's entries");
    l->entries = larger;
  }
  char *path = mcli_path_join(c, directory, name), *copy = mcli_strdup(c, name);
  if (!path || !copy) {
    mcli_free(c, path);
    mcli_free(c, copy);
    return mcli_nomem(err, "a directory's entries");
  }
  int is_directory = mcli_is_directory(path);
  mcli_free(c, path);
  l->entries[l->n++] = (mcli_entry){copy, is_directory};
  return MCL_OK;
}

mcl_status mcli_directory_list(mcl_context *c, const char *path, mcli_listing *out,
                               mcl_error *err) {
  mcli_listing l = {0};
  DIR *directory = opendir(path);
  if (!directory) return fail_errno(err, "open", path);
  struct stat st;
  mcl_status s = MCL_OK;
  if (fstat(dirfd(directory), &st) != 0)
    s = fail_errno(err, "read", path);
  else
    l.identity[0] = (uint64_t)st.st_dev, l.identity[1] = (uint64_t)st.st_ino;
  while (s == MCL_OK) {
    errno = 0;
    struct dirent *e = readdir(directory);
    if (!e && errno) s = fail_errno(err, "read", path);
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
