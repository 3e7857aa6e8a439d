// Retrieval: is a row of the query's own group among the k nearest rows of the gallery?
//
//   own  = max over j of the query's group of <q, g_j>                               (1)
//   found:  #{ j of other groups : <q, g_j> > own - SLACK } < k                      (2)
//
// Rows have length 1. Ranks are never made: what counts is how many rows stand before the best one, tile by tile. A match is
// a group of one gallery row, so recall is (2) with groups that are row numbers, and nothing needs to be sorted.
//
// The gallery goes by twice, slab by slab (cross.h): (1) needs few of its rows but any, (2) needs (1).
#include "probe/recall.h"

#include "math/rows.h"
#include "probe/cross.h"

// Some eight float32 roundings at 1: two cosines that are closer were not told apart.
static const float SLACK = 1e-6F;

// A gallery row in the order of the groups, and of the rows in one.
typedef struct entry {
  int64_t group, row;
} entry;

typedef struct retrieval {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const mcli_retrieval *of;
  const entry *sorted; // [gallery]; NULL: each row is a group, of its own number
  int64_t gallery, dim;
  float *best;    // [chunk], (1)
  int64_t *ahead; // [chunk], of (2)
  float *own;     // [workers, dim]: a row of the query's group
  int64_t *found; // [workers]
} retrieval;

static int64_t group_of(const retrieval *j, int64_t query) {
  return j->of->label ? j->of->place[j->of->label[query]] : j->of->query_group[query];
}

// ---- groups ----------------------------------------------------------------------------------------------

static int comes_before(const entry *a, const entry *b) {
  return a->group < b->group || (a->group == b->group && a->row < b->row);
}

static void sift(entry *e, int64_t root, int64_t n) {
  entry moved = e[root];
  for (int64_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
    if (child + 1 < n && comes_before(&e[child], &e[child + 1])) child++;
    if (!comes_before(&moved, &e[child])) break;
    e[root] = e[child];
    root = child;
  }
  e[root] = moved;
}

// A heap sort: libc's takes memory of its own.
static void sort(entry *e, int64_t n) {
  for (int64_t i = n / 2 - 1; i >= 0; i--) sift(e, i, n);
  for (int64_t i = n - 1; i > 0; i--) {
    entry last = e[i];
    e[i] = e[0];
    e[0] = last;
    sift(e, 0, i);
  }
}

