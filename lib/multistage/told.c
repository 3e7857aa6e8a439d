// How well does a representation tell positives from negatives of the same cell?
//
// With two views a, b of each row, u the unit embeddings of one stage, and a cell's rows in pieces
// of m rows:
//
//   s_ij = sum over stages of <u(a_i), u(b_j)>                                          (1)
//   t_i  = sum over j != i of ([s_ii > s_ij] + [s_ii = s_ij] / 2) / (m - 1)             (2)
//   told = mean over rows of t_i                                                        (3)
//
// With two modalities a is a view of the image and b its text, where the loss compares the embeddings
// themselves: those of a head's input need not lie in one space, and nothing is said then. Rows of
// one image or one text are not set against each other, as the loss does not.
//
// 1/2 is chance. (1) is, but for a factor, the cosine of the stages' concatenation with equal
// weights. It is a rank, so it does not depend on the size of a cell nor on a temperature, as a
// loss would; and it is of views that were never trained on, so that an encoder which knows its
// rows by heart gains nothing by it.
//
// A representation of b independent bits that survive every view gives 1 - 2^-b / 2: it errs, half
// the time, where the bits agree. So -log2(2 (1 - told)) counts the bits that the representation
// can still tell rows apart by (advice.c).
//
// Rejected: one negative a row, which is as dear (three embeddings a row instead of two) and cannot
// see beyond 1 - 1/2048, where a rich code hides; and the training accuracy, which falls with every
// negative that is added.
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "multistage/report.h"
#include "multistage/views.h"

// Rows that are looked at. The standard error of (3) is below 1/90 (of a share of 2048 independent
// rows: less near 1, where it matters). More would cost a small data set as much as an epoch of
// training, fewer would see small cells by chance only. Rows of a piece: an error of one pair in 31
// x 2048 is seen, 15 bits. Larger pieces would be fewer and look at few cells, smaller ones would
// see fewer bits.
enum { ROWS = 2048, PIECE = 32 };

// The seed of the draws: derived seeds of the loop are told apart by this number.
enum { SEED_TOLD = 1 << 22 };

typedef struct telling {
  const mcl_multistage *l;
  mcli_views *views;
  int64_t piece; // most rows
  int32_t first_stage;
  float *z[2];         // [piece, the largest dim]
  double *score;       // [piece, piece]
  double told, weight; // sums of (3)
  bool views_differ;
} telling;

// ---- scores of a piece --------------------------------------------------------------------------

static void normalise(float *z, int64_t n, int32_t dim) {
  for (int64_t i = 0; i < n; i++) {
    double norm = 0;
    for (int32_t d = 0; d < dim; d++) norm += (double)z[i * dim + d] * (double)z[i * dim + d];
    float scale = norm > 0 ? (float)(1 / sqrt(norm)) : 0.0f;
    for (int32_t d = 0; d < dim; d++) z[i * dim + d] *= scale;
  }
}

// (1), one stage.
static void add_scores(telling *t, int64_t n, int32_t dim) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      const float *a = t->z[0] + i * dim, *b = t->z[1] + j * dim;
      double sum = 0;
      for (int32_t d = 0; d < dim; d++) sum += (double)a[d] * (double)b[d];
      t->score[i * n + j] += sum;
    }
}

static mcl_status embed(telling *t, mcli_prepared *b, int32_t stage, mcl_error *err) {
  mcl_encoder *e = t->l->encoders[stage];
  int32_t dim = mcl_encoder_dim(e);
  mcl_status s = MCL_OK;
  for (int v = 0; s == MCL_OK && v < 2; v++) {
    mcl_inputs in;
    mcl_array data = mcli_views_batch(&b->view_shape[v], b->view[v], b->n);
    mcl_array z = mcl_matrix_f32(t->z[v], b->n, dim);
    mcli_views_inputs(t->views, &in, b->indices, b->n, mcli_views_modality(t->views, v), v, stage,
                      b->epoch);
    in.data = t->views->has_data ? &data : NULL;
    s = mcl_encoder_embed(e, &in, &z, err);
  }
  if (s < 0) return s;
  if (memcmp(t->z[0], t->z[1], (size_t)(b->n * dim) * sizeof(float)) != 0) t->views_differ = true;
  for (int v = 0; v < 2; v++) normalise(t->z[v], b->n, dim);
  add_scores(t, b->n, dim);
  return MCL_OK;
}

static bool are_same(const mcli_views *p, int64_t i, int64_t j) {
  for (int m = 0; m < MCLI_MAX_MODALITIES; m++)
    if (p->groups[m] && p->groups[m][i] == p->groups[m][j]) return true;
  return false;
}

// (2) and (3)
static void tell(telling *t, const int64_t *rows, int64_t n, double weight) {
  double won = 0;
  int64_t pairs = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      double own = t->score[i * n + i], other = t->score[i * n + j];
      if (i == j || are_same(t->views, rows[i], rows[j])) continue;
      won += own > other ? 1 : own == other ? 0.5 : 0;
      pairs++;
    }
  if (!pairs) return;
  t->told += weight * won / (double)pairs;
  t->weight += weight;
}

