// Matrix products on the pool: which tiles, and who computes them.
//
// A tile is a product of its own, by mcli_gemm(): BLIS's (gemm_blis.c), or libmcl's where it is built without
// (gemm_plain.c). Either adds an element of the product up in one order, whatever the tile that it lies in; so the same
// bits come of any number of threads.
#include "math/gemm.h"

// Tiles a worker: with one each, a worker that is held up would hold up all others.
enum { TILES_A_WORKER = 2 };
// A tile's side is a multiple of it, which every micro-kernel divides well.
enum { STEP = 48 };

typedef struct gemm_job {
  mcl_context *context;
  int flags;
  int64_t m, n, k, lda, ldb, ldc, across, rows_a_tile, columns_a_tile;
  float alpha, beta;
  const float *a, *b;
  float *out;
} gemm_job;

static void gemm_tile(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const gemm_job *j = job;
  int64_t row = task / j->across * j->rows_a_tile, column = task % j->across * j->columns_a_tile;
  int64_t m = j->m - row < j->rows_a_tile ? j->m - row : j->rows_a_tile;
  int64_t n = j->n - column < j->columns_a_tile ? j->n - column : j->columns_a_tile;
  const float *a = j->a + (j->flags & MCLI_GEMM_TA ? row : row * j->lda);
  const float *b = j->b + (j->flags & MCLI_GEMM_TB ? column * j->ldb : column);
  mcli_gemm(j->context, j->flags, m, n, j->k, j->alpha, a, j->lda, b, j->ldb, j->beta,
            j->out + row * j->ldc + column, j->ldc);
}

// Small products gain nothing from a second thread: waking it costs some 5 us, a million flops.
static const double flops_worth_a_thread = 4e6;

// A tile packs its rows of A and its columns of B for itself: of so many tiles, those that are packed least. Whatever
// the tiles, an element of the product is added up in one order.
static void choose_tiles(gemm_job *j, int64_t tiles) {
  double least = 0;
  for (int64_t across = 1; across <= tiles; across++) {
    int64_t down = (tiles + across - 1) / across;
    // cppcheck-suppress zerodiv ; there are at least as many tiles as go across
    int64_t rows = ((j->m + down - 1) / down + STEP - 1) / STEP * STEP;
    int64_t columns = ((j->n + across - 1) / across + STEP - 1) / STEP * STEP;
    double packed = (double)((j->n + columns - 1) / columns) * (double)j->m +
                    (double)((j->m + rows - 1) / rows) * (double)j->n;
    if (across > 1 && packed >= least) continue;
    least = packed;
    j->rows_a_tile = rows;
    j->columns_a_tile = columns;
  }
}

mcl_status mcli_gemm_parallel(mcl_context *c, int flags, int64_t m, int64_t n, int64_t k,
                              float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                              float beta, float *out, int64_t ldc, mcl_error *err) {
  gemm_job j = {c, flags, m, n, k, lda, ldb, ldc, 1, m, n, alpha, beta, a, b, out};
  if (m <= 0 || n <= 0) return MCL_OK;
  int64_t workers = mcli_workers(c);
  if (workers > 1 && 2.0 * (double)m * (double)n * (double)k >= flops_worth_a_thread)
    choose_tiles(&j, workers * TILES_A_WORKER);
  j.across = (n + j.columns_a_tile - 1) / j.columns_a_tile;
  int64_t down = (m + j.rows_a_tile - 1) / j.rows_a_tile;
  return mcli_parallel(c, (uint32_t)(j.across * down), gemm_tile, &j, err);
}
