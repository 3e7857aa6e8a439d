// Data sets of every kind: made, loaded, and what is asked of them. (The files lie there once; a file is never left out for
// want of memory, which the report and the rows would tell.)
#include "exhaustion/exhaust.h"

#include <libmcl/dataset.h>
#include <libmcl/image.h>

enum { N = 6, H = 6, W = 4, C = 2, MOST = 3 * H * W * (C + 4) };
static uint8_t pixels[N * H * W * C];
static const int32_t labels[N] = {0, 1, 2, 0, 1, 2};
static mcl_dataset *inner, *made, *used;
static mcl_tokenizer *tokenizer;
static float out[MOST];
static int64_t groups[3 * N];
static int destroyed;

// ---- files -----------------------------------------------------------------------------------------------

static void put_png(const char *name, uint64_t seed) {
  float x[H * W * 3];
  uint8_t image[H * W * 3];
  test_fill(x, H * W * 3, seed, 0, 255);
  for (int i = 0; i < H * W * 3; i++) image[i] = (uint8_t)x[i];
  mcl_array a;
  mcl_array_init(&a, image, MCL_U8, 3, (int64_t[]){H, W, 3});
  CHECK_OK(mcl_image_write_png(c, in(name), &a, &err));
}

static void put_text(const char *name, const char *text) {
  put_file(name, text, strlen(text));
}

static void put_idx(const char *name, int ndim) {
  unsigned char file[256] = {0, 0, 8, (unsigned char)ndim, 0, 0, 0, N, 0, 0, 0, 3, 0, 0, 0, 2};
  for (int i = 4 + 4 * ndim; i < 256; i++) file[i] = (unsigned char)i;
  if (ndim == 1) memset(file + 8, 1, N);
  put_file(name, file, (size_t)(4 + 4 * ndim + (ndim == 3 ? N * 6 : N)));
}

static void put_files(void) {
  static bool done;
  char command[17000];
  if (done) return;
  done = true;
  snprintf(command, sizeof command, "mkdir -p '%s' '%s' '%s'", in("f/k0/deep"), in("f/k1"),
           in("mmvp/MLLM_VLM Images/k"));
  ck_assert_int_eq(system(command), 0);
  put_png("f/k0/0.png", 0), put_png("f/k0/deep/1.png", 1);
  put_png("f/k1/2.png", 2), put_png("f/3.png", 3);
  put_text("f/k1/bad.png", "bad");
  put_text("pairs.csv", "f/3.png,one,two\nf/k1/bad.png,three\nf/k0/0.png,\"fo\"\"ur\"\n");
  put_text("pairs.tsv", "f/3.png\tone\ttwo\n");
  put_text("pairs.jsonl",
           "{\"image\":\"f/3.png\",\"captions\":[\"one\",\"two\",\"thr\\u0065e\"]}\n");
  put_text("questions.csv", "f/3.png,f/k0/0.png,one,two,k\nf/k1/2.png,f/3.png,three,four,l\n");
  put_text("mmvp/Questions.csv", "Question ID,Type,Statement\n1,k,a\n2,k,b\n3,k,c\n4,k,d\n");
  for (int i = 1; i <= 4; i++) {
    char name[64];
    snprintf(name, sizeof name, "mmvp/MLLM_VLM Images/k/%d.jpg", i);
    put_png(name, (uint64_t)i);
  }
  put_idx("images", 3), put_idx("labels", 1);
  snprintf(command, sizeof command, "gzip -k '%s' '%s'", in("images"), in("pairs.csv"));
  ck_assert_int_eq(system(command), 0);
}

// ---- what is made ----------------------------------------------------------------------------------------

static mcl_status host_shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  (void)user, (void)modality;
  row->dtype = MCL_F64, row->ndim = 1, row->shape[0] = 3;
  return mcl_ok(e);
}
static mcl_status host_load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                            const mcl_array *to, mcl_error *e) {
  (void)user, (void)modality;
  for (int64_t i = 0; i < 3 * n; i++) ((double *)to->data)[i] = (double)indices[i / 3];
  return mcl_ok(e);
}
static mcl_status host_groups(void *user, int32_t modality, int64_t *to, mcl_error *e) {
  (void)user, (void)modality;
  for (int64_t i = 0; i < N; i++) to[i] = i / 2;
  return mcl_ok(e);
}
static void host_destroy(void *user) {
  (void)user;
  destroyed++;
}

