// The loop's handle: options, creation, and what is known of finished stages.
#include "multistage/report.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "clusterer/clusterer.h"
#include "integrator/integrator.h"

// Derived seeds: what the second argument of mcli_rng_derive stands for.
enum { SEED_SAMPLER = 1 << 20, SEED_WEIGHTS = 1 << 21 };

static const mcl_multistage_options defaults = {
    .struct_size = sizeof(mcl_multistage_options),
    .stages = 3,
    .epochs = 8,
    .modalities = 1,
    .learning_rate = 1e-3,
    .loss_kind = MCL_LOSS_NT_XENT,
    .schedule = MCL_SCHEDULE_CONSTANT,
};

void mcl_multistage_options_init(mcl_multistage_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

uint64_t mcl_multistage_seed(uint64_t seed, int32_t stage) {
  return mcli_rng_derive(seed, MCLI_RNG_STAGE, (uint64_t)SEED_WEIGHTS + (uint32_t)stage);
}

static mcl_status out_of_range(mcl_error *err, const char *field, double value, const char *range) {
  return mcli_fail(err, MCL_E_INVALID, "mcl_multistage_options.%s is %g, not %s", field, value,
                   range);
}

static mcl_status check_options(const mcl_multistage_options *o, mcl_error *err) {
  if (o->stages < 0 || o->stages > MCLI_MAX_STAGES)
    return out_of_range(err, "stages", o->stages, "0..64");
  if (o->epochs < 1 || o->epochs > 1000000)
    return out_of_range(err, "epochs", o->epochs, "1..1000000");
  if (o->modalities < 1 || o->modalities > MCLI_MAX_MODALITIES)
    return out_of_range(err, "modalities", o->modalities, "1..2");
  if (o->cluster_modalities >> o->modalities)
    return out_of_range(err, "cluster_modalities", o->cluster_modalities,
                        "bits of modalities that exist");
  if (!(o->learning_rate > 0) || !isfinite(o->learning_rate))
    return out_of_range(err, "learning_rate", o->learning_rate, "a finite number above 0");
  if (!(o->warm_up >= 0 && o->warm_up < 1))
    return out_of_range(err, "warm_up", o->warm_up, "in [0, 1)");
  if (o->chunk_rows < 0) return out_of_range(err, "chunk_rows", (double)o->chunk_rows, "0 or more");
  if (o->save_every_steps < 0)
    return out_of_range(err, "save_every_steps", (double)o->save_every_steps, "0 or more");
  if (o->loss_kind != MCL_LOSS_NT_XENT && o->loss_kind != MCL_LOSS_INFO_NCE)
    return out_of_range(err, "loss_kind", o->loss_kind, "MCL_LOSS_NT_XENT or MCL_LOSS_INFO_NCE");
  if (o->modalities == 2 && o->loss_kind != MCL_LOSS_INFO_NCE)
    return out_of_range(err, "loss_kind", o->loss_kind,
                        "MCL_LOSS_INFO_NCE, as two modalities need");
  if (o->schedule < MCL_SCHEDULE_CONSTANT || o->schedule > MCL_SCHEDULE_COSINE)
    return out_of_range(err, "schedule", o->schedule, "one of MCL_SCHEDULE_*");
  if (o->trained_stages < 0 || o->trained_stages > (o->stages ? o->stages : MCLI_MAX_STAGES))
    return out_of_range(err, "trained_stages", o->trained_stages, "0..stages");
  if (o->initial != MCL_INITIAL_FRESH && o->initial != MCL_INITIAL_PRECEDING)
    return out_of_range(err, "initial", o->initial, "MCL_INITIAL_FRESH or MCL_INITIAL_PRECEDING");
  double last = pow(o->growth, (o->stages ? o->stages : MCLI_MAX_STAGES) - 1); // NaN is refused too
  if (!(o->growth > 0) || mcli_integrator_weight_check(last, NULL) < 0)
    return out_of_range(err, "growth", o->growth,
                        "0, or above it with growth^(stages - 1) within 1e-30 .. 1e30");
  return MCL_OK;
}

// Copies everything the options point to, so that the host may free it.
static mcl_status copy_options(mcl_multistage *l, const mcl_multistage_options *from,
                               mcl_error *err) {
  l->o = defaults;
  mcl_status s = mcli_options_copy(&l->o, sizeof l->o, from, "mcl_multistage_options", err);
  if (l->o.growth == 0) l->o.growth = l->o.modalities == 2 ? 1 : 2;
  if (s == MCL_OK) s = check_options(&l->o, err);
  if (s < 0) return s;
  mcl_kmeans_options_init(&l->kmeans, sizeof l->kmeans);
  mcl_sampler_options_init(&l->sampling, sizeof l->sampling);
  mcl_loss_options_init(&l->loss, sizeof l->loss);
  s = mcli_options_copy(&l->kmeans, sizeof l->kmeans, l->o.kmeans, "mcl_kmeans_options", err);
  if (s == MCL_OK)
    s = mcli_options_copy(&l->sampling, sizeof l->sampling, l->o.sampler, "mcl_sampler_options",
                          err);
  if (s == MCL_OK)
    s = mcli_options_copy(&l->loss, sizeof l->loss, l->o.loss, "mcl_loss_options", err);
  if (s < 0) return s;
  l->sampling.seed = mcli_rng_derive(l->o.seed, MCLI_RNG_STAGE, SEED_SAMPLER);
  if (l->o.embedding_directory)
    l->embedding_directory = mcli_strdup(l->context, l->o.embedding_directory);
  if (l->o.save_directory) l->save_directory = mcli_strdup(l->context, l->o.save_directory);
  if ((l->o.embedding_directory && !l->embedding_directory) ||
      (l->o.save_directory && !l->save_directory))
    return mcli_nomem(err, "a path");
  mcl_clusterer_ref(l->o.clusterer);
  l->keeps_clusterer = true;
  l->clustered = l->o.cluster_modalities ? l->o.cluster_modalities : 1;
  return MCL_OK;
}

mcl_status mcl_multistage_create(mcl_context *c, const mcl_multistage_options *options,
                                 int64_t rows, mcl_comm *comm, mcl_multistage **out,
                                 mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_multistage *l = MCLI_NEW0(c, mcl_multistage, 1);
  if (!l) return mcli_nomem(err, "the loop");
  mcli_ref_init(&l->refs);
  mcli_guard_init(&l->guard);
  l->context = mcl_context_ref(c);
  l->comm = mcl_comm_ref(comm);
  l->rows = rows;
  mcl_comm_share(comm, rows, &l->first, &l->share);
  mcli_tally_reset(&l->tally);
  mcl_status s = copy_options(l, options, err);
  mcl_clusterer *trial = NULL; // k-means options are refused now, not after a stage of training
  if (s == MCL_OK) s = mcli_loop_make_sampler(l, 0, &l->sampler, err);
  if (s == MCL_OK) s = mcl_clusterer_create_kmeans(c, &l->kmeans, NULL, &trial, err);
  mcl_clusterer_unref(trial);
  if (s == MCL_OK && l->o.clusterer && !mcli_comm_is_alone(comm) &&
      mcli_clusterer_comm(l->o.clusterer) != comm)
    s = mcli_fail(
        err, MCL_E_UNSUPPORTED,
        "mcl_multistage_options.clusterer was not made with the loop's comm: a host's own "
        "clusters go to mcl_multistage_put_labels()");
  if (s == MCL_OK && !l->o.clusterer && l->kmeans.k > rows)
    s = mcli_fail(err, MCL_E_INVALID, "mcl_kmeans_options.k is %d, more than the %lld rows",
                  (int)l->kmeans.k, (long long)rows);
  if (s < 0) {
    mcl_multistage_unref(l);
    return s;
  }
  *out = l;
  return mcl_ok(err);
}

mcl_multistage *mcl_multistage_ref(mcl_multistage *l) {
  if (l) mcli_ref(&l->refs);
  return l;
}

void mcl_multistage_unref(mcl_multistage *l) {
  if (!l || !mcli_unref_is_last(&l->refs)) return;
  mcl_context *c = l->context;
  mcli_loop_forget(l, 0);
  mcl_sampler_unref(l->sampler);
  if (l->keeps_clusterer) mcl_clusterer_unref(l->o.clusterer);
  mcli_free(c, l->embedding_directory);
  mcli_free(c, l->save_directory);
  mcli_free(c, l->resume_directory);
  mcl_comm_unref(l->comm);
  mcli_free(c, l);
  mcl_context_unref(c);
}

void mcli_stage_result_clear(mcl_multistage *l, int32_t stage) {
  mcli_stage_result *r = &l->results[stage];
  for (int m = 0; m < MCLI_MAX_MODALITIES; m++) mcli_free(l->context, r->labels[m]);
  memset(r, 0, sizeof *r);
}

void mcli_tally_reset(mcli_tally *t) {
  *t = (mcli_tally){
      .loss_first = (double)NAN, .loss_last = (double)NAN, .accuracy_last = (double)NAN};
}

void mcli_loop_forget(mcl_multistage *l, int32_t stage) {
  for (int32_t s = stage; s < MCLI_MAX_STAGES; s++) {
    mcli_stage_result_clear(l, s);
    mcl_encoder_unref(l->encoders[s]);
    l->encoders[s] = NULL;
    l->hashes[s] = 0;
  }
  if (l->integrator && mcl_integrator_stages(l->integrator) > stage) {
    mcl_integrator_unref(l->integrator);
    l->integrator = NULL;
  }
  for (int m = 0; m < MCLI_MAX_MODALITIES; m++) mcli_gather_clear(l->context, &l->gather[m]);
  mcli_tally_reset(&l->tally);
  if (l->stages_saved > stage) l->stages_saved = stage;
  l->phase = MCLI_AT_BEGIN;
  l->stage = stage;
  l->epoch = 0;
  l->step = 0;
  l->resumed = false;
}

int64_t mcli_loop_batch_rows(const mcl_multistage *l) {
  return l->sampling.batch_rows < l->rows ? l->sampling.batch_rows : l->rows;
}

int32_t mcli_loop_max_stages(const mcl_multistage *l) {
  return l->o.stages ? l->o.stages : MCLI_MAX_STAGES;
}

// Within a stage the loop goes on, whatever was advised before it: the host went there by seek.
bool mcli_loop_is_over(const mcl_multistage *l) {
  if (l->stage == mcli_loop_max_stages(l)) return true;
  if (l->o.stages || l->stage == 0 || l->epoch > 0 || l->step > 0) return false;
  const mcli_stage_result *r = &l->results[l->stage - 1];
  int m = 0;
  while (!r->labels[m]) m++; // some modality is clustered, and all of them have the same advice
  return mcli_advice_is_to_stop(r->report[m].advice);
}

// The sampler of a stage: its cells are those of all `stages` stages before, never of the last one alone.
mcl_status mcli_loop_make_sampler(const mcl_multistage *l, int32_t stages, mcl_sampler **out,
                                  mcl_error *err) {
  mcl_sampler *sampler = NULL;
  mcl_status s = mcl_sampler_create(l->context, &l->sampling, l->rows, mcl_comm_rank(l->comm),
                                    mcl_comm_size(l->comm), &sampler, err);
  for (int32_t stage = 0; s == MCL_OK && stage < stages; stage++)
    for (int m = 0; s == MCL_OK && m < l->o.modalities; m++)
      if (l->results[stage].labels[m])
        s = mcl_sampler_add_labels(sampler, stage, l->results[stage].labels[m], l->rows, err);
  if (s < 0) {
    mcl_sampler_unref(sampler);
    return s;
  }
  *out = sampler;
  return MCL_OK;
}

// ---- what is known of a stage --------------------------------------------------------------------------

static mcl_status find_result(const mcl_multistage *l, int32_t stage, int32_t modality,
                              const mcli_stage_result **out, mcl_error *err) {
  if (!l) return mcli_fail(err, MCL_E_INVALID, "loop is NULL");
  if (stage < 0 || stage >= MCLI_MAX_STAGES || modality < 0 || modality >= l->o.modalities ||
      !l->results[stage].labels[modality])
    return mcli_fail(err, MCL_E_NOT_FOUND, "stage %d has not been clustered by modality %d",
                     (int)stage, (int)modality);
  *out = &l->results[stage];
  return MCL_OK;
}

mcl_status mcl_multistage_get_report(const mcl_multistage *l, int32_t stage, int32_t modality,
                                     mcl_stage_report *out, mcl_error *err) {
  const mcli_stage_result *r = NULL;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = find_result(l, stage, modality, &r, err);
  if (s == MCL_OK)
    s = mcli_struct_out(out, &r->report[modality], sizeof *out, "mcl_stage_report", err);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_multistage_labels(const mcl_multistage *l, int32_t stage, int32_t modality,
                                 int32_t *out, int64_t n, mcl_error *err) {
  const mcli_stage_result *r = NULL;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = find_result(l, stage, modality, &r, err);
  if (s < 0) return s;
  if (n != l->rows)
    return mcli_fail(err, MCL_E_SHAPE, "n is %lld, the loop has %lld rows", (long long)n,
                     (long long)l->rows);
  memcpy(out, r->labels[modality], (size_t)n * sizeof *out);
  return mcl_ok(err);
}

mcl_status mcl_multistage_sampler(const mcl_multistage *l, mcl_sampler **out, mcl_error *err) {
  if (!l || !out) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", l ? "out" : "loop");
  // The loop replaces its sampler from stage to stage and never changes one: a reference is enough.
  *out = mcl_sampler_ref(l->sampler);
  return mcl_ok(err);
}

mcl_status mcl_multistage_integrator(const mcl_multistage *l, mcl_integrator **out,
                                     mcl_error *err) {
  if (!l || !out) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", l ? "out" : "loop");
  if (!l->integrator)
    return mcli_fail(err, MCL_E_STATE, "no stage has been finished by mcl_multistage_run");
  *out = mcl_integrator_ref(l->integrator);
  return mcl_ok(err);
}

int64_t mcl_multistage_batch_capacity(const mcl_multistage *l) {
  return l ? mcl_sampler_batch_capacity(l->sampler) : 0;
}
