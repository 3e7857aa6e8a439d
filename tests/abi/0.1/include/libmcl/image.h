/* Images: decoding PNG and JPEG within limits, resizing, writing PNG, and the augmentations that
 * make views.
 *
 * Decoding is meant for files from anywhere: what a file costs is bounded by the options before it
 * is spent, and a damaged file is an error that says why. Colours are taken as the file has them:
 * gamma and colour profiles are ignored, as by Pillow, OpenCV and torchvision. */
#ifndef LIBMCL_IMAGE_H
#define LIBMCL_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/inputs.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** How an image is brought to an output of another shape. */
enum {
  MCL_FIT_STRETCH = 1, /**< the whole image, its aspect given up */
  MCL_FIT_CROP /**< the largest rectangle of the output's aspect around the image's centre */
};

/** How an image is brought to another size. */
enum {
  /** Bilinear, widened when shrinking so that nothing aliases (Pillow's BILINEAR). */
  MCL_FILTER_TRIANGLE = 1,
  /** Each output pixel is the mean of the area it covers; for whole factors exactly mean pooling. */
  MCL_FILTER_BOX
};

/** What a decoder may spend, and how the result is fitted. Prepared by mcl_image_options_init(). */
typedef struct mcl_image_options {
  size_t struct_size;
  int64_t max_pixels; /**< height x width of the encoded image; default 2^24, 1 .. 2^31 - 1 */
  int64_t max_bytes;  /**< of the encoded file; default 64 MiB, 1 .. 2^40. Of a JPEG of arithmetic
                       *   codes, which take ten times as long, a fifth of it. */
  int32_t max_side;   /**< of the encoded image; default 16384, 1 .. 65535 */
  /** Scans of a progressive JPEG; default 100, at least 1. An image of max_pixels gets a fifth of
   *  them, and one of a fifth of max_pixels or less gets all: the work is bounded, not the count
   *  alone. */
  int32_t max_scans;
  int32_t fit;    /**< MCL_FIT_STRETCH (default) or MCL_FIT_CROP */
  int32_t filter; /**< MCL_FILTER_TRIANGLE (default) or MCL_FILTER_BOX */
  /** 1: a file that ends early, or a JPEG whose pixel data is damaged, gives what there is of it,
   *  the rest grey (JPEG) or white (PNG). 0, the default: it is MCL_E_FORMAT. */
  int32_t allow_truncated;
  int32_t reserved; /**< 0 */
} mcl_image_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_image_options_init(mcl_image_options *options, size_t struct_size);

/* By the defaults a file costs at most 256 MB beside its own bytes and about 2 seconds of one
 * processor, whatever is in it (tests/hostile). */

/** Reads the size of an encoded PNG or JPEG, as it is seen: EXIF orientation applied. `channels`
 *  gets 1 for a grey image, 3 for one in colour, transparent or not. Each of the three outputs may
 *  be NULL. `options` NULL: the defaults.
 *  Errors: MCL_E_INVALID; MCL_E_FORMAT (neither PNG nor JPEG, or a damaged header); MCL_E_LIMIT
 *  (options); MCL_E_UNSUPPORTED (12-bit, lossless or hierarchical JPEG, colour spaces other than
 *  grey, RGB, YCbCr, CMYK, YCCK; a format that this build has not, see mcl_build_info());
 *  MCL_E_NOMEM. Any thread. */
MCL_API MCL_CHECK mcl_status mcl_image_size(mcl_context *context, const mcl_image_options *options,
                                            const void *bytes, size_t n, int32_t *height,
                                            int32_t *width, int32_t *channels, mcl_error *err);

/** Decodes the PNG or JPEG in bytes[0 .. n-1] into `out`, [h, w, c] (or [h, w]) of MCL_U8 or
 *  MCL_F32, resized to its h and w. c is 1 (luma, ITU-R BT.601: .299 R + .587 G + .114 B) or 3
 *  (RGB; a grey image is repeated). Transparent pixels are composited on white. EXIF orientations 1
 *  to 8 are applied, in PNG too. CMYK is turned to RGB by multiplication; with Adobe's marker its
 *  inks are read inverted. Pixels are 8 bits throughout: 16-bit PNGs are rounded, and MCL_F32 gets
 *  0..255 divided by 255. Same size: no resampling, the pixels are exact. A palette index past the
 *  palette is black. Chunks and markers that do not change the pixels are skipped unread.
 *  Memory comes from the context, but libjpeg's own, from malloc, which max_pixels bounds.
 *  Errors: as mcl_image_size(); MCL_E_FORMAT also for damaged or missing pixel data; MCL_E_SHAPE,
 *  MCL_E_DTYPE (`out`). `out` is written on success only. Any thread. */
MCL_API MCL_CHECK mcl_status mcl_image_decode(mcl_context *context,
                                              const mcl_image_options *options, const void *bytes,
                                              size_t n, const mcl_array *out, mcl_error *err);

/** Writes `image`, [h, w, c] (or [h, w]) of MCL_U8, or of MCL_F32 as 0..1 (clamped and rounded; NaN
 *  is 0), as an 8-bit PNG. c is 1 (grey), 3 (RGB) or 4 (RGB and alpha, not premultiplied); sides
 *  are 1 .. 1,000,000. The file appears whole or not at all.
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_NOT_FOUND (no such directory), MCL_E_IO
 *  (the file that was there stays), MCL_E_UNSUPPORTED (a build without PNG), MCL_E_NOMEM. Any
 *  thread. */
MCL_API MCL_CHECK mcl_status mcl_image_write_png(mcl_context *context, const char *path,
                                                 const mcl_array *image, mcl_error *err);

