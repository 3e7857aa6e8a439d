// Queries in chunks, the gallery in slabs.
//
//   for each chunk of queries: for each round: for each slab of the gallery: for each block of queries, in tasks
//
// The gallery is read once a round and chunk, so chunks are as large as memory allows; a slab is small, for it serves all
// queries of the chunk while it stays in the cache. Where any thread may read, the next slab is read by tasks that lie
// between those of this one: while one worker waits for the disk the others compute.
//
// A score depends on its two rows alone (math/scores.h), and slabs come in the order of their rows: so sizes of chunks and
// slabs are no part of any result, and a chunk may follow the number of threads.
#include "probe/cross.h"

#include <string.h>

#include "math/scores.h"

// A query that does not fit the budget is no reason to give up: a block a worker keeps them all busy.
static int64_t chunk_rows(const mcli_cross *x, int64_t state) {
  int64_t rows = CROSS_CHUNK_BYTES / (x->queries->rows.dim * (int64_t)sizeof(float) + state);
  int64_t least = PROBE_QUERIES * (int64_t)mcli_workers(x->context);
  rows -= rows % PROBE_QUERIES;
  if (rows < least) rows = least;
  return rows < x->queries->rows.rows ? rows : x->queries->rows.rows;
}

static int64_t slab_rows(const mcli_cross *x) {
  int64_t rows = CROSS_SLAB_BYTES / (x->gallery->rows.dim * (int64_t)sizeof(float));
  int64_t all = mcli_panels(x->gallery->rows.rows) * MCLI_PANEL;
  rows -= rows % PROBE_TILE;
  if (rows < PROBE_TILE) rows = PROBE_TILE;
  return rows < all ? rows : all;
}

mcl_status mcli_cross_open(mcli_cross *x, mcli_source *queries, mcli_source *gallery, int64_t state,
                           mcl_error *err) {
  mcl_context *c = queries->context;
  *x = (mcli_cross){.context = c, .queries = queries, .gallery = gallery, .holds = {-1, -1}};
  x->chunk = chunk_rows(x, state);
  x->slab = slab_rows(x);
  int64_t chunk, slab, dim = queries->rows.dim;
  int two = x->slab < gallery->rows.rows;
  if (!mcli_mul(x->chunk, dim, &chunk) || !mcli_mul(x->slab, dim, &slab))
    return mcli_fail(err, MCL_E_LIMIT, "rows of %lld numbers are too long", (long long)dim);
  x->rows = MCLI_NEW(c, float, chunk);
  x->slabs[0] = MCLI_NEW(c, float, slab);
  if (two) x->slabs[1] = MCLI_NEW(c, float, slab);
  x->scores = mcli_probe_scratch(c, PROBE_QUERIES * PROBE_TILE);
  if (x->rows && x->slabs[0] && (!two || x->slabs[1]) && x->scores) return MCL_OK;
  mcli_cross_close(x);
  return mcli_nomem(err, "chunks of rows");
}

void mcli_cross_close(mcli_cross *x) {
  if (!x->context) return;
  void *all[] = {x->rows, x->slabs[0], x->slabs[1], x->scores};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mcli_free(x->context, all[i]);
  memset(x, 0, sizeof *x);
}

// ---- slabs -----------------------------------------------------------------------------------------------

static void slab_of(const mcli_cross *x, int64_t number, int64_t *first, int64_t *n) {
  int64_t left = x->gallery->rows.rows - number * x->slab;
  *first = number * x->slab;
  *n = left < x->slab ? left : x->slab;
}

static mcli_source_pass load_of(const mcli_cross *x, int64_t number, mcli_probe_fill *f) {
  mcli_source_pass p = {.source = x->gallery, .fn = mcli_probe_fill_block, .job = f};
  slab_of(x, number, &p.first, &p.n);
  f->source = x->gallery;
  f->first = p.first;
  f->how = PROBE_PACKED;
  return p;
}

// Where a slab is, read if need be: 0 or 1.
static mcl_status hold(mcli_cross *x, int64_t number, int *at, mcl_error *err) {
  for (*at = 0; *at < 2; ++*at)
    if (x->holds[*at] == number) return MCL_OK;
  *at = x->slabs[1] && x->holds[0] >= 0 && x->holds[1] < 0; // two slabs are kept
  mcli_probe_fill f = {.out = x->slabs[*at]};
  mcli_source_pass p = load_of(x, number, &f);
  mcl_status s = mcli_source_run(&p, NULL, err);
  if (s == MCL_OK) x->holds[*at] = number;
  return s;
}

