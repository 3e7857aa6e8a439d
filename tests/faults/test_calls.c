// What lib/base makes of an answer of the system, one function and one call at a time. test_saves.c has what whole saves make of it.
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "encoder/folder.h"
#include "faults/files.h"

static mcl_context *c;
static mcl_error err;
static const char *d;

static void begin(const char *name) {
  c = test_context(1);
  d = test_directory(name);
  ck_assert_int_eq(chdir(d), 0);
  files_fail(0, 0, 0, 0);
}

static void end(void) {
  files_fail(0, 0, 0, 0);
  mcl_context_unref(c);
}

// The first call of this kind from now meets the fault.
static void meets(int kind, int fault) {
  files_fail(1, 1u << kind, fault, 0);
}

static void put(const char *path, const char *text) {
  CHECK_OK(mcli_file_write_all(c, path, text, (int64_t)strlen(text), &err));
}

static int64_t size_of(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

// ---- files -----------------------------------------------------------------------------------------

START_TEST(a_write_that_takes_nothing_and_gives_no_reason_is_a_full_disk) {
  begin("nothing");
  put("x", "old");
  for (int for_ever = 0; for_ever < 2; for_ever++) {
    files_fail(1, 1 << CALL_WRITE, FAULT_NOTHING, for_ever);
    CHECK_FAILS(MCL_E_IO, "x: No space", mcli_file_write_all(c, "x", "longer", 6, &err));
    ck_assert_int_eq(files_calls(), 1); // asked once
    files_fail(0, 0, 0, 0);
    ck_assert_int_eq(size_of("x"), 3);
    ck_assert_int_eq(files_parts("."), 0);
  }
  // Nor is it asked again because of what an earlier call has left in errno.
  mcli_writer w;
  CHECK_OK(mcli_writer_open(c, "x", &w, &err));
  meets(CALL_WRITE, FAULT_NOTHING);
  errno = EINTR;
  CHECK_FAILS(MCL_E_IO, "x: No space", mcli_writer_at(&w, 0, "longer", 6, &err));
  mcli_writer_abort(&w);
  end();
}
END_TEST

START_TEST(a_write_and_a_read_go_on_where_the_system_stopped) {
  begin("pieces");
  char text[64], back[64] = {0};
  for (int i = 0; i < 64; i++) text[i] = (char)('0' + i);
  static const int faults[] = {FAULT_ONE_BYTE, FAULT_HALF, EINTR};
  for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
    mcli_writer w;
    mcli_reader r;
    CHECK_OK(mcli_writer_open(c, "x", &w, &err));
    meets(CALL_SIZE, EINTR);
    CHECK_OK(mcli_writer_size(&w, 64, &err));
    files_fail(1, 1 << CALL_WRITE, faults[f], faults[f] != EINTR);
    CHECK_OK(mcli_writer_at(&w, 32, text + 32, 32, &err));
    CHECK_OK(mcli_writer_at(&w, 0, text, 32, &err));
    CHECK_OK(mcli_writer_commit(&w, &err));
    CHECK_OK(mcli_reader_open(c, "x", &r, &err));
    files_fail(1, 1 << CALL_READ, faults[f], faults[f] != EINTR);
    CHECK_OK(mcli_reader_at(&r, 1, back + 1, 63, &err));
    CHECK_OK(mcli_reader_at(&r, 0, back, 1, &err));
    ck_assert_mem_eq(back, text, 64);
    mcli_reader_close(&r);
  }
  end();
}
END_TEST

// Over a network the first try may have done it.
START_TEST(a_move_whose_answer_is_lost_has_been_made) {
  begin("moves");
  put("a", "x");
  meets(CALL_RENAME, FAULT_NO_ANSWER);
  CHECK_OK(mcli_file_move("a", "b", &err));
  ck_assert_int_eq(size_of("b"), 1);
  // Nothing was there to be moved, though something is where it would have gone.
  CHECK_FAILS(MCL_E_NOT_FOUND, "cannot rename a", mcli_file_move("a", "b", &err));
  meets(CALL_RENAME, EINTR);
  CHECK_FAILS(MCL_E_NOT_FOUND, "cannot rename a", mcli_file_move("a", "c", &err));
  meets(CALL_RENAME, EINTR);
  CHECK_OK(mcli_file_move("b", "c", &err));
  meets(CALL_RENAME, EIO);
  CHECK_FAILS(MCL_E_IO, "cannot rename c", mcli_file_move("c", "d", &err));
  meets(CALL_REMOVE, FAULT_NO_ANSWER);
  CHECK_OK(mcli_file_remove("c", &err));
  ck_assert_int_eq(size_of("c"), -1);
  end();
}
END_TEST

