// k-means over ranks, as a program with MPI has it. mpirun -n RANKS kmeans ...
//
//   make FILE.npy               writes rows (one rank)
//   fit FILE.npy FOLDER         clusters them, and each rank writes what it ended with into FOLDER. Failures of each
//                               rank in turn go before: they must be everyone's, and leave no trace in the files
//   for_ever FILE.npy FOLDER    fits until it is killed; each rank leaves its process id in FOLDER
#include <libmcl/mcl.h>
#include <libmcl/mpi.h>

#include <stdlib.h>
#include <unistd.h>

#include "mpi/expect.h"

enum { ROWS = 40000, DIM = 24, K = 30 }; // 40 blocks, the last one short

static int rank, size;
static mcl_context *context;
static mcl_comm *comm;
static mcl_rows rows;

// ---- files ----------------------------------------------------------------------------------------------------------

static void write_npy(const char *path, void *data, int32_t dtype, int64_t n, int64_t dim) {
  mcl_error err;
  mcl_npy *file = NULL;
  mcl_array all;
  int64_t shape[2] = {n, dim};
  mcl_array_init(&all, data, dtype, 2, shape);
  EXPECT(mcl_npy_create(context, path, dtype, n, (int32_t)dim, &file, &err) == MCL_OK);
  EXPECT(mcl_npy_write(file, 0, &all, &err) == MCL_OK);
  EXPECT(mcl_npy_commit(file, &err) == MCL_OK);
  mcl_npy_unref(file);
}

// Forty loose clouds, so that k-means takes some passes.
static void make(const char *path) {
  static float x[ROWS][DIM];
  uint32_t s = 1;
  for (int i = 0; i < ROWS; i++)
    for (int d = 0; d < DIM; d++) {
      s = s * 1664525 + 1013904223;
      x[i][d] = (float)(s >> 8) / 16777216 - .5f + (i * 7 % 40 % (d + 2) == 0 ? .7f : 0);
    }
  write_npy(path, x, MCL_F32, ROWS, DIM);
}

static void path_of(char path[4096], const char *folder, const char *what) {
  snprintf(path, 4096, "%s/%s-%d", folder, what, rank);
}

// ---- what fails -----------------------------------------------------------------------------------------------------

// A disk that breaks under one rank, in whichever of its blocks.
typedef struct disk {
  int reads, broken_at;
} disk;

static mcl_status read_or_break(void *user, int64_t first, int64_t n, const mcl_array *out,
                                mcl_error *err) {
  disk *d = user;
  if (++d->reads == d->broken_at) return mcl_error_set(err, MCL_E_IO, 5, "the disk is gone");
  return mcl_rows_read(&rows, first, n, out, err);
}

static int32_t stop(void *user, const mcl_progress *p) {
  return *(int *)user && p->done > 0;
}

static mcl_status fit_with(const mcl_kmeans_options *o, const mcl_rows *r, const mcl_monitor *m,
                           mcl_error *said) {
  mcl_error err;
  mcl_clusterer *c = NULL;
  EXPECT(mcl_clusterer_create_kmeans(context, o, comm, &c, &err) == MCL_OK);
  EXPECT(mcl_clusterer_fit(c, r, m, &err) == err.status);
  mcl_clusterer_unref(c);
  *said = err;
  return err.status;
}

static void everyone_fails_as_one_rank_does(int failing, int at) {
  mcl_error err;
  char who[32] = "";
  if (size > 1) snprintf(who, sizeof who, "rank %d: ", failing);
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = K;
  o.restarts = 1;
  disk d = {.broken_at = rank == failing ? at : 0};
  mcl_rows breaking;
  mcl_struct_init(&breaking, sizeof breaking);
  breaking.rows = ROWS;
  breaking.dim = DIM;
  breaking.dtype = MCL_F32;
  breaking.read = read_or_break;
  breaking.user = &d;
  EXPECT_FAILS(MCL_E_IO, "the disk is gone", fit_with(&o, &breaking, NULL, &err));
  EXPECT(strncmp(err.message, who, strlen(who)) == 0 && err.host_code == 5);
  int stopping = rank == failing;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &stopping;
  m.progress = stop;
  EXPECT_FAILS(MCL_E_CANCELLED, who, fit_with(&o, &rows, &m, &err));
  if (size < 2) return;
  if (rank == failing) o.seed = 9;
  EXPECT(fit_with(&o, &rows, NULL, &err) == MCL_E_MISMATCH);
}

