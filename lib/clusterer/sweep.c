// A pass over the rows of a rank, segment by segment (comm/share.c).
//
// A segment's partial results are made block after block in row order (1), and the totals segment
// after segment, or in a tree over them (2). Both orders follow from the number of rows alone. Only a
// few segments are under way at once, one a slot: a wave. How many slots there are decides memory and
// speed but not the order of any addition, so it may follow the number of threads.
//
// An array's segments run whole, in tasks, as do those that any thread may read. Another callback
// must be called on the caller's thread: it reads ahead while tasks work (feed.c), which leaves (1)
// and (2) as they are.
#include "clusterer/sweep.h"

#include <string.h>

#include "base/rng.h"
#include "clusterer/feed.h"
#include "math/array.h"

static int is_plain(const mcl_rows *r) {
  return r->array && mcli_array_plain(r->array, 0) != NULL;
}

static mcl_status open_shares(mcli_sweep *s, mcl_error *err) {
  int32_t size = mcl_comm_size(s->comm);
  if (size == 1) return MCL_OK;
  s->shares = MCLI_NEW(s->context, int64_t, size + 1);
  s->cuts = MCLI_NEW(s->context, int64_t, size + 1);
  if (!s->shares || !s->cuts) return mcli_nomem(err, "the shares of ranks");
  mcli_grid_shares(&s->grid, size, s->shares);
  return MCL_OK;
}

static mcl_status open_buffers(mcli_sweep *s, mcl_error *err) {
  const mcl_rows *rows = &s->rows;
  int64_t most = rows->rows < MCLI_SWEEP_BLOCK ? rows->rows : MCLI_SWEEP_BLOCK;
  int64_t numbers = (most > 0 ? most : 1) * rows->dim;
  if (!is_plain(rows)) s->buffers = MCLI_NEW(s->context, float, numbers * s->slots * s->depth);
  int64_t readers = mcli_rows_any_thread(&s->rows) ? s->slots : 1;
  if (!rows->array && rows->dtype != MCL_F32)
    s->scratch = MCLI_NEW(s->context, double, numbers *readers);
  int missing =
      (!is_plain(rows) && !s->buffers) || (!rows->array && rows->dtype != MCL_F32 && !s->scratch);
  return missing ? mcli_nomem(err, "a block of rows") : MCL_OK;
}

mcl_status mcli_sweep_open(mcl_context *c, mcl_comm *comm, const mcl_rows *rows, mcli_sweep *s,
                           mcl_error *err) {
  memset(s, 0, sizeof *s);
  s->context = c;
  s->comm = comm;
  s->rows = *rows;
  s->grid = mcli_grid_make(comm, rows->rows);
  mcl_comm_share(comm, rows->rows, &s->first, &s->n);
  s->blocks = (s->n + MCLI_SWEEP_BLOCK - 1) / MCLI_SWEEP_BLOCK;
  s->slots = mcli_workers(c) < s->grid.n ? mcli_workers(c) : s->grid.n;
  if (s->slots == 0) s->slots = 1;
  int ahead = !mcli_rows_any_thread(&s->rows) && mcli_workers(c) > 1 && s->blocks > s->slots;
  s->depth = ahead ? MCLI_SWEEP_DEPTH : 1;
  mcl_status status = open_shares(s, err);
  if (status == MCL_OK) status = open_buffers(s, err);
  if (status < 0) mcli_sweep_close(s);
  return status;
}

void mcli_sweep_close(mcli_sweep *s) {
  if (!s->context) return;
  mcli_free(s->context, s->shares);
  mcli_free(s->context, s->cuts);
  mcli_free(s->context, s->buffers);
  mcli_free(s->context, s->scratch);
  memset(s, 0, sizeof *s);
}

