// The part of report.html that only pairs have: recalls, and what a few of the images held out find
// first.
#include "discover.h"

#include <stdlib.h>

enum { SHOWN = 8 };

void html_recalls(FILE *f, const table *t) {
  fputs(
      "<p class=\"note\">Recall among the captions held out, those left out that an image before "
      "has: "
      "how often an image finds one of its captions, and a caption its image, among the nearest by "
      "cosine. Controls: the ensemble is as many independently seeded stage-0 pairs of networks as "
      "there are stages; shuffled has cells of the same sizes with rows at random.</p>\n"
      "<table><tr><th></th>",
      f);
  for (int i = 0; i < 2 * RANKS; i++)
    fprintf(f, "<th>%s @%d</th>", i < RANKS ? "image to text" : "text to image",
            (int)ranks[i % RANKS]);
  fputs("</tr>\n", f);
  for (int i = 0; i < t->n; i++) {
    const knowledge *k = &t->rows[i];
    fprintf(f, "<tr%s><td>%s</td>",
            k->name[0] == 's' && k->name[1] == 't' ? " class=\"stage\"" : "", k->name);
    for (int j = 0; j < 2 * RANKS; j++) html_number(f, k->recall.at[j / RANKS][j % RANKS]);
    fputs("</tr>\n", f);
  }
  fputs("</table>\n", f);
}

// ---- what is found first ------------------------------------------------------------------------

static int write_caption(FILE *f, const run *r, int64_t row) {
  char *text = read_caption(r->data.all, row);
  if (!text) return -1;
  html_escaped(f, text);
  free(text);
  return 0;
}

// All captions that an image is judged by.
static int write_own(FILE *f, const run *r, int64_t row) {
  const data *d = &r->data;
  int some = 0;
  fputs("<td>", f);
  for (int64_t i = d->rows; i < d->rows + d->judged; i++) {
    if (d->image[i] != d->image[row]) continue;
    if (some++) fputs("<br>", f);
    if (write_caption(f, r, i) < 0) return -1;
  }
  fputs("</td>", f);
  return 0;
}

// In bold where it is the image's own.
static int write_first(FILE *f, const run *r, int32_t first, int32_t dim, int64_t row) {
  const int64_t found = first_found(r, first, dim, row);
  const int right = r->data.image[found] == r->data.image[row];
  fputs(right ? "<td><b>" : "<td>", f);
  if (write_caption(f, r, found) < 0) return -1;
  fputs(right ? "</b></td>" : "</td>", f);
  return 0;
}

static int write_image(FILE *f, const run *r, int64_t row) {
  char path[4200];
  if (draw_row(r, row, path, sizeof path) < 0) return -1;
  fputs("<tr><td>", f);
  if (html_picture(f, path, "an image held out") < 0) return -1;
  fputs("</td>", f);
  if (write_own(f, r, row) < 0) return -1;
  for (int s = 0; s < r->stages; s++)
    if (write_first(f, r, r->first[s], r->first[s + 1] - r->first[s], row) < 0) return -1;
  if (r->stages > 1 && write_first(f, r, 0, r->integrated.dim, row) < 0) return -1;
  fputs("</tr>\n", f);
  return 0;
}

int html_found(FILE *f, const run *r) {
  const data *d = &r->data;
  int64_t seen = 0, shown = 0;
  fputs("<h2>What images held out find first</h2>\n<p class=\"note\">Of all captions judged, the "
        "nearest; in bold where it is the image's own.</p>\n"
        "<table class=\"found\"><tr><th></th><th>its own</th>",
        f);
  for (int s = 0; s < r->stages; s++) fprintf(f, "<th>stage %d</th>", s);
  fputs(r->stages > 1 ? "<th>integrated</th></tr>\n" : "</tr>\n", f);
  for (int64_t i = d->rows; i < d->rows + d->judged && shown < SHOWN; i++) {
    if (d->image[i] != i || seen++ < shown * d->judged_images / SHOWN) continue; // evenly spread
    if (write_image(f, r, i) < 0) return -1;
    shown++;
  }
  fputs("</table>\n", f);
  return 0;
}
