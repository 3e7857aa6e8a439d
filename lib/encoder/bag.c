// A bag of embeddings: the plainest encoder of texts. The captions of the library's evidence on image and text need no
// more: each of their words says one thing, whatever stands beside it.
#include "encoder/network.h"

enum { MAX_WIDTH = 65536, MAX_LAYERS = 16, MAX_VOCABULARY = 1 << 24 };

static const mcl_bag_options defaults = {
    .struct_size = sizeof defaults, .embed = 64, .hidden = 128, .layers = 1, .dim = 128};

void mcl_bag_options_init(mcl_bag_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

static mcl_status check(const mcl_bag_options *o, mcl_error *err) {
  mcl_status s = mcli_network_range(o->vocabulary, 1, MAX_VOCABULARY, "vocabulary", err);
  if (s == MCL_OK) s = mcli_network_range(o->context, 1, MAX_WIDTH, "context", err);
  if (s == MCL_OK) s = mcli_network_range(o->embed, 1, MAX_WIDTH, "embed", err);
  if (s == MCL_OK) s = mcli_network_range(o->mean, 0, 1, "mean", err);
  if (s == MCL_OK) s = mcli_network_range(o->hidden, 1, MAX_WIDTH, "hidden", err);
  if (s == MCL_OK) s = mcli_network_range(o->layers, 0, MAX_LAYERS, "layers", err);
  if (s == MCL_OK) s = mcli_network_range(o->padding, -1, o->vocabulary - 1, "padding", err);
  if (s == MCL_OK) s = mcli_network_range(o->dim, 1, MAX_WIDTH, "dim", err);
  if (s == MCL_OK) s = mcli_network_range(o->projection_dim, 0, MAX_WIDTH, "projection_dim", err);
  if (s == MCL_OK) s = mcli_network_range(o->reserved, 0, 0, "reserved", err);
  return s;
}

static mcl_status build(mcli_network *w, const mcl_bag_options *o, mcl_error *err) {
  mcli_tokens tokens = {.vocabulary = o->vocabulary, .padding = o->padding, .end = -1};
  mcl_status s = mcli_net_bag(&w->net, &tokens, o->embed, o->mean, err);
  if (s == MCL_OK) mcli_net_begin_normal(&w->net, 1);
  if (s < 0) return s;
  return mcli_network_dense(w, o->layers, o->hidden, o->dim, o->projection_dim, err);
}

mcl_status mcl_encoder_create_bag(mcl_context *context, const mcl_bag_options *options,
                                  mcl_encoder **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_bag_options o = defaults;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_bag_options", err);
  if (s == MCL_OK) s = check(&o, err);
  if (s < 0) return s;
  mcli_network *w = NULL;
  s = mcli_network_begin(context, (mcli_shape){o.context, 1, 1}, o.optimiser, &w, err);
  if (s < 0) return s;
  s = build(w, &o, err);
  if (s < 0) {
    mcli_network_free(w);
    return s;
  }
  mcli_network_describe(w, "bag %d of %d, %s of %d, padding %d, %d x %d, %d, head %d", o.context,
                        o.vocabulary, o.mean ? "mean" : "sum", o.embed, o.padding, o.layers,
                        o.hidden, o.dim, o.projection_dim);
  return mcli_network_end(w, "bag", o.seed, out, err);
}
