// How well does each anchor pick its own positive out of its cell? Two passes over tiles of scores.
//
// Which rows share a cell decides what is learnt; that choice is made in sampler/, never here.
//
//   s_ij = <x_i, y_j> / tau                                                        (1)
//   N_i  = sum over negatives j of exp(s_ij - c_i)                                 (2)
//   l_i  = log(1 + N_i exp(c_i - s_i,p(i))),  p_ij = exp(s_ij - c_i) / Z_i         (3)
//          Z_i = N_i + exp(s_i,p(i) - c_i)
//   G_ij = w (p_ij - [j = p(i)]) + w (q_ji - [i = p(j)]) = dL/ds_ij                (4)
//   dL/dx_i = 1/tau sum_j G_ij y_j,  dL/dy_j = 1/tau sum_i G_ij x_i                (5)
//   dL/dlog tau = -sum_ij (dL/ds_ij) s_ij = -sum_i <dL/dx_i, x_i>                  (6)
//
// q are the probabilities of y's rows as anchors that pick among x: in NT-Xent, where x and y are
// the same rows, and in InfoNCE both ways. s_ij is then a score of both, so one tile serves its
// rows and its columns: NT-Xent's matrix is computed above the diagonal only. Pass 1 makes (2),
// pass 2 makes (4) and (5): 8 M^2 d flops for M x M scores in d dimensions, half that for NT-Xent.
//
// Where only a share f of the rows are anchors, the others are candidates: w is 0 for them. Tiles without an anchor among
// rows and columns are left out, which leaves 2 f - f^2 of all.
//
// A quarter of that is scores made for the second time. What pass 1 leaves of a tile, exponentials or scores, is kept for
// pass 2 as far as a fixed room goes; the others are computed twice, to the same bits.
//
// c_i keeps the exponentials in range. Scores of normalised rows lie within 1/tau of 0, so c =
// 1/tau does for all, unless exp(-2/tau) vanishes in float: then, and for rows as given, c_i is the
// anchor's highest score so far, and a tile's entry takes two exponentials instead of one.
//
// Tasks of one round touch different rows, so that each adds to its rows' sums and gradients in
// place, in the order of the rounds: no sum depends on the number of threads, and no partial sums
// are kept.
#include "loss/contrast.h"

#include <math.h>
#include <string.h>

#include "math/blocks.h"

enum { BLOCK = MCLI_CONTRAST_BLOCK, PANEL = MCLI_CONTRAST_PANEL, MOST_PANELS = BLOCK / PANEL };

// A tile: n rows of x from `row` on by m rows of y from `column` on, and their panels. Its scores are strips, one a panel of
// rows (math/blocks.h).
typedef struct tile {
  int64_t row, n, column, m, row_panel, column_panel;
  int64_t high, wide; // panels
  bool several;       // cells
  bool both;          // its columns are anchors too
  float *kept;        // its scores after pass 1; NULL: no room
} tile;

typedef struct pass {
  const mcli_contrast *k;
  const mcli_blocks_kernels *kernels;
  bool moving; // c_i is the highest score so far
  tile *tiles; // of one round
  float *kept;
  int64_t room, used;      // floats of `kept`; of those by the rounds so far
  struct scratch *scratch; // a worker's
  mcli_side *finishing;
} pass;

// A number a row or column of a tile; 0, or -infinity for maxima, where a panel's rows end.
typedef struct lanes {
  float most[BLOCK], sums[BLOCK], shifts[BLOCK], weights[BLOCK];
} lanes;

typedef struct scratch {
  float scores[BLOCK * BLOCK], weighed[BLOCK * BLOCK], turned[BLOCK * BLOCK];
  lanes rows, columns;
} scratch;

static bool is_diagonal(const pass *p, const tile *t) {
  return p->k->x == p->k->y && t->row == t->column;
}

// ---- rounds -------------------------------------------------------------------------------------

// Block a of n is paired in round r with block b = r - a (mod n) of the same rows: every pair meets
// once, and in a round nobody is in two. For two sides b = a + r, modulo the larger number of
// blocks.
static int64_t blocks(int64_t rows, int64_t block) {
  return (rows + block - 1) / block;
}

static int64_t early_blocks(const mcli_span *s) {
  return blocks(s->late - s->from, s->block);
}

