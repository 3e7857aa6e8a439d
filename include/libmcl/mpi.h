/* MPI as the engine of an mcl_comm: the one header of libmcl-mpi, a library of its own
 * (`pkg-config libmcl-mpi`).
 *
 * It is here only where libmcl was built with MPI, belongs to the MPI that it was built with, and
 * is not part of mcl.h. What it does is done by libmcl's public interface: another engine takes as
 * few lines (lib/mpi/mpi.c). */
#ifndef LIBMCL_MPI_H
#define LIBMCL_MPI_H

#include <mpi.h>

#include <libmcl/comm.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** The ranks of `comm` as an mcl_comm. COLLECTIVE over `comm`, of which a duplicate is made
 *  (MPI_Comm_dup), so that messages of libmcl and of the host never meet; an error in making it is
 *  the error handler's of `comm`. From then on MPI's errors are MCL_E_COMM with MPI's own text and
 *  code (mcl_error.host_code), whatever that handler is. The last mcl_comm_unref() frees the
 *  duplicate, which MPI wants all ranks to do, and before MPI_Finalize(); afterwards it frees what
 *  is libmcl's.
 *
 *  A rank that fails makes all fail, with the same status and text. Only one that finds MPI not
 *  initialised, MPI_COMM_NULL or the wrong thread cannot tell the others, which wait for it as in
 *  any call of MPI. How MPI answers a process that has died is MPI's to say; Open MPI ends the
 *  others.
 *
 *  Threads: MPI is called by the thread that calls libmcl, never by those of the context.
 *  MPI_THREAD_FUNNELED is enough when that is the thread which initialised MPI. Other threads need
 *  MPI_THREAD_SERIALIZED, with no call of the host's meanwhile, or MPI_THREAD_MULTIPLE. MPI_Init()
 *  alone promises MPI that the process has no other threads at all: then the context should have
 *  one.
 *
 *  Errors: MCL_E_STATE (MPI is not initialised or already finalised; this thread must not call
 *  MPI), MCL_E_INVALID (MPI_COMM_NULL, an intercommunicator, more than 65536 ranks, a NULL),
 *  MCL_E_COMM (MPI failed), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_comm_create_mpi(mcl_context *context, MPI_Comm comm,
                                                 mcl_comm **out, mcl_error *err);

MCL_END_DECLS

#endif