// The first entry of a group that is gallery row `from` or later, or where it would stand.
static int64_t first_of(const entry *e, int64_t n, int64_t group, int64_t from) {
  const entry wanted = {group, from};
  int64_t low = 0, high = n;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (comes_before(&e[middle], &wanted))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// ---- a block of queries ----------------------------------------------------------------------------------

static float cosine_with(const retrieval *j, const mcli_cross_block *b, int64_t i, int64_t row) {
  float *own = j->own + (int64_t)b->worker * j->dim;
  mcli_probe_unpack(b->slab, row - b->from, j->dim, own);
  return -j->kernels->dot(b->queries + i * j->dim, own, j->dim);
}

// (1) as far as this slab goes: at least `best`.
static float best_of_group(const retrieval *j, const mcli_cross_block *b, int64_t i, float best) {
  int64_t group = group_of(j, b->first + i), end = b->from + b->rows;
  if (!j->sorted) return group < b->from || group >= end ? best : cosine_with(j, b, i, group);
  const entry *e = j->sorted + first_of(j->sorted, j->gallery, group, b->from);
  for (; e < j->sorted + j->gallery && e->group == group && e->row < end; e++) {
    float cosine = cosine_with(j, b, i, e->row);
    if (cosine > best) best = cosine;
  }
  return best;
}

static void best_block(void *job, const mcli_cross_block *b) {
  const retrieval *j = job;
  float *best = j->best + b->place;
  for (int64_t i = 0; i < b->n; i++) best[i] = best_of_group(j, b, i, b->first_slab ? -2 : best[i]);
}

// How many of the scores of gallery rows first.. stand before the group's best.
static int64_t before(const retrieval *j, const float *scores, int64_t count, int64_t first,
                      float bound, int64_t group) {
  int64_t sum = 0;
  for (int64_t from = 0; from < count; from += PROBE_RUN) {
    int64_t run = count - from < PROBE_RUN ? count - from : PROBE_RUN;
    if (!(j->kernels->max(scores + from, run) > bound)) continue;
    for (int64_t i = from; i < from + run; i++) {
      int64_t of = j->sorted ? j->of->gallery_group[first + i] : first + i;
      sum += scores[i] > bound && of != group;
    }
  }
  return sum;
}

static void ahead_block(void *job, const mcli_cross_block *b) {
  const retrieval *j = job;
  int64_t *ahead = j->ahead + b->place;
  for (int64_t i = 0; i < b->n && b->first_slab; i++) ahead[i] = 0;
  for (int64_t column = 0; column < b->rows; column += PROBE_TILE) {
    int64_t m = b->rows - column < PROBE_TILE ? b->rows - column : PROBE_TILE;
    int64_t wide =
        mcli_probe_tile(j->context, b->queries, b->n, j->dim, b->slab, column, b->rows, b->scores);
    for (int64_t i = 0; i < b->n; i++)
      ahead[i] += before(j, b->scores + i * wide, m, b->from + column,
                         j->best[b->place + i] - SLACK, group_of(j, b->first + i));
  }
  for (int64_t i = 0; i < b->n && b->last_slab; i++)
    j->found[b->worker] += ahead[i] < j->of->k; // (2)
}

// ---- the probes ------------------------------------------------------------------------------------------

static mcl_status cross(retrieval *j, mcli_source *queries, mcli_source *gallery, mcl_error *err) {
  static const mcli_cross_fn rounds[] = {best_block, ahead_block};
  mcl_context *c = j->context;
  mcli_cross x;
  mcl_status s = mcli_cross_open(&x, queries, gallery, sizeof *j->best + sizeof *j->ahead, err);
  if (s < 0) return s;
  j->best = MCLI_NEW(c, float, x.chunk);
  j->ahead = MCLI_NEW(c, int64_t, x.chunk);
  j->own = mcli_probe_scratch(c, j->dim);
  j->found = MCLI_NEW0(c, int64_t, mcli_workers(c));
  s = j->best && j->ahead && j->own && j->found ? mcli_cross_run(&x, rounds, 2, j, NULL, err)
                                                : mcli_nomem(err, "recall");
  mcli_cross_close(&x);
  return s;
}

// Groups are checked; `sorted`: the gallery's, or NULL.
static mcl_status retrieve(const mcli_retrieval *r, const entry *sorted, mcli_source *queries,
                           mcli_source *gallery, mcl_probe_result *out, mcl_error *err) {
  mcl_context *c = queries->context;
  retrieval j = {.context = c,
                 .kernels = mcli_rows_kernels_of(c),
                 .of = r,
                 .sorted = sorted,
                 .gallery = gallery->rows.rows,
                 .dim = gallery->rows.dim};
  mcl_status s = mcli_source_start(queries, queries->rows.rows, 0, err);
  if (s == MCL_OK) s = mcli_source_start(gallery, gallery->rows.rows, 0, err);
  if (s == MCL_OK) s = cross(&j, queries, gallery, err);
  if (s == MCL_OK) {
    int64_t found = 0;
    for (uint32_t w = 0; w < mcli_workers(c); w++) found += j.found[w];
    mcl_probe_result result = mcli_probe_share(found, queries->rows.rows, r->confidence);
    s = mcli_struct_out(out, &result, sizeof result, "out", err);
  }
  void *all[] = {j.best, j.ahead, j.own, j.found};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mcli_free(c, all[i]);
  mcli_source_stop(queries);
  mcli_source_stop(gallery);
  return s;
}

mcl_status mcli_retrieve_match(const mcli_retrieval *r, mcli_source *queries, mcli_source *gallery,
                               mcl_probe_result *out, mcl_error *err) {
  return retrieve(r, NULL, queries, gallery, out, err);
}

static mcl_status open_sides(mcl_context *c, const mcl_rows *queries, const mcl_rows *gallery,
                             int32_t k, mcli_source *q, mcli_source *g, mcl_error *err) {
  mcl_status s = mcli_probe_side_open(c, queries, "queries", -1, q, err);
  if (s == MCL_OK) s = mcli_probe_side_open(c, gallery, "gallery", q->rows.dim, g, err);
  if (s != MCL_OK) return s;
  int64_t m = g->rows.rows;
  if (k < 1 || k > m)
    return mcli_fail(err, MCL_E_INVALID, "k is %d, not 1..%lld", (int)k, (long long)m);
  return MCL_OK;
}

static mcl_status check_match(const int64_t *match, int64_t n, int64_t m, mcl_error *err) {
  if (!match) return mcli_fail(err, MCL_E_INVALID, "match is NULL");
  for (int64_t i = 0; i < n; i++)
    if (match[i] < 0 || match[i] >= m)
      return mcli_fail_row(err, MCL_E_INVALID, i, "match[%lld] is %lld, not 0..%lld", (long long)i,
                           (long long)match[i], (long long)(m - 1));
  return MCL_OK;
}

mcl_status mcl_probe_recall_rows(mcl_context *context, const mcl_probe_options *options,
                                 const mcl_rows *queries, const mcl_rows *gallery,
                                 const int64_t *match, int32_t k, mcl_probe_result *out,
                                 mcl_error *err) {
  mcl_probe_options o;
  mcli_source q, g;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = open_sides(context, queries, gallery, k, &q, &g, err);
  if (s == MCL_OK) s = check_match(match, q.rows.rows, g.rows.rows, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s < 0) return s;
  mcli_retrieval r = {.query_group = match, .k = k, .confidence = o.confidence};
  s = mcli_retrieve_match(&r, &q, &g, out, err);
  return s == MCL_OK ? mcl_ok(err) : s;
}

mcl_status mcl_probe_recall(mcl_context *context, const mcl_probe_options *options,
                            const mcl_array *queries, const mcl_array *gallery,
                            const int64_t *match, int32_t k, mcl_probe_result *out,
                            mcl_error *err) {
  mcl_rows q, g;
  return mcl_probe_recall_rows(context, options, mcli_source_of(queries, &q),
                               mcli_source_of(gallery, &g), match, k, out, err);
}

// The gallery by groups, to be freed; every query's group must be there.
static mcl_status sort_groups(mcl_context *c, const int64_t *query_group, int64_t n,
                              const int64_t *gallery_group, int64_t m, entry **out,
                              mcl_error *err) {
  entry *e = *out = MCLI_NEW(c, entry, m);
  if (!e) return mcli_nomem(err, "groups of rows");
  for (int64_t i = 0; i < m; i++) e[i] = (entry){gallery_group[i], i};
  sort(e, m);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = first_of(e, m, query_group[i], 0);
    if (at == m || e[at].group != query_group[i])
      return mcli_fail_row(err, MCL_E_INVALID, i,
                           "query_group[%lld] is %lld, of which the gallery has no row",
                           (long long)i, (long long)query_group[i]);
  }
  return MCL_OK;
}

