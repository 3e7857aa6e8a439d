// PNG files made to cost as much as they can. Each holds to the format as far as libpng must read before it can tell.
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include <libmcl/image.h>

#include "hostile/hostile.h"

// ---- making them -----------------------------------------------------------------------------------

typedef struct png {
  uint32_t width, height;
  int depth, colour, interlaced;
} png;

enum { GREY = 0, RGB = 2, PALETTE = 3, RGBA = 6 };

// A chunk that claims `claimed` bytes and has n.
static void add_chunk_claiming(blob *b, const char *name, const void *data, size_t n,
                               uint32_t claimed) {
  blob_big32(b, claimed);
  size_t at = b->n;
  blob_add(b, name, 4);
  blob_add(b, data, n);
  blob_big32(b, (uint32_t)crc32(0, b->data + at, (uInt)(n + 4)));
}

static void add_chunk(blob *b, const char *name, const void *data, size_t n) {
  add_chunk_claiming(b, name, data, n, (uint32_t)n);
}

static blob begin_png(png p) {
  blob b = {0}, head = {0};
  blob_add(&b, "\x89PNG\r\n\x1A\n", 8);
  blob_big32(&head, p.width);
  blob_big32(&head, p.height);
  blob_add(&head, (uint8_t[]){(uint8_t)p.depth, (uint8_t)p.colour, 0, 0, (uint8_t)p.interlaced}, 5);
  add_chunk(&b, "IHDR", head.data, head.n);
  blob_free(&head);
  return b;
}

// Pixel data that is all one byte but for each row's filter; `rows` may be more than the image has.
static void add_rows(blob *b, size_t row_bytes, int filter, int64_t rows) {
  blob row = {0}, packed = {0};
  blob_fill(&row, filter, 1);
  blob_fill(&row, 0, row_bytes);
  blob_pack(&packed, row.data, row.n, rows, 0, 9);
  add_chunk(b, "IDAT", packed.data, packed.n);
  blob_free(&row);
  blob_free(&packed);
}

static void end_png(blob *b) {
  add_chunk(b, "IEND", NULL, 0);
}

// A good image of 1 x 1, but for its end: what is put behind is what costs.
static blob small_png(void) {
  blob b = begin_png((png){1, 1, 8, GREY, 0});
  add_rows(&b, 1, 0, 1);
  return b;
}

// ---- calls -----------------------------------------------------------------------------------------

static mcl_status measure(mcl_context *c, void *user, mcl_error *err) {
  const blob *b = user;
  int32_t height, width, channels;
  return mcl_image_size(c, NULL, b->data, b->n, &height, &width, &channels, err);
}

static void try_size(const char *name, const blob *b, int accepted, const char *why) {
  hostile_case h = {.name = name, .bytes = (int64_t)b->n, .accepted = accepted, .why = why};
  run_hostile(&h, measure, (void *)(uintptr_t)b);
}

static void try_png(const char *name, blob *b, int accepted, const char *why) {
  hostile_case h = {.name = name, .bytes = (int64_t)b->n, .accepted = accepted, .why = why};
  run_hostile(&h, decode_hostile, b);
  blob_free(b);
}

// ---- tests -----------------------------------------------------------------------------------------

START_TEST(a_chunk_that_claims_a_gigabyte_costs_nothing) {
  static const char *const names[] = {"zTXt", "iTXt", "tEXt", "pCAL", "sCAL", "sPLT", "iCCP",
                                      "eXIf", "hIST", "PLTE", "tRNS", "IDAT", "abCd"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char name[80];
    blob b = begin_png((png){1, 1, 8, PALETTE, 0});
    add_chunk_claiming(&b, names[i], "keyword\0\0\0\0\0", 12, 0x3fffffff);
    snprintf(name, sizeof name, "png: %s of 57 bytes that claims 1 GB", names[i]);
    try_size(name, &b, 0, "the PNG is damaged: ");
    try_png(name, &b, 0, "the PNG is damaged: ");
  }
}
END_TEST

