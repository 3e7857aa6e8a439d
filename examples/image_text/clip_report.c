#include "clip.h"

#include <stdlib.h>

static const char *const ways[WAYS] = {"image_asks", "caption_asks"};
static const char *const asked[WAYS] = {"each image for its caption", "each caption for its image"};

static int stages_of(const clip *k) {
  return k->train ? (int)k->o->shared.stages : 1;
}

// A category's name, malloc'ed; category -1 is all of them.
static char *name_of(const clip *k, int32_t category) {
  size_t wanted = sizeof "all";
  if (category >= 0) {
    mcl_status s = mcl_dataset_class_name(k->questions, category, NULL, 0, &wanted, &err);
    if (s != MCL_E_LIMIT) return NULL;
  }
  char *name = malloc(wanted);
  if (!name) out_of_memory();
  if (name && category < 0) snprintf(name, wanted, "all");
  if (!name || category < 0) return name;
  if (mcl_dataset_class_name(k->questions, category, name, wanted, NULL, &err) == MCL_OK)
    return name;
  free(name);
  return NULL;
}

// ---- the table -----------------------------------------------------------------------------------------

static void share(const mcl_probe_result *r) {
  printf("  %.3f (%.3f-%.3f)", r->value, r->low, r->high);
}

static int line(const clip *k, int32_t category, int way) {
  char *name = name_of(k, category);
  if (!name) return -1;
  printf("%-36.36s%6lld", name, (long long)clip_told(k, 0, way)[1 + category].total);
  for (int s = 0; s < stages_of(k); s++) share(&clip_told(k, s, way)[1 + category]);
  if (stages_of(k) > 1) share(&clip_told(k, PAIR_PLAIN, way)[1 + category]);
  if (stages_of(k) > 1 && k->o->shared.growth != 1)
    share(&clip_told(k, PAIR_INTEGRATED, way)[1 + category]);
  putchar('\n');
  free(name);
  return 0;
}

static void heading(const clip *k) {
  char name[32];
  printf("%-36s%6s", "", "pairs");
  for (int s = 0; s < stages_of(k); s++) {
    snprintf(name, sizeof name, s || k->o->shared.control == ENSEMBLE ? "%s %d" : "the CLIP",
             k->o->shared.control == ENSEMBLE ? "member" : "stage", s);
    printf("  %-19s", name);
  }
  if (stages_of(k) > 1) printf("  %-19s", "all, equal weights");
  snprintf(name, sizeof name, "all, %g^s", k->o->shared.growth);
  if (stages_of(k) > 1 && k->o->shared.growth != 1) printf("  %-19s", name);
  putchar('\n');
}

int clip_print(const clip *k) {
  printf(
      "A CLIP of %d blocks, images of %d x %d, %d tokens; pairs told apart, with 95 %% intervals; "
      "chance is 1/4\n",
      (int)k->blocks, (int)k->side, (int)k->side, (int)k->tokens);
  for (int way = 0; way < WAYS; way++) {
    printf("\n%s\n", asked[way]);
    heading(k);
    for (int32_t c = -1; c < k->categories; c++)
      if (line(k, c, way) < 0) return -1;
  }
  for (int s = 0; k->train && s < stages_of(k); s++)
    printf("after stage %d: %s\n", s, mcl_advice_text(k->report[s].advice));
  printf("%.0f seconds\n", k->seconds);
  return 0;
}

// ---- JSON ----------------------------------------------------------------------------------------------

static int put_shares(FILE *out, const clip *k, int of) {
  for (int way = 0; way < WAYS; way++) {
    fprintf(out, "%s\"%s\":{", way ? "," : "", ways[way]);
    for (int32_t c = -1; c < k->categories; c++) {
      const mcl_probe_result *r = &clip_told(k, of, way)[1 + c];
      char *name = name_of(k, c);
      if (!name) return -1;
      if (c >= 0) fputc(',', out);
      json_text(out, name);
      fputc(':', out);
      share_write(out, r);
      free(name);
    }
    fputc('}', out);
  }
  return 0;
}

static void put_settings(FILE *out, const clip *k) {
  const options *o = k->o;
  const experiment_options *s = &o->shared;
  fprintf(out, " \"data\":\"clip\",\"side\":%d,\"blocks\":%d,\"pairs\":%lld", (int)k->side,
          (int)k->blocks, (long long)k->pairs);
  if (k->train)
    fprintf(out,
            ",\"rows\":%lld,\"trained_blocks\":%ld,\"sides\":\"%s\",\"control\":\"%s\","
            "\"epochs\":%ld,\"batch\":%ld,\"clusters\":%ld,\"growth\":%g,\"learning_rate\":%g,"
            "\"seed\":%ld",
            (long long)mcl_dataset_rows(k->train), o->blocks < k->blocks ? o->blocks : k->blocks,
            sides_names[o->sides], s->controls[s->control], s->epochs, s->batch, s->clusters,
            s->growth, o->learning_rate, s->seed);
  fprintf(out, ",\"seconds\":%.1f}\n", k->seconds);
}

static int put_all(FILE *out, const clip *k) {
  fputs("{\"stages\":[", out);
  for (int s = 0; s < stages_of(k); s++) {
    fprintf(out, "%s\n  {\"stage\":%d,", s ? "," : "", s);
    if (put_shares(out, k, s) < 0) return -1;
    if (k->train) {
      fputc(',', out);
      experiment_stage_json(&k->report[s], mcl_dataset_rows(k->train), out);
    }
    fputc('}', out);
  }
  fputs("],\n \"integrated\":{", out);
  if (put_shares(out, k, PAIR_INTEGRATED) < 0) return -1;
  fputs("},\n \"equal_weights\":{", out);
  if (put_shares(out, k, PAIR_PLAIN) < 0) return -1;
  fputs("},\n", out);
  put_settings(out, k);
  return 0;
}

int clip_write(const clip *k) {
  if (!k->o->shared.json) return 0;
  FILE *out = json_open(k->o->shared.json);
  if (!out) return -1;
  if (put_all(out, k) == 0) return json_close(out);
  fclose(out);
  return -1;
}
