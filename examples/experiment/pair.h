// Two towers that are trained in stages on images and their captions, or an ensemble of such pairs: what image_text and captions
// share. What a representation is worth, each program says.
#ifndef PAIR_H
#define PAIR_H

#include "common/pairs.h"
#include "experiment.h"

// What a representation is of, beside the stages 0, 1, ...: all of them, weighted by growth^s or equally.
enum { PAIR_INTEGRATED = -2, PAIR_PLAIN };

typedef struct pair_experiment {
  mcl_context *context;
  const experiment_options *o;
  int sides, ensemble;
  mcl_dataset *train, *test; // images with captions
  mcl_augmenter_options views;
  const mcl_loss_options *loss; // NULL: the defaults
  int32_t schedule;             // MCL_SCHEDULE_*
  int32_t trained_stages;       // of the loop: how many stages come trained from `make`
  int64_t chunk_rows;           // as in mcl_multistage_options
  double learning_rate;         // 0: the default
  void *user;
  // A pair with fresh weights.
  mcl_status (*make)(void *user, uint64_t seed, mcl_encoder **out, mcl_error *e);
  // NULL, or called when a loop has ended.
  void (*trained)(void *user);
  // Columns first .. first + dim - 1 of all test rows' representations, which are `total` wide: z[0] of images, z[1] of captions.
  int (*judge)(void *user, int of, float *const z[2], int32_t total, int32_t first, int32_t dim);
  // Stage `from` of a loop is stage `to` of what was found.
  int (*judge_clusters)(void *user, mcl_multistage *loop, int32_t from, int to);
} pair_experiment;

// Trains and judges o->stages stages, or as many members of an ensemble.
int pair_run(const pair_experiment *x);
// Judges a representation that is there already.
int pair_judge(const pair_experiment *x, mcl_integrator *g);

#endif
