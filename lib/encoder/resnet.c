// Residual networks of images (He et al. 2016), layer for layer torchvision's.
//
// A block whose shortcut has a convolution of its own has that first: a branch begins at the block's input again for the rest,
// and the sum adds the shortcut. So the sum's gradient waits for it in one buffer, as that of a plain residual does.
#include <math.h>
#include <stdio.h>

#include "encoder/network.h"

enum { MAX_SIDE = 4096, GROUPS = 4, WIDER = 4 };

static const mcl_resnet_options defaults = {.struct_size = sizeof defaults,
                                            .depth = 18,
                                            .filters = 64,
                                            .trained_blocks = -1,
                                            .projection_layers = 2,
                                            .projection_dim = 128};

void mcl_resnet_options_init(mcl_resnet_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

// ---- options ---------------------------------------------------------------------------------------

static const int32_t *blocks_of(int32_t depth) {
  static const int32_t blocks[2][GROUPS] = {{2, 2, 2, 2}, {3, 4, 6, 3}};
  return blocks[depth != 18];
}

static int32_t count_blocks(int32_t depth) {
  int32_t n = 0;
  for (int g = 0; g < GROUPS; g++) n += blocks_of(depth)[g];
  return n;
}

static mcl_status check(const mcl_resnet_options *o, mcl_error *err) {
  const struct {
    const char *name;
    int64_t value, low, high;
  } ranges[] = {{"height", o->height, 1, MAX_SIDE},
                {"width", o->width, 1, MAX_SIDE},
                {"channels", o->channels, 1, MAX_SIDE},
                {"stem", o->stem, MCL_STEM_IMAGENET, MCL_STEM_CIFAR},
                {"filters", o->filters, 1, 1024},
                {"projection_layers", o->projection_layers, 1, 8},
                {"projection_hidden", o->projection_hidden, 0, 65536},
                {"projection_dim", o->projection_dim, 0, 65536}};
  mcl_status s = MCL_OK;
  if (o->depth != 18 && o->depth != 34 && o->depth != 50)
    return mcli_fail(err, MCL_E_INVALID, "options->depth is %d, not 18, 34 or 50", (int)o->depth);
  for (size_t i = 0; s == MCL_OK && i < sizeof ranges / sizeof *ranges; i++)
    s = mcli_network_range(ranges[i].value, ranges[i].low, ranges[i].high, ranges[i].name, err);
  if (s == MCL_OK)
    s = mcli_network_range(o->trained_blocks, -1, count_blocks(o->depth), "trained_blocks", err);
  return s < 0 ? s : mcli_scale_check(o->mean, o->deviation, o->channels, err);
}

// ---- layers ----------------------------------------------------------------------------------------

// The convolutions of a block as torchvision counts them, from 1; 0 is the shortcut's. `block`: "layer1.0.", of the stem "".
typedef struct series {
  mcli_net *net;
  char block[32];
  int32_t number;
} series;

static void call(const series *w, int is_norm) {
  if (w->number == 0)
    mcli_net_call(w->net, "%sdownsample.%d.", w->block, is_norm);
  else
    mcli_net_call(w->net, "%s%s%d.", w->block, is_norm ? "bn" : "conv", w->number);
}

// A convolution and its batch norm; `flags`: of the norm.
static mcl_status conv(series *w, int32_t filters, int32_t kernel, int32_t stride, int flags,
                       mcl_error *err) {
  mcl_status s = mcli_net_conv_padded(w->net, filters, kernel, stride, kernel / 2, 0, err);
  if (s < 0) return s;
  mcli_net_begin_normal(w->net, sqrt(2.0 / ((double)kernel * kernel * filters)));
  call(w, 0);
  s = mcli_net_norm(w->net, flags, err);
  if (s == MCL_OK) call(w, 1);
  w->number++;
  return s;
}

static mcl_status basic(series *w, int32_t filters, int32_t stride, mcl_error *err) {
  mcl_status s = conv(w, filters, 3, stride, MCLI_WITH_RELU, err);
  return s < 0 ? s : conv(w, filters, 3, 1, 0, err);
}

static mcl_status bottleneck(series *w, int32_t filters, int32_t stride, mcl_error *err) {
  mcl_status s = conv(w, filters, 1, 1, MCLI_WITH_RELU, err);
  if (s == MCL_OK) s = conv(w, filters, 3, stride, MCLI_WITH_RELU, err);
  return s < 0 ? s : conv(w, WIDER * filters, 1, 1, 0, err);
}

// w->number is 0.
static mcl_status block(series *w, int32_t depth, int32_t filters, int32_t stride, mcl_error *err) {
  mcli_net *net = w->net;
  int32_t from = net->n_layers, begin = from, out = depth < 50 ? filters : WIDER * filters;
  mcl_status s = MCL_OK;
  if (stride > 1 || mcli_net_shape(net, from).channels != out) {
    s = conv(w, out, 1, stride, 0, err);
    from = net->n_layers;
    mcli_net_branch(net, begin);
  }
  w->number = 1;
  if (s == MCL_OK) s = (depth < 50 ? basic : bottleneck)(w, filters, stride, err);
  return s < 0 ? s : mcli_net_sum(net, from, MCLI_WITH_RELU, err);
}

static int has_scale(const mcl_resnet_options *o) {
  return o->mean || o->deviation;
}

static mcl_status stem(mcli_net *net, const mcl_resnet_options *o, mcl_error *err) {
  mcl_status s = has_scale(o) ? mcli_net_standardise(net, err) : MCL_OK;
  series w = {.net = net, .number = 1};
  if (s < 0) return s;
  if (o->stem == MCL_STEM_CIFAR) return conv(&w, o->filters, 3, 1, MCLI_WITH_RELU, err);
  s = conv(&w, o->filters, 7, 2, MCLI_WITH_RELU, err);
  return s < 0 ? s : mcli_net_max_pool(net, 3, 2, 1, err);
}

static mcl_status body(mcli_network *w, const mcl_resnet_options *o, mcl_error *err) {
  mcl_status s = stem(&w->net, o, err);
  int32_t left = count_blocks(o->depth), filters = o->filters;
  for (int g = 0; s == MCL_OK && g < GROUPS; g++, filters *= 2)
    for (int32_t b = 0; s == MCL_OK && b < blocks_of(o->depth)[g]; b++, left--) {
      if (left == o->trained_blocks) mcli_net_freeze(&w->net);
      series convolutions = {.net = &w->net};
      snprintf(convolutions.block, sizeof convolutions.block, "layer%d.%d.", g + 1, b);
      s = block(&convolutions, o->depth, filters, g > 0 && b == 0 ? 2 : 1, err);
    }
  if (s == MCL_OK && o->trained_blocks == 0) mcli_net_freeze(&w->net);
  if (s == MCL_OK) s = mcli_net_pool(&w->net, MCLI_POOL_MEAN, err);
  w->net.embedding = w->net.n_layers;
  return s;
}

// What torchvision's `fc` would be called as a torch.nn.Sequential; one dense layer is that `fc` itself.
static mcl_status head(mcli_network *w, const mcl_resnet_options *o, mcl_error *err) {
  int32_t hidden = o->projection_hidden, place = 0;
  mcli_net *net = &w->net;
  mcl_status s = MCL_OK;
  if (hidden == 0) hidden = mcli_net_shape(net, net->n_layers).channels;
  if (o->projection_dim == 0) return s;
  for (int32_t i = 1; s == MCL_OK && i < o->projection_layers; i++, place += 3) {
    s = mcli_net_linear(net, hidden, 0, err);
    if (s == MCL_OK) mcli_net_call(net, "fc.%d.", place);
    if (s == MCL_OK) s = mcli_net_norm(net, MCLI_WITH_RELU, err);
    if (s == MCL_OK) mcli_net_call(net, "fc.%d.", place + 1);
  }
  if (s == MCL_OK) s = mcli_net_linear(net, o->projection_dim, MCLI_WITH_BIAS, err);
  if (s < 0) return s;
  if (place > 0)
    mcli_net_call(net, "fc.%d.", place);
  else
    mcli_net_call(net, "fc.");
  return MCL_OK;
}

static void describe(mcli_network *w, const mcl_resnet_options *o) {
  mcli_network_describe(w, "resnet%d %d x %d x %d%s, %s stem, %d filters", o->depth, o->height,
                        o->width, o->channels, has_scale(o) ? " to scale" : "",
                        o->stem == MCL_STEM_CIFAR ? "cifar" : "imagenet", o->filters);
  mcli_network_describe(w, ", head %d x %d %d", o->projection_layers, o->projection_hidden,
                        o->projection_dim);
  mcli_network_describe_trained(w, o->trained_blocks);
}

mcl_status mcl_encoder_create_resnet(mcl_context *context, const mcl_resnet_options *options,
                                     mcl_encoder **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_resnet_options o = defaults;
  mcli_network *w = NULL;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_resnet_options", err);
  if (s == MCL_OK) s = check(&o, err);
  if (s == MCL_OK)
    s = mcli_network_begin(context, (mcli_shape){o.height, o.width, o.channels}, o.optimiser, &w,
                           err);
  if (s != MCL_OK) return s;
  s = body(w, &o, err);
  if (s == MCL_OK) s = head(w, &o, err);
  if (s < 0) {
    mcli_network_free(w);
    return s;
  }
  describe(w, &o);
  w->unlike = NULL;
  s = mcli_network_end(w, "resnet", o.seed, out, err);
  if (s == MCL_OK) mcli_scale_begin(w, o.mean, o.deviation, o.channels);
  return s;
}
