// Probes of 60,000 rows of 128 numbers in 10 classes: the linear probe to its tolerance, kNN of
// 10,000 queries, blind pairs and uniformity of 10,000 rows. The aims: the linear probe in half of
// PyTorch's time, kNN in faiss's. peers.py makes the same rows and times the peers.
//
//   bench_probe [threads [rows]]
//
// By default 2 threads and 60,000 rows; always a sixth as many queries. One case a line, JSON; the
// fastest of three.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libmcl/probe.h>

enum { ROWS = 60000, TESTS = 10000, DIM = 128, CLASSES = 10, TIMES = 3 };
static const double APART = 0.5; // classes overlap: the hard case for L-BFGS

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void check(mcl_status status, const mcl_error *err) {
  if (status == MCL_OK) return;
  fprintf(stderr, "bench_probe: %s\n", err->message);
  exit(1);
}

// As in tests/golden/probe.py.
static double unit(uint64_t stream, uint64_t i) {
  uint64_t z = (i + (stream << 32)) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return (double)((z ^ z >> 31) >> 40) * 0x1p-24;
}

static float *make_rows(uint64_t stream, int64_t n, int32_t *labels) {
  float *z = malloc((size_t)(n * DIM) * sizeof *z);
  if (!z) exit(1);
  for (int64_t i = 0; i < n; i++) {
    labels[i] = (int32_t)(unit(stream, (uint64_t)i) * CLASSES);
    for (int64_t k = 0; k < DIM; k++) {
      double x = unit(99, (uint64_t)(labels[i] * DIM + k)) * APART - 2;
      for (uint64_t s = 1; s <= 4; s++) x += unit(stream + s, (uint64_t)(i * DIM + k));
      z[i * DIM + k] = (float)x;
    }
  }
  return z;
}

static int32_t last_loss(void *user, const mcl_progress *p) {
  if (strcmp(p->phase, "fit") == 0) *(double *)user = p->loss;
  return 0;
}

typedef struct timing {
  double ms, began;
} timing;

static void stop(timing *t) {
  double ms = now() - t->began;
  if (t->ms == 0 || ms < t->ms) t->ms = ms;
}

static void line(const char *name, uint32_t threads, const timing *t, const char *more) {
  printf("{\"bench\":\"probe\",\"case\":\"%s\",\"threads\":%u,\"ours_ms\":%.1f%s}\n", name, threads,
         t->ms, more);
}

static void run(mcl_context *c, uint32_t threads, int64_t rows) {
  static int32_t y[ROWS], ty[TESTS];
  static int64_t pairs[40];
  int64_t tests = rows / 6, got;
  float *z = make_rows(10, rows, y), *t = make_rows(20, tests, ty);
  mcl_error err;
  mcl_array az = mcl_matrix_f32(z, rows, DIM), at = mcl_matrix_f32(t, tests, DIM);
  timing linear = {0, 0}, knn = {0, 0}, blind = {0, 0}, uniformity = {0, 0};
  mcl_probe_result r, q;
  mcl_struct_init(&r, sizeof r);
  mcl_struct_init(&q, sizeof q);
  double loss = 0, u = 0;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &loss;
  m.progress = last_loss;
  for (int i = 0; i < TIMES; i++) {
    linear.began = now();
    check(mcl_probe_linear(c, NULL, &az, y, &at, ty, &m, &r, &err), &err);
    stop(&linear);
    knn.began = now();
    check(mcl_probe_knn(c, NULL, &az, y, &at, ty, NULL, &q, &err), &err);
    stop(&knn);
    blind.began = now();
    check(mcl_probe_blind_pairs(c, &at, &at, 0.1, pairs, 20, &got, &err), &err);
    stop(&blind);
    uniformity.began = now();
    check(mcl_probe_alignment_uniformity(c, &at, NULL, NULL, &u, &err), &err);
    stop(&uniformity);
  }
  char name[64], more[128];
  snprintf(name, sizeof name, "linear-%lld", (long long)rows);
  snprintf(more, sizeof more, ",\"iterations\":%d,\"loss\":%.9g,\"accuracy\":%.4f",
           (int)r.iterations, loss, r.value);
  line(name, threads, &linear, more);
  snprintf(name, sizeof name, "knn-%lld", (long long)rows);
  snprintf(more, sizeof more, ",\"accuracy\":%.4f", q.value);
  line(name, threads, &knn, more);
  snprintf(name, sizeof name, "blind-pairs-%lld", (long long)tests);
  line(name, threads, &blind, "");
  snprintf(name, sizeof name, "uniformity-%lld", (long long)tests);
  line(name, threads, &uniformity, "");
  free(z);
  free(t);
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 2;
  int64_t rows = argc > 2 ? atoll(argv[2]) : ROWS;
  if (threads < 1 || threads > 1024 || rows < 1000 || rows > ROWS) return 2;
  mcl_error err;
  mcl_context *c;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = (uint32_t)threads;
  check(mcl_context_create(&o, &c, &err), &err);
  run(c, (uint32_t)threads, rows);
  mcl_context_unref(c);
  return 0;
}
