// Files: whole reads with a limit, reads at a place (file.c), writes that are either complete or absent (writer.c), and
// directories (directory.c). No other place knows open(2), fsync(2), rename(2) or zlib. Every message names the path.
#ifndef MCL_BASE_FILE_H
#define MCL_BASE_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/context.h"

// All of a file, NUL-terminated one byte past *size, to be freed with mcli_free. MCL_E_LIMIT when larger than `limit`.
mcl_status mcli_file_read_all(mcl_context *c, const char *path, int64_t limit,
                              unsigned char **bytes, int64_t *size, mcl_error *err);
// The same, of a file that may be gzip'ed; `limit` bounds the unpacked size too. Over 64 MiB, and over 64 times what it was
// packed into, is MCL_E_LIMIT as well.
mcl_status mcli_file_read_all_gz(mcl_context *c, const char *path, int64_t limit,
                                 unsigned char **bytes, int64_t *size, mcl_error *err);

typedef struct mcli_reader {
  int fd;
  int64_t size;
  char *path; // its last part, for messages
  mcl_context *context;
} mcli_reader;
mcl_status mcli_reader_open(mcl_context *c, const char *path, mcli_reader *r, mcl_error *err);
// Exactly n bytes at `offset`, or MCL_E_IO. Several threads at once.
mcl_status mcli_reader_at(const mcli_reader *r, int64_t offset, void *bytes, int64_t n,
                          mcl_error *err);
// These bytes will be asked for soon: the disk may begin. A hint, which never fails.
void mcli_reader_ahead(const mcli_reader *r, int64_t offset, int64_t n);
void mcli_reader_close(mcli_reader *r); // fine when never opened but zeroed with fd = -1

// Writes beside `path`, NAME.0.part; commit flushes, renames, and flushes the directory; abort leaves nothing. A link is
// followed, and the permissions of a file that is replaced are kept. What cannot be replaced (a directory, a device) is
// MCL_E_IO before anything is written.
typedef struct mcli_writer {
  int fd, mode; // mode: -1: there is no file yet
  int placed;   // after commit: the new file is there, whatever came back
  char *path;   // as given
  char *target; // behind links
  char *parent; // the directory of the target
  char *temporary;
  mcl_context *context;
} mcli_writer;
mcl_status mcli_writer_open(mcl_context *c, const char *path, mcli_writer *w, mcl_error *err);
mcl_status mcli_writer_at(mcli_writer *w, int64_t offset, const void *bytes, int64_t n,
                          mcl_error *err);
mcl_status mcli_writer_size(mcli_writer *w, int64_t size,
                            mcl_error *err); // grows the file with zeros
// The writer is closed, whatever comes back; takes no memory. MCL_E_IO leaves the old file, but for the flush of the directory, the last
// thing that can fail: then the new one is there.
mcl_status mcli_writer_commit(mcli_writer *w, mcl_error *err);
void mcli_writer_abort(mcli_writer *w); // fine after commit, and when zeroed with fd = -1

mcl_status mcli_file_write_all(mcl_context *c, const char *path, const void *bytes, int64_t n,
                               mcl_error *err);
// Writes what is at `from` to `to`, whole or not at all.
mcl_status mcli_file_copy(mcl_context *c, const char *from, const char *to, mcl_error *err);
mcl_status mcli_directory_make(mcl_context *c, const char *path,
                               mcl_error *err); // parents too; fine when it is there
int mcli_file_exists(const char *path);
// 0: it is known to have fewer bytes, to be no regular file, or not to be there.
int mcli_file_may_have(const char *path, int64_t bytes);
// Gives `path` the permissions of `like`, where there is such a file.
void mcli_file_take_mode(const char *path, const char *like);
// Whether there is a directory, or a link to one. MCL_E_IO: nobody can tell.
mcl_status mcli_directory_is(const char *path, int *answer, mcl_error *err);
mcl_status mcli_file_remove(const char *path, mcl_error *err); // fine when it is not there
// Renames within a file system, over what is there; nothing is flushed.
mcl_status mcli_file_move(const char *from, const char *to, mcl_error *err);

// Which file it is, as far as can be told from outside: it is another when it has been replaced.
typedef struct mcli_identity {
  uint64_t device, number, size, seconds, nanoseconds;
} mcli_identity;
int mcli_file_identify(const char *path, mcli_identity *identity); // 0: there is none
int mcli_file_is(const char *path, const mcli_identity *identity);
// A hash of all bytes; `flush`: puts them on the disk too. `identity` may be NULL.
mcl_status mcli_file_hash(mcl_context *c, const char *path, int flush, uint64_t *hash,
                          mcli_identity *identity, mcl_error *err);

// A directory, for its flush; -1 where it may not be opened, and nothing can be flushed.
mcl_status mcli_directory_open(const char *path, int *fd, mcl_error *err);
int mcli_directory_flush(int fd); // 0, or -1 and errno
int mcli_flush(int fd);
mcl_status mcli_directory_sync(const char *path, mcl_error *err); // opens and flushes it
// Waits until nobody else holds it, a minute at most; -1 where the file system has no locks, and nothing is locked.
mcl_status mcli_directory_lock(const char *path, int *lock, mcl_error *err);
void mcli_directory_unlock(int lock); // fine for -1

// What open and fsync do, again after EINTR; the message of a call that failed, by errno: "cannot VERB PATH: why".
int mcli_open(const char *path, int flags, mode_t mode);
mcl_status mcli_fail_errno(mcl_error *err, const char *verb, const char *path);

char *mcli_path_parent(mcl_context *c, const char *path); // to be freed; NULL without memory
// "directory/name", to be freed; NULL without memory.
char *mcli_path_join(mcl_context *c, const char *directory, const char *name);

// Every entry of a directory but "." and "..", sorted by bytes, directories marked. To be freed with mcli_listing_free.
typedef struct mcli_entry {
  char *name;
  int is_directory;
} mcli_entry;
typedef struct mcli_listing {
  mcli_entry *entries;
  int64_t n;
} mcli_listing;
mcl_status mcli_directory_list(mcl_context *c, const char *path, mcli_listing *out, mcl_error *err);
void mcli_listing_free(mcl_context *c, mcli_listing *l);
// What tells a directory from others, whatever path leads to it.
mcl_status mcli_directory_identity(const char *path, uint64_t identity[2], mcl_error *err);

#endif
