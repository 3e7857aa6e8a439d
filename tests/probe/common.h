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

#endif