mcl_status mcli_sweep_load(const mcli_sweep *s, int64_t number, uint32_t segment, uint32_t slot,
                           int32_t at, mcli_block *b, mcl_error *err) {
  b->row = number * MCLI_SWEEP_BLOCK;
  b->first = b->row - s->first;
  b->n = s->rows.rows - b->row;
  if (b->n > MCLI_SWEEP_BLOCK) b->n = MCLI_SWEEP_BLOCK;
  b->slot = slot;
  b->segment = segment;
  int64_t before = ((int64_t)slot * s->depth + at) * MCLI_SWEEP_BLOCK * s->rows.dim;
  float *buffer = s->buffers ? s->buffers + before : NULL;
  double *scratch = s->scratch;
  if (scratch && mcli_rows_any_thread(&s->rows)) scratch += before;
  if (!s->rows.array || !s->finite)
    return mcli_rows_block(&s->rows, b->row, b->n, buffer, scratch, &b->x, err);
  b->x = mcli_array_plain(s->rows.array, b->row);
  if (!b->x) mcli_array_load(s->rows.array, b->row, b->n, buffer), b->x = buffer;
  return MCL_OK;
}

// ---- one wave -----------------------------------------------------------------------------------

typedef struct wave {
  const mcli_sweep *sweep;
  mcli_block_fn block;
  void *job;
  uint32_t first, n; // segments
  mcl_status status[MCLI_SWEEP_SEGMENTS];
  mcl_error errors[MCLI_SWEEP_SEGMENTS];
} wave;

static void run_segment(void *job, uint32_t slot, uint32_t worker) {
  wave *w = job;
  (void)worker;
  int64_t first, n;
  mcli_sweep_segment(w->sweep, w->first + slot, &first, &n);
  for (int64_t i = 0; i < n && w->status[slot] == MCL_OK; i++) {
    mcli_block b;
    w->status[slot] =
        mcli_sweep_load(w->sweep, first + i, w->first + slot, slot, 0, &b, &w->errors[slot]);
    if (w->status[slot] == MCL_OK) w->status[slot] = w->block(w->job, &b, &w->errors[slot]);
  }
}

static mcl_status first_failure(const wave *w, mcl_error *err) {
  for (uint32_t i = 0; i < w->n; i++) {
    if (w->status[i] == MCL_OK) continue;
    if (err) *err = w->errors[i];
    return w->status[i];
  }
  return MCL_OK;
}

mcl_status mcli_sweep_run(const mcli_sweep *s, mcli_block_fn block, mcli_wave_fn after, void *job,
                          mcl_error *err) {
  wave *w = MCLI_NEW0(s->context, wave, 1);
  mcli_feed *feed = NULL;
  if (w && !mcli_rows_any_thread(&s->rows)) feed = mcli_feed_open(s, block, job);
  mcl_status status = MCL_OK;
  if (!w || (!feed && !mcli_rows_any_thread(&s->rows))) {
    status = mcli_nomem(err, "a pass over rows");
    goto done;
  }
  w->sweep = s;
  w->block = block;
  w->job = job;
  uint32_t end = s->grid.first + s->grid.n;
  for (uint32_t first = s->grid.first; first < end && status == MCL_OK; first += s->slots) {
    w->first = first;
    w->n = end - first < s->slots ? end - first : s->slots;
    status = feed ? mcli_feed_wave(feed, first, w->n, err)
                  : mcli_parallel(s->context, w->n, run_segment, w, err);
    if (status == MCL_OK) status = first_failure(w, err);
    if (status < 0) break;
    if (!after) continue;
    int64_t begun, n;
    mcli_sweep_segment(s, first + w->n - 1, &begun, &n);
    int64_t done = begun + n - s->first / MCLI_SWEEP_BLOCK;
    status = after(job, first, w->n, done, s->blocks, err);
  }
done:
  mcli_feed_close(feed);
  mcli_free(s->context, w);
  return status;
}

// ---- some of the rows ---------------------------------------------------------------------------

