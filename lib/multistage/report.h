// What a stage's report is made of: sizes of cells (cells.c), how alike their rows are (cosine.c), how
// well rows are told apart in them (told.c), and what follows (advice.c). stage.c puts it together.
#ifndef MCL_MULTISTAGE_REPORT_H
#define MCL_MULTISTAGE_REPORT_H

#include "multistage/multistage.h"

// Rows sorted by training cell: rows[first[c]] .. rows[first[c + 1] - 1] are those of cell c. Rows
// without a cell are left out.
typedef struct mcli_cell_order {
  int64_t *first; // [cells + 1]
  int64_t *rows;  // [n], rising within a cell until mcli_told() has worked on them
  int64_t *cell;  // [rows of the loop]: of each, -1: none
  int64_t cells, n;
} mcli_cell_order;

mcl_status mcli_cell_order_make(const mcl_multistage *l, const mcl_sampler *s, mcli_cell_order *o,
                                mcl_error *err);
void mcli_cell_order_free(mcl_context *c, mcli_cell_order *o); // of a half-made one too

// Mean cosine of two different rows of one cell; NaN where no cell has two. An exchange.
mcl_status mcli_cell_cosine(const mcl_multistage *l, const mcli_cell_order *o, const mcl_rows *rows,
                            double *out, mcl_error *err);

// Members as those of mcl_stage_report.
typedef struct mcli_cell_figures {
  int64_t used, cells, smallest, low, median, high, largest, backed_off;
  double enough;
} mcli_cell_figures;

mcl_status mcli_cell_figures_find(const mcl_multistage *l, const mcl_sampler *s,
                                  const mcli_cell_order *o, mcli_cell_figures *out, mcl_error *err);

// How well the stages first_stage .. l->stage together tell positives from negatives of the same
// cell; NaN where it cannot be said. Changes the order of rows within a cell.
mcl_status mcli_told(const mcl_multistage *l, mcli_cell_order *o, int32_t first_stage, double *out,
                     mcl_error *err);

// Fills in the advice of all modalities of a stage.
void mcli_advise(mcli_stage_result *r);
bool mcli_advice_is_to_stop(int32_t advice);

#endif
