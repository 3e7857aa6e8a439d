// The sampler's handle: arguments checked, a plan held, batches written into the caller's buffers.
//
// A plan never changes. Adding labels makes a new one beside the old and then swaps them, and a clone is
// another holder of the same plan. Only the rows are not there twice, where nobody else holds the plan:
// they are moved within their cells, which a failure undoes (cells.c). A batch reads the plan and draws
// the rest from keys (plan.c).
#include "sampler/sampler.h"

#include <string.h>

#include "sampler/plan.h"

struct mcl_sampler {
  mcl_context *context;
  mcli_refcount references;
  mcli_guard changing;
  mcli_plan *plan;
  int32_t rank;
  mcli_isa isa;
};

static const mcl_sampler_options defaults = {
    .struct_size = sizeof(mcl_sampler_options),
    .batch_rows = 256,
    .min_cell_rows = 4,
    .small_cells = MCL_SMALL_BACK_OFF,
    .batching = MCL_BATCH_ONE_CELL,
    .order = MCL_ORDER_PROPORTIONAL,
};

void mcl_sampler_options_init(mcl_sampler_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

mcl_sampler *mcl_sampler_ref(mcl_sampler *s) {
  if (s) mcli_ref(&s->references);
  return s;
}

void mcl_sampler_unref(mcl_sampler *s) {
  if (!s || !mcli_unref_is_last(&s->references)) return;
  mcl_context *c = s->context;
  mcli_plan_unref(s->plan);
  mcli_free(c, s);
  mcl_context_unref(c);
}

// ---- creation -----------------------------------------------------------------------------------

static mcl_status check_choice(const char *field, int32_t value, int32_t last, mcl_error *err) {
  if (value >= 1 && value <= last) return mcl_ok(err);
  return mcli_fail(err, MCL_E_INVALID, "mcl_sampler_options.%s is %d, not one of 1 to %d", field,
                   value, last);
}

static mcl_status check_options(const mcl_sampler_options *o, int32_t world, mcl_error *err) {
  mcl_status status;
  if ((status = check_choice("small_cells", o->small_cells, MCL_SMALL_DROP, err)) < 0 ||
      (status = check_choice("batching", o->batching, MCL_BATCH_PACKED, err)) < 0 ||
      (status = check_choice("order", o->order, MCL_ORDER_UNIFORM, err)) < 0)
    return status;
  int64_t packed = o->batching == MCL_BATCH_PACKED;
  int64_t least = packed ? 2 * (int64_t)world : world < 2 ? 2 : world;
  if (o->batch_rows < least)
    return mcli_fail(err, MCL_E_INVALID,
                     "mcl_sampler_options.batch_rows is %lld, less than %lld, for %d ranks",
                     (long long)o->batch_rows, (long long)least, world);
  if (o->min_cell_rows < 1)
    return mcli_fail(err, MCL_E_INVALID, "mcl_sampler_options.min_cell_rows is %lld, less than 1",
                     (long long)o->min_cell_rows);
  if (packed && o->order != MCL_ORDER_PROPORTIONAL)
    return mcli_fail(err, MCL_E_INVALID,
                     "mcl_sampler_options.order is %d: packed batches come in "
                     "MCL_ORDER_PROPORTIONAL (%d) only",
                     o->order, MCL_ORDER_PROPORTIONAL);
  if (o->flags)
    return mcli_fail(err, MCL_E_INVALID, "mcl_sampler_options.flags is %u, not 0", o->flags);
  return mcl_ok(err);
}

static mcl_status check_place(int64_t rows, int32_t rank, int32_t world, mcl_error *err) {
  if (rows < 1 || rows > INT64_C(1) << 62)
    return mcli_fail(err, MCL_E_INVALID, "rows is %lld, not 1 to 2^62", (long long)rows);
  if (world < 1) return mcli_fail(err, MCL_E_INVALID, "world is %d, less than 1", world);
  if (rank < 0 || rank >= world)
    return mcli_fail(err, MCL_E_INVALID, "rank is %d, not 0 to world - 1 = %d", rank, world - 1);
  return mcl_ok(err);
}

// Takes a reference to `plan` over, also when it fails.
static mcl_status sampler_new(mcl_context *c, mcli_plan *plan, int32_t rank, mcl_sampler **out,
                              mcl_error *err) {
  mcl_sampler *s = MCLI_NEW0(c, mcl_sampler, 1);
  if (!s) {
    mcli_plan_unref(plan);
    return mcli_nomem(err, "a sampler");
  }
  mcli_ref_init(&s->references);
  mcli_guard_init(&s->changing);
  s->context = mcl_context_ref(c);
  s->plan = plan;
  s->rank = rank;
  s->isa = mcli_context_isa(c);
  *out = s;
  return mcl_ok(err);
}

mcl_status mcli_sampler_create(mcl_context *c, const mcl_sampler_options *options, int64_t rows,
                               int32_t rank, int32_t world, int32_t wide, mcl_sampler **out,
                               mcl_error *err) {
  mcl_sampler_options o = defaults;
  mcli_cells *root;
  mcli_plan *plan;
  mcl_status status;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (options &&
      (status = mcli_options_copy(&o, sizeof o, options, "mcl_sampler_options", err)) < 0)
    return status;
  if ((status = check_place(rows, rank, world, err)) < 0 ||
      (status = check_options(&o, world, err)) < 0 ||
      (status = mcli_cells_root(c, rows, wide, &root, err)) < 0 ||
      (status = mcli_plan_make(&o, world, root, &plan, err)) < 0)
    return status;
  return sampler_new(c, plan, rank, out, err);
}

mcl_status mcl_sampler_create(mcl_context *c, const mcl_sampler_options *o, int64_t rows,
                              int32_t rank, int32_t world, mcl_sampler **out, mcl_error *err) {
  return mcli_sampler_create(c, o, rows, rank, world, rows > INT32_MAX, out, err);
}

mcl_status mcli_sampler_clone(const mcl_sampler *s, mcl_sampler **out, mcl_error *err) {
  return sampler_new(s->context, mcli_plan_ref(s->plan), s->rank, out, err);
}

// ---- labels -------------------------------------------------------------------------------------

static mcl_status check_labels(const mcl_sampler *s, int32_t stage, const int32_t *labels,
                               int64_t n, mcli_labels *out, mcl_error *err) {
  const mcli_cells *cells = s->plan->cells;
  int32_t next = cells->stages, lowest = next > 0 ? next - 1 : 0;
  if (stage < lowest || stage > next)
    return mcli_fail(err, MCL_E_INVALID, "stage is %d, not %d%s", stage, next,
                     next > 0 ? " or the one before, whose labels were added last" : ", the first");
  if (!labels) return mcli_fail(err, MCL_E_INVALID, "labels is NULL");
  if (n != cells->rows)
    return mcli_fail(err, MCL_E_SHAPE, "n is %lld labels for %lld rows", (long long)n,
                     (long long)cells->rows);
  *out = (mcli_labels){.of = labels};
  int32_t least = 0;
  for (int64_t i = 0; i < n; i++) {
    out->max = labels[i] > out->max ? labels[i] : out->max;
    least = labels[i] < least ? labels[i] : least;
    out->given += labels[i] >= 0;
  }
  for (int64_t i = 0; i < n && least < -1; i++)
    if (labels[i] < -1)
      return mcli_fail_row(err, MCL_E_INVALID, i, "labels[%lld] is %d, less than -1", (long long)i,
                           labels[i]);
  return mcl_ok(err);
}

// Rows move in place unless a clone reads them too.
static mcl_status refine(mcl_sampler *s, int32_t stage, const int32_t *labels, int64_t n,
                         mcl_error *err) {
  mcli_plan *old = s->plan, *new = NULL;
  mcli_labels checked;
  mcli_refined r;
  mcl_status status = check_labels(s, stage, labels, n, &checked, err);
  if (status < 0) return status;
  status =
      mcli_cells_refine(old->cells, mcli_ref_is_only(&old->references), stage, &checked, &r, err);
  if (status == MCL_OK) {
    mcli_cells *cells = r.cells;
    status = mcli_plan_make(&old->options, old->world, cells, &new, err);
    if (status < 0) r.cells = NULL; // gone
  }
  if (status != MCL_OK) {
    mcli_cells_undo(old->cells, &r);
    return status;
  }
  mcli_cells_finish(old->cells, &r);
  s->plan = new;
  mcli_plan_unref(old);
  return mcl_ok(err);
}

mcl_status mcl_sampler_add_labels(mcl_sampler *s, int32_t stage, const int32_t *labels, int64_t n,
                                  mcl_error *err) {
  if (!s) return mcli_fail(err, MCL_E_INVALID, "sampler is NULL");
  mcl_status status = mcli_guard_enter(&s->changing, "mcl_sampler", err);
  if (status < 0) return status;
  status = refine(s, stage, labels, n, err);
  mcli_guard_leave(&s->changing);
  return status;
}

// ---- batches ------------------------------------------------------------------------------------

int64_t mcl_sampler_steps(const mcl_sampler *s) {
  return s ? s->plan->report.steps : 0;
}

int64_t mcl_sampler_batch_capacity(const mcl_sampler *s) {
  if (!s) return 0;
  const mcli_plan *p = s->plan;
  int64_t most = p->piece_rows < p->cells->rows ? p->piece_rows : p->cells->rows;
  return p->options.batching == MCL_BATCH_PACKED ? most : (most + p->world - 1) / p->world;
}

// Rows looked up at a time. While the places of some are computed, the lines of those before are on
// their way: a row of a large index is a line from memory, and waiting for it takes longer than the
// permutation. 256 are more than a processor fetches at once, and still in the first-level cache when
// they are wanted.
enum { TAKE_ROWS = 256, FETCH_ROWS = 64 };

static void fetch(const mcli_index *index, const int64_t *place, int64_t n) {
  if (index->narrow)
    for (int64_t i = 0; i < n; i++) __builtin_prefetch(&index->narrow[place[i]]);
  else if (index->wide)
    for (int64_t i = 0; i < n; i++) __builtin_prefetch(&index->wide[place[i]]);
}

// out[i] = the place in the index of row first + i of a permuted cell.
static void places(const mcl_sampler *s, const mcli_permutation *p, int64_t cell, int64_t first,
                   int64_t n, int64_t *out) {
  const mcli_plan *plan = s->plan;
  mcli_permutation_run(p, s->isa, (uint64_t)first, n, out);
  if (plan->part_first && plan->part_first[cell + 1] - plan->part_first[cell] > 1) {
    for (int64_t i = 0; i < n; i++) out[i] = mcli_plan_place(plan, cell, out[i]);
  } else {
    int64_t begin = mcli_plan_place(plan, cell, 0);
    for (int64_t i = 0; i < n; i++) out[i] += begin;
  }
  fetch(&plan->cells->index, out, n);
}

// out[i] = row first + i of a permuted cell.
static void take(const mcl_sampler *s, const mcli_permutation *p, int64_t cell, int64_t first,
                 int64_t n, int64_t *out) {
  const mcli_index *index = &s->plan->cells->index;
  for (int64_t part; n > 0; first += part, out += part, n -= part) {
    part = n < TAKE_ROWS ? n : TAKE_ROWS;
    for (int64_t i = 0; i < part; i += FETCH_ROWS)
      places(s, p, cell, first + i, part - i < FETCH_ROWS ? part - i : FETCH_ROWS, out + i);
    if (index->narrow)
      for (int64_t i = 0; i < part; i++) out[i] = index->narrow[out[i]];
    else if (index->wide)
      for (int64_t i = 0; i < part; i++) out[i] = index->wide[out[i]];
  }
}

// This rank's places of a piece.
static mcli_span share(const mcl_sampler *s, int64_t piece) {
  mcli_span span = mcli_plan_span(s->plan, piece);
  if (s->plan->options.batching == MCL_BATCH_ONE_CELL) {
    int64_t before;
    mcli_part(span.n, s->plan->world, s->rank, &before, &span.n);
    span.first += before;
  }
  return span;
}

static void fill(const mcl_sampler *s, uint64_t key, const mcli_draw *draw, mcl_batch *b) {
  const mcli_plan *plan = s->plan;
  b->n = 0;
  for (int64_t i = 0; i < draw->n; i++) {
    mcli_span span = share(s, mcli_draw_piece(draw, i));
    int64_t rows = mcli_plan_cell_rows(plan, span.cell);
    mcli_permutation p = mcli_plan_permutation(key, MCLI_DRAW_CELL, span.cell, draw->pass, rows);
    take(s, &p, span.cell, span.first, span.n, b->indices + b->n);
    if (b->cells)
      for (int64_t j = 0; j < span.n; j++) b->cells[b->n + j] = span.cell;
    b->n += span.n;
  }
}

// Looked up only where the buffer is smaller than any batch may need.
static int64_t wanted(const mcl_sampler *s, const mcli_draw *draw) {
  int64_t n = 0;
  for (int64_t i = 0; i < draw->n; i++) n += share(s, mcli_draw_piece(draw, i)).n;
  return n;
}

static mcl_status check_epoch(int32_t epoch, mcl_error *err) {
  if (epoch >= 0) return mcl_ok(err);
  return mcli_fail(err, MCL_E_LIMIT, "epoch is %d, less than 0", epoch);
}

static mcl_status check_batch(const mcl_sampler *s, int32_t epoch, int64_t step, const mcl_batch *b,
                              mcl_error *err) {
  mcl_status status = check_epoch(epoch, err);
  if (status < 0) return status;
  int64_t steps = s->plan->report.steps;
  if (step < 0 || step >= steps)
    return mcli_fail(err, MCL_E_LIMIT, "step is %lld, not 0 to steps - 1 = %lld", (long long)step,
                     (long long)(steps - 1));
  if (b->capacity < 0)
    return mcli_fail(err, MCL_E_INVALID, "mcl_batch.capacity is %lld, less than 0",
                     (long long)b->capacity);
  if (!b->indices && b->capacity > 0)
    return mcli_fail(err, MCL_E_INVALID, "mcl_batch.indices is NULL");
  return mcl_ok(err);
}

mcl_status mcl_sampler_batch(const mcl_sampler *s, int32_t epoch, int64_t step, mcl_batch *out,
                             mcl_error *err) {
  mcl_batch b = {0};
  mcl_status status;
  if (!s) return mcli_fail(err, MCL_E_INVALID, "sampler is NULL");
  if ((status = mcli_struct_in(&b, sizeof b, out, "mcl_batch", err)) < 0 ||
      (status = check_batch(s, epoch, step, &b, err)) < 0)
    return status;
  uint64_t key = mcli_plan_epoch_key(s->plan, epoch);
  mcli_draw draw = mcli_plan_draw(s->plan, key, step, s->rank);
  if (b.capacity < mcl_sampler_batch_capacity(s) && b.capacity < (b.n = wanted(s, &draw))) {
    if ((status = mcli_struct_out(out, &b, sizeof b, "mcl_batch", err)) < 0) return status;
    return mcli_fail(err, MCL_E_LIMIT, "mcl_batch.capacity is %lld, step %lld has %lld rows",
                     (long long)b.capacity, (long long)step, (long long)b.n);
  }
  fill(s, key, &draw, &b);
  b.step = step, b.steps = s->plan->report.steps;
  b.stage = s->plan->cells->stages, b.epoch = epoch;
  status = mcli_struct_out(out, &b, sizeof b, "mcl_batch", err);
  return status < 0 ? status : mcl_ok(err);
}

// ---- cells --------------------------------------------------------------------------------------

mcl_status mcl_sampler_negatives(const mcl_sampler *s, int32_t epoch, int64_t anchor, int64_t *out,
                                 int64_t capacity, int64_t *got, mcl_error *err) {
  if (!s) return mcli_fail(err, MCL_E_INVALID, "sampler is NULL");
  const mcli_plan *p = s->plan;
  mcl_status status = check_epoch(epoch, err);
  if (status < 0) return status;
  if (anchor < 0 || anchor >= p->cells->rows)
    return mcli_fail(err, MCL_E_LIMIT, "anchor is %lld, not 0 to rows - 1 = %lld",
                     (long long)anchor, (long long)(p->cells->rows - 1));
  if (capacity < 0)
    return mcli_fail(err, MCL_E_INVALID, "capacity is %lld, less than 0", (long long)capacity);
  if (!out && capacity > 0) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (!got) return mcli_fail(err, MCL_E_INVALID, "got is NULL");

  int64_t true_cell = mcli_cells_find(p->cells, anchor), n = 0;
  int64_t cell = true_cell < 0 ? -1 : mcli_plan_training(p, true_cell);
  int64_t rows = cell < 0 ? 0 : mcli_plan_cell_rows(p, cell);
  if (rows > 1) {
    mcli_permutation permutation =
        mcli_plan_permutation(mcli_plan_epoch_key(p, epoch), MCLI_DRAW_NEGATIVES, anchor, 0, rows);
    for (int64_t i = 0; i < rows && n < capacity; i++) {
      int64_t place = (int64_t)mcli_permutation_at(&permutation, (uint64_t)i);
      int64_t row = mcli_index_get(&p->cells->index, mcli_plan_place(p, cell, place));
      if (row != anchor) out[n++] = row;
    }
  }
  *got = n;
  return mcl_ok(err);
}

mcl_status mcl_sampler_cells(const mcl_sampler *s, int64_t *cell_of_row, int64_t n,
                             mcl_error *err) {
  if (!s) return mcli_fail(err, MCL_E_INVALID, "sampler is NULL");
  if (!cell_of_row) return mcli_fail(err, MCL_E_INVALID, "cell_of_row is NULL");
  const mcli_plan *p = s->plan;
  if (n != p->cells->rows)
    return mcli_fail(err, MCL_E_SHAPE, "n is %lld values for %lld rows", (long long)n,
                     (long long)p->cells->rows);
  for (int64_t i = 0; i < n; i++) cell_of_row[i] = -1;
  for (int64_t f = 0; f < p->cells->n; f++)
    for (int64_t i = p->cells->first[f], end = i + p->cells->size[f]; i < end; i++)
      cell_of_row[mcli_index_get(&p->cells->index, i)] = mcli_plan_training(p, f);
  return mcl_ok(err);
}

mcl_status mcl_sampler_get_report(const mcl_sampler *s, mcl_sampler_report *out, mcl_error *err) {
  if (!s) return mcli_fail(err, MCL_E_INVALID, "sampler is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  const mcl_sampler_report *report = &s->plan->report;
  mcl_status status = mcli_struct_out(out, report, sizeof *report, "mcl_sampler_report", err);
  return status < 0 ? status : mcl_ok(err);
}

void mcli_sampler_sizes(const mcl_sampler *s, mcli_cell_sizes *out) {
  *out = s->plan->sizes;
}
