// Datasets, tokenizers, images and augmentations.
#include <stdio.h>
#include <string.h>

#include "fuzz/api/world.h"

static uint8_t pixels[POOL];
static int32_t tokens[POOL];

static void fill(void) {
  for (int i = 0; i < POOL && !pixels[1]; i++) pixels[POOL - 1 - i] = (uint8_t)(i * 37 + (i >> 8));
  pixels[1] = 1;
  for (int i = 0; i < POOL && !tokens[1]; i++) tokens[POOL - 1 - i] = (i * 5 + (i >> 4)) % 19 + 1;
  tokens[1] = 1;
}

static void put(world *w, mcl_dataset *d) {
  int at = slot(w);
  mcl_dataset_unref(w->datasets[at]);
  w->datasets[at] = d;
}

// ---- made of memory -----------------------------------------------------------------------------

static void make_array(world *w) {
  mcl_dataset *d = NULL;
  int64_t n = 1 + fuzz_below(w->in, MOST_ROWS), side = 1 + fuzz_below(w->in, 12);
  fill();
  mcl_array a = mcl_images_u8(pixels, n, side, 8, 1 + fuzz_below(w->in, 4));
  if (wild(w)) a.shape[fuzz_below(w->in, 4)] = -fuzz_below(w->in, 2);
  if (wild(w)) a.dtype = (int32_t)fuzz_size(w->in) % 5;
  if (a.dtype == MCL_F64) return;
  const int32_t *labels = fuzz_below(w->in, 2) ? some_labels(w, n, 3) : NULL;
  if (TRY(mcl_dataset_create_array(w->context, &a, labels, wild(w) ? NULL : &d, &w->err)))
    put(w, d);
}

static void make_tokens(world *w) {
  mcl_dataset *d = NULL;
  fill();
  int64_t shape[2] = {1 + fuzz_below(w->in, MOST_ROWS), 1 + fuzz_below(w->in, 6)};
  mcl_array a;
  mcl_array_init(&a, tokens + fuzz_below(w->in, 100), wild(w) ? MCL_U8 : MCL_I32, 2, shape);
  if (TRY(mcl_dataset_create_tokens(w->context, &a, &d, &w->err))) put(w, d);
}

static mcl_status host_shape(void *user, int32_t modality, mcl_array *row, mcl_error *err) {
  (void)user, (void)modality;
  row->dtype = MCL_F32, row->ndim = 1, row->shape[0] = 4;
  return mcl_ok(err);
}
static mcl_status host_load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                            const mcl_array *out, mcl_error *err) {
  (void)user, (void)modality;
  for (int64_t i = 0; i < 4 * n; i++) ((float *)out->data)[i] = (float)(indices[i / 4] + i % 4);
  return mcl_ok(err);
}

static void make_host(world *w) {
  mcl_dataset *d = NULL;
  mcl_host_dataset h;
  mcl_struct_init(&h, sizeof h);
  h.rows = draw(w, 1, MOST_ROWS), h.modalities = (int32_t)draw(w, 1, 2);
  h.fingerprint = 7, h.shape = host_shape, h.load = host_load;
  if (TRY(mcl_dataset_create_host(w->context, &h, &d, &w->err))) put(w, d);
}

// ---- wrapped ------------------------------------------------------------------------------------

static void make_subset(world *w) {
  mcl_dataset *d = NULL, *from = PICK(w, datasets);
  int64_t n = 1 + fuzz_below(w->in, MOST_ROWS), of = mcl_dataset_rows(from);
  if (w->legal && !from) return;
  if (TRY(mcl_dataset_create_subset(w->context, from, some_rows(w, n, of), n, &d, &w->err)))
    put(w, d);
}

static void make_resized(world *w) {
  mcl_dataset *d = NULL, *from = PICK(w, datasets);
  mcl_array row;
  if (w->legal && (!from || !TRY(mcl_dataset_shape(from, 0, &row, &w->err)))) return;
  if (w->legal && row.dtype != MCL_U8) return;
  if (TRY(mcl_dataset_create_resized(w->context, from, (int32_t)draw(w, 1, 12),
                                     (int32_t)draw(w, 1, 12), (int32_t)draw(w, 1, 2), &d, &w->err)))
    put(w, d);
}

static void make_randbits(world *w) {
  mcl_dataset *d = NULL, *from = PICK(w, datasets);
  mcl_array row;
  if (w->legal && (!from || !TRY(mcl_dataset_shape(from, 0, &row, &w->err)))) return;
  if (w->legal && (row.dtype != MCL_U8 || row.shape[2] > 8)) return;
  if (TRY(mcl_dataset_create_randbits(w->context, from, (int32_t)draw(w, 0, 5), 3, &d, &w->err)))
    put(w, d);
}

