// Recall of retrieval: how often does an image find one of its captions among the nearest, and a
// caption its image?
#ifndef COMMON_RECALL_H
#define COMMON_RECALL_H

#include "common.h"

enum { RANKS = 3 };
extern const int32_t ranks[RANKS]; // 1, 5, 10
enum { IMAGE_TO_TEXT, TEXT_TO_IMAGE };

typedef struct recall {
  double at[2][RANKS];
} recall;

// Of n rows, a caption each: columns first .. first + dim - 1 of z[0], of images, and z[1], of
// captions, both [n, total]. image, [n]: equal for rows of one image, of which each is there once.
int recall_measure(mcl_context *c, float *const z[2], const int64_t *image, int64_t n,
                   int32_t total, int32_t first, int32_t dim, recall *out);
// "recall":{"image_to_text":{"1":...},"text_to_image":{...}}
void recall_json(FILE *f, const recall *r);
// The two lines over a table's numbers, `name` before the second; and the numbers.
void recall_heading(const char *name);
void recall_line(const char *name, const recall *r);

#endif
