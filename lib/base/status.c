// Errors as data: the message is written into the caller's struct, nothing is kept here.
//
// Structs that may grow carry their size. The rules for one that crosses the interface in either direction, after the
// kernel's copy_struct_from_user:
//
//   caller older (its size is smaller)   our newer fields keep their defaults               (1)
//   caller newer (its size is larger)    accepted while what we do not know is zero         (2)
//   output                               at most the caller's size is written               (3)
//   refused for its tail                 what is known is there all the same, a table's
//                                        `destroy` for one, which is due then               (4)
#include "base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *mcl_status_name(mcl_status status) {
  switch (status) {
  case MCL_OK:
    return "MCL_OK";
  case MCL_E_INVALID:
    return "MCL_E_INVALID";
  case MCL_E_NOMEM:
    return "MCL_E_NOMEM";
  case MCL_E_UNSUPPORTED:
    return "MCL_E_UNSUPPORTED";
  case MCL_E_SHAPE:
    return "MCL_E_SHAPE";
  case MCL_E_DTYPE:
    return "MCL_E_DTYPE";
  case MCL_E_STATE:
    return "MCL_E_STATE";
  case MCL_E_IO:
    return "MCL_E_IO";
  case MCL_E_FORMAT:
    return "MCL_E_FORMAT";
  case MCL_E_LIMIT:
    return "MCL_E_LIMIT";
  case MCL_E_NOT_FINITE:
    return "MCL_E_NOT_FINITE";
  case MCL_E_CANCELLED:
    return "MCL_E_CANCELLED";
  case MCL_E_CALLBACK:
    return "MCL_E_CALLBACK";
  case MCL_E_COMM:
    return "MCL_E_COMM";
  case MCL_E_BUSY:
    return "MCL_E_BUSY";
  case MCL_E_NOT_FOUND:
    return "MCL_E_NOT_FOUND";
  case MCL_E_MISMATCH:
    return "MCL_E_MISMATCH";
  case MCL_E_INTERNAL:
    return "MCL_E_INTERNAL";
  default:
    return "unknown status";
  }
}

// A message cut inside a UTF-8 character would not be UTF-8 any more: drop the broken end.
static void end_at_whole_character(char *text) {
  size_t n = strlen(text), back = 0;
  while (back < n && back < 4 && ((unsigned char)text[n - 1 - back] & 0xC0) == 0x80) back++;
  if (back == n) return;
  unsigned char lead = (unsigned char)text[n - 1 - back];
  size_t wanted = lead < 0x80 ? 0 : lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (back < wanted) text[n - 1 - back] = 0;
}

static void fill(mcl_error *err, mcl_status status, int32_t host_code, int64_t row) {
  memset(err, 0, sizeof *err);
  err->status = status;
  err->host_code = host_code;
  err->row = row;
}

static mcl_status fail(mcl_error *err, mcl_status status, int64_t row, const char *format,
                       va_list arguments) {
  if (!err) return status;
  // Arguments may point into *err itself, as when a message is given more context: write it aside.
  char message[sizeof err->message];
  int n = vsnprintf(message, sizeof message, format, arguments);
  fill(err, status, 0, row);
  memcpy(err->message, message, sizeof message);
  if (n >= (int)sizeof message) end_at_whole_character(err->message);
  return status;
}

const char *mcli_path_end(const char *path, size_t room) {
  size_t n = strlen(path);
  if (n <= room) return path;
  path += n - room;
  while ((*path & 0xC0) == 0x80) path++; // not in the middle of a character of UTF-8
  return path;
}

const char *mcli_path_tail(const char *path) {
  // A message has 223 bytes. 120 of them name any file in practice, and the last ones tell files
  // apart.
  return mcli_path_end(path, 120);
}

mcl_status mcli_fail(mcl_error *err, mcl_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  mcl_status s = fail(err, status, -1, format, arguments);
  va_end(arguments);
  return s;
}

mcl_status mcli_fail_row(mcl_error *err, mcl_status status, int64_t row, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  mcl_status s = fail(err, status, row, format, arguments);
  va_end(arguments);
  return s;
}

mcl_status mcli_nomem(mcl_error *err, const char *what) {
  return mcli_fail(err, MCL_E_NOMEM, "no memory for %s", what);
}

mcl_status mcl_error_set(mcl_error *err, mcl_status status, int32_t host_code,
                         const char *message) {
  if (!err) return status;
  char copy[sizeof err->message];
  int n = snprintf(copy, sizeof copy, "%s", message ? message : "");
  fill(err, status, host_code, -1);
  memcpy(err->message, copy, sizeof copy);
  if (n >= (int)sizeof copy) end_at_whole_character(err->message);
  return status;
}

