// The plan of an epoch: training cells cut into pieces, pieces made into steps. Fixed by labels and
// options, never changed.
#ifndef MCL_SAMPLER_PLAN_H
#define MCL_SAMPLER_PLAN_H

#include "sampler/cells.h"
#include "sampler/permutation.h"

typedef struct mcli_plan {
  mcl_context *context; // borrowed: those who hold the plan hold the context
  mcli_refcount references;
  mcli_cells *cells;
  mcl_sampler_options options;
  int32_t world;
  int64_t piece_rows;   // the most rows of a piece
  int64_t trained;      // training cells
  int64_t *cell_first;  // [trained + 1] rows of all before it
  int64_t *training;    // [cells->n] of each true cell, -1: dropped. NULL: each trains by itself
  int64_t *part_first;  // NULL likewise; [trained + 1] its first true cell among
  int64_t *part_at;     // [true cells that train] rows of all before it, in the order of training
  int64_t *part_shift;  // [true cells that train] from there to its place in cells->index
  int64_t *piece_first; // [trained + 1] its first piece
  int64_t bins;         // packed: batches of all ranks
  int64_t *bin_first;   // [bins + 1] its first entry in
  int64_t *bin_piece;   // [pieces]
  int64_t rounds;       // round robin: pieces of the largest cell; uniform: steps of every cell
  int64_t *round_first; // [rounds + 1] the first step of each round
  int64_t *turn;        // [trained] cells, those with more pieces first
  uint64_t key;         // of seed and stage
  mcl_sampler_report report;
  mcli_cell_sizes sizes;
} mcli_plan;

// Takes `cells` over, also when it fails. `stage` of the training, for the key.
mcl_status mcli_plan_make(const mcl_sampler_options *o, int32_t world, mcli_cells *cells,
                          mcli_plan **out, mcl_error *err);
mcli_plan *mcli_plan_ref(mcli_plan *p);
void mcli_plan_unref(mcli_plan *p); // NULL is fine

// The most rows of a piece for these options: also a rank's share of a packed batch.
int64_t mcli_plan_piece_rows(const mcl_sampler_options *o, int64_t rows, int32_t world);

// The pieces of one rank's batch. One cell: a single piece, which all ranks share.
typedef struct mcli_draw {
  const int64_t *pieces; // [n]; NULL: the single one
  int64_t n, single, pass;
} mcli_draw;
static inline int64_t mcli_draw_piece(const mcli_draw *d, int64_t i) {
  return d->pieces ? d->pieces[i] : d->single;
}

uint64_t mcli_plan_epoch_key(const mcli_plan *p, int32_t epoch);
mcli_draw mcli_plan_draw(const mcli_plan *p, uint64_t epoch_key, int64_t step, int32_t rank);

// Piece -> cell, and the places [first, first + n) of the permuted cell.
typedef struct mcli_span {
  int64_t cell, first, n;
} mcli_span;
mcli_span mcli_plan_span(const mcli_plan *p, int64_t piece);

// What a permutation of the epoch is for; `id` is a cell, a round or a row.
enum { MCLI_DRAW_CELL = 1, MCLI_DRAW_STEPS, MCLI_DRAW_ROUND, MCLI_DRAW_NEGATIVES };
mcli_permutation mcli_plan_permutation(uint64_t epoch_key, uint32_t what, int64_t id, int64_t pass,
                                       int64_t n);

// The place in cells->index of row i of a training cell.
int64_t mcli_plan_place(const mcli_plan *p, int64_t cell, int64_t i);
// The training cell of a true one; -1: dropped.
static inline int64_t mcli_plan_training(const mcli_plan *p, int64_t true_cell) {
  return p->training ? p->training[true_cell] : true_cell;
}

static inline int64_t mcli_plan_cell_rows(const mcli_plan *p, int64_t cell) {
  return p->cell_first[cell + 1] - p->cell_first[cell];
}

#endif
