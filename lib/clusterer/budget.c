// The bytes of a fit, by the allocations of fit.c, pass.c, seeding.c and sweep.c:
//
//   rows of this rank    labels, lengths, distances: 12 each; bounds: 4 + 4 stride           (1)
//   centroids            two states: rows, packed rows, sums in double, and some 64 a cluster (2)
//   threads, the tree    sums; scores, a block of races; one or two of rows in no plain array (3)
//   seeding              its sample                                                           (4)
//   mini-batches         a batch; max_train_rows: its sample                                  (5)
//   columns              their sums, a segment                                                (6)
//   ranks                what is sent and received at once, and which clusters are touched     (7)
//
// Bounds only spare distances, so they are what is left out: first groups become fewer and larger,
// then there are none, and every row is compared with every centroid.
#include "clusterer/budget.h"

#include "clusterer/bounds.h"
#include "clusterer/seeding.h"
#include "clusterer/tree.h"
#include "math/array.h"
#include "math/scores.h"

// Of one allocation, what is lost to its head and alignment; there are some hundred.
enum { EACH = 192, ALLOCATIONS = 128 };
// Of one exchange: what a rank sends and what it receives, at two places.
enum { AT_ONCE = 48 << 20 };

static double at_most(double a, double b) {
  return a < b ? a : b;
}

static double of_rows(double n, int32_t groups, int32_t method) { // (1)
  double stride = groups < 2 ? 1 : (groups + 7) / 8 * 8;
  return n * (12 + (groups > 0 && method == MCL_LLOYD ? 4 + 4 * stride : 0));
}

static double of_blocks(const mcli_sweep *s) { // (3): of a sweep
  if (!s->buffers) return 0;
  double numbers = (double)MCLI_SWEEP_BLOCK * s->rows.dim;
  double readers = mcli_rows_any_thread(&s->rows) ? s->slots : 1;
  return numbers * (4.0 * s->slots * s->depth + (s->scratch ? 8.0 * readers : 0));
}

static double bytes_of(const mcl_kmeans_options *o, const mcli_sweep *all, int32_t groups) {
  double n = (double)all->rows.rows, d = all->rows.dim, k = o->k, segments = all->grid.segments;
  double share = n > 0 ? (double)all->n / n : 1, ranks = mcl_comm_size(all->comm);
  double places = (double)(mcli_panels(o->k) * MCLI_PANEL),
         slots = at_most(mcli_workers(all->context), segments);
  double train = o->max_train_rows > 0 ? at_most((double)o->max_train_rows, n) : n;
  double states = 2 * (k * d * 12 + places * (4 * d + 8) + 48 * k); // (2)
  double scores = 4 * places * 24 > 262144 ? 4 * places * 24 : 262144;
  double of_slots =
      slots * (8 * k * d + scores + 9 * k + 4 * places + 8 * d + 96 * MCLI_SWEEP_BLOCK);
  double tree = (mcli_tree_depth(&all->grid) + 1) * (8 * k * d + k) + 8 * k;
  double sum = states + of_slots + tree + 2 * of_blocks(all) + (double)EACH * ALLOCATIONS;
  sum += segments * (8 * d + 8);                                                              // (6)
  if (ranks > 1) sum += AT_ONCE + (ranks + 1) * k;                                            // (7)
  if (o->init != MCL_INIT_GIVEN) sum += mcli_seeding_bytes(o->k, (int32_t)d, (int64_t)train); // (4)
  if (o->method == MCL_MINIBATCH) sum += at_most(o->minibatch_rows, train) * (4 * d + 20);    // (5)
  if (train < n) sum += train * (4 * d + 8);
  double uneven = ranks > 1 ? train / MCLI_SWEEP_SEGMENTS + MCLI_SWEEP_BLOCK : 0;
  double training = of_rows(share * train + uneven, groups, o->method);
  double labelling = of_rows(share * n, 0, o->method);
  return sum + (training > labelling ? training : labelling);
}

mcl_status mcli_budget_groups(const mcl_kmeans_options *o, const mcli_sweep *all, int32_t *groups,
                              mcl_error *err) {
  *groups = MCLI_MOST_GROUPS;
  while (o->max_bytes > 0 && bytes_of(o, all, *groups) > (double)o->max_bytes) {
    if (*groups == 0)
      return mcli_fail(
          err, MCL_E_LIMIT,
          "mcl_kmeans_options.max_bytes is %lld: %d clusters of %lld rows of %d numbers "
          "need %.0f",
          (long long)o->max_bytes, (int)o->k, (long long)all->rows.rows, (int)all->rows.dim,
          bytes_of(o, all, 0));
    *groups /= 2;
  }
  return MCL_OK;
}
