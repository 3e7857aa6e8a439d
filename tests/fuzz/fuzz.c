// From bytes to a target, and what must hold behind it (fuzz.h).
#include "fuzz/fuzz.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/run.h"

// ---- findings -----------------------------------------------------------------------------------

void fuzz_fail(const char *format, ...) {
  va_list more;
  va_start(more, format);
  fputs("fuzz: ", stderr);
  vfprintf(stderr, format, more);
  fputc('\n', stderr);
  va_end(more);
  abort();
}

// ---- memory that is counted, bounded, and refused -----------------------------------------------

static struct {
  pthread_mutex_t lock;
  int64_t live, bytes, requests;
  int64_t refuse; // the n-th request from now; 0: none
  int for_ever;   // and all behind it
  int refused;    // some request was, in this run
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int refuse(size_t size) {
  memory.requests++;
  if (memory.refuse && --memory.refuse == 0) {
    memory.refuse = memory.for_ever;
    return 1;
  }
  if (memory.bytes + (int64_t)size <= FUZZ_BYTES) return 0;
  if (fuzz_large == FUZZ_FINDING)
    fuzz_fail("%zu bytes asked for where %lld are held", size, (long long)memory.bytes);
  return 1;
}

static void *give(void *user, size_t size, size_t alignment) {
  (void)user;
  void *p = NULL;
  pthread_mutex_lock(&memory.lock);
  if (size > PTRDIFF_MAX || refuse(size))
    memory.refused = 1;
  else if (posix_memalign(&p, alignment, size) == 0)
    memory.live++, memory.bytes += (int64_t)size;
  pthread_mutex_unlock(&memory.lock);
  return p;
}

static void take(void *user, void *p, size_t size, size_t alignment) {
  (void)user, (void)alignment;
  pthread_mutex_lock(&memory.lock);
  memory.live--;
  memory.bytes -= (int64_t)size;
  pthread_mutex_unlock(&memory.lock);
  free(p);
}

int fuzz_memory_may_fail(void) {
  return memory.refused || memory.refuse > 0;
}

void fuzz_allocator(mcl_allocator *out) {
  mcl_struct_init(out, sizeof *out);
  out->alloc = give;
  out->free = take;
}

mcl_context *fuzz_context(uint32_t n) {
  mcl_allocator a;
  mcl_context_options o;
  mcl_context *c = NULL;
  mcl_error err;
  fuzz_allocator(&a);
  mcl_context_options_init(&o, sizeof o);
  o.threads = n;
  o.allocator = &a;
  return fuzz_ok(mcl_context_create(&o, &c, &err), &err) ? c : NULL;
}

// ---- statuses -----------------------------------------------------------------------------------

int fuzz_ok(mcl_status status, const mcl_error *err) {
  if (status != err->status) fuzz_fail("returned %d, but err says %d", status, err->status);
  if (!memchr(err->message, 0, sizeof err->message)) fuzz_fail("a message without an end");
  if (status == MCL_OK && err->message[0]) fuzz_fail("success says '%s'", err->message);
  if (status == MCL_OK) return 1;
  if (!err->message[0]) fuzz_fail("%s without a word", mcl_status_name(status));
  if (status > 0 || strcmp(mcl_status_name(status), "unknown status") == 0)
    fuzz_fail("%d is no status", status);
  if (status == MCL_E_INTERNAL) fuzz_fail("%s", err->message);
  if (status == MCL_E_NOMEM && !memory.refused) fuzz_fail("nothing refused, but %s", err->message);
  return 0;
}

int fuzz_read(mcl_status status, const mcl_error *err, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  if (fuzz_ok(status, err)) return 1;
  if (status != MCL_E_NOMEM && !strstr(err->message, name))
    fuzz_fail("%s is not named: %s", name, err->message);
  return 0;
}

void fuzz_refused(mcl_status status, const mcl_error *err, mcl_status wanted) {
  if (fuzz_ok(status, err)) fuzz_fail("taken, where %s was to come", mcl_status_name(wanted));
  if (status != wanted && !(status == MCL_E_NOMEM && fuzz_memory_may_fail()))
    fuzz_fail("%s, not %s: %s", mcl_status_name(status), mcl_status_name(wanted), err->message);
}

// ---- files --------------------------------------------------------------------------------------

static char folder[64];

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command)) fprintf(stderr, "%s stays\n", folder);
}

