// Embeddings of tokens. t_ij is token j of row i, E the table, l_i the row's length:
//
//   y_ij = E[t_ij]                    dE[t] = sum over t_ij = t, j < l_i of dy_ij           (1)
//   y_i  = m_i sum_j E[t_ij]          dE[t] = sum over t_ij = t of m_i dy_i                 (2)
//          over tokens that are no padding; m_i = 1, or 1 over their number
//   y_ij = x_ij + P[j]                dP[j] = sum_i dy_ij                                   (3)
//   y_i  = x_i,l_i - 1                                                                      (4)
//
// In (1) a token beyond the length has no gradient: nothing below sees it, neither attention nor (4). So it is left out
// rather than added, and padding, the most frequent of all tokens, costs nothing.
//
// The sums of (1) and (2) scatter: two rows with a token in common add to one row of dE. Places are sorted by token (a
// counting sort, so in their order), then a task adds up some columns of all tokens, in double: each number of dE is one task's.
#include "nn/embedding.h"

#include <string.h>

#include "nn/kernels.h"

int64_t mcli_tokens_length(const mcli_tokens *t, int64_t row) {
  if (!t->ids) return t->context;
  const int32_t *ids = t->ids + row * t->context;
  int64_t length = 1;
  for (int32_t j = 0; j < t->context; j++) {
    if (ids[j] == t->end) return j + 1;
    if (ids[j] != t->padding) length = j + 1;
  }
  return length;
}

typedef struct token_job {
  const mcli_nn_kernels *kernels;
  const mcli_tokens *t;
  int64_t n, width;
  int mean;
  const float *x, *table;
  float *out;
  // Of a scatter.
  const int32_t *places, *ends; // places sorted by token; where each token's end
  const float *weights;         // [n], of a bag; NULL: 1, and dy has a row a place
} token_job;

// Rows a task of the forward passes goes over.
enum { ROWS = 16 };

static int64_t rows_at(const token_job *j, uint32_t task, int64_t *first) {
  *first = (int64_t)task * ROWS;
  return j->n - *first < ROWS ? j->n - *first : ROWS;
}

// ---- tables ----------------------------------------------------------------------------------------

static void embed_rows(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const token_job *j = job;
  int64_t first, rows = rows_at(j, task, &first), context = j->t->context, width = j->width;
  for (int64_t i = first * context; i < (first + rows) * context; i++)
    memcpy(j->out + i * width, j->table + j->t->ids[i] * width, (size_t)width * sizeof *j->out);
}

mcl_status mcli_embedding_forward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                                  const float *table, float *y, mcl_error *err) {
  token_job j = {.t = t, .n = n, .width = width, .table = table, .out = y};
  return mcli_parallel(c, mcli_blocks(n, ROWS), embed_rows, &j, err);
}

// m_i of (2).
static float weight_of(const mcli_tokens *t, int64_t row, int mean) {
  if (!mean) return 1;
  int32_t n = 0;
  for (int32_t j = 0; j < t->context; j++) n += t->ids[row * t->context + j] != t->padding;
  return n > 0 ? 1 / (float)n : 0;
}

static void bag_rows(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const token_job *j = job;
  int64_t first, rows = rows_at(j, task, &first), context = j->t->context, width = j->width;
  for (int64_t i = first; i < first + rows; i++) {
    float *y = j->out + i * width, weight = weight_of(j->t, i, j->mean);
    memset(y, 0, (size_t)width * sizeof *y);
    for (int64_t k = i * context; k < (i + 1) * context; k++)
      if (j->t->ids[k] != j->t->padding) j->kernels->add(j->table + j->t->ids[k] * width, y, width);
    for (int64_t k = 0; k < width; k++) y[k] *= weight;
  }
}

mcl_status mcli_bag_forward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                            int mean, const float *table, float *y, mcl_error *err) {
  token_job j = {.kernels = mcli_nn_kernels_of(c),
                 .t = t,
                 .n = n,
                 .width = width,
                 .mean = mean,
                 .table = table,
                 .out = y};
  return mcli_parallel(c, mcli_blocks(n, ROWS), bag_rows, &j, err);
}

// ---- scatter ---------------------------------------------------------------------------------------

// Columns a task adds up: their doubles stay on the stack, and a cache line of dE has one writer.
enum { COLUMNS = 16 };

// The weights of a bag; the places, sorted; where each token's end.
int64_t mcli_embedding_workspace(const mcli_tokens *t, int64_t n) {
  return n + n * t->context + t->vocabulary + 1;
}

static int counts(const mcli_tokens *t, int bag, int64_t place, int64_t length) {
  return bag ? t->ids[place] != t->padding : place % t->context < length;
}

// A counting sort: behind it, token v has places[ends[v - 1] .. ends[v] - 1].
static void sort_places(const mcli_tokens *t, int64_t n, int bag, int32_t *places, int32_t *ends) {
  memset(ends, 0, ((size_t)t->vocabulary + 1) * sizeof *ends);
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t i = 0; i < n; i++) {
      int64_t length = mcli_tokens_length(t, i);
      for (int64_t k = i * t->context; k < (i + 1) * t->context; k++) {
        if (!counts(t, bag, k, length)) continue;
        int32_t *at = &ends[t->ids[k] + (pass == 0)];
        if (pass == 1) places[*at] = (int32_t)k;
        (*at)++;
      }
    }
    for (int32_t v = 0; pass == 0 && v < t->vocabulary; v++) ends[v + 1] += ends[v];
  }
}

