// Several ranks as threads of one test, each with a context of its own, over an allgather in shared memory.
#ifndef MCL_TESTS_RANKS_H
#define MCL_TESTS_RANKS_H

#include <libmcl/comm.h>

#include "support/suite.h"

enum { MOST_TEST_RANKS = 8 };

// What a rank sees. `comm` is NULL where there is one rank.
typedef struct test_rank {
  mcl_context *context;
  mcl_comm *comm;
  void *user;
  int32_t rank, size;
  struct test_world *world;
} test_rank;

// How the world is made. Zero but for what a test wants.
typedef struct test_ranks {
  int32_t size;
  uint32_t threads;                            // of each context; 0: 1
  int by_sum;                                  // with mcl_host_comm.sum
  test_allocator *allocators[MOST_TEST_RANKS]; // of each context; NULL: malloc
  // From allgather number die_at (from 1; 0: never) on, rank `dying` takes part no more, as if its process had ended.
  int64_t die_at;
  int32_t dying;
  int64_t gathers, sums; // out: calls of rank 0, and the most bytes that it sent at once
  int64_t most_bytes;
} test_ranks;

// Runs fn on every rank at once and returns when all have. A rank that waits for one which has ended, or for 60 seconds, gets an
// error from allgather, so that a test fails instead of hanging.
void test_ranks_run(test_ranks *w, void (*fn)(test_rank *r), void *user);

// What a host does by itself over its engine: x [n] becomes the sum over ranks, the same bits on each.
mcl_status test_rank_sum(test_rank *r, float *x, uint64_t n, mcl_error *err);

#endif
