// A host that trains: its own network and loop, and libmcl says what comes next.
//
// This is all that a training loop has to do to become a multistage one: ask for the next event and
// carry it out. The network here is one matrix; put yours in the place of net_*.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <libmcl/mcl.h>

enum { ROWS = 512, WIDTH = 12, DIM = 6, BATCH = 64, STAGES = 2 };

// ---- the host's own network -------------------------------------------------------------------------

typedef struct net {
  float w[DIM][WIDTH], gradient[DIM][WIDTH], seen[2][BATCH][WIDTH];
} net;

static float uniform(void) { // -1 .. 1
  static uint64_t s = 1;
  s = s * 6364136223846793005u + 1442695040888963407u;
  return (float)(s >> 40) / 8388608.0f - 1;
}

static float rows[ROWS][WIDTH];

static void make_rows(void) { // each row leans to one of four corners
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < WIDTH; j++) rows[i][j] = uniform() + (j == i % 4 ? 3.0f : 0.0f);
}

static void net_begin(net *n) {
  for (int i = 0; i < DIM * WIDTH; i++) n->w[i / WIDTH][i % WIDTH] = uniform() / 2;
}

static void net_multiply(const net *n, const float *x, float *z) {
  for (int d = 0; d < DIM; d++) {
    z[d] = 0;
    for (int j = 0; j < WIDTH; j++) z[d] += n->w[d][j] * x[j];
  }
}

static void net_embed(const net *n, const int64_t *index, int64_t count, float *z) {
  for (int64_t i = 0; i < count; i++) net_multiply(n, rows[index[i]], z + i * DIM);
}

static void net_project(net *n, const int64_t *index, int64_t count, int view, float *z) {
  for (int64_t i = 0; i < count; i++) {
    float *x = n->seen[view][i];
    for (int j = 0; j < WIDTH; j++) x[j] = rows[index[i]][j] + 0.3f * uniform();
    net_multiply(n, x, z + i * DIM);
  }
}

static void net_learn(net *n, int view, const float *dz, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    for (int d = 0; d < DIM; d++)
      for (int j = 0; j < WIDTH; j++) n->gradient[d][j] += dz[i * DIM + d] * n->seen[view][i][j];
}

static void net_step(net *n, float rate) {
  for (int i = 0; i < DIM * WIDTH; i++)
    n->w[i / WIDTH][i % WIDTH] -= rate * n->gradient[i / WIDTH][i % WIDTH];
  memset(n->gradient, 0, sizeof n->gradient);
}

// ---- the loop --------------------------------------------------------------------------------------

#define TRY(call)                                                                                  \
  do {                                                                                             \
    if ((call) < 0) goto done;                                                                     \
  } while (0)

int main(void) {
  static net nets[STAGES];
  static float z[2][BATCH * DIM], dz[2][BATCH * DIM];
  int64_t indices[BATCH], cells[BATCH];
  mcl_error err;
  mcl_context *context = NULL;
  mcl_multistage *loop = NULL;
  double losses = 0;

  mcl_sampler_options sampling;
  mcl_kmeans_options kmeans;
  mcl_multistage_options options;
  mcl_sampler_options_init(&sampling, sizeof sampling);
  mcl_kmeans_options_init(&kmeans, sizeof kmeans);
  mcl_multistage_options_init(&options, sizeof options);
  sampling.batch_rows = BATCH;
  kmeans.k = 4;
  options.stages = STAGES;
  options.sampler = &sampling;
  options.kmeans = &kmeans;

  mcl_event event;
  mcl_batch batch;
  mcl_loss_inputs loss;
  mcl_loss_result result;
  mcl_struct_init(&event, sizeof event);
  mcl_struct_init(&batch, sizeof batch);
  mcl_struct_init(&loss, sizeof loss);
  mcl_struct_init(&result, sizeof result);
  batch.indices = indices;
  batch.cells = cells;
  loss.cells = cells;
  batch.capacity = BATCH;

  make_rows();
  TRY(mcl_context_create(NULL, &context, &err));
  TRY(mcl_multistage_create(context, &options, ROWS, NULL, &loop, &err));
  for (;;) {
    TRY(mcl_multistage_next(loop, NULL, &event, &batch, &err));
    if (event.kind == MCL_DONE) break;
    net *n = &nets[event.stage];
    if (event.kind == MCL_BEGIN_STAGE) net_begin(n);
    if (event.kind == MCL_EMBED_ROWS) {
      net_embed(n, indices, batch.n, z[0]);
      mcl_array rows_out = mcl_matrix_f32(z[0], batch.n, DIM);
      TRY(mcl_multistage_put_embeddings(loop, event.modality, indices, batch.n, &rows_out, &err));
    }
    if (event.kind == MCL_TRAIN_BATCH) {
      mcl_array Z[2], G[2];
      for (int v = 0; v < 2; v++) {
        net_project(n, indices, batch.n, v, z[v]);
        Z[v] = mcl_matrix_f32(z[v], batch.n, DIM);
        G[v] = mcl_matrix_f32(dz[v], batch.n, DIM);
      }
      loss.za = &Z[0], loss.zb = &Z[1], loss.dza = &G[0], loss.dzb = &G[1];
      TRY(mcl_loss_nt_xent(context, NULL, &loss, &result, &err));
      for (int v = 0; v < 2; v++) net_learn(n, v, dz[v], batch.n);
      net_step(n, 0.5f);
      losses = (batch.step ? losses : 0) + result.loss / (double)batch.steps;
    }
    if (event.kind == MCL_END_STAGE) printf("stage %d: loss %.2f\n", (int)event.stage, losses);
  }
done:
  if (err.status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(err.status), err.message);
  mcl_multistage_unref(loop);
  mcl_context_unref(context);
  return err.status < 0;
}

/* Expected output:
 * stage 0: loss 3.33
 * stage 1: loss 3.17
 */
