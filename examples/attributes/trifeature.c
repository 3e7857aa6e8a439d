// Shapes of some colour and texture, drawn by common/figure.c, after the Trifeature data of Hermann
// & Lampinen (2020, "What shapes feature representations?"): ten shapes, ten colours and ten
// textures, all independent, of random place, size and angle.
#include "attributes.h"
#include "common/figure.h"

#include <math.h>

enum { SIDE = FIGURE_SIDE, VALUES = FIGURE_VALUES };

static const double PI = 3.14159265358979323846;

static figure invent(uint64_t *state) {
  figure f = {.shape = (int)(next_random(state) % VALUES)};
  f.colour = (int)(next_random(state) % VALUES);
  f.texture = (int)(next_random(state) % VALUES);
  f.radius = next_uniform(state, 0.3 * SIDE, 0.45 * SIDE);
  f.x = next_uniform(state, 0.9 * f.radius, SIDE - 0.9 * f.radius);
  f.y = next_uniform(state, 0.9 * f.radius, SIDE - 0.9 * f.radius);
  double angle = next_uniform(state, 0, 2 * PI);
  f.cosine = cos(angle), f.sine = sin(angle);
  f.phase_x = next_uniform(state, 0, 36), f.phase_y = next_uniform(state, 0, 36);
  f.shade = next_uniform(state, 0.7, 1);
  f.grain = (uint32_t)next_random(state);
  return f;
}

static int draw_all(int64_t n, uint64_t seed, rows *r) {
  if (rows_allocate(r, n, SIDE, SIDE, 3, 3) < 0) return -1;
  for (int64_t i = 0; i < n; i++) {
    figure f = invent(&seed);
    figure_draw(&f, r->images + i * SIDE * SIDE * 3);
    r->values[0][i] = f.shape, r->values[1][i] = f.colour, r->values[2][i] = f.texture;
  }
  return 0;
}

int trifeature_make(mcl_context *c, const options *o, rows *train, rows *test) {
  (void)c; // nothing is read
  const uint64_t seed = (uint64_t)o->shared.seed * 2;
  if (draw_all(o->shared.rows, seed, train) < 0) return -1;
  return draw_all(o->shared.test_rows, seed + 1, test);
}
