// Pull over MPI: libmcl says what comes next and clusters over all ranks; each step is made here, by hand, on images that are made up.
//
//   mpirun -n 3 mpi_by_hand
//
// train.c leaves the steps to mcl_multistage_run(). A step over ranks is, on every rank, also on one without rows of the batch:
//
//   forward               this rank's rows
//   MPI_Allgatherv        all projections, since a row's negatives are on every rank
//   loss                  this rank's anchors among all rows: a sum, and its gradient by all rows
//   MPI_Allreduce         the loss and that gradient
//   backward              this rank's rows of it
//   sum_gradients, step   all ranks' weights move alike
#include <stdio.h>

#include <libmcl/mcl.h>
#include <libmcl/mpi.h>

enum { ROWS = 2500, SIDE = 14, PIXELS = SIDE * SIDE, KINDS = 4 };
enum { STAGES = 2, EPOCHS = 2, BATCH = 256, DIM = 32, WIDTH = 16, RANKS = 64 };

static mcl_context *context;
static mcl_comm *comm;
static mcl_error err;
static int rank, ranks;

// What fails on one rank between two COLLECTIVE calls the others do not hear of: they would wait for it.
static void try(mcl_status status) {
  if (status == MCL_OK) return;
  fprintf(stderr, "%s: %s\n", mcl_status_name(status), err.message);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

// -1 .. 1, a function of its arguments alone: a view is the same on whichever rank it is made.
static float noise(int64_t row, uint64_t draw, int pixel) {
  uint64_t s = ((uint64_t)row * 1024 + draw) * PIXELS + (uint64_t)pixel;
  s = (s ^ s >> 31) * 0x7fb5d329728ea185;
  s = (s ^ s >> 27) * 0x81dadef4bc2dd44d;
  return (float)((s ^ s >> 33) >> 40) / 8388608 - 1;
}

// Rows are of four kinds, bright in one quarter each, and have dots of their own.
static void make_views(const int64_t *rows, int64_t n, uint64_t draw, float *x) {
  for (int64_t i = 0; i < n; i++)
    for (int p = 0; p < PIXELS; p++) {
      int quarter = p / (PIXELS / 2) * 2 + p % SIDE / (SIDE / 2);
      float own = noise(rows[i], 0, p) > 0.8f ? 1.0f : 0.0f;
      x[i * PIXELS + p] =
          own + (quarter == rows[i] % KINDS ? 1.0f : 0.0f) + 0.3f * noise(rows[i], draw, p);
    }
}

static mcl_encoder *make_encoder(int32_t stage) {
  mcl_encoder *encoder;
  mcl_optimiser_options sgd;
  mcl_cnn_options o;
  mcl_optimiser_options_init(&sgd, sizeof sgd);
  mcl_cnn_options_init(&o, sizeof o);
  sgd.kind = MCL_SGD;
  o.optimiser = &sgd;
  o.seed = mcl_multistage_seed(0, stage); // the same on every rank
  o.height = o.width = SIDE;
  o.channels = 1;
  o.dim = DIM;
  o.projection_dim = WIDTH;
  try(mcl_encoder_create_cnn(context, &o, &encoder, &err));
  return encoder;
}

static mcl_inputs inputs(const mcl_batch *batch, int32_t view, mcl_array *x) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.indices = batch->indices;
  in.n = batch->n;
  in.view = view;
  in.data = x;
  return in;
}

static float
    mine[BATCH * WIDTH]; // of this rank's rows of a batch: projections, then their gradients
static float all[2][BATCH * WIDTH];            // of all ranks' rows, of each view, likewise
static int counts[RANKS], first[RANKS], total; // numbers of each rank, those before its own, of all

static void forward(mcl_encoder *encoder, const mcl_event *event, const mcl_batch *batch) {
  static float x[BATCH * PIXELS];
  int n = (int)batch->n * WIDTH;
  total = 0;
  MPI_Allgather(&n, 1, MPI_INT, counts, 1, MPI_INT, MPI_COMM_WORLD);
  for (int r = 0; r < ranks; total += counts[r++]) first[r] = total;
  for (int v = 0; v < 2; v++) {
    make_views(batch->indices, batch->n, (uint64_t)(2 * event->epoch + v + 1), x);
    mcl_array data = mcl_images_f32(x, batch->n, SIDE, SIDE, 1);
    mcl_array projection = mcl_matrix_f32(mine, batch->n, WIDTH);
    mcl_inputs in = inputs(batch, v, &data);
    try(mcl_encoder_forward(encoder, &in, &projection, &err));
    MPI_Allgatherv(mine, n, MPI_FLOAT, all[v], counts, first, MPI_FLOAT, MPI_COMM_WORLD);
  }
}

