// Contexts and communicators.
#include "exhaustion/exhaust.h"

#include <libmcl/comm.h>

// ---- a context of three threads --------------------------------------------------------------------------

static mcl_context *context;

static void prepare_context(void) {
  context = UNTOUCHED;
}

static mcl_status create_context(void) {
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.allocator = &memory.table;
  o.threads = 3;
  return mcl_context_create(&o, &context, &err);
}

static void look_at_context(seen *s) {
  see_number(s, IS_MADE(context));
}

static void finish_context(void) {
  if (IS_MADE(context)) mcl_context_unref(context);
}

// ---- a communicator --------------------------------------------------------------------------------------

static mcl_comm *comm;
static int destroyed;

static mcl_status gather(void *user, const void *send, void *recv, uint64_t n, mcl_error *e) {
  (void)user, (void)send, (void)recv, (void)n;
  return mcl_ok(e);
}

static void destroy(void *user) {
  (void)user;
  destroyed++;
}

static void prepare_comm(void) {
  comm = UNTOUCHED;
  destroyed = 0;
}

// A callback that is told of each handle that could not be made.
static mcl_status create_comm(void) {
  mcl_host_comm h;
  mcl_struct_init(&h, sizeof h);
  h.size = 3, h.allgather = gather, h.destroy = destroy;
  int before = destroyed;
  mcl_status s = mcl_comm_create_host(c, &h, &comm, &err);
  ck_assert_int_eq(destroyed - before, s < 0);
  return s;
}

static void look_at_comm(seen *s) {
  see_number(s, IS_MADE(comm) ? mcl_comm_size(comm) : -1);
}

static void finish_comm(void) {
  if (IS_MADE(comm)) mcl_comm_unref(comm);
}

static const exhaust_case cases[] = {
    // A thread whose seat cannot be had is done without.
    {"mcl_context_create", "of three threads", prepare_context, create_context, look_at_context,
     finish_context, .flags = GOES_ON},
    {"mcl_comm_create_host", "", prepare_comm, create_comm, look_at_comm, finish_comm},
};
PART(base, cases);
