// A shape of some colour and texture in a quarter of the image, of random size, angle and shade,
// with random bits as constant channels. Colour and bits are easy, shape, texture and place are
// not. Two images of a pair are drawn apart, so that all that is random differs too; of what their
// captions say one thing does. Where that is the bits, it is a single one.
#include "image_text.h"

#include <math.h>
#include <stdlib.h>

#include "common/figure.h"

enum { SIDE = FIGURE_SIDE, QUARTERS = 4, SHAPE = 0, COLOUR, TEXTURE, PLACE, CODE };

static const double PI = 3.14159265358979323846;

static const char *const shapes[] = {"disc", "square",   "triangle", "cross", "ring",
                                     "star", "crescent", "dome",     "bar",   "tee"};
static const char *const colours[] = {"red",  "orange", "lime", "green",  "teal",
                                      "cyan", "azure",  "blue", "purple", "pink"};
static const char *const textures[] = {"plain", "narrow", "wide", "checked", "bright",
                                       "dark",  "rings",  "grid", "noisy",   "fading"};
static const char *const places[] = {"northwest", "northeast", "southwest", "southeast"};

static figure invent(const int32_t *value, uint64_t *state) {
  figure f = {.shape = value[SHAPE], .colour = value[COLOUR], .texture = value[TEXTURE]};
  const double angle = next_uniform(state, 0, 2 * PI), quarter = SIDE / 4.0;
  f.radius = next_uniform(state, 0.22 * SIDE, 0.3 * SIDE); // smaller ones have no texture
  f.x = SIDE / 2.0 + (value[PLACE] & 1 ? quarter : -quarter) + next_uniform(state, -2, 2);
  f.y = SIDE / 2.0 + (value[PLACE] & 2 ? quarter : -quarter) + next_uniform(state, -2, 2);
  f.cosine = cos(angle), f.sine = sin(angle);
  f.phase_x = next_uniform(state, 0, 36), f.phase_y = next_uniform(state, 0, 36);
  f.shade = next_uniform(state, 0.7, 1);
  f.grain = (uint32_t)next_random(state);
  return f;
}

static void draw(const world *w, const rows *r, int64_t row, uint64_t *state, uint8_t *out) {
  uint8_t colours_only[SIDE * SIDE * 3];
  int32_t value[MAX_ATTRIBUTES];
  for (int a = 0; a < w->n_known; a++) value[a] = r->values[a][row];
  figure f = invent(value, state);
  figure_draw(&f, colours_only);
  for (int p = 0; p < SIDE * SIDE; p++) {
    for (int c = 0; c < 3; c++) *out++ = colours_only[3 * p + c];
    for (int b = 0; b < w->bits; b++) *out++ = value[CODE] >> b & 1 ? 255 : 0;
  }
}

static int draw_all(mcl_context *c, const world *w, rows *r, uint64_t seed) {
  const int64_t channels = 3 + w->bits;
  r->pixels = malloc((size_t)(r->n * SIDE * SIDE * channels));
  if (!r->pixels) return out_of_memory();
  for (int64_t i = 0; i < r->n; i++) draw(w, r, i, &seed, r->pixels + i * SIDE * SIDE * channels);
  mcl_array images = mcl_images_u8(r->pixels, r->n, SIDE, SIDE, channels);
  return mcl_dataset_create_array(c, &images, NULL, &r->images, &err);
}

static int32_t draw_value(const world *w, int a, uint64_t *state) {
  return (int32_t)(next_random(state) % (uint64_t)w->known[a].values);
}

// As row `of`, but for thing a.
static void differ(const world *w, rows *r, int64_t row, int64_t of, int a, uint64_t *state) {
  for (int i = 0; i < w->n_known; i++) r->values[i][row] = r->values[i][of];
  const int32_t had = r->values[a][of], others = w->known[a].values - 1;
  if (a == CODE)
    r->values[a][row] = had ^ (1 << next_random(state) % (uint64_t)w->bits);
  else
    r->values[a][row] = (had + 1 + (int32_t)(next_random(state) % (uint64_t)others)) % (others + 1);
}

static int choose(world *w, int64_t train, int64_t pairs, uint64_t seed) {
  const int64_t all = pairs * w->n_known;
  if (rows_allocate(&w->train, train, w->n_known) < 0) return -1;
  if (rows_allocate(&w->test, 2 * all, w->n_known) < 0) return -1;
  w->category = malloc((size_t)all * sizeof *w->category);
  if (!w->category) return out_of_memory();
  for (int64_t i = 0; i < train; i++)
    for (int a = 0; a < w->n_known; a++) w->train.values[a][i] = draw_value(w, a, &seed);
  for (int64_t i = 0; i < all; i++) {
    w->category[i] = (int32_t)(i % w->n_known);
    for (int a = 0; a < w->n_known; a++) w->test.values[a][2 * i] = draw_value(w, a, &seed);
    differ(w, &w->test, 2 * i + 1, 2 * i, w->category[i], &seed);
  }
  return 0;
}

int figures_make(mcl_context *c, const options *o, world *w) {
  const uint64_t seed = (uint64_t)o->shared.seed * 4;
  world_know(w, "shape", shapes, FIGURE_VALUES);
  world_know(w, "colour", colours, FIGURE_VALUES);
  world_know(w, "texture", textures, FIGURE_VALUES);
  world_know(w, "place", places, QUARTERS);
  if (o->bits) world_know(w, "bits", NULL, (int32_t)1 << o->bits);
  w->bits = (int32_t)o->bits;
  if (choose(w, o->shared.rows, o->shared.test_rows, seed) < 0) return -1;
  if (draw_all(c, w, &w->train, seed + 1) < 0) return -1;
  return draw_all(c, w, &w->test, seed + 2);
}
