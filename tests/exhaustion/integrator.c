// Integrators of two stages and more.
#include "exhaustion/kinds.h"

#include <libmcl/rows.h>

enum { N = 24, STAGES = 2, WHOLE = STAGES * DIM };
static mcl_integrator *integrator, *made;
static mcl_encoder *encoders[STAGES], *other, *encoder;
static float z[STAGES][N * DIM], out[N * WHOLE];
static int32_t labels[N];
static mcl_array stages[STAGES];
static mcl_rows rows[STAGES];
static mcl_weights_report report;

static mcl_status add(mcl_encoder *e) {
  return mcl_integrator_add_stage(integrator, e, 0, 0.5, &err);
}

static mcl_status read_doubles(void *user, int64_t first, int64_t n, const mcl_array *to,
                               mcl_error *e) {
  for (int64_t i = 0; i < n * DIM; i++) ((double *)to->data)[i] = ((float *)user)[first * DIM + i];
  return mcl_ok(e);
}

static void start(void) {
  integrator = NULL, made = UNTOUCHED, encoder = UNTOUCHED;
  encoders[0] = encoders[1] = other = NULL;
  PATTERN(out), PATTERN(report);
  report.struct_size = sizeof report;
}

static void prepare(void) {
  start();
  CHECK_OK(mcl_integrator_create(c, NULL, &integrator, &err));
  for (int s = 0; s < STAGES; s++) {
    CHECK_OK(make_kind(MLP, (uint64_t)s + 1, &encoders[s]));
    CHECK_OK(add(encoders[s]));
    test_fill_normal(z[s], N * DIM, (uint64_t)s);
    stages[s] = mcl_matrix_f32(z[s], N, DIM);
    mcl_struct_init(&rows[s], sizeof rows[s]);
    rows[s].user = z[s], rows[s].rows = N, rows[s].dim = DIM, rows[s].dtype = MCL_F64;
    rows[s].read = read_doubles;
  }
  CHECK_OK(make_kind(MLP, 9, &other));
  for (int i = 0; i < N; i++) labels[i] = i % 3, z[1][i * DIM + i % 3] += 1;
}

static mcl_status create(void) {
  return mcl_integrator_create(c, NULL, &made, &err);
}
static mcl_status add_stage(void) {
  return add(other);
}
static mcl_status embed(void) {
  mcl_inputs i = inputs_of(MLP, 0, -1);
  mcl_array a = mcl_matrix_f32(out, ROWS, mcl_integrator_dim(integrator));
  return mcl_integrator_embed(integrator, &i, &a, &err);
}
static mcl_status concat(void) {
  mcl_array a = mcl_matrix_f32(out, N, WHOLE);
  return mcl_integrator_concat(integrator, stages, STAGES, &a, &err);
}
static mcl_status concat_rows(void) {
  mcl_array a = mcl_matrix_f32(out, N - 1, WHOLE);
  return mcl_integrator_concat_rows(integrator, rows, STAGES, 1, N - 1, &a, &err);
}
static mcl_status fit_with(int32_t method) {
  float x[N * WHOLE];
  mcl_weights_options o;
  mcl_array a = mcl_matrix_f32(x, N, WHOLE);
  mcl_weights_options_init(&o, sizeof o);
  o.method = method, o.max_iterations = 3;
  for (int i = 0; i < N * WHOLE; i++) x[i] = z[i % WHOLE / DIM][i / WHOLE * DIM + i % DIM];
  return mcl_integrator_fit_weights(integrator, &o, &a, labels, NULL, &report, &err);
}
static mcl_status fit_neighbours(void) {
  return fit_with(MCL_WEIGHTS_NEIGHBOURS);
}
static mcl_status fit_contrastive(void) {
  return fit_with(MCL_WEIGHTS_CONTRASTIVE);
}
static mcl_status view(void) {
  return mcl_integrator_view(integrator, (const int32_t[]){1, 0}, 2, &made, &err);
}
static mcl_status freeze(void) {
  return mcl_integrator_encoder(integrator, NULL, &encoder, &err);
}
static mcl_status freeze_with_head(void) {
  return mcl_integrator_encoder(integrator, other, &encoder, &err);
}
static mcl_status save(void) {
  return mcl_integrator_save(integrator, in("g"), &err);
}
static mcl_status load(void) {
  return mcl_integrator_load(integrator, in("g"), &err);
}

