#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"

static mcl_context *c;
static mcl_error err;

static const char *in(const char *directory, const char *name) {
  static char path[8300];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

START_TEST(what_is_written_is_read) {
  c = test_context(1);
  const char *d = test_directory("file");
  CHECK_OK(mcli_file_write_all(c, in(d, "x"), "hello", 5, &err));
  unsigned char *bytes = NULL;
  int64_t n = 0;
  CHECK_OK(mcli_file_read_all(c, in(d, "x"), 100, &bytes, &n, &err));
  ck_assert_int_eq(n, 5);
  ck_assert_str_eq((char *)bytes, "hello");
  mcli_free(c, bytes);
  CHECK_OK(mcli_file_read_all(c, in(d, "x"), 5, &bytes, &n, &err)); // just within the limit
  mcli_free(c, bytes);
  CHECK_FAILS(MCL_E_LIMIT, "limit is 4", mcli_file_read_all(c, in(d, "x"), 4, &bytes, &n, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere",
              mcli_file_read_all(c, in(d, "nowhere"), 4, &bytes, &n, &err));
  CHECK_FAILS(MCL_E_IO, "regular", mcli_file_read_all(c, d, 4, &bytes, &n, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(an_aborted_write_leaves_the_old_file_and_nothing_else) {
  c = test_context(1);
  const char *d = test_directory("abort");
  CHECK_OK(mcli_file_write_all(c, in(d, "x"), "old", 3, &err));
  mcli_writer w;
  CHECK_OK(mcli_writer_open(c, in(d, "x"), &w, &err));
  CHECK_OK(mcli_writer_at(&w, 0, "new", 3, &err));
  mcli_writer_abort(&w);
  mcli_listing l;
  CHECK_OK(mcli_directory_list(c, d, &l, &err));
  ck_assert_int_eq(l.n, 1);
  mcli_listing_free(c, &l);
  unsigned char *bytes;
  int64_t n;
  CHECK_OK(mcli_file_read_all(c, in(d, "x"), 100, &bytes, &n, &err));
  ck_assert_str_eq((char *)bytes, "old");
  mcli_free(c, bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_full_disk_is_an_error_that_names_the_file) {
  if (!mcli_file_exists("/dev/full")) return;
  c = test_context(1);
  mcli_writer w = {.fd = -1};
  CHECK_OK(mcli_writer_open(c, in(test_directory("full"), "x"), &w, &err));
  FILE *full = fopen("/dev/full", "r+");
  int ours = w.fd;
  w.fd = fileno(full);
  mcl_status s = mcli_writer_at(&w, 0, "x", 1, &err);
  w.fd = ours;
  mcli_writer_abort(&w);
  fclose(full);
  ck_assert_int_eq(s, MCL_E_IO);
  ck_assert_ptr_nonnull(strstr(err.message, "No space"));
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_reader_finds_a_file_that_is_cut_short) {
  c = test_context(1);
  const char *d = test_directory("reader");
  CHECK_OK(mcli_file_write_all(c, in(d, "x"), "0123456789", 10, &err));
  mcli_reader r;
  char bytes[8];
  CHECK_OK(mcli_reader_open(c, in(d, "x"), &r, &err));
  CHECK_OK(mcli_reader_at(&r, 4, bytes, 6, &err));
  ck_assert_mem_eq(bytes, "456789", 6);
  CHECK_FAILS(MCL_E_IO, "cut short", mcli_reader_at(&r, 4, bytes, 7, &err));
  mcli_reader_close(&r);
  mcl_context_unref(c);
}
END_TEST

START_TEST(gzip_is_unpacked_and_bounded_and_damage_is_found) {
  c = test_context(1);
  const char *d = test_directory("gz");
  enum { N = 300000 };
  unsigned char *data = calloc(N, 1), *bytes = NULL;
  int64_t n = 0;
  for (int i = 0; i < N; i++) data[i] = (unsigned char)((int64_t)i * i >> 3);
  for (int members = 0; members < 2; members++) {
    gzFile z = gzopen(in(d, "x.gz"), members ? "ab" : "wb");
    ck_assert_int_eq(gzwrite(z, data + members * N / 2, N / 2), N / 2);
    gzclose(z);
  }
  CHECK_OK(mcli_file_read_all_gz(c, in(d, "x.gz"), 1 << 20, &bytes, &n, &err));
  ck_assert_int_eq(n, N);
  ck_assert_mem_eq(bytes, data, N);
  mcli_free(c, bytes);
  CHECK_OK(mcli_file_read_all_gz(c, in(d, "x.gz"), N, &bytes, &n, &err)); // just within
  mcli_free(c, bytes);
  CHECK_FAILS(MCL_E_LIMIT, "unpacks",
              mcli_file_read_all_gz(c, in(d, "x.gz"), N - 1, &bytes, &n, &err));
  CHECK_OK(mcli_file_read_all(c, in(d, "x.gz"), 1 << 20, &bytes, &n, &err));
  CHECK_OK(mcli_file_write_all(c, in(d, "short.gz"), bytes, n / 2, &err));
  bytes[n / 3] ^= 0x55;
  CHECK_OK(mcli_file_write_all(c, in(d, "bad.gz"), bytes, n, &err));
  mcli_free(c, bytes);
  CHECK_FAILS(MCL_E_FORMAT, "short.gz",
              mcli_file_read_all_gz(c, in(d, "short.gz"), 1 << 20, &bytes, &n, &err));
  CHECK_FAILS(MCL_E_FORMAT, "bad.gz",
              mcli_file_read_all_gz(c, in(d, "bad.gz"), 1 << 20, &bytes, &n, &err));
  free(data);
  // Its first two bytes alone are a gzip file that ends; one of them is a file like others.
  CHECK_OK(mcli_file_write_all(c, in(d, "two.gz"), "\x1F\x8B", 2, &err));
  CHECK_FAILS(MCL_E_FORMAT, "two.gz",
              mcli_file_read_all_gz(c, in(d, "two.gz"), 9, &bytes, &n, &err));
  CHECK_OK(mcli_file_write_all(c, in(d, "one.gz"), "\x1F", 1, &err));
  CHECK_OK(mcli_file_read_all_gz(c, in(d, "one.gz"), 9, &bytes, &n, &err));
  ck_assert_int_eq(n, 1);
  mcli_free(c, bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(directories_are_made_whole_and_listed_in_order) {
  c = test_context(1);
  const char *d = test_directory("tree");
  char deep[8300];
  snprintf(deep, sizeof deep, "%s/a/b/c", d);
  CHECK_OK(mcli_directory_make(c, deep, &err));
  CHECK_OK(mcli_directory_make(c, deep, &err));
  CHECK_OK(mcli_file_write_all(c, in(d, "z"), "", 0, &err));
  CHECK_OK(mcli_file_write_all(c, in(d, "B"), "", 0, &err));
  mcli_listing l;
  CHECK_OK(mcli_directory_list(c, d, &l, &err));
  ck_assert_int_eq(l.n, 3);
  ck_assert_str_eq(l.entries[0].name, "B");
  ck_assert_str_eq(l.entries[1].name, "a");
  ck_assert_int_eq(l.entries[1].is_directory, 1);
  mcli_listing_free(c, &l);
  snprintf(deep, sizeof deep, "%s/z/under-a-file", d);
  ck_assert_int_eq(mcli_directory_make(c, deep, &err), MCL_E_IO);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_pipe_is_refused_at_once) {
  c = test_context(1);
  const char *d = test_directory("pipe");
  unsigned char *bytes;
  int64_t n;
  ck_assert_int_eq(mkfifo(in(d, "p"), 0600), 0);
  CHECK_FAILS(MCL_E_IO, "regular", mcli_file_read_all(c, in(d, "p"), 4, &bytes, &n, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_directory_reached_through_a_link_has_the_same_identity) {
  c = test_context(1);
  const char *d = test_directory("identity");
  char link[8300];
  uint64_t itself[2], through[2], other[2];
  snprintf(link, sizeof link, "%s/link", d);
  ck_assert_int_eq(symlink(".", link), 0);
  CHECK_OK(mcli_directory_make(c, in(d, "x"), &err));
  CHECK_OK(mcli_directory_identity(d, itself, &err));
  CHECK_OK(mcli_directory_identity(link, through, &err));
  CHECK_OK(mcli_directory_identity(in(d, "x"), other, &err));
  ck_assert_mem_eq(itself, through, sizeof itself);
  ck_assert_mem_ne(itself, other, sizeof itself);
  CHECK_FAILS(MCL_E_NOT_FOUND, "/y", mcli_directory_identity(in(d, "y"), other, &err));
  mcl_context_unref(c);
}
END_TEST

// Memory that still holds the name of somebody's file, where block headers end.
static const char *leftover;
static void *alloc_with_leftover(void *user, size_t size, size_t alignment) {
  test_allocator *a = user;
  void *p = NULL;
  if (--a->fail_at == 0 || posix_memalign(&p, alignment, size)) return NULL;
  for (size_t at = 0; at + strlen(leftover) < size; at += 64)
    memcpy((char *)p + at, leftover, strlen(leftover) + 1);
  return p;
}

START_TEST(a_writer_without_memory_removes_nobodys_file) {
  test_allocator a;
  test_allocator_init(&a);
  a.table.alloc = alloc_with_leftover;
  leftover = "precious"; // shorter than the 64 bytes between two copies
  const char *d = test_directory("leftover");
  ck_assert_int_eq(chdir(d), 0);
  c = test_context_with(&a, 1);
  CHECK_OK(mcli_file_write_all(c, leftover, "x", 1, &err));
  for (int64_t at = 1; at <= 2; at++) {
    mcli_writer w;
    a.fail_at = at;
    CHECK_FAILS(MCL_E_NOMEM, "path", mcli_writer_open(c, "other", &w, &err));
    ck_assert_int_eq(mcli_file_exists(leftover), 1);
  }
  a.fail_at = 0;
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("base", what_is_written_is_read, an_aborted_write_leaves_the_old_file_and_nothing_else,
          a_full_disk_is_an_error_that_names_the_file, a_reader_finds_a_file_that_is_cut_short,
          gzip_is_unpacked_and_bounded_and_damage_is_found,
          directories_are_made_whole_and_listed_in_order, a_pipe_is_refused_at_once,
          a_directory_reached_through_a_link_has_the_same_identity,
          a_writer_without_memory_removes_nobodys_file)
