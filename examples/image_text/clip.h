// --clip: a CLIP that was trained elsewhere, what it answers to pairs of questions, and further stages behind it.
//
//   clip.c         its files, the questions, the stages
//   clip_report.c  JSON and the table
#ifndef IMAGE_TEXT_CLIP_H
#define IMAGE_TEXT_CLIP_H

#include "image_text.h"

// Which way a pair is asked: each image for its caption, or each caption for its image, as the authors of MMVP do.
enum { IMAGE_ASKS, CAPTION_ASKS, WAYS };

typedef struct clip {
  mcl_context *context;
  const options *o;
  mcl_encoder *encoder;           // as it came
  int32_t side, blocks;           // of its image tower
  int32_t vocabulary, tokens;     // of its text tower: ids, and tokens a row
  mcl_tokenizer *tokenizer;       // of its files
  mcl_dataset *questions, *train; // train: NULL without --pairs
  int64_t pairs;                  // of questions
  int32_t categories, *category;  // [pairs]; NULL where there are none
  mcl_probe_result *told;         // see clip_told()
  mcl_stage_report report[MAX_STAGES];
  double seconds;
} clip;

// How many pairs a representation tells apart: [0] of all, [1 + c] of category c. `of`: a stage, or PAIR_...
mcl_probe_result *clip_told(const clip *k, int of, int way);

int clip_run(mcl_context *c, const options *o);
int clip_print(const clip *k);
int clip_write(const clip *k);

#endif
