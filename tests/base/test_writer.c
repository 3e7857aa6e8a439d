// What is written whole or not at all, from outside: where the bytes go, whose permissions they get, what is left behind.
// tests/faults has what happens when the system refuses, and when the process is killed.
#include "support/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static mcl_context *c;
static mcl_error err;
static const char *d;

static void begin(const char *name) {
  c = test_context(1);
  d = test_directory(name);
  ck_assert_int_eq(chdir(d), 0);
}

static void put(const char *path, const char *text) {
  CHECK_OK(mcli_file_write_all(c, path, text, (int64_t)strlen(text), &err));
}

static void check_text(const char *path, const char *wanted) {
  unsigned char *bytes;
  int64_t n;
  CHECK_OK(mcli_file_read_all(c, path, 1 << 20, &bytes, &n, &err));
  ck_assert_str_eq((char *)bytes, wanted);
  mcli_free(c, bytes);
}

static int entries(void) {
  mcli_listing l;
  CHECK_OK(mcli_directory_list(c, ".", &l, &err));
  int n = (int)l.n;
  mcli_listing_free(c, &l);
  return n;
}

static int mode_of(const char *path) {
  struct stat st;
  ck_assert_int_eq(stat(path, &st), 0);
  return st.st_mode & 07777;
}

static int is_link(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

START_TEST(a_path_without_a_slash_is_of_the_directory_one_is_in) {
  begin("here");
  put("x", "one");
  put("./x", "two");
  check_text("x", "two");
  ck_assert_int_eq(entries(), 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_a_link_leads_to_is_replaced_and_the_link_stays) {
  begin("links");
  ck_assert_int_eq(mkdir("far", 0777), 0);
  put("far/x", "old");
  ck_assert_int_eq(symlink("far/x", "relative"), 0);
  ck_assert_int_eq(symlink("relative", "twice"), 0);
  put("twice", "new");
  check_text("far/x", "new");
  ck_assert(is_link("relative") && is_link("twice"));
  char absolute[4200];
  snprintf(absolute, sizeof absolute, "%s/far/made", d);
  ck_assert_int_eq(symlink(absolute, "to_nothing"), 0);
  put("to_nothing", "made");
  check_text("far/made", "made");
  ck_assert_int_eq(symlink("round", "round"), 0);
  CHECK_FAILS(MCL_E_IO, "round: Too many levels", mcli_file_write_all(c, "round", "x", 1, &err));
  ck_assert_int_eq(entries(), 5);
  mcl_context_unref(c);
}
END_TEST

START_TEST(as_many_links_are_followed_as_the_system_follows) {
  begin("chain");
  char from[16], to[16];
  for (int i = 1; i <= 41; i++) {
    snprintf(from, sizeof from, "link%d", i);
    snprintf(to, sizeof to, i == 1 ? "x" : "link%d", i - 1);
    ck_assert_int_eq(symlink(to, from), 0);
  }
  put("link40", "far");
  check_text("x", "far");
  check_text("link40", "far");
  CHECK_FAILS(MCL_E_IO, "link41: Too many levels", mcli_file_write_all(c, "link41", "x", 1, &err));
  unsigned char *bytes;
  int64_t n;
  CHECK_FAILS(MCL_E_IO, "link41: Too many levels",
              mcli_file_read_all(c, "link41", 9, &bytes, &n, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_that_is_replaced_keeps_its_permissions) {
  begin("modes");
  mode_t was = umask(022);
  put("new", "x");
  ck_assert_int_eq(mode_of("new"), 0644);
  static const mode_t modes[] = {0600, 0400, 0666, 0751};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    ck_assert_int_eq(chmod("new", modes[i]), 0);
    mcli_writer w;
    CHECK_OK(mcli_writer_open(c, "new", &w, &err));
    // Nor is it open to more while it is written.
    ck_assert_int_eq(mode_of(w.temporary) & 077 & ~(int)modes[i], 0);
    CHECK_OK(mcli_writer_at(&w, 0, "y", 1, &err));
    CHECK_OK(mcli_writer_commit(&w, &err));
    ck_assert_int_eq(mode_of("new"), modes[i]);
  }
  umask(was);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_directory_or_a_device_is_not_replaced) {
  begin("others");
  ck_assert_int_eq(mkdir("folder", 0777), 0);
  ck_assert_int_eq(mkfifo("pipe", 0666), 0);
  CHECK_FAILS(MCL_E_IO, "folder is there and is not a regular file",
              mcli_file_write_all(c, "folder", "x", 1, &err));
  CHECK_FAILS(MCL_E_IO, "pipe", mcli_file_write_all(c, "pipe", "x", 1, &err));
  CHECK_FAILS(MCL_E_IO, "folder/", mcli_file_write_all(c, "folder/", "x", 1, &err));
  // The superuser could replace it, and with it everybody's.
  CHECK_FAILS(MCL_E_IO, "/dev/null", mcli_file_write_all(c, "/dev/null", "x", 1, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "", mcli_file_write_all(c, "", "x", 1, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere/x", mcli_file_write_all(c, "nowhere/x", "x", 1, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "create", mcli_directory_make(c, "", &err));
  ck_assert_int_eq(entries(), 2);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_name_may_be_as_long_as_the_file_system_lets_it) {
  begin("long_names");
  static const int lengths[] = {238, 239, 240, 254, 255};
  char name[300];
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    memset(name, 'a', sizeof name);
    name[lengths[i]] = 0;
    put(name, "x");
    check_text(name, "x");
    // Cut at a whole character: two bytes each, and an odd one in front.
    for (int k = 1; k + 1 < lengths[i]; k += 2) memcpy(name + k, "\xc3\xa4", 2);
    mcli_writer w;
    CHECK_OK(mcli_writer_open(c, name, &w, &err));
    size_t cut = strlen(w.temporary) - strlen(".0.part");
    ck_assert_uint_le(strlen(w.temporary), 255);
    ck_assert((w.temporary[cut - 1] & 0xC0) == 0x80 || cut == strlen(name));
    CHECK_OK(mcli_writer_commit(&w, &err));
  }
  ck_assert_int_eq(entries(), 10);
  memset(name, 'a', sizeof name);
  name[256] = 0;
  CHECK_FAILS(MCL_E_IO, "aaa", mcli_file_write_all(c, name, "x", 1, &err));
  ck_assert_int_eq(entries(), 10);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_path_of_over_4096_bytes_is_an_error_that_begins_with_it) {
  begin("long_paths");
  char *path = calloc(6000, 1);
  for (int i = 0; i < 2900; i++) memcpy(path + 2 * i, "./", 2);
  strcat(path, "x");
  CHECK_FAILS(MCL_E_IO, "./././", mcli_file_write_all(c, path, "x", 1, &err));
  CHECK_FAILS(MCL_E_IO, "./././", mcli_directory_make(c, path, &err));
  unsigned char *bytes;
  int64_t n;
  CHECK_FAILS(MCL_E_IO, "./././", mcli_file_read_all(c, path, 9, &bytes, &n, &err));
  // The longest that there can be with a part beside it.
  path[4080] = 'x', path[4081] = 0;
  put(path, "long");
  check_text("x", "long");
  ck_assert_int_eq(entries(), 1);
  free(path);
  mcl_context_unref(c);
}
END_TEST

START_TEST(two_writers_of_one_file_have_a_part_each) {
  begin("two_writers");
  mcli_writer w[3];
  static const char *const texts[] = {"first", "second", "third"};
  for (int i = 0; i < 3; i++) {
    CHECK_OK(mcli_writer_open(c, "x", &w[i], &err));
    CHECK_OK(mcli_writer_at(&w[i], 0, texts[i], 6, &err));
  }
  ck_assert_int_eq(entries(), 3);
  CHECK_OK(mcli_writer_commit(&w[1], &err));
  check_text("x", "second");
  mcli_writer_abort(&w[2]);
  CHECK_OK(mcli_writer_commit(&w[0], &err));
  check_text("x", "first");
  ck_assert_int_eq(entries(), 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_dead_writers_part_is_removed_and_a_living_ones_is_left_alone) {
  begin("dead");
  for (int i = 0; i < 3; i++) { // as a killed process leaves them
    int fd = open("x.0.part", O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "a good deal longer", 18), 18);
    close(fd);
    put("x", "new");
    check_text("x", "new");
    ck_assert_int_eq(entries(), 1);
  }
  int fd = open("x.0.part", O_WRONLY | O_CREAT, 0600);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  ck_assert_int_eq(write(fd, "alive", 5), 5);
  put("x", "newer");
  check_text("x", "newer");
  check_text("x.0.part", "alive");
  ck_assert_int_eq(entries(), 2);
  close(fd);
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_is_no_part_of_ours_is_in_nobodys_way) {
  begin("in_the_way");
  put("precious", "kept");
  ck_assert_int_eq(mkdir("x.0.part", 0777), 0);
  ck_assert_int_eq(symlink("precious", "x.1.part"), 0);
  put("x", "new");
  check_text("x", "new");
  check_text("precious", "kept");
  ck_assert_int_eq(entries(), 4);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("base", a_path_without_a_slash_is_of_the_directory_one_is_in,
          what_a_link_leads_to_is_replaced_and_the_link_stays,
          as_many_links_are_followed_as_the_system_follows,
          a_file_that_is_replaced_keeps_its_permissions, a_directory_or_a_device_is_not_replaced,
          a_name_may_be_as_long_as_the_file_system_lets_it,
          a_path_of_over_4096_bytes_is_an_error_that_begins_with_it,
          two_writers_of_one_file_have_a_part_each,
          a_dead_writers_part_is_removed_and_a_living_ones_is_left_alone,
          what_is_no_part_of_ours_is_in_nobodys_way)
