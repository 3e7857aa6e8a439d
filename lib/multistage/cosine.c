// How alike are rows of one cell? With u_i the m_c unit rows of cell c:
//
//   cell_cosine = sum_c (|sum_i u_i|^2 - m_c) / sum_c m_c (m_c - 1)                      (1)
//
// the mean cosine over all ordered pairs of different rows of one cell, without forming the pairs.
//
// One pass over this rank's rows. Coordinates of unit rows are added as whole multiples of `unit`, the finest
// of which a cell's rows together stay below 2^62: whole numbers add up to the same sum in any order, on any
// number of ranks. Where the sums of all cells would take more than 64 MiB, every so-many-th cell is looked at.
#include <math.h>

#include "math/array.h"
#include "multistage/report.h"

typedef struct cosines {
  const mcli_cell_order *order;
  int64_t *sums; // [cells looked at, dim + 1]; the last: rows that are not zero
  int64_t every, looked_at;
  int32_t dim;
} cosines;

enum { SUMS_BYTES = 64 << 20 };

static double unit_of(int64_t rows) {
  return ldexp(1, -(61 - ilogb((double)rows)));
}

static void add_unit_row(const cosines *c, int64_t cell, const float *row) {
  const mcli_cell_order *o = c->order;
  double norm = 0, unit = unit_of(o->first[cell + 1] - o->first[cell] + 1);
  int64_t *sum = c->sums + cell / c->every * (c->dim + 1);
  for (int32_t d = 0; d < c->dim; d++) norm += (double)row[d] * (double)row[d];
  if (norm == 0) return;
  double scale = 1 / (sqrt(norm) * unit);
  for (int32_t d = 0; d < c->dim; d++) sum[d] += llrint((double)row[d] * scale);
  sum[c->dim]++;
}

static mcl_status add_unit_rows(const mcl_multistage *l, const cosines *c, const mcl_rows *rows,
                                mcl_error *err) {
  float *buffer = MCLI_NEW(l->context, float, (int64_t)MCLI_BLOCK_ROWS * rows->dim);
  mcl_status s = buffer ? MCL_OK : mcli_nomem(err, "the stage report");
  for (int64_t at = 0, n; s == MCL_OK && at < l->share; at += n) {
    const float *x;
    n = l->share - at < MCLI_BLOCK_ROWS ? l->share - at : MCLI_BLOCK_ROWS;
    s = mcli_rows_block(rows, l->first + at, n, buffer, NULL, &x, err);
    for (int64_t i = 0; i < n && s == MCL_OK; i++) {
      int64_t cell = c->order->cell[l->first + at + i];
      if (cell >= 0 && cell % c->every == 0) add_unit_row(c, cell, x + i * rows->dim);
    }
  }
  mcli_free(l->context, buffer);
  return s;
}

static double mean_cosine(const cosines *c) {
  const mcli_cell_order *o = c->order;
  double sum_of = 0, pairs = 0;
  for (int64_t at = 0; at < c->looked_at; at++) {
    const int64_t *sum = c->sums + at * (c->dim + 1), cell = at * c->every;
    double m = (double)sum[c->dim], square = 0,
           unit = unit_of(o->first[cell + 1] - o->first[cell] + 1);
    for (int32_t d = 0; d < c->dim; d++) {
      double x = (double)sum[d] * unit;
      square += x * x;
    }
    sum_of += square - m;
    pairs += m * (m - 1);
  }
  return pairs > 0 ? sum_of / pairs : (double)NAN;
}

mcl_status mcli_cell_cosine(const mcl_multistage *l, const mcli_cell_order *o, const mcl_rows *rows,
                            double *out, mcl_error *err) {
  cosines c = {.order = o, .dim = rows->dim};
  int64_t most = SUMS_BYTES / (((int64_t)c.dim + 1) * (int64_t)sizeof(int64_t));
  if (most < 1) most = 1;
  c.every = o->cells > most ? (o->cells + most - 1) / most : 1;
  c.looked_at = (o->cells + c.every - 1) / c.every;
  int64_t numbers = c.looked_at * (c.dim + 1);
  c.sums = MCLI_NEW0(l->context, int64_t, numbers);
  mcl_status s = c.sums ? MCL_OK : mcli_nomem(err, "the stage report");
  if (s == MCL_OK) s = add_unit_rows(l, &c, rows, err);
  s = mcli_comm_add(l->comm, s, c.sums, numbers, err);
  if (s == MCL_OK) *out = mean_cosine(&c);
  mcli_free(l->context, c.sums);
  return s;
}
