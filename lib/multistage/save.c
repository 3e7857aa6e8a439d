// Keeping a run. loop.safetensors holds the place, every stage's labels and reports, what the run was made with, and which files
// of encoders belong to it: it is what makes a save valid (encoder/folder.h). Encoders lie beside it, one file a finished
// stage, and one named after its place for the stage in training.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>

#include "base/file.h"
#include "base/rng.h"
#include "multistage/multistage.h"
#include "sampler/sampler.h"
#include "store/json.h"

// Numbers as text: metadata of a safetensors file is strings.
enum { TEXT = MCLI_NUMBER_SIZE, FACTS = 32 };
typedef struct fact {
  const char *key;
  char text[TEXT];
} fact;

static void put_int(fact *f, int *n, const char *key, int64_t x) {
  f[*n].key = key;
  snprintf(f[(*n)++].text, TEXT, "%" PRId64, x);
}

static void put_real(fact *f, int *n, const char *key, double x) {
  f[*n].key = key;
  mcli_number_print(f[(*n)++].text, x);
}

// What must be the same when a run is resumed. `stages` is not among it: a run may be made longer, and its end left open.
static int list_facts(const mcl_multistage *l, fact *f) {
  int n = 0;
  put_int(f, &n, "loop_version", 1);
  put_int(f, &n, "sampler_algorithm", MCLI_SAMPLER_ALGORITHM);
  put_int(f, &n, "rows", l->rows);
  put_int(f, &n, "fingerprint", (int64_t)l->o.fingerprint);
  put_int(f, &n, "seed", (int64_t)l->o.seed);
  put_int(f, &n, "epochs", l->o.epochs);
  put_int(f, &n, "trained_stages", l->o.trained_stages);
  put_int(f, &n, "initial", l->o.initial);
  put_int(f, &n, "modalities", l->o.modalities);
  put_int(f, &n, "cluster_modalities", l->clustered);
  put_int(f, &n, "sampler.batch_rows", l->sampling.batch_rows);
  put_int(f, &n, "sampler.min_cell_rows", l->sampling.min_cell_rows);
  put_int(f, &n, "sampler.small_cells", l->sampling.small_cells);
  put_int(f, &n, "sampler.batching", l->sampling.batching);
  put_int(f, &n, "sampler.order", l->sampling.order);
  put_int(f, &n, "kmeans.k", l->kmeans.k);
  put_int(f, &n, "kmeans.method", l->kmeans.method);
  put_int(f, &n, "kmeans.metric", l->kmeans.metric);
  put_int(f, &n, "kmeans.init", l->kmeans.init);
  put_int(f, &n, "kmeans.empty", l->kmeans.empty);
  put_int(f, &n, "kmeans.restarts", l->kmeans.restarts);
  put_int(f, &n, "kmeans.max_iterations", l->kmeans.max_iterations);
  put_int(f, &n, "kmeans.minibatch_rows", l->kmeans.minibatch_rows);
  put_int(f, &n, "kmeans.max_train_rows", l->kmeans.max_train_rows);
  put_real(f, &n, "kmeans.tolerance", l->kmeans.tolerance);
  put_int(f, &n, "loss_kind", l->o.loss_kind);
  put_real(f, &n, "loss.temperature", l->loss.temperature);
  put_int(f, &n, "loss.flags", l->loss.flags);
  put_real(f, &n, "learning_rate", l->o.learning_rate);
  put_int(f, &n, "schedule", l->o.schedule);
  put_real(f, &n, "warm_up", l->o.warm_up);
  return n;
}

