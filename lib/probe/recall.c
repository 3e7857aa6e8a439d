// Retrieval: is a query's own match among the k nearest rows of the gallery?
//
//   found:  #{ j != match : <q, g_j> > <q, g_match> - SLACK } < k                  (1)
//
// Rows have length 1. Ranks are never made: what counts is how many rows stand before the match, tile by tile.
#include <string.h>

#include "math/rows.h"
#include "probe/probe.h"

// Some eight float32 roundings at 1: two cosines that are closer were not told apart.
static const float SLACK = 1e-6F;

typedef struct recall {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const float *queries, *gallery; // negated and packed copies: their tiles are cosines
  const int64_t *match;
  int64_t n, m, dim, k;
  float *scores;  // [workers, PROBE_QUERIES, PROBE_TILE]
  float *own;     // [workers, dim]: a match
  int64_t *found; // [blocks]
} recall;

// How many of the scores of gallery rows first.. stand before the match.
static int64_t before(const recall *j, const float *scores, int64_t count, int64_t first,
                      float bound, int64_t match) {
  int64_t sum = 0;
  for (int64_t from = 0; from < count; from += PROBE_RUN) {
    int64_t run = count - from < PROBE_RUN ? count - from : PROBE_RUN;
    if (!(j->kernels->max(scores + from, run) > bound)) continue;
    for (int64_t i = from; i < from + run; i++) sum += scores[i] > bound && first + i != match;
  }
  return sum;
}

static void recall_task(void *job, uint32_t task, uint32_t worker) {
  recall *j = job;
  int64_t first = (int64_t)task * PROBE_QUERIES,
          n = j->n - first < PROBE_QUERIES ? j->n - first : PROBE_QUERIES;
  int64_t ahead[PROBE_QUERIES] = {0};
  float bound[PROBE_QUERIES], *scores = j->scores + (int64_t)worker * PROBE_QUERIES * PROBE_TILE;
  float *own = j->own + (int64_t)worker * j->dim;
  const float *queries = j->queries + first * j->dim;
  for (int64_t i = 0; i < n; i++) {
    mcli_probe_unpack(j->gallery, j->match[first + i], j->dim, own);
    bound[i] = -j->kernels->dot(queries + i * j->dim, own, j->dim) - SLACK;
  }
  for (int64_t column = 0; column < j->m; column += PROBE_TILE) {
    int64_t m = j->m - column < PROBE_TILE ? j->m - column : PROBE_TILE;
    int64_t wide =
        mcli_probe_tile(j->context, queries, n, j->dim, j->gallery, column, j->m, scores);
    for (int64_t i = 0; i < n; i++)
      ahead[i] += before(j, scores + i * wide, m, column, bound[i], j->match[first + i]);
  }
  j->found[task] = 0;
  for (int64_t i = 0; i < n; i++) j->found[task] += ahead[i] < j->k; // (1)
}

static mcl_status check(const mcl_array *queries, const mcl_array *gallery, const int64_t *match,
                        int32_t k, mcl_error *err) {
  mcl_status s = mcli_probe_matrix_check(queries, "queries", -1, -1, err);
  if (s == MCL_OK) s = mcli_probe_matrix_check(gallery, "gallery", -1, queries->shape[1], err);
  if (s < 0) return s;
  if (!match) return mcli_fail(err, MCL_E_INVALID, "match is NULL");
  int64_t m = gallery->shape[0];
  if (k < 1 || k > m)
    return mcli_fail(err, MCL_E_INVALID, "k is %d, not 1..%lld", (int)k, (long long)m);
  for (int64_t i = 0; i < queries->shape[0]; i++)
    if (match[i] < 0 || match[i] >= m)
      return mcli_fail_row(err, MCL_E_INVALID, i, "match[%lld] is %lld, not 0..%lld", (long long)i,
                           (long long)match[i], (long long)(m - 1));
  return MCL_OK;
}

mcl_status mcl_probe_recall(mcl_context *context, const mcl_probe_options *options,
                            const mcl_array *queries, const mcl_array *gallery,
                            const int64_t *match, int32_t k, mcl_probe_result *out,
                            mcl_error *err) {
  mcl_probe_options o;
  float *q = NULL, *g = NULL;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = check(queries, gallery, match, k, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s < 0) return s;
  recall j = {.context = context,
              .kernels = mcli_rows_kernels_of(context),
              .match = match,
              .n = queries->shape[0],
              .m = gallery->shape[0],
              .dim = queries->shape[1],
              .k = k};
  uint32_t blocks = mcli_blocks(j.n, PROBE_QUERIES);
  s = mcli_probe_copy(context, queries, "queries", PROBE_NEGATED, &q, err);
  if (s == MCL_OK) s = mcli_probe_copy(context, gallery, "gallery", PROBE_PACKED, &g, err);
  if (s < 0) goto done;
  j.queries = q;
  j.gallery = g;
  j.scores = mcli_probe_scratch(context, PROBE_QUERIES * PROBE_TILE);
  j.own = mcli_probe_scratch(context, j.dim);
  j.found = MCLI_NEW0(context, int64_t, blocks);
  s = j.scores && j.own && j.found ? mcli_parallel(context, blocks, recall_task, &j, err)
                                   : mcli_nomem(err, "recall");
  if (s == MCL_OK) {
    int64_t found = 0;
    for (uint32_t b = 0; b < blocks; b++) found += j.found[b];
    mcl_probe_result r = mcli_probe_share(found, j.n, o.confidence);
    s = mcli_struct_out(out, &r, sizeof r, "out", err);
  }
done:
  mcli_free(context, q);
  mcli_free(context, g);
  mcli_free(context, j.scores);
  mcli_free(context, j.own);
  mcli_free(context, j.found);
  return s == MCL_OK ? mcl_ok(err) : s;
}
