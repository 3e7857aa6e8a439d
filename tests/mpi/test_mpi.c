// libmcl-mpi among real ranks: mpirun -n RANKS test_mpi LEVEL, the level of threads that MPI is asked for.
//
// MPI lets a program put its own function in front of each of MPI's (the profiling interface), which is how errors are made
// here and duplicates counted.
#include "comm/comm.h"

#include <pthread.h>
#include <stdlib.h>

#include "mpi/expect.h"
#include "support/suite.h"

static int rank, size, level;
static mcl_context *context;

// ---- in front of MPI ------------------------------------------------------------------------------------------------

static int duplicates, break_allgather;

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *out) {
  duplicates++;
  return PMPI_Comm_dup(comm, out);
}

int MPI_Comm_free(MPI_Comm *comm) {
  duplicates--;
  return PMPI_Comm_free(comm);
}

// A count that MPI itself refuses, by the error handler of `comm`.
int MPI_Allgather(const void *send, int n, MPI_Datatype type, void *recv, int m, MPI_Datatype other,
                  MPI_Comm comm) {
  if (break_allgather) n = m = -1;
  return PMPI_Allgather(send, n, type, recv, m, other, comm);
}

// libmcl-mpi's own memory, which is malloc's (-Wl,--wrap=malloc).
static int refuse_malloc;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes) {
  return refuse_malloc ? NULL : __real_malloc(bytes);
}

// ---- helpers --------------------------------------------------------------------------------------------------------

static mcl_context *context_with(test_allocator *a) {
  mcl_error err;
  mcl_context *c = NULL;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = 1;
  if (a) o.allocator = &a->table;
  EXPECT(mcl_context_create(&o, &c, &err) == MCL_OK);
  return c;
}

static mcl_comm *world(void) {
  mcl_error err;
  mcl_comm *comm = NULL;
  EXPECT(mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err) == MCL_OK);
  return comm;
}

// A COLLECTIVE call, into which this rank comes with s.
static mcl_status exchange(mcl_comm *comm, mcl_status s, mcl_error *err) {
  int32_t mine = rank, all[64];
  mcl_status entered = mcli_comm_enter(comm, err);
  if (entered < 0) return entered;
  s = mcli_comm_begin(comm, s, 5, err);
  if (s == MCL_OK) s = mcli_comm_gather(comm, s, &mine, all, sizeof mine, err);
  return mcli_comm_end(comm, s, err);
}

// ---- creating -------------------------------------------------------------------------------------------------------

static void mpi_must_be_there(const char *what) {
  mcl_error err;
  mcl_comm *comm = NULL;
  EXPECT_FAILS(MCL_E_STATE, what, mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err));
  EXPECT(comm == NULL);
}

static void create_checks_its_arguments(void) {
  mcl_error err;
  mcl_comm *comm = NULL;
  EXPECT_FAILS(MCL_E_INVALID, "MPI_COMM_NULL",
               mcl_comm_create_mpi(context, MPI_COMM_NULL, &comm, &err));
  EXPECT(duplicates == 0);
  // What one rank alone does wrong, all are told.
  for (int i = 0; i < size; i++) {
    char who[64];
    snprintf(who, sizeof who, "rank %d: out is NULL", i);
    EXPECT_FAILS(MCL_E_INVALID, who,
                 mcl_comm_create_mpi(context, MPI_COMM_WORLD, rank == i ? NULL : &comm, &err));
    snprintf(who, sizeof who, "rank %d: context is NULL", i);
    EXPECT_FAILS(MCL_E_INVALID, who,
                 mcl_comm_create_mpi(rank >= i ? NULL : context, MPI_COMM_WORLD, &comm, &err));
  }
  EXPECT(comm == NULL && duplicates == 0);
  EXPECT(mcl_comm_create_mpi(NULL, MPI_COMM_WORLD, &comm, NULL) == MCL_E_INVALID);
}

// The context's allocator first; then, as the context has its own, malloc is libmcl-mpi's alone.
static void create_survives_a_failing_allocation_of_one_rank(void) {
  test_allocator a;
  mcl_error err;
  mcl_comm *comm = NULL;
  test_allocator_init(&a);
  mcl_context *c = context_with(&a);
  int64_t live = a.live;
  for (int64_t n = 1; comm == NULL; n++) {
    a.fail_at = rank == size - 1 ? n : 0;
    mcl_status s = mcl_comm_create_mpi(c, MPI_COMM_WORLD, &comm, &err);
    a.fail_at = 0;
    EXPECT(s == MCL_OK || s == MCL_E_NOMEM);
    EXPECT((s == MCL_OK) == (comm != NULL) && duplicates == (comm != NULL));
    EXPECT(comm || a.live == live);
    EXPECT(n < 10 && (n > 1 || s == MCL_E_NOMEM));
  }
  mcl_comm_unref(comm);
  EXPECT(a.live == live && duplicates == 0);
  comm = NULL;
  for (int i = 0; i < size; i++) {
    char who[64];
    snprintf(who, sizeof who, "rank %d: out of memory for MPI", i);
    refuse_malloc = rank == i;
    mcl_status s = mcl_comm_create_mpi(c, MPI_COMM_WORLD, &comm, &err);
    refuse_malloc = 0;
    EXPECT_FAILS(MCL_E_NOMEM, who, s);
    EXPECT(comm == NULL && a.live == live && duplicates == 0);
  }
  EXPECT(mcl_comm_create_mpi(c, MPI_COMM_WORLD, &comm, &err) == MCL_OK);
  mcl_comm_unref(comm);
  mcl_context_unref(c);
}