START_TEST(a_file_of_no_bytes_has_a_hash_and_another_file_has_another_identity) {
  begin("hashes");
  uint64_t empty = 0, x = 0, y = 0;
  mcli_identity before, after;
  put("empty", "");
  put("x", "one");
  CHECK_OK(mcli_file_hash(c, "empty", 0, &empty, NULL, &err));
  ck_assert_uint_ne(empty, 0); // 0 is none
  CHECK_OK(mcli_file_hash(c, "x", 0, &x, &before, &err));
  ck_assert_int_eq(mcli_file_is("x", &before), 1);
  ck_assert_int_eq(mcli_file_is("empty", &before), 0);
  ck_assert_int_eq(mcli_file_is("nowhere", &before), 0);
  put("x", "one"); // the same bytes, another file
  CHECK_OK(mcli_file_hash(c, "x", 0, &y, &after, &err));
  ck_assert_uint_eq(x, y);
  ck_assert_int_eq(mcli_file_is("x", &before), 0);
  ck_assert_int_eq(mcli_file_is("x", &after), 1);
  // Flushed where that is asked for.
  meets(CALL_FLUSH, EIO);
  CHECK_OK(mcli_file_hash(c, "x", 0, &y, NULL, &err));
  CHECK_FAILS(MCL_E_IO, "x", mcli_file_hash(c, "x", 1, &y, NULL, &err));
  files_fail(2, 1 << CALL_STAT, EIO, 0); // the first is of opening it
  CHECK_OK(mcli_file_hash(c, "x", 0, &y, NULL, &err));
  files_fail(2, 1 << CALL_STAT, EIO, 0);
  CHECK_FAILS(MCL_E_IO, "x", mcli_file_hash(c, "x", 0, &y, &after, &err));
  end();
}
END_TEST

// A file of two blocks and a byte: hashed as read.
START_TEST(a_byte_anywhere_in_a_file_changes_its_hash) {
  begin("blocks");
  enum { N = 2 * 256 * 1024 + 1 };
  static char bytes[N];
  uint64_t was = 0;
  static const int places[] = {0, N / 2 - 1, N / 2, N - 2, N - 1};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    uint64_t is = 0;
    bytes[places[i]] = 1;
    CHECK_OK(mcli_file_write_all(c, "x", bytes, N, &err));
    CHECK_OK(mcli_file_hash(c, "x", 0, &is, NULL, &err));
    ck_assert_uint_ne(is, was);
    was = is;
  }
  end();
}
END_TEST

START_TEST(what_cannot_be_looked_at_may_be_there_and_what_is_not_there_is_not) {
  begin("absent");
  static const int absences[] = {ENOENT, ENOTDIR, ELOOP, EACCES};
  int is = -1;
  put("x", "three");
  ck_assert_int_eq(mcli_file_may_have("x", 5), 1);
  ck_assert_int_eq(mcli_file_may_have("x", 6), 0);
  ck_assert_int_eq(mcli_file_may_have(".", 0), 0);
  for (size_t i = 0; i < sizeof absences / sizeof *absences; i++) {
    meets(CALL_STAT, absences[i]);
    ck_assert_int_eq(mcli_file_may_have("x", 5), 0);
    meets(CALL_STAT, absences[i]);
    CHECK_OK(mcli_directory_is(".", &is, &err));
    ck_assert_int_eq(is, 0);
  }
  meets(CALL_STAT, EIO);
  ck_assert_int_eq(mcli_file_may_have("x", 5), 1);
  meets(CALL_STAT, EIO);
  CHECK_FAILS(MCL_E_IO, "look at .", mcli_directory_is(".", &is, &err));
  CHECK_OK(mcli_directory_is(".", &is, &err));
  ck_assert_int_eq(is, 1);
  end();
}
END_TEST

// ---- directories -----------------------------------------------------------------------------------

