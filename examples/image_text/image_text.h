// image_text: an image tower and a text tower, trained to match images with their captions. What
// is easy of that is learnt, the rest is suppressed. Is it learnt in later stages?
//
//   options.c   the command line
//   classes.c   images of ten classes with random bits
//   figures.c   drawn shapes of several attributes, with random bits
//   captions.c  a word for each thing that is known of an image, as token ids beside the images
//   train.c     two towers, and shuffled cells
//   judge.c     pairs of images that are told apart by their captions, and what the clusters follow
//   report.c    JSON and the table
//   clip.h      --clip: the same of a model that was trained elsewhere
//
// Of examples/experiment it shares the options, the loop over two towers with its ensemble (pair.h),
// and words of the report. The rest of that is built around one modality: two views of an image, a
// convolutional network, and probes of labels. Here the probe is the matching itself.
#ifndef IMAGE_TEXT_H
#define IMAGE_TEXT_H

#include "experiment/pair.h"

enum { CLASSES, FIGURES };
extern const char *const data_names[]; // NULL at the end

typedef struct options {
  experiment_options shared; // test_rows: pairs to judge by, of each attribute in turn
  const char *images, *labels;
  int data, sides;
  long bits;
  const char *pairs; // as it was given: a number, or with --clip a file
  // Of --clip alone (clip.h).
  const char *clip, *vocab, *merges, *mmvp;
  int gelu, heading;
  long blocks, chunk;
  double learning_rate;
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

// What is trained and what came of it.
typedef struct run {
  mcl_context *context;
  const options *o;
  const world *w;
  // NULL, or: the loop is told the embeddings of row order[i] where it asks for those of row i.
  int64_t *order;
  outcome found;
} run;
// The callbacks of a pair_experiment; `user` is a run.
mcl_status make_pair(void *user, uint64_t seed, mcl_encoder **out, mcl_error *e);
void tell_the_truth(void *user); // from now on rows are themselves
int judge(void *user, int of, float *const z[2], int32_t total, int32_t first, int32_t dim);
int judge_clusters(void *user, mcl_multistage *loop, int32_t from, int to);

int draw_order(run *r); // of the shuffled control

void share_write(FILE *out, const mcl_probe_result *r); // as JSON, with its interval
void outcome_print(const options *o, const world *w, const outcome *f);
int outcome_write(const options *o, const world *w, const outcome *f);

#endif
