// How well weights of stages put labelled rows beside rows of their own label: a smooth criterion, and leave-one-out kNN.
#ifndef MCL_INTEGRATOR_CRITERION_H
#define MCL_INTEGRATOR_CRITERION_H

#include <libmcl/integrator.h>

#include "base/context.h"

// Sum of squared weights where a search begins: a temperature of 0.1, at which a row's nearest tens decide, not all rows.
#define MCLI_SQUARES_AT_START 10.0

typedef struct mcli_criterion {
  mcl_context *context;
  int32_t kind; // MCL_WEIGHTS_NEIGHBOURS, MCL_WEIGHTS_CONTRASTIVE
  int32_t stages;
  int64_t rows;
  double penalty;
  const int32_t *labels; // [rows], the caller's
  const float *cosines;  // [stages, rows, rows], the caller's
  int64_t anchors;       // rows that share their label with another
  // Scratch: squared weights [stages], sums of the tasks [tasks, stages + 1], an anchor's scores [workers, rows].
  double *squares, *parts, *scores;
} mcli_criterion;

// Counts anchors and takes scratch memory; everything above `anchors` is set. mcli_criterion_free() afterwards, also when it
// fails.
mcl_status mcli_criterion_open(mcli_criterion *k, mcl_error *err);
void mcli_criterion_free(mcli_criterion *k);

// theta [stages]: logarithms of weights. *value: the criterion without penalties, lower is better; *cost: with them; gradient
// [stages]: of cost by theta. All but value may be NULL.
mcl_status mcli_criterion_evaluate(mcli_criterion *k, const double *theta, double *value,
                                   double *cost, double *gradient, mcl_error *err);

// Rows whose label is that of their k nearest others by cosine, ties as in mcl_probe_knn().
mcl_status mcli_leave_one_out(mcli_criterion *c, const double *theta, int32_t k, int64_t *correct,
                              mcl_error *err);

#endif
