// A training step of the built-in networks: two views of 256 rows forward, both backward, one step.
// Prints a JSON line a case with the fastest of N steps; an image is one view of one row.
//
//   bench_train [threads [N]]
//
// By default on 1 and on 2 threads, N = 80.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libmcl/encoder.h>

enum { ROWS = 256, SIDE = 14, CHANNELS = 5, INPUTS = SIDE * SIDE * CHANNELS };

static int steps = 80;

static mcl_error err;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int one_step(mcl_encoder *e, const mcl_array *data, float *z, float *g) {
  int32_t outputs = mcl_encoder_projection_dim(e);
  mcl_array out = mcl_matrix_f32(z, ROWS, outputs), grad = mcl_matrix_f32(g, ROWS, outputs);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = ROWS;
  in.data = data;
  for (in.view = 0; in.view < 2; in.view++)
    if (mcl_encoder_forward(e, &in, &out, &err) < 0) return 0;
  for (in.view = 0; in.view < 2; in.view++)
    if (mcl_encoder_backward(e, &in, &grad, &err) < 0) return 0;
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 1e-5;
  return mcl_encoder_step(e, &s, &err) == MCL_OK;
}

static int bench(const char *name, uint32_t threads, mcl_encoder *e) {
  int32_t outputs = mcl_encoder_projection_dim(e);
  float *x = malloc(ROWS * INPUTS * sizeof *x), *z = malloc((size_t)ROWS * outputs * sizeof *z),
        *g = malloc((size_t)ROWS * outputs * sizeof *g);
  if (!x || !z || !g) return 0;
  for (int i = 0; i < ROWS * INPUTS; i++) x[i] = (float)(i * 7919L % 1000) / 1000;
  for (int i = 0; i < ROWS * outputs; i++) g[i] = (float)(i % 17 - 8) * 1e-4F;
  mcl_array data = mcl_images_f32(x, ROWS, SIDE, SIDE, CHANNELS);
  double best = 1e9;
  for (int i = 0; i < steps; i++) {
    double began = now();
    if (!one_step(e, &data, z, g)) return 0;
    double took = now() - began;
    if (took < best) best = took;
  }
  printf("{\"bench\":\"train\",\"case\":\"%s\",\"threads\":%u,\"ours_ms\":%.2f,"
         "\"images_per_s\":%.0f}\n",
         name, threads, best * 1e3, 2 * ROWS / best);
  free(x);
  free(z);
  free(g);
  return 1;
}

static int bench_cnn(mcl_context *c, uint32_t threads, uint32_t batch_norm) {
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = o.width = SIDE;
  o.channels = CHANNELS;
  o.batch_norm = batch_norm;
  mcl_encoder *e = NULL;
  int fine = mcl_encoder_create_cnn(c, &o, &e, &err) == MCL_OK &&
             bench(batch_norm ? "small-cnn-batch-norm" : "small-cnn", threads, e);
  mcl_encoder_unref(e);
  return fine;
}

static int bench_mlp(mcl_context *c, uint32_t threads) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = INPUTS;
  o.hidden = 512;
  mcl_encoder *e = NULL;
  int fine = mcl_encoder_create_mlp(c, &o, &e, &err) == MCL_OK && bench("mlp", threads, e);
  mcl_encoder_unref(e);
  return fine;
}

int main(int argc, char **argv) {
  uint32_t only = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
  int fine = 1;
  if (argc > 2) steps = atoi(argv[2]);
  if (only > 1024 || steps < 1) return 2;
  for (uint32_t threads = only ? only : 1; fine && threads <= (only ? only : 2); threads++) {
    mcl_context_options o;
    mcl_context_options_init(&o, sizeof o);
    o.threads = threads;
    mcl_context *c = NULL;
    fine = mcl_context_create(&o, &c, &err) == MCL_OK && bench_cnn(c, threads, 0) &&
           bench_cnn(c, threads, 1) && bench_mlp(c, threads);
    mcl_context_unref(c);
  }
  if (!fine) fprintf(stderr, "%s\n", err.message);
  return !fine;
}
