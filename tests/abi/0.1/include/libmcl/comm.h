/* Several processes that work as one: clustering and training over ranks.
 *
 * libmcl has no transport of its own. The host has one already (MPI, torch.distributed, sockets), here called its engine, and
 * lends it by a single callback: an allgather of bytes in host memory. libmcl-mpi (mpi.h, a library of its own) is that callback
 * for MPI.
 *
 * A call marked COLLECTIVE must be made by every rank of its comm, in the same order, with the same options. These are:
 *
 *   mcl_clusterer_fit(), mcl_clusterer_assign()   of a k-means made with a comm
 *   mcl_multistage_next()                         of a loop made with a comm: the calls that return MCL_BEGIN_STAGE,
 *                                                 MCL_RESUME_STAGE or MCL_END_STAGE
 *   mcl_multistage_run()                          of a loop made with a comm
 *   mcl_encoder_sum_gradients()
 *
 * and, by MPI's rules, mcl_comm_create_mpi() and the last unref of what it made. No other call exchanges anything: handles are
 * created, read, saved, loaded and released by each rank for itself.
 *
 * Failures. Every exchange begins with the status of each rank. So a rank that fails inside a COLLECTIVE call (an argument, a
 * file, memory, a cancelling monitor) makes it fail on all ranks, with the same status and that rank's message, "rank 2: ...".
 * None is left waiting; handles are as before the call, unless its comment says otherwise, and the next call works.
 * Ranks that make different calls, or have different options, get MCL_E_MISMATCH.
 *
 * Three things the others do not hear of: a NULL handle, MCL_E_BUSY, and whatever fails between two COLLECTIVE calls (a file
 * that one rank cannot open). They wait in their next COLLECTIVE call for this rank to make one too. A host that cannot go on
 * ends its job (MPI_Abort()), or lets its ranks agree by an exchange of its own.
 *
 * Only when the callback itself fails, because a process has died or a network is down, is the comm lost: MCL_E_COMM, then
 * and at every later call. libmcl sets no time limit: a callback that waits for ever is waited for. Set a limit in the engine.
 *
 * The same rows give the same clusters, cells and batches, to the bit, for any number of ranks, on processors of the same
 * kind.
 *
 * Memory: some 300 bytes for each rank of a comm; in a COLLECTIVE call up to 48 MiB for an exchange, besides what its comment
 * states. */
#ifndef LIBMCL_COMM_H
#define LIBMCL_COMM_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Reference-counted; keeps its context. One COLLECTIVE call at a time, on any thread: another one meanwhile is MCL_E_BUSY on
 *  the rank that makes it, and nothing is exchanged. */
typedef struct mcl_comm mcl_comm;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_comm *mcl_comm_ref(mcl_comm *comm);

/** Gives a reference back; the last one calls the host's `destroy`, on this thread, and exchanges nothing. NULL is fine. */
MCL_API void mcl_comm_unref(mcl_comm *comm);

/** How much is exchanged at a time. */
enum {
  MCL_COMM_BYTES = 16777216, /**< the most bytes of a rank in one call of the host's `allgather` */
  MCL_COMM_FLOATS = 4194304  /**< the most floats of one call of `sum` */
};

/** The host's engine. Prepared by mcl_struct_init(); copied; what `user` points to must live until `destroy`. Callbacks run on
 *  the thread that called libmcl, in the same order with the same sizes on every rank. Success is `return mcl_ok(err);`; any
 *  failure is MCL_E_COMM to libmcl's caller, with the callback's message and host_code, and the comm is lost. */
typedef struct mcl_host_comm {
  size_t struct_size;
  void *user;   /**< handed to every callback */
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

/** This process's rank; 0 for NULL. Any thread. */
MCL_API int32_t mcl_comm_rank(const mcl_comm *comm);

/** How many ranks there are; 1 for NULL. Any thread. */
MCL_API int32_t mcl_comm_size(const mcl_comm *comm);

/** Which of `rows` rows are this rank's to embed and to cluster: first .. first + n - 1. A function of `rows`, rank and size
 *  alone. Shares follow each other in the order of ranks and hold every row once.
 *
 *  Rows are cut into blocks of 1024, blocks into at most 64 groups of nearly equal length, and each rank has whole groups. So
 *  shares differ by up to a group; of fewer blocks than ranks, and of more than 64 ranks, the last ranks have no rows: they
 *  make all calls like the others. NULL: all rows. rows < 0 is taken for 0; `first` and `n` may be NULL. Any thread. */
MCL_API void mcl_comm_share(const mcl_comm *comm, int64_t rows, int64_t *first, int64_t *n);

MCL_END_DECLS

#endif
