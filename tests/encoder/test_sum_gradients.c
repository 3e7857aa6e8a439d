// Gradients over ranks: a step of several ranks with parts of a batch is the step of one process with the batch in chunks.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/encoder.h>

#include "support/ranks.h"

enum {
  ROWS = 24,
  SIDE = 6,
  INPUTS = SIDE * SIDE,
  CONTEXT = 5,
  VOCABULARY = 20,
  DIM = 6,
  STEPS = 3
};
enum { MLP, CNN, CNN_WITH_NORM, PAIR, WITHIN, KINDS };

static float images[ROWS * INPUTS], gradients[2][ROWS * DIM];
static int32_t texts[ROWS * CONTEXT];

static void make_data(void) {
  test_fill(images, ROWS * INPUTS, 1, 0, 1);
  for (int i = 0; i < ROWS * CONTEXT; i++) texts[i] = i * 7 % VOCABULARY;
  for (int v = 0; v < 2; v++) test_fill_normal(gradients[v], ROWS * DIM, 30 + (uint64_t)v);
}

static mcl_encoder *image_tower(mcl_context *c, int norm, uint64_t seed) {
  mcl_error err;
  mcl_optimiser_options sgd;
  mcl_cnn_options o;
  mcl_encoder *e = NULL;
  mcl_optimiser_options_init(&sgd, sizeof sgd);
  mcl_cnn_options_init(&o, sizeof o);
  sgd.kind = MCL_SGD;
  o.seed = seed;
  o.height = o.width = SIDE, o.channels = 1, o.layers = 1, o.batch_norm = (uint32_t)norm;
  o.dim = DIM, o.projection_dim = 0, o.optimiser = &sgd;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
  return e;
}

// A host's encoder that hands everything on to one within it.
static mcl_status within_embed(void *user, const mcl_inputs *in, const mcl_array *out,
                               mcl_error *err) {
  return mcl_encoder_embed(user, in, out, err);
}
static mcl_status within_forward(void *user, const mcl_inputs *in, const mcl_array *out,
                                 mcl_error *err) {
  return mcl_encoder_forward(user, in, out, err);
}
static mcl_status within_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                  mcl_error *err) {
  return mcl_encoder_backward(user, in, grad, err);
}
static mcl_status within_step(void *user, const mcl_step *s, mcl_error *err) {
  return mcl_encoder_step(user, s, err);
}
static mcl_status within_sum(void *user, mcl_comm *comm, mcl_error *err) {
  return mcl_encoder_sum_gradients(user, comm, err);
}
static void within_give_up(void *user) {
  mcl_error err;
  CHECK_OK(mcl_encoder_give_up(user, &err));
}
static void within_destroy(void *user) {
  mcl_encoder_unref(user);
}

static mcl_encoder *around(mcl_context *c, mcl_encoder *inner) {
  mcl_error err;
  mcl_encoder *e = NULL;
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.user = inner;
  h.dim = mcl_encoder_dim(inner), h.projection_dim = mcl_encoder_projection_dim(inner);
  h.flags = MCL_HOST_CHUNKS;
  h.embed = within_embed, h.forward = within_forward, h.backward = within_backward;
  h.step = within_step, h.sum_gradients = within_sum, h.give_up = within_give_up;
  h.destroy = within_destroy;
  CHECK_OK(mcl_encoder_create_host(c, &h, &e, &err));
  return e;
}

