// NT-Xent ("rows of both views-dim") and the cross-view InfoNCE of CLIP ("rows of a view-dim"),
// forward and backward; also with rows in 2 to 64 cells of one size, at temperature .01 ("cold"), and
// with a quarter of the rows as anchors, as on one of four ranks ("quarter"). The fastest of 7.
//
// "gradient" is the norm of both gradients together.
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <libmcl/loss.h>

#include "bench.h"

enum { DIM = 128, QUICK_ROWS = 256, TIMES = 7 };

typedef mcl_status (*loss_fn)(mcl_context *, const mcl_loss_options *, const mcl_loss_inputs *,
                              mcl_loss_result *, mcl_error *);

typedef struct work {
  mcl_context *context;
  loss_fn loss;
  mcl_loss_options options;
  mcl_loss_inputs in;
  mcl_loss_result result;
} work;

static void call(void *user) {
  work *w = user;
  mcl_error err;
  bench_check(w->loss(w->context, &w->options, &w->in, &w->result, &err), &err);
}

static float *made_up(int64_t n, uint64_t state) {
  float *z = bench_alloc(n, sizeof *z);
  for (int64_t i = 0; i < n; i++) z[i] = (float)(bench_next(&state) >> 40) * 0x1p-23F - 1;
  return z;
}

static double norm(const float *a, const float *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * a[i] + (double)b[i] * b[i];
  return sqrt(sum);
}

static void run(loss_fn loss, int64_t rows, int64_t cells, double temperature, bool quarter) {
  int64_t n = loss == mcl_loss_nt_xent ? rows / 2 : rows; // of a view
  char kind[24] = "";
  if (cells > 1) snprintf(kind, sizeof kind, "-%lld-cells", (long long)cells);
  if (temperature < 0.1) snprintf(kind, sizeof kind, "-cold");
  if (quarter) snprintf(kind, sizeof kind, "-quarter");
  bench_case c;
  if (!bench_wanted(&c, loss == mcl_loss_nt_xent ? "nt_xent" : "clip", "%lld-%d%s", (long long)rows,
                    DIM, kind))
    return;
  if (bench.quick) n = QUICK_ROWS;
  bench_inputs(&c, ",\"rows\":%lld,\"cells\":%lld,\"temperature\":%g", (long long)n,
               (long long)cells, temperature);
  work w = {.context = bench_context(&c), .loss = loss};
  float *a = made_up(n * DIM, 1), *b = made_up(n * DIM, 2);
  float *da = made_up(n * DIM, 3), *db = made_up(n * DIM, 3);
  int64_t *cell = bench_alloc(n, sizeof *cell);
  for (int64_t i = 0; i < n; i++) cell[i] = i % cells;
  mcl_array za = mcl_matrix_f32(a, n, DIM), zb = mcl_matrix_f32(b, n, DIM);
  mcl_array dza = mcl_matrix_f32(da, n, DIM), dzb = mcl_matrix_f32(db, n, DIM);
  mcl_loss_options_init(&w.options, sizeof w.options);
  w.options.temperature = temperature;
  mcl_struct_init(&w.in, sizeof w.in);
  w.in.za = &za, w.in.zb = &zb, w.in.dza = &dza, w.in.dzb = &dzb;
  w.options.flags = quarter ? MCL_SOME_ANCHORS : 0;
  w.in.anchors = quarter ? n / 4 : 0;
  w.in.cells = cells > 1 ? cell : NULL;
  mcl_struct_init(&w.result, sizeof w.result);
  bench_result r = bench_fastest(&c, TIMES, call, &w);
  bench_line(&c, &r, ",\"loss\":%.7f,\"gradient\":%.9g", w.result.loss, norm(da, db, n * DIM));
  free(a), free(b), free(da), free(db), free(cell);
  mcl_context_unref(w.context);
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  run(mcl_loss_nt_xent, 512, 1, 0.5, false);
  run(mcl_loss_nt_xent, 2048, 1, 0.5, false);
  run(mcl_loss_nt_xent, 8192, 1, 0.5, false);
  for (int64_t cells = 2; cells <= 64; cells *= 2) run(mcl_loss_nt_xent, 8192, cells, 0.5, false);
  run(mcl_loss_nt_xent, 8192, 1, 0.01, false);
  run(mcl_loss_nt_xent, 8192, 1, 0.5, true);
  run(mcl_loss_nt_xent, 16384, 1, 0.5, false);
  run(mcl_loss_info_nce, 4096, 1, 0.5, false);
  run(mcl_loss_info_nce, 4096, 1, 0.01, false);
  run(mcl_loss_info_nce, 4096, 1, 0.5, true);
  return 0;
}
