// Sums over segments in the order that is promised, on any number of ranks. Through k-means alone a wrong order would hardly be
// seen: centroids are rounded to float32, which hides the last bits of a double.
#include "clusterer/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support/ranks.h"

enum { K = 5, DIM = 3, PASSES = 2 };

// Numbers of very different sizes, so that every order of additions gives other bits. Not every segment touches a cluster.
static double number(int64_t pass, uint32_t segment, int32_t cluster, int32_t d) {
  mcli_rng r = mcli_rng_make(9, MCLI_RNG_KMEANS, (uint64_t)(pass * 1000 + segment),
                             (uint64_t)(cluster * DIM + d));
  return ldexp(mcli_rng_normal(&r), (int)mcli_rng_below(&r, 60));
}

static int touches(int64_t pass, uint32_t segment, int32_t cluster) {
  return (segment * 7 + (uint32_t)cluster * 3 + (uint32_t)pass) % 4 != 0 && cluster != 2;
}

static double leaf(int64_t pass, uint32_t segment, int32_t cluster, int32_t d) {
  return touches(pass, segment, cluster) ? number(pass, segment, cluster, d) : 0;
}

// node(level, index), as the head of tree.c defines it.
static double node(int64_t pass, int32_t level, uint32_t index, int32_t cluster, int32_t d) {
  if (level == 0) return leaf(pass, index, cluster, d);
  return node(pass, level - 1, 2 * index, cluster, d) +
         node(pass, level - 1, 2 * index + 1, cluster, d);
}

// The largest nodes that make up the segments from `first` on, from right to left.
static double all_from(int64_t pass, uint32_t first, uint32_t segments, int32_t cluster,
                       int32_t d) {
  int32_t level = 0;
  while (first % (2U << level) == 0 && first + (2U << level) <= segments) level++;
  double left = node(pass, level, first >> level, cluster, d);
  uint32_t next = first + (1U << level);
  return next == segments ? left : left + all_from(pass, next, segments, cluster, d);
}

static void add_up(test_rank *r) {
  const uint32_t *segments = r->user;
  mcl_error err;
  mcli_tree t;
  mcli_sums slot = {NULL, NULL};
  double sums[K * DIM] = {0}, wanted[K * DIM] = {0};
  int64_t counts[K] = {0};
  mcli_grid g = mcli_grid_make(r->comm, (int64_t)*segments * MCLI_BLOCK_ROWS);
  ck_assert_uint_eq(g.segments, *segments);
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  CHECK_OK(mcli_sums_open(r->context, K, DIM, &slot, &err));
  CHECK_OK(mcli_tree_open(r->context, r->comm, &g, K, DIM, &t, &err));
  for (int64_t pass = 0; pass < PASSES; pass++) {
    int64_t changed = g.n;
    for (uint32_t s = g.first; s < g.first + g.n; s++) {
      for (int32_t j = 0; j < K; j++) {
        for (int32_t d = 0; d < DIM; d++) ck_assert(slot.sums[j * DIM + d] == 0);
        ck_assert_int_eq(slot.touched[j], 0);
        if (!touches(pass, s, j)) continue;
        for (int32_t d = 0; d < DIM; d++) slot.sums[j * DIM + d] = number(pass, s, j, d);
        slot.touched[j] = 1;
        t.counts[j] += s;
      }
      mcli_tree_push(&t, s, &slot);
      CHECK_OK(mcli_tree_add(&t, &err));
    }
    CHECK_OK(mcli_tree_finish(&t, MCL_OK, sums, counts, &changed, &err));
    if (r->size > 1) ck_assert_int_eq(changed, *segments);
    for (int32_t j = 0; j < K; j++)
      for (int32_t d = 0; d < DIM; d++) wanted[j * DIM + d] += all_from(pass, 0, *segments, j, d);
    ck_assert_mem_eq(sums, wanted, sizeof sums);
  }
  for (int32_t j = 0; j < K; j++) {
    int64_t expected = 0;
    for (int64_t pass = 0; pass < PASSES; pass++)
      for (uint32_t s = 0; s < *segments; s++) expected += touches(pass, s, j) ? s : 0;
    ck_assert_int_eq(counts[j], expected);
  }
  CHECK_OK(mcli_comm_end(r->comm, MCL_OK, &err));
  mcli_tree_close(r->context, &t);
  mcli_sums_close(r->context, &slot);
}

START_TEST(sums_are_added_in_the_promised_order) {
  for (uint32_t segments = 1; segments <= MCLI_SEGMENTS; segments += segments < 9 ? 1 : 11)
    for (int32_t size = 1; size <= MOST_TEST_RANKS; size++) {
      test_ranks w = {.size = size};
      test_ranks_run(&w, add_up, &segments);
    }
}
END_TEST

// That the numbers above tell orders apart: a running sum, and the nodes from right to left, come out otherwise.
START_TEST(another_order_would_be_seen) {
  int as_running = 0, as_backwards = 0;
  for (int32_t j = 0; j < K; j++)
    for (int32_t d = 0; d < DIM; d++) {
      double running = 0, backwards = 0, right = all_from(0, 0, MCLI_SEGMENTS, j, d);
      for (uint32_t s = 0; s < MCLI_SEGMENTS; s++) running += leaf(0, s, j, d);
      for (uint32_t s = 4; s-- > 0;) backwards = node(0, 4, s, j, d) + backwards;
      as_running += running != right;
      as_backwards += backwards != right;
    }
  ck_assert_int_gt(as_running, K);
  ck_assert_int_gt(as_backwards, 0);
}
END_TEST

RUN_TESTS("tree", sums_are_added_in_the_promised_order, another_order_would_be_seen)
