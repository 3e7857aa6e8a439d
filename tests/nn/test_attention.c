// Attention against a plain twin in double, with rows of several lengths.
#include "nn/twin.h"

#include <string.h>

#include "nn/attention.h"

static mcl_error err;
enum { END = 9, PADDING = 0 };

typedef struct layer {
  int64_t n;
  mcli_attention a;
  mcli_tokens tokens;
  int32_t *ids;
  float *qkv, *g, *y, *d, *workspace;
  double *tqkv, *tg, *ty, *td;
} layer;

// Row i ends at token (5 i + 2) mod context; `whole`: no ids, every token counts.
static layer layer_of(int64_t n, mcli_attention a, int whole) {
  layer l = {.n = n, .a = a};
  int64_t size = n * a.tokens * a.width;
  l.ids = calloc((size_t)(n * a.tokens), sizeof *l.ids);
  for (int64_t i = 0; i < n * a.tokens; i++) l.ids[i] = 1 + (int32_t)(i % 5);
  for (int64_t i = 0; i < n; i++) l.ids[i * a.tokens + (5 * i + 2) % a.tokens] = END;
  l.tokens = (mcli_tokens){whole ? NULL : l.ids, a.tokens, 10, PADDING, END};
  l.qkv = floats(3 * size), l.g = floats(size), l.y = floats(size), l.d = floats(3 * size);
  test_fill_normal(l.qkv, 3 * size, 1);
  test_fill_normal(l.g, size, 2);
  l.tqkv = twin_of(l.qkv, 3 * size), l.tg = twin_of(l.g, size);
  l.ty = twin_zeros(size), l.td = twin_zeros(3 * size);
  return l;
}