static void make_folder(void) {
  // In memory where the system has such a folder: thousands of files a second are written.
  strcpy(folder,
         access("/dev/shm", W_OK) == 0 ? "/dev/shm/mcl-fuzz-XXXXXX" : "/tmp/mcl-fuzz-XXXXXX");
  if (!mkdtemp(folder)) fuzz_fail("no scratch folder %s", folder);
  atexit(remove_folder);
}

const char *fuzz_path(const char *name) {
  static char path[4][512];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

const char *fuzz_put(const char *name, const void *bytes, size_t n) {
  const char *path = fuzz_path(name);
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) fuzz_fail("cannot write %s", path);
  return path;
}

uint8_t *fuzz_get(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  if (!f || fseek(f, 0, SEEK_END)) fuzz_fail("there is no %s", path);
  *n = (size_t)ftell(f);
  rewind(f);
  uint8_t *bytes = malloc(*n + 1);
  if (fread(bytes, 1, *n, f) != *n) fuzz_fail("%s cannot be read", path);
  fclose(f);
  return bytes;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)st, (void)kind, (void)where;
  return remove(path);
}

const char *fuzz_empty(const char *name) {
  const char *path = fuzz_path(name);
  if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
    fuzz_fail("%s stays: %s", path, strerror(errno));
  if (mkdir(path, 0777)) fuzz_fail("cannot make %s", path);
  return path;
}

enum { PATTERN = 0xA5 };

void *fuzz_room(size_t n) {
  void *room = malloc(n ? n : 1);
  return memset(room, PATTERN, n ? n : 1);
}

void fuzz_untouched(const void *room, size_t n, const char *what) {
  for (size_t i = 0; i < n; i++)
    if (((const uint8_t *)room)[i] != PATTERN)
      fuzz_fail("%s has failed, and written byte %zu", what, i);
}

// ---- bytes as choices ---------------------------------------------------------------------------

uint64_t fuzz_bits(fuzz_bytes *b, int bytes) {
  uint64_t bits = 0;
  for (int i = 0; i < bytes && b->n; i++, b->at++, b->n--) bits |= (uint64_t)*b->at << 8 * i;
  return bits;
}

int64_t fuzz_below(fuzz_bytes *b, int64_t n) {
  int bytes = n <= 1 ? 0 : n <= 1 << 8 ? 1 : n <= 1 << 16 ? 2 : 8;
  return bytes ? (int64_t)(fuzz_bits(b, bytes) % (uint64_t)n) : 0;
}

int fuzz_chance(fuzz_bytes *b, int one_in) {
  return fuzz_below(b, one_in) == one_in - 1;
}

int64_t fuzz_size(fuzz_bytes *b) {
  static const int64_t edges[] = {
      -1,        INT64_MIN, INT64_MAX,        INT32_MAX, (int64_t)INT32_MAX + 1,
      1LL << 62, 1LL << 40, (1LL << 31) - 64, 1 << 20,   65536};
  int64_t kind = fuzz_below(b, 64);
  if (kind < 62) return fuzz_below(b, kind < 32 ? 16 : 300);
  return edges[fuzz_below(b, sizeof edges / sizeof *edges)];
}

double fuzz_number(fuzz_bytes *b) {
  static const double edges[] = {NAN,   INFINITY, -INFINITY, 1e308, -1e308, 5e-324,
                                 1e-40, 3.5e38,   -0.0,      1e-7,  1e30,   2147483648.0};
  int64_t kind = fuzz_below(b, 32);
  if (kind < 30) return (double)fuzz_below(b, 512) / 64 - 4;
  return edges[fuzz_below(b, sizeof edges / sizeof *edges)];
}

