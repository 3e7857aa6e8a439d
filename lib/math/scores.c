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

void mcli_scores_pack_panel(const float *centroids, const int32_t *ids, int64_t dim, float *panel) {
  for (int64_t lane = 0; lane < MCLI_PANEL; lane++) {
    const float *from = ids[lane] < 0 ? NULL : centroids + ids[lane] * dim;
    for (int64_t d = 0; d < dim; d++) panel[d * MCLI_PANEL + lane] = from ? from[d] : 0;
  }
}

void mcli_scores_pack(const float *centroids, int64_t k, int64_t dim, float *packed) {
  for (int64_t p = 0; p < mcli_panels(k); p++, packed += dim * MCLI_PANEL) {
    int32_t ids[MCLI_PANEL];
    const float *first = centroids + p * MCLI_PANEL * dim;
    for (int32_t lane = 0; lane < MCLI_PANEL; lane++)
      ids[lane] = p * MCLI_PANEL + lane < k ? lane : -1;
    mcli_scores_pack_panel(first, ids, dim, packed);
  }
}
