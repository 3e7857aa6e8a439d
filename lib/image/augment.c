// Views: what SimCLR does to an image, each draw a function of which image and which view.
//
// One image at a time, in scratch memory of the worker, so that nothing is allocated an image, and
// between the first step and the last in planes (image/kernels.h):
//
//   source [h, w, c] -> crop, resize, flip -> [ic, oh, ow] -> colour, blur, noise -> [oh, ow, c]
//                 \---------- resize --------> the extra channels -------------------/
//
// Crop, resize and flip are one resampling: a box with real-valued corners decides the weights
// (image/resize.h), and a mirrored image is the same weights in reverse. The box is drawn as
// torchvision's RandomResizedCrop, without its rounding to whole pixels, which leaves a 14 x 14
// image with hardly a hundred different square crops:
//
//   A = U(min, max) h w  (or the side: A = U(sqrt min, sqrt max)^2 h w)            (1)
//   r = exp U(-log max_aspect, log max_aspect)                                     (2)
//   width = sqrt(A r), height = sqrt(A / r), the corner uniform where it fits      (3)
//   clamped: width = min(sqrt(A r), w), height = min(sqrt(A / r), h)               (4)
//
// or as TensorFlow's sample_distorted_bounding_box, which SimCLR's own code calls, without its rounding either:
//
//   r = U(1 / max_aspect, max_aspect), width = r height,
//   height = U(sqrt(min h w / r), least of sqrt(max h w / r), h, w / r)            (5)
//
// The draws of an image come from the stream (seed, AUGMENT, index, hash(stage, epoch, view)),
// always in the same order.
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/rng.h"
#include "image/augment.h"
#include "image/kernels.h"
#include "image/resize.h"
#include "math/array.h"

// Images a task: enough that handing out tasks (some 100 ns) does not show beside images of 3 us,
// few enough that a batch of 256 keeps 16 cores busy.
enum { TASK_IMAGES = 16 };

// torchvision's: after ten boxes that do not fit, the middle of the image.
enum { CROP_TRIES = 10 };

struct mcl_augmenter {
  mcli_refcount references;
  mcl_context *context;
  mcl_augmenter_options o;
};

static const mcl_augmenter_options defaults = {
    .struct_size = sizeof(mcl_augmenter_options),
    .crop_area_min = 0.08,
    .crop_area_max = 1,
    .crop_aspect_max = 4.0 / 3,
    .flip = 0.5,
    .jitter = 0.8,
    .brightness = 0.8,
    .contrast = 0.8,
    .saturation = 0.8,
    .hue = 0.2,
    .grey = 0.2,
    .blur = 0.5,
};

void mcli_augmenter_output(const mcl_augmenter *a, const int64_t in[3], int64_t out[3]) {
  out[0] = a->o.height ? a->o.height : in[0];
  out[1] = a->o.width ? a->o.width : in[1];
  out[2] = in[2];
}

void mcl_augmenter_options_init(mcl_augmenter_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

// ---- the handle ---------------------------------------------------------------------------------

static mcl_status check_int(const char *name, int32_t value, int32_t high, mcl_error *err) {
  if (value >= 0 && value <= high) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "mcl_augmenter_options.%s is %d, not 0..%d", name,
                   (int)value, (int)high);
}

static mcl_status check_real(const char *name, double value, double low, double high,
                             mcl_error *err) {
  if (value >= low && value <= high) return MCL_OK; // a NaN is neither
  return mcli_fail(err, MCL_E_INVALID, "mcl_augmenter_options.%s is %g, not %g..%g", name, value,
                   low, high);
}

static mcl_status check_options(const mcl_augmenter_options *o, mcl_error *err) {
  enum { MAX_SIDE = 65535 };
  const double tiny = 1e-9; // of the area: a smaller crop is one pixel's colour
  const struct {
    const char *name;
    double value, low, high;
  } reals[] = {
      {"crop_area_min", o->crop_area_min, tiny, 1},
      {"crop_area_max", o->crop_area_max, o->crop_area_min, 1},
      {"crop_aspect_max", o->crop_aspect_max, 1, 1000},
      {"flip", o->flip, 0, 1},
      {"jitter", o->jitter, 0, 1},
      {"brightness", o->brightness, 0, 100},
      {"contrast", o->contrast, 0, 100},
      {"saturation", o->saturation, 0, 100},
      {"hue", o->hue, 0, 0.5},
      {"grey", o->grey, 0, 1},
      {"blur", o->blur, 0, 1},
      {"noise", o->noise, 0, 10},
  };
  mcl_status s = check_int("height", o->height, MAX_SIDE, err);
  if (s == MCL_OK) s = check_int("width", o->width, MAX_SIDE, err);
  if (s == MCL_OK) s = check_int("extra_channels", o->extra_channels, MAX_SIDE, err);
  if (s == MCL_OK) s = check_int("crop_size", o->crop_size, MCL_CROP_UNIFORM_HEIGHT, err);
  if (s == MCL_OK) s = check_int("unclamped_brightness", o->unclamped_brightness, 1, err);
  if (s == MCL_OK) s = check_int("clamped_crop", o->clamped_crop, 1, err);
  for (size_t i = 0; i < sizeof reals / sizeof *reals && s == MCL_OK; i++)
    s = check_real(reals[i].name, reals[i].value, reals[i].low, reals[i].high, err);
  return s;
}

