// Convolution by matrix products.
//
// The patch under output pixel p is laid out as one row of a matrix, P [pixels, k k channels]; kernels are stored as
// K [k k channels, filters]. Then
//
//   Y  = P K + b                       (1)
//   dK = P^T dY,  db = sum_p dY_p      (2)
//   dP = dY K^T                        (3)   and dx adds up dP over the patches that a pixel lies in
//
// Rejected: P for the whole batch (some 20 times the input, through memory), and direct convolution, which would have to
// beat a BLAS that reaches 85 to 90 % of the multipliers' limit at these shapes: P costs less than what is left.
//
// The work is cut into chunks of whole images, P of a chunk lying in the worker's cache. For (2) chunks are gathered into
// at most PARTS parts with a dK of their own; parts are added in order, so the bits do not depend on threads.
#include "nn/conv.h"

#include <string.h>

#include "math/gemm.h"
#include "nn/kernels.h"

// Floats of P in a chunk, 512 KiB: smaller chunks pack K too often, larger ones fall out of a 1 MiB L2.
enum { CHUNK_FLOATS = 128 << 10 };
// Images in a chunk at most: a batch of 256 small images still makes 16 chunks to share out.
enum { CHUNK_IMAGES = 16 };
// Parts of a batch: more serve more threads, and cost a dK each.
enum { PARTS = 16 };
// Weights a task adds up over the parts.
enum { SUM_BLOCK = 8192 };

mcli_conv mcli_conv_make(int32_t height, int32_t width, int32_t channels, int32_t filters,
                         int32_t kernel, int32_t stride, int32_t padding) {
  mcli_conv v = {.height = height,
                 .width = width,
                 .channels = channels,
                 .filters = filters,
                 .kernel = kernel,
                 .stride = stride};
  if (padding == MCL_PADDING_VALID) {
    v.out_height = (height - kernel) / stride + 1;
    v.out_width = (width - kernel) / stride + 1;
    return v;
  }
  v.out_height = (height + stride - 1) / stride;
  v.out_width = (width + stride - 1) / stride;
  int32_t rows = (v.out_height - 1) * stride + kernel - height;
  int32_t cols = (v.out_width - 1) * stride + kernel - width;
  v.pad_top = rows > 0 ? rows / 2 : 0;
  v.pad_left = cols > 0 ? cols / 2 : 0;
  return v;
}

mcli_conv mcli_conv_padded(int32_t height, int32_t width, int32_t channels, int32_t filters,
                           int32_t kernel, int32_t stride, int32_t padding) {
  return (mcli_conv){.height = height,
                     .width = width,
                     .channels = channels,
                     .filters = filters,
                     .kernel = kernel,
                     .stride = stride,
                     .out_height = (height + 2 * padding - kernel) / stride + 1,
                     .out_width = (width + 2 * padding - kernel) / stride + 1,
                     .pad_top = padding,
                     .pad_left = padding};
}

// ---- sizes -----------------------------------------------------------------------------------------

static int64_t patch_of(const mcli_conv *v) {
  return (int64_t)v->kernel * v->kernel * v->channels;
}

// A power of two, so that batches of powers of two are cut evenly.
static int64_t chunk_images(const mcli_conv *v) {
  int64_t floats = mcli_conv_pixels(v) * patch_of(v), images = 1;
  while (2 * images <= CHUNK_IMAGES && 2 * images * floats <= CHUNK_FLOATS) images *= 2;
  return images;
}

static int64_t chunk_floats(const mcli_conv *v) {
  int64_t floats = chunk_images(v) * mcli_conv_pixels(v) * patch_of(v);
  return (floats + 15) / 16 * 16;
}

static int64_t parts_of(const mcli_conv *v, int64_t n) {
  int64_t chunks = mcli_blocks(n, chunk_images(v));
  return chunks < PARTS ? chunks : PARTS;
}

// Of one part: dK, then db in double.
static int64_t part_floats(const mcli_conv *v) {
  return (patch_of(v) * v->filters + 2 * (int64_t)v->filters + 15) / 16 * 16;
}

int64_t mcli_conv_workspace(mcl_context *c, const mcli_conv *v, int64_t n) {
  return 2 * chunk_floats(v) * mcli_workers(c) + parts_of(v, n) * part_floats(v);
}

// ---- patches ---------------------------------------------------------------------------------------

