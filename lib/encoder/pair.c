// Two encoders as one of two modalities: CLIP's model (Radford et al. 2021, figure 3), of any towers. With x the rows of a
// tower, P its projection and tau the temperature:
//
//   z = x P,   dP = x^T dz,   dx = dz P^T                                                   (1)
//   t = log 1/tau,   dL/dt = -dL/dlog tau,   0 <= t <= log 100 after each step              (2)
//
// The loss normalises z and divides by tau, not the pair: it is the one place that knows cells.
//
// A tower is spoken to by its handle only, a host's and a built-in one alike; what is known of built-in ones besides is
// that their gradients can be looked at before anything moves, and that their tensors can lie in the pair's file.
#include "encoder/pair.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "nn/linear.h"

enum { MAX_DIM = 65536 };

// (2): a scale over 100 made CLIP's training unstable; below 1 scores hardly differ, and nothing is learnt.
static const double low_temperature = 0.01, high_temperature = 1;

static const mcl_pair_options defaults = {.struct_size = sizeof defaults, .temperature = 0.07};

void mcl_pair_options_init(mcl_pair_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

// ---- rows of a tower -------------------------------------------------------------------------------

static mcl_inputs inputs_of(const mcl_inputs *in) {
  mcl_inputs ours = *in;
  ours.modality = 0;
  return ours;
}

static mcl_status reserve(const mcli_pair *p, mcli_pair_rows *rows, int64_t n, int64_t width,
                          mcl_error *err) {
  int64_t size;
  if (!mcli_mul(n, width, &size)) return mcli_nomem(err, "the rows of an encoder");
  rows->n = n;
  if (size <= rows->size) return MCL_OK;
  float *larger = MCLI_NEW(p->context, float, size);
  if (!larger) return mcli_nomem(err, "the rows of an encoder");
  mcli_free(p->context, rows->x);
  rows->x = larger;
  rows->size = size;
  return MCL_OK;
}

typedef mcl_status (*rows_fn)(mcl_encoder *, const mcl_inputs *, const mcl_array *, mcl_error *);

// The tower's own rows into `rows`.
static mcl_status take_rows(const mcli_pair *p, const mcli_tower *t, mcli_pair_rows *rows,
                            rows_fn fn, const mcl_inputs *in, mcl_error *err) {
  mcl_inputs ours = inputs_of(in);
  mcl_status s = reserve(p, rows, in->n, t->width, err);
  if (s < 0) return s;
  mcl_array x = mcl_matrix_f32(rows->x, in->n, t->width);
  return fn(t->encoder, &ours, &x, err);
}

// (1) into out, or the rows as they are.
static mcl_status give_rows(const mcli_pair *p, const mcli_tower *t, const mcli_pair_rows *rows,
                            const mcl_array *out, mcl_error *err) {
  if (rows->n == 0) return mcl_ok(err);
  if (t->kernel < 0) {
    memcpy(out->data, rows->x, (size_t)(rows->n * t->width) * sizeof(float));
    return mcl_ok(err);
  }
  mcl_status s = mcli_linear_forward(p->context, rows->n, t->width, p->dim, rows->x,
                                     mcli_param_value(&p->own->net.params, t->kernel), NULL, 0,
                                     out->data, err);
  return s < 0 ? s : mcl_ok(err);
}

// ---- the table -------------------------------------------------------------------------------------

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  mcli_pair *p = user;
  mcli_tower *t = &p->towers[in->modality];
  mcl_inputs ours = inputs_of(in);
  if (t->kernel < 0) return mcl_encoder_embed(t->encoder, &ours, out, err);
  mcl_status s = take_rows(p, t, &t->evaluated, mcl_encoder_embed, in, err);
  return s < 0 ? s : give_rows(p, t, &t->evaluated, out, err);
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  mcli_pair *p = user;
  mcli_tower *t = &p->towers[in->modality];
  mcli_pair_rows *kept = &t->kept[in->view + 1];
  mcl_inputs ours = inputs_of(in);
  if (t->kernel < 0 && !t->locked) return mcl_encoder_forward(t->encoder, &ours, out, err);
  rows_fn fn = t->locked ? mcl_encoder_embed : mcl_encoder_forward;
  mcl_status s = take_rows(p, t, kept, fn, in, err);
  return s < 0 ? s : give_rows(p, t, kept, out, err);
}

static mcl_status held(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  mcli_pair *p = user;
  mcli_tower *t = &p->towers[in->modality];
  mcl_inputs ours = inputs_of(in);
  if (t->kernel < 0 && !t->locked) return mcl_encoder_held(t->encoder, &ours, out, err);
  return give_rows(p, t, &t->kept[in->view + 1], out, err);
}