mcl_status mcl_augmenter_create(mcl_context *context, const mcl_augmenter_options *options,
                                mcl_augmenter **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_augmenter_options o = defaults;
  mcl_status s = MCL_OK;
  if (options) s = mcli_options_copy(&o, sizeof o, options, "mcl_augmenter_options", err);
  if (s == MCL_OK) s = check_options(&o, err);
  if (s < 0) return s;
  mcl_augmenter *a = MCLI_NEW0(context, mcl_augmenter, 1);
  if (!a) return mcli_nomem(err, "an augmenter");
  mcli_ref_init(&a->references);
  a->context = mcl_context_ref(context);
  a->o = o;
  *out = a;
  return mcl_ok(err);
}

mcl_augmenter *mcl_augmenter_ref(mcl_augmenter *augmenter) {
  if (augmenter) mcli_ref(&augmenter->references);
  return augmenter;
}

void mcl_augmenter_unref(mcl_augmenter *augmenter) {
  if (!augmenter || !mcli_unref_is_last(&augmenter->references)) return;
  mcl_context *c = augmenter->context;
  mcli_free(c, augmenter);
  mcl_context_unref(c);
}

// ---- one call -----------------------------------------------------------------------------------

typedef struct augment_job {
  const mcl_augmenter_options *o;
  const mcli_resample_kernels *kernels;
  const mcli_colour_kernels *colour;
  const mcl_array *data, *out;
  const int64_t *indices; // [n]; NULL when nothing is drawn
  int64_t n;
  uint64_t seed, stream;   // stream: of stage, epoch and view
  int32_t h, w, c, oh, ow; // c with the extra channels
  int32_t ic;              // without them
  int32_t most_y, most_x;  // taps of the largest box
  float *scratch;          // [workers, scratch_floats]
  int64_t scratch_floats;
} augment_job;

// A worker's memory, cut up.
typedef struct desk {
  float *source; // [h, w, c]
  float *view;   // [oh, ow, c]
  float *planes; // [c, oh, ow]
  float *spare;  // mcli_blur_spare()
  float *row;    // [w, c] and slack
  mcli_taps ty, tx;
} desk;

static int64_t desk_floats(const augment_job *j) {
  int64_t in = (int64_t)j->h * j->w * j->c, out = (int64_t)j->oh * j->ow;
  int64_t floats = in + 2 * out * j->c + mcli_blur_spare(j->oh, j->ow) + (int64_t)j->w * j->c +
                   MCLI_ROW_SLACK + mcli_taps_words(j->oh, j->most_y) +
                   mcli_taps_words(j->ow, j->most_x);
  return (floats + 15) / 16 * 16; // whole cache lines: workers share none
}

static desk desk_of(const augment_job *j, uint32_t worker) {
  desk d;
  int64_t out = (int64_t)j->oh * j->ow;
  d.source = j->scratch + worker * j->scratch_floats;
  d.view = d.source + (int64_t)j->h * j->w * j->c;
  d.planes = d.view + out * j->c;
  d.spare = d.planes + out * j->c;
  d.row = d.spare + mcli_blur_spare(j->oh, j->ow);
  float *taps = d.row + (int64_t)j->w * j->c + MCLI_ROW_SLACK;
  mcli_taps_place(&d.ty, taps, j->oh, j->most_y);
  mcli_taps_place(&d.tx, taps + mcli_taps_words(j->oh, j->most_y), j->ow, j->most_x);
  return d;
}

// ---- crop ---------------------------------------------------------------------------------------

// The largest centred rectangle whose aspect is allowed.
static mcli_box centre_crop(double h, double w, double aspect_max) {
  mcli_box b = {0, 0, h, w};
  if (w / h > aspect_max)
    b.width = h * aspect_max;
  else if (h / w > aspect_max)
    b.height = w * aspect_max;
  b.y = (h - b.height) / 2;
  b.x = (w - b.width) / 2;
  return b;
}

