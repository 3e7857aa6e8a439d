// The host's own encoder: its table, checked once and copied.
#include <stddef.h>

#include "encoder/encoder.h"

// Widths over a million are mistakes (a byte count, say), not embeddings.
enum { MAX_DIM = 1 << 20, MAX_MODALITIES = 32 };

static mcl_status check(const mcl_context *c, const mcl_host_encoder *t, mcl_encoder **out,
                        mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (!t->embed) return mcli_fail(err, MCL_E_INVALID, "host->embed is NULL");
  if (t->dim < 1 || t->dim > MAX_DIM)
    return mcli_fail(err, MCL_E_INVALID, "host->dim is %d, not 1..%d", t->dim, MAX_DIM);
  if (t->projection_dim < 0 || t->projection_dim > MAX_DIM)
    return mcli_fail(err, MCL_E_INVALID, "host->projection_dim is %d, not 0..%d", t->projection_dim,
                     MAX_DIM);
  if (t->modalities < 0 || t->modalities > MAX_MODALITIES)
    return mcli_fail(err, MCL_E_INVALID, "host->modalities is %d, not 0..%d", t->modalities,
                     MAX_MODALITIES);
  if (!t->temperature != !t->backward_temperature)
    return mcli_fail(err, MCL_E_INVALID, "host->%s is NULL, but not the other of the two",
                     t->temperature ? "backward_temperature" : "temperature");
  if ((t->flags & ~(uint32_t)MCL_HOST_CHUNKS) != 0)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "host->flags is %#x: only MCL_HOST_CHUNKS is known",
                     t->flags);
  if ((t->flags & MCL_HOST_CHUNKS) && !t->give_up)
    return mcli_fail(err, MCL_E_INVALID, "host->give_up is NULL, which MCL_HOST_CHUNKS needs");
  return MCL_OK;
}

mcl_status mcl_encoder_create_host(mcl_context *context, const mcl_host_encoder *host,
                                   mcl_encoder **out, mcl_error *err) {
  mcl_host_encoder table;
  mcl_status s = mcli_struct_in(&table, sizeof table, host, "mcl_host_encoder", err);
  if (s == MCL_OK) s = check(context, &table, out, err);
  if (s == MCL_OK) return mcli_encoder_create(context, "mcl_host_encoder", &table, out, err);
  if (table.destroy) table.destroy(table.user);
  return s;
}
