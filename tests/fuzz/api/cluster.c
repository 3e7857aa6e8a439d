// Clusterers, samplers, communicators of one process, losses, .npy files and checkpoints.
#include <string.h>

#include "fuzz/api/world.h"

// ---- rows ---------------------------------------------------------------------------------------

// Rows by an array, a callback or an open file; `a` is what an array of rows points to.
static mcl_status read_rows(void *user, int64_t first, int64_t n, const mcl_array *out,
                            mcl_error *err) {
  const float *from = user;
  int64_t dim = out->shape[1];
  memcpy(out->data, from + first * dim, (size_t)(n * dim) * sizeof(float));
  return mcl_ok(err);
}

static mcl_rows rows_from(world *w, mcl_array *a) {
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  int kind = (int)fuzz_below(w->in, 3);
  const mcl_npy *file = w->files[slot(w)];
  if (kind == 2 && file) {
    mcl_npy_rows(file, &r);
    return r;
  }
  *a = some_matrix(w, 1 + fuzz_below(w->in, MOST_ROWS), 1 + fuzz_below(w->in, 6));
  if (kind == 0 || !a->data || a->ndim != 2 || a->dtype != MCL_F32) {
    r.array = a;
    return r;
  }
  r.rows = a->shape[0], r.dim = (int32_t)a->shape[1], r.dtype = MCL_F32;
  r.user = a->data, r.read = read_rows;
  r.flags = fuzz_below(w->in, 2) ? MCL_ROWS_ANY_THREAD : 0;
  return r;
}

static void read_some(world *w) {
  mcl_array a;
  mcl_rows r = rows_from(w, &a);
  int64_t n = fuzz_below(w->in, 6), dim = r.array ? r.array->shape[1] : r.dim;
  if (dim < 1 || dim > 64) return;
  mcl_array out = some_room(w, n, dim);
  TRY(mcl_rows_read(&r, draw(w, 0, 2), n, &out, &w->err));
}

// ---- clusterers ---------------------------------------------------------------------------------

static void put(world *w, mcl_clusterer *k) {
  int at = slot(w);
  mcl_clusterer_unref(w->clusterers[at]);
  w->clusterers[at] = k;
}

static void make_kmeans(world *w) {
  mcl_clusterer *k = NULL;
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = (int32_t)draw(w, 1, 5), o.method = (int32_t)draw(w, 1, 2),
  o.metric = (int32_t)draw(w, 1, 2);
  o.init = (int32_t)draw(w, 1, 3), o.empty = (int32_t)draw(w, 1, 3), o.restarts = 1;
  o.max_iterations = (int32_t)draw(w, 1, 9) % 1000, o.minibatch_rows = (int32_t)draw(w, 1, 20);
  mcl_comm *comm = fuzz_below(w->in, 3) ? NULL : w->comms[slot(w)];
  const mcl_kmeans_options *given = GIVE(w, o);
  if (TRY(mcl_clusterer_create_kmeans(w->context, given, comm, &k, &w->err))) put(w, k);
}

static mcl_status host_fit(void *user, const mcl_rows *rows, int32_t *k, mcl_error *err) {
  (void)user, (void)rows;
  *k = 2;
  return mcl_ok(err);
}
static mcl_status host_assign(void *user, const mcl_array *block, int32_t *labels, mcl_error *err) {
  (void)user;
  const float *z = block->data;
  for (int64_t i = 0; i < block->shape[0]; i++) labels[i] = z[i * block->strides[0]] > 0;
  return mcl_ok(err);
}

static void make_host(world *w) {
  mcl_clusterer *k = NULL;
  mcl_host_clusterer h;
  mcl_struct_init(&h, sizeof h);
  h.fit = host_fit, h.assign = host_assign;
  if (TRY(mcl_clusterer_create_host(w->context, &h, &k, &w->err))) put(w, k);
}

static void fit(world *w) {
  static int32_t labels[POOL];
  static double distances[POOL];
  mcl_array a;
  mcl_clusterer *k = PICK(w, clusterers);
  mcl_rows r = rows_from(w, &a);
  if (!k && w->legal) return;
  // k may be larger than the rows are many
  mcl_status s = mcl_clusterer_fit(k, &r, NULL, &w->err);
  if (!may(w, s) && (s != MCL_E_INVALID || !w->legal)) return;
  int64_t n = r.array ? r.array->shape[0] : r.rows;
  if (n > POOL) return;
  double *wanted = fuzz_below(w->in, 2) ? distances : NULL;
  TRY(mcl_clusterer_assign(k, &r, NULL, wild(w) ? NULL : labels, wanted, &w->err));
}