static void free_layer(layer *l) {
  void *all[] = {l->ids, l->qkv, l->g, l->y, l->d, l->tqkv, l->tg, l->ty, l->td};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static int64_t length_of(const layer *l, int64_t row) {
  return l->tokens.ids ? (5 * row + 2) % l->a.tokens + 1 : l->a.tokens;
}

// One query of one head: its probabilities, and how many tokens it sees.
static int64_t twin_weigh(const layer *l, int64_t row, int64_t i, int64_t head, double *p) {
  int64_t w = l->a.width, d = w / l->a.heads, seen = l->a.causal ? i + 1 : length_of(l, row);
  const double *x = l->tqkv + row * l->a.tokens * 3 * w + head * d;
  double total = 0;
  for (int64_t j = 0; j < seen; j++) {
    double s = 0;
    for (int64_t k = 0; k < d; k++) s += x[i * 3 * w + k] * x[j * 3 * w + w + k];
    p[j] = exp(s / sqrt((double)d));
    total += p[j];
  }
  for (int64_t j = 0; j < seen; j++) p[j] /= total;
  return seen;
}

static double twin_forward(void *of) {
  layer *l = of;
  int64_t w = l->a.width, d = w / l->a.heads;
  double *p = twin_zeros(l->a.tokens);
  memset(l->ty, 0, (size_t)(l->n * l->a.tokens * w) * sizeof *l->ty);
  for (int64_t row = 0; row < l->n; row++)
    for (int64_t h = 0; h < l->a.heads; h++)
      for (int64_t i = 0; i < length_of(l, row); i++) {
        int64_t seen = twin_weigh(l, row, i, h, p);
        double *y = l->ty + (row * l->a.tokens + i) * w + h * d;
        const double *v = l->tqkv + row * l->a.tokens * 3 * w + 2 * w + h * d;
        for (int64_t j = 0; j < seen; j++)
          for (int64_t k = 0; k < d; k++) y[k] += p[j] * v[j * 3 * w + k];
      }
  free(p);
  return weighted(l->ty, l->tg, l->n * l->a.tokens * w);
}

static void twin_backward(layer *l) {
  int64_t w = l->a.width, d = w / l->a.heads, stride = 3 * w;
  double *p = twin_zeros(l->a.tokens), *dp = twin_zeros(l->a.tokens);
  for (int64_t row = 0; row < l->n; row++)
    for (int64_t h = 0; h < l->a.heads; h++)
      for (int64_t i = 0; i < length_of(l, row); i++) {
        int64_t seen = twin_weigh(l, row, i, h, p), at = row * l->a.tokens * stride + h * d;
        const double *dy = l->tg + (row * l->a.tokens + i) * w + h * d, *x = l->tqkv + at;
        double *dx = l->td + at, along = 0;
        for (int64_t j = 0; j < seen; j++) {
          dp[j] = weighted(dy, x + j * stride + 2 * w, d);
          along += p[j] * dp[j];
          for (int64_t k = 0; k < d; k++) dx[j * stride + 2 * w + k] += p[j] * dy[k];
        }
        for (int64_t j = 0; j < seen; j++) {
          double ds = p[j] * (dp[j] - along) / sqrt((double)d);
          for (int64_t k = 0; k < d; k++) {
            dx[i * stride + k] += ds * x[j * stride + w + k];
            dx[j * stride + w + k] += ds * x[i * stride + k];
          }
        }
      }
  free(p);
  free(dp);
}

static void ours(mcl_context *c, layer *l) {
  float *workspace = floats(mcli_attention_workspace(c, &l->a));
  int64_t size = l->n * l->a.tokens * l->a.width;
  for (int64_t i = 0; i < 3 * size; i++) l->d[i] = NAN; // all of it is written
  for (int64_t i = 0; i < size; i++) l->y[i] = NAN;
  CHECK_OK(mcli_attention_forward(c, &l->a, l->n, &l->tokens, l->qkv, l->y, workspace, &err));
  CHECK_OK(
      mcli_attention_backward(c, &l->a, l->n, &l->tokens, l->qkv, l->g, l->d, workspace, &err));
  free(workspace);
}

START_TEST(the_twin_agrees_with_finite_differences) {
  for (int causal = 0; causal < 2; causal++) {
    layer l = layer_of(2, (mcli_attention){4, 6, 2, causal}, 0);
    twin_forward(&l);
    twin_backward(&l);
    check_differences("d_qkv", twin_forward, &l, l.tqkv, l.td, 2 * 4 * 18);
    free_layer(&l);
  }
}
END_TEST

static void check_agrees(mcl_context *c, int64_t n, mcli_attention a, int whole) {
  layer l = layer_of(n, a, whole);
  twin_forward(&l);
  twin_backward(&l);
  ours(c, &l);
  int64_t size = n * a.tokens * a.width;
  check_close("y", l.y, l.ty, size, 1e-5);
  check_close("d_qkv", l.d, l.td, 3 * size, 1e-5);
  free_layer(&l);
}

// 64 queries are a tile: fewer, one, one and a bit, several.
START_TEST(forward_and_backward_agree_with_the_twin) {
  static const int32_t tokens[] = {1, 2, 7, 64, 127, 128, 129, 300};
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
    for (int causal = 0; causal < 2; causal++) {
      check_agrees(c, 3, (mcli_attention){tokens[i], 12, 3, causal}, 0);
      check_agrees(c, 2, (mcli_attention){tokens[i], 10, 1, causal}, 1);
      check_agrees(c, 2, (mcli_attention){tokens[i], 5, 5, causal}, 1);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_lies_behind_the_end_changes_nothing_before_it) {
  mcl_context *c = test_context(1);
  for (int causal = 0; causal < 2; causal++) {
    mcli_attention a = {8, 4, 2, causal};
    layer l = layer_of(1, a, 0), other = layer_of(1, a, 0); // the end is token 2
    for (int64_t i = 3 * 12; i < 8 * 12; i++) other.qkv[i] = 1e30F;
    ours(c, &l);
    ours(c, &other);
    ck_assert_mem_eq(l.y, other.y, 32 * sizeof(float));
    ck_assert_mem_eq(l.d, other.d, 96 * sizeof(float));
    for (int64_t i = 3 * 4; i < 8 * 4; i++) ck_assert_float_eq(l.y[i], 0);
    for (int64_t i = 3 * 12; i < 8 * 12; i++) ck_assert_float_eq(l.d[i], 0);
    free_layer(&l);
    free_layer(&other);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(large_scores_lose_nothing) {
  mcl_context *c = test_context(1);
  layer l = layer_of(1, (mcli_attention){3, 2, 1, 0}, 1);
  for (int i = 0; i < 18; i++) l.qkv[i] = 0;
  for (int i = 0; i < 3; i++) l.qkv[i * 6] = 1e4F, l.qkv[i * 6 + 2] = (float)i; // keys 0, 1, 2
  for (int i = 0; i < 3; i++) l.qkv[i * 6 + 4] = (float)(10 * i);
  ours(c, &l);
  for (int i = 0; i < 3; i++) ck_assert_float_eq(l.y[i * 2], 20);
  free_layer(&l);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_bits_do_not_depend_on_the_number_of_threads_nor_on_the_rows_beside) {
  mcli_attention a = {70, 24, 3, 1};
  layer one = layer_of(5, a, 0);
  mcl_context *c = test_context(1);
  ours(c, &one);
  layer alone = layer_of(1, a, 0);
  ours(c, &alone);
  ck_assert_mem_eq(alone.y, one.y, 70 * 24 * sizeof(float));
  free_layer(&alone);
  mcl_context_unref(c);
  for (uint32_t t = 2; t < 4; t++) {
    layer l = layer_of(5, a, 0);
    c = test_context(t);
    ours(c, &l);
    ck_assert_mem_eq(l.y, one.y, 5 * 70 * 24 * sizeof(float));
    ck_assert_mem_eq(l.d, one.d, 5 * 70 * 72 * sizeof(float));
    mcl_context_unref(c);
    free_layer(&l);
  }
  free_layer(&one);
}
END_TEST

RUN_TESTS("nn", the_twin_agrees_with_finite_differences, forward_and_backward_agree_with_the_twin,
          what_lies_behind_the_end_changes_nothing_before_it, large_scores_lose_nothing,
          the_bits_do_not_depend_on_the_number_of_threads_nor_on_the_rows_beside)
