// One block for all tensors makes the optimiser a single pass and a gradient's reset a single memset.
#include "nn/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

// 2^29 numbers are 8 GiB with gradients and moments: the largest of CLIP's towers, ViT-L/14, has 2^28.2, and more is a mistake in
// the options of the networks there are.
static const int64_t max_numbers = INT64_C(1) << 29;

// Tensors start at multiples of 64 bytes. The padding stays zero in every block.
enum { ALIGN = 16 };

static mcl_status grow(mcl_context *c, mcli_params *p, mcl_error *err) {
  if (p->n_tensors < p->capacity) return MCL_OK;
  int32_t capacity = p->capacity ? 2 * p->capacity : 16;
  mcli_param *larger = mcli_realloc(c, p->tensors, (uint64_t)capacity, sizeof *larger);
  if (!larger) return mcli_nomem(err, "the list of tensors");
  p->tensors = larger;
  p->capacity = capacity;
  return MCL_OK;
}

mcl_status mcli_params_add(mcl_context *c, mcli_params *p, const char *kind, int32_t number,
                           const char *what, int32_t ndim, const int64_t *shape, uint32_t flags,
                           int32_t *index, mcl_error *err) {
  mcl_status s = grow(c, p, err);
  if (s < 0) return s;
  mcli_param t = {.first = p->n, .n = 1, .ndim = ndim, .flags = flags, .shape = {1, 1, 1, 1}};
  snprintf(t.name, sizeof t.name, "%s%d.%s", kind, number, what);
  int fits = 1;
  for (int32_t i = 0; i < ndim; i++) {
    t.shape[i] = shape[i];
    fits = fits && mcli_mul(t.n, shape[i], &t.n) && t.n <= max_numbers;
  }
  if (!fits || p->n + t.n > max_numbers)
    return mcli_fail(err, MCL_E_LIMIT, "the network has more than 2^29 weights, at %s", t.name);
  p->n += (t.n + ALIGN - 1) / ALIGN * ALIGN;
  p->tensors[p->n_tensors] = t;
  *index = p->n_tensors++;
  return MCL_OK;
}

mcl_status mcli_params_allocate(mcl_context *c, mcli_params *p, mcl_error *err) {
  p->values = MCLI_NEW0(c, float, p->n);
  p->gradients = MCLI_NEW0(c, float, p->n - p->frozen);
  p->moments = MCLI_NEW0(c, float, p->n - p->frozen);
  p->second = MCLI_NEW0(c, float, p->n - p->frozen);
  if (p->values && p->gradients && p->moments && p->second) return MCL_OK;
  return mcli_nomem(err, "the weights");
}

void mcli_params_free(mcl_context *c, mcli_params *p) {
  mcli_free(c, p->tensors);
  mcli_free(c, p->values);
  mcli_free(c, p->gradients);
  mcli_free(c, p->moments);
  mcli_free(c, p->second);
  *p = (mcli_params){0};
}

// ---- initial weights -------------------------------------------------------------------------------

int64_t mcli_fan_in(const mcli_params *p, int32_t kernel) {
  const mcli_param *t = &p->tensors[kernel];
  return t->n / t->shape[t->ndim - 1];
}

double mcli_init_bound(const mcli_params *p, int32_t kernel, int32_t init) {
  double in = (double)mcli_fan_in(p, kernel);
  const mcli_param *t = &p->tensors[kernel];
  return init == MCL_INIT_GLOROT ? sqrt(6 / (in + (double)(t->n / t->shape[t->ndim - 2])))
                                 : 1 / sqrt(in);
}

void mcli_init_uniform(const mcli_params *p, int32_t index, double bound, uint64_t seed) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_INIT, (uint64_t)index, 0);
  float *w = mcli_param_value(p, index);
  for (int64_t i = 0; i < p->tensors[index].n; i++)
    w[i] = (float)mcli_rng_between(&r, -bound, bound);
}

void mcli_init_normal(const mcli_params *p, int32_t index, double deviation, uint64_t seed) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_INIT, (uint64_t)index, 0);
  float *w = mcli_param_value(p, index);
  for (int64_t i = 0; i < p->tensors[index].n; i++) w[i] = (float)(deviation * mcli_rng_normal(&r));
}

void mcli_init_constant(const mcli_params *p, int32_t index, float value) {
  float *w = mcli_param_value(p, index);
  for (int64_t i = 0; i < p->tensors[index].n; i++) w[i] = value;
}
