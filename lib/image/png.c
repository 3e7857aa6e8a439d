// PNG by libpng's low-level interface: the only file that knows png.h.
//
// Four traps. (1) libpng reports errors by longjmp: every step runs under `guarded`, all state
// lives in the job, and no local is used after a jump. (2) An ancillary chunk makes libpng allocate
// what its length claims, so all of them but tRNS are skipped unread; with them go gamma and colour
// profiles, which nobody applies here. (3) png_image_* and quantising have had most of its security
// faults; neither is used. (4) Behind the last row libpng unpacks what is left of the pixel data to
// find its end, and 64 MB can be 64 GB: what is read there is counted.
//
// libpng turns every kind of PNG into 8-bit grey or RGB, with alpha where it has any; alpha is then
// composited on white:
//
//   v = (a v + (255 - a) 255) / 255, rounded          (1)
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "base/file.h"
#include "image/decode.h"
#include "math/array.h"

// Packed bytes that may be read beyond what the last row can have: good files have a few, which end
// the stream, and libpng reads 8 KiB at a time. They unpack to 1000 times as much in a tenth of a
// second.
enum { MOST_BEHIND = 1 << 16 };

const int mcli_has_png = 1;

typedef struct png_job {
  mcl_context *context;
  const mcli_encoded *in; // NULL when writing
  png_structp png;
  png_infop info;
  jmp_buf jump;
  char reason[112];
  int no_memory, ended; // an allocation failed; the bytes ran out
  size_t at;            // bytes read
  uint64_t next_chunk;  // where the chunk after the one at hand begins, by what it claims
  int in_data, at_last; // the chunk at hand is of pixel data; so is the last row, or it was before
  size_t behind;        // bytes of pixel data read since
  mcli_raster *raster;
  uint8_t *raw; // [height, width, channels], channels 1..4
  int32_t channels;
  // writing
  mcli_writer writer;
  int64_t written;
  const mcl_array *image;
  mcl_status io; // of the writer
  mcl_error io_error;
} png_job;

typedef mcl_status (*png_step)(png_job *job, mcl_error *err);

// ---- libpng's callbacks -------------------------------------------------------------------------

