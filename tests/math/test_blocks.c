// Block kernels against their plain twins, on every instruction set of this processor.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/blocks.h"
#include "math/rows.h"
#include "support/suite.h"

enum { LANES = 16, STRIP = 3, GUARD = 1 };

#define FOR_EVERY_ISA(k)                                                                           \
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++)                                     \
    for (const mcli_blocks_kernels *k = mcli_blocks_kernels_for((mcli_isa)isa); k; k = NULL)

static double error_in_ulp(float got, double want) {
  float near = (float)want;
  return fabs(got - want) / ((double)nextafterf(near, INFINITY) - near);
}

static float *normal(int64_t n, uint64_t seed) {
  float *x = malloc(sizeof(float) * (size_t)(n + GUARD));
  test_fill_normal(x, n, seed);
  x[n] = 7;
  return x;
}

START_TEST(panels_hold_rows_coordinate_by_coordinate) {
  float rows[5 * LANES], panel[5 * LANES], back[5 * LANES];
  test_fill_normal(rows, 5 * LANES, 1);
  mcli_panel_pack(rows, 5, panel);
  for (int i = 0; i < LANES; i++)
    for (int d = 0; d < 5; d++) ck_assert(panel[d * LANES + i] == rows[i * 5 + d]);
  mcli_panel_unpack(panel, 5, back);
  ck_assert_mem_eq(back, rows, sizeof rows);
}
END_TEST

// Sums of d products in float32 are within d u of sum |x y|, whatever the order.
START_TEST(scores_are_their_plain_twin_and_the_same_either_way) {
  FOR_EVERY_ISA(k)
  for (int64_t dim = 1; dim <= 130; dim += 1 + dim / 2) {
    float *x = normal(dim * LANES, 1), *y = normal(STRIP * dim * LANES, 2);
    float *strip = normal(STRIP * MCLI_BLOCK, 3), other[MCLI_BLOCK];
    k->score(x, y, STRIP, dim, 0.7f, strip);
    for (int64_t p = 0; p < STRIP; p++) {
      const float *panel = y + p * dim * LANES, *block = strip + p * MCLI_BLOCK;
      k->score(panel, x, 1, dim, 0.7f, other);
      for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++) {
          double wanted = 0, size = 0;
          for (int64_t d = 0; d < dim; d++) {
            double term = 0.7 * x[d * LANES + i] * panel[d * LANES + j];
            wanted += term;
            size += fabs(term);
          }
          ck_assert_double_eq_tol(block[i * LANES + j], wanted, (double)(dim + 3) * 0x1p-24 * size);
          ck_assert(other[j * LANES + i] == block[i * LANES + j]);
        }
    }
    ck_assert(strip[STRIP * MCLI_BLOCK] == 7);
    free(x), free(y), free(strip);
  }
}
END_TEST

START_TEST(products_are_added_and_are_their_plain_twin) {
  FOR_EVERY_ISA(k)
  for (int64_t dim = 1; dim <= 130; dim += dim < 36 ? 1 : 47)
    for (int64_t n = 1; n <= STRIP; n++) {
      float *x = normal(n * dim * LANES, 1), *strip = normal(n * MCLI_BLOCK, 2);
      float *out = normal(dim * LANES, 3), *was = normal(dim * LANES, 3);
      k->add_product(x, strip, n, dim, out);
      for (int64_t d = 0; d < dim; d++)
        for (int j = 0; j < LANES; j++) {
          double wanted = was[d * LANES + j], size = fabs(wanted);
          for (int64_t p = 0; p < n; p++)
            for (int i = 0; i < LANES; i++) {
              double term =
                  (double)x[(p * dim + d) * LANES + i] * strip[p * MCLI_BLOCK + i * LANES + j];
              wanted += term;
              size += fabs(term);
            }
          ck_assert_double_eq_tol(out[d * LANES + j], wanted,
                                  (double)(n * LANES + 2) * 0x1p-24 * size);
        }
      ck_assert(out[dim * LANES] == 7);
      free(x), free(strip), free(out), free(was);
    }
}
END_TEST

