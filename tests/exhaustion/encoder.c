// Encoders of every kind: made, saved, loaded, begun with the weights of others. None of that runs tasks.
#include "exhaustion/kinds.h"

static int kind;
static bool starts; // from `other`, which is only read
static mcl_encoder *encoder, *other, *made;

static void start(int of) {
  kind = of;
  put_clip();
  encoder = other = NULL;
  starts = false;
  made = UNTOUCHED;
  remove(in("e")), remove(in("t"));
}

static mcl_status create(void) {
  return make_kind(kind, 1, &made);
}

// Two of other weights.
static void prepare_two(int of) {
  start(of);
  CHECK_OK(make_kind(of, 1, &encoder));
  CHECK_OK(make_kind(of, 2, &other));
}

static void prepare_save(int of) {
  prepare_two(of);
  put_file("e", "old", 3), put_file("t", "old", 3);
}

static void prepare_load(int of) {
  prepare_two(of);
  CHECK_OK(mcl_encoder_save(other, in("e"), &err));
  if (of == RESNET || of == VIT) CHECK_OK(mcl_encoder_save_torch(other, in("t"), &err));
}

static mcl_status save(void) {
  return mcl_encoder_save(encoder, in("e"), &err);
}
static mcl_status save_torch(void) {
  return mcl_encoder_save_torch(encoder, in("t"), &err);
}
static mcl_status load(void) {
  return mcl_encoder_load(encoder, in("e"), &err);
}
static mcl_status load_torch(void) {
  return mcl_encoder_load_torch(encoder, in("t"), &err);
}
static mcl_status start_from(void) {
  return mcl_encoder_start_from(encoder, other, &err);
}

static void look(seen *s) {
  see_number(s, IS_MADE(made));
  see_files(s);
  if (IS_MADE(made)) see_encoder(s, made, kind);
  if (encoder) see_encoder(s, encoder, kind);
  if (other && starts) see_encoder(s, other, kind);
}

static void finish(void) {
  if (IS_MADE(made)) mcl_encoder_unref(made);
  mcl_encoder_unref(encoder);
  mcl_encoder_unref(other);
}

#define KIND(of)                                                                                   \
  static void start_##of(void) {                                                                   \
    start(of);                                                                                     \
  }                                                                                                \
  static void save_##of(void) {                                                                    \
    prepare_save(of);                                                                              \
  }                                                                                                \
  static void load_##of(void) {                                                                    \
    prepare_load(of);                                                                              \
  }
EVERY_KIND(KIND)

static void two_NORMED(void) {
  prepare_two(NORMED);
  starts = true;
}
static void two_PAIR(void) {
  prepare_two(PAIR);
  starts = true;
}
static void two_HOSTS(void) {
  prepare_two(HOSTS);
  starts = true;
}
static void two_HEAD(void) {
  prepare_two(HEAD);
  starts = true;
}

#define CREATE(what, of)                                                                           \
  { "mcl_encoder_create_" what, #of, start_##of, create, look, finish, .flags = ONE_THREAD }
#define FILES(of)                                                                                  \
  {"mcl_encoder_save", #of, save_##of, save, look, finish, .flags = ONE_THREAD}, {                 \
    "mcl_encoder_load", #of, load_##of, load, look, finish, .flags = ONE_THREAD                    \
  }
static const exhaust_case cases[] = {
    CREATE("cnn", CNN),
    CREATE("cnn", NORMED),
    CREATE("mlp", MLP),
    CREATE("resnet", RESNET),
    CREATE("vit", VIT),
    CREATE("text", TEXT),
    CREATE("bag", BAG),
    CREATE("pair", PAIR),
    CREATE("pair", HOSTS),
    CREATE("clip", CLIP),
    CREATE("host", HOST),
    CREATE("host", HEAD),
    FILES(CNN),
    FILES(NORMED),
    FILES(MLP),
    FILES(RESNET),
    FILES(VIT),
    FILES(TEXT),
    FILES(BAG),
    FILES(PAIR),
    FILES(HOSTS),
    FILES(CLIP),
    FILES(HOST),
    FILES(HEAD),
    {"mcl_encoder_save_torch", "RESNET", save_RESNET, save_torch, look, finish,
     .flags = ONE_THREAD},
    {"mcl_encoder_save_torch", "VIT", save_VIT, save_torch, look, finish, .flags = ONE_THREAD},
    {"mcl_encoder_load_torch", "RESNET", load_RESNET, load_torch, look, finish,
     .flags = ONE_THREAD},
    {"mcl_encoder_load_torch", "VIT", load_VIT, load_torch, look, finish, .flags = ONE_THREAD},
    {"mcl_encoder_start_from", "NORMED", two_NORMED, start_from, look, finish,
     .flags = NO_MEMORY | ONE_THREAD},
    {"mcl_encoder_start_from", "PAIR", two_PAIR, start_from, look, finish,
     .flags = NO_MEMORY | ONE_THREAD},
    {"mcl_encoder_start_from", "HOSTS", two_HOSTS, start_from, look, finish,
     .flags = NO_MEMORY | ONE_THREAD},
    {"mcl_encoder_start_from", "HEAD", two_HEAD, start_from, look, finish,
     .flags = NO_MEMORY | ONE_THREAD},
};
PART(encoder, cases);