// (1): dP is added to, and dx goes to the tower unless it is locked.
static mcl_status backward_projection(mcli_pair *p, const mcli_tower *t, const mcl_inputs *in,
                                      const mcl_array *grad, mcl_error *err) {
  const mcli_pair_rows *kept = &t->kept[in->view + 1];
  const mcli_params *own = &p->own->net.params;
  mcl_status s = reserve(p, &p->gradient, in->n, t->width, err);
  if (s == MCL_OK && in->n > 0)
    s = mcli_linear_backward(p->context, in->n, t->width, p->dim, kept->x,
                             mcli_param_value(own, t->kernel), NULL, 0, grad->data,
                             t->locked ? NULL : p->gradient.x, mcli_param_gradient(own, t->kernel),
                             NULL, err);
  if (s < 0 || t->locked) return s;
  mcl_array dx = mcl_matrix_f32(p->gradient.x, in->n, t->width);
  mcl_inputs ours = inputs_of(in);
  return mcl_encoder_backward(t->encoder, &ours, &dx, err);
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                           mcl_error *err) {
  mcli_pair *p = user;
  mcli_tower *t = &p->towers[in->modality];
  mcl_inputs ours = inputs_of(in);
  mcl_status s = MCL_OK;
  if (t->kernel >= 0)
    s = backward_projection(p, t, in, grad, err);
  else if (!t->locked)
    s = mcl_encoder_backward(t->encoder, &ours, grad, err);
  if (s < 0) return s;
  t->worked = 1;
  return mcl_ok(err);
}

static mcl_status temperature(void *user, double *out, mcl_error *err) {
  mcli_pair *p = user;
  *out = exp(-(double)*mcli_param_value(&p->own->net.params, p->scale)); // (2)
  return mcl_ok(err);
}

static mcl_status backward_temperature(void *user, double d_log_temperature, mcl_error *err) {
  mcli_pair *p = user;
  *mcli_param_gradient(&p->own->net.params, p->scale) -= (float)d_log_temperature; // (2)
  return mcl_ok(err);
}

static void give_up(void *user) {
  mcli_pair *p = user;
  for (int m = 0; m < 2; m++) {
    if (!p->towers[m].locked) mcli_encoder_give_up(p->towers[m].encoder);
    p->towers[m].worked = 0;
  }
  mcli_network_give_up(p->own);
}

// Everything that can be known before anything moves.
static mcl_status check_gradients(const mcli_pair *p, mcl_error *err) {
  mcl_status s = mcli_optimiser_check(p->own->context, &p->own->net.params, err);
  for (int m = 0; s == MCL_OK && m < 2; m++)
    if (p->towers[m].network && !p->towers[m].locked)
      s = mcli_optimiser_check(p->own->context, &p->towers[m].network->net.params, err);
  return s;
}

// Towers, a host's first: its step may fail, while those of built-in ones have just been looked at.
static mcl_status step_towers(mcli_pair *p, const mcl_step *given, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int built_in = 0; built_in < 2; built_in++)
    for (int m = 0; s == MCL_OK && m < 2; m++) {
      mcli_tower *t = &p->towers[m];
      if (t->worked && !t->locked && (t->network != NULL) == built_in)
        s = mcl_encoder_step(t->encoder, given, err);
    }
  return s;
}

// A tower that is a host's may see to its own.
static mcl_status sum_gradients(void *user, mcl_comm *comm, mcl_error *err) {
  mcli_pair *p = user;
  mcl_status s = MCL_OK;
  for (int m = 0; s == MCL_OK && m < 2; m++)
    if (p->towers[m].worked && !p->towers[m].locked)
      s = mcli_encoder_sum_gradients(p->towers[m].encoder, comm, err);
  return s < 0 ? s : mcli_network_sum(p->own, comm, err);
}

static void clamp(mcli_pair *p) {
  if (p->scale < 0) return;
  float *t = mcli_param_value(&p->own->net.params, p->scale);
  float low = (float)-log(high_temperature), high = (float)-log(low_temperature);
  *t = *t < low ? low : *t > high ? high : *t;
}

static mcl_status step(void *user, const mcl_step *given, mcl_error *err) {
  mcli_pair *p = user;
  mcl_status s = check_gradients(p, err);
  if (s == MCL_OK) s = step_towers(p, given, err);
  if (s == MCL_OK)
    s = mcli_optimiser_step(p->context, &p->own->optimiser, &p->own->net.params,
                            given->learning_rate, p->own->steps + 1, err);
  if (s < 0) return s;
  p->own->steps++;
  clamp(p);
  p->towers[0].worked = p->towers[1].worked = 0;
  return mcl_ok(err);
}

