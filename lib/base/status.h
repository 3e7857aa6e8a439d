// Errors inside the library: one printf that fills the caller's mcl_error, and the rules for host callbacks.
#ifndef MCL_BASE_STATUS_H
#define MCL_BASE_STATUS_H

#include <libmcl/status.h>

// Fills err (may be NULL), row = -1, and returns status. The message is one sentence without a full stop.
mcl_status mcli_fail(mcl_error *err, mcl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same with the number of the first offending row.
mcl_status mcli_fail_row(mcl_error *err, mcl_status status, int64_t row, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

mcl_status mcli_nomem(mcl_error *err, const char *what);

// Around every call of a host's callback:
//   mcl_error inner;
//   mcli_callback_begin(&inner);
//   status = mcli_callback_end(host->embed(user, in, out, &inner), &inner, "mcl_host_encoder.embed", err);
// Success needs both a 0 and mcl_ok(); a status that is not one of ours becomes MCL_E_CALLBACK.
void mcli_callback_begin(mcl_error *inner);
mcl_status mcli_callback_end(mcl_status returned, const mcl_error *inner, const char *name,
                             mcl_error *err);

// Copies an options struct of the caller into ours. *to must hold the defaults before. A caller's struct that is shorter
// leaves our newer fields at their defaults; one that is longer must have a zero tail.
mcl_status mcli_options_copy(void *to, size_t to_size, const void *from, const char *name,
                             mcl_error *err);

// Writes an output struct of ours over the caller's: at most the caller's struct_size bytes, which is kept.
// to may be NULL. MCL_E_INVALID when struct_size was never set.
mcl_status mcli_struct_out(void *to, const void *from, size_t from_size, const char *name,
                           mcl_error *err);

// Reads an input struct (mcl_rows, mcl_inputs, host tables) into a zeroed one of ours; same rules as options_copy. Where it is
// refused for an unknown tail the fields that are known are there all the same: a table's `destroy` is due then too. One whose
// size was never set leaves zeros.
mcl_status mcli_struct_in(void *to, size_t to_size, const void *from, const char *name,
                          mcl_error *err);

// The same for the init functions of options: writes at most struct_size bytes of our defaults, and struct_size first.
void mcli_options_init(void *to, size_t struct_size, const void *defaults, size_t defaults_size);

// R3: text into the caller's buffer. MCL_E_LIMIT and nothing written but *wanted when it does not fit.
mcl_status mcli_text_out(const char *text, char *buffer, size_t capacity, size_t *wanted,
                         mcl_error *err);

// The last part of a path or name, `room` bytes at most: of one that a file gives, which may be a megabyte.
const char *mcli_path_end(const char *path, size_t room);
// The last part of a path that leaves room in a message for what is wrong with it.
const char *mcli_path_tail(const char *path);

#endif
