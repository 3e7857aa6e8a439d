// Most rows need not be looked at, and those that must need few centroids (Ding et al., "Yinyang
// K-means", ICML 2015, section 3; with one group it is Hamerly, "Making k-means even faster", 2010).
//
// Centroids are in groups. With u_i >= |x_i - c_a| for the row's own centroid a, and l_ig <=
// |x_i - c_j| for all others j of group g, moves p_j of the centroids leave
//
//   u_i + p_a  and  l_ig - max_{j in g, j != a} p_j                        (1)
//
// as bounds. No centroid of g can be nearest, nor as near, while
//
//   u_i^2 + slop < l_ig^2                                                  (2)
//
// where slop covers all rounding (mcli_scale). Where (2) fails for some group, u_i is measured; the
// groups for which it fails even then, and the row's own, are scored. So labels are those of
// comparing everything, to the last one.
//
// A group is one panel of the score kernel, 16 centroids, or as many as leave 64 groups. Rows that
// need a group are listed and scored together, so that the kernel works on whole blocks.
//
// Rejected: bounds by centroid (Elkan 2003), which skip more and cost 4 k bytes a row; filtering
// inside a group, which would leave a vector's lanes idle.
#include "clusterer/bounds.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "math/rows.h"
#include "math/scores.h"

// Rows that are scored at a time, a multiple of the kernel's 12 and 6.
enum { CHUNK = 96 };
// Floats of a vector: bounds of a row are brought up to date in whole ones.
enum { STEP = 8 };
// Floats of a cache line; and how much of a row is asked for before it is read: the processor sees
// by itself where a longer one goes on.
enum { LINE = 16, AHEAD = 128 };

mcl_status mcli_groups_open(mcl_context *c, int32_t k, int32_t most, mcli_groups *g,
                            mcl_error *err) {
  int32_t panels = (int32_t)mcli_panels(k);
  if (most < 1) most = 1;
  g->panels = (panels + most - 1) / most;
  g->n = (panels + g->panels - 1) / g->panels;
  g->stride = g->n == 1 ? 1 : (g->n + STEP - 1) / STEP * STEP;
  g->place = MCLI_NEW0(c, int32_t, k);
  g->drift = MCLI_NEW0(c, float, k);
  g->most = MCLI_NEW0(c, float, g->stride);
  g->next = MCLI_NEW0(c, float, g->n);
  g->of = MCLI_NEW0(c, int32_t, g->n);
  if (g->place && g->drift && g->most && g->next && g->of) return MCL_OK;
  mcli_groups_close(c, g);
  return mcli_nomem(err, "groups of centroids");
}

void mcli_groups_close(mcl_context *c, mcli_groups *g) {
  mcli_free(c, g->place);
  mcli_free(c, g->drift);
  mcli_free(c, g->most);
  mcli_free(c, g->next);
  mcli_free(c, g->of);
  memset(g, 0, sizeof *g);
}

static int32_t group_of(const mcli_groups *g, int32_t place) {
  return place / MCLI_PANEL / g->panels;
}

// 1e-6 is more than the root and the conversion to float round away.
static float above(double square) {
  return (float)(sqrt(square > 0 ? square : 0) * (1 + 1e-6));
}
void mcli_groups_moved(mcli_groups *g, const double *moves, int32_t k) {
  memset(g->most, 0, (size_t)g->stride * sizeof *g->most);
  memset(g->next, 0, (size_t)g->n * sizeof *g->next);
  for (int32_t j = 0; j < k; j++) {
    int32_t of = group_of(g, g->place[j]);
    float d = g->drift[j] = above(moves[j]);
    if (d > g->most[of]) {
      g->next[of] = g->most[of];
      g->most[of] = d;
      g->of[of] = j;
    } else if (d > g->next[of]) {
      g->next[of] = d;
    }
  }
}

// ---- who is near whom ---------------------------------------------------------------------------

typedef struct forming {
  const mcli_rows_kernels *kernels;
  const mcli_centres *m;
  float *along; // [k], by centroid
} forming;

static const float *centre(const forming *f, int32_t j) {
  return f->m->rows + (int64_t)j * f->m->dim;
}

static int is_before(const forming *f, int32_t a, int32_t b) {
  return f->along[a] != f->along[b] ? f->along[a] < f->along[b] : a < b;
}

static void sink(const forming *f, int32_t *ids, int64_t at, int64_t n) {
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && is_before(f, ids[child], ids[child + 1])) child++;
    if (!is_before(f, ids[at], ids[child])) return;
    int32_t swap = ids[at];
    ids[at] = ids[child];
    ids[child] = swap;
  }
}

