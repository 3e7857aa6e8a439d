// Max pooling against a plain twin, and its gradients against finite differences of the twin.
#include "nn/twin.h"

#include <string.h>

#include "nn/pool.h"

static mcl_error err;

typedef struct shape {
  int32_t height, width, channels, kernel, stride, padding, n;
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 1, 0, 1}, {5, 4, 2, 3, 2, 1, 3}, {6, 7, 3, 2, 2, 0, 2},
    {4, 4, 1, 3, 1, 1, 1}, {9, 5, 4, 3, 3, 1, 2}, {23, 26, 8, 3, 2, 1, 5},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct layer {
  mcli_conv v;
  int64_t n, in, out;
  float *x, *y, *g, *dx;
  double *tx, *ty, *tg, *tdx;
} layer;

static layer layer_of(const shape *s) {
  layer l = {.n = s->n};
  l.v = mcli_conv_padded(s->height, s->width, s->channels, s->channels, s->kernel, s->stride,
                         s->padding);
  l.in = (int64_t)s->height * s->width * s->channels * s->n;
  l.out = (int64_t)l.v.out_height * l.v.out_width * s->channels * s->n;
  l.x = floats(l.in), l.y = floats(l.out), l.g = floats(l.out), l.dx = floats(l.in);
  test_fill_normal(l.x, l.in, 1);
  test_fill_normal(l.g, l.out, 2);
  l.tx = twin_of(l.x, l.in), l.tg = twin_of(l.g, l.out);
  l.ty = twin_zeros(l.out), l.tdx = twin_zeros(l.in);
  return l;
}

static void free_layer(layer *l) {
  void *all[] = {l->x, l->y, l->g, l->dx, l->tx, l->ty, l->tg, l->tdx};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

// Where under the window of output pixel (oy, ox) the first of the largest is.
static int64_t largest(const layer *l, int64_t image, int32_t oy, int32_t ox, int32_t c) {
  const mcli_conv *v = &l->v;
  int64_t best = -1;
  for (int32_t ky = 0; ky < v->kernel; ky++)
    for (int32_t kx = 0; kx < v->kernel; kx++) {
      int32_t y = oy * v->stride - v->pad_top + ky, x = ox * v->stride - v->pad_left + kx;
      if (y < 0 || x < 0 || y >= v->height || x >= v->width) continue;
      int64_t at = ((image * v->height + y) * v->width + x) * v->channels + c;
      if (best < 0 || l->tx[at] > l->tx[best]) best = at;
    }
  return best;
}

static double twin(void *of) {
  layer *l = of;
  const mcli_conv *v = &l->v;
  int64_t at = 0;
  memset(l->tdx, 0, (size_t)l->in * sizeof *l->tdx);
  for (int64_t i = 0; i < l->n; i++)
    for (int32_t oy = 0; oy < v->out_height; oy++)
      for (int32_t ox = 0; ox < v->out_width; ox++)
        for (int32_t c = 0; c < v->channels; c++, at++) {
          int64_t from = largest(l, i, oy, ox, c);
          l->ty[at] = l->tx[from];
          l->tdx[from] += l->tg[at];
        }
  return weighted(l->ty, l->tg, l->out);
}

START_TEST(forward_and_backward_agree_with_the_twin) {
  for (uint32_t threads = 1; threads < 4; threads++) {
    mcl_context *c = test_context(threads);
    for (int i = 0; i < SHAPES; i++) {
      layer l = layer_of(&shapes[i]);
      twin(&l);
      for (int64_t k = 0; k < l.in; k++) l.dx[k] = 7; // to be overwritten
      CHECK_OK(mcli_max_forward(c, &l.v, l.n, l.x, l.y, &err));
      CHECK_OK(mcli_max_backward(c, &l.v, l.n, l.x, l.y, l.g, l.dx, &err));
      check_close("y", l.y, l.ty, l.out, 0);
      check_close("dx", l.dx, l.tdx, l.in, 1e-6);
      free_layer(&l);
    }
    mcl_context_unref(c);
  }
}
END_TEST

START_TEST(the_twins_gradient_is_the_slope) {
  layer l = layer_of(&shapes[1]);
  twin(&l);
  double *dx = malloc((size_t)l.in * sizeof *dx), h = 1e-6;
  memcpy(dx, l.tdx, (size_t)l.in * sizeof *dx);
  for (int64_t k = 0; k < l.in; k++) {
    double x = l.tx[k];
    l.tx[k] = x + h;
    double above = twin(&l);
    l.tx[k] = x - h;
    double below = twin(&l);
    l.tx[k] = x;
    ck_assert_double_eq_tol(dx[k], (above - below) / (2 * h), 1e-6);
  }
  free(dx);
  free_layer(&l);
}
END_TEST

START_TEST(of_equal_pixels_the_first_gets_the_gradient) {
  mcl_context *c = test_context(1);
  mcli_conv v = mcli_conv_padded(2, 2, 1, 1, 2, 1, 0);
  const float x[4] = {1, 3, 3, 3}, dy[1] = {5};
  float y[1], dx[4];
  CHECK_OK(mcli_max_forward(c, &v, 1, x, y, &err));
  CHECK_OK(mcli_max_backward(c, &v, 1, x, y, dy, dx, &err));
  ck_assert(y[0] == 3 && dx[0] == 0 && dx[1] == 5 && dx[2] == 0 && dx[3] == 0);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("nn", forward_and_backward_agree_with_the_twin, the_twins_gradient_is_the_slope,
          of_equal_pixels_the_first_gets_the_gradient)
