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

// The weights of another of the kind, the optimiser anew, and that other one untouched.
static inline void check_starts_from_the_bits_of_another(const subject *s) {
  mcl_context *c = test_context(2);
  mcl_error err;
  for (int kind = 0; kind < s->kinds; kind++) {
    mcl_encoder *from = s->make(c, kind), *e = s->make(c, kind), *fresh = s->make(c, kind);
    size_t bytes;
    s->train(from, 3);
    s->train(e, 2); // it has moments, and is at another step
    float *wanted = embeddings_of(s, from, &bytes), *z = embeddings_of(s, e, &bytes);
    ck_assert(memcmp(z, wanted, bytes) != 0);
    CHECK_OK(mcl_encoder_start_from(e, from, &err));
    CHECK_OK(mcl_encoder_start_from(fresh, from, &err));
    mcl_encoder *const both[] = {e, from};
    for (int i = 0; i < 2; i++) {
      free(z), z = embeddings_of(s, both[i], &bytes);
      ck_assert_mem_eq(z, wanted, bytes);
    }
    mcl_encoder *const all[] = {e, fresh, from};
    float *later[3];
    for (int i = 0; i < 3; i++) {
      s->train(all[i], 2);
      later[i] = embeddings_of(s, all[i], &bytes);
    }
    ck_assert_mem_eq(later[0], later[1], bytes);       // whatever it had learnt before
    ck_assert(memcmp(later[0], later[2], bytes) != 0); // from's own moments are its own
    mcl_encoder *another =
        s->make(c, kind == 1 ? 0 : 1); // kind 2 may be 0 with other weights trained
    CHECK_FAILS(MCL_E_MISMATCH, "cannot start from", mcl_encoder_start_from(another, from, &err));
    for (int i = 0; i < 3; i++) free(later[i]), mcl_encoder_unref(all[i]);
    free(wanted), free(z);
    mcl_encoder_unref(another);
  }
  mcl_context_unref(c);
}

#endif
