// A host's runner fails while a folder is decoded or rows are resized. (Memory that runs out: tests/exhaustion.)
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "dataset/data.h"

static mcl_context *c;
static mcl_error err;
static test_allocator memory;
static char directory[4096];

enum { N = 6, H = 6, W = 4, C = 2, ROW = H * W * C };
static uint8_t bytes[N * ROW];
static const int32_t labels[N] = {0, 1, 2, 0, 1, 2};
static mcl_dataset *inner;

static const char *in(const char *name) {
  static char path[2][8300];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

static void put_png(const char *name, uint64_t seed) {
  uint8_t pixels[H * W * 3];
  fill_bytes(pixels, sizeof pixels, seed);
  mcl_array a;
  mcl_array_init(&a, pixels, MCL_U8, 3, (int64_t[]){H, W, 3});
  CHECK_OK(mcl_image_write_png(c, in(name), &a, &err));
}

static void start(void) {
  test_allocator_init(&memory);
  c = test_context_with(&memory, 1);
  fill_bytes(bytes, sizeof bytes, 6);
  inner = array_of(c, bytes, N, H, W, C, labels);
  snprintf(directory, sizeof directory, "%s", test_directory("failures"));
  CHECK_OK(mcli_directory_make(c, in("f/k0/deep"), &err));
  CHECK_OK(mcli_directory_make(c, in("f/k1"), &err));
  put_png("f/k0/0.png", 0);
  put_png("f/k0/deep/1.png", 1);
  put_png("f/k1/2.png", 2);
  put_png("f/3.png", 3);
  CHECK_OK(mcli_file_write_all(c, in("f/k1/bad.png"), "bad", 3, &err));
}

static void stop(void) {
  mcl_dataset_unref(inner);
  mcl_context_unref(c);
  ck_assert_int_eq(memory.live, 0);
}

// ---- what is made -------------------------------------------------------------------------------

static mcl_status make_folder_with(mcl_dataset **out, int64_t cache_bytes) {
  mcl_folder_options o;
  mcl_folder_options_init(&o, sizeof o);
  o.height = o.width = 5;
  o.cache_bytes = cache_bytes;
  return mcl_dataset_create_folder(c, in("f"), &o, NULL, out, &err);
}
static mcl_status make_folder(mcl_dataset **out) {
  return make_folder_with(out, 1 << 20);
}
static mcl_status make_uncached(mcl_dataset **out) {
  return make_folder_with(out, 0);
}
static mcl_status make_resized(mcl_dataset **out) {
  return mcl_dataset_create_resized(c, inner, 3, 5, MCL_FILTER_TRIANGLE, out, &err);
}
typedef mcl_status (*maker)(mcl_dataset **out);

static int runs_left;
static uint32_t two(void *user) {
  (void)user;
  return 2;
}
static int32_t run_some(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  (void)user;
  if (runs_left == 0) return -1;
  runs_left--;
  for (uint32_t t = 0; t < tasks; t++) fn(job, t, t % 2);
  return 0;
}

START_TEST(a_runner_that_fails_fails_the_call_and_leaks_nothing) {
  start();
  mcl_context *ours = c;
  mcl_runner r;
  mcl_context_options o;
  mcl_struct_init(&r, sizeof r);
  r.concurrency = two, r.run = run_some;
  mcl_context_options_init(&o, sizeof o);
  o.runner = &r, o.allocator = &memory.table;
  runs_left = 1 << 20;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  int64_t live = memory.live;
  const maker some[] = {make_folder, make_uncached, make_resized};
  for (int k = 0; k < 3; k++)
    for (int n = 0;; n++) {
      mcl_dataset *d = NULL;
      runs_left = n;
      mcl_status s = some[k](&d);
      if (s == MCL_OK) ck_assert_int_gt(n, 0);
      mcl_dataset_unref(d);
      ck_assert_int_eq(memory.live, live);
      if (s == MCL_OK) break;
      ck_assert_int_eq(s, MCL_E_CALLBACK);
      ck_assert_ptr_null(d);
    }
  mcl_context_unref(c);
  c = ours;
  stop();
}
END_TEST

RUN_TESTS("dataset", a_runner_that_fails_fails_the_call_and_leaks_nothing)
