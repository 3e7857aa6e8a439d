// JPEG files made to cost as much as they can: written marker by marker, since no encoder would. Where pixel data is needed, the
// Huffman tables are the smallest that let it be said.
#include <stdio.h>
#include <string.h>

#include <libmcl/image.h>

#include "hostile/hostile.h"
#include "image/encode.h"

// ---- making them -----------------------------------------------------------------------------------

enum { BASELINE = 0xC0, PROGRESSIVE = 0xC2, ARITHMETIC = 0xC9, PROGRESSIVE_ARITHMETIC = 0xCA };

static void add_segment(blob *b, int marker, const void *data, size_t n) {
  blob_add(b, (uint8_t[]){0xFF, (uint8_t)marker, (uint8_t)((n + 2) >> 8), (uint8_t)(n + 2)}, 4);
  blob_add(b, data, n);
}

// Everything before the first scan. All components have the same sampling.
static blob begin_jpeg(int frame, int height, int width, int components) {
  blob b = {0};
  uint8_t table[65] = {0}, head[32];
  memset(table + 1, 1, 64);
  blob_add(&b, "\xFF\xD8", 2);
  add_segment(&b, 0xDB, table, sizeof table);
  size_t n = 0;
  head[n++] = 8;
  head[n++] = (uint8_t)(height >> 8), head[n++] = (uint8_t)height;
  head[n++] = (uint8_t)(width >> 8), head[n++] = (uint8_t)width;
  head[n++] = (uint8_t)components;
  for (int i = 0; i < components; i++)
    head[n++] = (uint8_t)(i + 1), head[n++] = 0x11, head[n++] = 0;
  add_segment(&b, frame, head, n);
  return b;
}

// Two codes of one and two bits; kind 0: of DC, 1: of AC.
static void add_table(blob *b, int kind, int first, int second) {
  uint8_t table[19] = {(uint8_t)(kind << 4), 1, 1};
  table[17] = (uint8_t)first, table[18] = (uint8_t)second;
  add_segment(b, 0xC4, table, sizeof table);
}

typedef struct scan {
  int component; // -1: all
  int start, end, high, low;
} scan;

static void add_scan(blob *b, int components, scan s) {
  uint8_t head[16];
  size_t n = 0;
  int first = s.component < 0 ? 0 : s.component, last = s.component < 0 ? components - 1 : first;
  head[n++] = (uint8_t)(last - first + 1);
  for (int i = first; i <= last; i++) head[n++] = (uint8_t)(i + 1), head[n++] = 0;
  head[n++] = (uint8_t)s.start, head[n++] = (uint8_t)s.end;
  head[n++] = (uint8_t)(s.high << 4 | s.low);
  add_segment(b, 0xDA, head, n);
}

// Bits, the first one uppermost.
typedef struct bits {
  blob *to;
  uint32_t have, n;
} bits;

static void put_bits(bits *w, uint32_t value, uint32_t n) {
  for (uint32_t i = n; i-- > 0;) {
    w->have = w->have << 1 | (value >> i & 1);
    if (++w->n < 8) continue;
    uint8_t byte = (uint8_t)w->have;
    blob_add(w->to, &byte, 1);
    if (byte == 0xFF) blob_fill(w->to, 0, 1);
    w->have = w->n = 0;
  }
}

static void end_bits(bits *w) {
  while (w->n) put_bits(w, 1, 1);
}

static void end_jpeg(blob *b) {
  blob_add(b, "\xFF\xD9", 2);
}

// Two codes of AC: that nothing follows in a run of 2^14 blocks or more, and in a single one.
enum { END_OF_BLOCKS = 0xE0, END_OF_BLOCK = 0, RUN_BITS = 14, MOST_RUN = (1 << 15) - 1 };

// Blocks without new coefficients, each with `refined` bits of those it has.
static void put_runs(bits *w, int64_t blocks, int refined) {
  while (blocks > 0) {
    int64_t run = blocks < MOST_RUN ? blocks : MOST_RUN;
    if (run < 1 << RUN_BITS) {
      put_bits(w, 2, 2);
      run = 1;
    } else {
      put_bits(w, 0, 1);
      put_bits(w, (uint32_t)(run - (1 << RUN_BITS)), RUN_BITS);
    }
    for (int64_t bit = 0; bit < run * refined; bit++) put_bits(w, bit % 3 == 0, 1);
    blocks -= run;
  }
  end_bits(w);
}

static int64_t blocks_of(int height, int width) {
  return (int64_t)((height + 7) / 8) * ((width + 7) / 8);
}

// ---- calls -----------------------------------------------------------------------------------------

