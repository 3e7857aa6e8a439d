// Batch norm against a plain twin in double.
#include "nn/twin.h"

#include <string.h>

#include "nn/norm.h"

static mcl_error err;

typedef struct layer {
  int64_t rows, channels;
  int relu;
  float *x, *scale, *shift, *g, *y, *dy, *dx, *d_scale, *d_shift, *figures, *workspace;
  double *tx, *tscale, *tshift, *tg, *ty, *tdx, *td_scale, *td_shift, *mean, *variance;
} layer;

static layer layer_of(int64_t rows, int64_t channels, int relu, float offset) {
  layer l = {.rows = rows, .channels = channels, .relu = relu};
  int64_t n = rows * channels;
  l.x = floats(n), l.scale = floats(channels), l.shift = floats(channels), l.g = floats(n);
  l.y = floats(n), l.dy = floats(n), l.dx = floats(n);
  l.d_scale = floats(channels), l.d_shift = floats(channels);
  l.figures = floats(MCLI_NORM_FIGURES * channels);
  l.workspace = aligned_alloc(64, (size_t)(mcli_norm_workspace(rows, channels) / 16 + 1) * 64);
  test_fill_normal(l.x, n, 1);
  for (int64_t i = 0; i < n; i++) l.x[i] += offset * (float)(i % channels);
  test_fill_normal(l.scale, channels, 2);
  test_fill_normal(l.shift, channels, 3);
  test_fill_normal(l.g, n, 4);
  l.tx = twin_of(l.x, n), l.tscale = twin_of(l.scale, channels);
  l.tshift = twin_of(l.shift, channels), l.tg = twin_of(l.g, n);
  l.ty = twin_zeros(n), l.tdx = twin_zeros(n);
  l.td_scale = twin_zeros(channels), l.td_shift = twin_zeros(channels);
  l.mean = twin_zeros(channels), l.variance = twin_zeros(channels);
  return l;
}

static void free_layer(layer *l) {
  void *all[] = {l->x,        l->scale,   l->shift,   l->g,       l->y,         l->dy,
                 l->dx,       l->d_scale, l->d_shift, l->figures, l->workspace, l->tx,
                 l->tscale,   l->tshift,  l->tg,      l->ty,      l->tdx,       l->td_scale,
                 l->td_shift, l->mean,    l->variance};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static double twin_forward(void *of) {
  layer *l = of;
  double m = (double)l->rows;
  for (int64_t j = 0; j < l->channels; j++) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < l->rows; i++) mean += l->tx[i * l->channels + j] / m;
    for (int64_t i = 0; i < l->rows; i++) {
      double d = l->tx[i * l->channels + j] - mean;
      variance += d * d / m;
    }
    l->mean[j] = mean;
    l->variance[j] = variance;
    for (int64_t i = 0; i < l->rows; i++)
      l->ty[i * l->channels + j] =
          l->tscale[j] * (l->tx[i * l->channels + j] - mean) / sqrt(variance + 1e-5) + l->tshift[j];
  }
  if (l->relu) twin_relu(l->ty, l->rows * l->channels);
  return weighted(l->ty, l->tg, l->rows * l->channels);
}

static void twin_backward(layer *l) {
  int64_t c = l->channels;
  double m = (double)l->rows, *dy = twin_of(l->g, l->rows * c);
  if (l->relu) twin_relu_backward(l->ty, dy, l->rows * c);
  for (int64_t j = 0; j < c; j++) {
    double inverse = 1 / sqrt(l->variance[j] + 1e-5);
    for (int64_t i = 0; i < l->rows; i++) {
      l->td_shift[j] += dy[i * c + j];
      l->td_scale[j] += dy[i * c + j] * (l->tx[i * c + j] - l->mean[j]) * inverse;
    }
    for (int64_t i = 0; i < l->rows; i++) {
      double hat = (l->tx[i * c + j] - l->mean[j]) * inverse;
      l->tdx[i * c + j] =
          l->tscale[j] * inverse * (dy[i * c + j] - l->td_shift[j] / m - hat * l->td_scale[j] / m);
    }
  }
  free(dy);
}

