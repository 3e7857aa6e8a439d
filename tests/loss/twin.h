// The header's formulas spelt out in double, pair by pair, and the library called on the same
// problem.
#ifndef MCL_TESTS_LOSS_TWIN_H
#define MCL_TESTS_LOSS_TWIN_H

#include "support/suite.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/loss.h>

static mcl_error err;

typedef struct problem {
  int64_t n, m, dim, first;
  bool nt_xent;
  uint32_t flags;
  double tau;
  double *za, *zb;
  const int64_t *cells, *duplicates, *others;
  int64_t first_anchor, anchors; // with MCL_SOME_ANCHORS
} problem;

// dza, dzb: NULL, or [n, dim] and [m, dim] zeros.
typedef struct answer {
  double loss, slope;
  int64_t hits, anchors, alone;
  double *dza, *dzb;
} answer;

static inline void *zeros(int64_t n, size_t size) {
  void *p = calloc((size_t)n, size);
  if (!p) abort(); // no check of Check's: the fuzzer, which uses this twin, has no runner
  return p;
}

static inline double *twin_unit(const double *z, int64_t n, int64_t dim, bool as_given) {
  double *u = zeros(n * dim, sizeof *u);
  for (int64_t i = 0; i < n; i++) {
    double norm = 0;
    for (int64_t d = 0; d < dim; d++) norm += z[i * dim + d] * z[i * dim + d];
    norm = as_given || norm == 0 ? 1 : sqrt(norm);
    for (int64_t d = 0; d < dim; d++) u[i * dim + d] = z[i * dim + d] / norm;
  }
  return u;
}

static inline double twin_score(const problem *p, const double *u, const double *v) {
  double s = 0;
  for (int64_t d = 0; d < p->dim; d++) s += u[d] * v[d];
  return s / p->tau;
}

// The candidates of one direction: row j of v stands for row rows[j] of zb, as do anchors.
typedef struct direction {
  const double *u, *v;
  double *du, *dv;
  int64_t m;
  double weight;
} direction;

static inline bool is_negative(const problem *p, int64_t row, int64_t other) {
  if (p->cells && p->cells[row] != p->cells[other]) return false;
  const int64_t *kinds[2] = {p->duplicates, p->others};
  for (int k = 0; k < 2; k++)
    if (kinds[k] && kinds[k][row] >= 0 && kinds[k][row] == kinds[k][other]) return false;
  return true;
}

// (3) as log(1 + sum of exp(s_ij - s_i,p(i))), which keeps the smallest of losses.
static inline double log_odds(const double *s, const bool *in, int64_t m, int64_t positive) {
  double top = -INFINITY, total = 0;
  for (int64_t j = 0; j < m; j++)
    if (in[j] && j != positive) top = fmax(top, s[j] - s[positive]);
  for (int64_t j = 0; j < m; j++)
    if (in[j] && j != positive) total += exp(s[j] - s[positive] - top);
  if (total == 0) return 0;
  double odds = log(total) + top;
  return odds > 0 ? odds + log1p(exp(-odds)) : log1p(exp(odds));
}

// (1) to (4) for anchor i, and their derivatives. self: the candidate that is the anchor itself, or
// -1.
static inline void add_anchor(const problem *p, const direction *t, int64_t i, int64_t positive,
                              int64_t self, answer *a) {
  int64_t row = p->nt_xent ? i % p->n : p->first + i, dim = p->dim;
  double *s = zeros(t->m, sizeof *s), best = -INFINITY, total = 0, weighted = 0;
  bool *in = zeros(t->m, sizeof *in);
  for (int64_t j = 0; j < t->m; j++) {
    in[j] = j != self && j != positive && is_negative(p, row, p->nt_xent ? j % p->n : j);
    s[j] = twin_score(p, t->u + i * dim, t->v + j * dim);
    if (in[j]) best = fmax(best, s[j]);
  }
  a->anchors++;
  a->alone += best == -INFINITY;
  a->hits += best > -INFINITY && s[positive] > best;
  in[positive] = true;
  double top = fmax(best, s[positive]);
  for (int64_t j = 0; j < t->m; j++)
    if (in[j]) total += exp(s[j] - top), weighted += exp(s[j] - top) * s[j];
  a->loss += t->weight * log_odds(s, in, t->m, positive);
  a->slope += t->weight * (s[positive] - weighted / total);
  for (int64_t j = 0; t->du && j < t->m; j++) {
    double g = in[j] ? exp(s[j] - top) / total - (j == positive) : 0;
    for (int64_t d = 0; d < dim; d++) {
      t->du[i * dim + d] += t->weight * g / p->tau * t->v[j * dim + d];
      t->dv[j * dim + d] += t->weight * g / p->tau * t->u[i * dim + d];
    }
  }
  free(s), free(in);
}

