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
// Scores are computed twice and never kept.
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

#include "math/gemm.h"
#include "math/rows.h"

enum { BLOCK = MCLI_CONTRAST_BLOCK };

// A tile: n rows of x from `row` on by m rows of y from `column` on.
typedef struct tile {
  int64_t row, n, column, m;
} tile;

typedef struct pass {
  const mcli_contrast *k;
  const mcli_rows_kernels *kernels;
  bool moving;    // c_i is the highest score so far
  tile *tiles;    // of one round
  float *scratch; // per worker: a tile of scores, and two numbers a column
} pass;

enum { SCRATCH = BLOCK * BLOCK + 2 * BLOCK };

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

static int64_t rounds_of(const mcli_cell *g) {
  int64_t x = blocks(g->x_end - g->x, g->x_block), y = blocks(g->y_end - g->y, g->y_block);
  return x > y ? x : y;
}

static tile tile_at(const mcli_cell *g, int64_t a, int64_t b) {
  int64_t row = g->x + a * g->x_block, column = g->y + b * g->y_block;
  int64_t n = g->x_end - row, m = g->y_end - column;
  return (tile){row, n < g->x_block ? n : g->x_block, column, m < g->y_block ? m : g->y_block};
}

static int64_t list_round(const mcli_contrast *k, int64_t round, tile *out) {
  int64_t found = 0;
  for (int64_t c = 0; c < k->n_cells; c++) {
    const mcli_cell *g = &k->cells[c];
    int64_t rounds = rounds_of(g), columns = blocks(g->y_end - g->y, g->y_block);
    if (round >= rounds) continue;
    for (int64_t a = 0; a < blocks(g->x_end - g->x, g->x_block); a++) {
      int64_t b = k->x == k->y ? (round - a + rounds) % rounds : (a + round) % rounds;
      if (b < columns && (k->x != k->y || a <= b)) out[found++] = tile_at(g, a, b);
    }
  }
  return found;
}

static mcl_status run_pass(pass *p, mcl_task_fn task, mcl_error *err) {
  int64_t rounds = 0;
  for (int64_t c = 0; c < p->k->n_cells; c++) {
    int64_t r = rounds_of(&p->k->cells[c]);
    if (r > rounds) rounds = r;
  }
  mcl_status s = MCL_OK;
  for (int64_t r = 0; s == MCL_OK && r < rounds; r++)
    s = mcli_parallel(p->k->context, (uint32_t)list_round(p->k, r, p->tiles), task, p, err);
  return s;
}

// ---- scores -------------------------------------------------------------------------------------

static float *scratch_of(const pass *p, uint32_t worker) {
  return p->scratch + (int64_t)worker * SCRATCH;
}

// Where the positive of row i of a tile stands in it; -1: elsewhere.
static int64_t positive_in(const pass *p, const tile *t, int64_t i) {
  int64_t j = p->k->x->positive[t->row + i] - t->column;
  return j >= 0 && j < t->m ? j : -1;
}

// The run of places in y's order, which rises, as far as it lies in the tile.
static void mask_more(const mcli_side *x, const mcli_side *y, const tile *t, int64_t row,
                      float *scores) {
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
    scores[places[low] - t->column] = -INFINITY;
}