static void ask_clusterer(world *w) {
  static int64_t sizes[512];
  mcl_clusterer *k = PICK(w, clusterers);
  mcl_clusterer_report r;
  mcl_struct_init(&r, sizeof r);
  if (!k && w->legal) return;
  int known = TRY(mcl_clusterer_get_report(k, &r, &w->err));
  mcl_array out = some_room(w, known ? r.k_effective : 1, draw(w, 1, 6) % 64);
  if (out.shape[0] > 512) return;
  TRY(mcl_clusterer_centroids(k, &out, &w->err));
  TRY(mcl_clusterer_sizes(k, sizes, known ? r.k_effective : 1, &w->err));
  mcl_array given = some_matrix(w, 1 + fuzz_below(w->in, 5), 1 + fuzz_below(w->in, 6));
  if (fuzz_below(w->in, 2)) TRY(mcl_clusterer_set_centroids(k, &given, &w->err));
}

static void keep_clusterer(world *w) {
  mcl_clusterer *k = PICK(w, clusterers), *loaded = NULL;
  const char *path = some_path(w, ".clusters");
  if (!k && w->legal) return;
  if (fuzz_below(w->in, 2)) {
    TRY(mcl_clusterer_save(k, path, &w->err));
  } else if (TRY(mcl_clusterer_load(w->context, path, NULL, &loaded, &w->err))) {
    put(w, loaded);
  }
}

// ---- samplers -----------------------------------------------------------------------------------

static void make_sampler(world *w) {
  mcl_sampler *s = NULL;
  mcl_sampler_options o;
  mcl_sampler_options_init(&o, sizeof o);
  o.batch_rows = draw(w, 6, 16), o.min_cell_rows = draw(w, 1, 4),
  o.small_cells = (int32_t)draw(w, 1, 3);
  o.batching = (int32_t)draw(w, 1, 2);
  o.order = o.batching == MCL_BATCH_PACKED ? 1 : (int32_t)draw(w, 1, 3);
  const mcl_sampler_options *given = GIVE(w, o);
  int32_t world_size = (int32_t)draw(w, 1, 3),
          rank = (int32_t)draw(w, 0, world_size > 0 ? world_size - 1 : 0);
  if (!TRY(mcl_sampler_create(w->context, given, draw(w, 1, MOST_ROWS), rank, world_size, &s,
                              &w->err)))
    return;
  int at = slot(w);
  mcl_sampler_unref(w->samplers[at]);
  w->samplers[at] = s;
}

static void use_sampler(world *w) {
  static int64_t indices[512], cells[512];
  mcl_sampler *s = PICK(w, samplers);
  mcl_sampler_report r;
  mcl_batch b;
  int64_t got;
  if (!s && w->legal) return;
  mcl_struct_init(&r, sizeof r);
  mcl_struct_init(&b, sizeof b);
  if (!TRY(mcl_sampler_get_report(s, &r, &w->err)) || r.rows > 256) return;
  // Not the stage that is due, perhaps.
  mcl_status status =
      mcl_sampler_add_labels(s, (int32_t)draw(w, 0, 2), some_labels(w, r.rows, 3), r.rows, &w->err);
  may(w, status);
  b.indices = indices, b.cells = cells, b.capacity = mcl_sampler_batch_capacity(s);
  if (b.capacity > 512) return;
  if (mcl_sampler_steps(s) > 0) TRY(mcl_sampler_batch(s, (int32_t)draw(w, 0, 9), 0, &b, &w->err));
  TRY(mcl_sampler_negatives(s, 0, draw(w, 0, r.rows - 1), indices, 8, &got, &w->err));
  TRY(mcl_sampler_cells(s, cells, r.rows, &w->err));
}

// ---- one process that calls itself several ------------------------------------------------------

static void make_comm(world *w) {
  mcl_comm *c = NULL;
  mcl_host_comm h;
  int64_t first, n;
  mcl_struct_init(&h, sizeof h);
  h.rank = 0, h.size = 1;
  if (!TRY(mcl_comm_create_host(w->context, GIVE(w, h), &c, &w->err))) return;
  mcl_comm_share(c, draw(w, 0, 99999), &first, &n);
  if (first != 0 || mcl_comm_rank(c) != 0 || mcl_comm_size(c) != 1) fuzz_fail("not alone");
  int at = slot(w);
  mcl_comm_unref(w->comms[at]);
  w->comms[at] = c;
}

