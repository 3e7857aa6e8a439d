// Functions that take no memory. Each is called while every request fails, on handles that were made before, and must make none.
//
// mcl_rows_read() is among them, though it may take malloc's: it is given no context (docs/embedding.md), so that no allocator of
// the host's can be asked.
#include <libmcl/checkpoint.h>
#include <libmcl/multistage.h>
#include <libmcl/probe.h>
#include <libmcl/version.h>

#include "exhaustion/kinds.h"

enum { N = 40, WIDTH = 4 };
static float x[N * WIDTH];
static int32_t numbers[N];
static int64_t wide[2 * N];
static char text[256];
static size_t wanted;
static double value;
static mcl_array array;
static mcl_rows rows;
static mcl_batch batch;
static mcl_step one_step;
static mcl_sampler_report sampler_report;
static mcl_clusterer_report clusterer_report;
static mcl_dataset_report dataset_report;
static mcl_stage_report stage_report;

static mcl_encoder *encoder, *other;
static mcl_dataset *dataset;
static mcl_tokenizer *tokenizer;
static mcl_clusterer *clusterer;
static mcl_sampler *sampler;
static mcl_integrator *integrator;
static mcl_multistage *loop;
static mcl_npy *reader, *writer;
static mcl_checkpoint *checkpoint;
static mcl_checkpoint_writer *begun;
static mcl_augmenter *augmenter;
static mcl_comm *comm;

// ---- one of each -----------------------------------------------------------------------------------------

static mcl_status gather(void *user, const void *send, void *recv, uint64_t n, mcl_error *e) {
  (void)user, (void)send, (void)recv, (void)n;
  return mcl_ok(e);
}

static void make_rows(void) {
  static const uint8_t pixels[N];
  mcl_array images = mcl_images_u8((uint8_t *)(uintptr_t)pixels, N, 1, 1, 1);
  mcl_dataset *inner = NULL;
  test_fill_normal(x, N * WIDTH, 1);
  array = mcl_matrix_f32(x, N, WIDTH);
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &array;
  CHECK_OK(mcl_dataset_create_array(c, &images, numbers, &inner, &err));
  CHECK_OK(mcl_dataset_create_randbits(c, inner, 2, 1, &dataset, &err));
  mcl_dataset_unref(inner);
}

static void make_files(void) {
  CHECK_OK(mcl_npy_create(c, in("x.npy"), MCL_F32, N, WIDTH, &writer, &err));
  CHECK_OK(mcl_npy_write(writer, 0, &array, &err));
  CHECK_OK(mcl_npy_commit(writer, &err));
  mcl_npy_unref(writer);
  CHECK_OK(mcl_npy_open(c, in("x.npy"), &reader, &err));
  CHECK_OK(mcl_npy_create(c, in("y.npy"), MCL_F32, N, WIDTH, &writer, &err));
  CHECK_OK(mcl_checkpoint_writer_create(c, in("x.safetensors"), &begun, &err));
  CHECK_OK(mcl_checkpoint_writer_add(begun, "x", &array, &err));
  CHECK_OK(mcl_checkpoint_writer_meta(begun, "key", "value", &err));
  CHECK_OK(mcl_checkpoint_writer_commit(begun, &err));
  CHECK_OK(mcl_checkpoint_open(c, in("x.safetensors"), &checkpoint, &err));
}

// A loop in pull mode whose one stage is clustered.
static void make_loop(void) {
  mcl_multistage_options o;
  mcl_event e;
  mcl_multistage_options_init(&o, sizeof o);
  o.stages = 1, o.trained_stages = 1;
  CHECK_OK(mcl_multistage_create(c, &o, N, NULL, &loop, &err));
  mcl_struct_init(&e, sizeof e);
  mcl_struct_init(&batch, sizeof batch);
  int64_t all[1024];
  batch.indices = all, batch.capacity = 1024;
  for (e.kind = 0; e.kind != MCL_END_STAGE;) {
    CHECK_OK(mcl_multistage_next(loop, NULL, &e, &batch, &err));
    if (e.kind == MCL_EMBED_ROWS) {
      mcl_array z = mcl_matrix_f32(x, batch.n, WIDTH);
      CHECK_OK(mcl_multistage_put_embeddings(loop, 0, all, batch.n, &z, &err));
    }
  }
  batch.indices = wide, batch.cells = wide + N, batch.capacity = N;
}