static mcl_status decode_damaged(mcl_context *c, void *user, mcl_error *err) {
  const blob *b = user;
  static uint8_t pixels[64 * 64 * 3];
  mcl_image_options o;
  mcl_array out;
  mcl_image_options_init(&o, sizeof o);
  o.allow_truncated = 1;
  mcl_array_init(&out, pixels, MCL_U8, 3, (int64_t[]){64, 64, 3});
  return mcl_image_decode(c, &o, b->data, b->n, &out, err);
}

static void try_jpeg(const char *name, blob *b, int accepted, const char *why) {
  hostile_case h = {.name = name, .bytes = (int64_t)b->n, .accepted = accepted, .why = why};
  run_hostile(&h, decode_hostile, b);
  blob_free(b);
}

// ---- tests -----------------------------------------------------------------------------------------

static const int side = 4096 / (SANITIZED ? 4 : 1);

// One scan of DC for all components, and empty ones of AC until no more are allowed.
START_TEST(progressive_scans_without_data_are_bounded) {
  for (int components = 1; components <= 4; components += 3)
    for (int scans = 20; scans <= 1000; scans *= 50) {
      char name[80];
      blob b = begin_jpeg(PROGRESSIVE, side, side, components);
      add_table(&b, 0, 0, 1);
      add_table(&b, 1, END_OF_BLOCKS, END_OF_BLOCK);
      add_scan(&b, components, (scan){-1, 0, 0, 0, 0});
      bits w = {.to = &b};
      for (int64_t i = 0; i < components * blocks_of(side, side); i++) put_bits(&w, 0, 1);
      end_bits(&w);
      for (int i = 1; i < scans; i++) {
        add_scan(&b, components, (scan){i % components, 1, 63, 0, 0});
        put_runs(&w, blocks_of(side, side), 0);
      }
      end_jpeg(&b);
      snprintf(name, sizeof name, "jpeg: 2^24 pixels, %d components, %d empty scans", components,
               scans);
      try_jpeg(name, &b, scans == 20, "max_scans");
    }
}
END_TEST

// What a scan of all AC coefficients has behind its head: each is 1, or gets one bit more.
static blob dense_data(int refined) {
  blob b = {0};
  bits w = {.to = &b};
  int64_t blocks = blocks_of(side, side);
  for (int64_t k = 0; !refined && k < blocks * 63; k++) put_bits(&w, 1, 2); // run 0, size 1; 1
  if (refined)
    put_runs(&w, blocks, 63);
  else
    end_bits(&w);
  return b;
}

static blob dense_jpeg(int components, int scans, int refined) {
  blob b = begin_jpeg(PROGRESSIVE, side, side, components), first = dense_data(0),
       later = dense_data(1);
  bits w = {.to = &b};
  add_table(&b, 0, 0, 1);
  add_scan(&b, components, (scan){-1, 0, 0, 0, 0});
  for (int64_t i = 0; i < components * blocks_of(side, side); i++) put_bits(&w, 0, 1);
  end_bits(&w);
  for (int i = 1; i < scans && b.n + 5 * MB < 64 * MB; i++) {
    int is_first = !refined || i <= components;
    const blob *data = is_first ? &first : &later;
    add_table(&b, 1, is_first ? 0x01 : END_OF_BLOCKS, END_OF_BLOCK);
    add_scan(&b, components, (scan){i % components, 1, 63, !is_first, is_first});
    blob_add(&b, data->data, data->n);
  }
  end_jpeg(&b);
  blob_free(&first);
  blob_free(&later);
  return b;
}

START_TEST(progressive_scans_full_of_data_are_bounded) {
  for (int refined = 0; refined < 2; refined++) {
    char name[80];
    blob b = dense_jpeg(3, 20, refined);
    snprintf(name, sizeof name, "jpeg: 2^24 pixels, 3 components, %s",
             refined ? "20 scans of refinement" : "15 scans of all coefficients");
    try_jpeg(name, &b, 1, NULL);
  }
}
END_TEST

