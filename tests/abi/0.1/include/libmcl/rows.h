/* Embeddings that need not fit in memory: an array, a callback that reads a block of rows, or a
 * .npy file. */
#ifndef LIBMCL_ROWS_H
#define LIBMCL_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** mcl_rows.flags. */
enum {
  /** `read` may be called by several threads of the context at once, so that reading goes on beside
   *  computing. */
  MCL_ROWS_ANY_THREAD = 1
};

/** Where rows come from. Prepared by mcl_struct_init(); then set either `array`, or `read` with
 *  `rows`, `dim` and `dtype`. Results are the same to the bit, whichever way the same numbers
 *  come. */
typedef struct mcl_rows {
  size_t struct_size;
  const mcl_array *array; /**< [rows, dim], any float type; NULL: `read` is used */
  int64_t rows;           /**< number of rows; taken from the array where there is one */
  int32_t dim;            /**< numbers a row; likewise */
  int32_t dtype; /**< what `read` writes, MCL_F32, MCL_F64, MCL_F16 or MCL_BF16; likewise */
  void *user;    /**< handed to every callback */
  /** Writes rows first .. first + n - 1 into `out`, a contiguous [n, dim] of `dtype`. On the thread
   *  that called libmcl, unless `flags` says otherwise; k-means reads ahead there while other
   *  threads work on the rows before. Success is `return mcl_ok(err);`. The same
   *  row must always give the same numbers. */
  mcl_status (*read)(void *user, int64_t first, int64_t n, const mcl_array *out, mcl_error *err);
  int32_t flags;    /**< MCL_ROWS_ANY_THREAD or 0, the default */
  int32_t reserved; /**< 0 */
} mcl_rows;

/** Reads rows first .. first + n - 1 as float32 (or `out`'s own float type) into `out`, [n, dim].
 *  For host clusterers. Numbers of another type than `out`'s go through memory from malloc, at most
 *  256 KiB or one row. Where `read` fails, the rows that came before stay in `out`.
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_LIMIT (rows out of range), MCL_E_NOMEM,
 *  what `read` returns. */
MCL_API MCL_CHECK mcl_status mcl_rows_read(const mcl_rows *rows, int64_t first, int64_t n,
                                           const mcl_array *out, mcl_error *err);

/** An open .npy file of a [rows, dim] matrix, for reading or for writing. Const calls from several
 *  threads at once. The file is read by pread, so one that is cut short under us is MCL_E_IO, never
 *  a signal. */
typedef struct mcl_npy mcl_npy;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_npy *mcl_npy_ref(mcl_npy *file);

/** The last reference closes the file; a file being written that was not committed leaves nothing
 *  behind. */
MCL_API void mcl_npy_unref(mcl_npy *file);

/** Opens a .npy of versions 1 to 3 with one or two dimensions of little-endian float16, float32 or
 *  float64 in C order. One dimension is read as [rows, 1].
 *  Errors: MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_FORMAT (not a .npy, cut short), MCL_E_UNSUPPORTED
 *  (Fortran order, big endian, objects, other types), MCL_E_LIMIT (a header over 1 MB),
 *  MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_npy_open(mcl_context *context, const char *path, mcl_npy **out,
                                          mcl_error *err);

/** Begins a new file of `rows` x `dim` numbers of `dtype` (MCL_F32, MCL_F64 or MCL_F16; also
 *  MCL_I32 and MCL_I64 for labels and indices). It is written beside `path` under another name
 *  until mcl_npy_commit(). Rows never written are zero.
 *  Errors: MCL_E_INVALID, MCL_E_DTYPE, MCL_E_NOT_FOUND (no such directory), MCL_E_IO, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_npy_create(mcl_context *context, const char *path, int32_t dtype,
                                            int64_t rows, int32_t dim, mcl_npy **out,
                                            mcl_error *err);

/** Writes z, [n, dim], at rows first .. first + n - 1. A float array is converted to the file's
 *  float type; integers must be of the file's type. One thread at a time.
 *  Errors: MCL_E_STATE (opened for reading, or committed), MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_LIMIT,
 *  MCL_E_IO. */
MCL_API MCL_CHECK mcl_status mcl_npy_write(mcl_npy *file, int64_t first, const mcl_array *z,
                                           mcl_error *err);

/** Flushes the file to the disk and renames it to its path: after a crash either the old file or
 *  the new one is there. It is closed, whatever comes back: what could not be flushed cannot be
 *  flushed again, and is to be written anew from mcl_npy_create() on.
 *  Errors: MCL_E_STATE, MCL_E_IO (the old file, if any, is untouched, but when it is
 *  the flush of the directory that fails, the last thing to do: then the new one is there). */
MCL_API MCL_CHECK mcl_status mcl_npy_commit(mcl_npy *file, mcl_error *err);

/** Rows to read from an open file, by any thread. `out` is prepared by mcl_struct_init(); it is
 *  valid until the file's last unref. */
MCL_API void mcl_npy_rows(const mcl_npy *file, mcl_rows *out);

MCL_END_DECLS

#endif