// Not what each rank may have its own of: directories, chunks.
uint64_t mcli_loop_fingerprint(const mcl_multistage *l) {
  fact facts[FACTS + 3];
  int n = list_facts(l, facts);
  put_int(facts, &n, "stages", l->o.stages);
  uint64_t hash = 0;
  for (int i = 0; i < n; i++) hash = mcli_hash(facts[i].text, strlen(facts[i].text) + 1, hash);
  const int64_t place[3] = {l->stage, l->epoch, l->step};
  hash = mcli_hash(place, sizeof place, hash);
  for (int32_t stage = 0; stage < l->stage; stage++)
    for (int m = 0; m < l->o.modalities; m++)
      if (l->results[stage].labels[m])
        hash = mcli_hash(l->results[stage].labels[m], (uint64_t)l->rows * sizeof(int32_t), hash);
  return hash;
}

// ---- reports as rows of doubles ---------------------------------------------------------------------------

// A report's fields in the order of the file's numbers. New ones go to the end.
enum { INT32, INT64, REAL };
typedef struct field {
  size_t at;
  int kind;
} field;
#define FIELD(name, kind)                                                                          \
  { offsetof(mcl_stage_report, name), kind }
static const field report_fields[] = {
    FIELD(stage, INT32),
    FIELD(modality, INT32),
    FIELD(k_effective, INT32),
    FIELD(epochs, INT32),
    FIELD(rows_seen, INT64),
    FIELD(cells, INT64),
    FIELD(smallest_cell, INT64),
    FIELD(median_cell, INT64),
    FIELD(largest_cell, INT64),
    FIELD(backed_off, INT64),
    FIELD(repairs, INT64),
    FIELD(loss_first, REAL),
    FIELD(loss_last, REAL),
    FIELD(accuracy, REAL),
    FIELD(nmi_previous, REAL),
    FIELD(entropy_given_previous, REAL),
    FIELD(cell_cosine, REAL),
    FIELD(inertia, REAL),
    FIELD(low_cell, INT64),
    FIELD(high_cell, INT64),
    FIELD(enough_negatives, REAL),
    FIELD(next_cells, INT64),
    FIELD(next_smallest_cell, INT64),
    FIELD(next_low_cell, INT64),
    FIELD(next_median_cell, INT64),
    FIELD(next_high_cell, INT64),
    FIELD(next_largest_cell, INT64),
    FIELD(next_backed_off, INT64),
    FIELD(next_enough_negatives, REAL),
    FIELD(told_before, REAL),
    FIELD(told, REAL),
    FIELD(told_next, REAL),
    FIELD(advice, INT32),
};
#undef FIELD

enum { REPORT_NUMBERS = sizeof report_fields / sizeof *report_fields, TALLY_NUMBERS = 6 };

static void report_to_numbers(const mcl_stage_report *r, double *x) {
  for (int i = 0; i < REPORT_NUMBERS; i++) {
    const void *from = (const char *)r + report_fields[i].at;
    int32_t small = 0;
    int64_t whole = 0;
    if (report_fields[i].kind == REAL) memcpy(&x[i], from, sizeof x[i]);
    if (report_fields[i].kind == INT32) memcpy(&small, from, sizeof small), x[i] = small;
    if (report_fields[i].kind == INT64) memcpy(&whole, from, sizeof whole), x[i] = (double)whole;
  }
}

// A file may hold anything; what is no count becomes 0.
static int64_t count_of(double x) {
  return x >= 0 && x < 9007199254740992.0 ? (int64_t)x : 0;
}

static void report_from_numbers(mcl_stage_report *r, const double *x) {
  mcl_struct_init(r, sizeof *r);
  for (int i = 0; i < REPORT_NUMBERS; i++) {
    void *to = (char *)r + report_fields[i].at;
    int64_t whole = count_of(x[i]);
    int32_t small = whole <= INT32_MAX ? (int32_t)whole : 0;
    if (report_fields[i].kind == REAL) memcpy(to, &x[i], sizeof x[i]);
    if (report_fields[i].kind == INT32) memcpy(to, &small, sizeof small);
    if (report_fields[i].kind == INT64) memcpy(to, &whole, sizeof whole);
  }
}

static mcl_array vector(void *data, int32_t dtype, int64_t n) {
  mcl_array a;
  mcl_array_init(&a, data, dtype, 1, &n);
  return a;
}

