// An encoder that is watched while it learns: its table passes everything on to a network built in, and beside it a dense
// layer learns an attribute from the embeddings that the training pass makes anyway (mcl_encoder_held()). Nothing flows
// back: the network never hears of the attribute. This is how the figures of Chen, Luo & Li (2021) were taken.
//
// The dense layer is an MLP without hidden layers, so that Adam and its gradients are libmcl's own too.
#include "experiment.h"

#include <math.h>
#include <stdlib.h>

typedef struct rows {
  float *numbers; // [capacity, width]
  int64_t capacity;
} rows;

struct watched {
  const experiment *x;
  mcl_encoder *network, *probe;
  const int64_t *order;
  rows z;         // dim wide: of one pass
  rows scores[3]; // values wide: those of view v wait in [v + 1], from its forward to its backward
  int32_t dim, values;
};

static mcl_status reserve(rows *r, int64_t n, int32_t width, mcl_error *e) {
  if (n <= r->capacity) return MCL_OK;
  float *numbers = malloc((size_t)(n * width) * sizeof *numbers);
  if (!numbers) return mcl_error_set(e, MCL_E_NOMEM, 0, "no memory for the online probe");
  free(r->numbers);
  r->numbers = numbers, r->capacity = n;
  return MCL_OK;
}

// ---- the online probe ----------------------------------------------------------------------------------

// Scores into d loss / d scores: (softmax - one-hot) / n of the mean cross-entropy.
static void differentiate(float *scores, int32_t values, int64_t n, const int32_t *y,
                          const int64_t *indices) {
  for (int64_t i = 0; i < n; i++) {
    float *s = scores + i * values, most = s[0], sum = 0;
    for (int32_t c = 1; c < values; c++) most = s[c] > most ? s[c] : most;
    for (int32_t c = 0; c < values; c++) sum += s[c] = expf(s[c] - most);
    for (int32_t c = 0; c < values; c++)
      s[c] = (s[c] / sum - (float)(c == y[indices[i]])) / (float)n;
  }
}

// Forward, on the embeddings of the view that the network has just made.
static mcl_status learn(watched *w, const mcl_inputs *in, mcl_error *e) {
  rows *of_view = &w->scores[in->view + 1];
  mcl_status s = reserve(&w->z, in->n, w->dim, e);
  if (s == MCL_OK) s = reserve(of_view, in->n, w->values, e);
  if (s < 0) return s;
  mcl_array z = mcl_matrix_f32(w->z.numbers, in->n, w->dim);
  mcl_array scores = mcl_matrix_f32(of_view->numbers, in->n, w->values);
  mcl_inputs probed = *in;
  probed.data = &z;
  s = mcl_encoder_held(w->network, in, &z, e);
  if (s == MCL_OK) s = mcl_encoder_forward(w->probe, &probed, &scores, e);
  return s;
}

// Backward of the same view. No step lies between, so the scores are still those of the probe as it is.
static mcl_status teach(watched *w, const mcl_inputs *in, mcl_error *e) {
  float *made = w->scores[in->view + 1].numbers;
  mcl_array scores = mcl_matrix_f32(made, in->n, w->values);
  differentiate(made, w->values, in->n, w->x->attributes[0].train, in->indices);
  return mcl_encoder_backward(w->probe, in, &scores, e);
}

// ---- the table -----------------------------------------------------------------------------------------

static mcl_status embed_others(watched *w, const mcl_inputs *in, const mcl_array *out,
                               mcl_error *e) {
  int64_t bytes = in->n;
  for (int d = 1; d < in->data->ndim; d++) bytes *= in->data->shape[d];
  int64_t *others = malloc((size_t)in->n * sizeof *others);
  uint8_t *images = malloc((size_t)bytes);
  mcl_status s = others && images ? MCL_OK : mcl_error_set(e, MCL_E_NOMEM, 0, "no memory");
  if (s == MCL_OK) {
    for (int64_t i = 0; i < in->n; i++) others[i] = w->order[in->indices[i]];
    mcl_array x =
        mcl_images_u8(images, in->n, in->data->shape[1], in->data->shape[2], in->data->shape[3]);
    mcl_inputs theirs = *in;
    theirs.indices = others;
    theirs.data = &x;
    s = mcl_dataset_load(w->x->train, others, in->n, 0, &x, e);
    if (s == MCL_OK) s = mcl_encoder_embed(w->network, &theirs, out, e);
  }
  free(others), free(images);
  return s;
}

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  watched *w = user;
  return w->order ? embed_others(w, in, out, e) : mcl_encoder_embed(w->network, in, out, e);
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  watched *w = user;
  mcl_status s = mcl_encoder_forward(w->network, in, out, e);
  return s == MCL_OK ? learn(w, in, e) : s;
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad, mcl_error *e) {
  watched *w = user;
  mcl_status s = mcl_encoder_backward(w->network, in, grad, e);
  return s == MCL_OK ? teach(w, in, e) : s;
}