// The part of a kernel's row that lies inside the image, for output column ox: kernel columns [from, to) read the image's
// columns from first + from on.
static void inside(const mcli_conv *v, int32_t ox, int32_t *first, int32_t *from, int32_t *to) {
  *first = ox * v->stride - v->pad_left;
  *from = *first < 0 ? -*first : 0;
  *to = v->width - *first < v->kernel ? v->width - *first : v->kernel;
  if (*to < *from) *to = *from;
}

static void patches_of_image(const mcli_conv *v, const float *image, float *patch) {
  const int64_t c = v->channels, line = v->kernel * c;
  for (int32_t oy = 0; oy < v->out_height; oy++)
    for (int32_t ox = 0; ox < v->out_width; ox++) {
      int32_t first, from, to;
      inside(v, ox, &first, &from, &to);
      for (int32_t ky = 0; ky < v->kernel; ky++, patch += line) {
        int32_t y = oy * v->stride - v->pad_top + ky;
        if (y < 0 || y >= v->height || from == to) {
          memset(patch, 0, (size_t)line * sizeof *patch);
          continue;
        }
        const float *source = image + ((int64_t)y * v->width + first + from) * c;
        if (from > 0) memset(patch, 0, (size_t)(from * c) * sizeof *patch);
        memcpy(patch + from * c, source, (size_t)((to - from) * c) * sizeof *patch);
        if (to < v->kernel)
          memset(patch + to * c, 0, (size_t)((v->kernel - to) * c) * sizeof *patch);
      }
    }
}

// The reverse: every patch is added to the pixels it was taken from.
static void patches_to_image(const mcli_nn_kernels *k, const mcli_conv *v, const float *patch,
                             float *image) {
  const int64_t c = v->channels, line = v->kernel * c;
  for (int32_t oy = 0; oy < v->out_height; oy++)
    for (int32_t ox = 0; ox < v->out_width; ox++) {
      int32_t first, from, to;
      inside(v, ox, &first, &from, &to);
      for (int32_t ky = 0; ky < v->kernel; ky++, patch += line) {
        int32_t y = oy * v->stride - v->pad_top + ky;
        if (y < 0 || y >= v->height || from == to) continue;
        k->add(patch + from * c, image + ((int64_t)y * v->width + first + from) * c,
               (to - from) * c);
      }
    }
}

static void make_patches(const mcli_conv *v, int64_t images, const float *x, float *patches) {
  for (int64_t i = 0; i < images; i++)
    patches_of_image(v, x + i * mcli_conv_image(v),
                     patches + i * mcli_conv_pixels(v) * patch_of(v));
}

// ---- forward ---------------------------------------------------------------------------------------

typedef struct conv_job {
  mcl_context *context;
  const mcli_nn_kernels *kernels;
  const mcli_conv *conv;
  int64_t n, parts;
  const float *x, *kernel, *bias, *y;
  float *out, *dy, *dx, *d_kernel, *d_bias, *workspace;
  int relu;
} conv_job;

static float *patches_for(const conv_job *j, uint32_t worker) {
  return j->workspace + 2 * chunk_floats(j->conv) * worker;
}

static float *part_for(const conv_job *j, int64_t part) {
  int64_t patches = 2 * chunk_floats(j->conv) * mcli_workers(j->context);
  return j->workspace + patches + part * part_floats(j->conv);
}

// Chunk number `chunk`: its first image and how many it has.
static int64_t chunk_at(const conv_job *j, int64_t chunk, int64_t *first) {
  int64_t images = chunk_images(j->conv);
  *first = chunk * images;
  return j->n - *first < images ? j->n - *first : images;
}

static void forward_chunk(void *job, uint32_t task, uint32_t worker) {
  const conv_job *j = job;
  const mcli_conv *v = j->conv;
  int64_t first, images = chunk_at(j, task, &first), rows = images * mcli_conv_pixels(v);
  float *patches = patches_for(j, worker), *y = j->out + first * mcli_conv_pixels(v) * v->filters;
  make_patches(v, images, j->x + first * mcli_conv_image(v), patches);
  mcli_gemm(j->context, 0, rows, v->filters, patch_of(v), 1, patches, patch_of(v), j->kernel,
            v->filters, 0, y, v->filters); // (1)
  j->kernels->add_bias(y, j->bias, rows, v->filters, j->relu);
}

