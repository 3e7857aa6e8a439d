// The names and shapes of OpenAI's CLIP.
//
// A tower's tensors come in one order, that in which vit.c and text.c add them; so the i-th tensor of a network has the i-th of
// these names, and its shape but for the order of axes:
//
//   a dense layer   [outputs, inputs]                     here [inputs, outputs]                 (1)
//   patches         [embed, channels, patch, patch]       here [patch, patch, channels, embed]   (2)
//   a class token   [embed]                               here [1, embed]                        (3)
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
#include "math/array.h"
#include "store/checkpoint.h"

enum { MAX_SIDE = 4096, MAX_SIZE = 65536, MAX_VOCABULARY = 1 << 24, MAX_LAYERS = 64 };
enum { NAME_SIZE = MCLI_CLIP_NAME, OWN_TENSORS = MCLI_CLIP_OWN };
// Numbers of a head in all of OpenAI's towers.
enum { HEAD = 64 };

static const double clip_mean[3] = {0.48145466, 0.4578275, 0.40821073};
static const double clip_deviation[3] = {0.26862954, 0.26130258, 0.27577711};

// ---- names -----------------------------------------------------------------------------------------

enum { BLOCK_TENSORS = 12, WIDENING = 8, LAST_TENSORS = 2 }; // WIDENING: its number within a block

static const char *const of_block[BLOCK_TENSORS] = {
    "ln_1.weight",          "ln_1.bias",          "attn.in_proj_weight", "attn.in_proj_bias",
    "attn.out_proj.weight", "attn.out_proj.bias", "ln_2.weight",         "ln_2.bias",
    "mlp.c_fc.weight",      "mlp.c_fc.bias",      "mlp.c_proj.weight",   "mlp.c_proj.bias"};

const char *const mcli_clip_own[OWN_TENSORS] = {"visual.proj", "text_projection", "logit_scale"};

// Of OpenAI's archives: sizes, which follow from the shapes as well.
static const char *const of_archives[] = {"input_resolution", "context_length", "vocab_size"};

typedef struct side {
  const char *name, *blocks; // "image"; what the names of its blocks' tensors begin with
  const char *first[5];
  int32_t n_first;
  const char *last[LAST_TENSORS];
  int32_t
      skipped; // tensors that the network has in front of those of the file: the scale of pixels
} side;

static const side sides[2] = {
    {.name = "image",
     .blocks = "visual.transformer.resblocks.",
     .first = {"visual.conv1.weight", "visual.class_embedding", "visual.positional_embedding",
               "visual.ln_pre.weight", "visual.ln_pre.bias"},
     .n_first = 5,
     .last = {"visual.ln_post.weight", "visual.ln_post.bias"},
     .skipped = 2},
    {.name = "text",
     .blocks = "transformer.resblocks.",
     .first = {"token_embedding.weight", "positional_embedding"},
     .n_first = 2,
     .last = {"ln_final.weight", "ln_final.bias"}}};

static void block_name(const side *d, int32_t block, int32_t i, char name[NAME_SIZE]) {
  snprintf(name, NAME_SIZE, "%s%d.%s", d->blocks, block, of_block[i]);
}

// Tensor number i of a tower of so many blocks.
static void name_of(const side *d, int32_t layers, int32_t i, char name[NAME_SIZE]) {
  int32_t behind = i - d->n_first;
  if (behind >= 0 && behind < BLOCK_TENSORS * layers)
    block_name(d, behind / BLOCK_TENSORS, behind % BLOCK_TENSORS, name);
  else
    snprintf(name, NAME_SIZE, "%s",
             behind < 0 ? d->first[i] : d->last[behind - BLOCK_TENSORS * layers]);
}

int32_t mcli_clip_skipped(int m) {
  return sides[m].skipped;
}

void mcli_clip_name(const mcli_clip *c, int m, int32_t i, char name[NAME_SIZE]) {
  name_of(&sides[m], c->layers[m], i, name);
}

// Whose names they are, where they are known not to be OpenAI's.
static mcl_status check_kind(const mcli_clip *c, mcl_error *err) {
  const char *name;
  for (int64_t i = 0; (name = mcli_checkpoint_name(c->file, i)); i++) {
    if (strncmp(name, "vision_model.", 13) == 0 || strncmp(name, "text_model.", 11) == 0)
      return mcli_fail(err, MCL_E_UNSUPPORTED,
                       "%s has a tensor %s: these are Hugging Face's names, and OpenAI's are read",
                       c->path, name);
    if (strncmp(name, "visual.layer1.", 14) == 0)
      return mcli_fail(err, MCL_E_UNSUPPORTED,
                       "%s has a tensor %s: its image tower is a ResNet, and vision transformers "
                       "are read",
                       c->path, name);
  }
  return MCL_OK;
}

