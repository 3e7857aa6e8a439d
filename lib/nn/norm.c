// Batch norm (Ioffe & Szegedy 2015, algorithm 1). For every channel, over m rows:
//
//   mu = 1/m sum x_i,   s2 = 1/m sum (x_i - mu)^2,   x^_i = (x_i - mu) / sqrt(s2 + e)       (1)
//   y_i = scale x^_i + shift                                                                (2)
//   d_shift = sum dy_i,   d_scale = sum dy_i x^_i                                           (3)
//   dx_i = scale / sqrt(s2 + e) (dy_i - d_shift / m - x^_i d_scale / m)                     (4)
//
// Running figures, used in evaluation: r <- (1 - a) r + a b with b = mu or s2 m / (m - 1).    (5)
// Of a batch in chunks of m_k rows, M_k = m_1 + .. + m_k:  b <- b + (b_k - b) m_k / M_k.      (6)
//
// (6) is the mean of the chunks' figures, so (5) moves once a batch, however many chunks there are. Rejected: a move a chunk,
// which would leave of each batch little but its last ten chunks; and the variance of all rows together, which evaluation
// would divide by although no chunk was.
//
// Sums are in double, over blocks of rows added up in order. s2 is taken from sum x and sum x^2: in double that loses
// nothing a float could hold until |mu| is a million times the spread.
#include "nn/norm.h"

#include <math.h>
#include <string.h>

#include "nn/kernels.h"

// Keeps a constant channel from being divided by zero. PyTorch's value; Keras's 1e-3 would show in channels whose spread
// is a tenth or less.
static const double epsilon = 1e-5;
// (5): PyTorch's value. Smaller needs more steps than a short run has before evaluation sees the trained network;
// larger makes evaluation depend on the last few batches.
static const float pace = 0.1F;

// Floats in a block of rows: the doubles of its sums are paid back, and there are blocks enough to share out.
enum { BLOCK_FLOATS = 64 << 10 };

static int64_t block_rows(int64_t channels) {
  int64_t rows = BLOCK_FLOATS / channels;
  return rows < 1 ? 1 : rows;
}

mcli_norm_figures mcli_norm_figures_at(float *block, int64_t channels) {
  return (mcli_norm_figures){block, block + channels, block + 2 * channels};
}

// Two sums in double a block, then four arrays of floats.
int64_t mcli_norm_workspace(int64_t rows, int64_t channels) {
  return (int64_t)mcli_blocks(rows, block_rows(channels)) * 4 * channels + 4 * channels;
}

typedef struct norm_job {
  const mcli_nn_kernels *kernels;
  int64_t rows, channels;
  const float *x, *y, *mean, *inverse, *factor, *shift, *mean_dy, *mean_product;
  float *out, *dy;
  double *sums; // [blocks, 2, channels]
  int relu;
} norm_job;

static int64_t rows_at(const norm_job *j, uint32_t task, int64_t *first) {
  int64_t rows = block_rows(j->channels);
  *first = task * rows * j->channels;
  return j->rows - task * rows < rows ? j->rows - task * rows : rows;
}

static double *sums_at(const norm_job *j, uint32_t task) {
  double *sums = j->sums + (int64_t)task * 2 * j->channels;
  memset(sums, 0, (size_t)(2 * j->channels) * sizeof *sums);
  return sums;
}

// Block sums into the first block's place, in order.
static void add_up(const norm_job *j) {
  int64_t n = 2 * j->channels;
  for (uint32_t b = 1; b < mcli_blocks(j->rows, block_rows(j->channels)); b++)
    for (int64_t i = 0; i < n; i++) j->sums[i] += j->sums[b * n + i];
}

static mcl_status over_blocks(mcl_context *c, norm_job *j, mcl_task_fn fn, mcl_error *err) {
  return mcli_parallel(c, mcli_blocks(j->rows, block_rows(j->channels)), fn, j, err);
}

// The floats behind the block sums.
static float *floats_behind(const norm_job *j) {
  void *end = j->sums + (int64_t)mcli_blocks(j->rows, block_rows(j->channels)) * 2 * j->channels;
  return end;
}

// ---- forward ---------------------------------------------------------------------------------------

static void moments_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const norm_job *j = job;
  int64_t first, rows = rows_at(j, task, &first);
  double *sums = sums_at(j, task);
  j->kernels->moments(j->x + first, rows, j->channels, sums, sums + j->channels);
}

static void normalise_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const norm_job *j = job;
  int64_t first, rows = rows_at(j, task, &first);
  j->kernels->normalise(j->x + first, rows, j->channels, j->mean, j->factor, j->shift, j->relu,
                        j->out + first);
}

