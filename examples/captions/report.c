// JSON with the keys of examples/experiment where they mean the same, and the table on the
// terminal.
#include "captions.h"

static const char *const ways[] = {"image_to_text", "text_to_image"};

static void recalls(FILE *out, const recall *r) {
  fputs("\"recall\":{", out);
  for (int way = 0; way < 2; way++) {
    fprintf(out, "%s\"%s\":{", way ? "," : "", ways[way]);
    for (int i = 0; i < RANKS; i++) {
      fprintf(out, "%s\"%d\":", i ? "," : "", ranks[i]);
      json_number(out, r->at[way][i]);
    }
    fputc('}', out);
  }
  fputc('}', out);
}

static void settings(FILE *out, const options *o, const world *w, const outcome *f) {
  const experiment_options *s = &o->shared;
  fprintf(out,
          " \"control\":\"%s\",\"sides\":\"%s\",\"rows\":%lld,\"images\":%lld,\"held_out\":%lld,"
          "\"test_rows\":%lld,\"vocabulary\":%d,\"epochs\":%ld,\"batch\":%ld,",
          s->controls[s->control], sides_names[o->sides], (long long)w->train.n,
          (long long)w->train.images, (long long)w->held_out, (long long)w->test.n, w->vocabulary,
          s->epochs, s->batch);
  fprintf(out, "\"clusters\":%ld,\"growth\":%g,\"temperature\":%g,\"seed\":%ld,\"seconds\":%.1f}\n",
          s->clusters, s->growth, s->temperature, s->seed, f->seconds);
}

int outcome_write(const options *o, const world *w, const outcome *f) {
  if (!o->shared.json) return 0;
  FILE *out = fopen(o->shared.json, "w");
  if (!out) return fail(MCL_E_IO, "the --json file %s cannot be written", o->shared.json);
  fputs("{\"stages\":[", out);
  for (int s = 0; s < f->stages; s++) {
    fprintf(out, "%s\n  {\"stage\":%d,", s ? "," : "", s);
    recalls(out, &f->stage[s]);
    fputc(',', out);
    experiment_stage_json(&f->report[s], w->train.n, out);
    fputc('}', out);
  }
  fputs("],\n \"integrated\":{", out);
  recalls(out, &f->integrated);
  fputs("},\n \"equal_weights\":{", out);
  recalls(out, &f->plain);
  fputs("},\n", out);
  settings(out, o, w, f);
  int failed = ferror(out) | fclose(out);
  return failed ? fail(MCL_E_IO, "the --json file cannot be written whole") : 0;
}

// ---- the table ---------------------------------------------------------------------------------

static void line(const char *name, const recall *r) {
  printf("%-14s", name);
  for (int way = 0; way < 2; way++)
    for (int i = 0; i < RANKS; i++) printf("%8.3f", r->at[way][i]);
  putchar('\n');
}

static void heading(const options *o, const world *w) {
  const experiment_options *s = &o->shared;
  printf("%lld captions of %lld images, %ld epochs, %ld clusters of %s%s, seed %ld\n",
         (long long)w->train.n, (long long)w->train.images, s->epochs, s->clusters,
         sides_names[o->sides], o->sides == SIDES_BOTH ? ", apart" : "", s->seed);
  printf("recall among %lld pairs held out; by chance %.3f, %.3f, %.3f\n", (long long)w->test.n,
         1.0 / (double)w->test.n, 5.0 / (double)w->test.n, 10.0 / (double)w->test.n);
  printf("%-14s%24s%24s\n%-14s", "", "image to text", "text to image", s->controls[s->control]);
  for (int i = 0; i < 2 * RANKS; i++)
    printf("%6s%2d", i % RANKS == 2 ? "@" : " @", ranks[i % RANKS]);
  putchar('\n');
}

void outcome_print(const options *o, const world *w, const outcome *f) {
  char name[32];
  heading(o, w);
  for (int i = 0; i < f->stages; i++) {
    snprintf(name, sizeof name, "stage %d", i);
    line(name, &f->stage[i]);
  }
  line("equal weights", &f->plain);
  if (o->shared.growth != 1) {
    snprintf(name, sizeof name, "%g^s", o->shared.growth);
    line(name, &f->integrated);
  }
  for (int i = 0; i < f->stages; i++)
    printf("after stage %d: %s\n", i, mcl_advice_text(f->report[i].advice));
  printf("%.0f seconds\n", f->seconds);
}