static int64_t all_blocks(const mcli_span *s) {
  return early_blocks(s) + blocks(s->end - s->late, s->late_block);
}

static int64_t rounds_of(const mcli_cell *g) {
  int64_t x = all_blocks(&g->x), y = all_blocks(&g->y);
  return x > y ? x : y;
}

// First row of block b and, by *n, how many.
static int64_t block_at(const mcli_span *s, int64_t b, int64_t *n) {
  int64_t late = b - early_blocks(s), block = late < 0 ? s->block : s->late_block;
  int64_t first = late < 0 ? s->from + b * block : s->late + late * block;
  int64_t end = late < 0 ? s->late : s->end;
  *n = end - first < block ? end - first : block;
  return first;
}

static tile tile_at(const pass *p, const mcli_cell *g, int64_t a, int64_t b) {
  tile t = {.several = g->several, .both = p->k->both && b < early_blocks(&g->y)};
  t.row = block_at(&g->x, a, &t.n), t.column = block_at(&g->y, b, &t.m);
  t.row_panel = g->x.panel + (t.row - g->x.from) / PANEL;
  t.column_panel = g->y.panel + (t.column - g->y.from) / PANEL;
  t.high = blocks(t.n, PANEL), t.wide = blocks(t.m, PANEL);
  return t;
}

// Tiles on the diagonal are less work: they come last, when some threads have nothing else left.
static int64_t list_round(pass *p, int64_t round) {
  const mcli_contrast *k = p->k;
  int64_t found = 0;
  for (int diagonal = 0; diagonal < 2; diagonal++)
    for (int64_t c = 0; c < k->n_cells; c++) {
      const mcli_cell *g = &k->cells[c];
      int64_t rounds = rounds_of(g), rows = all_blocks(&g->x), columns = all_blocks(&g->y);
      if (round >= rounds) continue;
      int64_t early = early_blocks(&g->x), early_columns = early_blocks(&g->y);
      for (int64_t a = 0; a < rows; a++) {
        int64_t b = k->x == k->y ? (round - a + rounds) % rounds : (a + round) % rounds;
        if (b >= columns || (k->x == k->y && a > b)) continue;
        if (a >= early && b >= early_columns) continue; // no anchor in either
        if ((k->x == k->y && a == b) == diagonal) p->tiles[found++] = tile_at(p, g, a, b);
      }
    }
  for (int64_t i = 0; i < found; i++) {
    tile *t = &p->tiles[i];
    int64_t size = t->high * t->wide * MCLI_BLOCK;
    t->kept = p->kept && p->used + size <= p->room ? p->kept + p->used : NULL;
    p->used += size;
  }
  return found;
}

static int64_t rounds_in_all(const mcli_contrast *k) {
  int64_t rounds = 0;
  for (int64_t c = 0; c < k->n_cells; c++) {
    int64_t r = rounds_of(&k->cells[c]);
    if (r > rounds) rounds = r;
  }
  return rounds;
}

static mcl_status run_pass(pass *p, mcl_task_fn task, mcl_error *err) {
  int64_t rounds = rounds_in_all(p->k);
  mcl_status s = MCL_OK;
  p->used = 0;
  for (int64_t r = 0; s == MCL_OK && r < rounds; r++)
    s = mcli_parallel(p->k->context, (uint32_t)list_round(p, r), task, p, err);
  return s;
}

// ---- scores -------------------------------------------------------------------------------------

// Where the positive of row i of a tile stands in it; -1: elsewhere.
static int64_t positive_in(const pass *p, const tile *t, int64_t i) {
  int64_t j = p->k->x->positive[t->row + i] - t->column;
  return j >= 0 && j < t->m ? j : -1;
}

static float *score_at(float *strip, int64_t i, int64_t j) {
  return strip + j / PANEL * MCLI_BLOCK + i * PANEL + j % PANEL;
}

// Row i of a strip against columns from .. end - 1 of the tile, as far as it has them.
static void mask(const tile *t, float *strip, int64_t i, int64_t from, int64_t end) {
  if (end > t->wide * PANEL) end = t->wide * PANEL;
  for (int64_t j = from > 0 ? from : 0; j < end; j++) *score_at(strip, i, j) = -INFINITY;
}