START_TEST(the_largest_image_is_decoded_within_the_bound) {
  uint32_t side = 4096 / (SANITIZED ? 4 : 1);
  blob b = begin_png((png){side, side, 16, RGBA, 0});
  add_rows(&b, (size_t)side * 8, 4, side);
  end_png(&b);
  try_png("png: 2^24 pixels, RGBA of 16 bits, Paeth's filter", &b, 1, NULL);
  b = begin_png((png){side, side, 16, RGBA, 1});
  // The rows of the seven passes have other lengths: of zeros, filters included, any split is a good one.
  add_rows(&b, 1023, 0, ((int64_t)side * side * 8 + side * 4) / 1024);
  end_png(&b);
  try_png("png: 2^24 pixels, RGBA of 16 bits, interlaced", &b, 1, NULL);
}
END_TEST

START_TEST(noise_of_as_many_pixels_as_are_allowed_is_decoded_within_the_bound) {
  uint32_t side = 4096 / (SANITIZED ? 4 : 1);
  size_t row = (size_t)side * 8 + 1;
  blob b = begin_png((png){side, side, 16, RGBA, 0}), rows = {0}, packed = {0};
  blob_noise(&rows, row * side, 2);
  for (size_t i = 0; i < rows.n; i++) rows.data[i] &= 0x07; // 3 bits of 8: 128 MB pack to 48
  for (uint32_t y = 0; y < side; y++) rows.data[y * row] = 4;
  blob_pack(&packed, rows.data, rows.n, 1, 0, 1);
  blob_free(&rows);
  add_chunk(&b, "IDAT", packed.data, packed.n);
  blob_free(&packed);
  end_png(&b);
  try_png("png: 2^24 pixels of noise, RGBA of 16 bits, Paeth's filter", &b, 1, NULL);
}
END_TEST

// Of an interlaced image another pass is the last for each of these sizes.
START_TEST(pixel_data_that_goes_on_behind_the_last_row_is_refused) {
  static const struct {
    uint32_t width, height;
    int interlaced;
  } kinds[] = {{1, 1, 0}, {16384, 1024, 0}, {1, 1, 1},  {5, 1, 1},
               {1, 5, 1}, {3, 2, 1},        {64, 64, 1}};
  blob zeros = {0}, packed = {0};
  blob_fill(&zeros, 0, MB);
  blob_pack(&packed, zeros.data, zeros.n, SANITIZED ? 4000 : 62000, 0, 9);
  blob_free(&zeros);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char name[80];
    blob b = begin_png((png){kinds[i].width, kinds[i].height, 8, GREY, kinds[i].interlaced});
    add_chunk(&b, "IDAT", packed.data, packed.n);
    end_png(&b);
    snprintf(name, sizeof name, "png: %u x %u%s, and 60 GB behind", (unsigned)kinds[i].height,
             (unsigned)kinds[i].width, kinds[i].interlaced ? " interlaced" : "");
    try_png(name, &b, 0, "behind the last row");
  }
  blob_free(&packed);
}
END_TEST

START_TEST(millions_of_chunks_are_read_within_the_bound) {
  static const struct {
    const char *name;
    size_t n;
  } kinds[] = {{"IDAT", 0}, {"abCd", 0}, {"tEXt", 12}, {"eXIf", 8}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char name[80];
    blob b = small_png(), one = {0}, data = {0};
    blob_fill(&data, 'x', kinds[i].n);
    if (kinds[i].n > 1) data.data[1] = 0; // the end of a keyword
    add_chunk(&one, kinds[i].name, data.data, data.n);
    while (b.n + one.n + 12 <= MOST_BYTES) blob_add(&b, one.data, one.n);
    end_png(&b);
    snprintf(name, sizeof name, "png: %zu chunks %s of %zu bytes", b.n / one.n, kinds[i].name,
             kinds[i].n);
    blob_free(&one);
    blob_free(&data);
    if (i == 1) try_size("png: its size, behind as many chunks", &b, 1, NULL);
    try_png(name, &b, i > 0, "behind the last row");
  }
}
END_TEST

START_TEST(chunks_before_the_pixels_are_skipped_within_the_bound) {
  blob b = begin_png((png){1, 1, 8, GREY, 0}), one = {0}, zeros = {0}, packed = {0};
  blob_fill(&zeros, 0, 64 * MB / SHRINK);
  blob_pack(&packed, zeros.data, zeros.n, 1, 0, 9);
  blob_fill(&one, 'k', 1);
  blob_fill(&one, 0, 2);
  blob_add(&one, packed.data, packed.n);
  while (b.n + one.n + 100 <= MOST_BYTES) add_chunk(&b, "zTXt", one.data, one.n);
  blob_free(&zeros);
  blob_free(&packed);
  blob_free(&one);
  add_rows(&b, 1, 0, 1);
  end_png(&b);
  try_png("png: zTXt chunks that unpack to 64 MB each", &b, 1, NULL);
}
END_TEST

