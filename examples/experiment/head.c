// A head on top of the frozen stages, the learned projection of mcl_integrator_encoder(): can one vector for a cosine keep what every
// stage found? Its negatives come in turn from all rows, from the cells of stage 1, from those of stage 2, and so on, so that
// it has to tell apart what each stage told apart.
#include "experiment.h"

#include <stdlib.h>
#include <string.h>

typedef struct head {
  const experiment *x;
  mcl_augmenter *augmenter;
  mcl_encoder *encoder;              // the stages and the head
  mcl_sampler *samplers[MAX_STAGES]; // of cells: with the labels of none, of one stage, of two, ...
  int64_t *indices, *cells, capacity; // of a batch
  uint8_t *images;
  float *view, *z[2], *dz[2]; // of one view of the batch; projections and their gradients
  int64_t image, step, steps; // bytes of an image; of the training
  mcl_array row;
} head;

// ---- what it is made of --------------------------------------------------------------------------------

static mcl_status make_encoder(head *h, mcl_integrator *g) {
  mcl_optimiser_options adam = *h->x->network.optimiser;
  mcl_mlp_options o;
  mcl_encoder *top = NULL;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = h->x->loop.seed;
  o.inputs = mcl_integrator_dim(g);
  o.layers = 1;
  o.optimiser = &adam;
  mcl_status s = mcl_encoder_create_mlp(h->x->context, &o, &top, &err);
  if (s == MCL_OK) s = mcl_integrator_encoder(g, top, &h->encoder, &err);
  mcl_encoder_unref(top);
  return s;
}

// Sampler `depth` has the labels of the first `depth` stages.
static mcl_status make_sampler(head *h, mcl_multistage *loop, int depth, int32_t *labels) {
  int64_t n = mcl_dataset_rows(h->x->train);
  mcl_status s =
      mcl_sampler_create(h->x->context, h->x->loop.sampler, n, 0, 1, &h->samplers[depth], &err);
  for (int32_t i = 0; s == MCL_OK && i < depth; i++) {
    s = mcl_multistage_labels(loop, i, 0, labels, n, &err);
    if (s == MCL_OK) s = mcl_sampler_add_labels(h->samplers[depth], i, labels, n, &err);
  }
  h->steps += mcl_sampler_steps(h->samplers[depth]) * h->x->loop.epochs;
  return s;
}

static mcl_status make_samplers(head *h, mcl_multistage *loop, int stages) {
  int32_t *labels = malloc((size_t)mcl_dataset_rows(h->x->train) * sizeof *labels);
  mcl_status s = labels ? MCL_OK : out_of_memory();
  for (int d = 0; s == MCL_OK && d < stages; d++) s = make_sampler(h, loop, d, labels);
  free(labels);
  return s;
}

static mcl_status make_room(head *h) {
  size_t rows, width = (size_t)mcl_encoder_projection_dim(h->encoder);
  TRY(mcl_dataset_shape(h->x->train, 0, &h->row, &err));
  h->image = h->row.shape[0] * h->row.shape[1] * h->row.shape[2];
  h->capacity = mcl_sampler_batch_capacity(h->samplers[0]);
  rows = (size_t)h->capacity;
  h->indices = malloc(rows * sizeof *h->indices), h->cells = malloc(rows * sizeof *h->cells);
  h->images = malloc(rows * (size_t)h->image);
  h->view = malloc(rows * (size_t)h->image * sizeof *h->view);
  int whole = h->indices && h->cells && h->images && h->view;
  for (int v = 0; v < 2; v++) {
    h->z[v] = malloc(rows * width * sizeof *h->z[v]);
    h->dz[v] = malloc(rows * width * sizeof *h->dz[v]);
    whole = whole && h->z[v] && h->dz[v];
  }
  return whole ? 0 : out_of_memory();
}

static void head_end(head *h) {
  for (int d = 0; d < MAX_STAGES; d++) mcl_sampler_unref(h->samplers[d]);
  mcl_augmenter_unref(h->augmenter);
  mcl_encoder_unref(h->encoder);
  free(h->indices), free(h->cells), free(h->images), free(h->view);
  for (int v = 0; v < 2; v++) free(h->z[v]), free(h->dz[v]);
}

// ---- training ------------------------------------------------------------------------------------------

static mcl_array images_of(const head *h, void *data, int64_t n, int32_t dtype) {
  mcl_array a = mcl_images_u8(data, n, h->row.shape[0], h->row.shape[1], h->row.shape[2]);
  a.dtype = dtype;
  return a;
}