// The run of places in y's order, which rises, as far as it lies in the tile.
static void mask_more(const mcli_side *x, const mcli_side *y, const tile *t, float *strip,
                      int64_t i, int64_t row) {
  const int64_t *places = y->order + x->more_from[row];
  int64_t low = 0, high = x->more[row];
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (places[middle] < t->column)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < x->more[row] && places[low] < t->column + t->m; low++)
    *score_at(strip, i, places[low] - t->column) = -INFINITY;
}

static void mask_other_cells(const pass *p, const tile *t, float *strip, int64_t i, int64_t row) {
  const mcli_side *x = p->k->x, *y = p->k->y;
  for (int64_t j = 0; j < t->m; j++)
    if (y->keys[t->column + j].cell != x->keys[row].cell) *score_at(strip, i, j) = -INFINITY;
}

// (1) of one panel of rows. What is no negative becomes -infinity; positives are noted before.
static void score_strip(const pass *p, const tile *t, int64_t panel, float *strip) {
  const mcli_contrast *k = p->k;
  mcli_side *x = k->x, *y = k->y;
  int64_t size = PANEL * x->dim;
  p->kernels->score(x->u + (t->row_panel + panel) * size, y->u + t->column_panel * size, t->wide,
                    x->dim, (float)(1 / k->temperature), strip);
  for (int64_t i = 0; i < PANEL; i++) {
    int64_t at = panel * PANEL + i, row = t->row + at, positive;
    if (at >= t->n) {
      mask(t, strip, i, 0, t->wide * PANEL);
      continue;
    }
    positive = positive_in(p, t, at);
    if (positive >= 0) {
      x->score[row] = *score_at(strip, i, positive);
      if (t->both) y->score[t->column + positive] = x->score[row];
      mask(t, strip, i, positive, positive + 1);
    }
    mask(t, strip, i, t->m, t->wide * PANEL);
    for (int late = 0; late < 2 && x->masks[late]; late++) {
      int64_t first = x->masks[late][row].from - t->column;
      mask(t, strip, i, first, first + x->masks[late][row].n);
    }
    if (x->more) mask_more(x, y, t, strip, i, row);
    if (t->several) mask_other_cells(p, t, strip, i, row);
  }
}

static void copy_lanes(float *out, const float *values, int64_t n) {
  memcpy(out, values, (size_t)n * sizeof *out);
  memset(out + n, 0, (size_t)(BLOCK - n) * sizeof *out);
}

// ---- pass 1 -------------------------------------------------------------------------------------

static void raise_best(const pass *p, mcli_side *s, int64_t i, float score) {
  if (!(score > s->best[i])) return;
  if (p->moving) {
    if (s->sums[i] > 0) s->sums[i] *= exp((double)s->shifts[i] - (double)score);
    s->shifts[i] = score;
  }
  s->best[i] = score;
}

static void clear(lanes *l) {
  for (int64_t i = 0; i < BLOCK; i++) {
    l->most[i] = -INFINITY;
    l->sums[i] = 0;
  }
}

// Maxima are raised first, so that no score is above its shift.
static void sum_by_shifts(const pass *p, const tile *t, const float *scores, bool columns,
                          scratch *w) {
  copy_lanes(w->rows.shifts, p->k->x->shifts + t->row, t->n);
  if (columns) copy_lanes(w->columns.shifts, p->k->y->shifts + t->column, t->m);
  for (int64_t i = 0; i < t->high; i++)
    p->kernels->exp_sums_by(scores + i * t->wide * MCLI_BLOCK, t->wide, w->rows.shifts + i * PANEL,
                            columns ? w->columns.shifts : NULL, w->rows.sums + i * PANEL,
                            w->columns.sums);
}

