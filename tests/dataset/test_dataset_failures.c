// Every request for memory fails in turn, once and for ever: the right error, nothing written,
// nothing leaked, and the same call succeeds afterwards with the same rows.
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
static mcl_tokenizer *tokenizer;
static int destroyed;

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

static void put_text(const char *name, const char *text) {
  CHECK_OK(mcli_file_write_all(c, in(name), text, (int64_t)strlen(text), &err));
}

static void put_idx(const char *name, int ndim) {
  unsigned char file[256] = {0, 0, 8, (unsigned char)ndim, 0, 0, 0, N, 0, 0, 0, 3, 0, 0, 0, 2};
  CHECK_OK(mcli_file_write_all(c, in(name), file, 4 + 4 * ndim + (ndim == 3 ? N * 6 : N), &err));
}

static void start(uint32_t threads) {
  test_allocator_init(&memory);
  c = test_context_with(&memory, threads);
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
  put_text("pairs.csv", "f/3.png,one,two\nf/k1/bad.png,three\nf/k0/0.png,four\n");
  put_text("questions.csv", "f/3.png,f/k0/0.png,one,two,k\nf/k1/2.png,f/3.png,three,four,l\n");
  CHECK_OK(mcli_directory_make(c, in("mmvp/MLLM_VLM Images/k"), &err));
  for (int i = 1; i <= 4; i++) {
    char name[64];
    snprintf(name, sizeof name, "mmvp/MLLM_VLM Images/k/%d.jpg", i);
    put_png(name, (uint64_t)i);
  }
  put_text("mmvp/Questions.csv", "Question ID,Type,Statement\n1,k,a\n2,k,b\n3,k,c\n4,k,d\n");
  put_text("pairs.jsonl", "{\"image\":\"f/3.png\",\"captions\":[\"one\",\"two\",\"three\"]}\n");
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = 6;
  CHECK_OK(mcl_tokenizer_create(c, &o, (const char *const[]){"one"}, 1, NULL, &tokenizer, &err));
  put_idx("images", 3);
  put_idx("labels", 1);
  char command[8500];
  snprintf(command, sizeof command, "gzip -k '%s'", in("images"));
  ck_assert_int_eq(system(command), 0);
}

static void stop(void) {
  mcl_dataset_unref(inner);
  mcl_tokenizer_unref(tokenizer);
  mcl_context_unref(c);
  ck_assert_int_eq(memory.live, 0);
}

// ---- what is made -------------------------------------------------------------------------------

static mcl_status host_shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  (void)user, (void)modality;
  row->dtype = MCL_F64, row->ndim = 1, row->shape[0] = 3;
  return mcl_ok(e);
}
static mcl_status host_load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                            const mcl_array *out, mcl_error *e) {
  (void)user, (void)modality;
  for (int64_t i = 0; i < 3 * n; i++) ((double *)out->data)[i] = (double)indices[i / 3];
  return mcl_ok(e);
}
static void host_destroy(void *user) {
  (void)user;
  destroyed++;
}