// ---- what does not --------------------------------------------------------------------------------------------------

static void fit(const char *folder, const char *name, const mcl_kmeans_options *o) {
  static int32_t labels[ROWS];
  static float centroids[K][DIM];
  char path[4096], what[64];
  mcl_error err;
  mcl_clusterer *c = NULL;
  mcl_clusterer_report report;
  mcl_struct_init(&report, sizeof report);
  EXPECT(mcl_clusterer_create_kmeans(context, o, comm, &c, &err) == MCL_OK);
  EXPECT(mcl_clusterer_fit(c, &rows, NULL, &err) == MCL_OK);
  EXPECT(mcl_clusterer_assign(c, &rows, NULL, labels, NULL, &err) == MCL_OK);
  EXPECT(mcl_clusterer_get_report(c, &report, &err) == MCL_OK);
  EXPECT(report.k_effective == K && report.iterations > 2);
  mcl_array all = mcl_matrix_f32(centroids[0], K, DIM);
  EXPECT(mcl_clusterer_centroids(c, &all, &err) == MCL_OK);
  snprintf(what, sizeof what, "%s-labels", name);
  path_of(path, folder, what);
  write_npy(path, labels, MCL_I32, ROWS, 1);
  snprintf(what, sizeof what, "%s-centroids", name);
  path_of(path, folder, what);
  write_npy(path, centroids, MCL_F32, K, DIM);
  snprintf(what, sizeof what, "%s-saved", name);
  path_of(path, folder, what);
  EXPECT(mcl_clusterer_save(c, path, &err) == MCL_OK);
  mcl_clusterer_unref(c);
}

static void fit_all(const char *folder) {
  mcl_kmeans_options o;
  for (int i = 0; i < size; i++)
    for (int at = 2; at < 30; at += 18) everyone_fails_as_one_rank_does(i, at);
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = K;
  o.restarts = 2;
  fit(folder, "cosine", &o);
  o.metric = MCL_L2;
  o.method = MCL_MINIBATCH;
  fit(folder, "minibatch", &o);
}

static void fit_for_ever(const char *folder) {
  mcl_error err;
  char path[4096];
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = K;
  path_of(path, folder, "pid");
  FILE *f = fopen(path, "w");
  EXPECT(f && fprintf(f, "%d\n", (int)getpid()) > 0 && fclose(f) == 0);
  for (;;) EXPECT(fit_with(&o, &rows, NULL, &err) == MCL_OK);
}

int main(int argc, char **argv) {
  int level;
  mcl_error err = {0};
  mcl_npy *file = NULL;
  mcl_context_options o;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  mcl_context_options_init(&o, sizeof o);
  o.threads = 2;
  EXPECT(argc >= 3 && mcl_context_create(&o, &context, &err) == MCL_OK);
  if (!strcmp(argv[1], "make")) {
    make(argv[2]);
  } else {
    EXPECT(mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err) == MCL_OK);
    EXPECT(mcl_npy_open(context, argv[2], &file, &err) == MCL_OK);
    mcl_struct_init(&rows, sizeof rows);
    mcl_npy_rows(file, &rows);
    if (!strcmp(argv[1], "fit")) fit_all(argv[3]);
    if (!strcmp(argv[1], "for_ever")) fit_for_ever(argv[3]);
  }
  mcl_comm_unref(comm);
  mcl_npy_unref(file);
  mcl_context_unref(context);
  MPI_Finalize();
  return 0;
}
