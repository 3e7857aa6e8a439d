// Convolution with kernels of 3 x 3 and stride 1, by F(2 x 2, 3 x 3) of minimal filtering (Winograd 1980; Lavin & Gray 2016,
// "Fast Algorithms for Convolutional Neural Networks", section 4.1): 16 products for 4 pixels, where direct sums take 36.
//
// A tile is 2 x 2 output pixels; d are the 4 x 4 pixels of a channel that it reads, g a kernel, m sums over channels c:
//
//   v = B' d B,   u = G g G'                   for every channel; for every channel and filter        (1), (2)
//   m = sum_c u_c v_c                          number by number: 16 matrix products over all tiles   (3)
//   y = A' m A                                                                                        (4)
//
// with B' = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1], G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1], A' = [1 1 1 0; 0 1 -1 -1].
// Each step is linear, and the gradient goes back through its transpose:
//
//   dm = A dy A'                                                                                      (5)
//   du = sum over tiles of v dm,   dv = u dm                                                          (6)
//   dg = G' du G,   dd = B dv B'               dd of tiles that overlap is added up                   (7), (8)
//
// The constants are 0, 1 and 1/2: errors are 1.3 to 1.7 times those of direct sums. Rejected: F(4 x 4, 3 x 3), which takes
// 36 products for 16 pixels, by constants that cost more digits.
//
// Tiles are gone over in bands of rows of tiles. Backward the images are cut into parts with a du of their own, which are added in
// order: the bits do not depend on threads, and dx of a part is written by nobody else.
#include "nn/winograd.h"

#include <string.h>

#include "math/gemm.h"
#include "nn/kernels.h"

enum { NUMBERS = 16, TAPS = 9 }; // of a tile; of a kernel

// Channels and filters are multiples of it, so that transforms are loops over whole vectors.
enum { LANES = MCLI_WINOGRAD_LANES };
// Number k of all tiles, or kernels, is a plane. Planes lie that much further apart than they are large, which is a power of two
// as a rule: a tile's 16 numbers would fall into one set of the cache.
enum { GAP = LANES };
// With fewer, the transforms cost more than the products that they save.
enum { LEAST_CHANNELS = 32 };
// Tiles of a band at least: u is packed anew for each, and that costs what some 20 tiles do.
enum { BAND_TILES = 128 };
// Floats of v in a band, 1 MiB: with few channels a band has more tiles.
enum { BAND_FLOATS = 256 << 10 };
// Tiles of a part at least: adding up a du costs little beside making it.
enum { PART_TILES = 256 };
// Numbers of a kernel that a task transforms.
enum { KERNEL_BLOCK = 4096 };

int mcli_winograd_serves(const mcli_conv *v) {
  return v->kernel == 3 && v->stride == 1 && v->pad_top == 1 && v->pad_left == 1 &&
         v->out_height == v->height && v->out_width == v->width && v->channels % LANES == 0 &&
         v->filters % LANES == 0 && v->channels >= LEAST_CHANNELS && v->filters >= LEAST_CHANNELS;
}

// ---- sizes -----------------------------------------------------------------------------------------

static int64_t tiles_across(const mcli_conv *v) {
  return (v->width + 1) / 2;
}

static int64_t tile_rows(const mcli_conv *v) {
  return (v->height + 1) / 2;
}

static int64_t wider(const mcli_conv *v) {
  return v->channels > v->filters ? v->channels : v->filters;
}

// Rows of tiles in a band.
static int64_t band_rows(const mcli_conv *v) {
  int64_t tiles = BAND_FLOATS / (NUMBERS * wider(v));
  if (tiles < BAND_TILES) tiles = BAND_TILES;
  return (tiles + tiles_across(v) - 1) / tiles_across(v);
}

static int64_t most_tiles(const mcli_conv *v, int64_t n) {
  int64_t rows = n * tile_rows(v), band = band_rows(v);
  return (rows < band ? rows : band) * tiles_across(v);
}

