/* Named tensors and a little text in one file: the safetensors format, which PyTorch, JAX and
 * others read.
 *
 * A file is 8 bytes with the length of a JSON header, the header, and the numbers one tensor after
 * the other (https://github.com/huggingface/safetensors). It is written whole or not at all, and it
 * is not believed when it is read: every size in it is checked before anything is allocated. */
#ifndef LIBMCL_CHECKPOINT_H
#define LIBMCL_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** An open file. Const calls from several threads at once. Numbers are read by pread when they are
 *  asked for, so a file that is cut short under us is MCL_E_IO, never a signal. */
typedef struct mcl_checkpoint mcl_checkpoint;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_checkpoint *mcl_checkpoint_ref(mcl_checkpoint *checkpoint);

/** Gives a reference back; the last one closes the file. NULL is fine. */
MCL_API void mcl_checkpoint_unref(mcl_checkpoint *checkpoint);

/** Opens a safetensors file and checks all of its header: UTF-8, no name twice, tensors that lie
 *  one behind the other without gap or overlap up to the end of the file, and sizes that follow
 *  from shape and type. Tensors of types that libmcl does not know, or of more than 4 dimensions,
 *  are no error until they are asked for.
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_FORMAT (not a safetensors file, damaged
 *  or cut short: the message names the file, and the tensor where there is one), MCL_E_LIMIT (a
 *  header over 1 MB), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_open(mcl_context *context, const char *path,
                                                 mcl_checkpoint **out, mcl_error *err);

/** The type and shape of a tensor, as a contiguous array whose data is NULL. A scalar has shape
 *  [1].
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (no tensor of that name), MCL_E_UNSUPPORTED (its type or
 *  its more than 4 dimensions). */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_shape(const mcl_checkpoint *checkpoint,
                                                  const char *name, mcl_array *out, mcl_error *err);

/** Copies a tensor into `out`, which must have its shape. Where both are of the same type the bits
 *  are the same; from one float type to another the numbers are rounded by way of float32; integers
 *  are never converted. Nothing is written to `out` unless all of it was read, for which a buffer
 *  of the tensor's size is allocated.
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND, MCL_E_UNSUPPORTED, MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_IO,
 *  MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_read(const mcl_checkpoint *checkpoint, const char *name,
                                                 const mcl_array *out, mcl_error *err);

/** The text stored under a key, NUL-terminated. *wanted (may be NULL) is set to its size, the NUL
 *  included, also where `capacity` is too small: then MCL_E_LIMIT and nothing else is written.
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (no such key), MCL_E_LIMIT. */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_meta(const mcl_checkpoint *checkpoint, const char *key,
                                                 char *text, size_t capacity, size_t *wanted,
                                                 mcl_error *err);

/** A file that is being put together in memory. Calls from one thread at a time, else
 *  MCL_E_BUSY. */
typedef struct mcl_checkpoint_writer mcl_checkpoint_writer;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_checkpoint_writer *mcl_checkpoint_writer_ref(mcl_checkpoint_writer *writer);

/** Gives a reference back; NULL is fine. What was not committed is never written. */
MCL_API void mcl_checkpoint_writer_unref(mcl_checkpoint_writer *writer);

/** Begins a file. The disk is not touched before mcl_checkpoint_writer_commit().
 *  Errors: MCL_E_INVALID, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_writer_create(mcl_context *context, const char *path,
                                                          mcl_checkpoint_writer **out,
                                                          mcl_error *err);

/** Adds a tensor of any element type under a name: UTF-8, not empty, not "__metadata__", not used
 *  before. The numbers are copied and held in memory until the writer is freed.
 *  Errors: MCL_E_INVALID, MCL_E_UNSUPPORTED, MCL_E_SHAPE, MCL_E_DTYPE (a is not a readable array),
 *  MCL_E_STATE (committed), MCL_E_NOMEM, MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_writer_add(mcl_checkpoint_writer *writer,
                                                       const char *name, const mcl_array *a,
                                                       mcl_error *err);

/** Adds a text, UTF-8, under a key that was not used before. Both are copied.
 *  Errors: MCL_E_INVALID, MCL_E_STATE (committed), MCL_E_NOMEM, MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_writer_meta(mcl_checkpoint_writer *writer,
                                                        const char *key, const char *value,
                                                        mcl_error *err);

/** Writes the file beside its path, flushes it to the disk and renames it to its path: after a
 *  crash either the old file or the new one is there. The same calls give the same bytes: texts in
 *  the order they were added, then tensors by size of element, largest first (so that each lies
 *  aligned), and in the order they were added.
 *  Errors: MCL_E_INVALID, MCL_E_STATE (committed before), MCL_E_LIMIT (names and texts fill more
 *  than 1 MB), MCL_E_NOT_FOUND (no such directory), MCL_E_IO (the old file, if any, is untouched;
 *  commit may be tried again), MCL_E_NOMEM, MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_checkpoint_writer_commit(mcl_checkpoint_writer *writer,
                                                          mcl_error *err);

MCL_END_DECLS

#endif