START_TEST(raise_finds_the_largest_of_rows_and_columns) {
  FOR_EVERY_ISA(k) {
    float *strip = normal(STRIP * MCLI_BLOCK, 1);
    float *rows = normal(LANES, 2), *columns = normal(STRIP * LANES, 3), most[LANES];
    memcpy(most, rows, sizeof most);
    for (int i = 0; i < MCLI_BLOCK; i += 7) strip[i] = -INFINITY;
    for (int64_t j = 0; j < STRIP * LANES; j++) {
      float wanted = columns[j], one[STRIP * LANES];
      memcpy(one, columns, sizeof one);
      for (int i = 0; i < LANES; i++) {
        float s = strip[j / LANES * MCLI_BLOCK + i * LANES + j % LANES];
        wanted = s > wanted ? s : wanted;
        most[i] = s > most[i] ? s : most[i];
      }
      float unused[LANES] = {0};
      k->raise(strip, STRIP, unused, one);
      ck_assert(one[j] == wanted);
    }
    k->raise(strip, STRIP, rows, columns);
    ck_assert_mem_eq(rows, most, sizeof most);
    ck_assert(rows[LANES] == 7 && columns[STRIP * LANES] == 7);
    free(strip), free(rows), free(columns);
  }
}
END_TEST

// Every 1042nd float from -87 to 80. (All of them were tried once: see x86/vectors.h.)
START_TEST(exp_is_within_two_ulp_of_exp_in_double) {
  FOR_EVERY_ISA(k) {
    double worst = 0;
    for (uint32_t at = 0x30000000; at < 0x42ae0001; at += 128 * 1042) {
      float x[MCLI_BLOCK], y[MCLI_BLOCK], rows[LANES] = {0}, columns[LANES] = {0};
      for (uint32_t j = 0; j < MCLI_BLOCK; j++) {
        uint32_t word = (at + (j & 127) * 1042) | (j & 128 ? 0x80000000u : 0);
        memcpy(&x[j], &word, sizeof word);
        if (!(x[j] >= -87 && x[j] <= 80)) x[j] = 0;
      }
      memcpy(y, x, sizeof x);
      k->exp_sums(y, 1, 0, rows, columns);
      for (int j = 0; j < MCLI_BLOCK; j++) worst = test_worse(worst, error_in_ulp(y[j], exp(x[j])));
    }
    ck_assert_msg(worst <= 2, "%s: %g ulp", mcli_rows_kernels_for((mcli_isa)isa)->name, worst);
  }
}
END_TEST

// exp(x) by the kernel, whose exponentials have a test of their own.
static float exp_of(const mcli_blocks_kernels *k, float x, float shift) {
  float block[MCLI_BLOCK], rows[LANES], columns[LANES];
  for (int i = 0; i < MCLI_BLOCK; i++) block[i] = x;
  memset(rows, 0, sizeof rows);
  memset(columns, 0, sizeof columns);
  k->exp_sums(block, 1, shift, rows, columns);
  return block[0];
}

START_TEST(exp_sums_adds_exponentials_to_rows_and_columns) {
  FOR_EVERY_ISA(k) {
    float *strip = normal(STRIP * MCLI_BLOCK, 1), *e = normal(STRIP * MCLI_BLOCK, 1);
    float rows[LANES], columns[STRIP * LANES];
    double of_rows[LANES] = {0}, of_columns[STRIP * LANES] = {0};
    strip[5] = e[5] = -INFINITY;
    strip[6] = e[6] = -86.6f; // exp(-87.1) is 0
    for (int j = 0; j < STRIP * LANES; j++) columns[j] = 1;
    for (int i = 0; i < LANES; i++) rows[i] = 2;
    k->exp_sums(e, STRIP, 0.5f, rows, columns);
    ck_assert(e[5] == 0 && e[6] == 0 && e[STRIP * MCLI_BLOCK] == 7);
    for (int at = 0; at < STRIP * MCLI_BLOCK; at++) {
      if (at != 5 && at != 6) ck_assert(error_in_ulp(e[at], exp(strip[at] - 0.5f)) <= 2);
      of_rows[at % MCLI_BLOCK / LANES] += e[at];
      of_columns[at / MCLI_BLOCK * LANES + at % LANES] += e[at];
    }
    for (int i = 0; i < LANES; i++) ck_assert_double_eq_tol(rows[i], 2 + of_rows[i], 1e-4);
    for (int j = 0; j < STRIP * LANES; j++)
      ck_assert_double_eq_tol(columns[j], 1 + of_columns[j], 1e-4);
    free(strip), free(e);
  }
}
END_TEST

