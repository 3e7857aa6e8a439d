// Batch norm of [rows, channels]: rows are pixels of all images, or the rows of a dense layer's output.
#ifndef MCL_NN_NORM_H
#define MCL_NN_NORM_H

#include <stdint.h>

#include "base/context.h"

// Per channel, of one forward call in training: MCLI_NORM_FIGURES arrays [channels], one after the other in a tape.
typedef struct mcli_norm_figures {
  float *mean, *inverse; // inverse = 1 / sqrt(variance + epsilon), what backward uses
  float *unbiased;       // rows / (rows - 1) times the variance, for the running figures
} mcli_norm_figures;

enum { MCLI_NORM_FIGURES = 3 };
mcli_norm_figures mcli_norm_figures_at(float *block, int64_t channels);

// Floats of workspace that training needs.
int64_t mcli_norm_workspace(int64_t rows, int64_t channels);

// y = scale (x - mean) inverse + shift by the figures of x itself, which are kept; then max(y, 0) where relu.
mcl_status mcli_norm_train(mcl_context *c, int64_t rows, int64_t channels, const float *x,
                           const float *scale, const float *shift, int relu,
                           const mcli_norm_figures *kept, float *y, float *workspace,
                           mcl_error *err);

// The same by the running figures.
mcl_status mcli_norm_evaluate(mcl_context *c, int64_t rows, int64_t channels, const float *x,
                              const float *scale, const float *shift, const float *mean,
                              const float *variance, int relu, float *y, float *workspace,
                              mcl_error *err);

// dy, by the result of mcli_norm_train y, is used up (masked where relu). d_scale and d_shift are added to, dx (may be
// dy; NULL: not wanted) is overwritten.
mcl_status mcli_norm_backward(mcl_context *c, int64_t rows, int64_t channels, const float *x,
                              const float *scale, const float *y, int relu,
                              const mcli_norm_figures *kept, float *dy, float *dx, float *d_scale,
                              float *d_shift, float *workspace, mcl_error *err);

// Brings the figures of a chunk into the mean of those of its batch's chunks so far, which had `total` rows; the first one
// is copied. rows < 2 count for nothing.
void mcli_norm_gather(int64_t rows, int64_t channels, const mcli_norm_figures *chunk,
                      int64_t *total, const mcli_norm_figures *mean);

// Moves the running figures a tenth of the way to those of a batch; rows < 2 leave them.
void mcli_norm_run(int64_t rows, int64_t channels, const mcli_norm_figures *kept, float *mean,
                   float *variance);

#endif
