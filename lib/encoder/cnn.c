// A small convolutional network, with or without batch norm.
//
// Two settings of it carry the library's evidence: without batch norm (the defaults), and with it (3 x 3 kernels of stride 2,
// projection_hidden 256), after Chen, Luo & Li 2021, "Intriguing Properties of Contrastive Losses", figure 5a.
#include <string.h>

#include "encoder/network.h"

enum { MAX_LAYERS = 16, MAX_SIDE = 4096, MAX_KERNEL = 15, MAX_WIDTH = 65536 };

static const mcl_cnn_options defaults = {
    .struct_size = sizeof defaults, .layers = 3, .dim = 128, .projection_dim = 64};

void mcl_cnn_options_init(mcl_cnn_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

// The convolutions, with what NULL stands for filled in.
typedef struct layout {
  int32_t filters[MAX_LAYERS], kernels[MAX_LAYERS], strides[MAX_LAYERS];
} layout;

static mcl_status check(const mcl_cnn_options *o, mcl_error *err) {
  mcl_status s = mcli_network_range(o->height, 1, MAX_SIDE, "height", err);
  if (s == MCL_OK) s = mcli_network_range(o->width, 1, MAX_SIDE, "width", err);
  if (s == MCL_OK) s = mcli_network_range(o->channels, 1, MAX_SIDE, "channels", err);
  if (s == MCL_OK) s = mcli_network_range(o->layers, 1, MAX_LAYERS, "layers", err);
  if (s == MCL_OK) s = mcli_network_range(o->batch_norm, 0, 1, "batch_norm", err);
  if (s == MCL_OK)
    s = mcli_network_range(o->padding, MCL_PADDING_SAME, MCL_PADDING_VALID, "padding", err);
  if (s == MCL_OK) s = mcli_network_range(o->init, MCL_INIT_FAN_IN, MCL_INIT_GLOROT, "init", err);
  if (s == MCL_OK) s = mcli_network_range(o->dim, 1, MAX_WIDTH, "dim", err);
  if (s == MCL_OK)
    s = mcli_network_range(o->projection_hidden, 0, MAX_WIDTH, "projection_hidden", err);
  if (s == MCL_OK) s = mcli_network_range(o->projection_dim, 0, MAX_WIDTH, "projection_dim", err);
  if (s == MCL_OK && o->projection_dim == 0 && o->projection_hidden > 0)
    return mcli_fail(err, MCL_E_INVALID,
                     "options->projection_hidden is %d but projection_dim is 0: there is no head",
                     o->projection_hidden);
  return s;
}

// Copies one list, NULL standing for first, second, then rest.
static mcl_status take_list(int32_t *to, const int32_t *from, int32_t layers, const int32_t none[3],
                            int32_t high, const char *name, mcl_error *err) {
  for (int32_t i = 0; i < layers; i++) {
    to[i] = from ? from[i] : none[i < 2 ? i : 2];
    if (to[i] < 1 || to[i] > high)
      return mcli_fail(err, MCL_E_INVALID, "options->%s[%d] is %d, not 1..%d", name, i, to[i],
                       high);
  }
  return MCL_OK;
}

static mcl_status take_layout(layout *l, const mcl_cnn_options *o, mcl_error *err) {
  static const int32_t filters[3] = {32, 64, 64}, kernels[3] = {5, 3, 3}, strides[3] = {2, 2, 1};
  mcl_status s = take_list(l->filters, o->filters, o->layers, filters, MAX_SIDE, "filters", err);
  if (s == MCL_OK)
    s = take_list(l->kernels, o->kernels, o->layers, kernels, MAX_KERNEL, "kernels", err);
  if (s == MCL_OK)
    s = take_list(l->strides, o->strides, o->layers, strides, MAX_KERNEL, "strides", err);
  return s;
}

// A layer that a ReLU follows, with batch norm between them or not: batch norm's shift makes a bias useless.
static int hidden_flags(const mcl_cnn_options *o) {
  return o->batch_norm ? 0 : MCLI_WITH_BIAS | MCLI_WITH_RELU;
}

static mcl_status norm(mcli_network *w, const mcl_cnn_options *o, mcl_error *err) {
  return o->batch_norm ? mcli_net_norm(&w->net, MCLI_WITH_RELU, err) : MCL_OK;
}

static mcl_status build_body(mcli_network *w, const mcl_cnn_options *o, const layout *l,
                             mcl_error *err) {
  mcl_status s = MCL_OK;
  mcli_network_describe(w, "cnn %d x %d x %d%s%s", o->height, o->width, o->channels,
                        o->batch_norm ? ", batch norm" : "",
                        o->padding == MCL_PADDING_VALID ? ", valid" : "");
  for (int32_t i = 0; s == MCL_OK && i < o->layers; i++) {
    s = mcli_net_conv(&w->net, l->filters[i], l->kernels[i], l->strides[i], o->padding,
                      hidden_flags(o), err);
    if (s == MCL_OK) s = norm(w, o, err);
    mcli_network_describe(w, ", %d@%d/%d", l->filters[i], l->kernels[i], l->strides[i]);
  }
  if (s == MCL_OK) s = mcli_net_linear(&w->net, o->dim, o->batch_norm ? 0 : MCLI_WITH_BIAS, err);
  if (s == MCL_OK) s = norm(w, o, err);
  w->net.embedding = w->net.n_layers;
  mcli_network_describe(w, ", %d, head %d %d", o->dim, o->projection_hidden, o->projection_dim);
  return s;
}

static mcl_status build_head(mcli_network *w, const mcl_cnn_options *o, mcl_error *err) {
  mcl_status s = MCL_OK;
  if (o->projection_dim == 0) return s;
  if (!o->batch_norm) s = mcli_net_relu(&w->net, err);
  if (s == MCL_OK && o->projection_hidden > 0) {
    s = mcli_net_linear(&w->net, o->projection_hidden, hidden_flags(o), err);
    if (s == MCL_OK) s = norm(w, o, err);
  }
  if (s == MCL_OK) s = mcli_net_linear(&w->net, o->projection_dim, MCLI_WITH_BIAS, err);
  return s;
}

mcl_status mcl_encoder_create_cnn(mcl_context *context, const mcl_cnn_options *options,
                                  mcl_encoder **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_cnn_options o = defaults;
  layout l = {0};
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_cnn_options", err);
  if (s == MCL_OK) s = check(&o, err);
  if (s == MCL_OK) s = take_layout(&l, &o, err);
  if (s < 0) return s;
  mcli_network *w = NULL;
  s = mcli_network_begin(context, (mcli_shape){o.height, o.width, o.channels}, o.optimiser, &w,
                         err);
  if (s < 0) return s;
  w->net.init = o.init;
  s = build_body(w, &o, &l, err);
  if (s == MCL_OK) s = build_head(w, &o, err);
  if (s == MCL_OK) return mcli_network_end(w, "cnn", o.seed, out, err);
  mcli_network_free(w);
  return s;
}
