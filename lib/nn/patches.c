// What a transformer over images has beside one over texts (Dosovitskiy et al. 2021, section 3.1). The patches themselves are
// a convolution whose stride is its kernel's side. Of row i, T tokens:
//
//   y_p  = (x_p - m) / d                of each channel of a pixel                           (1)
//   y_i  = [e, x_i1 .. x_iT]            de = sum_i dy_i0,  dx_ij = dy_i,j+1                  (2)
//   y_i  = x_i0                         dx_i0 = dy_i, the others 0                           (3)
//   y_i  = 1/T sum_j x_ij               dx_ij = dy_i / T                                     (4)
//
// Rejected: (1) as part of the patches' kernel, which would be right only as long as that kernel is not decayed, saved, or
// shown to anyone.
#include "nn/patches.h"

#include <string.h>

#include "nn/kernels.h"

typedef struct patch_job {
  const mcli_nn_kernels *kernels;
  int64_t n, tokens, width;
  const float *x, *table, *deviation;
  float *out;
} patch_job;

// Rows a task goes over.
enum { ROWS = 16 };
// Numbers a task brings to scale: 64 KiB.
enum { BLOCK = 16 << 10 };
// Columns added up at a time: their doubles stay on the stack.
enum { COLUMNS = 64 };

static int64_t rows_at(const patch_job *j, uint32_t task, int64_t *first) {
  *first = (int64_t)task * ROWS;
  return j->n - *first < ROWS ? j->n - *first : ROWS;
}

// ---- pixels ----------------------------------------------------------------------------------------

static int64_t pixels_a_task(int64_t channels) {
  return channels < BLOCK ? BLOCK / channels : 1;
}

static void standardise_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const patch_job *j = job;
  int64_t block = pixels_a_task(j->width), first = task * block;
  int64_t n = j->n - first < block ? j->n - first : block;
  for (int64_t i = first; i < first + n; i++)
    for (int64_t k = 0; k < j->width; k++)
      j->out[i * j->width + k] = (j->x[i * j->width + k] - j->table[k]) / j->deviation[k];
}

mcl_status mcli_standardise(mcl_context *c, int64_t n, int64_t channels, const float *x,
                            const float *mean, const float *deviation, float *y, mcl_error *err) {
  patch_job j = {
      .n = n, .width = channels, .x = x, .table = mean, .deviation = deviation, .out = y};
  return mcli_parallel(c, mcli_blocks(n, pixels_a_task(channels)), standardise_block, &j, err);
}

// ---- a token in front ------------------------------------------------------------------------------

static void put_in_front(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const patch_job *j = job;
  int64_t first, rows = rows_at(j, task, &first), size = j->tokens * j->width;
  for (int64_t i = first; i < first + rows; i++) {
    float *y = j->out + i * (size + j->width);
    memcpy(y, j->table, (size_t)j->width * sizeof *y);
    memcpy(y + j->width, j->x + i * size, (size_t)size * sizeof *y);
  }
}

mcl_status mcli_class_forward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                              const float *x, const float *table, float *y, mcl_error *err) {
  patch_job j = {.n = n, .tokens = tokens, .width = width, .x = x, .table = table, .out = y};
  return mcli_parallel(c, mcli_blocks(n, ROWS), put_in_front, &j, err);
}

static void take_from_front(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const patch_job *j = job;
  int64_t first, rows = rows_at(j, task, &first), size = j->tokens * j->width;
  for (int64_t i = first; i < first + rows; i++)
    memcpy(j->out + i * size, j->x + i * (size + j->width) + j->width,
           (size_t)size * sizeof *j->out);
}

mcl_status mcli_class_backward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                               const float *dy, float *dx, float *d_table, mcl_error *err) {
  patch_job j = {.n = n, .tokens = tokens, .width = width, .x = dy, .out = dx};
  for (int64_t first = 0; first < width; first += COLUMNS) {
    double sum[COLUMNS] = {0};
    int64_t columns = width - first < COLUMNS ? width - first : COLUMNS;
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < columns; k++)
        sum[k] += (double)dy[i * (tokens + 1) * width + first + k];
    for (int64_t k = 0; k < columns; k++) d_table[first + k] += (float)sum[k];
  }
  return mcli_parallel(c, mcli_blocks(n, ROWS), take_from_front, &j, err);
}

// ---- what stands for a row -------------------------------------------------------------------------

void mcli_first_forward(int64_t n, int64_t tokens, int64_t width, const float *x, float *y) {
  for (int64_t i = 0; i < n; i++)
    memcpy(y + i * width, x + i * tokens * width, (size_t)width * sizeof *y);
}

void mcli_first_backward(int64_t n, int64_t tokens, int64_t width, const float *dy, float *dx) {
  memset(dx, 0, (size_t)(n * tokens * width) * sizeof *dx);
  for (int64_t i = 0; i < n; i++)
    memcpy(dx + i * tokens * width, dy + i * width, (size_t)width * sizeof *dx);
}

static void mean_rows(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const patch_job *j = job;
  int64_t first, rows = rows_at(j, task, &first), width = j->width;
  for (int64_t i = first; i < first + rows; i++) {
    float *y = j->out + i * width;
    memcpy(y, j->x + i * j->tokens * width, (size_t)width * sizeof *y);
    for (int64_t t = 1; t < j->tokens; t++)
      j->kernels->add(j->x + (i * j->tokens + t) * width, y, width);
    for (int64_t k = 0; k < width; k++) y[k] /= (float)j->tokens;
  }
}

mcl_status mcli_mean_forward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                             const float *x, float *y, mcl_error *err) {
  patch_job j = {
      .kernels = mcli_nn_kernels_of(c), .n = n, .tokens = tokens, .width = width, .x = x, .out = y};
  return mcli_parallel(c, mcli_blocks(n, ROWS), mean_rows, &j, err);
}

static void spread_rows(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const patch_job *j = job;
  int64_t first, rows = rows_at(j, task, &first), width = j->width;
  for (int64_t i = first; i < first + rows; i++) {
    float *dx = j->out + i * j->tokens * width;
    for (int64_t k = 0; k < width; k++) dx[k] = j->x[i * width + k] / (float)j->tokens;
    for (int64_t t = 1; t < j->tokens; t++) memcpy(dx + t * width, dx, (size_t)width * sizeof *dx);
  }
}

mcl_status mcli_mean_backward(mcl_context *c, int64_t n, int64_t tokens, int64_t width,
                              const float *dy, float *dx, mcl_error *err) {
  patch_job j = {.n = n, .tokens = tokens, .width = width, .x = dy, .out = dx};
  return mcli_parallel(c, mcli_blocks(n, ROWS), spread_rows, &j, err);
}
