// Two encoders as one: what pair.c trains and pair_file.c keeps.
#ifndef MCL_ENCODER_PAIR_H
#define MCL_ENCODER_PAIR_H

#include "encoder/network.h"

// What a projection, or a locked tower, gave in: the tower's rows of one view.
typedef struct mcli_pair_rows {
  float *x; // [n, width]
  int64_t n, size;
} mcli_pair_rows;

typedef struct mcli_tower {
  mcl_encoder *encoder;
  mcli_network *network; // behind it; NULL: a host's
  const char *name;      // "image" or "text"
  int32_t locked;
  int32_t width;  // of its rows in training: the embedding of a locked tower, else the projection
  int32_t kernel; // tensor of the pair's projection; -1: none
  int32_t worked; // a backward has been: it takes part in the step
  mcli_pair_rows kept[MCLI_NETWORK_VIEWS], evaluated; // evaluated: of embed
} mcli_tower;

typedef struct mcli_pair {
  mcl_context *context;
  mcli_tower towers[2];
  mcli_network
      *own;      // no layers: projections and the temperature, with their optimiser and its steps
  int32_t dim;   // of the projections; 0: there are none
  int32_t scale; // tensor of log 1/tau; -1: none
  mcli_pair_rows gradient; // d loss / d rows of a tower
} mcli_pair;

mcl_status mcli_pair_save(void *pair, const char *path, mcl_error *err);
// Leaves the batch at work as it was; the caller gives it up.
mcl_status mcli_pair_load(mcli_pair *p, const char *path, mcl_error *err);

#endif
