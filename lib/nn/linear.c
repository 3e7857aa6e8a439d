// A dense layer.
//
//   Y  = X W + b                          (1)
//   dW = X^T dY,  db = sum_i dY_i         (2)
//   dX = dY W^T                           (3)
#include "nn/linear.h"

#include "math/gemm.h"
#include "nn/kernels.h"

mcl_status mcli_linear_forward(mcl_context *c, int64_t n, int64_t inputs, int64_t outputs,
                               const float *x, const float *kernel, const float *bias, int relu,
                               float *y, mcl_error *err) {
  mcl_status s = mcli_gemm_parallel(c, 0, n, outputs, inputs, 1, x, inputs, kernel, outputs, 0, y,
                                    outputs, err); // (1)
  if (s < 0 || (!bias && !relu)) return s;
  mcli_nn_kernels_of(c)->add_bias(y, bias, n, outputs, relu);
  return MCL_OK;
}

enum { SUM_COLUMNS = 64 }; // columns added up at a time: their doubles stay on the stack

static void add_column_sums(const float *x, int64_t n, int64_t cols, float *out) {
  for (int64_t first = 0; first < cols; first += SUM_COLUMNS) {
    double sum[SUM_COLUMNS] = {0};
    int64_t width = cols - first < SUM_COLUMNS ? cols - first : SUM_COLUMNS;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < width; j++) sum[j] += (double)x[i * cols + first + j];
    for (int64_t j = 0; j < width; j++) out[first + j] += (float)sum[j];
  }
}

mcl_status mcli_linear_backward(mcl_context *c, int64_t n, int64_t inputs, int64_t outputs,
                                const float *x, const float *kernel, const float *y, int relu,
                                float *dy, float *dx, float *d_kernel, float *d_bias,
                                mcl_error *err) {
  if (relu) mcli_nn_kernels_of(c)->relu_backward(y, dy, n * outputs);
  if (d_bias) add_column_sums(dy, n, outputs, d_bias);
  mcl_status s = mcli_gemm_parallel(c, MCLI_GEMM_TA, inputs, outputs, n, 1, x, inputs, dy, outputs,
                                    1, d_kernel, outputs, err); // (2)
  if (s < 0 || !dx) return s;
  return mcli_gemm_parallel(c, MCLI_GEMM_TB, n, inputs, outputs, 1, dy, outputs, kernel, outputs, 0,
                            dx, inputs, err); // (3)
}
