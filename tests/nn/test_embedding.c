// Tables of embeddings, bags, positions and pooling, by plain loops in double.
#include "nn/twin.h"

#include <string.h>

#include "nn/embedding.h"

static mcl_error err;
enum { END = 3, PADDING = 0 };

static int32_t ids_of(uint64_t i, int32_t vocabulary) {
  return (int32_t)((i * 2654435761U >> 7) % (uint64_t)vocabulary);
}

typedef struct layer {
  int64_t n, width;
  mcli_tokens t;
  int32_t *ids;
  float *table, *y, *g, *d, *workspace;
  double *td;
} layer;

static layer layer_of(int64_t n, int32_t context, int32_t vocabulary, int64_t width) {
  layer l = {.n = n, .width = width};
  l.ids = calloc((size_t)(n * context + 1), sizeof *l.ids);
  for (int64_t i = 0; i < n * context; i++) l.ids[i] = ids_of((uint64_t)i, vocabulary);
  l.t = (mcli_tokens){l.ids, context, vocabulary, PADDING, END};
  l.table = floats(vocabulary * width), l.d = floats(vocabulary * width);
  l.y = floats(n * context * width), l.g = floats(n * context * width);
  l.workspace = floats(mcli_embedding_workspace(&l.t, n));
  test_fill_normal(l.table, vocabulary * width, 1);
  test_fill_normal(l.g, n * context * width, 2);
  l.td = twin_zeros(vocabulary * width);
  return l;
}