static void make_joined(world *w) {
  mcl_dataset *d = NULL, *a = PICK(w, datasets), *b = PICK(w, datasets);
  if (mcl_dataset_modalities(a) + mcl_dataset_modalities(b) > 8 || (w->legal && (!a || !b))) return;
  if (TRY(mcl_dataset_create_joined(w->context, a, b, &d, &w->err))) put(w, d);
}

// ---- made of files ------------------------------------------------------------------------------

// A folder of two classes, a file of pairs, one of questions, IDX files; written once a process.
static void write_files(world *w) {
  static int written;
  if (written) return;
  fill();
  for (int i = 0; i < 4; i++) {
    char name[32];
    snprintf(name, sizeof name, "%d.png", i);
    mcl_array a = mcl_images_u8(pixels + 100 * i, 1, 5 + i, 6, 3);
    mcl_array image = {a.data, MCL_U8, 3, 0, 0, {5 + i, 6, 3, 1}, {18, 3, 1, 1}};
    if (!TRY(mcl_image_write_png(w->context, fuzz_path(name), &image, &w->err))) return;
  }
  fuzz_put("pairs.csv", "0.png,a red one,one\n1.png,two reds\n3.png,a blue one\n", 49);
  fuzz_put("questions.csv", "0.png,1.png,one,two\n2.png,3.png,three,four\n", 44);
  fuzz_put("images.idx",
           "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02"
           "abcdefgh",
           24);
  fuzz_put("labels.idx", "\0\0\x08\x01\0\0\0\x02\0\1", 10);
  written = 1;
}

static void make_folder(world *w) {
  mcl_dataset *d = NULL;
  mcl_folder_options o;
  write_files(w);
  mcl_folder_options_init(&o, sizeof o);
  o.height = (int32_t)draw(w, 1, 9), o.width = (int32_t)draw(w, 1, 9);
  o.cache_bytes = draw(w, 0, 4000);
  if (wild(w)) o.on_bad_file = (int32_t)fuzz_size(w->in);
  // The scratch folder itself: besides the images, whatever else operations have left there.
  if (TRY(mcl_dataset_create_folder(w->context, fuzz_path("."), GIVE(w, o), NULL, &d, &w->err)))
    put(w, d);
}

static void make_pairs(world *w) {
  mcl_dataset *d = NULL;
  mcl_pairs_options o;
  mcl_folder_options images;
  write_files(w);
  mcl_pairs_options_init(&o, sizeof o);
  mcl_folder_options_init(&images, sizeof images);
  images.height = images.width = 4;
  o.images = &images;
  o.max_line_bytes = draw(w, 60, 1000);
  mcl_tokenizer *t = w->tokenizers[slot(w)];
  int questions = (int)fuzz_below(w->in, 2);
  const char *path = fuzz_path(questions ? "questions.csv" : "pairs.csv");
  const mcl_pairs_options *given = GIVE(w, o);
  if (given && given->struct_size < sizeof o) return; // without `images` rows of 64 x 64
  if (TRY((questions ? mcl_dataset_create_questions
                     : mcl_dataset_create_pairs)(w->context, path, t, given, NULL, &d, &w->err)))
    put(w, d);
}

static void make_idx(world *w) {
  mcl_dataset *d = NULL;
  write_files(w);
  const char *labels = fuzz_below(w->in, 2) ? fuzz_path("labels.idx") : NULL;
  const char *images = wild(w) ? fuzz_path("labels.idx") : fuzz_path("images.idx");
  if (TRY(mcl_dataset_create_idx(w->context, images, labels, &d, &w->err))) put(w, d);
}

// ---- asked --------------------------------------------------------------------------------------

static void ask_dataset(world *w) {
  static int32_t ints[4 * MOST_ROWS];
  static int64_t longs[4 * MOST_ROWS];
  char text[64];
  size_t wanted;
  mcl_dataset *d = PICK(w, datasets);
  mcl_dataset_report r;
  if (!d && w->legal) return;
  int64_t n = wild(w) ? fuzz_below(w->in, 4) : 4 * MOST_ROWS, row = draw(w, 0, 3);
  int32_t modality = (int32_t)draw(w, 0, 1);
  if (!d != (mcl_dataset_fingerprint(d) == 0)) fuzz_fail("no fingerprint");
  TRY(mcl_dataset_labels(d, ints, n, &w->err));
  TRY(mcl_dataset_codes(d, ints, n, &w->err));
  TRY(mcl_dataset_groups(d, modality, longs, n, &w->err));
  TRY(mcl_dataset_name(d, row, text, sizeof text, &wanted, &w->err));
  TRY(mcl_dataset_caption(d, row, text, (size_t)fuzz_below(w->in, 32), &wanted, &w->err));
  TRY(mcl_dataset_class_name(d, (int32_t)row, text, sizeof text, &wanted, &w->err));
  mcl_struct_init(&r, sizeof r);
  TRY(mcl_dataset_get_report(d, &r, &w->err));
}