mcl_status mcli_norm_train(mcl_context *c, int64_t rows, int64_t channels, const float *x,
                           const float *scale, const float *shift, int relu,
                           const mcli_norm_figures *kept, float *y, float *workspace,
                           mcl_error *err) {
  norm_job j = {.kernels = mcli_nn_kernels_of(c),
                .rows = rows,
                .channels = channels,
                .x = x,
                .shift = shift,
                .out = y,
                .sums = (double *)(void *)workspace,
                .relu = relu};
  mcl_status s = over_blocks(c, &j, moments_block, err);
  if (s < 0) return s;
  add_up(&j);
  float *factor = floats_behind(&j);
  for (int64_t i = 0; i < channels; i++) {
    double m = (double)rows, mean = j.sums[i] / m;
    double variance = j.sums[channels + i] / m - mean * mean; // (1)
    if (variance < 0) variance = 0;
    double inverse = 1 / sqrt(variance + epsilon);
    kept->mean[i] = (float)mean;
    kept->inverse[i] = (float)inverse;
    kept->unbiased[i] = (float)(variance * m / (rows > 1 ? m - 1 : 1));
    factor[i] = (float)(inverse * (double)scale[i]);
  }
  j.mean = kept->mean;
  j.factor = factor;
  return over_blocks(c, &j, normalise_block, err); // (2)
}

mcl_status mcli_norm_evaluate(mcl_context *c, int64_t rows, int64_t channels, const float *x,
                              const float *scale, const float *shift, const float *mean,
                              const float *variance, int relu, float *y, float *workspace,
                              mcl_error *err) {
  norm_job j = {.kernels = mcli_nn_kernels_of(c),
                .rows = rows,
                .channels = channels,
                .x = x,
                .mean = mean,
                .factor = workspace,
                .shift = shift,
                .out = y,
                .relu = relu};
  for (int64_t i = 0; i < channels; i++)
    workspace[i] = (float)((double)scale[i] / sqrt((double)variance[i] + epsilon));
  return over_blocks(c, &j, normalise_block, err);
}

// (6); the first chunk's figures are taken as they are, also where a mean was left that is infinite.
static float gathered(float mean, float chunk, float share) {
  return share < 1 ? mean + share * (chunk - mean) : chunk;
}

void mcli_norm_gather(int64_t rows, int64_t channels, const mcli_norm_figures *chunk,
                      int64_t *total, const mcli_norm_figures *mean) {
  if (rows < 2) return; // one number has no spread
  *total += rows;
  float share = (float)((double)rows / (double)*total);
  for (int64_t i = 0; i < channels; i++) {
    mean->mean[i] = gathered(mean->mean[i], chunk->mean[i], share);
    mean->unbiased[i] = gathered(mean->unbiased[i], chunk->unbiased[i], share);
  }
}

void mcli_norm_run(int64_t rows, int64_t channels, const mcli_norm_figures *kept, float *mean,
                   float *variance) {
  if (rows < 2) return;
  for (int64_t i = 0; i < channels; i++) { // (5)
    mean[i] = (1 - pace) * mean[i] + pace * kept->mean[i];
    variance[i] = (1 - pace) * variance[i] + pace * kept->unbiased[i];
  }
}

// ---- backward --------------------------------------------------------------------------------------

static void sums_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const norm_job *j = job;
  int64_t first, rows = rows_at(j, task, &first);
  double *sums = sums_at(j, task);
  if (j->relu) j->kernels->relu_backward(j->y + first, j->dy + first, rows * j->channels);
  j->kernels->normalise_sums(j->dy + first, j->x + first, rows, j->channels, j->mean, j->inverse,
                             sums, sums + j->channels);
}

static void gradient_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const norm_job *j = job;
  int64_t first, rows = rows_at(j, task, &first);
  j->kernels->normalise_backward(j->dy + first, j->x + first, rows, j->channels, j->mean,
                                 j->inverse, j->factor, j->mean_dy, j->mean_product,
                                 j->out + first);
}

mcl_status mcli_norm_backward(mcl_context *c, int64_t rows, int64_t channels, const float *x,
                              const float *scale, const float *y, int relu,
                              const mcli_norm_figures *kept, float *dy, float *dx, float *d_scale,
                              float *d_shift, float *workspace, mcl_error *err) {
  norm_job j = {.kernels = mcli_nn_kernels_of(c),
                .rows = rows,
                .channels = channels,
                .x = x,
                .y = y,
                .mean = kept->mean,
                .inverse = kept->inverse,
                .out = dx,
                .dy = dy,
                .sums = (double *)(void *)workspace,
                .relu = relu};
  mcl_status s = over_blocks(c, &j, sums_block, err);
  if (s < 0) return s;
  add_up(&j);
  float *factor = floats_behind(&j), *mean_dy = factor + channels,
        *mean_product = mean_dy + channels;
  for (int64_t i = 0; i < channels; i++) { // (3)
    d_shift[i] += (float)j.sums[i];
    d_scale[i] += (float)j.sums[channels + i];
    factor[i] = scale[i] * kept->inverse[i];
    mean_dy[i] = (float)(j.sums[i] / (double)rows);
    mean_product[i] = (float)(j.sums[channels + i] / (double)rows);
  }
  if (!dx) return MCL_OK;
  j.factor = factor;
  j.mean_dy = mean_dy;
  j.mean_product = mean_product;
  return over_blocks(c, &j, gradient_block, err); // (4)
}
