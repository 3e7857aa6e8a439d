// Rows of the same image or the same caption in one batch: the loss that a run trains with.
//
// The encoder is a table of fixed rows, so the loss and its gradients can be worked out pair by
// pair from what the rows are known to share.
#include "loss/twin.h"

#include <libmcl/multistage.h>

enum { IMAGES = 12, CAPTIONS = 5, ROWS = 24, CONTEXT = 3, BATCH = 12, D = 4 };

// Row i shows image i / 2 under caption i mod 5.
static int64_t image_of(int64_t row) {
  return row / 2;
}
static int64_t caption_of(int64_t row) {
  return row % CAPTIONS;
}

typedef struct bench {
  mcl_context *c;
  mcl_dataset *d;
  int32_t modalities;
  float z[2][ROWS * D]; // by view
  int64_t rows[BATCH];
  float gradient[2][BATCH * D];
  int ignored;         // bit m: the dataset does not say it of modality m
  double loss;         // sum over the batches
  double told;         // of the report
  int batches, shared; // pairs of a batch that the loss must not set against each other
} bench;

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  bench *b = user;
  int v = in->view > 0 || in->modality > 0;
  for (int64_t i = 0; i < in->n; i++)
    memcpy((float *)out->data + i * D, b->z[v] + in->indices[i] * D, D * sizeof(float));
  return mcl_ok(e);
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *dz, mcl_error *e) {
  bench *b = user;
  int v = in->view > 0 || in->modality > 0;
  ck_assert_int_eq(in->n, BATCH);
  memcpy(b->rows, in->indices, sizeof b->rows);
  memcpy(b->gradient[v], dz->data, sizeof b->gradient[v]);
  return mcl_ok(e);
}

// The batch again, by the masks that follow from image_of() and caption_of().
static mcl_status step(void *user, const mcl_step *unused, mcl_error *e) {
  bench *b = user;
  problem p = make_problem(BATCH, BATCH, D, 1);
  int64_t images[BATCH], captions[BATCH];
  (void)unused;
  for (int i = 0; i < BATCH; i++) {
    images[i] = b->ignored & 1 ? -1 - i : image_of(b->rows[i]);
    captions[i] = b->ignored & 2 ? -1 - i : caption_of(b->rows[i]);
    for (int k = 0; k < D; k++) {
      p.za[i * D + k] = (double)b->z[0][b->rows[i] * D + k];
      p.zb[i * D + k] = (double)b->z[1][b->rows[i] * D + k];
    }
    for (int j = 0; j < i; j++)
      b->shared += images[j] == images[i] || (b->modalities == 2 && captions[j] == captions[i]);
  }
  p.nt_xent = b->modalities == 1;
  p.duplicates = images;
  p.others = b->modalities == 2 ? captions : NULL;
  answer a = {.dza = zeros(BATCH * D, sizeof(double)), .dzb = zeros(BATCH * D, sizeof(double))};
  twin(&p, &a);
  check_array(b->gradient[0], a.dza, BATCH * D, 1e-5, "dza");
  check_array(b->gradient[1], a.dzb, BATCH * D, 1e-5, "dzb");
  b->loss += a.loss;
  b->batches++;
  free(a.dza), free(a.dzb);
  problem_free(&p);
  return mcl_ok(e);
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  bench *b = user;
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  (void)stage;
  h.user = b, h.dim = D, h.modalities = b->modalities;
  h.embed = h.forward = forward, h.backward = backward, h.step = step;
  return mcl_encoder_create_host(b->c, &h, out, e);
}

static double run(bench *b) {
  mcl_multistage *l = NULL;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_loss_options loss;
  mcl_multistage_options o;
  mcl_encoder_factory f;
  mcl_stage_report r;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_loss_options_init(&loss, sizeof loss);
  mcl_multistage_options_init(&o, sizeof o);
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&r, sizeof r);
  k.k = 2, s.batch_rows = BATCH, loss.temperature = 0.3;
  o.stages = 1, o.epochs = 1, o.modalities = b->modalities;
  o.kmeans = &k, o.sampler = &s, o.loss = &loss;
  o.loss_kind = b->modalities == 2 ? MCL_LOSS_INFO_NCE : MCL_LOSS_NT_XENT;
  f.user = b, f.make = make;
  CHECK_OK(mcl_multistage_create(b->c, &o, ROWS, NULL, &l, &err));
  CHECK_OK(mcl_multistage_run(l, b->d, NULL, &f, NULL, &err));
  CHECK_OK(mcl_multistage_get_report(l, 0, 0, &r, &err));
  mcl_multistage_unref(l);
  b->told = r.told;
  return r.loss_last;
}

static uint8_t pixels[IMAGES * 4];
static int32_t ids[ROWS * CONTEXT];

// Images, each named twice, beside rows of tokens.
static void start(bench *b, int32_t modalities) {
  memset(b, 0, sizeof *b);
  b->c = test_context(1);
  b->modalities = modalities;
  test_fill_normal(b->z[0], ROWS * D, 1);
  test_fill_normal(b->z[1], ROWS * D, 2);
  mcl_array images = mcl_images_u8(pixels, IMAGES, 2, 2, 1), tokens;
  mcl_dataset *of_images = NULL, *twice = NULL, *of_tokens = NULL;
  int64_t rows[ROWS];
  for (int64_t i = 0; i < ROWS; i++) {
    rows[i] = image_of(i);
    for (int k = 0; k < CONTEXT; k++) ids[i * CONTEXT + k] = (int32_t)caption_of(i) * 7 + k;
  }
  mcl_array_init(&tokens, ids, MCL_I32, 2, (int64_t[]){ROWS, CONTEXT});
  CHECK_OK(mcl_dataset_create_array(b->c, &images, NULL, &of_images, &err));
  CHECK_OK(mcl_dataset_create_subset(b->c, of_images, rows, ROWS, &twice, &err));
  CHECK_OK(mcl_dataset_create_tokens(b->c, &tokens, &of_tokens, &err));
  CHECK_OK(mcl_dataset_create_joined(b->c, twice, of_tokens, &b->d, &err));
  mcl_dataset_unref(of_images), mcl_dataset_unref(twice), mcl_dataset_unref(of_tokens);
}

