// Reading files: with a limit, at a place, unpacked. writer.c has the writing, directory.c the directories.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/rng.h"

_Static_assert(sizeof(off_t) == 8, "files over 2 GiB: build with _FILE_OFFSET_BITS=64");

mcl_status mcli_fail_errno(mcl_error *err, const char *verb, const char *path) {
  int code = errno;
  char why[128];
  const char *text = strerror_r(code, why, sizeof why);
  mcl_status status = code == ENOENT ? MCL_E_NOT_FOUND : MCL_E_IO;
  return mcli_fail(err, status, "cannot %s %s: %s", verb, mcli_path_tail(path), text);
}

static mcl_status fail_short(mcl_error *err, const char *path, int64_t wanted, int64_t offset) {
  return mcli_fail(err, MCL_E_IO, "%s is cut short: no %lld bytes at %lld", mcli_path_tail(path),
                   (long long)wanted, (long long)offset);
}

// ---- reading ---------------------------------------------------------------------------------------

int mcli_open(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

mcl_status mcli_reader_open(mcl_context *c, const char *path, mcli_reader *r, mcl_error *err) {
  struct stat st;
  *r = (mcli_reader){.fd = -1, .context = c};
  // Not blocking: opening a pipe that nobody writes to would wait for ever. Regular files do not care.
  int fd = mcli_open(path, O_RDONLY | O_NONBLOCK, 0);
  if (fd < 0) return mcli_fail_errno(err, "open", path);
  mcl_status s = MCL_OK;
  if (fstat(fd, &st) != 0)
    s = mcli_fail_errno(err, "read", path);
  else if (!S_ISREG(st.st_mode))
    s = mcli_fail(err, MCL_E_IO, "%s is not a regular file", mcli_path_tail(path));
  else if (!(r->path = mcli_strdup(c, mcli_path_tail(path))))
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
    if (got < 0) return mcli_fail_errno(err, "read", r->path);
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
    s = mcli_fail(err, MCL_E_LIMIT, "%s has %lld bytes, the limit is %lld", mcli_path_tail(path),
                  (long long)r.size, (long long)limit);
  else if (!(buffer = mcli_alloc(c, (uint64_t)r.size + 1, 1)))
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

static mcli_identity identity_of(const struct stat *st) {
  return (mcli_identity){(uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
                         (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec};
}

int mcli_file_identify(const char *path, mcli_identity *identity) {
  struct stat st;
  if (stat(path, &st) != 0) return 0;
  *identity = identity_of(&st);
  return 1;
}

int mcli_file_is(const char *path, const mcli_identity *wanted) {
  mcli_identity is;
  return mcli_file_identify(path, &is) && memcmp(&is, wanted, sizeof is) == 0;
}

// Bytes hashed at a time: a second-level cache.
enum { HASH_BYTES = 256 * 1024 };

static mcl_status hash_all(const mcli_reader *r, unsigned char *block, uint64_t *hash,
                           mcl_error *err) {
  mcl_status s = MCL_OK;
  *hash = 0;
  for (int64_t at = 0; s == MCL_OK && at < r->size; at += HASH_BYTES) {
    int64_t n = r->size - at < HASH_BYTES ? r->size - at : HASH_BYTES;
    s = mcli_reader_at(r, at, block, n, err);
    if (s == MCL_OK) *hash = mcli_hash(block, (uint64_t)n, *hash);
  }
  if (*hash == 0) *hash = 1; // 0 is none
  return s;
}

mcl_status mcli_file_hash(mcl_context *c, const char *path, int flush, uint64_t *hash,
                          mcli_identity *identity, mcl_error *err) {
  mcli_reader r;
  struct stat st;
  mcl_status s = mcli_reader_open(c, path, &r, err);
  if (s < 0) return s;
  unsigned char *block = mcli_alloc(c, HASH_BYTES, 1);
  s = block ? hash_all(&r, block, hash, err) : mcli_nomem(err, "a file's bytes");
  if (s == MCL_OK && flush && mcli_flush(r.fd) != 0) s = mcli_fail_errno(err, "write", path);
  if (s == MCL_OK && identity && fstat(r.fd, &st) != 0) s = mcli_fail_errno(err, "read", path);
  if (s == MCL_OK && identity) *identity = identity_of(&st);
  mcli_free(c, block);
  mcli_reader_close(&r);
  return s;
}

static void *z_alloc(void *c, unsigned n, unsigned size) {
  return mcli_alloc(c, n, size);
}
static void z_free(void *c, void *p) {
  mcli_free(c, p);
}

// So much is unpacked whatever it is packed into; beyond, what has been unpacked may be so many times what it was packed
// into. Text is packed 3 to 10 times, photographs 1 to 2 times, line drawings and silhouettes 20 to 50 times; a file that is made to
// fill memory 1000 times. Whoever has a better one unpacks it first.
enum { UNPACKED_FREELY = 64 << 20, MOST_UNPACKED = 64 };

// Room for more, before it is needed: the buffer doubles, up to one byte over the limit, which tells that it is passed.
static mcl_status grow_unpacked(mcl_context *c, const char *path, int64_t limit, int64_t packed,
                                unsigned char **buffer, int64_t *capacity, mcl_error *err) {
  if (*capacity >= UNPACKED_FREELY && *capacity / MOST_UNPACKED > packed)
    return mcli_fail(err, MCL_E_LIMIT, "%s unpacks to over %d times its size: unpack it first",
                     mcli_path_tail(path), MOST_UNPACKED);
  int64_t wanted = 2 * *capacity <= limit ? 2 * *capacity : limit + 1;
  unsigned char *larger = mcli_realloc(c, *buffer, (uint64_t)wanted + 1, 1);
  if (!larger) return mcli_nomem(err, "an unpacked file");
  *buffer = larger;
  *capacity = wanted;
  return MCL_OK;
}

// Unpacks into a buffer that grows up to `limit`: the size a gzip file states of itself is not to be believed.
static mcl_status unpack(mcl_context *c, z_stream *z, const char *path, int64_t limit,
                         unsigned char **bytes, int64_t *size, mcl_error *err) {
  int64_t capacity = limit < 1 << 16 ? limit + 1 : 1 << 16, have = 0, packed = z->avail_in;
  unsigned char *buffer = mcli_alloc(c, (uint64_t)capacity + 1, 1);
  mcl_status s = buffer ? MCL_OK : mcli_nomem(err, "an unpacked file");
  int code = Z_OK;
  while (s == MCL_OK && code != Z_STREAM_END) {
    if (have == capacity)
      s = grow_unpacked(c, path, limit, packed - z->avail_in, &buffer, &capacity, err);
    if (s < 0) break;
    int64_t room = capacity - have;
    z->next_out = buffer + have;
    z->avail_out = (unsigned)(room < 1 << 30 ? room : 1 << 30);
    unsigned asked = z->avail_out;
    code = inflate(z, Z_NO_FLUSH);
    have += asked - z->avail_out;
    if (have > limit)
      s = mcli_fail(err, MCL_E_LIMIT, "%s unpacks to more than %lld bytes", mcli_path_tail(path),
                    (long long)limit);
    else if (code == Z_MEM_ERROR)
      s = mcli_nomem(err, "an unpacked file");
    else if (code != Z_OK && code != Z_STREAM_END)
      s = mcli_fail(err, MCL_E_FORMAT, "%s is a damaged gzip file: %s", mcli_path_tail(path),
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
  unsigned char *packed = NULL;
  int64_t n = 0;
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
    s = mcli_fail(err, MCL_E_LIMIT, "%s is over 4 GB packed", mcli_path_tail(path));
  else if (inflateInit2(&z, 15 + 16) != Z_OK)
    s = mcli_nomem(err, "unpacking"); // 16: gzip's wrapping
  else {
    s = unpack(c, &z, path, limit, bytes, size, err);
    inflateEnd(&z);
  }
  mcli_free(c, packed);
  return s;
}
