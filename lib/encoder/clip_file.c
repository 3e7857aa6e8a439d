// The names and shapes of OpenAI's CLIP.
//
// Each tensor of a tower knows its name there (mcli_net_call), and has its shape but for the order of axes (tensor.h) and that a
// class token is [embed], not [1, embed].
//
// Nothing in the file is believed: the layers are made of a few shapes, every tensor is then held against them, and only
// then are there weights.
//
// Hugging Face's names are refused rather than translated: they are another layout (queries, keys and values apart), and
// its files come with a configuration that would have to be read as well.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "encoder/clip.h"
#include "encoder/tensor.h"
#include "math/array.h"
#include "store/checkpoint.h"

enum { MAX_SIDE = 4096, MAX_SIZE = 65536, MAX_VOCABULARY = 1 << 24, MAX_LAYERS = 64 };
enum { NAME_SIZE = MCLI_CALLED, OWN_TENSORS = MCLI_CLIP_OWN };
enum { WIDENING = 4 }; // of the layers of a block that have tensors
// Numbers of a head in all of OpenAI's towers.
enum { HEAD = 64 };

static const double clip_mean[3] = {0.48145466, 0.4578275, 0.40821073};
static const double clip_deviation[3] = {0.26862954, 0.26130258, 0.27577711};

// ---- names -----------------------------------------------------------------------------------------

const char *const mcli_clip_own[OWN_TENSORS] = {"visual.proj", "text_projection", "logit_scale"};

// Of OpenAI's archives: sizes, which follow from the shapes as well.
static const char *const of_archives[] = {"input_resolution", "context_length", "vocab_size"};

static const char *const sides[2] = {"image", "text"};

static const mcli_transformer_names image_names = {.patches = "visual.conv1.",
                                                   .token = "visual.class_embedding",
                                                   .positions = "visual.positional_embedding",
                                                   .pre = "visual.ln_pre.",
                                                   .block = "visual.transformer.resblocks.",
                                                   .of_block = mcli_openai_block,
                                                   .last = "visual.ln_post."};
static const mcli_transformer_names *const names[2] = {&image_names, &mcli_text_names};

static void block_name(int m, int32_t block, int32_t layer, char name[NAME_SIZE]) {
  snprintf(name, NAME_SIZE, "%s%d.%sweight", names[m]->block, block, names[m]->of_block[layer]);
}

// Whose names they are, where they are known not to be OpenAI's.
static mcl_status check_kind(const mcli_clip *c, mcl_error *err) {
  const char *name;
  for (int64_t i = 0; (name = mcli_checkpoint_name(c->file, i)); i++) {
    if (strncmp(name, "vision_model.", 13) == 0 || strncmp(name, "text_model.", 11) == 0)
      return mcli_fail(err, MCL_E_UNSUPPORTED,
                       "%s has a tensor %s: these are Hugging Face's names, and OpenAI's are read",
                       c->path, mcli_path_end(name, 60));
    if (strncmp(name, "visual.layer1.", 14) == 0)
      return mcli_fail(err, MCL_E_UNSUPPORTED,
                       "%s has a tensor %s: its image tower is a ResNet, and vision transformers "
                       "are read",
                       c->path, mcli_path_end(name, 60));
  }
  return MCL_OK;
}

static int is_known(const mcli_clip *c, const char *name) {
  for (int m = 0; m < 2; m++) {
    const mcli_params *p = &c->networks[m]->net.params;
    for (int32_t i = 0; i < p->n_tensors; i++)
      if (strcmp(name, p->tensors[i].called) == 0) return 1;
  }
  for (size_t i = 0; i < OWN_TENSORS; i++)
    if (strcmp(name, mcli_clip_own[i]) == 0) return 1;
  for (size_t i = 0; i < sizeof of_archives / sizeof *of_archives; i++)
    if (strcmp(name, of_archives[i]) == 0) return 1;
  return 0;
}

static mcl_status check_extra(const mcli_clip *c, mcl_error *err) {
  const char *name;
  for (int64_t i = 0; (name = mcli_checkpoint_name(c->file, i)); i++)
    if (!is_known(c, name))
      return mcli_fail(err, MCL_E_FORMAT, "%s has a tensor %s that OpenAI's CLIP has not", c->path,
                       mcli_path_end(name, 60));
  return MCL_OK;
}

// ---- shapes ----------------------------------------------------------------------------------------

// Its shape, of a tensor that is there, of a float type and of so many dimensions.
static mcl_status shape_of(const mcli_clip *c, const char *name, int32_t ndim, mcl_array *out,
                           mcl_error *err) {
  mcl_status s = mcl_checkpoint_shape(c->file, name, out, err);
  if (s == MCL_E_NOT_FOUND)
    return mcli_fail(err, MCL_E_FORMAT, "%s has no tensor %s, which OpenAI's CLIP has", c->path,
                     name);
  if (s < 0) return s;
  if (!mcli_dtype_is_float(out->dtype))
    return mcli_fail(err, MCL_E_FORMAT, "%s: tensor %s is not of a float type", c->path, name);
  if (out->ndim != ndim)
    return mcli_fail(err, MCL_E_FORMAT, "%s: tensor %s has %d dimensions, not %d", c->path, name,
                     out->ndim, ndim);
  return MCL_OK;
}

