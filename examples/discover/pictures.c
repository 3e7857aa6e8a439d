// Contact sheets, drawn from the dataset's own pixels: what a stage's clusters hold, and pairs that
// stage 0 cannot tell apart. Random bits are shown as a strip of small squares under each image.
#include "discover.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 16, MOST_CLUSTERS = 20, PAIRS = 20, GAP = 3, BIT = 4 };

typedef struct sheet {
  uint8_t *pixels; // [height, width, 3]
  int64_t height, width;
  int32_t zoom, tile_height, tile_width; // of one image with its strip and gap
} sheet;

static int sheet_make(const run *r, sheet *s, int64_t down, int64_t across) {
  const data *d = &r->data;
  // Small images are enlarged by a whole factor to some 56 pixels.
  s->zoom = d->width < 56 ? 56 / d->width : 1;
  s->tile_width = d->width * s->zoom + GAP;
  s->tile_height = d->height * s->zoom + GAP + (r->o->randbits ? BIT + 1 : 0);
  s->height = down * s->tile_height + GAP;
  s->width = across * s->tile_width + GAP;
  s->pixels = malloc((size_t)(s->height * s->width * 3));
  if (!s->pixels) return out_of_memory();
  memset(s->pixels, 255, (size_t)(s->height * s->width * 3));
  return 0;
}

static void put(sheet *s, int64_t y, int64_t x, const uint8_t colour[3]) {
  if (y >= 0 && y < s->height && x >= 0 && x < s->width)
    memcpy(s->pixels + (y * s->width + x) * 3, colour, 3);
}

static void draw_bits(const run *r, sheet *s, const uint8_t *pixel, int64_t top, int64_t left) {
  static const uint8_t on[3] = {200, 60, 40}, off[3] = {225, 225, 225};
  int64_t width = (int64_t)r->data.width * s->zoom, size = width / r->o->randbits;
  for (int b = 0; b < r->o->randbits; b++)
    for (int64_t y = 0; y < BIT; y++)
      for (int64_t x = b * size; x < (b + 1) * size - (size > 2); x++)
        put(s, top + y, left + x, pixel[r->data.image_channels + b] ? on : off);
}

static int draw_image(const run *r, sheet *s, int64_t row, int64_t down, int64_t across) {
  const data *d = &r->data;
  uint8_t *image = malloc((size_t)d->height * (size_t)d->width * (size_t)d->channels);
  if (!image) return out_of_memory();
  mcl_array x = mcl_images_u8(image, 1, d->height, d->width, d->channels);
  mcl_status status = mcl_dataset_load(d->all, &row, 1, 0, &x, &err);
  int64_t top = GAP + down * s->tile_height, left = GAP + across * s->tile_width;
  for (int64_t y = 0; status == MCL_OK && y < (int64_t)d->height * s->zoom; y++)
    for (int64_t i = 0; i < (int64_t)d->width * s->zoom; i++) {
      const uint8_t *p = image + (y / s->zoom * d->width + i / s->zoom) * d->channels;
      uint8_t colour[3] = {p[0], p[d->image_channels > 2 ? 1 : 0],
                           p[d->image_channels > 2 ? 2 : 0]};
      put(s, top + y, left + i, colour);
    }
  if (status == MCL_OK && r->o->randbits)
    draw_bits(r, s, image, top + (int64_t)d->height * s->zoom + 1, left);
  free(image);
  return status;
}

static int sheet_write(const run *r, sheet *s, const char *path) {
  mcl_array a;
  int64_t shape[3] = {s->height, s->width, 3};
  mcl_array_init(&a, s->pixels, MCL_U8, 3, shape);
  mcl_status status = mcl_image_write_png(r->context, path, &a, &err);
  free(s->pixels);
  return status;
}

int draw_row(const run *r, int64_t row, char *path, size_t size) {
  sheet s;
  snprintf(path, size, "%s/pictures/row-%lld.png", r->o->out, (long long)row);
  if (sheet_make(r, &s, 1, 1) < 0) return -1;
  if (draw_image(r, &s, row, 0, 0) == MCL_OK) return sheet_write(r, &s, path);
  free(s.pixels);
  return -1;
}

// ---- clusters -----------------------------------------------------------------------------------

// An image with several captions is one member of a cluster of images.
static int is_member(const run *r, int modality, int64_t row) {
  return modality || !r->data.image || r->data.image[row] == row;
}

