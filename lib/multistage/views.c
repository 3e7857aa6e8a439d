// The two views of a batch, or of its chunks one by one: loaded, augmented, and made ready one chunk ahead of the training.
//
// A batch is a function of its place, so what comes next can be prepared on a thread of its own without asking anybody; when
// the place turns out to be another (after a seek, say), what was prepared is thrown away. A host's dataset is only ever
// called on the calling thread, and then nothing runs ahead.
#include <string.h>

#include "dataset/dataset.h"
#include "image/augment.h"
#include "multistage/views.h"

// ---- memory --------------------------------------------------------------------------------------------

int32_t mcli_views_modality(const mcli_views *p, int v) {
  return p->l->o.modalities == 2 ? v : 0;
}
static bool is_augmented(const mcli_views *p, int v) {
  return p->augmenter && mcli_views_modality(p, v) == 0;
}

static int64_t elements(const mcl_array *row) {
  return row->shape[0] * row->shape[1] * row->shape[2];
}

// [n, ...row] over `data`, for a row of up to three dimensions.
mcl_array mcli_views_batch(const mcl_array *row, void *data, int64_t n) {
  mcl_array a;
  int64_t shape[4] = {n, row->shape[0], row->shape[1], row->shape[2]};
  mcl_array_init(&a, data, row->dtype, row->ndim + 1, shape);
  return a;
}

static mcl_status find_shapes(mcli_views *p, mcli_prepared *b, mcl_error *err) {
  for (int v = 0; v < 2; v++) {
    mcl_status s = mcl_dataset_shape(p->dataset, mcli_views_modality(p, v), &b->raw_shape[v], err);
    if (s == MCL_E_NOT_FOUND) return MCL_OK; // the host's encoder has the data
    if (s < 0) return s;
    b->view_shape[v] = b->raw_shape[v];
    if (is_augmented(p, v)) {
      if (b->raw_shape[v].ndim != 3)
        return mcli_fail(err, MCL_E_SHAPE, "the augmenter needs rows of [height, width, channels]");
      b->view_shape[v].dtype = MCL_F32;
      mcli_augmenter_output(p->augmenter, b->raw_shape[v].shape, b->view_shape[v].shape);
    }
  }
  p->has_data = true;
  return MCL_OK;
}

static mcl_status prepared_make(mcli_views *p, mcli_prepared *b, mcl_error *err) {
  mcl_context *c = p->l->context;
  b->step = -1;
  b->indices = MCLI_NEW(c, int64_t, p->capacity);
  if (!b->indices) return mcli_nomem(err, "a batch");
  mcl_status s = find_shapes(p, b, err);
  if (s < 0 || !p->has_data) return s;
  for (int v = 0; v < 2; v++) {
    // 8 bytes an element hold any type.
    int64_t raw = p->capacity * elements(&b->raw_shape[v]);
    int64_t view = p->capacity * elements(&b->view_shape[v]);
    b->raw[v] = mcli_alloc(c, (uint64_t)raw, 8);
    b->view[v] = is_augmented(p, v) ? mcli_alloc(c, (uint64_t)view, sizeof(float)) : b->raw[v];
    if (!b->raw[v] || !b->view[v]) return mcli_nomem(err, "a batch");
  }
  return MCL_OK;
}

static void prepared_free(mcl_context *c, mcli_prepared *b) {
  for (int v = 0; v < 2; v++) {
    if (b->view[v] != b->raw[v]) mcli_free(c, b->view[v]);
    mcli_free(c, b->raw[v]);
  }
  mcli_free(c, b->indices);
}

// ---- views ---------------------------------------------------------------------------------------------

void mcli_views_inputs(const mcli_views *p, mcl_inputs *in, const int64_t *indices, int64_t n,
                       int32_t modality, int32_t view, int32_t stage, int32_t epoch) {
  mcl_struct_init(in, sizeof *in);
  in->indices = indices;
  in->n = n;
  in->modality = modality;
  in->view = view;
  in->stage = stage;
  in->epoch = epoch;
  in->seed = p->l->o.seed;
}