// (5), (3). False: at this aspect none of these areas fits.
static bool draw_height(const mcl_augmenter_options *o, double h, double w, mcli_rng *rng,
                        mcli_box *b) {
  double aspect = mcli_rng_between(rng, 1 / o->crop_aspect_max, o->crop_aspect_max);
  double low = sqrt(o->crop_area_min * h * w / aspect), fits = h < w / aspect ? h : w / aspect;
  double high = fmin(sqrt(o->crop_area_max * h * w / aspect), fits);
  if (low > high) return false;
  b->height = mcli_rng_between(rng, low, high);
  b->width = fmin(b->height * aspect, w);
  b->y = mcli_rng_between(rng, 0, h - b->height);
  b->x = mcli_rng_between(rng, 0, w - b->width);
  return true;
}

static mcli_box draw_crop(const mcl_augmenter_options *o, double h, double w, mcli_rng *rng) {
  if (o->crop_area_min >= 1) return (mcli_box){0, 0, h, w};
  double low = sqrt(o->crop_area_min), high = sqrt(o->crop_area_max);
  double spread = o->crop_aspect_max > 1 ? log(o->crop_aspect_max) : 0;
  for (int i = 0; i < CROP_TRIES; i++) {
    mcli_box b;
    if (o->crop_size == MCL_CROP_UNIFORM_HEIGHT) {
      if (draw_height(o, h, w, rng, &b)) return b;
      continue;
    }
    double side = o->crop_size == MCL_CROP_UNIFORM_SIDE
                      ? mcli_rng_between(rng, low, high)
                      : sqrt(mcli_rng_between(rng, o->crop_area_min, o->crop_area_max)); // (1)
    double root = spread > 0 ? exp(mcli_rng_between(rng, -spread, spread) / 2) : 1;      // (2)
    b = (mcli_box){.height = side * sqrt(h * w) / root, .width = side * sqrt(h * w) * root};
    if (o->clamped_crop) { // (4)
      b.height = b.height < h ? b.height : h;
      b.width = b.width < w ? b.width : w;
    }
    if (b.height > h || b.width > w) continue;
    b.y = mcli_rng_between(rng, 0, h - b.height); // (3)
    b.x = mcli_rng_between(rng, 0, w - b.width);
    return b;
  }
  return centre_crop(h, w, o->crop_aspect_max);
}

// ---- colour -------------------------------------------------------------------------------------

static int happens(double probability, mcli_rng *rng) {
  return probability > 0 && mcli_rng_unit(rng) < probability;
}

static float draw_factor(double strength, mcli_rng *rng) {
  return (float)mcli_rng_between(rng, strength < 1 ? 1 - strength : 0, 1 + strength);
}

// The four changes in random order; those of strength 0 draw nothing but their place.
static void jitter(const augment_job *j, float *x, int64_t n, int32_t c, mcli_rng *rng) {
  const mcl_augmenter_options *o = j->o;
  int order[4] = {0, 1, 2, 3};
  for (uint32_t i = 3; i > 0; i--) {
    uint64_t k = mcli_rng_below(rng, i + 1);
    int swap = order[i];
    order[i] = order[k];
    order[k] = swap;
  }
  for (int i = 0; i < 4; i++) {
    if (order[i] == 0 && o->brightness > 0)
      j->colour->brightness(x, n * c, draw_factor(o->brightness, rng), !o->unclamped_brightness);
    else if (order[i] == 1 && o->contrast > 0)
      j->colour->contrast(x, n, c, draw_factor(o->contrast, rng));
    else if (order[i] == 2 && o->saturation > 0 && c == 3)
      j->colour->saturation(x, n, draw_factor(o->saturation, rng));
    else if (order[i] == 3 && o->hue > 0 && c == 3)
      j->colour->hue(x, n, (float)mcli_rng_between(rng, -o->hue, o->hue));
  }
}

// Everything after the crop, on the image channels.
static void change(const augment_job *j, float *x, float *spare, mcli_rng *rng) {
  const mcl_augmenter_options *o = j->o;
  int64_t n = (int64_t)j->oh * j->ow;
  if (happens(o->jitter, rng)) jitter(j, x, n, j->ic, rng);
  if (happens(o->grey, rng) && j->ic == 3) j->colour->grey(x, n);
  if (happens(o->blur, rng)) {
    double sigma = mcli_rng_between(rng, 0.1, 2);
    int32_t ry = j->oh / 20, rx = j->ow / 20;
    if (ry || rx) j->colour->blur(x, j->oh, j->ow, j->ic, sigma, ry, rx, spare);
  }
  if (o->noise > 0) j->colour->noise(x, n * j->ic, (float)o->noise, rng);
}