mcl_status mcl_probe_retrieval_rows(mcl_context *context, const mcl_probe_options *options,
                                    const mcl_rows *queries, const int64_t *query_group,
                                    const mcl_rows *gallery, const int64_t *gallery_group,
                                    int32_t k, mcl_probe_result *out, mcl_error *err) {
  mcl_probe_options o;
  mcli_source q, g;
  entry *sorted = NULL;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = open_sides(context, queries, gallery, k, &q, &g, err);
  if (s == MCL_OK && (!query_group || !gallery_group))
    s = mcli_fail(err, MCL_E_INVALID, "%s_group is NULL", query_group ? "gallery" : "query");
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s != MCL_OK) return s;
  s = sort_groups(context, query_group, q.rows.rows, gallery_group, g.rows.rows, &sorted, err);
  mcli_retrieval r = {.query_group = query_group,
                      .gallery_group = gallery_group,
                      .k = k,
                      .confidence = o.confidence};
  if (s == MCL_OK) s = retrieve(&r, sorted, &q, &g, out, err);
  mcli_free(context, sorted);
  return s == MCL_OK ? mcl_ok(err) : s;
}

mcl_status mcl_probe_retrieval(mcl_context *context, const mcl_probe_options *options,
                               const mcl_array *queries, const int64_t *query_group,
                               const mcl_array *gallery, const int64_t *gallery_group, int32_t k,
                               mcl_probe_result *out, mcl_error *err) {
  mcl_rows q, g;
  return mcl_probe_retrieval_rows(context, options, mcli_source_of(queries, &q), query_group,
                                  mcli_source_of(gallery, &g), gallery_group, k, out, err);
}
