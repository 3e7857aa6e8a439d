// Retrieval: is a row of the query's own group among the k nearest rows of the gallery?
//
//   own  = max over j of the query's group of <q, g_j>                               (1)
//   found:  #{ j of other groups : <q, g_j> > own - SLACK } < k                      (2)
//   zero shot:  p_c = mean over prompts i of class c of g_i,  found with k = 1 among the unit p_c     (3)
//
// Rows have length 1. Ranks are never made: what counts is how many rows stand before the best one, tile by tile. A match is
// a group of one gallery row, so recall is (2) with groups that are row numbers, and nothing needs to be sorted.
#include <string.h>

#include "math/rows.h"
#include "probe/probe.h"

// Some eight float32 roundings at 1: two cosines that are closer were not told apart.
static const float SLACK = 1e-6F;

// A gallery row in the order of the groups, and of the rows in one.
typedef struct entry {
  int64_t group, row;
} entry;

typedef struct retrieval {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const float *queries, *gallery; // negated and packed copies: their tiles are cosines
  const int64_t *query_group;
  const int64_t *gallery_group; // NULL: each row is a group, of its own number
  const entry *sorted;          // [m]; NULL likewise
  int64_t n, m, dim, k;
  float *scores;  // [workers, PROBE_QUERIES, PROBE_TILE]
  float *own;     // [workers, dim]: a row of the query's group
  int64_t *found; // [blocks]
} retrieval;

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

