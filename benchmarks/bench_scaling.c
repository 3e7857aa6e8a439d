// Each part of the library at several sizes, for the exponents of docs/scaling.md: time, and the most
// that is held, by rows n, numbers a row d, and k, which is clusters, cells, stages or whatever the
// part has. A part has a base, and along each axis a few points that differ from it in one number.
//
// A case is "scaling PART-nN-dD-kK". Calls are repeated for a third of a second. scripts/scaling.py
// runs the cases one at a time and fits. --quick: a fiftieth of the rows, but 64 at least.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/mcl.h>

#include "bench.h"
#include "clusterer/seeding.h"
#include "math/array.h"

enum { AXES = 3, POINTS = 6, LONG_ENOUGH_MS = 300, MOST_TIMES = 100 };

typedef struct point {
  int64_t n, d, k;
} point;

typedef struct part {
  const char *name;
  void (*measure)(const bench_case *c, const point *p);
  point base;
  int64_t along[AXES][POINTS]; // values of n, d, k; 0: no more
} part;

static mcl_error err;

static void report(const bench_case *c, void (*call)(void *), void *work) {
  bench_result r = bench_fastest(c, 1, call, work);
  int times = bench.quick ? 0 : (int)fmin(MOST_TIMES, LONG_ENOUGH_MS / fmax(r.ms, 1e-3));
  if (times > 0) {
    bench_result more = bench_fastest(c, times, call, work);
    r = (bench_result){fmin(r.ms, more.ms), fmin(r.cpu_ms, more.cpu_ms), fmax(r.mib, more.mib)};
  }
  bench_line(c, &r, ",\"ms\":%.6f,\"held_kib\":%.2f", c->threads > 1 ? r.ms : r.cpu_ms,
             r.mib * 1024);
}

static float *numbers(int64_t n, uint64_t state) {
  float *x = bench_alloc(n, sizeof *x);
  for (int64_t i = 0; i < n; i++) x[i] = (float)(bench_next(&state) >> 40) * 0x1p-23F - 1;
  return x;
}

static int32_t *labels(int64_t n, int64_t k, uint64_t state) {
  int32_t *y = bench_alloc(n, sizeof *y);
  for (int64_t i = 0; i < n; i++) y[i] = (int32_t)((bench_next(&state) >> 33) % (uint64_t)k);
  return y;
}

// ---- clusters -----------------------------------------------------------------------------------

typedef struct clusters {
  mcl_clusterer *clusterer;
  mcl_rows rows;
  int32_t *labels;
  mcli_training training;
} clusters;

static void fit(void *work) {
  clusters *w = work;
  bench_check(mcl_clusterer_fit(w->clusterer, &w->rows, NULL, &err), &err);
}

static void assign(void *work) {
  clusters *w = work;
  bench_check(mcl_clusterer_assign(w->clusterer, &w->rows, NULL, w->labels, NULL, &err), &err);
}

static void seed(void *work) {
  clusters *w = work;
  memset(w->training.state.alive, 0, (size_t)w->training.options->k);
  bench_check(mcli_seed(&w->training, &err), &err);
}

static void measure_clusters(const bench_case *c, const point *p, int32_t passes,
                             void (*call)(void *)) {
  float *x = bench_mixture(p->n, (int32_t)p->d);
  mcl_array all = mcl_matrix_f32(x, p->n, p->d), first = mcl_matrix_f32(x, p->k, p->d);
  clusters w = {.labels = bench_alloc(p->n, sizeof *w.labels)};
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = (int32_t)p->k, o.metric = MCL_L2, o.init = MCL_INIT_GIVEN;
  o.max_iterations = passes, o.tolerance = 0;
  mcl_struct_init(&w.rows, sizeof w.rows);
  w.rows.array = &all;
  mcl_context *context = bench_context(c);
  bench_check(mcl_clusterer_create_kmeans(context, &o, NULL, &w.clusterer, &err), &err);
  bench_check(mcl_clusterer_set_centroids(w.clusterer, &first, &err), &err);
  report(c, call, &w);
  mcl_clusterer_unref(w.clusterer);
  mcl_context_unref(context);
  free(x), free(w.labels);
}

