#include "faults/run.h"

#include <stdlib.h>
#include <string.h>

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *err) {
  const tiny_run *r = user;
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = mcl_multistage_seed(9 + (uint64_t)(r->o.weights + (stage > 0 ? r->o.later : 0)), stage);
  o.inputs = TINY_SIDE * TINY_SIDE;
  o.hidden = 6, o.layers = 1, o.dim = TINY_STAGE_DIM, o.projection_dim = 4;
  return mcl_encoder_create_mlp(r->context, &o, out, err);
}

// Two facts in each image: a bright left or right half, and a bright top or bottom.
static uint8_t *pixels(void) {
  static uint8_t x[TINY_ROWS * TINY_SIDE * TINY_SIDE];
  for (int i = 0; x[0] == 0 && i < TINY_ROWS * TINY_SIDE * TINY_SIDE; i++) {
    int at = TINY_ROWS * TINY_SIDE * TINY_SIDE - 1 - i; // the first is the last to be filled
    int row = at / (TINY_SIDE * TINY_SIDE), y = at / TINY_SIDE % TINY_SIDE, k = at % TINY_SIDE;
    x[at] =
        (uint8_t)(40 + 120 * ((k < TINY_SIDE / 2) == (row % 2)) +
                  60 * ((y < TINY_SIDE / 2) == (row / 2 % 2)) + (row * 37 + y * 11 + k * 5) % 35);
  }
  return x;
}

void tiny_run_open(tiny_run *r, tiny_options o) {
  mcl_error err;
  memset(r, 0, sizeof *r);
  r->o = o;
  r->context = test_context(1);
  mcl_array a = mcl_images_u8(pixels(), TINY_ROWS, TINY_SIDE, TINY_SIDE, 1);
  CHECK_OK(mcl_dataset_create_array(r->context, &a, NULL, &r->dataset, &err));
  mcl_augmenter_options ao;
  mcl_augmenter_options_init(&ao, sizeof ao);
  CHECK_OK(mcl_augmenter_create(r->context, &ao, &r->augmenter, &err));
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options l;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&l, sizeof l);
  k.k = 3;
  s.batch_rows = 12;
  l.stages = TINY_STAGES, l.epochs = o.epochs ? o.epochs : 2, l.seed = 4;
  l.kmeans = &k, l.sampler = &s;
  l.save_directory = o.directory, l.save_every_steps = o.every;
  l.embedding_directory = o.embeddings;
  l.learning_rate = 0.01;
  CHECK_OK(mcl_multistage_create(r->context, &l, TINY_ROWS, NULL, &r->loop, &err));
}

mcl_status tiny_run_go(tiny_run *r, mcl_error *err) {
  mcl_encoder_factory f;
  mcl_struct_init(&f, sizeof f);
  f.user = r, f.make = make;
  return mcl_multistage_run(r->loop, r->dataset, r->augmenter, &f, NULL, err);
}

void tiny_run_close(tiny_run *r) {
  mcl_multistage_unref(r->loop);
  mcl_augmenter_unref(r->augmenter);
  mcl_dataset_unref(r->dataset);
  mcl_context_unref(r->context);
}

void tiny_run_take(tiny_run *r, tiny_result *out) {
  mcl_error err;
  mcl_integrator *g = NULL;
  mcl_sampler *s = NULL;
  memset(out, 0, sizeof *out);
  CHECK_OK(mcl_multistage_integrator(r->loop, &g, &err));
  mcl_array a = mcl_images_u8(pixels(), TINY_ROWS, TINY_SIDE, TINY_SIDE, 1);
  mcl_array z = mcl_matrix_f32(out->z, TINY_ROWS, TINY_DIM);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = TINY_ROWS, in.view = -1, in.data = &a;
  CHECK_OK(mcl_integrator_embed(g, &in, &z, &err));
  mcl_integrator_unref(g);
  for (int32_t i = 0; i < TINY_STAGES; i++) {
    CHECK_OK(mcl_multistage_labels(r->loop, i, 0, out->labels[i], TINY_ROWS, &err));
    mcl_struct_init(&out->reports[i], sizeof out->reports[i]);
    CHECK_OK(mcl_multistage_get_report(r->loop, i, 0, &out->reports[i], &err));
  }
  CHECK_OK(mcl_multistage_sampler(r->loop, &s, &err));
  CHECK_OK(mcl_sampler_cells(s, out->cells, TINY_ROWS, &err));
  mcl_sampler_unref(s);
}