// ---- a slab and a chunk ------------------------------------------------------------------------------------

typedef struct step {
  mcli_cross *cross;
  mcli_cross_fn fn;
  void *job;
  const float *slab;
  int64_t chunk_first, chunk_n, from, rows;
  int64_t loads, tasks; // of the next slab; of both together
  mcli_source_pass load;
} step;

static void compute(const step *t, int64_t block, uint32_t worker) {
  mcli_cross *x = t->cross;
  int64_t place = block * PROBE_QUERIES, n = t->chunk_n - place;
  mcli_cross_block b = {.queries = x->rows + place * x->queries->rows.dim,
                        .first = t->chunk_first + place,
                        .n = n < PROBE_QUERIES ? n : PROBE_QUERIES,
                        .place = place,
                        .slab = t->slab,
                        .from = t->from,
                        .rows = t->rows,
                        .first_slab = t->from == 0,
                        .last_slab = t->from + t->rows == x->gallery->rows.rows,
                        .scores = x->scores + (int64_t)worker * PROBE_QUERIES * PROBE_TILE,
                        .worker = worker};
  t->fn(t->job, &b);
}

// Loads lie evenly among all tasks: number `before` is task i where it is the first with more than `before` up to it.
static void step_task(void *job, uint32_t task, uint32_t worker) {
  const step *t = job;
  int64_t before = task * t->loads / t->tasks, upto = (task + 1) * t->loads / t->tasks;
  if (upto > before)
    mcli_source_part(&t->load, before, worker);
  else
    compute(t, task - before, worker);
}

// One slab; `next`, if not negative, is read meanwhile.
static mcl_status one_slab(mcli_cross *x, step *t, int64_t number, int64_t next, mcl_error *err) {
  int at;
  mcl_status s = hold(x, number, &at, err);
  if (s < 0) return s;
  slab_of(x, number, &t->from, &t->rows);
  t->slab = x->slabs[at];
  mcli_probe_fill f = {.out = x->slabs[!at]};
  int ahead = next >= 0 && next != x->holds[!at] && mcli_rows_any_thread(&x->gallery->rows);
  t->loads = 0;
  if (ahead) {
    t->load = load_of(x, next, &f);
    t->loads = mcli_source_parts(&t->load);
  }
  t->tasks = t->loads + mcli_blocks(t->chunk_n, PROBE_QUERIES);
  s = mcli_parallel(x->context, (uint32_t)t->tasks, step_task, t, err);
  mcl_status met = mcli_source_outcome(x->gallery, s < 0 ? NULL : err);
  if (s == MCL_OK) s = met;
  if (s == MCL_OK && ahead) x->holds[!at] = next;
  return s;
}

// ---- all -------------------------------------------------------------------------------------------------

static mcl_status one_chunk(mcli_cross *x, step *t, const mcli_cross_fn *round, int32_t rounds,
                            mcli_watch *watch, mcl_error *err) {
  int64_t slabs = (x->gallery->rows.rows + x->slab - 1) / x->slab, steps = rounds * slabs;
  int last_chunk = t->chunk_first + t->chunk_n == x->queries->rows.rows;
  mcl_status s = MCL_OK;
  for (int64_t i = 0; s == MCL_OK && i < steps; i++) {
    int64_t next = slabs == 1 || (last_chunk && i + 1 == steps) ? -1 : (i + 1) % slabs;
    t->fn = round[i / slabs];
    s = one_slab(x, t, i % slabs, next, err);
    if (s == MCL_OK && watch)
      s = mcli_watch_tell(watch, t->chunk_first + t->chunk_n * (i + 1) / steps, watch->now.loss,
                          err);
  }
  return s;
}

mcl_status mcli_cross_run(mcli_cross *x, const mcli_cross_fn *round, int32_t rounds, void *job,
                          mcli_watch *watch, mcl_error *err) {
  int64_t all = x->queries->rows.rows;
  mcl_status s = MCL_OK;
  for (int64_t first = 0; s == MCL_OK && first < all; first += x->chunk) {
    int64_t n = all - first < x->chunk ? all - first : x->chunk;
    mcli_probe_fill f = {x->queries, first, x->rows, PROBE_NEGATED};
    step t = {.cross = x, .job = job, .chunk_first = first, .chunk_n = n};
    s = mcli_probe_fill_rows(&f, n, err);
    if (s == MCL_OK) s = one_chunk(x, &t, round, rounds, watch, err);
  }
  return s;
}
