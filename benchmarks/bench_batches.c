// The sampler on one thread, at 10^6, 10^7 and 10^8 rows in 100 cells ("1e6": all batches of an epoch,
// each from one cell); packed ones, those of the first stage, where all rows are one cell, and of
// three stages with 10^5 cells; the first batch of each of 1000 epochs, and 1000 batches of any epoch
// and step; adding the stages' labels. The fastest of five.
//
// Labels need 4 bytes a row and stage, the sampler 4 more: 1.2 GB at 10^8 rows.
#include <stdlib.h>

#include <libmcl/sampler.h>

#include "bench.h"

enum { MOST_STAGES = 3, BATCH_ROWS = 256, TIMES = 5, SOME = 1000 };

// What is timed: all batches unless one of the last three says otherwise.
typedef struct kind {
  const char *name;
  int32_t batching, stages, clusters;
  int first, random, adding;
} kind;

typedef struct epoch {
  mcl_context *context;
  const kind *kind;
  int64_t rows, taken; // rows that came out
  int32_t *labels[MOST_STAGES];
  mcl_sampler *sampler;
  mcl_batch batch;
  int64_t indices[BATCH_ROWS];
} epoch;

static mcl_error err;

static void make_sampler(void *work) {
  epoch *e = work;
  mcl_sampler_options o;
  mcl_sampler_options_init(&o, sizeof o);
  o.batch_rows = BATCH_ROWS;
  o.batching = e->kind->batching;
  mcl_sampler_unref(e->sampler);
  bench_check(mcl_sampler_create(e->context, &o, e->rows, 0, 1, &e->sampler, &err), &err);
  for (int32_t s = 0; s < e->kind->stages; s++)
    bench_check(mcl_sampler_add_labels(e->sampler, s, e->labels[s], e->rows, &err), &err);
  e->taken = e->rows;
}

static void take(epoch *e, int32_t number, int64_t step) {
  bench_check(mcl_sampler_batch(e->sampler, number, step, &e->batch, &err), &err);
  e->taken += e->batch.n;
}

static void all_batches(void *work) {
  epoch *e = work;
  e->taken = 0;
  for (int64_t step = 0; step < mcl_sampler_steps(e->sampler); step++) take(e, 0, step);
}

static void first_batches(void *work) {
  epoch *e = work;
  e->taken = 0;
  for (int32_t i = 0; i < SOME; i++) take(e, i, 0);
}

static void random_batches(void *work) {
  epoch *e = work;
  uint64_t state = 1, steps = (uint64_t)mcl_sampler_steps(e->sampler);
  e->taken = 0;
  for (int32_t i = 0; i < SOME; i++) {
    int32_t number = (int32_t)(bench_next(&state) >> 40);
    take(e, number, (int64_t)((bench_next(&state) >> 33) % steps));
  }
}

// Of the numbers of all rows that come out, less what it must be.
static int64_t sum_of(epoch *e) {
  int64_t sum = -e->rows * (e->rows - 1) / 2;
  for (int64_t step = 0; step < mcl_sampler_steps(e->sampler); step++) {
    take(e, 0, step);
    for (int64_t i = 0; i < e->batch.n; i++) sum += e->indices[i];
  }
  return sum;
}

// One stream for all stages' labels.
static void make_labels(epoch *e) {
  uint64_t state = 1;
  for (int32_t s = 0; s < e->kind->stages; s++) {
    e->labels[s] = bench_alloc(e->rows, sizeof **e->labels);
    for (int64_t i = 0; i < e->rows; i++)
      e->labels[s][i] = (int32_t)((bench_next(&state) >> 33) % (uint64_t)e->kind->clusters);
  }
}

static void run(const char *size, int64_t rows, const kind *k) {
  bench_case c;
  if (!bench_wanted(&c, "batches", "%s%s", size, k->name)) return;
  if (bench.quick) rows = 20000;
  c.threads = 1;
  bench_inputs(&c, ",\"rows\":%lld", (long long)rows);
  epoch e = {.context = bench_context(&c), .kind = k, .rows = rows};
  mcl_struct_init(&e.batch, sizeof e.batch);
  e.batch.indices = e.indices;
  e.batch.capacity = BATCH_ROWS;
  make_labels(&e);
  if (!k->adding) make_sampler(&e);
  void (*call)(void *work) = k->adding   ? make_sampler
                             : k->first  ? first_batches
                             : k->random ? random_batches
                                         : all_batches;
  bench_result r = bench_fastest(&c, TIMES, call, &e);
  double ns = r.ms * 1e6 / (double)e.taken;
  bench_line(&c, &r, ",\"ns_per_row\":%.2f,\"sum\":%lld", ns, (long long)sum_of(&e));
  for (int32_t s = 0; s < k->stages; s++) free(e.labels[s]);
  mcl_sampler_unref(e.sampler);
  mcl_context_unref(e.context);
}

int main(int argc, char **argv) {
  enum { ONE = MCL_BATCH_ONE_CELL, PACKED = MCL_BATCH_PACKED };
  static const char *const sizes[] = {"1e6", "1e7", "1e8"};
  static const kind kinds[] = {{"", ONE, 2, 10},
                               {"-add-labels", ONE, 2, 10, .adding = 1},
                               {"-packed", PACKED, 2, 10},
                               {"-stage-0", ONE, 0, 0},
                               {"-many-cells", ONE, 3, 47},
                               {"-many-cells-add-labels", ONE, 3, 47, .adding = 1},
                               {"-first-batch", ONE, 2, 10, .first = 1},
                               {"-random-batch", ONE, 2, 10, .random = 1}};
  bench_start(argc, argv);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (int i = 0, rows = 1000000; i < 3; i++, rows *= 10) run(sizes[i], rows, &kinds[k]);
  return 0;
}
