// JSON with the keys of examples/experiment where they mean the same, and the table on the
// terminal.
#include "image_text.h"

#include <math.h>

static const char *const modality_names[] = {"image", "text"};

// ---- JSON ----------------------------------------------------------------------------------------------

void share_write(FILE *out, const mcl_probe_result *r) {
  fputs("{\"value\":", out);
  json_number(out, r->value);
  fprintf(out, ",\"low\":%.6g,\"high\":%.6g,\"pairs\":%lld}", r->low, r->high, (long long)r->total);
}

static void share(FILE *out, const char *name, const mcl_probe_result *r) {
  fprintf(out, "\"%s\":", name);
  share_write(out, r);
}

static void shares(FILE *out, const world *w, const told *k) {
  fputs("\"apart\":{", out);
  share(out, "all", &k->of[0]);
  for (int a = 0; a < w->n_known; a++) {
    if (!k->of[1 + a].total) continue;
    fputc(',', out);
    share(out, w->known[a].name, &k->of[1 + a]);
  }
  fputs("}", out);
}

static void agreement(FILE *out, const world *w, const double nmi[2][MAX_ATTRIBUTES]) {
  fputs(",\"nmi\":{", out);
  for (int m = 0; m < 2; m++) {
    fprintf(out, "%s\"%s\":{", m ? "," : "", modality_names[m]);
    for (int a = 0; a < w->n_known; a++) {
      fprintf(out, "%s\"%s\":", a ? "," : "", w->known[a].name);
      json_number(out, nmi[m][a]);
    }
    fputc('}', out);
  }
  fputs("},", out);
}

static void settings(FILE *out, const options *o, const world *w, const outcome *f) {
  const experiment_options *s = &o->shared;
  fprintf(out,
          " \"data\":\"%s\",\"bits\":%ld,\"sides\":\"%s\",\"control\":\"%s\",\"rows\":%lld,"
          "\"pairs\":%lld,\"epochs\":%ld,\"batch\":%ld,",
          data_names[o->data], o->bits, sides_names[o->sides], s->controls[s->control],
          (long long)w->train.n, (long long)w->test.n / 2, s->epochs, s->batch);
  fprintf(out, "\"clusters\":%ld,\"growth\":%g,\"temperature\":%g,\"seed\":%ld,\"seconds\":%.1f}\n",
          s->clusters, s->growth, s->temperature, s->seed, f->seconds);
}

int outcome_write(const options *o, const world *w, const outcome *f) {
  if (!o->shared.json) return 0;
  FILE *out = json_open(o->shared.json);
  if (!out) return -1;
  fputs("{\"stages\":[", out);
  for (int s = 0; s < f->stages; s++) {
    fprintf(out, "%s\n  {\"stage\":%d,", s ? "," : "", s);
    shares(out, w, &f->stage[s]);
    agreement(out, w, f->nmi[s]);
    experiment_stage_json(&f->report[s], w->train.n, out);
    fputc('}', out);
  }
  fputs("],\n \"integrated\":{", out);
  shares(out, w, &f->integrated);
  fputs("},\n \"equal_weights\":{", out);
  shares(out, w, &f->plain);
  fputs("},\n", out);
  settings(out, o, w, f);
  return json_close(out);
}

// ---- the table -----------------------------------------------------------------------------------------

static void line(const world *w, const char *name, const told *k) {
  printf("%-14s", name);
  for (int a = 0; a < w->n_known; a++)
    if (k->of[1 + a].total)
      printf("%8.3f (%.3f-%.3f)", k->of[1 + a].value, k->of[1 + a].low, k->of[1 + a].high);
  putchar('\n');
}

static void heading(const options *o, const world *w, const outcome *f) {
  const experiment_options *s = &o->shared;
  printf("%s, %lld images with captions of %d words, %ld bits, temperature %g, %ld epochs, seed "
         "%ld\n",
         data_names[o->data], (long long)w->train.n, w->words, o->bits, s->temperature, s->epochs,
         s->seed);
  printf("%ld clusters of %s%s; of %lld pairs, told apart, with 95 %% intervals:\n%-14s",
         s->clusters, sides_names[o->sides], o->sides == SIDES_BOTH ? ", apart" : "",
         (long long)w->test.n / 2, s->controls[s->control]);
  for (int a = 0; a < w->n_known; a++)
    if (f->plain.of[1 + a].total) printf("%8s%14s", w->known[a].name, "");
  putchar('\n');
}

void outcome_print(const options *o, const world *w, const outcome *f) {
  char name[32];
  heading(o, w, f);
  for (int i = 0; i < f->stages; i++) {
    snprintf(name, sizeof name, "stage %d", i);
    line(w, name, &f->stage[i]);
  }
  line(w, "equal weights", &f->plain);
  if (o->shared.growth != 1) {
    snprintf(name, sizeof name, "%g^s", o->shared.growth);
    line(w, name, &f->integrated);
  }
  for (int i = 0; i < f->stages; i++)
    printf("after stage %d: %s\n", i, mcl_advice_text(f->report[i].advice));
  printf("%.0f seconds\n", f->seconds);
}