static void kmeans_pass(const bench_case *c, const point *p) {
  measure_clusters(c, p, 1, fit);
}

static void kmeans_fit(const bench_case *c, const point *p) {
  measure_clusters(c, p, 20, fit);
}

static void kmeans_assign(const bench_case *c, const point *p) {
  measure_clusters(c, p, 1, assign);
}

static void kmeans_seed(const bench_case *c,
                        const point *p) { // inside the library, as bench_seeding.c
  float *x = bench_mixture(p->n, (int32_t)p->d);
  mcl_array all = mcl_matrix_f32(x, p->n, p->d);
  mcl_rows rows, open;
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &all;
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = (int32_t)p->k, o.metric = MCL_L2;
  mcl_context *context = bench_context(c);
  mcli_watch watch;
  mcli_sweep sweep = {0};
  bench_check(mcli_rows_open(&rows, "rows", &open, &err), &err);
  bench_check(mcli_sweep_open(context, NULL, &open, &sweep, &err), &err);
  bench_check(mcli_watch_begin(&watch, NULL, "seed", o.k, &err), &err);
  clusters w = {.training = {.context = context, .options = &o, .watch = &watch}};
  w.training.members.sweep = &sweep;
  bench_check(mcli_state_open(context, o.k, (int32_t)p->d, o.metric, 1, &w.training.state, &err),
              &err);
  report(c, seed, &w);
  mcli_state_close(context, &w.training.state);
  mcli_sweep_close(&sweep);
  mcl_context_unref(context);
  free(x);
}

// ---- cells and batches --------------------------------------------------------------------------

enum { BATCH_ROWS = 256, STAGES = 2, ANCHORS = 64, NEGATIVES = 16 };

typedef struct sampling {
  mcl_context *context;
  mcl_sampler *sampler;
  int64_t rows, indices[BATCH_ROWS];
  int32_t *labels[STAGES];
} sampling;

static void add_labels(void *work) {
  sampling *w = work;
  mcl_sampler_unref(w->sampler);
  bench_check(mcl_sampler_create(w->context, NULL, w->rows, 0, 1, &w->sampler, &err), &err);
  for (int32_t s = 0; s < STAGES; s++)
    bench_check(mcl_sampler_add_labels(w->sampler, s, w->labels[s], w->rows, &err), &err);
}

static void all_batches(void *work) {
  sampling *w = work;
  mcl_batch b;
  mcl_struct_init(&b, sizeof b);
  b.indices = w->indices, b.capacity = BATCH_ROWS;
  for (int64_t step = 0; step < mcl_sampler_steps(w->sampler); step++)
    bench_check(mcl_sampler_batch(w->sampler, 0, step, &b, &err), &err);
}

static void negatives(void *work) {
  sampling *w = work;
  uint64_t state = 1;
  int64_t got;
  for (int32_t i = 0; i < ANCHORS; i++) {
    int64_t anchor = (int64_t)((bench_next(&state) >> 20) % (uint64_t)w->rows);
    bench_check(mcl_sampler_negatives(w->sampler, 0, anchor, w->indices, NEGATIVES, &got, &err),
                &err);
  }
}

// k cells: the square root of as many clusters at either stage.
static void measure_sampling(const bench_case *c, const point *p, void (*call)(void *)) {
  sampling w = {.context = bench_context(c), .rows = p->n};
  int64_t values = llround(sqrt((double)p->k));
  for (int32_t s = 0; s < STAGES; s++) w.labels[s] = labels(p->n, values, (uint64_t)s + 1);
  if (call != add_labels) add_labels(&w);
  report(c, call, &w);
  for (int32_t s = 0; s < STAGES; s++) free(w.labels[s]);
  mcl_sampler_unref(w.sampler);
  mcl_context_unref(w.context);
}

static void sampler_add(const bench_case *c, const point *p) {
  measure_sampling(c, p, add_labels);
}

static void sampler_epoch(const bench_case *c, const point *p) {
  measure_sampling(c, p, all_batches);
}

static void sampler_negatives(const bench_case *c, const point *p) {
  measure_sampling(c, p, negatives);
}

// ---- losses -------------------------------------------------------------------------------------

