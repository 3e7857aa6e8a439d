// The trainings: the loop driven by libmcl, and the controls an honest table needs.
#include "experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const control_names[] = {"none", "ensemble", "shuffled", "untrained", "pixels", NULL};

// ---- one loop ------------------------------------------------------------------------------------------

typedef struct training {
  const experiment *x;
  uint64_t seed;
  int64_t *order; // of the shuffled control, else NULL
  watched *watched[MAX_STAGES];
  mcl_encoder *encoders[MAX_STAGES]; // as long as their `watched` is looked at
  mcl_multistage *loop;
} training;

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  training *t = user;
  mcl_status s =
      watched_create(t->x, mcl_multistage_seed(t->seed, stage), t->order, out, &t->watched[stage]);
  if (s < 0) {
    *e = err;
    return s;
  }
  t->encoders[stage] = mcl_encoder_ref(*out);
  return mcl_ok(e);
}

static int32_t say(void *user, const mcl_progress *p) {
  (void)user;
  static int32_t stage = -1, epoch = -1;
  if (p->epoch >= 0 && (p->stage != stage || p->epoch != epoch)) {
    stage = p->stage, epoch = p->epoch;
    fprintf(stderr, "  stage %d, epoch %d of %d steps: loss %.3f\n", stage, epoch, (int)p->total,
            p->loss);
  }
  return 0;
}

int experiment_train(mcl_context *c, mcl_multistage *loop, mcl_dataset *rows,
                     const mcl_augmenter_options *views, make_fn *factory, void *user) {
  mcl_augmenter *a = NULL;
  mcl_encoder_factory f;
  mcl_monitor m;
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&m, sizeof m);
  f.user = user;
  f.make = factory;
  m.progress = say;
  mcl_status s = mcl_augmenter_create(c, views, &a, &err);
  if (s == MCL_OK) s = mcl_multistage_run(loop, rows, a, &f, &m, &err);
  mcl_augmenter_unref(a);
  return s;
}

// Which row's clusters each row gets.
static int draw_order(training *t, int64_t rows) {
  uint64_t seed = t->seed * 2 + 1;
  t->order = malloc((size_t)rows * sizeof *t->order);
  if (!t->order) return out_of_memory();
  for (int64_t i = 0; i < rows; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    int64_t j = (int64_t)((seed >> 33) % (uint64_t)(i + 1));
    t->order[i] = t->order[j];
    t->order[j] = i;
  }
  return 0;
}

static void training_end(training *t) {
  for (int s = 0; s < MAX_STAGES; s++) mcl_encoder_unref(t->encoders[s]);
  mcl_multistage_unref(t->loop);
  free(t->order);
}

static int train(const experiment *x, training *t, int stages) {
  mcl_multistage_options o = x->loop;
  o.seed = t->seed;
  o.stages = stages;
  o.growth = 1; // weights come later, of all kinds
  mcl_status s =
      mcl_multistage_create(x->context, &o, mcl_dataset_rows(x->train), NULL, &t->loop, &err);
  if (s == MCL_OK) s = experiment_train(x->context, t->loop, x->train, &x->views, make, t);
  for (int i = 0; i < MAX_STAGES; i++)
    if (t->watched[i]) watched_tell_the_truth(t->watched[i]);
  return s;
}

// ---- what came out -------------------------------------------------------------------------------------

static int judge_clusters(const experiment *x, const training *t, int32_t stage, knowledge *k) {
  int64_t n = mcl_dataset_rows(x->train);
  int32_t *labels = malloc((size_t)n * sizeof *labels);
  if (!labels) return out_of_memory();
  mcl_status s = mcl_multistage_labels(t->loop, stage, 0, labels, n, &err);
  for (int a = 0; s == MCL_OK && a < x->n_attributes; a++)
    s = mcl_probe_agreement(x->context, labels, x->attributes[a].train, n, &k->nmi[a], NULL, NULL,
                            &err);
  free(labels);
  return s;
}

// Stage `from` of a training is stage `to` of the findings; its columns are those of `to`.
static int judge_stage(const experiment *x, const training *t, int from, const representation *r,
                       int to, findings *f) {
  knowledge *k = &f->stage[to];
  int32_t first = r->first[to], dim = r->first[to + 1] - first;
  if (probe_columns(x, r, first, dim, k) < 0) return -1;
  if (watched_accuracy(t->watched[from], &k->online) < 0) return -1;
  if (!t->order && judge_clusters(x, t, from, k) < 0) return -1;
  mcl_struct_init(&f->report[to], sizeof f->report[to]);
  return mcl_multistage_get_report(t->loop, from, 0, &f->report[to], &err);
}

