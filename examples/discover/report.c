// What is kept of a run: report.json, labels.csv, embeddings, and the table on the terminal.
#include "discover.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- JSON ---------------------------------------------------------------------------------------

static void json_pair(FILE *f, const char *key, double class_value, double bits_value) {
  fprintf(f, "\"%s\":{\"class\":", key);
  json_number(f, class_value);
  fputs(",\"bits\":", f);
  json_number(f, bits_value);
  fputs("}", f);
}

static void json_knowledge(FILE *f, const run *r, const knowledge *k) {
  if (r->o->pairs) {
    recall_json(f, &k->recall);
    return;
  }
  json_pair(f, "knn", k->knn_class, k->knn_bits);
  fputs(",", f);
  json_pair(f, "linear", k->linear_class, k->linear_bits);
}

static void json_member(FILE *f, const char *key, double value) {
  fprintf(f, ",\"%s\":", key);
  json_number(f, value);
}

// The cells of a stage: before it, those it trained in; after it, those of the next.
static void json_cells(FILE *f, const char *key, int64_t count, int64_t smallest, int64_t low,
                       int64_t median, int64_t high, int64_t largest, int64_t backed_off,
                       double enough) {
  fprintf(f,
          ",\"%s\":{\"count\":%lld,\"smallest\":%lld,\"low\":%lld,\"median\":%lld,\"high\":%lld,"
          "\"largest\":%lld,\"backed_off\":%lld,\"enough_negatives\":",
          key, (long long)count, (long long)smallest, (long long)low, (long long)median,
          (long long)high, (long long)largest, (long long)backed_off);
  json_number(f, enough);
  fputs("}", f);
}

static void json_stage(FILE *f, const run *r, int s, const knowledge *k) {
  const mcl_stage_report *m = &r->report[s];
  fprintf(f, "  {\"stage\":%d,", s);
  json_knowledge(f, r, k);
  if (!r->o->pairs) fputs(",", f);
  if (!r->o->pairs) json_pair(f, "nmi", k->nmi_class, k->nmi_bits);
  json_member(f, "rows_seen", (double)m->rows_seen / (double)r->data.rows);
  json_member(f, "clusters", m->k_effective);
  json_cells(f, "cells", m->cells, m->smallest_cell, m->low_cell, m->median_cell, m->high_cell,
             m->largest_cell, m->backed_off, m->enough_negatives);
  json_cells(f, "next_cells", m->next_cells, m->next_smallest_cell, m->next_low_cell,
             m->next_median_cell, m->next_high_cell, m->next_largest_cell, m->next_backed_off,
             m->next_enough_negatives);
  json_member(f, "loss", m->loss_last);
  json_member(f, "loss_first", m->loss_first);
  json_member(f, "accuracy", m->accuracy);
  json_member(f, "nmi_previous", m->nmi_previous);
  json_member(f, "entropy_given_previous", m->entropy_given_previous);
  json_member(f, "cell_cosine", m->cell_cosine);
  json_member(f, "told_before", m->told_before);
  json_member(f, "told", m->told);
  json_member(f, "told_next", m->told_next);
  fprintf(f, ",\"advice\":\"%s\"}", advice_name(m->advice));
}

static FILE *open_out(const run *r, const char *name) {
  char *path = path_in(r->o, name);
  FILE *f = path ? fopen(path, "w") : NULL;
  if (!f) {
    char text[200];
    snprintf(text, sizeof text, "cannot write %s", path ? path : name);
    (void)mcl_error_set(&err, MCL_E_IO, 0, text);
  }
  free(path);
  return f;
}

static int close_out(FILE *f, const char *name) {
  int bad = ferror(f);
  if (fclose(f) == 0 && !bad) return 0;
  char text[80];
  snprintf(text, sizeof text, "cannot write %s whole", name);
  return mcl_error_set(&err, MCL_E_IO, 0, text);
}