typedef struct losses {
  mcl_context *context;
  mcl_status (*loss)(mcl_context *, const mcl_loss_options *, const mcl_loss_inputs *,
                     mcl_loss_result *, mcl_error *);
  mcl_loss_options options;
  mcl_loss_inputs in;
  mcl_loss_result result;
} losses;

static void compute_loss(void *work) {
  losses *w = work;
  bench_check(w->loss(w->context, &w->options, &w->in, &w->result, &err), &err);
}

// n rows of a view.
static void measure_loss(const bench_case *c, losses *w, int64_t n, const point *p) {
  float *x[4];
  mcl_array array[4];
  int64_t *cell = bench_alloc(n, sizeof *cell);
  for (int64_t i = 0; i < n; i++) cell[i] = i % p->k;
  for (int i = 0; i < 4; i++) {
    x[i] = numbers(n * p->d, (uint64_t)i + 1);
    array[i] = mcl_matrix_f32(x[i], n, p->d);
  }
  w->context = bench_context(c);
  mcl_loss_options_init(&w->options, sizeof w->options);
  mcl_struct_init(&w->in, sizeof w->in);
  mcl_struct_init(&w->result, sizeof w->result);
  w->in.za = &array[0], w->in.zb = &array[1], w->in.dza = &array[2], w->in.dzb = &array[3];
  w->in.cells = p->k > 1 ? cell : NULL;
  report(c, compute_loss, w);
  for (int i = 0; i < 4; i++) free(x[i]);
  free(cell);
  mcl_context_unref(w->context);
}

static void nt_xent(const bench_case *c, const point *p) {
  losses w = {.loss = mcl_loss_nt_xent};
  measure_loss(c, &w, p->n / 2, p);
}

static void info_nce(const bench_case *c, const point *p) {
  losses w = {.loss = mcl_loss_info_nce};
  measure_loss(c, &w, p->n, p);
}

// ---- images -------------------------------------------------------------------------------------

typedef struct images {
  mcl_encoder *encoder;
  mcl_augmenter *augmenter;
  mcl_inputs in;
  mcl_array data, out;
} images;

static void embed(void *work) {
  images *w = work;
  bench_check(mcl_encoder_embed(w->encoder, &w->in, &w->out, &err), &err);
}

static void augment(void *work) {
  images *w = work;
  bench_check(mcl_augmenter_apply(w->augmenter, &w->in, &w->out, &err), &err);
}

// n images of three channels and d pixels.
static void measure_images(const bench_case *c, const point *p, int views) {
  int32_t side = (int32_t)lround(sqrt((double)p->d));
  images w = {0};
  mcl_context *context = bench_context(c);
  float *x = numbers(p->n * p->d * 3, 1), *y;
  int64_t *row = bench_alloc(p->n, sizeof *row);
  for (int64_t i = 0; i < p->n; i++) row[i] = i;
  for (int64_t i = 0; i < p->n * p->d * 3; i++) x[i] = fabsf(x[i]);
  w.data = mcl_images_f32(x, p->n, side, side, 3);
  mcl_struct_init(&w.in, sizeof w.in);
  w.in.n = p->n, w.in.data = &w.data, w.in.indices = row;
  if (views) {
    y = bench_alloc(p->n * p->d * 3, sizeof *y);
    w.out = mcl_images_f32(y, p->n, side, side, 3);
    bench_check(mcl_augmenter_create(context, NULL, &w.augmenter, &err), &err);
  } else {
    mcl_cnn_options o;
    mcl_cnn_options_init(&o, sizeof o);
    o.height = o.width = side, o.channels = 3;
    bench_check(mcl_encoder_create_cnn(context, &o, &w.encoder, &err), &err);
    y = bench_alloc(p->n * mcl_encoder_dim(w.encoder), sizeof *y);
    w.out = mcl_matrix_f32(y, p->n, mcl_encoder_dim(w.encoder));
  }
  report(c, views ? augment : embed, &w);
  mcl_encoder_unref(w.encoder);
  mcl_augmenter_unref(w.augmenter);
  mcl_context_unref(context);
  free(x), free(y), free(row);
}

static void cnn_embed(const bench_case *c, const point *p) {
  measure_images(c, p, 0);
}

