// Every save and every load of the public interface, with each of its file calls failing in turn.
//
// After a save that failed, the old state is there bit for bit, and loads; but where the last thing failed, what follows the rename
// that makes the new state valid, the new one loads. Nothing else is left, no descriptor is open, and the same
// call succeeds when the disk is well again, with the bytes of a call that was not disturbed.
#include "support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "faults/bench.h"

static mcl_error err;

static int holds(bench *b, int version) {
  files_tree now = files_read_tree(b->directory);
  int same = files_same_tree(&now, &b->tree[version]);
  files_tree_free(&now);
  return same;
}

#define SITE                    "%s, %s, call %lld (%s): "
#define SITE_OF(b, f, n, which) (b)->k->name, (f)->name, (long long)(n), files_kind_name(which)

// One call of save with the n-th call failing: 0 when there was no n-th call.
static int save_fails(bench *b, const fault *f, int64_t n) {
  files_write_tree(b->directory, &b->tree[0]);
  int open_before = files_descriptors();
  files_fail(n, f->calls, f->what, f->for_ever);
  mcl_status s = b->k->save(b->thing[1], b->directory, &err);
  int failed = files_failed() > 0, which = files_failed_kind();
  files_fail(0, 0, 0, 0);
  if (!failed) {
    ck_assert_msg(s == MCL_OK, SITE "%s", SITE_OF(b, f, n, which), err.message);
    return 0;
  }
  b->sites++;
  ck_assert_msg(files_descriptors() == open_before, SITE "a descriptor is lost",
                SITE_OF(b, f, n, which));
  ck_assert_msg(s == MCL_OK || !f->survived, SITE "%s", SITE_OF(b, f, n, which), err.message);
  if (s != MCL_OK) {
    ck_assert_msg(s == MCL_E_IO, SITE "%s: %s", SITE_OF(b, f, n, which), mcl_status_name(s),
                  err.message);
    ck_assert_msg(strstr(err.message, b->word) != NULL, SITE "it does not name the file: %s",
                  SITE_OF(b, f, n, which), err.message);
  }
  // What cannot be removed stays.
  int may_stay = f->for_ever || which == CALL_REMOVE;
  ck_assert_msg(may_stay || files_parts(b->directory) == 0, SITE "a part is left",
                SITE_OF(b, f, n, which));
  int version = bench_loaded(b, &err);
  ck_assert_msg(version >= 0, SITE "neither loads: %s", SITE_OF(b, f, n, which), err.message);
  ck_assert_msg(s != MCL_OK || version == 1, SITE "it says that all went well",
                SITE_OF(b, f, n, which));
  ck_assert_msg(may_stay || version == 1 || holds(b, 0), SITE "the old files are changed",
                SITE_OF(b, f, n, which));
  mcl_status again = b->k->save(b->thing[1], b->directory, &err);
  ck_assert_msg(again == MCL_OK, SITE "not a second time: %s", SITE_OF(b, f, n, which),
                err.message);
  ck_assert_msg(holds(b, 1), SITE "the second time it is another", SITE_OF(b, f, n, which));
  return 1;
}

static int load_fails(bench *b, const fault *f, int64_t n) {
  seen s = {0};
  int open_before = files_descriptors();
  files_fail(n, f->calls, f->what, f->for_ever);
  mcl_status status = b->k->load(b->c, b->directory, &s, &err);
  int failed = files_failed() > 0, which = files_failed_kind();
  files_fail(0, 0, 0, 0);
  if (!failed) {
    ck_assert_msg(status == MCL_OK, SITE "%s", SITE_OF(b, f, n, which), err.message);
    return 0;
  }
  b->sites++;
  ck_assert_msg(files_descriptors() == open_before, SITE "a descriptor is lost",
                SITE_OF(b, f, n, which));
  ck_assert_msg(status == MCL_OK || !f->survived, SITE "%s", SITE_OF(b, f, n, which), err.message);
  if (status == MCL_OK)
    ck_assert_msg(memcmp(&s, &b->looks[1], sizeof s) == 0, SITE "it loads something else",
                  SITE_OF(b, f, n, which));
  if (status != MCL_OK) {
    ck_assert_msg(status == MCL_E_IO, SITE "%s: %s", SITE_OF(b, f, n, which),
                  mcl_status_name(status), err.message);
    ck_assert_msg(strstr(err.message, b->word) != NULL, SITE "it does not name the file: %s",
                  SITE_OF(b, f, n, which), err.message);
  }
  int may_stay = f->for_ever || which == CALL_REMOVE;
  ck_assert_msg(may_stay || holds(b, 1), SITE "a load changes files", SITE_OF(b, f, n, which));
  ck_assert_msg(bench_loaded(b, &err) == 1, SITE "not a second time: %s", SITE_OF(b, f, n, which),
                err.message);
  return 1;
}

START_TEST(a_save_that_fails_leaves_the_old_state_or_the_new) {
  bench b;
  bench_open(&b, kind_at(_i));
  for (int f = 0; f < faults_count; f++) {
    files_fail(INT64_MAX, faults[f].calls, 0, 0);
    CHECK_OK(b.k->save(b.thing[1], b.directory, &err));
    int64_t calls = files_calls();
    for (int64_t n = 1; save_fails(&b, &faults[f], n); n = files_next(n, calls)) {}
  }
  ck_assert_int_ge(b.sites, 40);
  bench_close(&b);
}
END_TEST

START_TEST(a_load_that_fails_changes_nothing) {
  bench b;
  bench_open(&b, kind_at(_i));
  for (int f = 0; f < faults_count; f++) {
    files_fail(INT64_MAX, faults[f].calls, 0, 0);
    ck_assert_int_eq(bench_loaded(&b, &err), 1);
    int64_t calls = files_calls();
    for (int64_t n = 1; load_fails(&b, &faults[f], n); n = files_next(n, calls)) {}
  }
  ck_assert_int_ge(b.sites, 6);
  bench_close(&b);
}
END_TEST

// An argument: only the kind of that name.
int main(int argc, char **argv) {
  TCase *c = tcase_create("saves");
  kinds_add_loop(c, a_save_that_fails_leaves_the_old_state_or_the_new, argc, argv);
  kinds_add_loop(c, a_load_that_fails_changes_nothing, argc, argv);
  return test_run_case("saves", c);
}