static mcl_status make_array(void) {
  mcl_array a = mcl_images_u8(pixels, N, W, H, C);
  a.strides[1] = C, a.strides[2] = W * C; // turned, so that the hash needs a copy of each row
  return mcl_dataset_create_array(c, &a, labels, &made, &err);
}
static mcl_status make_idx(void) {
  return mcl_dataset_create_idx(c, in("images"), in("labels"), &made, &err);
}
static mcl_status make_idx_gz(void) {
  return mcl_dataset_create_idx(c, in("images.gz"), in("labels"), &made, &err);
}
static mcl_status make_host(void) {
  mcl_host_dataset t;
  int before = destroyed;
  mcl_struct_init(&t, sizeof t);
  t.rows = N, t.modalities = 2, t.shape = host_shape, t.load = host_load;
  t.groups = host_groups, t.destroy = host_destroy;
  mcl_status s = mcl_dataset_create_host(c, &t, &made, &err);
  ck_assert_int_eq(destroyed - before, s < 0);
  return s;
}
static mcl_status make_folder_with(int64_t cache_bytes) {
  mcl_folder_options o;
  mcl_folder_options_init(&o, sizeof o);
  o.height = o.width = 5;
  o.cache_bytes = cache_bytes;
  return mcl_dataset_create_folder(c, in("f"), &o, NULL, &made, &err);
}
static mcl_status make_folder(void) {
  return make_folder_with(1 << 20);
}
static mcl_status make_uncached(void) {
  return make_folder_with(0);
}
static mcl_status make_subset(void) {
  return mcl_dataset_create_subset(c, inner, (int64_t[]){5, 3, 3, 0}, 4, &made, &err);
}
static mcl_status make_resized(void) {
  return mcl_dataset_create_resized(c, inner, 3, 5, MCL_FILTER_TRIANGLE, &made, &err);
}
static mcl_status make_randbits(void) {
  return mcl_dataset_create_randbits(c, inner, 4, 1, &made, &err);
}
static mcl_status make_tokens(void) {
  static int32_t ids[2 * N] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  mcl_array a;
  mcl_array_init(&a, ids, MCL_I32, 2, (int64_t[]){N, 2});
  a.strides[0] = 1, a.strides[1] = N; // turned
  return mcl_dataset_create_tokens(c, &a, &made, &err);
}
// Of two data sets that are made for it, and let go of.
static mcl_status make_joined(void) {
  mcl_dataset *bits = NULL, *before = made;
  mcl_status s = mcl_dataset_create_randbits(c, inner, 2, 1, &bits, &err);
  if (s == MCL_OK) s = make_tokens();
  if (s == MCL_OK) {
    mcl_dataset *tokens = made;
    made = before;
    s = mcl_dataset_create_joined(c, bits, tokens, &made, &err);
    mcl_dataset_unref(tokens);
  }
  mcl_dataset_unref(bits);
  return s;
}
// A wrapper of wrappers: labels and codes are copied at each.
static mcl_status make_stack(void) {
  mcl_dataset *bits = NULL, *small = NULL;
  mcl_status s = mcl_dataset_create_randbits(c, inner, 2, 1, &bits, &err);
  if (s == MCL_OK) s = mcl_dataset_create_resized(c, bits, 3, 2, MCL_FILTER_BOX, &small, &err);
  if (s == MCL_OK) s = mcl_dataset_create_subset(c, small, (int64_t[]){1, 2, 4}, 3, &made, &err);
  mcl_dataset_unref(bits);
  mcl_dataset_unref(small);
  return s;
}

typedef mcl_status (*opener)(mcl_context *, const char *, const mcl_tokenizer *,
                             const mcl_pairs_options *, const mcl_monitor *, mcl_dataset **,
                             mcl_error *);
static mcl_status make_with(opener open, const char *name, const mcl_tokenizer *t) {
  mcl_folder_options f;
  mcl_pairs_options o;
  mcl_folder_options_init(&f, sizeof f);
  mcl_pairs_options_init(&o, sizeof o);
  f.height = f.width = 5;
  o.images = &f;
  return open(c, in(name), t, &o, NULL, &made, &err);
}
static mcl_status make_texts(void) {
  return make_with(mcl_dataset_create_pairs, "pairs.csv", NULL);
}
static mcl_status make_pairs(void) {
  return make_with(mcl_dataset_create_pairs, "pairs.csv", tokenizer);
}
static mcl_status make_tsv(void) {
  return make_with(mcl_dataset_create_pairs, "pairs.tsv", tokenizer);
}
static mcl_status make_gz(void) {
  return make_with(mcl_dataset_create_pairs, "pairs.csv.gz", tokenizer);
}
static mcl_status make_json(void) {
  return make_with(mcl_dataset_create_pairs, "pairs.jsonl", tokenizer);
}
static mcl_status make_questions(void) {
  return make_with(mcl_dataset_create_questions, "questions.csv", tokenizer);
}
static mcl_status make_mmvp(void) {
  return make_with(mcl_dataset_create_questions, "mmvp", tokenizer);
}

// ---- what is asked of it ---------------------------------------------------------------------------------

// Three rows as float32, of the last modality that has data.
static mcl_status load(void) {
  mcl_array row, a;
  int32_t m = mcl_dataset_modalities(used) - 1;
  CHECK_OK(mcl_dataset_shape(used, m, &row, &err));
  int64_t shape[4] = {3, row.shape[0], row.shape[1], row.shape[2]};
  mcl_array_init(&a, out, row.dtype == MCL_I32 ? MCL_I32 : MCL_F32, row.ndim + 1, shape);
  return mcl_dataset_load(used, (int64_t[]){2, 0, 2}, 3, m, &a, &err);
}

