// Networks at work: a training step (two views forward, both backward, one step of Adam) and
// embedding. The fastest of 80 calls, of the two larger networks of 5; an image is one view of one
// row.
#include <stdlib.h>
#include <string.h>

#include <libmcl/encoder.h>

#include "bench.h"

enum { TIMES = 80, TIMES_LARGE = 5 };

static mcl_error err;

// ---- what is timed ------------------------------------------------------------------------------

// One network and the rows that it is given.
typedef struct work {
  const char *name;
  int32_t rows, side, channels; // of one view
  int large;
  mcl_status (*make)(mcl_context *c, const struct work *w, mcl_encoder **out);
} work;

typedef struct batch {
  mcl_encoder *encoder;
  mcl_inputs in;
  mcl_array data, out, grad;
} batch;

static void step(void *user) {
  batch *b = user;
  for (b->in.view = 0; b->in.view < 2; b->in.view++)
    bench_check(mcl_encoder_forward(b->encoder, &b->in, &b->out, &err), &err);
  for (b->in.view = 0; b->in.view < 2; b->in.view++)
    bench_check(mcl_encoder_backward(b->encoder, &b->in, &b->grad, &err), &err);
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 1e-5;
  bench_check(mcl_encoder_step(b->encoder, &s, &err), &err);
}

static void embed(void *user) {
  batch *b = user;
  mcl_array out = mcl_matrix_f32(b->out.data, b->in.n, mcl_encoder_dim(b->encoder));
  for (b->in.view = 0; b->in.view < 2; b->in.view++)
    bench_check(mcl_encoder_embed(b->encoder, &b->in, &out, &err), &err);
}

static void run_batch(const work *w, const bench_case *c, mcl_encoder *e, void (*call)(void *)) {
  int32_t outputs = mcl_encoder_projection_dim(e), dim = mcl_encoder_dim(e);
  int64_t inputs = (int64_t)w->rows * w->side * w->side * w->channels;
  int64_t wide = (int64_t)w->rows * (outputs > dim ? outputs : dim);
  float *x = bench_alloc(inputs, sizeof *x), *z = bench_alloc(wide, sizeof *z),
        *g = bench_alloc(wide, sizeof *g);
  for (int64_t i = 0; i < inputs; i++) x[i] = (float)(i * 7919 % 1000) / 1000;
  for (int64_t i = 0; i < wide; i++) g[i] = (float)((int)(i % 17) - 8) * 1e-4F;
  batch b = {.encoder = e,
             .data = mcl_images_f32(x, w->rows, w->side, w->side, w->channels),
             .out = mcl_matrix_f32(z, w->rows, outputs),
             .grad = mcl_matrix_f32(g, w->rows, outputs)};
  mcl_struct_init(&b.in, sizeof b.in);
  b.in.n = w->rows;
  b.in.data = &b.data;
  bench_result r = bench_fastest(c, w->large ? TIMES_LARGE : TIMES, call, &b);
  bench_line(c, &r, ",\"images_per_s\":%.0f", 2e3 * w->rows / r.ms);
  free(x), free(z), free(g);
}

// ---- the networks -------------------------------------------------------------------------------

static mcl_status make_cnn(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = o.width = w->side;
  o.channels = w->channels;
  o.batch_norm = strcmp(w->name, "small-cnn") != 0;
  return mcl_encoder_create_cnn(c, &o, out, &err);
}

static mcl_status make_mlp(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = w->side * w->side * w->channels;
  o.hidden = 512;
  return mcl_encoder_create_mlp(c, &o, out, &err);
}

static mcl_status make_resnet(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.height = o.width = w->side;
  o.channels = w->channels;
  o.stem = MCL_STEM_CIFAR;
  return mcl_encoder_create_resnet(c, &o, out, &err);
}

static mcl_status make_vit(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.height = o.width = w->side;
  o.channels = w->channels;
  o.patch = 4, o.embed = 192, o.layers = 6, o.heads = 3;
  o.gelu = MCL_GELU, o.pre_norm = 0;
  return mcl_encoder_create_vit(c, &o, out, &err);
}

static const work works[] = {{"small-cnn", 256, 14, 5, 0, make_cnn},
                             {"small-cnn-batch-norm", 256, 14, 5, 0, make_cnn},
                             {"mlp", 256, 14, 5, 0, make_mlp},
                             {"resnet18-cifar", 64, 32, 3, 1, make_resnet},
                             {"vit-4-192-6", 64, 32, 3, 1, make_vit}};

static void run(const char *name, void (*call)(void *)) {
  for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
    bench_case c;
    if (!bench_wanted(&c, name, "%s", works[i].name)) continue;
    mcl_context *context = bench_context(&c);
    mcl_encoder *e;
    bench_check(works[i].make(context, &works[i], &e), &err);
    run_batch(&works[i], &c, e, call);
    mcl_encoder_unref(e);
    mcl_context_unref(context);
  }
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  run("train", step);
  run("embed", embed);
  return 0;
}
