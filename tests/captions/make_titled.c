// make_titled DIR: small PNG files in folders, most with a title, and some with what is no title.
//   DIR/many_stripes/NN.png   "striped thing NN" as title
//   DIR/odd/...               each kind once, by name
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libmcl/context.h>
#include <libmcl/image.h>

enum { MANY = 20, SIDE = 12, HEADER_END = 33, MOST = 4096 }; // behind the signature and IHDR

static mcl_context *context;
static const char *folder;

static void must(int fine, const char *what) {
  if (fine) return;
  fprintf(stderr, "make_titled: %s\n", what);
  exit(1);
}

// PNG, third edition, annex D.
static uint32_t checksum(const unsigned char *x, size_t n) {
  uint32_t c = 0xffffffffu;
  for (size_t i = 0; i < n; i++) {
    c ^= x[i];
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
  }
  return ~c;
}

static unsigned char *put(unsigned char *to, uint32_t x) {
  for (int i = 0; i < 4; i++) *to++ = (unsigned char)(x >> (24 - 8 * i));
  return to;
}

static void draw(const char *path, int i) {
  uint8_t x[SIDE * SIDE * 3];
  const int64_t shape[3] = {SIDE, SIDE, 3};
  mcl_array a;
  mcl_error err;
  for (int p = 0; p < SIDE * SIDE; p++)
    for (int c = 0; c < 3; c++) x[p * 3 + c] = (uint8_t)((p / (1 + i % 5)) % 2 * 150 + i * (c + 2));
  mcl_array_init(&a, x, MCL_U8, 3, shape);
  must(mcl_image_write_png(context, path, &a, &err) == MCL_OK, path);
}

// Writes `name`, with a tEXt chunk of n bytes behind IHDR unless n is 0. `length`: what the chunk says of itself; `cut`: bytes
// that are left of the whole file, 0: all.
static void make(const char *name, int i, const char *text, uint32_t n, uint32_t length,
                 size_t cut) {
  static unsigned char whole[3 * MOST];
  unsigned char rest[MOST], *to = whole + HEADER_END;
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  draw(path, i);
  if (!n) return;
  FILE *f = fopen(path, "rb");
  must(f && fread(whole, 1, HEADER_END, f) == HEADER_END, path);
  const size_t behind = fread(rest, 1, sizeof rest, f);
  fclose(f);
  to = put(to, length);
  memcpy(to, "tEXt", 4), memcpy(to + 4, text, n);
  to = put(to + 4 + n, checksum(to, n + 4));
  memcpy(to, rest, behind);
  const size_t size = (size_t)(to - whole) + behind;
  f = fopen(path, "wb");
  must(f && fwrite(whole, 1, cut ? cut : size, f) == (cut ? cut : size), path);
  fclose(f);
}

static void titled(const char *name, int i, const char *text, uint32_t n) {
  make(name, i, text, n, n, 0);
}

int main(int argc, char **argv) {
  char path[4096], text[3000] = "Title";
  mcl_error err;
  must(argc == 2 && mcl_context_create(NULL, &context, &err) == MCL_OK, "make_titled DIR");
  folder = argv[1];
  static const char *const folders[] = {"", "/many_stripes", "/odd", "/odd/deep.er"};
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s%s", folder, folders[i]);
    must(mkdir(path, 0777) == 0, path);
  }
  for (int i = 0; i < MANY; i++) {
    snprintf(path, sizeof path, "many_stripes/%02d.PNG", i);
    const int n = snprintf(text + 6, 100, "striped thing %d", i);
    titled(path, i, text, (uint32_t)n + 6);
  }
#define TITLED(name, i, text) titled(name, i, text, sizeof text - 1)
  TITLED("at the top.png", 30, "Title\0On top");
  make("odd/no-title_1.png", 31, NULL, 0, 0, 0);
  TITLED("odd/deep.er/latin.png", 32, "Title\0caf\xe9 \xff");
  TITLED("odd/nul.png", 33, "Title\0one\0two\tthree\nfour\x85 five");
  TITLED("odd/blank.png", 34, "Title\0 \t\xa0 ");
  TITLED("odd/empty.png", 35, "Title\0");
  TITLED("odd/author.png", 36, "Author\0Title");
  TITLED("odd/titles.png", 37, "Titles\0more than one");
  TITLED("odd/keyword.png", 38, "Title");
  TITLED("odd/___.png", 39, "Comment\0no words in the name");
  memset(text + 6, 'x', 2048);
  titled("odd/long.png", 40, text, 6 + 2048);
  make("odd/cut.png", 41, "Title\0cut off", 13, 13, HEADER_END + 8 + 10);
  make("odd/huge.png", 42, "Title\0huge", 10, 0xffffffffu, 0);
  make("odd/larger.png", 43, "Title\0larger", 12, 100000, 0);
  make("odd/header.png", 44, "Title\0header", 12, 12, HEADER_END);
  make("odd/signature.png", 45, "Title\0signature", 15, 15, 5);
  TITLED("odd/tab\tin name.png", 46, "Title\0a name with a tab");
  TITLED("odd/bytes\xff.png", 47, "Title\0a name that is not UTF-8");
  mcl_context_unref(context);
  return 0;
}