static void sort(const forming *f, int32_t *ids, int64_t n) { // a heap's
  for (int64_t i = n / 2; i-- > 0;) sink(f, ids, i, n);
  for (int64_t end = n - 1; end > 0; end--) {
    int32_t last = ids[0];
    ids[0] = ids[end];
    ids[end] = last;
    sink(f, ids, 0, end);
  }
}

static int32_t farthest(const forming *f, const int32_t *ids, int64_t n, int32_t from) {
  int32_t best = ids[0];
  float most = -1;
  for (int64_t i = 0; i < n; i++) {
    float d = f->kernels->squared_distance(centre(f, ids[i]), centre(f, from), f->m->dim);
    if (d > most) most = d, best = ids[i];
  }
  return best;
}

// Halves along the line between two that are far apart, as often as there are panels.
static void split(const forming *f, int32_t *ids, int64_t n, int64_t panels) {
  if (panels < 2) return;
  int32_t a = farthest(f, ids, n, ids[0]), b = farthest(f, ids, n, a);
  for (int64_t i = 0; i < n; i++)
    f->along[ids[i]] = f->kernels->squared_distance(centre(f, ids[i]), centre(f, a), f->m->dim) -
                       f->kernels->squared_distance(centre(f, ids[i]), centre(f, b), f->m->dim);
  sort(f, ids, n);
  int64_t left = panels / 2, of_left = left * MCLI_PANEL;
  split(f, ids, of_left, left);
  split(f, ids + of_left, n - of_left, panels - left);
}

// `drift` is free until the centroids move next.
void mcli_groups_form(const mcl_context *c, mcli_groups *g, mcli_centres *m) {
  forming f = {mcli_rows_kernels_of(c), m, g->drift};
  for (int32_t p = 0; p < mcli_panels(m->k) * MCLI_PANEL; p++) m->order[p] = p < m->k ? p : -1;
  split(&f, m->order, m->k, mcli_panels(m->k));
  for (int32_t p = 0; p < m->k; p++) g->place[m->order[p]] = p;
}

// ---- one block ----------------------------------------------------------------------------------

mcl_status mcli_races_open(mcl_context *c, int32_t k, int32_t dim, mcli_races *r, mcl_error *err) {
  r->rows = MCLI_NEW(c, mcli_race, MCLI_SWEEP_BLOCK);
  r->scores = MCLI_NEW(c, float, mcli_panels(k) * MCLI_PANEL);
  r->unit = MCLI_NEW(c, float, dim);
  r->at = MCLI_NEW(c, int32_t, MCLI_SWEEP_BLOCK);
  r->own = MCLI_NEW(c, int32_t, MCLI_SWEEP_BLOCK);
  r->dots = MCLI_NEW(c, float, MCLI_SWEEP_BLOCK);
  if (r->rows && r->scores && r->unit && r->at && r->own && r->dots) return MCL_OK;
  mcli_races_close(c, r);
  return mcli_nomem(err, "scores");
}

void mcli_races_close(mcl_context *c, mcli_races *r) {
  mcli_free(c, r->rows);
  mcli_free(c, r->scores);
  mcli_free(c, r->unit);
  mcli_free(c, r->at);
  mcli_free(c, r->own);
  mcli_free(c, r->dots);
  memset(r, 0, sizeof *r);
}

typedef struct block {
  const mcli_rows_kernels *kernels;
  const mcli_scores_kernels *scores;
  const mcl_context *context;
  const mcli_centres *m;
  const mcli_groups *g;
  mcli_races *races;
  const float *x, *norms;
  const int32_t *labels;
  float *upper, *lower;
} block;

// (1); returns the least of the row's. What the fastest centroid of its own group moved does not
// count for a row that belongs to it.
static float drift_lower(const block *b, int64_t i, int32_t label) {
  const mcli_groups *g = b->g;
  float *lower = b->lower + i * g->stride;
  int32_t own = group_of(g, g->place[label]);
  if (g->of[own] == label) lower[own] += (g->most[own] - g->next[own]) * (1 - 0x1p-22f);
  if (g->n > 1) return b->kernels->lower(lower, g->most, g->stride);
  float left = (*lower - *g->most) * (1 - 0x1p-22f);
  return *lower = left > 0 ? left : 0;
}

// (1) and (2): lists the rows that may not keep their label.
static int64_t sift(const block *b, int64_t n) {
  const mcli_groups *g = b->g;
  int64_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    int32_t label = b->labels[i];
    double least = (double)drift_lower(b, i, label), slop = mcli_scale_of(b->m, b->norms[i]).slop;
    double upper = ((double)b->upper[i] + (double)g->drift[label]) * (1 + 2e-7);
    b->upper[i] = (float)upper;
    b->races->at[found] = (int32_t)i;
    b->races->own[found] = label;
    if (upper * upper + slop < least * least) continue;
    found++;
    const float *x = b->x + i * b->m->dim;
    for (int64_t d = 0; d < b->m->dim && d < AHEAD; d += LINE) __builtin_prefetch(x + d);
  }
  return found;
}

