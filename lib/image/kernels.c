// Which kernels a processor gets.
#include "image/kernels.h"

static const mcli_resample_kernels *const resample[] = {
    [MCLI_ISA_BASE] = &mcli_resample_kernels_base,
#ifdef __x86_64__
    [MCLI_ISA_AVX2] = &mcli_resample_kernels_avx2,
    [MCLI_ISA_AVX512] = &mcli_resample_kernels_avx512,
#endif
};

static const mcli_colour_kernels *const colour[] = {
    [MCLI_ISA_BASE] = &mcli_colour_kernels_base,
#ifdef __x86_64__
    [MCLI_ISA_AVX2] = &mcli_colour_kernels_avx2,
    [MCLI_ISA_AVX512] = &mcli_colour_kernels_avx512,
#endif
};

const mcli_resample_kernels *mcli_resample_kernels_of(const mcl_context *c) {
  return resample[mcli_context_isa(c)];
}

const mcli_resample_kernels *mcli_resample_kernels_for(mcli_isa isa) {
  return isa <= mcli_processor_isa() ? resample[isa] : NULL;
}

const mcli_colour_kernels *mcli_colour_kernels_of(const mcl_context *c) {
  return colour[mcli_context_isa(c)];
}

const mcli_colour_kernels *mcli_colour_kernels_for(mcli_isa isa) {
  return isa <= mcli_processor_isa() ? colour[isa] : NULL;
}
