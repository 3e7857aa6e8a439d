// Host tables of any size, whose callbacks do what the input says: succeed, fail, fail without a word, claim success without
// mcl_ok(), give NaN, call back into the handle they belong to. A callback's failure is the call's, the handle stays
// usable, and `destroy` runs once, also where nothing was made.
#include <libmcl/mcl.h>
#include <math.h>
#include <string.h>

#include "fuzz/fuzz.h"

const int fuzz_large = FUZZ_REFUSED;

enum { ROWS = 12, DIM = 3 };

static struct {
  fuzz_bytes *in;
  mcl_encoder *encoder;
  mcl_dataset *dataset;
  mcl_clusterer *clusterer;
  int destroyed, depth;
} host;

static void destroy(void *user) {
  (void)user;
  host.destroyed++;
}

static float numbers[ROWS * 64];

static mcl_inputs some_inputs(mcl_array *data, int64_t n, int32_t view) {
  mcl_inputs in;
  *data = mcl_matrix_f32(numbers, n, DIM);
  mcl_struct_init(&in, sizeof in);
  in.data = data, in.n = n, in.view = view;
  return in;
}

// ---- what a callback does -----------------------------------------------------------------------

// Calls into whatever handle there is, from within one of its callbacks.
static void call_back(void) {
  static float out[ROWS * 64];
  static int32_t labels[ROWS];
  mcl_error err;
  mcl_array data, room;
  mcl_inputs in = some_inputs(&data, 2, 0);
  if (host.encoder) {
    room = mcl_matrix_f32(out, 2, mcl_encoder_dim(host.encoder));
    if (mcl_encoder_dim(host.encoder) <= 64)
      fuzz_ok(mcl_encoder_embed(host.encoder, &in, &room, &err), &err);
    fuzz_ok(mcl_encoder_give_up(host.encoder, &err), &err);
    fuzz_ok(mcl_encoder_save(host.encoder, fuzz_path("inner"), &err), &err);
    mcl_encoder_unref(mcl_encoder_ref(host.encoder));
  }
  if (host.dataset) {
    int64_t rows[2] = {0, 0};
    room = mcl_matrix_f32(out, 2, DIM);
    fuzz_ok(mcl_dataset_load(host.dataset, rows, 2, 0, &room, &err), &err);
    mcl_dataset_unref(mcl_dataset_ref(host.dataset));
  }
  if (host.clusterer) {
    mcl_rows rows;
    mcl_struct_init(&rows, sizeof rows);
    rows.array = &data;
    fuzz_ok(mcl_clusterer_fit(host.clusterer, &rows, NULL, &err), &err);
    fuzz_ok(mcl_clusterer_assign(host.clusterer, &rows, NULL, labels, NULL, &err), &err);
  }
}

static mcl_status behave(float *out, int64_t n, mcl_error *err) {
  for (int64_t i = 0; out && i < n; i++) out[i] = (float)(i % 7) - 3;
  switch (fuzz_below(host.in, 32)) {
  case 31:
    return mcl_error_set(err, MCL_E_IO, 5, "the disk is gone");
  case 30:
    return MCL_OK; // without mcl_ok()
  case 29:
    return 12345;
  case 28:
    return mcl_error_set(err, (mcl_status)fuzz_size(host.in), -1, NULL);
  case 27:
    memset(err->message, 'x', sizeof err->message);
    return MCL_E_FORMAT;
  case 26:
    mcl_ok(err);
    return MCL_E_SHAPE;
  case 25:
    if (out && n > 0) out[n - 1] = (float)fuzz_number(host.in);
    return mcl_ok(err);
  case 24:
    if (host.depth++ == 0) call_back();
    host.depth--;
    return mcl_ok(err);
  default:
    return mcl_ok(err);
  }
}

static int64_t size_of(const mcl_array *a) {
  int64_t n = 1;
  for (int32_t i = 0; i < a->ndim; i++) n *= a->shape[i];
  return n;
}

