// JPEG by libjpeg-turbo: the only file that knows jpeglib.h.
//
// libjpeg ends the process on an error unless told otherwise: here error_exit jumps back to
// `guarded`, all state lives in the job, and no local is used after a jump. Warnings are told
// apart: those that mean lost pixels end the call (unless damage is allowed), the rest go to the
// log.
//
// A progressive file of 100 kB can ask for hundreds of passes over the whole image. Passes are
// counted while they happen, and what is bounded is their product with the size of the image:
//
//   scans <= max_scans   and   scans * pixels <= max_scans * max_pixels / 5          (1)
//
// An ordinary progressive file has about 10 scans: with the default of 100 it stays within (1) at
// any size allowed.
//
// CMYK comes out as it is stored; Adobe's files store 255 - ink. With c, m, y, k as light let
// through:
//
//   r = c k / 255,  g = m k / 255,  b = y k / 255, rounded                           (2)
//
// Arithmetic codes take ten times as long as Huffman's, in proportion to their bytes: 64 MB would be 8
// seconds. No camera writes them. A file of them is bounded to
//
//   bytes <= max_bytes / 5                                                           (3)
//
// which is twice what good pictures of max_pixels have.
//
// libjpeg's own working memory comes from malloc. It is bounded by the checks on the size, made
// after the header and before any pixel, and by max_memory_to_use. Rejected: a memory manager of
// ours, since how far the SIMD code reads past a row is known only to libjpeg-turbo itself.
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#include "image/decode.h"

const int mcli_has_jpeg = 1;

typedef struct jpeg_job {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf jump;
  const mcli_encoded *in;
  mcli_raster *raster;
  uint8_t *raw;  // [height, width, 1 or 3]
  uint8_t *line; // [width, 4], where there is CMYK
  int too_many_scans;
} jpeg_job;

typedef mcl_status (*jpeg_step)(jpeg_job *job, mcl_error *err);

// ---- libjpeg's callbacks ------------------------------------------------------------------------

static void on_error(j_common_ptr jpeg) {
  jpeg_job *job = jpeg->client_data;
  longjmp(job->jump, 1);
}

static void on_output(j_common_ptr jpeg) {
  (void)jpeg;
}

// Warnings after which pixels are guessed; others (a stray byte, an odd version) leave the image
// whole.
static int loses_pixels(int code) {
  switch (code) {
  case JWRN_JPEG_EOF:
  case JWRN_HIT_MARKER:
  case JWRN_HUFF_BAD_CODE:
  case JWRN_ARITH_BAD_CODE:
  case JWRN_MUST_RESYNC:
    return 1;
  default:
    return 0;
  }
}

static void on_message(j_common_ptr jpeg, int level) {
  jpeg_job *job = jpeg->client_data;
  char text[JMSG_LENGTH_MAX];
  if (level >= 0) return; // a trace
  if (loses_pixels(jpeg->err->msg_code) && !job->in->options->allow_truncated)
    longjmp(job->jump, 1);
  jpeg->err->format_message(jpeg, text);
  mcli_log(job->in->context, MCL_LOG_DEBUG, "jpeg", "%s", text);
}

static void on_progress(j_common_ptr jpeg) {
  jpeg_job *job = jpeg->client_data;
  const mcl_image_options *o = job->in->options;
  int64_t scans = job->jpeg.input_scan_number;
  double work = (double)scans * job->jpeg.image_width * job->jpeg.image_height;
  if (scans <= o->max_scans && work <= (double)o->max_scans * (double)o->max_pixels / 5)
    return; // (1)
  // Fewer than one scan of the largest image would refuse what the other limits allow.
  if (scans == 1) return;
  job->too_many_scans = 1;
  longjmp(job->jump, 1);
}

// ---- errors -------------------------------------------------------------------------------------

static mcl_status jpeg_failure(jpeg_job *job, mcl_error *err) {
  char text[JMSG_LENGTH_MAX];
  if (job->too_many_scans)
    return mcli_fail(err, MCL_E_LIMIT, "the JPEG has %d or more scans, max_scans is %d",
                     job->jpeg.input_scan_number, (int)job->in->options->max_scans);
  job->errors.format_message((j_common_ptr)&job->jpeg, text);
  switch (job->errors.msg_code) {
  case JERR_OUT_OF_MEMORY:
    return mcli_nomem(err, "a JPEG");
  case JERR_NO_BACKING_STORE:
  case JERR_IMAGE_TOO_BIG:
    return mcli_fail(err, MCL_E_LIMIT, "the JPEG is too large: %s", text);
  case JERR_BAD_PRECISION: // of 12 bits, mostly
  case JERR_SOF_UNSUPPORTED:
  case JERR_ARITH_NOTIMPL:
  case JERR_CONVERSION_NOTIMPL:
  case JERR_FRACT_SAMPLE_NOTIMPL:
  case JERR_NOT_COMPILED:
    return mcli_fail(err, MCL_E_UNSUPPORTED, "the JPEG's kind is not supported: %s", text);
  default:
    return mcli_fail(err, MCL_E_FORMAT, "the JPEG is damaged: %s", text);
  }
}

static mcl_status guarded(jpeg_job *job, jpeg_step step, mcl_error *err) {
  if (setjmp(job->jump)) return jpeg_failure(job, err);
  return step(job, err);
}