static void tensor_name(char *name, size_t size, const char *what, int32_t stage, int32_t m) {
  snprintf(name, size, "%s.%d.%d", what, (int)stage, (int)m);
}

// ---- saving ------------------------------------------------------------------------------------------------

static const char LIST[] = "loop.safetensors";

void mcli_encoder_name(char name[MCLI_FOLDER_NAME], int32_t stage, int32_t epoch, int64_t step) {
  if (epoch < 0)
    snprintf(name, MCLI_FOLDER_NAME, "stage-%d", (int)stage);
  else
    snprintf(name, MCLI_FOLDER_NAME, "stage-%d-epoch-%d-step-%" PRId64, (int)stage, (int)epoch,
             step);
}

// An encoder that is in no memory lies where the loop was resumed from: to save elsewhere would lose it silently.
static mcl_status keep_file(const mcl_multistage *l, mcli_folder *f, int32_t stage,
                            const mcli_folder_entry *e, mcl_error *err) {
  if (!l->resume_directory) return MCL_OK; // pull: the host has it
  if (strcmp(f->directory, l->resume_directory) != 0)
    return mcli_fail(err, MCL_E_STATE, "the encoder of stage %d is in %s only: run the loop first",
                     (int)stage, l->resume_directory);
  if (e->hash)
    return mcli_fail(err, MCL_E_MISMATCH,
                     "another run has saved in %s: the encoder of stage %d is lost", f->directory,
                     (int)stage);
  return mcli_folder_list_add(l->context, &f->now, e->name, 0, err);
}

static mcl_status save_encoder(const mcl_multistage *l, mcli_folder *f, int32_t stage,
                               const mcli_folder_entry *e, mcl_error *err) {
  mcl_status s = MCL_OK;
  if (mcli_folder_keep(f, e->name, e->hash, &s, err)) return s;
  if (!l->encoders[stage]) return keep_file(l, f, stage, e, err);
  return mcli_folder_put(f, l->encoders[stage], e->name, err);
}

static bool is_within_stage(const mcl_multistage *l) {
  return l->phase != MCLI_AT_DONE && (l->epoch > 0 || l->step > 0);
}

static mcl_status save_encoders(const mcl_multistage *l, mcli_folder *f, const uint64_t *hashes,
                                mcl_error *err) {
  mcl_status s = MCL_OK;
  mcli_folder_entry e;
  for (int32_t stage = 0; s == MCL_OK && stage < l->stage; stage++) {
    mcli_encoder_name(e.name, stage, -1, 0);
    e.hash = hashes[stage];
    s = save_encoder(l, f, stage, &e, err);
  }
  if (s < 0 || !is_within_stage(l)) return s;
  mcli_encoder_name(e.name, l->stage, l->epoch, l->step);
  // In memory it may have moved on since, and come back by a seek.
  e.hash = !l->encoders[l->stage] && strcmp(e.name, l->place.name) == 0 ? l->place.hash : 0;
  return save_encoder(l, f, l->stage, &e, err);
}

static mcl_status add_results(const mcl_multistage *l, mcl_checkpoint_writer *w, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int32_t stage = 0; stage < l->stage; stage++)
    for (int32_t m = 0; s == MCL_OK && m < l->o.modalities; m++) {
      const mcli_stage_result *r = &l->results[stage];
      if (!r->labels[m]) continue;
      char name[48];
      double numbers[REPORT_NUMBERS];
      report_to_numbers(&r->report[m], numbers);
      mcl_array a = vector(r->labels[m], MCL_I32, l->rows);
      mcl_array b = vector(numbers, MCL_F64, REPORT_NUMBERS);
      tensor_name(name, sizeof name, "labels", stage, m);
      s = mcl_checkpoint_writer_add(w, name, &a, err);
      tensor_name(name, sizeof name, "report", stage, m);
      if (s == MCL_OK) s = mcl_checkpoint_writer_add(w, name, &b, err);
    }
  return s;
}

