// Activations of transformers. Phi is the share of a normal variable below x, phi its density.
//
//   GELU(x)  = x Phi(x)                        (Hendrycks & Gimpel 2016, eq. 1)             (1)
//   GELU'(x) = Phi(x) + x phi(x),  Phi(x) = GELU(x) / x                                     (2)
//   quick(x) = x S(1.702 x),  S(v) = 1 / (1 + exp -v)   (ibid., section 2; CLIP's)          (3)
//   quick'   = S + 1.702 x S (1 - S)                                                        (4)
//
// The form by tanh is left out: it is neither PyTorch's default nor CLIP's.
#include "nn/activation.h"

#include <string.h>

#include "nn/kernels.h"

// Numbers a task goes over: 64 KiB of each array.
enum { BLOCK = 16 << 10 };

typedef struct pass_job {
  const mcli_nn_kernels *kernels;
  mcli_gelu kind;
  int relu;
  int64_t n;
  const float *x, *y, *dy;
  float *out, *copy;
} pass_job;

static int64_t block_at(const pass_job *j, uint32_t task, int64_t *first) {
  *first = (int64_t)task * BLOCK;
  return j->n - *first < BLOCK ? j->n - *first : BLOCK;
}

static void gelu_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const pass_job *j = job;
  int64_t at, n = block_at(j, task, &at);
  if (j->kind == MCLI_GELU_QUICK)
    j->kernels->quick_gelu(j->x + at, j->out + at, n);
  else
    j->kernels->gelu(j->x + at, j->out + at, n);
}

mcl_status mcli_gelu_forward(mcl_context *c, mcli_gelu kind, int64_t n, const float *x, float *y,
                             mcl_error *err) {
  pass_job j = {.kernels = mcli_nn_kernels_of(c), .kind = kind, .n = n, .x = x, .out = y};
  return mcli_parallel(c, mcli_blocks(n, BLOCK), gelu_block, &j, err);
}

static void gelu_backward_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const pass_job *j = job;
  int64_t at, n = block_at(j, task, &at);
  if (j->kind == MCLI_GELU_QUICK)
    j->kernels->quick_gelu_backward(j->x + at, j->dy + at, j->out + at, n);
  else
    j->kernels->gelu_backward(j->x + at, j->y + at, j->dy + at, j->out + at, n);
}

mcl_status mcli_gelu_backward(mcl_context *c, mcli_gelu kind, int64_t n, const float *x,
                              const float *y, const float *dy, float *dx, mcl_error *err) {
  pass_job j = {
      .kernels = mcli_nn_kernels_of(c), .kind = kind, .n = n, .x = x, .y = y, .dy = dy, .out = dx};
  return mcli_parallel(c, mcli_blocks(n, BLOCK), gelu_backward_block, &j, err);
}

// ---- ReLU and sums ---------------------------------------------------------------------------------

static void relu_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const pass_job *j = job;
  int64_t at, n = block_at(j, task, &at);
  j->kernels->relu(j->x + at, j->out + at, n);
}

mcl_status mcli_relu_forward(mcl_context *c, int64_t n, const float *x, float *y, mcl_error *err) {
  pass_job j = {.kernels = mcli_nn_kernels_of(c), .n = n, .x = x, .out = y};
  return mcli_parallel(c, mcli_blocks(n, BLOCK), relu_block, &j, err);
}

static void mask_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const pass_job *j = job;
  int64_t at, n = block_at(j, task, &at);
  if (j->out != j->dy) memcpy(j->out + at, j->dy + at, (size_t)n * sizeof *j->out);
  if (j->relu) j->kernels->relu_backward(j->y + at, j->out + at, n);
  if (j->copy) memcpy(j->copy + at, j->out + at, (size_t)n * sizeof *j->out);
}

mcl_status mcli_relu_backward(mcl_context *c, int64_t n, const float *y, const float *dy, float *dx,
                              mcl_error *err) {
  pass_job j = {.kernels = mcli_nn_kernels_of(c), .relu = 1, .n = n, .y = y, .dy = dy, .out = dx};
  return mcli_parallel(c, mcli_blocks(n, BLOCK), mask_block, &j, err);
}

static void sum_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const pass_job *j = job;
  int64_t at, n = block_at(j, task, &at);
  if (j->out != j->x) memcpy(j->out + at, j->x + at, (size_t)n * sizeof *j->out);
  j->kernels->add(j->dy + at, j->out + at, n);
  if (j->relu) j->kernels->relu(j->out + at, j->out + at, n);
}

mcl_status mcli_sum_forward(mcl_context *c, int64_t n, const float *a, const float *b, int relu,
                            float *y, mcl_error *err) {
  pass_job j = {.kernels = mcli_nn_kernels_of(c),
                .relu = relu,
                .n = n,
                .x = y == b ? b : a,
                .dy = y == b ? a : b,
                .out = y};
  return mcli_parallel(c, mcli_blocks(n, BLOCK), sum_block, &j, err);
}

mcl_status mcli_sum_backward(mcl_context *c, int64_t n, const float *y, int relu, float *dy,
                             float *da, mcl_error *err) {
  pass_job j = {.kernels = mcli_nn_kernels_of(c),
                .relu = relu,
                .n = n,
                .y = y,
                .dy = dy,
                .out = dy,
                .copy = da};
  if (!relu && !da) return MCL_OK;
  return mcli_parallel(c, mcli_blocks(n, BLOCK), mask_block, &j, err);
}
