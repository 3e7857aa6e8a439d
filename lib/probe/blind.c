// Blind pairs: which rows could one representation not tell apart that another can?
//
// Wanted is the greedy choice over all pairs i < j of unused rows with
//
//   <b_i, b_j> >= alike - SLACK                                                    (1)
//
// by largest  apart(i, j) = -<a_i, a_j>,  then lowest i, then lowest j              (2)
//
// without writing n^2 / 2 pairs down. Each row keeps a list of its PARTNERS best by (2); the best pair of all is at the
// head of some row's list. Rows get used up, so a list may run out before its row does: pairs that it left out are no
// farther apart than its last entry,
//
//   apart of what is not in the list <= apart of its last entry                      (3)
//
// so the row is looked at again only when (3) does not rule it out. Then one pass serves all rows that have run out.
//
// Letting a row be in many pairs was rejected: one odd row then fills the list.
#include <math.h>
#include <string.h>

#include "math/rows.h"
#include "probe/probe.h"

// Entries of a list. A few odd rows are the best partners of all others; each pair taken uses one of them up, so about so many
// pairs are found a pass. 256 bytes a row.
enum { PARTNERS = 32 };
// Some eight float32 roundings at 1, so that copies are alike at alike = 1.
static const double SLACK = 1e-6;

typedef struct partner {
  float apart;
  int32_t row;
} partner;

typedef struct list {
  partner best[PARTNERS]; // sorted by (2)
  int32_t n, head;        // entries, and how many of them are used up
  int32_t cut, reserved;  // whether it may have left some out
} list;

typedef struct blind {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  float *before, *after; // packed unit rows
  int64_t n, dim_before, dim_after, open_rows;
  float alike;
  list *lists;         // [n]
  int32_t *open;       // [open_rows]: rows to look at in this pass
  unsigned char *used; // [n]
  float *scores;       // [workers, 2, PROBE_QUERIES, PROBE_TILE]
  float *gathered;     // [workers, PROBE_QUERIES, dim_before + dim_after]
} blind;

static void insert(list *l, float apart, int32_t row) {
  int32_t at = l->n < PARTNERS ? l->n++ : PARTNERS - 1;
  for (; at > 0 && l->best[at - 1].apart < apart; at--) l->best[at] = l->best[at - 1];
  l->best[at] = (partner){apart, row};
}

// Takes a row's scores with rows first.. into its list (1), (2). They come in rising order, so equals go behind.
static void take(const blind *j, int32_t row, const float *same, const float *apart, int64_t count,
                 int64_t first) {
  list *l = j->lists + row;
  for (int64_t from = 0; from < count; from += PROBE_RUN) {
    int64_t run = count - from < PROBE_RUN ? count - from : PROBE_RUN;
    float least = l->n == PARTNERS ? l->best[PARTNERS - 1].apart : -2;
    if (!(j->kernels->max(apart + from, run) > least)) continue;
    if (!(j->kernels->max(same + from, run) >= j->alike)) continue;
    for (int64_t i = from; i < from + run; i++) {
      int64_t other = first + i;
      if (!(apart[i] > least) || !(same[i] >= j->alike) || other == row || j->used[other]) continue;
      insert(l, apart[i], (int32_t)other);
      if (l->n == PARTNERS) least = l->best[PARTNERS - 1].apart;
    }
  }
}

// The rows to look at: `before` turned round, so that its tiles are cosines; `after` as it is, for apart is a cosine turned
// round (2).
static void gather(const blind *j, const int32_t *rows, int64_t n, float *before, float *after) {
  for (int64_t i = 0; i < n; i++) {
    mcli_probe_unpack(j->before, rows[i], j->dim_before, before + i * j->dim_before);
    mcli_probe_unpack(j->after, rows[i], j->dim_after, after + i * j->dim_after);
  }
  j->kernels->scale(-1, before, n * j->dim_before);
}

static void blind_task(void *job, uint32_t task, uint32_t worker) {
  blind *j = job;
  int64_t first = (int64_t)task * PROBE_QUERIES;
  int64_t rows = j->open_rows - first < PROBE_QUERIES ? j->open_rows - first : PROBE_QUERIES;
  const int32_t *open = j->open + first;
  float *same = j->scores + (int64_t)worker * 2 * PROBE_QUERIES * PROBE_TILE,
        *apart = same + PROBE_QUERIES * PROBE_TILE;
  float *before = j->gathered + (int64_t)worker * PROBE_QUERIES * (j->dim_before + j->dim_after);
  float *after = before + PROBE_QUERIES * j->dim_before;
  gather(j, open, rows, before, after);
  for (int64_t i = 0; i < rows; i++) memset(j->lists + open[i], 0, sizeof(list));
  for (int64_t column = 0; column < j->n; column += PROBE_TILE) {
    int64_t m = j->n - column < PROBE_TILE ? j->n - column : PROBE_TILE;
    int64_t wide =
        mcli_probe_tile(j->context, before, rows, j->dim_before, j->before, column, j->n, same);
    mcli_probe_tile(j->context, after, rows, j->dim_after, j->after, column, j->n, apart);
    for (int64_t i = 0; i < rows; i++)
      take(j, open[i], same + i * wide, apart + i * wide, m, column);
  }
  for (int64_t i = 0; i < rows; i++) j->lists[open[i]].cut = j->lists[open[i]].n == PARTNERS;
}

static mcl_status look(blind *j, mcl_error *err) {
  return mcli_parallel(j->context, mcli_blocks(j->open_rows, PROBE_QUERIES), blind_task, j, err);
}

