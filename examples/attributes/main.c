#include "attributes.h"

// Crops, and a little light and noise: a change of hue would destroy the colour, and blur the texture. The noise is what makes
// a faint image hard.
static void set_views(mcl_augmenter_options *v) {
  mcl_augmenter_options_init(v, sizeof *v);
  v->crop_area_min = 0.5;
  v->clamped_crop = 1;
  v->flip = v->grey = v->blur = 0;
  v->jitter = 1;
  v->brightness = 0.2;
  v->contrast = v->saturation = v->hue = 0;
  v->noise = 0.1;
}

static int run(mcl_context *c, const options *o, const rows *train, const rows *test) {
  static const char *const names[][4] = {{"first", "second"}, {"shape", "colour", "texture"}};
  experiment_settings s;
  findings f;
  char more[128];
  experiment x = {.context = c, .train = train->dataset, .test = test->dataset};
  for (int a = 0; names[o->data][a]; a++)
    experiment_know(&x, names[o->data][a], train->values[a], test->values[a], 1);
  set_views(&x.views);
  if (experiment_configure(&x, &s, &o->shared) < 0) return -1;
  if (experiment_run(&x, &f) < 0) return -1;
  printf("%s, %lld rows, temperature %g, %ld epochs, %ld clusters, seed %ld\n", data_names[o->data],
         (long long)train->n, o->shared.temperature, o->shared.epochs, o->shared.clusters,
         o->shared.seed);
  experiment_print(&x, &f);
  snprintf(more, sizeof more, "\"data\":\"%s\",\"distinct\":%ld,\"contrast\":%g",
           data_names[o->data], o->distinct, o->contrast);
  return experiment_write(&x, &o->shared, &f, more);
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
  if (s == 0) s = (o.data == DOMINOES ? dominoes_make : trifeature_make)(c, &o, &train, &test);
  if (s == 0) s = rows_wrap(c, &train);
  if (s == 0) s = rows_wrap(c, &test);
  if (s == 0) s = run(c, &o, &train, &test);
  if (s < 0) fprintf(stderr, "attributes: %s\n", err.message);
  rows_free(&train), rows_free(&test);
  mcl_context_unref(c);
  return s < 0;
}
