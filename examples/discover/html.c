// report.html: one file that needs nothing beside it; pictures are written into it as data.
#include "discover.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
    "1rem;color:#222}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ddd}"
    "table{border-collapse:collapse}td,th{padding:.2rem "
    ".8rem;text-align:right;font-variant-numeric:tabular-nums}"
    "th:first-child,td:first-child{text-align:left}tr.stage td{background:#eef4fb}"
    "img{max-width:100%;image-rendering:pixelated}p.note{color:#555}"
    "svg text{font:12px system-ui,sans-serif}</style>";

void html_escaped(FILE *f, const char *text) {
  for (; *text; text++) {
    if (*text == '<')
      fputs("&lt;", f);
    else if (*text == '&')
      fputs("&amp;", f);
    else if (*text == '"')
      fputs("&quot;", f);
    else
      fputc(*text, f);
  }
}

int html_picture(FILE *f, const char *path, const char *what) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  FILE *in = fopen(path, "rb");
  if (!in) return mcl_error_set(&err, MCL_E_IO, 0, "a picture that was just written is gone");
  fprintf(f, "<img alt=\"%s\" src=\"data:image/png;base64,", what);
  unsigned char b[3];
  size_t n;
  while ((n = fread(b, 1, 3, in)) > 0) {
    unsigned word = (unsigned)b[0] << 16 | (n > 1 ? (unsigned)b[1] << 8 : 0) | (n > 2 ? b[2] : 0u);
    for (size_t i = 0; i < 4; i++) fputc(i <= n ? digits[word >> (18 - 6 * i) & 63] : '=', f);
  }
  fputs("\">\n", f);
  fclose(in);
  return 0;
}

void html_number(FILE *f, double x) {
  if (isnan(x))
    fputs("<td>–</td>", f);
  else
    fprintf(f, "<td>%.3f</td>", x);
}

static void write_table(FILE *f, const table *t) {
  fputs("<table><tr><th></th><th>kNN class</th><th>kNN bits</th><th>linear class</th><th>linear "
        "bits</th>"
        "<th>NMI class</th><th>NMI bits</th></tr>\n",
        f);
  for (int i = 0; i < t->n; i++) {
    const knowledge *k = &t->rows[i];
    fprintf(f, "<tr%s><td>%s</td>", strncmp(k->name, "stage", 5) ? "" : " class=\"stage\"",
            k->name);
    html_number(f, k->knn_class), html_number(f, k->knn_bits), html_number(f, k->linear_class),
        html_number(f, k->linear_bits);
    html_number(f, k->nmi_class), html_number(f, k->nmi_bits);
    fputs("</tr>\n", f);
  }
  fputs("</table>\n", f);
}

// What the two bars of a row are: kNN of class and of bits, of pairs recall at the last rank.
static double bar(const run *r, const knowledge *k, int which) {
  if (r->o->pairs) return k->recall.at[which][RANKS - 1];
  return which ? k->knn_bits : k->knn_class;
}

// Horizontal bars from 0 to 1, two to a row of the table.
static void write_bars(FILE *f, const run *r, const table *t, const char *const names[2]) {
  enum { LINE = 34, LEFT = 110, WIDTH = 480 };
  fprintf(f, "<svg width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"%s\">\n", LEFT + WIDTH + 60,
          t->n * LINE + 24, r->o->pairs ? "recall" : "kNN accuracy");
  for (int i = 0; i < t->n; i++) {
    const knowledge *k = &t->rows[i];
    const double upper = bar(r, k, 0), lower = bar(r, k, 1);
    fprintf(f, "<text x=\"0\" y=\"%d\">%s</text>", i * LINE + 16, k->name);
    if (!isnan(upper))
      fprintf(f,
              "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" fill=\"#2f6db5\"/><text "
              "x=\"%.1f\" y=\"%d\">%.3f</text>\n",
              LEFT, i * LINE + 4, WIDTH * upper, LEFT + WIDTH * upper + 4, i * LINE + 14, upper);
    if (names[1] && !isnan(lower))
      fprintf(f,
              "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"8\" fill=\"#c83c28\" "
              "opacity=\".75\"/>\n",
              LEFT, i * LINE + 17, WIDTH * lower);
  }
  fprintf(f, "<text x=\"%d\" y=\"%d\" fill=\"#2f6db5\">%s</text>", LEFT, t->n * LINE + 16,
          names[0]);
  if (names[1])
    fprintf(f, "<text x=\"%d\" y=\"%d\" fill=\"#c83c28\">%s</text>",
            LEFT + (r->o->pairs ? 160 : 60), t->n * LINE + 16, names[1]);
  fputs("</svg>\n", f);
}