// (1). view -1: the rows as they are, only brought to the augmenter's size.
mcl_status mcli_views_make(const mcli_views *p, mcli_prepared *b, int v, int32_t view,
                           mcl_error *err) {
  int32_t m = mcli_views_modality(p, v);
  mcl_array raw = mcli_views_batch(&b->raw_shape[v], b->raw[v], b->n);
  // Both views of one modality come from the same rows: they are loaded once.
  if (v == 1 && m == 0)
    memcpy(&raw.data, &b->raw[0], sizeof raw.data);
  else {
    mcl_status s = mcl_dataset_load(p->dataset, b->indices, b->n, m, &raw, err);
    if (s < 0) return s;
  }
  if (!is_augmented(p, v)) {
    if (raw.data != b->raw[v])
      memcpy(b->raw[v], raw.data, (size_t)(b->n * elements(&b->raw_shape[v]) * 8));
    return MCL_OK;
  }
  mcl_inputs in;
  mcl_array out = mcli_views_batch(&b->view_shape[v], b->view[v], b->n);
  mcli_views_inputs(p, &in, b->indices, b->n, m, view, b->stage, b->epoch);
  in.data = &raw;
  return mcl_augmenter_apply(p->augmenter, &in, &out, err);
}

static void prepare(const mcli_views *p, mcli_prepared *b) {
  b->status = MCL_OK;
  for (int v = 0; v < 2 && b->status == MCL_OK && p->has_data && b->n > 0; v++)
    b->status = mcli_views_make(p, b, v, v, &b->error);
}

static void prepare_ahead(void *job) {
  mcli_views *p = job;
  prepare(p, p->next);
}

// ---- chunks --------------------------------------------------------------------------------------------

int64_t mcli_views_chunks(const mcli_views *p, int64_t n) {
  return n <= p->chunk ? 1 : (n + p->chunk - 1) / p->chunk;
}

mcli_chunk mcli_views_chunk(const mcli_views *p, int64_t n, int64_t at) {
  int64_t chunks = mcli_views_chunks(p, n), first = at * n / chunks;
  return (mcli_chunk){first, (at + 1) * n / chunks - first};
}

// b is to be chunk `at` of the batch at (stage, epoch, batch->step).
static void place(const mcli_views *p, mcli_prepared *b, const mcl_batch *batch, int32_t stage,
                  int32_t epoch, int64_t at) {
  mcli_chunk k = mcli_views_chunk(p, batch->n, at);
  memcpy(b->indices, batch->indices + k.first, (size_t)k.n * sizeof *b->indices);
  b->n = k.n;
  b->stage = stage;
  b->epoch = epoch;
  b->step = batch->step;
  b->chunk = at;
}

mcl_status mcli_views_start_next(mcli_views *p, const mcli_prepared *taken, const mcl_batch *batch,
                                 int64_t at, mcl_error *err) {
  const mcl_multistage *l = p->l;
  mcli_prepared *b = taken == &p->slots[0] ? &p->slots[1] : &p->slots[0];
  p->next = NULL;
  if (!p->may_run_ahead || (at < 0 && l->epoch >= l->o.epochs)) return MCL_OK;
  if (at >= 0) {
    place(p, b, batch, taken->stage, taken->epoch, at);
  } else {
    mcl_status s = mcl_sampler_batch(l->sampler, l->epoch, l->step, &p->ahead_batch, err);
    if (s < 0) return s;
    place(p, b, &p->ahead_batch, l->stage, l->epoch, 0);
  }
  p->next = b;
  mcli_ahead_start(p->ahead, prepare_ahead, p);
  return MCL_OK;
}