typedef struct choice {
  float apart;
  int32_t low, high; // low < 0: none
} choice;

// (2).
static int goes_first(const choice *a, const choice *b) {
  if (b->low < 0 || a->apart != b->apart) return b->low < 0 || a->apart > b->apart;
  return a->low < b->low || (a->low == b->low && a->high < b->high);
}

// The best pair in the lists. Rows whose list has run out are written to `open`; *bound is the largest of (3) over them.
static choice choose(blind *j, float *bound) {
  choice best = {0, -1, -1};
  j->open_rows = 0;
  *bound = -INFINITY;
  for (int32_t i = 0; i < (int32_t)j->n; i++) {
    list *l = j->lists + i;
    if (j->used[i]) continue;
    while (l->head < l->n && j->used[l->best[l->head].row]) l->head++;
    if (l->head < l->n) {
      int32_t other = l->best[l->head].row;
      choice c = {l->best[l->head].apart, i < other ? i : other, i < other ? other : i};
      if (goes_first(&c, &best)) best = c;
    } else if (l->cut) {
      j->open[j->open_rows++] = i;
      if (l->best[PARTNERS - 1].apart > *bound) *bound = l->best[PARTNERS - 1].apart;
    }
  }
  return best;
}

static mcl_status pick(blind *j, int64_t *pairs, int64_t capacity, int64_t *got, mcl_error *err) {
  j->open_rows = j->n;
  for (int32_t i = 0; i < (int32_t)j->n; i++) j->open[i] = i;
  mcl_status s = look(j, err);
  *got = 0;
  while (s == MCL_OK && *got < capacity) {
    float bound;
    choice best = choose(j, &bound);
    if (j->open_rows && (best.low < 0 || bound >= best.apart)) {
      s = look(j, err);
      continue;
    }
    if (best.low < 0) break;
    j->used[best.low] = j->used[best.high] = 1;
    pairs[2 * *got] = best.low;
    pairs[2 * *got + 1] = best.high;
    ++*got;
  }
  return s;
}

static mcl_status check(const mcl_context *c, const mcl_array *before, const mcl_array *after,
                        double alike, const int64_t *pairs, int64_t capacity, const int64_t *got,
                        mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = mcli_probe_matrix_check(before, "before", -1, -1, err);
  if (s == MCL_OK) s = mcli_probe_matrix_check(after, "after", before->shape[0], -1, err);
  if (s < 0) return s;
  if (before->shape[0] > INT32_MAX)
    return mcli_fail(err, MCL_E_LIMIT, "before has more than 2^31 - 1 rows");
  if (!(alike > -1 && alike <= 1))
    return mcli_fail(err, MCL_E_INVALID, "alike is %g, a cosine above -1 and at most 1 is needed",
                     alike);
  if (!pairs || !got) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", pairs ? "got" : "pairs");
  if (capacity < 1)
    return mcli_fail(err, MCL_E_INVALID, "capacity is %lld, it must be at least 1",
                     (long long)capacity);
  return MCL_OK;
}

static mcl_status allocate(blind *j, const mcl_array *before, const mcl_array *after,
                           mcl_error *err) {
  mcl_context *c = j->context;
  mcl_status s = mcli_probe_copy(c, before, "before", PROBE_PACKED, &j->before, err);
  if (s == MCL_OK) s = mcli_probe_copy(c, after, "after", PROBE_PACKED, &j->after, err);
  if (s < 0) return s;
  int64_t width;
  if (!mcli_mul(PROBE_QUERIES, j->dim_before + j->dim_after, &width))
    return mcli_fail(err, MCL_E_LIMIT, "before and after have too many columns");
  j->lists = MCLI_NEW(c, list, j->n);
  j->open = MCLI_NEW(c, int32_t, j->n);
  j->used = MCLI_NEW0(c, unsigned char, j->n);
  j->scores = mcli_probe_scratch(c, 2 * PROBE_QUERIES * PROBE_TILE);
  j->gathered = mcli_probe_scratch(c, width);
  return j->lists && j->open && j->used && j->scores && j->gathered
             ? MCL_OK
             : mcli_nomem(err, "the blind pairs");
}

mcl_status mcl_probe_blind_pairs(mcl_context *context, const mcl_array *before,
                                 const mcl_array *after, double alike, int64_t *pairs,
                                 int64_t capacity, int64_t *got, mcl_error *err) {
  mcl_status s = check(context, before, after, alike, pairs, capacity, got, err);
  if (s < 0) return s;
  int64_t n = before->shape[0], most = n / 2 < capacity ? n / 2 : capacity, found = 0;
  blind j = {.context = context,
             .kernels = mcli_rows_kernels_of(context),
             .n = n,
             .dim_before = before->shape[1],
             .dim_after = after->shape[1],
             .alike = (float)(alike - SLACK)};
  // The caller's buffer is written on success only.
  int64_t *mine = MCLI_NEW(context, int64_t, 2 * most);
  s = mine ? allocate(&j, before, after, err) : mcli_nomem(err, "the blind pairs");
  if (s == MCL_OK) s = pick(&j, mine, most, &found, err);
  if (s == MCL_OK) {
    if (found) memcpy(pairs, mine, (size_t)(2 * found) * sizeof *pairs);
    *got = found;
  }
  void *all[] = {mine, j.before, j.after, j.lists, j.open, j.used, j.scores, j.gathered};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mcli_free(context, all[i]);
  return s == MCL_OK ? mcl_ok(err) : s;
}