// All stages see the same views, those of stage 0 and of the epoch after the last: what told_next
// is after one stage is told_before after the next.
static mcl_status look_at(telling *t, const int64_t *rows, int64_t n, double weight,
                          mcl_error *err) {
  if (n < 2) return MCL_OK;
  mcli_prepared *b = &t->views->slots[0];
  memcpy(b->indices, rows, (size_t)n * sizeof *rows);
  b->n = n;
  b->stage = 0;
  b->epoch = t->l->o.epochs;
  b->step = -1; // no batch to train on any more
  memset(t->score, 0, (size_t)(n * n) * sizeof *t->score);
  mcl_status s = MCL_OK;
  for (int v = 0; s == MCL_OK && v < 2 && t->views->has_data; v++)
    s = mcli_views_make(t->views, b, v, v, err);
  for (int32_t stage = t->first_stage; s == MCL_OK && stage <= t->l->stage; stage++)
    s = embed(t, b, stage, err);
  if (s == MCL_OK) tell(t, b->indices, n, weight);
  return s;
}

// ---- which rows ---------------------------------------------------------------------------------

// The first `wanted` of n rows become a random choice of them (Fisher and Yates).
static void draw(int64_t *rows, int64_t n, int64_t wanted, mcli_rng *r) {
  for (int64_t i = 0; i < wanted && i + 1 < n; i++) {
    int64_t j = i + (int64_t)mcli_rng_below(r, (uint64_t)(n - i)), row = rows[i];
    rows[i] = rows[j];
    rows[j] = row;
  }
}

// Few rows: each is looked at once, in its cell's even pieces.
static mcl_status look_at_all(telling *t, mcli_cell_order *o, mcli_rng *r, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int64_t c = 0; c < o->cells; c++) {
    int64_t *rows = o->rows + o->first[c], m = o->first[c + 1] - o->first[c];
    int64_t pieces = (m + t->piece - 1) / t->piece;
    draw(rows, m, m, r);
    for (int64_t p = 0; s == MCL_OK && p < pieces; p++) {
      int64_t from = p * m / pieces, n = (p + 1) * m / pieces - from;
      s = look_at(t, rows + from, n, (double)n, err);
    }
  }
  return s;
}

// Many: pieces of cells that are drawn by their rows, evenly spread over the cells. Cells that are
// met with a probability in proportion to their rows weigh the same each.
static mcl_status look_at_some(telling *t, mcli_cell_order *o, mcli_rng *r, mcl_error *err) {
  double squares = 0;
  for (int64_t c = 0; c < o->cells; c++) {
    double m = (double)(o->first[c + 1] - o->first[c]);
    squares += m * (m < (double)t->piece ? m : (double)t->piece);
  }
  // A place meets a piece of squares / n rows on average.
  int64_t places = (int64_t)(ROWS * (double)o->n / squares), c = 0;
  double spacing = (double)o->n / (double)places;
  mcl_status s = MCL_OK;
  for (int64_t p = 0; s == MCL_OK && p < places; p++) {
    int64_t place = (int64_t)(((double)p + mcli_rng_unit(r)) * spacing);
    while (c + 1 < o->cells && place >= o->first[c + 1]) c++;
    int64_t *rows = o->rows + o->first[c], m = o->first[c + 1] - o->first[c];
    int64_t n = m < t->piece ? m : t->piece;
    draw(rows, m, n, r);
    s = look_at(t, rows, n, 1, err);
  }
  return s;
}

mcl_status mcli_told(const mcl_multistage *l, mcli_cell_order *o, int32_t first_stage, double *out,
                     mcl_error *err) {
  *out = (double)NAN;
  if (!l->views || o->n == 0) return MCL_OK;
  for (int32_t s = first_stage; s <= l->stage && l->o.modalities == 2; s++)
    if (mcl_encoder_projection_dim(l->encoders[s]) != mcl_encoder_dim(l->encoders[s]))
      return MCL_OK;
  telling t = {.l = l, .views = l->views, .first_stage = first_stage};
  t.piece = l->views->capacity < PIECE ? l->views->capacity : PIECE;
  int32_t dim = 0;
  for (int32_t s = first_stage; s <= l->stage; s++)
    if (mcl_encoder_dim(l->encoders[s]) > dim) dim = mcl_encoder_dim(l->encoders[s]);
  for (int v = 0; v < 2; v++) t.z[v] = MCLI_NEW(l->context, float, t.piece *dim);
  t.score = MCLI_NEW(l->context, double, t.piece *t.piece);
  mcl_status s = MCL_OK;
  // The same draws at every stage: in the same cells the same rows, so that told is compared with
  // told_before on one sample.
  mcli_rng r =
      mcli_rng_make(mcli_rng_derive(l->o.seed, MCLI_RNG_STAGE, SEED_TOLD), MCLI_RNG_PROBE, 0, 0);
  if (!t.z[0] || !t.z[1] || !t.score)
    s = mcli_nomem(err, "the stage report");
  else
    s = o->n <= ROWS ? look_at_all(&t, o, &r, err) : look_at_some(&t, o, &r, err);
  if (s == MCL_OK && t.weight > 0 && t.views_differ) *out = t.told / t.weight;
  for (int v = 0; v < 2; v++) mcli_free(l->context, t.z[v]);
  mcli_free(l->context, t.score);
  return s;
}