static mcl_status load_images(void) {
  mcl_array row, a;
  CHECK_OK(mcl_dataset_shape(used, 0, &row, &err));
  int64_t shape[4] = {3, row.shape[0], row.shape[1], row.shape[2]};
  mcl_array_init(&a, out, MCL_F32, row.ndim + 1, shape);
  return mcl_dataset_load(used, (int64_t[]){2, 0, 2}, 3, 0, &a, &err);
}

static mcl_status group(void) {
  return mcl_dataset_groups(used, mcl_dataset_modalities(used) - 1, groups, 3 * N, &err);
}

static void see_dataset(seen *s, mcl_dataset *d) {
  mcl_dataset_report r;
  char text[64] = "";
  int32_t of[3 * N] = {0};
  uint64_t fingerprint = mcl_dataset_fingerprint(d);
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_dataset_get_report(d, &r, &err));
  see(s, &r, sizeof r);
  see(s, &fingerprint, sizeof fingerprint);
  see_number(s, mcl_dataset_labels(d, of, 3 * N, NULL));
  see(s, of, sizeof of);
  see_number(s, mcl_dataset_codes(d, of, 3 * N, NULL));
  see(s, of, sizeof of);
  see_number(s, mcl_dataset_caption(d, 1, text, sizeof text, NULL, NULL));
  CHECK_OK(mcl_dataset_name(d, 0, text, sizeof text, NULL, &err));
  see(s, text, sizeof text);
}

static void prepare(void) {
  mcl_array a = mcl_images_u8(pixels, N, H, W, C);
  mcl_tokenizer_options o;
  float x[sizeof pixels];
  test_fill(x, sizeof pixels, 6, 0, 255);
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)x[i];
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = 6;
  put_files();
  CHECK_OK(mcl_tokenizer_create(c, &o, (const char *const[]){"one"}, 1, NULL, &tokenizer, &err));
  CHECK_OK(mcl_dataset_create_array(c, &a, labels, &inner, &err));
  made = UNTOUCHED, used = NULL;
  PATTERN(out), PATTERN(groups);
}

static void look(seen *s) {
  mcl_dataset *all[] = {inner, used, made};
  see(s, out, sizeof out);
  see(s, groups, sizeof groups);
  for (int i = 0; i < 3; i++) {
    see_number(s, IS_MADE(all[i]));
    if (all[i] && IS_MADE(all[i])) see_dataset(s, all[i]);
  }
}

static void finish(void) {
  if (IS_MADE(made)) mcl_dataset_unref(made);
  mcl_dataset_unref(used);
  mcl_dataset_unref(inner);
  mcl_tokenizer_unref(tokenizer);
}

// One data set of each kind, to be asked something.
#define USE(kind)                                                                                  \
  static void use_##kind(void) {                                                                   \
    prepare();                                                                                     \
    CHECK_OK(make_##kind());                                                                       \
    used = made;                                                                                   \
    made = UNTOUCHED;                                                                              \
  }
USE(array)
USE(idx)
USE(host)
USE(folder)
USE(uncached)
USE(subset)
USE(resized)
USE(randbits)
USE(tokens)
USE(joined)
USE(stack)
USE(pairs)
USE(questions)

#define CREATE(what, kind)                                                                         \
  { "mcl_dataset_create_" what, #kind, prepare, make_##kind, look, finish }
#define ASK(what, kind, ask, bits)                                                                 \
  { "mcl_dataset_" what, #kind, use_##kind, ask, look, finish, .flags = bits }
static const exhaust_case cases[] = {
    CREATE("array", array),
    CREATE("idx", idx),
    CREATE("idx", idx_gz),
    CREATE("host", host),
    CREATE("folder", folder),
    CREATE("folder", uncached),
    CREATE("subset", subset),
    CREATE("resized", resized),
    CREATE("randbits", randbits),
    CREATE("tokens", tokens),
    CREATE("joined", joined),
    CREATE("subset", stack),
    CREATE("pairs", pairs),
    CREATE("pairs", tsv),
    CREATE("pairs", gz),
    CREATE("pairs", json),
    CREATE("pairs", texts),
    CREATE("questions", questions),
    CREATE("questions", mmvp),
    ASK("load", array, load, NO_MEMORY),
    ASK("load", idx, load, NO_MEMORY),
    ASK("load", host, load, 0),
    ASK("load", folder, load, NO_MEMORY),
    ASK("load", uncached, load, 0),
    ASK("load", subset, load, 0),
    ASK("load", resized, load, NO_MEMORY),
    ASK("load", randbits, load, NO_MEMORY),
    ASK("load", tokens, load, NO_MEMORY),
    ASK("load", joined, load, NO_MEMORY),
    ASK("load", joined, load_images, NO_MEMORY),
    ASK("load", stack, load, 0),
    ASK("load", pairs, load, NO_MEMORY),
    ASK("load", pairs, load_images, 0),
    ASK("load", questions, load_images, 0),
    ASK("groups", array, group, 0),
    ASK("groups", host, group, 0),
    ASK("groups", subset, group, 0),
    ASK("groups", tokens, group, 0),
    ASK("groups", joined, group, 0),
    ASK("groups", pairs, group, 0),
    ASK("groups", stack, group, 0),
};
PART(dataset, cases);