static mcl_status write_loop(const mcl_multistage *l, const mcli_folder *f, mcl_error *err) {
  mcl_checkpoint_writer *w = NULL;
  fact facts[FACTS + 3];
  int n = list_facts(l, facts);
  put_int(facts, &n, "place.stage", l->stage);
  put_int(facts, &n, "place.epoch", l->epoch);
  put_int(facts, &n, "place.step", l->step);
  const mcli_tally *t = &l->tally;
  double numbers[TALLY_NUMBERS] = {t->loss,       t->accuracy,  t->steps,
                                   t->loss_first, t->loss_last, t->accuracy_last};
  mcl_array tally = vector(numbers, MCL_F64, TALLY_NUMBERS);
  mcl_status s = mcl_checkpoint_writer_create(l->context, f->path, &w, err);
  for (int i = 0; s == MCL_OK && i < n; i++)
    s = mcl_checkpoint_writer_meta(w, facts[i].key, facts[i].text, err);
  if (s == MCL_OK) s = mcli_folder_list_write(l->context, &f->now, w, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_add(w, "tally", &tally, err);
  if (s == MCL_OK) s = add_results(l, w, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(w, err);
  mcl_checkpoint_writer_unref(w);
  return s;
}

mcl_status mcli_loop_save(const mcl_multistage *l, const char *directory,
                          uint64_t hashes[MCLI_MAX_STAGES], mcl_error *err) {
  mcli_folder f;
  uint64_t saved[MCLI_MAX_STAGES] = {0};
  mcl_status s = mcli_folder_open(l->context, directory, LIST, &f, err);
  if (s < 0) return s;
  s = save_encoders(l, &f, hashes, err);
  if (s == MCL_OK) s = write_loop(l, &f, err);
  for (int32_t stage = 0; stage < l->stage; stage++) {
    char name[MCLI_FOLDER_NAME];
    mcli_encoder_name(name, stage, -1, 0);
    const mcli_folder_entry *e = mcli_folder_list_find(&f.now, name);
    saved[stage] = e ? e->hash : 0;
  }
  s = mcli_folder_close(&f, s);
  if (s == MCL_OK) memcpy(hashes, saved, sizeof saved);
  return s;
}

mcl_status mcli_loop_tidy(const mcl_multistage *l, mcl_error *err) {
  if (!l->save_directory || !l->resume_directory ||
      strcmp(l->save_directory, l->resume_directory) != 0)
    return MCL_OK;
  return mcli_folder_tidy(l->context, l->save_directory, LIST, err);
}

mcl_status mcl_multistage_save(const mcl_multistage *l, const char *directory, mcl_error *err) {
  if (!l || !directory)
    return mcli_fail(err, MCL_E_INVALID, "%s is NULL", l ? "directory" : "loop");
  // What is in memory is written anew, whatever lies there.
  uint64_t hashes[MCLI_MAX_STAGES];
  for (int i = 0; i < MCLI_MAX_STAGES; i++) hashes[i] = l->encoders[i] ? 0 : l->hashes[i];
  mcl_status s = mcli_loop_save(l, directory, hashes, err);
  return s < 0 ? s : mcl_ok(err);
}

// ---- resuming ----------------------------------------------------------------------------------------------

static mcl_status check_facts(const mcl_multistage *l, const mcl_checkpoint *k, const char *path,
                              mcl_error *err) {
  fact facts[FACTS + 3];
  int n = list_facts(l, facts);
  for (int i = 0; i < n; i++) {
    char text[TEXT];
    if (mcl_checkpoint_meta(k, facts[i].key, text, sizeof text, NULL, err) < 0)
      return mcli_fail(err, MCL_E_FORMAT, "%s does not say its %s", path, facts[i].key);
    if (strcmp(text, facts[i].text) != 0)
      return mcli_fail(err, MCL_E_MISMATCH, "%s was saved with %s %s, this loop has %s", path,
                       facts[i].key, text, facts[i].text);
  }
  return MCL_OK;
}

static mcl_status read_place(const mcl_multistage *l, const mcl_checkpoint *k, const char *path,
                             int64_t place[3], mcl_error *err) {
  static const char *const keys[3] = {"place.stage", "place.epoch", "place.step"};
  for (int i = 0; i < 3; i++) {
    char text[TEXT], *end = text;
    if (mcl_checkpoint_meta(k, keys[i], text, sizeof text, NULL, err) == MCL_OK)
      place[i] = strtoll(text, &end, 10);
    if (end == text || *end || place[i] < 0)
      return mcli_fail(err, MCL_E_FORMAT, "%s has no good %s", path, keys[i]);
  }
  if (place[0] > mcli_loop_max_stages(l))
    return mcli_fail(err, MCL_E_MISMATCH, "%s has %lld finished stages, this loop has %d", path,
                     (long long)place[0], (int)mcli_loop_max_stages(l));
  return MCL_OK;
}

// What a loop file lacks is the file's damage: MCL_E_NOT_FOUND would say that there is no run, and another would be begun over
// this one.
static mcl_status read_tensor(const mcl_checkpoint *k, const char *name, const mcl_array *to,
                              mcl_error *err) {
  mcl_error why;
  mcl_status s = mcl_checkpoint_read(k, name, to, &why);
  if (s == MCL_E_NOT_FOUND || s == MCL_E_SHAPE || s == MCL_E_DTYPE || s == MCL_E_UNSUPPORTED)
    return mcli_fail(err, MCL_E_FORMAT, "%s", why.message);
  if (err) *err = why;
  return s;
}

static mcl_status check_labels(const mcl_multistage *l, const int32_t *labels, const char *path,
                               const char *name, mcl_error *err) {
  for (int64_t i = 0; i < l->rows; i++)
    if (labels[i] < -1)
      return mcli_fail_row(err, MCL_E_FORMAT, i, "%s: %s has the label %d", path, name,
                           (int)labels[i]);
  return MCL_OK;
}

static mcl_status read_result(mcl_multistage *l, const mcl_checkpoint *k, const char *path,
                              int32_t stage, int32_t m, mcl_error *err) {
  char name[48];
  double numbers[REPORT_NUMBERS];
  mcl_array report = vector(numbers, MCL_F64, REPORT_NUMBERS);
  int32_t *labels = MCLI_NEW(l->context, int32_t, l->rows);
  if (!labels) return mcli_nomem(err, "labels");
  l->results[stage].labels[m] = labels;
  mcl_array a = vector(labels, MCL_I32, l->rows);
  tensor_name(name, sizeof name, "report", stage, m);
  mcl_status s = read_tensor(k, name, &report, err);
  tensor_name(name, sizeof name, "labels", stage, m);
  if (s == MCL_OK) s = read_tensor(k, name, &a, err);
  if (s == MCL_OK) s = check_labels(l, labels, path, name, err);
  if (s == MCL_OK) report_from_numbers(&l->results[stage].report[m], numbers);
  return s;
}

static mcl_status read_results(mcl_multistage *l, const mcl_checkpoint *k, const char *path,
                               const int64_t place[3], mcl_error *err) {
  double numbers[TALLY_NUMBERS];
  mcl_array tally = vector(numbers, MCL_F64, TALLY_NUMBERS);
  mcl_status s = read_tensor(k, "tally", &tally, err);
  for (int32_t stage = 0; stage < place[0]; stage++)
    for (int32_t m = 0; s == MCL_OK && m < l->o.modalities; m++)
      if (l->clustered >> m & 1) s = read_result(l, k, path, stage, m, err);
  mcl_sampler *sampler = NULL;
  if (s == MCL_OK) s = mcli_loop_make_sampler(l, (int32_t)place[0], &sampler, err);
  if (s < 0) return s;
  mcl_sampler_unref(l->sampler);
  l->sampler = sampler;
  if (place[1] > l->o.epochs || (place[2] > 0 && place[2] >= mcl_sampler_steps(sampler)))
    return mcli_fail(err, MCL_E_FORMAT, "%s has a place outside its stage", path);
  l->tally = (mcli_tally){numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]};
  l->stage = (int32_t)place[0];
  l->epoch = (int32_t)place[1];
  l->step = place[2];
  l->resumed = l->epoch > 0 || l->step > 0;
  l->phase = mcli_loop_is_over(l) ? MCLI_AT_DONE : MCLI_AT_BEGIN;
  return MCL_OK;
}

// Which files of encoders are meant.
static mcl_status read_files(mcl_multistage *l, const mcl_checkpoint *k, const char *path,
                             mcl_error *err) {
  mcli_folder_list files = {0};
  mcl_status s = mcli_folder_list_read(l->context, k, path, &files, err);
  for (int32_t stage = 0; s == MCL_OK && stage <= l->stage; stage++) {
    bool done = stage < l->stage;
    mcli_folder_entry e;
    mcli_encoder_name(e.name, stage, done ? -1 : l->epoch, l->step);
    const mcli_folder_entry *listed = mcli_folder_list_find(&files, e.name);
    e.hash = listed ? listed->hash : 0;
    if (done)
      l->hashes[stage] = e.hash;
    else
      l->place = e;
  }
  mcli_folder_list_free(l->context, &files);
  return s;
}

// Reads into a loop of its own and changes places with it only when all went well.
static mcl_status resume(mcl_multistage *l, const char *directory, const char *path,
                         mcl_error *err) {
  mcl_checkpoint *k = NULL;
  mcl_multistage *fresh = NULL;
  int64_t place[3] = {0};
  mcl_multistage_options o = l->o;
  o.kmeans = &l->kmeans;
  o.sampler = &l->sampling;
  o.loss = &l->loss;
  o.embedding_directory = l->embedding_directory;
  o.save_directory = l->save_directory;
  mcl_status s = mcl_checkpoint_open(l->context, path, &k, err);
  if (s == MCL_OK) s = check_facts(l, k, mcli_path_tail(path), err);
  if (s == MCL_OK) s = read_place(l, k, mcli_path_tail(path), place, err);
  if (s == MCL_OK) s = mcl_multistage_create(l->context, &o, l->rows, l->comm, &fresh, err);
  if (s == MCL_OK) s = read_results(fresh, k, mcli_path_tail(path), place, err);
  if (s == MCL_OK) s = read_files(fresh, k, mcli_path_tail(path), err);
  if (s == MCL_OK && !(fresh->resume_directory = mcli_strdup(l->context, directory)))
    s = mcli_nomem(err, "a path");
  mcl_checkpoint_unref(k);
  if (s == MCL_OK) {
    if (l->save_directory && strcmp(directory, l->save_directory) == 0)
      fresh->stages_saved = fresh->stage;
    // References and the guard belong to the handles; everything else changes places.
    mcl_multistage was = *l;
    *l = *fresh;
    *fresh = was;
    mcli_refcount refs = l->refs;
    l->refs = fresh->refs, fresh->refs = refs;
    mcli_guard guard = l->guard;
    l->guard = fresh->guard, fresh->guard = guard;
  }
  mcl_multistage_unref(fresh);
  return s;
}

mcl_status mcl_multistage_resume(mcl_multistage *l, const char *directory, mcl_error *err) {
  if (!l || !directory)
    return mcli_fail(err, MCL_E_INVALID, "%s is NULL", l ? "directory" : "loop");
  mcl_status s = mcli_guard_enter(&l->guard, "loop", err);
  if (s < 0) return s;
  char *path = mcli_path_join(l->context, directory, LIST);
  if (!path)
    s = mcli_nomem(err, "a path");
  else
    s = resume(l, directory, path, err);
  mcli_free(l->context, path);
  mcli_guard_leave(&l->guard);
  return s < 0 ? s : mcl_ok(err);
}
