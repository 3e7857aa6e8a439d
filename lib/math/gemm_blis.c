// Matrix products on BLIS, one thread a call, with a kernel that libmcl chooses.
//
// BLIS picks its kernels by the processor's family and model, and a release older than the processor falls back to
// "generic": a sixth of the speed. libmcl asks for what the processor can do instead: the Skylake kernels where there is
// AVX-512, the Haswell ones where there is AVX2. The function that hands them out is global in the static archive only; of
// a shared BLIS libmcl takes what it picks.
//
// BLIS aborts when its own malloc fails. All its allocations happen at its initialisation and at the first product of a
// thread, so both are forced while the context is created, behind a trial allocation.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blis.h>

#include "base/hooks.h"
#include "math/gemm.h"

#if defined(__x86_64__) && !defined(MCLI_BLIS_SHARED)
enum { KERNEL_IS_OURS = 1 };
static cntx_t *kernels_of(const mcl_context *c) {
  switch (mcli_context_isa(c)) {
  case MCLI_ISA_AVX512:
    return bli_gks_lookup_nat_cntx(BLIS_ARCH_SKX);
  case MCLI_ISA_AVX2:
    return bli_gks_lookup_nat_cntx(BLIS_ARCH_HASWELL);
  case MCLI_ISA_BASE:
    break;
  }
  return NULL; // BLIS's own choice
}
#else
enum { KERNEL_IS_OURS = 0 };
static cntx_t *kernels_of(const mcl_context *c) {
  (void)c;
  return NULL;
}
#endif

static const char *kernel_of(const mcl_context *c) {
  if (KERNEL_IS_OURS && mcli_context_isa(c) == MCLI_ISA_AVX512) return "skx";
  if (KERNEL_IS_OURS && mcli_context_isa(c) == MCLI_ISA_AVX2) return "haswell";
  return bli_arch_string(bli_arch_query_id());
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
  if (strcmp(kernel_of(c), "generic") == 0)
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
  snprintf(text, capacity, "BLIS %s kernel %s", bli_info_get_version_str(), kernel_of(c));
}