static void stop(bench *b) {
  mcl_dataset_unref(b->d);
  mcl_context_unref(b->c);
}

// Embeddings of what two rows may share and of nothing else: in any group of rows each is told from all that do not share it,
// and from those that do not at all.
START_TEST(told_leaves_out_pairs_of_one_image_or_one_caption) {
  static const float way[CAPTIONS][D] = {
      {1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}, {-1, 0, 0, 0}};
  for (int by_image = 0; by_image < 2; by_image++)
    for (int32_t modalities = 1 + !by_image; modalities <= 2; modalities++) {
      static bench b;
      start(&b, modalities);
      for (int64_t i = 0; i < ROWS; i++)
        for (int v = 0; v < 2; v++) {
          float *z = b.z[v] + i * D;
          memcpy(z, way[caption_of(i)], sizeof way[0]);
          if (by_image) test_fill_normal(z, D, 50 + (uint64_t)image_of(i));
          for (int k = 0; v && k < D; k++) z[k] *= 2; // the views differ
        }
      run(&b);
      ck_assert_double_eq(b.told, 1);
      stop(&b);
    }
}
END_TEST

START_TEST(rows_of_one_image_or_one_caption_are_not_set_against_each_other) {
  static bench b;
  start(&b, 2);
  double loss = run(&b);
  ck_assert_int_eq(b.batches, ROWS / BATCH);
  ck_assert_int_gt(b.shared, 10);
  ck_assert_double_eq_tol(loss, b.loss / b.batches, 1e-6);
  stop(&b);
}
END_TEST

START_TEST(with_one_modality_views_of_one_image_are_not_set_against_each_other) {
  static bench b;
  start(&b, 1);
  double loss = run(&b);
  ck_assert_int_gt(b.shared, 1);
  ck_assert_double_eq_tol(loss, b.loss / b.batches, 1e-6);
  stop(&b);
}
END_TEST

static mcl_status give_groups(void *user, int32_t modality, int64_t *out, mcl_error *e) {
  const bench *b = user;
  if (b->ignored >> modality & 1) return mcl_error_set(e, MCL_E_NOT_FOUND, 0, "never heard of it");
  for (int64_t i = 0; i < ROWS; i++) out[i] = 1000 - (modality ? caption_of(i) : image_of(i));
  return mcl_ok(e);
}

// The host's encoder holds the data; the host says what it knows, or has no callback for it.
static void run_host(int ignored, int has_callback) {
  static bench b;
  mcl_host_dataset t;
  start(&b, 2);
  mcl_dataset_unref(b.d);
  mcl_struct_init(&t, sizeof t);
  t.user = &b, t.rows = ROWS, t.modalities = 2;
  if (has_callback) t.groups = give_groups;
  CHECK_OK(mcl_dataset_create_host(b.c, &t, &b.d, &err));
  b.ignored = ignored;
  double loss = run(&b);
  ck_assert_int_eq(b.shared == 0, ignored == 3);
  ck_assert_double_eq_tol(loss, b.loss / b.batches, 1e-6);
  stop(&b);
}

START_TEST(a_host_says_which_rows_are_the_same) {
  for (int ignored = 0; ignored < 4; ignored++) run_host(ignored, 1);
  run_host(3, 0);
}
END_TEST

static mcl_status refuse(void *user, int32_t modality, int64_t *out, mcl_error *e) {
  (void)user, (void)modality, (void)out;
  return mcl_error_set(e, MCL_E_IO, 0, "the table is gone");
}

START_TEST(a_host_that_fails_to_say_it_fails_the_run) {
  static bench b;
  mcl_host_dataset t;
  mcl_multistage *l = NULL;
  mcl_multistage_options o;
  mcl_encoder_factory f;
  start(&b, 2);
  mcl_dataset_unref(b.d);
  mcl_struct_init(&t, sizeof t);
  mcl_struct_init(&f, sizeof f);
  mcl_multistage_options_init(&o, sizeof o);
  t.rows = ROWS, t.modalities = 2, t.groups = refuse;
  o.modalities = 2, o.loss_kind = MCL_LOSS_INFO_NCE;
  f.user = &b, f.make = make;
  CHECK_OK(mcl_dataset_create_host(b.c, &t, &b.d, &err));
  CHECK_OK(mcl_multistage_create(b.c, &o, ROWS, NULL, &l, &err));
  CHECK_FAILS(MCL_E_IO, "the table is gone", mcl_multistage_run(l, b.d, NULL, &f, NULL, &err));
  mcl_multistage_unref(l);
  stop(&b);
}
END_TEST

RUN_TESTS("multistage", rows_of_one_image_or_one_caption_are_not_set_against_each_other,
          told_leaves_out_pairs_of_one_image_or_one_caption,
          with_one_modality_views_of_one_image_are_not_set_against_each_other,
          a_host_says_which_rows_are_the_same, a_host_that_fails_to_say_it_fails_the_run)