START_TEST(an_animation_costs_what_its_first_image_does) {
  blob b = begin_png((png){1, 1, 8, GREY, 0}), frame = {0}, data = {0};
  add_chunk(&b, "acTL", "\0\xff\xff\xff\0\0\0\0", 8);
  blob_big32(&frame, 0);
  blob_big32(&frame, 16384);
  blob_big32(&frame, 16384);
  blob_fill(&frame, 0, 14);
  add_chunk(&b, "fcTL", frame.data, frame.n);
  add_rows(&b, 1, 0, 1);
  blob_fill(&data, 0, 4096);
  while (b.n + 8192 <= MOST_BYTES) {
    add_chunk(&b, "fcTL", frame.data, frame.n);
    add_chunk(&b, "fdAT", data.data, data.n);
  }
  blob_free(&frame);
  blob_free(&data);
  end_png(&b);
  try_png("png: an animation of 15,000 frames", &b, 1, NULL);
}
END_TEST

START_TEST(long_sides_are_decoded_within_the_bound) {
  for (int tall = 0; tall < 2; tall++)
    for (int interlaced = 0; interlaced < 2; interlaced++) {
      char name[80];
      png p = {tall ? 1 : 16384, tall ? 16384 : 1, 8, GREY, interlaced};
      blob b = begin_png(p);
      add_rows(&b, tall && !interlaced ? 1 : 16384, 0, tall && !interlaced ? 16384 : 4);
      end_png(&b);
      snprintf(name, sizeof name, "png: %u x %u%s", (unsigned)p.height, (unsigned)p.width,
               interlaced ? ", interlaced" : "");
      try_png(name, &b, 1, NULL);
    }
  blob b = begin_png((png){16384, 1024, 16, RGBA, 1});
  add_rows(&b, 1023, 0, ((int64_t)16384 * 1024 * 8 + 4096) / 1024);
  end_png(&b);
  try_png("png: 1024 x 16384 RGBA of 16 bits interlaced", &b, 1, NULL);
}
END_TEST

START_TEST(more_pixels_than_allowed_are_refused_before_any_is_read) {
  blob b = begin_png((png){16384, 1025, 8, GREY, 0});
  add_rows(&b, 16384, 0, 1025);
  end_png(&b);
  try_png("png: one row over max_pixels", &b, 0, "max_pixels");
  b = begin_png((png){16385, 1, 8, GREY, 0});
  end_png(&b);
  try_png("png: one pixel over max_side", &b, 0, "max_side");
  b = begin_png((png){0x7fffffff, 0x7fffffff, 16, RGBA, 1});
  end_png(&b);
  try_png("png: 2^31 - 1 pixels a side", &b, 0, "max_side");
}
END_TEST

START_TEST(wrong_checks_are_refused_within_the_bound) {
  blob b = begin_png((png){4096, 4096, 8, GREY, 0});
  add_rows(&b, 4096, 0, 4096);
  b.data[b.n - 1] ^= 1;
  end_png(&b);
  try_png("png: a wrong check behind 2^24 pixels", &b, 0, "the PNG is damaged: ");
  b = begin_png((png){1, 1, 8, GREY, 0});
  while (b.n + 16 <= MOST_BYTES) blob_add(&b, "\0\0\0\0tEXt\0\0\0\0", 12);
  try_png("png: millions of chunks with wrong checks", &b, 0, "the PNG is damaged: ");
}
END_TEST

RUN_TESTS("hostile_png", a_chunk_that_claims_a_gigabyte_costs_nothing,
          the_largest_image_is_decoded_within_the_bound,
          noise_of_as_many_pixels_as_are_allowed_is_decoded_within_the_bound,
          pixel_data_that_goes_on_behind_the_last_row_is_refused,
          millions_of_chunks_are_read_within_the_bound,
          chunks_before_the_pixels_are_skipped_within_the_bound,
          an_animation_costs_what_its_first_image_does, long_sides_are_decoded_within_the_bound,
          more_pixels_than_allowed_are_refused_before_any_is_read,
          wrong_checks_are_refused_within_the_bound)