// ---- an encoder ---------------------------------------------------------------------------------

static mcl_status e_out(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  (void)user, (void)in;
  return behave(out->data, size_of(out), err);
}
static mcl_status e_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                             mcl_error *err) {
  (void)user, (void)in, (void)grad;
  return behave(NULL, 0, err);
}
static mcl_status e_step(void *user, const mcl_step *step, mcl_error *err) {
  (void)user, (void)step;
  return behave(NULL, 0, err);
}
static mcl_status e_file(void *user, const char *path, mcl_error *err) {
  (void)user, (void)path;
  return behave(NULL, 0, err);
}
static mcl_status e_temperature(void *user, double *tau, mcl_error *err) {
  (void)user;
  *tau = fuzz_number(host.in);
  return behave(NULL, 0, err);
}
static mcl_status e_slope(void *user, double d, mcl_error *err) {
  (void)user, (void)d;
  return behave(NULL, 0, err);
}
static mcl_status e_from(void *user, void *from, mcl_error *err) {
  (void)user, (void)from;
  return behave(NULL, 0, err);
}
static mcl_status e_sum(void *user, mcl_comm *comm, mcl_error *err) {
  (void)user, (void)comm;
  return behave(NULL, 0, err);
}

static void e_give_up(void *user) {
  (void)user;
}

static mcl_host_encoder encoder_table(fuzz_bytes *b) {
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.dim = (int32_t)(fuzz_chance(b, 16) ? fuzz_size(b) : 1 + fuzz_below(b, 5));
  h.projection_dim = (int32_t)fuzz_below(b, 5);
  h.modalities = (int32_t)(fuzz_chance(b, 16) ? fuzz_size(b) : fuzz_below(b, 3));
  h.flags = (uint32_t)fuzz_below(b, 2);
  int absent = (int)fuzz_bits(b, 2);
  h.embed = absent % 31 == 1 ? NULL : e_out;
  h.forward = absent & 2 ? NULL : e_out;
  h.backward = absent & 4 ? NULL : e_backward;
  h.step = absent & 8 ? NULL : e_step;
  h.save = absent & 16 ? NULL : e_file;
  h.load = absent & 32 ? NULL : e_file;
  h.held = absent & 64 ? NULL : e_out;
  h.temperature = absent & 128 ? NULL : e_temperature;
  h.backward_temperature = absent & 256 ? NULL : e_slope;
  h.give_up = absent & 512 ? NULL : e_give_up;
  h.start_from = absent & 1024 ? NULL : e_from;
  h.sum_gradients = absent & 2048 ? NULL : e_sum;
  h.destroy = destroy;
  return h;
}

static void use_encoder(mcl_encoder *e, fuzz_bytes *b) {
  static float room[ROWS * 64];
  mcl_error err;
  double tau;
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  if (mcl_encoder_dim(e) > 64 || mcl_encoder_projection_dim(e) > 64) return;
  for (int i = 0; i < 16 && b->n; i++) {
    int64_t n = fuzz_below(b, 4);
    mcl_array data, out = mcl_matrix_f32(room, n, mcl_encoder_dim(e));
    mcl_array projection = mcl_matrix_f32(room, n, mcl_encoder_projection_dim(e));
    mcl_inputs in = some_inputs(&data, n, (int32_t)fuzz_below(b, 2));
    in.modality = (int32_t)fuzz_below(b, 2);
    switch (fuzz_below(b, 12)) {
    case 0:
      fuzz_ok(mcl_encoder_embed(e, &in, &out, &err), &err);
      break;
    case 1:
    case 2:
      fuzz_ok(mcl_encoder_forward(e, &in, &projection, &err), &err);
      break;
    case 3:
    case 4:
      fuzz_ok(mcl_encoder_backward(e, &in, &projection, &err), &err);
      break;
    case 5:
      fuzz_ok(mcl_encoder_step(e, &step, &err), &err);
      break;
    case 6:
      fuzz_ok(mcl_encoder_held(e, &in, &out, &err), &err);
      break;
    case 7:
      if (fuzz_ok(mcl_encoder_temperature(e, &tau, &err), &err) && !(tau > 0 && isfinite(tau)))
        fuzz_fail("a temperature of %g", tau);
      break;
    case 8:
      fuzz_ok(mcl_encoder_backward_temperature(e, fuzz_number(b), &err), &err);
      break;
    case 9:
      fuzz_ok(mcl_encoder_save(e, fuzz_path("e"), &err), &err);
      break;
    case 10:
      fuzz_ok(mcl_encoder_load(e, fuzz_path("e"), &err), &err);
      break;
    default:
      fuzz_ok(mcl_encoder_give_up(e, &err), &err);
      break;
    }
  }
}

