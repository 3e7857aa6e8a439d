#include "discover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *path_in(const options *o, const char *name) {
  size_t n = strlen(o->out) + strlen(name) + 2;
  char *path = malloc(n);
  if (path) snprintf(path, n, "%s/%s", o->out, name);
  return path;
}

// The folder of the report and those below it; parents too.
static int make_folders(const options *o) {
  static const char *const names[] = {"", "checkpoint", "pictures"};
  for (int i = 0; i < 3; i++) {
    char *path = path_in(o, names[i]);
    if (!path) return out_of_memory();
    for (char *p = path + 1; *p; p++)
      if (*p == '/') *p = 0, mkdir(path, 0777), *p = '/';
    mkdir(path, 0777);
    struct stat st;
    int bad = stat(path, &st) != 0 || !S_ISDIR(st.st_mode);
    char text[200];
    snprintf(text, sizeof text, "cannot make the folder %s", path);
    free(path);
    if (bad) return mcl_error_set(&err, MCL_E_IO, 0, text);
  }
  return 0;
}

static void say(void *user, int32_t level, const char *component, const char *message) {
  (void)user, (void)level;
  fprintf(stderr, "%s: %s\n", component, message);
}

static int discover(run *r) {
  table t = {0};
  char text[1000];
  mcl_context_options c;
  mcl_context_options_init(&c, sizeof c);
  c.threads = (uint32_t)r->o->threads;
  c.log = say;
  TRY(mcl_context_create(&c, &r->context, &err));
  if (make_folders(r->o) < 0 || data_open(&r->data, r->context, r->o) < 0) return -1;
  if (r->data.skipped)
    fprintf(stderr, "%lld of %lld files could not be read and were left out\n",
            (long long)r->data.skipped, (long long)r->data.files);
  if (train_stages(r) < 0) return -1;
  if (r->o->controls && train_controls(r) < 0) return -1;
  if (probe_all(r, &t) < 0) return -1;
  progress_say("writing the report");
  if (write_embeddings(r) < 0 || write_labels(r) < 0 || write_html(r, &t) < 0 ||
      write_json(r, &t) < 0)
    return -1;
  print_table(r, &t);
  print_advice(r);
  verdict(r, &t, text, sizeof text);
  printf("%s\n\n%.0f seconds. The report is %s/report.html\n", text, now() - r->began, r->o->out);
  return 0;
}

int main(int argc, char **argv) {
  options o;
  run r;
  int code = options_parse(&o, argc, argv);
  if (code) return code - 1;
  memset(&r, 0, sizeof r);
  r.o = &o;
  r.began = now();
  progress_begin();
  code = discover(&r);
  if (code < 0 && err.status == MCL_E_CANCELLED)
    fprintf(stderr, "\ndiscover: stopped; --resume goes on from here\n");
  else if (code < 0)
    fprintf(stderr, "discover: %s\n", err.message);
  for (int s = 0; s < MAX_STAGES; s++) free(r.labels[0][s]), free(r.labels[1][s]);
  representation *const all[] = {&r.integrated, &r.ensemble, &r.shuffled, &r.untrained, &r.pixels};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) representation_free(all[i]);
  mcl_encoder_unref(r.first_encoder);
  mcl_multistage_unref(r.loop);
  mcl_augmenter_unref(r.augmenter);
  data_close(&r.data);
  mcl_context_unref(r.context);
  return code < 0 ? err.status == MCL_E_CANCELLED ? 130 : 1 : 0;
}
