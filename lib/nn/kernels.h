// Elementwise passes over activations and weights, chosen at run time by the processor. Plain twins live in tests/nn.
//
// Matrices are [rows, cols], contiguous. What is added up is added row after row, for every column by itself, so every
// instruction set gives the same bits.
#ifndef MCL_NN_KERNELS_H
#define MCL_NN_KERNELS_H

#include <stdint.h>

#include "base/context.h"

// One step of Adam for a tensor; see nn/optimiser.c for the formula.
typedef struct mcli_adam {
  float beta1, beta2; // of the moments
  float rate;         // lr / (1 - beta1^t)
  float root;         // 1 / sqrt(1 - beta2^t)
  float epsilon;
  float l2;   // added to the gradient, times the weight
  float keep; // times the weight, before the step
} mcli_adam;

typedef struct mcli_sgd {
  float momentum, rate, l2, keep;
} mcli_sgd;

// Channels and filters come in multiples of it where winograd_... are called.
enum { MCLI_WINOGRAD_LANES = 16 };

typedef struct mcli_nn_kernels {
  const char *name;
  void (*add)(const float *x, float *y, int64_t n); // y += x
  // y += bias (NULL: nothing), then max(y, 0) where relu. A NaN stays one.
  void (*add_bias)(float *y, const float *bias, int64_t rows, int64_t cols, int relu);
  void (*relu)(const float *x, float *y, int64_t n);           // x may be y
  void (*relu_backward)(const float *y, float *dy, int64_t n); // dy = 0 where not y > 0
  // sum[j] += x_ij, rows `stride` numbers apart
  void (*sums)(const float *x, int64_t rows, int64_t cols, int64_t stride, double *sum);
  // sum[j] += x_ij; squares[j] += x_ij^2
  void (*moments)(const float *x, int64_t rows, int64_t cols, double *sum, double *squares);
  // y = (x - mean) factor + shift, then max(y, 0) where relu
  void (*normalise)(const float *x, int64_t rows, int64_t cols, const float *mean,
                    const float *factor, const float *shift, int relu, float *y);
  // sum[j] += dy_ij; product[j] += dy_ij (x_ij - mean_j) inverse_j
  void (*normalise_sums)(const float *dy, const float *x, int64_t rows, int64_t cols,
                         const float *mean, const float *inverse, double *sum, double *product);
  // dx = factor (dy - mean_dy - (x - mean) inverse mean_product); dx may be dy
  void (*normalise_backward)(const float *dy, const float *x, int64_t rows, int64_t cols,
                             const float *mean, const float *inverse, const float *factor,
                             const float *mean_dy, const float *mean_product, float *dx);
  // Of every row by itself: y = (x - mean) inverse scale + shift, see nn/layer_norm.c. y may be x.
  void (*layer_norm)(const float *x, int64_t rows, int64_t cols, float epsilon, const float *scale,
                     const float *shift, float *y);
  // dx (NULL: not wanted; may be dy) is overwritten, d_scale and d_shift are added to.
  void (*layer_norm_backward)(const float *x, const float *dy, int64_t rows, int64_t cols,
                              float epsilon, const float *scale, float *dx, double *d_scale,
                              double *d_shift);
  // See nn/activation.c; y may be x. dx = dy times the derivative at x; dx may be dy.
  void (*gelu)(const float *x, float *y, int64_t n);
  void (*gelu_backward)(const float *x, const float *y, const float *dy, float *dx, int64_t n);
  void (*quick_gelu)(const float *x, float *y, int64_t n);
  void (*quick_gelu_backward)(const float *x, const float *dy, float *dx, int64_t n);
  // The transforms of nn/winograd.c. Number k of a tile or kernel lies `plane` numbers behind number k - 1. d: a tile's 4 x 4
  // pixels, y: its 2 x 2, NULL where there is none, which counts as zeros and is not written.
  void (*winograd_kernel)(const float *g, int64_t n, int64_t plane, int64_t u_plane, float *u);
  void (*winograd_input)(const float *const d[16], int64_t channels, int64_t plane, float *v);
  void (*winograd_output)(const float *m, int64_t filters, int64_t plane, float *const y[4]);
  // Their transposes; those of input and kernel add to what is there.
  void (*winograd_kernel_backward)(const float *du, int64_t n, int64_t u_plane, int64_t plane,
                                   float *dg);
  void (*winograd_input_backward)(const float *dv, int64_t channels, int64_t plane,
                                  float *const dd[16]);
  void (*winograd_output_backward)(const float *const dy[4], int64_t filters, int64_t plane,
                                   float *dm);
  void (*adam)(const mcli_adam *o, float *w, const float *g, float *m, float *s, int64_t n);
  void (*sgd)(const mcli_sgd *o, float *w, const float *g, float *v, int64_t n);
} mcli_nn_kernels;

// The kernels of this context's instruction set; of a given one, where the processor has it (else NULL).
const mcli_nn_kernels *mcli_nn_kernels_of(const mcl_context *c);
const mcli_nn_kernels *mcli_nn_kernels_for(mcli_isa isa);

extern const mcli_nn_kernels mcli_nn_kernels_base, mcli_nn_kernels_avx2, mcli_nn_kernels_avx512;

#endif
