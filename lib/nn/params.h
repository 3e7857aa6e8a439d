// The numbers that a network has learnt: named tensors in one block, beside their gradients and the optimiser's moments.
//
// Tensors that are frozen come first, and have neither gradients nor moments: three quarters of their memory is saved.
#ifndef MCL_NN_PARAMS_H
#define MCL_NN_PARAMS_H

#include <stdint.h>

#include <libmcl/encoder.h>

#include "base/context.h"

enum {
  MCLI_KERNEL = 1, // weight decay applies: tensors of two dimensions and more
  MCLI_RUNNING = 2 // not trained: the running figures of batch norm, the scale of pixels
};

enum { MCLI_CALLED = 80 };

typedef struct mcli_param {
  char name[32]; // "conv0.kernel"
  char called
      [MCLI_CALLED]; // what PyTorch's models call it, "conv1.weight"; empty: they have none such
  int64_t shape[4];  // 1 beyond ndim
  int64_t first, n;  // its place in the blocks; n numbers
  int32_t ndim;
  uint32_t flags;
} mcli_param;

typedef struct mcli_params {
  mcli_param *tensors;
  int32_t n_tensors, capacity;
  int64_t n;               // numbers in each block, padding between the tensors included
  int64_t frozen;          // the first so many are frozen
  float *values;           // [n]; NULL before mcli_params_allocate
  float *gradients;        // [n - frozen], added up since the last step
  float *moments, *second; // [n - frozen]; SGD's v or Adam's m; Adam's s
} mcli_params;

// Declares a tensor; *index counts from 0. Only before mcli_params_allocate. MCL_E_LIMIT when all together have more than
// 2^29 numbers. `kind` and `number` make the name: ("conv", 0, "kernel") is "conv0.kernel".
mcl_status mcli_params_add(mcl_context *c, mcli_params *p, const char *kind, int32_t number,
                           const char *what, int32_t ndim, const int64_t *shape, uint32_t flags,
                           int32_t *index, mcl_error *err);
// All blocks, zero.
mcl_status mcli_params_allocate(mcl_context *c, mcli_params *p, mcl_error *err);
void mcli_params_free(mcl_context *c, mcli_params *p);

// Freezes the tensors declared so far. Only before mcli_params_allocate.
static inline void mcli_params_freeze(mcli_params *p) {
  p->frozen = p->n;
}
static inline int mcli_param_is_frozen(const mcli_params *p, int32_t index) {
  return p->tensors[index].first < p->frozen;
}
// Whether an optimiser moves it.
static inline int mcli_param_is_trained(const mcli_params *p, int32_t index) {
  return !mcli_param_is_frozen(p, index) && !(p->tensors[index].flags & MCLI_RUNNING);
}
static inline float *mcli_param_value(const mcli_params *p, int32_t index) {
  return index < 0 ? NULL : p->values + p->tensors[index].first;
}
static inline float *mcli_param_gradient(const mcli_params *p, int32_t index) {
  if (index < 0 || mcli_param_is_frozen(p, index)) return NULL;
  return p->gradients + (p->tensors[index].first - p->frozen);
}

// Initial weights and biases, a function of (seed, tensor, place). MCL_INIT_FAN_IN: uniform in +-1 / sqrt(fan_in), a third of the
// variance of LeCun et al. 1998 (Efficient BackProp, eq. 16), and what PyTorch does. A convolution's [k, k, c, f] has fan_in k k c,
// fan_out k k f. MCL_INIT_GLOROT: kernels in +-sqrt(6 / (fan_in + fan_out)), Glorot & Bengio 2010, eq. 16; biases 0; Keras.
//
// Why not He's variance, six times as large: random features that large are hardly moved by training, so a network keeps the
// class that way besides the shortcut, and a later stage, which could learn it well, keeps the shortcut's random
// features too. Fashion-MNIST with 4 random bits, seed 0, kNN of (class, bits): stage 0 (.69, 1.0) with He, (.59, 1.0)
// here; stage 2 (.72, .85) and (.75, .10). Biases matter too: at 0, stage 0 keeps (.65, 1.0).
double mcli_init_bound(const mcli_params *p, int32_t kernel, int32_t init);
int64_t mcli_fan_in(const mcli_params *p, int32_t kernel);
void mcli_init_uniform(const mcli_params *p, int32_t index, double bound, uint64_t seed);
// Normal with this deviation, likewise.
void mcli_init_normal(const mcli_params *p, int32_t index, double deviation, uint64_t seed);
void mcli_init_constant(const mcli_params *p, int32_t index, float value);

#endif
