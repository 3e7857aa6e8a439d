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

// ---- the program -------------------------------------------------------------------------------

// Crops alone: captions speak of colours, and of left and right.
static void set_views(mcl_augmenter_options *v) {
  mcl_augmenter_options_init(v, sizeof *v);
  v->crop_area_min = 0.6;
  v->flip = v->jitter = v->grey = v->blur = 0;
}

static int run_all(mcl_context *c, const options *o, const world *w) {
  run r = {.context = c, .o = o, .w = w};
  pair_experiment x = {.context = c,
                       .o = &o->shared,
                       .sides = o->sides,
                       .ensemble = o->shared.control != 0,
                       .train = w->train.joined,
                       .test = w->test.joined,
                       .schedule = MCL_SCHEDULE_LINEAR,
                       .user = &r,
                       .make = make_pair,
                       .judge = judge,
                       .judge_clusters = judge_clusters};
  const double began = now();
  set_views(&x.views);
  r.found.stages = (int)o->shared.stages;
  if (pair_run(&x) < 0) return -1;
  r.found.seconds = now() - began;
  outcome_print(o, w, &r.found);
  return outcome_write(o, w, &r.found);
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
  if (s == 0) s = run_all(c, &o, &w);
  if (s < 0) fprintf(stderr, "captions: %s\n", err.message);
  world_free(&w);
  mcl_context_unref(c);
  return s < 0;
}