// 1 where destroy was due and has run, or was not due: a struct whose size could not be read says nothing.
static void check_destroyed(const void *table, size_t at, int before) {
  size_t told = 0;
  if (table) memcpy(&told, table, sizeof told);
  int readable = told >= at + sizeof(void (*)(void)) && told <= 4096 && told % sizeof told == 0;
  int times = host.destroyed - before;
  if (times > 1 || (readable && times != 1)) fuzz_fail("destroyed %d times", times);
}

static void try_encoder(mcl_context *c, fuzz_bytes *b) {
  mcl_error err;
  mcl_host_encoder h = encoder_table(b);
  const void *table = fuzz_struct(b, &h, sizeof h);
  int before = host.destroyed;
  host.encoder = NULL;
  if (fuzz_ok(mcl_encoder_create_host(c, table, &host.encoder, &err), &err)) {
    if (host.destroyed != before) fuzz_fail("destroyed before its time");
    use_encoder(host.encoder, b);
    mcl_encoder_unref(host.encoder);
    host.encoder = NULL;
  }
  check_destroyed(table, offsetof(mcl_host_encoder, destroy), before);
}

// ---- a dataset ----------------------------------------------------------------------------------

static mcl_status d_shape(void *user, int32_t modality, mcl_array *row, mcl_error *err) {
  (void)user, (void)modality;
  row->dtype = (int32_t)(fuzz_chance(host.in, 6) ? fuzz_size(host.in) : MCL_F32);
  row->ndim = (int32_t)(fuzz_chance(host.in, 8) ? fuzz_size(host.in) : 1);
  row->shape[0] = fuzz_chance(host.in, 8) ? fuzz_size(host.in) : DIM;
  row->shape[1] = row->shape[2] = row->ndim > 1 ? fuzz_size(host.in) : 0;
  return behave(NULL, 0, err);
}
static mcl_status d_load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                         const mcl_array *out, mcl_error *err) {
  (void)user, (void)modality;
  for (int64_t i = 0; i < n; i++)
    if (indices[i] < 0) fuzz_fail("row %lld asked for", (long long)indices[i]);
  if (n < 1) fuzz_fail("no rows asked for");
  return behave(out->dtype == MCL_F32 ? out->data : NULL, size_of(out), err);
}
static mcl_status d_groups(void *user, int32_t modality, int64_t *out, mcl_error *err) {
  (void)user, (void)modality;
  for (int64_t i = 0; i < ROWS; i++) out[i] = fuzz_size(host.in);
  return behave(NULL, 0, err);
}