START_TEST(exp_sums_by_takes_a_shift_for_each_row_and_column) {
  FOR_EVERY_ISA(k) {
    float *strip = normal(STRIP * MCLI_BLOCK, 1), *was = normal(STRIP * MCLI_BLOCK, 1);
    float row_shifts[LANES], column_shifts[STRIP * LANES], rows[LANES] = {0};
    float columns[STRIP * LANES] = {0}, alone[LANES] = {0};
    double of_rows[LANES] = {0}, of_columns[STRIP * LANES] = {0};
    test_fill(row_shifts, LANES, 2, -1, 1);
    test_fill(column_shifts, STRIP * LANES, 3, -1, 1);
    for (int at = 0; at < STRIP * MCLI_BLOCK; at++) {
      int i = at % MCLI_BLOCK / LANES, j = at / MCLI_BLOCK * LANES + at % LANES;
      of_rows[i] += exp_of(k, strip[at], row_shifts[i]);
      of_columns[j] += exp_of(k, strip[at], column_shifts[j]);
    }
    k->exp_sums_by(strip, STRIP, row_shifts, column_shifts, rows, columns);
    k->exp_sums_by(strip, STRIP, row_shifts, NULL, alone, NULL);
    for (int i = 0; i < LANES; i++) ck_assert_double_eq_tol(rows[i], of_rows[i], 1e-4);
    for (int j = 0; j < STRIP * LANES; j++)
      ck_assert_double_eq_tol(columns[j], of_columns[j], 1e-4);
    ck_assert_mem_eq(alone, rows, sizeof rows);
    ck_assert_mem_eq(strip, was, sizeof(float) * STRIP * MCLI_BLOCK);
    free(strip), free(was);
  }
}
END_TEST

static void check_weighed(const float *out, const float *turned, int i, int j, double wanted) {
  ck_assert(fabs(out[i * LANES + j] - wanted) <= 1e-6 * wanted);
  ck_assert(turned[j * LANES + i] == out[i * LANES + j]);
}

START_TEST(weigh_gives_weighed_exponentials_and_turns_them_round) {
  FOR_EVERY_ISA(k) {
    float block[MCLI_BLOCK], out[MCLI_BLOCK], turned[MCLI_BLOCK];
    float rows[LANES], columns[LANES], row_shifts[LANES], column_shifts[LANES];
    test_fill(block, MCLI_BLOCK, 1, 0, 1);
    test_fill(rows, LANES, 2, 0, 1);
    test_fill(columns, LANES, 3, 0, 1);
    test_fill(row_shifts, LANES, 4, 0, 1);
    test_fill(column_shifts, LANES, 5, 0, 1);
    k->weigh(block, rows, columns, out, turned);
    for (int i = 0; i < LANES; i++)
      for (int j = 0; j < LANES; j++)
        check_weighed(out, turned, i, j, ((double)rows[i] + columns[j]) * block[i * LANES + j]);
    block[17] = -INFINITY;
    k->weigh_by(block, row_shifts, rows, column_shifts, columns, out, turned);
    ck_assert(out[17] == 0 && turned[LANES + 1] == 0);
    for (int both = 1; both >= 0; both--) {
      k->weigh_by(block, row_shifts, rows, both ? column_shifts : NULL, columns, out, turned);
      for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++) {
          float s = block[i * LANES + j];
          double own = (double)rows[i] * exp_of(k, s, row_shifts[i]);
          double other = (double)columns[j] * exp_of(k, s, column_shifts[j]);
          check_weighed(out, turned, i, j, both ? own + other : own);
        }
    }
  }
}
END_TEST

RUN_TESTS("blocks", panels_hold_rows_coordinate_by_coordinate,
          scores_are_their_plain_twin_and_the_same_either_way,
          products_are_added_and_are_their_plain_twin, raise_finds_the_largest_of_rows_and_columns,
          exp_is_within_two_ulp_of_exp_in_double, exp_sums_adds_exponentials_to_rows_and_columns,
          exp_sums_by_takes_a_shift_for_each_row_and_column,
          weigh_gives_weighed_exponentials_and_turns_them_round)
