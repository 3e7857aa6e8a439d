// Two towers as one encoder, with a temperature that stays; and the shuffled control.
//
// "Shuffled" is told the embeddings of another row wherever the loop embeds, to be clustered: the
// clusters are the same, but their rows are drawn at random, so that cells have the same sizes and
// nothing in common. Both modalities are told the same row.
#include "image_text.h"

#include <stdlib.h>

enum { TOWER_DIM = 64 };

// ---- towers --------------------------------------------------------------------------------------------

static mcl_status make_image(const run *t, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  mcl_array row;
  mcl_status s = mcl_dataset_shape(t->w->train.images, 0, &row, e);
  if (s < 0) return s;
  if (t->o->data == FIGURES) { // place and angle of a shape are too much for a dense layer
    static const int32_t kernels[] = {3, 3, 3}, strides[] = {2, 2, 2};
    mcl_cnn_options o;
    mcl_cnn_options_init(&o, sizeof o); // filters 32, 64, 64
    o.seed = seed;
    o.height = (int32_t)row.shape[0], o.width = (int32_t)row.shape[1];
    o.channels = (int32_t)row.shape[2];
    o.kernels = kernels, o.strides = strides;
    o.dim = TOWER_DIM, o.projection_dim = 0;
    return mcl_encoder_create_cnn(t->context, &o, out, e);
  }
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = seed;
  o.inputs = row.shape[0] * row.shape[1] * row.shape[2];
  o.hidden = 256, o.layers = 1, o.dim = TOWER_DIM, o.projection_dim = 0;
  return mcl_encoder_create_mlp(t->context, &o, out, e);
}

static mcl_status make_text(const run *t, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.seed = seed;
  o.vocabulary = t->w->vocabulary, o.context = t->w->words, o.padding = -1;
  o.embed = 64, o.hidden = 128, o.layers = 1, o.dim = TOWER_DIM;
  return mcl_encoder_create_bag(t->context, &o, out, e);
}

static mcl_status make_plain(const run *t, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  mcl_encoder *image = NULL, *text = NULL;
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.temperature = 0; // the loss's
  mcl_status s = make_image(t, seed, &image, e);
  if (s == MCL_OK) s = make_text(t, ~seed, &text, e);
  if (s == MCL_OK) s = mcl_encoder_create_pair(t->context, &o, image, text, out, e);
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return s;
}

// ---- the shuffled control ------------------------------------------------------------------------------

typedef struct shuffled {
  const run *t;
  mcl_encoder *pair;
} shuffled;

static mcl_status embed_others(const shuffled *u, const mcl_inputs *in, const mcl_array *out,
                               mcl_error *e) {
  mcl_array data = *in->data;
  mcl_inputs theirs = *in;
  int64_t numbers = in->n;
  for (int d = 1; d < data.ndim; d++) numbers *= data.shape[d];
  int64_t *others = malloc((size_t)in->n * sizeof *others);
  float *room = malloc((size_t)numbers * sizeof *room); // of pixels, or as many bytes of token ids
  mcl_status s = others && room ? MCL_OK : mcl_error_set(e, MCL_E_NOMEM, 0, "no memory");
  if (s == MCL_OK) {
    for (int64_t i = 0; i < in->n; i++) others[i] = u->t->order[in->indices[i]];
    mcl_array_init(&data, room, data.dtype, data.ndim, in->data->shape);
    theirs.indices = others, theirs.data = &data;
    s = mcl_dataset_load(u->t->w->train.joined, others, in->n, in->modality, &data, e);
  }
  if (s == MCL_OK) s = mcl_encoder_embed(u->pair, &theirs, out, e);
  free(others), free(room);
  return s;
}

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  const shuffled *u = user;
  return u->t->order ? embed_others(u, in, out, e) : mcl_encoder_embed(u->pair, in, out, e);
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  return mcl_encoder_forward(((shuffled *)user)->pair, in, out, e);
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad, mcl_error *e) {
  return mcl_encoder_backward(((shuffled *)user)->pair, in, grad, e);
}

static mcl_status step(void *user, const mcl_step *at, mcl_error *e) {
  return mcl_encoder_step(((shuffled *)user)->pair, at, e);
}

static void destroy(void *user) {
  mcl_encoder_unref(((shuffled *)user)->pair);
  free(user);
}

static mcl_status shuffle(const run *t, mcl_encoder *pair, mcl_encoder **out, mcl_error *e) {
  mcl_host_encoder table;
  shuffled *u = malloc(sizeof *u);
  if (!u) return mcl_error_set(e, MCL_E_NOMEM, 0, "no memory");
  *u = (shuffled){t, mcl_encoder_ref(pair)};
  mcl_struct_init(&table, sizeof table);
  table.user = u;
  table.dim = mcl_encoder_dim(pair);
  table.modalities = 2;
  table.embed = embed, table.forward = forward, table.backward = backward, table.step = step;
  table.destroy = destroy;
  return mcl_encoder_create_host(t->context, &table, out, e);
}

int draw_order(run *t) {
  uint64_t seed = (uint64_t)t->o->shared.seed * 2 + 1;
  t->order = malloc((size_t)t->w->train.n * sizeof *t->order);
  if (!t->order) return out_of_memory();
  for (int64_t i = 0; i < t->w->train.n; i++) {
    int64_t j = (int64_t)(next_random(&seed) % (uint64_t)(i + 1));
    t->order[i] = t->order[j];
    t->order[j] = i;
  }
  return 0;
}

mcl_status make_pair(void *user, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  const run *t = user;
  mcl_encoder *pair = NULL;
  mcl_status s = make_plain(t, seed, &pair, e);
  if (s < 0 || !t->order) {
    *out = pair;
    return s;
  }
  s = shuffle(t, pair, out, e);
  mcl_encoder_unref(pair);
  return s;
}

void tell_the_truth(void *user) {
  run *t = user;
  free(t->order);
  t->order = NULL;
}