// Members spread evenly over a cluster: a fair sample, not the best of it.
static int draw_members(const run *r, sheet *s, const int32_t *labels, int modality,
                        int32_t cluster, int64_t n, int32_t line) {
  int64_t seen = 0, drawn = 0;
  int status = 0;
  for (int64_t i = 0; i < r->data.rows && status == 0 && drawn < COLUMNS; i++) {
    if (labels[i] != cluster || !is_member(r, modality, i)) continue;
    if (seen++ >= drawn * n / COLUMNS) status = draw_image(r, s, i, line, drawn++);
  }
  return status;
}

// Largest clusters first.
int draw_clusters(const run *r, int stage, int modality, char *path, size_t size) {
  const int32_t *labels = r->labels[modality][stage], k = r->clusters[modality][stage];
  int32_t shown = k < MOST_CLUSTERS ? k : MOST_CLUSTERS;
  int64_t *count = calloc((size_t)k, sizeof *count);
  sheet s;
  snprintf(path, size, "%s/pictures/stage-%d%s-clusters.png", r->o->out, stage,
           modality ? "-text" : "");
  if (!count) return out_of_memory();
  if (sheet_make(r, &s, shown, COLUMNS) < 0) {
    free(count);
    return -1;
  }
  for (int64_t i = 0; i < r->data.rows; i++) count[labels[i]] += is_member(r, modality, i);
  int status = 0;
  for (int32_t line = 0; line < shown && status == 0; line++) {
    int32_t best = 0;
    for (int32_t c = 1; c < k; c++)
      if (count[c] > count[best]) best = c;
    status = draw_members(r, &s, labels, modality, best, count[best], line);
    count[best] = -1;
  }
  free(count);
  if (status == 0) return sheet_write(r, &s, path);
  free(s.pixels);
  return status;
}

// ---- pairs that stage 0 cannot tell apart -------------------------------------------------------

// Rows of two stages, those with images met before left out.
typedef struct looked_at {
  int64_t *row; // [n], of all rows
  float *before, *after;
  int64_t n;
} looked_at;

static void copy_row(const run *r, float *out, int64_t to, int64_t row, int stage) {
  const int32_t first = r->first[stage], dim = r->first[stage + 1] - first;
  memcpy(out + to * dim, r->integrated.z + row * r->integrated.dim + first,
         (size_t)dim * sizeof *out);
}

// Held-out rows where there are enough, else training rows.
static int look_at(const run *r, looked_at *l) {
  const data *d = &r->data;
  const int32_t last = r->stages - 1;
  int64_t first = d->holdout >= 100 ? d->rows : 0, n = first ? d->holdout : d->rows;
  l->row = malloc((size_t)n * sizeof *l->row);
  l->before = malloc((size_t)(n * r->first[1]) * sizeof *l->before);
  l->after = malloc((size_t)(n * (r->first[last + 1] - r->first[last])) * sizeof *l->after);
  if (!l->row || !l->before || !l->after) return out_of_memory();
  for (int64_t i = first; i < first + n; i++) {
    if (!is_member(r, 0, i)) continue;
    copy_row(r, l->before, l->n, i, 0);
    copy_row(r, l->after, l->n, i, last);
    l->row[l->n++] = i;
  }
  return 0;
}

static int draw_found(const run *r, const looked_at *l, const int64_t *found, int64_t pairs,
                      const char *path) {
  sheet s;
  if (sheet_make(r, &s, 2, pairs) < 0) return -1;
  for (int64_t i = 0; i < pairs; i++)
    for (int64_t side = 0; side < 2; side++)
      if (draw_image(r, &s, l->row[found[2 * i + side]], side, i) < 0) {
        free(s.pixels);
        return -1;
      }
  return sheet_write(r, &s, path);
}

// Pairs that stage 0 sees as one, farthest apart in the last.
int draw_blind_pairs(const run *r, char *path, size_t size, int64_t *pairs) {
  const int32_t last = r->stages - 1;
  looked_at l = {0};
  int64_t found[2 * PAIRS];
  *pairs = 0;
  int s = look_at(r, &l);
  mcl_array before = mcl_matrix_f32(l.before, l.n, r->first[1]);
  mcl_array after = mcl_matrix_f32(l.after, l.n, r->first[last + 1] - r->first[last]);
  if (s == 0)
    s = mcl_probe_blind_pairs(r->context, &before, &after, 0.95, found, PAIRS, pairs, &err);
  snprintf(path, size, "%s/pictures/blind-pairs.png", r->o->out);
  if (s == 0 && *pairs) s = draw_found(r, &l, found, *pairs, path);
  free(l.row), free(l.before), free(l.after);
  return s;
}
