// A saved run, changed: its loop file, and the encoders beside it (tensors.h). It is resumed, and goes on to its end.
//
//   a refusal names the loop file, says that there is no run only where there is none, and changes nothing     (1)
//   labels are -1 or more, and the sampler of what is resumed has the rows of the loop                          (2)
//   what went on to its end is saved elsewhere and resumed from there: the same labels and reports              (3)
#include <libmcl/multistage.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/tensors.h"

const int fuzz_large = FUZZ_FINDING;

enum { ROWS = 12, SIDE = 2, INPUTS = SIDE * SIDE, DIM = 2, STAGES = 2, PATH = 512 };

// ---- the run ------------------------------------------------------------------------------------

static mcl_multistage *create(mcl_context *c, int32_t stages) {
  mcl_multistage_options o;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage *l = NULL;
  mcl_error err;
  mcl_multistage_options_init(&o, sizeof o);
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  k.k = 2, k.restarts = 1, k.max_iterations = 3;
  s.batch_rows = 4, s.min_cell_rows = 2;
  o.kmeans = &k, o.sampler = &s;
  o.stages = stages, o.epochs = 1;
  return fuzz_ok(mcl_multistage_create(c, &o, ROWS, NULL, &l, &err), &err) ? l : NULL;
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *err) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = (uint64_t)stage;
  o.inputs = INPUTS;
  o.hidden = 2, o.layers = 1, o.dim = DIM, o.projection_dim = DIM;
  return mcl_encoder_create_mlp(user, &o, out, err);
}

static mcl_dataset *dataset(mcl_context *c) {
  static uint8_t pixels[ROWS * INPUTS]; // of the host: kept
  mcl_array a = mcl_images_u8(pixels, ROWS, SIDE, SIDE, 1);
  mcl_dataset *d = NULL;
  mcl_error err;
  for (int i = 0; i < ROWS * INPUTS; i++) pixels[i] = (uint8_t)(i * 89 + i / 7);
  return fuzz_ok(mcl_dataset_create_array(c, &a, NULL, &d, &err), &err) ? d : NULL;
}

static mcl_status run(mcl_context *c, mcl_multistage *l, mcl_error *err) {
  mcl_augmenter_options o;
  mcl_augmenter *a = NULL;
  mcl_encoder_factory f;
  mcl_status s = MCL_E_NOMEM;
  mcl_dataset *d = dataset(c);
  mcl_augmenter_options_init(&o, sizeof o);
  mcl_struct_init(&f, sizeof f);
  f.user = c, f.make = make;
  if (d && fuzz_ok(mcl_augmenter_create(c, &o, &a, err), err))
    s = mcl_multistage_run(l, d, a, &f, NULL, err);
  if (!d) mcl_error_set(err, s, 0, "no dataset");
  mcl_augmenter_unref(a);
  mcl_dataset_unref(d);
  return s;
}

// A run of one stage, as it is saved: its loop file, and the file of its encoder.
static const uint8_t *good(int encoder, size_t *n) {
  static uint8_t *files[2];
  static size_t sizes[2];
  mcl_error err;
  mcl_context *c = NULL;
  if (!files[0]) {
    char folder[PATH];
    snprintf(folder, sizeof folder, "%s", fuzz_empty("good"));
    if (mcl_context_create(NULL, &c, &err) < 0) fuzz_fail("%s", err.message);
    mcl_multistage *l = create(c, 1);
    if (run(c, l, &err) < 0 || mcl_multistage_save(l, folder, &err) < 0)
      fuzz_fail("%s", err.message);
    mcl_multistage_unref(l);
    mcl_context_unref(c);
    files[0] = fuzz_get(fuzz_path("good/loop.safetensors"), &sizes[0]);
    files[1] = fuzz_get(fuzz_path("good/stage-0.safetensors"), &sizes[1]);
  }
  *n = sizes[encoder];
  return files[encoder];
}

// ---- what must hold -----------------------------------------------------------------------------

typedef struct outcome {
  int32_t labels[STAGES][ROWS];
  mcl_stage_report reports[STAGES];
  int stages;
} outcome;

