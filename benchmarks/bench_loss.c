// NT-Xent and the CLIP loss, forward and backward: milliseconds a call, and the memory beyond the
// caller's own. NT-Xent's cases are "rows of both views-dim".
//
//   bench_loss [threads [rows]]
//
// By default on 1 and on 2 threads; rows: no case of more rows a view. One case a line, JSON; the
// fastest of TIMES. cpu_ms is the processor time of all threads, by which two builds can still be
// compared on a machine that others keep busy; gradient is the norm of both gradients together.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libmcl/loss.h>

enum { DIM = 128, TIMES = 7 };

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void check(mcl_status status, const mcl_error *err) {
  if (status == MCL_OK) return;
  fprintf(stderr, "bench_loss: %s\n", err->message);
  exit(1);
}

typedef mcl_status (*loss_fn)(mcl_context *, const mcl_loss_options *, const mcl_loss_inputs *,
                              mcl_loss_result *, mcl_error *);

// Bytes that the library holds, from any thread; the most of them.
typedef struct counter {
  long long live, most;
} counter;

static void *counted_alloc(void *user, size_t size, size_t alignment) {
  counter *c = user;
  long long live = __atomic_add_fetch(&c->live, (long long)size, __ATOMIC_RELAXED);
  if (live > c->most) c->most = live;
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void counted_free(void *user, void *p, size_t size, size_t alignment) {
  (void)alignment;
  __atomic_sub_fetch(&((counter *)user)->live, (long long)size, __ATOMIC_RELAXED);
  free(p);
}

static float *made_up(int64_t n, uint64_t x) {
  float *z = malloc((size_t)n * sizeof *z);
  if (!z) exit(1);
  for (int64_t i = 0; i < n; i++) {
    x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    z[i] = (float)(x >> 40) * 0x1p-23F - 1;
  }
  return z;
}

static int64_t most_rows = INT64_MAX;

static void run(const char *bench, loss_fn loss, uint32_t threads, int64_t n, int64_t cells,
                double temperature) {
  if (n > most_rows) return;
  mcl_error err;
  mcl_context *c;
  mcl_context_options o;
  mcl_allocator memory;
  counter bytes = {0, 0};
  mcl_struct_init(&memory, sizeof memory);
  memory.user = &bytes, memory.alloc = counted_alloc, memory.free = counted_free;
  mcl_context_options_init(&o, sizeof o);
  o.threads = threads, o.allocator = &memory;
  check(mcl_context_create(&o, &c, &err), &err);

  float *a = made_up(n * DIM, 1), *b = made_up(n * DIM, 2);
  float *da = made_up(n * DIM, 3), *db = made_up(n * DIM, 3);
  int64_t *cell = malloc((size_t)n * sizeof *cell);
  if (!cell) exit(1);
  for (int64_t i = 0; i < n; i++) cell[i] = i % cells;
  mcl_array za = mcl_matrix_f32(a, n, DIM), zb = mcl_matrix_f32(b, n, DIM);
  mcl_array dza = mcl_matrix_f32(da, n, DIM), dzb = mcl_matrix_f32(db, n, DIM);
  mcl_loss_options options;
  mcl_loss_options_init(&options, sizeof options);
  options.temperature = temperature;
  mcl_loss_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.za = &za, in.zb = &zb, in.dza = &dza, in.dzb = &dzb;
  in.cells = cells > 1 ? cell : NULL;
  mcl_loss_result r;
  mcl_struct_init(&r, sizeof r);

  double best = 0, cpu = 0;
  long long before = bytes.live;
  bytes.most = before;
  for (int t = 0; t < TIMES; t++) {
    double start = now(CLOCK_MONOTONIC), worked = now(CLOCK_PROCESS_CPUTIME_ID);
    check(loss(c, &options, &in, &r, &err), &err);
    double ms = now(CLOCK_MONOTONIC) - start;
    worked = now(CLOCK_PROCESS_CPUTIME_ID) - worked;
    if (t == 0 || ms < best) best = ms;
    if (t == 0 || worked < cpu) cpu = worked;
  }
  double gradient = 0;
  for (int64_t i = 0; i < n * DIM; i++) gradient += (double)da[i] * da[i] + (double)db[i] * db[i];
  printf("{\"bench\":\"%s\",\"case\":\"%lld-%d\",\"cells\":%lld,\"temperature\":%g,\"threads\":%u,"
         "\"ours_ms\":%.2f,\"cpu_ms\":%.2f,\"peak_mib\":%.1f,\"loss\":%.7f,\"gradient\":%.9g}\n",
         bench, (long long)(loss == mcl_loss_nt_xent ? 2 * n : n), DIM, (long long)cells,
         temperature, threads, best, cpu, (double)(bytes.most - before) / 0x1p20, r.loss,
         sqrt(gradient));
  fflush(stdout);
  free(a), free(b), free(da), free(db), free(cell);
  mcl_context_unref(c);
}

int main(int argc, char **argv) {
  uint32_t only = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
  if (argc > 2) most_rows = atoll(argv[2]);
  if (only > 1024) return 2;
  for (uint32_t threads = only ? only : 1; threads <= (only ? only : 2); threads++) {
    run("nt_xent", mcl_loss_nt_xent, threads, 256, 1, 0.5);
    run("nt_xent", mcl_loss_nt_xent, threads, 1024, 1, 0.5);
    run("nt_xent", mcl_loss_nt_xent, threads, 4096, 1, 0.5);
    run("nt_xent", mcl_loss_nt_xent, threads, 4096, 64, 0.5);
    run("nt_xent", mcl_loss_nt_xent, threads, 4096, 1, 0.01);
    run("info_nce", mcl_loss_info_nce, threads, 4096, 1, 0.5);
    run("info_nce", mcl_loss_info_nce, threads, 4096, 1, 0.01);
  }
  return 0;
}
