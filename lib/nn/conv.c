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
// beat a BLAS that reaches 85 to 90 % of the multipliers' limit at these shapes: P costs less than what is left. A kernel of
// one pixel that goes over all of them needs no P at all: P is x. Kernels of 3 x 3 and stride 1 with channels enough go by
// nn/winograd.c.
//
// P is made a band of pixels at a time, which lies in the worker's cache. For (2) the images are cut into at most PARTS parts
// with a dK of their own; parts are added in order, so the bits do not depend on threads. dx of a part is written by nobody
// else, as parts are of whole images.
#include "nn/conv.h"

#include <string.h>

#include "math/gemm.h"
#include "nn/kernels.h"
#include "nn/winograd.h"

// Floats of P in a band, 512 KiB: larger ones fall out of a 1 MiB L2.
enum { BAND_FLOATS = 128 << 10 };
// But so many pixels at least: K is packed anew for every band, and that costs what some 20 pixels do.
enum { BAND_PIXELS = 256 };
// Parts of a batch: more serve more threads, and cost a dK each.
enum { PARTS = 16 };
// Pixels of a part at least, so that adding up a dK costs little beside making it.
enum { PART_PIXELS = 512 };
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

// Whether the patches are the pixels themselves.
static int is_plain(const mcli_conv *v) {
  return v->kernel == 1 && v->stride == 1 && v->out_height == v->height && v->out_width == v->width;
}

static int64_t band_pixels(const mcli_conv *v) {
  int64_t pixels = BAND_FLOATS / patch_of(v);
  return pixels > BAND_PIXELS ? pixels : BAND_PIXELS;
}

static int64_t band_floats(const mcli_conv *v, int64_t n) {
  if (is_plain(v)) return 0;
  int64_t pixels = n * mcli_conv_pixels(v), most = band_pixels(v);
  return ((pixels < most ? pixels : most) * patch_of(v) + 15) / 16 * 16;
}

int64_t mcli_conv_parts(int64_t n, int64_t units, int64_t least) {
  int64_t parts = n * units / least;
  if (parts > PARTS) parts = PARTS;
  if (parts > n) parts = n;
  return parts > 1 ? parts : 1;
}

static int64_t parts_of(const mcli_conv *v, int64_t n) {
  return mcli_conv_parts(n, mcli_conv_pixels(v), PART_PIXELS);
}

// Of one part: dK, then db in double.
static int64_t part_floats(const mcli_conv *v) {
  return (patch_of(v) * v->filters + 2 * (int64_t)v->filters + 15) / 16 * 16;
}

int64_t mcli_conv_workspace(mcl_context *c, const mcli_conv *v, int64_t n) {
  if (mcli_winograd_serves(v)) return mcli_winograd_workspace(c, v, n);
  return 2 * band_floats(v, n) * mcli_workers(c) + parts_of(v, n) * part_floats(v);
}

// ---- patches ---------------------------------------------------------------------------------------

// Where the kernel lies over one output pixel: its columns [from, to) read the image's columns from first + from on.
typedef struct place {
  int32_t top, first, from, to;
} place;

static place place_of(const mcli_conv *v, int64_t pixel) {
  int32_t oy = (int32_t)(pixel / v->out_width), ox = (int32_t)(pixel % v->out_width);
  place p = {.top = oy * v->stride - v->pad_top, .first = ox * v->stride - v->pad_left};
  p.from = p.first < 0 ? -p.first : 0;
  p.to = v->width - p.first < v->kernel ? v->width - p.first : v->kernel;
  if (p.to < p.from) p.to = p.from;
  return p;
}

static void patch_at(const mcli_conv *v, const float *image, int64_t pixel, float *patch) {
  const int64_t c = v->channels, line = v->kernel * c;
  place p = place_of(v, pixel);
  for (int32_t ky = 0; ky < v->kernel; ky++, patch += line) {
    int32_t y = p.top + ky;
    if (y < 0 || y >= v->height || p.from == p.to) {
      memset(patch, 0, (size_t)line * sizeof *patch);
      continue;
    }
    const float *source = image + ((int64_t)y * v->width + p.first + p.from) * c;
    if (p.from > 0) memset(patch, 0, (size_t)(p.from * c) * sizeof *patch);
    memcpy(patch + p.from * c, source, (size_t)((p.to - p.from) * c) * sizeof *patch);
    if (p.to < v->kernel)
      memset(patch + p.to * c, 0, (size_t)((v->kernel - p.to) * c) * sizeof *patch);
  }
}