// ---- one image ----------------------------------------------------------------------------------

// Channels first .. first + n - 1 of the crop, to n planes.
static void resample(const augment_job *j, const desk *d, const float *source, mcli_box b, int flip,
                     int32_t first, int32_t n, float *planes) {
  mcli_taps ty = d->ty, tx = d->tx;
  mcli_taps_fill(&ty, j->h, b.y, b.height, MCL_FILTER_TRIANGLE, 0);
  mcli_taps_fill(&tx, j->w, b.x, b.width, MCL_FILTER_TRIANGLE, flip);
  mcli_resample_f32(j->kernels, source, j->w, j->c, &ty, &tx, d->row, first, n, planes);
}

// Channels from `first` on, of the whole image.
static void resample_whole(const augment_job *j, const desk *d, const float *source,
                           int32_t first) {
  resample(j, d, source, (mcli_box){0, 0, j->h, j->w}, 0, first, j->c - first,
           d->planes + (int64_t)j->oh * j->ow * first);
}

static void resize_whole(const augment_job *j, const desk *d, const float *source, float *view) {
  int64_t pixels = (int64_t)j->oh * j->ow;
  if (j->oh == j->h && j->ow == j->w) {
    memcpy(view, source, (size_t)pixels * (size_t)j->c * sizeof *view);
    return;
  }
  resample_whole(j, d, source, 0);
  j->kernels->interleave(d->planes, pixels, j->c, view);
}

static void augment_image(const augment_job *j, const desk *d, const float *source, int64_t index,
                          float *view) {
  int64_t pixels = (int64_t)j->oh * j->ow;
  mcli_rng rng = mcli_rng_make(j->seed, MCLI_RNG_AUGMENT, (uint64_t)index, j->stream);
  mcli_box b = draw_crop(j->o, j->h, j->w, &rng);
  int flip = happens(j->o->flip, &rng);
  float *planes = j->c == 1 ? view : d->planes; // one plane is a view already
  resample(j, d, source, b, flip, 0, j->ic, planes);
  change(j, planes, d->spare, &rng);
  if (planes == view) return;
  if (j->ic == j->c || j->oh != j->h || j->ow != j->w) {
    if (j->ic < j->c) resample_whole(j, d, source, j->ic);
    j->kernels->interleave(planes, pixels, j->c, view);
    return;
  }
  for (int64_t i = 0; i < pixels; i++) // extra channels as they are
    for (int32_t k = 0; k < j->c; k++)
      view[i * j->c + k] = k < j->ic ? planes[k * pixels + i] : source[i * j->c + k];
}

static void augment_task(void *job, uint32_t task, uint32_t worker) {
  const augment_job *j = job;
  desk d = desk_of(j, worker);
  int64_t first = (int64_t)task * TASK_IMAGES, last = first + TASK_IMAGES;
  for (int64_t i = first; i < last && i < j->n; i++) {
    const float *source = mcli_array_plain(j->data, i);
    if (!source) mcli_array_load(j->data, i, 1, d.source), source = d.source;
    float *plain = (float *)mcli_array_plain(j->out, i), *view = plain ? plain : d.view;
    if (j->indices)
      augment_image(j, &d, source, j->indices[i], view);
    else
      resize_whole(j, &d, source, view);
    if (!plain) mcli_array_store(j->out, i, 1, view);
  }
}

// ---- the call -----------------------------------------------------------------------------------