// The sheets of the clusters that a stage has.
static int write_clusters(FILE *f, const run *r, int s) {
  static const char *const of[] = {" of images", " of captions"};
  char path[4200];
  for (int m = 0; m < 2; m++) {
    if (!r->labels[m][s]) continue;
    fprintf(f,
            "<p class=\"note\">Its %d clusters%s, one a line, largest first; sixteen rows spread "
            "over each%s.</p>\n",
            r->clusters[m][s], r->o->pairs ? of[m] : "",
            r->o->randbits ? ", with their random bits below" : "");
    if (draw_clusters(r, s, m, path, sizeof path) < 0) return -1;
    if (html_picture(f, path, "contact sheet of the clusters") < 0) return -1;
  }
  return 0;
}

static int write_stage(FILE *f, const run *r, int s) {
  const mcl_stage_report *m = &r->report[s];
  fprintf(f, "<h2>Stage %d</h2><p>", s);
  if (s == 0)
    fprintf(f, "Trained on all rows: an ordinary contrastive %s. ",
            r->o->pairs ? "pair of networks" : "network");
  else
    fprintf(f,
            "Trained in %lld cells of %lld to %lld rows (median %lld); an epoch saw %.1f %% of the "
            "rows, %lld of "
            "them in cells that had been too small and were joined to others. ",
            (long long)m->cells, (long long)m->smallest_cell, (long long)m->largest_cell,
            (long long)m->median_cell, 100 * (double)m->rows_seen / (double)r->data.rows,
            (long long)m->backed_off);
  fprintf(f,
          "Mean loss went from %.3f in the first epoch to %.3f in the last, where %.1f %% of the "
          "anchors found their "
          "own %s. Two rows of one cell have a mean cosine of %.3f here. ",
          m->loss_first, m->loss_last, 100 * m->accuracy, r->o->pairs ? "partner" : "other view",
          m->cell_cosine);
  if (s > 0)
    fprintf(f,
            "Its clusters share NMI %.3f with those of stage %d, and are %.0f %% news to the cells "
            "it trained in.",
            m->nmi_previous, s - 1, 100 * m->entropy_given_previous);
  if (!isnan(m->told_next))
    fprintf(f,
            " It tells a row's %s from another row of the cell %.2f %% of the time; in the "
            "cells of the next stage, all stages so far do so %.2f %% of the time.",
            r->o->pairs ? "caption, by its image," : "other view", 100 * m->told,
            100 * m->told_next);
  fprintf(
      f,
      " After it there are %lld cells; %.0f %% of the rows have at least %d others in theirs.</p>"
      "<p><b>%s</b></p>",
      (long long)m->next_cells, 100 * m->next_enough_negatives, (int)MCL_ENOUGH_NEGATIVES,
      mcl_advice_text(m->advice));
  return write_clusters(f, r, s);
}