static void make_encoders(void) {
  float y[ROWS * OUT];
  mcl_array out = mcl_matrix_f32(y, ROWS, OUT);
  put_clip();
  CHECK_OK(make_kind(PAIR, 1, &encoder));
  CHECK_OK(make_kind(PAIR, 2, &other));
  for (int v = 0; v < 2; v++) {
    mcl_inputs i = inputs_of(PAIR, v, v);
    CHECK_OK(mcl_encoder_forward(encoder, &i, &out, &err));
    CHECK_OK(mcl_encoder_backward(encoder, &i, &out, &err));
  }
  mcl_struct_init(&one_step, sizeof one_step);
  CHECK_OK(mcl_integrator_create(c, NULL, &integrator, &err));
  CHECK_OK(mcl_integrator_add_stage(integrator, other, 0, 1, &err));
}

static void make_others(void) {
  mcl_host_comm h;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_struct_init(&h, sizeof h);
  h.size = 2, h.allgather = gather;
  mcl_kmeans_options_init(&k, sizeof k);
  k.k = 2;
  mcl_sampler_options_init(&s, sizeof s);
  s.batch_rows = 8;
  CHECK_OK(mcl_comm_create_host(c, &h, &comm, &err));
  CHECK_OK(mcl_clusterer_create_kmeans(c, &k, NULL, &clusterer, &err));
  CHECK_OK(mcl_clusterer_fit(clusterer, &rows, NULL, &err));
  CHECK_OK(mcl_sampler_create(c, &s, N, 0, 1, &sampler, &err));
  CHECK_OK(mcl_augmenter_create(c, NULL, &augmenter, &err));
  CHECK_OK(mcl_tokenizer_create(c, NULL, (const char *const[]){"a"}, 1, NULL, &tokenizer, &err));
  mcl_struct_init(&sampler_report, sizeof sampler_report);
  mcl_struct_init(&clusterer_report, sizeof clusterer_report);
  mcl_struct_init(&dataset_report, sizeof dataset_report);
  mcl_struct_init(&stage_report, sizeof stage_report);
}

// ---- the calls -------------------------------------------------------------------------------------------

static mcl_array *two_rows(void) {
  static mcl_array a;
  a = mcl_matrix_f32(x, 2, WIDTH);
  return &a;
}

static bool writes_options(void (*init)(void *, size_t)) {
  static uint64_t options[64];
  init(options, 24);
  return options[0] == 24;
}
#define OPTIONS(f)   writes_options((void (*)(void *, size_t))(f))
#define OK(call)     ((call) == MCL_OK)
#define AGAIN(f, of) (f##_unref(f##_ref(of)), true)

