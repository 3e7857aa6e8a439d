// The views of batches, as train.c trains on them and run.c embeds.
#ifndef MCL_MULTISTAGE_VIEWS_H
#define MCL_MULTISTAGE_VIEWS_H

#include "base/thread.h"
#include "multistage/multistage.h"

// A chunk of a batch with its two views, ready to be trained on.
typedef struct mcli_prepared {
  int64_t *indices, n;
  mcl_array raw_shape[2], view_shape[2]; // of one row; a view is raw where nothing augments it
  void *raw[2], *view[2];
  int32_t stage, epoch; // the place it is for
  int64_t step, chunk;
  mcl_status status;
  mcl_error error;
} mcli_prepared;

typedef struct mcli_views {
  mcl_multistage *l;
  mcl_dataset *dataset;
  mcl_augmenter *augmenter; // NULL: views are the rows as they are
  int64_t chunk_rows;       // at most, of a batch; 0: batches come whole. Set before open
  int64_t batch_capacity;   // rows a batch; set before open
  int64_t chunk, capacity;  // rows of a chunk, of a slot: set by open
  bool has_data;            // else the host's encoder has it
  bool may_run_ahead;
  mcli_prepared slots[2];
  mcl_batch ahead_batch; // the one that a chunk is prepared of
  mcli_prepared *next;   // being prepared on the other thread
  // Of each modality that the loop has: which rows are the same, [rows], and of a batch, of all ranks'.
  // NULL: no two are, or the dataset does not say.
  int64_t *groups[2], *duplicates[2];
  mcli_ahead *ahead;
} mcli_views;

mcl_status mcli_views_open(mcli_views *p, mcl_error *err);
void mcli_views_close(mcli_views *p); // of a half-opened one too

// The modality that view v shows: with two modalities, one view of each.
int32_t mcli_views_modality(const mcli_views *p, int v);
// [n, ...row] over `data`, for a row of up to three dimensions.
mcl_array mcli_views_batch(const mcl_array *row, void *data, int64_t n);
void mcli_views_inputs(const mcli_views *p, mcl_inputs *in, const int64_t *indices, int64_t n,
                       int32_t modality, int32_t view, int32_t stage, int32_t epoch);
// View v of b's rows into b->view[v]. view -1: the rows as they are, only brought to the augmenter's size.
mcl_status mcli_views_make(const mcli_views *p, mcli_prepared *b, int v, int32_t view,
                           mcl_error *err);
// Ids of a batch's rows, equal where rows are the same in modality m, until the next call; NULL: no two
// are.
const int64_t *mcli_views_duplicates(mcli_views *p, const mcl_batch *batch, int m);

// A batch of n rows comes in chunks of even size, none above `chunk` rows: a last one of few rows would be a poor sample for
// batch norm.
int64_t mcli_views_chunks(const mcli_views *p, int64_t n);
typedef struct mcli_chunk {
  int64_t first, n;
} mcli_chunk;
mcli_chunk mcli_views_chunk(const mcli_views *p, int64_t n, int64_t at);
// A chunk of this event's batch with its views: the one prepared ahead where it is the same, else made now.
mcl_status mcli_views_take(mcli_views *p, const mcl_event *e, const mcl_batch *batch, int64_t at,
                           mcli_prepared **out, mcl_error *err);
// Begins to prepare, beside `taken`, another chunk of the batch it is of; -1: the first one of the batch that the loop hands
// out next, if this stage has one.
mcl_status mcli_views_start_next(mcli_views *p, const mcli_prepared *taken, const mcl_batch *batch,
                                 int64_t at, mcl_error *err);

#endif
