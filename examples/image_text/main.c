#include "clip.h"

#include <stdlib.h>

// Noise on all channels of the image, the bits' too; nothing else is changed.
static void set_views(mcl_augmenter_options *v) {
  mcl_augmenter_options_init(v, sizeof *v);
  v->crop_area_min = v->crop_area_max = v->crop_aspect_max = 1;
  v->flip = v->jitter = v->grey = v->blur = 0;
  v->noise = 0.05;
}

static int run_all(mcl_context *c, const options *o, const world *w) {
  run r = {.context = c, .o = o, .w = w};
  mcl_loss_options loss;
  pair_experiment x = {.context = c,
                       .o = &o->shared,
                       .sides = o->sides,
                       .ensemble = o->shared.control == ENSEMBLE,
                       .train = w->train.joined,
                       .test = w->test.joined,
                       .loss = &loss,
                       .schedule = MCL_SCHEDULE_CONSTANT,
                       .user = &r,
                       .make = make_pair,
                       .trained = tell_the_truth,
                       .judge = judge,
                       .judge_clusters = judge_clusters};
  const double began = now();
  set_views(&x.views);
  mcl_loss_options_init(&loss, sizeof loss);
  loss.temperature = o->shared.temperature;
  r.found.stages = (int)o->shared.stages;
  int s = o->shared.control == SHUFFLED ? draw_order(&r) : 0;
  if (s == 0) s = pair_run(&x);
  free(r.order);
  if (s < 0) return s;
  r.found.seconds = now() - began;
  outcome_print(o, w, &r.found);
  return outcome_write(o, w, &r.found);
}

static int run_world(mcl_context *c, const options *o) {
  world w = {0};
  int s = (o->data == FIGURES ? figures_make : classes_make)(c, o, &w);
  if (s == 0) s = captions_make(c, &w);
  if (s == 0) s = run_all(c, o, &w);
  world_free(&w);
  return s;
}

int main(int argc, char **argv) {
  options o;
  int code = options_parse(&o, argc, argv);
  if (code) return code - 1;
  mcl_context_options co;
  mcl_context *c = NULL;
  mcl_context_options_init(&co, sizeof co);
  co.threads = (uint32_t)o.shared.threads;
  int s = mcl_context_create(&co, &c, &err);
  if (s == 0) s = (o.clip ? clip_run : run_world)(c, &o);
  if (s < 0) fprintf(stderr, "image_text: %s\n", err.message);
  mcl_context_unref(c);
  return s < 0;
}
