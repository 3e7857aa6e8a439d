// A multilayer perceptron: the plainest encoder, and the baseline. (It keeps every shortcut feature at every stage far longer
// than convolutions do, so multistage learning shows little with it.)
#include "encoder/network.h"

enum { MAX_WIDTH = 65536, MAX_LAYERS = 16, MAX_INPUTS = 1 << 24 };

static const mcl_mlp_options defaults = {
    .struct_size = sizeof defaults, .hidden = 256, .layers = 2, .dim = 128, .projection_dim = 64};

void mcl_mlp_options_init(mcl_mlp_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

static mcl_status check(const mcl_mlp_options *o, mcl_error *err) {
  mcl_status s = mcli_network_range(o->inputs, 1, MAX_INPUTS, "inputs", err);
  if (s == MCL_OK) s = mcli_network_range(o->hidden, 1, MAX_WIDTH, "hidden", err);
  if (s == MCL_OK) s = mcli_network_range(o->layers, 0, MAX_LAYERS, "layers", err);
  if (s == MCL_OK) s = mcli_network_range(o->dim, 1, MAX_WIDTH, "dim", err);
  if (s == MCL_OK) s = mcli_network_range(o->projection_dim, 0, MAX_WIDTH, "projection_dim", err);
  return s;
}

mcl_status mcl_encoder_create_mlp(mcl_context *context, const mcl_mlp_options *options,
                                  mcl_encoder **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_mlp_options o = defaults;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_mlp_options", err);
  if (s == MCL_OK) s = check(&o, err);
  if (s < 0) return s;
  mcli_network *w = NULL;
  s = mcli_network_begin(context, (mcli_shape){1, 1, (int32_t)o.inputs}, o.optimiser, &w, err);
  if (s < 0) return s;
  s = mcli_network_dense(w, o.layers, o.hidden, o.dim, o.projection_dim, err);
  if (s < 0) {
    mcli_network_free(w);
    return s;
  }
  mcli_network_describe(w, "mlp %lld, %d x %d, %d, head %d", (long long)o.inputs, o.layers,
                        o.hidden, o.dim, o.projection_dim);
  return mcli_network_end(w, "mlp", o.seed, out, err);
}