// Into a folder that is not there: what a save that failed has written lies in it, and is no state.
static void prepare_save(void) {
  prepare();
  remove_all("g");
}

// Other weights than those of the file, of encoders and stages.
static void prepare_load(void) {
  prepare_save();
  CHECK_OK(save());
  CHECK_OK(mcl_integrator_set_weight(integrator, 1, 7, &err));
  CHECK_OK(mcl_encoder_start_from(encoders[0], other, &err));
}

static void see_integrator(seen *s, mcl_integrator *g) {
  double weight;
  float r[ROWS * 4 * DIM];
  mcl_inputs i = inputs_of(MLP, 0, -1);
  mcl_array a = mcl_matrix_f32(r, ROWS, mcl_integrator_dim(g));
  for (int32_t t = 0; t < mcl_integrator_stages(g); t++) {
    CHECK_OK(mcl_integrator_get_weight(g, t, &weight, &err));
    see_number(s, weight);
  }
  if (mcl_integrator_stages(g) == 0) return;
  CHECK_OK(mcl_integrator_embed(g, &i, &a, &err));
  see(s, r, (size_t)(ROWS * mcl_integrator_dim(g)) * sizeof *r);
}

static void look(seen *s) {
  see(s, out, sizeof out), see(s, &report, sizeof report);
  if (integrator) see_integrator(s, integrator);
  see_number(s, IS_MADE(made)), see_number(s, IS_MADE(encoder));
  if (IS_MADE(made)) see_integrator(s, made);
  if (IS_MADE(encoder)) {
    float r[ROWS * WHOLE];
    mcl_inputs i = inputs_of(MLP, 0, -1);
    mcl_array a = mcl_matrix_f32(r, ROWS, mcl_encoder_dim(encoder));
    if (mcl_encoder_embed(encoder, &i, &a, NULL) == MCL_OK)
      see(s, r, (size_t)(ROWS * mcl_encoder_dim(encoder)) * sizeof *r);
  }
}

// An integrator's file comes last, so that it is there says that the others are.
static void look_at_saved(seen *s) {
  FILE *f = fopen(in("g/integrator.safetensors"), "rb");
  look(s);
  see_number(s, f != NULL);
  if (!f) return;
  fclose(f);
  see_files(s);
}

static void finish(void) {
  if (IS_MADE(made)) mcl_integrator_unref(made);
  if (IS_MADE(encoder)) mcl_encoder_unref(encoder);
  mcl_integrator_unref(integrator);
  for (int s = 0; s < STAGES; s++) mcl_encoder_unref(encoders[s]);
  mcl_encoder_unref(other);
}

static const exhaust_case cases[] = {
    {"mcl_integrator_create", "", start, create, look, finish},
    {"mcl_integrator_add_stage", "", prepare, add_stage, look, finish},
    {"mcl_integrator_embed", "", prepare, embed, look, finish, .flags = KEEPS_ROOM},
    {"mcl_integrator_concat", "", prepare, concat, look, finish},
    {"mcl_integrator_concat_rows", "", prepare, concat_rows, look, finish},
    {"mcl_integrator_fit_weights", "by neighbours", prepare, fit_neighbours, look, finish},
    {"mcl_integrator_fit_weights", "by contrast", prepare, fit_contrastive, look, finish},
    {"mcl_integrator_view", "", prepare, view, look, finish},
    {"mcl_integrator_encoder", "without a head", prepare, freeze, look, finish},
    {"mcl_integrator_encoder", "with a head", prepare, freeze_with_head, look, finish},
    {"mcl_integrator_save", "", prepare_save, save, look_at_saved, finish},
    {"mcl_integrator_load", "", prepare_load, load, look, finish,
     .flags = ADVANCES}, // encoders of the stages before the one that fails have been loaded
};
PART(integrator, cases);
