// An older caller: a program that was built when structs ended earlier. No release had shorter ones yet, so they are cut here, at
// every eight bytes, and lie at the end of a page: what is read or written behind them ends the test.
#include "support/suite.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libmcl/mcl.h>

enum { ROWS = 300, DIM = 8, K = 3 };

static mcl_error err;
static mcl_context *context; // of the test that runs

// `size` bytes that end where the memory does, all of them 0xA5.
static void *last_bytes(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page;
  char *p =
      mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(p, MAP_FAILED);
  ck_assert_int_eq(mprotect(p + pages * page, page, PROT_NONE), 0);
  return memset(p + pages * page - size, 0xA5, size);
}

static void give_back(void *s, size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page;
  munmap((char *)s + size - pages * page, (pages + 1) * page);
}

// ---- options: defaults, then the call that takes them ---------------------------------------------------

typedef struct kind {
  const char *name;
  size_t size;
  void (*init)(void *options, size_t size);
  mcl_status (*use)(const void *options); // NULL: they are only ever part of others
} kind;

#define CREATES(stem, call, handle, release)                                                       \
  static mcl_status use_##stem(const void *options) {                                              \
    handle *made = NULL;                                                                           \
    mcl_status s = call;                                                                           \
    release(made);                                                                                 \
    return s;                                                                                      \
  }
#define ENCODER(stem)                                                                              \
  CREATES(stem, mcl_encoder_create_##stem(context, options, &made, &err), mcl_encoder,             \
          mcl_encoder_unref)
ENCODER(mlp)
ENCODER(cnn)
ENCODER(resnet)
ENCODER(vit)
ENCODER(bag)
ENCODER(text)
CREATES(context, mcl_context_create(options, &made, &err), mcl_context, mcl_context_unref)
CREATES(kmeans, mcl_clusterer_create_kmeans(context, options, NULL, &made, &err), mcl_clusterer,
        mcl_clusterer_unref)
CREATES(sampler, mcl_sampler_create(context, options, ROWS, 0, 1, &made, &err), mcl_sampler,
        mcl_sampler_unref)
CREATES(augmenter, mcl_augmenter_create(context, options, &made, &err), mcl_augmenter,
        mcl_augmenter_unref)
CREATES(integrator, mcl_integrator_create(context, options, &made, &err), mcl_integrator,
        mcl_integrator_unref)
CREATES(multistage, mcl_multistage_create(context, options, ROWS, NULL, &made, &err),
        mcl_multistage, mcl_multistage_unref)
CREATES(folder, mcl_dataset_create_folder(context, "/nowhere", options, NULL, &made, &err),
        mcl_dataset, mcl_dataset_unref)
CREATES(tokenizer, mcl_tokenizer_load(context, options, NULL, "/nowhere", &made, &err),
        mcl_tokenizer, mcl_tokenizer_unref)

static mcl_status use_image(const void *options) {
  int32_t height, width, channels;
  return mcl_image_size(context, options, "no image", 8, &height, &width, &channels, &err);
}

#define KIND(stem)                                                                                 \
  static void init_##stem(void *options, size_t size) {                                            \
    mcl_##stem##_options_init(options, size);                                                      \
  }
#define KINDS(of)                                                                                  \
  of(augmenter, use_augmenter) of(bag, use_bag) of(clip, NULL) of(cnn, use_cnn)                    \
      of(context, use_context) of(folder, use_folder) of(image, use_image)                         \
          of(integrator, use_integrator) of(kmeans, use_kmeans) of(loss, NULL) of(mlp, use_mlp)    \
              of(multistage, use_multistage) of(optimiser, NULL) of(pair, NULL) of(pairs, NULL)    \
                  of(probe, NULL) of(resnet, use_resnet) of(sampler, use_sampler)                  \
                      of(text, use_text) of(tokenizer, use_tokenizer) of(vit, use_vit)             \
                          of(weights, NULL)
