// RandBits (Chen, Luo & Li 2021, "Intriguing Properties of Contrastive Losses", section 4 and figure 5a): images that carry b random bits,
// the same in both views. A contrastive network learns the bits and not the class, the more so the more bits there are.
// Does it learn the class in later stages?
//
// The network, the views, the loss and the optimiser are close to the publication's (experiment/settings.c), --published gets
// closer; the figures it reports are of a linear probe that learns beside the network ("online").
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
  if (n > all)
    return mcl_error_set(&err, MCL_E_INVALID, 0, "--rows or --test-rows is more than the file has");
  int64_t *order = draw(all, n, seed);
  if (!order) return out_of_memory();
  mcl_status s = mcl_dataset_create_subset(c, idx, order, n ? n : all, out, &err);
  free(order);
  return s;
}

static mcl_status open_images(mcl_context *c, const char *images, const char *labels, long size,
                              mcl_dataset **out) {
  mcl_dataset *idx = NULL;
  mcl_status s = mcl_dataset_create_idx(c, images, labels, size ? &idx : out, &err);
  if (s < 0 || !size) return s;
  s = mcl_dataset_create_resized(c, idx, (int32_t)size, (int32_t)size, MCL_FILTER_BOX, out, &err);
  mcl_dataset_unref(idx);
  return s;
}

// The first file's images; n of them, of the run's bits and size.
static int rows_open(mcl_context *c, const options *o, const char *images, const char *labels,
                     long n, uint64_t seed, rows *r) {
  mcl_dataset *idx = NULL, *some = NULL;
  long bits = o->bits;
  mcl_status s = open_images(c, images, labels, o->size, &idx);
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

// ---- the run -------------------------------------------------------------------------------------------

static void set_views(mcl_augmenter_options *v, long bits) {
  mcl_augmenter_options_init(v, sizeof *v);
  v->extra_channels = (int32_t)bits;
  v->crop_area_min = 0.5;
  v->clamped_crop = 1;
  v->flip = v->jitter = v->grey = v->blur = 0;
}

// As the authors' program has it: convolutions without padding, so that the dense layer sees 2 x 2 pixels and not 4 x 4; 1e-4 sum w^2
// on a loss that is the sum of both directions, where ours is their mean; Keras's initial weights, and its epsilon for Adam;
// crops as TensorFlow draws them.
static void set_published(experiment *x, experiment_settings *s) {
  x->views.crop_size = MCL_CROP_UNIFORM_HEIGHT;
  x->network.padding = MCL_PADDING_VALID;
  x->network.init = MCL_INIT_GLOROT;
  s->optimiser.weight_decay = 5e-5;
  s->optimiser.epsilon = 1e-7;
}

static int run(mcl_context *c, const options *o, const rows *train, const rows *test) {
  experiment_settings s;
  findings f;
  char bits[32];
  experiment x = {.context = c, .train = train->dataset, .test = test->dataset};
  x.extra_channels = (int32_t)o->bits;
  experiment_know(&x, "class", train->class_of, test->class_of, 1);
  if (o->bits) experiment_know(&x, "bits", train->code_of, test->code_of, o->bits <= 6);
  set_views(&x.views, o->bits);
  if (experiment_configure(&x, &s, &o->shared) < 0) return -1;
  if (o->published) set_published(&x, &s);
  if (experiment_run(&x, &f) < 0) return -1;
  printf("%lld rows, %ld bits, temperature %g, %ld epochs, %ld clusters, seed %ld\n",
         (long long)mcl_dataset_rows(x.train), o->bits, o->shared.temperature, o->shared.epochs,
         o->shared.clusters, o->shared.seed);
  experiment_print(&x, &f);
  snprintf(bits, sizeof bits, "\"bits\":%ld", o->bits);
  return experiment_write(&x, &o->shared, &f, bits);
}

int main(int argc, char **argv) {
  options o;
  int code = options_parse(&o, argc, argv);
  if (code) return code - 1;
  mcl_context_options co;
  mcl_context *c = NULL;
  rows train = {0}, test = {0};
  mcl_context_options_init(&co, sizeof co);
  co.threads = (uint32_t)o.shared.threads;
  int s = mcl_context_create(&co, &c, &err);
  uint64_t seed = (uint64_t)o.shared.seed * 2;
  if (s == MCL_OK) s = rows_open(c, &o, o.images, o.labels, o.shared.rows, seed, &train);
  if (s == MCL_OK)
    s = rows_open(c, &o, o.test_images, o.test_labels, o.shared.test_rows, seed + 1, &test);
  if (s == MCL_OK) s = run(c, &o, &train, &test);
  if (s < 0) fprintf(stderr, "randbits: %s\n", err.message);
  rows_close(&train), rows_close(&test);
  mcl_context_unref(c);
  return s < 0;
}
