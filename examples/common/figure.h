// A shape of some colour and texture, after the Trifeature data of Hermann & Lampinen (2020, "What
// shapes feature representations?").
#ifndef FIGURE_H
#define FIGURE_H

#include <stdint.h>

enum { FIGURE_SIDE = 32, FIGURE_VALUES = 10 }; // pixels; shapes, and as many colours and textures

typedef struct figure {
  int shape, colour, texture;        // 0 .. FIGURE_VALUES - 1
  double x, y, radius, cosine, sine; // pixels
  double phase_x, phase_y;           // of the texture, pixels
  double shade;                      // of the colour
  uint32_t grain;                    // of the texture made of noise
} figure;

// out: [FIGURE_SIDE, FIGURE_SIDE, 3]
void figure_draw(const figure *f, uint8_t *out);

#endif
