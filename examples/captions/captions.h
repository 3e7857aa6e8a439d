// captions: your own images and their captions, learnt as CLIP learns them, in stages. Do later
// stages find more images by their captions, and captions by their images, than stage 0 alone?
//
//   options.c   the command line
//   title.c     the title that a PNG file carries
//   folder.c    a folder of PNG files as a file of pairs
//   rows.c      a file of pairs as rows to train on and rows to judge by
//   train.c     the image tower
//   judge.c     recall of retrieval, both ways
//   report.c    JSON and the table
//
// Of examples/experiment it shares the options, the loop over two towers with its ensemble (pair.h),
// and words of the report; of examples/common how a file of pairs is split, the text tower, and
// recall (pairs.h, recall.h).
#ifndef CAPTIONS_H
#define CAPTIONS_H

#include "common/pairs.h"
#include "common/recall.h"
#include "experiment/pair.h"

typedef struct options {
  experiment_options shared;
  const char *pairs, *folder, *write;
  long files;   // of the folder; 0: all
  long holdout; // images; 0: a fifth
  int sides, heading;
} options;

// 0: go on; else exit with this code - 1 (--help and --version are no errors).
int options_parse(options *o, int argc, char **argv);

// Fills err with a message as of printf; -1.
int fail(mcl_status status, const char *format, ...);

// ---- what is learnt ----------------------------------------------------------------------------

// Bytes that are read of a title. Titles are a line; a text of pages is none.
enum { MOST_TITLE = 1024, TITLE_ROOM = 2 * MOST_TITLE + 1 };
// The Title of a PNG file as UTF-8, its control characters as blanks. 0: it has none, or only
// blanks.
int png_title(const char *path, char out[TITLE_ROOM]);

// Writes a TSV of the folder's PNG files and their captions.
int folder_write(const char *folder, const char *tsv, long files);

enum { SIDE = 64 }; // pixels of a row's image

typedef struct rows {
  mcl_dataset *joined; // images with captions
  int64_t n, images;   // captions, and their different images
  int32_t *tokens;     // what `joined` reads
} rows;

typedef struct world {
  rows train, test;    // no two captions of `test` are the same
  int64_t *test_image; // [test.n]: equal where the image is
  token_sizes sizes;
  int64_t held_out; // images that were never trained on
} world;
int world_make(mcl_context *c, const options *o, const char *pairs, world *w);
void world_free(world *w);

// ---- what came of it ---------------------------------------------------------------------------

typedef struct outcome {
  int stages;
  recall stage[MAX_STAGES], integrated, plain; // stages weighted by growth^s; with equal weights
  mcl_stage_report report[MAX_STAGES];
  double seconds;
} outcome;

// What is trained and what came of it.
typedef struct run {
  mcl_context *context;
  const options *o;
  const world *w;
  outcome found;
} run;
// The callbacks of a pair_experiment; `user` is a run.
mcl_status make_pair(void *user, uint64_t seed, mcl_encoder **out, mcl_error *e);
int judge(void *user, int of, float *const z[2], int32_t total, int32_t first, int32_t dim);
int judge_clusters(void *user, mcl_multistage *loop, int32_t from, int to);

void outcome_print(const options *o, const world *w, const outcome *f);
int outcome_write(const options *o, const world *w, const outcome *f);

#endif
