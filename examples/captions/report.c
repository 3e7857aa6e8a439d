// JSON with the keys of examples/experiment where they mean the same, and the table on the
// terminal.
#include "captions.h"

static void settings(FILE *out, const options *o, const world *w, const outcome *f) {
  const experiment_options *s = &o->shared;
  fprintf(out,
          " \"control\":\"%s\",\"sides\":\"%s\",\"rows\":%lld,\"images\":%lld,\"held_out\":%lld,"
          "\"test_rows\":%lld,\"vocabulary\":%d,\"epochs\":%ld,\"batch\":%ld,",
          s->controls[s->control], sides_names[o->sides], (long long)w->train.n,
          (long long)w->train.images, (long long)w->held_out, (long long)w->test.n,
          w->sizes.vocabulary, s->epochs, s->batch);
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
    recall_json(out, &f->stage[s]);
    fputc(',', out);
    experiment_stage_json(&f->report[s], w->train.n, out);
    fputc('}', out);
  }
  fputs("],\n \"integrated\":{", out);
  recall_json(out, &f->integrated);
  fputs("},\n \"equal_weights\":{", out);
  recall_json(out, &f->plain);
  fputs("},\n", out);
  settings(out, o, w, f);
  return json_close(out);
}

// ---- the table ---------------------------------------------------------------------------------

static void heading(const options *o, const world *w) {
  const experiment_options *s = &o->shared;
  printf("%lld captions of %lld images, %ld epochs, %ld clusters of %s%s, seed %ld\n",
         (long long)w->train.n, (long long)w->train.images, s->epochs, s->clusters,
         sides_names[o->sides], o->sides == SIDES_BOTH ? ", apart" : "", s->seed);
  printf("recall among %lld captions of %lld images held out; by chance of a caption's image %.3f, "
         "%.3f, %.3f\n",
         (long long)w->test.n, (long long)w->test.images, 1.0 / (double)w->test.images,
         5.0 / (double)w->test.images, 10.0 / (double)w->test.images);
  recall_heading(s->controls[s->control]);
}

void outcome_print(const options *o, const world *w, const outcome *f) {
  char name[32];
  heading(o, w);
  for (int i = 0; i < f->stages; i++) {
    snprintf(name, sizeof name, "stage %d", i);
    recall_line(name, &f->stage[i]);
  }
  recall_line("equal weights", &f->plain);
  if (o->shared.growth != 1) {
    snprintf(name, sizeof name, "%g^s", o->shared.growth);
    recall_line(name, &f->integrated);
  }
  for (int i = 0; i < f->stages; i++)
    printf("after stage %d: %s\n", i, mcl_advice_text(f->report[i].advice));
  printf("%.0f seconds\n", f->seconds);
}