// A decoder of arithmetic codes makes zeros where its data ends: scans of no bytes at all.
START_TEST(arithmetic_scans_without_data_are_bounded) {
  for (int components = 1; components <= 4; components += 3) {
    char name[80];
    blob b = begin_jpeg(PROGRESSIVE_ARITHMETIC, side, side, components);
    add_scan(&b, components, (scan){-1, 0, 0, 0, 0});
    for (int i = 1; i < 20; i++) add_scan(&b, components, (scan){i % components, 1, 63, 0, 0});
    end_jpeg(&b);
    snprintf(name, sizeof name, "jpeg: arithmetic, 2^24 pixels, %d components, 20 empty scans",
             components);
    try_jpeg(name, &b, 1, NULL);
    b = begin_jpeg(PROGRESSIVE_ARITHMETIC, side, side, components);
    add_scan(&b, components, (scan){-1, 0, 0, 0, 0});
    for (int i = 1; i < 20; i++) {
      add_scan(&b, components, (scan){i % components, 1, 63, i > components, i <= components});
      blob_noise(&b, 1000, (uint64_t)i);
      for (size_t k = b.n - 1000; k < b.n; k++)
        if (b.data[k] == 0xFF) b.data[k] = 0x7F;
    }
    end_jpeg(&b);
    snprintf(name, sizeof name, "jpeg: arithmetic, 2^24 pixels, %d components, refined",
             components);
    try_jpeg(name, &b, -1, NULL);
  }
}
END_TEST

static void try_noise(const char *name, int arithmetic, int progressive, int components,
                      int quality) {
  size_t n = (size_t)side * (size_t)side * (size_t)components;
  blob noise = {0};
  blob_noise(&noise, n, 3);
  jpeg_spec s = {.width = side,
                 .height = side,
                 .quality = quality,
                 .progressive = progressive,
                 .arithmetic = arithmetic,
                 .components = components,
                 .samples = noise.data,
                 .h_samp = 1,
                 .v_samp = 1};
  s.in = s.stored = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_YCbCr : JCS_CMYK;
  bytes file = encode_jpeg(&s);
  blob_free(&noise);
  blob b = {file.data, file.n, file.capacity};
  try_jpeg(name, &b, !arithmetic || b.n <= 64 * MB / 5, "max_bytes");
}

START_TEST(noise_of_as_many_pixels_as_are_allowed_is_decoded_within_the_bound) {
  try_noise("jpeg: 2^24 pixels of noise", 0, 0, 3, 90);
  try_noise("jpeg: 2^24 pixels of noise, progressive", 0, 1, 3, 85);
  try_noise("jpeg: 2^24 pixels of noise, CMYK", 0, 0, 4, 80);
  try_noise("jpeg: 2^24 pixels of noise, arithmetic", 1, 0, 1, 90);
  try_noise("jpeg: 2^24 pixels of noise, arithmetic, progressive", 1, 1, 1, 90);
  try_noise("jpeg: 2^24 pixels of noise, arithmetic, a larger file", 1, 0, 3, 50);
}
END_TEST

// Markers before the pixels, of the shortest kind and of the longest.
START_TEST(megabytes_of_markers_are_skipped_within_the_bound) {
  static const int markers[] = {0xFE, 0xE1, 0xE2, 0xED, 0xEE, 0xDD, 0xDB, 0xC4, 0xCC};
  for (size_t i = 0; i < sizeof markers / sizeof *markers; i++)
    for (int longest = 0; longest < 2; longest++) {
      char name[80];
      static uint8_t data[65533];
      size_t n = longest ? sizeof data : markers[i] == 0xDD ? 2 : 0;
      blob b = {0};
      if (longest && markers[i] >= 0xC4 && markers[i] <= 0xDD) continue;
      blob_add(&b, "\xFF\xD8", 2);
      memcpy(data, "Exif\0\0II*\0\x08\0\0\0", 14);
      while (b.n + n + 200 < MOST_BYTES) add_segment(&b, markers[i], data, n);
      blob rest = begin_jpeg(BASELINE, 8, 8, 1);
      blob_add(&b, rest.data + 2, rest.n - 2);
      blob_free(&rest);
      add_table(&b, 0, 0, 1);
      add_table(&b, 1, 0, 1);
      add_scan(&b, 1, (scan){0, 0, 63, 0, 0});
      blob_add(&b, "\x3F", 1);
      end_jpeg(&b);
      snprintf(name, sizeof name, "jpeg: 64 MB of markers %02X of %zu bytes", (unsigned)markers[i],
               n);
      try_jpeg(name, &b, -1, NULL);
    }
}
END_TEST

START_TEST(fill_and_garbage_between_markers_are_skipped_within_the_bound) {
  for (int byte = 0; byte < 256; byte += 255) {
    blob b = begin_jpeg(BASELINE, 8, 8, 1);
    blob_fill(&b, byte, MOST_BYTES - 200);
    add_table(&b, 0, 0, 1);
    add_table(&b, 1, 0, 1);
    add_scan(&b, 1, (scan){0, 0, 63, 0, 0});
    blob_add(&b, "\x3F", 1);
    end_jpeg(&b);
    try_jpeg(byte ? "jpeg: 64 MB of FF before the pixels" : "jpeg: 64 MB of 00 before the pixels",
             &b, -1, NULL);
  }
}
END_TEST