// The groups for which (2) fails now that the distance to the row's own centroid is known.
static uint64_t undecided(const block *b, int64_t i, int32_t label, const mcli_scale *in,
                          float dot) {
  const mcli_groups *g = b->g;
  const float *lower = b->lower + i * g->stride;
  int32_t place = g->place[label];
  float score = b->m->bias[place] - dot;
  float measured = above(in->base + in->by * (double)score + in->slop);
  if (measured < b->upper[i]) b->upper[i] = measured;
  float limit = above((double)b->upper[i] * (double)b->upper[i] + in->slop);
  uint64_t groups = 0;
  for (int32_t j = 0; j < g->n; j++) groups |= (uint64_t)(lower[j] <= limit) << j;
  return groups ? groups | (uint64_t)1 << group_of(g, place) : 0;
}

// In cosine 2 / |x| leaves float where |x| is below 6e-39, and infinity times a score would be a
// bound that nothing passes. There slop is 8 and more, which leaves no bound above 0.
static void start_race(const block *b, int64_t at, int64_t i, uint64_t groups,
                       const mcli_scale *in) {
  float by = in->by < FLT_MAX ? (float)in->by : FLT_MAX;
  if (b->m->metric == MCL_COSINE && b->norms[i] == 0) groups = 0;
  b->races->rows[at] =
      (mcli_race){groups, INFINITY,        INFINITY, INFINITY,       0, (int32_t)i, 0,
                  2,      (float)in->base, by,       (float)in->slop};
}

static int64_t start_all(const block *b, int64_t n) {
  uint64_t all = ~(uint64_t)0 >> (MCLI_MOST_GROUPS - b->g->n);
  // What fills a row of bounds up to whole vectors is out of every comparison.
  for (int64_t i = 0; i < n * b->g->stride; i++) b->lower[i] = INFINITY;
  for (int64_t i = 0; i < n; i++) {
    mcli_scale in = mcli_scale_of(b->m, b->norms[i]);
    start_race(b, i, i, all, &in);
  }
  return n;
}

static int64_t start_some(const block *b, int64_t n) {
  mcli_races *r = b->races;
  int64_t listed = sift(b, n), found = 0;
  // One group's scores cost little more than the distance that might spare them.
  if (b->g->n == 1) {
    for (int64_t a = 0; a < listed; a++) {
      mcli_scale in = mcli_scale_of(b->m, b->norms[r->at[a]]);
      start_race(b, a, r->at[a], 1, &in);
    }
    return listed;
  }
  b->scores->pairs(b->x, r->at, b->m->rows, r->own, listed, b->m->dim, r->dots);
  for (int64_t a = 0; a < listed; a++) {
    int64_t i = r->at[a];
    mcli_scale in = mcli_scale_of(b->m, b->norms[i]);
    uint64_t groups = undecided(b, i, r->own[a], &in, r->dots[a]);
    if (groups) start_race(b, found++, i, groups, &in);
  }
  return found;
}

// below() in float: its roundings come to some 3 u (l + m)^2, and slop holds twice what rounding has
// done to the score, and four times what it does to D, 20 u (l + m)^2: assign.c (5).
static float below_score(const mcli_race *r, float score) {
  float square = r->base + r->by * score - r->slop;
  return sqrtf(square > 0 ? square : 0) * (1 - 0x1p-20f);
}

static float lesser(float a, float b) {
  return a < b ? a : b;
}
static float greater(float a, float b) {
  return a > b ? a : b;
}

// What one group said of the rows of a chunk: their smallest scores, the next, the places of these.
typedef struct group_result {
  float least[CHUNK], next[CHUNK];
  int32_t place[CHUNK];
} group_result;

static void score_panel(const block *b, const int32_t *at, int64_t n, int32_t p, group_result *r) {
  const mcli_centres *m = b->m;
  b->scores->contest(b->x, m->dim, at, n, m->packed + (int64_t)p * MCLI_PANEL * m->dim,
                     m->bias + p * MCLI_PANEL, r->least, r->next, r->place);
  for (int64_t i = 0; i < n; i++) r->place[i] += p * MCLI_PANEL;
}

// Without branches, which would be taken at random.
static void score_group(const block *b, const int32_t *at, int64_t n, int32_t j, group_result *r) {
  int32_t p = j * b->g->panels, end = p + b->g->panels, panels = (int32_t)mcli_panels(b->m->k);
  group_result more;
  score_panel(b, at, n, p, r);
  while (++p < end && p < panels) {
    score_panel(b, at, n, p, &more);
    for (int64_t i = 0; i < n; i++) {
      r->next[i] = lesser(lesser(r->next[i], more.next[i]), greater(r->least[i], more.least[i]));
      r->place[i] = more.least[i] < r->least[i] ? more.place[i] : r->place[i];
      r->least[i] = lesser(more.least[i], r->least[i]);
    }
  }
}

