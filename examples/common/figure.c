// Coordinates of a shape, (u, v), have its centre at 0 and turn with it; it lies within the circle
// of radius 1. Textures are drawn in the same turned frame, but in pixels: their grain does not
// grow with the shape, so that size tells nothing of them.
#include "figure.h"

#include <math.h>

enum { SIDE = FIGURE_SIDE };

// Points per pixel and side. One leaves jagged edges, by which angles could be told; more only
// costs time.
enum { FINE = 2 };

static const double PI = 3.14159265358979323846;

// ---- shapes --------------------------------------------------------------------------------------------

// How many sides of a regular polygon with n sides at distance d from 0 the point lies beyond.
static int beyond(int n, double d, double u, double v) {
  int count = 0;
  for (int i = 0; i < n; i++) {
    double a = 2 * PI * i / n;
    count += u * cos(a) + v * sin(a) > d;
  }
  return count;
}

static int box(double u, double v, double half_width, double half_height) {
  return fabs(u) < half_width && fabs(v) < half_height;
}

static int in_shape(int shape, double u, double v) {
  const double r = hypot(u, v);
  if (r > 1) return 0;
  switch (shape) {
  case 0: // disc
    return r < 0.85;
  case 1: // square
    return box(u, v, 0.7, 0.7);
  case 2: // triangle
    return !beyond(3, 0.5, u, v);
  case 3: // cross
    return box(u, v, 0.95, 0.3) || box(u, v, 0.3, 0.95);
  case 4: // ring
    return r > 0.55;
  case 5: // star: a pentagon, and a tip beyond each of its sides
    return beyond(5, 0.31, u, v) < 2;
  case 6: // crescent
    return hypot(u - 0.5, v) > 0.75;
  case 7: // half disc
    return u > -0.1;
  case 8: // bar
    return box(u, v, 0.95, 0.3);
  default: // T
    return box(u, v - 0.55, 0.8, 0.25) || box(u, v + 0.3, 0.25, 0.65);
  }
}

// ---- textures ------------------------------------------------------------------------------------------

static double wrap(double x, double period) {
  return x - period * floor(x / period);
}

static int noisy(uint32_t grain, double x, double y) {
  uint32_t h = grain ^ (uint32_t)((int)floor(x / 2.5) * 73856093) ^
               (uint32_t)((int)floor(y / 2.5) * 19349663);
  h = (h ^ (h >> 15)) * 0x2c1b3c6du;
  h = (h ^ (h >> 12)) * 0x297a2d39u;
  return (h ^ (h >> 15)) & 1;
}

// 1: the colour itself; 0: its dark variant; x, y in pixels.
static double in_texture(const figure *f, double x, double y) {
  const double r = hypot(x, y);
  x += f->phase_x, y += f->phase_y;
  switch (f->texture) {
  case 0: // plain
    return 1;
  case 1: // narrow stripes
    return wrap(x, 4) < 2;
  case 2: // wide stripes
    return wrap(x, 9) < 4.5;
  case 3: // checks
    return (wrap(x, 8) < 4) == (wrap(y, 8) < 4);
  case 4: // bright dots
    return hypot(wrap(x, 6) - 3, wrap(y, 6) - 3) < 2;
  case 5: // dark dots
    return hypot(wrap(x, 6) - 3, wrap(y, 6) - 3) >= 2;
  case 6: // rings around the centre
    return wrap(r, 6) < 3;
  case 7: // a grid of dark lines
    return wrap(x, 6) >= 1.6 && wrap(y, 6) >= 1.6;
  case 8: // noise
    return noisy(f->grain, x, y);
  default: // dark at the centre, bright at the rim
    return r / f->radius;
  }
}

// ---- colours -------------------------------------------------------------------------------------------

// Of a hue in turns, fully saturated: channel c of 0 (red), 1, 2.
static double hue_channel(double hue, int c) {
  double d = fabs(wrap(hue - c / 3.0 + 0.5, 1) - 0.5) * 6;
  return d < 1 ? 1 : d > 2 ? 0 : 2 - d;
}

// ---- an image ------------------------------------------------------------------------------------------

// Share of its points in the shape, and their mean brightness by the texture.
static double coverage(const figure *f, int px, int py, double *bright) {
  int inside = 0;
  *bright = 0;
  for (int i = 0; i < FINE * FINE; i++) {
    double dx = px + (i % FINE + 0.5) / FINE - f->x, dy = py + (i / FINE + 0.5) / FINE - f->y;
    double x = f->cosine * dx + f->sine * dy, y = f->cosine * dy - f->sine * dx;
    if (!in_shape(f->shape, x / f->radius, y / f->radius)) continue;
    inside++;
    *bright += in_texture(f, x, y);
  }
  if (inside) *bright /= inside;
  return inside / (double)(FINE * FINE);
}

void figure_draw(const figure *f, uint8_t *out) {
  enum { GROUND = 100 }; // grey, between the dark and the bright of most colours
  double colour[3], bright;
  for (int c = 0; c < 3; c++)
    colour[c] = f->shade * (40 + 215 * hue_channel(f->colour / (double)FIGURE_VALUES, c));
  for (int p = 0; p < SIDE * SIDE; p++) {
    double share = coverage(f, p % SIDE, p / SIDE, &bright), lit = 0.25 + 0.75 * bright;
    for (int c = 0; c < 3; c++)
      out[3 * p + c] = (uint8_t)lround((1 - share) * GROUND + share * lit * colour[c]);
  }
}
