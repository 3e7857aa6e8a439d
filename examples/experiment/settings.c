// What every experiment is trained with, so that their figures can stand beside each other: the network, optimiser and
// loss of Chen, Luo & Li (2021, "Intriguing Properties of Contrastive Losses", section 4).
#include "experiment.h"

// Their penalty of 1e-4 w^2 / 2 on a loss that is the sum of both directions is 2.5e-5 w^2 on ours, which is their mean: Adam
// does not see a factor before the whole. Adam is left as it is: 1e-3, linear to 0.
static void set_network(experiment *x, experiment_settings *s, const mcl_array *image) {
  static const int32_t kernels[] = {3, 3, 3}, strides[] = {2, 2, 2};
  mcl_optimiser_options_init(&s->optimiser, sizeof s->optimiser);
  s->optimiser.weight_decay = 2.5e-5;
  mcl_cnn_options *n = &x->network;
  mcl_cnn_options_init(n, sizeof *n); // filters 32, 64, 64; an embedding of 128
  n->height = (int32_t)image->shape[0];
  n->width = (int32_t)image->shape[1];
  n->channels = (int32_t)image->shape[2];
  n->kernels = kernels;
  n->strides = strides;
  n->batch_norm = 1;
  n->projection_hidden = 256;
  n->projection_dim = 64;
  n->optimiser = &s->optimiser;
}

mcl_status experiment_network(const experiment *x, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  if (x->encoder == NETWORK_CNN) {
    mcl_cnn_options o = x->network;
    o.seed = seed;
    return mcl_encoder_create_cnn(x->context, &o, out, e);
  }
  const image_network n = {.kind = x->encoder,
                           .seed = seed,
                           .height = x->network.height,
                           .width = x->network.width,
                           .channels = x->network.channels,
                           .optimiser = x->network.optimiser};
  return image_network_create(x->context, &n, out, e);
}

static void set_loop(mcl_multistage_options *m, experiment_settings *s,
                     const experiment_options *o) {
  mcl_kmeans_options_init(&s->kmeans, sizeof s->kmeans);
  mcl_sampler_options_init(&s->sampler, sizeof s->sampler);
  mcl_loss_options_init(&s->loss, sizeof s->loss);
  mcl_multistage_options_init(m, sizeof *m);
  s->kmeans.k = (int32_t)o->clusters;
  s->sampler.batch_rows = o->batch;
  s->sampler.batching = MCL_BATCH_PACKED; // batch norm wants batches of one size
  s->loss.temperature = o->temperature;
  m->seed = (uint64_t)o->seed;
  m->stages = (int32_t)o->stages;
  m->epochs = (int32_t)o->epochs;
  m->initial = o->initial;
  m->loss_kind = MCL_LOSS_INFO_NCE;
  m->schedule = MCL_SCHEDULE_LINEAR;
  m->kmeans = &s->kmeans;
  m->sampler = &s->sampler;
  m->loss = &s->loss;
}

int experiment_configure(experiment *x, experiment_settings *s, const experiment_options *o) {
  mcl_array image;
  TRY(mcl_dataset_shape(x->train, 0, &image, &err));
  x->control = o->control;
  x->growth = o->growth;
  x->head = o->head;
  x->encoder = o->encoder;
  set_network(x, s, &image);
  set_loop(&x->loop, s, o);
  return 0;
}

int experiment_write(const experiment *x, const experiment_options *o, const findings *f,
                     const char *more) {
  if (!o->json) return 0;
  FILE *out = json_open(o->json);
  if (!out) return -1;
  fputs("{", out);
  experiment_json(x, f, out);
  fprintf(out, ",%s}\n", more);
  return json_close(out);
}

static int32_t most(const int32_t *y, int64_t n) {
  int32_t highest = 0;
  for (int64_t i = 0; i < n; i++) highest = y[i] > highest ? y[i] : highest;
  return highest;
}

void experiment_know(experiment *x, const char *name, const int32_t *train, const int32_t *test,
                     int linear) {
  x->attributes[x->n_attributes++] =
      (attribute){.name = name,
                  .train = train,
                  .test = test,
                  .values = most(train, mcl_dataset_rows(x->train)) + 1,
                  .linear = linear};
}