// The first entry of a group, or where it would stand.
static int64_t first_of(const entry *e, int64_t n, int64_t group) {
  int64_t low = 0, high = n;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (e[middle].group < group)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// ---- a block of queries ----------------------------------------------------------------------------------

static float cosine_with(const retrieval *j, const float *query, int64_t row, float *own) {
  mcli_probe_unpack(j->gallery, row, j->dim, own);
  return -j->kernels->dot(query, own, j->dim);
}

// (1)
static float best_of_group(const retrieval *j, const float *query, int64_t group, float *own) {
  if (!j->sorted) return cosine_with(j, query, group, own);
  float best = -2;
  for (int64_t i = first_of(j->sorted, j->m, group); i < j->m && j->sorted[i].group == group; i++) {
    float cosine = cosine_with(j, query, j->sorted[i].row, own);
    if (cosine > best) best = cosine;
  }
  return best;
}

// How many of the scores of gallery rows first.. stand before the group's best.
static int64_t before(const retrieval *j, const float *scores, int64_t count, int64_t first,
                      float bound, int64_t group) {
  int64_t sum = 0;
  for (int64_t from = 0; from < count; from += PROBE_RUN) {
    int64_t run = count - from < PROBE_RUN ? count - from : PROBE_RUN;
    if (!(j->kernels->max(scores + from, run) > bound)) continue;
    for (int64_t i = from; i < from + run; i++) {
      int64_t of = j->gallery_group ? j->gallery_group[first + i] : first + i;
      sum += scores[i] > bound && of != group;
    }
  }
  return sum;
}

static void retrieval_task(void *job, uint32_t task, uint32_t worker) {
  retrieval *j = job;
  int64_t first = (int64_t)task * PROBE_QUERIES,
          n = j->n - first < PROBE_QUERIES ? j->n - first : PROBE_QUERIES;
  int64_t ahead[PROBE_QUERIES] = {0};
  float bound[PROBE_QUERIES], *scores = j->scores + (int64_t)worker * PROBE_QUERIES * PROBE_TILE;
  float *own = j->own + (int64_t)worker * j->dim;
  const float *queries = j->queries + first * j->dim;
  const int64_t *group = j->query_group + first;
  for (int64_t i = 0; i < n; i++)
    bound[i] = best_of_group(j, queries + i * j->dim, group[i], own) - SLACK;
  for (int64_t column = 0; column < j->m; column += PROBE_TILE) {
    int64_t m = j->m - column < PROBE_TILE ? j->m - column : PROBE_TILE;
    int64_t wide =
        mcli_probe_tile(j->context, queries, n, j->dim, j->gallery, column, j->m, scores);
    for (int64_t i = 0; i < n; i++)
      ahead[i] += before(j, scores + i * wide, m, column, bound[i], group[i]);
  }
  j->found[task] = 0;
  for (int64_t i = 0; i < n; i++) j->found[task] += ahead[i] < j->k; // (2)
}

// ---- the probes ------------------------------------------------------------------------------------------

// Arguments are checked; query_group, gallery_group, sorted and k are set.
static mcl_status retrieve(mcl_context *context, retrieval *j, const mcl_array *queries,
                           const char *name, const mcl_array *gallery, double confidence,
                           mcl_probe_result *out, mcl_error *err) {
  float *q = NULL, *g = NULL;
  j->context = context;
  j->kernels = mcli_rows_kernels_of(context);
  j->n = queries->shape[0];
  j->m = gallery->shape[0];
  j->dim = queries->shape[1];
  uint32_t blocks = mcli_blocks(j->n, PROBE_QUERIES);
  mcl_status s = mcli_probe_copy(context, queries, name, PROBE_NEGATED, &q, err);
  if (s == MCL_OK) s = mcli_probe_copy(context, gallery, "gallery", PROBE_PACKED, &g, err);
  if (s < 0) goto done;
  j->queries = q;
  j->gallery = g;
  j->scores = mcli_probe_scratch(context, PROBE_QUERIES * PROBE_TILE);
  j->own = mcli_probe_scratch(context, j->dim);
  j->found = MCLI_NEW0(context, int64_t, blocks);
  s = j->scores && j->own && j->found ? mcli_parallel(context, blocks, retrieval_task, j, err)
                                      : mcli_nomem(err, "recall");
  if (s == MCL_OK) {
    int64_t found = 0;
    for (uint32_t b = 0; b < blocks; b++) found += j->found[b];
    mcl_probe_result r = mcli_probe_share(found, j->n, confidence);
    s = mcli_struct_out(out, &r, sizeof r, "out", err);
  }
done:
  mcli_free(context, q);
  mcli_free(context, g);
  mcli_free(context, j->scores);
  mcli_free(context, j->own);
  mcli_free(context, j->found);
  return s;
}

static mcl_status check(const mcl_array *queries, const mcl_array *gallery, int32_t k,
                        mcl_error *err) {
  mcl_status s = mcli_probe_matrix_check(queries, "queries", -1, -1, err);
  if (s == MCL_OK) s = mcli_probe_matrix_check(gallery, "gallery", -1, queries->shape[1], err);
  if (s < 0) return s;
  int64_t m = gallery->shape[0];
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

mcl_status mcl_probe_recall(mcl_context *context, const mcl_probe_options *options,
                            const mcl_array *queries, const mcl_array *gallery,
                            const int64_t *match, int32_t k, mcl_probe_result *out,
                            mcl_error *err) {
  mcl_probe_options o;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = check(queries, gallery, k, err);
  if (s == MCL_OK) s = check_match(match, queries->shape[0], gallery->shape[0], err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  retrieval j = {.query_group = match, .k = k};
  if (s == MCL_OK) s = retrieve(context, &j, queries, "queries", gallery, o.confidence, out, err);
  return s == MCL_OK ? mcl_ok(err) : s;
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
    int64_t at = first_of(e, m, query_group[i]);
    if (at == m || e[at].group != query_group[i])
      return mcli_fail_row(err, MCL_E_INVALID, i,
                           "query_group[%lld] is %lld, of which the gallery has no row",
                           (long long)i, (long long)query_group[i]);
  }
  return MCL_OK;
}

mcl_status mcl_probe_retrieval(mcl_context *context, const mcl_probe_options *options,
                               const mcl_array *queries, const int64_t *query_group,
                               const mcl_array *gallery, const int64_t *gallery_group, int32_t k,
                               mcl_probe_result *out, mcl_error *err) {
  mcl_probe_options o;
  entry *sorted = NULL;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = check(queries, gallery, k, err);
  if (s == MCL_OK && (!query_group || !gallery_group))
    s = mcli_fail(err, MCL_E_INVALID, "%s_group is NULL", query_group ? "gallery" : "query");
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s < 0) return s;
  s = sort_groups(context, query_group, queries->shape[0], gallery_group, gallery->shape[0],
                  &sorted, err);
  retrieval j = {
      .query_group = query_group, .gallery_group = gallery_group, .sorted = sorted, .k = k};
  if (s == MCL_OK) s = retrieve(context, &j, queries, "queries", gallery, o.confidence, out, err);
  mcli_free(context, sorted);
  return s == MCL_OK ? mcl_ok(err) : s;
}

// ---- zero shot -------------------------------------------------------------------------------------------

// Classes numbered 0, 1, ... in the order of their first prompts: place[label], -1: no prompt. *n: how many.
static int32_t *number_classes(mcl_context *c, const int32_t *prompt_y, int64_t prompts,
                               int32_t *n) {
  int32_t *place = MCLI_NEW(c, int32_t, PROBE_LABELS);
  *n = 0;
  if (!place) return NULL;
  for (int32_t i = 0; i < PROBE_LABELS; i++) place[i] = -1;
  for (int64_t i = 0; i < prompts; i++)
    if (place[prompt_y[i]] < 0) place[prompt_y[i]] = (*n)++;
  return place;
}

// (3), [classes, dim], but for the division, which a normalisation makes idle.
static mcl_status make_prototypes(mcl_context *c, const mcl_array *prompts, const int32_t *prompt_y,
                                  const int32_t *place, float *prototypes, mcl_error *err) {
  float *unit = NULL;
  int64_t dim = prompts->shape[1];
  mcl_status s = mcli_probe_copy(c, prompts, "prompts", PROBE_UNIT, &unit, err);
  for (int64_t i = 0; s == MCL_OK && i < prompts->shape[0]; i++)
    for (int64_t k = 0; k < dim; k++) prototypes[place[prompt_y[i]] * dim + k] += unit[i * dim + k];
  mcli_free(c, unit);
  return s;
}

// The class of every row by its number; a label without a prompt is refused.
static mcl_status find_classes(const int32_t *y, int64_t n, const int32_t *place, int64_t *match,
                               mcl_error *err) {
  for (int64_t i = 0; i < n; i++) {
    match[i] = place[y[i]];
    if (match[i] < 0)
      return mcli_fail_row(err, MCL_E_INVALID, i, "y[%lld] is %d, a class that has no prompt",
                           (long long)i, (int)y[i]);
  }
  return MCL_OK;
}

mcl_status mcl_probe_zero_shot(mcl_context *context, const mcl_probe_options *options,
                               const mcl_array *prompts, const int32_t *prompt_y,
                               const mcl_array *z, const int32_t *y, mcl_probe_result *out,
                               mcl_error *err) {
  mcl_probe_options o;
  int32_t *place = NULL, classes = 0;
  int64_t *match = NULL, size;
  float *prototypes = NULL;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = mcli_probe_prompts_check(prompts, prompt_y, z, y, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s < 0) return s;
  place = number_classes(context, prompt_y, prompts->shape[0], &classes);
  match = MCLI_NEW(context, int64_t, z->shape[0]);
  if (mcli_mul(classes, z->shape[1], &size)) prototypes = MCLI_NEW0(context, float, size);
  s = place && match && prototypes ? MCL_OK : mcli_nomem(err, "prototypes");
  if (s == MCL_OK) s = find_classes(y, z->shape[0], place, match, err);
  if (s == MCL_OK) s = make_prototypes(context, prompts, prompt_y, place, prototypes, err);
  if (s == MCL_OK) {
    mcl_array gallery = mcl_matrix_f32(prototypes, classes, z->shape[1]);
    retrieval j = {.query_group = match, .k = 1};
    s = retrieve(context, &j, z, "z", &gallery, o.confidence, out, err);
  }
  mcli_free(context, place);
  mcli_free(context, match);
  mcli_free(context, prototypes);
  return s == MCL_OK ? mcl_ok(err) : s;
}