static mcl_status make_array(mcl_dataset **out) {
  mcl_array a = mcl_images_u8(bytes, N, W, H, C);
  a.strides[1] = C, a.strides[2] = W * C; // turned, so that the hash needs a copy of each row
  return mcl_dataset_create_array(c, &a, labels, out, &err);
}
static mcl_status make_idx(mcl_dataset **out) {
  return mcl_dataset_create_idx(c, in("images"), in("labels"), out, &err);
}
static mcl_status make_idx_gz(mcl_dataset **out) {
  return mcl_dataset_create_idx(c, in("images.gz"), in("labels"), out, &err);
}
static mcl_status make_host(mcl_dataset **out) {
  mcl_host_dataset t;
  mcl_struct_init(&t, sizeof t);
  t.rows = N, t.modalities = 2, t.shape = host_shape, t.load = host_load, t.destroy = host_destroy;
  return mcl_dataset_create_host(c, &t, out, &err);
}
static mcl_status make_bare_host(mcl_dataset **out) {
  mcl_host_dataset t;
  mcl_struct_init(&t, sizeof t);
  t.rows = N, t.modalities = 2, t.destroy = host_destroy;
  return mcl_dataset_create_host(c, &t, out, &err);
}
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
static mcl_status make_subset(mcl_dataset **out) {
  return mcl_dataset_create_subset(c, inner, (int64_t[]){5, 3, 3, 0}, 4, out, &err);
}
static mcl_status make_resized(mcl_dataset **out) {
  return mcl_dataset_create_resized(c, inner, 3, 5, MCL_FILTER_TRIANGLE, out, &err);
}
static mcl_status make_randbits(mcl_dataset **out) {
  return mcl_dataset_create_randbits(c, inner, 4, 1, out, &err);
}
// A wrapper of wrappers: labels and codes are copied at each.
static mcl_status make_stack(mcl_dataset **out) {
  mcl_dataset *bits = NULL, *small = NULL;
  mcl_status s = mcl_dataset_create_randbits(c, inner, 2, 1, &bits, &err);
  if (s == MCL_OK) s = mcl_dataset_create_resized(c, bits, 3, 2, MCL_FILTER_BOX, &small, &err);
  if (s == MCL_OK) s = mcl_dataset_create_subset(c, small, (int64_t[]){1, 2, 4}, 3, out, &err);
  mcl_dataset_unref(bits);
  mcl_dataset_unref(small);
  return s;
}

static mcl_status make_tokens(mcl_dataset **out) {
  static int32_t ids[2 * N] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  mcl_array a;
  mcl_array_init(&a, ids, MCL_I32, 2, (int64_t[]){N, 2});
  a.strides[0] = 1, a.strides[1] = N; // turned
  return mcl_dataset_create_tokens(c, &a, out, &err);
}
static mcl_status make_joined(mcl_dataset **out) {
  mcl_dataset *bits = NULL, *tokens = NULL;
  mcl_status s = mcl_dataset_create_randbits(c, inner, 2, 1, &bits, &err);
  if (s == MCL_OK) s = make_tokens(&tokens);
  if (s == MCL_OK) s = mcl_dataset_create_joined(c, bits, tokens, out, &err);
  mcl_dataset_unref(bits);
  mcl_dataset_unref(tokens);
  return s;
}

typedef mcl_status (*opener)(mcl_context *, const char *, const mcl_tokenizer *,
                             const mcl_pairs_options *, const mcl_monitor *, mcl_dataset **,
                             mcl_error *);
static mcl_status make_with(opener open, const char *name, const mcl_tokenizer *t,
                            mcl_dataset **out) {
  mcl_folder_options f;
  mcl_pairs_options o;
  mcl_folder_options_init(&f, sizeof f);
  mcl_pairs_options_init(&o, sizeof o);
  f.height = f.width = 5;
  o.images = &f;
  return open(c, in(name), t, &o, NULL, out, &err);
}
static mcl_status make_by(opener open, const char *name, mcl_dataset **out) {
  return make_with(open, name, tokenizer, out);
}
static mcl_status make_texts(mcl_dataset **out) {
  return make_with(mcl_dataset_create_pairs, "pairs.csv", NULL, out);
}
static mcl_status make_pairs(mcl_dataset **out) {
  return make_by(mcl_dataset_create_pairs, "pairs.csv", out);
}
static mcl_status make_json(mcl_dataset **out) {
  return make_by(mcl_dataset_create_pairs, "pairs.jsonl", out);
}
static mcl_status make_questions(mcl_dataset **out) {
  return make_by(mcl_dataset_create_questions, "questions.csv", out);
}
static mcl_status make_mmvp(mcl_dataset **out) {
  return make_by(mcl_dataset_create_questions, "mmvp", out);
}

typedef mcl_status (*maker)(mcl_dataset **out);
static const maker makers[] = {
    make_array,    make_idx,    make_idx_gz,  make_host,     make_bare_host, make_folder,
    make_uncached, make_subset, make_resized, make_randbits, make_stack,     make_tokens,
    make_joined,   make_pairs,  make_json,    make_texts,    make_questions, make_mmvp};
enum { MAKERS = sizeof makers / sizeof *makers };

