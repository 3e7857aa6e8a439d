#include "clip.h"

#include <stdlib.h>
#include <string.h>

// ---- its files -----------------------------------------------------------------------------------------

static int axis(const mcl_checkpoint *file, const char *name, int at, int64_t *out) {
  mcl_array a;
  TRY(mcl_checkpoint_shape(file, name, &a, &err));
  *out = a.shape[at];
  return 0;
}

static int32_t count_blocks(const mcl_checkpoint *file) {
  mcl_error none;
  mcl_array a;
  for (int32_t n = 0;; n++) {
    char name[80];
    snprintf(name, sizeof name, "visual.transformer.resblocks.%d.ln_1.weight", (int)n);
    if (mcl_checkpoint_shape(file, name, &a, &none) < 0) return n;
  }
}

// Sizes of a file that mcl_encoder_create_clip() has read, so they fit each other.
static int measure(clip *k, const mcl_checkpoint *file) {
  int64_t patch, places, vocabulary, tokens, grid = 1;
  if (axis(file, "visual.conv1.weight", 2, &patch) < 0 ||
      axis(file, "visual.positional_embedding", 0, &places) < 0 ||
      axis(file, "token_embedding.weight", 0, &vocabulary) < 0 ||
      axis(file, "positional_embedding", 0, &tokens) < 0)
    return -1;
  while (grid * grid < places - 1) grid++;
  k->side = (int32_t)(grid * patch);
  k->vocabulary = (int32_t)vocabulary, k->tokens = (int32_t)tokens;
  k->blocks = count_blocks(file);
  return 0;
}

// With its text tower frozen, and of its image tower all but the last blocks.
static mcl_status make_clip(void *user, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  const clip *k = user;
  mcl_clip_options o;
  (void)seed; // every stage begins from the file's weights
  mcl_clip_options_init(&o, sizeof o);
  o.gelu = k->o->gelu ? MCL_GELU : MCL_GELU_QUICK;
  o.locked = 2;
  if (k->blocks)
    o.trained_image_blocks = k->o->blocks < k->blocks ? (int32_t)k->o->blocks : k->blocks;
  return mcl_encoder_create_clip(k->context, &o, k->o->clip, out, e);
}

static int open_model(clip *k) {
  mcl_checkpoint *file = NULL;
  TRY(make_clip(k, 0, &k->encoder, &err));
  TRY(mcl_checkpoint_open(k->context, k->o->clip, &file, &err));
  int s = measure(k, file);
  mcl_checkpoint_unref(file);
  return s;
}

static int open_tokenizer(clip *k) {
  mcl_tokenizer_options o;
  char text[200];
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = k->tokens;
  TRY(mcl_tokenizer_load(k->context, &o, k->o->vocab, k->o->merges, &k->tokenizer, &err));
  if (mcl_tokenizer_vocabulary(k->tokenizer) == k->vocabulary) return 0;
  snprintf(text, sizeof text, "--vocab has %d tokens, and the text tower of --clip %d",
           (int)mcl_tokenizer_vocabulary(k->tokenizer), (int)k->vocabulary);
  return mcl_error_set(&err, MCL_E_MISMATCH, 0, text);
}

static void set_images(const clip *k, mcl_folder_options *f, mcl_image_options *i,
                       mcl_pairs_options *p) {
  mcl_image_options_init(i, sizeof *i);
  mcl_folder_options_init(f, sizeof *f);
  mcl_pairs_options_init(p, sizeof *p);
  i->fit = MCL_FIT_CROP;
  f->image = i;
  f->height = f->width = k->side;
  p->images = f;
}

static int read_categories(clip *k) {
  mcl_dataset_report report;
  mcl_struct_init(&report, sizeof report);
  TRY(mcl_dataset_get_report(k->questions, &report, &err));
  k->categories = (int32_t)report.classes;
  if (!k->categories) return 0;
  int32_t *of_rows = malloc((size_t)(2 * k->pairs) * sizeof *of_rows);
  k->category = malloc((size_t)k->pairs * sizeof *k->category);
  int s = of_rows && k->category ? 0 : out_of_memory();
  if (s == 0) s = mcl_dataset_labels(k->questions, of_rows, 2 * k->pairs, &err);
  for (int64_t i = 0; s == 0 && i < k->pairs; i++) k->category[i] = of_rows[2 * i];
  free(of_rows);
  return s;
}

