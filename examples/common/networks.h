// Networks of images by the name that --encoder has for them, of sizes that a processor trains in
// minutes.
#ifndef COMMON_NETWORKS_H
#define COMMON_NETWORKS_H

#include "common.h"

enum { NETWORK_CNN, NETWORK_RESNET18, NETWORK_VIT, NETWORK_MLP };
extern const char *const network_names[]; // in this order; NULL at the end
extern const char *const initial_names[]; // of MCL_INITIAL_..., for --initial; NULL at the end

typedef struct image_network {
  int kind; // NETWORK_...
  uint64_t seed;
  int32_t height, width, channels;
  int headless;                           // of pairs: the embedding itself is matched
  const mcl_optimiser_options *optimiser; // NULL: the defaults
} image_network;

mcl_status image_network_create(mcl_context *c, const image_network *n, mcl_encoder **out,
                                mcl_error *e);

#endif
