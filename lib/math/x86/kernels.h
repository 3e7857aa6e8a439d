// The tables that kernels.c, scores.c and blocks.c become, one for each instruction set it is compiled for
// (math/meson.build).
#ifndef MCL_MATH_X86_KERNELS_H
#define MCL_MATH_X86_KERNELS_H

#include "math/blocks.h"
#include "math/rows.h"
#include "math/scores.h"

extern const mcli_rows_kernels mcli_rows_kernels_base;
extern const mcli_scores_kernels mcli_scores_kernels_base;
extern const mcli_blocks_kernels mcli_blocks_kernels_base;
#ifdef __x86_64__
extern const mcli_rows_kernels mcli_rows_kernels_avx2;
extern const mcli_rows_kernels mcli_rows_kernels_avx512;
extern const mcli_scores_kernels mcli_scores_kernels_avx2;
extern const mcli_scores_kernels mcli_scores_kernels_avx512;
extern const mcli_blocks_kernels mcli_blocks_kernels_avx2;
extern const mcli_blocks_kernels mcli_blocks_kernels_avx512;
#endif

#endif