// ---- reading ------------------------------------------------------------------------------------

// What libjpeg shall give: grey, RGB, or CMYK to be converted here.
static mcl_status choose_colours(jpeg_job *job, mcl_error *err) {
  struct jpeg_decompress_struct *jpeg = &job->jpeg;
  job->raster->channels = 3;
  switch (jpeg->jpeg_color_space) {
  case JCS_GRAYSCALE:
    job->raster->channels = 1;
    jpeg->out_color_space = JCS_GRAYSCALE;
    return MCL_OK;
  case JCS_RGB:
  case JCS_YCbCr:
    jpeg->out_color_space = job->in->luma ? JCS_GRAYSCALE : JCS_RGB;
    return MCL_OK;
  case JCS_CMYK:
  case JCS_YCCK:
    jpeg->out_color_space = JCS_CMYK;
    return MCL_OK;
  default:
    return mcli_fail(err, MCL_E_UNSUPPORTED,
                     "the JPEG's kind is not supported: %d components of an unknown colour space",
                     jpeg->num_components);
  }
}

static mcl_status read_header(jpeg_job *job, mcl_error *err) {
  struct jpeg_decompress_struct *jpeg = &job->jpeg;
  jpeg_create_decompress(jpeg);
  // Coefficients of a progressive image: 2 bytes for each of up to 4 components, sides rounded up
  // to whole blocks.
  int64_t memory = job->in->options->max_pixels * 16 + (1 << 24);
  jpeg->mem->max_memory_to_use = memory < LONG_MAX ? (long)memory : LONG_MAX;
  jpeg->progress = &job->progress;
  jpeg_mem_src(jpeg, job->in->bytes, (unsigned long)job->in->n);
  jpeg_read_header(jpeg, TRUE);
  mcl_status s =
      mcli_image_check_size(job->in->options, jpeg->image_height, jpeg->image_width, err);
  job->raster->height = (int32_t)jpeg->image_height;
  job->raster->width = (int32_t)jpeg->image_width;
  if (s == MCL_OK && jpeg->arith_code &&
      (int64_t)job->in->n > job->in->options->max_bytes / 5) // (3)
    s = mcli_fail(err, MCL_E_LIMIT,
                  "the JPEG is of arithmetic codes and has %zu bytes, over a fifth of max_bytes",
                  job->in->n);
  return s < 0 ? s : choose_colours(job, err);
}

// from [n, 4] to [n, 1 or 3], by (2).
static void flatten_cmyk(const uint8_t *from, int64_t n, int inverted, int luma, uint8_t *to) {
  for (int64_t i = 0; i < n; i++) {
    int v[4] = {0};
    for (int k = 0; k < 4; k++) v[k] = inverted ? from[i * 4 + k] : 255 - from[i * 4 + k];
    for (int k = 0; k < 3; k++) v[k] = (v[k] * v[3] + 127) / 255;
    if (luma)
      to[i] = mcli_luma(v[0], v[1], v[2]);
    else
      for (int k = 0; k < 3; k++) to[i * 3 + k] = (uint8_t)v[k];
  }
}

static mcl_status read_rows(jpeg_job *job, mcl_error *err) {
  struct jpeg_decompress_struct *jpeg = &job->jpeg;
  jpeg_start_decompress(jpeg);
  size_t width = jpeg->output_width;
  int cmyk = jpeg->out_color_space == JCS_CMYK, luma = job->in->luma;
  size_t stride = width * (size_t)(cmyk ? (luma ? 1 : 3) : jpeg->output_components);
  job->raw = mcli_alloc(job->in->context, jpeg->output_height, stride);
  if (cmyk) job->line = mcli_alloc(job->in->context, width, 4);
  if (!job->raw || (cmyk && !job->line)) return mcli_nomem(err, "the pixels of a JPEG");
  while (jpeg->output_scanline < jpeg->output_height) {
    uint8_t *row = job->raw + jpeg->output_scanline * stride;
    JSAMPROW to = cmyk ? job->line : row;
    if (jpeg_read_scanlines(jpeg, &to, 1) == 1 && cmyk)
      flatten_cmyk(job->line, (int64_t)width, jpeg->saw_Adobe_marker, luma, row);
  }
  jpeg_finish_decompress(jpeg); // reads on: a file cut short behind its last row is found here
  return MCL_OK;
}

mcl_status mcli_jpeg_read(const mcli_encoded *in, mcli_raster *out, mcl_error *err) {
  jpeg_job job = {.in = in, .raster = out};
  job.jpeg.err = jpeg_std_error(&job.errors);
  job.jpeg.client_data = &job;
  job.errors.error_exit = on_error;
  job.errors.emit_message = on_message;
  job.errors.output_message = on_output;
  job.progress.progress_monitor = on_progress;
  mcl_status s = guarded(&job, read_header, err);
  if (s == MCL_OK && !in->header_only) s = guarded(&job, read_rows, err);
  jpeg_destroy_decompress(&job.jpeg);
  mcli_free(in->context, job.line);
  if (s < 0) {
    mcli_free(in->context, job.raw);
    return s;
  }
  out->orientation = mcli_jpeg_orientation(in->bytes, in->n);
  out->pixels = job.raw;
  return MCL_OK;
}
