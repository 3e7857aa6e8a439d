// L-BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5): the direction
//
//   p = -H g,  H built from the last MEMORY pairs  s = x' - x,  y = g' - g  with s.y > 0    (1)
//   H_0 = (s.y / y.y) I of the newest pair                                                 (2)
//
// and a step t along it by doubling and halving (Lewis & Overton 2013, algorithm 2.6) to the weak Wolfe conditions
//
//   f(x + t p) <= f(x) + C1 t g.p                     enough descent                       (3)
//   g(x + t p).p >= C2 g.p                            the slope has flattened              (4)
//
// (4) makes s.y > 0. The functions here are sums of float32 products: near the minimum the true descent drowns in
// rounding and (3) fails for every t. There, where f has not risen by more than NOISE |f|, descent is judged by the slopes
// alone (Hager & Zhang 2005, eq. 4.2, the "approximate Wolfe" condition):
//
//   g(x + t p).p <= (2 C1 - 1) g.p                                                         (5)
//
// Newton's method was rejected: its matrix has (classes x dim)^2 entries. So was a strong Wolfe search: L-BFGS takes t = 1
// nearly always, and what is left does not pay for zooming.
#include "probe/lbfgs.h"

#include <math.h>
#include <string.h>

// Pairs kept. More than 20 hardly lowers the count of iterations on probes, fewer than 10 raises it by a third.
enum { MEMORY = 20 };
// Steps tried along one direction: 2^-30 of a step moves no float32 weight.
enum { TRIES = 30 };
static const double C1 = 1e-4, C2 = 0.9; // Nocedal & Wright's choice for quasi-Newton methods
static const double NOISE = 1e-6;        // some ten float32 roundings

typedef struct search {
  const mcli_lbfgs_problem *problem;
  int64_t n;
  double *x, *g, *next_x, *next_g, *p; // [n] each
  double *s, *y;                       // [MEMORY, n], rings
  double rho[MEMORY];                  // 1 / s.y
  int32_t pairs, newest;               // pairs kept; where the newest is
  double value;
  mcli_lbfgs_outcome *outcome;
} search;

static double dot(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void add(double scale, const double *x, double *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] += scale * x[i];
}

static double largest(const double *g, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(g[i]) <= most)) most = fabs(g[i]);
  return most;
}

// (1), (2): the two loops over the pairs, newest to oldest and back.
static void direction(search *q) {
  double alpha[MEMORY] = {0};
  for (int64_t i = 0; i < q->n; i++) q->p[i] = -q->g[i];
  for (int32_t k = 0; k < q->pairs; k++) {
    int32_t at = (q->newest - k + MEMORY) % MEMORY;
    alpha[at] = q->rho[at] * dot(q->s + at * q->n, q->p, q->n);
    add(-alpha[at], q->y + at * q->n, q->p, q->n);
  }
  if (q->pairs) {
    const double *y = q->y + q->newest * q->n;
    double scale = 1 / (q->rho[q->newest] * dot(y, y, q->n));
    for (int64_t i = 0; i < q->n; i++) q->p[i] *= scale;
  }
  for (int32_t k = q->pairs - 1; k >= 0; k--) {
    int32_t at = (q->newest - k + MEMORY) % MEMORY;
    double beta = q->rho[at] * dot(q->y + at * q->n, q->p, q->n);
    add(alpha[at] - beta, q->s + at * q->n, q->p, q->n);
  }
}

// (3)..(5). *found is 0 when no step of TRIES will do; else next_x, next_g and *value are of the step.
static mcl_status step(search *q, double slope, double first, double *value, int *found,
                       mcl_error *err) {
  double low = 0, high = (double)INFINITY, t = first;
  *found = 0;
  for (int i = 0; i < TRIES; i++) {
    for (int64_t k = 0; k < q->n; k++) q->next_x[k] = q->x[k] + t * q->p[k];
    mcl_status s = q->problem->evaluate(q->problem->user, q->next_x, value, q->next_g, err);
    if (s < 0) return s;
    q->outcome->evaluations++;
    double now = dot(q->next_g, q->p, q->n);
    int descends = *value <= q->value + C1 * t * slope ||
                   (*value <= q->value + NOISE * fabs(q->value) && now <= (2 * C1 - 1) * slope);
    if (!descends || !isfinite(now)) {
      high = t;
    } else if (now < C2 * slope) {
      low = t;
    } else {
      *found = 1;
      return MCL_OK;
    }
    t = isinf(high) ? 2 * t : (low + high) / 2;
  }
  return MCL_OK;
}

