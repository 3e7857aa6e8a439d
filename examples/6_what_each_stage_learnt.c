// What each stage learnt: reports and probes.
//
// Small images of one of 4 shapes, each with 4 random bits as channels that no augmentation
// disturbs. The bits are all that a first stage needs; the second one, inside their clusters, has
// to find the shape. "given before" is the entropy of the stage's clusters given the cells it
// trained in: 0 when it only repeats them, 1 when it says something new.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <libmcl/mcl.h>

enum { ROWS = 1024, SIDE = 6, BITS = 4, CHANNELS = 1 + BITS, STAGES = 2, DIM = 16, PAIRS = 20 };

static uint8_t images[ROWS][SIDE * SIDE];
static int32_t shape[ROWS], code[ROWS], labels[ROWS];
static float z[ROWS][STAGES * DIM];
static mcl_context *context;
static mcl_error err;

static void try(mcl_status status) {
  if (status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(status), err.message);
  if (status < 0) exit(1);
}

static int random_below(int n) {
  static uint64_t s = 1;
  s = s * 6364136223846793005u + 1442695040888963407u;
  return (int)((s >> 33) % (uint64_t)n);
}

static void draw_images(void) {
  int shapes[4][SIDE * SIDE];
  for (int i = 0; i < 4 * SIDE * SIDE; i++)
    shapes[i / (SIDE * SIDE)][i % (SIDE * SIDE)] = random_below(2);
  for (int i = 0; i < ROWS; i++) {
    shape[i] = random_below(4);
    for (int j = 0; j < SIDE * SIDE; j++)
      images[i][j] = (uint8_t)(40 + 100 * shapes[shape[i]][j] + random_below(100));
  }
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  (void)user;
  mcl_mlp_options mlp;
  mcl_mlp_options_init(&mlp, sizeof mlp);
  mlp.seed = mcl_multistage_seed(0, stage);
  mlp.inputs = SIDE * SIDE * CHANNELS;
  mlp.hidden = 64;
  mlp.dim = DIM;
  mlp.projection_dim = 8;
  return mcl_encoder_create_mlp(context, &mlp, out, e);
}

static mcl_multistage *train(mcl_dataset *dataset) {
  mcl_multistage *loop;
  mcl_augmenter *augmenter;
  mcl_augmenter_options views;
  mcl_kmeans_options kmeans;
  mcl_sampler_options sampling;
  mcl_multistage_options options;
  mcl_augmenter_options_init(&views, sizeof views);
  mcl_kmeans_options_init(&kmeans, sizeof kmeans);
  mcl_sampler_options_init(&sampling, sizeof sampling);
  mcl_multistage_options_init(&options, sizeof options);
  views.extra_channels = BITS;
  views.crop_area_min = 1;
  views.flip = 0;
  kmeans.k = 1 << BITS;
  sampling.batch_rows = 128;
  options.kmeans = &kmeans;
  options.sampler = &sampling;
  options.stages = STAGES;
  options.epochs = 60;
  options.learning_rate = 1e-3;
  mcl_encoder_factory factory;
  mcl_struct_init(&factory, sizeof factory);
  factory.make = make;
  try(mcl_augmenter_create(context, &views, &augmenter, &err));
  try(mcl_multistage_create(context, &options, ROWS, NULL, &loop, &err));
  try(mcl_multistage_run(loop, dataset, augmenter, &factory, NULL, &err));
  mcl_augmenter_unref(augmenter);
  return loop;
}

// All stages' embeddings of all rows; a stage's own columns are a view of them.
static mcl_array embed(const mcl_multistage *loop, mcl_dataset *dataset) {
  static uint8_t pixels[ROWS * SIDE * SIDE * CHANNELS];
  static int64_t every[ROWS];
  mcl_integrator *integrator;
  mcl_inputs in;
  mcl_array x = mcl_images_u8(pixels, ROWS, SIDE, SIDE, CHANNELS);
  mcl_array out = mcl_matrix_f32(z[0], ROWS, STAGES * DIM);
  for (int i = 0; i < ROWS; i++) every[i] = i;
  try(mcl_dataset_load(dataset, every, ROWS, 0, &x, &err));
  mcl_struct_init(&in, sizeof in);
  in.data = &x;
  in.n = ROWS;
  in.view = -1;
  try(mcl_multistage_integrator(loop, &integrator, &err));
  try(mcl_integrator_embed(integrator, &in, &out, &err));
  mcl_integrator_unref(integrator);
  return out;
}

int main(void) {
  mcl_dataset *plain, *dataset;
  int64_t pairs[2 * PAIRS], got, differ = 0;
  double loud, quiet;
  draw_images();
  mcl_array x = mcl_images_u8(images[0], ROWS, SIDE, SIDE, 1);
  try(mcl_context_create(NULL, &context, &err));
  try(mcl_dataset_create_array(context, &x, NULL, &plain, &err));
  try(mcl_dataset_create_randbits(context, plain, BITS, 0, &dataset, &err));
  try(mcl_dataset_codes(dataset, code, ROWS, &err));
  mcl_multistage *loop = train(dataset);

  printf("stage  NMI with code  NMI with shape  given before\n");
  for (int32_t s = 0; s < STAGES; s++) {
    mcl_stage_report r;
    mcl_struct_init(&r, sizeof r);
    try(mcl_multistage_get_report(loop, s, 0, &r, &err));
    try(mcl_multistage_labels(loop, s, 0, labels, ROWS, &err));
    try(mcl_probe_agreement(context, labels, code, ROWS, &loud, NULL, NULL, &err));
    try(mcl_probe_agreement(context, labels, shape, ROWS, &quiet, NULL, NULL, &err));
    printf("%5d  %13.2f  %14.2f  %12.2f\n", (int)s, loud, quiet, r.entropy_given_previous);
  }

  // Pairs that stage 0 takes for the same and stage 1 tells apart: what was blind, one by one.
  mcl_array before = embed(loop, dataset), after = before;
  before.shape[1] = after.shape[1] = DIM;
  after.data = z[0] + DIM;
  try(mcl_probe_blind_pairs(context, &before, &after, 0.95, pairs, PAIRS, &got, &err));
  for (int i = 0; i < got; i++) differ += shape[pairs[2 * i]] != shape[pairs[2 * i + 1]];
  printf("%d blind pairs, most of them of different shapes: %s\n", (int)got,
         2 * differ > got ? "yes" : "no");
  mcl_multistage_unref(loop);
  mcl_dataset_unref(dataset);
  mcl_dataset_unref(plain);
  mcl_context_unref(context);
}

/* Expected output:
 * stage  NMI with code  NMI with shape  given before
 *     0           1.00            0.01          1.00
 *     1           0.08            0.68          0.90
 * 20 blind pairs, most of them of different shapes: yes
 */
