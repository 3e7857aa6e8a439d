#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bench_options bench = {.threads = 2};

static const char *program;

// ---- options ------------------------------------------------------------------------------------

static int number(const char *text, int most) {
  int n = text ? atoi(text) : 0;
  if (n >= 1 && n <= most) return n;
  fprintf(stderr, "%s: a number from 1 to %d is wanted\n", program, most);
  exit(2);
}

void bench_start(int argc, char **argv) {
  program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0) {
      bench.quick = 1;
    } else if (strcmp(argv[i], "--turns") == 0) {
      bench.turns = 1;
    } else if (strcmp(argv[i], "--list") == 0) {
      bench.list = 1;
    } else if (strcmp(argv[i], "--case") == 0 && i + 1 < argc) {
      bench.only = argv[++i];
    } else if (strcmp(argv[i], "--threads") == 0) {
      bench.threads = (uint32_t)number(argv[++i], 1024);
    } else if (strcmp(argv[i], "--times") == 0) {
      bench.times = number(argv[++i], 1000000);
    } else {
      fprintf(stderr,
              "usage: %s [--case NAME] [--threads N] [--times N] [--quick] [--turns] [--list]\n",
              program);
      exit(2);
    }
  }
}

// ---- cases --------------------------------------------------------------------------------------

int bench_wanted(bench_case *c, const char *name, const char *format, ...) {
  char both[80];
  va_list more;
  *c = (bench_case){.bench = name, .threads = bench.threads};
  va_start(more, format);
  vsnprintf(c->name, sizeof c->name, format, more);
  va_end(more);
  snprintf(both, sizeof both, "%s %s", name, c->name);
  if (bench.only && strcmp(bench.only, both) != 0) return 0;
  if (bench.list) puts(both);
  return !bench.list;
}

void bench_inputs(bench_case *c, const char *format, ...) {
  va_list more;
  va_start(more, format);
  vsnprintf(c->inputs, sizeof c->inputs, format, more);
  va_end(more);
}

static void head(const bench_case *c) {
  printf("{\"bench\":\"%s\",\"case\":\"%s\",\"threads\":%u%s%s", c->bench, c->name, c->threads,
         c->inputs, bench.quick ? ",\"quick\":true" : "");
}

void bench_line(const bench_case *c, const bench_result *r, const char *format, ...) {
  va_list more;
  head(c);
  printf(",\"ours_ms\":%.3f,\"cpu_ms\":%.3f,\"ours_mib\":%.1f", r->ms, r->cpu_ms, r->mib);
  va_start(more, format);
  vprintf(format, more);
  va_end(more);
  puts("}");
  fflush(stdout);
}

// ---- memory -------------------------------------------------------------------------------------

// Bytes that the library holds, and the most of them; from any thread.
static long long live, most;

static void *counted_alloc(void *user, size_t size, size_t alignment) {
  (void)user;
  long long now = __atomic_add_fetch(&live, (long long)size, __ATOMIC_RELAXED);
  long long seen = __atomic_load_n(&most, __ATOMIC_RELAXED);
  while (now > seen &&
         !__atomic_compare_exchange_n(&most, &seen, now, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void counted_free(void *user, void *p, size_t size, size_t alignment) {
  (void)user, (void)alignment;
  __atomic_sub_fetch(&live, (long long)size, __ATOMIC_RELAXED);
  free(p);
}

mcl_context *bench_context(const bench_case *c) {
  mcl_error err;
  mcl_context *context;
  mcl_context_options o;
  mcl_allocator memory;
  mcl_struct_init(&memory, sizeof memory);
  memory.alloc = counted_alloc;
  memory.free = counted_free;
  mcl_context_options_init(&o, sizeof o);
  o.threads = c->threads;
  o.allocator = &memory;
  live = most = 0;
  bench_check(mcl_context_create(&o, &context, &err), &err);
  return context;
}

void *bench_alloc(int64_t count, size_t size) {
  void *p = malloc((size_t)count * size + 1);
  if (p) return p;
  fprintf(stderr, "%s: no memory for the inputs\n", program);
  exit(1);
}

// ---- time ---------------------------------------------------------------------------------------

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double once(bench_result *r, int first, void (*call)(void *work), void *work) {
  double began = now(CLOCK_MONOTONIC), worked = now(CLOCK_PROCESS_CPUTIME_ID);
  call(work);
  double ms = now(CLOCK_MONOTONIC) - began;
  worked = now(CLOCK_PROCESS_CPUTIME_ID) - worked;
  if (first || ms < r->ms) r->ms = ms;
  if (first || worked < r->cpu_ms) r->cpu_ms = worked;
  return ms;
}

bench_result bench_fastest(const bench_case *c, int times, void (*call)(void *work), void *work) {
  bench_result r = {0};
  char asked[16];
  if (bench.quick) times = 1;
  if (bench.times) times = bench.times;
  if (bench.turns) {
    head(c);
    puts("}");
    fflush(stdout);
    for (int t = 0; fgets(asked, sizeof asked, stdin); t++) {
      printf("%.6f\n", once(&r, t == 0, call, work));
      fflush(stdout);
    }
  } else {
    for (int t = 0; t < times; t++) once(&r, t == 0, call, work);
  }
  r.mib = (double)most / 0x1p20;
  return r;
}

void bench_check(mcl_status status, const mcl_error *err) {
  if (status == MCL_OK) return;
  fprintf(stderr, "%s: %s: %s\n", program, mcl_status_name(status), err->message);
  exit(1);
}

// ---- numbers ------------------------------------------------------------------------------------

double bench_unit(uint64_t stream, uint64_t i) {
  uint64_t z = (i + (stream << 32)) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return (double)((z ^ z >> 31) >> 40) * 0x1p-24;
}

uint64_t bench_next(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *state;
}

static float draw(uint64_t *state) { // near normal: the sum of four uniform numbers, deviation 1
  float sum = 0;
  for (int i = 0; i < 4; i++) sum += (float)(bench_next(state) >> 40) / 16777216.0f;
  return (sum - 2) * 1.7320508f;
}

float *bench_mixture(int64_t rows, int32_t dim) {
  enum { GROUPS = 100 };
  uint64_t state = 1;
  float *centres = bench_alloc((int64_t)GROUPS * dim, sizeof *centres);
  float *x = bench_alloc(rows * dim, sizeof *x);
  for (int64_t i = 0; i < (int64_t)GROUPS * dim; i++) centres[i] = 0.6f * draw(&state);
  for (int64_t i = 0; i < rows; i++)
    for (int32_t d = 0; d < dim; d++)
      x[i * dim + d] = centres[i * 37 % GROUPS * dim + d] + draw(&state);
  free(centres);
  return x;
}
