// The library's own matrix product, mcli_gemm_parallel(): square ones, C = A B. Looks inside the
// library, whose public functions have no matrix product. The fastest of 10.
//
// "checksum" is sum_ij (i + 1) c_ij^2 / n^4. The entries' mean is 0, so that their plain sum would
// be mere rounding; the weight tells C from its transpose.
#include <stdlib.h>

#include "bench.h"
#include "math/gemm.h"

enum { TIMES = 10 };

typedef struct product {
  mcl_context *context;
  int64_t n;
  float *a, *b, *c;
} product;

static float *square(uint64_t stream, int64_t n) {
  float *x = bench_alloc(n * n, sizeof *x);
  for (int64_t i = 0; i < n * n; i++) x[i] = (float)(2 * bench_unit(stream, (uint64_t)i) - 1);
  return x;
}

static double checksum(const product *p) {
  double sum = 0, n = (double)p->n;
  for (int64_t i = 0; i < p->n * p->n; i++) sum += (double)(i / p->n + 1) * p->c[i] * p->c[i];
  return sum / (n * n * n * n);
}

static void multiply(void *work) {
  product *p = work;
  mcl_error err;
  bench_check(mcli_gemm_parallel(p->context, 0, p->n, p->n, p->n, 1, p->a, p->n, p->b, p->n, 0,
                                 p->c, p->n, &err),
              &err);
}

static void run(int64_t n) {
  bench_case c;
  if (!bench_wanted(&c, "gemm", "square-%lld", (long long)n)) return;
  if (bench.quick) n = 256;
  bench_inputs(&c, ",\"rows\":%lld", (long long)n);
  product p = {bench_context(&c), n, square(1, n), square(2, n), square(3, n)};
  bench_result r = bench_fastest(&c, TIMES, multiply, &p);
  bench_line(&c, &r, ",\"gflops\":%.1f,\"checksum\":%.9g",
             2e-6 * (double)n * (double)n * (double)n / r.ms, checksum(&p));
  free(p.a), free(p.b), free(p.c);
  mcl_context_unref(p.context);
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  run(1024);
  run(2048);
  run(4096);
  return 0;
}