static void an_intercommunicator_is_refused(void) {
  mcl_error err;
  MPI_Comm half, both;
  mcl_comm *comm = NULL;
  if (size < 2) return;
  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
  MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, 1 - rank % 2, 3, &both);
  EXPECT_FAILS(MCL_E_INVALID, "intercommunicator", mcl_comm_create_mpi(context, both, &comm, &err));
  // Halves are fine, in an order of ranks of their own.
  EXPECT(mcl_comm_create_mpi(context, half, &comm, &err) == MCL_OK);
  EXPECT(mcl_comm_rank(comm) == rank / 2 && mcl_comm_size(comm) == (size + 1 - rank % 2) / 2);
  EXPECT(exchange(comm, MCL_OK, &err) == MCL_OK);
  mcl_comm_unref(comm);
  MPI_Comm_free(&both);
  MPI_Comm_free(&half);
  duplicates = 0; // these two were not
}

static void ranks_are_those_of_mpi(void) {
  mcl_error err = {0};
  int64_t first, n, rows = 100000, total = 0;
  mcl_comm *comm = world();
  EXPECT(mcl_comm_rank(comm) == rank && mcl_comm_size(comm) == size);
  mcl_comm_share(comm, rows, &first, &n);
  MPI_Exscan(&n, &total, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  EXPECT(first == (rank ? total : 0));
  MPI_Allreduce(&n, &total, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  EXPECT(total == rows);
  EXPECT(duplicates == 1);
  mcl_comm_unref(comm);
  EXPECT(duplicates == 0);
}

// ---- exchanges ------------------------------------------------------------------------------------------------------

static void numbers_arrive_in_the_order_of_ranks(void) {
  enum { N = 1 << 20 };
  mcl_error err;
  mcl_comm *comm = world();
  int64_t wrong = 0, *send = malloc(N * sizeof *send);
  int64_t *recv = malloc(N * sizeof *recv * (size_t)size);
  for (int64_t i = 0; i < N; i++) send[i] = rank * 1000000007LL + i;
  EXPECT(mcli_comm_enter(comm, &err) == MCL_OK);
  // More than one round of four ranks.
  EXPECT(mcli_comm_gather(comm, MCL_OK, send, recv, N * 8 + 0, &err) == MCL_OK);
  EXPECT(mcli_comm_end(comm, MCL_OK, &err) == MCL_OK);
  for (int64_t i = 0; i < N * size; i++) wrong += recv[i] != i / N * 1000000007LL + i % N;
  EXPECT(wrong == 0);
  free(send);
  free(recv);
  mcl_comm_unref(comm);
}

// Thirds, so that the order of additions can be seen in the bits.
static void sums_are_the_same_bits_on_all_ranks(void) {
  enum { N = MCL_COMM_FLOATS + 5 };
  mcl_error err;
  mcl_comm *comm = world();
  float *data = malloc(N * sizeof *data), *first = malloc(N * sizeof *first);
  for (int64_t i = 0; i < N; i++) data[i] = (float)(i % 1000 + 1) / (float)(3 * (rank + 1));
  EXPECT(mcli_comm_enter(comm, &err) == MCL_OK);
  EXPECT(mcli_comm_sum(comm, MCL_OK, data, N, &err) == MCL_OK);
  EXPECT(mcli_comm_end(comm, MCL_OK, &err) == MCL_OK);
  int64_t wrong = 0;
  for (int64_t i = 0; i < N; i++) {
    double sum = 0;
    for (int r = 0; r < size; r++) sum += (float)(i % 1000 + 1) / (float)(3 * (r + 1));
    wrong += data[i] < sum * (1 - 1e-6) || data[i] > sum * (1 + 1e-6); // 3 roundings of 6e-8
  }
  EXPECT(wrong == 0);
  memcpy(first, data, N * sizeof *data);
  MPI_Bcast(first, N, MPI_FLOAT, 0, MPI_COMM_WORLD);
  EXPECT(memcmp(first, data, N * sizeof *data) == 0);
  free(data);
  free(first);
  mcl_comm_unref(comm);
}

// A receive of the host's that takes anything, open while libmcl exchanges.
static void messages_of_the_host_are_its_own(void) {
  mcl_error err;
  int got = -1, done = 0, mine = rank;
  MPI_Request request;
  mcl_comm *comm = world();
  MPI_Irecv(&got, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &request);
  for (int i = 0; i < 20; i++) EXPECT(exchange(comm, MCL_OK, &err) == MCL_OK);
  MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  EXPECT(!done);
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Send(&mine, 1, MPI_INT, (rank + 1) % size, 9, MPI_COMM_WORLD);
  MPI_Wait(&request, MPI_STATUS_IGNORE);
  EXPECT(got == (rank + size - 1) % size);
  mcl_comm_unref(comm);
}

// ---- failures -------------------------------------------------------------------------------------------------------

static void a_failing_rank_makes_all_fail(void) {
  mcl_error err;
  mcl_comm *comm = world();
  for (int i = 0; i < size; i++) {
    mcl_status s = MCL_OK;
    char words[64];
    if (rank == i) s = mcl_error_set(&err, MCL_E_IO, 5, "the disk is gone");
    snprintf(words, sizeof words, size > 1 ? "rank %d: the disk is gone" : "the disk is gone", i);
    EXPECT_FAILS(MCL_E_IO, words, exchange(comm, s, &err));
    EXPECT(err.host_code == 5);
    EXPECT(exchange(comm, MCL_OK, &err) == MCL_OK);
  }
  mcl_comm_unref(comm);
}

// MPI_COMM_WORLD's own error handler would end the process.
static void an_error_of_mpi_is_told_in_its_words(void) {
  mcl_error err;
  char words[MPI_MAX_ERROR_STRING];
  int length, kind;
  if (size < 2) return; // no call of MPI
  MPI_Error_string(MPI_ERR_COUNT, words, &length);
  mcl_comm *comm = world();
  break_allgather = 1;
  EXPECT_FAILS(MCL_E_COMM, words, exchange(comm, MCL_OK, &err));
  MPI_Error_class(err.host_code, &kind);
  EXPECT(kind == MPI_ERR_COUNT);
  break_allgather = 0;
  EXPECT_FAILS(MCL_E_COMM, "earlier", exchange(comm, MCL_OK, &err));
  mcl_comm_unref(comm);
  EXPECT(duplicates == 0);
}

// ---- threads --------------------------------------------------------------------------------------------------------

static void *elsewhere(void *user) {
  mcl_comm *old = user, *comm = NULL;
  mcl_error err;
  if (level >= MPI_THREAD_SERIALIZED) {
    EXPECT(mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err) == MCL_OK);
    EXPECT(exchange(comm, MCL_OK, &err) == MCL_OK);
    EXPECT(exchange(old, MCL_OK, &err) == MCL_OK);
    mcl_comm_unref(comm);
    return NULL;
  }
  EXPECT_FAILS(MCL_E_STATE, "main thread",
               mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err));
  if (size > 1) EXPECT_FAILS(MCL_E_COMM, "main thread", exchange(old, MCL_OK, &err));
  return NULL;
}

