// make_pairs DIR: small PNG files of stripes, a colour on another, standing or lying, and DIR/pairs.tsv with two captions of
// each. The second caption would be markup in HTML.
#include <stdio.h>
#include <sys/stat.h>

#include <libmcl/context.h>
#include <libmcl/image.h>

enum { IMAGES = 240, SIDE = 12, COLOURS = 6 };

// A bag of words knows no order, so a colour has another name behind the stripes.
static const char *const names[COLOURS] = {"red", "green", "blue", "yellow", "white", "black"};
static const char *const grounds[COLOURS] = {"rose", "lime", "navy", "gold", "snow", "coal"};
static const uint8_t colours[COLOURS][3] = {{210, 30, 30},  {30, 190, 40},   {40, 50, 220},
                                            {220, 210, 40}, {235, 235, 235}, {20, 20, 20}};

// The attributes of image i are spread over all that there are, and no colour is on itself.
static void choose(int i, int *front, int *back, int *lying) {
  *front = i % COLOURS;
  *back = (*front + 1 + i / COLOURS % (COLOURS - 1)) % COLOURS;
  *lying = i / (COLOURS * (COLOURS - 1)) % 2;
}

static void draw(uint8_t *x, int i) {
  int front, back, lying;
  choose(i, &front, &back, &lying);
  for (int p = 0; p < SIDE * SIDE; p++) {
    const int along = (lying ? p / SIDE : p % SIDE) + i / 60;
    const uint8_t *colour = colours[along / 3 % 2 ? front : back];
    for (int c = 0; c < 3; c++) x[p * 3 + c] = (uint8_t)(colour[c] + (i * 31 + p * 7) % 20);
  }
}

int main(int argc, char **argv) {
  char path[4096];
  mcl_error err;
  mcl_context *c = NULL;
  if (argc != 2 || mcl_context_create(NULL, &c, &err) < 0) return 1;
  mkdir(argv[1], 0777);
  snprintf(path, sizeof path, "%s/pairs.tsv", argv[1]);
  FILE *tsv = fopen(path, "w");
  if (!tsv) return 1;
  for (int i = 0; i < IMAGES; i++) {
    uint8_t x[SIDE * SIDE * 3];
    const int64_t shape[3] = {SIDE, SIDE, 3};
    mcl_array a;
    int front, back, lying;
    choose(i, &front, &back, &lying);
    mcl_array_init(&a, x, MCL_U8, 3, shape);
    draw(x, i);
    snprintf(path, sizeof path, "%s/%03d.png", argv[1], i);
    if (mcl_image_write_png(c, path, &a, &err) < 0) return 1;
    const char *what = lying ? "lying" : "standing";
    fprintf(tsv, "%03d.png\t%s stripes %s on %s\t<i>%s</i> & \"%s\" lines, %s\n", i, names[front],
            what, grounds[back], names[front], grounds[back], what);
  }
  mcl_context_unref(c);
  return fclose(tsv) != 0;
}
