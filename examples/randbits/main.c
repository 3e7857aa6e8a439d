// RandBits (Chen, Luo & Li 2021, "Intriguing Properties of Contrastive Losses", section 4 and figure 5a): images that carry b random bits,
// the same in both views. A contrastive network learns the bits and not the class, the more so the more bits there are.
// Does it learn the class in later stages?
//
// The network, the views, the loss and the optimiser are those of the publication, but for a batch of 1,000; the figures
// it reports are of a linear probe that learns beside the network ("online"). Its penalty of 1e-4 w^2 / 2 on a loss that is the sum
// of both directions is 2.5e-5 w^2 on ours, which is their mean: Adam does not see a factor before the whole.
#include "randbits.h"

#include <stdlib.h>

// ---- the data ------------------------------------------------------------------------------------------

typedef struct rows {
  mcl_dataset *dataset;
  int32_t *class_of, *code_of;
} rows;

static void rows_close(rows *r) {
  mcl_dataset_unref(r->dataset);
  free(r->class_of), free(r->code_of);
}

// A seeded draw of n rows of 0 .. all - 1, without repetition.
static int64_t *draw(int64_t all, int64_t n, uint64_t seed) {
  int64_t *order = malloc((size_t)all * sizeof *order);
  for (int64_t i = 0; order && i < all; i++) order[i] = i;
  for (int64_t i = 0; order && i < n; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    int64_t j = i + (int64_t)((seed >> 33) % (uint64_t)(all - i)), other = order[j];
    order[j] = order[i];
    order[i] = other;
  }
  return order;
}

static int take_rows(mcl_context *c, mcl_dataset *idx, long n, uint64_t seed, mcl_dataset **out) {
  int64_t all = mcl_dataset_rows(idx);
  if (n > all) return mcl_error_set(&err, MCL_E_INVALID, 0, "--rows is more than the file has");
  int64_t *order = draw(all, n, seed);
  if (!order) return out_of_memory();
  mcl_status s = mcl_dataset_create_subset(c, idx, order, n ? n : all, out, &err);
  free(order);
  return s;
}

static int rows_open(mcl_context *c, const char *images, const char *labels, long n, long bits,
                     uint64_t seed, rows *r) {
  mcl_dataset *idx = NULL, *some = NULL;
  mcl_status s = mcl_dataset_create_idx(c, images, labels, &idx, &err);
  if (s == MCL_OK) s = take_rows(c, idx, n, seed, &some);
  mcl_dataset_unref(idx);
  if (s == MCL_OK && bits) {
    s = mcl_dataset_create_randbits(c, some, (int32_t)bits, seed, &r->dataset, &err);
    mcl_dataset_unref(some);
  } else {
    r->dataset = some;
  }
  TRY(s);
  n = mcl_dataset_rows(r->dataset);
  r->class_of = calloc((size_t)n, sizeof *r->class_of);
  r->code_of = calloc((size_t)n, sizeof *r->code_of);
  if (!r->class_of || !r->code_of) return out_of_memory();
  TRY(mcl_dataset_labels(r->dataset, r->class_of, n, &err));
  return bits ? mcl_dataset_codes(r->dataset, r->code_of, n, &err) : 0;
}

// ---- the settings --------------------------------------------------------------------------------------

// Adam is left as it is: 1e-3, linear to 0.
typedef struct settings {
  mcl_optimiser_options optimiser;
  mcl_kmeans_options kmeans;
  mcl_sampler_options sampler;
  mcl_loss_options loss;
} settings;

static void set_network(mcl_cnn_options *n, settings *s, const mcl_array *image) {
  static const int32_t kernels[] = {3, 3, 3}, strides[] = {2, 2, 2};
  mcl_optimiser_options_init(&s->optimiser, sizeof s->optimiser);
  s->optimiser.weight_decay = 2.5e-5;
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

static void set_views(mcl_augmenter_options *v, long bits) {
  mcl_augmenter_options_init(v, sizeof *v);
  v->extra_channels = (int32_t)bits;
  v->crop_area_min = 0.5;
  v->clamped_crop = 1;
  v->flip = v->jitter = v->grey = v->blur = 0;
}

static void set_loop(mcl_multistage_options *m, settings *s, const options *o) {
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
  m->loss_kind = MCL_LOSS_INFO_NCE;
  m->schedule = MCL_SCHEDULE_LINEAR;
  m->kmeans = &s->kmeans;
  m->sampler = &s->sampler;
  m->loss = &s->loss;
}

static int32_t values_of(const int32_t *y, int64_t n) {
  int32_t most = 0;
  for (int64_t i = 0; i < n; i++) most = y[i] > most ? y[i] : most;
  return most + 1;
}

// ---- the run -------------------------------------------------------------------------------------------

static int write_json(const options *o, const experiment *x, const findings *f) {
  FILE *out = fopen(o->json, "w");
  if (!out) return mcl_error_set(&err, MCL_E_IO, 0, "the --json file cannot be written");
  fputs("{", out);
  experiment_json(x, f, out);
  fprintf(out, ",\"bits\":%ld}\n", o->bits);
  int failed = ferror(out) | fclose(out);
  return failed ? mcl_error_set(&err, MCL_E_IO, 0, "the --json file cannot be written whole") : 0;
}

static int run(mcl_context *c, const options *o, const rows *train, const rows *test) {
  settings s;
  findings f;
  mcl_array image;
  experiment x = {.context = c, .train = train->dataset, .test = test->dataset};
  TRY(mcl_dataset_shape(x.train, 0, &image, &err));
  x.extra_channels = (int32_t)o->bits;
  x.control = o->control;
  x.growth = o->growth;
  x.attributes[x.n_attributes++] =
      (attribute){.name = "class",
                  .train = train->class_of,
                  .test = test->class_of,
                  .linear = 1,
                  .values = values_of(train->class_of, mcl_dataset_rows(x.train))};
  if (o->bits)
    x.attributes[x.n_attributes++] = (attribute){.name = "bits",
                                                 .train = train->code_of,
                                                 .test = test->code_of,
                                                 .values = 1 << o->bits,
                                                 .linear = o->bits <= 6};
  set_network(&x.network, &s, &image);
  set_views(&x.views, o->bits);
  set_loop(&x.loop, &s, o);
  if (experiment_run(&x, &f) < 0) return -1;
  printf("%lld rows, %ld bits, temperature %g, %ld epochs, %ld clusters, seed %ld\n",
         (long long)mcl_dataset_rows(x.train), o->bits, o->temperature, o->epochs, o->clusters,
         o->seed);
  experiment_print(&x, &f);
  return o->json ? write_json(o, &x, &f) : 0;
}

int main(int argc, char **argv) {
  options o;
  int code = options_parse(&o, argc, argv);
  if (code) return code - 1;
  mcl_context_options co;
  mcl_context *c = NULL;
  rows train = {0}, test = {0};
  mcl_context_options_init(&co, sizeof co);
  co.threads = (uint32_t)o.threads;
  int s = mcl_context_create(&co, &c, &err);
  uint64_t seed = (uint64_t)o.seed * 2;
  if (s == MCL_OK) s = rows_open(c, o.images, o.labels, o.rows, o.bits, seed, &train);
  if (s == MCL_OK)
    s = rows_open(c, o.test_images, o.test_labels, o.test_rows, o.bits, seed + 1, &test);
  if (s == MCL_OK) s = run(c, &o, &train, &test);
  if (s < 0) fprintf(stderr, "randbits: %s\n", err.message);
  rows_close(&train), rows_close(&test);
  mcl_context_unref(c);
  return s < 0;
}