// A restart after every block: the decoder is set back each time.
START_TEST(restarts_after_every_block_are_bounded) {
  blob b = begin_jpeg(BASELINE, side, side, 1);
  add_table(&b, 0, 0, 1);
  add_table(&b, 1, 0, 1);
  add_segment(&b, 0xDD, "\0\1", 2);
  add_scan(&b, 1, (scan){0, 0, 63, 0, 0});
  for (int64_t i = 0; i < blocks_of(side, side); i++)
    blob_add(&b, (uint8_t[]){0x3F, 0xFF, (uint8_t)(0xD0 + i % 8)}, 3);
  end_jpeg(&b);
  try_jpeg("jpeg: 2^24 pixels, a restart after every block", &b, 1, NULL);
  b = begin_jpeg(BASELINE, side, side, 1);
  add_table(&b, 0, 0, 1);
  add_table(&b, 1, 0, 1);
  add_segment(&b, 0xDD, "\0\1", 2);
  add_scan(&b, 1, (scan){0, 0, 63, 0, 0});
  while (b.n < MOST_BYTES - 2) blob_add(&b, "\xFF\xD3", 2);
  hostile_case h = {.name = "jpeg: 64 MB of wrong restarts, damage allowed",
                    .bytes = (int64_t)b.n,
                    .accepted = -1};
  run_hostile(&h, decode_damaged, &b);
  try_jpeg("jpeg: 64 MB of wrong restarts", &b, 0, "the JPEG is damaged");
}
END_TEST

START_TEST(long_sides_are_decoded_within_the_bound) {
  static const int sizes[][2] = {{16384, 1},    {1, 16384}, {16384, 1024},
                                 {1024, 16384}, {16385, 1}, {65500, 65500}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char name[80];
    int over = sizes[i][0] > 16384;
    blob b = begin_jpeg(PROGRESSIVE, sizes[i][0], sizes[i][1], 4);
    add_table(&b, 0, 0, 1);
    add_scan(&b, 4, (scan){-1, 0, 0, 0, 0});
    bits w = {.to = &b};
    for (int64_t k = 0; !over && k < 4 * blocks_of(sizes[i][0], sizes[i][1]); k++)
      put_bits(&w, 0, 1);
    end_bits(&w);
    end_jpeg(&b);
    snprintf(name, sizeof name, "jpeg: %d x %d, 4 components", sizes[i][0], sizes[i][1]);
    try_jpeg(name, &b, !over, "max_side");
  }
}
END_TEST

// EXIF that lies: offsets and counts beyond it, a directory that is its own next one.
START_TEST(exif_that_lies_is_passed_over) {
  static uint8_t data[65533];
  blob exif = {data, 0, 0};
  for (int kind = 0; kind < 3; kind++) {
    memset(data, 0xFF, sizeof data);
    memcpy(data, "Exif\0\0II*\0\x08\0\0\0", 14);
    if (kind == 0) memset(data + 10, 0xFF, 4);  // the directory's place
    if (kind == 2) memset(data + 16, 0, 65000); // entries of tag 0, until there are no more
    exif.n = sizeof data;
    blob b = {0};
    blob_add(&b, "\xFF\xD8", 2);
    while (b.n + exif.n + 200 < MOST_BYTES) add_segment(&b, 0xE1, exif.data, exif.n);
    blob rest = begin_jpeg(BASELINE, 8, 8, 1);
    blob_add(&b, rest.data + 2, rest.n - 2);
    blob_free(&rest);
    add_table(&b, 0, 0, 1);
    add_table(&b, 1, 0, 1);
    add_scan(&b, 1, (scan){0, 0, 63, 0, 0});
    blob_add(&b, "\x3F", 1);
    end_jpeg(&b);
    try_jpeg(kind == 0   ? "jpeg: EXIF with a directory at 4 GB"
             : kind == 1 ? "jpeg: EXIF with 65535 entries of no kind"
                         : "jpeg: EXIF with entries up to its end",
             &b, 1, NULL);
  }
}
END_TEST

RUN_TESTS("hostile_jpeg", progressive_scans_without_data_are_bounded,
          progressive_scans_full_of_data_are_bounded, arithmetic_scans_without_data_are_bounded,
          noise_of_as_many_pixels_as_are_allowed_is_decoded_within_the_bound,
          megabytes_of_markers_are_skipped_within_the_bound,
          fill_and_garbage_between_markers_are_skipped_within_the_bound,
          restarts_after_every_block_are_bounded, long_sides_are_decoded_within_the_bound,
          exif_that_lies_is_passed_over)