// du, by normalised rows, to dz, by the rows as given: by the matrix (1 - u u') / |z|.
static inline void turn_back(const problem *p, const double *z, const double *u, const double *du,
                             int64_t n, double *dz) {
  int64_t dim = p->dim;
  for (int64_t i = 0; i < n; i++) {
    double norm = 0;
    for (int64_t d = 0; d < dim; d++) norm += z[i * dim + d] * z[i * dim + d];
    norm = sqrt(norm);
    for (int64_t d = 0; d < dim; d++)
      for (int64_t e = 0; e < dim; e++) {
        double both = (d == e) - u[i * dim + d] * u[i * dim + e];
        if (p->flags & MCL_ROWS_AS_GIVEN) both = d == e, norm = 1;
        if (norm > 0) dz[i * dim + d] += both / norm * du[i * dim + e];
      }
  }
}

static inline bool is_anchor(const problem *p, int64_t row) {
  if (!(p->flags & MCL_SOME_ANCHORS)) return true;
  return row >= p->first_anchor && row < p->first_anchor + p->anchors;
}

static inline void twin(const problem *p, answer *a) {
  bool given = p->flags & MCL_ROWS_AS_GIVEN, sum = p->flags & MCL_REDUCE_SUM;
  bool both = p->nt_xent || !(p->flags & MCL_ONE_WAY), wanted = a->dza != NULL;
  int64_t n = p->n, m = p->m, dim = p->dim;
  double *ua = twin_unit(p->za, n, dim, given), *ub = twin_unit(p->zb, m, dim, given);
  double *all = zeros((n + m) * dim, sizeof *all), *d = zeros((n + m) * dim, sizeof *d);
  memcpy(all, ua, (size_t)(n * dim) * sizeof *all);
  memcpy(all + n * dim, ub, (size_t)(m * dim) * sizeof *all);
  int64_t anchors = p->flags & MCL_SOME_ANCHORS ? p->anchors : n;
  double weight = sum ? 1 : 1 / (double)(both ? 2 * anchors : anchors);
  double *da = wanted ? d : NULL, *db = wanted ? d + n * dim : NULL;
  direction self = {all, all, da, da, 2 * n, weight}, there = {ua, ub, da, db, m, weight};
  direction back = {ub, ua, db, da, n, weight};
  for (int64_t i = 0; i < n; i++) {
    if (!is_anchor(p, i)) continue;
    if (p->nt_xent) add_anchor(p, &self, i, i + n, i, a), add_anchor(p, &self, i + n, i, i + n, a);
    if (!p->nt_xent) add_anchor(p, &there, i, p->first + i, -1, a);
    if (!p->nt_xent && both) add_anchor(p, &back, i, i, -1, a);
  }
  if (wanted) {
    turn_back(p, p->za, ua, d, n, a->dza);
    turn_back(p, p->zb, ub, d + n * dim, m, a->dzb);
  }
  free(ua), free(ub), free(all), free(d);
}

// The twin's own gradients, which everything is held to.
static inline void check_differences(problem *p) {
  int64_t of_b = p->m * p->dim, of_a = p->n * p->dim;
  answer a = {.dza = zeros(of_a, sizeof(double)), .dzb = zeros(of_b, sizeof(double))};
  twin(p, &a);
  for (int64_t i = 0; i < of_b + of_a; i++) {
    double *z = i < of_b ? &p->zb[i] : &p->za[i - of_b], was = *z, h = 1e-5;
    double got = i < of_b ? a.dzb[i] : a.dza[i - of_b];
    answer up = {0}, down = {0};
    *z = was + h;
    twin(p, &up);
    *z = was - h;
    twin(p, &down);
    *z = was;
    ck_assert_double_eq_tol((up.loss - down.loss) / (2 * h), got, 1e-7);
  }
  answer up = {0}, down = {0};
  double tau = p->tau, h = 1e-5;
  p->tau = tau * exp(h), twin(p, &up);
  p->tau = tau * exp(-h), twin(p, &down);
  p->tau = tau;
  ck_assert_double_eq_tol((up.loss - down.loss) / (2 * h), a.slope, 1e-7);
  free(a.dza), free(a.dzb);
}

// ---- the library on the same problem ------------------------------------------------------------

typedef struct solved {
  mcl_loss_result r;
  float *dza, *dzb;
} solved;

