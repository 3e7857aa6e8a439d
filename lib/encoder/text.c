// A transformer over tokens: CLIP's text tower (Radford et al. 2021, section 2.4), of any size.
//
// CLIP's layer norm goes over all tokens and then one of them is taken; here that one is taken first, which gives the same
// numbers for a share of the work.
#include "encoder/network.h"

enum { MAX_CONTEXT = 65536, MAX_VOCABULARY = 1 << 24 };

static const mcl_text_options defaults = {.struct_size = sizeof defaults,
                                          .embed = 128,
                                          .layers = 2,
                                          .heads = 4,
                                          .causal = 1,
                                          .gelu = MCL_GELU_QUICK,
                                          .end = -1,
                                          .trained_blocks = -1,
                                          .dim = 128};

const char *const mcli_openai_block[MCLI_BLOCK_LAYERS] = {
    "ln_1.", "attn.in_proj_", "attn.out_proj.", "ln_2.", "mlp.c_fc.", "mlp.c_proj."};

const mcli_transformer_names mcli_text_names = {.token = "token_embedding.weight",
                                                .positions = "positional_embedding",
                                                .block = "transformer.resblocks.",
                                                .of_block = mcli_openai_block,
                                                .last = "ln_final."};

void mcl_text_options_init(mcl_text_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

static mcli_transformer transformer_of(const mcl_text_options *o) {
  return (mcli_transformer){.embed = o->embed,
                            .layers = o->layers,
                            .heads = o->heads,
                            .hidden = o->hidden,
                            .gelu = o->gelu,
                            .trained_blocks = o->trained_blocks,
                            .dim = o->dim,
                            .projection_dim = o->projection_dim};
}

static mcl_status check(const mcl_text_options *o, mcl_error *err) {
  mcli_transformer t = transformer_of(o);
  mcl_status s = mcli_network_range(o->vocabulary, 1, MAX_VOCABULARY, "vocabulary", err);
  if (s == MCL_OK) s = mcli_network_range(o->context, 1, MAX_CONTEXT, "context", err);
  if (s == MCL_OK) s = mcli_transformer_check(&t, err);
  if (s == MCL_OK) s = mcli_network_range(o->causal, 0, 1, "causal", err);
  if (s == MCL_OK) s = mcli_network_range(o->padding, -1, o->vocabulary - 1, "padding", err);
  if (s == MCL_OK) s = mcli_network_range(o->end, -1, o->vocabulary - 1, "end", err);
  return s < 0 ? s : mcli_network_range(o->reserved, 0, 0, "reserved", err);
}

static mcl_status build(mcli_network *w, const mcl_text_options *o, mcl_error *err) {
  mcli_net *net = &w->net;
  mcli_tokens tokens = {.vocabulary = o->vocabulary, .padding = o->padding, .end = o->end};
  mcli_transformer t = transformer_of(o);
  mcl_status s = mcli_net_embedding(net, &tokens, o->embed, err);
  if (s == MCL_OK) mcli_transformer_table(net, 0.02, mcli_text_names.token);
  if (s == MCL_OK) s = mcli_net_positions(net, err);
  if (s == MCL_OK) mcli_transformer_table(net, 0.01, mcli_text_names.positions);
  return s < 0 ? s : mcli_transformer_build(w, &t, o->causal, MCLI_POOL_END, &mcli_text_names, err);
}

static void describe(mcli_network *w, const mcl_text_options *o) {
  mcli_network_describe(w, "text %d of %d, %d x %d", o->context, o->vocabulary, o->layers,
                        o->embed);
  if (o->hidden != 4 * o->embed) mcli_network_describe(w, " (%d)", o->hidden);
  mcli_network_describe(w, ", %d heads, %s, %s, padding %d, end %d, ", o->heads,
                        o->causal ? "causal" : "whole", o->gelu == MCL_GELU ? "gelu" : "quick gelu",
                        o->padding, o->end);
  mcli_network_describe(w, "%d, head %d", o->dim, o->projection_dim);
  mcli_network_describe_trained(w, o->trained_blocks);
}

mcl_status mcli_text_build(mcl_context *c, const mcl_text_options *options, mcli_network **out,
                           mcl_error *err) {
  mcl_text_options o = *options;
  mcl_status s = check(&o, err);
  if (s < 0) return s;
  if (o.hidden == 0) o.hidden = 4 * o.embed;
  mcli_network *w = NULL;
  s = mcli_network_begin(c, (mcli_shape){o.context, 1, 1}, o.optimiser, &w, err);
  if (s < 0) return s;
  s = build(w, &o, err);
  if (s < 0) {
    mcli_network_free(w);
    return s;
  }
  describe(w, &o);
  *out = w;
  return MCL_OK;
}

mcl_status mcl_encoder_create_text(mcl_context *context, const mcl_text_options *options,
                                   mcl_encoder **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_text_options o = defaults;
  mcli_network *w = NULL;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_text_options", err);
  if (s == MCL_OK) s = mcli_text_build(context, &o, &w, err);
  return s < 0 ? s : mcli_network_end(w, "text", o.seed, out, err);
}