static int is_known(const mcli_clip *c, const char *name) {
  char ours[NAME_SIZE];
  for (int d = 0; d < 2; d++) {
    int32_t n = sides[d].n_first + BLOCK_TENSORS * c->layers[d] + LAST_TENSORS;
    for (int32_t i = 0; i < n; i++) {
      name_of(&sides[d], c->layers[d], i, ours);
      if (strcmp(name, ours) == 0) return 1;
    }
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
                       name);
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
    block_name(&sides[m], *layers, 0, name);
    found = mcl_checkpoint_shape(c->file, name, &a, &ignored) != MCL_E_NOT_FOUND;
  }
  if (*layers > MAX_LAYERS)
    return mcli_fail(err, MCL_E_LIMIT, "%s: its %s tower has more than %d blocks", c->path,
                     sides[m].name, MAX_LAYERS);
  block_name(&sides[m], 0, 0, name); // one there must be
  mcl_status s = shape_of(c, name, 1, &a, err);
  block_name(&sides[m], 0, WIDENING, name);
  if (s == MCL_OK) s = shape_of(c, name, 2, &a, err);
  return s < 0 ? s : take_size(c, name, &a, 0, 4 * MAX_SIZE, hidden, err);
}

static mcl_status take_heads(const mcli_clip *c, int m, int32_t width, int32_t *heads,
                             mcl_error *err) {
  int32_t given = m == 0 ? c->o.image_heads : c->o.text_heads;
  if (given < 0 || (given > 0 && width % given != 0))
    return mcli_fail(err, MCL_E_INVALID,
                     "options->%s_heads is %d, which does not divide the tower's width, %d",
                     sides[m].name, given, width);
  if (given == 0 && width % HEAD != 0)
    return mcli_fail(err, MCL_E_INVALID,
                     "options->%s_heads is 0, but the tower's width, %d, is no multiple of %d",
                     sides[m].name, width, HEAD);
  *heads = given > 0 ? given : width / HEAD;
  return MCL_OK;
}

static mcl_status take_trained(const mcli_clip *c, int m, int32_t *trained, mcl_error *err) {
  *trained = m == 0 ? c->o.trained_image_blocks : c->o.trained_text_blocks;
  if (*trained >= -1 && *trained <= c->layers[m]) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "options->trained_%s_blocks is %d, not -1..%d",
                   sides[m].name, *trained, c->layers[m]);
}

// Positions are those of a square of patches and one more.
static mcl_status take_image(const mcli_clip *c, mcl_vit_options *o, mcl_error *err) {
  const char *patches = sides[0].first[0], *positions = sides[0].first[2];
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
  const char *tokens = sides[1].first[0], *positions = sides[1].first[1];
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
  if (s == MCL_OK) s = mcli_vit_build(c->context, v, &c->networks[0], err);
  if (s == MCL_OK) s = mcli_text_build(c->context, t, &c->networks[1], err);
  for (int m = 0; s == MCL_OK && m < 2; m++)
    if (c->o.locked >> m & 1) mcli_network_freeze(c->networks[m]);
  return s;
}

mcli_clip_layout mcli_clip_layout_of(const mcli_param *t) {
  if (strncmp(t->name, "class", 5) == 0) return MCLI_CLIP_CLASS;
  if (t->ndim == 4) return MCLI_CLIP_PATCHES;
  return strncmp(t->name, "dense", 5) == 0 && t->ndim == 2 ? MCLI_CLIP_DENSE : MCLI_CLIP_PLAIN;
}

// The shape that the tensor of a network has in the file: (1), (2), (3).
mcl_array mcli_clip_shape(const mcli_param *t) {
  mcl_array a;
  const int64_t *h = t->shape;
  const int64_t dense[2] = {h[1], h[0]}, patches[4] = {h[3], h[2], h[0], h[1]};
  switch (mcli_clip_layout_of(t)) {
  case MCLI_CLIP_DENSE:
    mcl_array_init(&a, NULL, MCL_F32, 2, dense);
    break;
  case MCLI_CLIP_PATCHES:
    mcl_array_init(&a, NULL, MCL_F32, 4, patches);
    break;
  case MCLI_CLIP_CLASS:
    mcl_array_init(&a, NULL, MCL_F32, 1, h + 1);
    break;
  default:
    mcl_array_init(&a, NULL, MCL_F32, t->ndim, h);
  }
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
  for (int32_t i = sides[m].skipped; s == MCL_OK && i < p->n_tensors; i++) {
    char name[NAME_SIZE];
    mcl_array wanted = mcli_clip_shape(&p->tensors[i]);
    name_of(&sides[m], c->layers[m], i - sides[m].skipped, name);
    s = check_tensor(c, name, &wanted, err);
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
