// The library's own matrix product, mcli_gemm_parallel(): square ones, C = A B, one JSON line a
// case.
//
//   bench_gemm [size ...]
//
// By default 1024, 2048 and 4096, on 1 and 2 threads; the fastest of 10, above 2048 of 3. Looks
// inside the library, whose public functions have no matrix product. peers.py makes the same A, B.
//
// "checksum" is sum_ij (i + 1) c_ij^2 / n^4. The entries' mean is 0, so that their plain sum would
// be mere rounding; the weight tells C from its transpose.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "math/gemm.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void check(mcl_status status, const mcl_error *err) {
  if (status == MCL_OK) return;
  fprintf(stderr, "bench_gemm: %s\n", err->message);
  exit(1);
}

// As in bench_probe.c.
static double unit(uint64_t stream, uint64_t i) {
  uint64_t z = (i + (stream << 32)) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return (double)((z ^ z >> 31) >> 40) * 0x1p-24;
}

static float *square(uint64_t stream, int64_t n) {
  float *x = malloc((size_t)(n * n) * sizeof *x);
  if (!x) exit(1);
  for (int64_t i = 0; i < n * n; i++) x[i] = (float)(2 * unit(stream, (uint64_t)i) - 1);
  return x;
}

static double checksum(const float *c, int64_t n) {
  double sum = 0, size = (double)n;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) sum += (double)(i + 1) * c[i * n + j] * c[i * n + j];
  return sum / (size * size * size * size);
}

static void run(int64_t n, uint32_t threads) {
  mcl_error err;
  mcl_context *context;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = threads;
  check(mcl_context_create(&o, &context, &err), &err);
  float *a = square(1, n), *b = square(2, n), *c = square(3, n);
  double best = 0;
  for (int t = 0; t < (n > 2048 ? 3 : 10); t++) {
    double began = now();
    check(mcli_gemm_parallel(context, 0, n, n, n, 1, a, n, b, n, 0, c, n, &err), &err);
    double ms = now() - began;
    if (t == 0 || ms < best) best = ms;
  }
  printf("{\"bench\":\"gemm\",\"case\":\"square-%lld\",\"threads\":%u,\"ours_ms\":%.3f,"
         "\"gflops\":%.1f,\"checksum\":%.9g}\n",
         (long long)n, threads, best, 2e-6 * (double)n * (double)n * (double)n / best,
         checksum(c, n));
  fflush(stdout);
  free(a), free(b), free(c);
  mcl_context_unref(context);
}

int main(int argc, char **argv) {
  static const int64_t usual[] = {1024, 2048, 4096};
  int sizes = argc > 1 ? argc - 1 : 3;
  for (uint32_t threads = 1; threads <= 2; threads++)
    for (int i = 0; i < sizes; i++) {
      int64_t n = argc > 1 ? atoll(argv[i + 1]) : usual[i];
      if (n < 1 || n > 16384) return 2;
      run(n, threads);
    }
  return 0;
}
