// Stop and resume: a run that was stopped in the middle of a stage goes on as if it had never been.
//
// The monitor is asked between steps; when it says stop, the run saves its place and weights and
// ends with MCL_E_CANCELLED. A fresh loop with the same options resumes from that directory, here
// in the same process, as well in another one. Its embeddings equal those of a run that nobody
// stopped, to the bit.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmcl/mcl.h>

enum { ROWS = 240, SIDE = 8, STAGES = 2, DIM = 8 };

static uint8_t images[ROWS][SIDE][SIDE];
static mcl_context *context;
static mcl_dataset *dataset;
static mcl_augmenter *augmenter;
static mcl_error err;

static void try(mcl_status status) {
  if (status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(status), err.message);
  if (status < 0) exit(1);
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  (void)user;
  mcl_mlp_options mlp;
  mcl_mlp_options_init(&mlp, sizeof mlp);
  mlp.seed = mcl_multistage_seed(0, stage);
  mlp.inputs = SIDE * SIDE;
  mlp.hidden = 128; // so that a stage takes long enough to be stopped
  mlp.dim = DIM;
  mlp.projection_dim = 8;
  return mcl_encoder_create_mlp(context, &mlp, out, e);
}

// Asked at most ten times a second. An answer other than 0 stops: here in the midst of the second
// stage.
static int32_t stop_in_stage_1(void *user, const mcl_progress *progress) {
  int32_t stop = progress->stage == 1 && !strcmp(progress->phase, "train");
  if (stop) *(int *)user = progress->done < progress->total;
  return stop;
}

static mcl_multistage *new_loop(const char *directory) {
  mcl_multistage *loop;
  mcl_kmeans_options kmeans;
  mcl_sampler_options sampling;
  mcl_multistage_options options;
  mcl_kmeans_options_init(&kmeans, sizeof kmeans);
  mcl_sampler_options_init(&sampling, sizeof sampling);
  mcl_multistage_options_init(&options, sizeof options);
  kmeans.k = 4;
  sampling.batch_rows = 16;
  options.kmeans = &kmeans;
  options.sampler = &sampling;
  options.stages = STAGES;
  options.epochs = 50;
  options.save_directory = directory;
  try(mcl_multistage_create(context, &options, ROWS, NULL, &loop, &err));
  return loop;
}

static mcl_status run(mcl_multistage *loop, int *stop) {
  mcl_encoder_factory factory;
  mcl_monitor monitor;
  mcl_struct_init(&factory, sizeof factory);
  mcl_struct_init(&monitor, sizeof monitor);
  factory.make = make;
  monitor.user = stop;
  monitor.progress = stop ? stop_in_stage_1 : NULL;
  return mcl_multistage_run(loop, dataset, augmenter, &factory, &monitor, &err);
}

static void embed(const mcl_multistage *loop, float z[ROWS][STAGES * DIM]) {
  mcl_integrator *all;
  mcl_inputs in;
  mcl_array x = mcl_images_u8(images[0][0], ROWS, SIDE, SIDE, 1);
  mcl_array out = mcl_matrix_f32(z[0], ROWS, STAGES * DIM);
  mcl_struct_init(&in, sizeof in);
  in.data = &x;
  in.n = ROWS;
  in.view = -1;
  try(mcl_multistage_integrator(loop, &all, &err));
  try(mcl_integrator_embed(all, &in, &out, &err));
  mcl_integrator_unref(all);
}

static void remove_directory(const char *directory) {
  static const char *const files[] = {"loop", "stage-0", "stage-1"};
  char path[256];
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s.safetensors", directory, files[i]);
    remove(path);
  }
  rmdir(directory);
}

int main(void) {
  static float at_once[ROWS][STAGES * DIM], resumed[ROWS][STAGES * DIM];
  char directory[] = "stop_and_resume.XXXXXX";
  for (int i = 0; i < ROWS; i++) // bright on the left or right, and at the top or bottom
    for (int y = 0; y < SIDE; y++)
      for (int x = 0; x < SIDE; x++)
        images[i][y][x] =
            (uint8_t)((x < SIDE / 2) == (i % 2) ? 160 + i % 7 : 40 + y * 9 * (i / 2 % 2));
  if (!mkdtemp(directory)) return 1;
  mcl_array x = mcl_images_u8(images[0][0], ROWS, SIDE, SIDE, 1);
  try(mcl_context_create(NULL, &context, &err));
  try(mcl_dataset_create_array(context, &x, NULL, &dataset, &err));
  try(mcl_augmenter_create(context, NULL, &augmenter, &err));

  mcl_multistage *loop = new_loop(NULL);
  try(run(loop, NULL));
  embed(loop, at_once);
  mcl_multistage_unref(loop);

  loop = new_loop(directory);
  int midst = 0;
  const char *ended = mcl_status_name(run(loop, &midst));
  printf("stopped in the midst of a stage: %s, %s\n", midst ? "yes" : "no", ended);
  mcl_multistage_unref(loop); // all that is left of it is in the directory

  loop = new_loop(directory);
  try(mcl_multistage_resume(loop, directory, &err));
  try(run(loop, NULL));
  embed(loop, resumed);
  printf("same bits: %s\n", memcmp(at_once, resumed, sizeof resumed) ? "no" : "yes");

  mcl_multistage_unref(loop);
  mcl_augmenter_unref(augmenter);
  mcl_dataset_unref(dataset);
  mcl_context_unref(context);
  remove_directory(directory);
}

/* Expected output:
 * stopped in the midst of a stage: yes, MCL_E_CANCELLED
 * same bits: yes
 */
