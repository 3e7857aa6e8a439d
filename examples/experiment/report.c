// JSON with the keys of discover's report.json, and the table on the terminal.
#include "experiment.h"

#include <math.h>

static void number(FILE *f, const char *key, double v) {
  fprintf(f, "\"%s\":", key);
  json_number(f, v);
}

static void group(const experiment *x, FILE *f, const char *key, const double *values) {
  fprintf(f, "\"%s\":{", key);
  for (int a = 0; a < x->n_attributes; a++) {
    if (a) fputc(',', f);
    number(f, x->attributes[a].name, values[a]);
  }
  fputc('}', f);
}

static void probes(const experiment *x, FILE *f, const knowledge *k) {
  group(x, f, "knn", k->knn);
  fputc(',', f);
  group(x, f, "linear", k->linear);
}

void experiment_stage_json(const mcl_stage_report *r, int64_t rows, FILE *f) {
  fprintf(f, "\"rows_seen\":%.6g,\"clusters\":%d,\"cells\":{\"count\":%lld,\"smallest\":%lld,",
          (double)r->rows_seen / (double)rows, r->k_effective, (long long)r->cells,
          (long long)r->smallest_cell);
  fprintf(f, "\"median\":%lld,\"largest\":%lld,\"backed_off\":%lld},", (long long)r->median_cell,
          (long long)r->largest_cell, (long long)r->backed_off);
  number(f, "loss", r->loss_last), fputc(',', f);
  number(f, "accuracy", r->accuracy), fputc(',', f);
  number(f, "nmi_previous", r->nmi_previous), fputc(',', f);
  number(f, "entropy_given_previous", r->entropy_given_previous), fputc(',', f);
  number(f, "cell_cosine", r->cell_cosine), fputc(',', f);
  number(f, "next_enough_negatives", r->next_enough_negatives), fputc(',', f);
  number(f, "told_before", r->told_before), fputc(',', f);
  number(f, "told", r->told), fputc(',', f);
  number(f, "told_next", r->told_next);
  fprintf(f, ",\"advice\":\"%s\"", advice_name(r->advice));
}

static void stage(const experiment *x, FILE *f, int s, const knowledge *k,
                  const mcl_stage_report *r) {
  fprintf(f, "  {\"stage\":%d,", s);
  probes(x, f, k);
  fputs(",\"online\":{", f);
  number(f, x->attributes[0].name, k->online);
  fputs("},", f);
  group(x, f, "nmi", k->nmi);
  fputc(',', f);
  experiment_stage_json(r, mcl_dataset_rows(x->train), f);
  fputc('}', f);
}

// kNN by the growth of the weights, and by weights fitted to each attribute.
static void weightings(const experiment *x, const findings *r, FILE *f) {
  fputs("},\n \"curve\":[", f);
  for (int g = 0; g < GROWTHS; g++) {
    fprintf(f, "%s{\"growth\":%g,", g ? "," : "", growths[g]);
    group(x, f, "knn", r->curve[g]);
    fputc('}', f);
  }
  fputs("],\n \"fitted\":{", f);
  for (int a = 0; a < x->n_attributes; a++) {
    fprintf(f, "%s\"%s\":{", a ? "," : "", x->attributes[a].name);
    number(f, "knn", r->fitted[a].knn);
    fputs(",\"weights\":[", f);
    for (int s = 0; s < r->stages; s++) fprintf(f, "%s%.4g", s ? "," : "", r->fitted[a].weights[s]);
    fputs("]}", f);
  }
}

void experiment_json(const experiment *x, const findings *r, FILE *f) {
  fputs("\"stages\":[", f);
  for (int s = 0; s < r->stages; s++) {
    fputs(s ? ",\n" : "\n", f);
    stage(x, f, s, &r->stage[s], &r->report[s]);
  }
  fputs("],\n \"integrated\":{", f);
  probes(x, f, &r->integrated);
  fputs("},\n \"equal_weights\":{", f);
  probes(x, f, &r->plain);
  if (x->control == STAGES && r->stages > 1) weightings(x, r, f);
  if (x->control == STAGES && x->head) {
    fputs("},\n \"head\":{", f);
    probes(x, f, &r->head);
  }
  fprintf(f, "},\n \"encoder\":\"%s\",\"initial\":\"%s\",", network_names[x->encoder],
          initial_names[x->loop.initial]);
  fprintf(f, "\n \"control\":\"%s\",\"rows\":%lld,\"test_rows\":%lld,\"epochs\":%d,",
          control_names[x->control], (long long)mcl_dataset_rows(x->train),
          (long long)mcl_dataset_rows(x->test), x->loop.epochs);
  fprintf(f, "\"clusters\":%d,\"growth\":%g,\"temperature\":%g,\"seed\":%llu,\"seconds\":%.1f",
          x->loop.kmeans->k, x->growth, x->loop.loss->temperature, (unsigned long long)x->loop.seed,
          r->seconds);
}

static void line(const experiment *x, const char *name, const knowledge *k) {
  printf("%-14s", name);
  for (int a = 0; a < x->n_attributes; a++) {
    const double values[] = {k->knn[a], k->linear[a], k->nmi[a]};
    for (int i = 0; i < 3; i++) {
      if (isnan(values[i]))
        printf("%8s", "-");
      else
        printf("%8.3f", values[i]);
    }
  }
  if (!isnan(k->online)) printf("%8.3f", k->online);
  putchar('\n');
}

void experiment_print(const experiment *x, const findings *f) {
  char name[32];
  printf("%-14s", "");
  for (int a = 0; a < x->n_attributes; a++) printf("%8s%8s%8s", "", x->attributes[a].name, "");
  printf("\n%-14s", control_names[x->control]);
  for (int a = 0; a < x->n_attributes; a++) printf("%8s%8s%8s", "kNN", "linear", "NMI");
  printf("%8s\n", "online");
  for (int s = 0; s < f->stages; s++) {
    snprintf(name, sizeof name, "stage %d", s);
    line(x, name, &f->stage[s]);
  }
  line(x, f->stages ? "integrated" : control_names[x->control], &f->integrated);
  if (f->stages && x->growth != 1) line(x, "equal weights", &f->plain);
  if (x->control == STAGES && x->head) line(x, "head", &f->head);
  for (int a = 0; a < x->n_attributes && !isnan(f->fitted[a].knn); a++) {
    printf("fitted to %s by %d labelled rows: kNN %.3f, weights", x->attributes[a].name, LABELLED,
           f->fitted[a].knn);
    for (int s = 0; s < f->stages; s++) printf(" %.3g", f->fitted[a].weights[s]);
    putchar('\n');
  }
  printf("%.0f seconds\n", f->seconds);
}