static void make_views(const bench_case *c, const point *p) {
  measure_images(c, p, 1);
}

// ---- representations ----------------------------------------------------------------------------

enum { MOST_STAGES = 16, QUERIES = 1000, STEPS = 50, CLASSES = 10 };

typedef struct representations {
  mcl_context *context;
  mcl_integrator *integrator;
  mcl_array stages[MOST_STAGES], out, z, queries;
  int32_t n_stages, *y, *query_y;
  mcl_weights_options weights;
  mcl_probe_options options;
  mcl_probe_result result;
} representations;

static void concat(void *work) {
  representations *w = work;
  bench_check(mcl_integrator_concat(w->integrator, w->stages, w->n_stages, &w->out, &err), &err);
}

static void fit_weights(void *work) {
  representations *w = work;
  bench_check(
      mcl_integrator_fit_weights(w->integrator, &w->weights, &w->out, w->y, NULL, NULL, &err),
      &err);
}

static void linear(void *work) {
  representations *w = work;
  bench_check(mcl_probe_linear(w->context, &w->options, &w->z, w->y, &w->queries, w->query_y, NULL,
                               &w->result, &err),
              &err);
}

static void knn(void *work) {
  representations *w = work;
  bench_check(mcl_probe_knn(w->context, &w->options, &w->z, w->y, &w->queries, w->query_y, NULL,
                            &w->result, &err),
              &err);
}

// d numbers in each of k stages.
static void measure_stages(const bench_case *c, const point *p, void (*call)(void *)) {
  representations w = {.context = bench_context(c), .n_stages = (int32_t)p->k};
  bench_check(mcl_integrator_create(w.context, NULL, &w.integrator, &err), &err);
  for (int32_t s = 0; s < w.n_stages; s++) {
    w.stages[s] = mcl_matrix_f32(numbers(p->n * p->d, (uint64_t)s + 1), p->n, p->d);
    bench_check(mcl_integrator_add_stage(w.integrator, NULL, (int32_t)p->d, 1, &err), &err);
  }
  w.out = mcl_matrix_f32(bench_alloc(p->n * p->d * p->k, sizeof(float)), p->n, p->d * p->k);
  w.y = labels(p->n, CLASSES, 9);
  mcl_weights_options_init(&w.weights, sizeof w.weights);
  w.weights.max_iterations = CLASSES;
  concat(&w);
  report(c, call, &w);
  for (int32_t s = 0; s < w.n_stages; s++) free(w.stages[s].data);
  free(w.out.data), free(w.y);
  mcl_integrator_unref(w.integrator);
  mcl_context_unref(w.context);
}

static void integrate(const bench_case *c, const point *p) {
  measure_stages(c, p, concat);
}

static void weights(const bench_case *c, const point *p) {
  measure_stages(c, p, fit_weights);
}

static void measure_probe(const bench_case *c, const point *p, int64_t classes,
                          void (*call)(void *)) {
  representations w = {.context = bench_context(c)};
  w.z = mcl_matrix_f32(bench_mixture(p->n, (int32_t)p->d), p->n, p->d);
  w.queries = mcl_matrix_f32(bench_mixture(QUERIES, (int32_t)p->d), QUERIES, p->d);
  w.y = labels(p->n, classes, 1), w.query_y = labels(QUERIES, classes, 2);
  mcl_probe_options_init(&w.options, sizeof w.options);
  mcl_struct_init(&w.result, sizeof w.result);
  w.options.max_iterations = STEPS, w.options.gradient_tolerance = 1e-30;
  w.options.neighbours = (int32_t)p->k;
  report(c, call, &w);
  free(w.z.data), free(w.queries.data), free(w.y), free(w.query_y);
  mcl_context_unref(w.context);
}

static void linear_probe(const bench_case *c, const point *p) {
  measure_probe(c, p, p->k, linear);
}

static void knn_probe(const bench_case *c, const point *p) {
  measure_probe(c, p, CLASSES, knn);
}

// ---- all of them --------------------------------------------------------------------------------

