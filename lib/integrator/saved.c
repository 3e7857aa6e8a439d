// An integrator on disk: a file of each encoder's own, and one that says what belongs together.
//
// integrator.safetensors says which files belong to it, and is what makes a save valid (encoder/folder.h). On loading all of it
// is compared with the integrator at hand before any encoder is touched; weights are set when all encoders are in.
#include <stdio.h>
#include <string.h>

#include <libmcl/checkpoint.h>

#include "base/file.h"
#include "encoder/folder.h"
#include "integrator/integrator.h"

static const char MANIFEST[] = "integrator.safetensors";
static const char FORMAT[] = "libmcl integrator 1";

static void name_stage(char name[MCLI_FOLDER_NAME], int32_t stage) {
  snprintf(name, MCLI_FOLDER_NAME, "stage-%d", (int)stage);
}

// What the manifest holds, [stages] each.
typedef struct manifest {
  int64_t *dims, *encoders;
  double *weights;
  mcli_folder_list files;
} manifest;

static mcl_status manifest_allocate(const mcl_integrator *g, manifest *m, mcl_error *err) {
  m->dims = MCLI_NEW(g->context, int64_t, g->stages);
  m->encoders = MCLI_NEW(g->context, int64_t, g->stages);
  m->weights = MCLI_NEW(g->context, double, g->stages);
  return m->dims && m->encoders && m->weights ? MCL_OK : mcli_nomem(err, "the stages");
}

static void manifest_free(const mcl_integrator *g, manifest *m) {
  mcli_free(g->context, m->dims);
  mcli_free(g->context, m->encoders);
  mcli_free(g->context, m->weights);
  mcli_folder_list_free(g->context, &m->files);
}

static mcl_array vector(void *data, int32_t dtype, int32_t n) {
  mcl_array a;
  int64_t shape = n;
  mcl_array_init(&a, data, dtype, 1, &shape);
  return a;
}

// ---- save ------------------------------------------------------------------------------------------------

static mcl_status save_encoders(mcl_integrator *g, mcli_folder *f, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int32_t i = 0; s == MCL_OK && i < g->stages; i++) {
    if (!g->stage[i].encoder) continue;
    mcl_error inner;
    char name[MCLI_FOLDER_NAME];
    name_stage(name, i);
    if (mcli_folder_put(f, g->stage[i].encoder, name, &inner) < 0)
      s = mcli_integrator_stage_failed(&inner, i, 0, err);
  }
  return s;
}