static int write_pairs(FILE *f, const run *r) {
  char path[4200];
  int64_t n = 0;
  if (r->stages < 2) return 0;
  if (draw_blind_pairs(r, path, sizeof path, &n) < 0) return -1;
  fputs("<h2>Pairs that stage 0 cannot tell apart</h2>\n", f);
  if (n == 0) {
    fputs("<p>There are none: no two of the rows looked at have a cosine of .95 or more in stage "
          "0.</p>\n",
          f);
    return 0;
  }
  fprintf(f,
          "<p>Upper and lower image of each column have a cosine of at least .95 in stage 0; these "
          "%lld pairs are "
          "the ones farthest apart in stage %d.</p>\n",
          (long long)n, r->stages - 1);
  return html_picture(f, path, "blind pairs");
}

static void write_settings(FILE *f, const run *r) {
  const options *o = r->o;
  char line[600];
  fputs("<h2>Settings</h2><p>", f);
  fprintf(f, "Data <code>");
  html_escaped(f, o->data);
  fprintf(f,
          "</code>, images of %d × %d × %d, %d random bits. %lld rows trained on and clustered, "
          "%lld held out for "
          "the probes%s. %d stages of %d epochs, %d clusters, batches of %d rows (%s), temperature "
          "%g%s, Adam %g, "
          "encoder %s%s, %s, seed %llu. %.0f seconds.</p>\n<p class=\"note\">",
          r->data.height, r->data.width, r->data.image_channels, o->randbits,
          (long long)r->data.rows, (long long)r->data.holdout,
          o->pairs ? ", none of whose images is trained on" : "", r->stages, o->epochs, o->clusters,
          o->batch, o->batching == MCL_BATCH_ONE_CELL ? "one cell each" : "cells packed",
          o->temperature, o->pairs ? " at first, learnt" : "", o->learning_rate,
          network_names[o->encoder], o->pairs ? " and a bag of embeddings" : "",
          o->initial == MCL_INITIAL_FRESH ? "each stage fresh" : "each stage from the one before",
          o->seed, now() - r->began);
  if (mcl_context_describe(r->context, line, sizeof line, NULL, &err) == MCL_OK)
    html_escaped(f, line);
  fputs("</p>\n", f);
}

static void write_probes(FILE *f, const run *r, const table *t) {
  const char *const of_pairs[] = {"image to text @10", "text to image @10"};
  const char *const of_rows[] = {"class", r->data.code_of ? "bits" : NULL};
  if (r->data.judged) {
    write_bars(f, r, t, of_pairs);
    html_recalls(f, t);
  }
  if (!r->data.holdout || (!r->data.class_of && !r->data.code_of)) return;
  write_bars(f, r, t, of_rows);
  fputs("<p class=\"note\">kNN accuracy on held-out rows. Below, all probes: kNN of 20 "
        "neighbours by cosine, and a "
        "converged linear probe; NMI of each stage's clusters with the attribute. Controls: the "
        "ensemble is as many "
        "independently seeded stage-0 networks as there are stages; shuffled has cells of the "
        "same sizes with rows "
        "at random.</p>\n",
        f);
  write_table(f, t);
}

int write_html(const run *r, const table *t) {
  char *path = path_in(r->o, "report.html"), text[1000];
  FILE *f = path ? fopen(path, "w") : NULL;
  free(path);
  if (!f) return mcl_error_set(&err, MCL_E_IO, 0, "cannot write report.html");
  verdict(r, t, text, sizeof text);
  fprintf(f,
          "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>What each stage "
          "learnt</title>%s\n"
          "<h1>What each stage learnt</h1><p>",
          style);
  html_escaped(f, text);
  fputs("</p>\n", f);
  write_probes(f, r, t);
  int status = 0;
  for (int s = 0; s < r->stages && status == 0; s++) status = write_stage(f, r, s);
  if (status == 0) status = write_pairs(f, r);
  if (status == 0 && r->data.judged) status = html_found(f, r);
  write_settings(f, r);
  fputs("</html>\n", f);
  int bad = ferror(f);
  if ((fclose(f) != 0 || bad) && status == 0)
    status = mcl_error_set(&err, MCL_E_IO, 0, "cannot write report.html whole");
  return status;
}