// Weights change the neighbours only: the linear probe standardises every column.
static int judge_whole(const experiment *x, const representation *r, findings *f) {
  if (probe_columns(x, r, 0, r->dim, &f->plain) < 0) return -1;
  f->integrated = f->plain;
  if (r->stages == 1 || x->growth == 1) return 0;
  return probe_growth(x, r, x->growth, f->integrated.knn);
}

// ---- the controls --------------------------------------------------------------------------------------

static int run_stages(const experiment *x, findings *f) {
  training t = {.x = x, .seed = x->loop.seed};
  representation r = {0};
  mcl_integrator *g = NULL;
  int s = 0;
  f->stages = x->loop.stages;
  if (x->control == SHUFFLED) s = draw_order(&t, mcl_dataset_rows(x->train));
  if (s == 0) s = train(x, &t, f->stages);
  if (s == 0) s = mcl_multistage_integrator(t.loop, &g, &err);
  if (s == 0) s = represent(x, g, &r);
  for (int i = 0; s == 0 && i < f->stages; i++) s = judge_stage(x, &t, i, &r, i, f);
  if (s == 0) s = judge_whole(x, &r, f);
  if (s == 0 && x->control == STAGES && f->stages > 1) s = probe_curve(x, &r, f);
  if (s == 0 && x->control == STAGES && f->stages > 1) s = probe_fitted(x, &r, f);
  if (s == 0 && x->control == STAGES && x->head) s = head_learn(x, t.loop, g, f->stages, &f->head);
  mcl_integrator_unref(g);
  representation_free(&r);
  training_end(&t);
  return s;
}

static int run_ensemble(const experiment *x, findings *f) {
  training t[MAX_STAGES] = {{0}};
  representation r = {0};
  mcl_integrator *all = NULL;
  f->stages = x->loop.stages;
  mcl_status s = mcl_integrator_create(x->context, NULL, &all, &err);
  for (int i = 0; s == MCL_OK && i < f->stages; i++) {
    t[i] = (training){.x = x, .seed = ensemble_seed(x->loop.seed, i)};
    s = train(x, &t[i], 1);
    if (s == MCL_OK) s = mcl_integrator_add_stage(all, t[i].encoders[0], 0, 1, &err);
  }
  if (s == MCL_OK) s = represent(x, all, &r);
  for (int i = 0; s == MCL_OK && i < f->stages; i++) s = judge_stage(x, &t[i], 0, &r, i, f);
  if (s == MCL_OK) s = judge_whole(x, &r, f);
  mcl_integrator_unref(all);
  representation_free(&r);
  for (int i = 0; i < f->stages; i++) training_end(&t[i]);
  return s;
}

static int run_untrained(const experiment *x, findings *f) {
  mcl_encoder *e = NULL;
  mcl_integrator *g = NULL;
  representation r = {0};
  mcl_status s = experiment_network(x, mcl_multistage_seed(x->loop.seed, 0), &e, &err);
  if (s == MCL_OK) s = mcl_integrator_create(x->context, NULL, &g, &err);
  if (s == MCL_OK) s = mcl_integrator_add_stage(g, e, 0, 1, &err);
  if (s == MCL_OK) s = represent(x, g, &r);
  if (s == MCL_OK) s = judge_whole(x, &r, f);
  representation_free(&r);
  mcl_integrator_unref(g);
  mcl_encoder_unref(e);
  return s;
}

static int take_pixels(const experiment *x, findings *f) {
  representation r = {0};
  int s = represent_pixels(x, &r);
  if (s == 0) s = judge_whole(x, &r, f);
  representation_free(&r);
  return s;
}

static void know_nothing(knowledge *k) {
  for (int a = 0; a < MAX_ATTRIBUTES; a++) k->knn[a] = k->linear[a] = k->nmi[a] = NAN;
  k->online = NAN;
}

int experiment_run(const experiment *x, findings *f) {
  double began = now();
  memset(f, 0, sizeof *f);
  for (int s = 0; s < MAX_STAGES; s++) know_nothing(&f->stage[s]);
  know_nothing(&f->integrated), know_nothing(&f->plain), know_nothing(&f->head);
  for (int a = 0; a < MAX_ATTRIBUTES; a++) {
    f->fitted[a].knn = NAN;
    for (int g = 0; g < GROWTHS; g++) f->curve[g][a] = NAN;
  }
  int s = x->control == ENSEMBLE    ? run_ensemble(x, f)
          : x->control == UNTRAINED ? run_untrained(x, f)
          : x->control == PIXELS    ? take_pixels(x, f)
                                    : run_stages(x, f);
  f->seconds = now() - began;
  return s;
}