static void other_threads_may_call_where_mpi_allows_it(void) {
  mcl_error err = {0};
  pthread_t thread;
  mcl_comm *comm = world();
  EXPECT(pthread_create(&thread, NULL, elsewhere, comm) == 0);
  pthread_join(thread, NULL);
  mcl_comm_unref(comm);
  EXPECT(duplicates == 0);
}

static int level_of(const char *name) {
  if (!strcmp(name, "single")) return MPI_THREAD_SINGLE;
  if (!strcmp(name, "funneled")) return MPI_THREAD_FUNNELED;
  return strcmp(name, "serialized") ? MPI_THREAD_MULTIPLE : MPI_THREAD_SERIALIZED;
}

int main(int argc, char **argv) {
  context = context_with(NULL);
  mpi_must_be_there("not initialised");
  MPI_Init_thread(NULL, NULL, level_of(argc > 1 ? argv[1] : "funneled"), &level);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  create_checks_its_arguments();
  create_survives_a_failing_allocation_of_one_rank();
  an_intercommunicator_is_refused();
  ranks_are_those_of_mpi();
  numbers_arrive_in_the_order_of_ranks();
  sums_are_the_same_bits_on_all_ranks();
  messages_of_the_host_are_its_own();
  a_failing_rank_makes_all_fail();
  an_error_of_mpi_is_told_in_its_words();
  other_threads_may_call_where_mpi_allows_it();
  mcl_comm *late = world();
  MPI_Finalize();
  mpi_must_be_there("finalised");
  mcl_comm_unref(late);
  mcl_context_unref(context);
  return duplicates != 1; // the late one was not given back to an MPI that is gone
}
