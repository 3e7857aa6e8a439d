// The dense layer against a plain twin in double.
#include "nn/twin.h"

#include <string.h>

#include "nn/linear.h"

static mcl_error err;

typedef struct layer {
  int64_t n, inputs, outputs;
  int relu;
  float *x, *w, *b, *g, *y, *dy, *dx, *dw, *db;
  double *tx, *tw, *tb, *tg, *ty, *tdx, *tdw, *tdb;
} layer;

static layer layer_of(int64_t n, int64_t inputs, int64_t outputs, int relu) {
  layer l = {.n = n, .inputs = inputs, .outputs = outputs, .relu = relu};
  l.x = floats(n * inputs), l.w = floats(inputs * outputs), l.b = floats(outputs);
  l.g = floats(n * outputs), l.y = floats(n * outputs), l.dy = floats(n * outputs);
  l.dx = floats(n * inputs), l.dw = floats(inputs * outputs), l.db = floats(outputs);
  test_fill_normal(l.x, n * inputs, 1);
  test_fill_normal(l.w, inputs * outputs, 2);
  test_fill_normal(l.b, outputs, 3);
  test_fill_normal(l.g, n * outputs, 4);
  l.tx = twin_of(l.x, n * inputs), l.tw = twin_of(l.w, inputs * outputs);
  l.tb = twin_of(l.b, outputs), l.tg = twin_of(l.g, n * outputs);
  l.ty = twin_zeros(n * outputs), l.tdx = twin_zeros(n * inputs);
  l.tdw = twin_zeros(inputs * outputs), l.tdb = twin_zeros(outputs);
  return l;
}

static void free_layer(layer *l) {
  void *all[] = {l->x,  l->w,  l->b,  l->g,  l->y,  l->dy,  l->dx,  l->dw, l->db,
                 l->tx, l->tw, l->tb, l->tg, l->ty, l->tdx, l->tdw, l->tdb};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static double twin_forward(void *of) {
  layer *l = of;
  for (int64_t i = 0; i < l->n; i++)
    for (int64_t j = 0; j < l->outputs; j++) {
      double s = l->tb[j];
      for (int64_t k = 0; k < l->inputs; k++)
        s += l->tx[i * l->inputs + k] * l->tw[k * l->outputs + j];
      l->ty[i * l->outputs + j] = s;
    }
  if (l->relu) twin_relu(l->ty, l->n * l->outputs);
  return weighted(l->ty, l->tg, l->n * l->outputs);
}

static void twin_backward(layer *l) {
  double *dy = twin_of(l->g, l->n * l->outputs);
  if (l->relu) twin_relu_backward(l->ty, dy, l->n * l->outputs);
  twin_column_sums(dy, l->n, l->outputs, l->tdb);
  for (int64_t i = 0; i < l->n; i++)
    for (int64_t j = 0; j < l->outputs; j++)
      for (int64_t k = 0; k < l->inputs; k++) {
        l->tdw[k * l->outputs + j] += l->tx[i * l->inputs + k] * dy[i * l->outputs + j];
        l->tdx[i * l->inputs + k] += l->tw[k * l->outputs + j] * dy[i * l->outputs + j];
      }
  free(dy);
}

static void ours(mcl_context *c, layer *l) {
  CHECK_OK(
      mcli_linear_forward(c, l->n, l->inputs, l->outputs, l->x, l->w, l->b, l->relu, l->y, &err));
  memcpy(l->dy, l->g, (size_t)(l->n * l->outputs) * sizeof *l->dy);
  CHECK_OK(mcli_linear_backward(c, l->n, l->inputs, l->outputs, l->x, l->w, l->y, l->relu, l->dy,
                                l->dx, l->dw, l->db, &err));
}

START_TEST(the_twin_agrees_with_finite_differences) {
  for (int relu = 0; relu < 2; relu++) {
    layer l = layer_of(3, 4, 5, relu);
    twin_forward(&l);
    twin_backward(&l);
    check_differences("dx", twin_forward, &l, l.tx, l.tdx, l.n * l.inputs);
    check_differences("dw", twin_forward, &l, l.tw, l.tdw, l.inputs * l.outputs);
    check_differences("db", twin_forward, &l, l.tb, l.tdb, l.outputs);
    free_layer(&l);
  }
}
END_TEST

START_TEST(forward_and_backward_agree_with_the_twin) {
  static const int64_t sizes[][3] = {{1, 1, 1}, {3, 7, 5}, {64, 33, 129}, {130, 300, 70}};
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    layer l = layer_of(sizes[i][0], sizes[i][1], sizes[i][2], i % 2 == 0);
    twin_forward(&l);
    twin_backward(&l);
    ours(c, &l);
    check_close("y", l.y, l.ty, l.n * l.outputs, 1e-5);
    check_close("dx", l.dx, l.tdx, l.n * l.inputs, 1e-5);
    check_close("dw", l.dw, l.tdw, l.inputs * l.outputs, 1e-5);
    check_close("db", l.db, l.tdb, l.outputs, 1e-5);
    free_layer(&l);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(neither_bias_nor_input_gradient_need_be_there) {
  mcl_context *c = test_context(1);
  layer l = layer_of(5, 3, 4, 0);
  CHECK_OK(mcli_linear_forward(c, 5, 3, 4, l.x, l.w, NULL, 0, l.y, &err));
  memset(l.tb, 0, 4 * sizeof *l.tb);
  twin_forward(&l);
  check_close("y", l.y, l.ty, 20, 1e-5);
  twin_backward(&l);
  memcpy(l.dy, l.g, 20 * sizeof *l.dy);
  CHECK_OK(mcli_linear_backward(c, 5, 3, 4, l.x, l.w, l.y, 0, l.dy, NULL, l.dw, NULL, &err));
  check_close("dw", l.dw, l.tdw, 12, 1e-5);
  free_layer(&l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_bits_do_not_depend_on_the_number_of_threads) {
  mcl_context *c[3] = {test_context(1), test_context(2), test_context(3)};
  layer one = layer_of(256, 1024, 128, 1);
  ours(c[0], &one);
  for (int t = 1; t < 3; t++) {
    layer l = layer_of(256, 1024, 128, 1);
    ours(c[t], &l);
    ck_assert_mem_eq(l.y, one.y, 256 * 128 * 4);
    ck_assert_mem_eq(l.dx, one.dx, 256 * 1024 * 4);
    ck_assert_mem_eq(l.dw, one.dw, 1024 * 128 * 4);
    ck_assert_mem_eq(l.db, one.db, 128 * 4);
    free_layer(&l);
  }
  free_layer(&one);
  for (int t = 0; t < 3; t++) mcl_context_unref(c[t]);
}
END_TEST

RUN_TESTS("nn", the_twin_agrees_with_finite_differences, forward_and_backward_agree_with_the_twin,
          neither_bias_nor_input_gradient_need_be_there,
          the_bits_do_not_depend_on_the_number_of_threads)
