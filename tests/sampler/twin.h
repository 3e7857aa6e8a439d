// The sampler's plain twin: cells by comparing label tuples, back-off by the words of the
// documentation. Slow.
#ifndef MCL_TESTS_SAMPLER_TWIN_H
#define MCL_TESTS_SAMPLER_TWIN_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/sampler.h>

#include "base/rng.h"
#include "support/suite.h"

enum { TWIN_ROWS = 400, TWIN_VECTORS = 12 };

typedef struct twin {
  int64_t rows;
  int32_t vectors, stages, stage[TWIN_VECTORS];
  int32_t labels[TWIN_VECTORS][TWIN_ROWS];
  int64_t cell[TWIN_ROWS]; // the answer: training cell of each row, or -1
  int64_t true_cell[TWIN_ROWS];
} twin;

static inline int twin_excluded(const twin *t, int64_t row) {
  for (int32_t v = 0; v < t->vectors; v++)
    if (t->labels[v][row] < 0) return 1;
  return 0;
}

// Compares the labels of two rows in all vectors of stages below `stages`.
static inline int twin_compare(const twin *t, int64_t a, int64_t b, int32_t stages) {
  for (int32_t v = 0; v < t->vectors && t->stage[v] < stages; v++)
    if (t->labels[v][a] != t->labels[v][b]) return t->labels[v][a] < t->labels[v][b] ? -1 : 1;
  return 0;
}

// id -> 0, 1, ... in rising order of id.
static inline void twin_dense(int64_t rows, int64_t *id) {
  int64_t old[TWIN_ROWS];
  memcpy(old, id, (size_t)rows * sizeof *id);
  for (int64_t i = 0; i < rows; i++) {
    if (old[i] < 0) continue;
    char seen[TWIN_ROWS] = {0};
    id[i] = 0;
    for (int64_t j = 0; j < rows; j++)
      if (old[j] >= 0 && old[j] < old[i] && !seen[old[j]]) seen[old[j]] = 1, id[i]++;
  }
}

static inline int64_t twin_size(const twin *t, const int64_t *id, int64_t cell) {
  int64_t n = 0;
  for (int64_t i = 0; i < t->rows; i++) n += id[i] == cell;
  return n;
}

static inline void twin_true_cells(twin *t) {
  for (int64_t i = 0; i < t->rows; i++) {
    t->true_cell[i] = -1;
    if (twin_excluded(t, i)) continue;
    t->true_cell[i] = 0; // rows with a lower tuple
    for (int64_t j = 0; j < t->rows; j++)
      t->true_cell[i] += !twin_excluded(t, j) && twin_compare(t, j, i, t->stages) < 0;
  }
  twin_dense(t->rows, t->true_cell);
}

// Below the parent of `row` at `stage`: the smallest cell but `other` (ties: the lowest number);
// -1: none.
static inline int64_t twin_smallest(const twin *t, int64_t row, int32_t stage, int64_t other) {
  int64_t best = -1;
  for (int64_t i = 0; i < t->rows; i++) {
    int64_t c = t->cell[i];
    if (c < 0 || c == other || twin_compare(t, i, row, stage)) continue;
    int64_t n = twin_size(t, t->cell, c), m = best < 0 ? 0 : twin_size(t, t->cell, best);
    if (best < 0 || n < m || (n == m && c < best)) best = c;
  }
  return best;
}

static inline void twin_back_off(twin *t, int64_t min) {
  memcpy(t->cell, t->true_cell, sizeof t->cell);
  for (int32_t stage = t->stages - 1; stage >= 0; stage--)
    for (int64_t row = 0; row < t->rows;) { // each row stands for its parent at this stage
      int64_t a = t->cell[row] < 0 ? -1 : twin_smallest(t, row, stage, -1);
      int64_t b = a < 0 ? -1 : twin_smallest(t, row, stage, a);
      if (b < 0 || twin_size(t, t->cell, a) >= min) {
        row++;
        continue;
      }
      for (int64_t i = 0; i < t->rows; i++)
        if (t->cell[i] == a || t->cell[i] == b) t->cell[i] = a < b ? a : b;
    }
  twin_dense(t->rows, t->cell);
}

static inline void twin_keep(twin *t) {
  twin_true_cells(t);
  memcpy(t->cell, t->true_cell, sizeof t->cell);
}

// Random labels: `vectors` of them over stages 0, 1, ..., of up to k values each, some rows
// excluded.
static inline void twin_random(twin *t, mcli_rng *r, int64_t rows, int32_t vectors, int32_t k,
                               double excluded) {
  t->rows = rows, t->vectors = vectors, t->stages = 0;
  for (int32_t v = 0; v < vectors; v++) {
    int joins = v > 0 && mcli_rng_unit(r) < .3;
    t->stage[v] = joins ? t->stages - 1 : t->stages++;
    for (int64_t i = 0; i < rows; i++) {
      t->labels[v][i] = (int32_t)(mcli_rng_unit(r) * mcli_rng_unit(r) * k); // uneven
      if (mcli_rng_unit(r) < excluded) t->labels[v][i] = -1;
    }
  }
}

static inline void twin_add(const twin *t, mcl_sampler *s) {
  mcl_error err;
  for (int32_t v = 0; v < t->vectors; v++)
    CHECK_OK(mcl_sampler_add_labels(s, t->stage[v], t->labels[v], t->rows, &err));
}

static inline void check_cells(const twin *t, const mcl_sampler *s) {
  mcl_error err;
  int64_t cells[TWIN_ROWS];
  CHECK_OK(mcl_sampler_cells(s, cells, t->rows, &err));
  for (int64_t i = 0; i < t->rows; i++) ck_assert_int_eq(cells[i], t->cell[i]);
}

static inline mcl_sampler_report report_of(const mcl_sampler *s) {
  mcl_error err;
  mcl_sampler_report r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_sampler_get_report(s, &r, &err));
  return r;
}

static inline mcl_sampler_options options_of(int64_t batch_rows, int32_t small_cells) {
  mcl_sampler_options o;
  mcl_sampler_options_init(&o, sizeof o);
  o.batch_rows = batch_rows;
  o.small_cells = small_cells;
  return o;
}

#endif