void mcli_sweep_draw(uint64_t seed, uint64_t a, uint64_t b, int64_t rows, int64_t n, int64_t *at) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_KMEANS, a, b);
  for (int64_t i = 0; i < n; i++) {
    int64_t first, share;
    mcli_part(rows, n, i, &first, &share);
    at[i] = first + (int64_t)mcli_rng_below(&r, (uint64_t)share);
  }
}

typedef struct gathering {
  const mcl_array *array;
  const int64_t *at;
  int64_t n;
  float *out; // [n, dim]
} gathering;

static void gather_part(void *job, uint32_t task, uint32_t worker) {
  const gathering *g = job;
  int64_t first = (int64_t)task * MCLI_SWEEP_BLOCK, end = first + MCLI_SWEEP_BLOCK;
  (void)worker;
  for (int64_t i = first; i < end && i < g->n; i++)
    mcli_array_load(g->array, g->at[i], 1, g->out + i * g->array->shape[1]);
}

static mcl_status gather_array(const mcli_sweep *s, const int64_t *at, int64_t n, float *out,
                               mcl_error *err) {
  gathering g = {s->rows.array, at, n, out};
  mcl_status status =
      mcli_parallel(s->context, mcli_blocks(n, MCLI_SWEEP_BLOCK), gather_part, &g, err);
  int64_t bad = status < 0 || s->finite ? -1 : mcli_first_not_finite(out, n, s->rows.dim);
  if (bad < 0) return status;
  return mcli_fail_row(err, MCL_E_NOT_FINITE, at[bad], "row %lld is not finite",
                       (long long)at[bad]);
}

// A callback is asked once for wanted rows that share a block, from the first to the last of them.
static mcl_status gather_mine(const mcli_sweep *s, const int64_t *at, int64_t n, float *out,
                              mcl_error *err) {
  int64_t dim = s->rows.dim;
  if (s->rows.array) return gather_array(s, at, n, out, err);
  for (int64_t i = 0, next; i < n; i = next) {
    int64_t block = at[i] / MCLI_SWEEP_BLOCK;
    for (next = i + 1; next < n && at[next] / MCLI_SWEEP_BLOCK == block;) next++;
    const float *x;
    mcl_status status =
        mcli_rows_block(&s->rows, at[i], at[next - 1] - at[i] + 1, s->buffers, s->scratch, &x, err);
    if (status < 0) return status;
    for (int64_t r = i; r < next; r++)
      memcpy(out + r * dim, x + (at[r] - at[i]) * dim, (size_t)dim * sizeof *out);
  }
  return MCL_OK;
}

mcl_status mcli_sweep_gather(const mcli_sweep *s, mcl_status status, const int64_t *at, int64_t n,
                             float *out, mcl_error *err) {
  if (!s->shares) return status < 0 ? status : gather_mine(s, at, n, out, err);
  if (status < 0) return mcli_comm_gather(s->comm, status, NULL, NULL, 0, err);
  int32_t size = mcl_comm_size(s->comm), rank = mcl_comm_rank(s->comm);
  int64_t cut = 0;
  for (int32_t r = 0; r <= size; r++) {
    while (cut < n && at[cut] < s->shares[r]) cut++;
    s->cuts[r] = cut;
  }
  int64_t first = s->cuts[rank], mine = s->cuts[rank + 1] - first;
  status = gather_mine(s, at + first, mine, out + first * s->rows.dim, err);
  return mcli_comm_gather_parts(s->comm, status, s->cuts, out, s->rows.dim * (int64_t)sizeof *out,
                                err);
}

mcl_status mcli_sweep_share(const mcli_sweep *s, mcl_status status, double *data, int64_t width,
                            mcl_error *err) {
  if (!s->shares) return status;
  int32_t size = mcl_comm_size(s->comm);
  for (int32_t r = 0; r < size; r++) {
    uint32_t first, n;
    mcli_grid_segments(&s->grid, size, r, &first, &n);
    s->cuts[r] = first;
  }
  s->cuts[size] = s->grid.segments;
  return mcli_comm_gather_parts(s->comm, status, s->cuts, data, width * (int64_t)sizeof *data, err);
}
