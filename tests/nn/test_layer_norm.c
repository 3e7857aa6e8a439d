// Layer norm against a plain twin in double.
#include "nn/twin.h"

#include <string.h>

#include "nn/kernels.h"
#include "nn/layer_norm.h"

static mcl_error err;
static float epsilon = 1e-5F;

typedef struct layer {
  int64_t rows, channels;
  float *x, *scale, *shift, *g, *y, *dx, *d_scale, *d_shift, *workspace;
  double *tx, *tscale, *tshift, *tg, *ty, *tdx, *td_scale, *td_shift;
} layer;

static layer layer_of(int64_t rows, int64_t channels, float offset) {
  layer l = {.rows = rows, .channels = channels};
  int64_t n = rows * channels;
  l.x = floats(n), l.scale = floats(channels), l.shift = floats(channels), l.g = floats(n);
  l.y = floats(n), l.dx = floats(n), l.d_scale = floats(channels), l.d_shift = floats(channels);
  l.workspace =
      aligned_alloc(64, (size_t)(mcli_layer_norm_workspace(rows, channels) / 16 + 1) * 64);
  test_fill_normal(l.x, n, 1);
  for (int64_t i = 0; i < n; i++) l.x[i] += offset;
  test_fill_normal(l.scale, channels, 2);
  test_fill_normal(l.shift, channels, 3);
  test_fill_normal(l.g, n, 4);
  l.tx = twin_of(l.x, n), l.tscale = twin_of(l.scale, channels);
  l.tshift = twin_of(l.shift, channels), l.tg = twin_of(l.g, n);
  l.ty = twin_zeros(n), l.tdx = twin_zeros(n);
  l.td_scale = twin_zeros(channels), l.td_shift = twin_zeros(channels);
  return l;
}

