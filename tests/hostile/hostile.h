// What a hostile file costs: every case runs in a process of its own, whose memory and CPU time are read off when it ends.
//
//   memory   the most that the context's allocator has given at once, and by how much the process has grown: libjpeg, zlib and
//            qsort take theirs from malloc
//   CPU      user and system seconds of the process (wait4): a busy machine does not lengthen them much
//
// The bound, MEMORY_BOUND, is asserted; seconds are printed, and asserted with a wide margin only, CPU_MARGIN times CPU_BOUND.
// Under a sanitizer memory is its shadow's, and seconds are its own: cases are made smaller there (MOST_BYTES), and
// only what the allocator gave is asserted.
#ifndef MCL_TESTS_HOSTILE_H
#define MCL_TESTS_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

#include "support/suite.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { MB = 1 << 20, MEMORY_BOUND = 256, CPU_BOUND = 2, CPU_MARGIN = 5 };
// The largest file that is tried; of a sanitizer's build the largest that is tried in reasonable time.
enum { MOST_BYTES = SANITIZED ? 4 * MB : 64 * MB };
// How much smaller a case is made where the size of its file does not tell how long it takes.
enum { SHRINK = SANITIZED ? 16 : 1 };

// ---- bytes -----------------------------------------------------------------------------------------

// A file while it is made; malloc'ed.
typedef struct blob {
  uint8_t *data;
  size_t n, capacity;
} blob;

void blob_add(blob *b, const void *bytes, size_t n);
void blob_text(blob *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void blob_fill(blob *b, int byte, size_t n);
void blob_big32(blob *b, uint32_t value);
void blob_little(blob *b, uint64_t value, int bytes);
// Bytes that no packer makes smaller, the same ones every time.
void blob_noise(blob *b, size_t n, uint64_t seed);
// As gzip has it, or a bare zlib stream; of `repeats` times the bytes, without ever having them all.
void blob_pack(blob *to, const void *bytes, size_t n, int64_t repeats, int gzip, int level);
void blob_write(const blob *b, const char *path);
void blob_free(blob *b);

// ---- cases -----------------------------------------------------------------------------------------

// One call on a file: `user` as run() was given it.
typedef mcl_status (*hostile_call)(mcl_context *c, void *user, mcl_error *err);

typedef struct hostile_case {
  const char *name;
  int64_t bytes;    // of the file
  int accepted;     // 1: MCL_OK, 0: an error, -1: either
  const char *why;  // words of the message of a refusal; NULL: none
  const char *file; // more of them: the file's name
  int megabytes; // the most memory; 0: MEMORY_BOUND. Where more is allowed the reason stands beside the case
  int margin; // times CPU_BOUND; 0: CPU_MARGIN
} hostile_case;

// Runs the call in a child, prints a line of the table, fails the test where a bound is broken.
void run_hostile(const hostile_case *h, hostile_call call, void *user);

// A path in the test's own folder, which is emptied for it; static storage.
const char *hostile_path(const char *name);
// The call on a file with these bytes, which are freed; `user` is its path.
void run_hostile_file(hostile_case h, const char *file, blob *b, hostile_call call);
// An encoded image of `user`, a blob, decoded to 64 x 64, as of a folder.
mcl_status decode_hostile(mcl_context *c, void *user, mcl_error *err);
// Removes the folder: files here are large.
void hostile_clean(void);

#endif
