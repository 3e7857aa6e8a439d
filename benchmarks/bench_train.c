// Networks at work, beside PyTorch's in benchmarks/peers.py: a training step (two views forward, both backward, one step of Adam)
// and embedding. Prints a JSON line a case with the fastest of N calls; an image is one view of one row. peak_mib is what the
// library holds at most, its weights included and the caller's arrays not; cpu_ms the processor time of all threads, by which
// two builds can still be compared on a machine that others keep busy.
//
//   bench_train [threads [N [case]]]
//
// By default on 1 and on 2 threads, N = 80, all cases; the larger networks are called N / 16 times, at least once.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libmcl/encoder.h>

static int times = 80;
static const char *only;

static mcl_error err;

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

// Bytes that the library holds, from any thread; the most of them.
typedef struct counter {
  long long live, most;
} counter;

static void *counted_alloc(void *user, size_t size, size_t alignment) {
  counter *c = user;
  long long live = __atomic_add_fetch(&c->live, (long long)size, __ATOMIC_RELAXED);
  if (live > c->most) c->most = live;
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void counted_free(void *user, void *p, size_t size, size_t alignment) {
  (void)alignment;
  __atomic_sub_fetch(&((counter *)user)->live, (long long)size, __ATOMIC_RELAXED);
  free(p);
}

// ---- what is timed ---------------------------------------------------------------------------------

// One network and the rows that it is given.
typedef struct work {
  const char *name;
  int32_t rows, side, channels; // of one view
  int large;
  mcl_status (*make)(mcl_context *c, const struct work *w, mcl_encoder **out);
} work;

typedef struct batch {
  mcl_encoder *encoder;
  mcl_inputs in;
  mcl_array data, out, grad;
} batch;

static int step(batch *b) {
  for (b->in.view = 0; b->in.view < 2; b->in.view++)
    if (mcl_encoder_forward(b->encoder, &b->in, &b->out, &err) < 0) return 0;
  for (b->in.view = 0; b->in.view < 2; b->in.view++)
    if (mcl_encoder_backward(b->encoder, &b->in, &b->grad, &err) < 0) return 0;
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 1e-5;
  return mcl_encoder_step(b->encoder, &s, &err) == MCL_OK;
}

static int embed(batch *b) {
  mcl_array out = mcl_matrix_f32(b->out.data, b->in.n, mcl_encoder_dim(b->encoder));
  for (b->in.view = 0; b->in.view < 2; b->in.view++)
    if (mcl_encoder_embed(b->encoder, &b->in, &out, &err) < 0) return 0;
  return 1;
}

static int time_it(const work *w, const char *bench, uint32_t threads, batch *b,
                   int (*call)(batch *), const counter *bytes) {
  double best = 1e12, cpu = 1e12;
  for (int i = 0; i < (w->large ? (times + 15) / 16 : times); i++) {
    double began = now(CLOCK_MONOTONIC), worked = now(CLOCK_PROCESS_CPUTIME_ID);
    if (!call(b)) return 0;
    double took = now(CLOCK_MONOTONIC) - began;
    worked = now(CLOCK_PROCESS_CPUTIME_ID) - worked;
    if (took < best) best = took;
    if (worked < cpu) cpu = worked;
  }
  printf("{\"bench\":\"%s\",\"case\":\"%s\",\"threads\":%u,\"ours_ms\":%.2f,\"cpu_ms\":%.2f,"
         "\"images_per_s\":%.0f,\"peak_mib\":%.1f}\n",
         bench, w->name, threads, best, cpu, 2e3 * w->rows / best, (double)bytes->most / 0x1p20);
  fflush(stdout);
  return 1;
}

static int run_batch(const work *w, uint32_t threads, mcl_encoder *e, counter *bytes) {
  int32_t outputs = mcl_encoder_projection_dim(e), dim = mcl_encoder_dim(e);
  size_t inputs = (size_t)w->rows * w->side * w->side * w->channels;
  size_t wide = (size_t)w->rows * (outputs > dim ? outputs : dim);
  float *x = malloc(inputs * sizeof *x), *z = malloc(wide * sizeof *z),
        *g = malloc(wide * sizeof *g);
  if (!x || !z || !g) return 0;
  for (size_t i = 0; i < inputs; i++) x[i] = (float)(i * 7919 % 1000) / 1000;
  for (size_t i = 0; i < wide; i++) g[i] = (float)((int)(i % 17) - 8) * 1e-4F;
  batch b = {.encoder = e,
             .data = mcl_images_f32(x, w->rows, w->side, w->side, w->channels),
             .out = mcl_matrix_f32(z, w->rows, outputs),
             .grad = mcl_matrix_f32(g, w->rows, outputs)};
  mcl_struct_init(&b.in, sizeof b.in);
  b.in.n = w->rows;
  b.in.data = &b.data;
  int fine = time_it(w, "embed", threads, &b, embed, bytes) &&
             time_it(w, "train", threads, &b, step, bytes);
  free(x), free(z), free(g);
  return fine;
}

// ---- the networks ----------------------------------------------------------------------------------

static mcl_status make_cnn(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = o.width = w->side;
  o.channels = w->channels;
  o.batch_norm = strcmp(w->name, "small-cnn") != 0;
  return mcl_encoder_create_cnn(c, &o, out, &err);
}

static mcl_status make_mlp(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = w->side * w->side * w->channels;
  o.hidden = 512;
  return mcl_encoder_create_mlp(c, &o, out, &err);
}

static mcl_status make_resnet(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.height = o.width = w->side;
  o.channels = w->channels;
  o.stem = MCL_STEM_CIFAR;
  return mcl_encoder_create_resnet(c, &o, out, &err);
}

static mcl_status make_vit(mcl_context *c, const work *w, mcl_encoder **out) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.height = o.width = w->side;
  o.channels = w->channels;
  o.patch = 4, o.embed = 192, o.layers = 6, o.heads = 3;
  o.gelu = MCL_GELU, o.pre_norm = 0;
  return mcl_encoder_create_vit(c, &o, out, &err);
}

static const work works[] = {{"small-cnn", 256, 14, 5, 0, make_cnn},
                             {"small-cnn-batch-norm", 256, 14, 5, 0, make_cnn},
                             {"mlp", 256, 14, 5, 0, make_mlp},
                             {"resnet18-cifar", 64, 32, 3, 1, make_resnet},
                             {"vit-4-192-6", 64, 32, 3, 1, make_vit}};

static int run(const work *w, uint32_t threads) {
  if (only && strcmp(only, w->name) != 0) return 1;
  counter bytes = {0, 0};
  mcl_allocator memory;
  mcl_struct_init(&memory, sizeof memory);
  memory.user = &bytes, memory.alloc = counted_alloc, memory.free = counted_free;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = threads, o.allocator = &memory;
  mcl_context *c = NULL;
  mcl_encoder *e = NULL;
  int fine = mcl_context_create(&o, &c, &err) == MCL_OK && w->make(c, w, &e) == MCL_OK &&
             run_batch(w, threads, e, &bytes);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
  return fine;
}

int main(int argc, char **argv) {
  uint32_t given = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
  int fine = 1;
  if (argc > 2) times = atoi(argv[2]);
  if (argc > 3) only = argv[3];
  if (given > 1024 || times < 1) return 2;
  for (uint32_t threads = given ? given : 1; fine && threads <= (given ? given : 2); threads++)
    for (size_t i = 0; fine && i < sizeof works / sizeof *works; i++)
      fine = run(&works[i], threads);
  if (!fine) fprintf(stderr, "%s\n", err.message);
  return !fine;
}
