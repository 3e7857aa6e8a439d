// What is the same on every machine: the labels of k-means, whatever instruction set, word size or processor. The hashes
// below are of an x86-64 with AVX-512. It also prints what may differ: sums of products, which some processors fuse with
// additions.
//
// Rows are made of whole numbers, so that no C library has a part in them: 40 clouds, a quarter of which overlap.
#include "support/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/clusterer.h>
#include <libmcl/loss.h>
#include <libmcl/sampler.h>

#include "base/rng.h"
#include "math/gemm.h"

enum { ROWS = 6000, DIM = 24, CLOUDS = 40, K = 30, BATCH = 64 };

static float x[ROWS * DIM];
static int32_t labels[ROWS];
static mcl_error err;

// Whole numbers up to 2^12, scaled by a power of two.
static void make_rows(void) {
  float centres[CLOUDS * DIM];
  mcli_rng r = mcli_rng_make(7, MCLI_RNG_DATA, 0, 0);
  for (int i = 0; i < CLOUDS * DIM; i++) centres[i] = (float)(int32_t)(mcli_rng_u32(&r) % 2048);
  for (int i = 0; i < ROWS; i++) {
    uint32_t wide = i % 4 ? 512 : 4096;
    for (int d = 0; d < DIM; d++)
      x[i * DIM + d] =
          (centres[i % CLOUDS * DIM + d] + (float)(int32_t)(mcli_rng_u32(&r) % wide) - 1024) / 1024;
  }
}

static uint64_t fit(mcl_context *c, int32_t method, int32_t metric, double *inertia) {
  mcl_kmeans_options o;
  mcl_clusterer *k = NULL;
  mcl_array matrix = mcl_matrix_f32(x, ROWS, DIM);
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &matrix;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = K, o.method = method, o.metric = metric, o.minibatch_rows = 512;
  CHECK_OK(mcl_clusterer_create_kmeans(c, &o, NULL, &k, &err));
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  mcl_clusterer_report report;
  mcl_struct_init(&report, sizeof report);
  CHECK_OK(mcl_clusterer_get_report(k, &report, &err));
  *inertia = report.inertia;
  mcl_clusterer_unref(k);
  return mcli_hash(labels, sizeof labels, 0);
}

static uint64_t batches(mcl_context *c) {
  static int64_t indices[ROWS];
  mcl_sampler_options o;
  mcl_sampler *s = NULL;
  mcl_batch batch;
  uint64_t hash = 0;
  mcl_sampler_options_init(&o, sizeof o);
  o.batch_rows = BATCH;
  CHECK_OK(mcl_sampler_create(c, &o, ROWS, 0, 1, &s, &err));
  CHECK_OK(mcl_sampler_add_labels(s, 0, labels, ROWS, &err));
  mcl_struct_init(&batch, sizeof batch);
  batch.indices = indices;
  batch.capacity = ROWS;
  for (int64_t step = 0; step < mcl_sampler_steps(s); step++) {
    CHECK_OK(mcl_sampler_batch(s, 3, step, &batch, &err));
    hash = mcli_hash(indices, (uint64_t)batch.n * sizeof *indices, hash);
  }
  mcl_sampler_unref(s);
  return hash;
}

typedef struct figure {
  const char *name;
  uint64_t hash;
  double inertia;
} figure;
enum { LLOYD_L2, LLOYD_COSINE, MINIBATCH_L2, CELLS, FIGURES };

static const uint64_t wanted[FIGURES] = {0x638e013abfaf81c6, 0xae531c18a1e320e2, 0xe09319201db14c89,
                                         0x5f3f2dda0e1024e3};

static void measure(mcl_context *c, figure f[FIGURES]) {
  make_rows();
  f[LLOYD_COSINE] = (figure){.name = "Lloyd, cosine"};
  f[LLOYD_COSINE].hash = fit(c, MCL_LLOYD, MCL_COSINE, &f[LLOYD_COSINE].inertia);
  f[MINIBATCH_L2] = (figure){.name = "mini-batch, L2"};
  f[MINIBATCH_L2].hash = fit(c, MCL_MINIBATCH, MCL_L2, &f[MINIBATCH_L2].inertia);
  f[LLOYD_L2] = (figure){.name = "Lloyd, L2"};
  f[LLOYD_L2].hash = fit(c, MCL_LLOYD, MCL_L2, &f[LLOYD_L2].inertia);
  f[CELLS] = (figure){"batches of these cells", batches(c), 0};
}

START_TEST(labels_and_batches_are_those_of_every_machine) {
  for (uint32_t threads = 1; threads <= 2; threads++) {
    figure f[FIGURES];
    mcl_context *c = test_context(threads);
    measure(c, f);
    for (int i = 0; i < FIGURES; i++)
      ck_assert_msg(f[i].hash == wanted[i],
                    "%s: %016" PRIx64 ", not %016" PRIx64 ", inertia %a on %u threads", f[i].name,
                    f[i].hash, wanted[i], f[i].inertia, threads);
    mcl_context_unref(c);
  }
}
END_TEST

// ---- what may differ -----------------------------------------------------------------------------------

static uint64_t product(mcl_context *c) {
  static float out[512 * 512];
  CHECK_OK(mcli_gemm_parallel(c, MCLI_GEMM_TB, 512, 512, DIM, 1, x, DIM, x + 512 * DIM, DIM, 0, out,
                              512, &err));
  return mcli_hash(out, sizeof out, 0);
}

#define LOSS 7.010488883875

static uint64_t gradient(mcl_context *c, double *loss) {
  static float da[512 * DIM];
  mcl_loss_inputs in;
  mcl_loss_result result;
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&result, sizeof result);
  mcl_array a = mcl_matrix_f32(x, 512, DIM), b = mcl_matrix_f32(x + 512 * DIM, 512, DIM),
            d = mcl_matrix_f32(da, 512, DIM);
  in.za = &a, in.zb = &b, in.dza = &d;
  CHECK_OK(mcl_loss_nt_xent(c, NULL, &in, &result, &err));
  *loss = result.loss;
  return mcli_hash(da, sizeof da, 0);
}

START_TEST(what_may_differ_does_so_in_its_last_digits) {
  figure f[FIGURES];
  char text[512];
  double loss = 0;
  mcl_context *c = test_context(2);
  CHECK_OK(mcl_context_describe(c, text, sizeof text, NULL, &err));
  measure(c, f);
  printf("%s\n", text);
  for (int i = 0; i < FIGURES; i++)
    printf("%-24s %016" PRIx64 " %a\n", f[i].name, f[i].hash, f[i].inertia);
  printf("%-24s %016" PRIx64 "\n", "a product of matrices", product(c));
  uint64_t hash = gradient(c, &loss);
  printf("%-24s %016" PRIx64 " %.12f\n", "a gradient; the loss", hash, loss);
  fflush(stdout);
  ck_assert_double_eq_tol(loss, LOSS, 1e-6 * LOSS);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("clusterer", labels_and_batches_are_those_of_every_machine,
          what_may_differ_does_so_in_its_last_digits)
