// Image by image: an image is a task, and the gradients of its windows, which overlap, are added in one order.
#include "nn/pool.h"

#include <string.h>

#include "base/context.h"

typedef struct pool_job {
  const mcli_conv *v;
  const float *x, *y, *dy;
  float *out;
} pool_job;

static int64_t output_of(const mcli_conv *v) {
  return mcli_conv_pixels(v) * v->channels;
}

// The window's part inside the image along one axis: [*from, *to).
static void inside(int32_t at, int32_t stride, int32_t pad, int32_t kernel, int32_t size,
                   int32_t *from, int32_t *to) {
  int32_t first = at * stride - pad;
  *from = first < 0 ? 0 : first;
  *to = first + kernel < size ? first + kernel : size;
}

static void forward_window(const mcli_conv *v, const float *x, int32_t oy, int32_t ox, float *y) {
  int32_t top, bottom, left, right;
  inside(oy, v->stride, v->pad_top, v->kernel, v->height, &top, &bottom);
  inside(ox, v->stride, v->pad_left, v->kernel, v->width, &left, &right);
  memcpy(y, x + ((int64_t)top * v->width + left) * v->channels, (size_t)v->channels * sizeof *y);
  for (int32_t iy = top; iy < bottom; iy++)
    for (int32_t ix = left; ix < right; ix++) {
      const float *pixel = x + ((int64_t)iy * v->width + ix) * v->channels;
      for (int32_t c = 0; c < v->channels; c++) y[c] = pixel[c] > y[c] ? pixel[c] : y[c];
    }
}

static void forward_image(void *job, uint32_t task, uint32_t worker) {
  const pool_job *j = job;
  const mcli_conv *v = j->v;
  float *y = j->out + task * output_of(v);
  (void)worker;
  for (int32_t oy = 0; oy < v->out_height; oy++)
    for (int32_t ox = 0; ox < v->out_width; ox++, y += v->channels)
      forward_window(v, j->x + task * mcli_conv_image(v), oy, ox, y);
}

mcl_status mcli_max_forward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x, float *y,
                            mcl_error *err) {
  pool_job j = {.v = v, .x = x, .out = y};
  return mcli_parallel(c, (uint32_t)n, forward_image, &j, err);
}

// Of each channel the first pixel that is as large as the largest.
static void backward_window(const mcli_conv *v, const float *x, int32_t oy, int32_t ox,
                            const float *y, const float *dy, float *dx) {
  int32_t top, bottom, left, right;
  inside(oy, v->stride, v->pad_top, v->kernel, v->height, &top, &bottom);
  inside(ox, v->stride, v->pad_left, v->kernel, v->width, &left, &right);
  for (int32_t c = 0; c < v->channels; c++)
    for (int32_t iy = top, found = 0; iy < bottom && !found; iy++)
      for (int32_t ix = left; ix < right && !found; ix++) {
        int64_t at = ((int64_t)iy * v->width + ix) * v->channels + c;
        found = x[at] == y[c];
        if (found) dx[at] += dy[c];
      }
}

static void backward_image(void *job, uint32_t task, uint32_t worker) {
  const pool_job *j = job;
  const mcli_conv *v = j->v;
  const float *y = j->y + task * output_of(v), *dy = j->dy + task * output_of(v);
  float *dx = j->out + task * mcli_conv_image(v);
  (void)worker;
  memset(dx, 0, (size_t)mcli_conv_image(v) * sizeof *dx);
  for (int32_t oy = 0; oy < v->out_height; oy++)
    for (int32_t ox = 0; ox < v->out_width; ox++, y += v->channels, dy += v->channels)
      backward_window(v, j->x + task * mcli_conv_image(v), oy, ox, y, dy, dx);
}

mcl_status mcli_max_backward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                             const float *y, const float *dy, float *dx, mcl_error *err) {
  pool_job j = {.v = v, .x = x, .y = y, .dy = dy, .out = dx};
  return mcli_parallel(c, (uint32_t)n, backward_image, &j, err);
}
