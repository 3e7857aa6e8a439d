// Images as rows of tokens, by plain loops in double.
#include "nn/twin.h"

#include <string.h>

#include "nn/patches.h"

static mcl_error err;

START_TEST(pixels_are_brought_to_the_scale_of_their_channel) {
  static const int64_t sizes[][2] = {{1, 1}, {7, 3}, {20000, 3}, {5, 20000}};
  mcl_context *c = test_context(2);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t n = sizes[s][0], channels = sizes[s][1];
    float *x = floats(n * channels), *y = floats(n * channels), *mean = floats(channels),
          *deviation = floats(channels);
    test_fill_normal(x, n * channels, 1);
    test_fill_normal(mean, channels, 2);
    for (int64_t k = 0; k < channels; k++) deviation[k] = 0.25F + (float)(k % 5);
    CHECK_OK(mcli_standardise(c, n, channels, x, mean, deviation, y, &err));
    for (int64_t i = 0; i < n * channels; i++)
      ck_assert_float_eq(y[i], (x[i] - mean[i % channels]) / deviation[i % channels]);
    free(x), free(y), free(mean), free(deviation);
  }
  mcl_context_unref(c);
}
END_TEST

static const int64_t sizes[][3] = {{1, 1, 1}, {3, 4, 5}, {40, 7, 3}, {18, 9, 130}};
enum { SIZES = sizeof sizes / sizeof *sizes };

typedef struct layer {
  int64_t n, tokens, width, size; // size: of x
  float *x, *y, *dx, *table, *d_table, *dy;
} layer;

// y and dy have room for a token more than x.
static layer layer_of(const int64_t size[3]) {
  layer l = {.n = size[0], .tokens = size[1], .width = size[2]};
  l.size = l.n * l.tokens * l.width;
  int64_t longer = l.size + l.n * l.width;
  l.x = floats(l.size), l.dx = floats(l.size);
  l.y = floats(longer), l.dy = floats(longer);
  l.table = floats(l.width), l.d_table = floats(l.width);
  test_fill_normal(l.x, l.size, 1);
  test_fill_normal(l.dy, longer, 2);
  test_fill_normal(l.table, l.width, 3);
  for (int64_t i = 0; i < l.size; i++) l.dx[i] = 7;
  return l;
}

static void free_layer(layer *l) {
  free(l->x), free(l->y), free(l->dx), free(l->dy), free(l->table), free(l->d_table);
}

START_TEST(a_class_token_stands_in_front_and_its_gradient_is_the_sum_over_rows) {
  mcl_context *c = test_context(2);
  for (int s = 0; s < SIZES; s++) {
    layer l = layer_of(sizes[s]);
    double *wanted = twin_zeros(l.width);
    CHECK_OK(mcli_class_forward(c, l.n, l.tokens, l.width, l.x, l.table, l.y, &err));
    for (int64_t k = 0; k < l.width; k++) wanted[k] = l.d_table[k] = 2; // added to
    CHECK_OK(mcli_class_backward(c, l.n, l.tokens, l.width, l.dy, l.dx, l.d_table, &err));
    for (int64_t i = 0; i < l.n; i++) {
      int64_t row = i * (l.tokens + 1) * l.width, size = l.tokens * l.width;
      ck_assert_mem_eq(l.y + row, l.table, (size_t)l.width * 4);
      ck_assert_mem_eq(l.y + row + l.width, l.x + i * size, (size_t)size * 4);
      ck_assert_mem_eq(l.dx + i * size, l.dy + row + l.width, (size_t)size * 4);
      for (int64_t k = 0; k < l.width; k++) wanted[k] += (double)l.dy[row + k];
    }
    check_close("d_table", l.d_table, wanted, l.width, 1e-6);
    free(wanted);
    free_layer(&l);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_first_token_or_the_mean_of_all_stands_for_a_row) {
  mcl_context *c = test_context(2);
  for (int s = 0; s < SIZES; s++)
    for (int mean = 0; mean < 2; mean++) {
      layer l = layer_of(sizes[s]);
      double *y = twin_zeros(l.n * l.width), *dx = twin_zeros(l.size);
      if (mean) {
        CHECK_OK(mcli_mean_forward(c, l.n, l.tokens, l.width, l.x, l.y, &err));
        CHECK_OK(mcli_mean_backward(c, l.n, l.tokens, l.width, l.dy, l.dx, &err));
      } else {
        mcli_first_forward(l.n, l.tokens, l.width, l.x, l.y);
        mcli_first_backward(l.n, l.tokens, l.width, l.dy, l.dx);
      }
      for (int64_t i = 0; i < l.size; i++) {
        int64_t row = i / (l.tokens * l.width) * l.width + i % l.width;
        double share = mean ? 1 / (double)l.tokens : i / l.width % l.tokens == 0;
        y[row] += share * (double)l.x[i];
        dx[i] = share * (double)l.dy[row];
      }
      check_close("y", l.y, y, l.n * l.width, 1e-6);
      check_close("dx", l.dx, dx, l.size, 1e-6);
      free(y), free(dx);
      free_layer(&l);
    }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("nn", pixels_are_brought_to_the_scale_of_their_channel,
          a_class_token_stands_in_front_and_its_gradient_is_the_sum_over_rows,
          the_first_token_or_the_mean_of_all_stands_for_a_row)
