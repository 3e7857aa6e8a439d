// A dense layer.
//
//   Y  = X W + b                          (1)
//   dW = X^T dY,  db = sum_i dY_i         (2)
//   dX = dY W^T                           (3)
#include "nn/linear.h"

#include "math/gemm.h"
#include "nn/activation.h"
#include "nn/kernels.h"

typedef struct linear_job {
  const mcli_nn_kernels *kernels;
  int64_t n, cols;
  const float *bias, *dy;
  float *out;
  int relu;
} linear_job;

// Numbers a task adds a bias to: 64 KiB.
enum { BIAS_BLOCK = 16 << 10 };

static int64_t bias_rows(int64_t cols) {
  return cols < BIAS_BLOCK ? BIAS_BLOCK / cols : 1;
}

static void bias_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const linear_job *j = job;
  int64_t block = bias_rows(j->cols), first = task * block;
  int64_t rows = j->n - first < block ? j->n - first : block;
  j->kernels->add_bias(j->out + first * j->cols, j->bias, rows, j->cols, j->relu);
}

mcl_status mcli_linear_forward(mcl_context *c, int64_t n, int64_t inputs, int64_t outputs,
                               const float *x, const float *kernel, const float *bias, int relu,
                               float *y, mcl_error *err) {
  mcl_status s = mcli_gemm_parallel(c, 0, n, outputs, inputs, 1, x, inputs, kernel, outputs, 0, y,
                                    outputs, err); // (1)
  if (s < 0 || (!bias && !relu)) return s;
  linear_job j = {.kernels = mcli_nn_kernels_of(c),
                  .n = n,
                  .cols = outputs,
                  .bias = bias,
                  .out = y,
                  .relu = relu};
  return mcli_parallel(c, mcli_blocks(n, bias_rows(outputs)), bias_block, &j, err);
}

enum { SUM_COLUMNS = 64 }; // columns added up at a time: their doubles stay on the stack

// A column is one task's, from the first row to the last: its sum does not know how many tasks there are.
static void sum_columns(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const linear_job *j = job;
  double sum[SUM_COLUMNS] = {0};
  int64_t first = (int64_t)task * SUM_COLUMNS;
  int64_t width = j->cols - first < SUM_COLUMNS ? j->cols - first : SUM_COLUMNS;
  j->kernels->sums(j->dy + first, j->n, width, j->cols, sum);
  for (int64_t k = 0; k < width; k++) j->out[first + k] += (float)sum[k];
}

static mcl_status add_column_sums(mcl_context *c, const float *dy, int64_t n, int64_t cols,
                                  float *out, mcl_error *err) {
  linear_job j = {.kernels = mcli_nn_kernels_of(c), .n = n, .cols = cols, .dy = dy, .out = out};
  return mcli_parallel(c, mcli_blocks(cols, SUM_COLUMNS), sum_columns, &j, err);
}

mcl_status mcli_linear_backward(mcl_context *c, int64_t n, int64_t inputs, int64_t outputs,
                                const float *x, const float *kernel, const float *y, int relu,
                                float *dy, float *dx, float *d_kernel, float *d_bias,
                                mcl_error *err) {
  mcl_status s = relu ? mcli_relu_backward(c, n * outputs, y, dy, dy, err) : MCL_OK;
  if (s == MCL_OK && d_bias) s = add_column_sums(c, dy, n, outputs, d_bias, err);
  if (s == MCL_OK)
    s = mcli_gemm_parallel(c, MCLI_GEMM_TA, inputs, outputs, n, 1, x, inputs, dy, outputs, 1,
                           d_kernel, outputs, err); // (2)
  if (s < 0 || !dx) return s;
  return mcli_gemm_parallel(c, MCLI_GEMM_TB, n, inputs, outputs, 1, dy, outputs, kernel, outputs, 0,
                            dx, inputs, err); // (3)
}
