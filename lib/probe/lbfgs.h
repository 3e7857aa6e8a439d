// Minimises a smooth function of n numbers: L-BFGS with a line search that float32 noise does not lead astray.
#ifndef MCL_PROBE_LBFGS_H
#define MCL_PROBE_LBFGS_H

#include "base/context.h"

typedef struct mcli_lbfgs_problem {
  int64_t n;
  void *user;
  // *value and gradient [n] at x [n].
  mcl_status (*evaluate)(void *user, const double *x, double *value, double *gradient,
                         mcl_error *err);
  // After each iteration; may be NULL. A failure ends the search.
  mcl_status (*told)(void *user, int32_t iteration, double value, mcl_error *err);
  double tolerance; // of the largest |gradient_i|
  int32_t max_iterations;
} mcli_lbfgs_problem;

typedef struct mcli_lbfgs_outcome {
  double value, gradient; // at the end: the value, and the largest |gradient_i|
  int32_t iterations, evaluations, converged;
} mcli_lbfgs_outcome;

// x [n]: from where, and then the best point found. Not converging is no failure: see outcome.
mcl_status mcli_lbfgs(mcl_context *c, const mcli_lbfgs_problem *p, double *x,
                      mcli_lbfgs_outcome *outcome, mcl_error *err);

#endif