// The sum over this rank's anchors; in place of all projections their gradients.
static double compute_loss(void) {
  mcl_array za = mcl_matrix_f32(all[0], total / WIDTH, WIDTH);
  mcl_array zb = mcl_matrix_f32(all[1], total / WIDTH, WIDTH);
  mcl_loss_options options;
  mcl_loss_inputs in;
  mcl_loss_result result;
  mcl_loss_options_init(&options, sizeof options);
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&result, sizeof result);
  options.flags = MCL_SOME_ANCHORS | MCL_REDUCE_SUM;
  in.za = in.dza = &za;
  in.zb = in.dzb = &zb;
  in.first_anchor = first[rank] / WIDTH;
  in.anchors = counts[rank] / WIDTH;
  try(mcl_loss_info_nce(context, &options, &in, &result, &err)); // no cells: a batch is of one
  return result.loss;
}

// A step; the loss is the mean over the anchors of all ranks, two for each row.
static double train(mcl_encoder *encoder, const mcl_event *event, const mcl_batch *batch) {
  forward(encoder, event, batch);
  double loss = compute_loss(), anchors = 2.0 * total / WIDTH;
  MPI_Allreduce(MPI_IN_PLACE, &loss, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  MPI_Allreduce(MPI_IN_PLACE, all[0], total, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  MPI_Allreduce(MPI_IN_PLACE, all[1], total, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  for (int v = 0; v < 2; v++) {
    for (int i = 0; i < counts[rank]; i++) mine[i] = (float)(all[v][first[rank] + i] / anchors);
    mcl_array gradient = mcl_matrix_f32(mine, batch->n, WIDTH);
    mcl_inputs in = inputs(batch, v, NULL);
    try(mcl_encoder_backward(encoder, &in, &gradient, &err));
  }
  mcl_step step = {.struct_size = sizeof step, .learning_rate = 0.2};
  try(mcl_encoder_sum_gradients(encoder, comm, &err));
  try(mcl_encoder_step(encoder, &step, &err));
  return loss / anchors;
}

// Rows of this rank's share.
static void embed(mcl_encoder *encoder, mcl_multistage *loop, const mcl_batch *batch) {
  static float x[BATCH * PIXELS], z[BATCH * DIM];
  make_views(batch->indices, batch->n, 0, x);
  mcl_array data = mcl_images_f32(x, batch->n, SIDE, SIDE, 1);
  mcl_array out = mcl_matrix_f32(z, batch->n, DIM);
  mcl_inputs in = inputs(batch, -1, &data);
  try(mcl_encoder_embed(encoder, &in, &out, &err));
  try(mcl_multistage_put_embeddings(loop, 0, batch->indices, batch->n, &out, &err));
}

static mcl_multistage *make_loop(void) {
  mcl_multistage *loop;
  mcl_kmeans_options kmeans;
  mcl_sampler_options sampler;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&kmeans, sizeof kmeans);
  mcl_sampler_options_init(&sampler, sizeof sampler);
  mcl_multistage_options_init(&o, sizeof o);
  kmeans.k = KINDS;
  sampler.batch_rows = BATCH; // of all ranks
  o.stages = STAGES;
  o.epochs = EPOCHS;
  o.kmeans = &kmeans;
  o.sampler = &sampler;
  try(mcl_multistage_create(context, &o, ROWS, comm, &loop, &err));
  return loop;
}

static void report(const mcl_multistage *loop, int32_t stage) {
  mcl_stage_report r;
  mcl_struct_init(&r, sizeof r);
  try(mcl_multistage_get_report(loop, stage, 0, &r, &err));
  if (rank == 0)
    printf("stage %d: %d cells, %d clusters\n", (int)stage, (int)r.cells, (int)r.k_effective);
}

static void run(mcl_multistage *loop) {
  int64_t indices[BATCH];
  mcl_event event;
  mcl_batch batch;
  mcl_encoder *encoder = NULL;
  mcl_struct_init(&event, sizeof event);
  mcl_struct_init(&batch, sizeof batch);
  batch.indices = indices;
  batch.capacity = BATCH;
  while (event.kind != MCL_DONE) {
    try(mcl_multistage_next(loop, NULL, &event, &batch, &err));
    if (event.kind == MCL_BEGIN_STAGE) {
      mcl_encoder_unref(encoder);
      encoder = make_encoder(event.stage);
    } else if (event.kind == MCL_TRAIN_BATCH) {
      double loss = train(encoder, &event, &batch);
      if (rank == 0 && batch.step == 0)
        printf("stage %d, epoch %d of %d steps: loss %.6f\n", (int)event.stage, (int)event.epoch,
               (int)batch.steps, loss);
    } else if (event.kind == MCL_EMBED_ROWS) {
      embed(encoder, loop, &batch);
    } else if (event.kind == MCL_END_STAGE) {
      report(loop, event.stage);
    }
  }
  mcl_encoder_unref(encoder);
}

int main(int argc, char **argv) {
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (ranks > RANKS) MPI_Abort(MPI_COMM_WORLD, 2);
  mcl_context_options threads;
  mcl_context_options_init(&threads, sizeof threads);
  threads.threads = 1; // a rank a core
  try(mcl_context_create(&threads, &context, &err));
  try(mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err));
  mcl_multistage *loop = make_loop();
  run(loop);
  mcl_multistage_unref(loop);
  mcl_comm_unref(comm);
  mcl_context_unref(context);
  MPI_Finalize();
}
