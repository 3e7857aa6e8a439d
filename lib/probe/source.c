// How a probe reads rows, and why its bits do not depend on where they come from.
//
// A pass cuts its rows into parts and the parts into blocks by their number alone. What a part adds up it adds up block after
// block, and a block is the same float32 numbers whoever brings them (1). An array's parts run whole, in tasks, as do those
// that any thread may read. Another callback must be called on the caller's thread: there the next block of a few parts is
// read first and then worked on in tasks, which leaves (1) as it is.
//
// A failure is kept by the worker that met it, and the one of the lowest row counts. After it the parts under way are ended,
// not broken off, so that the row named does not depend on which thread was first.
#include "probe/source.h"

#include <string.h>

#include "math/array.h"

const mcl_rows *mcli_source_of(const mcl_array *array, mcl_rows *rows) {
  mcl_struct_init(rows, sizeof *rows);
  rows->array = array;
  return array ? rows : NULL;
}

mcl_status mcli_source_open(mcl_context *c, const mcl_rows *rows, const char *name, int64_t cols,
                            mcli_source *s, mcl_error *err) {
  memset(s, 0, sizeof *s);
  s->context = c;
  s->name = name;
  mcl_status status = mcli_rows_open(rows, name, &s->rows, err);
  if (status < 0) return status;
  if (cols >= 0 && s->rows.dim != cols)
    return mcli_fail(err, MCL_E_SHAPE, "%s has %d columns, not %lld", name, (int)s->rows.dim,
                     (long long)cols);
  return MCL_OK;
}

static int64_t block_rows(const mcli_source *s) {
  return s->rows.rows < SOURCE_ROWS ? s->rows.rows : SOURCE_ROWS;
}

mcl_status mcli_source_start(mcli_source *s, int64_t rows, int hold, mcl_error *err) {
  int64_t readers, block, all, copy;
  int converts = !s->rows.array && s->rows.dtype != MCL_F32;
  s->slots = rows <= SOURCE_ROWS ? 1 : (int32_t)mcli_workers(s->context);
  readers = mcli_rows_any_thread(&s->rows) ? s->slots : 1;
  if (!mcli_mul(block_rows(s), s->rows.dim, &block) || !mcli_mul(block, s->slots, &all) ||
      !mcli_mul(s->rows.rows, s->rows.dim, &copy))
    return mcli_fail(err, MCL_E_LIMIT, "%s has too many numbers", s->name);
  if (hold)
    s->held = MCLI_NEW(s->context, float, copy);
  else
    s->buffers = MCLI_NEW(s->context, float, all);
  if (converts) s->scratch = MCLI_NEW(s->context, double, block *readers);
  s->failures = MCLI_NEW0(s->context, mcli_source_failure, s->slots);
  if ((s->held || s->buffers) && (!converts || s->scratch) && s->failures) return MCL_OK;
  mcli_source_stop(s);
  return mcli_nomem(err, s->name);
}

void mcli_source_stop(mcli_source *s) {
  void *all[] = {s->held, s->buffers, s->scratch, s->failures};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i]) mcli_free(s->context, all[i]);
  s->held = s->buffers = NULL;
  s->scratch = NULL;
  s->failures = NULL;
  s->filled = s->finite = 0;
}

// ---- a block ---------------------------------------------------------------------------------------------

static mcl_status check(const mcli_source *s, int64_t first, int64_t n, const float *x,
                        mcl_error *err) {
  int64_t bad = mcli_first_not_finite(x, n, s->rows.dim);
  if (bad < 0) return MCL_OK;
  return mcli_fail_row(err, MCL_E_NOT_FINITE, first + bad, "row %lld of %s is not finite",
                       (long long)(first + bad), s->name);
}

mcl_status mcli_source_row(const mcli_source *s, int64_t i, float *out, mcl_error *err) {
  mcl_status status = mcli_rows_load(&s->rows, i, 1, out, s->scratch, err);
  return status < 0 ? status : check(s, i, 1, out, err);
}

static float *place_of(const mcli_source *s, int64_t first, int64_t slot) {
  if (s->held) return s->held + first * s->rows.dim;
  return s->buffers + slot * block_rows(s) * s->rows.dim;
}

// Into its place, not looked at.
static mcl_status read(const mcli_source *s, const mcli_source_block *b, int64_t slot,
                       mcl_error *err) {
  if (s->filled) return MCL_OK;
  double *scratch = s->scratch;
  if (scratch && mcli_rows_any_thread(&s->rows)) scratch += slot * block_rows(s) * s->rows.dim;
  return mcli_rows_load(&s->rows, b->first, b->n, b->x, scratch, err);
}

static void keep(mcli_source *s, const mcli_source_block *b, mcl_status status,
                 const mcl_error *error) {
  mcli_source_failure *f = &s->failures[b->worker];
  if (f->status == MCL_OK || b->first < f->first)
    *f = (mcli_source_failure){status, b->first, *error};
}

// A block that has been read: whether it was worked on.
static int work(const mcli_source_pass *p, const mcli_source_block *b) {
  mcl_error error;
  int known = p->source->filled || p->source->finite;
  mcl_status s = known ? MCL_OK : check(p->source, b->first, b->n, b->x, &error);
  if (s == MCL_OK)
    p->fn(p->job, b);
  else
    keep(p->source, b, s, &error);
  return s == MCL_OK;
}