/** Makes views of images: random crops, flips, colour changes, blur and noise, as SimCLR (Chen,
 *  Kornblith, Norouzi and Hinton 2020, "A Simple Framework for Contrastive Learning of Visual
 *  Representations", appendix A). Holds options only, so calls from several threads at once are
 *  fine. */
typedef struct mcl_augmenter mcl_augmenter;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_augmenter *mcl_augmenter_ref(mcl_augmenter *augmenter);

/** Gives a reference back. NULL is fine. Any thread. */
MCL_API void mcl_augmenter_unref(mcl_augmenter *augmenter);

/** What of a crop is drawn uniformly. */
enum {
  MCL_CROP_UNIFORM_AREA = 0, /**< its area, as torchvision does */
  MCL_CROP_UNIFORM_SIDE = 1, /**< its side, between the square roots of the areas */
  /** Its height, between the least and the largest of those areas that fit into the image at the aspect drawn, as TensorFlow's
   *  sample_distorted_bounding_box does, which SimCLR's own code calls. Of these hardly any is drawn again, and clamped_crop
   *  does not matter. */
  MCL_CROP_UNIFORM_HEIGHT = 2
};

/** Prepared by mcl_augmenter_options_init() to SimCLR's settings of strength 1. An image goes
 *  through, in this order: crop and resize, flip, colour jitter, grey, blur, noise. `flip`,
 *  `jitter`, `grey` and `blur` are probabilities, 0 .. 1. */
typedef struct mcl_augmenter_options {
  size_t struct_size;
  int32_t height; /**< of the output; 0, the default: the input's */
  int32_t width;  /**< likewise */
  /** The last so many channels are no image (constant channels with a code, say): they are
   *  resampled to the output's size where that differs, and otherwise unchanged. Default 0; below
   *  the number of channels. */
  int32_t extra_channels;
  int32_t crop_size; /**< what of a crop is uniform, MCL_CROP_UNIFORM_*; default 0, its area */
  /** 0, the default: brightness clamps to 0..1 as the other changes do, so that bright images lose their highlights. 1: it
   *  does not, and values reach 1 + brightness. */
  int32_t unclamped_brightness;
  /** 0, the default: a crop that is wider or taller than the image is drawn again, as by torchvision, so crops are smaller
   *  than their range says, the more so the further from square. 1: its longer side is cut to the image's. The difference
   *  is not small: docs/evidence.md, RandBits. */
  int32_t clamped_crop;
  /** The crop's share of the area, default .08 .. 1, in (0, 1]. Crops have real-valued corners (no
   *  rounding to pixels, which would leave few different crops of a small image); ten draws are
   *  tried until one fits, then the largest centred rectangle of an allowed aspect is taken, as by
   *  torchvision (unless clamped_crop). min = max = 1: no crop. */
  double crop_area_min;
  double crop_area_max; /**< the most; see crop_area_min */
  /** Width over height of the crop, in pixels, is log-uniform in [1/max, max], or uniform there with
   *  MCL_CROP_UNIFORM_HEIGHT; default 4/3, at least 1. 1: square crops. */
  double crop_aspect_max;
  double flip;   /**< left-right mirror; default .5 */
  double jitter; /**< whether the four changes below are made, in random order; default .8 */
  /** Factor U(max(0, 1 - b), 1 + b); defaults .8. Each change clamps to 0..1, as torchvision's.
   *  brightness: x f. contrast: towards the mean luma (of one or several channels other than 3: the
   *  mean). saturation: towards the pixel's luma. Saturation, hue and grey change images of 3
   *  channels only. */
  double brightness;
  double contrast;   /**< see brightness */
  double saturation; /**< see brightness */
  double hue;        /**< turned by U(-hue, hue) of the circle, 0 .. .5; default .2 */
  double grey;       /**< three channels become their luma; default .2 */
  /** Gaussian, sigma U(.1, 2) pixels, cut at a tenth of the side (radius side / 20, so sides under
   *  20 are not changed); mirrored at the edges; default .5 */
  double blur;
  /** Standard deviation of normal noise added to every value last, after which nothing is clamped;
   *  default 0, at most 10 */
  double noise;
} mcl_augmenter_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_augmenter_options_init(mcl_augmenter_options *options, size_t struct_size);

/** `options` NULL: the defaults.
 *  Errors: MCL_E_INVALID (a field, named), MCL_E_UNSUPPORTED, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_augmenter_create(mcl_context *context,
                                                  const mcl_augmenter_options *options,
                                                  mcl_augmenter **out, mcl_error *err);

/** One view of each image of in->data, [n, h, w, c] of MCL_U8 (divided by 255) or any float type,
 *  into `out`, [n, height, width, c] of any float type. in->view -1: nothing is drawn, the images
 *  are only resized.
 *  Every draw for image i is a function of in->seed, in->stage, in->epoch, in->view and
 *  in->indices[i] alone: which images stand beside it in the batch, and the number of threads,
 *  never matter. A crop is sampled bilinearly between the image's pixels; where it is
 *  larger than the output the filter is widened (MCL_FILTER_TRIANGLE). Values are taken as they
 *  are: NaN stays in its image.
 *  Errors: MCL_E_INVALID (data or indices NULL, a view under -1), MCL_E_SHAPE, MCL_E_DTYPE,
 *  MCL_E_LIMIT (an image of 2^31 numbers or more), MCL_E_NOMEM, MCL_E_CALLBACK (the host's runner;
 *  only then may `out` have been written). Any thread. */
MCL_API MCL_CHECK mcl_status mcl_augmenter_apply(const mcl_augmenter *augmenter,
                                                 const mcl_inputs *in, const mcl_array *out,
                                                 mcl_error *err);

MCL_END_DECLS

#endif
