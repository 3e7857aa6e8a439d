// Scaled dot-product attention (Vaswani et al. 2017, section 3.2). For a head of d numbers, over the tokens j that i may see:
//
//   s_ij = <q_i, k_j> / sqrt d,  p_i = softmax s_i,  y_i = sum_j p_ij v_j                   (1)
//   dv_j = sum_i p_ij dy_i,  dp_ij = <dy_i, v_j>                                            (2)
//   ds_ij = p_ij (dp_ij - sum_k p_ik dp_ik)                                                 (3)
//   dq_i = 1 / sqrt d sum_j ds_ij k_j,  dk_j = 1 / sqrt d sum_i ds_ij q_i                   (4)
//
// A task is a head of a row, and takes its queries a tile at a time: scores [tile, tokens] are all that there is of the
// matrix, and backward computes them again. Keeping p would take heads x tokens numbers a token where all other activations of
// a block take some 16 width: 8 % more for CLIP's text tower, 19 % for 197 tokens of 192 numbers in 3 heads, and the more the
// longer rows are.
#include "nn/attention.h"

#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/rows.h"

// Queries of a tile at most. At 77 tokens a tile is 24 KiB; with fewer queries keys and values would be packed for each tile of a
// row that is hardly longer.
enum { TILE = 128 };

int64_t mcli_attention_workspace(mcl_context *c, const mcli_attention *a) {
  return (int64_t)mcli_workers(c) * 2 * TILE * a->tokens;
}

typedef struct attention_job {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const mcli_attention *a;
  const mcli_tokens *tokens;
  const float *qkv, *dy;
  float *y, *d_qkv, *workspace;
} attention_job;

// One head of one row: views into the row, tokens `stride` apart.
typedef struct head {
  int64_t length, dim, stride, first; // first: of its numbers within width
  const float *q, *k, *v;
  float scale, *scores, *d_scores;
} head;

static head head_of(const attention_job *j, uint32_t task, uint32_t worker, int64_t *row) {
  const mcli_attention *a = j->a;
  *row = task / (uint32_t)a->heads;
  head h = {.length = mcli_tokens_length(j->tokens, *row),
            .dim = a->width / a->heads,
            .stride = 3 * (int64_t)a->width};
  h.first = task % (uint32_t)a->heads * h.dim;
  h.q = j->qkv + *row * a->tokens * h.stride + h.first;
  h.k = h.q + a->width;
  h.v = h.k + a->width;
  h.scale = (float)(1 / sqrt((double)h.dim));
  h.scores = j->workspace + (int64_t)worker * 2 * TILE * a->tokens;
  h.d_scores = h.scores + (int64_t)TILE * a->tokens;
  return h;
}

// (1): p of queries first .. first + n - 1 over tokens 0 .. seen - 1, those that a query may not see at 0.
static void weigh(const attention_job *j, const head *h, int64_t first, int64_t n, int64_t seen) {
  mcli_gemm(j->context, MCLI_GEMM_TB, n, seen, h->dim, h->scale, h->q + first * h->stride,
            h->stride, h->k, h->stride, 0, h->scores, seen);
  for (int64_t i = 0; i < n; i++) {
    float *p = h->scores + i * seen;
    int64_t mine = j->a->causal ? first + i + 1 : seen;
    mcli_softmax(j->context, p, mine);
    memset(p + mine, 0, (size_t)(seen - mine) * sizeof *p);
  }
}

// Tiles of one row are as large as each other.
static int64_t tile_at(const attention_job *j, const head *h, int64_t first, int64_t *seen) {
  int64_t tiles = (h->length + TILE - 1) / TILE, even = (h->length + tiles - 1) / tiles;
  int64_t n = h->length - first < even ? h->length - first : even;
  *seen = j->a->causal ? first + n : h->length;
  return n;
}

// Zeros in the numbers of a head, for tokens first .. tokens - 1 of [tokens, stride].
static void clear(float *x, int64_t first, int64_t tokens, int64_t stride, int64_t dim) {
  for (int64_t i = first; i < tokens; i++) memset(x + i * stride, 0, (size_t)dim * sizeof *x);
}