static void free_layer(layer *l) {
  void *all[] = {l->x,       l->scale,   l->shift,     l->g,        l->y,       l->dx,
                 l->d_scale, l->d_shift, l->tx,        l->tscale,   l->tshift,  l->tg,
                 l->ty,      l->tdx,     l->workspace, l->td_scale, l->td_shift};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void spread_of(const double *x, int64_t n, double *mean, double *inverse) {
  double variance = 0;
  *mean = 0;
  for (int64_t j = 0; j < n; j++) *mean += x[j] / (double)n;
  for (int64_t j = 0; j < n; j++) variance += (x[j] - *mean) * (x[j] - *mean) / (double)n;
  *inverse = 1 / sqrt(variance + (double)epsilon);
}

static double twin_forward(void *of) {
  layer *l = of;
  for (int64_t i = 0; i < l->rows; i++) {
    const double *x = l->tx + i * l->channels;
    double mean, inverse;
    spread_of(x, l->channels, &mean, &inverse);
    for (int64_t j = 0; j < l->channels; j++)
      l->ty[i * l->channels + j] = l->tscale[j] * (x[j] - mean) * inverse + l->tshift[j];
  }
  return weighted(l->ty, l->tg, l->rows * l->channels);
}

static void twin_backward(layer *l) {
  double n = (double)l->channels;
  for (int64_t i = 0; i < l->rows; i++) {
    const double *x = l->tx + i * l->channels, *dy = l->tg + i * l->channels;
    double mean, inverse, sum = 0, along = 0;
    spread_of(x, l->channels, &mean, &inverse);
    for (int64_t j = 0; j < l->channels; j++) {
      double hat = (x[j] - mean) * inverse;
      l->td_scale[j] += dy[j] * hat;
      l->td_shift[j] += dy[j];
      sum += dy[j] * l->tscale[j] / n;
      along += dy[j] * l->tscale[j] * hat / n;
    }
    for (int64_t j = 0; j < l->channels; j++)
      l->tdx[i * l->channels + j] =
          inverse * (dy[j] * l->tscale[j] - sum - (x[j] - mean) * inverse * along);
  }
}

static void ours(mcl_context *c, layer *l) {
  CHECK_OK(mcli_layer_norm_forward(c, l->rows, l->channels, epsilon, l->x, l->scale, l->shift, l->y,
                                   &err));
  CHECK_OK(mcli_layer_norm_backward(c, l->rows, l->channels, epsilon, l->x, l->scale, l->g, l->dx,
                                    l->d_scale, l->d_shift, l->workspace, &err));
}

START_TEST(the_twin_agrees_with_finite_differences) {
  layer l = layer_of(3, 7, 2);
  twin_forward(&l);
  twin_backward(&l);
  check_differences("dx", twin_forward, &l, l.tx, l.tdx, 21);
  check_differences("d_scale", twin_forward, &l, l.tscale, l.td_scale, 7);
  check_differences("d_shift", twin_forward, &l, l.tshift, l.td_shift, 7);
  free_layer(&l);
}
END_TEST

// Not of two numbers: they become -1 and 1 whatever they are, so dx is what rounding leaves of 0.
START_TEST(forward_and_backward_agree_with_the_twin) {
  static const int64_t sizes[][2] = {{1, 3}, {5, 4}, {1000, 33}, {9000, 9}, {2, 70000}, {9, 64}};
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    layer l = layer_of(sizes[i][0], sizes[i][1], i % 2 ? 30 : 0);
    epsilon = i == 5 ? 0.1F : 1e-5F;
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
  epsilon = 1e-5F; // for the tests behind this one
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_row_of_equal_numbers_gives_the_shift) {
  mcl_context *c = test_context(1);
  layer l = layer_of(2, 5, 0);
  for (int i = 0; i < 10; i++) l.x[i] = 3;
  ours(c, &l);
  for (int i = 0; i < 10; i++) ck_assert_float_eq(l.y[i], l.shift[i % 5]);
  free_layer(&l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(backward_without_dx_and_in_place_give_the_same_numbers) {
  mcl_context *c = test_context(1);
  layer l = layer_of(6, 9, 1), other = layer_of(6, 9, 1);
  ours(c, &l);
  CHECK_OK(mcli_layer_norm_backward(c, 6, 9, epsilon, other.x, other.scale, other.g, NULL,
                                    other.d_scale, other.d_shift, other.workspace, &err));
  ck_assert_mem_eq(l.d_scale, other.d_scale, 9 * sizeof(float));
  CHECK_OK(mcli_layer_norm_backward(c, 6, 9, epsilon, other.x, other.scale, other.g, other.g,
                                    other.d_scale, other.d_shift, other.workspace, &err));
  ck_assert_mem_eq(l.dx, other.g, 54 * sizeof(float));
  free_layer(&l);
  free_layer(&other);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_bits_depend_neither_on_threads_nor_on_the_instruction_set) {
  enum { ROWS = 3001, CHANNELS = 41, N = ROWS * CHANNELS };
  layer one = layer_of(ROWS, CHANNELS, 1);
  mcl_context *c = test_context(1);
  ours(c, &one);
  mcl_context_unref(c);
  for (uint32_t t = 2; t < 4; t++) {
    layer l = layer_of(ROWS, CHANNELS, 1);
    c = test_context(t);
    ours(c, &l);
    ck_assert_mem_eq(l.y, one.y, N * sizeof(float));
    ck_assert_mem_eq(l.dx, one.dx, N * sizeof(float));
    ck_assert_mem_eq(l.d_scale, one.d_scale, CHANNELS * sizeof(float));
    ck_assert_mem_eq(l.d_shift, one.d_shift, CHANNELS * sizeof(float));
    mcl_context_unref(c);
    free_layer(&l);
  }
  for (mcli_isa isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_nn_kernels *k = mcli_nn_kernels_for(isa);
    if (!k) continue;
    layer l = layer_of(ROWS, CHANNELS, 1);
    k->layer_norm(l.x, ROWS, CHANNELS, 1e-5F, l.scale, l.shift, l.y);
    k->layer_norm_backward(l.x, l.g, ROWS, CHANNELS, 1e-5F, l.scale, l.dx, l.td_scale, l.td_shift);
    ck_assert_mem_eq(l.y, one.y, N * sizeof(float));
    ck_assert_mem_eq(l.dx, one.dx, N * sizeof(float));
    free_layer(&l);
  }
  free_layer(&one);
}
END_TEST

RUN_TESTS("nn", the_twin_agrees_with_finite_differences, forward_and_backward_agree_with_the_twin,
          a_row_of_equal_numbers_gives_the_shift,
          backward_without_dx_and_in_place_give_the_same_numbers,
          the_bits_depend_neither_on_threads_nor_on_the_instruction_set)
