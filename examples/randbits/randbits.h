// randbits: does a network that learns random bits learn the class in later stages?
#ifndef RANDBITS_H
#define RANDBITS_H

#include "experiment/experiment.h"

typedef struct options {
  experiment_options shared;
  const char *images, *labels, *test_images, *test_labels;
  long bits, size;
  int published;
} options;

// 0: go on; else exit with this code - 1 (--help and --version are no errors).
int options_parse(options *o, int argc, char **argv);

#endif