// The reverse: a patch is added to the pixels it was taken from.
static void add_patch(const mcli_nn_kernels *k, const mcli_conv *v, const float *patch,
                      int64_t pixel, float *image) {
  const int64_t c = v->channels, line = v->kernel * c;
  place p = place_of(v, pixel);
  for (int32_t ky = 0; ky < v->kernel; ky++, patch += line) {
    int32_t y = p.top + ky;
    if (y < 0 || y >= v->height || p.from == p.to) continue;
    k->add(patch + p.from * c, image + ((int64_t)y * v->width + p.first + p.from) * c,
           (p.to - p.from) * c);
  }
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

static float *bands_for(const conv_job *j, uint32_t worker) {
  return j->workspace + 2 * band_floats(j->conv, j->n) * worker;
}

static float *part_for(const conv_job *j, int64_t part) {
  int64_t bands = 2 * band_floats(j->conv, j->n) * mcli_workers(j->context);
  return j->workspace + bands + part * part_floats(j->conv);
}

// P of pixels first .. first + pixels - 1 of the batch, in `band` unless it is x.
static const float *patches(const conv_job *j, int64_t first, int64_t pixels, float *band) {
  const mcli_conv *v = j->conv;
  if (is_plain(v)) return j->x + first * v->channels;
  const int64_t image = mcli_conv_pixels(v), patch = patch_of(v);
  for (int64_t i = first; i < first + pixels; i++)
    patch_at(v, j->x + i / image * mcli_conv_image(v), i % image, band + (i - first) * patch);
  return band;
}

static void forward_band(void *job, uint32_t task, uint32_t worker) {
  const conv_job *j = job;
  const mcli_conv *v = j->conv;
  int64_t first = (int64_t)task * band_pixels(v), left = j->n * mcli_conv_pixels(v) - first;
  int64_t pixels = left < band_pixels(v) ? left : band_pixels(v);
  const float *p = patches(j, first, pixels, bands_for(j, worker));
  float *y = j->out + first * v->filters;
  mcli_gemm(j->context, 0, pixels, v->filters, patch_of(v), 1, p, patch_of(v), j->kernel,
            v->filters, 0, y, v->filters); // (1)
  j->kernels->add_bias(y, j->bias, pixels, v->filters, j->relu);
}

mcl_status mcli_conv_forward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                             const float *kernel, const float *bias, int relu, float *y,
                             float *workspace, mcl_error *err) {
  if (mcli_winograd_serves(v))
    return mcli_winograd_forward(c, v, n, x, kernel, bias, relu, y, workspace, err);
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
  uint32_t bands = mcli_blocks(n * mcli_conv_pixels(v), band_pixels(v));
  return mcli_parallel(c, bands, forward_band, &j, err);
}

// ---- backward --------------------------------------------------------------------------------------

// dx of a band from its dy, by way of dP (3); dx of the part was cleared.
static void input_gradient(const conv_job *j, int64_t first, int64_t pixels, const float *dy,
                           float *band) {
  const mcli_conv *v = j->conv;
  const int64_t image = mcli_conv_pixels(v), patch = patch_of(v);
  if (is_plain(v)) band = j->dx + first * v->channels;
  mcli_gemm(j->context, MCLI_GEMM_TB, pixels, patch, v->filters, 1, dy, v->filters, j->kernel,
            v->filters, 0, band, patch);
  if (is_plain(v)) return;
  for (int64_t i = first; i < first + pixels; i++)
    add_patch(j->kernels, v, band + (i - first) * patch, i % image,
              j->dx + i / image * mcli_conv_image(v));
}

static void backward_band(const conv_job *j, int64_t first, int64_t pixels, int begun, float *part,
                          double *d_bias, float *bands) {
  const mcli_conv *v = j->conv;
  float *dy = j->dy + first * v->filters;
  if (j->relu) j->kernels->relu_backward(j->y + first * v->filters, dy, pixels * v->filters);
  if (j->d_bias) j->kernels->sums(dy, pixels, v->filters, v->filters, d_bias);
  const float *p = patches(j, first, pixels, bands);
  mcli_gemm(j->context, MCLI_GEMM_TA, patch_of(v), v->filters, pixels, 1, p, patch_of(v), dy,
            v->filters, begun ? 1 : 0, part, v->filters); // (2)
  if (j->dx) input_gradient(j, first, pixels, dy, bands + band_floats(v, j->n));
}

static void backward_part(void *job, uint32_t task, uint32_t worker) {
  const conv_job *j = job;
  const mcli_conv *v = j->conv;
  float *part = part_for(j, task);
  double *d_bias = mcli_conv_part_bias(v, part, part_floats(v));
  memset(d_bias, 0, (size_t)v->filters * sizeof *d_bias);
  int64_t image, images;
  mcli_part(j->n, j->parts, task, &image, &images);
  if (j->dx && !is_plain(v))
    memset(j->dx + image * mcli_conv_image(v), 0,
           (size_t)(images * mcli_conv_image(v)) * sizeof *j->dx);
  int64_t begin = image * mcli_conv_pixels(v), end = begin + images * mcli_conv_pixels(v);
  for (int64_t first = begin; first < end; first += band_pixels(v)) {
    int64_t pixels = end - first < band_pixels(v) ? end - first : band_pixels(v);
    backward_band(j, first, pixels, first > begin, part, d_bias, bands_for(j, worker));
  }
}

void mcli_conv_add_biases(const mcli_conv *v, float *first, int64_t size, int64_t parts,
                          float *d_bias) {
  for (int64_t f = 0; d_bias && f < v->filters; f++) {
    double sum = 0;
    for (int64_t p = 0; p < parts; p++) sum += mcli_conv_part_bias(v, first + p * size, size)[f];
    d_bias[f] += (float)sum;
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
  if (mcli_winograd_serves(v))
    return mcli_winograd_backward(c, v, n, x, kernel, y, relu, dy, dx, d_kernel, d_bias, workspace,
                                  err);
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
  mcli_conv_add_biases(v, part_for(&j, 0), part_floats(v), j.parts, d_bias);
  return mcli_parallel(c, mcli_blocks(patch_of(v) * v->filters, SUM_BLOCK), add_parts, &j, err);
}