static mcl_encoder *make(mcl_context *c, int kind, uint64_t seed) {
  mcl_error err;
  if (kind == WITHIN) return around(c, make(c, MLP, seed));
  mcl_optimiser_options sgd;
  mcl_optimiser_options_init(&sgd, sizeof sgd);
  sgd.kind = MCL_SGD;
  mcl_encoder *e = NULL;
  if (kind == CNN || kind == CNN_WITH_NORM) return image_tower(c, kind == CNN_WITH_NORM, seed);
  if (kind == MLP) {
    mcl_mlp_options o;
    mcl_mlp_options_init(&o, sizeof o);
    o.seed = seed;
    o.inputs = INPUTS, o.hidden = 16, o.layers = 1, o.dim = 8, o.projection_dim = DIM;
    o.optimiser = &sgd;
    CHECK_OK(mcl_encoder_create_mlp(c, &o, &e, &err));
    return e;
  }
  mcl_bag_options b;
  mcl_pair_options p;
  mcl_encoder *text = NULL, *image = image_tower(c, 1, seed);
  mcl_bag_options_init(&b, sizeof b);
  mcl_pair_options_init(&p, sizeof p);
  b.seed = seed;
  b.vocabulary = VOCABULARY, b.context = CONTEXT, b.embed = 7, b.hidden = 9, b.dim = 8;
  b.optimiser = p.optimiser = &sgd;
  p.dim = DIM;
  CHECK_OK(mcl_encoder_create_bag(c, &b, &text, &err));
  CHECK_OK(mcl_encoder_create_pair(c, &p, image, text, &e, &err));
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return e;
}

// Rows first .. first + n - 1 of view v: of a pair the second view is the text.
static mcl_inputs inputs_of(int kind, int v, int64_t first, int64_t n, mcl_array *data) {
  mcl_inputs in;
  int text = kind == PAIR && v == 1;
  const int64_t shape[2] = {n, text ? CONTEXT : INPUTS};
  mcl_array_init(data, text ? (void *)(texts + first * CONTEXT) : (void *)(images + first * INPUTS),
                 text ? MCL_I32 : MCL_F32, 2, shape);
  mcl_struct_init(&in, sizeof in);
  in.data = data;
  in.n = n;
  in.view = kind == PAIR ? 0 : v;
  in.modality = text;
  return in;
}

static void forward(mcl_encoder *e, int kind, int64_t first, int64_t n) {
  mcl_error err;
  float z[ROWS * DIM];
  for (int v = 0; v < 2; v++) {
    mcl_array data, out = mcl_matrix_f32(z, n, DIM);
    mcl_inputs in = inputs_of(kind, v, first, n, &data);
    CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
  }
}

// Its part of the gradients, and of the temperature's by rows.
static void backward(mcl_encoder *e, int kind, int64_t first, int64_t n) {
  mcl_error err;
  for (int v = 0; v < 2; v++) {
    mcl_array data, grad = mcl_matrix_f32(gradients[v] + first * DIM, n, DIM);
    mcl_inputs in = inputs_of(kind, v, first, n, &data);
    CHECK_OK(mcl_encoder_backward(e, &in, &grad, &err));
  }
  if (kind == PAIR) CHECK_OK(mcl_encoder_backward_temperature(e, 0.02 * (double)n, &err));
}

static void step(mcl_encoder *e) {
  mcl_error err;
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 0.02;
  CHECK_OK(mcl_encoder_step(e, &s, &err));
}

// What it has learnt, running figures and temperature included.
enum { KNOWN = 2 * ROWS * 8 + 1 };
static void look(mcl_encoder *e, int kind, double *known) {
  mcl_error err;
  float z[ROWS * 8];
  int32_t dim = mcl_encoder_dim(e);
  memset(known, 0, KNOWN * sizeof *known);
  for (int v = 0; v < 2; v++) {
    mcl_array data, out = mcl_matrix_f32(z, ROWS, dim);
    mcl_inputs in = inputs_of(kind, v, 0, ROWS, &data);
    CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
    for (int i = 0; i < ROWS * dim; i++) known[v * ROWS * 8 + i] = (double)z[i];
  }
  if (kind == PAIR) CHECK_OK(mcl_encoder_temperature(e, &known[KNOWN - 1], &err));
}

// Parts of three ranks and of four: uneven, and one that is empty, the first or another.
typedef struct split {
  int32_t size, kind;
  int64_t first[MOST_TEST_RANKS + 1];
} split;
static const split splits[] = {
    {2, 0, {0, 12, 24}}, {3, 0, {0, 7, 7, 24}}, {3, 0, {0, 0, 10, 24}}, {4, 0, {0, 5, 11, 17, 24}}};