static void look(const mcl_multistage *l, outcome *o) {
  mcl_error err;
  memset(o, 0, sizeof *o);
  for (; o->stages < STAGES; o->stages++) {
    int32_t *labels = o->labels[o->stages];
    mcl_stage_report *r = &o->reports[o->stages];
    mcl_struct_init(r, sizeof *r);
    if (!fuzz_ok(mcl_multistage_get_report(l, o->stages, 0, r, &err), &err)) return;
    if (!fuzz_ok(mcl_multistage_labels(l, o->stages, 0, labels, ROWS, &err), &err))
      fuzz_fail("a report without labels");
    for (int i = 0; i < ROWS; i++)
      if (labels[i] < -1) fuzz_fail("a label of %d", (int)labels[i]); // (2)
  }
}

// (1): the loop begins at its beginning.
static void check_untouched(const mcl_multistage *l, const mcl_error *why) {
  outcome o;
  if (why->status != MCL_E_FORMAT && why->status != MCL_E_MISMATCH && why->status != MCL_E_IO &&
      why->status != MCL_E_NOMEM)
    fuzz_fail("%s: %s", mcl_status_name(why->status), why->message);
  look(l, &o);
  if (o.stages) fuzz_fail("a failed resume has left a stage");
}

static void check_sampler(const mcl_multistage *l) {
  mcl_sampler *s = NULL;
  mcl_error err;
  if (fuzz_ok(mcl_multistage_sampler(l, &s, &err), &err) && mcl_sampler_steps(s) < 0)
    fuzz_fail("a sampler without rows");
  mcl_sampler_unref(s);
}

// (3)
static void save_again(mcl_context *c, const mcl_multistage *l) {
  mcl_error err;
  outcome x, y;
  char folder[PATH];
  snprintf(folder, sizeof folder, "%s", fuzz_empty("again"));
  mcl_multistage *again = create(c, STAGES);
  int done = again && fuzz_ok(mcl_multistage_save(l, folder, &err), &err) &&
             fuzz_ok(mcl_multistage_resume(again, folder, &err), &err);
  if (!done && !fuzz_memory_may_fail()) fuzz_fail("not saved and resumed: %s", err.message);
  if (done) {
    look(l, &x);
    look(again, &y);
    if (memcmp(&x, &y, sizeof x)) fuzz_fail("saved and resumed: another run");
  }
  mcl_multistage_unref(again);
}

static void check_integrator(const mcl_multistage *l) {
  mcl_integrator *g = NULL;
  mcl_error err;
  if (fuzz_ok(mcl_multistage_integrator(l, &g, &err), &err) &&
      mcl_integrator_dim(g) != STAGES * DIM)
    fuzz_fail("%d numbers a row", (int)mcl_integrator_dim(g));
  mcl_integrator_unref(g);
}

static void go_on(mcl_context *c, mcl_multistage *l) {
  mcl_error err;
  outcome before, after;
  look(l, &before);
  check_sampler(l);
  int done = fuzz_ok(run(c, l, &err), &err);
  look(l, &after);
  if (after.stages < before.stages ||
      memcmp(before.labels, after.labels, (size_t)before.stages * sizeof *before.labels))
    fuzz_fail("going on changes stages before");
  if (!done) return;
  if (after.stages != STAGES) fuzz_fail("at the end there are %d stages", after.stages);
  check_integrator(l);
  save_again(c, l);
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  // The encoder of the finished stage, and of one in training at three places.
  static const char *const encoders[] = {"stage-0", "stage-1-epoch-0-step-1",
                                         "stage-1-epoch-1-step-0", "stage-0-epoch-0-step-1"};
  fuzz_bytes b = {bytes, n};
  mcl_error err;
  char folder[PATH], name[96];
  size_t loop_size, encoder_size;
  const uint8_t *loop = good(0, &loop_size), *encoder = good(1, &encoder_size);
  snprintf(folder, sizeof folder, "%s", fuzz_empty("run"));
  const char *path = fuzz_put_tensors(&b, "run/loop.safetensors", loop, loop_size);
  mcl_multistage *l = create(context, STAGES);
  if (l && !fuzz_read(mcl_multistage_resume(l, folder, &err), &err, path)) {
    check_untouched(l, &err);
  } else if (l) {
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders; i++) {
      snprintf(name, sizeof name, "run/%s.safetensors", encoders[i]);
      if (!fuzz_chance(&b, 8)) fuzz_put_tensors(&b, name, encoder, encoder_size);
    }
    go_on(context, l);
  }
  mcl_multistage_unref(l);
}