// (1). What is no negative becomes -infinity; positives are noted before.
static void score_tile(const pass *p, const tile *t, float *s) {
  const mcli_contrast *k = p->k;
  mcli_side *x = k->x, *y = k->y;
  int64_t dim = x->dim;
  mcli_gemm(k->context, MCLI_GEMM_TB, t->n, t->m, dim, (float)(1 / k->temperature),
            x->u + t->row * dim, dim, y->u + t->column * dim, dim, 0, s, t->m);
  for (int64_t i = 0; i < t->n; i++) {
    float *scores = s + i * t->m;
    int64_t row = t->row + i, positive = positive_in(p, t, i);
    int64_t first = x->mask_from[row] - t->column, end = first + x->mask[row];
    if (positive >= 0) {
      x->score[row] = scores[positive];
      if (k->both) y->score[t->column + positive] = scores[positive];
      scores[positive] = -INFINITY;
    }
    for (int64_t j = first > 0 ? first : 0; j < end && j < t->m; j++) scores[j] = -INFINITY;
    if (x->more) mask_more(x, y, t, row, scores);
  }
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

static void sum_task(void *job, uint32_t task, uint32_t worker) {
  const pass *p = job;
  const tile *t = &p->tiles[task];
  mcli_side *x = p->k->x, *y = p->k->y;
  float *s = scratch_of(p, worker), *most = s + BLOCK * BLOCK, *sums = most + BLOCK;
  bool columns = p->k->both && !is_diagonal(p, t);
  score_tile(p, t, s);
  for (int64_t j = 0; j < t->m; j++) {
    most[j] = -INFINITY;
    sums[j] = 0;
  }
  for (int64_t i = 0; i < t->n; i++)
    raise_best(p, x, t->row + i, p->kernels->max_both(s + i * t->m, most, t->m));
  for (int64_t j = 0; columns && j < t->m; j++) raise_best(p, y, t->column + j, most[j]);
  const float *shifts = p->moving && columns ? y->shifts + t->column : NULL;
  for (int64_t i = 0; i < t->n; i++)
    x->sums[t->row + i] +=
        (double)p->kernels->exp_sum_both(s + i * t->m, x->shifts[t->row + i], shifts, sums, t->m);
  for (int64_t j = 0; columns && j < t->m; j++) y->sums[t->column + j] += (double)sums[j];
}

// (3), and of (4) the factor of a row's exponentials, and its share at its positive: w (p_i,p(i) -
// 1) = w (exp(-l_i) - 1).
static void finish_anchors(const mcli_contrast *k, mcli_side *s) {
  for (int64_t i = 0; i < s->n; i++) {
    if (!(s->best[i] > -INFINITY)) continue; // no negatives: all is 0
    double lead = (double)s->score[i] - (double)s->shifts[i], odds = log(s->sums[i]) - lead;
    s->losses[i] = odds > 0 ? odds + log1p(exp(-odds)) : log1p(exp(odds));
    s->weights[i] = (float)(k->weight / (s->sums[i] + exp(lead)));
    s->pulls[i] = (float)(k->weight * expm1(-s->losses[i]));
  }
}

// ---- pass 2 -------------------------------------------------------------------------------------

static void gradient_task(void *job, uint32_t task, uint32_t worker) {
  const pass *p = job;
  const tile *t = &p->tiles[task];
  mcli_side *x = p->k->x, *y = p->k->y;
  int64_t dim = x->dim;
  float *s = scratch_of(p, worker), inverse = (float)(1 / p->k->temperature);
  const float *shifts = p->moving && p->k->both ? y->shifts + t->column : NULL;
  score_tile(p, t, s);
  for (int64_t i = 0; i < t->n; i++) {
    int64_t row = t->row + i, positive = positive_in(p, t, i);
    p->kernels->exp_weigh_both(s + i * t->m, x->shifts[row], x->weights[row], shifts,
                               y->weights + t->column, t->m);
    if (positive >= 0)
      s[i * t->m + positive] = x->pulls[row] + (p->k->both ? y->pulls[t->column + positive] : 0);
  }
  mcli_gemm(p->k->context, 0, t->n, dim, t->m, inverse, s, t->m, y->u + t->column * dim, dim, 1,
            x->d + t->row * dim, dim);
  if (y->d && !is_diagonal(p, t))
    mcli_gemm(p->k->context, MCLI_GEMM_TA, t->m, dim, t->n, inverse, s, t->m, x->u + t->row * dim,
              dim, 1, y->d + t->column * dim, dim);
}

// ---- both ---------------------------------------------------------------------------------------

// exp(-80) is 1.8e-35: a row's sum, its inverse and their products with exponentials all stay clear
// of float's ends.
static const double widest_range = 80;

mcl_status mcli_contrast_run(const mcli_contrast *k, mcl_error *err) {
  pass p = {.k = k, .kernels = mcli_rows_kernels_of(k->context)};
  p.moving = !k->x->norms || 2 / k->temperature > widest_range;
  int64_t most = 0;
  for (int64_t c = 0; c < k->n_cells; c++)
    most += blocks(k->cells[c].x_end - k->cells[c].x, k->cells[c].x_block);
  p.tiles = MCLI_NEW(k->context, tile, most);
  p.scratch = MCLI_NEW(k->context, float, (int64_t)mcli_workers(k->context) * SCRATCH);
  mcl_status s = p.tiles && p.scratch ? MCL_OK : mcli_nomem(err, "the loss");
  for (int side = 0; side < 2; side++) {
    mcli_side *of = side ? k->y : k->x;
    for (int64_t i = 0; i < of->n; i++) {
      of->best[i] = -INFINITY;
      of->shifts[i] = p.moving ? 0 : (float)(1 / k->temperature);
    }
  }
  if (s == MCL_OK) s = run_pass(&p, sum_task, err);
  if (s == MCL_OK) {
    finish_anchors(k, k->x);
    if (k->y != k->x) finish_anchors(k, k->y);
    s = run_pass(&p, gradient_task, err);
  }
  mcli_free(k->context, p.tiles);
  mcli_free(k->context, p.scratch);
  return s;
}