mcl_status mcl_ok(mcl_error *err) {
  if (err) fill(err, MCL_OK, 0, -1);
  return MCL_OK;
}

// ---- host callbacks --------------------------------------------------------------------------------

// Until the callback says otherwise it has failed: a plain 0 is no success.
void mcli_callback_begin(mcl_error *inner) {
  fill(inner, MCL_E_CALLBACK, 0, -1);
  memcpy(inner->message, "it returned without mcl_ok()", sizeof "it returned without mcl_ok()");
}

static bool is_ours(mcl_status s) {
  return s < 0 && strcmp(mcl_status_name(s), "unknown status") != 0;
}

mcl_status mcli_callback_end(mcl_status returned, const mcl_error *inner, const char *name,
                             mcl_error *err) {
  if (returned == MCL_OK && inner->status == MCL_OK) return MCL_OK;
  mcl_status status = is_ours(returned) ? returned : MCL_E_CALLBACK;
  if (returned == MCL_OK && is_ours(inner->status)) status = inner->status;
  int32_t code = inner->host_code;
  int64_t row = inner->row;
  size_t have = strnlen(inner->message, sizeof inner->message);
  const char *why = inner->status == MCL_OK || have == 0 ? "no message" : inner->message;
  mcli_fail_row(err, status, row, "%s failed: %.*s", name, (int)sizeof inner->message, why);
  if (err) err->host_code = code;
  return status;
}

// ---- structs that may grow --------------------------------------------------------------------------

void mcl_struct_init(void *s, size_t struct_size) {
  if (!s || struct_size < sizeof struct_size) return;
  memset(s, 0, struct_size);
  memcpy(s, &struct_size, sizeof struct_size);
}

void mcli_options_init(void *to, size_t struct_size, const void *defaults, size_t defaults_size) {
  if (!to || struct_size < sizeof struct_size) return;
  memset(to, 0, struct_size);
  memcpy(to, defaults, struct_size < defaults_size ? struct_size : defaults_size);
  memcpy(to, &struct_size, sizeof struct_size);
}

static mcl_status read_size(const void *from, const char *name, size_t *size, mcl_error *err) {
  memcpy(size, from, sizeof *size);
  // Nothing of ours is near a page, and every struct ends where a pointer may begin: another number is that of a struct that was
  // never initialised, and half a pointer must not be followed.
  if (*size >= sizeof *size && *size <= 4096 && *size % sizeof *size == 0) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "%s.struct_size is %zu: initialise the struct first", name,
                   *size);
}

mcl_status mcli_options_copy(void *to, size_t to_size, const void *from, const char *name,
                             mcl_error *err) {
  if (!from) return MCL_OK;
  size_t size;
  mcl_status s = read_size(from, name, &size, err);
  if (s < 0) return s;
  const unsigned char *bytes = from;
  for (size_t i = to_size; i < size; i++) { // (2)
    if (bytes[i] == 0) continue;
    return mcli_fail(err, MCL_E_UNSUPPORTED,
                     "%s has a field at byte %zu that this version does not know", name, i);
  }
  memcpy(to, from, size < to_size ? size : to_size); // (1)
  memcpy(to, &to_size, sizeof to_size);
  return MCL_OK;
}

mcl_status mcli_struct_in(void *to, size_t to_size, const void *from, const char *name,
                          mcl_error *err) {
  memset(to, 0, to_size);
  if (!from) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", name);
  mcl_status s = mcli_options_copy(to, to_size, from, name, err);
  if (s == MCL_E_UNSUPPORTED) memcpy(to, from, to_size); // (4): only its tail is not known
  return s;
}

mcl_status mcli_struct_out(void *to, const void *from, size_t from_size, const char *name,
                           mcl_error *err) {
  if (!to) return MCL_OK;
  size_t size;
  mcl_status s = read_size(to, name, &size, err);
  if (s < 0) return s;
  memcpy(to, from, size < from_size ? size : from_size); // (3)
  memcpy(to, &size, sizeof size);
  return MCL_OK;
}

mcl_status mcli_text_out(const char *text, char *buffer, size_t capacity, size_t *wanted,
                         mcl_error *err) {
  size_t n = strlen(text) + 1;
  if (wanted) *wanted = n;
  if (!buffer || capacity < n)
    return mcli_fail(err, MCL_E_LIMIT, "capacity is %zu, %zu bytes are needed", capacity, n);
  memcpy(buffer, text, n);
  return mcl_ok(err);
}
