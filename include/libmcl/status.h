/* How calls fail, and how structs that may grow are initialised.
 *
 * Every call that can fail returns an mcl_status and takes an mcl_error last. The error lives in the caller's
 * memory: libmcl keeps no message anywhere, so threads, coroutines and garbage collectors cannot mix them up. */
#ifndef LIBMCL_STATUS_H
#define LIBMCL_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/export.h>

MCL_BEGIN_DECLS

/** 0 is success, negative is one of MCL_E_*. */
typedef int32_t mcl_status;

/** What a call can come to. */
enum {
  MCL_OK = 0,             /**< the call did all that it says */
  MCL_E_INVALID = -1,     /**< an argument or option is outside its range; the message names it */
  MCL_E_NOMEM = -2,       /**< the allocator returned NULL */
  MCL_E_UNSUPPORTED = -3, /**< legal, but not in this version, build or file format */
  MCL_E_SHAPE = -4,       /**< an array's dimensions do not fit the others' */
  MCL_E_DTYPE = -5,       /**< an array's element type is not taken here */
  MCL_E_STATE = -6,       /**< the handle cannot do this now (assign before fit, say) */
  MCL_E_IO = -7,          /**< the operating system refused; the message names the file */
  MCL_E_FORMAT = -8,      /**< a file or byte string is not what it claims to be */
  MCL_E_LIMIT = -9,       /**< a buffer is too small or a limit of the options is exceeded */
  MCL_E_NOT_FINITE = -10, /**< NaN or infinity; mcl_error.row is the first such row */
  MCL_E_CANCELLED = -11,  /**< the host's progress callback asked to stop */
  MCL_E_CALLBACK = -12,   /**< a host callback failed, or returned without mcl_ok() */
  MCL_E_COMM = -13,       /**< the communicator failed: a process or a network is gone */
  MCL_E_BUSY = -14,       /**< the handle is in use by a call further up this or another stack */
  MCL_E_NOT_FOUND = -15,  /**< there is no such file, tensor, key or stage */
  MCL_E_MISMATCH = -16,   /**< saved state, or another rank, has other rows or options */
  MCL_E_INTERNAL = -99    /**< a fault of libmcl's own: please report it */
};

/** What went wrong. The caller's memory; it needs no initialising, since every call that is given one writes all of
 *  it, on success too. Frozen: its size and members never change. */
typedef struct mcl_error {
  mcl_status status;   /**< what the call returned */
  int32_t host_code;   /**< a host callback's own number, passed through unchanged; else 0 */
  int64_t row;         /**< the first offending row, -1 when there is none */
  int64_t reserved[2]; /**< zero */
  char message
      [224]; /**< one sentence in UTF-8 that names the argument, row or file; "" on success */
} mcl_error;

/** The constant's name, "MCL_E_SHAPE"; "unknown status" for others. Static storage. Any thread. */
MCL_API const char *mcl_status_name(mcl_status status);

/** For host callbacks that fail: fills `err` (may be NULL) and returns `status`, so that a callback can end in
 *  `return mcl_error_set(err, MCL_E_IO, errno, "the disk is gone");`. A long message is cut at a whole character. */
MCL_API mcl_status mcl_error_set(mcl_error *err, mcl_status status, int32_t host_code,
                                 const char *message);

/** For host callbacks that succeed: `return mcl_ok(err);`. A callback that returns 0 without having called this is
 *  taken to have failed: a Python callback that raised returns whatever was left in a register, often 0. */
MCL_API mcl_status mcl_ok(mcl_error *err);

/** Zeroes `struct_size` bytes at `s` and writes `struct_size` into its first member. Every struct that begins with
 *  `struct_size` and has no init function of its own is prepared by this once, before its first use. */
MCL_API void mcl_struct_init(void *s, size_t struct_size);

MCL_END_DECLS

#endif
