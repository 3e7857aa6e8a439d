// One step over several ranks, each with rows of its own. With g_r the gradients that backward has added up on rank r, by the loss
// of the whole batch:
//
//   g = sum_r g_r                                                                            (1)
//
// and then every rank takes the same step. What batch norms keep for their running figures is of a rank's rows, as it is of a
// chunk's in gradient caching; it becomes the mean over ranks weighted by rows, in the order of ranks.
//
// (1) only makes sense among equal weights. Ranks that began with other seeds, or loaded other files, would train on
// without a sign of it, so weights are compared now and then.
#include <string.h>

#include "base/rng.h"
#include "comm/comm.h"
#include "encoder/network.h"

// Steps between two comparisons, from the first one on: hashing goes over some 2 GB of weights a second.
enum { COMPARED_EVERY = 64 };

static mcl_status compare_weights(const mcli_network *w, mcl_comm *comm, mcl_error *err) {
  const mcli_params *p = &w->net.params;
  int32_t size = mcl_comm_size(comm);
  uint64_t mine = mcli_hash(p->values, (uint64_t)p->n * sizeof *p->values, (uint64_t)w->steps);
  uint64_t *all = MCLI_NEW(w->context, uint64_t, size);
  mcl_status s = all ? MCL_OK : mcli_nomem(err, "what the ranks say of their weights");
  s = mcli_comm_gather(comm, s, &mine, all, (int64_t)sizeof mine, err);
  for (int32_t r = 1; r < size && s == MCL_OK; r++)
    if (all[r] != all[0])
      s = mcli_fail(
          err, MCL_E_MISMATCH,
          "rank %d has other weights than rank 0: encoders begin with one seed, or from one "
          "file",
          (int)r);
  mcli_free(w->context, all);
  return s;
}

// What a rank says of a view: rows of each layer's figures, then the figures.
static int64_t record_bytes(const mcli_net *net) {
  return net->n_layers * (int64_t)sizeof(int64_t) + net->figures * (int64_t)sizeof(float);
}

static void write_record(const mcli_net *net, const mcli_tape *tape, char *to) {
  size_t rows = (size_t)net->n_layers * sizeof(int64_t);
  memset(to, 0, (size_t)record_bytes(net));
  if (!tape->gathered_rows) return; // never used
  memcpy(to, tape->gathered_rows, rows);
  memcpy(to + rows, tape->gathered, (size_t)net->figures * sizeof(float));
}

// The record of rank 0, 1, ... as if they were chunks of the batch.
static void read_records(const mcli_net *net, const mcli_tape *tape, const char *from,
                         int64_t between, int32_t size) {
  size_t rows = (size_t)net->n_layers * sizeof(int64_t);
  if (!tape->gathered_rows) return;
  mcli_net_forget(net, tape);
  for (int32_t r = 0; r < size; r++) {
    const void *record = from + r * between;
    mcli_net_gather_from(net, tape, record,
                         (const float *)(const void *)((const char *)record + rows));
  }
}

// A rank that had no rows has no place for figures yet: it gets one where another rank has some.
static mcl_status make_room(mcli_network *w, int32_t view, const char *from, int64_t between,
                            int32_t size, mcl_error *err) {
  if (w->tapes[view].gathered_rows) return MCL_OK;
  for (int32_t r = 0; r < size; r++) {
    const int64_t *rows = (const int64_t *)(const void *)(from + r * between);
    for (int32_t i = 0; i < w->net.n_layers; i++)
      if (rows[i] > 0) return mcli_net_reserve(&w->net, &w->tapes[view], 1, 1, err);
  }
  return MCL_OK;
}

static mcl_status share_figures(mcli_network *w, mcl_comm *comm, mcl_error *err) {
  int64_t record = record_bytes(&w->net), all = record * MCLI_NETWORK_VIEWS;
  int32_t size = mcl_comm_size(comm);
  char *mine = MCLI_NEW(w->context, char, all), *theirs = MCLI_NEW(w->context, char, all *size);
  mcl_status s = mine && theirs ? MCL_OK : mcli_nomem(err, "figures of batch norms");
  for (int v = 0; v < MCLI_NETWORK_VIEWS && s == MCL_OK; v++)
    write_record(&w->net, &w->tapes[v], mine + v * record);
  s = mcli_comm_gather(comm, s, mine, theirs, all, err);
  for (int v = 0; v < MCLI_NETWORK_VIEWS && s == MCL_OK; v++) {
    s = make_room(w, v, theirs + v * record, all, size, err);
    if (s == MCL_OK) read_records(&w->net, &w->tapes[v], theirs + v * record, all, size);
  }
  mcli_free(w->context, mine);
  mcli_free(w->context, theirs);
  return s;
}

mcl_status mcli_network_sum(void *network, mcl_comm *comm, mcl_error *err) {
  mcli_network *w = network;
  mcli_params *p = &w->net.params;
  mcl_status s = MCL_OK;
  if (w->steps % COMPARED_EVERY == 0) s = compare_weights(w, comm, err);
  if (s == MCL_OK) s = mcli_comm_sum(comm, s, p->gradients, p->n - p->frozen, err); // (1)
  if (s == MCL_OK && w->net.figures > 0) s = share_figures(w, comm, err);
  return s < 0 ? s : mcl_ok(err);
}