static mcl_status check_arrays(const mcl_augmenter_options *o, const mcl_inputs *in,
                               const mcl_array *out, mcl_error *err) {
  if (!in->data) return mcli_fail(err, MCL_E_INVALID, "mcl_inputs.data is NULL");
  mcl_status s = mcli_array_check(in->data, "mcl_inputs.data", err);
  if (s == MCL_OK) s = mcli_array_check_out(out, "out", err);
  if (s < 0) return s;
  if (in->data->dtype != MCL_U8 && !mcli_dtype_is_float(in->data->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "mcl_inputs.data must be of MCL_U8 or a float type");
  if (!mcli_dtype_is_float(out->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "out must be of a float type");
  if (in->data->ndim != 4 || in->data->shape[0] != in->n)
    return mcli_fail(err, MCL_E_SHAPE, "mcl_inputs.data is not [%lld, h, w, c]", (long long)in->n);
  const int64_t *from = in->data->shape, *to = out->shape;
  for (int i = 1; i < 4; i++)
    if (from[i] < 1 || from[i] > 65535)
      return mcli_fail(err, MCL_E_SHAPE, "mcl_inputs.data.shape[%d] is %lld, not 1..65535", i,
                       (long long)from[i]);
  if (o->extra_channels >= from[3])
    return mcli_fail(err, MCL_E_SHAPE,
                     "extra_channels is %d, but mcl_inputs.data has %lld channels",
                     (int)o->extra_channels, (long long)from[3]);
  int64_t h = o->height ? o->height : from[1], w = o->width ? o->width : from[2];
  if (out->ndim != 4 || to[0] != in->n || to[1] != h || to[2] != w || to[3] != from[3])
    return mcli_fail(err, MCL_E_SHAPE, "out is not [%lld, %lld, %lld, %lld]", (long long)in->n,
                     (long long)h, (long long)w, (long long)from[3]);
  if (from[1] * from[2] * from[3] > INT32_MAX || h * w * from[3] > INT32_MAX)
    return mcli_fail(err, MCL_E_LIMIT, "one image has more than 2^31 - 1 numbers");
  return MCL_OK;
}

static mcl_status read_inputs(const mcl_inputs *from, mcl_inputs *in, mcl_error *err) {
  memset(in, 0, sizeof *in);
  if (!from) return mcli_fail(err, MCL_E_INVALID, "in is NULL");
  mcl_status s = mcli_struct_in(in, sizeof *in, from, "mcl_inputs", err);
  if (s < 0) return s;
  if (in->n < 0) return mcli_fail(err, MCL_E_INVALID, "mcl_inputs.n is %lld", (long long)in->n);
  if (in->n > (int64_t)UINT32_MAX)
    return mcli_fail(err, MCL_E_LIMIT, "mcl_inputs.n is %lld, not 0..2^32 - 1", (long long)in->n);
  if (in->view < -1)
    return mcli_fail(err, MCL_E_INVALID, "mcl_inputs.view is %d, not -1 or more", (int)in->view);
  if (in->view >= 0 && in->n > 0 && !in->indices)
    return mcli_fail(err, MCL_E_INVALID, "mcl_inputs.indices is NULL, but a view is to be drawn");
  return MCL_OK;
}

static augment_job plan(const mcl_augmenter *a, const mcl_inputs *in, const mcl_array *out) {
  const int64_t *from = in->data->shape;
  const int32_t name[3] = {in->stage, in->epoch, in->view};
  augment_job j = {.o = &a->o,
                   .colour = mcli_colour_kernels_of(a->context),
                   .kernels = mcli_resample_kernels_of(a->context),
                   .data = in->data,
                   .out = out,
                   .n = in->n,
                   .seed = in->seed};
  j.indices = in->view < 0 ? NULL : in->indices;
  j.stream = mcli_hash(name, sizeof name, 0);
  j.h = (int32_t)from[1], j.w = (int32_t)from[2], j.c = (int32_t)from[3];
  j.oh = (int32_t)out->shape[1], j.ow = (int32_t)out->shape[2];
  j.ic = j.c - a->o.extra_channels;
  j.most_y = mcli_taps_most(j.h, j.oh, MCL_FILTER_TRIANGLE);
  j.most_x = mcli_taps_most(j.w, j.ow, MCL_FILTER_TRIANGLE);
  j.scratch_floats = desk_floats(&j);
  return j;
}

mcl_status mcl_augmenter_apply(const mcl_augmenter *augmenter, const mcl_inputs *in,
                               const mcl_array *out, mcl_error *err) {
  mcl_inputs inputs;
  if (!augmenter) return mcli_fail(err, MCL_E_INVALID, "augmenter is NULL");
  mcl_status s = read_inputs(in, &inputs, err);
  if (s == MCL_OK) s = check_arrays(&augmenter->o, &inputs, out, err);
  if (s < 0) return s;
  if (inputs.n == 0) return mcl_ok(err);
  mcl_context *c = augmenter->context;
  augment_job j = plan(augmenter, &inputs, out);
  j.scratch = mcli_alloc(c, mcli_workers(c), (uint64_t)j.scratch_floats * sizeof *j.scratch);
  if (!j.scratch) return mcli_nomem(err, "scratch memory for augmenting");
  s = mcli_parallel(c, mcli_blocks(j.n, TASK_IMAGES), augment_task, &j, err);
  mcli_free(c, j.scratch);
  return s < 0 ? s : mcl_ok(err);
}
