// Which rows are whose.
//
// Rows are cut into blocks of 1024, blocks into at most 64 segments of nearly equal length, and a rank has segments that follow
// each other. What is summed is summed within a segment first, so that the order of additions follows from the number of
// rows alone, however many ranks there are.
#include "comm/comm.h"

mcli_grid mcli_grid_make(const mcl_comm *comm, int64_t rows) {
  mcli_grid g = {.rows = rows, .blocks = (rows + MCLI_BLOCK_ROWS - 1) / MCLI_BLOCK_ROWS};
  g.segments = (uint32_t)(g.blocks < MCLI_SEGMENTS ? g.blocks : MCLI_SEGMENTS);
  mcli_grid_segments(&g, mcl_comm_size(comm), mcl_comm_rank(comm), &g.first, &g.n);
  return g;
}

void mcli_grid_segments(const mcli_grid *g, int32_t size, int32_t rank, uint32_t *first,
                        uint32_t *n) {
  int64_t from, many;
  mcli_part(g->segments, size, rank, &from, &many);
  *first = (uint32_t)from;
  *n = (uint32_t)many;
}

int64_t mcli_grid_row(const mcli_grid *g, uint32_t segment) {
  int64_t block, n;
  if (segment >= g->segments) return g->rows;
  mcli_part(g->blocks, g->segments, segment, &block, &n);
  return block * MCLI_BLOCK_ROWS;
}

void mcli_grid_shares(const mcli_grid *g, int32_t size, int64_t *first) {
  for (int32_t r = 0; r < size; r++) {
    uint32_t segment, n;
    mcli_grid_segments(g, size, r, &segment, &n);
    first[r] = mcli_grid_row(g, segment);
  }
  first[size] = g->rows;
}

void mcl_comm_share(const mcl_comm *comm, int64_t rows, int64_t *first, int64_t *n) {
  mcli_grid g = mcli_grid_make(comm, rows < 0 ? 0 : rows);
  int64_t from = mcli_grid_row(&g, g.first);
  if (first) *first = from;
  if (n) *n = mcli_grid_row(&g, g.first + g.n) - from;
}
