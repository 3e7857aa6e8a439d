// The transforms of nn/winograd.c against the matrices of its head, and what only they could get wrong. That its convolutions are
// convolutions is for test_conv.c to say.
#include "nn/twin.h"

#include <string.h>

#include "nn/kernels.h"
#include "nn/winograd.h"

static mcl_error err;

static const double bt[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const double g[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
static const double at[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

// to [rows, rows] = left [rows, n] x [n, n] left'; transposed: left is [n, rows].
static void both_sides(const double *left, int rows, int n, int transposed, const double *x,
                       double *to) {
  for (int i = 0; i < rows; i++)
    for (int k = 0; k < rows; k++) {
      to[rows * i + k] = 0;
      for (int p = 0; p < n; p++)
        for (int q = 0; q < n; q++)
          to[rows * i + k] += (transposed ? left[p * rows + i] : left[i * n + p]) * x[n * p + q] *
                              (transposed ? left[q * rows + k] : left[k * n + q]);
    }
}

enum { N = 48, PLANE = 50, ALL = 16 * PLANE }; // three vectors of channels, planes further apart

// One transform: so many numbers, squared, of a channel in and out; its matrix.
typedef struct transform {
  const char *name;
  int from, to, transposed, adds;
  const double *matrix;
} transform;

static const transform transforms[] = {{"(1)", 4, 4, 0, 0, bt[0]}, {"(2)", 3, 4, 0, 0, g[0]},
                                       {"(4)", 4, 2, 0, 0, at[0]}, {"(5)", 2, 4, 1, 0, at[0]},
                                       {"(7)", 4, 3, 1, 1, g[0]},  {"(8)", 4, 4, 1, 1, bt[0]}};
enum { TRANSFORMS = sizeof transforms / sizeof *transforms };

static void call(const mcli_nn_kernels *k, int which, const float *x, float *y) {
  const float *in[16];
  float *out[16];
  for (int i = 0; i < 16; i++) in[i] = x + i * PLANE, out[i] = y + i * PLANE;
  switch (which) {
  case 0:
    k->winograd_input(in, N, PLANE, y);
    break;
  case 1:
    k->winograd_kernel(x, N, PLANE, PLANE, y);
    break;
  case 2:
    k->winograd_output(x, N, PLANE, out);
    break;
  case 3:
    k->winograd_output_backward(in, N, PLANE, y);
    break;
  case 4:
    k->winograd_kernel_backward(x, N, PLANE, PLANE, y);
    break;
  default:
    k->winograd_input_backward(x, N, PLANE, out);
  }
}

START_TEST(each_transform_is_that_of_its_matrices) {
  static float x[ALL], y[ALL], before[ALL], first[ALL];
  for (int w = 0; w < TRANSFORMS; w++) {
    const transform *t = &transforms[w];
    for (mcli_isa isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
      const mcli_nn_kernels *k = mcli_nn_kernels_for(isa);
      if (!k) continue;
      test_fill_normal(x, ALL, 1);
      test_fill_normal(before, ALL, 2);
      memcpy(y, before, sizeof y);
      call(k, w, x, y);
      if (isa == MCLI_ISA_BASE) memcpy(first, y, sizeof y);
      ck_assert_mem_eq(first, y, sizeof y);
      for (int c = 0; c < N; c++) {
        double in[16], out[16];
        for (int i = 0; i < t->from * t->from; i++) in[i] = (double)x[i * PLANE + c];
        both_sides(t->matrix, t->to, t->from, t->transposed, in, out);
        for (int i = 0; i < t->to * t->to; i++) {
          double wanted = out[i] + (t->adds ? (double)before[i * PLANE + c] : 0);
          ck_assert_msg(fabs((double)y[i * PLANE + c] - wanted) < 4e-6,
                        "%s: number %d is %g, not %g", t->name, i, (double)y[i * PLANE + c],
                        wanted);
        }
      }
    }
  }
}
END_TEST

START_TEST(pixels_outside_the_image_count_as_zeros_and_are_not_written) {
  const mcli_nn_kernels *k = mcli_nn_kernels_for(MCLI_ISA_BASE);
  float x[32], v[16 * 32], w[16 * 32], zeros[32] = {0}, y[4][32] = {{0}};
  const float *in[16], *padded[16];
  float *out[4] = {y[0], NULL, NULL, NULL};
  test_fill_normal(x, 32, 1);
  for (int i = 0; i < 16; i++) in[i] = i == 5 ? x : NULL, padded[i] = i == 5 ? x : zeros;
  k->winograd_input(in, 32, 32, v);
  k->winograd_input(padded, 32, 32, w);
  ck_assert_mem_eq(v, w, sizeof v);
  test_fill_normal(v, 16 * 32, 2);
  k->winograd_output(v, 32, 32, out);
  for (int i = 0; i < 32; i++) ck_assert(y[0][i] != 0 && y[1][i] == 0 && y[3][i] == 0);
}
END_TEST

// Whether a pixel of an image lies inside it and is lit; images lie one after the other.
enum { SIDE = 16, IMAGES = 4, C = 32, PIXELS = IMAGES * SIDE * SIDE };
static int is_lit(const char *lit, int pixel, int down, int right) {
  int row = pixel / SIDE % SIDE + down, column = pixel % SIDE + right;
  return row >= 0 && row < SIDE && column >= 0 && column < SIDE && lit[pixel + down * SIDE + right];
}

// A third of the pixels have inputs; a third of the others' neighbours above and to the left have gradients, so that a kernel's
// last tap joins no two. Sums run over many tiles: what cancels leaves its rounding.
START_TEST(what_nothing_feeds_has_a_gradient_of_exactly_0) {
  static char inputs[PIXELS], outputs[PIXELS];
  static float draw[2 * PIXELS];
  mcl_context *c = test_context(2);
  mcli_conv v = mcli_conv_padded(SIDE, SIDE, C, C, 3, 1, 1);
  ck_assert(mcli_winograd_serves(&v));
  float *x = floats(PIXELS * C), *y = floats(PIXELS * C), *dy = floats(PIXELS * C),
        *dx = floats(PIXELS * C), *k = floats(9 * C * C), *dk = floats(9 * C * C);
  int64_t size = (mcli_conv_workspace(c, &v, IMAGES) + 15) / 16 * 64;
  float *workspace = aligned_alloc(64, (size_t)size);
  test_fill_normal(k, 9 * C * C, 1);
  test_fill(draw, 2 * PIXELS, 2, 0, 1);
  for (int p = 0; p < PIXELS; p++) inputs[p] = draw[p] < 0.33F;
  for (int p = 0; p < PIXELS; p++) {
    outputs[p] = draw[PIXELS + p] < 0.33F && !is_lit(inputs, p, 1, 1);
    if (inputs[p]) test_fill_normal(x + p * C, C, 10 + (uint64_t)p);
    if (outputs[p]) test_fill_normal(dy + p * C, C, 5000 + (uint64_t)p);
  }
  CHECK_OK(mcli_conv_backward(c, &v, IMAGES, x, k, y, 0, dy, dx, dk, NULL, workspace, &err));
  for (int tap = 0; tap < 9; tap++)
    for (int i = 0; i < C * C; i++) ck_assert_int_eq(dk[tap * C * C + i] != 0, tap < 8);
  int fed_by_none = 0;
  for (int p = 0; p < PIXELS; p++) {
    int fed = 0;
    for (int tap = 0; tap < 9; tap++) fed |= is_lit(outputs, p, tap / 3 - 1, tap % 3 - 1);
    for (int i = 0; i < C; i++) ck_assert_int_eq(dx[p * C + i] != 0, fed);
    fed_by_none += !fed;
  }
  ck_assert_int_gt(fed_by_none, 20);
  void *all[] = {x, y, dy, dx, k, dk, workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_shape_alone_decides_whether_it_serves) {
  mcli_conv fits = mcli_conv_padded(5, 4, 32, 48, 3, 1, 1);
  mcli_conv same = mcli_conv_make(5, 4, 32, 48, 3, 1, MCL_PADDING_SAME);
  ck_assert(mcli_winograd_serves(&fits) && mcli_winograd_serves(&same));
  const mcli_conv others[] = {
      mcli_conv_padded(5, 4, 32, 48, 3, 2, 1), mcli_conv_padded(5, 4, 32, 48, 3, 1, 0),
      mcli_conv_padded(5, 4, 32, 48, 5, 1, 2), mcli_conv_padded(5, 4, 16, 48, 3, 1, 1),
      mcli_conv_padded(5, 4, 32, 16, 3, 1, 1), mcli_conv_padded(5, 4, 40, 48, 3, 1, 1),
      mcli_conv_padded(5, 4, 48, 33, 3, 1, 1)};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    ck_assert_msg(!mcli_winograd_serves(&others[i]), "%zu", i);
}
END_TEST

RUN_TESTS("nn", each_transform_is_that_of_its_matrices,
          pixels_outside_the_image_count_as_zeros_and_are_not_written,
          what_nothing_feeds_has_a_gradient_of_exactly_0, a_shape_alone_decides_whether_it_serves)
