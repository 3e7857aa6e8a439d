// Which kernels a processor gets.
#include "nn/kernels.h"

static const mcli_nn_kernels *const tables[] = {
    [MCLI_ISA_BASE] = &mcli_nn_kernels_base,
#ifdef __x86_64__
    [MCLI_ISA_AVX2] = &mcli_nn_kernels_avx2,
    [MCLI_ISA_AVX512] = &mcli_nn_kernels_avx512,
#endif
};

const mcli_nn_kernels *mcli_nn_kernels_of(const mcl_context *c) {
  return tables[mcli_context_isa(c)];
}

const mcli_nn_kernels *mcli_nn_kernels_for(mcli_isa isa) {
  return isa <= mcli_processor_isa() ? tables[isa] : NULL;
}
