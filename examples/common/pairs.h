// A file of pairs, its rows split by image, and two towers to learn them.
//
// No image is on both sides of a split, whatever its captions are, and the tokenizer is learnt from
// the captions that are trained on.
#ifndef COMMON_PAIRS_H
#define COMMON_PAIRS_H

#include "common.h"

enum { SIDES_IMAGE, SIDES_TEXT, SIDES_BOTH }; // whose embeddings are clustered
extern const char *const sides_names[];       // NULL at the end

// A row's caption, malloc'ed; NULL: err says why.
char *read_caption(const mcl_dataset *d, int64_t row);

typedef struct pairs_file {
  mcl_context *context;
  mcl_dataset *file;  // a caption's image and text a row, as the file has them
  int64_t n, images;  // rows; different images
  int64_t *image;     // [n]: the first row with the image of each
  int64_t *order;     // [images]: such rows, in an order drawn by the seed
  int64_t *next;      // [n]: the next row with the same image; -1: there is none
  const char **texts; // [n]: the captions
} pairs_file;

// Fills p from the file; pairs_close() frees it, also after a failure.
int pairs_open(pairs_file *p, mcl_context *c, const char *path, const mcl_pairs_options *o,
               const mcl_monitor *m, uint64_t seed);
void pairs_close(pairs_file *p);

// The rows of images order[from] .. order[to - 1], image by image, into rows, [p->n]. How many.
int64_t pairs_rows(const pairs_file *p, int64_t from, int64_t to, int64_t *rows);
// As the file has them.
void pairs_sort(int64_t *rows, int64_t n);

// What a text tower has to know of its tokens.
typedef struct token_sizes {
  int32_t vocabulary, context, padding;
} token_sizes;
int pairs_tokenizer(const pairs_file *p, const int64_t *rows, int64_t n, mcl_tokenizer **out,
                    token_sizes *sizes);

// These rows, images with captions. *tokens, malloc'ed, is what the dataset reads.
int pairs_join(const pairs_file *p, const mcl_tokenizer *t, const int64_t *rows, int64_t n,
               int32_t **tokens, mcl_dataset **out);

// Brings to the front those of the rows whose caption no row before has, in their order: what a
// caption of several images looks for has several right answers, and each would count as wrong but
// one. *judged: how many.
int pairs_judged(const pairs_file *p, const mcl_tokenizer *t, int64_t *rows, int64_t n,
                 int64_t *judged);

// An image tower, whose reference is taken over, also by a failure, and a bag of embeddings, with a
// temperature that is learnt.
mcl_status pairs_towers(mcl_context *c, const token_sizes *sizes, uint64_t seed, double temperature,
                        mcl_encoder *image, mcl_encoder **out, mcl_error *e);

#endif