static const part parts[] = {
    {"kmeans-pass",
     kmeans_pass,
     {100000, 64, 100},
     {{25000, 50000, 100000, 200000, 400000}, {16, 32, 64, 128, 256}, {10, 32, 100, 316, 1000}}},
    {"kmeans-fit",
     kmeans_fit,
     {50000, 64, 100},
     {{12500, 25000, 50000, 100000, 200000}, {16, 32, 64, 128, 256}, {10, 32, 100, 316}}},
    {"kmeans-seed",
     kmeans_seed,
     {50000, 64, 100},
     {{12500, 25000, 50000, 100000, 200000}, {16, 32, 64, 128, 256}, {10, 32, 100, 316, 1000}}},
    {"kmeans-assign",
     kmeans_assign,
     {100000, 64, 100},
     {{25000, 50000, 100000, 200000, 400000}, {16, 32, 64, 128, 256}, {10, 32, 100, 316, 1000}}},
    {"sampler-add",
     sampler_add,
     {1000000, 1, 100},
     {{100000, 316000, 1000000, 3160000, 10000000}, {1}, {9, 100, 1024, 10000, 99856}}},
    {"sampler-epoch",
     sampler_epoch,
     {1000000, 1, 100},
     {{100000, 316000, 1000000, 3160000, 10000000}, {1}, {9, 100, 1024, 10000, 99856}}},
    {"sampler-negatives",
     sampler_negatives,
     {1000000, 1, 1024},
     {{100000, 316000, 1000000, 3160000}, {1}, {100, 1024, 10000, 99856}}},
    {"nt-xent",
     nt_xent,
     {2048, 128, 1},
     {{512, 1024, 2048, 4096, 8192}, {32, 64, 128, 256, 512}, {1, 2, 4, 8, 16}}},
    {"info-nce",
     info_nce,
     {2048, 128, 1},
     {{512, 1024, 2048, 4096, 8192}, {32, 64, 128, 256, 512}, {1, 2, 4, 8, 16}}},
    {"embed", cnn_embed, {256, 784, 1}, {{64, 256, 1024, 4096}, {196, 400, 784, 1600, 3136}, {1}}},
    {"views", make_views, {256, 1024, 1}, {{64, 256, 1024, 4096}, {256, 1024, 4096, 16384}, {1}}},
    {"integrate",
     integrate,
     {100000, 64, 2},
     {{25000, 50000, 100000, 200000, 400000}, {16, 32, 64, 128}, {1, 2, 4, 8}}},
    {"weights", weights, {400, 64, 2}, {{100, 200, 400, 800}, {16, 64, 256}, {2, 4, 8}}},
    {"linear-probe",
     linear_probe,
     {20000, 64, 10},
     {{5000, 10000, 20000, 40000, 80000}, {16, 32, 64, 128, 256}, {2, 10, 32, 100}}},
    {"knn",
     knn_probe,
     {40000, 64, 20},
     {{10000, 20000, 40000, 80000, 160000}, {16, 32, 64, 128, 256}, {1, 5, 20, 100}}}};

static void run(const part *of, point p) {
  bench_case c;
  int base = memcmp(&p, &of->base, sizeof p) == 0;
  if (!bench_wanted(&c, "scaling", "%s-n%lld-d%lld-k%lld", of->name, (long long)p.n, (long long)p.d,
                    (long long)p.k))
    return;
  bench_inputs(&c, ",\"part\":\"%s\",\"n\":%lld,\"d\":%lld,\"k\":%lld,\"base\":%s", of->name,
               (long long)p.n, (long long)p.d, (long long)p.k, base ? "true" : "false");
  if (bench.quick) p.n = p.n < 50 * 64 ? 64 : p.n / 50;
  if (bench.quick && strncmp(of->name, "kmeans", 6) == 0 && p.k > p.n) p.k = p.n;
  of->measure(&c, &p);
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const part *of = &parts[i];
    run(of, of->base);
    for (int axis = 0; axis < AXES; axis++)
      for (int j = 0; j < POINTS && of->along[axis][j]; j++) {
        point p = of->base;
        int64_t *at = axis == 0 ? &p.n : axis == 1 ? &p.d : &p.k;
        if (*at == of->along[axis][j]) continue;
        *at = of->along[axis][j];
        run(of, p);
      }
  }
  return 0;
}