int write_json(const run *r, const table *t) {
  static const char *const whole[] = {"integrated", "ensemble", "shuffled", "untrained", "pixels"};
  FILE *f = open_out(r, "report.json");
  if (!f) return -1;
  fputs("{\"stages\":[\n", f);
  for (int s = 0; s < r->stages; s++) {
    char name[32];
    snprintf(name, sizeof name, "stage %d", s);
    if (s) fputs(",\n", f);
    json_stage(f, r, s, find_row(t, name));
  }
  fputs("\n ]", f);
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    const knowledge *k = find_row(t, whole[i]);
    if (!k) continue;
    fprintf(f, ",\n \"%s\":{", whole[i]);
    json_knowledge(f, r, k);
    fputs("}", f);
  }
  fputs(",\n \"data\":", f);
  json_text(f, r->o->data);
  fprintf(f,
          ",\"encoder\":\"%s\",\"initial\":\"%s\",\"rows\":%lld,\"holdout\":%lld,\"files\":%lld,"
          "\"skipped\":%lld,\"epochs\":%d,"
          "\"randbits\":%d",
          network_names[r->o->encoder], initial_names[r->o->initial], (long long)r->data.rows,
          (long long)r->data.holdout, (long long)r->data.files, (long long)r->data.skipped,
          r->o->epochs, r->o->randbits);
  if (r->o->pairs)
    fprintf(f,
            ",\"sides\":\"%s\",\"images\":%lld,\"held_images\":%lld,\"judged\":%lld,"
            "\"judged_images\":%lld",
            sides_names[r->o->sides], (long long)r->data.images, (long long)r->data.held_images,
            (long long)r->data.judged, (long long)r->data.judged_images);
  fprintf(f, ",\n \"seed\":%llu,\"seconds\":%.1f}\n", r->o->seed, now() - r->began);
  return close_out(f, "report.json");
}

// ---- labels and embeddings ----------------------------------------------------------------------

static void csv_text(FILE *f, const char *text) {
  fputc('"', f);
  for (; *text; text++) {
    if (*text == '"') fputc('"', f);
    fputc(*text, f);
  }
  fputc('"', f);
}

static int csv_caption(FILE *f, const data *d, int64_t row) {
  char *text = read_caption(d->all, row);
  if (!text) return -1;
  fputc(',', f);
  csv_text(f, text);
  free(text);
  return 0;
}

static void csv_heading(FILE *f, const run *r) {
  static const char *const of[] = {"_image", "_text"};
  fputs(r->o->pairs ? "row,name,caption,held_out" : "row,name,held_out", f);
  if (r->data.class_of) fputs(",class", f);
  if (r->data.code_of) fputs(",code", f);
  for (int s = 0; s < r->stages; s++)
    for (int m = 0; m < 2; m++)
      if (r->labels[m][s]) fprintf(f, ",stage%d%s", s, r->o->pairs ? of[m] : "");
  fputc('\n', f);
}

static int csv_row(FILE *f, const run *r, int64_t i) {
  const data *d = &r->data;
  char name[4096];
  mcl_status s = mcl_dataset_name(d->all, i, name, sizeof name, NULL, &err);
  fprintf(f, "%lld,", (long long)i);
  csv_text(f, s == MCL_OK ? name : "");
  if (r->o->pairs && csv_caption(f, d, i) < 0) return -1;
  fprintf(f, ",%d", i >= d->rows);
  if (d->class_of) fprintf(f, ",%d", d->class_of[i]);
  if (d->code_of) fprintf(f, ",%d", d->code_of[i]);
  for (int k = 0; k < r->stages; k++)
    for (int m = 0; m < 2; m++) {
      if (!r->labels[m][k]) continue;
      if (i < d->rows)
        fprintf(f, ",%d", r->labels[m][k][i]);
      else
        fputc(',', f);
    }
  fputc('\n', f);
  return 0;
}

// One line a row, in the order of the embeddings' rows. Held-out rows have no cluster.
int write_labels(const run *r) {
  FILE *f = open_out(r, "labels.csv");
  if (!f) return -1;
  csv_heading(f, r);
  int s = 0;
  for (int64_t i = 0; s == 0 && i < r->data.rows + r->data.holdout; i++) s = csv_row(f, r, i);
  if (s == 0) return close_out(f, "labels.csv");
  fclose(f);
  return -1;
}

static int write_npy(const run *r, const char *name, const mcl_array *z) {
  mcl_npy *f = NULL;
  char *path = path_in(r->o, name);
  if (!path) return out_of_memory();
  mcl_status s =
      mcl_npy_create(r->context, path, MCL_F32, z->shape[0], (int32_t)z->shape[1], &f, &err);
  if (s == MCL_OK) s = mcl_npy_write(f, 0, z, &err);
  if (s == MCL_OK) s = mcl_npy_commit(f, &err);
  mcl_npy_unref(f);
  free(path);
  return s;
}

