// Integrators, probes, and the multistage loop, pulled and driven.
#include <string.h>

#include "fuzz/api/world.h"

// ---- integrators --------------------------------------------------------------------------------

static void make_integrator(world *w) {
  mcl_integrator *i = NULL;
  mcl_integrator_options o;
  mcl_integrator_options_init(&o, sizeof o);
  if (wild(w)) o.flags = (uint32_t)fuzz_size(w->in);
  if (!TRY(mcl_integrator_create(w->context, GIVE(w, o), &i, &w->err))) return;
  int at = slot(w);
  mcl_integrator_unref(w->integrators[at]);
  w->integrators[at] = i;
}

static void add_stage(world *w) {
  mcl_integrator *i = PICK(w, integrators);
  mcl_encoder *e = fuzz_below(w->in, 2) ? w->learners[slot(w)].encoder : NULL;
  if (!i && w->legal) return;
  int32_t dim = e && fuzz_below(w->in, 2) ? 0 : (int32_t)draw(w, 1, 5);
  if (mcl_integrator_stages(i) >= 5 || (w->legal && e)) dim = 0;
  if (mcl_integrator_stages(i) >= 5 || (w->legal && !e && !dim)) return;
  TRY(mcl_integrator_add_stage(i, e, dim, draw_real(w, .5, 2), &w->err));
}

static void weigh(world *w) {
  mcl_integrator *i = PICK(w, integrators);
  double weight;
  int32_t stage = (int32_t)draw(w, 0, 4), first, dim;
  if (!i && w->legal) return;
  TRY(mcl_integrator_set_weight(i, stage, draw_real(w, .1, 3), &w->err));
  TRY(mcl_integrator_get_weight(i, stage, &weight, &w->err));
  TRY(mcl_integrator_stage_range(i, stage, &first, wild(w) ? NULL : &dim, &w->err));
  if (fuzz_below(w->in, 2)) TRY(mcl_integrator_set_growth(i, draw_real(w, .5, 3), &w->err));
}

static void fit_weights(world *w) {
  mcl_integrator *i = PICK(w, integrators);
  mcl_weights_options o;
  mcl_weights_report r;
  mcl_weights_options_init(&o, sizeof o);
  mcl_struct_init(&r, sizeof r);
  if (!i && w->legal) return;
  o.method = (int32_t)draw(w, 1, 2), o.max_iterations = 1 + (int32_t)fuzz_below(w->in, 20);
  o.neighbours = (int32_t)draw(w, 1, 5), o.penalty = draw_real(w, 0, .1);
  int64_t n = 4 + fuzz_below(w->in, MOST_ROWS - 4), dim = mcl_integrator_dim(i);
  if (n * dim > POOL || dim < 1) return;
  mcl_array rows = some_matrix(w, n, dim);
  int32_t labels[MOST_ROWS];
  for (int64_t k = 0; k < n; k++) labels[k] = (int32_t)(k % 2);
  if (wild(w)) labels[0] = (int32_t)fuzz_size(w->in);
  TRY(mcl_integrator_fit_weights(i, &o, &rows, labels, NULL, &r, &w->err));
}

static void embed(world *w) {
  mcl_integrator *i = PICK(w, integrators);
  const learner *l = &w->learners[slot(w)];
  int64_t n = fuzz_below(w->in, 5), shape[4] = {n, l->shape[0], l->shape[1], l->shape[2]};
  mcl_inputs in;
  if (!i || !l->encoder || l->vocabulary || n * mcl_integrator_dim(i) > POOL) return;
  mcl_array data = some_floats(w, 1 + l->ndim, shape), out = some_room(w, n, mcl_integrator_dim(i));
  mcl_struct_init(&in, sizeof in);
  in.data = &data, in.n = n, in.view = -1;
  // The stages' encoders may read other rows, tokens for instance.
  may(w, mcl_integrator_embed(i, &in, &out, &w->err));
}

static void concat(world *w) {
  mcl_integrator *i = PICK(w, integrators);
  mcl_array stages[8];
  mcl_rows rows[8];
  int64_t n = 1 + fuzz_below(w->in, 6);
  int32_t count = mcl_integrator_stages(i);
  if (!i || count > 8 || n * mcl_integrator_dim(i) > POOL) return;
  for (int32_t s = 0; s < count; s++) {
    int32_t first, dim;
    if (!TRY(mcl_integrator_stage_range(i, s, &first, &dim, &w->err))) return;
    stages[s] = some_matrix(w, n, dim);
    mcl_struct_init(&rows[s], sizeof rows[s]);
    rows[s].array = &stages[s];
  }
  mcl_array out = some_room(w, n, mcl_integrator_dim(i));
  TRY(mcl_integrator_concat(i, stages, wild(w) ? count - 1 : count, &out, &w->err));
  TRY(mcl_integrator_concat_rows(i, rows, count, 0, n, &out, &w->err));
}