static void forward_head(void *job, uint32_t task, uint32_t worker) {
  const attention_job *j = job;
  int64_t row, width = j->a->width, seen;
  head h = head_of(j, task, worker, &row);
  float *y = j->y + row * j->a->tokens * width + h.first;
  for (int64_t first = 0, n; first < h.length; first += n) {
    n = tile_at(j, &h, first, &seen);
    weigh(j, &h, first, n, seen);
    mcli_gemm(j->context, 0, n, h.dim, seen, 1, h.scores, seen, h.v, h.stride, 0, y + first * width,
              width);
  }
  clear(y, h.length, j->a->tokens, width, h.dim);
}

mcl_status mcli_attention_forward(mcl_context *c, const mcli_attention *a, int64_t n,
                                  const mcli_tokens *tokens, const float *qkv, float *y,
                                  float *workspace, mcl_error *err) {
  attention_job j = {.context = c,
                     .kernels = mcli_rows_kernels_of(c),
                     .a = a,
                     .tokens = tokens,
                     .qkv = qkv,
                     .y = y,
                     .workspace = workspace};
  return mcli_parallel(c, (uint32_t)(n * a->heads), forward_head, &j, err);
}

// Returns how many queries the tile has.
static int64_t backward_tile(const attention_job *j, const head *h, const float *dy, float *dq,
                             int64_t first) {
  int64_t seen, n = tile_at(j, h, first, &seen), width = j->a->width;
  float *dk = dq + width, *dv = dk + width;
  weigh(j, h, first, n, seen);
  dy += first * width;
  mcli_gemm(j->context, MCLI_GEMM_TA, seen, h->dim, n, 1, h->scores, seen, dy, width, 1, dv,
            h->stride); // (2)
  mcli_gemm(j->context, MCLI_GEMM_TB, n, seen, h->dim, 1, dy, width, h->v, h->stride, 0,
            h->d_scores, seen);
  for (int64_t i = 0; i < n; i++) { // (3)
    float *p = h->scores + i * seen, *d = h->d_scores + i * seen;
    float along = j->kernels->dot(p, d, seen);
    for (int64_t k = 0; k < seen; k++) d[k] = p[k] * (d[k] - along);
  }
  mcli_gemm(j->context, 0, n, h->dim, seen, h->scale, h->d_scores, seen, h->k, h->stride, 0,
            dq + first * h->stride, h->stride); // (4)
  mcli_gemm(j->context, MCLI_GEMM_TA, seen, h->dim, n, h->scale, h->d_scores, seen,
            h->q + first * h->stride, h->stride, 1, dk, h->stride);
  return n;
}

static void backward_head(void *job, uint32_t task, uint32_t worker) {
  const attention_job *j = job;
  int64_t row, width = j->a->width;
  head h = head_of(j, task, worker, &row);
  const float *dy = j->dy + row * j->a->tokens * width + h.first;
  float *dq = j->d_qkv + row * j->a->tokens * h.stride + h.first;
  clear(dq, h.length, j->a->tokens, h.stride, h.dim);
  clear(dq + width, 0, j->a->tokens, h.stride, h.dim); // keys and values add up over tiles
  clear(dq + 2 * width, 0, j->a->tokens, h.stride, h.dim);
  for (int64_t first = 0; first < h.length;) first += backward_tile(j, &h, dy, dq, first);
}

mcl_status mcli_attention_backward(mcl_context *c, const mcli_attention *a, int64_t n,
                                   const mcli_tokens *tokens, const float *qkv, const float *dy,
                                   float *d_qkv, float *workspace, mcl_error *err) {
  attention_job j = {.context = c,
                     .kernels = mcli_rows_kernels_of(c),
                     .a = a,
                     .tokens = tokens,
                     .qkv = qkv,
                     .dy = dy,
                     .d_qkv = d_qkv,
                     .workspace = workspace};
  return mcli_parallel(c, (uint32_t)(n * a->heads), backward_head, &j, err);
}
