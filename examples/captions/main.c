#include "captions.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int fail(mcl_status status, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  mcl_error_set(&err, status, 0, text);
  return -1;
}

// ---- the controls ------------------------------------------------------------------------------

static int run_stages(mcl_context *c, const options *o, const world *w, outcome *f) {
  training t = {.context = c, .o = o, .w = w, .seed = (uint64_t)o->shared.seed};
  mcl_integrator *g = NULL;
  int s = train(&t, f->stages);
  if (s == 0) s = mcl_multistage_integrator(t.loop, &g, &err);
  if (s == 0) s = judge_stages(&t, g, f);
  for (int i = 0; s == 0 && i < f->stages; i++) s = judge_clusters(&t, i, i, f);
  mcl_integrator_unref(g);
  training_end(&t);
  return s;
}

// One member of the ensemble: into `all`, and its stage of the outcome.
static int add_member(training *t, int member, mcl_integrator *all, outcome *f) {
  int s = train(t, 1);
  if (s == 0) s = judge_clusters(t, 0, member, f);
  if (s == 0) s = mcl_integrator_add_stage(all, t->last, 0, 1, &err);
  training_end(t);
  return s;
}

// The first member has the seed of the run, and so is its stage 0; the others' are far from those a
// user would try next.
static int run_ensemble(mcl_context *c, const options *o, const world *w, outcome *f) {
  training t = {.context = c, .o = o, .w = w};
  mcl_integrator *all = NULL;
  int s = mcl_integrator_create(c, NULL, &all, &err);
  for (int i = 0; s == 0 && i < f->stages; i++) {
    t.seed = (uint64_t)o->shared.seed + 1000003u * (unsigned)i;
    s = add_member(&t, i, all, f);
  }
  if (s == 0) s = judge_stages(&t, all, f);
  mcl_integrator_unref(all);
  return s;
}

// ---- the program -------------------------------------------------------------------------------

static int run(mcl_context *c, const options *o, const world *w) {
  outcome f;
  const double began = now();
  memset(&f, 0, sizeof f);
  f.stages = (int)o->shared.stages;
  int s = (o->shared.control ? run_ensemble : run_stages)(c, o, w, &f);
  if (s < 0) return s;
  f.seconds = now() - began;
  outcome_print(o, w, &f);
  return outcome_write(o, w, &f);
}

// Where the pairs of a folder go, malloc'ed: pairs.tsv beside the JSON.
static char *pairs_path(const options *o) {
  static const char name[] = "pairs.tsv";
  const char *json = o->shared.json ? o->shared.json : "", *slash = strrchr(json, '/');
  const size_t beside = slash ? (size_t)(slash - json) + 1 : 0;
  char *path = malloc(o->write ? strlen(o->write) + 1 : beside + sizeof name);
  if (!path) return NULL;
  if (o->write) return strcpy(path, o->write);
  memcpy(path, json, beside);
  memcpy(path + beside, name, sizeof name);
  return path;
}

static int open_world(mcl_context *c, const options *o, world *w) {
  if (o->pairs) return world_make(c, o, o->pairs, w);
  char *path = pairs_path(o);
  int s = path ? folder_write(o->folder, path, o->files) : out_of_memory();
  if (s == 0) s = world_make(c, o, path, w);
  free(path);
  return s;
}

int main(int argc, char **argv) {
  options o;
  world w = {0};
  int code = options_parse(&o, argc, argv);
  if (code) return code - 1;
  mcl_context_options co;
  mcl_context *c = NULL;
  mcl_context_options_init(&co, sizeof co);
  co.threads = (uint32_t)o.shared.threads;
  int s = mcl_context_create(&co, &c, &err);
  if (s == 0) s = open_world(c, &o, &w);
  if (s == 0) s = run(c, &o, &w);
  if (s < 0) fprintf(stderr, "captions: %s\n", err.message);
  world_free(&w);
  mcl_context_unref(c);
  return s < 0;
}
