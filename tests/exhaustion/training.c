// Encoders of every kind at work: embeddings, and the calls of a step of training.
#include "exhaustion/kinds.h"

static int kind;
static mcl_encoder *encoder;
static float y[2][ROWS * OUT * 8], z[2][ROWS * 64], dy[ROWS * OUT * 8];

static void prepare(int of) {
  kind = of;
  put_clip();
  PATTERN(y), PATTERN(z);
  test_fill(dy, ROWS * OUT * 8, 3, -1, 1);
  CHECK_OK(make_kind(of, 1, &encoder));
}

// View v of training: with two modalities, modality v.
static mcl_inputs view(int v) {
  return inputs_of(kind, mcl_encoder_modalities(encoder) == 2 ? v : 0, v);
}

static mcl_status embed(void) {
  mcl_inputs i = view(0);
  mcl_array out = mcl_matrix_f32(z[0], ROWS, width_of(encoder, false));
  i.view = -1;
  return mcl_encoder_embed(encoder, &i, &out, &err);
}

static mcl_status forward_view(int v) {
  mcl_inputs i = view(v);
  mcl_array out = mcl_matrix_f32(y[v], ROWS, width_of(encoder, true));
  return mcl_encoder_forward(encoder, &i, &out, &err);
}

static mcl_status forward(void) {
  return forward_view(0);
}

static void forward_both(void) {
  for (int v = 0; v < 2; v++) CHECK_OK(forward_view(v));
}

static mcl_status held(void) {
  mcl_inputs i = view(1);
  mcl_array out = mcl_matrix_f32(z[1], ROWS, width_of(encoder, false));
  return mcl_encoder_held(encoder, &i, &out, &err);
}

static mcl_status backward_view(int v) {
  mcl_inputs i = view(v);
  mcl_array grad = mcl_matrix_f32(dy, ROWS, width_of(encoder, true));
  return mcl_encoder_backward(encoder, &i, &grad, &err);
}

static mcl_status step(void) {
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 0.01;
  return mcl_encoder_step(encoder, &s, &err);
}

// Both views' backward: what failed gave the batch up, and it is forwarded again.
static mcl_status backward(void) {
  mcl_status s = backward_view(1);
  return s == MCL_OK ? backward_view(0) : s;
}

// A whole step in two chunks from its first forward on. Whatever fails, the batch is given up and comes again.
static mcl_status whole_step(void) {
  mcl_status s = MCL_OK;
  for (int chunk = 0; chunk < 2 && s == MCL_OK; chunk++) {
    for (int v = 0; v < 2 && s == MCL_OK; v++) s = forward_view(v);
    if (s == MCL_OK) s = backward();
  }
  return s == MCL_OK ? step() : s;
}

static void give_up(void) {
  CHECK_OK(mcl_encoder_give_up(encoder, &err));
}

// A step that was taken before, so that there are moments.
static void step_once(void) {
  CHECK_OK(whole_step());
  PATTERN(y);
}

static void look_at_all(seen *s) {
  see(s, y, sizeof y), see(s, z, sizeof z);
  see_encoder(s, encoder, kind);
}

// Views that were forwarded stay written where a later one fails.
static void look_at_weights(seen *s) {
  see_encoder(s, encoder, kind);
}

static void finish(void) {
  mcl_encoder_unref(encoder);
}

#define KIND(of)                                                                                   \
  static void prepare_##of(void) {                                                                 \
    prepare(of);                                                                                   \
  }                                                                                                \
  static void forwarded_##of(void) {                                                               \
    prepare(of);                                                                                   \
    forward_both();                                                                                \
  }                                                                                                \
  static void stepped_##of(void) {                                                                 \
    prepare(of);                                                                                   \
    step_once();                                                                                   \
  }
EVERY_KIND(KIND)

// Which of held, backward and a second step ask for no memory: buffers are kept from step to step.
#define CALL(name, of, what, prepare, call, look, again, free)                                     \
  { "mcl_encoder_" name, #of what, prepare##_##of, call, look, finish, again, (free) | KEEPS_ROOM }
#define CALLS(of, free_held, free_backward, free_step)                                             \
  CALL("embed", of, "", prepare, embed, look_at_all, NULL, 0),                                     \
      CALL("forward", of, "", prepare, forward, look_at_all, NULL, 0),                             \
      CALL("held", of, "", forwarded, held, look_at_all, NULL, free_held),                         \
      CALL("backward", of, "", forwarded, backward, look_at_all, forward_both, free_backward),     \
      CALL("forward", of, " to step, the first", prepare, whole_step, look_at_weights, give_up,    \
           0),                                                                                     \
      CALL("forward", of, " to step, the second", stepped, whole_step, look_at_weights, give_up,   \
           free_step)
enum { NONE = NO_MEMORY };
static const exhaust_case cases[] = {
    CALLS(CNN, 0, NONE, NONE),
    CALLS(NORMED, 0, NONE, NONE),
    CALLS(MLP, 0, NONE, NONE),
    CALLS(RESNET, 0, NONE, NONE),
    CALLS(VIT, 0, NONE, NONE),
    CALLS(TEXT, 0, NONE, NONE),
    CALLS(BAG, NONE, NONE, NONE),
    CALLS(PAIR, NONE, 0, NONE),
    CALLS(HOSTS, NONE, 0, NONE),
    CALLS(CLIP, NONE, 0, NONE),
    CALLS(HOST, 0, NONE, NONE),
    // An integrator's encoder hands no held embeddings on.
    CALL("embed", HEAD, "", prepare, embed, look_at_all, NULL, 0),
    CALL("forward", HEAD, "", prepare, forward, look_at_all, NULL, 0),
    CALL("backward", HEAD, "", forwarded, backward, look_at_all, forward_both, NONE),
    CALL("forward", HEAD, " to step, the first", prepare, whole_step, look_at_weights, give_up, 0),
    CALL("forward", HEAD, " to step, the second", stepped, whole_step, look_at_weights, give_up, 0),
};
PART(training, cases);
