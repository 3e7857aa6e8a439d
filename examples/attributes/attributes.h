// attributes: images with several attributes that are known, of which a contrastive network keeps some and suppresses others.
// Does it learn the rest in later stages?
#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include "experiment/experiment.h"

enum { DOMINOES, TRIFEATURE };
extern const char *const data_names[]; // NULL at the end

typedef struct options {
  experiment_options shared;
  int data;
  const char *images, *labels, *test_images, *test_labels;
  long distinct;
  double contrast;
} options;

// 0: go on; else exit with this code - 1 (--help and --version are no errors).
int options_parse(options *o, int argc, char **argv);

// Images and what is known of them.
typedef struct rows {
  uint8_t *images; // [n, height, width, channels]; the dataset reads them
  int64_t n;
  int32_t height, width, channels;
  int32_t *values[MAX_ATTRIBUTES]; // [n] each
  mcl_dataset *dataset;
} rows;

// Room for n images and for so many attributes of each.
int rows_allocate(rows *r, int64_t n, int32_t height, int32_t width, int32_t channels,
                  int attributes);
int rows_wrap(mcl_context *c, rows *r); // makes the dataset, once the images are there
void rows_free(rows *r);

// The rows to train on and those to judge by. Attributes `first` and `second`; ten values each.
int dominoes_make(mcl_context *c, const options *o, rows *train, rows *test);
// Attributes `shape`, `colour` and `texture`; ten values each.
int trifeature_make(mcl_context *c, const options *o, rows *train, rows *test);

#endif
