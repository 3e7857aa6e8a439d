#include "hostile/hostile.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <libmcl/image.h>

#include "base/rng.h"

// ---- bytes -----------------------------------------------------------------------------------------

static uint8_t *blob_room(blob *b, size_t n) {
  if (b->n + n > b->capacity) {
    b->capacity = 2 * (b->n + n);
    b->data = realloc(b->data, b->capacity);
    ck_assert_ptr_nonnull(b->data);
  }
  b->n += n;
  return b->data + b->n - n;
}

void blob_add(blob *b, const void *bytes, size_t n) {
  if (n) memcpy(blob_room(b, n), bytes, n);
}

void blob_text(blob *b, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  ck_assert_int_lt(n, (int)sizeof text);
  blob_add(b, text, (size_t)n);
}

void blob_fill(blob *b, int byte, size_t n) {
  if (n) memset(blob_room(b, n), byte, n);
}

void blob_big32(blob *b, uint32_t value) {
  uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                      (uint8_t)value};
  blob_add(b, bytes, 4);
}

void blob_little(blob *b, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) blob_add(b, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

void blob_noise(blob *b, size_t n, uint64_t seed) {
  uint8_t *to = blob_room(b, n);
  for (size_t i = 0; i < n; i += 8) {
    uint64_t word = mcli_rng_derive(seed, 0, i);
    memcpy(to + i, &word, n - i < 8 ? n - i : 8);
  }
}

// `repeats` times the bytes as deflate has them, up to a boundary behind which nothing before is referred to.
static void pack_block(blob *to, const void *bytes, size_t n, int64_t repeats, int level) {
  z_stream z = {0};
  uint8_t out[1 << 15];
  ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
  for (int64_t i = 0; i < repeats; i++) {
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)n;
    do {
      z.next_out = out;
      z.avail_out = sizeof out;
      ck_assert_int_ge(deflate(&z, i == repeats - 1 ? Z_FULL_FLUSH : Z_NO_FLUSH), Z_BUF_ERROR);
      blob_add(to, out, sizeof out - z.avail_out);
    } while (z.avail_out == 0);
  }
  deflateEnd(&z);
}

static uLong check_of(uLong check, const void *bytes, size_t n, int64_t repeats, int gzip) {
  uLong one = gzip ? crc32(0, bytes, (uInt)n) : adler32(1, bytes, (uInt)n);
  for (int64_t i = 0; i < repeats; i++)
    check = gzip ? crc32_combine(check, one, (z_off_t)n) : adler32_combine(check, one, (z_off_t)n);
  return check;
}

// Blocks of a megabyte are packed once and stand there as often as they are wanted: 64 GB are made in a second.
void blob_pack(blob *to, const void *bytes, size_t n, int64_t repeats, int gzip, int level) {
  static const uint8_t zlib_head[2] = {0x78, 0xDA},
                       gzip_head[10] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255};
  blob block = {0};
  int64_t together = MB / (int64_t)n + 1;
  blob_add(to, gzip ? gzip_head : zlib_head, gzip ? sizeof gzip_head : sizeof zlib_head);
  pack_block(&block, bytes, n, together, level);
  for (int64_t i = 0; i < repeats / together; i++) blob_add(to, block.data, block.n);
  if (repeats % together > 0) pack_block(to, bytes, n, repeats % together, level);
  blob_add(to, "\x03\0", 2); // an empty block, the last one
  uint32_t check = (uint32_t)check_of(gzip ? 0 : 1, bytes, n, repeats, gzip);
  uint32_t size = (uint32_t)((uint64_t)n * (uint64_t)repeats);
  uint32_t swapped[2] = {__builtin_bswap32(check), __builtin_bswap32(size)};
  if (!gzip) blob_big32(to, check);
  for (int i = 0; gzip && i < 2; i++) blob_big32(to, swapped[i]);
  blob_free(&block);
}

void blob_write(const blob *b, const char *path) {
  FILE *f = fopen(path, "wb");
  ck_assert_msg(f != NULL, "cannot write %s", path);
  if (b->n) ck_assert_uint_eq(fwrite(b->data, 1, b->n, f), b->n);
  ck_assert_int_eq(fclose(f), 0);
}

void blob_free(blob *b) {
  free(b->data);
  *b = (blob){0};
}

// ---- cases -----------------------------------------------------------------------------------------

// What the child tells, in memory that both have.
typedef struct told {
  int done;
  mcl_status status;
  int64_t allocated, grown; // bytes
  mcl_error err;
} told;

static int64_t peak_bytes(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (int64_t)r.ru_maxrss * 1024;
}

