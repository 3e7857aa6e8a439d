// Small encoders of every kind, with rows for them.
#ifndef MCL_TESTS_EXHAUSTION_KINDS_H
#define MCL_TESTS_EXHAUSTION_KINDS_H

#include <libmcl/encoder.h>
#include <libmcl/integrator.h>

#include "exhaustion/exhaust.h"

// An image's side, channels; tokens a row, words; rows of a batch; width of an embedding, and of a projection.
enum { SIDE = 8, CHANNELS = 3, CONTEXT = 4, WORDS = 10, ROWS = 4, DIM = 6, OUT = 4 };

// NORMED: a CNN with batch norms. HOSTS: a pair of a host's encoder and a bag. HOST: a host's, which hands its calls on to an
// MLP. HEAD: an integrator's encoder with a head.
#define EVERY_KIND(of)                                                                             \
  of(CNN) of(NORMED) of(MLP) of(RESNET) of(VIT) of(TEXT) of(BAG) of(PAIR) of(HOSTS) of(CLIP)       \
      of(HOST) of(HEAD)
#define NUMBER(kind) kind,
enum { EVERY_KIND(NUMBER) KINDS };

// Writes the file that a CLIP is made of; once, before the first of its kind.
void put_clip(void);
// Seed: of the weights; a CLIP has those of its file.
mcl_status make_kind(int kind, uint64_t seed, mcl_encoder **out);
// One that the host's functions pass calls on to; the host's encoder keeps it.
mcl_status make_host(mcl_encoder *inner, mcl_encoder **out);
mcl_status make_mlp(int64_t inputs, int32_t out_dim, uint64_t seed, mcl_encoder **out);

// A view of ROWS rows of a modality: images of bytes or tokens, other rows in each view.
mcl_inputs inputs_of(int kind, int32_t modality, int32_t view);
int32_t width_of(const mcl_encoder *e, bool projection);

void see_embeddings(seen *s, mcl_encoder *e, int kind); // of all modalities
// These, and the bytes of what it saves.
void see_encoder(seen *s, mcl_encoder *e, int kind);

#endif