static void free_layer(layer *l) {
  void *all[] = {l->ids, l->table, l->y, l->g, l->d, l->workspace, l->td};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

START_TEST(a_row_ends_with_its_end_or_its_last_token_that_is_no_padding) {
  static const int32_t ids[6][4] = {{1, 3, 3, 2}, {1, 2, 0, 0}, {0, 2, 0, 0},
                                    {0, 0, 0, 0}, {3, 0, 0, 0}, {2, 2, 2, 2}};
  static const int64_t wanted[6] = {2, 2, 2, 1, 1, 4};
  mcli_tokens t = {&ids[0][0], 4, 4, PADDING, END};
  for (int i = 0; i < 6; i++) ck_assert_int_eq(mcli_tokens_length(&t, i), wanted[i]);
  t.end = -1;
  ck_assert_int_eq(mcli_tokens_length(&t, 0), 4);
  t.padding = -1;
  for (int i = 0; i < 6; i++) ck_assert_int_eq(mcli_tokens_length(&t, i), 4);
  t.ids = NULL;
  ck_assert_int_eq(mcli_tokens_length(&t, 0), 4);
}
END_TEST

static const int64_t sizes[][4] = {{1, 1, 4, 1}, {3, 5, 7, 3}, {40, 7, 20, 33}, {100, 9, 5, 16}};
enum { SIZES = sizeof sizes / sizeof *sizes };

START_TEST(embeddings_are_looked_up_and_their_gradients_added_up_within_the_length) {
  mcl_context *c = test_context(2);
  for (int s = 0; s < SIZES; s++) {
    layer l = layer_of(sizes[s][0], (int32_t)sizes[s][1], (int32_t)sizes[s][2], sizes[s][3]);
    CHECK_OK(mcli_embedding_forward(c, &l.t, l.n, l.width, l.table, l.y, &err));
    CHECK_OK(mcli_embedding_backward(c, &l.t, l.n, l.width, l.g, l.d, l.workspace, &err));
    for (int64_t i = 0; i < l.n * l.t.context; i++) {
      ck_assert_mem_eq(l.y + i * l.width, l.table + l.ids[i] * l.width, (size_t)l.width * 4);
      if (i % l.t.context >= mcli_tokens_length(&l.t, i / l.t.context)) continue;
      for (int64_t k = 0; k < l.width; k++)
        l.td[l.ids[i] * l.width + k] += (double)l.g[i * l.width + k];
    }
    check_close("d_table", l.d, l.td, l.t.vocabulary * l.width, 1e-6);
    free_layer(&l);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_bag_is_the_sum_or_mean_over_what_is_no_padding) {
  mcl_context *c = test_context(2);
  for (int s = 0; s < SIZES; s++)
    for (int mean = 0; mean < 2; mean++) {
      layer l = layer_of(sizes[s][0], (int32_t)sizes[s][1], (int32_t)sizes[s][2], sizes[s][3]);
      double *ty = twin_zeros(l.n * l.width);
      CHECK_OK(mcli_bag_forward(c, &l.t, l.n, l.width, mean, l.table, l.y, &err));
      CHECK_OK(mcli_bag_backward(c, &l.t, l.n, l.width, mean, l.g, l.d, l.workspace, &err));
      for (int64_t i = 0; i < l.n; i++) {
        const int32_t *ids = l.ids + i * l.t.context;
        double weight = 0;
        for (int64_t j = 0; j < l.t.context; j++) weight += ids[j] != PADDING;
        weight = mean && weight > 0 ? 1 / weight : 1;
        for (int64_t j = 0; j < l.t.context; j++)
          for (int64_t k = 0; k < l.width && ids[j] != PADDING; k++) {
            ty[i * l.width + k] += weight * (double)l.table[ids[j] * l.width + k];
            l.td[ids[j] * l.width + k] += weight * (double)l.g[i * l.width + k];
          }
      }
      check_close("y", l.y, ty, l.n * l.width, 1e-6);
      check_close("d_table", l.d, l.td, l.t.vocabulary * l.width, 1e-6);
      free(ty);
      free_layer(&l);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_bag_of_padding_alone_is_zero_and_has_no_gradient) {
  mcl_context *c = test_context(1);
  layer l = layer_of(1, 3, 4, 2);
  memset(l.ids, 0, 3 * sizeof *l.ids);
  for (int mean = 0; mean < 2; mean++) {
    l.y[0] = l.y[1] = 5;
    CHECK_OK(mcli_bag_forward(c, &l.t, 1, 2, mean, l.table, l.y, &err));
    CHECK_OK(mcli_bag_backward(c, &l.t, 1, 2, mean, l.g, l.d, l.workspace, &err));
    ck_assert(l.y[0] == 0 && l.y[1] == 0);
    for (int i = 0; i < 8; i++) ck_assert_float_eq(l.d[i], 0);
  }
  free_layer(&l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(positions_are_added_and_their_gradients_are_sums_over_rows) {
  enum { ROWS = 37, CONTEXT = 5, WIDTH = 19, SIZE = CONTEXT * WIDTH };
  mcl_context *c = test_context(2);
  float *x = floats(ROWS * SIZE), *y = floats(ROWS * SIZE), *table = floats(SIZE),
        *d = floats(SIZE);
  double *td = twin_zeros(SIZE);
  test_fill_normal(x, ROWS * SIZE, 1);
  test_fill_normal(table, SIZE, 2);
  CHECK_OK(mcli_positions_forward(c, ROWS, CONTEXT, WIDTH, x, table, y, &err));
  CHECK_OK(mcli_positions_backward(c, ROWS, CONTEXT, WIDTH, x, d, &err));
  for (int64_t i = 0; i < ROWS * SIZE; i++) {
    ck_assert_float_eq(y[i], x[i] + table[i % SIZE]);
    td[i % SIZE] += (double)x[i];
  }
  check_close("d_table", d, td, SIZE, 1e-6);
  free(x), free(y), free(table), free(d), free(td);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_last_token_of_a_row_stands_for_it) {
  enum { ROWS = 40, CONTEXT = 7, WIDTH = 3 };
  layer l = layer_of(ROWS, CONTEXT, 20, WIDTH);
  float y[ROWS * WIDTH], dx[ROWS * CONTEXT * WIDTH];
  memset(dx, 1, sizeof dx);
  mcli_pool_forward(&l.t, ROWS, WIDTH, l.g, y);
  mcli_pool_backward(&l.t, ROWS, WIDTH, y, dx);
  for (int64_t i = 0; i < ROWS; i++)
    for (int64_t j = 0; j < CONTEXT; j++)
      for (int64_t k = 0; k < WIDTH; k++) {
        int64_t at = (i * CONTEXT + j) * WIDTH + k;
        int last = j == mcli_tokens_length(&l.t, i) - 1;
        if (last) ck_assert_float_eq(y[i * WIDTH + k], l.g[at]);
        ck_assert_float_eq(dx[at], last ? l.g[at] : 0);
      }
  free_layer(&l);
}
END_TEST

START_TEST(the_bits_do_not_depend_on_the_number_of_threads) {
  layer one[2];
  for (uint32_t t = 1; t < 4; t++) {
    mcl_context *c = test_context(t);
    layer l[2] = {layer_of(300, 11, 50, 70), layer_of(300, 11, 50, 70)};
    CHECK_OK(mcli_embedding_backward(c, &l[0].t, 300, 70, l[0].g, l[0].d, l[0].workspace, &err));
    CHECK_OK(mcli_bag_backward(c, &l[1].t, 300, 70, 1, l[1].g, l[1].d, l[1].workspace, &err));
    CHECK_OK(mcli_bag_forward(c, &l[1].t, 300, 70, 1, l[1].table, l[1].y, &err));
    if (t == 1) memcpy(one, l, sizeof one);
    for (int i = 0; i < 2; i++) ck_assert_mem_eq(l[i].d, one[i].d, 50 * 70 * sizeof(float));
    ck_assert_mem_eq(l[1].y, one[1].y, 300 * 70 * sizeof(float));
    for (int i = 0; i < 2 && t > 1; i++) free_layer(&l[i]);
    mcl_context_unref(c);
  }
  free_layer(&one[0]);
  free_layer(&one[1]);
}
END_TEST

RUN_TESTS("nn", a_row_ends_with_its_end_or_its_last_token_that_is_no_padding,
          embeddings_are_looked_up_and_their_gradients_added_up_within_the_length,
          a_bag_is_the_sum_or_mean_over_what_is_no_padding,
          a_bag_of_padding_alone_is_zero_and_has_no_gradient,
          positions_are_added_and_their_gradients_are_sums_over_rows,
          the_last_token_of_a_row_stands_for_it, the_bits_do_not_depend_on_the_number_of_threads)
