// A transformer over the patches of an image: CLIP's image tower (Radford et al. 2021, section 2.4; Dosovitskiy et al. 2021,
// section 3.1), of any size.
//
// CLIP's last layer norm goes over all tokens and then one of them is taken; here that one is taken first, which gives the
// same numbers for a share of the work. A mean is taken before the layer norm too, so that both forms end alike.
//
// Mean and deviation of the channels are tensors of the network, so that its file says what its pixels have to be.
#include <math.h>

#include "encoder/network.h"

enum { MAX_SIDE = 4096 };
// Smaller ones vanish in float32 beside the variance of any row that is not constant.
static const double min_epsilon = 1e-12;

static const mcl_vit_options defaults = {.struct_size = sizeof defaults,
                                         .embed = 128,
                                         .layers = 4,
                                         .heads = 4,
                                         .gelu = MCL_GELU_QUICK,
                                         .class_token = 1,
                                         .pre_norm = 1,
                                         .trained_blocks = -1,
                                         .dim = 128,
                                         .projection_dim = 64,
                                         .epsilon = 1e-5};

// torchvision's.
static const char *const of_block[MCLI_BLOCK_LAYERS] = {
    "ln_1.", "self_attention.in_proj_", "self_attention.out_proj.", "ln_2.", "mlp.0.", "mlp.3."};

static const mcli_transformer_names names = {.patches = "conv_proj.",
                                             .token = "class_token",
                                             .positions = "encoder.pos_embedding",
                                             .block = "encoder.layers.encoder_layer_",
                                             .of_block = of_block,
                                             .last = "encoder.ln.",
                                             .head = "heads."};

