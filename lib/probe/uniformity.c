// Alignment and uniformity (Wang & Isola 2020, section 4.1), alpha = 2, t = 2, on rows of length 1:
//
//   alignment  = 1/n sum_i |a_i - b_i|^2                                          (1)
//   uniformity = log( 2/(n (n - 1)) sum_{i<j} exp(-2 |a_i - a_j|^2) )              (2)
//   -2 |a_i - a_j|^2 = 4 <a_i, a_j> - 4                                           (3)
//
// Every pair is looked at: a block of rows (a task) meets itself and all later rows, tile by tile; gemm writes 4 <a_i, a_j>
// and the row kernel sums the exponentials. Rows of a block and of a tile are cut alike, so the diagonal lies in the
// first tile of a block alone.
#include <math.h>

#include "math/gemm.h"
#include "math/rows.h"
#include "probe/probe.h"

// A tile of 256 x 256 scores is 256 KiB and stays in a core's second cache between gemm and exp.
enum { SIDE = 256 };

typedef struct sphere {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const float *a; // [n, dim], unit rows
  int64_t n, dim;
  float *scores; // [workers, SIDE, SIDE]
  double *sums;  // [blocks]
} sphere;

static void uniformity_task(void *job, uint32_t task, uint32_t worker) {
  sphere *j = job;
  int64_t first = (int64_t)task * SIDE, rows = j->n - first < SIDE ? j->n - first : SIDE;
  float *scores = j->scores + (int64_t)worker * SIDE * SIDE;
  double sum = 0;
  for (int64_t column = first; column < j->n; column += SIDE) {
    int64_t m = j->n - column < SIDE ? j->n - column : SIDE;
    mcli_gemm(j->context, MCLI_GEMM_TB, rows, m, j->dim, 4, j->a + first * j->dim, j->dim,
              j->a + column * j->dim, j->dim, 0, scores, SIDE);
    for (int64_t i = 0; i < rows; i++) {
      int64_t skip = column == first ? i + 1 : 0; // i < j only
      if (skip < m)
        sum += (double)j->kernels->exp_sum(scores + i * SIDE + skip, 4, m - skip); // (3)
    }
  }
  j->sums[task] = sum;
}

// (2).
static mcl_status uniformity_of(mcl_context *c, const float *a, int64_t n, int64_t dim, double *out,
                                mcl_error *err) {
  uint32_t blocks = mcli_blocks(n, SIDE);
  sphere j = {.context = c,
              .kernels = mcli_rows_kernels_of(c),
              .a = a,
              .n = n,
              .dim = dim,
              .scores = mcli_probe_scratch(c, (int64_t)SIDE * SIDE),
              .sums = MCLI_NEW(c, double, blocks)};
  mcl_status s = j.scores && j.sums ? mcli_parallel(c, blocks, uniformity_task, &j, err)
                                    : mcli_nomem(err, "uniformity");
  if (s == MCL_OK) {
    double sum = 0;
    for (uint32_t b = 0; b < blocks; b++) sum += j.sums[b];
    *out = log(sum / ((double)n * (double)(n - 1) / 2));
  }
  mcli_free(c, j.scores);
  mcli_free(c, j.sums);
  return s;
}

// (1).
static double alignment_of(const float *a, const float *b, int64_t n, int64_t dim) {
  double sum = 0;
  for (int64_t i = 0; i < n * dim; i++) {
    double d = (double)a[i] - (double)b[i];
    sum += d * d;
  }
  return sum / (double)n;
}

static mcl_status check(const mcl_context *c, const mcl_array *za, const mcl_array *zb,
                        const double *alignment, const double *uniformity, mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = mcli_probe_matrix_check(za, "za", -1, -1, err);
  if (s == MCL_OK && zb) s = mcli_probe_matrix_check(zb, "zb", za->shape[0], za->shape[1], err);
  if (s < 0) return s;
  if (alignment && !zb) return mcli_fail(err, MCL_E_INVALID, "zb is NULL but alignment is not");
  if (uniformity && za->shape[0] < 2)
    return mcli_fail(err, MCL_E_SHAPE, "za has 1 row, uniformity needs at least 2");
  return MCL_OK;
}

mcl_status mcl_probe_alignment_uniformity(mcl_context *context, const mcl_array *za,
                                          const mcl_array *zb, double *alignment,
                                          double *uniformity, mcl_error *err) {
  mcl_status s = check(context, za, zb, alignment, uniformity, err);
  if (s < 0) return s;
  float *a = NULL, *b = NULL;
  double of_a = 0, of_b = 0;
  int64_t n = za->shape[0], dim = za->shape[1];
  s = mcli_probe_copy(context, za, "za", PROBE_UNIT, &a, err);
  if (s == MCL_OK && zb) s = mcli_probe_copy(context, zb, "zb", PROBE_UNIT, &b, err);
  if (s == MCL_OK && uniformity) s = uniformity_of(context, a, n, dim, &of_a, err);
  if (s == MCL_OK && uniformity && b) s = uniformity_of(context, b, n, dim, &of_b, err);
  if (s == MCL_OK && alignment) *alignment = alignment_of(a, b, n, dim);
  if (s == MCL_OK && uniformity) *uniformity = b ? (of_a + of_b) / 2 : of_a;
  mcli_free(context, a);
  mcli_free(context, b);
  return s == MCL_OK ? mcl_ok(err) : s;
}
