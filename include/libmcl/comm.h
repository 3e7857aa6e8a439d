/* Several processes that work as one: clustering and training over ranks.
 *
 * libmcl brings no engine of its own. The host has one already, MPI or torch.distributed or NCCL, and lends it by a single
 * callback, an allgather of bytes. libmcl-mpi (mpi.h, a library of its own) is that callback for MPI.
 *
 * A call that is marked COLLECTIVE must be made by every rank of its comm, in the same order, with the same options. Every
 * exchange in it says first how each rank fares. So a rank that fails, for its arguments, its file, its memory or because its
 * host cancels, makes the call fail on all ranks, with the same status and with that rank's message, "rank 2: ..."; none
 * waits for it, handles are as before the call, and the next call works. Ranks that make different calls, or have
 * different options, get MCL_E_MISMATCH.
 *
 * Only when the callback itself fails, because a process has died or a network is down, is the comm lost: MCL_E_COMM, then
 * and at every later call. That it does fail, and does not wait for ever, is for the engine to see to: set a time limit there.
 *
 * Results of clustering and sampling are the same to the bit for any number of ranks, on processors of the same kind. */
#ifndef LIBMCL_COMM_H
#define LIBMCL_COMM_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Reference-counted; keeps its context. One COLLECTIVE call at a time: another one meanwhile is MCL_E_BUSY on the rank that
 *  makes it, and nothing is exchanged. */
typedef struct mcl_comm mcl_comm;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_comm *mcl_comm_ref(mcl_comm *comm);

/** Gives a reference back; the last one calls the host's `destroy`, on this thread, and exchanges nothing. NULL is fine. */
MCL_API void mcl_comm_unref(mcl_comm *comm);

/** The most bytes of a rank in one call of the host's `allgather`, and the most floats of one call of `sum`. */
enum { MCL_COMM_BYTES = 16777216, MCL_COMM_FLOATS = 4194304 };

/** The host's engine. Prepared by mcl_struct_init(); copied. Callbacks run on the thread that called libmcl, in the same order
 *  on every rank. Success is `return mcl_ok(err);`. */
typedef struct mcl_host_comm {
  size_t struct_size;
  void *user;
  int32_t rank; /**< 0 .. size - 1 */
  int32_t
      size; /**< 1 .. 65536 processes. With 1 no callback is ever called, and `allgather` may be NULL */
  /** Every rank sends `bytes_per_rank` bytes, as many on all, 1 .. MCL_COMM_BYTES; `recv` gets those of rank 0, 1, ... one after
   *  the other, size * bytes_per_rank in all. The two do not overlap. */
  mcl_status (*allgather)(void *user, const void *send, void *recv, uint64_t bytes_per_rank,
                          mcl_error *err);
  /** May be NULL. Runs exactly once: at the last unref, or at once when mcl_comm_create_host() fails. */
  void (*destroy)(void *user);
  /** May be NULL: libmcl gathers, and adds in the order of ranks. Else `data` [n], n in 1 .. MCL_COMM_FLOATS, becomes the sum over
   *  all ranks, the same bits on each: gradients of many weights move a fraction of the bytes this way. */
  mcl_status (*sum)(void *user, float *data, uint64_t n, mcl_error *err);
} mcl_host_comm;

/** A communicator of the host's callbacks. Nothing is exchanged yet. When this fails `destroy` has been called, unless the struct
 *  itself could not be read.
 *  Errors: MCL_E_INVALID (an argument or field, named), MCL_E_UNSUPPORTED (an unknown tail), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_comm_create_host(mcl_context *context, const mcl_host_comm *host,
                                                  mcl_comm **out, mcl_error *err);

/** This process's rank and how many there are; 0 and 1 for NULL. Any thread. */
MCL_API int32_t mcl_comm_rank(const mcl_comm *comm);
MCL_API int32_t mcl_comm_size(const mcl_comm *comm);

/** Which of `rows` rows are this rank's: first .. first + n - 1. Shares follow each other in the order of ranks and hold every row
 *  once. They consist of whole blocks of 1024 rows, of which there are 64 groups at most: so a small data set, or a rank
 *  beyond the 64th, may have a share of no rows, and shares differ by up to a group of blocks. NULL: all rows. rows < 0 is
 *  taken for 0. Any thread. */
MCL_API void mcl_comm_share(const mcl_comm *comm, int64_t rows, int64_t *first, int64_t *n);

MCL_END_DECLS

#endif
