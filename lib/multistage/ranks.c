// The loss of a batch that is spread over ranks. Rank r has n_r of its n rows, z_r their projections:
//
//   z = [z_0; z_1; ...] on every rank                                        one exchange       (1)
//   l_r, dl_r / dz = the sum over the anchors of rank r, with all of z as candidates            (2)
//   L = sum_r l_r / a,  dL/dz = sum_r (dl_r / dz) / a,  a = anchors of all    one exchange      (3)
//
// of which each rank takes the rows of its own. Packed batches (MCL_BATCH_PACKED) have their negatives at home: (1) is left out and
// dl_r / dz is of z_r alone. Gradients of weights are added up after that (encoder/ranks.c).
#include <string.h>

#include "multistage/train.h"

// What a rank says before its rows: how many there are, and which batch it is at.
typedef struct arrival {
  int64_t n, step;
  int32_t epoch, stage;
} arrival;

// The result of (2), for (3).
typedef struct share {
  double loss, d_log_temperature, right;
  int64_t anchors, without;
} share;

static bool is_packed(const mcl_multistage *l) {
  return l->sampling.batching == MCL_BATCH_PACKED;
}

// ---- memory --------------------------------------------------------------------------------------------

void mcli_whole_free(mcl_context *c, mcli_whole *w) {
  mcli_free(c, w->rows);
  mcli_free(c, w->first);
  mcli_free(c, w->notes);
  mcli_free(c, w->indices);
  mcli_free(c, w->cells);
  for (int v = 0; v < 2; v++) {
    mcli_free(c, w->z[v]);
    mcli_free(c, w->dz[v]);
  }
  memset(w, 0, sizeof *w);
}

static int64_t row_bytes(int32_t projection) {
  return 2 * (int64_t)sizeof(int64_t) + 2 * projection * (int64_t)sizeof(float);
}

mcl_status mcli_whole_fit(mcl_multistage *l, int32_t projection, mcli_whole *w, mcl_error *err) {
  mcl_context *c = l->context;
  int32_t ranks = mcl_comm_size(l->comm);
  int64_t most = is_packed(l) ? 0 : mcli_loop_batch_rows(l), numbers, bytes;
  mcli_whole_free(c, w);
  if (!mcli_mul(most, projection, &numbers) || !mcli_mul(most, row_bytes(projection), &bytes))
    return mcli_nomem(err, "the batch of all ranks");
  int64_t note = (int64_t)(sizeof(arrival) > sizeof(share) ? sizeof(arrival) : sizeof(share));
  w->rows = MCLI_NEW(c, char, bytes);
  w->first = MCLI_NEW(c, int64_t, ranks + 1);
  w->notes = MCLI_NEW(c, char, note *ranks);
  w->indices = MCLI_NEW(c, int64_t, most);
  w->cells = MCLI_NEW(c, int64_t, most);
  for (int v = 0; v < 2; v++) {
    w->z[v] = MCLI_NEW(c, float, numbers);
    w->dz[v] = MCLI_NEW(c, float, numbers);
  }
  if (w->rows && w->first && w->notes && w->indices && w->cells && w->z[0] && w->z[1] && w->dz[0] &&
      w->dz[1])
    return MCL_OK;
  mcli_whole_free(c, w);
  return mcli_nomem(err, "the batch of all ranks");
}

// ---- (1) -----------------------------------------------------------------------------------------------

// Who has how many rows of which batch: never those of two batches in one loss.
static mcl_status arrive(mcl_multistage *l, mcli_whole *w, const mcl_event *event,
                         const mcl_batch *batch, mcl_error *err) {
  arrival mine = {batch->n, batch->step, event->epoch, event->stage}, *all = (void *)w->notes;
  mcl_status s = mcli_comm_gather(l->comm, MCL_OK, &mine, all, (int64_t)sizeof mine, err);
  w->first[0] = 0;
  for (int32_t r = 0; r < mcl_comm_size(l->comm) && s == MCL_OK; r++) {
    if (all[r].step != all[0].step || all[r].epoch != all[0].epoch || all[r].stage != all[0].stage)
      s = mcli_fail(
          err, MCL_E_MISMATCH,
          "rank %d is at stage %d, epoch %d, step %lld, rank 0 at %d, %d, %lld: resume from a "
          "save",
          (int)r, (int)all[r].stage, (int)all[r].epoch, (long long)all[r].step, (int)all[0].stage,
          (int)all[0].epoch, (long long)all[0].step);
    w->first[r + 1] = w->first[r] + all[r].n;
  }
  return s;
}

static mcl_status gather(mcli_trainer *t, const mcl_batch *batch, int32_t dim, mcl_error *err) {
  mcl_multistage *l = t->l;
  mcli_whole *w = &t->whole;
  int32_t rank = mcl_comm_rank(l->comm);
  int64_t bytes = row_bytes(dim), n = w->first[mcl_comm_size(l->comm)];
  size_t z = (size_t)dim * sizeof(float), id = sizeof(int64_t);
  for (int64_t i = 0; i < batch->n; i++) {
    char *to = w->rows + (w->first[rank] + i) * bytes;
    memcpy(to, &batch->indices[i], id);
    memcpy(to + id, &batch->cells[i], id);
    for (int v = 0; v < 2; v++) memcpy(to + 2 * id + (size_t)v * z, t->z[v] + i * dim, z);
  }
  mcl_status s = mcli_comm_gather_parts(l->comm, MCL_OK, w->first, w->rows, bytes, err);
  for (int64_t i = 0; i < n && s == MCL_OK; i++) {
    const char *from = w->rows + i * bytes;
    memcpy(&w->indices[i], from, id);
    memcpy(&w->cells[i], from + id, id);
    for (int v = 0; v < 2; v++) memcpy(w->z[v] + i * dim, from + 2 * id + (size_t)v * z, z);
  }
  return s;
}