#define TAKE_NONE(X)                                                                               \
  X(mcl_advice_text, *mcl_advice_text(MCL_ADVICE_GO_ON))                                           \
  X(mcl_array_init, (mcl_array_init(&array, x, MCL_F32, 2, (int64_t[]){N, WIDTH}), true))          \
  X(mcl_augmenter_options_init, OPTIONS(mcl_augmenter_options_init))                               \
  X(mcl_augmenter_ref, AGAIN(mcl_augmenter, augmenter))                                            \
  X(mcl_augmenter_unref, AGAIN(mcl_augmenter, augmenter))                                          \
  X(mcl_bag_options_init, OPTIONS(mcl_bag_options_init))                                           \
  X(mcl_build_info, *mcl_build_info())                                                             \
  X(mcl_checkpoint_meta,                                                                           \
    OK(mcl_checkpoint_meta(checkpoint, "key", text, sizeof text, &wanted, &err)))                  \
  X(mcl_checkpoint_ref, AGAIN(mcl_checkpoint, checkpoint))                                         \
  X(mcl_checkpoint_shape, OK(mcl_checkpoint_shape(checkpoint, "x", &(mcl_array){0}, &err)))        \
  X(mcl_checkpoint_unref, AGAIN(mcl_checkpoint, checkpoint))                                       \
  X(mcl_checkpoint_writer_ref, AGAIN(mcl_checkpoint_writer, begun))                                \
  X(mcl_checkpoint_writer_unref, AGAIN(mcl_checkpoint_writer, begun))                              \
  X(mcl_clip_options_init, OPTIONS(mcl_clip_options_init))                                         \
  X(mcl_clusterer_centroids, OK(mcl_clusterer_centroids(clusterer, two_rows(), &err)))             \
  X(mcl_clusterer_get_report, OK(mcl_clusterer_get_report(clusterer, &clusterer_report, &err)))    \
  X(mcl_clusterer_ref, AGAIN(mcl_clusterer, clusterer))                                            \
  X(mcl_clusterer_sizes, OK(mcl_clusterer_sizes(clusterer, wide, 2, &err)))                        \
  X(mcl_clusterer_unref, AGAIN(mcl_clusterer, clusterer))                                          \
  X(mcl_cnn_options_init, OPTIONS(mcl_cnn_options_init))                                           \
  X(mcl_comm_rank, mcl_comm_rank(comm) == 0)                                                       \
  X(mcl_comm_ref, AGAIN(mcl_comm, comm))                                                           \
  X(mcl_comm_share, (mcl_comm_share(comm, N, &wide[0], &wide[1]), wide[1] == N))                   \
  X(mcl_comm_size, mcl_comm_size(comm) == 2)                                                       \
  X(mcl_comm_unref, AGAIN(mcl_comm, comm))                                                         \
  X(mcl_context_describe, OK(mcl_context_describe(c, text, sizeof text, &wanted, &err)))           \
  X(mcl_context_options_init, OPTIONS(mcl_context_options_init))                                   \
  X(mcl_context_ref, AGAIN(mcl_context, c))                                                        \
  X(mcl_context_unref, AGAIN(mcl_context, c))                                                      \
  X(mcl_dataset_caption,                                                                           \
    mcl_dataset_caption(dataset, 0, text, sizeof text, NULL, &err) == MCL_E_NOT_FOUND)             \
  X(mcl_dataset_class_name, OK(mcl_dataset_class_name(dataset, 0, text, sizeof text, NULL, &err))) \
  X(mcl_dataset_codes, OK(mcl_dataset_codes(dataset, numbers, N, &err)))                           \
  X(mcl_dataset_fingerprint, mcl_dataset_fingerprint(dataset) != 0)                                \
  X(mcl_dataset_get_report, OK(mcl_dataset_get_report(dataset, &dataset_report, &err)))            \
  X(mcl_dataset_labels, OK(mcl_dataset_labels(dataset, numbers, N, &err)))                         \
  X(mcl_dataset_modalities, mcl_dataset_modalities(dataset) == 1)                                  \
  X(mcl_dataset_name, OK(mcl_dataset_name(dataset, 1, text, sizeof text, NULL, &err)))             \
  X(mcl_dataset_ref, AGAIN(mcl_dataset, dataset))                                                  \
  X(mcl_dataset_rows, mcl_dataset_rows(dataset) == N)                                              \
  X(mcl_dataset_shape, OK(mcl_dataset_shape(dataset, 0, &(mcl_array){0}, &err)))                   \
  X(mcl_dataset_unref, AGAIN(mcl_dataset, dataset))                                                \
  X(mcl_encoder_backward_temperature, OK(mcl_encoder_backward_temperature(encoder, 0.1, &err)))    \
  X(mcl_encoder_dim, mcl_encoder_dim(encoder) == OUT)                                              \
  X(mcl_encoder_modalities, mcl_encoder_modalities(encoder) == 2)                                  \
  X(mcl_encoder_projection_dim, mcl_encoder_projection_dim(encoder) == OUT)                        \
  X(mcl_encoder_ref, AGAIN(mcl_encoder, encoder))                                                  \
  X(mcl_encoder_step, OK(mcl_encoder_step(encoder, &one_step, &err)))                              \
  X(mcl_encoder_give_up, OK(mcl_encoder_give_up(encoder, &err)))                                   \
  X(mcl_encoder_temperature, OK(mcl_encoder_temperature(encoder, &value, &err)))                   \
  X(mcl_encoder_unref, AGAIN(mcl_encoder, encoder))                                                \
  X(mcl_error_set, mcl_error_set(&err, MCL_E_IO, 1, "gone") == MCL_E_IO)                           \
  X(mcl_folder_options_init, OPTIONS(mcl_folder_options_init))                                     \
  X(mcl_image_options_init, OPTIONS(mcl_image_options_init))                                       \
  X(mcl_integrator_dim, mcl_integrator_dim(integrator) == OUT)                                     \
  X(mcl_integrator_get_weight, OK(mcl_integrator_get_weight(integrator, 0, &value, &err)))         \
  X(mcl_integrator_options_init, OPTIONS(mcl_integrator_options_init))                             \
  X(mcl_integrator_ref, AGAIN(mcl_integrator, integrator))                                         \
  X(mcl_integrator_set_growth, OK(mcl_integrator_set_growth(integrator, 2, &err)))                 \
  X(mcl_integrator_set_weight, OK(mcl_integrator_set_weight(integrator, 0, 2, &err)))              \
  X(mcl_integrator_stage_range,                                                                    \
    OK(mcl_integrator_stage_range(integrator, 0, &numbers[0], &numbers[1], &err)))                 \
  X(mcl_integrator_stages, mcl_integrator_stages(integrator) == 1)                                 \
  X(mcl_integrator_unref, AGAIN(mcl_integrator, integrator))                                       \
  X(mcl_kmeans_options_init, OPTIONS(mcl_kmeans_options_init))                                     \
  X(mcl_loss_options_init, OPTIONS(mcl_loss_options_init))                                         \
  X(mcl_mlp_options_init, OPTIONS(mcl_mlp_options_init))                                           \
  X(mcl_multistage_batch_capacity, mcl_multistage_batch_capacity(loop) > 0)                        \
  X(mcl_multistage_get_report, OK(mcl_multistage_get_report(loop, 0, 0, &stage_report, &err)))     \
  X(mcl_multistage_labels, OK(mcl_multistage_labels(loop, 0, 0, numbers, N, &err)))                \
  X(mcl_multistage_options_init, OPTIONS(mcl_multistage_options_init))                             \
  X(mcl_multistage_ref, AGAIN(mcl_multistage, loop))                                               \
  X(mcl_multistage_seed, mcl_multistage_seed(1, 2) != 0)                                           \
  X(mcl_multistage_unref, AGAIN(mcl_multistage, loop))                                             \
  X(mcl_npy_commit, OK(mcl_npy_commit(writer, &err)))                                              \
  X(mcl_npy_ref, AGAIN(mcl_npy, reader))                                                           \
  X(mcl_npy_rows, (mcl_npy_rows(reader, &rows), rows.rows == N))                                   \
  X(mcl_npy_unref, AGAIN(mcl_npy, reader))                                                         \
  X(mcl_ok, OK(mcl_ok(&err)))                                                                      \
  X(mcl_optimiser_options_init, OPTIONS(mcl_optimiser_options_init))                               \
  X(mcl_pair_options_init, OPTIONS(mcl_pair_options_init))                                         \
  X(mcl_pairs_options_init, OPTIONS(mcl_pairs_options_init))                                       \
  X(mcl_probe_options_init, OPTIONS(mcl_probe_options_init))                                       \
  X(mcl_resnet_options_init, OPTIONS(mcl_resnet_options_init))                                     \
  X(mcl_rows_read, OK(mcl_rows_read(&rows, 1, 2, two_rows(), &err)))                               \
  X(mcl_sampler_batch, OK(mcl_sampler_batch(sampler, 0, 0, &batch, &err)))                         \
  X(mcl_sampler_batch_capacity, mcl_sampler_batch_capacity(sampler) > 0)                           \
  X(mcl_sampler_cells, OK(mcl_sampler_cells(sampler, wide, N, &err)))                              \
  X(mcl_sampler_get_report, OK(mcl_sampler_get_report(sampler, &sampler_report, &err)))            \
  X(mcl_sampler_negatives, OK(mcl_sampler_negatives(sampler, 0, 1, wide, 5, &wide[N], &err)))      \
  X(mcl_sampler_options_init, OPTIONS(mcl_sampler_options_init))                                   \
  X(mcl_sampler_ref, AGAIN(mcl_sampler, sampler))                                                  \
  X(mcl_sampler_steps, mcl_sampler_steps(sampler) > 0)                                             \
  X(mcl_sampler_unref, AGAIN(mcl_sampler, sampler))                                                \
  X(mcl_status_name, *mcl_status_name(MCL_E_NOMEM))                                                \
  X(mcl_struct_init, (mcl_struct_init(&rows, sizeof rows), rows.struct_size == sizeof rows))       \
  X(mcl_text_options_init, OPTIONS(mcl_text_options_init))                                         \
  X(mcl_tokenizer_context, mcl_tokenizer_context(tokenizer) == 77)                                 \
  X(mcl_tokenizer_end, mcl_tokenizer_end(tokenizer) == 513)                                        \
  X(mcl_tokenizer_fingerprint, mcl_tokenizer_fingerprint(tokenizer) != 0)                          \
  X(mcl_tokenizer_options_init, OPTIONS(mcl_tokenizer_options_init))                               \
  X(mcl_tokenizer_padding, mcl_tokenizer_padding(tokenizer) == 0)                                  \
  X(mcl_tokenizer_ref, AGAIN(mcl_tokenizer, tokenizer))                                            \
  X(mcl_tokenizer_start, mcl_tokenizer_start(tokenizer) == 512)                                    \
  X(mcl_tokenizer_unref, AGAIN(mcl_tokenizer, tokenizer))                                          \
  X(mcl_tokenizer_vocabulary, mcl_tokenizer_vocabulary(tokenizer) == 514)                          \
  X(mcl_version, mcl_version() == (MCL_VERSION_MAJOR << 16 | MCL_VERSION_MINOR << 8))              \
  X(mcl_version_string, *mcl_version_string())                                                     \
  X(mcl_vit_options_init, OPTIONS(mcl_vit_options_init))                                           \
  X(mcl_weights_options_init, OPTIONS(mcl_weights_options_init))

