// Samplers: of every kind of batches and order, and with small cells.
#include "exhaustion/exhaust.h"

#include <libmcl/sampler.h>

enum { ROWS = 90, CAPACITY = 16 };
static mcl_sampler *sampler, *made;
static mcl_sampler_options options;
static int32_t labels[ROWS], more[ROWS];

static void prepare_options(void) {
  mcl_sampler_options_init(&options, sizeof options);
  options.batch_rows = CAPACITY;
  for (int i = 0; i < ROWS; i++) {
    labels[i] = i * i % 7;
    more[i] = i % 30 == 0 ? -1 : i % 4 == 3 ? 300 + i % 16 : i % 4;
  }
  sampler = NULL, made = UNTOUCHED;
}

static mcl_status create(void) {
  return mcl_sampler_create(c, &options, ROWS, 0, 1, &made, &err);
}

static void prepare_made(void) {
  CHECK_OK(create());
  sampler = made, made = UNTOUCHED;
  CHECK_OK(mcl_sampler_add_labels(sampler, 0, labels, ROWS, &err));
}
static void prepare(void) {
  prepare_options();
  prepare_made();
}
static void prepare_packed(void) {
  prepare_options();
  options.batching = MCL_BATCH_PACKED;
  prepare_made();
}
static void prepare_rounds(void) {
  prepare_options();
  options.order = MCL_ORDER_ROUND_ROBIN;
  prepare_made();
}
static void prepare_uniform(void) {
  prepare_options();
  options.order = MCL_ORDER_UNIFORM, options.small_cells = MCL_SMALL_DROP;
  options.batch_rows = 4;
  prepare_made();
}

static mcl_status add(void) {
  return mcl_sampler_add_labels(sampler, 1, more, ROWS, &err);
}
static mcl_status add_jointly(void) {
  return mcl_sampler_add_labels(sampler, 0, more, ROWS, &err);
}

static void see_sampler(seen *s, const mcl_sampler *p) {
  int64_t cells[ROWS], indices[CAPACITY], of[CAPACITY];
  mcl_sampler_report r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_sampler_get_report(p, &r, &err));
  CHECK_OK(mcl_sampler_cells(p, cells, ROWS, &err));
  see(s, &r, sizeof r), see(s, cells, sizeof cells);
  for (int64_t step = 0; step < mcl_sampler_steps(p); step++) {
    mcl_batch b;
    mcl_struct_init(&b, sizeof b);
    b.indices = indices, b.cells = of, b.capacity = CAPACITY;
    CHECK_OK(mcl_sampler_batch(p, 1, step, &b, &err));
    see(s, indices, (size_t)b.n * sizeof *indices), see(s, of, (size_t)b.n * sizeof *of);
  }
}

static void look(seen *s) {
  if (sampler) see_sampler(s, sampler);
  see_number(s, IS_MADE(made));
  if (IS_MADE(made)) see_sampler(s, made);
}

static void finish(void) {
  mcl_sampler_unref(sampler);
  if (IS_MADE(made)) mcl_sampler_unref(made);
}

static const exhaust_case cases[] = {
    {"mcl_sampler_create", "", prepare_options, create, look, finish},
    {"mcl_sampler_add_labels", "of the next stage", prepare, add, look, finish},
    {"mcl_sampler_add_labels", "of the same stage", prepare, add_jointly, look, finish},
    {"mcl_sampler_add_labels", "packed", prepare_packed, add, look, finish},
    {"mcl_sampler_add_labels", "round robin", prepare_rounds, add, look, finish},
    {"mcl_sampler_add_labels", "uniform, small cells dropped", prepare_uniform, add, look, finish},
};
PART(sampler, cases);