static mcl_status take_size(const mcli_clip *c, const char *name, const mcl_array *a, int axis,
                            int32_t most, int32_t *out, mcl_error *err) {
  if (a->shape[axis] < 1 || a->shape[axis] > most)
    return mcli_fail(err, MCL_E_FORMAT, "%s: tensor %s has %lld numbers along axis %d, not 1..%d",
                     c->path, name, (long long)a->shape[axis], axis, most);
  *out = (int32_t)a->shape[axis];
  return MCL_OK;
}

// How many blocks there are, and how wide they are inside.
static mcl_status take_blocks(const mcli_clip *c, int m, int32_t *layers, int32_t *hidden,
                              mcl_error *err) {
  char name[NAME_SIZE];
  mcl_array a;
  *layers = 0;
  for (int found = 1; found && *layers <= MAX_LAYERS; *layers += found) {
    mcl_error ignored;
    block_name(m, *layers, 0, name);
    found = mcl_checkpoint_shape(c->file, name, &a, &ignored) != MCL_E_NOT_FOUND;
  }
  if (*layers > MAX_LAYERS)
    return mcli_fail(err, MCL_E_LIMIT, "%s: its %s tower has more than %d blocks", c->path,
                     sides[m], MAX_LAYERS);
  block_name(m, 0, 0, name); // one there must be
  mcl_status s = shape_of(c, name, 1, &a, err);
  block_name(m, 0, WIDENING, name);
  if (s == MCL_OK) s = shape_of(c, name, 2, &a, err);
  return s < 0 ? s : take_size(c, name, &a, 0, 4 * MAX_SIZE, hidden, err);
}

static mcl_status take_heads(const mcli_clip *c, int m, int32_t width, int32_t *heads,
                             mcl_error *err) {
  int32_t given = m == 0 ? c->o.image_heads : c->o.text_heads;
  if (given < 0 || (given > 0 && width % given != 0))
    return mcli_fail(err, MCL_E_INVALID,
                     "options->%s_heads is %d, which does not divide the tower's width, %d",
                     sides[m], given, width);
  if (given == 0 && width % HEAD != 0)
    return mcli_fail(err, MCL_E_INVALID,
                     "options->%s_heads is 0, but the tower's width, %d, is no multiple of %d",
                     sides[m], width, HEAD);
  *heads = given > 0 ? given : width / HEAD;
  return MCL_OK;
}

static mcl_status take_trained(const mcli_clip *c, int m, int32_t *trained, mcl_error *err) {
  *trained = m == 0 ? c->o.trained_image_blocks : c->o.trained_text_blocks;
  if (*trained >= -1 && *trained <= c->layers[m]) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "options->trained_%s_blocks is %d, not -1..%d", sides[m],
                   *trained, c->layers[m]);
}

// Positions are those of a square of patches and one more.
static mcl_status take_image(const mcli_clip *c, mcl_vit_options *o, mcl_error *err) {
  const char *patches = "visual.conv1.weight", *positions = image_names.positions;
  mcl_array kernel, table;
  int32_t places = 0;
  mcl_status s = shape_of(c, patches, 4, &kernel, err);
  if (s == MCL_OK) s = take_size(c, patches, &kernel, 0, MAX_SIZE, &o->embed, err);
  if (s == MCL_OK) s = take_size(c, patches, &kernel, 1, MAX_SIDE, &o->channels, err);
  if (s == MCL_OK) s = take_size(c, patches, &kernel, 2, MAX_SIDE, &o->patch, err);
  if (s == MCL_OK) s = shape_of(c, positions, 2, &table, err);
  if (s == MCL_OK) s = take_size(c, positions, &table, 0, MAX_VOCABULARY, &places, err);
  if (s < 0) return s;
  int32_t square = (int32_t)lround(sqrt((double)(places - 1)));
  if (square < 1 || square * square + 1 != places)
    return mcli_fail(err, MCL_E_FORMAT,
                     "%s: tensor %s is for %d tokens, which are not one and a square", c->path,
                     positions, places);
  if ((int64_t)square * o->patch > MAX_SIDE)
    return mcli_fail(err, MCL_E_LIMIT, "%s: its images have a side of %lld pixels, at most %d",
                     c->path, (long long)square * o->patch, MAX_SIDE);
  o->height = o->width = square * o->patch;
  if (o->channels != 3 && (!c->o.mean || !c->o.deviation))
    return mcli_fail(err, MCL_E_INVALID,
                     "options->mean and deviation are NULL, but %s is for images of %d channels",
                     c->path, o->channels);
  o->mean = c->o.mean ? c->o.mean : clip_mean;
  o->deviation = c->o.deviation ? c->o.deviation : clip_deviation;
  return MCL_OK;
}