static void ours(mcl_context *c, layer *l) {
  mcli_norm_figures kept = mcli_norm_figures_at(l->figures, l->channels);
  CHECK_OK(mcli_norm_train(c, l->rows, l->channels, l->x, l->scale, l->shift, l->relu, &kept, l->y,
                           l->workspace, &err));
  memcpy(l->dy, l->g, (size_t)(l->rows * l->channels) * sizeof *l->dy);
  CHECK_OK(mcli_norm_backward(c, l->rows, l->channels, l->x, l->scale, l->y, l->relu, &kept, l->dy,
                              l->dx, l->d_scale, l->d_shift, l->workspace, &err));
}

START_TEST(the_twin_agrees_with_finite_differences) {
  for (int relu = 0; relu < 2; relu++) {
    layer l = layer_of(7, 3, relu, 2);
    twin_forward(&l);
    twin_backward(&l);
    check_differences("dx", twin_forward, &l, l.tx, l.tdx, l.rows * l.channels);
    check_differences("d_scale", twin_forward, &l, l.tscale, l.td_scale, l.channels);
    check_differences("d_shift", twin_forward, &l, l.tshift, l.td_shift, l.channels);
    free_layer(&l);
  }
}
END_TEST

START_TEST(forward_and_backward_agree_with_the_twin) {
  static const int64_t sizes[][2] = {{2, 1}, {5, 3}, {1000, 33}, {70000, 2}, {3, 70000}};
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    layer l = layer_of(sizes[i][0], sizes[i][1], i % 2 == 0, sizes[i][1] > 100 ? 0 : 3);
    twin_forward(&l);
    twin_backward(&l);
    ours(c, &l);
    int64_t n = l.rows * l.channels;
    check_close("y", l.y, l.ty, n, 2e-5);
    check_close("dx", l.dx, l.tdx, n, 2e-5);
    check_close("d_scale", l.d_scale, l.td_scale, l.channels, 2e-5);
    check_close("d_shift", l.d_shift, l.td_shift, l.channels, 2e-5);
    free_layer(&l);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(running_figures_move_a_tenth_with_the_unbiased_variance) {
  mcl_context *c = test_context(1);
  layer l = layer_of(9, 4, 0, 1);
  twin_forward(&l);
  ours(c, &l);
  float mean[4] = {1, 2, 3, 4}, variance[4] = {1, 1, 1, 1};
  double wanted_mean[4], wanted_variance[4];
  for (int j = 0; j < 4; j++) {
    wanted_mean[j] = 0.9 * (j + 1) + 0.1 * l.mean[j];
    wanted_variance[j] = 0.9 + 0.1 * l.variance[j] * 9 / 8;
  }
  mcli_norm_figures kept = mcli_norm_figures_at(l.figures, 4);
  mcli_norm_run(9, 4, &kept, mean, variance);
  check_close("mean", mean, wanted_mean, 4, 1e-6);
  check_close("variance", variance, wanted_variance, 4, 1e-6);
  float kept_mean[4];
  memcpy(kept_mean, mean, sizeof mean);
  mcli_norm_run(1, 4, &kept, mean, variance); // one number has no spread
  ck_assert_mem_eq(mean, kept_mean, sizeof mean);
  free_layer(&l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(figures_of_chunks_become_their_mean_weighted_by_rows) {
  float of_chunks[3][6] = {{1, 2, 0, 0, 3, 4}, {5, -2, 0, 0, 1, 0}, {9, 9, 9, 9, 9, 9}};
  float block[6] = {NAN, NAN, NAN, NAN, INFINITY, NAN}; // of the batch before, whatever it was
  const int64_t rows[3] = {6, 2, 1};                    // one row has no spread: it does not count
  mcli_norm_figures mean = mcli_norm_figures_at(block, 2);
  int64_t total = 0;
  for (int k = 0; k < 3; k++) {
    mcli_norm_figures chunk = mcli_norm_figures_at(of_chunks[k], 2);
    mcli_norm_gather(rows[k], 2, &chunk, &total, &mean);
    if (k == 0) ck_assert_mem_eq(mean.mean, chunk.mean, 2 * sizeof(float));
    if (k == 0) ck_assert_mem_eq(mean.unbiased, chunk.unbiased, 2 * sizeof(float));
  }
  ck_assert_int_eq(total, 8);
  const double means[2] = {(1 * 6 + 5 * 2) / 8., (2 * 6 - 2 * 2) / 8.};
  const double variances[2] = {(3 * 6 + 1 * 2) / 8., 4 * 6 / 8.};
  check_close("mean", mean.mean, means, 2, 1e-6);
  check_close("variance", mean.unbiased, variances, 2, 1e-6);
}
END_TEST

START_TEST(evaluation_uses_the_running_figures) {
  mcl_context *c = test_context(1);
  layer l = layer_of(6, 3, 1, 1);
  const float mean[3] = {.5F, -1, 2}, variance[3] = {2, .25F, 0};
  CHECK_OK(mcli_norm_evaluate(c, 6, 3, l.x, l.scale, l.shift, mean, variance, 1, l.y, l.workspace,
                              &err));
  for (int i = 0; i < 18; i++) {
    double v = (l.tx[i] - (double)mean[i % 3]) / sqrt((double)variance[i % 3] + 1e-5);
    l.ty[i] = l.tscale[i % 3] * v + l.tshift[i % 3];
  }
  twin_relu(l.ty, 18);
  check_close("y", l.y, l.ty, 18, 1e-5);
  free_layer(&l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(one_row_gives_the_shift_and_a_constant_channel_stays_finite) {
  mcl_context *c = test_context(1);
  layer l = layer_of(1, 3, 0, 5);
  ours(c, &l);
  for (int j = 0; j < 3; j++) ck_assert_float_eq(l.y[j], l.shift[j]);
  for (int j = 0; j < 3; j++) ck_assert_float_eq(l.dx[j], 0);
  free_layer(&l);
  layer flat = layer_of(8, 1, 0, 0);
  for (int i = 0; i < 8; i++) flat.x[i] = 0.1F;
  ours(c, &flat);
  for (int i = 0; i < 8; i++) ck_assert(fabsf(flat.y[i] - flat.shift[0]) < 1e-4F);
  free_layer(&flat);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_bits_do_not_depend_on_the_number_of_threads) {
  mcl_context *c[3] = {test_context(1), test_context(2), test_context(3)};
  enum { ROWS = 9001, CHANNELS = 40 };
  layer one = layer_of(ROWS, CHANNELS, 1, 1);
  ours(c[0], &one);
  for (int t = 1; t < 3; t++) {
    layer l = layer_of(ROWS, CHANNELS, 1, 1);
    ours(c[t], &l);
    ck_assert_mem_eq(l.y, one.y, ROWS * CHANNELS * 4);
    ck_assert_mem_eq(l.dx, one.dx, ROWS * CHANNELS * 4);
    ck_assert_mem_eq(l.d_scale, one.d_scale, CHANNELS * 4);
    ck_assert_mem_eq(l.d_shift, one.d_shift, CHANNELS * 4);
    free_layer(&l);
  }
  free_layer(&one);
  for (int t = 0; t < 3; t++) mcl_context_unref(c[t]);
}
END_TEST

RUN_TESTS("nn", the_twin_agrees_with_finite_differences, forward_and_backward_agree_with_the_twin,
          running_figures_move_a_tenth_with_the_unbiased_variance,
          figures_of_chunks_become_their_mean_weighted_by_rows, evaluation_uses_the_running_figures,
          one_row_gives_the_shift_and_a_constant_channel_stays_finite,
          the_bits_do_not_depend_on_the_number_of_threads)
