// Which score kernels a processor gets, and the layout they read.
#include "math/scores.h"

#include "math/rows.h"
#include "math/x86/kernels.h"

static const mcli_scores_kernels *const tables[] = {
    [MCLI_ISA_BASE] = &mcli_scores_kernels_base,
#ifdef __x86_64__
    [MCLI_ISA_AVX2] = &mcli_scores_kernels_avx2,
    [MCLI_ISA_AVX512] = &mcli_scores_kernels_avx512,
#endif
};

const mcli_scores_kernels *mcli_scores_kernels_of(const mcl_context *c) {
  return tables[mcli_context_isa(c)];
}

const mcli_scores_kernels *mcli_scores_kernels_for(mcli_isa isa) {
  return mcli_rows_kernels_for(isa) ? tables[isa] : NULL;
}

void mcli_scores_pack(const float *centroids, int64_t k, int64_t dim, float *packed) {
  for (int64_t p = 0; p < mcli_panels(k); p++, packed += dim * MCLI_PANEL)
    for (int64_t lane = 0; lane < MCLI_PANEL; lane++) {
      int64_t j = p * MCLI_PANEL + lane;
      for (int64_t d = 0; d < dim; d++)
        packed[d * MCLI_PANEL + lane] = j < k ? centroids[j * dim + d] : 0;
    }
}