static void view(world *w) {
  mcl_integrator *i = PICK(w, integrators), *v = NULL;
  mcl_encoder *head = fuzz_below(w->in, 2) ? w->learners[slot(w)].encoder : NULL, *e = NULL;
  int32_t count = mcl_integrator_stages(i), stages[2] = {0, count - 1};
  if (w->legal && (!i || count < 2)) return;
  if (wild(w)) stages[1] = (int32_t)fuzz_size(w->in);
  if (fuzz_below(w->in, 2)) {
    if (!TRY(mcl_integrator_view(i, stages, 1 + (int32_t)fuzz_below(w->in, 2), &v, &w->err)))
      return;
    int at = slot(w);
    mcl_integrator_unref(w->integrators[at]);
    w->integrators[at] = v;
  } else if (TRY(mcl_integrator_encoder(i, head, &e, &w->err))) {
    int at = slot(w);
    mcl_encoder_unref(w->learners[at].encoder);
    w->learners[at] = (learner){e, {4, 1, 1}, 1, 0};
  }
}

static void keep(world *w) {
  mcl_integrator *i = PICK(w, integrators);
  if (!i && w->legal) return;
  if (fuzz_below(w->in, 2))
    TRY(mcl_integrator_save(i, some_path(w, ".stages"), &w->err));
  else
    TRY(mcl_integrator_load(i, some_path(w, ".stages"), &w->err));
}

// ---- probes -------------------------------------------------------------------------------------

static void probe(world *w) {
  int64_t n = 2 + fuzz_below(w->in, MOST_ROWS - 2), m = 1 + fuzz_below(w->in, n),
          dim = 1 + fuzz_below(w->in, 5);
  mcl_array z = some_matrix(w, n, dim), t = some_matrix(w, m, dim);
  const int32_t *y = some_labels(w, n, 3), *ty = some_labels(w, m, 3);
  mcl_probe_options o;
  mcl_probe_result r;
  mcl_rows zr, tr;
  mcl_probe_options_init(&o, sizeof o);
  mcl_struct_init(&r, sizeof r);
  mcl_struct_init(&zr, sizeof zr);
  mcl_struct_init(&tr, sizeof tr);
  zr.array = &z, tr.array = &t;
  o.max_iterations = 1 + (int32_t)fuzz_below(w->in, 20), o.neighbours = (int32_t)draw(w, 1, 5);
  o.l2 = draw_real(w, 0, 1), o.confidence = draw_real(w, .5, .9);
  const mcl_probe_options *given = GIVE(w, o);
  if (given && given->struct_size < sizeof o) given = &o; // 2000 iterations
  mcl_context *c = w->context;
  switch (fuzz_below(w->in, 4)) {
  case 0:
    TRY(mcl_probe_linear(c, given, &z, y, &t, ty, NULL, &r, &w->err));
    break;
  case 1:
    TRY(mcl_probe_linear_rows(c, given, &zr, y, &tr, ty, NULL, &r, &w->err));
    break;
  case 2:
    TRY(mcl_probe_knn(c, given, &z, y, &t, ty, NULL, &r, &w->err));
    break;
  default:
    TRY(mcl_probe_knn_rows(c, given, &zr, y, &tr, ty, NULL, &r, &w->err));
  }
}