// Makes the step the current point and keeps its pair.
static void accept(search *q, double value) {
  int32_t at = q->pairs ? (q->newest + 1) % MEMORY : 0;
  double *s = q->s + at * q->n, *y = q->y + at * q->n;
  for (int64_t i = 0; i < q->n; i++) {
    s[i] = q->next_x[i] - q->x[i];
    y[i] = q->next_g[i] - q->g[i];
  }
  double sy = dot(s, y, q->n);
  memcpy(q->x, q->next_x, (size_t)q->n * sizeof *q->x);
  memcpy(q->g, q->next_g, (size_t)q->n * sizeof *q->g);
  q->value = value;
  if (!(sy > 0) || !isfinite(1 / sy)) return; // rounding has eaten it: the older pairs still serve
  q->rho[at] = 1 / sy;
  q->newest = at;
  if (q->pairs < MEMORY) q->pairs++;
}

// One iteration. *stuck: there is no way down from here, not even along the gradient.
static mcl_status iterate(search *q, int *stuck, mcl_error *err) {
  for (;;) {
    direction(q);
    double slope = dot(q->g, q->p, q->n), value = 0;
    int found = 0;
    if (slope < 0) {
      // Without a pair the scale of p is arbitrary: begin with a step of length 1 at most.
      double length = sqrt(dot(q->p, q->p, q->n));
      double first = q->pairs || length < 1 ? 1 : 1 / length;
      mcl_status s = step(q, slope, first, &value, &found, err);
      if (s < 0) return s;
    }
    if (found) {
      accept(q, value);
      return MCL_OK;
    }
    *stuck = q->pairs == 0;
    if (*stuck) return MCL_OK;
    q->pairs = 0;
  }
}

static mcl_status run(search *q, mcl_error *err) {
  const mcli_lbfgs_problem *p = q->problem;
  mcli_lbfgs_outcome *o = q->outcome;
  mcl_status s = p->evaluate(p->user, q->x, &q->value, q->g, err);
  o->evaluations = 1;
  int stuck = 0;
  while (s == MCL_OK) {
    o->value = q->value;
    o->gradient = largest(q->g, q->n);
    o->converged = o->gradient <= p->tolerance;
    if (o->converged || stuck || o->iterations >= p->max_iterations) break;
    s = iterate(q, &stuck, err);
    if (s == MCL_OK && !stuck) {
      o->iterations++;
      if (p->told) s = p->told(p->user, o->iterations, q->value, err);
    }
  }
  return s;
}

mcl_status mcli_lbfgs(mcl_context *c, const mcli_lbfgs_problem *p, double *x,
                      mcli_lbfgs_outcome *outcome, mcl_error *err) {
  memset(outcome, 0, sizeof *outcome);
  int64_t size;
  if (!mcli_mul(p->n, 2 * MEMORY + 4, &size))
    return mcli_fail(err, MCL_E_LIMIT, "the problem has too many weights");
  double *all = MCLI_NEW(c, double, size);
  if (!all) return mcli_nomem(err, "L-BFGS");
  int64_t n = p->n;
  search q = {.problem = p,
              .n = n,
              .x = x,
              .outcome = outcome,
              .g = all,
              .next_x = all + n,
              .next_g = all + 2 * n,
              .p = all + 3 * n,
              .s = all + 4 * n,
              .y = all + (4 + MEMORY) * n};
  mcl_status s = run(&q, err);
  mcli_free(c, all);
  return s;
}
