// The tables that kernels.c becomes, one for each instruction set it is compiled for (math/meson.build).
#ifndef MCL_MATH_X86_KERNELS_H
#define MCL_MATH_X86_KERNELS_H

#include "math/rows.h"

extern const mcli_rows_kernels mcli_rows_kernels_base;
#ifdef __x86_64__
extern const mcli_rows_kernels mcli_rows_kernels_avx2;
extern const mcli_rows_kernels mcli_rows_kernels_avx512;
#endif

#endif
