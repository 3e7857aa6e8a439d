// Labels into cells, and all batches of an epoch: nanoseconds a row. The aim is 9 a row for the
// batches, what numpy needs to permute and slice the same rows.
//
// One case a line, JSON; the fastest of five.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libmcl/sampler.h>

enum { STAGES = 2, CLUSTERS = 10, BATCH_ROWS = 256, TIMES = 5 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void check(mcl_status status, const mcl_error *err) {
  if (status == MCL_OK) return;
  fprintf(stderr, "bench_batches: %s\n", err->message);
  exit(1);
}

static void least(double *best, double ms) {
  if (*best == 0 || ms < *best) *best = ms;
}

static double epoch(const mcl_sampler *s, mcl_batch *b, mcl_error *err) {
  double start = now();
  for (int64_t step = 0; step < mcl_sampler_steps(s); step++)
    check(mcl_sampler_batch(s, 0, step, b, err), err);
  return now() - start;
}

static void line(const char *name, const char *what, double ms, int64_t rows) {
  printf("{\"bench\":\"batches\",\"case\":\"%s%s\",\"threads\":1,\"ours_ms\":%.3f,\"ns_per_row\":%."
         "2f}\n",
         name, what, ms, ms * 1e6 / (double)rows);
}

static void run(mcl_context *c, const char *name, int64_t rows) {
  static int64_t indices[BATCH_ROWS], cells[BATCH_ROWS];
  int32_t *labels[STAGES];
  double plain = 0, add = 0, packed = 0, batches = 0;
  mcl_error err;
  mcl_batch b;
  mcl_struct_init(&b, sizeof b);
  b.indices = indices, b.cells = cells, b.capacity = BATCH_ROWS;
  uint64_t x = 1;
  for (int32_t s = 0; s < STAGES; s++) {
    labels[s] = malloc((size_t)rows * sizeof **labels);
    if (!labels[s]) exit(1);
    for (int64_t i = 0; i < rows; i++) {
      x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
      labels[s][i] = (int32_t)((x >> 33) % CLUSTERS);
    }
  }
  for (int32_t t = 0; t < TIMES; t++) {
    mcl_sampler_options o;
    mcl_sampler_options_init(&o, sizeof o);
    o.batch_rows = BATCH_ROWS;
    o.batching = t & 1 ? MCL_BATCH_PACKED : MCL_BATCH_ONE_CELL;
    mcl_sampler *s;
    check(mcl_sampler_create(c, &o, rows, 0, 1, &s, &err), &err);
    least(&plain, epoch(s, &b, &err));
    double start = now();
    for (int32_t i = 0; i < STAGES; i++)
      check(mcl_sampler_add_labels(s, i, labels[i], rows, &err), &err);
    least(&add, (now() - start) / STAGES);
    least(t & 1 ? &packed : &batches, epoch(s, &b, &err));
    mcl_sampler_unref(s);
  }
  line(name, "", batches, rows);
  line(name, " packed", packed, rows);
  line(name, " stage 0", plain, rows);
  line(name, " add labels", add, rows);
  for (int32_t i = 0; i < STAGES; i++) free(labels[i]);
}

int main(void) {
  mcl_error err;
  mcl_context *c;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = 1;
  check(mcl_context_create(&o, &c, &err), &err);
  run(c, "1e6", 1000000);
  run(c, "1e7", 10000000);
  mcl_context_unref(c);
  return 0;
}