static double wanted[KNOWN], found[KNOWN];

static void one_process(const split *p) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = make(c, p->kind, 3);
  for (int i = 0; i < STEPS; i++) {
    for (int32_t r = 0; r < p->size; r++) {
      int64_t n = p->first[r + 1] - p->first[r];
      if (n == 0) continue;
      forward(e, p->kind, p->first[r], n);
      backward(e, p->kind, p->first[r], n);
    }
    step(e);
  }
  look(e, p->kind, wanted);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}

static pthread_barrier_t looked;

static void one_rank(test_rank *r) {
  const split *p = r->user;
  mcl_error err;
  double mine[KNOWN];
  mcl_encoder *e = make(r->context, p->kind, 3);
  for (int i = 0; i < STEPS; i++) {
    int64_t first = p->first[r->rank], n = p->first[r->rank + 1] - first;
    forward(e, p->kind, first, n);
    backward(e, p->kind, first, n);
    CHECK_OK(mcl_encoder_sum_gradients(e, r->comm, &err));
    step(e);
  }
  look(e, p->kind, mine);
  if (r->rank == 0) memcpy(found, mine, sizeof found);
  pthread_barrier_wait(&looked);
  ck_assert_mem_eq(mine, found, sizeof mine); // all ranks have the same bits
  mcl_encoder_unref(e);
}

START_TEST(a_step_of_ranks_is_that_of_one_process_in_chunks) {
  make_data();
  for (size_t i = 0; i < sizeof splits / sizeof *splits; i++)
    for (int kind = 0; kind < KINDS; kind++)
      for (int by_sum = 0; by_sum <= 1; by_sum++) {
        split p = splits[i];
        p.kind = kind;
        one_process(&p);
        test_ranks w = {.size = p.size, .by_sum = by_sum};
        pthread_barrier_init(&looked, NULL, (unsigned)p.size);
        test_ranks_run(&w, one_rank, &p);
        pthread_barrier_destroy(&looked);
        double worst = 0, largest = 0;
        for (int k = 0; k < KNOWN; k++) {
          worst = test_worse(worst, fabs(found[k] - wanted[k]));
          largest = fmax(largest, fabs(wanted[k]));
        }
        ck_assert_msg(worst <= 1e-5 * largest, "split %zu, kind %d: %g of %g", i, kind, worst,
                      largest);
      }
}
END_TEST