mcl_status mcli_views_take(mcli_views *p, const mcl_event *e, const mcl_batch *batch, int64_t at,
                           mcli_prepared **out, mcl_error *err) {
  mcli_ahead_wait(p->ahead);
  mcli_prepared *b = p->next;
  if (!b || b->stage != e->stage || b->epoch != e->epoch || b->step != batch->step ||
      b->chunk != at) {
    b = &p->slots[0];
    place(p, b, batch, e->stage, e->epoch, at);
    prepare(p, b);
  }
  p->next = NULL;
  *out = b;
  if (b->status < 0 && err) *err = b->error;
  return b->status;
}

// ---- rows that are the same -----------------------------------------------------------------------------

static void free_groups(mcli_views *p, int32_t m) {
  mcli_free(p->l->context, p->groups[m]);
  mcli_free(p->l->context, p->duplicates[m]);
  p->groups[m] = p->duplicates[m] = NULL;
}

// Where no two rows are the same the loss is told nothing: it would sort its rows to no end.
static mcl_status find_groups(mcli_views *p, int32_t m, mcl_error *err) {
  mcl_context *c = p->l->context;
  int64_t rows = p->l->rows, whole = mcli_loop_batch_rows(p->l), i = 0;
  p->groups[m] = MCLI_NEW(c, int64_t, rows);
  p->duplicates[m] = MCLI_NEW(c, int64_t, whole > p->batch_capacity ? whole : p->batch_capacity);
  if (!p->groups[m] || !p->duplicates[m]) return mcli_nomem(err, "groups of rows");
  mcl_status s = mcl_dataset_groups(p->dataset, m, p->groups[m], rows, err);
  if (s < 0 && s != MCL_E_NOT_FOUND) return s;
  while (s == MCL_OK && i < rows && p->groups[m][i] == i) i++;
  if (s == MCL_E_NOT_FOUND || i == rows) free_groups(p, m);
  return MCL_OK;
}

const int64_t *mcli_views_duplicates(mcli_views *p, const mcl_batch *batch, int m) {
  for (int64_t i = 0; p->groups[m] && i < batch->n; i++)
    p->duplicates[m][i] = p->groups[m][batch->indices[i]];
  return p->duplicates[m];
}

// ---- beginning and end ---------------------------------------------------------------------------------

// A slot also serves the probes of told.c, which look at up to 32 rows however small the chunks are, and as many on any number of
// ranks: what they find out would differ otherwise.
enum { LEAST_CAPACITY = 32 };

static int64_t least_capacity(const mcl_multistage *l) {
  int64_t whole = mcli_loop_batch_rows(l);
  return whole < LEAST_CAPACITY ? whole : LEAST_CAPACITY;
}

mcl_status mcli_views_open(mcli_views *p, mcl_error *err) {
  mcl_context *c = p->l->context;
  bool whole = p->chunk_rows == 0 || p->chunk_rows > p->batch_capacity;
  p->chunk = whole ? p->batch_capacity : p->chunk_rows;
  p->capacity = p->chunk > least_capacity(p->l) ? p->chunk : least_capacity(p->l);
  mcl_struct_init(&p->ahead_batch, sizeof p->ahead_batch);
  p->ahead_batch.indices = MCLI_NEW(c, int64_t, p->batch_capacity);
  p->ahead_batch.capacity = p->batch_capacity;
  p->ahead = mcli_ahead_new(c);
  if (!p->ahead || !p->ahead_batch.indices) return mcli_nomem(err, "a batch");
  mcl_status s = MCL_OK;
  for (int i = 0; s == MCL_OK && i < 2; i++) s = prepared_make(p, &p->slots[i], err);
  for (int32_t m = 0; s == MCL_OK && m < p->l->o.modalities; m++) s = find_groups(p, m, err);
  p->may_run_ahead = p->has_data && !p->dataset->is_host;
  return s;
}

void mcli_views_close(mcli_views *p) {
  mcl_context *c = p->l->context;
  if (p->ahead) mcli_ahead_wait(p->ahead);
  mcli_ahead_free(c, p->ahead);
  mcli_free(c, p->ahead_batch.indices);
  for (int i = 0; i < 2; i++) {
    prepared_free(c, &p->slots[i]);
    free_groups(p, i);
  }
}
