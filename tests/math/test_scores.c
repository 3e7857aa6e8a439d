// Scores against their plain twin, on every instruction set of this processor and at odd shapes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/scores.h"
#include "support/suite.h"

// Sums of d products in float32 are within d u of sum |x c|, whatever the order.
static void compare(const mcli_scores_kernels *k, int64_t n, int64_t dim, int64_t centroids) {
  int64_t panels = mcli_panels(centroids), wide = panels * MCLI_PANEL;
  float *x = malloc(sizeof(float) * (size_t)(n * dim)),
        *c = malloc(sizeof(float) * (size_t)(centroids * dim));
  float *packed = malloc(sizeof(float) * (size_t)(wide * dim)),
        *bias = malloc(sizeof(float) * (size_t)wide);
  float *out = malloc(sizeof(float) * (size_t)(n * wide + 1)),
        *alone = malloc(sizeof(float) * (size_t)wide);
  test_fill_normal(x, n * dim, 1);
  test_fill_normal(c, centroids * dim, 2);
  test_fill_normal(bias, wide, 3);
  out[n * wide] = 7;
  mcli_scores_pack(c, centroids, dim, packed);
  k->score(x, n, dim, packed, panels, bias, out);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < wide; j++) {
      double wanted = bias[j], bound = fabs(bias[j]);
      for (int64_t d = 0; d < dim && j < centroids; d++) {
        wanted -= (double)x[i * dim + d] * c[j * dim + d];
        bound += fabs((double)x[i * dim + d] * c[j * dim + d]);
      }
      ck_assert_double_eq_tol(out[i * wide + j], wanted, (double)(dim + 2) * 0x1p-24 * bound);
    }
    k->score(x + i * dim, 1, dim, packed, panels, bias, alone);
    ck_assert_mem_eq(alone, out + i * wide, sizeof(float) * (size_t)wide);
  }
  ck_assert(out[n * wide] == 7);
  free(x), free(c), free(packed), free(bias), free(out), free(alone);
}

START_TEST(scores_are_their_plain_twin_and_the_same_for_a_row_alone) {
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_scores_kernels *k = mcli_scores_kernels_for((mcli_isa)isa);
    if (!k) continue;
    for (int64_t n = 1; n <= 29; n += 1 + n / 5)
      for (int64_t dim = 1; dim <= 130; dim += 1 + dim)
        for (int64_t centroids = 1; centroids <= 67; centroids += 1 + centroids / 2)
          compare(k, n, dim, centroids);
  }
}
END_TEST

// The same bound as above.
static void compare_product(const mcli_scores_kernels *k, int64_t n, int64_t dim, int64_t panels) {
  int64_t wide = panels * MCLI_PANEL;
  float *x = malloc(sizeof(float) * (size_t)(n * dim + 1)),
        *y = malloc(sizeof(float) * (size_t)(n * wide + 1));
  float *out = malloc(sizeof(float) * (size_t)(dim * wide + 1));
  test_fill_normal(x, n * dim, 4);
  test_fill_normal(y, n * wide, 5);
  out[dim * wide] = 7;
  k->product(x, n, dim, y, panels, out);
  for (int64_t d = 0; d < dim; d++)
    for (int64_t j = 0; j < wide; j++) {
      double wanted = 0, bound = 0;
      for (int64_t i = 0; i < n; i++) {
        wanted += (double)x[i * dim + d] * y[i * wide + j];
        bound += fabs((double)x[i * dim + d] * y[i * wide + j]);
      }
      ck_assert_double_eq_tol(out[(j / MCLI_PANEL * dim + d) * MCLI_PANEL + j % MCLI_PANEL], wanted,
                              (double)(n + 2) * 0x1p-24 * bound);
    }
  ck_assert(out[dim * wide] == 7);
  free(x), free(y), free(out);
}

START_TEST(products_are_their_plain_twin) {
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_scores_kernels *k = mcli_scores_kernels_for((mcli_isa)isa);
    for (int64_t n = 1; k && n <= 40; n += 1 + n / 2)
      for (int64_t dim = 1; dim <= 53; dim += 1 + dim / 4)
        for (int64_t panels = 1; panels <= 3; panels++) compare_product(k, n, dim, panels);
  }
}
END_TEST

START_TEST(nearest_is_the_smallest_wherever_it_stands) {
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_scores_kernels *k = mcli_scores_kernels_for((mcli_isa)isa);
    for (int64_t n = 16; k && n <= 304; n += 48)
      for (int64_t at = 0; at < n; at++) {
        float scores[304], least, second, next = 9;
        test_fill(scores, n, (uint64_t)at, -1, 1);
        scores[at] = -3;
        ck_assert_int_eq(k->nearest(scores, n, 1.5f, &least, &second), at);
        for (int64_t i = 0; i < n; i++)
          if (i != at && scores[i] < next) next = scores[i];
        ck_assert(least == -3 && second == next);
      }
  }
}
END_TEST