static void sum_task(void *job, uint32_t task, uint32_t worker) {
  const pass *p = job;
  const tile *t = &p->tiles[task];
  mcli_side *x = p->k->x, *y = p->k->y;
  scratch *w = &p->scratch[worker];
  float *scores = t->kept ? t->kept : w->scores;
  bool columns = t->both && !is_diagonal(p, t);
  // A strip that nobody wants again is overwritten by the next, in L1.
  int64_t step = t->kept || p->moving ? t->wide * MCLI_BLOCK : 0;
  clear(&w->rows), clear(&w->columns);
  for (int64_t i = 0; i < t->high; i++) {
    float *strip = scores + i * step;
    score_strip(p, t, i, strip);
    p->kernels->raise(strip, t->wide, w->rows.most + i * PANEL, w->columns.most);
    if (!p->moving)
      p->kernels->exp_sums(strip, t->wide, (float)(1 / p->k->temperature), w->rows.sums + i * PANEL,
                           w->columns.sums);
  }
  for (int64_t i = 0; i < t->n; i++) raise_best(p, x, t->row + i, w->rows.most[i]);
  for (int64_t j = 0; columns && j < t->m; j++) raise_best(p, y, t->column + j, w->columns.most[j]);
  if (p->moving) sum_by_shifts(p, t, scores, columns, w);
  for (int64_t i = 0; i < t->n; i++) x->sums[t->row + i] += (double)w->rows.sums[i];
  for (int64_t j = 0; columns && j < t->m; j++)
    y->sums[t->column + j] += (double)w->columns.sums[j];
}

enum { ANCHORS_A_TASK = 512 };

// (3), and of (5) the factor of a row's exponentials, and its share at its positive: w (p_i,p(i) -
// 1) / tau = w (exp(-l_i) - 1) / tau.
static void finish_anchors(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const pass *p = job;
  mcli_side *s = p->finishing;
  double weight = p->k->weight / p->k->temperature;
  int64_t end = ((int64_t)task + 1) * ANCHORS_A_TASK;
  for (int64_t i = (int64_t)task * ANCHORS_A_TASK; i < end && i < s->n; i++) {
    if (s->keys[i].late || !(s->best[i] > -INFINITY)) continue; // no anchor, no negatives: all is 0
    double lead = (double)s->score[i] - (double)s->shifts[i], odds = log(s->sums[i]) - lead;
    s->losses[i] = odds > 0 ? odds + log1p(exp(-odds)) : log1p(exp(odds));
    if (isinf(s->score[i])) s->losses[i] = INFINITY; // beyond float: refused, not taken for won
    s->weights[i] = (float)(weight / (s->sums[i] + exp(lead)));
    s->pulls[i] = (float)(weight * expm1(-s->losses[i]));
  }
}

// ---- pass 2 -------------------------------------------------------------------------------------

// A strip's exponentials become (4) / tau, twice: for the products by its columns as strips of rows, and turned.
static void weigh_strip(const pass *p, const tile *t, int64_t panel, const float *strip,
                        scratch *w) {
  mcli_side *x = p->k->x, *y = p->k->y;
  const float *shifts = w->rows.shifts + panel * PANEL, *weights = w->rows.weights + panel * PANEL;
  for (int64_t j = 0; j < t->wide; j++) {
    float *out = w->weighed + (j * t->high + panel) * MCLI_BLOCK;
    float *turned = w->turned + (panel * t->wide + j) * MCLI_BLOCK;
    const float *block = strip + j * MCLI_BLOCK, *others = w->columns.weights + j * PANEL;
    if (p->moving)
      p->kernels->weigh_by(block, shifts, weights, t->both ? w->columns.shifts + j * PANEL : NULL,
                           others, out, turned);
    else
      p->kernels->weigh(block, weights, others, out, turned);
  }
  for (int64_t i = 0; i < PANEL && panel * PANEL + i < t->n; i++) {
    int64_t at = panel * PANEL + i, j = positive_in(p, t, at);
    if (j < 0) continue;
    float pull = x->pulls[t->row + at] + (t->both ? y->pulls[t->column + j] : 0);
    w->weighed[(j / PANEL * t->high + panel) * MCLI_BLOCK + i * PANEL + j % PANEL] = pull;
    w->turned[(panel * t->wide + j / PANEL) * MCLI_BLOCK + j % PANEL * PANEL + i] = pull;
  }
}

