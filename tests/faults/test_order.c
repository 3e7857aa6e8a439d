// In what order a save calls the system. What the power leaves of a save that it cuts off no test can see; what makes it right
// is that
//
//   1  a file's bytes are flushed after the last of them is written, before it gets its name
//   2  the directory of each name that was given is flushed before the call returns
//   3  and before the file that makes the save valid gets its own name, where a save is several files
//   4  a directory that is made is flushed into the one that it lies in
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults/files.h"
#include "faults/kinds.h"

static mcl_error err;

enum { PATHS = 64 };
typedef struct path {
  char name[256];
  int written, flushed; // its bytes, since
  int entries;          // of a directory: names given since its flush
} path;

typedef struct paths {
  path of[PATHS];
  int n, renames;
} paths;

static path *at(paths *p, const char *name) {
  for (int i = 0; i < p->n; i++)
    if (strcmp(p->of[i].name, name) == 0) return &p->of[i];
  ck_assert_int_lt(p->n, PATHS);
  path *new = &p->of[p->n++];
  *new = (path){{0}, 0, 0, 0};
  snprintf(new->name, sizeof new->name, "%s", name);
  return new;
}

static path *parent_of(paths *p, const char *name) {
  char parent[256];
  snprintf(parent, sizeof parent, "%s", name);
  char *slash = strrchr(parent, '/');
  ck_assert_ptr_nonnull(slash);
  *slash = 0;
  return at(p, parent);
}

static int unflushed_directories(const paths *p) {
  int n = 0;
  for (int i = 0; i < p->n; i++) n += p->of[i].entries > 0;
  return n;
}

static int makes_valid(const char *name) {
  static const char *const lists[] = {"loop.safetensors", "integrator.safetensors", "merges.txt"};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (strcmp(strrchr(name, '/') + 1, lists[i]) == 0) return 1;
  return 0;
}

static void see_rename(paths *p, const char *save, const files_event *e) {
  path *from = at(p, e->from);
  ck_assert_msg(from->flushed && !from->written, "%s: %s is renamed unflushed", save,
                e->from); // (1)
  if (makes_valid(e->path))
    ck_assert_msg(unflushed_directories(p) == 0, "%s: %s is renamed before its files are named",
                  save,
                  e->path); // (3)
  path *to = at(p, e->path);
  to->flushed = 1, to->written = 0;
  from->flushed = 0;
  parent_of(p, e->path)->entries++;
  p->renames++;
}

static void follow(const char *save, const files_event *events, int64_t n) {
  paths p = {.n = 0};
  for (int64_t i = 0; i < n; i++) {
    const files_event *e = &events[i];
    if (e->kind == CALL_WRITE || e->kind == CALL_SIZE) at(&p, e->path)->written = 1;
    if (e->kind == CALL_FLUSH) {
      path *flushed = at(&p, e->path);
      flushed->written = flushed->entries = 0;
      flushed->flushed = 1;
    }
    if (e->kind == CALL_MKDIR) parent_of(&p, e->path)->entries++;
    if (e->kind == CALL_RENAME) see_rename(&p, save, e);
  }
  ck_assert_int_ge(p.renames, 1);
  for (int i = 0; i < p.n; i++) // (2), (4)
    ck_assert_msg(p.of[i].entries == 0, "%s: %s is not flushed", save, p.of[i].name);
}

START_TEST(bytes_are_flushed_before_they_are_named_and_names_before_the_call_returns) {
  const kind *k = kind_at(_i);
  static files_event events[FILES_PUT_DOWN];
  mcl_context *c = test_context(1);
  const char *directory = test_directory(k->name);
  for (int v = 0; v < VERSIONS; v++) {
    void *thing = k->make(c, v);
    int64_t n;
    files_fail(0, 0, 0, 0);
    CHECK_OK(k->save(thing, directory, &err));
    const files_event *put_down = files_events(&n);
    ck_assert_int_lt(n, FILES_PUT_DOWN);
    memcpy(events, put_down, (size_t)n * sizeof *events);
    follow(k->name, events, n);
    k->drop(thing);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(directories_that_are_made_are_flushed_into_theirs) {
  mcl_context *c = test_context(1);
  char directory[4300];
  snprintf(directory, sizeof directory, "%s/one/two", test_directory("order"));
  static const char *const names[] = {"integrator", "run"};
  for (int i = 0; i < 2; i++) {
    const kind *k = kind_named(names[i]);
    void *thing = k->make(c, 0);
    int64_t n;
    files_fail(0, 0, 0, 0);
    CHECK_OK(k->save(thing, directory, &err));
    const files_event *events = files_events(&n);
    int made = 0;
    for (int64_t e = 0; e < n; e++) made += events[e].kind == CALL_MKDIR;
    ck_assert_int_eq(made != 0, i == 0);
    follow(k->name, events, n);
    k->drop(thing);
  }
  mcl_context_unref(c);
}
END_TEST

int main(void) {
  TCase *c = tcase_create("order");
  tcase_add_loop_test(c, bytes_are_flushed_before_they_are_named_and_names_before_the_call_returns,
                      0, kinds_count());
  tcase_add_test(c, directories_that_are_made_are_flushed_into_theirs);
  return test_run_case("order", c);
}
