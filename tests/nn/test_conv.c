// Convolution against a plain twin in double, over kernels, strides and odd sizes.
#include "nn/twin.h"

#include <string.h>

static mcl_error err;

enum { OF = 100 };

typedef struct shape {
  int32_t height, width, channels, filters, kernel, stride, n, relu, bias;
  int32_t padding; // MCL_PADDING_*, or OF and the zeros on all sides
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 0, 1},
    {5, 5, 2, 3, 3, 1, 2, 1, 1},
    {5, 4, 3, 2, 3, 2, 3, 1, 0},
    {4, 7, 1, 4, 5, 2, 2, 0, 1},
    {6, 6, 2, 2, 2, 2, 2, 1, 1},
    {7, 5, 2, 3, 4, 3, 1, 1, 1},
    {3, 2, 2, 2, 5, 1, 2, 1, 1},
    {2, 2, 1, 2, 1, 3, 2, 0, 1},
    {6, 5, 2, 3, 3, 2, 2, 1, 1, MCL_PADDING_VALID}, // a row that no patch reads
    {3, 4, 2, 2, 3, 1, 2, 0, 1, MCL_PADDING_VALID},
    {6, 5, 2, 3, 3, 2, 2, 1, 0, OF + 1},
    {3, 4, 1, 2, 7, 2, 2, 0, 1, OF + 3},
    {14, 14, 5, 32, 5, 2, 37, 1, 1},
    {7, 7, 32, 64, 3, 2, 18, 1, 1},
    {4, 4, 64, 64, 3, 1, 9, 1, 1},
    {64, 64, 3, 8, 5, 2, 3, 1, 1},
    {2, 3, 2, 3, 3, 1, 300, 1, 1},
    {13, 13, 32, 64, 3, 2, 18, 1, 1, MCL_PADDING_VALID},
    {9, 7, 8, 12, 1, 1, 30, 1, 1}, // no patches: they are the pixels
    {1, 1, 32, 32, 3, 1, 2, 0,
     1}, // Winograd's, from here on: tiles that hang over, one that is all there is
    {4, 5, 32, 48, 3, 1, 3, 1, 1},
    {2, 2, 48, 32, 3, 1, 700, 0, 0}, // several parts, several bands
    {13, 9, 32, 32, 3, 1, 40, 1, 1},
    {40, 37, 64, 32, 3, 1, 1, 1, 0},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, SMALL = 12 };

// One layer's numbers, ours and the twin's.
typedef struct layer {
  mcli_conv v;
  int64_t n, in, out, weights;
  int relu, bias;
  float *x, *k, *b, *g, *y, *dy, *dx, *dk, *db, *workspace;
  double *tx, *tk, *tb, *tg, *ty, *tdy, *tdx, *tdk, *tdb;
} layer;

static layer layer_of(mcl_context *c, const shape *s) {
  twin_padding = s->padding >= OF ? s->padding - OF : -1;
  layer l = {.n = s->n, .relu = s->relu, .bias = s->bias};
  l.v = s->padding >= OF ? mcli_conv_padded(s->height, s->width, s->channels, s->filters, s->kernel,
                                            s->stride, s->padding - OF)
                         : mcli_conv_make(s->height, s->width, s->channels, s->filters, s->kernel,
                                          s->stride, s->padding);
  l.in = (int64_t)s->height * s->width * s->channels * s->n;
  l.out = (int64_t)l.v.out_height * l.v.out_width * s->filters * s->n;
  l.weights = (int64_t)s->kernel * s->kernel * s->channels * s->filters;
  l.x = floats(l.in), l.k = floats(l.weights), l.b = floats(s->filters), l.g = floats(l.out);
  l.y = floats(l.out), l.dy = floats(l.out), l.dx = floats(l.in);
  l.dk = floats(l.weights), l.db = floats(s->filters);
  l.workspace = aligned_alloc(64, (size_t)mcli_conv_workspace(c, &l.v, s->n) * 4 + 64);
  test_fill_normal(l.x, l.in, 1);
  test_fill_normal(l.k, l.weights, 2);
  test_fill_normal(l.b, s->filters, 3);
  test_fill_normal(l.g, l.out, 4);
  l.tx = twin_of(l.x, l.in), l.tk = twin_of(l.k, l.weights), l.tb = twin_of(l.b, s->filters);
  l.tg = twin_of(l.g, l.out), l.ty = twin_zeros(l.out), l.tdy = twin_zeros(l.out);
  l.tdx = twin_zeros(l.in), l.tdk = twin_zeros(l.weights), l.tdb = twin_zeros(s->filters);
  return l;
}