// ---- (2) -----------------------------------------------------------------------------------------------

// Of a one-way loss the anchors are rows of view 0 alone: za is this rank's then, and dza all there is of it.
static mcl_status loss_of_whole(mcli_trainer *t, const mcl_batch *batch, int32_t dim,
                                const mcl_loss_options *o, mcl_loss_result *r, mcl_error *err) {
  mcl_multistage *l = t->l;
  mcli_whole *w = &t->whole;
  mcl_loss_inputs in;
  mcl_loss_options options = *o;
  int64_t first = w->first[mcl_comm_rank(l->comm)], n = w->first[mcl_comm_size(l->comm)];
  mcl_batch whole = {.indices = w->indices, .cells = w->cells, .n = n};
  int one_way = (o->flags & MCL_ONE_WAY) != 0;
  for (int v = 0; v < 2; v++) memset(w->dz[v], 0, (size_t)(n * dim) * sizeof(float));
  if (n == 0 || (one_way && batch->n == 0)) return MCL_OK;
  mcl_array za = one_way ? mcl_matrix_f32(t->z[0], batch->n, dim) : mcl_matrix_f32(w->z[0], n, dim);
  mcl_array dza =
      one_way ? mcl_matrix_f32(t->dz[0], batch->n, dim) : mcl_matrix_f32(w->dz[0], n, dim);
  mcl_array zb = mcl_matrix_f32(w->z[1], n, dim), dzb = mcl_matrix_f32(w->dz[1], n, dim);
  mcl_struct_init(&in, sizeof in);
  in.za = &za, in.zb = &zb, in.dza = &dza, in.dzb = &dzb;
  in.cells = w->cells;
  in.duplicates = mcli_views_duplicates(t->views, &whole, 0);
  in.other_duplicates = mcli_views_duplicates(t->views, &whole, 1);
  if (one_way) {
    in.first_positive = first;
  } else {
    options.flags |= MCL_SOME_ANCHORS;
    in.first_anchor = first;
    in.anchors = batch->n;
  }
  mcl_status s = mcli_loss_run(t, &options, &in, r, err);
  if (s == MCL_OK && one_way)
    memcpy(w->dz[0] + first * dim, t->dz[0], (size_t)(batch->n * dim) * sizeof(float));
  return s;
}

// ---- (3) -----------------------------------------------------------------------------------------------

static mcl_status add_results(mcli_trainer *t, mcl_status s, mcl_loss_result *r, mcl_error *err) {
  mcl_comm *comm = t->l->comm;
  double with = (double)(r->anchors - r->anchors_without_negatives);
  share mine = {r->loss, r->d_log_temperature, r->accuracy * with, r->anchors,
                r->anchors_without_negatives};
  share *all = (void *)t->whole.notes, sum = {0, 0, 0, 0, 0};
  s = mcli_comm_gather(comm, s, &mine, all, (int64_t)sizeof mine, err);
  if (s < 0) return s;
  for (int32_t i = 0; i < mcl_comm_size(comm); i++) {
    sum.loss += all[i].loss;
    sum.d_log_temperature += all[i].d_log_temperature;
    sum.right += all[i].right;
    sum.anchors += all[i].anchors;
    sum.without += all[i].without;
  }
  r->loss = sum.loss;
  r->d_log_temperature = sum.d_log_temperature;
  r->accuracy = sum.anchors > sum.without ? sum.right / (double)(sum.anchors - sum.without) : 0;
  r->anchors = sum.anchors;
  r->anchors_without_negatives = sum.without;
  return MCL_OK;
}

static void scale_rows(float *x, int64_t n, double by) {
  for (int64_t i = 0; i < n; i++) x[i] = (float)((double)x[i] * by);
}

// d_log_temperature is left as this rank's part: gradients of weights are added up, and it is one of them.
static mcl_status add_up(mcli_trainer *t, mcl_status s, const mcl_batch *batch, int32_t dim,
                         mcl_loss_result *r, mcl_error *err) {
  mcl_multistage *l = t->l;
  mcli_whole *w = &t->whole;
  double temperature = r->d_log_temperature;
  int64_t first = w->first[mcl_comm_rank(l->comm)], n = w->first[mcl_comm_size(l->comm)];
  s = add_results(t, s, r, err);
  for (int v = 0; v < 2 && s == MCL_OK && !is_packed(l); v++) {
    s = mcli_comm_sum(l->comm, s, w->dz[v], n * dim, err);
    memcpy(t->dz[v], w->dz[v] + first * dim, (size_t)(batch->n * dim) * sizeof(float));
  }
  double by = l->loss.flags & MCL_REDUCE_SUM || r->anchors == 0 ? 1 : 1 / (double)r->anchors;
  for (int v = 0; v < 2; v++) scale_rows(t->dz[v], batch->n * dim, by);
  r->loss *= by;
  r->d_log_temperature = temperature * by;
  return s;
}

mcl_status mcli_loss_over_ranks(mcli_trainer *t, const mcl_event *event, const mcl_batch *batch,
                                int32_t dim, const mcl_loss_options *options, mcl_loss_result *r,
                                mcl_error *err) {
  mcl_loss_options o = *options;
  o.flags |= MCL_REDUCE_SUM;
  mcl_status s = arrive(t->l, &t->whole, event, batch, err);
  if (s < 0) return s;
  if (is_packed(t->l)) {
    s = mcli_loss_at_home(t, batch, dim, &o, r, err);
  } else {
    s = gather(t, batch, dim, err);
    if (s == MCL_OK) s = loss_of_whole(t, batch, dim, &o, r, err);
  }
  return add_up(t, s, batch, dim, r, err);
}
