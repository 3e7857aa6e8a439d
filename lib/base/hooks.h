// What base needs of math, turned round: the context starts and names the BLAS, which lives in math/gemm_blis.c or is
// math/gemm_plain.c.
// Declared here and defined there, so that base includes nothing above itself.
#ifndef MCL_BASE_HOOKS_H
#define MCL_BASE_HOOKS_H

#include "base/context.h"

mcl_status mcli_hook_setup(mcl_context *c, mcl_error *err); // before any worker is started
void mcli_hook_warm(mcl_context *c); // on each worker; cheap when done already
void mcli_hook_describe(const mcl_context *c, char *text, size_t capacity);

#endif
