// Two towers as one encoder, with a temperature that is learnt; and the loop over them.
#include "captions.h"

enum { TOWER_DIM = 64 };

static mcl_status make_image(const training *t, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  // From 64 x 64 to 4 x 4: with a side twice as long the dense layer behind them would have four
  // fifths of all weights.
  static const int32_t filters[] = {32, 64, 64, 64}, kernels[] = {3, 3, 3, 3};
  static const int32_t strides[] = {2, 2, 2, 2};
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.seed = seed;
  o.height = o.width = SIDE, o.channels = 3;
  o.layers = 4, o.filters = filters, o.kernels = kernels, o.strides = strides;
  o.dim = TOWER_DIM, o.projection_dim = 0;
  return mcl_encoder_create_cnn(t->context, &o, out, e);
}

static mcl_status make_text(const training *t, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o); // embeddings of 64 numbers, one hidden layer of 128
  o.seed = seed;
  o.vocabulary = t->w->vocabulary, o.context = t->w->context, o.padding = t->w->padding;
  o.dim = TOWER_DIM;
  return mcl_encoder_create_bag(t->context, &o, out, e);
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  training *t = user;
  mcl_encoder *image = NULL, *text = NULL;
  const uint64_t seed = mcl_multistage_seed(t->seed, stage);
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.temperature = t->o->shared.temperature;
  mcl_status s = make_image(t, seed, &image, e);
  if (s == MCL_OK) s = make_text(t, ~seed, &text, e);
  if (s == MCL_OK) s = mcl_encoder_create_pair(t->context, &o, image, text, out, e);
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  if (s < 0) return s;
  mcl_encoder_unref(t->last);
  t->last = mcl_encoder_ref(*out);
  return mcl_ok(e);
}

// Crops alone: captions speak of colours, and of left and right.
static int make_augmenter(const training *t, mcl_augmenter **out) {
  mcl_augmenter_options o;
  mcl_augmenter_options_init(&o, sizeof o);
  o.crop_area_min = 0.6;
  o.flip = o.jitter = o.grey = o.blur = 0;
  return mcl_augmenter_create(t->context, &o, out, &err);
}

static int make_loop(training *t, int stages) {
  const experiment_options *shared = &t->o->shared;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options m;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&m, sizeof m); // Adam's rate is 1e-3 at first
  k.k = (int32_t)shared->clusters;
  s.batch_rows = shared->batch;
  s.batching = MCL_BATCH_PACKED;
  m.seed = t->seed;
  m.stages = stages;
  m.epochs = (int32_t)shared->epochs;
  m.modalities = 2;
  m.cluster_modalities = (uint32_t)t->o->sides + 1; // image: 1, text: 2, both: 3
  m.loss_kind = MCL_LOSS_INFO_NCE;
  m.schedule = MCL_SCHEDULE_LINEAR;
  m.growth = 1; // weights come later
  m.kmeans = &k, m.sampler = &s;
  return mcl_multistage_create(t->context, &m, t->w->train.n, NULL, &t->loop, &err);
}

int train(training *t, int stages) {
  mcl_augmenter *a = NULL;
  mcl_encoder_factory f;
  mcl_monitor m;
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&m, sizeof m);
  f.user = t;
  f.make = make;
  m.progress = experiment_progress;
  int s = make_augmenter(t, &a);
  if (s == 0) s = make_loop(t, stages);
  if (s == 0) s = mcl_multistage_run(t->loop, t->w->train.joined, a, &f, &m, &err);
  mcl_augmenter_unref(a);
  return s;
}

void training_end(training *t) {
  mcl_encoder_unref(t->last);
  mcl_multistage_unref(t->loop);
  t->last = NULL, t->loop = NULL;
}