// Rows races[0 .. n - 1], of the numbers at[], against group j.
static void compare(const block *b, mcli_race *const *races, const int32_t *at, int64_t n,
                    int32_t j) {
  group_result g;
  score_group(b, at, n, j, &g);
  for (int64_t i = 0; i < n; i++)
    b->lower[at[i] * b->g->stride + j] = below_score(races[i], g.least[i]);
  for (int64_t i = 0; i < n; i++) {
    mcli_race *r = races[i];
    int first = g.least[i] < r->best;
    r->next = lesser(lesser(r->next, g.next[i]), greater(g.least[i], r->best));
    r->own_next = first ? g.next[i] : r->own_next;
    r->place = first ? g.place[i] : r->place;
    r->best = lesser(g.least[i], r->best);
  }
}

static void compare_all(const block *b, int64_t n) {
  mcli_race *races[CHUNK];
  int32_t at[CHUNK];
  for (int32_t j = 0; j < b->g->n; j++) {
    int64_t listed = 0;
    for (int64_t i = 0; i < n; i++) {
      mcli_race *r = &b->races->rows[i];
      if (!(r->groups >> j & 1)) continue;
      races[listed] = r;
      at[listed++] = r->row;
      b->races->compared++;
      if (listed < CHUNK) continue;
      compare(b, races, at, listed, j);
      listed = 0;
    }
    if (listed) compare(b, races, at, listed, j);
  }
}

// More than one centroid is as near as rounding can tell: one that decides, over all of them.
static void decide(const block *b, mcli_race *r, float slack) {
  const mcli_centres *m = b->m;
  const float *x = b->x + (int64_t)r->row * m->dim;
  int64_t panels = mcli_panels(m->k);
  b->scores->score(x, 1, m->dim, m->packed, panels, m->bias, b->races->scores);
  r->label = mcli_decide(b->context, m, x, b->races->unit, b->races->scores, r->best + slack,
                         &r->distance);
  for (int32_t j = 0; j < b->g->n; j++) {
    float least = INFINITY;
    int64_t first = (int64_t)j * b->g->panels * MCLI_PANEL, end = first + b->g->panels * MCLI_PANEL;
    for (int64_t p = first; p < end && p < panels * MCLI_PANEL; p++)
      if (p != b->g->place[r->label] && b->races->scores[p] < least) least = b->races->scores[p];
    b->lower[r->row * b->g->stride + j] = below_score(r, least);
  }
  b->upper[r->row] = INFINITY; // measured when it is wanted
}

static void conclude(const block *b, mcli_race *r) {
  const mcli_centres *m = b->m;
  mcli_scale in = mcli_scale_of(m, b->norms[r->row]);
  float *lower = b->lower + r->row * b->g->stride;
  if (!r->groups) { // a row of zeros in cosine stays where it is
    b->upper[r->row] = 0;
    for (int32_t j = 0; j < b->g->n; j++) lower[j] = INFINITY;
    return;
  }
  if (!(r->next > r->best + in.slack)) {
    decide(b, r, in.slack);
    return;
  }
  double own = in.base + in.by * (double)r->best;
  r->label = m->order[r->place];
  b->upper[r->row] = above(own + in.slop);
  lower[group_of(b->g, r->place)] = below_score(r, r->own_next);
  // As small as its own error: 0 must be told from nearly 0, for a row at distance 0 can start no
  // cluster.
  if (own <= in.slop)
    own = mcli_distance(b->context, m, b->x + (int64_t)r->row * m->dim, b->norms[r->row], r->label,
                        b->races->unit);
  r->distance = (float)own;
}

// With one group nearly every listed row is scored right after it was measured, and should still be in
// L2; with many, a group's list should be long enough to fill the kernel's blocks.
int64_t mcli_race_rows(const mcli_groups *g) {
  return g->n == 1 ? MCLI_SWEEP_BLOCK / 4 : MCLI_SWEEP_BLOCK;
}

int64_t mcli_race_run(const mcl_context *c, const mcli_centres *m, const mcli_groups *g,
                      mcli_races *r, const float *x, const float *norms, const int32_t *labels,
                      int64_t n, const mcli_bounds *of, int kept) {
  block b = {mcli_rows_kernels_of(c),
             mcli_scores_kernels_of(c),
             c,
             m,
             g,
             r,
             x,
             norms,
             labels,
             of->upper,
             of->lower};
  int64_t found = kept ? start_some(&b, n) : start_all(&b, n);
  compare_all(&b, found);
  for (int64_t i = 0; i < found; i++) conclude(&b, &r->rows[i]);
  return found;
}