static mcl_status step(void *user, const mcl_step *at, mcl_error *e) {
  watched *w = user;
  mcl_status s = mcl_encoder_step(w->network, at, e);
  return s == MCL_OK ? mcl_encoder_step(w->probe, at, e) : s;
}

// The probe is not handed on: each stage's begins with nothing, so that their figures can be compared.
static mcl_status start_from(void *user, void *from, mcl_error *e) {
  return mcl_encoder_start_from(((watched *)user)->network, ((watched *)from)->network, e);
}

static void destroy(void *user) {
  watched *w = user;
  mcl_encoder_unref(w->network);
  mcl_encoder_unref(w->probe);
  free(w->z.numbers);
  for (int v = 0; v < 3; v++) free(w->scores[v].numbers);
  free(w);
}

int watched_create(const experiment *x, uint64_t seed, const int64_t *order, mcl_encoder **out,
                   watched **handle) {
  watched *w = calloc(1, sizeof *w);
  if (!w) return out_of_memory();
  mcl_mlp_options probe;
  mcl_mlp_options_init(&probe, sizeof probe);
  mcl_status s = experiment_network(x, seed, &w->network, &err);
  probe.seed = seed;
  probe.inputs = mcl_encoder_dim(w->network);
  probe.layers = 0;
  probe.dim = x->attributes[0].values;
  probe.projection_dim = 0;
  w->x = x;
  w->order = order;
  w->dim = mcl_encoder_dim(w->network);
  w->values = probe.dim;
  if (s == MCL_OK) s = mcl_encoder_create_mlp(x->context, &probe, &w->probe, &err);
  if (s < 0) {
    destroy(w);
    return s;
  }
  mcl_host_encoder table;
  mcl_struct_init(&table, sizeof table);
  table.user = w;
  table.dim = mcl_encoder_dim(w->network);
  table.projection_dim = mcl_encoder_projection_dim(w->network);
  table.embed = embed;
  table.forward = forward;
  table.backward = backward;
  table.step = step;
  table.destroy = destroy;
  table.start_from = start_from;
  *handle = w;
  return mcl_encoder_create_host(x->context, &table, out, &err);
}

void watched_tell_the_truth(watched *w) {
  w->order = NULL;
}

static int64_t count_right(const float *scores, int32_t values, const int32_t *y, int64_t n) {
  int64_t right = 0;
  for (int64_t i = 0; i < n; i++) {
    const float *s = scores + i * values;
    int32_t best = 0;
    for (int32_t c = 1; c < values; c++)
      if (s[c] > s[best]) best = c;
    right += best == y[i];
  }
  return right;
}

typedef struct exam {
  watched *w;
  int64_t right;
} exam;

static mcl_status examine(void *user, const mcl_inputs *in, int64_t first) {
  exam *of = user;
  watched *w = of->w;
  rows *made = &w->scores[0];
  mcl_status s = reserve(&w->z, in->n, w->dim, &err);
  if (s == MCL_OK) s = reserve(made, in->n, w->values, &err);
  if (s < 0) return s;
  mcl_array z = mcl_matrix_f32(w->z.numbers, in->n, w->dim);
  mcl_array scores = mcl_matrix_f32(made->numbers, in->n, w->values);
  mcl_inputs probed = *in;
  probed.data = &z;
  s = mcl_encoder_embed(w->network, in, &z, &err);
  if (s == MCL_OK) s = mcl_encoder_embed(w->probe, &probed, &scores, &err);
  if (s == MCL_OK)
    of->right += count_right(made->numbers, w->values, w->x->attributes[0].test + first, in->n);
  return s;
}

int watched_accuracy(watched *w, double *out) {
  exam of = {w, 0};
  if (each_block(w->x->test, examine, &of) < 0) return -1;
  *out = (double)of.right / (double)mcl_dataset_rows(w->x->test);
  return 0;
}