#define INIT(stem, use) KIND(stem)
#define ROW(stem, use)                                                                             \
  {"mcl_" #stem "_options_init", sizeof(mcl_##stem##_options), init_##stem, use},
KINDS(INIT)
static const kind kinds[] = {KINDS(ROW)};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

START_TEST(every_kind_of_options_is_here) {
  char path[4200], line[256];
  int found = 0;
  snprintf(path, sizeof path, "%s", test_path("../lib/libmcl.map"));
  FILE *map = fopen(path, "r");
  ck_assert_ptr_nonnull(map);
  while (fgets(line, sizeof line, map)) {
    if (!strstr(line, "_options_init;")) continue;
    int here = 0;
    for (int i = 0; i < N_KINDS; i++)
      here += strncmp(line + strspn(line, " "), kinds[i].name, strlen(kinds[i].name)) == 0;
    ck_assert_msg(here == 1, "not here: %s", line);
    found++;
  }
  fclose(map);
  ck_assert_int_eq(found, N_KINDS);
}
END_TEST

START_TEST(defaults_are_written_up_to_where_an_older_struct_ends) {
  for (int i = 0; i < N_KINDS; i++) {
    unsigned char *full = malloc(kinds[i].size);
    kinds[i].init(full, kinds[i].size);
    for (size_t size = 8; size <= kinds[i].size; size += 8) {
      unsigned char *older = last_bytes(size);
      kinds[i].init(older, size);
      ck_assert_uint_eq(*(size_t *)older, size);
      ck_assert_msg(memcmp(older + 8, full + 8, size - 8) == 0, "%s of %zu bytes", kinds[i].name,
                    size);
      give_back(older, size);
    }
    free(full);
  }
}
END_TEST

static mcl_status use(const kind *k, size_t size, char *message) {
  void *options = last_bytes(size);
  if (size > k->size) memset((char *)options + k->size, 0, size - k->size);
  k->init(options, size);
  mcl_status s = k->use(options);
  strcpy(message, err.message);
  give_back(options, size);
  return s;
}

START_TEST(a_call_takes_older_and_newer_options_for_the_defaults_that_they_are) {
  context = test_context(1);
  for (int i = 0; i < N_KINDS; i++) {
    char wanted[sizeof err.message], message[sizeof err.message];
    if (!kinds[i].use) continue;
    mcl_status s = use(&kinds[i], kinds[i].size, wanted);
    for (size_t size = 8; size <= kinds[i].size + 16; size += 8) {
      ck_assert_msg(use(&kinds[i], size, message) == s, "%s of %zu bytes: %s", kinds[i].name, size,
                    message);
      ck_assert_str_eq(message, wanted);
    }
  }
  mcl_context_unref(context);
}
END_TEST

// ---- results ---------------------------------------------------------------------------------------------

static float x[ROWS * DIM];

static void *cut(const void *full, size_t size) {
  void *s = last_bytes(size);
  memcpy(s, full, size);
  *(size_t *)s = size;
  return s;
}

static mcl_rows rows_of(mcl_array *matrix) {
  mcl_rows rows;
  test_fill_normal(x, ROWS * DIM, 1);
  *matrix = mcl_matrix_f32(x, ROWS, DIM);
  mcl_struct_init(&rows, sizeof rows);
  rows.array = matrix;
  return rows;
}

static void fit(const mcl_kmeans_options *options, const mcl_rows *rows, int32_t *labels,
                mcl_clusterer **out) {
  CHECK_OK(mcl_clusterer_create_kmeans(context, options, NULL, out, &err));
  CHECK_OK(mcl_clusterer_fit(*out, rows, NULL, &err));
  CHECK_OK(mcl_clusterer_assign(*out, rows, NULL, labels, NULL, &err));
}

START_TEST(an_older_callers_clusters_are_todays) {
  context = test_context(2);
  mcl_array matrix;
  mcl_rows rows = rows_of(&matrix);
  mcl_kmeans_options options;
  mcl_clusterer *clusterer = NULL, *other = NULL;
  int32_t wanted[ROWS], labels[ROWS];
  mcl_kmeans_options_init(&options, sizeof options);
  options.k = K;
  fit(&options, &rows, wanted, &clusterer);
  for (size_t size = offsetof(mcl_kmeans_options, method) + 4; size <= sizeof options; size += 8) {
    mcl_kmeans_options *older = cut(&options, size);
    fit(older, &rows, labels, &other);
    ck_assert_mem_eq(labels, wanted, sizeof labels);
    mcl_clusterer_unref(other);
    give_back(older, size);
  }
  for (size_t size = offsetof(mcl_rows, array) + 8; size <= sizeof rows; size += 8) {
    mcl_rows *older = cut(&rows, size);
    fit(&options, older, labels, &other);
    ck_assert_mem_eq(labels, wanted, sizeof labels);
    mcl_clusterer_unref(other);
    give_back(older, size);
  }
  mcl_clusterer_report report;
  mcl_struct_init(&report, sizeof report);
  CHECK_OK(mcl_clusterer_get_report(clusterer, &report, &err));
  for (size_t size = 8; size <= sizeof report; size += 8) {
    mcl_clusterer_report *older = last_bytes(size);
    mcl_struct_init(older, size);
    CHECK_OK(mcl_clusterer_get_report(clusterer, older, &err));
    ck_assert_uint_eq(older->struct_size, size);
    ck_assert(memcmp((char *)older + 8, (char *)&report + 8, size - 8) == 0);
    give_back(older, size);
  }
  mcl_clusterer_unref(clusterer);
  mcl_context_unref(context);
}
END_TEST

START_TEST(an_older_callers_batches_are_todays) {
  context = test_context(1);
  mcl_sampler *sampler = NULL;
  int64_t wanted[256], indices[256];
  mcl_batch batch;
  mcl_sampler_report report;
  CHECK_OK(mcl_sampler_create(context, NULL, ROWS, 0, 1, &sampler, &err));
  mcl_struct_init(&batch, sizeof batch);
  mcl_struct_init(&report, sizeof report);
  batch.indices = wanted;
  batch.capacity = 256;
  CHECK_OK(mcl_sampler_batch(sampler, 0, 1, &batch, &err));
  CHECK_OK(mcl_sampler_get_report(sampler, &report, &err));
  ck_assert_int_gt(batch.n, 0);
  for (size_t size = offsetof(mcl_batch, capacity) + 8; size <= sizeof batch; size += 8) {
    mcl_batch *older = last_bytes(size);
    mcl_struct_init(older, size);
    older->indices = indices;
    older->capacity = 256;
    CHECK_OK(mcl_sampler_batch(sampler, 0, 1, older, &err));
    ck_assert_mem_eq(indices, wanted, (size_t)batch.n * sizeof *indices);
    size_t results = offsetof(mcl_batch, n);
    ck_assert(size <= results ||
              memcmp((char *)older + results, (char *)&batch + results, size - results) == 0);
    give_back(older, size);
  }
  for (size_t size = 8; size <= sizeof report; size += 8) {
    mcl_sampler_report *older = last_bytes(size);
    mcl_struct_init(older, size);
    CHECK_OK(mcl_sampler_get_report(sampler, older, &err));
    ck_assert(memcmp((char *)older + 8, (char *)&report + 8, size - 8) == 0);
    give_back(older, size);
  }
  mcl_sampler_unref(sampler);
  mcl_context_unref(context);
}
END_TEST

START_TEST(an_older_callers_loss_is_todays) {
  context = test_context(1);
  enum { N = ROWS / 2 };
  mcl_array za = mcl_matrix_f32(x, N, DIM), zb = mcl_matrix_f32(x + N * DIM, N, DIM);
  mcl_loss_inputs in;
  mcl_loss_result wanted;
  test_fill_normal(x, ROWS * DIM, 2);
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&wanted, sizeof wanted);
  in.za = &za;
  in.zb = &zb;
  CHECK_OK(mcl_loss_nt_xent(context, NULL, &in, &wanted, &err));
  ck_assert(wanted.loss > 0);
  for (size_t size = offsetof(mcl_loss_inputs, zb) + 8; size <= sizeof in; size += 8) {
    mcl_loss_inputs *older = cut(&in, size);
    mcl_loss_result result;
    mcl_struct_init(&result, sizeof result);
    CHECK_OK(mcl_loss_nt_xent(context, NULL, older, &result, &err));
    ck_assert_mem_eq(&result, &wanted, sizeof result);
    give_back(older, size);
  }
  for (size_t size = 8; size <= sizeof wanted; size += 8) {
    mcl_loss_result *older = last_bytes(size);
    mcl_struct_init(older, size);
    CHECK_OK(mcl_loss_nt_xent(context, NULL, &in, older, &err));
    ck_assert(memcmp((char *)older + 8, (char *)&wanted + 8, size - 8) == 0);
    give_back(older, size);
  }
  mcl_context_unref(context);
}
END_TEST

RUN_TESTS("abi", every_kind_of_options_is_here,
          defaults_are_written_up_to_where_an_older_struct_ends,
          a_call_takes_older_and_newer_options_for_the_defaults_that_they_are,
          an_older_callers_clusters_are_todays, an_older_callers_batches_are_todays,
          an_older_callers_loss_is_todays)
