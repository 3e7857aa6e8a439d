// The program: `exhaustion PART` runs a part's cases, each a test of its own; `exhaustion exports` compares all entries with the
// names that the library exports, which it reads from the version script named by MCL_MAP.
#include "exhaustion/exhaust.h"

static const exhaust_part *const parts[] = {
    &base_part,      &store_part,   &text_part,  &image_part,   &dataset_part,  &loss_part,
    &clusterer_part, &sampler_part, &probe_part, &encoder_part, &training_part, &integrator_part,
    &pull_part,      &push_part,    &rank_part,  &thread_part};
enum { PARTS = sizeof parts / sizeof *parts };
static const exhaust_part *part;

START_TEST(each_request_fails) {
  exhaust(&part->cases[_i]);
}
END_TEST

START_TEST(functions_that_take_no_memory_take_none) {
  check_takes_none();
}
END_TEST

// ---- the table and the map -------------------------------------------------------------------------------

enum { MOST_NAMES = 1024, LONGEST = 128 };
static char exported[MOST_NAMES][LONGEST];
static int n_exported;

static void read_map(void) {
  const char *path = getenv("MCL_MAP");
  ck_assert_msg(path, "MCL_MAP names the version script");
  FILE *f = fopen(path, "r");
  ck_assert_ptr_nonnull(f);
  char line[LONGEST], name[LONGEST];
  while (fgets(line, sizeof line, f))
    if (sscanf(line, " mcl_%120[^;];", name) == 1)
      snprintf(exported[n_exported++], LONGEST, "mcl_%.120s", name);
  fclose(f);
  ck_assert_int_gt(n_exported, 100);
}

static bool has_case(const char *name) {
  for (int p = 0; p < PARTS; p++)
    for (int i = 0; i < parts[p]->n; i++)
      if (!strcmp(parts[p]->cases[i].name, name)) return true;
  return false;
}

static bool is_free(const char *name) {
  for (int i = 0; i < n_takes_none; i++)
    if (!strcmp(takes_none[i], name)) return true;
  return false;
}

static void check_exported(const char *name) {
  for (int i = 0; i < n_exported; i++)
    if (!strcmp(exported[i], name)) return;
  ck_abort_msg("%s is not exported", name);
}

START_TEST(every_export_has_an_entry_and_nothing_else_has) {
  read_map();
  for (int i = 0; i < n_exported; i++)
    ck_assert_msg(has_case(exported[i]) != is_free(exported[i]),
                  "%s has to be a case or to take no memory, one of the two", exported[i]);
  for (int i = 0; i < n_takes_none; i++) check_exported(takes_none[i]);
  for (int p = 0; p < PARTS; p++)
    for (int i = 0; i < parts[p]->n; i++) check_exported(parts[p]->cases[i].name);
}
END_TEST

static void add_tests(TCase *t, const char *name, const char *only) {
  if (!strcmp(name, "exports")) {
    tcase_add_test(t, every_export_has_an_entry_and_nothing_else_has);
    tcase_add_test(t, functions_that_take_no_memory_take_none);
  }
  for (int p = 0; p < PARTS; p++) {
    if (strcmp(name, parts[p]->name)) continue;
    part = parts[p];
    for (int i = 0; i < part->n; i++)
      if (!only || strstr(part->cases[i].name, only))
        tcase_add_loop_test(t, each_request_fails, i, i + 1);
  }
}

// A third argument: only the functions whose names have it.
int main(int argc, char **argv) {
  if (argc < 2) return 2;
  TCase *t = tcase_create(argv[1]);
  add_tests(t, argv[1], argc > 2 ? argv[2] : NULL);
  return test_run_case(argv[1], t);
}
