// Which block kernels a processor gets, and rows into panels.
#include "math/blocks.h"

#include "math/rows.h"
#include "math/x86/kernels.h"

static const mcli_blocks_kernels *const tables[] = {
    [MCLI_ISA_BASE] = &mcli_blocks_kernels_base,
#ifdef __x86_64__
    [MCLI_ISA_AVX2] = &mcli_blocks_kernels_avx2,
    [MCLI_ISA_AVX512] = &mcli_blocks_kernels_avx512,
#endif
};

const mcli_blocks_kernels *mcli_blocks_kernels_of(const mcl_context *c) {
  return tables[mcli_context_isa(c)];
}

const mcli_blocks_kernels *mcli_blocks_kernels_for(mcli_isa isa) {
  return mcli_rows_kernels_for(isa) ? tables[isa] : NULL;
}

enum { LANES = 16 };

void mcli_panel_pack(const float *rows, int64_t dim, float *panel) {
  for (int64_t d = 0; d < dim; d++)
    for (int64_t i = 0; i < LANES; i++) panel[d * LANES + i] = rows[i * dim + d];
}

void mcli_panel_unpack(const float *panel, int64_t dim, float *rows) {
  for (int64_t d = 0; d < dim; d++)
    for (int64_t i = 0; i < LANES; i++) rows[i * dim + d] = panel[d * LANES + i];
}