static mcl_status take_text(const mcli_clip *c, mcl_text_options *o, mcl_error *err) {
  const char *tokens = mcli_text_names.token, *positions = mcli_text_names.positions;
  mcl_array table;
  mcl_status s = shape_of(c, tokens, 2, &table, err);
  if (s == MCL_OK) s = take_size(c, tokens, &table, 0, MAX_VOCABULARY, &o->vocabulary, err);
  if (s == MCL_OK) s = take_size(c, tokens, &table, 1, MAX_SIZE, &o->embed, err);
  if (s == MCL_OK) s = shape_of(c, positions, 2, &table, err);
  if (s == MCL_OK) s = take_size(c, positions, &table, 0, MAX_SIZE, &o->context, err);
  o->end = o->vocabulary - 1;
  return s;
}

// The layers, without weights.
static mcl_status build(mcli_clip *c, mcl_error *err) {
  mcl_vit_options *v = &c->image;
  mcl_text_options *t = &c->text;
  mcl_vit_options_init(v, sizeof *v);
  mcl_text_options_init(t, sizeof *t);
  mcl_status s = take_image(c, v, err);
  if (s == MCL_OK) s = take_blocks(c, 0, &v->layers, &v->hidden, err);
  if (s == MCL_OK) s = take_heads(c, 0, v->embed, &v->heads, err);
  if (s == MCL_OK) s = take_text(c, t, err);
  if (s == MCL_OK) s = take_blocks(c, 1, &t->layers, &t->hidden, err);
  if (s == MCL_OK) s = take_heads(c, 1, t->embed, &t->heads, err);
  if (s < 0) return s;
  c->layers[0] = v->layers;
  c->layers[1] = t->layers;
  v->gelu = t->gelu = c->o.gelu;
  v->optimiser = t->optimiser = c->o.optimiser;
  v->dim = v->projection_dim = t->dim = t->projection_dim = 0;
  s = take_trained(c, 0, &v->trained_blocks, err);
  if (s == MCL_OK) s = take_trained(c, 1, &t->trained_blocks, err);
  if (s == MCL_OK) s = mcli_vit_build(c->context, v, &image_names, &c->networks[0], err);
  if (s == MCL_OK) s = mcli_text_build(c->context, t, &c->networks[1], err);
  for (int m = 0; s == MCL_OK && m < 2; m++)
    if (c->o.locked >> m & 1) mcli_network_freeze(c->networks[m]);
  return s;
}

mcl_array mcli_clip_view(const mcli_param *t, float *numbers) {
  mcl_array a = mcli_tensor_view(t, numbers);
  if (strncmp(t->name, "class", 5) == 0) mcl_array_init(&a, numbers, MCL_F32, 1, t->shape + 1);
  return a;
}

static mcl_status check_tensor(const mcli_clip *c, const char *name, const mcl_array *wanted,
                               mcl_error *err) {
  mcl_array a;
  mcl_status s = shape_of(c, name, wanted->ndim, &a, err);
  for (int32_t i = 0; s == MCL_OK && i < a.ndim; i++)
    if (a.shape[i] != wanted->shape[i])
      s = mcli_fail(err, MCL_E_FORMAT,
                    "%s: tensor %s has %lld numbers along axis %d, not %lld as others say", c->path,
                    name, (long long)a.shape[i], i, (long long)wanted->shape[i]);
  return s;
}

static mcl_status check_tower(const mcli_clip *c, int m, mcl_error *err) {
  const mcli_params *p = &c->networks[m]->net.params;
  mcl_status s = MCL_OK;
  for (int32_t i = 0; s == MCL_OK && i < p->n_tensors; i++) {
    const mcli_param *t = &p->tensors[i];
    mcl_array wanted = mcli_clip_view(t, NULL);
    if (t->called[0]) s = check_tensor(c, t->called, &wanted, err);
  }
  return s;
}

// Two projections to one width, and a number.
static mcl_status check_own(mcli_clip *c, mcl_error *err) {
  mcl_array a;
  mcl_status s = shape_of(c, mcli_clip_own[0], 2, &a, err);
  if (s == MCL_OK) s = take_size(c, mcli_clip_own[0], &a, 1, MAX_SIZE, &c->dim, err);
  if (s < 0) return s;
  const int64_t shapes[OWN_TENSORS][2] = {{c->image.embed, c->dim}, {c->text.embed, c->dim}, {1}};
  for (int i = 0; s == MCL_OK && i < OWN_TENSORS; i++) {
    mcl_array_init(&a, NULL, MCL_F32, i < 2 ? 2 : 1, shapes[i]);
    s = check_tensor(c, mcli_clip_own[i], &a, err);
  }
  return s;
}

mcl_status mcli_clip_build(mcli_clip *c, mcl_error *err) {
  mcl_status s = check_kind(c, err);
  if (s == MCL_OK) s = build(c, err);
  if (s == MCL_OK) s = check_own(c, err);
  for (int m = 0; s == MCL_OK && m < 2; m++) s = check_tower(c, m, err);
  return s < 0 ? s : check_extra(c, err);
}