static int open_rows(clip *k) {
  mcl_folder_options f;
  mcl_image_options i;
  mcl_pairs_options p;
  set_images(k, &f, &i, &p);
  TRY(mcl_dataset_create_questions(k->context, k->o->mmvp, k->tokenizer, &p, NULL, &k->questions,
                                   &err));
  k->pairs = mcl_dataset_rows(k->questions) / 2;
  if (read_categories(k) < 0) return -1;
  if (!k->o->pairs) return 0;
  p.heading = k->o->heading;
  return mcl_dataset_create_pairs(k->context, k->o->pairs, k->tokenizer, &p, NULL, &k->train, &err);
}

// ---- what it answers -----------------------------------------------------------------------------------

static int representations(const clip *k) {
  return (k->train ? (int)k->o->shared.stages : 1) + 2;
}

mcl_probe_result *clip_told(const clip *k, int of, int way) {
  const int at = of < 0 ? representations(k) + of : of; // PAIR_... are -2 and -1
  return k->told + (at * WAYS + way) * (1 + k->categories);
}

static int make_room(clip *k) {
  const int n = representations(k) * WAYS * (1 + k->categories);
  k->told = malloc((size_t)n * sizeof *k->told);
  if (!k->told) return out_of_memory();
  for (int i = 0; i < n; i++) mcl_struct_init(&k->told[i], sizeof k->told[i]);
  return 0;
}

static int judge_pairs(void *user, int of, float *const z[2], int32_t total, int32_t first,
                       int32_t dim) {
  clip *k = user;
  mcl_array side[2];
  for (int m = 0; m < 2; m++) {
    side[m] = mcl_matrix_f32(z[m] + first, 2 * k->pairs, dim);
    side[m].strides[0] = total;
  }
  for (int way = 0; way < WAYS; way++)
    TRY(mcl_probe_pairs(k->context, NULL, &side[way == CAPTION_ASKS], &side[way == IMAGE_ASKS],
                        k->category, clip_told(k, of, way), k->categories, &err));
  return 0;
}

static int keep_report(void *user, mcl_multistage *loop, int32_t from, int to) {
  clip *k = user;
  mcl_struct_init(&k->report[to], sizeof k->report[to]);
  return mcl_multistage_get_report(loop, from, k->o->sides == SIDES_TEXT ? 1 : 0, &k->report[to],
                                   &err);
}

// ---- the stages ----------------------------------------------------------------------------------------

// CLIP's only augmentation is a square crop. Captions speak of left and right, and of colours.
static void set_views(mcl_augmenter_options *v) {
  mcl_augmenter_options_init(v, sizeof *v);
  v->crop_area_min = 0.8, v->crop_aspect_max = 1;
  v->flip = v->jitter = v->grey = v->blur = 0;
}

static int judge_alone(clip *k, const pair_experiment *x) {
  mcl_integrator *g = NULL;
  int s = mcl_integrator_create(k->context, NULL, &g, &err);
  if (s == 0) s = mcl_integrator_add_stage(g, k->encoder, 0, 1, &err);
  if (s == 0) s = pair_judge(x, g);
  mcl_integrator_unref(g);
  return s;
}

static int run_stages(clip *k) {
  const options *o = k->o;
  pair_experiment x = {.context = k->context,
                       .o = &o->shared,
                       .sides = o->sides,
                       .ensemble = o->shared.control == ENSEMBLE,
                       .train = k->train,
                       .test = k->questions,
                       .schedule = MCL_SCHEDULE_COSINE,
                       .trained_stages = 1,
                       .chunk_rows = o->chunk,
                       .learning_rate = o->learning_rate,
                       .user = k,
                       .make = make_clip,
                       .judge = judge_pairs,
                       .judge_clusters = keep_report};
  set_views(&x.views);
  return k->train ? pair_run(&x) : judge_alone(k, &x);
}

static void close_all(clip *k) {
  mcl_encoder_unref(k->encoder);
  mcl_tokenizer_unref(k->tokenizer);
  mcl_dataset_unref(k->questions);
  mcl_dataset_unref(k->train);
  free(k->category), free(k->told);
}

int clip_run(mcl_context *c, const options *o) {
  clip k = {.context = c, .o = o};
  const double began = now();
  int s = open_model(&k);
  if (s == 0) s = open_tokenizer(&k);
  if (s == 0) s = open_rows(&k);
  if (s == 0) s = make_room(&k);
  if (s == 0) s = run_stages(&k);
  k.seconds = now() - began;
  if (s == 0) s = clip_print(&k);
  if (s == 0) s = clip_write(&k);
  close_all(&k);
  return s;
}
