// Matrix products on BLIS, one thread a call, with a kernel that libmcl chooses.
//
// BLIS picks its kernels by the processor's family and model, and a release older than the processor falls back to
// "generic": a sixth of the speed. libmcl asks for what the processor can do instead: the Skylake kernels where there is
// AVX-512, the Haswell ones where there is AVX2. The function that hands them out is global in the static archive only.
//
// BLIS aborts when its own malloc fails. All its allocations happen at its initialisation and at the first product of a
// thread, so both are forced while the context is created, behind a trial allocation.
#include "math/gemm.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blis.h>

#include "base/hooks.h"

static cntx_t *kernels_of(const mcl_context *c) {
#if defined(__x86_64__)
  switch (mcli_context_isa(c)) {
  case MCLI_ISA_AVX512:
    return bli_gks_lookup_nat_cntx(BLIS_ARCH_SKX);
  case MCLI_ISA_AVX2:
    return bli_gks_lookup_nat_cntx(BLIS_ARCH_HASWELL);
  case MCLI_ISA_BASE:
    break;
  }
#endif
  (void)c;
  return NULL; // BLIS's own choice
}

const char *mcli_gemm_kernel(const mcl_context *c) {
#if defined(__x86_64__)
  if (mcli_context_isa(c) == MCLI_ISA_AVX512) return "skx";
  if (mcli_context_isa(c) == MCLI_ISA_AVX2) return "haswell";
#endif
  (void)c;
  return bli_arch_string(bli_arch_query_id());
}

const char *mcli_gemm_library(void) {
  return bli_info_get_version_str();
}

void mcli_gemm(mcl_context *c, int flags, int64_t m, int64_t n, int64_t k, float alpha,
               const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *out,
               int64_t ldc) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0) alpha = 0, k = 1; // BLIS reads nothing of A and B then, but wants a legal shape
  bool ta = flags & MCLI_GEMM_TA, tb = flags & MCLI_GEMM_TB;
  rntm_t threads;
  bli_rntm_init_from_global(&threads);
  bli_rntm_set_num_threads(1, &threads);
  bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &alpha, (float *)(uintptr_t)a,
               ta ? 1 : lda, ta ? lda : 1, (float *)(uintptr_t)b, tb ? 1 : ldb, tb ? ldb : 1, &beta,
               out, ldc, 1, kernels_of(c), &threads);
}

// ---- on the pool ---------------------------------------------------------------------------------------

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

// ---- starting BLIS ---------------------------------------------------------------------------------------

// What BLIS allocates when it starts and for one thread's packing buffers, generously: if this much cannot be had now,
// say so instead of letting BLIS abort.
enum { TRIAL_BYTES = 32 << 20 };

mcl_status mcli_hook_setup(mcl_context *c, mcl_error *err) {
  void *trial = mcli_alloc_with(&mcli_malloc_allocator, TRIAL_BYTES);
  if (!trial) return mcli_nomem(err, "BLIS");
  mcli_free_with(&mcli_malloc_allocator, trial);
  bli_init();
  const char *version = bli_info_get_version_str();
  // rntm_t changed its layout between releases: the header we were built with must be the library's.
  if (strncmp(version, MCLI_BLIS_VERSION, 3) != 0)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "BLIS %s is not the version this build knows",
                     version);
  if (strcmp(mcli_gemm_kernel(c), "generic") == 0)
    mcli_log(c, MCL_LOG_WARN, "gemm", "BLIS %s runs generic kernels on this processor", version);
  return MCL_OK;
}

// One product large enough to take both packing paths; remembered by the thread itself.
void mcli_hook_warm(mcl_context *c) {
  static _Thread_local mcli_isa warm_for = (mcli_isa)-1;
  enum { N = 160 };
  if (warm_for == mcli_context_isa(c)) return;
  float *m = mcli_alloc_with(&mcli_malloc_allocator, sizeof(float) * N * N * 3);
  if (!m) return;
  memset(m, 0, sizeof(float) * N * N * 3);
  mcli_gemm(c, 0, N, N, N, 1, m, N, m + N * N, N, 0, m + 2 * N * N, N);
  mcli_gemm(c, 0, 8, 8, N, 1, m, N, m + N * N, N, 0, m + 2 * N * N, N);
  mcli_free_with(&mcli_malloc_allocator, m);
  warm_for = mcli_context_isa(c);
}

void mcli_hook_describe(const mcl_context *c, char *text, size_t capacity) {
  snprintf(text, capacity, "BLIS %s kernel %s", mcli_gemm_library(), mcli_gemm_kernel(c));
}
