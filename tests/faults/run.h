// A run so small that it is over in some milliseconds: two stages of a perceptron on 48 images, saved every few steps.
#ifndef MCL_TESTS_TINY_RUN_H
#define MCL_TESTS_TINY_RUN_H

#include "support/suite.h"

#include <libmcl/mcl.h>

enum {
  TINY_ROWS = 48,
  TINY_SIDE = 6,
  TINY_STAGES = 2,
  TINY_STAGE_DIM = 6,
  TINY_DIM = TINY_STAGES * TINY_STAGE_DIM
};

typedef struct tiny_options {
  int weights; // of which the encoders' seeds are made; no part of what is compared on resuming
  int later;   // added to `weights` for the stages after the first
  int epochs;  // 0: 2
  const char *directory;  // NULL: not saved
  int every;              // steps
  int exit_after;         // steps, after which the run is cancelled; 0: none
  const char *embeddings; // NULL: in memory
} tiny_options;

typedef struct tiny_run {
  tiny_options o;
  mcl_context *context;
  mcl_dataset *dataset;
  mcl_augmenter *augmenter;
  mcl_multistage *loop;
} tiny_run;

void tiny_run_open(tiny_run *r, tiny_options o);
mcl_status tiny_run_go(tiny_run *r, mcl_error *err);
void tiny_run_close(tiny_run *r);

// What a run comes to: all rows' embeddings by all stages, labels, cells of the next stage, and reports.
typedef struct tiny_result {
  float z[TINY_ROWS * TINY_DIM];
  int32_t labels[TINY_STAGES][TINY_ROWS];
  int64_t cells[TINY_ROWS];
  mcl_stage_report reports[TINY_STAGES];
} tiny_result;
void tiny_run_take(tiny_run *r, tiny_result *out);

#endif