static mcl_status load(void *user, const char *path, mcl_error *err) {
  mcl_status s = mcli_pair_load(user, path, err);
  if (s < 0) return s;
  give_up(user);
  return mcl_ok(err);
}

// ---- the weights of another -----------------------------------------------------------------------

// Whether a tower can take over weights, or needs none because it stays what its maker made it.
static int can_start(const mcli_tower *t) {
  return t->locked || mcli_encoder_table(t->encoder)->start_from != NULL;
}

static int starts(const mcli_tower *t, const mcli_tower *from) {
  return t->encoder != from->encoder && mcli_encoder_table(t->encoder)->start_from != NULL;
}

// Everything that can be known before anything moves.
static mcl_status check_start(const mcli_pair *p, const mcli_pair *from, mcl_error *err) {
  mcl_status s = mcli_network_check_same(p->own, from->own, err);
  for (int m = 0; s == MCL_OK && m < 2; m++) {
    const mcli_network *w = p->towers[m].network, *other = from->towers[m].network;
    if (w && other) s = mcli_network_check_same(w, other, err);
    if (!w != !other)
      s = mcli_fail(err, MCL_E_MISMATCH, "the %s encoder of one pair is a host's",
                    p->towers[m].name);
  }
  return s;
}

// Towers, a host's first: its start_from may fail, while built-in ones have just been compared.
static mcl_status start_from(void *user, void *other, mcl_error *err) {
  mcli_pair *p = user;
  const mcli_pair *from = other;
  mcl_status s = check_start(p, from, err);
  for (int built_in = 0; built_in < 2; built_in++)
    for (int m = 0; s == MCL_OK && m < 2; m++) {
      const mcli_tower *t = &p->towers[m], *o = &from->towers[m];
      if (starts(t, o) && (t->network != NULL) == built_in)
        s = mcl_encoder_start_from(t->encoder, o->encoder, err);
    }
  if (s < 0) return s;
  mcli_network_start_from(p->own, from->own);
  give_up(p);
  return mcl_ok(err);
}

// ---- life ------------------------------------------------------------------------------------------

static void destroy(void *user) {
  mcli_pair *p = user;
  mcl_context *c = p->context;
  for (int m = 0; m < 2; m++) {
    mcl_encoder_unref(p->towers[m].encoder);
    for (int v = 0; v < MCLI_NETWORK_VIEWS; v++) mcli_free(c, p->towers[m].kept[v].x);
    mcli_free(c, p->towers[m].evaluated.x);
  }
  mcli_free(c, p->gradient.x);
  mcli_network_free(p->own);
  mcli_free(c, p);
}

static mcl_status check_options(const mcl_pair_options *o, mcl_error *err) {
  if (o->temperature != 0 &&
      !(o->temperature >= low_temperature && o->temperature <= high_temperature))
    return mcli_fail(err, MCL_E_INVALID, "options->temperature is %g, not 0 or %g..%g",
                     o->temperature, low_temperature, high_temperature);
  if (o->locked > 3)
    return mcli_fail(err, MCL_E_INVALID, "options->locked is %#x: there are modalities 0 and 1",
                     o->locked);
  if (o->locked == 3 && o->dim == 0)
    return mcli_fail(err, MCL_E_INVALID, "both encoders are locked: nothing would be trained");
  return mcli_network_range(o->dim, 0, MAX_DIM, "dim", err);
}

static mcl_status check_tower(const mcl_pair_options *o, const mcli_tower *t, mcl_error *err) {
  const mcl_host_encoder *table = mcli_encoder_table(t->encoder);
  if (t->locked) return MCL_OK;
  if (!table->forward || !table->backward || !table->step)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "the %s encoder cannot be trained: %s is NULL",
                     t->name,
                     !table->forward    ? "forward"
                     : !table->backward ? "backward"
                                        : "step");
  if (o->dim > 0 && t->width != table->dim)
    return mcli_fail(err, MCL_E_SHAPE,
                     "the %s encoder has a head, from %d to %d numbers: options->dim needs none",
                     t->name, table->dim, t->width);
  return MCL_OK;
}

static mcl_status check_widths(const mcli_tower towers[2], mcl_error *err) {
  int32_t dim[2] = {mcl_encoder_dim(towers[0].encoder), mcl_encoder_dim(towers[1].encoder)};
  if (dim[0] == dim[1] && towers[0].width == towers[1].width) return MCL_OK;
  return mcli_fail(err, MCL_E_SHAPE,
                   "embeddings have %d and %d numbers, projections %d and %d: set options->dim",
                   dim[0], dim[1], towers[0].width, towers[1].width);
}