void mcl_vit_options_init(mcl_vit_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

// ---- options ---------------------------------------------------------------------------------------

static mcl_status check_image(const mcl_vit_options *o, mcl_error *err) {
  mcl_status s = mcli_network_range(o->height, 1, MAX_SIDE, "height", err);
  if (s == MCL_OK) s = mcli_network_range(o->width, 1, MAX_SIDE, "width", err);
  if (s == MCL_OK) s = mcli_network_range(o->channels, 1, MAX_SIDE, "channels", err);
  if (s == MCL_OK) s = mcli_network_range(o->patch, 1, MAX_SIDE, "patch", err);
  if (s == MCL_OK && (o->height % o->patch != 0 || o->width % o->patch != 0))
    return mcli_fail(err, MCL_E_INVALID,
                     "options->patch is %d, which does not divide height and width, %d x %d",
                     o->patch, o->height, o->width);
  return s < 0 ? s : mcli_scale_check(o->mean, o->deviation, o->channels, err);
}

static mcli_transformer transformer_of(const mcl_vit_options *o) {
  return (mcli_transformer){.embed = o->embed,
                            .layers = o->layers,
                            .heads = o->heads,
                            .hidden = o->hidden,
                            .gelu = o->gelu,
                            .trained_blocks = o->trained_blocks,
                            .dim = o->dim,
                            .projection_dim = o->projection_dim};
}

static mcl_status check(const mcl_vit_options *o, mcl_error *err) {
  mcli_transformer t = transformer_of(o);
  mcl_status s = check_image(o, err);
  if (s == MCL_OK) s = mcli_transformer_check(&t, err);
  if (s == MCL_OK) s = mcli_network_range(o->class_token, 0, 1, "class_token", err);
  if (s == MCL_OK) s = mcli_network_range(o->pre_norm, 0, 1, "pre_norm", err);
  if (s == MCL_OK && !(o->epsilon >= min_epsilon && o->epsilon <= 1))
    return mcli_fail(err, MCL_E_INVALID, "options->epsilon is %g, not 1e-12..1", o->epsilon);
  if (s == MCL_OK) s = mcli_network_range(o->patch_bias, 0, 1, "patch_bias", err);
  return s < 0 ? s : mcli_network_range(o->reserved, 0, 0, "reserved", err);
}

// ---- layers ----------------------------------------------------------------------------------------

static int has_scale(const mcl_vit_options *o) {
  return o->mean || o->deviation;
}

static mcl_status build_tokens(mcli_net *net, const mcl_vit_options *o,
                               const mcli_transformer_names *called, mcl_error *err) {
  double deviation = 1 / sqrt((double)o->embed);
  mcl_status s = has_scale(o) ? mcli_net_standardise(net, err) : MCL_OK;
  if (s == MCL_OK)
    s = mcli_net_conv(net, o->embed, o->patch, o->patch, MCL_PADDING_VALID,
                      o->patch_bias ? MCLI_WITH_BIAS : 0, err);
  if (s == MCL_OK) mcli_net_call(net, "%s", called->patches);
  if (s == MCL_OK && o->class_token) {
    s = mcli_net_class(net, err);
    if (s == MCL_OK) mcli_transformer_table(net, deviation, called->token);
  }
  if (s == MCL_OK) s = mcli_net_positions(net, err);
  if (s == MCL_OK) mcli_transformer_table(net, deviation, called->positions);
  if (s < 0 || !o->pre_norm) return s;
  s = mcli_net_layer_norm(net, err);
  if (s == MCL_OK && called->pre) mcli_net_call(net, "%s", called->pre);
  return s;
}

static mcl_status build(mcli_network *w, const mcl_vit_options *o,
                        const mcli_transformer_names *called, mcl_error *err) {
  mcli_transformer t = transformer_of(o);
  w->net.epsilon = (float)o->epsilon;
  mcl_status s = build_tokens(&w->net, o, called, err);
  if (s < 0) return s;
  return mcli_transformer_build(w, &t, 0, o->class_token ? MCLI_POOL_FIRST : MCLI_POOL_MEAN, called,
                                err);
}

static const char *unlike(const mcl_vit_options *o) {
  if (o->pre_norm) return "has a layer norm before its blocks (pre_norm)";
  if (!o->class_token) return "has no class token";
  return o->gelu == MCL_GELU_QUICK ? "has the quick GELU" : NULL;
}

static void describe(mcli_network *w, const mcl_vit_options *o) {
  mcli_network_describe(w, "vit %d x %d x %d%s, patches of %d, %s%s, %d x %d (%d), %d heads, %s, ",
                        o->height, o->width, o->channels, has_scale(o) ? " to scale" : "", o->patch,
                        o->class_token ? "class token" : "mean", o->pre_norm ? ", norm" : "",
                        o->layers, o->embed, o->hidden, o->heads,
                        o->gelu == MCL_GELU ? "gelu" : "quick gelu");
  if (o->patch_bias) mcli_network_describe(w, "patch bias, ");
  if (o->epsilon != defaults.epsilon) mcli_network_describe(w, "epsilon %g, ", o->epsilon);
  mcli_network_describe(w, "%d, head %d", o->dim, o->projection_dim);
  mcli_network_describe_trained(w, o->trained_blocks);
}

mcl_status mcli_vit_build(mcl_context *c, const mcl_vit_options *options,
                          const mcli_transformer_names *called, mcli_network **out,
                          mcl_error *err) {
  mcl_vit_options o = *options;
  mcl_status s = check(&o, err);
  if (s < 0) return s;
  if (o.hidden == 0) o.hidden = 4 * o.embed;
  mcli_network *w = NULL;
  s = mcli_network_begin(c, (mcli_shape){o.height, o.width, o.channels}, o.optimiser, &w, err);
  if (s < 0) return s;
  s = build(w, &o, called, err);
  if (s < 0) {
    mcli_network_free(w);
    return s;
  }
  describe(w, &o);
  w->unlike = unlike(&o);
  *out = w;
  return MCL_OK;
}

mcl_status mcl_encoder_create_vit(mcl_context *context, const mcl_vit_options *options,
                                  mcl_encoder **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_vit_options o = defaults;
  mcli_network *w = NULL;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_vit_options", err);
  if (s == MCL_OK) s = mcli_vit_build(context, &o, &names, &w, err);
  if (s == MCL_OK) s = mcli_network_end(w, "vit", o.seed, out, err);
  if (s == MCL_OK) mcli_scale_begin(w, o.mean, o.deviation, o.channels);
  return s;
}
