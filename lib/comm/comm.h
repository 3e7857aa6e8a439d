// Ranks as the other parts see them: exchanges that carry each rank's status along.
//
// A COLLECTIVE call has this shape, and a comm of NULL or of one rank makes all of it cost nothing:
//
//   s = mcli_comm_enter(comm, err);                 or return s
//   s = ... whatever is checked before;
//   s = mcli_comm_begin(comm, s, what, err);        all ranks are here, or none goes on
//   ... s = mcli_comm_gather(comm, s, ...) ...      any number of times, the same on every rank that has not failed
//   s = mcli_comm_end(comm, s, err);                all ranks have it, or none
//
// A rank that fails between two exchanges goes straight to end, whose exchange meets the next one of the others, whichever that
// is; they fail there, and go to end too, which exchanges nothing any more. So err must not be NULL here: it is sent.
#ifndef MCL_COMM_COMM_H
#define MCL_COMM_COMM_H

#include <libmcl/comm.h>

#include "base/context.h"

// Rows a block: of 128 floats half a megabyte, which stays in L2 while it is scored and summed; fewer rows waste the start of
// each matrix product. Segments: shares of the rows that are summed apart. More would let more processes share the work
// and cost more combining. Both are part of k-means's bits: they change only with its algorithm number.
enum { MCLI_BLOCK_ROWS = 1024, MCLI_SEGMENTS = 64 };

// `rows` rows cut into blocks, blocks into segments, segments shared out to ranks.
typedef struct mcli_grid {
  int64_t rows, blocks;
  uint32_t segments;
  uint32_t first, n; // this rank's segments
} mcli_grid;

mcli_grid mcli_grid_make(const mcl_comm *comm, int64_t rows);
// Segments first .. first + n - 1 of a rank.
void mcli_grid_segments(const mcli_grid *g, int32_t size, int32_t rank, uint32_t *first,
                        uint32_t *n);
// The first row of a segment, or of what comes after the last one.
int64_t mcli_grid_row(const mcli_grid *g, uint32_t segment);
// first [size + 1]: where each rank's rows begin, and after the last one's `rows`.
void mcli_grid_shares(const mcli_grid *g, int32_t size, int64_t *first);

static inline int mcli_comm_is_alone(const mcl_comm *c) {
  return mcl_comm_size(c) == 1;
}

// MCL_E_BUSY, or MCL_E_COMM where the comm is lost: then there is no end to come.
mcl_status mcli_comm_enter(mcl_comm *c, mcl_error *err);
// `what` tells calls and their options apart: a hash. MCL_E_MISMATCH where ranks differ.
mcl_status mcli_comm_begin(mcl_comm *c, mcl_status s, uint64_t what, mcl_error *err);
// Until it is taken back this thread may make COLLECTIVE calls within this one, each after the other; their ends leave the rest to
// ours. Other threads, and calls from within those, are MCL_E_BUSY as ever. What lend gives goes to take_back.
int32_t mcli_comm_lend(mcl_comm *c);
void mcli_comm_take_back(mcl_comm *c, int32_t lent_before);
mcl_status mcli_comm_end(mcl_comm *c, mcl_status s, mcl_error *err);
// In place of end where no rank is to take part: nothing was exchanged, and nothing is.
void mcli_comm_leave(mcl_comm *c);

// Every rank's `bytes` bytes into recv, [size, bytes]; not at all where a rank's s is a failure, which all return then. recv is
// as good as untouched until every rank was well. bytes may be 0: ranks agree that all are well.
mcl_status mcli_comm_gather(mcl_comm *c, mcl_status s, const void *send, void *recv, int64_t bytes,
                            mcl_error *err);
// data [n] becomes the sum over ranks, the same bits on each.
mcl_status mcli_comm_sum(mcl_comm *c, mcl_status s, float *data, int64_t n, mcl_error *err);

// The same for counts.
mcl_status mcli_comm_add(mcl_comm *c, mcl_status s, int64_t *counts, int64_t n, mcl_error *err);

// Parts of any length: data is [first[size], row_bytes], of which rank r has filled in rows first[r] .. first[r + 1] - 1, and
// gets the others'. `first` is the same on all ranks, and is not read where there is one rank or s is a failure.
mcl_status mcli_comm_gather_parts(mcl_comm *c, mcl_status s, const int64_t *first, void *data,
                                  int64_t row_bytes, mcl_error *err);

#endif