static void gradient_task(void *job, uint32_t task, uint32_t worker) {
  const pass *p = job;
  const tile *t = &p->tiles[task];
  mcli_side *x = p->k->x, *y = p->k->y;
  scratch *w = &p->scratch[worker];
  int64_t size = PANEL * x->dim;
  copy_lanes(w->rows.shifts, x->shifts + t->row, t->n);
  copy_lanes(w->rows.weights, x->weights + t->row, t->n);
  copy_lanes(w->columns.shifts, y->shifts + t->column, t->m);
  copy_lanes(w->columns.weights, y->weights + t->column, t->m);
  for (int64_t i = 0; i < t->high; i++) {
    float *strip = t->kept ? t->kept + i * t->wide * MCLI_BLOCK : w->scores;
    if (!t->kept) score_strip(p, t, i, strip);
    if (!t->kept && !p->moving)
      p->kernels->exp_sums(strip, t->wide, (float)(1 / p->k->temperature), w->rows.sums,
                           w->columns.sums);
    weigh_strip(p, t, i, strip, w);
  }
  const float *of_x = x->u + t->row_panel * size, *of_y = y->u + t->column_panel * size;
  for (int64_t i = 0; i < t->high; i++)
    p->kernels->add_product(of_y, w->turned + i * t->wide * MCLI_BLOCK, t->wide, x->dim,
                            x->d + (t->row_panel + i) * size);
  for (int64_t j = 0; y->d && !is_diagonal(p, t) && j < t->wide; j++)
    p->kernels->add_product(of_x, w->weighed + j * t->high * MCLI_BLOCK, t->high, x->dim,
                            y->d + (t->column_panel + j) * size);
}

// ---- both ---------------------------------------------------------------------------------------

// exp(-80) is 1.8e-35: a row's sum, its inverse and their products with exponentials all stay clear
// of float's ends.
static const double widest_range = 80;

// What a loss may hold beyond inputs and gradients: rows and their gradients in panels, and with what these leave scores of
// pass 1.
static const int64_t most_bytes = (int64_t)30 << 20;
// The arrays of mcli_side, other ids included.
enum { BYTES_A_ROW = 200 };

static int64_t room_for_scores(pass *p) {
  const mcli_side *x = p->k->x, *y = p->k->y;
  int64_t rounds = rounds_in_all(p->k), held = 0;
  for (int side = 0; side < (x == y ? 1 : 2); side++) {
    const mcli_side *s = side ? y : x;
    int64_t rows = s->n_panels * PANEL * s->dim * (int64_t)sizeof(float);
    held += (s->d ? 2 : 1) * rows + BYTES_A_ROW * s->n;
  }
  int64_t room = held < most_bytes ? (most_bytes - held) / (int64_t)sizeof(float) : 0;
  for (int64_t r = 0; r < rounds && p->used < room; r++) list_round(p, r);
  return p->used < room ? p->used : room;
}

static mcl_status allocate(pass *p, mcl_error *err) {
  mcl_context *c = p->k->context;
  int64_t most = 0;
  for (int64_t i = 0; i < p->k->n_cells; i++) most += all_blocks(&p->k->cells[i].x);
  p->tiles = MCLI_NEW(c, tile, most);
  p->scratch = MCLI_NEW(c, scratch, (int64_t)mcli_workers(c));
  if (p->tiles && p->k->keep) p->room = room_for_scores(p);
  p->kept = MCLI_NEW(c, float, p->room);
  return p->tiles && p->scratch && p->kept ? MCL_OK : mcli_nomem(err, "the loss");
}

static void start_anchors(const pass *p, mcli_side *s) {
  for (int64_t i = 0; i < s->n; i++) {
    s->best[i] = -INFINITY;
    s->shifts[i] = p->moving ? 0 : (float)(1 / p->k->temperature);
  }
}

static mcl_status run_anchors(pass *p, mcli_side *s, mcl_error *err) {
  p->finishing = s;
  return mcli_parallel(p->k->context, (uint32_t)blocks(s->n, ANCHORS_A_TASK), finish_anchors, p,
                       err);
}

mcl_status mcli_contrast_run(const mcli_contrast *k, mcl_error *err) {
  pass p = {.k = k, .kernels = mcli_blocks_kernels_of(k->context)};
  p.moving = !k->x->norms || 2 / k->temperature > widest_range;
  mcl_status s = allocate(&p, err);
  start_anchors(&p, k->x);
  if (k->y != k->x) start_anchors(&p, k->y);
  if (s == MCL_OK) s = run_pass(&p, sum_task, err);
  if (s == MCL_OK) s = run_anchors(&p, k->x, err);
  if (s == MCL_OK && k->y != k->x) s = run_anchors(&p, k->y, err);
  if (s == MCL_OK) s = run_pass(&p, gradient_task, err);
  mcli_free(k->context, p.tiles);
  mcli_free(k->context, p.scratch);
  mcli_free(k->context, p.kept);
  return s;
}
