// Checks in a program of several ranks. Check's own would let a rank go on to the next test while the others wait in this one.
#ifndef MCL_TESTS_MPI_EXPECT_H
#define MCL_TESTS_MPI_EXPECT_H

#include <libmcl/mpi.h>

#include <stdio.h>
#include <string.h>

// An mcl_error named err must be in scope, whose message is printed too. The first failure ends all ranks.
#define EXPECT(condition) expect((condition) != 0, #condition, __FILE__, __LINE__, &err)

static inline void expect(int holds, const char *condition, const char *file, int line,
                          const mcl_error *err) {
  int rank = -1, begun = 0, over = 0;
  if (holds) return;
  MPI_Initialized(&begun);
  MPI_Finalized(&over);
  if (begun && !over) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  fprintf(stderr, "rank %d: %s:%d: not so: %s (%s)\n", rank, file, line, condition, err->message);
  fflush(stderr);
  if (begun && !over) MPI_Abort(MPI_COMM_WORLD, 1);
  _Exit(1);
}

// EXPECT_FAILS(MCL_E_SHAPE, "labels", mcl_x(..., &err)): the status, and words that the message must have.
#define EXPECT_FAILS(wanted, words, call)                                                          \
  do {                                                                                             \
    mcl_status expected_status = (call);                                                           \
    EXPECT(expected_status == (wanted) && err.status == (wanted));                                 \
    EXPECT(strstr(err.message, words));                                                            \
  } while (0)

#endif
