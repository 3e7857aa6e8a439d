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

enum { MCLI_CLIP_NAME = 96, MCLI_CLIP_OWN = 3 };
// Tensors of a network in front of those that the file has: the scale of pixels.
int32_t mcli_clip_skipped(int m);
// What the i-th tensor of tower m is called in the file, counted behind those.
void mcli_clip_name(const mcli_clip *c, int m, int32_t i, char name[MCLI_CLIP_NAME]);
// "visual.proj", "text_projection", "logit_scale".
extern const char *const mcli_clip_own[MCLI_CLIP_OWN];

// Where the axes of a tensor lie in another order, and the shape that it has in the file.
typedef enum {
  MCLI_CLIP_PLAIN,
  MCLI_CLIP_DENSE,
  MCLI_CLIP_PATCHES,
  MCLI_CLIP_CLASS
} mcli_clip_layout;
mcli_clip_layout mcli_clip_layout_of(const mcli_param *t);
mcl_array mcli_clip_shape(const mcli_param *t);

#endif
