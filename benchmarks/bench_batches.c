// The sampler on one thread: all batches of an epoch in 100 cells of 10^6, 10^7 and 10^8 rows
// ("1e6": a batch from one cell), packed ones, those of the first stage, where all rows are one
// cell, and adding the two stages' labels. The fastest of five.
//
// Labels need 8 bytes a row, the sampler 4 more and up to 16 while it takes labels:
// 2.8 GB at 10^8 rows.
#include <stdlib.h>
#include <string.h>

#include <libmcl/sampler.h>

#include "bench.h"

enum { STAGES = 2, CLUSTERS = 10, BATCH_ROWS = 256, TIMES = 5 };

typedef struct epoch {
  mcl_context *context;
  int32_t batching;
  int64_t rows, stages;
  int32_t *labels[STAGES];
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
  o.batching = e->batching;
  mcl_sampler_unref(e->sampler);
  bench_check(mcl_sampler_create(e->context, &o, e->rows, 0, 1, &e->sampler, &err), &err);
  for (int32_t s = 0; s < e->stages; s++)
    bench_check(mcl_sampler_add_labels(e->sampler, s, e->labels[s], e->rows, &err), &err);
}

static void all_batches(void *work) {
  epoch *e = work;
  for (int64_t step = 0; step < mcl_sampler_steps(e->sampler); step++)
    bench_check(mcl_sampler_batch(e->sampler, 0, step, &e->batch, &err), &err);
}

// Of the numbers of all rows that come out, less what it must be.
static int64_t sum_of(epoch *e) {
  int64_t sum = -e->rows * (e->rows - 1) / 2;
  for (int64_t step = 0; step < mcl_sampler_steps(e->sampler); step++) {
    bench_check(mcl_sampler_batch(e->sampler, 0, step, &e->batch, &err), &err);
    for (int64_t i = 0; i < e->batch.n; i++) sum += e->indices[i];
  }
  return sum;
}

// One stream for both stages' labels.
static void make_labels(epoch *e) {
  uint64_t state = 1;
  for (int32_t s = 0; s < e->stages; s++) {
    e->labels[s] = bench_alloc(e->rows, sizeof **e->labels);
    for (int64_t i = 0; i < e->rows; i++)
      e->labels[s][i] = (int32_t)((bench_next(&state) >> 33) % CLUSTERS);
  }
}

static void run(const char *name, int64_t rows, const char *what) {
  bench_case c;
  if (!bench_wanted(&c, "batches", "%s%s", name, what)) return;
  if (bench.quick) rows = 20000;
  c.threads = 1;
  bench_inputs(&c, ",\"rows\":%lld", (long long)rows);
  epoch e = {.context = bench_context(&c), .rows = rows, .stages = STAGES};
  e.batching = strcmp(what, "-packed") == 0 ? MCL_BATCH_PACKED : MCL_BATCH_ONE_CELL;
  if (strcmp(what, "-stage-0") == 0) e.stages = 0;
  mcl_struct_init(&e.batch, sizeof e.batch);
  e.batch.indices = e.indices;
  e.batch.capacity = BATCH_ROWS;
  make_labels(&e);
  int adding = strcmp(what, "-add-labels") == 0;
  if (!adding) make_sampler(&e);
  bench_result r = bench_fastest(&c, TIMES, adding ? make_sampler : all_batches, &e);
  bench_line(&c, &r, ",\"ns_per_row\":%.2f,\"sum\":%lld", r.ms * 1e6 / (double)rows,
             (long long)sum_of(&e));
  for (int32_t s = 0; s < e.stages; s++) free(e.labels[s]);
  mcl_sampler_unref(e.sampler);
  mcl_context_unref(e.context);
}

int main(int argc, char **argv) {
  static const char *const names[] = {"1e6", "1e7", "1e8"};
  bench_start(argc, argv);
  for (int i = 0, rows = 1000000; i < 3; i++, rows *= 10) run(names[i], rows, "");
  run("1e6", 1000000, "-packed");
  run("1e6", 1000000, "-stage-0");
  run("1e6", 1000000, "-add-labels");
  return 0;
}