static void scatter_columns(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const token_job *j = job;
  int64_t first = (int64_t)task * COLUMNS, left = j->width - first;
  int64_t columns = left < COLUMNS ? left : COLUMNS;
  for (int32_t v = 0, at = 0; v < j->t->vocabulary; v++) {
    if (at == j->ends[v]) continue;
    double sum[COLUMNS] = {0};
    for (; at < j->ends[v]; at++) {
      int64_t from = j->weights ? j->places[at] / j->t->context : j->places[at];
      const float *dy = j->x + from * j->width + first;
      double weight = j->weights ? (double)j->weights[from] : 1;
      for (int64_t k = 0; k < columns; k++) sum[k] += weight * (double)dy[k];
    }
    float *d = j->out + (int64_t)v * j->width + first;
    for (int64_t k = 0; k < columns; k++) d[k] += (float)sum[k];
  }
}

static mcl_status scatter(mcl_context *c, token_job *j, float *workspace, int bag, mcl_error *err) {
  int32_t *places = (int32_t *)(void *)(workspace + j->n);
  int32_t *ends = places + j->n * j->t->context;
  sort_places(j->t, j->n, bag, places, ends);
  j->places = places;
  j->ends = ends;
  return mcli_parallel(c, mcli_blocks(j->width, COLUMNS), scatter_columns, j, err);
}

mcl_status mcli_embedding_backward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                                   const float *dy, float *d_table, float *workspace,
                                   mcl_error *err) {
  token_job j = {.t = t, .n = n, .width = width, .x = dy, .out = d_table};
  return scatter(c, &j, workspace, 0, err);
}

mcl_status mcli_bag_backward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                             int mean, const float *dy, float *d_table, float *workspace,
                             mcl_error *err) {
  token_job j = {.t = t, .n = n, .width = width, .x = dy, .out = d_table, .weights = workspace};
  for (int64_t i = 0; i < n; i++) workspace[i] = weight_of(t, i, mean);
  return scatter(c, &j, workspace, 1, err);
}

// ---- positions -------------------------------------------------------------------------------------

typedef struct place_job {
  const mcli_nn_kernels *kernels;
  int64_t n, context, width;
  const float *x, *table;
  float *out;
} place_job;

static void place_rows(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const place_job *j = job;
  int64_t first = (int64_t)task * ROWS, rows = j->n - first < ROWS ? j->n - first : ROWS;
  int64_t size = j->context * j->width;
  for (int64_t i = first; i < first + rows; i++) {
    memcpy(j->out + i * size, j->x + i * size, (size_t)size * sizeof *j->out);
    j->kernels->add(j->table, j->out + i * size, size);
  }
}

mcl_status mcli_positions_forward(mcl_context *c, int64_t n, int64_t context, int64_t width,
                                  const float *x, const float *table, float *y, mcl_error *err) {
  place_job j = {mcli_nn_kernels_of(c), n, context, width, x, table, y};
  return mcli_parallel(c, mcli_blocks(n, ROWS), place_rows, &j, err);
}

// One position of the table.
static void sum_position(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const place_job *j = job;
  for (int64_t first = 0; first < j->width; first += COLUMNS) {
    double sum[COLUMNS] = {0};
    int64_t columns = j->width - first < COLUMNS ? j->width - first : COLUMNS;
    for (int64_t i = 0; i < j->n; i++) {
      const float *dy = j->x + (i * j->context + task) * j->width + first;
      for (int64_t k = 0; k < columns; k++) sum[k] += (double)dy[k];
    }
    float *d = j->out + task * j->width + first;
    for (int64_t k = 0; k < columns; k++) d[k] += (float)sum[k];
  }
}

mcl_status mcli_positions_backward(mcl_context *c, int64_t n, int64_t context, int64_t width,
                                   const float *dy, float *d_table, mcl_error *err) {
  place_job j = {.n = n, .context = context, .width = width, .x = dy, .out = d_table};
  return mcli_parallel(c, (uint32_t)context, sum_position, &j, err);
}

// ---- the token that stands for its row -------------------------------------------------------------

void mcli_pool_forward(const mcli_tokens *t, int64_t n, int64_t width, const float *x, float *y) {
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i * t->context + mcli_tokens_length(t, i) - 1;
    memcpy(y + i * width, x + at * width, (size_t)width * sizeof *y);
  }
}

void mcli_pool_backward(const mcli_tokens *t, int64_t n, int64_t width, const float *dy,
                        float *dx) {
  memset(dx, 0, (size_t)(n * t->context * width) * sizeof *dx);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i * t->context + mcli_tokens_length(t, i) - 1;
    memcpy(dx + at * width, dy + i * width, (size_t)width * sizeof *dx);
  }
}
