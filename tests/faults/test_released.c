// Files that a released version wrote are read by this one, and mean the same. make_released.c wrote them.
//
// Whole numbers (labels, tokens, sizes, pixels) must be equal: what follows is less than 1 for all of them. Floats come of
// sums whose order is the processor's matter: vectors of 4 to 16, fused or not. The sums here are of at most some hundred
// terms of float32 of the size of 1, so orders differ by some 1e-6; a step of the optimiser lies between the first look and
// the second, which divides by the root of a second moment and may make ten times as much of it. The files hold seven
// digits. Ten times that again, 1e-4, is seen as equal; a weight that is lost, or that takes another's place, changes a
// hundredth or more.
#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/files.h"
#include "faults/kinds.h"
#include "faults/run.h"

static mcl_error err;

static const char *const versions[] = {"0.1"};
enum { N_VERSIONS = sizeof versions / sizeof *versions };
static const double TOLERANCE = 1e-4;

static const char *released(const char *version, const char *name) {
  char relative[200];
  snprintf(relative, sizeof relative, "golden/released/%s/%s", version, name);
  return test_path(relative);
}

static void read_seen(const char *directory, seen *s) {
  char path[4400];
  snprintf(path, sizeof path, "%s/seen.txt", directory);
  FILE *f = fopen(path, "r");
  ck_assert_msg(f != NULL, "no %s", path);
  for (s->n = 0; s->n < SEEN && fscanf(f, "%lf", &s->x[s->n]) == 1;) s->n++;
  fclose(f);
}

// A load may write beside what it reads: it is given a copy.
static const char *copy_of(const char *version, const char *name) {
  static char directory[4300];
  snprintf(directory, sizeof directory, "%s", test_directory(name));
  files_tree tree = files_read_tree(released(version, name));
  ck_assert_msg(tree.n > 0, "nothing in %s", released(version, name));
  files_write_tree(directory, &tree);
  files_tree_free(&tree);
  return directory;
}

START_TEST(what_was_released_means_the_same) {
  const kind *k = kind_at(_i / N_VERSIONS);
  const char *version = versions[_i % N_VERSIONS], *directory = copy_of(version, k->name);
  mcl_context *c = test_context(1);
  seen wanted = {0}, got = {0};
  read_seen(released(version, k->name), &wanted);
  CHECK_OK(k->load(c, directory, &got, &err));
  ck_assert_int_eq(got.n, wanted.n);
  ck_assert_int_ge(got.n, 12);
  for (int i = 0; i < got.n; i++) {
    double allowed = k->exact ? 0 : TOLERANCE * fmax(1, fabs(wanted.x[i]));
    ck_assert_msg(fabs(got.x[i] - wanted.x[i]) <= allowed, "%s of %s: number %d is %.9g, not %.9g",
                  k->name, version, i, got.x[i], wanted.x[i]);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_run_that_was_not_over_goes_on) {
  tiny_run r;
  tiny_result got;
  const char *directory = copy_of(versions[_i], "place");
  tiny_run_open(&r, (tiny_options){.directory = directory, .every = 3});
  CHECK_OK(mcl_multistage_resume(r.loop, directory, &err));
  mcl_stage_report report;
  mcl_struct_init(&report, sizeof report);
  CHECK_OK(mcl_multistage_get_report(r.loop, 0, 0, &report, &err));
  ck_assert_int_eq(report.epochs, 2);
  ck_assert_int_eq(report.rows_seen, TINY_ROWS);
  ck_assert_int_eq(mcl_multistage_get_report(r.loop, 1, 0, &report, &err), MCL_E_NOT_FOUND);
  CHECK_OK(tiny_run_go(&r, &err));
  tiny_run_take(&r, &got);
  tiny_run_close(&r);
}
END_TEST

int main(void) {
  TCase *c = tcase_create("released");
  tcase_add_loop_test(c, what_was_released_means_the_same, 0, kinds_count() * N_VERSIONS);
  tcase_add_loop_test(c, a_run_that_was_not_over_goes_on, 0, N_VERSIONS);
  return test_run_case("released", c);
}
