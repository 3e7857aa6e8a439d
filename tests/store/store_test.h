// What the tests of store/ share: the ramp of numbers that the golden files hold, and damage to
// files.
#ifndef MCL_TESTS_STORE_H
#define MCL_TESTS_STORE_H

#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/rng.h"
#include "math/array.h"

enum { RAMP_ROWS = 4, RAMP_DIM = 3, RAMP = 12 };
static inline float ramp(int i) {
  return ((float)i - 5) / 8;
}

static inline mcl_array view(void *data, int32_t dtype, int32_t ndim, int64_t a, int64_t b,
                             int64_t c, int64_t d) {
  mcl_array v;
  int64_t shape[4] = {a, b, c, d};
  mcl_array_init(&v, data, dtype, ndim, shape);
  return v;
}

static inline mcl_array matrix(void *data, int32_t dtype, int64_t rows, int64_t cols) {
  return view(data, dtype, 2, rows, cols, 1, 1);
}

// "directory/name"; static storage of four.
static inline const char *in(const char *directory, const char *name) {
  static char paths[4][8400];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", directory, name);
  return path;
}

static inline void write_file(const char *path, const void *bytes, size_t n) {
  // Some file systems flush a file that is truncated and written again, which takes its time.
  remove(path);
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
  ck_assert_int_eq(fclose(f), 0);
}

static inline unsigned char *read_file(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f != NULL, "cannot open %s", path);
  unsigned char *bytes = malloc(1 << 14);
  *n = fread(bytes, 1, 1 << 14, f);
  ck_assert_uint_lt(*n, 1 << 14);
  fclose(f);
  return bytes;
}

static inline int count_files(const char *directory) {
  mcl_context *c = test_context(1);
  mcli_listing l = {0};
  mcl_error err;
  CHECK_OK(mcli_directory_list(c, directory, &l, &err));
  int n = (int)l.n;
  mcli_listing_free(c, &l);
  mcl_context_unref(c);
  return n;
}

// numpy has the last word on what we wrote, where there is numpy.
static inline void check_with_python(const char *what, const char *directory) {
  char command[9000];
  snprintf(command, sizeof command, "/usr/bin/python3 '%s' %s '%s'",
           test_path("store/read_back.py"), what, directory);
  int status = system(command);
  if (!WIFEXITED(status) || WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127) return;
  ck_assert_msg(WEXITSTATUS(status) == 0, "read_back.py: exit %d", WEXITSTATUS(status));
}

// Fails the n-th request of `body` for n = 1, 2, … and then of all from the n-th on, until it
// succeeds. body is an expression, mcl_status, that uses c. It must give MCL_E_NOMEM and leave as
// many blocks as there were.
#define FOR_EVERY_ALLOCATION(allocator, body)                                                      \
  for (int for_ever = 0; for_ever < 2; for_ever++)                                                 \
    for (int64_t at = 1, more = 1; more; at++) {                                                   \
      int64_t live = (allocator)->live;                                                            \
      (allocator)->for_ever = for_ever;                                                            \
      (allocator)->fail_at = at;                                                                   \
      mcl_status status = (body);                                                                  \
      more = status != MCL_OK;                                                                     \
      (allocator)->fail_at = 0;                                                                    \
      if (more) {                                                                                  \
        ck_assert_msg(status == MCL_E_NOMEM, "request %d: %s", (int)at, err.message);              \
        ck_assert_int_eq((allocator)->live, live);                                                 \
      }                                                                                            \
    }

#endif