static void try_dataset(mcl_context *c, fuzz_bytes *b) {
  mcl_error err;
  mcl_host_dataset h;
  mcl_struct_init(&h, sizeof h);
  h.rows = fuzz_chance(b, 16) ? -fuzz_below(b, 3) : ROWS;
  h.modalities = (int32_t)(fuzz_chance(b, 16) ? fuzz_size(b) : 1 + fuzz_below(b, 2));
  h.shape = fuzz_chance(b, 8) ? NULL : d_shape;
  h.load = fuzz_chance(b, 8) ? NULL : d_load;
  h.groups = fuzz_chance(b, 3) ? NULL : d_groups;
  h.destroy = destroy;
  const void *table = fuzz_struct(b, &h, sizeof h);
  int before = host.destroyed;
  host.dataset = NULL;
  if (fuzz_ok(mcl_dataset_create_host(c, table, &host.dataset, &err), &err)) {
    static float room[ROWS * 64];
    int64_t groups[ROWS], rows[4];
    mcl_array row;
    for (int i = 0; i < 8 && b->n; i++) {
      int32_t modality = (int32_t)fuzz_below(b, 2);
      for (int k = 0; k < 4; k++) rows[k] = fuzz_below(b, ROWS);
      if (fuzz_below(b, 2)) {
        if (fuzz_ok(mcl_dataset_groups(host.dataset, modality, groups, ROWS, &err), &err))
          for (int64_t k = 0; k < ROWS; k++)
            if (groups[k] < 0 || groups[k] > k)
              fuzz_fail("row %lld is of group %lld", (long long)k, (long long)groups[k]);
      } else if (fuzz_ok(mcl_dataset_shape(host.dataset, modality, &row, &err), &err) &&
                 row.ndim == 1 && row.shape[0] <= 64) {
        mcl_array out = mcl_matrix_f32(room, 4, row.shape[0]);
        if (fuzz_ok(mcl_dataset_load(host.dataset, rows, 4, modality, &out, &err), &err))
          for (int64_t k = 0; k < size_of(&out); k++)
            if (!isfinite(room[k])) fuzz_fail("NaN has come through");
      }
    }
    mcl_dataset_unref(host.dataset);
    host.dataset = NULL;
  }
  check_destroyed(table, offsetof(mcl_host_dataset, destroy), before);
}

// ---- a clusterer --------------------------------------------------------------------------------

static mcl_status k_fit(void *user, const mcl_rows *rows, int32_t *k, mcl_error *err) {
  (void)user;
  mcl_array out = mcl_matrix_f32(numbers, 1, DIM);
  mcl_error inner;
  fuzz_ok(mcl_rows_read(rows, fuzz_size(host.in), 1, &out, &inner), &inner);
  *k = (int32_t)(fuzz_chance(host.in, 4) ? fuzz_size(host.in) : 3);
  return behave(NULL, 0, err);
}
static mcl_status k_assign(void *user, const mcl_array *block, int32_t *labels, mcl_error *err) {
  (void)user;
  for (int64_t i = 0; i < block->shape[0]; i++)
    labels[i] = (int32_t)(fuzz_chance(host.in, 32) ? fuzz_size(host.in) : fuzz_below(host.in, 3));
  return behave(NULL, 0, err);
}

static void try_clusterer(mcl_context *c, fuzz_bytes *b) {
  mcl_error err;
  mcl_host_clusterer h;
  mcl_struct_init(&h, sizeof h);
  h.fit = fuzz_chance(b, 16) ? NULL : k_fit;
  h.assign = fuzz_chance(b, 16) ? NULL : k_assign;
  h.destroy = destroy;
  const void *table = fuzz_struct(b, &h, sizeof h);
  int before = host.destroyed;
  host.clusterer = NULL;
  if (fuzz_ok(mcl_clusterer_create_host(c, table, &host.clusterer, &err), &err)) {
    static float z[ROWS * DIM];
    int32_t labels[ROWS];
    mcl_array a = mcl_matrix_f32(z, ROWS, DIM);
    mcl_rows rows;
    mcl_clusterer_report r;
    mcl_struct_init(&rows, sizeof rows);
    rows.array = &a;
    for (int i = 0; i < 6 && b->n; i++) {
      mcl_struct_init(&r, sizeof r);
      fuzz_ok(mcl_clusterer_fit(host.clusterer, &rows, NULL, &err), &err);
      if (!fuzz_ok(mcl_clusterer_get_report(host.clusterer, &r, &err), &err)) continue;
      if (fuzz_ok(mcl_clusterer_assign(host.clusterer, &rows, NULL, labels, NULL, &err), &err))
        for (int64_t k = 0; k < ROWS; k++)
          if (labels[k] < 0 || labels[k] >= r.k_effective)
            fuzz_fail("label %d of %d", labels[k], r.k_effective);
    }
    mcl_clusterer_unref(host.clusterer);
    host.clusterer = NULL;
  }
  check_destroyed(table, offsetof(mcl_host_clusterer, destroy), before);
}

