// Probes of 60,000 rows of 128 numbers in 10 classes: the linear probe to its tolerance, kNN of
// 10,000 queries; blind pairs and uniformity of 10,000 rows. The fastest of three.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/probe.h>

#include "bench.h"

enum { ROWS = 60000, QUICK_ROWS = 6000, DIM = 128, CLASSES = 10, TIMES = 3 };
static const double APART = 0.5; // classes overlap: the hard case for L-BFGS

typedef struct probe {
  mcl_context *context;
  mcl_array z, t; // rows to learn from; a sixth as many to be told
  int32_t *y, *ty;
  double loss;
  mcl_probe_result result;
} probe;

static mcl_error err;

// As in tests/golden/probe.py.
static mcl_array make_rows(uint64_t stream, int64_t n, int32_t *labels) {
  float *z = bench_alloc(n * DIM, sizeof *z);
  for (int64_t i = 0; i < n; i++) {
    labels[i] = (int32_t)(bench_unit(stream, (uint64_t)i) * CLASSES);
    for (int64_t k = 0; k < DIM; k++) {
      double x = bench_unit(99, (uint64_t)(labels[i] * DIM + k)) * APART - 2;
      for (uint64_t s = 1; s <= 4; s++) x += bench_unit(stream + s, (uint64_t)(i * DIM + k));
      z[i * DIM + k] = (float)x;
    }
  }
  return mcl_matrix_f32(z, n, DIM);
}

static int32_t last_loss(void *user, const mcl_progress *p) {
  if (strcmp(p->phase, "fit") == 0) *(double *)user = p->loss;
  return 0;
}

static void linear(void *work) {
  probe *p = work;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &p->loss;
  m.progress = last_loss;
  bench_check(mcl_probe_linear(p->context, NULL, &p->z, p->y, &p->t, p->ty, &m, &p->result, &err),
              &err);
}

static void knn(void *work) {
  probe *p = work;
  bench_check(mcl_probe_knn(p->context, NULL, &p->z, p->y, &p->t, p->ty, NULL, &p->result, &err),
              &err);
}

static void blind(void *work) {
  probe *p = work;
  int64_t pairs[40], got;
  bench_check(mcl_probe_blind_pairs(p->context, &p->t, &p->t, 0.1, pairs, 20, &got, &err), &err);
}

static void uniformity(void *work) {
  probe *p = work;
  double u;
  bench_check(mcl_probe_alignment_uniformity(p->context, &p->t, NULL, NULL, &u, &err), &err);
}

static void run(const char *name, int64_t named, void (*call)(void *)) {
  bench_case c;
  if (!bench_wanted(&c, name, "%lld-%d", (long long)named, DIM)) return;
  int64_t rows = bench.quick ? QUICK_ROWS : ROWS;
  bench_inputs(&c, ",\"rows\":%lld,\"dim\":%d", (long long)rows, DIM);
  probe p = {.context = bench_context(&c)};
  p.y = bench_alloc(rows, sizeof *p.y);
  p.ty = bench_alloc(rows, sizeof *p.ty);
  p.z = make_rows(10, rows, p.y);
  p.t = make_rows(20, rows / 6, p.ty);
  mcl_struct_init(&p.result, sizeof p.result);
  bench_result r = bench_fastest(&c, TIMES, call, &p);
  char more[128] = "";
  if (call == linear)
    snprintf(more, sizeof more, ",\"iterations\":%d,\"loss\":%.9g", (int)p.result.iterations,
             p.loss);
  if (call == linear || call == knn)
    snprintf(more + strlen(more), sizeof more - strlen(more), ",\"accuracy\":%.4f", p.result.value);
  bench_line(&c, &r, "%s", more);
  free(p.z.data), free(p.t.data), free(p.y), free(p.ty);
  mcl_context_unref(p.context);
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  run("linear-probe", ROWS, linear);
  run("knn", ROWS, knn);
  run("blind-pairs", ROWS / 6, blind);
  run("uniformity", ROWS / 6, uniformity);
  return 0;
}