static void load(world *w) {
  mcl_dataset *d = PICK(w, datasets);
  mcl_array row;
  int64_t n = fuzz_below(w->in, MOST_ROWS), numbers = 1;
  int32_t modality = (int32_t)draw(w, 0, 1);
  if (!d && w->legal) return;
  if (!TRY(mcl_dataset_shape(d, modality, &row, &w->err))) return;
  for (int32_t i = 0; i < row.ndim; i++) numbers *= row.shape[i];
  if (n * numbers > POOL) return;
  mcl_array flat = some_room(w, n, numbers), out;
  int64_t shape[4] = {n, row.shape[0], row.shape[1], row.shape[2]};
  mcl_array_init(&out, flat.data, flat.dtype, row.ndim + 1, shape);
  const int64_t *rows = some_rows(w, n, mcl_dataset_rows(d));
  TRY(mcl_dataset_load(d, rows, n, modality, &out, &w->err));
}

static void refer(world *w) {
  int at = slot(w);
  mcl_dataset_unref(mcl_dataset_ref(w->datasets[at]));
  mcl_tokenizer_unref(mcl_tokenizer_ref(w->tokenizers[at]));
  mcl_augmenter_unref(mcl_augmenter_ref(w->augmenters[at]));
  mcl_encoder_unref(mcl_encoder_ref(w->learners[at].encoder));
  mcl_clusterer_unref(mcl_clusterer_ref(w->clusterers[at]));
  mcl_sampler_unref(mcl_sampler_ref(w->samplers[at]));
  mcl_npy_unref(mcl_npy_ref(w->files[at]));
  mcl_checkpoint_unref(mcl_checkpoint_ref(w->checkpoints[at]));
  mcl_checkpoint_writer_unref(mcl_checkpoint_writer_ref(w->writers[at]));
  mcl_comm_unref(mcl_comm_ref(w->comms[at]));
  mcl_integrator_unref(mcl_integrator_ref(w->integrators[at]));
  mcl_multistage_unref(mcl_multistage_ref(w->loops[at]));
  mcl_context_unref(mcl_context_ref(w->context));
}

// ---- texts --------------------------------------------------------------------------------------

static const char *const texts[] = {"a red one", "two blue ones", "", "\xc3\x89T\xc3\x89 3",
                                    "a a a a a a a a a"};

static void make_tokenizer(world *w) {
  mcl_tokenizer *t = NULL;
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = (int32_t)draw(w, 3, 9);
  o.vocabulary = (int32_t)draw(w, 514, 530);
  o.on_long = (int32_t)draw(w, 1, 2);
  o.min_count = (int32_t)draw(w, 1, 3);
  if (!w->legal && o.context > 64) return; // rows would not fit the buffers below
  const mcl_tokenizer_options *given = GIVE(w, o);
  int64_t n = draw(w, 1, 5);
  if (n > 5 || (given && given->struct_size < sizeof o) || !given) return;
  int ok = fuzz_below(w->in, 2)
               ? TRY(mcl_tokenizer_create(w->context, given, texts, n, NULL, &t, &w->err))
               : TRY(mcl_tokenizer_load(w->context, given, some_path(w, ".vocab"),
                                        some_path(w, ".merges"), &t, &w->err));
  if (!ok) return;
  int at = slot(w);
  mcl_tokenizer_unref(w->tokenizers[at]);
  w->tokenizers[at] = t;
}