START_TEST(only_a_file_system_without_flushes_of_directories_may_refuse_one) {
  begin("flushes");
  static const int without[] = {EINVAL, EROFS, ENOTSUP, EINTR};
  for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
    meets(CALL_FLUSH, without[i]);
    CHECK_OK(mcli_directory_sync(".", &err));
    ck_assert_int_eq(files_failed(), 1);
  }
  int open = files_descriptors();
  meets(CALL_FLUSH, EIO);
  CHECK_FAILS(MCL_E_IO, "flush .", mcli_directory_sync(".", &err));
  ck_assert_int_eq(files_descriptors(), open);
  // Nobody who may write there but not read can flush it.
  meets(CALL_OPEN, EACCES);
  CHECK_OK(mcli_directory_sync(".", &err));
  meets(CALL_OPEN, EMFILE);
  CHECK_FAILS(MCL_E_IO, "open .", mcli_directory_sync(".", &err));
  end();
}
END_TEST

START_TEST(where_there_are_no_locks_a_save_goes_on_without_at_once) {
  begin("locks");
  int lock = 0, open = files_descriptors();
  files_fail(1, 1 << CALL_LOCK, ENOLCK, 1);
  CHECK_OK(mcli_directory_lock(".", &lock, &err));
  ck_assert_int_eq(lock, -1);
  ck_assert_int_eq(files_calls(), 1);
  mcli_directory_unlock(lock);
  ck_assert_int_eq(files_descriptors(), open);
  meets(CALL_LOCK, EIO);
  CHECK_FAILS(MCL_E_IO, "lock .", mcli_directory_lock(".", &lock, &err));
  ck_assert_int_eq(files_descriptors(), open);
  static const int later[] = {EINTR, EWOULDBLOCK};
  for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
    meets(CALL_LOCK, later[i]);
    CHECK_OK(mcli_directory_lock(".", &lock, &err));
    ck_assert_int_eq(files_calls(), 2);
    ck_assert_int_ge(lock, 0);
    mcli_directory_unlock(lock);
    ck_assert_int_eq(files_descriptors(), open);
  }
  end();
}
END_TEST

static int64_t seen(int kind) {
  int64_t n, found = 0;
  const files_event *events = files_events(&n);
  for (int64_t i = 0; i < n; i++) found += events[i].kind == kind;
  return found;
}

START_TEST(a_lock_that_nobody_lets_go_of_is_an_error_after_a_minute) {
  begin("held");
  int lock = 0, open = files_descriptors();
  files_fail(1, 1 << CALL_LOCK, EWOULDBLOCK, 1); // whose pauses are left out
  CHECK_FAILS(MCL_E_IO, "another save has held . for a minute",
              mcli_directory_lock(".", &lock, &err));
  ck_assert_int_eq(lock, -1);
  ck_assert_int_eq(files_calls(), 60 * 1000 / 5);
  ck_assert_int_eq(files_descriptors(), open);
  // What cannot be opened to be read is not locked.
  meets(CALL_OPEN, EACCES);
  CHECK_OK(mcli_directory_lock(".", &lock, &err));
  ck_assert_int_eq(lock, -1);
  ck_assert_int_eq(seen(CALL_LOCK), 0);
  end();
}
END_TEST

START_TEST(a_listing_is_whole_or_an_error) {
  begin("listing");
  mcli_listing l;
  char name[16];
  for (int i = 0; i < 9; i++) {
    snprintf(name, sizeof name, "f%d", i);
    put(name, "");
  }
  CHECK_OK(mcli_directory_list(c, ".", &l, &err));
  ck_assert_int_eq(l.n, 9);
  for (int i = 0; i < 9; i++) ck_assert_int_eq(l.entries[i].name[1], '0' + i);
  mcli_listing_free(c, &l);
  int open = files_descriptors();
  for (int64_t n = 1; n <= 11; n += 5) { // with . and ..
    files_fail(n, 1 << CALL_ENTRY, EIO, 0);
    CHECK_FAILS(MCL_E_IO, "read .", mcli_directory_list(c, ".", &l, &err));
    if (n > 9) continue;
    files_fail(n, 1 << CALL_STAT, EIO, 0);
    CHECK_FAILS(MCL_E_IO, "look at", mcli_directory_list(c, ".", &l, &err));
  }
  meets(CALL_LIST, EMFILE);
  CHECK_FAILS(MCL_E_IO, "open .", mcli_directory_list(c, ".", &l, &err));
  ck_assert_int_eq(files_descriptors(), open);
  end();
}
END_TEST

