// What is trained, and in which views.
#include "discover.h"

// ---- networks -----------------------------------------------------------------------------------

// Of pairs without a head: the embeddings of both towers are what is matched.
static mcl_status make_image(const run *r, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  const data *d = &r->data;
  const image_network n = {.kind = r->o->encoder,
                           .seed = seed,
                           .height = d->height,
                           .width = d->width,
                           .channels = d->channels,
                           .headless = r->o->pairs};
  return image_network_create(r->context, &n, out, e);
}

mcl_status make_encoder(const run *r, unsigned long long seed, int32_t stage, mcl_encoder **out,
                        mcl_error *e) {
  const uint64_t of_stage = mcl_multistage_seed(seed, stage);
  if (!r->o->pairs) return make_image(r, of_stage, out, e);
  mcl_encoder *image = NULL;
  mcl_status s = make_image(r, of_stage, &image, e);
  if (s < 0) return s;
  return pairs_towers(r->context, &r->data.sizes, of_stage, r->o->temperature, image, out, e);
}

// ---- views --------------------------------------------------------------------------------------

// Grey images: a square crop, brightness and noise. Colour: SimCLR's colour changes at half
// strength besides, and flips.
static void view_images(const run *r, mcl_augmenter_options *a) {
  a->extra_channels = r->o->randbits;
  a->crop_area_min = 0.36;
  a->crop_aspect_max = 1;
  a->crop_size = MCL_CROP_UNIFORM_SIDE;
  a->noise = 0.05;
  a->blur = 0;
  a->brightness = 0.4;
  if (r->data.image_channels == 1) {
    a->flip = a->grey = a->contrast = a->saturation = a->hue = 0;
    a->jitter = 1;
    a->unclamped_brightness = 1; // white clothes would lose their pattern
  } else {
    a->crop_area_min = 0.2;
    a->contrast = a->saturation = 0.4;
    a->hue = 0.1;
  }
}

// Crops alone: captions speak of colours, and of left and right.
static void view_pairs(mcl_augmenter_options *a) {
  a->crop_area_min = 0.6;
  a->flip = a->jitter = a->grey = a->blur = 0;
}

int make_augmenter(run *r) {
  mcl_augmenter_options a;
  mcl_augmenter_options_init(&a, sizeof a);
  if (r->o->pairs)
    view_pairs(&a);
  else
    view_images(r, &a);
  return mcl_augmenter_create(r->context, &a, &r->augmenter, &err);
}