// It has moved by more than that: gradients that were lost would show.
START_TEST(parts_that_are_not_summed_give_another_step) {
  mcl_context *c = test_context(1);
  make_data();
  split p = splits[0];
  for (p.kind = 0; p.kind < KINDS; p.kind++) {
    double alone[KNOWN], worst = 0;
    one_process(&p);
    mcl_encoder *e = make(c, p.kind, 3);
    for (int i = 0; i < STEPS; i++) {
      forward(e, p.kind, 0, 12);
      backward(e, p.kind, 0, 12);
      step(e);
    }
    look(e, p.kind, alone);
    for (int k = 0; k < KNOWN; k++) worst = test_worse(worst, fabs(alone[k] - wanted[k]));
    ck_assert(worst > 1e-2);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

// ---- failures -------------------------------------------------------------------------------------------------------

static mcl_status host_rows(void *user, const mcl_inputs *in, const mcl_array *out,
                            mcl_error *err) {
  (void)user;
  memset(out->data, 0, (size_t)(in->n * DIM) * sizeof(float));
  return mcl_ok(err);
}
static mcl_status host_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                mcl_error *err) {
  (void)user, (void)in, (void)grad;
  return mcl_ok(err);
}
static mcl_status host_step(void *user, const mcl_step *s, mcl_error *err) {
  (void)user, (void)s;
  return mcl_ok(err);
}
static mcl_status host_sum(void *user, mcl_comm *comm, mcl_error *err) {
  ck_assert_ptr_nonnull(comm);
  return user ? mcl_error_set(err, MCL_E_CALLBACK, 9, "no network") : mcl_ok(err);
}

static mcl_encoder *host_encoder(mcl_context *c, int sums, int fails) {
  mcl_error err;
  mcl_encoder *e = NULL;
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.dim = DIM;
  h.embed = h.forward = host_rows;
  h.backward = host_backward;
  h.step = host_step;
  if (sums) h.sum_gradients = host_sum;
  if (fails) h.user = &h;
  CHECK_OK(mcl_encoder_create_host(c, &h, &e, &err));
  return e;
}

static void failures(test_rank *r) {
  mcl_error err;
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_sum_gradients(NULL, r->comm, &err));
  mcl_encoder *e = make(r->context, MLP, 3);
  CHECK_FAILS(MCL_E_STATE, "rank 0", mcl_encoder_sum_gradients(e, r->comm, &err));
  forward(e, MLP, 0, 4);
  if (r->rank != 1) backward(e, MLP, 0, 4);
  CHECK_FAILS(MCL_E_STATE, "rank 1", mcl_encoder_sum_gradients(e, r->comm, &err));
  // The batch was given up on all ranks, and the next one is fine.
  mcl_array data, grad = mcl_matrix_f32(gradients[0], 4, DIM);
  mcl_inputs in = inputs_of(MLP, 0, 0, 4, &data);
  CHECK_FAILS(MCL_E_STATE, "backward", mcl_encoder_backward(e, &in, &grad, &err));
  forward(e, MLP, 0, 4);
  backward(e, MLP, 0, 4);
  CHECK_OK(mcl_encoder_sum_gradients(e, r->comm, &err));
  step(e);
  mcl_encoder_unref(e);
  // Other weights, another network.
  e = make(r->context, MLP, r->rank == 1 ? 4 : 3);
  forward(e, MLP, 0, 4);
  backward(e, MLP, 0, 4);
  CHECK_FAILS(MCL_E_MISMATCH, "rank 1 has other weights",
              mcl_encoder_sum_gradients(e, r->comm, &err));
  mcl_encoder_unref(e);
  e = make(r->context, r->rank == 1 ? CNN : MLP, 3);
  int kind = r->rank == 1 ? CNN : MLP;
  forward(e, kind, 0, 4);
  backward(e, kind, 0, 4);
  CHECK_FAILS(MCL_E_MISMATCH, "rank 1", mcl_encoder_sum_gradients(e, r->comm, &err));
  mcl_encoder_unref(e);
  // A host's: without the callback, and with one that fails on one rank.
  e = host_encoder(r->context, 0, 0);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "sum_gradients", mcl_encoder_sum_gradients(e, r->comm, &err));
  mcl_encoder_unref(e);
  e = host_encoder(r->context, 1, r->rank == 2);
  forward(e, MLP, 0, 4);
  backward(e, MLP, 0, 4);
  CHECK_FAILS(MCL_E_CALLBACK, "no network", mcl_encoder_sum_gradients(e, r->comm, &err));
  ck_assert_ptr_nonnull(strstr(err.message, "rank 2"));
  mcl_encoder_unref(e);
}

START_TEST(what_fails_on_one_rank_gives_the_batch_up_on_all) {
  make_data();
  test_ranks w = {.size = 3};
  test_ranks_run(&w, failures, NULL);
}
END_TEST

START_TEST(one_process_has_nothing_to_do) {
  mcl_error err;
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = make(c, MLP, 3);
  forward(e, MLP, 0, 4);
  backward(e, MLP, 0, 4);
  CHECK_OK(mcl_encoder_sum_gradients(e, NULL, &err));
  step(e);
  mcl_encoder_unref(e);
  e = host_encoder(c, 0, 0); // it has no sum_gradients, and needs none here
  CHECK_OK(mcl_encoder_sum_gradients(e, NULL, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("gradients over ranks", a_step_of_ranks_is_that_of_one_process_in_chunks,
          parts_that_are_not_summed_give_another_step,
          what_fails_on_one_rank_gives_the_batch_up_on_all, one_process_has_nothing_to_do)
