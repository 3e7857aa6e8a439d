// A CLIP's file on its way to a pair: clip_file.c knows its names and shapes, clip.c makes the towers of it.
#ifndef MCL_ENCODER_CLIP_H
#define MCL_ENCODER_CLIP_H

#include "encoder/network.h"

typedef struct mcli_clip {
  mcl_context *context;
  const char *path;
  mcl_checkpoint *file;
  mcl_clip_options o;
  mcl_vit_options image;
  mcl_text_options text;
  int32_t dim;               // of the projections
  int32_t layers[2];         // blocks of each tower
  mcli_network *networks[2]; // until they are towers
  mcl_encoder *towers[2];
} mcli_clip;

// The layers of both towers, without weights, and the file held against them: each tensor is there, of its shape, and none
// besides.
mcl_status mcli_clip_build(mcli_clip *c, mcl_error *err);

// "visual.proj", "text_projection", "logit_scale".
enum { MCLI_CLIP_OWN = 3 };
extern const char *const mcli_clip_own[MCLI_CLIP_OWN];

// The numbers of a tower's tensor as the file sees them.
mcl_array mcli_clip_view(const mcli_param *t, float *numbers);

#endif
