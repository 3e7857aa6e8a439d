// MPI as a host of libmcl's: allgather and sum are MPI's, on a communicator that nobody else has.
//
// Only the public interface is used here, so that this file shows how an engine is lent. That is
// why an engine's few bytes are malloc's: the context's allocator is not a host's to use.
#include <libmcl/mpi.h>

#include <stdio.h>
#include <stdlib.h>

// MPI_COMM_NULL until all ranks have made theirs: before that the duplicate is create's to free.
typedef struct engine {
  MPI_Comm comm;
} engine;

static mcl_status answer(int code, mcl_error *err) {
  char text[MPI_MAX_ERROR_STRING] = "MPI failed";
  int length;
  if (code == MPI_SUCCESS) return mcl_ok(err);
  MPI_Error_string(code, text, &length);
  return mcl_error_set(err, MCL_E_COMM, code, text);
}

// A call that MPI does not allow ends the process, or worse. The first two are allowed always, the
// last two while MPI is there.
static mcl_status may_call(mcl_error *err) {
  int begun = 0, over = 0, level = MPI_THREAD_SINGLE, main = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&over);
  if (!begun) return mcl_error_set(err, MCL_E_STATE, 0, "MPI is not initialised");
  if (over) return mcl_error_set(err, MCL_E_STATE, 0, "MPI is finalised");
  MPI_Query_thread(&level);
  MPI_Is_thread_main(&main);
  if (level < MPI_THREAD_SERIALIZED && !main)
    return mcl_error_set(err, MCL_E_STATE, 0,
                         "MPI was initialised for calls of its main thread alone, not "
                         "MPI_THREAD_SERIALIZED");
  return mcl_ok(err);
}

// ---- the table ------------------------------------------------------------------------------------------------------

static mcl_status allgather(void *user, const void *send, void *recv, uint64_t bytes,
                            mcl_error *err) {
  const engine *e = user;
  mcl_status s = may_call(err);
  if (s < 0) return s;
  int n = (int)bytes; // MCL_COMM_BYTES at most
  return answer(MPI_Allgather(send, n, MPI_BYTE, recv, n, MPI_BYTE, e->comm), err);
}

// MPI promises the same numbers on all ranks (MPI 3.1, 5.9.6).
static mcl_status sum(void *user, float *data, uint64_t n, mcl_error *err) {
  const engine *e = user;
  mcl_status s = may_call(err);
  if (s < 0) return s;
  return answer(MPI_Allreduce(MPI_IN_PLACE, data, (int)n, MPI_FLOAT, MPI_SUM, e->comm), err);
}

static void destroy(void *user) {
  engine *e = user;
  mcl_error why;
  if (e->comm != MPI_COMM_NULL && may_call(&why) == MCL_OK) MPI_Comm_free(&e->comm);
  free(e);
}

// ---- creating -------------------------------------------------------------------------------------------------------

static mcl_status check(MPI_Comm comm, mcl_error *err) {
  int inter = 0;
  if (comm == MPI_COMM_NULL) return mcl_error_set(err, MCL_E_INVALID, 0, "comm is MPI_COMM_NULL");
  int code = MPI_Comm_test_inter(comm, &inter);
  if (code != MPI_SUCCESS) return answer(code, err);
  return inter ? mcl_error_set(err, MCL_E_INVALID, 0, "comm is an intercommunicator") : mcl_ok(err);
}

static mcl_status duplicate(MPI_Comm comm, MPI_Comm *own, mcl_error *err) {
  int code = MPI_Comm_dup(comm, own);
  if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(*own, MPI_ERRORS_RETURN);
  return answer(code, err);
}

static mcl_status make(mcl_context *context, MPI_Comm own, engine **e, mcl_comm **made,
                       mcl_error *err) {
  mcl_host_comm table;
  int rank = 0, size = 0;
  mcl_struct_init(&table, sizeof table);
  MPI_Comm_rank(own, &rank);
  MPI_Comm_size(own, &size);
  *e = malloc(sizeof **e);
  if (!*e) return mcl_error_set(err, MCL_E_NOMEM, 0, "out of memory for MPI's communicator");
  (*e)->comm = MPI_COMM_NULL;
  table.user = *e;
  table.rank = rank;
  table.size = size;
  table.allgather = allgather;
  table.sum = sum;
  table.destroy = destroy;
  return mcl_comm_create_host(context, &table, made, err);
}

// The first rank that failed tells the others why.
static mcl_status agree(MPI_Comm own, mcl_status s, mcl_error *err) {
  char text[sizeof err->message + 32];
  int rank = 0, size = 0, first;
  MPI_Comm_rank(own, &rank);
  MPI_Comm_size(own, &size);
  first = s < 0 ? rank : size;
  int code = MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, own);
  if (code == MPI_SUCCESS && first < size) code = MPI_Bcast(err, sizeof *err, MPI_BYTE, first, own);
  if (code != MPI_SUCCESS || first == size) return answer(code, err);
  snprintf(text, sizeof text, "rank %d: %s", first, err->message);
  return mcl_error_set(err, err->status, err->host_code, text);
}

mcl_status mcl_comm_create_mpi(mcl_context *context, MPI_Comm comm, mcl_comm **out,
                               mcl_error *err) {
  mcl_error said;
  MPI_Comm own = MPI_COMM_NULL;
  engine *e = NULL;
  mcl_comm *made = NULL;
  mcl_status s = may_call(&said);
  if (s == MCL_OK) s = check(comm, &said);
  if (s == MCL_OK) s = duplicate(comm, &own, &said);
  if (s == MCL_OK) {
    s = out ? make(context, own, &e, &made, &said)
            : mcl_error_set(&said, MCL_E_INVALID, 0, "out is NULL");
    s = agree(own, s, &said);
  }
  if (s == MCL_OK) {
    e->comm = own; // NOLINT(clang-analyzer-core.NullDereference): agree() keeps a failure
    *out = made;
  } else {
    mcl_comm_unref(made);
    if (own != MPI_COMM_NULL) MPI_Comm_free(&own);
  }
  if (err) *err = said;
  return s;
}
