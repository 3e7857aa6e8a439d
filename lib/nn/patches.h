// An image as a row of tokens: pixels brought to a common scale, a token that is learnt in front, and what stands for the row.
#ifndef MCL_NN_PATCHES_H
#define MCL_NN_PATCHES_H

#include <stdint.h>

#include "base/context.h"

// y = (x - mean) / deviation of each channel, for pixels [n, channels].
mcl_status mcli_standardise(mcl_context *c, int64_t n, int64_t channels, const float *x,
                            const float *mean, const float *deviation, float *y, mcl_error *err);

// y [n, 1 + tokens, width]: the table [width], then x [n, tokens, width]. Backward overwrites dx and adds to d_table.
mcl_status mcli_class_forward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                              const float *x, const float *table, float *y, mcl_error *err);
mcl_status mcli_class_backward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                               const float *dy, float *dx, float *d_table, mcl_error *err);

// y [n, width]: the first of a row's tokens. Backward overwrites all of dx.
void mcli_first_forward(int64_t n, int64_t tokens, int64_t width, const float *x, float *y);
void mcli_first_backward(int64_t n, int64_t tokens, int64_t width, const float *dy, float *dx);

// y [n, width]: the mean of a row's tokens. Backward overwrites all of dx.
mcl_status mcli_mean_forward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                             const float *x, float *y, mcl_error *err);
mcl_status mcli_mean_backward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                              const float *dy, float *dx, mcl_error *err);

#endif
