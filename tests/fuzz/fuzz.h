// What a fuzz target is, and what it is given.
//
// A target reads bytes and does with libmcl what they say. Whatever they are, this must hold:
//
//   - the process lives: no crash, no report of a sanitizer, no endless loop;
//   - a call that fails says so: a status, a sentence; MCL_E_NOMEM only where memory was refused,
//     MCL_E_INTERNAL never (fuzz_ok() sees to it);
//   - nothing is left behind: memory and file descriptors are as before the input;
//   - no more than FUZZ_BYTES of memory are held at once.
//
// fuzz.c calls the target: for libFuzzer, or, by corpus.c, for each file of a corpus. Built with FUZZ_FAILING it runs each
// input once more with a request for memory refused, which one follows from the input.
#ifndef MCL_TESTS_FUZZ_H
#define MCL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/context.h>
#include <libmcl/status.h>

// The most a file of 64 MB may cost in memory by default limits; inputs here are far smaller.
enum { FUZZ_BYTES = 256 << 20 };

// ---- what a target defines ----------------------------------------------------------------------

// The context has one thread, so that the same bytes take the same way, and lives as long as the process.
void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n);
// What a request beyond FUZZ_BYTES is: FUZZ_FINDING where only a file's bytes can have asked for it; FUZZ_REFUSED where the
// target passes sizes on to calls, which are right to ask for what they were told to, and must bear being refused.
enum { FUZZ_FINDING, FUZZ_REFUSED };
extern const int fuzz_large;

// ---- what it is given ---------------------------------------------------------------------------

// 1 where the call has succeeded, 0 where it has failed as a call should; anything else ends the process with a report.
int fuzz_ok(mcl_status status, const mcl_error *err);
// The same of a call that reads `path`: a refusal must name it, unless memory was refused.
int fuzz_read(mcl_status status, const mcl_error *err, const char *path);
// A call that must fail so, unless memory was refused.
void fuzz_refused(mcl_status status, const mcl_error *err, mcl_status wanted);
// Ends the process with a sentence: a finding.
void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

// A path inside a scratch folder of this process, removed at its end; one of four static buffers.
const char *fuzz_path(const char *name);
// Writes a file there, and gives its path.
const char *fuzz_put(const char *name, const void *bytes, size_t n);
// All of a file, of malloc; a finding where there is none.
uint8_t *fuzz_get(const char *path, size_t *n);
// A folder there, without anything in it.
const char *fuzz_empty(const char *name);
// malloc'ed bytes for a call to write to; fuzz_untouched() where it has failed ends the process if it did.
void *fuzz_room(size_t n);
void fuzz_untouched(const void *room, size_t n, const char *what);
// 1 while a request for memory may be refused in this run.
int fuzz_memory_may_fail(void);
// Another context on the same memory, for targets that want threads.
mcl_context *fuzz_context(uint32_t threads);
// That memory, for a context whose other options are the target's own.
void fuzz_allocator(mcl_allocator *out);

// ---- bytes as choices ---------------------------------------------------------------------------

// What is left of an input. Where nothing is, all choices are the first.
typedef struct fuzz_bytes {
  const uint8_t *at;
  size_t n;
} fuzz_bytes;

uint64_t fuzz_bits(fuzz_bytes *b, int bytes); // so many bytes, little endian, 1 .. 8
int64_t fuzz_below(fuzz_bytes *b, int64_t n); // 0 .. n - 1, n >= 1; as few bytes as n needs
int fuzz_chance(fuzz_bytes *b, int one_in);   // mostly 0
int64_t fuzz_size(fuzz_bytes *b);             // often small, sometimes at an edge of int64_t
double fuzz_number(fuzz_bytes *b);            // often ordinary, sometimes NaN, infinite, tiny
void fuzz_floats(fuzz_bytes *b, float *x, int64_t n); // ordinary, but for one in some inputs
fuzz_bytes fuzz_part(fuzz_bytes *b); // a length, and so many of the bytes behind it
// A copy of a struct that begins with struct_size: most often whole, else of an older or newer library's size, the newer
// one's tail zero or not, or of a size that is none. Exactly so large, so that a sanitizer sees the first byte that is
// read beyond; freed after the run. NULL now and then, where NULL has a meaning or is an error.
void *fuzz_struct(fuzz_bytes *b, const void *s, size_t size);

#endif
