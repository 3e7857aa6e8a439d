/* A C program with MPI: run by itself it is one rank, and still goes through MPI to make its communicator. C99. */
#include <stdio.h>

#include <libmcl/mcl.h>
#include <libmcl/mpi.h>

int main(int argc, char **argv) {
  mcl_error err;
  mcl_context *context = NULL;
  mcl_comm *comm = NULL;
  int32_t size = 0;
  MPI_Init(&argc, &argv);
  if (mcl_context_create(NULL, &context, &err) < 0 ||
      mcl_comm_create_mpi(context, MPI_COMM_WORLD, &comm, &err) < 0)
    printf("%s\n", err.message);
  else
    size = mcl_comm_size(comm);
  mcl_comm_unref(comm);
  mcl_context_unref(context);
  MPI_Finalize();
  printf("libmcl %s\n", mcl_version_string());
  return size != 1;
}