// INVALID is a matter of what was drawn here: a query whose group the gallery lacks, a label without a prompt.
static void probe_pairs(world *w) {
  int64_t n = 1 + fuzz_below(w->in, MOST_ROWS / 2), dim = 1 + fuzz_below(w->in, 5), got;
  mcl_array a = some_matrix(w, 2 * n, dim), b = some_matrix(w, 2 * n, dim);
  const int64_t *groups = some_rows(w, 2 * n, 2 * n), *of = some_rows(w, 2 * n, 2 * n);
  const int32_t *y = some_labels(w, 2 * n, 3), *ty = some_labels(w, 2 * n, 3);
  int64_t pairs[16];
  double x, u, v;
  mcl_probe_result r[4];
  mcl_rows ar, br;
  for (int i = 0; i < 4; i++) mcl_struct_init(&r[i], sizeof r[i]);
  mcl_struct_init(&ar, sizeof ar);
  mcl_struct_init(&br, sizeof br);
  ar.array = &a, br.array = &b;
  mcl_context *c = w->context;
  mcl_error *e = &w->err;
  int32_t k = (int32_t)draw(w, 1, 3);
  switch (fuzz_below(w->in, 10)) {
  case 0:
    may(w, mcl_probe_recall(c, NULL, &a, &b, of, k, r, e));
    break;
  case 1:
    may(w, mcl_probe_recall_rows(c, NULL, &ar, &br, of, k, r, e));
    break;
  case 2:
    may(w, mcl_probe_retrieval(c, NULL, &a, groups, &b, of, k, r, e));
    break;
  case 3:
    may(w, mcl_probe_retrieval_rows(c, NULL, &ar, groups, &br, of, k, r, e));
    break;
  case 4:
    may(w, mcl_probe_zero_shot(c, NULL, &a, y, &b, ty, r, e));
    break;
  case 5:
    may(w, mcl_probe_zero_shot_rows(c, NULL, &a, y, &br, ty, r, e));
    break;
  case 6:
    may(w, mcl_probe_pairs(c, NULL, &a, &b, some_labels(w, n, 3), r, wild(w) ? 1 : 3, e));
    break;
  case 7:
    TRY(mcl_probe_blind_pairs(c, &a, &b, draw_real(w, -.9, 1), pairs, 8, &got, e));
    break;
  case 8:
    TRY(mcl_probe_agreement(c, y, ty, 2 * n, &x, &u, wild(w) ? NULL : &v, e));
    break;
  default:
    TRY(mcl_probe_alignment_uniformity(c, &a, &b, &x, &u, e));
  }
}

// ---- the loop -----------------------------------------------------------------------------------

static void make_loop(world *w) {
  mcl_multistage *l = NULL;
  mcl_multistage_options o;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_loss_options loss;
  mcl_multistage_options_init(&o, sizeof o);
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_loss_options_init(&loss, sizeof loss);
  k.k = (int32_t)draw(w, 1, 3), k.restarts = 1;
  s.batch_rows = draw(w, 4, 12), s.batching = (int32_t)draw(w, 1, 2),
  s.min_cell_rows = draw(w, 1, 3);
  o.kmeans = &k, o.sampler = &s, o.loss = &loss;
  o.seed = fuzz_bits(w->in, 1), o.stages = (int32_t)draw(w, 1, 3),
  o.epochs = (int32_t)draw(w, 1, 2);
  o.schedule = (int32_t)draw(w, 1, 3), o.loss_kind = (int32_t)draw(w, 1, 2);
  o.chunk_rows = draw(w, 0, 1) ? draw(w, 0, 5) : 0, o.warm_up = draw_real(w, 0, .5);
  o.trained_stages = (int32_t)draw(w, 0, 1), o.initial = (int32_t)draw(w, 0, 1);
  o.growth = draw_real(w, 1, 2);
  if (fuzz_chance(w->in, 4)) o.save_directory = some_path(w, ".run");
  if (o.save_directory) o.save_every_steps = draw(w, 0, 2);
  if (fuzz_chance(w->in, 6)) o.embedding_directory = fuzz_path("embeddings");
  if (o.embedding_directory && !o.save_directory) o.embedding_directory = NULL;
  if (!w->legal && (o.epochs > 3 || o.stages > 4 || o.stages == 0)) return; // legal too, and long
  mcl_comm *comm = fuzz_chance(w->in, 4) ? w->comms[slot(w)] : NULL;
  int64_t rows = draw(w, 3, MOST_ROWS);
  const mcl_multistage_options *given = GIVE(w, o);
  if (!given || given->struct_size < sizeof o) return;
  if (!TRY(mcl_multistage_create(w->context, given, rows, comm, &l, &w->err))) return;
  int at = slot(w);
  mcl_multistage_unref(w->loops[at]);
  w->loops[at] = l, w->loop_rows[at] = rows;
}

// Some events, each carried out or not.
static void pull(world *w) {
  static int64_t indices[4096], cells[4096];
  int at = slot(w), failures = 0;
  mcl_multistage *l = w->loops[at];
  mcl_event e;
  mcl_batch b;
  if (!l || mcl_multistage_batch_capacity(l) > 4096) return;
  int64_t dim = 1 + fuzz_below(w->in, 4);
  for (int64_t i = 0; i < 40 && failures < 3; i++) {
    mcl_struct_init(&e, sizeof e);
    mcl_struct_init(&b, sizeof b);
    b.indices = indices, b.cells = cells, b.capacity = 4096;
    // NOT_FOUND, STATE and more: rows that were not put, a loop that run() has begun.
    if (!may(w, mcl_multistage_next(l, NULL, &e, &b, &w->err))) {
      failures++;
      continue;
    }
    if (e.kind == MCL_DONE) return;
    if (e.kind != MCL_EMBED_ROWS || wild(w)) continue;
    mcl_array z = some_matrix(w, b.n, dim);
    may(w, mcl_multistage_put_embeddings(l, e.modality, indices, b.n, &z, &w->err));
  }
}

