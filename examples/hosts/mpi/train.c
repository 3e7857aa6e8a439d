// The whole loop over MPI: the built-in CNN trained on rows that are spread over the ranks, stages clustered by all of them together.
//
//   mpirun -n 4 mpi_train IMAGES.idx DIRECTORY [ROWS [STOP]]
//
// Run it again and it goes on from DIRECTORY, on any number of ranks: the batch is of all ranks together, so that only who computes
// what has changed. With STOP it ends when stage STOP is trained, before it is clustered.
//
// All that MPI has to do with it is in three lines: MPI_Init(), mcl_comm_create_mpi() and MPI_Finalize(). Every rank runs the
// same program with the same options, has the whole data set at hand, and fails, if one does, with all others.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/mcl.h>
#include <libmcl/mpi.h>

enum { STAGES = 2, EPOCHS = 2, BATCH = 256, CLUSTERS = 10 };

static mcl_context *context;
static mcl_comm *comm;
static mcl_error err;
static int32_t stop_stage = -1;

static void try(mcl_status status) {
  if (status == MCL_OK) return;
  if (mcl_comm_rank(comm) == 0) fprintf(stderr, "%s: %s\n", mcl_status_name(status), err.message);
  MPI_Finalize();
  exit(1);
}

static mcl_status make(void *shape, int32_t stage, mcl_encoder **out, mcl_error *e) {
  const mcl_array *row = shape;
  mcl_optimiser_options sgd;
  mcl_cnn_options o;
  mcl_optimiser_options_init(&sgd, sizeof sgd);
  mcl_cnn_options_init(&o, sizeof o);
  sgd.kind = MCL_SGD; // Adam makes a whole step of a last bit where a gradient is next to nothing
  o.optimiser = &sgd;
  o.seed = mcl_multistage_seed(0, stage); // the same on every rank: all begin with the same weights
  o.height = (int32_t)row->shape[0];
  o.width = (int32_t)row->shape[1];
  o.channels = (int32_t)row->shape[2];
  return mcl_encoder_create_cnn(context, &o, out, e);
}

static int32_t stop(void *user, const mcl_progress *p) {
  (void)user;
  return p->stage == stop_stage && strcmp(p->phase, "train") == 0 && p->done == p->total;
}

static mcl_dataset *open_rows(const char *path, int64_t rows) {
  mcl_dataset *all, *some;
  try(mcl_dataset_create_idx(context, path, NULL, &all, &err));
  if (rows == 0 || rows > mcl_dataset_rows(all)) return all;
  int64_t *first = malloc((size_t)rows * sizeof *first);
  for (int64_t i = 0; first && i < rows; i++) first[i] = i;
  try(mcl_dataset_create_subset(context, all, first, rows, &some, &err));
  free(first);
  mcl_dataset_unref(all);
  return some;
}

static mcl_multistage *make_loop(mcl_dataset *dataset, const char *directory) {
  mcl_multistage *loop;
  mcl_kmeans_options kmeans;
  mcl_sampler_options sampler;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&kmeans, sizeof kmeans);
  mcl_sampler_options_init(&sampler, sizeof sampler);
  mcl_multistage_options_init(&o, sizeof o);
  kmeans.k = CLUSTERS;
  sampler.batch_rows = BATCH; // of all ranks
  o.stages = STAGES;
  o.epochs = EPOCHS;
  o.learning_rate = 0.05;
  o.kmeans = &kmeans;
  o.sampler = &sampler;
  o.fingerprint = mcl_dataset_fingerprint(dataset);
  o.save_directory = directory; // rank 0 writes
  o.save_every_steps = 20;
  try(mcl_multistage_create(context, &o, mcl_dataset_rows(dataset), comm, &loop, &err));
  mcl_status resumed = mcl_multistage_resume(loop, directory, &err);
  if (resumed != MCL_E_NOT_FOUND) try(resumed);
  return loop;
}

// FNV-1a, so that runs can be compared by eye.
static uint64_t hash_labels(const mcl_multistage *loop, int32_t stage, int64_t rows) {
  uint64_t hash = 14695981039346656037u;
  int32_t *labels = malloc((size_t)rows * sizeof *labels);
  if (!labels) return 0;
  try(mcl_multistage_labels(loop, stage, 0, labels, rows, &err));
  for (int64_t i = 0; i < rows; i++) hash = (hash ^ (uint64_t)labels[i]) * 1099511628211u;
  free(labels);
  return hash;
}

static void report(const mcl_multistage *loop, int64_t rows) {
  for (int32_t stage = 0; stage < STAGES; stage++) {
    mcl_stage_report r;
    mcl_struct_init(&r, sizeof r);
    try(mcl_multistage_get_report(loop, stage, 0, &r, &err));
    printf("stage %d: loss %.6f to %.6f, %d clusters, labels %016llx\n", (int)stage, r.loss_first,
           r.loss_last, (int)r.k_effective, (unsigned long long)hash_labels(loop, stage, rows));
  }
}

int main(int argc, char **argv) {
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  if (argc < 3) return MPI_Finalize(), 2;
  if (argc > 4) stop_stage = atoi(argv[4]);
  mcl_context_options threads;
  mcl_context_options_init(&threads, sizeof threads);
  threads.threads = 1; // a rank a core
  try(mcl_context_create(&threads, &context, &err));
  try(mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err));

  mcl_dataset *dataset = open_rows(argv[1], argc > 3 ? atoll(argv[3]) : 0);
  mcl_array row;
  mcl_augmenter *augmenter;
  mcl_multistage *loop = make_loop(dataset, argv[2]);
  mcl_encoder_factory factory;
  mcl_monitor monitor;
  mcl_struct_init(&factory, sizeof factory);
  mcl_struct_init(&monitor, sizeof monitor);
  try(mcl_dataset_shape(dataset, 0, &row, &err));
  try(mcl_augmenter_create(context, NULL, &augmenter, &err));
  factory.user = &row;
  factory.make = make;
  monitor.progress = stop;

  mcl_status status = mcl_multistage_run(loop, dataset, augmenter, &factory, &monitor, &err);
  if (status != MCL_E_CANCELLED) try(status);
  if (status == MCL_OK && mcl_comm_rank(comm) == 0) report(loop, mcl_dataset_rows(dataset));

  mcl_multistage_unref(loop);
  mcl_augmenter_unref(augmenter);
  mcl_dataset_unref(dataset);
  mcl_comm_unref(comm);
  mcl_context_unref(context);
  MPI_Finalize();
}