static mcl_status take_towers(mcli_pair *p, const mcl_pair_options *o, mcl_encoder *image,
                              mcl_encoder *text, mcl_error *err) {
  mcl_encoder *encoders[2] = {image, text};
  mcl_status s = MCL_OK;
  for (int m = 0; s == MCL_OK && m < 2; m++) {
    mcli_tower *t = &p->towers[m];
    t->encoder = mcl_encoder_ref(encoders[m]);
    t->network = mcli_network_of(encoders[m]);
    t->name = m == 0 ? "image" : "text";
    t->locked = (o->locked >> m & 1) != 0;
    t->width = t->locked ? mcl_encoder_dim(encoders[m]) : mcl_encoder_projection_dim(encoders[m]);
    t->kernel = -1;
    s = check_tower(o, t, err);
  }
  if (s == MCL_OK && o->dim == 0) s = check_widths(p->towers, err);
  return s;
}

// The tensors of the pair itself.
static mcl_status make_own(mcli_pair *p, const mcl_pair_options *o, mcl_error *err) {
  mcl_context *c = p->context;
  mcl_status s = mcli_network_begin(c, (mcli_shape){1, 1, 1}, o->optimiser, &p->own, err);
  if (s < 0) return s;
  mcli_params *own = &p->own->net.params;
  for (int m = 0; s == MCL_OK && o->dim > 0 && m < 2; m++) {
    const int64_t shape[2] = {p->towers[m].width, o->dim};
    s = mcli_params_add(c, own, "projection", m, "kernel", 2, shape, MCLI_KERNEL,
                        &p->towers[m].kernel, err);
  }
  const int64_t one[1] = {1};
  if (s == MCL_OK && o->temperature > 0)
    s = mcli_params_add(c, own, "temperature", 0, "log_scale", 1, one, 0, &p->scale, err);
  if (s == MCL_OK) s = mcli_net_end(&p->own->net, o->seed, err);
  if (s < 0) return s;
  for (int m = 0; m < 2 && o->dim > 0; m++) // CLIP's
    mcli_init_normal(own, p->towers[m].kernel, 1 / sqrt((double)p->towers[m].width), o->seed);
  if (p->scale >= 0) mcli_init_constant(own, p->scale, (float)-log(o->temperature));
  mcli_network_describe(p->own, "pair, projected to %d, %s temperature", o->dim,
                        p->scale >= 0 ? "learnt" : "given");
  return MCL_OK;
}

// Projections and temperature keep their gradients from chunk to chunk; so must the towers that are trained.
static uint32_t flags_of(const mcli_pair *p) {
  for (int m = 0; m < 2; m++)
    if (!p->towers[m].locked && !mcli_encoder_takes_chunks(p->towers[m].encoder)) return 0;
  return MCL_HOST_CHUNKS;
}

static mcl_host_encoder table_of(mcli_pair *p) {
  mcl_host_encoder table = {.struct_size = sizeof table,
                            .user = p,
                            .dim = p->dim ? p->dim : mcl_encoder_dim(p->towers[0].encoder),
                            .projection_dim = p->dim ? p->dim : p->towers[0].width,
                            .modalities = 2,
                            .flags = flags_of(p),
                            .embed = embed,
                            .forward = forward,
                            .backward = backward,
                            .step = step,
                            .save = mcli_pair_save,
                            .load = load,
                            .destroy = destroy,
                            .held = held,
                            .give_up = give_up,
                            .sum_gradients = sum_gradients};
  if (can_start(&p->towers[0]) && can_start(&p->towers[1])) table.start_from = start_from;
  if (p->scale < 0) return table;
  table.temperature = temperature;
  table.backward_temperature = backward_temperature;
  return table;
}

mcl_status mcl_encoder_create_pair(mcl_context *context, const mcl_pair_options *options,
                                   mcl_encoder *image, mcl_encoder *text, mcl_encoder **out,
                                   mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!image) return mcli_fail(err, MCL_E_INVALID, "image is NULL");
  if (!text) return mcli_fail(err, MCL_E_INVALID, "text is NULL");
  if (image == text) return mcli_fail(err, MCL_E_INVALID, "image and text are one encoder");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_pair_options o = defaults;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_pair_options", err);
  if (s == MCL_OK) s = check_options(&o, err);
  if (s < 0) return s;
  mcli_pair *p = MCLI_NEW0(context, mcli_pair, 1);
  if (!p) return mcli_nomem(err, "the encoder");
  p->context = context; // the handle keeps it
  p->dim = o.dim;
  p->scale = -1;
  s = take_towers(p, &o, image, text, err);
  if (s == MCL_OK) s = make_own(p, &o, err);
  if (s < 0) {
    destroy(p);
    return s;
  }
  mcl_host_encoder table = table_of(p);
  return mcli_encoder_create(context, "pair", &table, out, err);
}