void fuzz_floats(fuzz_bytes *b, float *x, int64_t n) {
  uint32_t state = (uint32_t)fuzz_bits(b, 3) * 2 + 1;
  int few = fuzz_chance(b, 4); // few different rows: ties everywhere
  for (int64_t i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    x[i] = few ? (float)(state >> 30) : (float)(int32_t)(state >> 8 & 0xFFFF) / 8192 - 4;
  }
  if (n > 0 && fuzz_chance(b, 8)) x[fuzz_below(b, n)] = (float)fuzz_number(b);
}

fuzz_bytes fuzz_part(fuzz_bytes *b) {
  size_t n = fuzz_bits(b, 2);
  fuzz_bytes part = {b->at, n < b->n ? n : b->n};
  b->at += part.n;
  b->n -= part.n;
  return part;
}

// ---- structs of other sizes ---------------------------------------------------------------------

enum { STRUCTS = 64 };
static void *structs[STRUCTS];
static int n_structs;

void *fuzz_struct(fuzz_bytes *b, const void *s, size_t size) {
  size_t told = size, kind = (size_t)fuzz_below(b, 64), room = sizeof told;
  if (kind == 63) return NULL;
  if (kind == 62) told = (size_t)fuzz_below(b, (int64_t)size + 1);
  if (kind == 61 || kind == 60) told = size + (size_t)fuzz_below(b, 40);
  if (n_structs == STRUCTS) fuzz_fail("more than %d structs", STRUCTS);
  if (told > room) room = told;
  uint8_t *copy = calloc(1, room);
  if (!copy) abort();
  structs[n_structs++] = copy;
  memcpy(copy, s, room < size ? room : size);
  memcpy(copy, &told, sizeof told);
  if (kind == 61 && told > size) copy[told - 1] = 1;
  return copy;
}

static void free_structs(void) {
  while (n_structs) free(structs[--n_structs]);
}

// ---- a run --------------------------------------------------------------------------------------

static mcl_context *context;
static uint32_t threads = 1;

void fuzz_threads(uint32_t n) {
  threads = n;
}

static int lowest_descriptor(void) {
  int fd = dup(STDERR_FILENO);
  close(fd);
  return fd;
}

static int64_t run_once(const uint8_t *bytes, size_t n, int64_t refuse_at, int for_ever) {
  int64_t live = memory.live, held = memory.bytes;
  int descriptor = lowest_descriptor();
  memory.requests = 0;
  memory.refused = 0;
  memory.for_ever = for_ever;
  memory.refuse = refuse_at;
  fuzz_target(context, bytes, n);
  memory.refuse = 0;
  free_structs();
  if (memory.live != live || memory.bytes != held)
    fuzz_fail("%lld pieces, %lld bytes of memory left behind, request %lld refused",
              (long long)(memory.live - live), (long long)(memory.bytes - held),
              (long long)refuse_at);
  if (lowest_descriptor() != descriptor) fuzz_fail("a file left open");
  return memory.requests;
}

void fuzz_run(const uint8_t *bytes, size_t n, int refusals) {
  if (!context) {
    make_folder();
    context = fuzz_context(threads);
  }
  int64_t requests = run_once(bytes, n, 0, 0);
  uint64_t hash = 14695981039346656037u; // FNV-1a: the same input, the same request
  for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
  hash ^= hash >> 32;
  for (int i = 0; i < refusals && requests > 0; i++) {
    // Spread over the run, from a place that the input decides; once, or for ever.
    int64_t at =
        1 + (int64_t)((hash / 2 + (uint64_t)(i * requests / refusals)) % (uint64_t)requests);
    run_once(bytes, n, at, (int)((hash + (uint64_t)i) & 1));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
#ifdef FUZZ_FAILING
  fuzz_run(bytes, n, 1);
#else
  fuzz_run(bytes, n, 0);
#endif
  return 0;
}
