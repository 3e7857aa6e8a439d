// Rows in the order of their cells, and how large these are.
//
// Quantiles by rows, for cells of m_c rows and a share q of the n rows:
//
//   low  = the least m for which  sum over cells with m_c <= m of m_c >= q n         (1)
//   high = the largest m for which  sum over cells with m_c >= m of m_c >= q n       (2)
//   enough = sum over cells with m_c > MCL_ENOUGH_NEGATIVES of m_c / (rows - excluded)   (3)
//
// By rows and not by cells, because it is rows that are trained on: of 1000 cells 900 may have one
// row each, and still nearly every row have company. The median is by cells, as the sampler reports
// it.
#include <math.h>
#include <string.h>

#include "multistage/report.h"

void mcli_cell_order_free(mcl_context *c, mcli_cell_order *o) {
  mcli_free(c, o->first);
  mcli_free(c, o->rows);
  mcli_free(c, o->cell);
}

mcl_status mcli_cell_order_make(const mcl_multistage *l, const mcl_sampler *sampler,
                                mcli_cell_order *o, mcl_error *err) {
  mcl_context *c = l->context;
  memset(o, 0, sizeof *o);
  int64_t *cell = o->cell = MCLI_NEW(c, int64_t, l->rows);
  o->rows = MCLI_NEW(c, int64_t, l->rows);
  mcl_status s =
      cell && o->rows ? mcl_sampler_cells(sampler, cell, l->rows, err) : mcli_nomem(err, "cells");
  for (int64_t i = 0; s == MCL_OK && i < l->rows; i++)
    if (cell[i] >= o->cells) o->cells = cell[i] + 1;
  if (s == MCL_OK && !(o->first = MCLI_NEW0(c, int64_t, o->cells + 2)))
    s = mcli_nomem(err, "cells");
  if (s == MCL_OK) {
    for (int64_t i = 0; i < l->rows; i++)
      if (cell[i] >= 0) o->first[cell[i] + 2]++;
    for (int64_t i = 2; i < o->cells + 2; i++) o->first[i] += o->first[i - 1];
    for (int64_t i = 0; i < l->rows; i++)
      if (cell[i] >= 0) o->rows[o->first[cell[i] + 1]++] = i;
    o->n = o->first[o->cells];
  }
  return s;
}

// The share of rows that both quantiles leave aside. A tenth is seen in practice; a twentieth of
// 1000 rows would be one odd cell's.
static const double DECILE = 0.1;

static void find_quantiles(const int64_t *rows_at, int64_t largest, int64_t n,
                           mcli_cell_figures *f) {
  double wanted = DECILE * (double)n;
  int64_t below = 0, above = 0, enough = 0;
  for (int64_t m = 1; m <= largest && !f->low; m++) // (1)
    if ((double)(below += rows_at[m]) >= wanted) f->low = m;
  for (int64_t m = largest; m >= 1 && !f->high; m--) // (2)
    if ((double)(above += rows_at[m]) >= wanted) f->high = m;
  for (int64_t m = MCL_ENOUGH_NEGATIVES + 1; m <= largest; m++) enough += rows_at[m]; // (3)
  f->enough = (double)enough;
}

mcl_status mcli_cell_figures_find(const mcl_multistage *l, const mcl_sampler *sampler,
                                  const mcli_cell_order *o, mcli_cell_figures *f, mcl_error *err) {
  memset(f, 0, sizeof *f);
  mcl_sampler_report r;
  mcl_struct_init(&r, sizeof r);
  mcl_status s = mcl_sampler_get_report(sampler, &r, err);
  if (s < 0) return s;
  f->used = r.used;
  f->cells = r.cells;
  f->smallest = r.smallest_cell;
  f->median = r.median_cell;
  f->largest = r.largest_cell;
  f->backed_off = r.backed_off;
  int64_t *rows_at = MCLI_NEW0(l->context, int64_t, r.largest_cell + 1); // rows in cells of a size
  if (!rows_at) return mcli_nomem(err, "the stage report");
  for (int64_t c = 0; c < o->cells; c++) {
    int64_t m = o->first[c + 1] - o->first[c];
    rows_at[m] += m;
  }
  if (o->n) find_quantiles(rows_at, r.largest_cell, o->n, f);
  f->enough = r.rows > r.excluded ? f->enough / (double)(r.rows - r.excluded) : (double)NAN;
  mcli_free(l->context, rows_at);
  return MCL_OK;
}