static void lose(world *w) {
  int64_t n = 1 + fuzz_below(w->in, 9), dim = 1 + fuzz_below(w->in, 6);
  mcl_array a = some_matrix(w, n, dim), b = some_matrix(w, n, dim), da = some_room(w, n, dim);
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_result r;
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&r, sizeof r);
  o.temperature = draw_real(w, .05, 1);
  in.za = &a, in.zb = &b, in.dza = &da, in.cells = fuzz_below(w->in, 2) ? some_rows(w, n, 3) : NULL;
  TRY((fuzz_below(w->in, 2) ? mcl_loss_nt_xent : mcl_loss_info_nce)(w->context, &o, &in, &r,
                                                                    &w->err));
}

// ---- files --------------------------------------------------------------------------------------

static void make_npy(world *w) {
  mcl_npy *f = NULL;
  int made = fuzz_below(w->in, 2)
                 ? TRY(mcl_npy_open(w->context, some_path(w, ".npy"), &f, &w->err))
                 : TRY(mcl_npy_create(w->context, some_path(w, ".npy"), (int32_t)draw(w, 1, 3),
                                      draw(w, 1, MOST_ROWS) % 1000, (int32_t)draw(w, 1, 5) % 64, &f,
                                      &w->err));
  if (!made) return;
  int at = slot(w);
  mcl_npy_unref(w->files[at]);
  w->files[at] = f;
}

static void write_npy(world *w) {
  mcl_npy *f = PICK(w, files);
  mcl_array z = some_matrix(w, fuzz_below(w->in, 6), 1 + fuzz_below(w->in, 5));
  if (!f && w->legal) return;
  TRY(mcl_npy_write(f, draw(w, 0, 3), &z, &w->err));
  if (fuzz_below(w->in, 2)) TRY(mcl_npy_commit(f, &w->err));
}

static void make_writer(world *w) {
  mcl_checkpoint_writer *c = NULL;
  if (!TRY(mcl_checkpoint_writer_create(w->context, some_path(w, ".tensors"), &c, &w->err))) return;
  int at = slot(w);
  mcl_checkpoint_writer_unref(w->writers[at]);
  w->writers[at] = c;
}

static void use_writer(world *w) {
  static const char *const names[] = {"x", "y", "z/\xc3\xa9", "__metadata__", "\xff", ""};
  mcl_checkpoint_writer *c = PICK(w, writers);
  if (!c && w->legal) return;
  mcl_array a = some_matrix(w, 1 + fuzz_below(w->in, 5), 1 + fuzz_below(w->in, 5));
  const char *name = names[fuzz_below(w->in, w->legal ? 3 : 6)];
  // A name may have been used: INVALID is a matter of state here.
  may(w, mcl_checkpoint_writer_add(c, name, &a, &w->err));
  may(w, mcl_checkpoint_writer_meta(c, name, "a text", &w->err));
  if (fuzz_below(w->in, 2)) TRY(mcl_checkpoint_writer_commit(c, &w->err));
}

static void open_checkpoint(world *w) {
  mcl_checkpoint *c = NULL;
  if (!TRY(mcl_checkpoint_open(w->context, some_path(w, ".tensors"), &c, &w->err))) return;
  int at = slot(w);
  mcl_checkpoint_unref(w->checkpoints[at]);
  w->checkpoints[at] = c;
}

static void read_checkpoint(world *w) {
  mcl_checkpoint *c = PICK(w, checkpoints);
  mcl_array shape;
  char text[16];
  size_t wanted;
  const char *name = wild(w) ? NULL : fuzz_below(w->in, 2) ? "x" : "y";
  if (!c && w->legal) return;
  TRY(mcl_checkpoint_meta(c, name, text, (size_t)fuzz_below(w->in, 16), &wanted, &w->err));
  if (!TRY(mcl_checkpoint_shape(c, name, &shape, &w->err)) || shape.ndim != 2) return;
  mcl_array out = some_room(w, shape.shape[0], shape.shape[1]);
  TRY(mcl_checkpoint_read(c, name, &out, &w->err));
}

const operation cluster_operations[] = {{"read rows", read_some},
                                        {"kmeans", make_kmeans},
                                        {"host clusterer", make_host},
                                        {"fit", fit},
                                        {"ask clusterer", ask_clusterer},
                                        {"keep clusterer", keep_clusterer},
                                        {"sampler", make_sampler},
                                        {"use sampler", use_sampler},
                                        {"comm", make_comm},
                                        {"loss", lose},
                                        {"npy", make_npy},
                                        {"write npy", write_npy},
                                        {"writer", make_writer},
                                        {"use writer", use_writer},
                                        {"open checkpoint", open_checkpoint},
                                        {"read checkpoint", read_checkpoint},
                                        {NULL, NULL}};
