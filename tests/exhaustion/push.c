// Whole runs of the loop, two stages each: of an MLP on augmented images that are loaded ahead, saved within stages, with embeddings
// in files; of a pair on images and tokens in chunks; of a host's encoder that begins with the weights of the stage before.
//
// A run that fails has come further, and the same call goes on from there: so only its end is compared, labels, reports,
// embeddings and all files, with those of a run that nothing disturbed.
#include <sys/stat.h>

#include "exhaustion/kinds.h"

#include <libmcl/multistage.h>

enum { N = 32, STAGES = 2 };
static int kind;
static mcl_multistage *loop;
static mcl_dataset *dataset;
static mcl_augmenter *augmenter;
static uint8_t pixels[N * SIDE * SIDE * CHANNELS];
static int32_t ids[N * CONTEXT];

static mcl_status make_stage(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  (void)user;
  mcl_status s = make_kind(kind, (uint64_t)stage + 1, out);
  if (s < 0) *e = err;
  return s < 0 ? s : mcl_ok(e);
}

static void make_dataset(void) {
  mcl_dataset *tokens = NULL, *images = NULL;
  mcl_array a = mcl_images_u8(pixels, N, SIDE, SIDE, CHANNELS), b;
  mcl_array_init(&b, ids, MCL_I32, 2, (int64_t[]){N, CONTEXT});
  for (int i = 0; i < (int)sizeof pixels; i++) {
    int row = i / (SIDE * SIDE * CHANNELS), bit = i % 2 ? row >> 1 & 1 : row & 1;
    pixels[i] = (uint8_t)((i * 37 + row * 11) % 61 + 150 * bit);
  }
  for (int i = 0; i < N * CONTEXT; i++) ids[i] = 1 + (i / CONTEXT >> i % CONTEXT & 1) + i % 3;
  CHECK_OK(mcl_dataset_create_array(c, &a, NULL, &images, &err));
  CHECK_OK(mcl_dataset_create_tokens(c, &b, &tokens, &err));
  CHECK_OK(mcl_dataset_create_joined(c, images, tokens, &dataset, &err));
  mcl_dataset_unref(images);
  mcl_dataset_unref(tokens);
}

static void clear(void) {
  remove_all("s"), remove_all("z");
  ck_assert_int_eq(mkdir(in("z"), 0777), 0);
}

static void prepare(int of, bool files) {
  mcl_multistage_options o;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_augmenter_options v;
  mcl_multistage_options_init(&o, sizeof o);
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_augmenter_options_init(&v, sizeof v);
  kind = of;
  put_clip();
  if (files) clear();
  k.k = 2, k.restarts = 1, s.batch_rows = 16;
  o.stages = STAGES, o.epochs = 1, o.kmeans = &k, o.sampler = &s;
  if (of == PAIR) o.modalities = 2, o.loss_kind = MCL_LOSS_INFO_NCE, o.chunk_rows = 6;
  if (of == HOST) o.initial = MCL_INITIAL_PRECEDING;
  if (files) o.save_directory = in("s"), o.embedding_directory = in("z"), o.save_every_steps = 1;
  make_dataset();
  CHECK_OK(mcl_augmenter_create(c, &v, &augmenter, &err));
  CHECK_OK(mcl_multistage_create(c, &o, N, NULL, &loop, &err));
}

static void prepare_mlp(void) {
  prepare(MLP, false);
}
static void prepare_files(void) {
  prepare(MLP, true);
}
static void prepare_pair(void) {
  prepare(PAIR, false);
}
static void prepare_host(void) {
  prepare(HOST, false);
}

static mcl_status run(void) {
  mcl_encoder_factory f;
  mcl_struct_init(&f, sizeof f);
  f.make = make_stage;
  return mcl_multistage_run(loop, dataset, augmenter, &f, NULL, &err);
}

static void see_integrator(seen *s) {
  float z[ROWS * STAGES * DIM];
  mcl_integrator *g = NULL;
  if (mcl_multistage_integrator(loop, &g, NULL) < 0) return;
  for (int32_t m = 0; m < (kind == PAIR ? 2 : 1); m++) {
    mcl_inputs i = inputs_of(kind, m, -1);
    mcl_array a = mcl_matrix_f32(z, ROWS, mcl_integrator_dim(g));
    CHECK_OK(mcl_integrator_embed(g, &i, &a, &err));
    see(s, z, (size_t)(ROWS * mcl_integrator_dim(g)) * sizeof *z);
  }
  mcl_integrator_unref(g);
}

static void look(seen *s) {
  for (int32_t stage = 0; stage < STAGES; stage++) {
    mcl_stage_report r;
    int32_t labels[N] = {0};
    mcl_struct_init(&r, sizeof r);
    see_number(s, mcl_multistage_get_report(loop, stage, 0, &r, NULL));
    see_number(s, mcl_multistage_labels(loop, stage, 0, labels, N, NULL));
    see(s, &r, sizeof r), see(s, labels, sizeof labels);
  }
  see_integrator(s);
  see_files(s);
}

static void finish(void) {
  mcl_multistage_unref(loop);
  mcl_dataset_unref(dataset);
  mcl_augmenter_unref(augmenter);
}

// ---- of a run that has ended -----------------------------------------------------------------------------

static mcl_integrator *integrator;

static void prepare_ended(void) {
  integrator = UNTOUCHED;
  prepare_mlp();
  CHECK_OK(run());
}

static mcl_status take_integrator(void) {
  return mcl_multistage_integrator(loop, &integrator, &err);
}

static void look_at_integrator(seen *s) {
  see_number(s, IS_MADE(integrator));
}

static void finish_integrator(void) {
  if (IS_MADE(integrator)) mcl_integrator_unref(integrator);
  finish();
}

static void prepare_save(void) {
  kind = MLP;
  clear();
  prepare_mlp();
  CHECK_OK(run());
}

static mcl_status save(void) {
  return mcl_multistage_save(loop, in("s"), &err);
}

// What says that a state is there is its last file.
static void look_at_saved(seen *s) {
  FILE *f = fopen(in("s/loop.safetensors"), "rb");
  see_number(s, f != NULL);
  if (!f) return;
  fclose(f);
  look(s);
}

static const exhaust_case cases[] = {
    {"mcl_multistage_run", "MLP", prepare_mlp, run, look, finish, .flags = ADVANCES, .sites = 100},
    {"mcl_multistage_run", "MLP, with files", prepare_files, run, look, finish, .flags = ADVANCES,
     .sites = 100},
    {"mcl_multistage_run", "pair in chunks", prepare_pair, run, look, finish, .flags = ADVANCES,
     .sites = 100},
    {"mcl_multistage_run", "host", prepare_host, run, look, finish, .flags = ADVANCES,
     .sites = 100},
    {"mcl_multistage_integrator", "", prepare_ended, take_integrator, look_at_integrator,
     finish_integrator, .flags = NO_MEMORY},
    {"mcl_multistage_save", "with encoders", prepare_save, save, look_at_saved, finish,
     .sites = 100},
};
PART(push, cases);