static void ask_loop(world *w) {
  static int32_t labels[4096];
  int at = slot(w);
  mcl_multistage *l = wild(w) ? NULL : w->loops[at];
  int64_t n = w->loop_rows[at];
  mcl_stage_report r;
  mcl_sampler *s = NULL;
  mcl_integrator *i = NULL;
  int32_t stage = (int32_t)draw(w, 0, 2);
  if (!l && w->legal) return;
  mcl_struct_init(&r, sizeof r);
  if (TRY(mcl_multistage_get_report(l, stage, 0, &r, &w->err)) && !mcl_advice_text(r.advice)[0])
    fuzz_fail("advice without a word");
  if (n <= 4096) TRY(mcl_multistage_labels(l, stage, 0, labels, n, &w->err));
  if (TRY(mcl_multistage_sampler(l, &s, &w->err))) mcl_sampler_unref(s);
  if (TRY(mcl_multistage_integrator(l, &i, &w->err))) mcl_integrator_unref(i);
  switch (fuzz_below(w->in, 4)) {
  case 0:
    TRY(mcl_multistage_seek(l, stage, (int32_t)draw(w, 0, 1), draw(w, 0, 1), &w->err));
    break;
  case 1:
    TRY(mcl_multistage_save(l, some_path(w, ".run"), &w->err));
    break;
  case 2:
    TRY(mcl_multistage_resume(l, some_path(w, ".run"), &w->err));
    break;
  default:
    if (n <= MOST_ROWS) may(w, mcl_multistage_put_labels(l, 0, some_labels(w, n, 2), n, &w->err));
  }
}

// The factory makes a small network for whatever the dataset's rows are.
typedef struct factory {
  world *w;
  int64_t numbers;
  int destroyed;
} factory;

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *err) {
  factory *f = user;
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = f->numbers, o.hidden = 6, o.layers = 1, o.dim = 4, o.projection_dim = 0;
  o.seed = mcl_multistage_seed(1, stage);
  return mcl_encoder_create_mlp(f->w->context, &o, out, err);
}
static void destroy(void *user) {
  ((factory *)user)->destroyed++;
}

static void run(world *w) {
  int at = slot(w);
  mcl_multistage *l = w->loops[at];
  mcl_dataset *d = wild(w) ? NULL : w->datasets[slot(w)], *cut = NULL;
  mcl_augmenter *a = fuzz_below(w->in, 2) ? w->augmenters[slot(w)] : NULL;
  mcl_array row;
  if (!l || !d || w->loop_rows[at] > MOST_ROWS) return;
  if (!TRY(mcl_dataset_shape(d, 0, &row, &w->err)) || row.ndim == 0) return;
  if (row.ndim != 3) a = NULL;
  if (w->legal && a)
    a = NULL; // rows of another size than the encoder's, where the augmenter resizes
  factory f = {w, 1, 0};
  for (int32_t i = 0; i < row.ndim; i++) f.numbers *= row.shape[i];
  // As many rows as the loop has, so that something is trained.
  const int64_t *rows = some_rows(w, w->loop_rows[at], mcl_dataset_rows(d));
  if (!TRY(mcl_dataset_create_subset(w->context, d, rows, w->loop_rows[at], &cut, &w->err))) return;
  mcl_encoder_factory made;
  mcl_struct_init(&made, sizeof made);
  made.user = &f, made.make = make, made.destroy = destroy;
  // INVALID: two modalities without a text encoder, an augmenter of more channels than the images have.
  may(w, mcl_multistage_run(l, cut, a, &made, NULL, &w->err));
  if (f.destroyed != 1) fuzz_fail("a factory destroyed %d times", f.destroyed);
  mcl_dataset_unref(cut);
}

const operation loop_operations[] = {{"integrator", make_integrator},
                                     {"add stage", add_stage},
                                     {"weigh", weigh},
                                     {"fit weights", fit_weights},
                                     {"embed", embed},
                                     {"concat", concat},
                                     {"view", view},
                                     {"keep", keep},
                                     {"probe", probe},
                                     {"probe pairs", probe_pairs},
                                     {"loop", make_loop},
                                     {"pull", pull},
                                     {"ask loop", ask_loop},
                                     {"run", run},
                                     {NULL, NULL}};