mcl_status mcli_source_outcome(mcli_source *s, mcl_error *err) {
  mcli_source_failure *least = NULL;
  for (int32_t w = 0; w < s->slots; w++) {
    mcli_source_failure *f = &s->failures[w];
    if (f->status < 0 && (!least || f->first < least->first)) least = f;
  }
  if (!least) return MCL_OK;
  mcl_status status = least->status;
  if (err) *err = least->error;
  memset(s->failures, 0, (size_t)s->slots * sizeof *s->failures);
  return status;
}

// ---- parts -----------------------------------------------------------------------------------------------

int64_t mcli_source_parts(const mcli_source_pass *p) {
  return p->parts ? p->parts : (p->n + SOURCE_ROWS - 1) / SOURCE_ROWS;
}

// Block `number` of a part; n is 0 behind the last.
static mcli_source_block block_of(const mcli_source_pass *p, int64_t part, int64_t number,
                                  int64_t slot) {
  int64_t first = part * SOURCE_ROWS, n = p->n - first < SOURCE_ROWS ? p->n - first : SOURCE_ROWS;
  if (p->parts) mcli_part(p->n, p->parts, part, &first, &n);
  int64_t done = number * SOURCE_ROWS;
  mcli_source_block b = {.first = p->first + first + done, .part = part, .number = number};
  b.n = n - done < SOURCE_ROWS ? n - done : SOURCE_ROWS;
  if (b.n < 0) b.n = 0;
  if (b.n > 0) b.x = place_of(p->source, b.first, slot);
  return b;
}

void mcli_source_part(const mcli_source_pass *p, int64_t part, uint32_t worker) {
  for (int64_t number = 0;; number++) {
    mcli_source_block b = block_of(p, part, number, worker);
    mcl_error error;
    if (b.n == 0) return;
    b.worker = worker;
    mcl_status s = read(p->source, &b, worker, &error);
    if (s < 0) keep(p->source, &b, s, &error);
    if (s < 0 || !work(p, &b)) return;
  }
}

typedef struct group {
  const mcli_source_pass *pass;
  int64_t first, number; // its first part; of its parts' blocks the one that has been read
} group;

static void part_task(void *job, uint32_t task, uint32_t worker) {
  const group *g = job;
  mcli_source_part(g->pass, g->first + task, worker);
}

static void block_task(void *job, uint32_t task, uint32_t worker) {
  const group *g = job;
  mcli_source_block b = block_of(g->pass, g->first + task, g->number, task);
  b.worker = worker;
  if (b.n > 0) work(g->pass, &b);
}

// n parts, no more than workers, whose blocks the caller reads.
static mcl_status run_read(group *g, uint32_t n, mcl_error *err) {
  mcli_source *s = g->pass->source;
  for (g->number = 0;; g->number++) {
    uint32_t read_parts = 0;
    for (; read_parts < n; read_parts++) {
      mcli_source_block b = block_of(g->pass, g->first + read_parts, g->number, read_parts);
      if (b.n == 0) break; // parts never grow longer
      mcl_status status = read(s, &b, read_parts, err);
      if (status < 0) return status;
    }
    if (read_parts == 0) return MCL_OK;
    mcl_status status = mcli_parallel(s->context, read_parts, block_task, g, err);
    if (status < 0) return status;
  }
}

// Parts at once: all of what is in memory. What must be read has ends in between, for the watch: two parts a worker keep the
// workers busy, more would keep the host waiting.
static int64_t parts_at_once(const mcli_source *s, int64_t parts) {
  if (s->filled || s->rows.array) return parts;
  return s->slots * (mcli_rows_any_thread(&s->rows) ? 2 : 1);
}

mcl_status mcli_source_run(const mcli_source_pass *p, mcli_watch *watch, mcl_error *err) {
  mcli_source *s = p->source;
  int64_t parts = mcli_source_parts(p), most = parts_at_once(s, parts);
  int any = s->filled || mcli_rows_any_thread(&s->rows);
  mcl_status status = MCL_OK;
  for (int64_t first = 0; first < parts && status == MCL_OK; first += most) {
    group g = {p, first, 0};
    uint32_t n = (uint32_t)(parts - first < most ? parts - first : most);
    status = any ? mcli_parallel(s->context, n, part_task, &g, err) : run_read(&g, n, err);
    mcl_status met = mcli_source_outcome(s, status < 0 ? NULL : err);
    if (status == MCL_OK) status = met;
    if (status == MCL_OK && watch && first + n < parts)
      status = mcli_watch_tell(watch, watch->now.done, watch->now.loss, err);
  }
  if (status == MCL_OK && s->held) s->filled = 1;
  return status;
}

static void nothing(void *job, const mcli_source_block *b) {
  (void)job;
  (void)b;
}

mcl_status mcli_source_finite(mcli_source *s, int64_t first, int64_t n, mcl_error *err) {
  mcli_source_pass p = {s, first, n, 0, nothing, NULL};
  mcl_status status = mcli_source_run(&p, NULL, err);
  s->finite = status == MCL_OK && s->rows.array;
  return status;
}
