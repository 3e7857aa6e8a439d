// A world of handles, and operations on it: one public call each, or a few that belong together, with arguments drawn from
// bytes. The fuzzer (api.c) draws any arguments; the soak (tests/soak) only legal ones, so that a call may fail only where its
// handle's state says so.
//
// Operations are listed by part (data.c, learn.c, cluster.c, loop.c). Arrays that calls read lie in pools that never change.
#ifndef MCL_TESTS_FUZZ_WORLD_H
#define MCL_TESTS_FUZZ_WORLD_H

#include <libmcl/mcl.h>

#include "fuzz/fuzz.h"

enum { SLOTS = 3, POOL = 1 << 16, MOST_ROWS = 24 };

// An encoder, and the rows it reads: [n, height, width, channels] or [n, numbers] of float32, or [n, numbers] of tokens.
typedef struct learner {
  mcl_encoder *encoder;
  int64_t shape[3];
  int32_t ndim, vocabulary; // 0: no tokens
} learner;

typedef struct world {
  mcl_context *context;
  fuzz_bytes *in;
  int legal;
  mcl_error err;
  mcl_dataset *datasets[SLOTS];
  mcl_tokenizer *tokenizers[SLOTS];
  mcl_augmenter *augmenters[SLOTS];
  int64_t views[SLOTS][2]; // height and width that each makes; 0: its input's
  learner learners[SLOTS];
  mcl_clusterer *clusterers[SLOTS];
  mcl_sampler *samplers[SLOTS];
  mcl_npy *files[SLOTS];
  mcl_checkpoint *checkpoints[SLOTS];
  mcl_checkpoint_writer *writers[SLOTS];
  mcl_comm *comms[SLOTS];
  mcl_integrator *integrators[SLOTS];
  mcl_multistage *loops[SLOTS];
  int64_t loop_rows[SLOTS];
} world;

typedef struct operation {
  const char *name;
  void (*run)(world *w);
} operation;
// Each ends with a NULL name.
extern const operation data_operations[], learn_operations[], cluster_operations[],
    loop_operations[];

void world_begin(world *w, mcl_context *context, fuzz_bytes *in, int legal);
void world_end(world *w);  // every handle's last reference
void world_step(world *w); // one operation
int64_t world_count(void); // operations there are
// What became of each so far; those of no name were never drawn.
enum { MOST_OPERATIONS = 128 };
typedef struct world_tally {
  const char *name;
  int64_t calls, succeeded;
} world_tally;
const world_tally *world_tallies(void);

// ---- for operations -----------------------------------------------------------------------------

// 1 where the call has succeeded. In the soak a failure must be one of state, not of arguments.
int done(world *w, mcl_status status);
#define TRY(call) done(w, call)
// The same of a call that may find its arguments wrong, since they follow from other handles' state.
int may(world *w, mcl_status status);

// lo .. hi; the fuzzer now and then any number.
int64_t draw(world *w, int64_t lo, int64_t hi);
// A number of lo .. hi, likewise.
double draw_real(world *w, double lo, double hi);
// A slot's number.
int slot(world *w);
// 1 where the fuzzer is to do something that is not legal, once in 16 or so.
int wild(world *w);
// An options struct as it is; the fuzzer's of another size, now and then.
#define GIVE(w, o) ((w)->legal ? &(o) : fuzz_struct((w)->in, &(o), sizeof(o)))
// What stands in a slot; the fuzzer now and then gets NULL instead.
#define PICK(w, slots) (wild(w) ? NULL : (w)->slots[slot(w)])
// A path in the scratch folder: one of a few, so that files meet; the fuzzer sometimes NULL, "" or one that cannot be.
const char *some_path(world *w, const char *extension);
// A view of so many ordinary floats that do not change; the fuzzer sometimes gets one that is bent, never a larger one.
mcl_array some_floats(world *w, int32_t ndim, const int64_t *shape);
mcl_array some_matrix(world *w, int64_t rows, int64_t cols);
// Room for results: a view of zeroed floats of its own; of four buffers in turn.
mcl_array some_room(world *w, int64_t rows, int64_t cols);
const int32_t *some_labels(world *w, int64_t n, int32_t k); // of four buffers in turn
const int64_t *some_rows(world *w, int64_t n, int64_t of);  // likewise

#endif
