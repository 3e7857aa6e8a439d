// Matrix products of libmcl's own: one source, compiled once for each instruction set.
//
// Columns of B go 16 at a time, and rows of both at most DEPTH: such a panel is laid out in order, on the stack, so that
// nothing is allocated. Numbers of A are broadcast from where they lie, transposed or not. A block of HIGH rows by the
// panel is held in registers:
//
//   sum_ij = sum over d in order of a_id b_dj, d in one depth                             (1)
//   c_ij   = alpha sum_ij + beta c_ij for the first depth, alpha sum_ij + c_ij for others (2)
//
// So an element depends on its row of A and its column of B alone: not on the block it lies in, nor on the tile. A panel
// that is not full is filled with zeros, and its columns that do not exist are never stored. Products are fused with
// additions where the processor can: bits differ from one instruction set to another.
//
// Rejected: panels of A as BLIS has them, which would take memory; rows of A of 512 that are read again and again stay in
// the second-level cache without.
#include <string.h>

#include "math/product.h"
#include "math/x86/vectors.h"

// Registers as in blocks.c: 16 x 1 accumulators of the 32 of AVX-512, 6 x 2 of the 16 of AVX2, 4 x 4 of the 32 of
// aarch64, 2 x 4 of the 16 of SSE. LOW is for the rows that are left.
#if defined(__AVX512F__)
enum { HIGH = 16, LOW = 4 };
#elif defined(__AVX__)
enum { HIGH = 6, LOW = 2 };
#elif defined(__aarch64__)
enum { HIGH = 4, LOW = 2 };
#else
enum { HIGH = 2, LOW = 1 };
#endif

// A panel of 256 x 16 floats is 16 KiB: half of a first-level cache, and little for any thread's stack. 480 rows of A of
// this depth are 480 KiB, which a second-level cache keeps for all panels; and 1/480 of the time is for laying one out.
enum { DEPTH = 256, ROWS = 480 };

// What (2) does to `wide` <= WIDTH columns of one row.
INLINE void put(vector sum, float alpha, float beta, float *out, int64_t wide) {
  float part[WIDTH] = {0};
  vector old = {0};
  if (beta != 0 && wide == WIDTH) old = load(out);
  if (beta != 0 && wide < WIDTH) {
    memcpy(part, out, (size_t)wide * sizeof *out);
    old = load(part);
  }
  vector all = fused(broadcast(alpha), sum, beta * old);
  if (wide == WIDTH) {
    store(out, all);
    return;
  }
  store(part, all);
  memcpy(out, part, (size_t)wide * sizeof *out);
}

// (1) and (2) for `rows` <= HIGH rows, a constant, and `wide` <= 16 columns.
INLINE void block(int rows, const mcli_product *x, const float *a, int64_t depth,
                  const float *panel, float beta, float *out, int64_t wide) {
  vector acc[HIGH][PARTS] = {{{0}}};
  for (int64_t d = 0; d < depth; d++, a += x->a_right) {
    vector b[PARTS];
    UNROLL for (int v = 0; v < PARTS; v++) b[v] = load(panel + d * LANES + v * WIDTH);
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < PARTS; v++) acc[r][v] =
        fused(broadcast(a[r * x->a_down]), b[v], acc[r][v]);
  }
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < PARTS; v++) {
    int64_t left = wide - v * WIDTH;
    if (left > 0)
      put(acc[r][v], x->alpha, beta, out + r * x->stride + v * WIDTH, left < WIDTH ? left : WIDTH);
  }
}

// [depth, 16] of B from b on; columns from `wide` on are zero.
static void lay_out(const mcli_product *x, const float *b, int64_t depth, int64_t wide,
                    float *panel) {
  if (wide < LANES) memset(panel, 0, (size_t)depth * LANES * sizeof *panel);
  if (x->b_right == 1) {
    for (int64_t d = 0; d < depth; d++)
      memcpy(panel + d * LANES, b + d * x->b_down, (size_t)wide * sizeof *panel);
    return;
  }
  for (int64_t j = 0; j < wide; j++)
    for (int64_t d = 0; d < depth; d++) panel[d * LANES + j] = b[d * x->b_down + j * x->b_right];
}

// Rows first .. last - 1 of one panel's columns.
static void strip(const mcli_product *x, int64_t first, int64_t last, const float *a, int64_t depth,
                  const float *panel, float beta, float *out, int64_t wide) {
  int64_t i = first;
  for (; i + HIGH <= last; i += HIGH)
    block(HIGH, x, a + i * x->a_down, depth, panel, beta, out + i * x->stride, wide);
  for (; i + LOW <= last; i += LOW)
    block(LOW, x, a + i * x->a_down, depth, panel, beta, out + i * x->stride, wide);
  for (; i < last; i++)
    block(1, x, a + i * x->a_down, depth, panel, beta, out + i * x->stride, wide);
}

#define PASTE(a, b) a##b
#define NAME(isa)   PASTE(mcli_product_, isa)

void NAME(MCLI_ISA_NAME)(const mcli_product *x) {
  float panel[DEPTH * LANES];
  for (int64_t from = 0; from < x->k; from += DEPTH) {
    int64_t depth = x->k - from < DEPTH ? x->k - from : DEPTH;
    const float *a = x->a + from * x->a_right, *b = x->b + from * x->b_down;
    float beta = from == 0 ? x->beta : 1;
    for (int64_t i = 0; i < x->m; i += ROWS) {
      int64_t last = x->m - i < ROWS ? x->m : i + ROWS;
      for (int64_t j = 0; j < x->n; j += LANES) {
        int64_t wide = x->n - j < LANES ? x->n - j : LANES;
        lay_out(x, b + j * x->b_right, depth, wide, panel);
        strip(x, i, last, a, depth, panel, beta, x->out + j, wide);
      }
    }
  }
}
