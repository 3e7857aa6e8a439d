// What finds what among the captions held out and their images, of those captions that no image
// before has.
#include "discover.h"

#include <math.h>
#include <string.h>

int probe_recall(const run *r, const representation *z, int32_t first, int32_t dim, recall *out) {
  const data *d = &r->data;
  for (int way = 0; way < 2; way++)
    for (int i = 0; i < RANKS; i++) out->at[way][i] = NAN;
  if (!d->judged) return 0;
  float *const held[2] = {z->z + d->rows * z->dim, z->texts + d->rows * z->dim};
  return recall_measure(r->context, held, d->image + d->rows, d->judged, z->dim, first, dim, out);
}

int64_t first_found(const run *r, int32_t first, int32_t dim, int64_t row) {
  const data *d = &r->data;
  const int32_t total = r->integrated.dim;
  const float *image = r->integrated.z + row * total + first;
  int64_t best = d->rows;
  double most = -INFINITY;
  for (int64_t i = d->rows; i < d->rows + d->judged; i++) {
    const float *text = r->integrated.texts + i * total + first;
    double dot = 0, square = 0;
    for (int32_t k = 0; k < dim; k++) {
      dot += (double)image[k] * (double)text[k];
      square += (double)text[k] * (double)text[k];
    }
    const double cosine = square > 0 ? dot / sqrt(square) : 0;
    if (cosine > most) most = cosine, best = i;
  }
  return best;
}

// ---- the verdict --------------------------------------------------------------------------------

enum { LAST = RANKS - 1 }; // of the ranks: the one with the smallest error of sampling

// ".1 of the time by stage 0, .2 by the last stage, ..."
static void say_way(char *text, size_t size, const run *r, const table *t, int way) {
  const struct {
    const char *who;
    const knowledge *k;
  } all[] = {{"stage 0", find_row(t, "stage 0")},
             {"the last stage", r->stages > 1 ? last_stage(r, t) : NULL},
             {"all stages together", r->stages > 1 ? find_row(t, "integrated") : NULL},
             {"an ensemble of the same size", find_row(t, "ensemble")},
             {"shuffled cells", find_row(t, "shuffled")}};
  size_t n = 0;
  text[0] = 0;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (!all[i].k || n >= size) continue;
    snprintf(text + n, size - n, "%s%.3f%s by %s", i ? ", " : "", all[i].k->recall.at[way][LAST],
             i ? "" : " of the time", all[i].who);
    n += strlen(text + n);
  }
}

// Both ways.
static double mean(const knowledge *k) {
  return (k->recall.at[IMAGE_TO_TEXT][LAST] + k->recall.at[TEXT_TO_IMAGE][LAST]) / 2;
}

void verdict_of_pairs(const run *r, const table *t, char *text, size_t size) {
  const data *d = &r->data;
  const knowledge *first = find_row(t, "stage 0"), *all = find_row(t, "integrated");
  if (!d->judged) {
    snprintf(text, size, "No image is held out, so nothing can be said of what the stages find.");
    return;
  }
  char ways[2][400];
  for (int way = 0; way < 2; way++) say_way(ways[way], sizeof ways[way], r, t, way);
  const double chance = (double)ranks[LAST] / (double)d->judged_images;
  snprintf(
      text, size,
      "Of %lld captions and %lld images held out, an image finds one of its captions among the "
      "%d nearest: %s; a caption finds its image among the %d nearest: %s (by chance %.3f).%s",
      (long long)d->judged, (long long)d->judged_images, (int)ranks[LAST], ways[0],
      (int)ranks[LAST], ways[1], chance < 1 ? chance : 1,
      r->stages > 1 && mean(all) <= mean(first) ? " Later stages did not help here." : "");
}
