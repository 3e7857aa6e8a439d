// Layer norm (Ba, Kiros & Hinton 2016, section 3). For every row x of d numbers:
//
//   mu = 1/d sum_j x_j,  s2 = 1/d sum_j (x_j - mu)^2,  x^ = (x - mu) / sqrt(s2 + e)         (1)
//   y  = scale x^ + shift                                                                   (2)
//   d_scale = sum over rows of dy x^,  d_shift = sum over rows of dy                        (3)
//   dx = 1 / sqrt(s2 + e) (g - mean g - x^ mean(g x^)),  g = scale dy                       (4)
//
// Backward computes (1) again: that is cheaper than keeping two numbers a row for every layer. Sums over rows are in
// double, over blocks of rows added up in order.
#include "nn/layer_norm.h"

#include <string.h>

#include "nn/kernels.h"

// Floats in a block of rows, as in norm.c: the doubles of its sums are paid back.
enum { BLOCK_FLOATS = 64 << 10 };

static int64_t block_rows(int64_t channels) {
  int64_t rows = BLOCK_FLOATS / channels;
  return rows < 1 ? 1 : rows;
}

// Two sums in double a block.
int64_t mcli_layer_norm_workspace(int64_t rows, int64_t channels) {
  return (int64_t)mcli_blocks(rows, block_rows(channels)) * 4 * channels;
}

typedef struct layer_job {
  const mcli_nn_kernels *kernels;
  int64_t rows, channels;
  float epsilon;
  const float *x, *scale, *shift, *dy;
  float *out;
  double *sums; // [blocks, 2, channels]
} layer_job;

static int64_t rows_at(const layer_job *j, uint32_t task, int64_t *first) {
  int64_t rows = block_rows(j->channels);
  *first = task * rows * j->channels;
  return j->rows - task * rows < rows ? j->rows - task * rows : rows;
}

static void forward_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const layer_job *j = job;
  int64_t first, rows = rows_at(j, task, &first);
  j->kernels->layer_norm(j->x + first, rows, j->channels, j->epsilon, j->scale, j->shift,
                         j->out + first);
}

mcl_status mcli_layer_norm_forward(mcl_context *c, int64_t rows, int64_t channels, float epsilon,
                                   const float *x, const float *scale, const float *shift, float *y,
                                   mcl_error *err) {
  layer_job j = {.kernels = mcli_nn_kernels_of(c),
                 .rows = rows,
                 .channels = channels,
                 .epsilon = epsilon,
                 .x = x,
                 .scale = scale,
                 .shift = shift,
                 .out = y};
  return mcli_parallel(c, mcli_blocks(rows, block_rows(channels)), forward_block, &j, err);
}

static void backward_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const layer_job *j = job;
  int64_t first, rows = rows_at(j, task, &first);
  double *sums = j->sums + (int64_t)task * 2 * j->channels;
  memset(sums, 0, (size_t)(2 * j->channels) * sizeof *sums);
  j->kernels->layer_norm_backward(j->x + first, j->dy + first, rows, j->channels, j->epsilon,
                                  j->scale, j->out ? j->out + first : NULL, sums,
                                  sums + j->channels);
}

mcl_status mcli_layer_norm_backward(mcl_context *c, int64_t rows, int64_t channels, float epsilon,
                                    const float *x, const float *scale, const float *dy, float *dx,
                                    float *d_scale, float *d_shift, float *workspace,
                                    mcl_error *err) {
  layer_job j = {.kernels = mcli_nn_kernels_of(c),
                 .rows = rows,
                 .channels = channels,
                 .epsilon = epsilon,
                 .x = x,
                 .scale = scale,
                 .dy = dy,
                 .out = dx,
                 .sums = (double *)(void *)workspace};
  uint32_t blocks = mcli_blocks(rows, block_rows(channels));
  mcl_status s = mcli_parallel(c, blocks, backward_block, &j, err);
  if (s < 0) return s;
  for (uint32_t b = 1; b < blocks; b++)
    for (int64_t i = 0; i < 2 * channels; i++) j.sums[i] += j.sums[b * 2 * channels + i];
  for (int64_t i = 0; i < channels; i++) { // (3)
    d_scale[i] += (float)j.sums[i];
    d_shift[i] += (float)j.sums[channels + i];
  }
  return MCL_OK;
}