// A child that loops for ever is ended, and its case fails, as one that takes too long.
static void limit_seconds(int seconds) {
  struct rlimit r = {(rlim_t)seconds, (rlim_t)seconds + 1};
  setrlimit(RLIMIT_CPU, &r);
}

static void child(told *t, hostile_call call, void *user, int seconds) {
  test_allocator a;
  mcl_context *c;
  limit_seconds(seconds);
  test_allocator_init(&a);
  c = test_context_with(&a, 1);
  int64_t before = a.bytes, resident = peak_bytes();
  a.peak = a.bytes;
  t->status = call(c, user, &t->err);
  t->grown = peak_bytes() - resident;
  t->allocated = a.peak - before;
  mcl_context_unref(c);
  if (a.live != 0 || a.bytes != 0) {
    fprintf(stderr, "%lld blocks were not given back\n", (long long)a.live);
    _exit(1);
  }
  t->done = 1;
}

static void check(const hostile_case *h, const told *t, double seconds) {
  int megabytes = h->megabytes ? h->megabytes : MEMORY_BOUND;
  int margin = (h->margin ? h->margin : CPU_MARGIN) * CPU_BOUND;
  if (h->accepted >= 0)
    ck_assert_msg((t->status == MCL_OK) == h->accepted, "%s: %s: %s", h->name,
                  mcl_status_name(t->status), t->err.message);
  if (t->status < 0) {
    ck_assert_msg(!h->why || strstr(t->err.message, h->why),
                  "%s: the message does not say '%s': %s", h->name, h->why, t->err.message);
    ck_assert_msg(!h->file || strstr(t->err.message, h->file), "%s: the file is not named: %s",
                  h->name, t->err.message);
  }
  ck_assert_msg(t->allocated <= (int64_t)megabytes * MB, "%s: %lld MB were allocated, not %d",
                h->name, (long long)(t->allocated / MB), megabytes);
  if (SANITIZED) return;
  ck_assert_msg(t->grown <= (int64_t)megabytes * MB, "%s: the process grew by %lld MB, not %d",
                h->name, (long long)(t->grown / MB), megabytes);
  ck_assert_msg(seconds <= margin, "%s took %.1f s of CPU time, the bound is %d, a test's %d",
                h->name, seconds, CPU_BOUND, margin);
}

static double seconds_of(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

void run_hostile(const hostile_case *h, hostile_call call, void *user) {
  told *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(t, MAP_FAILED);
  struct rusage used;
  int status, seconds = (h->margin ? h->margin : CPU_MARGIN) * CPU_BOUND + 1;
  fflush(NULL);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    child(t, call, user, SANITIZED ? 120 : seconds);
    _exit(0);
  }
  pid_t ended;
  do ended = wait4(pid, &status, 0, &used);
  while (ended < 0);
  double cpu = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  printf("| %-58s | %10lld | %5.0f | %5.0f | %6.2f | %s\n", h->name, (long long)h->bytes,
         (double)t->allocated / MB, (double)t->grown / MB, cpu,
         t->status < 0 ? t->err.message
         : t->done     ? "accepted"
                       : "ended");
  ck_assert_msg(!WIFSIGNALED(status) || WTERMSIG(status) != SIGXCPU,
                "%s: still busy after %.1f s of CPU time", h->name, cpu);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0 && t->done,
                "%s: the process ended by itself, status %d", h->name, status);
  check(h, t, cpu);
  munmap(t, sizeof *t);
}

static char folder[3000];

const char *hostile_path(const char *name) {
  static char path[4096];
  if (!folder[0]) snprintf(folder, sizeof folder, "%s", test_directory("hostile"));
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

void run_hostile_file(hostile_case h, const char *file, blob *b, hostile_call call) {
  const char *path = hostile_path(file);
  h.bytes = (int64_t)b->n;
  h.file = file;
  blob_write(b, path);
  blob_free(b);
  run_hostile(&h, call, (void *)(uintptr_t)path);
  unlink(path);
}

void hostile_clean(void) {
  char command[3100];
  if (!folder[0]) return;
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  ck_assert_int_eq(system(command), 0);
  folder[0] = 0;
}

mcl_status decode_hostile(mcl_context *c, void *user, mcl_error *err) {
  const blob *b = user;
  static uint8_t pixels[64 * 64 * 3];
  mcl_array out;
  mcl_array_init(&out, pixels, MCL_U8, 3, (int64_t[]){64, 64, 3});
  return mcl_image_decode(c, NULL, b->data, b->n, &out, err);
}