static int64_t weights_of(const mcli_conv *v) {
  return (int64_t)v->channels * v->filters;
}

static int64_t kernel_plane(const mcli_conv *v) {
  return weights_of(v) + GAP;
}

static int64_t parts_of(const mcli_conv *v, int64_t n) {
  return mcli_conv_parts(n, tile_rows(v) * tiles_across(v), PART_TILES);
}

// Of one part: du, then db in double.
static int64_t part_floats(const mcli_conv *v) {
  return NUMBERS * kernel_plane(v) + 2 * (int64_t)v->filters;
}

// v and m of a worker's band.
static int64_t band_floats(const mcli_conv *v, int64_t n) {
  return NUMBERS * (most_tiles(v, n) * (v->channels + v->filters) + 2 * GAP);
}

int64_t mcli_winograd_workspace(mcl_context *c, const mcli_conv *v, int64_t n) {
  return NUMBERS * kernel_plane(v) + band_floats(v, n) * mcli_workers(c) +
         parts_of(v, n) * part_floats(v) + LANES;
}

// ---- transforms ------------------------------------------------------------------------------------

typedef struct winograd_job {
  mcl_context *context;
  const mcli_nn_kernels *kernels;
  const mcli_conv *conv;
  int64_t n, parts;
  const float *x, *kernel, *bias, *y;
  float *out, *dy, *dx, *d_kernel, *d_bias;
  float *u, *bands, *du; // of the workspace
  int relu;
} winograd_job;

static winograd_job job_of(mcl_context *c, const mcli_conv *v, int64_t n, float *workspace) {
  winograd_job j = {.context = c,
                    .kernels = mcli_nn_kernels_of(c),
                    .conv = v,
                    .n = n,
                    .parts = parts_of(v, n),
                    .u = workspace};
  j.bands = j.u + NUMBERS * kernel_plane(v);
  j.du = j.bands + band_floats(v, n) * mcli_workers(c);
  return j;
}

static void transform_kernel(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const winograd_job *j = job;
  int64_t size = weights_of(j->conv), first = (int64_t)task * KERNEL_BLOCK;
  int64_t n = size - first < KERNEL_BLOCK ? size - first : KERNEL_BLOCK;
  j->kernels->winograd_kernel(j->kernel + first, n, size, kernel_plane(j->conv),
                              j->u + first); // (2)
}

static mcl_status transform_kernels(winograd_job *j, mcl_error *err) {
  return mcli_parallel(j->context, mcli_blocks(weights_of(j->conv), KERNEL_BLOCK), transform_kernel,
                       j, err);
}

// A band: rows of tiles first .. first + rows - 1 of the batch, which are one run of output pixels.
typedef struct band {
  int64_t first, rows, tiles, pixel, pixels;
  float *v, *m; // 16 planes of [tiles, channels], of [tiles, filters]
  int64_t v_plane, m_plane;
} band;

static int64_t pixel_of(const mcli_conv *v, int64_t row) {
  int64_t image = row / tile_rows(v), line = row % tile_rows(v) * 2;
  return image * mcli_conv_pixels(v) + line * v->width;
}

static band band_at(const winograd_job *j, int64_t first, int64_t end, uint32_t worker) {
  const mcli_conv *v = j->conv;
  band b = {.first = first, .rows = end - first < band_rows(v) ? end - first : band_rows(v)};
  b.tiles = b.rows * tiles_across(v);
  b.pixel = pixel_of(v, first);
  b.pixels = pixel_of(v, first + b.rows) - b.pixel;
  b.v = j->bands + band_floats(v, j->n) * worker;
  b.v_plane = b.tiles * v->channels + GAP;
  b.m_plane = b.tiles * v->filters + GAP;
  b.m = b.v + NUMBERS * b.v_plane;
  return b;
}

