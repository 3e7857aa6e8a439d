// image_text: an image tower and a text tower, trained to match images with their captions. What
// is easy of that is learnt, the rest is suppressed. Is it learnt in later stages?
//
//   options.c   the command line
//   classes.c   images of ten classes with random bits
//   figures.c   drawn shapes of several attributes, with random bits
//   captions.c  a word for each thing that is known of an image, as token ids beside the images
//   train.c     two towers, the stages, ensemble and shuffled cells
//   judge.c     pairs of images that are told apart by their captions, and what the clusters follow
//   report.c    JSON and the table
//
// Of examples/experiment it shares options, words of the report, and how a control is named. The
// rest of that is built around one modality: two views of an image, a convolutional network, and
// probes of labels. Here there are views of neither tower, and the probe is the matching itself.
#ifndef IMAGE_TEXT_H
#define IMAGE_TEXT_H

#include "experiment/experiment.h"

enum { CLASSES, FIGURES };
extern const char *const data_names[];        // NULL at the end
enum { SIDES_IMAGE, SIDES_TEXT, SIDES_BOTH }; // whose embeddings are clustered
extern const char *const sides_names[];

typedef struct options {
  experiment_options shared; // test_rows: pairs to judge by, of each attribute in turn
  const char *images, *labels;
  int data, sides;
  long bits;
} options;

// 0: go on; else exit with this code - 1 (--help and --version are no errors).
int options_parse(options *o, int argc, char **argv);

// Something that an image has and its caption says.
typedef struct known {
  const char *name;
  const char *const *words; // one a value; NULL: a code, and there is a word for each of its bits
  int32_t values;
} known;

// Images, and what is known of each.
typedef struct rows {
  mcl_dataset *images, *joined; // joined: with their captions
  int64_t n;
  int32_t *values[MAX_ATTRIBUTES]; // [n] each
  uint8_t *pixels;                 // what `images` reads, where they are drawn
  int32_t *tokens;                 // what `joined` reads
} rows;

typedef struct world {
  known known[MAX_ATTRIBUTES];
  int32_t n_known, bits;
  rows train, test;  // rows 2i and 2i + 1 of `test` are a pair that differs in one thing
  int32_t *category; // [test.n / 2]: which
  int32_t vocabulary, words;
} world;

// Both fill `known`, bits, images, values and categories.
int classes_make(mcl_context *c, const options *o, world *w);
int figures_make(mcl_context *c, const options *o, world *w);
void world_know(world *w, const char *name, const char *const *words, int32_t values);
int rows_allocate(rows *r, int64_t n, int32_t n_known);
// Captions of all rows, in words that are one token each.
int captions_make(mcl_context *c, world *w);
void world_free(world *w);

// A training in stages, or one network of an ensemble.
typedef struct training {
  mcl_context *context;
  const options *o;
  const world *w;
  uint64_t seed;
  // NULL, or: the loop is told the embeddings of row order[i] where it asks for those of row i.
  int64_t *order;
  mcl_multistage *loop;
  mcl_encoder *last; // of the last stage that has begun
} training;
int train(training *t, int stages);
int draw_order(training *t); // of the shuffled control
void training_end(training *t);

// Shares of pairs told apart: of[0] of all, of[1 + a] of those that differ in thing a.
typedef struct told {
  mcl_probe_result of[1 + MAX_ATTRIBUTES];
} told;

typedef struct outcome {
  int stages;
  told stage[MAX_STAGES], integrated, plain; // stages weighted by growth^s; with equal weights
  double nmi[MAX_STAGES][2][MAX_ATTRIBUTES]; // of the clusters of a modality; NaN: there are none
  mcl_stage_report report[MAX_STAGES];
  double seconds;
} outcome;
int judge_stages(const training *t, mcl_integrator *g, outcome *f);
int judge_clusters(const training *t, int32_t from, int to, outcome *f);

void outcome_print(const options *o, const world *w, const outcome *f);
int outcome_write(const options *o, const world *w, const outcome *f);

#endif
