// Small images for the dataset tests, the same for the same seed.
#ifndef MCL_TESTS_DATASET_DATA_H
#define MCL_TESTS_DATASET_DATA_H

#include "support/suite.h"

#include <stdint.h>
#include <string.h>

#include <libmcl/dataset.h>

#include "base/rng.h"

static inline void fill_bytes(uint8_t *x, int64_t n, uint64_t seed) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_DATA, 2, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (uint8_t)mcli_rng_u32(&r);
}

// [n, h, w, c] in `bytes`.
static inline mcl_dataset *array_of(mcl_context *c, uint8_t *bytes, int64_t n, int64_t h, int64_t w,
                                    int64_t channels, const int32_t *labels) {
  mcl_error err;
  mcl_dataset *d = NULL;
  mcl_array a = mcl_images_u8(bytes, n, h, w, channels);
  CHECK_OK(mcl_dataset_create_array(c, &a, labels, &d, &err));
  return d;
}

static inline const char *name_of(const mcl_dataset *d, int64_t row) {
  static char name[4096];
  mcl_error err;
  CHECK_OK(mcl_dataset_name(d, row, name, sizeof name, NULL, &err));
  return name;
}

static inline const char *class_of(const mcl_dataset *d, int32_t label) {
  static char name[4096];
  mcl_error err;
  CHECK_OK(mcl_dataset_class_name(d, label, name, sizeof name, NULL, &err));
  return name;
}

static inline mcl_dataset_report report_of(const mcl_dataset *d) {
  mcl_dataset_report r;
  mcl_error err;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_dataset_get_report(d, &r, &err));
  return r;
}

#endif