static inline float *to_float(const double *x, int64_t n) {
  float *f = zeros(n, sizeof *f);
  for (int64_t i = 0; i < n; i++) f[i] = (float)x[i];
  return f;
}

// dza, dzb: NULL, not wanted.
static inline mcl_status call(mcl_context *c, const problem *p, mcl_loss_result *r, float *dza,
                              float *dzb) {
  float *fa = to_float(p->za, p->n * p->dim), *fb = to_float(p->zb, p->m * p->dim);
  mcl_array za = mcl_matrix_f32(fa, p->n, p->dim), zb = mcl_matrix_f32(fb, p->m, p->dim);
  mcl_array da = mcl_matrix_f32(dza, p->n, p->dim), db = mcl_matrix_f32(dzb, p->m, p->dim);
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(r, sizeof *r);
  o.temperature = p->tau;
  o.flags = p->flags;
  in.za = &za, in.zb = &zb, in.cells = p->cells, in.duplicates = p->duplicates;
  in.other_duplicates = p->others;
  in.first_positive = p->first;
  in.first_anchor = p->first_anchor, in.anchors = p->anchors;
  in.dza = dza ? &da : NULL;
  in.dzb = dzb ? &db : NULL;
  mcl_status s =
      p->nt_xent ? mcl_loss_nt_xent(c, &o, &in, r, &err) : mcl_loss_info_nce(c, &o, &in, r, &err);
  free(fa), free(fb);
  return s;
}

static inline solved solve(mcl_context *c, const problem *p) {
  solved s;
  s.dza = zeros(p->n * p->dim, sizeof *s.dza);
  s.dzb = zeros(p->m * p->dim, sizeof *s.dzb);
  CHECK_OK(call(c, p, &s.r, s.dza, s.dzb));
  return s;
}

static inline void solved_free(solved *s) {
  free(s->dza), free(s->dzb);
}

// Rows that are floats, so that both sides see the same numbers.
static inline problem make_problem(int64_t n, int64_t m, int64_t dim, uint64_t seed) {
  problem p = {.n = n, .m = m, .dim = dim, .tau = 0.3};
  float *f = zeros((n + m) * dim, sizeof *f);
  test_fill_normal(f, (n + m) * dim, seed);
  p.za = zeros(n * dim, sizeof *p.za);
  p.zb = zeros(m * dim, sizeof *p.zb);
  for (int64_t i = 0; i < n * dim; i++) p.za[i] = (double)f[i];
  for (int64_t i = 0; i < m * dim; i++) p.zb[i] = (double)f[n * dim + i];
  free(f);
  return p;
}

static inline void problem_free(problem *p) {
  free(p->za), free(p->zb);
}

static inline void check_array(const float *got, const double *want, int64_t n, double tolerance,
                               const char *what) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(want[i]));
  for (int64_t i = 0; i < n; i++)
    ck_assert_msg(fabs((double)got[i] - want[i]) <= tolerance * most + 1e-9, "%s[%lld]: %g, not %g",
                  what, (long long)i, (double)got[i], want[i]);
}

// float32's scores are off by some 1e-7 / tau, and so are their exponentials.
static inline void check_problem(mcl_context *c, const problem *p) {
  answer a = {.dza = zeros(p->n * p->dim, sizeof(double)),
              .dzb = zeros(p->m * p->dim, sizeof(double))};
  twin(p, &a);
  solved s = solve(c, p);
  double relative = 2e-6 + 4e-7 / p->tau, scale = p->flags & MCL_REDUCE_SUM ? (double)p->n : 1;
  ck_assert_msg(fabs(s.r.loss - a.loss) <= relative * (fabs(a.loss) + scale * 1e-2),
                "loss %.9g, not %.9g", s.r.loss, a.loss);
  ck_assert_msg(fabs(s.r.d_log_temperature - a.slope) <=
                    relative * (fabs(a.slope) + scale / p->tau),
                "d_log_temperature %.9g, not %.9g", s.r.d_log_temperature, a.slope);
  ck_assert_int_eq(s.r.anchors, a.anchors);
  ck_assert_int_eq(s.r.anchors_without_negatives, a.alone);
  int64_t judged = a.anchors - a.alone;
  double accuracy = judged > 0 ? (double)a.hits / (double)judged : 0;
  ck_assert_msg(fabs(s.r.accuracy - accuracy) < 1e-12, "accuracy %g, not %g", s.r.accuracy,
                accuracy);
  check_array(s.dza, a.dza, p->n * p->dim, relative, "dza");
  check_array(s.dzb, a.dzb, p->m * p->dim, relative, "dzb");
  solved_free(&s);
  free(a.dza), free(a.dzb);
}

#endif
