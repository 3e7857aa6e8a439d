// Scores of rows against rows in blocks of 16 x 16, their exponentials, and products of rows by what became of them.
//
// Rows lie in panels: 16 rows [dim, 16], coordinate by coordinate, rows that are missing being 0. Either side of a product
// is read so: a panel's coordinates are vectors of 16 rows, and single rows of it are broadcast. So rows are laid out once
// and serve scores and gradients, as rows and as columns, and nothing is packed for a product.
//
// A strip is the blocks of one panel of rows by n panels of columns: [n][16 rows][16 columns]. -infinity is a score that is
// not there. Sums of products may be fused: bits differ from one instruction set to another.
#ifndef MCL_MATH_BLOCKS_H
#define MCL_MATH_BLOCKS_H

#include <stdint.h>

#include "base/context.h"

enum { MCLI_BLOCK = 16 * 16 };

typedef struct mcli_blocks_kernels {
  // strip[p][i][j] = scale * sum_d x[d][i] y[p][d][j]
  void (*score)(const float *x, const float *y, int64_t n, int64_t dim, float scale, float *strip);
  // The reverse: out[d][j] += sum over p and i of x[p][d][i] * strip[p][i][j], for n panels x and their blocks of one
  // panel `out`.
  void (*add_product)(const float *x, const float *strip, int64_t n, int64_t dim, float *out);

  // rows[i] and columns[p][j] are raised to the largest score.
  void (*raise)(const float *strip, int64_t n, float *rows, float *columns);
  // Exponentials in place, added to rows[i] and columns[p][j]: exp(s - shift). No score is more than 80 above its shift.
  void (*exp_sums)(float *strip, int64_t n, float shift, float *rows, float *columns);
  // The same where each row and each column has its shift; scores stay. column_shifts NULL: of rows only.
  void (*exp_sums_by)(const float *strip, int64_t n, const float *row_shifts,
                      const float *column_shifts, float *rows, float *columns);

  // Of one block what the rows and columns weigh, out[i][j], and once more turned[j][i]:
  //   (row_weights[i] + column_weights[j]) e, where the block holds exponentials e,
  //   row_weights[i] exp(s - row_shifts[i]) + column_weights[j] exp(s - column_shifts[j]), where it holds scores s;
  // column_shifts NULL: without the second term.
  void (*weigh)(const float *block, const float *row_weights, const float *column_weights,
                float *out, float *turned);
  void (*weigh_by)(const float *block, const float *row_shifts, const float *row_weights,
                   const float *column_shifts, const float *column_weights, float *out,
                   float *turned);
} mcli_blocks_kernels;

// The kernels of this context's instruction set; of a given one, where the processor has it (else NULL).
const mcli_blocks_kernels *mcli_blocks_kernels_of(const mcl_context *c);
const mcli_blocks_kernels *mcli_blocks_kernels_for(mcli_isa isa);

// 16 rows [16, dim] into a panel [dim, 16], and back.
void mcli_panel_pack(const float *rows, int64_t dim, float *panel);
void mcli_panel_unpack(const float *panel, int64_t dim, float *rows);

#endif