static void on_error(png_structp png, png_const_charp message) {
  png_job *job = png_get_error_ptr(png);
  strncpy(job->reason, message, sizeof job->reason - 1);
  longjmp(job->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  png_job *job = png_get_error_ptr(png);
  mcli_log(job->context, MCL_LOG_DEBUG, "png", "%s", message);
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t size) {
  png_job *job = png_get_mem_ptr(png);
  void *p = mcli_alloc(job->context, 1, size);
  if (!p) job->no_memory = 1;
  return p;
}

static void on_free(png_structp png, png_voidp p) {
  png_job *job = png_get_mem_ptr(png);
  mcli_free(job->context, p);
}

// libpng reads the length and name of a chunk at once, and does not tell which it is at.
static void note_chunk(png_job *job) {
  const uint8_t *head = job->in->bytes + job->at;
  if (job->at != job->next_chunk) return;
  job->next_chunk += (uint64_t)png_get_uint_32(head) + 12;
  job->in_data = memcmp(head + 4, "IDAT", 4) == 0;
}

static void on_read(png_structp png, png_bytep to, size_t n) {
  png_job *job = png_get_io_ptr(png);
  if (n > job->in->n - job->at) {
    job->ended = 1;
    png_error(png, "the file ends too soon");
  }
  if (n >= 8) note_chunk(job);
  size_t last_row =
      8 * (size_t)job->raster->width; // of 16 bits and four channels, not packed at all
  if (job->at_last && job->in_data && (job->behind += n) > last_row + MOST_BEHIND)
    png_error(png, "its pixel data goes on behind the last row");
  memcpy(to, job->in->bytes + job->at, n);
  job->at += n;
}

// ---- errors -------------------------------------------------------------------------------------

static mcl_status png_failure(const png_job *job, mcl_error *err) {
  if (job->no_memory) return mcli_nomem(err, "a PNG");
  if (job->io < 0) {
    if (err) *err = job->io_error;
    return job->io;
  }
  return mcli_fail(err, MCL_E_FORMAT, "the PNG is damaged: %s", job->reason);
}

// A failed allocation inside libpng may end in a mere warning and other pixels: it fails the step
// all the same.
static mcl_status guarded(png_job *job, png_step step, mcl_error *err) {
  if (setjmp(job->jump)) return png_failure(job, err);
  mcl_status s = step(job, err);
  return s == MCL_OK && job->no_memory ? png_failure(job, err) : s;
}

// ---- reading ------------------------------------------------------------------------------------

// IHDR stands first, at a fixed place: its size is judged before libpng sees it.
static mcl_status check_header(const mcli_encoded *in, mcl_error *err) {
  enum { AT_NAME = 12, AT_WIDTH = 16, AT_HEIGHT = 20, HEADER = 33 };
  const uint8_t *p = in->bytes;
  if (in->n < HEADER || memcmp(p + AT_NAME, "IHDR", 4) != 0)
    return mcli_fail(err, MCL_E_FORMAT, "the PNG is damaged: it has no whole header");
  return mcli_image_check_size(in->options, png_get_uint_32(p + AT_HEIGHT),
                               png_get_uint_32(p + AT_WIDTH), err);
}

static mcl_status read_header(png_job *job, mcl_error *err) {
  const mcli_encoded *in = job->in;
  job->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job,
                                      on_alloc, on_free);
  if (job->png) job->info = png_create_info_struct(job->png);
  if (!job->info) return mcli_nomem(err, "a PNG");
  png_set_read_fn(job->png, job, on_read);
  png_uint_32 side = (png_uint_32)in->options->max_side;
  png_set_user_limits(job->png, side, side);
  png_set_keep_unknown_chunks(job->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_set_keep_unknown_chunks(job->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "tRNS", 1);
  // libpng asks for its pixel data in pieces of 8 KiB, and a piece that is not whole is lost.
  if (in->options->allow_truncated) png_set_compression_buffer_size(job->png, 64);
  png_read_info(job->png, job->info);
  job->raster->height = (int32_t)png_get_image_height(job->png, job->info);
  job->raster->width = (int32_t)png_get_image_width(job->png, job->info);
  int colour = png_get_color_type(job->png, job->info) & PNG_COLOR_MASK_COLOR;
  job->raster->channels = colour ? 3 : 1;
  return MCL_OK;
}

// Whether a row of a pass is the last that a file has: of an interlaced image no more than the odd
// rows are in the last pass, and where there is one row only, not even these.
static int is_last_row(const png_job *job, int passes, int pass, int32_t y) {
  png_uint_32 height = (png_uint_32)job->raster->height, width = (png_uint_32)job->raster->width;
  if (passes == 1) return y == job->raster->height - 1;
  int last = passes - 1;
  while (PNG_PASS_ROWS(height, last) == 0 || PNG_PASS_COLS(width, last) == 0) last--;
  return pass == last &&
         (png_uint_32)y == PNG_ROW_FROM_PASS_ROW(PNG_PASS_ROWS(height, last) - 1, last);
}

// Rows that never come stay white. An interlaced image is the same loop seven times over. libpng
// reads to the end of the pixel data while it reads the last row.
static mcl_status read_rows(png_job *job, mcl_error *err) {
  png_set_expand(job->png);
  png_set_scale_16(job->png);
  int passes = png_set_interlace_handling(job->png);
  png_read_update_info(job->png, job->info);
  int32_t height = job->raster->height;
  size_t stride = png_get_rowbytes(job->png, job->info);
  job->channels = png_get_channels(job->png, job->info);
  job->raw = mcli_alloc(job->context, (uint64_t)height, stride);
  if (!job->raw) return mcli_nomem(err, "the pixels of a PNG");
  memset(job->raw, 255, (size_t)height * stride);
  for (int pass = 0; pass < passes; pass++)
    for (int32_t y = 0; y < height; y++) {
      if (is_last_row(job, passes, pass, y)) job->at_last = 1;
      png_read_row(job->png, job->raw + (size_t)y * stride, NULL);
    }
  png_read_end(job->png, NULL);
  return MCL_OK;
}

static uint8_t on_white(int v, int a) { // (1)
  return (uint8_t)((a * v + (255 - a) * 255 + 127) / 255);
}

// raw [n, channels] to [n, 1 or 3] in place: a pixel never grows, so writing stays behind reading.
static void flatten(uint8_t *raw, int64_t n, int channels, int luma) {
  int colours = channels < 3 ? 1 : 3, alpha = channels % 2 == 0, wanted = luma ? 1 : colours;
  if (wanted == channels) return;
  for (int64_t i = 0; i < n; i++) {
    const uint8_t *p = raw + i * channels;
    uint8_t v[3] = {p[0], 0, 0};
    if (colours == 3) v[1] = p[1], v[2] = p[2];
    if (alpha)
      for (int k = 0; k < colours; k++) v[k] = on_white(v[k], p[channels - 1]);
    if (wanted < colours) v[0] = mcli_luma(v[0], v[1], v[2]);
    memcpy(raw + i * wanted, v, (size_t)wanted);
  }
}

mcl_status mcli_png_read(const mcli_encoded *in, mcli_raster *out, mcl_error *err) {
  png_job job = {.context = in->context, .in = in, .raster = out, .next_chunk = 8};
  mcl_status s = check_header(in, err);
  if (s == MCL_OK) s = guarded(&job, read_header, err);
  if (s == MCL_OK && !in->header_only) {
    s = guarded(&job, read_rows, err);
    if (s == MCL_E_FORMAT && job.ended && job.raw && in->options->allow_truncated) s = MCL_OK;
  }
  png_destroy_read_struct(&job.png, &job.info, NULL);
  if (s < 0) {
    mcli_free(in->context, job.raw);
    return s;
  }
  out->orientation = mcli_png_orientation(in->bytes, in->n);
  if (in->header_only) return MCL_OK;
  flatten(job.raw, (int64_t)out->height * out->width, job.channels, in->luma);
  out->pixels = job.raw;
  return MCL_OK;
}

// ---- writing ------------------------------------------------------------------------------------

static void on_write(png_structp png, png_bytep bytes, size_t n) {
  png_job *job = png_get_io_ptr(png);
  job->io = mcli_writer_at(&job->writer, job->written, bytes, (int64_t)n, &job->io_error);
  if (job->io < 0) png_error(png, "the file cannot be written");
  job->written += (int64_t)n;
}

static void on_flush(png_structp png) {
  (void)png;
}

static uint8_t byte_of(float x) {
  if (!(x > 0)) return 0; // NaN too
  return (uint8_t)(x >= 1 ? 255 : x * 255 + 0.5F);
}

static void fill_row(const mcl_array *image, int64_t y, uint8_t *row) {
  int64_t c = image->shape[2];
  for (int64_t x = 0; x < image->shape[1]; x++)
    for (int64_t k = 0; k < c; k++) {
      int64_t at = y * image->strides[0] + x * image->strides[1] + k * image->strides[2];
      row[x * c + k] = image->dtype == MCL_U8 ? ((const uint8_t *)image->data)[at]
                                              : byte_of(((const float *)image->data)[at]);
    }
}

static mcl_status write_image(png_job *job, mcl_error *err) {
  const mcl_array *image = job->image;
  png_uint_32 height = (png_uint_32)image->shape[0], width = (png_uint_32)image->shape[1];
  int type = image->shape[2] == 1   ? PNG_COLOR_TYPE_GRAY
             : image->shape[2] == 3 ? PNG_COLOR_TYPE_RGB
                                    : PNG_COLOR_TYPE_RGB_ALPHA;
  job->raw = mcli_alloc(job->context, width, (uint64_t)image->shape[2]);
  if (!job->raw) return mcli_nomem(err, "a row of a PNG");
  job->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job,
                                       on_alloc, on_free);
  if (job->png) job->info = png_create_info_struct(job->png);
  if (!job->info) return mcli_nomem(err, "a PNG");
  png_set_write_fn(job->png, job, on_write, on_flush);
  png_set_compression_buffer_size(job->png, 1 << 16); // fewer, larger writes
  png_set_IHDR(job->png, job->info, width, height, 8, type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(job->png, job->info);
  for (png_uint_32 y = 0; y < height; y++) {
    fill_row(image, y, job->raw);
    png_write_row(job->png, job->raw);
  }
  png_write_end(job->png, NULL);
  return MCL_OK;
}

static mcl_status check_image(const mcl_array *image, mcl_error *err) {
  enum { MAX_SIDE = 1000000 }; // libpng's own bound
  mcl_status s = mcli_array_check(image, "image", err);
  if (s < 0) return s;
  if (image->dtype != MCL_U8 && image->dtype != MCL_F32)
    return mcli_fail(err, MCL_E_DTYPE, "image must be of MCL_U8 or MCL_F32");
  if (image->ndim != 2 && image->ndim != 3)
    return mcli_fail(err, MCL_E_SHAPE, "image has %d dimensions, not [h, w, c] or [h, w]",
                     (int)image->ndim);
  for (int i = 0; i < 2; i++)
    if (image->shape[i] < 1 || image->shape[i] > MAX_SIDE)
      return mcli_fail(err, MCL_E_SHAPE, "image.shape[%d] is %lld, not 1..%d", i,
                       (long long)image->shape[i], MAX_SIDE);
  int64_t c = image->shape[2];
  if (c != 1 && c != 3 && c != 4)
    return mcli_fail(err, MCL_E_SHAPE, "image has %lld channels, not 1, 3 or 4", (long long)c);
  return MCL_OK;
}

mcl_status mcl_image_write_png(mcl_context *context, const char *path, const mcl_array *image,
                               mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  png_job job = {.context = context, .image = image};
  mcl_status s = check_image(image, err);
  if (s == MCL_OK) s = mcli_writer_open(context, path, &job.writer, err);
  if (s < 0) return s;
  s = guarded(&job, write_image, err);
  png_destroy_write_struct(&job.png, &job.info);
  mcli_free(context, job.raw);
  if (s == MCL_OK) s = mcli_writer_commit(&job.writer, err);
  mcli_writer_abort(&job.writer);
  return s < 0 ? s : mcl_ok(err);
}