static mcl_status forward(head *h, mcl_inputs *in, const mcl_array *images, int32_t view) {
  mcl_array seen = images_of(h, h->view, in->n, MCL_F32);
  mcl_array z = mcl_matrix_f32(h->z[view], in->n, mcl_encoder_projection_dim(h->encoder));
  in->view = view;
  in->data = images;
  mcl_status s = mcl_augmenter_apply(h->augmenter, in, &seen, &err);
  in->data = &seen;
  return s == MCL_OK ? mcl_encoder_forward(h->encoder, in, &z, &err) : s;
}

static mcl_status backward(head *h, mcl_inputs *in) {
  int32_t width = mcl_encoder_projection_dim(h->encoder);
  mcl_array z[2], dz[2];
  mcl_loss_inputs li;
  mcl_loss_result result;
  mcl_step step;
  for (int v = 0; v < 2; v++) {
    z[v] = mcl_matrix_f32(h->z[v], in->n, width);
    dz[v] = mcl_matrix_f32(h->dz[v], in->n, width);
  }
  mcl_struct_init(&li, sizeof li), mcl_struct_init(&result, sizeof result);
  mcl_struct_init(&step, sizeof step);
  li.za = &z[0], li.zb = &z[1], li.dza = &dz[0], li.dzb = &dz[1], li.cells = h->cells;
  mcl_status s = mcl_loss_info_nce(h->x->context, h->x->loop.loss, &li, &result, &err);
  for (in->view = 0; s == MCL_OK && in->view < 2; in->view++)
    s = mcl_encoder_backward(h->encoder, in, &dz[in->view], &err);
  step.step = h->step, step.steps = h->steps;
  step.learning_rate = h->x->loop.learning_rate * (1 - (double)h->step / (double)h->steps);
  h->step++;
  return s == MCL_OK ? mcl_encoder_step(h->encoder, &step, &err) : s;
}

static mcl_status learn(head *h, int depth, int32_t epoch, int64_t step) {
  mcl_batch b;
  mcl_inputs in;
  mcl_struct_init(&b, sizeof b), mcl_struct_init(&in, sizeof in);
  b.indices = h->indices, b.cells = h->cells, b.capacity = h->capacity;
  TRY(mcl_sampler_batch(h->samplers[depth], epoch, step, &b, &err));
  mcl_array images = images_of(h, h->images, b.n, MCL_U8);
  in.indices = h->indices, in.n = b.n;
  in.stage = depth, in.epoch = epoch, in.seed = h->x->loop.seed;
  mcl_status s = mcl_dataset_load(h->x->train, h->indices, b.n, 0, &images, &err);
  for (int32_t v = 0; s == MCL_OK && v < 2; v++) s = forward(h, &in, &images, v);
  return s == MCL_OK ? backward(h, &in) : s;
}

// A step of each depth in turn; those with fewer steps end an epoch sooner.
static mcl_status train(head *h, int stages) {
  int more = 1;
  for (int32_t epoch = 0; epoch < h->x->loop.epochs; epoch++)
    for (int64_t step = more = 0; step == 0 || more; step++)
      for (int d = more = 0; d < stages; d++) {
        if (step >= mcl_sampler_steps(h->samplers[d])) continue;
        more = 1;
        if (learn(h, d, epoch, step) < 0) return -1;
      }
  return MCL_OK;
}

// ---- all of it -----------------------------------------------------------------------------------------

static int judge(const experiment *x, mcl_encoder *e, knowledge *k) {
  mcl_integrator *g = NULL;
  representation r = {0};
  mcl_status s = mcl_integrator_create(x->context, NULL, &g, &err);
  if (s == MCL_OK) s = mcl_integrator_add_stage(g, e, 0, 1, &err);
  if (s == MCL_OK) s = represent(x, g, &r);
  if (s == MCL_OK) s = probe_columns(x, &r, 0, r.dim, k);
  representation_free(&r);
  mcl_integrator_unref(g);
  return s;
}

int head_learn(const experiment *x, mcl_multistage *loop, mcl_integrator *g, int stages,
               knowledge *k) {
  head h = {.x = x};
  mcl_status s = mcl_augmenter_create(x->context, &x->views, &h.augmenter, &err);
  if (s == MCL_OK) s = make_encoder(&h, g);
  if (s == MCL_OK) s = make_samplers(&h, loop, stages);
  if (s == MCL_OK) s = make_room(&h);
  if (s == MCL_OK) s = train(&h, stages);
  if (s == MCL_OK) s = judge(x, h.encoder, k);
  head_end(&h);
  return s;
}
