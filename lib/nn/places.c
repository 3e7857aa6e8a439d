// Where on a tape each value lies.
//
// A backward pass reads values again: all of those that a trained layer reads or makes are kept. The others are read forward
// only, and their place is free for others once the last layer that reads them has run: all of a network in evaluation, and
// what is frozen in training. A sum may take the place of the value that it is made of.
//
// Places are found first fit, value by value, as layers run. Rejected: the smallest tape by search; chains of blocks leave
// first fit no choice to regret.
#include "nn/net.h"

#include "base/alloc.h"

enum { FOR_EVER = INT32_MAX };

typedef struct layout {
  const mcli_net *net;
  int32_t first_kept; // values read by layers from this one on are kept
  int32_t *last;      // [values] the last layer that reads a value
  int64_t *place;     // [values] what is found
  int64_t row;        // numbers a row in all
} layout;

static void read_by(layout *l, int32_t value, int32_t layer) {
  if (l->last[value] < layer) l->last[value] = layer >= l->first_kept ? FOR_EVER : layer;
}

static void find_readers(layout *l) {
  const mcli_net *net = l->net;
  for (int32_t v = 0; v <= net->n_layers; v++) l->last[v] = v > l->first_kept ? FOR_EVER : v - 1;
  for (int32_t i = 0; i < net->n_layers; i++) {
    read_by(l, net->layers[i].input, i);
    if (net->layers[i].kind == MCLI_SUM) read_by(l, net->layers[i].from, i);
  }
  l->last[net->embedding] = l->last[net->n_layers] = FOR_EVER;
  if (net->tokens.vocabulary > 0) l->last[0] = FOR_EVER; // layers look at the ids
}

// The next place at or behind `at` where `size` numbers overlap no value below `value` that layer `layer` must find as it was.
static int64_t first_fit(const layout *l, int32_t value, int32_t layer, int64_t size) {
  int64_t at = 0;
  for (int32_t v = 0; v < value; v++) {
    int64_t begin = l->place[v], end = begin + mcli_shape_size(mcli_net_shape(l->net, v));
    if (l->last[v] < layer || end <= at || begin >= at + size) continue;
    at = end;
    v = -1; // places are in no order
  }
  return at;
}

// Whether a layer's backward pass may ask for its output; not all that need not are said.
static int reads_output(const mcli_layer *l) {
  return l->relu || (l->kind != MCLI_CONV && l->kind != MCLI_LINEAR && l->kind != MCLI_NORM);
}

// A sum in the place of its input, which nobody else reads.
static int in_place(const layout *l, int32_t layer) {
  const mcli_layer *sum = &l->net->layers[layer];
  if (sum->kind != MCLI_SUM || sum->input == 0) return 0;
  int32_t maker = sum->input - 1;
  return maker < l->first_kept || !reads_output(&l->net->layers[maker]);
}

static void find_places(layout *l) {
  const mcli_net *net = l->net;
  l->place[0] = 0;
  l->row = mcli_shape_size(net->input);
  for (int32_t i = 0; i < net->n_layers; i++) {
    int64_t size = mcli_shape_size(net->layers[i].out);
    l->place[i + 1] =
        in_place(l, i) ? l->place[net->layers[i].input] : first_fit(l, i + 1, i, size);
    if (in_place(l, i)) l->last[net->layers[i].input] = -1;
    if (l->place[i + 1] + size > l->row) l->row = l->place[i + 1] + size;
  }
}

mcl_status mcli_net_lay_out(mcli_net *net, mcl_error *err) {
  int64_t values = (int64_t)net->n_layers + 1;
  int32_t *last = MCLI_NEW(net->context, int32_t, values);
  net->places[0] = MCLI_NEW(net->context, int64_t, values);
  net->places[1] = MCLI_NEW(net->context, int64_t, values);
  mcl_status s = MCL_OK;
  if (!last || !net->places[0] || !net->places[1]) s = mcli_nomem(err, "the layers");
  for (int training = 0; s == MCL_OK && training < 2; training++) {
    layout l = {.net = net,
                .first_kept = training ? net->lowest : net->n_layers,
                .last = last,
                .place = net->places[training]};
    find_readers(&l);
    find_places(&l);
    net->row[training] = l.row;
  }
  mcli_free(net->context, last);
  return s;
}
