// What the probe tests share: rows with classes in them, and a call made with every allocation failing in turn.
#ifndef MCL_TESTS_PROBE_COMMON_H
#define MCL_TESTS_PROBE_COMMON_H

#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/probe.h>

// n rows of dim normal numbers around the centre of their class; labels 0 .. classes - 1. Free both.
static inline float *class_rows(int64_t n, int64_t dim, int32_t classes, float apart, uint64_t seed,
                                int32_t **labels) {
  float *z = malloc((size_t)(n * dim) * sizeof *z);
  float *centres = malloc((size_t)(classes * dim) * sizeof *centres);
  float *u = malloc((size_t)n * sizeof *u);
  *labels = malloc((size_t)n * sizeof **labels);
  test_fill_normal(z, n * dim, seed);
  test_fill_normal(centres, classes * dim, 77);
  test_fill(u, n, seed + 1000, 0, (float)classes);
  for (int64_t i = 0; i < n; i++) {
    (*labels)[i] = (int32_t)u[i];
    for (int64_t k = 0; k < dim; k++) z[i * dim + k] += apart * centres[(*labels)[i] * dim + k];
  }
  free(centres);
  free(u);
  return z;
}

static inline double twin_cosine(const float *a, const float *b, int64_t dim) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t k = 0; k < dim; k++) {
    ab += (double)a[k] * (double)b[k];
    aa += (double)a[k] * (double)a[k];
    bb += (double)b[k] * (double)b[k];
  }
  return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static inline mcl_probe_result new_result(void) {
  mcl_probe_result r;
  mcl_struct_init(&r, sizeof r);
  return r;
}

// call(context, out, err) with its n-th allocation failing, n = 1, 2, ... until it succeeds: the right error, nothing
// written, nothing leaked, and then the same as without failures.
typedef mcl_status (*failing_call)(mcl_context *c, void *out, mcl_error *err);
static inline void check_every_allocation(failing_call call, size_t out_size) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 2);
  unsigned char out[512], before[512];
  mcl_error err;
  ck_assert_uint_le(out_size, sizeof out);
  int64_t live = a.live;
  int n = 1;
  for (; n < 1000; n++) {
    memset(out, 0, sizeof out);
    mcl_struct_init(out, out_size);
    memcpy(before, out, sizeof out);
    a.fail_at = n;
    mcl_status s = call(c, out, &err);
    int hit = a.fail_at == 0;
    a.fail_at = 0;
    ck_assert_int_eq(a.live, live);
    if (s == MCL_OK) {
      ck_assert(!hit);
      break;
    }
    ck_assert_int_eq(s, MCL_E_NOMEM);
    ck_assert_int_eq(err.status, MCL_E_NOMEM);
    ck_assert_mem_eq(out, before, sizeof out);
  }
  ck_assert_int_gt(n, 1);
  ck_assert_int_lt(n, 1000);
  memset(before, 0, sizeof before);
  mcl_struct_init(before, out_size);
  CHECK_OK(call(c, before, &err));
  ck_assert_mem_eq(out, before, sizeof out);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}

#endif