START_TEST(nearest_does_not_choose_between_scores_within_slack) {
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_scores_kernels *k = mcli_scores_kernels_for((mcli_isa)isa);
    float scores[48], least, second;
    for (int64_t other = 0; k && other < 48; other++) {
      for (int j = 0; j < 48; j++) scores[j] = INFINITY;
      scores[17] = -3;
      if (other == 17) continue;
      scores[other] = -2.5f;
      ck_assert_int_eq(k->nearest(scores, 48, 0.5f, &least, &second), -1);
      ck_assert_int_eq(k->nearest(scores, 48, 0.25f, &least, &second), 17);
      ck_assert(least == -3 && second == -2.5f);
      scores[other] = -3;
      ck_assert_int_eq(k->nearest(scores, 48, 0, &least, &second), -1);
      ck_assert(least == -3 && second == -3);
    }
    // 257 equals: a count that wraps at a byte would see one.
    float many[272];
    for (int j = 0; j < 272; j++) many[j] = j < 257 ? 1 : 9;
    if (k) ck_assert_int_eq(k->nearest(many, 272, 0.5f, &least, &second), -1);
  }
}
END_TEST

// Against what score() says of the same rows: to the bit.
static void compare_contest(const mcli_scores_kernels *k, int64_t n, int64_t dim) {
  enum { MOST = 40 };
  float x[MOST * 130], c[MCLI_PANEL * 130], packed[MCLI_PANEL * 130], bias[MCLI_PANEL];
  float least[MOST + 1], second[MOST + 1], scores[MCLI_PANEL];
  int32_t at[MOST], lane[MOST + 1];
  test_fill_normal(x, MOST * dim, 6);
  test_fill_normal(c, MCLI_PANEL * dim, 7);
  test_fill_normal(bias, MCLI_PANEL, 8);
  bias[3] = INFINITY;
  memcpy(c + 9 * dim, c + 4 * dim, sizeof(float) * (size_t)dim); // a tie, where they win
  bias[9] = bias[4];
  mcli_scores_pack(c, MCLI_PANEL, dim, packed);
  for (int64_t i = 0; i < n; i++) at[i] = (int32_t)(i * 7 % MOST);
  least[n] = second[n] = 7, lane[n] = 7;
  k->contest(x, dim, at, n, packed, bias, least, second, lane);
  for (int64_t i = 0; i < n; i++) {
    int32_t first = 0;
    float next = INFINITY;
    k->score(x + at[i] * dim, 1, dim, packed, 1, bias, scores);
    for (int32_t j = 1; j < MCLI_PANEL; j++)
      if (scores[j] < scores[first]) first = j;
    for (int32_t j = 0; j < MCLI_PANEL; j++)
      if (j != first && scores[j] < next) next = scores[j];
    ck_assert(least[i] == scores[first] && second[i] == next);
    ck_assert_int_eq(lane[i], first);
  }
  ck_assert(least[n] == 7 && second[n] == 7 && lane[n] == 7);
}

START_TEST(a_contest_is_decided_by_the_scores) {
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_scores_kernels *k = mcli_scores_kernels_for((mcli_isa)isa);
    for (int64_t n = 0; k && n <= 30; n++)
      for (int64_t dim = 1; dim <= 130; dim += 1 + dim) compare_contest(k, n, dim);
  }
}
END_TEST

START_TEST(pairs_are_products_of_two_rows) {
  enum { ROWS = 11, MOST = 70 };
  float x[ROWS * MOST], y[ROWS * MOST], dots[ROWS + 1];
  int32_t at[ROWS], of[ROWS];
  test_fill_normal(x, ROWS * MOST, 9);
  test_fill_normal(y, ROWS * MOST, 10);
  for (int i = 0; i < ROWS; i++) at[i] = i * 3 % ROWS, of[i] = i * 5 % ROWS;
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_scores_kernels *k = mcli_scores_kernels_for((mcli_isa)isa);
    for (int64_t n = 0; k && n <= ROWS; n++)
      for (int64_t dim = 1; dim <= MOST; dim++) {
        dots[n] = 7;
        k->pairs(x, at, y, of, n, dim, dots);
        ck_assert(dots[n] == 7);
        for (int64_t i = 0; i < n; i++) {
          double wanted = 0, bound = 0;
          for (int64_t d = 0; d < dim; d++) {
            double term = (double)x[at[i] * dim + d] * y[of[i] * dim + d];
            wanted += term;
            bound += fabs(term);
          }
          ck_assert_double_eq_tol(dots[i], wanted, (double)(dim + 2) * 0x1p-24 * bound);
        }
      }
  }
}
END_TEST

RUN_TESTS("scores", scores_are_their_plain_twin_and_the_same_for_a_row_alone,
          products_are_their_plain_twin, nearest_is_the_smallest_wherever_it_stands,
          nearest_does_not_choose_between_scores_within_slack, a_contest_is_decided_by_the_scores,
          pairs_are_products_of_two_rows)