// The 4 x 4 pixels of a tile, `size` numbers each, or the 2 x 2 that it makes: NULL where they lie outside the image.
static void pixels_of(const mcli_conv *v, int64_t row, int64_t tile, int side, int64_t size,
                      float *images, float *to[]) {
  float *image = images + row / tile_rows(v) * mcli_conv_pixels(v) * size;
  int64_t off = side == 4, top = row % tile_rows(v) * 2 - off, left = tile * 2 - off;
  for (int i = 0; i < side; i++)
    for (int k = 0; k < side; k++) {
      int64_t y = top + i, x = left + k;
      int inside = y >= 0 && y < v->height && x >= 0 && x < v->width;
      to[side * i + k] = inside ? image + (y * v->width + x) * size : NULL;
    }
}

static void transform_inputs(const winograd_job *j, const band *b) {
  const mcli_conv *v = j->conv;
  float *d[NUMBERS];
  for (int64_t i = 0; i < b->tiles; i++) {
    pixels_of(v, b->first + i / tiles_across(v), i % tiles_across(v), 4, v->channels,
              (float *)(uintptr_t)j->x, d);
    j->kernels->winograd_input((const float *const *)d, v->channels, b->v_plane,
                               b->v + i * v->channels); // (1)
  }
}

static void transform_outputs(const winograd_job *j, const band *b) {
  const mcli_conv *v = j->conv;
  float *y[4];
  for (int64_t i = 0; i < b->tiles; i++) {
    pixels_of(v, b->first + i / tiles_across(v), i % tiles_across(v), 2, v->filters, j->out, y);
    j->kernels->winograd_output(b->m + i * v->filters, v->filters, b->m_plane, y); // (4)
  }
}

static void transform_gradients(const winograd_job *j, const band *b) {
  const mcli_conv *v = j->conv;
  float *dy[4];
  for (int64_t i = 0; i < b->tiles; i++) {
    pixels_of(v, b->first + i / tiles_across(v), i % tiles_across(v), 2, v->filters, j->dy, dy);
    j->kernels->winograd_output_backward((const float *const *)dy, v->filters, b->m_plane,
                                         b->m + i * v->filters); // (5)
  }
}

static void add_inputs(const winograd_job *j, const band *b) {
  const mcli_conv *v = j->conv;
  float *dx[NUMBERS];
  for (int64_t i = 0; i < b->tiles; i++) {
    pixels_of(v, b->first + i / tiles_across(v), i % tiles_across(v), 4, v->channels, j->dx, dx);
    j->kernels->winograd_input_backward(b->v + i * v->channels, v->channels, b->v_plane,
                                        dx); // (8)
  }
}

// ---- forward ---------------------------------------------------------------------------------------

static void forward_band(void *job, uint32_t task, uint32_t worker) {
  const winograd_job *j = job;
  const mcli_conv *v = j->conv;
  band b = band_at(j, task * band_rows(v), j->n * tile_rows(v), worker);
  transform_inputs(j, &b);
  for (int k = 0; k < NUMBERS; k++) // (3)
    mcli_gemm(j->context, 0, b.tiles, v->filters, v->channels, 1, b.v + k * b.v_plane, v->channels,
              j->u + k * kernel_plane(v), v->filters, 0, b.m + k * b.m_plane, v->filters);
  transform_outputs(j, &b);
  j->kernels->add_bias(j->out + b.pixel * v->filters, j->bias, b.pixels, v->filters, j->relu);
}

mcl_status mcli_winograd_forward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                                 const float *kernel, const float *bias, int relu, float *y,
                                 float *workspace, mcl_error *err) {
  winograd_job j = job_of(c, v, n, workspace);
  j.x = x, j.kernel = kernel, j.bias = bias, j.relu = relu, j.out = y;
  mcl_status s = transform_kernels(&j, err);
  if (s < 0) return s;
  return mcli_parallel(c, mcli_blocks(n * tile_rows(v), band_rows(v)), forward_band, &j, err);
}