// How many requests the call makes: each fails in turn.
static int fail_each(maker make, int for_ever) {
  int64_t live = memory.live;
  for (int n = 1;; n++) {
    mcl_dataset *d = NULL;
    destroyed = 0;
    memory.fail_at = n, memory.for_ever = for_ever;
    mcl_status s = make(&d);
    int64_t unspent = memory.fail_at;
    memory.fail_at = 0, memory.for_ever = 0;
    if (s == MCL_OK) {
      ck_assert_int_gt(unspent, 0); // no failure was passed over
      mcl_dataset_unref(d);
      ck_assert_int_eq(memory.live, live);
      return n - 1;
    }
    ck_assert_msg(s == MCL_E_NOMEM, "request %d: %s: %s", n, mcl_status_name(s), err.message);
    ck_assert_ptr_null(d);
    ck_assert_int_eq(memory.live, live);
    if (make == make_host || make == make_bare_host) ck_assert_int_eq(destroyed, 1);
  }
}

START_TEST(making_a_dataset_survives_every_failed_request) {
  start(1);
  for (int k = 0; k < MAKERS; k++)
    for (int for_ever = 0; for_ever < 2; for_ever++)
      ck_assert_int_gt(fail_each(makers[k], for_ever), 1);
  stop();
}
END_TEST

START_TEST(making_a_folder_on_two_threads_survives_every_failed_request) {
  start(2);
  fail_each(make_folder, 0);
  fail_each(make_uncached, 0);
  fail_each(make_resized, 0);
  fail_each(make_pairs, 0);
  stop();
}
END_TEST

// A batch in float32, of every kind.
static mcl_status load(mcl_dataset *d, float *out) {
  mcl_array row, a;
  CHECK_OK(mcl_dataset_shape(d, 0, &row, &err));
  int64_t shape[4] = {3, row.shape[0], row.shape[1], row.shape[2]};
  mcl_array_init(&a, out, MCL_F32, row.ndim + 1, shape);
  return mcl_dataset_load(d, (int64_t[]){2, 0, 2}, 3, 0, &a, &err);
}

START_TEST(loading_survives_every_failed_request) {
  enum { MOST = 3 * H * W * (C + 4) };
  start(1);
  for (int k = 0; k < MAKERS; k++) {
    static float out[MOST], wanted[MOST];
    mcl_dataset *d = NULL;
    if (makers[k] == make_bare_host) continue;
    CHECK_OK(makers[k](&d));
    CHECK_OK(load(d, wanted));
    int64_t live = memory.live;
    for (int n = 1;; n++) {
      for (int i = 0; i < MOST; i++) out[i] = -1;
      memory.fail_at = n;
      mcl_status s = load(d, out);
      memory.fail_at = 0;
      ck_assert_int_eq(memory.live, live);
      if (s == MCL_OK) break;
      ck_assert_msg(s == MCL_E_NOMEM, "maker %d, request %d: %s", k, n, err.message);
      for (int i = 0; i < MOST; i++) ck_assert(out[i] == -1);
    }
    mcl_array row;
    CHECK_OK(mcl_dataset_shape(d, 0, &row, &err));
    int64_t numbers = 3;
    for (int i = 0; i < row.ndim; i++) numbers *= row.shape[i];
    ck_assert_mem_eq(out, wanted, (size_t)numbers * sizeof *out);
    mcl_dataset_unref(d);
  }
  stop();
}
END_TEST

START_TEST(a_file_is_never_left_out_for_want_of_memory) {
  start(1);
  int64_t live = memory.live;
  for (int n = 1;; n++) {
    mcl_dataset *d = NULL;
    memory.fail_at = n;
    mcl_status s = make_folder(&d);
    memory.fail_at = 0;
    if (s < 0) continue;
    ck_assert_int_eq(mcl_dataset_rows(d), 4);
    ck_assert_int_eq(report_of(d).skipped, 1);
    mcl_dataset_unref(d);
    break;
  }
  ck_assert_int_eq(memory.live, live);
  stop();
}
END_TEST

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
  start(1);
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

RUN_TESTS("dataset", a_runner_that_fails_fails_the_call_and_leaks_nothing,
          making_a_dataset_survives_every_failed_request,
          making_a_folder_on_two_threads_survives_every_failed_request,
          loading_survives_every_failed_request, a_file_is_never_left_out_for_want_of_memory)
