// Adam (Kingma & Ba 2015, algorithm 1) and SGD with momentum. w is a weight, g its gradient, t counts steps from 1:
//
//   SGD   v <- mu v + g,  w <- w - lr v                                                      (1)
//   Adam  m <- b1 m + (1 - b1) g,  s <- b2 s + (1 - b2) g^2
//         w <- w - lr / (1 - b1^t) m / (sqrt(s) / sqrt(1 - b2^t) + e)                         (2)
//
// Weight decay d, on kernels only: by the loss, g <- g + 2 d w (3), or decoupled, w <- (1 - lr d) w first (4)
// (Loshchilov & Hutter 2019). Biases and the scales of norms set no complexity worth a price.
#include "nn/optimiser.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "math/array.h"
#include "nn/kernels.h"

static const mcl_optimiser_options defaults = {.struct_size = sizeof defaults,
                                               .kind = MCL_ADAM,
                                               .momentum = 0.9,
                                               .beta1 = 0.9,
                                               .beta2 = 0.999,
                                               .epsilon = 1e-8};

void mcl_optimiser_options_init(mcl_optimiser_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

static mcl_status check_share(double value, const char *name, mcl_error *err) {
  if (value >= 0 && value < 1) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "optimiser->%s is %g, not in [0, 1)", name, value);
}

mcl_status mcli_optimiser_options(mcl_optimiser_options *to, const mcl_optimiser_options *from,
                                  mcl_error *err) {
  *to = defaults;
  mcl_status s = mcli_options_copy(to, sizeof *to, from, "mcl_optimiser_options", err);
  if (s < 0) return s;
  if (to->kind != MCL_ADAM && to->kind != MCL_SGD)
    return mcli_fail(err, MCL_E_INVALID, "optimiser->kind is %d, not MCL_SGD or MCL_ADAM",
                     to->kind);
  if (to->flags & ~(uint32_t)MCL_DECOUPLED_DECAY)
    return mcli_fail(err, MCL_E_INVALID, "optimiser->flags is %#x, not MCL_DECOUPLED_DECAY or 0",
                     to->flags);
  if ((s = check_share(to->momentum, "momentum", err)) < 0) return s;
  if ((s = check_share(to->beta1, "beta1", err)) < 0) return s;
  if ((s = check_share(to->beta2, "beta2", err)) < 0) return s;
  if (!(to->epsilon > 0 && to->epsilon <= 1))
    return mcli_fail(err, MCL_E_INVALID, "optimiser->epsilon is %g, not above 0 and at most 1",
                     to->epsilon);
  if (!(to->weight_decay >= 0 && to->weight_decay <= 1))
    return mcli_fail(err, MCL_E_INVALID, "optimiser->weight_decay is %g, not 0..1",
                     to->weight_decay);
  return MCL_OK;
}

// One look at all gradients: only if one is bad, whose it is.
typedef struct check_job {
  const float *gradients;
  int64_t n;
  atomic_int bad;
} check_job;

typedef struct step_job {
  const mcli_nn_kernels *kernels;
  const mcl_optimiser_options *o;
  mcli_params *p;
  int64_t first, n;
  mcli_adam adam;
  mcli_sgd sgd;
} step_job;

// Weights a task moves: 64 KiB of each of the four blocks.
enum { STEP_BLOCK = 16 << 10 };

static void check_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  check_job *j = job;
  int64_t at = (int64_t)task * STEP_BLOCK, n = j->n - at < STEP_BLOCK ? j->n - at : STEP_BLOCK;
  if (mcli_first_not_finite(j->gradients + at, 1, n) >= 0) atomic_store(&j->bad, 1);
}

mcl_status mcli_optimiser_check(mcl_context *c, const mcli_params *p, mcl_error *err) {
  check_job j = {.gradients = p->gradients, .n = p->n - p->frozen};
  atomic_init(&j.bad, 0);
  mcl_status s = mcli_parallel(c, mcli_blocks(j.n, STEP_BLOCK), check_block, &j, err);
  if (s < 0 || !atomic_load(&j.bad)) return s;
  int32_t i = 0;
  while (mcli_param_is_frozen(p, i) ||
         mcli_first_not_finite(mcli_param_gradient(p, i), 1, p->tensors[i].n) < 0)
    i++;
  return mcli_fail(err, MCL_E_NOT_FINITE, "the gradient of %s has a NaN or infinity",
                   p->tensors[i].name);
}

static void step_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const step_job *j = job;
  int64_t at = (int64_t)task * STEP_BLOCK, n = j->n - at < STEP_BLOCK ? j->n - at : STEP_BLOCK;
  mcli_params *p = j->p;
  float *values = p->values + j->first + at;
  at += j->first - p->frozen;
  if (j->o->kind == MCL_ADAM)
    j->kernels->adam(&j->adam, values, p->gradients + at, p->moments + at, p->second + at, n);
  else
    j->kernels->sgd(&j->sgd, values, p->gradients + at, p->moments + at, n);
  memset(p->gradients + at, 0, (size_t)n * sizeof *p->gradients); // still in the cache
}

mcl_status mcli_optimiser_step(mcl_context *c, const mcl_optimiser_options *o, mcli_params *p,
                               double learning_rate, int64_t t, mcl_error *err) {
  mcl_status s = mcli_optimiser_check(c, p, err);
  if (s < 0) return s;
  int decoupled = (o->flags & MCL_DECOUPLED_DECAY) != 0;
  for (int32_t i = 0; i < p->n_tensors; i++) {
    const mcli_param *tensor = &p->tensors[i];
    if (!mcli_param_is_trained(p, i)) continue;
    double decay = tensor->flags & MCLI_KERNEL ? o->weight_decay : 0;
    float l2 = decoupled ? 0 : (float)(2 * decay);                      // (3)
    float keep = decoupled ? (float)(1 - learning_rate * decay) : 1.0F; // (4)
    step_job j = {.kernels = mcli_nn_kernels_of(c),
                  .o = o,
                  .p = p,
                  .first = tensor->first,
                  .n = tensor->n,
                  .adam = {.beta1 = (float)o->beta1,
                           .beta2 = (float)o->beta2,
                           .rate = (float)(learning_rate / (1 - pow(o->beta1, (double)t))),
                           .root = (float)(1 / sqrt(1 - pow(o->beta2, (double)t))),
                           .epsilon = (float)o->epsilon,
                           .l2 = l2,
                           .keep = keep},
                  .sgd = {(float)o->momentum, (float)learning_rate, l2, keep}};
    s = mcli_parallel(c, mcli_blocks(tensor->n, STEP_BLOCK), step_block, &j, err);
    if (s < 0) return s;
  }
  return MCL_OK;
}