#define NAME(f, call) #f,
const char *const takes_none[] = {TAKE_NONE(NAME)};
const int n_takes_none = sizeof takes_none / sizeof *takes_none;

#define CHECK_NONE(f, call)                                                                        \
  do {                                                                                             \
    bool good = call;                                                                              \
    ck_assert_msg(good, #f ": %s", err.message);                                                   \
    ck_assert_msg(memory.requests == before, #f " asked for memory");                              \
  } while (0);

// The last reference too is given back while there is no memory.
static void let_go(void) {
  mcl_multistage_unref(loop);
  mcl_integrator_unref(integrator);
  mcl_encoder_unref(encoder), mcl_encoder_unref(other);
  mcl_dataset_unref(dataset);
  mcl_tokenizer_unref(tokenizer);
  mcl_clusterer_unref(clusterer);
  mcl_sampler_unref(sampler);
  mcl_npy_unref(reader), mcl_npy_unref(writer);
  mcl_checkpoint_unref(checkpoint), mcl_checkpoint_writer_unref(begun);
  mcl_augmenter_unref(augmenter);
  mcl_comm_unref(comm);
  mcl_context_unref(c);
}

void check_takes_none(void) {
  begin_case(2);
  make_rows();
  make_files();
  make_encoders();
  make_loop();
  make_others();
  int64_t before = memory.requests;
  memory.fail_at = 1, memory.for_ever = 1;
  TAKE_NONE(CHECK_NONE)
  let_go();
  ck_assert_int_eq(memory.requests, before);
  ck_assert_int_eq(memory.live, 0);
}