mcl_status mcli_conv_forward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                             const float *kernel, const float *bias, int relu, float *y,
                             float *workspace, mcl_error *err) {
  conv_job j = {.context = c,
                .kernels = mcli_nn_kernels_of(c),
                .conv = v,
                .n = n,
                .x = x,
                .kernel = kernel,
                .bias = bias,
                .out = y,
                .workspace = workspace,
                .relu = relu};
  return mcli_parallel(c, mcli_blocks(n, chunk_images(v)), forward_chunk, &j, err);
}

// ---- backward --------------------------------------------------------------------------------------

// dx of a chunk from its dy, by way of dP (3).
static void input_gradient(const conv_job *j, int64_t first, int64_t images, const float *dy,
                           float *patches) {
  const mcli_conv *v = j->conv;
  int64_t rows = images * mcli_conv_pixels(v);
  float *dx = j->dx + first * mcli_conv_image(v);
  mcli_gemm(j->context, MCLI_GEMM_TB, rows, patch_of(v), v->filters, 1, dy, v->filters, j->kernel,
            v->filters, 0, patches, patch_of(v));
  memset(dx, 0, (size_t)(images * mcli_conv_image(v)) * sizeof *dx);
  for (int64_t i = 0; i < images; i++)
    patches_to_image(j->kernels, v, patches + i * mcli_conv_pixels(v) * patch_of(v),
                     dx + i * mcli_conv_image(v));
}

static void backward_part(void *job, uint32_t task, uint32_t worker) {
  const conv_job *j = job;
  const mcli_conv *v = j->conv;
  float *patches = patches_for(j, worker), *part = part_for(j, task);
  double *d_bias = (double *)(void *)(part + part_floats(v) - 2 * (int64_t)v->filters);
  memset(d_bias, 0, (size_t)v->filters * sizeof *d_bias);
  int64_t begin, chunks;
  mcli_part(mcli_blocks(j->n, chunk_images(v)), j->parts, task, &begin, &chunks);
  for (int64_t i = begin; i < begin + chunks; i++) {
    int64_t first, images = chunk_at(j, i, &first), rows = images * mcli_conv_pixels(v);
    float *dy = j->dy + first * mcli_conv_pixels(v) * v->filters;
    if (j->relu)
      j->kernels->relu_backward(j->y + first * mcli_conv_pixels(v) * v->filters, dy,
                                rows * v->filters);
    if (j->d_bias) j->kernels->sums(dy, rows, v->filters, d_bias);
    make_patches(v, images, j->x + first * mcli_conv_image(v), patches);
    mcli_gemm(j->context, MCLI_GEMM_TA, patch_of(v), v->filters, rows, 1, patches, patch_of(v), dy,
              v->filters, i > begin, part, v->filters); // (2)
    if (j->dx) input_gradient(j, first, images, dy, patches + chunk_floats(v));
  }
}

static void add_parts(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const conv_job *j = job;
  int64_t first = (int64_t)task * SUM_BLOCK, n = patch_of(j->conv) * j->conv->filters - first;
  if (n > SUM_BLOCK) n = SUM_BLOCK;
  for (int64_t p = 0; p < j->parts; p++)
    j->kernels->add(part_for(j, p) + first, j->d_kernel + first, n);
}

mcl_status mcli_conv_backward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                              const float *kernel, const float *y, int relu, float *dy, float *dx,
                              float *d_kernel, float *d_bias, float *workspace, mcl_error *err) {
  conv_job j = {.context = c,
                .kernels = mcli_nn_kernels_of(c),
                .conv = v,
                .n = n,
                .parts = parts_of(v, n),
                .x = x,
                .kernel = kernel,
                .y = y,
                .dy = dy,
                .dx = dx,
                .d_kernel = d_kernel,
                .d_bias = d_bias,
                .workspace = workspace,
                .relu = relu};
  mcl_status s = mcli_parallel(c, (uint32_t)j.parts, backward_part, &j, err);
  if (s < 0) return s;
  for (int64_t f = 0; d_bias && f < v->filters; f++) {
    double sum = 0;
    for (int64_t p = 0; p < j.parts; p++) {
      const float *end = part_for(&j, p) + part_floats(v) - 2 * (int64_t)v->filters;
      sum += ((const double *)(const void *)end)[f];
    }
    d_bias[f] += (float)sum;
  }
  return mcli_parallel(c, mcli_blocks(patch_of(v) * v->filters, SUM_BLOCK), add_parts, &j, err);
}