static void free_layer(layer *l) {
  void *all[] = {l->x,  l->k,  l->b,  l->g,  l->y,  l->dy,  l->dx,  l->dk,  l->db, l->workspace,
                 l->tx, l->tk, l->tb, l->tg, l->ty, l->tdy, l->tdx, l->tdk, l->tdb};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static double twin_forward(void *of) {
  layer *l = of;
  memset(l->ty, 0, (size_t)l->out * sizeof *l->ty);
  twin_conv(&l->v, l->n, l->tx, l->tk, l->ty, NULL, NULL, NULL);
  if (l->bias) twin_add_bias(l->ty, l->tb, l->out / l->v.filters, l->v.filters);
  if (l->relu) twin_relu(l->ty, l->out);
  return weighted(l->ty, l->tg, l->out);
}

static void twin_backward(layer *l) {
  memcpy(l->tdy, l->tg, (size_t)l->out * sizeof *l->tdy);
  if (l->relu) twin_relu_backward(l->ty, l->tdy, l->out);
  twin_conv(&l->v, l->n, l->tx, l->tk, NULL, l->tdy, l->tdx, l->tdk);
  if (l->bias) twin_column_sums(l->tdy, l->out / l->v.filters, l->v.filters, l->tdb);
}

static void ours(mcl_context *c, layer *l) {
  const float *bias = l->bias ? l->b : NULL;
  float *d_bias = l->bias ? l->db : NULL;
  CHECK_OK(mcli_conv_forward(c, &l->v, l->n, l->x, l->k, bias, l->relu, l->y, l->workspace, &err));
  memcpy(l->dy, l->g, (size_t)l->out * sizeof *l->dy);
  for (int64_t i = 0; i < l->in; i++) l->dx[i] = 7; // to be overwritten
  CHECK_OK(mcli_conv_backward(c, &l->v, l->n, l->x, l->k, l->y, l->relu, l->dy, l->dx, l->dk,
                              d_bias, l->workspace, &err));
}

START_TEST(the_twin_agrees_with_finite_differences) {
  mcl_context *c = test_context(1);
  for (int i = 0; i < SMALL; i++) {
    layer l = layer_of(c, &shapes[i]);
    twin_forward(&l);
    twin_backward(&l);
    check_differences("dx", twin_forward, &l, l.tx, l.tdx, l.in);
    check_differences("dk", twin_forward, &l, l.tk, l.tdk, l.weights);
    if (l.bias) check_differences("db", twin_forward, &l, l.tb, l.tdb, l.v.filters);
    free_layer(&l);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(forward_and_backward_agree_with_the_twin) {
  mcl_context *c = test_context(2);
  for (int i = 0; i < SHAPES; i++) {
    layer l = layer_of(c, &shapes[i]);
    twin_forward(&l);
    twin_backward(&l);
    ours(c, &l);
    check_close("y", l.y, l.ty, l.out, 1e-5);
    check_close("dx", l.dx, l.tdx, l.in, 1e-5);
    check_close("dk", l.dk, l.tdk, l.weights, 1e-5);
    if (l.bias) check_close("db", l.db, l.tdb, l.v.filters, 1e-5);
    free_layer(&l);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(weight_gradients_add_up_and_no_input_gradient_may_be_wanted) {
  mcl_context *c = test_context(1);
  layer l = layer_of(c, &shapes[1]);
  ours(c, &l);
  float *once = floats(l.weights), *bias_once = floats(l.v.filters);
  memcpy(once, l.dk, (size_t)l.weights * sizeof *once);
  memcpy(bias_once, l.db, (size_t)l.v.filters * sizeof *once);
  memcpy(l.dy, l.g, (size_t)l.out * sizeof *l.dy);
  CHECK_OK(mcli_conv_backward(c, &l.v, l.n, l.x, l.k, l.y, l.relu, l.dy, NULL, l.dk, l.db,
                              l.workspace, &err));
  for (int64_t i = 0; i < l.weights; i++) ck_assert_float_eq(l.dk[i], 2 * once[i]);
  for (int32_t i = 0; i < l.v.filters; i++) ck_assert_float_eq(l.db[i], 2 * bias_once[i]);
  free(once);
  free(bias_once);
  free_layer(&l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_bits_do_not_depend_on_the_number_of_threads) {
  mcl_context *c[3] = {test_context(1), test_context(2), test_context(3)};
  for (int i = SMALL; i < SHAPES; i++) {
    layer one = layer_of(c[0], &shapes[i]);
    ours(c[0], &one);
    for (int t = 1; t < 3; t++) {
      layer l = layer_of(c[t], &shapes[i]);
      ours(c[t], &l);
      ck_assert_mem_eq(l.y, one.y, (size_t)l.out * 4);
      ck_assert_mem_eq(l.dx, one.dx, (size_t)l.in * 4);
      ck_assert_mem_eq(l.dk, one.dk, (size_t)l.weights * 4);
      ck_assert_mem_eq(l.db, one.db, (size_t)l.v.filters * 4);
      free_layer(&l);
    }
    free_layer(&one);
  }
  for (int t = 0; t < 3; t++) mcl_context_unref(c[t]);
}
END_TEST

START_TEST(an_image_alone_gives_the_same_bits) {
  mcl_context *c = test_context(1);
  for (int i = SMALL; i < SHAPES; i++) {
    layer l = layer_of(c, &shapes[i]);
    ours(c, &l);
    int64_t in = l.in / l.n, out = l.out / l.n;
    float *y = floats(out);
    for (int64_t at = 0; at < l.n; at += 3) {
      CHECK_OK(mcli_conv_forward(c, &l.v, 1, l.x + at * in, l.k, l.bias ? l.b : NULL, l.relu, y,
                                 l.workspace, &err));
      ck_assert_mem_eq(y, l.y + at * out, (size_t)out * 4);
    }
    free(y);
    free_layer(&l);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(padding_is_tensorflows_same) {
  // in, kernel, stride -> out, pad above: by hand from TensorFlow's tf.nn.convolution notes.
  static const int32_t known[][5] = {{14, 5, 2, 7, 1}, {28, 3, 2, 14, 0}, {7, 3, 2, 4, 1},
                                     {4, 3, 1, 4, 1},  {5, 2, 1, 5, 0},   {2, 1, 3, 1, 0}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    mcli_conv v =
        mcli_conv_make(known[i][0], known[i][0], 1, 1, known[i][1], known[i][2], MCL_PADDING_SAME);
    ck_assert_int_eq(v.out_height, known[i][3]);
    ck_assert_int_eq(v.out_width, known[i][3]);
    ck_assert_int_eq(v.pad_top, known[i][4]);
    ck_assert_int_eq(v.pad_left, known[i][4]);
  }
}
END_TEST

START_TEST(without_padding_the_kernel_stays_inside) {
  // in, kernel, stride -> out: PyTorch's Conv2d without padding.
  static const int32_t known[][4] = {{28, 3, 2, 13}, {13, 3, 2, 6}, {6, 3, 2, 2}, {3, 3, 1, 1}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    mcli_conv v =
        mcli_conv_make(known[i][0], known[i][0], 1, 1, known[i][1], known[i][2], MCL_PADDING_VALID);
    ck_assert_int_eq(v.out_height, known[i][3]);
    ck_assert_int_eq(v.out_width, known[i][3]);
    ck_assert_int_eq(v.pad_top + v.pad_left, 0);
  }
}
END_TEST

RUN_TESTS("nn", the_twin_agrees_with_finite_differences, forward_and_backward_agree_with_the_twin,
          weight_gradients_add_up_and_no_input_gradient_may_be_wanted,
          the_bits_do_not_depend_on_the_number_of_threads, an_image_alone_gives_the_same_bits,
          padding_is_tensorflows_same, without_padding_the_kernel_stays_inside)
