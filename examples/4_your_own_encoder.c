// Your own encoder: libmcl drives, your network learns.
//
// A network is five callbacks in a table. This one is linear, z = W x; yours may live on a GPU or in
// another language. Its data are its own too: libmcl only says which rows it wants, by number.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/mcl.h>

enum { ROWS = 512, WIDTH = 12, DIM = 6, BATCH = 64, STAGES = 2 };

static float rows[ROWS][WIDTH];
static mcl_error err;

static void try(mcl_status status) {
  if (status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(status), err.message);
  if (status < 0) exit(1);
}

static float uniform(uint64_t s) { // -1 .. 1, a function of s
  s = (s * 0x9e3779b97f4a7c15u ^ s >> 30) * 0xbf58476d1ce4e5b9u;
  s = (s ^ s >> 27) * 0x94d049bb133111ebu;
  return (float)(s >> 40) / 8388608.0f - 1;
}

typedef struct network {
  float w[DIM][WIDTH], gradient[DIM][WIDTH];
  float seen[2][BATCH][WIDTH]; // what backward needs, of each view
} network;

// A view is a function of (row, epoch, view), so a run can be repeated to the bit.
static void look_at(const mcl_inputs *in, int64_t i, float *x) {
  for (int j = 0; j < WIDTH; j++) {
    uint64_t draw =
        (((uint64_t)in->indices[i] * 64 + (uint64_t)j) * 4096 + (uint64_t)in->epoch) * 2;
    x[j] = rows[in->indices[i]][j];
    if (in->view >= 0) x[j] += 0.3f * uniform(draw + (uint64_t)in->view + in->seed);
  }
}

static void multiply(const network *net, const float *x, float *z) {
  for (int d = 0; d < DIM; d++) {
    z[d] = 0;
    for (int j = 0; j < WIDTH; j++) z[d] += net->w[d][j] * x[j];
  }
}

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  float x[WIDTH], *z = out->data;
  for (int64_t i = 0; i < in->n; i++) {
    look_at(in, i, x);
    multiply(user, x, z + i * DIM);
  }
  return mcl_ok(e); // a callback that ends in anything else has failed
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  network *net = user;
  float *z = out->data;
  for (int64_t i = 0; i < in->n; i++) {
    look_at(in, i, net->seen[in->view][i]);
    multiply(net, net->seen[in->view][i], z + i * DIM);
  }
  return mcl_ok(e);
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad, mcl_error *e) {
  network *net = user;
  const float *g = grad->data;
  for (int64_t i = 0; i < in->n; i++)
    for (int d = 0; d < DIM; d++)
      for (int j = 0; j < WIDTH; j++)
        net->gradient[d][j] += g[i * DIM + d] * net->seen[in->view][i][j];
  return mcl_ok(e);
}

static mcl_status step(void *user, const mcl_step *s, mcl_error *e) {
  network *net = user;
  for (int d = 0; d < DIM; d++)
    for (int j = 0; j < WIDTH; j++) net->w[d][j] -= (float)s->learning_rate * net->gradient[d][j];
  memset(net->gradient, 0, sizeof net->gradient);
  return mcl_ok(e);
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  network *net = calloc(1, sizeof *net);
  if (!net) return mcl_error_set(e, MCL_E_NOMEM, 0, "no memory for a network");
  for (int i = 0; i < DIM * WIDTH; i++)
    net->w[i / WIDTH][i % WIDTH] = uniform(mcl_multistage_seed(7, stage) + (uint64_t)i) / 2;
  mcl_host_encoder table;
  mcl_struct_init(&table, sizeof table);
  table.user = net;
  table.dim = DIM;
  table.embed = embed;
  table.forward = forward;
  table.backward = backward;
  table.step = step;
  table.destroy = free;
  return mcl_encoder_create_host(user, &table, out, e);
}

int main(void) {
  mcl_context *context;
  mcl_dataset *dataset;
  mcl_multistage *loop;
  for (int i = 0; i < ROWS * WIDTH; i++) // each row leans to one of four corners
    rows[i / WIDTH][i % WIDTH] = uniform((uint64_t)i) + (i % WIDTH == i / WIDTH % 4 ? 3.0f : 0.0f);

  mcl_host_dataset counted; // neither shape nor load: the network has the data
  mcl_struct_init(&counted, sizeof counted);
  counted.rows = ROWS;
  counted.modalities = 1;
  mcl_sampler_options sampling;
  mcl_kmeans_options kmeans;
  mcl_multistage_options options;
  mcl_sampler_options_init(&sampling, sizeof sampling);
  mcl_kmeans_options_init(&kmeans, sizeof kmeans);
  mcl_multistage_options_init(&options, sizeof options);
  sampling.batch_rows = BATCH;
  kmeans.k = 4;
  options.stages = STAGES;
  options.learning_rate = 0.5;
  options.sampler = &sampling;
  options.kmeans = &kmeans;
  mcl_encoder_factory factory;
  mcl_struct_init(&factory, sizeof factory);
  factory.make = make;
  try(mcl_context_create(NULL, &context, &err));
  factory.user = context;
  try(mcl_dataset_create_host(context, &counted, &dataset, &err));
  try(mcl_multistage_create(context, &options, ROWS, NULL, &loop, &err));
  try(mcl_multistage_run(loop, dataset, NULL, &factory, NULL, &err));
  for (int32_t s = 0; s < STAGES; s++) {
    mcl_stage_report report;
    mcl_struct_init(&report, sizeof report);
    try(mcl_multistage_get_report(loop, s, 0, &report, &err));
    printf("stage %d: %d cells, loss %.2f, then %.2f\n", (int)s, (int)report.cells,
           report.loss_first, report.loss_last);
  }
  mcl_multistage_unref(loop);
  mcl_dataset_unref(dataset);
  mcl_context_unref(context);
}

/* Expected output:
 * stage 0: 1 cells, loss 3.42, then 3.32
 * stage 1: 4 cells, loss 3.98, then 3.25
 */