static void use_tokenizer(world *w) {
  static int32_t ids[64 * 8], lengths[8];
  static const char *const templates[] = {"a {}", "{} and {}"};
  char text[256];
  size_t wanted;
  mcl_tokenizer *t = PICK(w, tokenizers);
  if (!t && w->legal) return;
  int64_t n = fuzz_below(w->in, 6), context = mcl_tokenizer_context(t);
  TRY(mcl_tokenizer_encode(t, texts, n, ids, lengths, &w->err));
  TRY(mcl_tokenizer_encode_templates(t, templates, 2, texts, wild(w) ? 0 : 2, ids, &w->err));
  if (wild(w)) ids[0] = (int32_t)fuzz_size(w->in);
  TRY(mcl_tokenizer_decode(t, ids, context, text, (size_t)draw(w, 0, 255) % 256, &wanted, &w->err));
  if (t && mcl_tokenizer_vocabulary(t) < 514)
    fuzz_fail("a vocabulary of %d", mcl_tokenizer_vocabulary(t));
  if (!t && mcl_tokenizer_start(t) + mcl_tokenizer_end(t) + mcl_tokenizer_padding(t) != -3)
    fuzz_fail("ids of no tokenizer");
  if (!t != (mcl_tokenizer_fingerprint(t) == 0)) fuzz_fail("no fingerprint");
  TRY(mcl_tokenizer_save(t, some_path(w, ".vocab"), some_path(w, ".merges"), &w->err));
}

// ---- images -------------------------------------------------------------------------------------

static void make_augmenter(world *w) {
  mcl_augmenter *a = NULL;
  mcl_augmenter_options o;
  mcl_augmenter_options_init(&o, sizeof o);
  o.height = (int32_t)draw(w, 0, 9), o.width = (int32_t)draw(w, 0, 9);
  o.crop_area_min = draw_real(w, .1, .5);
  o.hue = draw_real(w, 0, .5), o.blur = draw_real(w, 0, 1), o.noise = draw_real(w, 0, 1);
  o.crop_size = (int32_t)draw(w, 0, 2);
  const mcl_augmenter_options *given = GIVE(w, o);
  if (!TRY(mcl_augmenter_create(w->context, given, &a, &w->err))) return;
  int at = slot(w);
  mcl_augmenter_unref(w->augmenters[at]);
  w->augmenters[at] = a;
  w->views[at][0] = o.height, w->views[at][1] = o.width;
}

static void augment(world *w) {
  int at = slot(w);
  mcl_augmenter *a = wild(w) ? NULL : w->augmenters[at];
  int64_t n = fuzz_below(w->in, 5), from[4] = {n, 8, 8, 3};
  if (!a && w->legal) return;
  mcl_array data = some_floats(w, 4, from), out = some_room(w, n, 192);
  int64_t to[4] = {n, w->views[at][0] ? w->views[at][0] : 8, w->views[at][1] ? w->views[at][1] : 8,
                   3};
  if (to[1] * to[2] > POOL / 15) return;
  mcl_array_init(&out, out.data, out.dtype, 4, to);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = n, in.data = &data, in.indices = some_rows(w, n, 100), in.view = (int32_t)draw(w, -1, 1);
  in.seed = 5;
  TRY(mcl_augmenter_apply(a, &in, &out, &w->err));
}

static void write_image(world *w) {
  static uint8_t file[1 << 16];
  int64_t shape[3] = {1 + fuzz_below(w->in, 20), 1 + fuzz_below(w->in, 20),
                      draw(w, 1, 2) == 1 ? 1 : 3};
  const char *path = some_path(w, ".png");
  mcl_array image = some_floats(w, 3, shape), out;
  int32_t height, width, channels;
  if (!TRY(mcl_image_write_png(w->context, path, &image, &w->err))) return;
  FILE *f = fopen(path, "rb");
  if (!f) fuzz_fail("%s was written, and is not there", path);
  size_t n = fread(file, 1, sizeof file, f);
  fclose(f);
  if (!TRY(mcl_image_size(w->context, NULL, file, n, &height, &width, &channels, &w->err))) return;
  if (height != image.shape[0] || width != image.shape[1])
    fuzz_fail("another size than was written");
  out = some_room(w, height, width);
  TRY(mcl_image_decode(w->context, NULL, file, n, &out, &w->err));
}

static void describe(world *w) {
  char text[512];
  size_t wanted;
  TRY(mcl_context_describe(wild(w) ? NULL : w->context, text, (size_t)draw(w, 400, 512) % 513,
                           &wanted, &w->err));
}

const operation data_operations[] = {{"array", make_array},
                                     {"tokens", make_tokens},
                                     {"host dataset", make_host},
                                     {"subset", make_subset},
                                     {"resized", make_resized},
                                     {"randbits", make_randbits},
                                     {"joined", make_joined},
                                     {"folder", make_folder},
                                     {"pairs", make_pairs},
                                     {"idx", make_idx},
                                     {"ask dataset", ask_dataset},
                                     {"load", load},
                                     {"refer", refer},
                                     {"tokenizer", make_tokenizer},
                                     {"use tokenizer", use_tokenizer},
                                     {"augmenter", make_augmenter},
                                     {"augment", augment},
                                     {"write image", write_image},
                                     {"describe", describe},
                                     {NULL, NULL}};