// ---- backward --------------------------------------------------------------------------------------

static void backward_band(const winograd_job *j, const band *b, int begun, float *du,
                          double *d_bias) {
  const mcli_conv *v = j->conv;
  float *dy = j->dy + b->pixel * v->filters;
  if (j->relu) j->kernels->relu_backward(j->y + b->pixel * v->filters, dy, b->pixels * v->filters);
  if (j->d_bias) j->kernels->sums(dy, b->pixels, v->filters, v->filters, d_bias);
  transform_inputs(j, b);
  transform_gradients(j, b);
  for (int k = 0; k < NUMBERS; k++) { // (6)
    float *vk = b->v + k * b->v_plane, *m = b->m + k * b->m_plane;
    mcli_gemm(j->context, MCLI_GEMM_TA, v->channels, v->filters, b->tiles, 1, vk, v->channels, m,
              v->filters, begun ? 1 : 0, du + k * kernel_plane(v), v->filters);
    if (j->dx)
      mcli_gemm(j->context, MCLI_GEMM_TB, b->tiles, v->channels, v->filters, 1, m, v->filters,
                j->u + k * kernel_plane(v), v->filters, 0, vk, v->channels);
  }
  if (j->dx) add_inputs(j, b);
}

static float *part_for(const winograd_job *j, int64_t part) {
  return j->du + part * part_floats(j->conv);
}

static void backward_part(void *job, uint32_t task, uint32_t worker) {
  const winograd_job *j = job;
  const mcli_conv *v = j->conv;
  float *part = part_for(j, task);
  double *d_bias = mcli_conv_part_bias(v, part, part_floats(v));
  memset(d_bias, 0, (size_t)v->filters * sizeof *d_bias);
  int64_t image, images;
  mcli_part(j->n, j->parts, task, &image, &images);
  if (j->dx)
    memset(j->dx + image * mcli_conv_image(v), 0,
           (size_t)(images * mcli_conv_image(v)) * sizeof *j->dx);
  int64_t begin = image * tile_rows(v), end = begin + images * tile_rows(v);
  for (int64_t first = begin; first < end; first += band_rows(v)) {
    band b = band_at(j, first, end, worker);
    backward_band(j, &b, first > begin, part, d_bias);
  }
}

static void kernel_gradient(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  const winograd_job *j = job;
  int64_t size = weights_of(j->conv), plane = kernel_plane(j->conv),
          first = (int64_t)task * KERNEL_BLOCK;
  int64_t n = size - first < KERNEL_BLOCK ? size - first : KERNEL_BLOCK;
  for (int64_t p = 1; p < j->parts; p++)
    for (int k = 0; k < NUMBERS; k++)
      j->kernels->add(part_for(j, p) + k * plane + first, j->du + k * plane + first, n);
  j->kernels->winograd_kernel_backward(j->du + first, n, plane, size, j->d_kernel + first); // (7)
}

mcl_status mcli_winograd_backward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                                  const float *kernel, const float *y, int relu, float *dy,
                                  float *dx, float *d_kernel, float *d_bias, float *workspace,
                                  mcl_error *err) {
  winograd_job j = job_of(c, v, n, workspace);
  j.x = x, j.kernel = kernel, j.y = y, j.relu = relu, j.dy = dy, j.dx = dx;
  j.d_kernel = d_kernel, j.d_bias = d_bias;
  mcl_status s = dx ? transform_kernels(&j, err) : MCL_OK;
  if (s == MCL_OK) s = mcli_parallel(c, (uint32_t)j.parts, backward_part, &j, err);
  if (s < 0) return s;
  mcli_conv_add_biases(v, j.du, part_floats(v), j.parts, d_bias);
  return mcli_parallel(c, mcli_blocks(weights_of(v), KERNEL_BLOCK), kernel_gradient, &j, err);
}
