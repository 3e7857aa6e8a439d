// Two stages by hand: an encoder learns what is easiest, and a second one, trained inside its
// clusters, the rest.
//
// Each row has a loud fact, one of 64 codes that no view disturbs, and a quiet one, one of 4 shapes
// under noise. The code alone tells rows of a batch apart, so the first encoder stops there: the
// quiet fact is suppressed. The second sees negatives of its anchor's own cluster only, which share
// the code, and has to look at the shapes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <libmcl/mcl.h>

// mcl_multistage_run() does what main() and train() do here.
enum { TRAIN = 1024, TEST = 256, ROWS = TRAIN + TEST, BITS = 6, QUIET = 12, WIDTH = BITS + QUIET };
enum { STAGES = 2, EPOCHS = 30, BATCH = 128, DIM = 16, PROJECTION = 8, CODES = 1 << BITS };

static int32_t code[ROWS], shape[ROWS], labels[TRAIN];
static float rows[ROWS][WIDTH], embeddings[ROWS][DIM];
static mcl_context *context;
static mcl_error err;

static void try(mcl_status status) {
  if (status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(status), err.message);
  if (status < 0) exit(1);
}

static float uniform(void) { // -1 .. 1
  static uint64_t s = 1;
  s = s * 6364136223846793005u + 1442695040888963407u;
  return (float)(s >> 40) / 8388608.0f - 1;
}

static void make_rows(void) {
  float shapes[4][QUIET];
  for (int i = 0; i < 4 * QUIET; i++) shapes[i / QUIET][i % QUIET] = uniform() < 0 ? -0.5f : 0.5f;
  for (int i = 0; i < ROWS; i++) {
    code[i] = (int32_t)((uniform() + 1) / 2 * CODES);
    shape[i] = (int32_t)((uniform() + 1) / 2 * 4);
    for (int j = 0; j < BITS; j++) rows[i][j] = code[i] >> j & 1 ? 1.5f : -1.5f;
    for (int j = 0; j < QUIET; j++) rows[i][BITS + j] = shapes[shape[i]][j] + uniform();
  }
}

// One step on a batch of two views. A view keeps the code as it is and shakes the shape.
static void train_on(mcl_encoder *encoder, const mcl_batch *batch) {
  static float x[2][BATCH][WIDTH], z[2][BATCH * PROJECTION];
  mcl_array data[2], projection[2];
  mcl_inputs in[2];
  for (int v = 0; v < 2; v++) {
    for (int64_t i = 0; i < batch->n; i++)
      for (int j = 0; j < WIDTH; j++)
        x[v][i][j] = rows[batch->indices[i]][j] + (j < BITS ? 0 : uniform());
    data[v] = mcl_matrix_f32(x[v][0], batch->n, WIDTH);
    projection[v] = mcl_matrix_f32(z[v], batch->n, PROJECTION);
    mcl_struct_init(&in[v], sizeof in[v]);
    in[v].data = &data[v];
    in[v].n = batch->n;
    in[v].view = v;
    try(mcl_encoder_forward(encoder, &in[v], &projection[v], &err));
  }
  mcl_loss_inputs loss;
  mcl_loss_result result;
  mcl_struct_init(&loss, sizeof loss);
  mcl_struct_init(&result, sizeof result);
  loss.za = loss.dza = &projection[0]; // each gradient takes the place of its projection
  loss.zb = loss.dzb = &projection[1];
  loss.cells = batch->cells;
  try(mcl_loss_nt_xent(context, NULL, &loss, &result, &err));
  for (int v = 0; v < 2; v++) try(mcl_encoder_backward(encoder, &in[v], &projection[v], &err));
  mcl_step step = {.struct_size = sizeof step, .learning_rate = 3e-3};
  try(mcl_encoder_step(encoder, &step, &err));
}

static void train(const mcl_sampler *sampler, mcl_encoder *encoder) {
  int64_t indices[BATCH], cells[BATCH];
  mcl_batch batch;
  mcl_struct_init(&batch, sizeof batch);
  batch.indices = indices;
  batch.cells = cells;
  batch.capacity = BATCH;
  for (int32_t epoch = 0; epoch < EPOCHS; epoch++)
    for (int64_t step = 0; step < mcl_sampler_steps(sampler); step++) {
      try(mcl_sampler_batch(sampler, epoch, step, &batch, &err));
      train_on(encoder, &batch);
    }
  mcl_array x = mcl_matrix_f32(rows[0], ROWS, WIDTH);
  mcl_array z = mcl_matrix_f32(embeddings[0], ROWS, DIM);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.data = &x;
  in.n = ROWS;
  in.view = -1;
  try(mcl_encoder_embed(encoder, &in, &z, &err));
}

// The share of held-out rows that their nearest training rows vote for rightly.
static double probe(const int32_t *fact) {
  mcl_array known = mcl_matrix_f32(embeddings[0], TRAIN, DIM);
  mcl_array asked = mcl_matrix_f32(embeddings[TRAIN], TEST, DIM);
  mcl_probe_result r;
  mcl_struct_init(&r, sizeof r);
  try(mcl_probe_knn(context, NULL, &known, fact, &asked, fact + TRAIN, NULL, &r, &err));
  return r.value;
}

int main(void) {
  mcl_sampler *sampler;
  mcl_clusterer *clusterer;
  mcl_sampler_options sampling;
  mcl_kmeans_options kmeans;
  mcl_mlp_options mlp;
  make_rows();
  mcl_sampler_options_init(&sampling, sizeof sampling);
  mcl_kmeans_options_init(&kmeans, sizeof kmeans);
  mcl_mlp_options_init(&mlp, sizeof mlp);
  sampling.batch_rows = BATCH;
  kmeans.k = CODES;
  mlp.inputs = WIDTH;
  mlp.hidden = 64;
  mlp.dim = DIM;
  mlp.projection_dim = PROJECTION;
  try(mcl_context_create(NULL, &context, &err));
  try(mcl_sampler_create(context, &sampling, TRAIN, 0, 1, &sampler, &err));
  try(mcl_clusterer_create_kmeans(context, &kmeans, NULL, &clusterer, &err));
  for (int32_t stage = 0; stage < STAGES; stage++) {
    mcl_encoder *encoder;
    mlp.seed = mcl_multistage_seed(0, stage);
    try(mcl_encoder_create_mlp(context, &mlp, &encoder, &err));
    train(sampler, encoder);
    printf("stage %d: code %.2f, shape %.2f\n", (int)stage, probe(code), probe(shape));
    mcl_rows all;
    mcl_array z = mcl_matrix_f32(embeddings[0], TRAIN, DIM);
    mcl_struct_init(&all, sizeof all);
    all.array = &z;
    try(mcl_clusterer_fit(clusterer, &all, NULL, &err));
    try(mcl_clusterer_assign(clusterer, &all, NULL, labels, NULL, &err));
    try(mcl_sampler_add_labels(sampler, stage, labels, TRAIN, &err));
    mcl_encoder_unref(encoder);
  }
  mcl_clusterer_unref(clusterer);
  mcl_sampler_unref(sampler);
  mcl_context_unref(context);
}

/* Expected output:
 * stage 0: code 0.95, shape 0.28
 * stage 1: code 0.07, shape 0.93
 */
