// What holds of the bits of every network built in: threads do not change them, and neither does a stop.
#ifndef MCL_TESTS_ENCODER_BITS_H
#define MCL_TESTS_ENCODER_BITS_H

#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/encoder.h>

typedef struct subject {
  const char *name;
  int kinds;
  int64_t rows; // that `embed` embeds
  mcl_encoder *(*make)(mcl_context *c, int kind);
  void (*train)(mcl_encoder *e, int steps);
  void (*embed)(mcl_encoder *e, float *z);
} subject;

// Embeddings of the subject's rows, malloc'ed.
static inline float *embeddings_of(const subject *s, mcl_encoder *e, size_t *bytes) {
  *bytes = (size_t)s->rows * (size_t)mcl_encoder_dim(e) * sizeof(float);
  float *z = malloc(*bytes);
  s->embed(e, z);
  return z;
}

static inline void check_same_bits_for_any_threads(const subject *s) {
  for (int kind = 0; kind < s->kinds; kind++) {
    float *wanted = NULL;
    for (uint32_t threads = 1; threads < 4; threads++) {
      size_t bytes;
      mcl_context *c = test_context(threads);
      mcl_encoder *e = s->make(c, kind);
      s->train(e, 3);
      float *z = embeddings_of(s, e, &bytes);
      if (wanted) ck_assert_mem_eq(z, wanted, bytes);
      if (wanted)
        free(z);
      else
        wanted = z;
      mcl_encoder_unref(e);
      mcl_context_unref(c);
    }
    free(wanted);
  }
}

// A file also belongs to one kind alone.
static inline void check_resumed_bit_for_bit(const subject *s) {
  mcl_context *c = test_context(2);
  char path[4200];
  mcl_error err;
  snprintf(path, sizeof path, "%s/e.safetensors", test_directory(s->name));
  for (int kind = 0; kind < s->kinds; kind++) {
    mcl_encoder *e = s->make(c, kind), *other = s->make(c, kind);
    size_t bytes;
    s->train(e, 2);
    CHECK_OK(mcl_encoder_save(e, path, &err));
    CHECK_OK(mcl_encoder_load(other, path, &err));
    s->train(e, 2);
    s->train(other, 2);
    float *wanted = embeddings_of(s, e, &bytes), *z = embeddings_of(s, other, &bytes);
    ck_assert_mem_eq(z, wanted, bytes);
    free(wanted), free(z);
    mcl_encoder *another = s->make(c, (kind + 1) % s->kinds);
    CHECK_FAILS(MCL_E_MISMATCH, "libmcl.network", mcl_encoder_load(another, path, &err));
    mcl_encoder_unref(e);
    mcl_encoder_unref(other);
    mcl_encoder_unref(another);
  }
  mcl_context_unref(c);
}

#endif