// ---- a communicator whose other ranks send anything ---------------------------------------------

static mcl_status c_gather(void *user, const void *send, void *recv, uint64_t bytes,
                           mcl_error *err) {
  int32_t size = *(const int32_t *)user;
  for (int32_t r = 0; r < size; r++) {
    uint8_t *to = (uint8_t *)recv + (uint64_t)r * bytes;
    memcpy(to, send, bytes); // as this rank, but for some bytes
    if (r > 0 && fuzz_chance(host.in, 4))
      to[fuzz_below(host.in, (int64_t)bytes)] = (uint8_t)fuzz_bits(host.in, 1);
  }
  return behave(NULL, 0, err);
}
static mcl_status c_sum(void *user, float *data, uint64_t n, mcl_error *err) {
  (void)user;
  return behave(data, (int64_t)n, err);
}

static void try_comm(mcl_context *c, fuzz_bytes *b) {
  static int32_t size;
  static float z[ROWS * DIM];
  mcl_error err;
  mcl_comm *comm = NULL;
  mcl_host_comm h;
  mcl_struct_init(&h, sizeof h);
  size = (int32_t)(1 + fuzz_below(b, 3));
  h.user = &size;
  h.size = fuzz_chance(b, 16) ? (int32_t)fuzz_size(b) : size;
  h.rank = fuzz_chance(b, 16) ? (int32_t)fuzz_size(b) : 0;
  h.allgather = fuzz_chance(b, 16) ? NULL : c_gather;
  h.sum = fuzz_below(b, 2) ? c_sum : NULL;
  h.destroy = destroy;
  if (h.size > size) size = h.size > 8 ? 0 : h.size;
  const mcl_host_comm *table = fuzz_struct(b, &h, sizeof h);
  int before = host.destroyed;
  if (size && fuzz_ok(mcl_comm_create_host(c, table, &comm, &err), &err)) {
    mcl_kmeans_options o;
    mcl_clusterer *k = NULL;
    mcl_array a = mcl_matrix_f32(z, ROWS, DIM);
    mcl_rows rows;
    int32_t labels[ROWS];
    for (int i = 0; i < ROWS * DIM; i++) z[i] = (float)((i * 7) % 11);
    mcl_kmeans_options_init(&o, sizeof o);
    mcl_struct_init(&rows, sizeof rows);
    rows.array = &a;
    o.k = 3, o.max_iterations = 4, o.restarts = 1;
    if (fuzz_ok(mcl_clusterer_create_kmeans(c, &o, comm, &k, &err), &err)) {
      fuzz_ok(mcl_clusterer_fit(k, &rows, NULL, &err), &err);
      fuzz_ok(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err), &err);
    }
    mcl_clusterer_unref(k);
    mcl_comm_unref(comm);
  } else if (!size) {
    return;
  }
  check_destroyed(table, offsetof(mcl_host_comm, destroy), before);
}

// ---- a pool of threads, and a loop whose parts misbehave ----------------------------------------