START_TEST(a_directory_that_another_makes_meanwhile_is_made) {
  begin("meanwhile");
  ck_assert_int_eq(mkdir("a", 0777), 0);
  // Not there when it is looked for, there when it is made.
  files_fail(1, 1 << CALL_STAT, ENOENT, 0);
  CHECK_OK(mcli_directory_make(c, "a", &err));
  meets(CALL_MKDIR, FAULT_NO_ANSWER);
  CHECK_OK(mcli_directory_make(c, "b/c", &err));
  meets(CALL_MKDIR, ENOSPC);
  CHECK_FAILS(MCL_E_IO, "create d", mcli_directory_make(c, "d/e", &err));
  put("x", "");
  CHECK_FAILS(MCL_E_IO, "x is not a directory", mcli_directory_make(c, "x", &err));
  end();
}
END_TEST

// What a killed save left there is not looked for then, so that a load may be of something else.
START_TEST(a_folder_of_encoders_that_cannot_be_listed_is_an_error) {
  begin("folder");
  CHECK_OK(mcli_folder_tidy(c, ".", "loop.safetensors", &err));
  meets(CALL_LIST, EIO);
  CHECK_FAILS(MCL_E_IO, "open .", mcli_folder_tidy(c, ".", "loop.safetensors", &err));
  end();
}
END_TEST

// ---- descriptor 0 ----------------------------------------------------------------------------------

// What a daemon that has closed its standard input gets next.
static int free_descriptor_0(void) {
  int kept = dup(0);
  if (kept >= 0) close(0);
  return kept;
}

static void take_back(int kept) {
  if (kept >= 0) dup2(kept, 0), close(kept);
}

static int is_free_0(void) {
  return fcntl(0, F_GETFD) < 0;
}

START_TEST(descriptor_0_is_one_like_the_others) {
  begin("zero");
  put("x", "old");
  int kept = free_descriptor_0(), lock = -1;
  uint64_t hash;
  unsigned char *bytes;
  int64_t n;
  mcli_writer w;
  put("x", "new"); // the part
  ck_assert(is_free_0());
  CHECK_OK(mcli_file_read_all(c, "x", 9, &bytes, &n, &err));
  ck_assert_str_eq((char *)bytes, "new");
  mcli_free(c, bytes);
  ck_assert(is_free_0());
  CHECK_OK(mcli_file_hash(c, "x", 1, &hash, NULL, &err));
  ck_assert(is_free_0());
  close(open("x.0.part", O_WRONLY | O_CREAT, 0600)); // a dead writer's
  put("x", "newer");
  ck_assert(is_free_0());
  ck_assert_int_eq(files_parts("."), 0);
  CHECK_OK(mcli_writer_open(c, "x", &w, &err));
  ck_assert_int_eq(w.fd, 0);
  mcli_writer_abort(&w);
  ck_assert(is_free_0());
  // The directory, which is flushed.
  meets(CALL_FLUSH, EIO);
  CHECK_FAILS(MCL_E_IO, "flush .", mcli_directory_sync(".", &err));
  ck_assert(is_free_0());
  CHECK_OK(mcli_directory_lock(".", &lock, &err));
  ck_assert_int_eq(lock, 0);
  mcli_directory_unlock(lock);
  ck_assert(is_free_0());
  take_back(kept);
  CHECK_OK(mcli_writer_open(c, "x", &w, &err));
  kept = free_descriptor_0();
  CHECK_OK(mcli_writer_commit(&w, &err));
  ck_assert(is_free_0());
  take_back(kept);
  end();
}
END_TEST

RUN_TESTS("faults", a_write_that_takes_nothing_and_gives_no_reason_is_a_full_disk,
          a_write_and_a_read_go_on_where_the_system_stopped,
          a_move_whose_answer_is_lost_has_been_made,
          a_file_of_no_bytes_has_a_hash_and_another_file_has_another_identity,
          a_byte_anywhere_in_a_file_changes_its_hash,
          what_cannot_be_looked_at_may_be_there_and_what_is_not_there_is_not,
          only_a_file_system_without_flushes_of_directories_may_refuse_one,
          where_there_are_no_locks_a_save_goes_on_without_at_once,
          a_lock_that_nobody_lets_go_of_is_an_error_after_a_minute, a_listing_is_whole_or_an_error,
          a_directory_that_another_makes_meanwhile_is_made,
          a_folder_of_encoders_that_cannot_be_listed_is_an_error,
          descriptor_0_is_one_like_the_others)