// Of one modality; `of` behind the names.
static int write_side(const run *r, int modality, const char *of) {
  int64_t n = r->data.rows + r->data.holdout;
  float *side = representation_of(&r->integrated, modality);
  char name[48];
  mcl_array all = mcl_matrix_f32(side, n, r->integrated.dim);
  snprintf(name, sizeof name, "integrated%s.npy", of);
  TRY(write_npy(r, name, &all));
  for (int s = 0; s < r->stages; s++) {
    mcl_array z = mcl_matrix_f32(side + r->first[s], n, r->first[s + 1] - r->first[s]);
    z.strides[0] = r->integrated.dim;
    snprintf(name, sizeof name, "stage-%d%s.npy", s, of);
    TRY(write_npy(r, name, &z));
  }
  return 0;
}

int write_embeddings(const run *r) {
  if (write_side(r, 0, "") < 0) return -1;
  return r->o->pairs ? write_side(r, 1, "-text") : 0;
}

// ---- the table ----------------------------------------------------------------------------------

static void cell(double x) {
  if (isnan(x))
    printf("%9s", "-");
  else
    printf("%9.3f", x);
}

static void print_recalls(const run *r, const table *t) {
  if (!r->data.judged) return;
  putchar('\n');
  recall_heading("recall");
  for (int i = 0; i < t->n; i++) recall_line(t->rows[i].name, &t->rows[i].recall);
  putchar('\n');
}

void print_table(const run *r, const table *t) {
  if (r->o->pairs) {
    print_recalls(r, t);
    return;
  }
  int has_class = r->data.class_of != NULL, has_bits = r->data.code_of != NULL;
  if (!r->data.holdout || (!has_class && !has_bits)) return;
  printf("\n%-12s%18s%18s%18s\n", "", "kNN", "linear", "NMI of clusters");
  printf("%-12s%9s%9s%9s%9s%9s%9s\n", "", "class", "bits", "class", "bits", "class", "bits");
  for (int i = 0; i < t->n; i++) {
    const knowledge *k = &t->rows[i];
    printf("%-12s", k->name);
    cell(k->knn_class), cell(k->knn_bits);
    cell(k->linear_class), cell(k->linear_bits);
    cell(k->nmi_class), cell(k->nmi_bits);
    putchar('\n');
  }
  putchar('\n');
}

void print_advice(const run *r) {
  for (int s = 0; s < r->stages; s++)
    printf("after stage %d: %s\n", s, mcl_advice_text(r->report[s].advice));
  putchar('\n');
}

// Says what the numbers say, also where they speak against the method.
void verdict(const run *r, const table *t, char *text, size_t size) {
  if (r->o->pairs) {
    verdict_of_pairs(r, t, text, size);
    return;
  }
  const knowledge *first = find_row(t, "stage 0"), *last = last_stage(r, t);
  const knowledge *ensemble = find_row(t, "ensemble"), *pixels = find_row(t, "pixels");
  const knowledge *all = find_row(t, "integrated");
  if (!first || !last || isnan(first->knn_class)) {
    snprintf(text, size,
             "No class is known of held-out rows, so nothing can be said of what the stages know.");
    return;
  }
  double gain = last->knn_class - first->knn_class;
  int n = snprintf(
      text, size,
      "By kNN the last stage tells the class %.3f of the time where stage 0 does %.3f (%+.3f)",
      last->knn_class, first->knn_class, gain);
  if (ensemble)
    n += snprintf(text + n, size - (size_t)n,
                  " and an ensemble of the same size %.3f; by the linear probe the "
                  "integrated stages reach %.3f, the ensemble %.3f",
                  ensemble->knn_class, all->linear_class, ensemble->linear_class);
  if (pixels)
    n += snprintf(text + n, size - (size_t)n, "; raw pixels give %.3f (kNN) and %.3f (linear)%s",
                  pixels->knn_class, pixels->linear_class,
                  pixels->linear_class > all->linear_class
                      ? ", so on images this simple pixels are still ahead of "
                        "everything learnt here by the linear probe"
                      : "");
  snprintf(text + n, size - (size_t)n, ".%s", gain > 0 ? "" : " Later stages did not help here.");
}