static uint32_t r_concurrency(void *user) {
  (void)user;
  return (uint32_t)(fuzz_chance(host.in, 16) ? fuzz_size(host.in) : 2);
}
// All tasks, backwards; or all but one; or all, and then a failure.
static int32_t r_run(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  (void)user;
  uint32_t leave = fuzz_chance(host.in, 32) ? (uint32_t)fuzz_below(host.in, tasks) : UINT32_MAX;
  for (uint32_t t = tasks; t-- > 0;)
    if (t != leave) fn(job, t, 0);
  return fuzz_chance(host.in, 32) ? -7 : 0;
}
static int32_t progress(void *user, const mcl_progress *p) {
  (void)user;
  if (!p->phase) fuzz_fail("a phase without a name");
  return fuzz_chance(host.in, 16);
}

typedef struct factory {
  mcl_context *context;
  int destroyed;
} factory;
static mcl_status f_make(void *user, int32_t stage, mcl_encoder **out, mcl_error *err) {
  factory *f = user;
  mcl_host_encoder h = encoder_table(host.in);
  mcl_status s;
  (void)stage;
  h.embed = e_out, h.destroy = NULL;
  if (h.dim > 64) h.dim = 3;
  if (fuzz_chance(host.in, 16)) return mcl_ok(err); // and no encoder
  s = mcl_encoder_create_host(f->context, &h, out, err);
  return s < 0 ? s : behave(NULL, 0, err);
}
static void f_destroy(void *user) {
  ((factory *)user)->destroyed++;
}

static void try_loop(mcl_context *outer, fuzz_bytes *b) {
  mcl_error err;
  mcl_runner r;
  mcl_context_options co;
  mcl_context *c = NULL;
  mcl_allocator a;
  mcl_struct_init(&r, sizeof r);
  r.concurrency = r_concurrency, r.run = r_run;
  mcl_context_options_init(&co, sizeof co);
  fuzz_allocator(&a);
  co.allocator = &a;
  if (fuzz_below(b, 2)) co.runner = fuzz_struct(b, &r, sizeof r);
  co.threads = 1;
  if (!fuzz_ok(mcl_context_create(&co, &c, &err), &err)) return;
  (void)outer;
  mcl_host_dataset h;
  mcl_dataset *d = NULL;
  mcl_multistage_options o;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage *l = NULL;
  mcl_struct_init(&h, sizeof h);
  h.rows = ROWS, h.modalities = 1, h.shape = d_shape, h.load = d_load,
  h.groups = fuzz_below(b, 2) ? d_groups : NULL;
  mcl_multistage_options_init(&o, sizeof o);
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  k.k = 2, k.restarts = 1, s.batch_rows = 6;
  o.kmeans = &k, o.sampler = &s, o.stages = 2, o.epochs = 1;
  o.chunk_rows = fuzz_below(b, 2) * 3;
  o.initial = (int32_t)fuzz_below(b, 2);
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.progress = progress;
  if (fuzz_ok(mcl_dataset_create_host(c, &h, &d, &err), &err) &&
      fuzz_ok(mcl_multistage_create(c, &o, ROWS, NULL, &l, &err), &err)) {
    factory f = {c, 0};
    mcl_encoder_factory made;
    mcl_struct_init(&made, sizeof made);
    made.user = &f, made.make = f_make, made.destroy = f_destroy;
    for (int i = 1; i <= 4 && b->n; i++) {
      fuzz_ok(mcl_multistage_run(l, d, NULL, &made, &m, &err), &err);
      if (f.destroyed != i) fuzz_fail("a factory destroyed %d times in %d runs", f.destroyed, i);
    }
  }
  mcl_multistage_unref(l);
  mcl_dataset_unref(d);
  mcl_context_unref(c);
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  memset(&host, 0, sizeof host);
  host.in = &b;
  switch (fuzz_below(&b, 5)) {
  case 0:
    try_encoder(context, &b);
    break;
  case 1:
    try_dataset(context, &b);
    break;
  case 2:
    try_clusterer(context, &b);
    break;
  case 3:
    try_comm(context, &b);
    break;
  default:
    try_loop(context, &b);
  }
}