static mcl_status write_manifest(const mcl_integrator *g, manifest *m, const mcli_folder *f,
                                 mcl_error *err) {
  for (int32_t i = 0; i < g->stages; i++) {
    m->dims[i] = g->stage[i].dim;
    m->encoders[i] = g->stage[i].encoder != NULL;
    m->weights[i] = g->stage[i].weight;
  }
  mcl_array dims = vector(m->dims, MCL_I64, g->stages);
  mcl_array encoders = vector(m->encoders, MCL_I64, g->stages);
  mcl_array weights = vector(m->weights, MCL_F64, g->stages);
  mcl_checkpoint_writer *w = NULL;
  mcl_status s = mcl_checkpoint_writer_create(g->context, f->path, &w, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_meta(w, "format", FORMAT, err);
  if (s == MCL_OK) s = mcli_folder_list_write(g->context, &f->now, w, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_add(w, "dims", &dims, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_add(w, "encoders", &encoders, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_add(w, "weights", &weights, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(w, err);
  mcl_checkpoint_writer_unref(w);
  return s;
}

static mcl_status save(mcl_integrator *g, const char *directory, mcl_error *err) {
  if (g->stages == 0) return mcli_fail(err, MCL_E_STATE, "the integrator has no stages");
  manifest m = {0};
  mcli_folder f;
  mcl_status s = manifest_allocate(g, &m, err);
  if (s == MCL_OK) s = mcli_folder_open(g->context, directory, MANIFEST, &f, err);
  if (s == MCL_OK) {
    s = save_encoders(g, &f, err);
    if (s == MCL_OK) s = write_manifest(g, &m, &f, err);
    s = mcli_folder_close(&f, s);
  }
  manifest_free(g, &m);
  return s;
}

mcl_status mcl_integrator_save(mcl_integrator *integrator, const char *directory, mcl_error *err) {
  if (!integrator) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (!directory) return mcli_fail(err, MCL_E_INVALID, "directory is NULL");
  mcl_status s = mcli_guard_enter(&integrator->guard, "integrator", err);
  if (s < 0) return s;
  s = save(integrator, directory, err);
  mcli_guard_leave(&integrator->guard);
  return s == MCL_OK ? mcl_ok(err) : s;
}

// ---- load ------------------------------------------------------------------------------------------------

// One of the manifest's vectors, as long as there are stages here.
static mcl_status read_vector(const mcl_integrator *g, const mcl_checkpoint *k, const char *path,
                              const char *name, int32_t dtype, void *data, mcl_error *err) {
  mcl_array a = vector(data, dtype, g->stages), there;
  mcl_status s = mcl_checkpoint_shape(k, name, &there, err);
  if (s == MCL_E_NOT_FOUND || s == MCL_E_UNSUPPORTED ||
      (s == MCL_OK && (there.ndim != 1 || there.dtype != dtype)))
    return mcli_fail(err, MCL_E_FORMAT, "%s: no vector \"%s\" of the right type", path, name);
  if (s < 0) return s;
  if (there.shape[0] != g->stages)
    return mcli_fail(err, MCL_E_MISMATCH, "%s has %lld stages, the integrator has %d", path,
                     (long long)there.shape[0], (int)g->stages);
  return mcl_checkpoint_read(k, name, &a, err);
}

static mcl_status read_manifest(const mcl_integrator *g, const char *path, manifest *m,
                                mcl_error *err) {
  char format[sizeof FORMAT];
  mcl_checkpoint *k = NULL;
  mcl_status s = mcl_checkpoint_open(g->context, path, &k, err);
  if (s < 0) return s;
  s = mcl_checkpoint_meta(k, "format", format, sizeof format, NULL, err);
  if (s == MCL_E_NOT_FOUND || s == MCL_E_LIMIT || (s == MCL_OK && strcmp(format, FORMAT) != 0))
    s = mcli_fail(err, MCL_E_FORMAT, "%s is not of \"%s\"", path, FORMAT);
  if (s == MCL_OK) s = mcli_folder_list_read(g->context, k, path, &m->files, err);
  if (s == MCL_OK) s = read_vector(g, k, path, "dims", MCL_I64, m->dims, err);
  if (s == MCL_OK) s = read_vector(g, k, path, "encoders", MCL_I64, m->encoders, err);
  if (s == MCL_OK) s = read_vector(g, k, path, "weights", MCL_F64, m->weights, err);
  mcl_checkpoint_unref(k);
  return s;
}

static mcli_folder_entry entry_of(const manifest *m, int32_t stage) {
  mcli_folder_entry e = {.hash = 0}; // where the manifest does not say, any file will do
  name_stage(e.name, stage);
  const mcli_folder_entry *listed = mcli_folder_list_find(&m->files, e.name);
  return listed ? *listed : e;
}

static mcl_status check_file(const mcl_integrator *g, const manifest *m, const char *directory,
                             int32_t stage, mcl_error *err) {
  mcli_folder_entry e = entry_of(m, stage);
  mcl_status s = mcli_folder_check(g->context, directory, &e, err);
  return s != MCL_E_NOT_FOUND ? s
                              : mcli_fail(err, s, "stage %d has no file in %s", stage, directory);
}

// Everything that can be known before an encoder is touched.
static mcl_status compare(const mcl_integrator *g, const manifest *m, const char *directory,
                          mcl_error *err) {
  for (int32_t i = 0; i < g->stages; i++) {
    const integrator_stage *here = g->stage + i;
    if (m->dims[i] != here->dim)
      return mcli_fail(err, MCL_E_MISMATCH, "stage %d has dim %lld in %s, %d here", (int)i,
                       (long long)m->dims[i], directory, (int)here->dim);
    if ((m->encoders[i] != 0) != (here->encoder != NULL))
      return mcli_fail(err, MCL_E_MISMATCH, "stage %d has %s encoder in %s, but %s here", (int)i,
                       m->encoders[i] ? "an" : "no", directory, here->encoder ? "one" : "none");
    if (mcli_integrator_weight_check(m->weights[i], NULL) < 0)
      return mcli_fail(err, MCL_E_FORMAT, "stage %d has weight %g in %s", (int)i, m->weights[i],
                       directory);
    mcl_status s = here->encoder ? check_file(g, m, directory, i, err) : MCL_OK;
    if (s < 0) return s;
  }
  return MCL_OK;
}

static mcl_status load_encoders(mcl_integrator *g, const manifest *m, const char *directory,
                                mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int32_t i = 0; s == MCL_OK && i < g->stages; i++) {
    if (!g->stage[i].encoder) continue;
    mcl_error inner;
    mcli_folder_entry e = entry_of(m, i);
    if (mcli_folder_load(g->context, directory, &e, g->stage[i].encoder, &inner) < 0)
      s = mcli_integrator_stage_failed(&inner, i, 0, err);
  }
  return s;
}

static mcl_status load_once(mcl_integrator *g, const char *directory, const char *path, manifest *m,
                            mcl_error *err) {
  mcl_status s = manifest_allocate(g, m, err);
  if (s == MCL_OK) s = read_manifest(g, path, m, err);
  if (s == MCL_OK) s = compare(g, m, directory, err);
  if (s == MCL_OK) s = load_encoders(g, m, directory, err);
  for (int32_t i = 0; s == MCL_OK && i < g->stages; i++) g->stage[i].weight = m->weights[i];
  return s;
}

// Times that it begins anew because a save came between. Each takes longer than a load.
enum { TRIES = 10 };

static mcl_status load(mcl_integrator *g, const char *directory, mcl_error *err) {
  if (g->stages == 0) return mcli_fail(err, MCL_E_STATE, "the integrator has no stages");
  char *path = mcli_path_join(g->context, directory, MANIFEST);
  mcl_status s = path ? MCL_OK : mcli_nomem(err, "a path");
  for (int i = 0, again = 1; s == MCL_OK && again && i < TRIES; i++) {
    manifest m = {0};
    s = load_once(g, directory, path, &m, err);
    again = (s == MCL_E_MISMATCH || s == MCL_E_NOT_FOUND) && m.files.is_known &&
            mcli_folder_has_changed(g->context, directory, MANIFEST, &m.files);
    if (again && i + 1 < TRIES) s = MCL_OK;
    manifest_free(g, &m);
  }
  mcli_free(g->context, path);
  return s;
}

mcl_status mcl_integrator_load(mcl_integrator *integrator, const char *directory, mcl_error *err) {
  if (!integrator) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (!directory) return mcli_fail(err, MCL_E_INVALID, "directory is NULL");
  mcl_status s = mcli_guard_enter(&integrator->guard, "integrator", err);
  if (s < 0) return s;
  s = load(integrator, directory, err);
  mcli_guard_leave(&integrator->guard);
  return s == MCL_OK ? mcl_ok(err) : s;
}
