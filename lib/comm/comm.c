// Exchanges between ranks.
//
// One exchange is two rounds of the host's allgather, or three:
//
//   1. a note of each rank: its status, what it is doing, how many bytes it will send                      (1)
//   2. where a status is a failure: each rank's mcl_error, of which the first rank's that failed is taken  (2)
//      else, where there are any: the bytes, in chunks of at most MCL_COMM_BYTES a rank                    (3)
//
// All ranks see the same notes and so decide alike; nothing else is needed for them to stay in step.
#include "comm/comm.h"

#include <string.h>

// Round (1). `mark` tells a note from what an allgather that does nothing would leave.
typedef struct note {
  uint64_t mark, what, bytes;
  int32_t status, rank;
} note;

static const uint64_t note_mark = 0x6c6f636d6c63616dULL;

// What is gathered at once, of all ranks together, where libmcl needs a place to put it first.
enum { MOST_RANKS = 65536, ROUND_BYTES = 32 << 20 };

struct mcl_comm {
  mcli_refcount refs;
  mcli_guard guard;
  mcl_context *context;
  mcl_host_comm host;
  note *notes;       // [size]
  mcl_error *errors; // [size]
  int32_t depth;     // calls within one another
  int32_t lender;    // the depth of the innermost call that lends the comm; 0: none does
  int32_t agreed;    // a failure is known to all ranks: nothing is exchanged any more in this call
  int32_t lost;
  mcl_error cause;                // that failure
  _Atomic(const void *) borrower; // the thread whose next call is within this one; NULL: none
};

// ---- the handle -----------------------------------------------------------------------------------------------------

static mcl_status check_host(mcl_context *c, const mcl_host_comm *h, mcl_comm **out,
                             mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (h->size < 1 || h->size > MOST_RANKS)
    return mcli_fail(err, MCL_E_INVALID, "mcl_host_comm.size is %d, not 1..%d", (int)h->size,
                     MOST_RANKS);
  if (h->rank < 0 || h->rank >= h->size)
    return mcli_fail(err, MCL_E_INVALID, "mcl_host_comm.rank is %d, not 0..%d", (int)h->rank,
                     (int)h->size - 1);
  if (!h->allgather && h->size > 1)
    return mcli_fail(err, MCL_E_INVALID, "mcl_host_comm.allgather is NULL");
  return MCL_OK;
}

static mcl_status make(mcl_context *c, const mcl_host_comm *h, mcl_comm **out, mcl_error *err) {
  mcl_comm *comm = MCLI_NEW0(c, mcl_comm, 1);
  note *notes = MCLI_NEW0(c, note, h->size);
  mcl_error *errors = MCLI_NEW0(c, mcl_error, h->size);
  if (!comm || !notes || !errors) {
    mcli_free(c, comm);
    mcli_free(c, notes);
    mcli_free(c, errors);
    return mcli_nomem(err, "a communicator");
  }
  mcli_ref_init(&comm->refs);
  mcli_guard_init(&comm->guard);
  atomic_init(&comm->borrower, NULL);
  comm->context = mcl_context_ref(c);
  comm->host = *h;
  comm->notes = notes;
  comm->errors = errors;
  *out = comm;
  return MCL_OK;
}

mcl_status mcl_comm_create_host(mcl_context *c, const mcl_host_comm *host, mcl_comm **out,
                                mcl_error *err) {
  mcl_host_comm table;
  mcl_status s = mcli_struct_in(&table, sizeof table, host, "mcl_host_comm", err);
  if (s == MCL_OK) s = check_host(c, &table, out, err);
  if (s == MCL_OK) s = make(c, &table, out, err);
  if (s < 0 && table.destroy) table.destroy(table.user);
  return s < 0 ? s : mcl_ok(err);
}

mcl_comm *mcl_comm_ref(mcl_comm *c) {
  if (c) mcli_ref(&c->refs);
  return c;
}

void mcl_comm_unref(mcl_comm *c) {
  if (!c || !mcli_unref_is_last(&c->refs)) return;
  mcl_context *context = c->context;
  if (c->host.destroy) c->host.destroy(c->host.user);
  mcli_free(context, c->notes);
  mcli_free(context, c->errors);
  mcli_free(context, c);
  mcl_context_unref(context);
}

int32_t mcl_comm_rank(const mcl_comm *c) {
  return c ? c->host.rank : 0;
}

int32_t mcl_comm_size(const mcl_comm *c) {
  return c ? c->host.size : 1;
}

// ---- the host's engine ----------------------------------------------------------------------------------------------

// What `err` says is known to all ranks, or nobody can be told any more.
static mcl_status conclude(mcl_comm *c, const mcl_error *err) {
  c->agreed = 1;
  c->cause = *err;
  return err->status;
}

static mcl_status lose(mcl_comm *c, mcl_error *err, const char *why) {
  c->lost = 1;
  mcli_fail(err, MCL_E_COMM, "%s", why);
  return conclude(c, err);
}

// A failing engine is MCL_E_COMM whatever it says it is, with its own words.
static mcl_status settle(mcl_comm *c, mcl_status s, const mcl_error *inner, const char *name,
                         mcl_error *err) {
  mcl_error said;
  s = mcli_callback_end(s, inner, name, &said);
  if (s == MCL_OK) return MCL_OK;
  lose(c, err, said.message);
  err->host_code = said.host_code;
  return conclude(c, err);
}

static mcl_status allgather(mcl_comm *c, const void *send, void *recv, size_t bytes,
                            mcl_error *err) {
  mcl_error inner;
  mcli_callback_begin(&inner);
  mcl_status s = c->host.allgather(c->host.user, send, recv, bytes, &inner);
  return settle(c, s, &inner, "mcl_host_comm.allgather", err);
}

// ---- agreeing -------------------------------------------------------------------------------------------------------

// (2)
static mcl_status share_failure(mcl_comm *c, const mcl_error *mine, mcl_error *err) {
  mcl_status s = allgather(c, mine, c->errors, sizeof *mine, err);
  if (s < 0) return s;
  int32_t rank = 0;
  while (rank < c->host.size && c->notes[rank].status >= 0) rank++;
  const mcl_error *theirs = &c->errors[rank];
  mcli_fail_row(err, c->notes[rank].status, theirs->row, "rank %d: %.*s", (int)rank,
                (int)sizeof theirs->message - 1, theirs->message);
  err->host_code = theirs->host_code;
  return conclude(c, err);
}

static int failed(const mcl_comm *c) {
  for (int32_t i = 0; i < c->host.size; i++)
    if (c->notes[i].status < 0) return 1;
  return 0;
}

// (1) and, where it must be, (2).
static mcl_status agree(mcl_comm *c, mcl_status s, uint64_t what, uint64_t bytes, mcl_error *err) {
  note mine = {note_mark, what, bytes, s, c->host.rank};
  mcl_error cause;
  mcl_ok(&cause);
  if (s < 0) cause = *err;
  mcl_status sent = allgather(c, &mine, c->notes, sizeof mine, err);
  if (sent < 0) return sent;
  for (int32_t i = 0; i < c->host.size; i++)
    if (c->notes[i].mark != note_mark || c->notes[i].rank != i)
      return lose(c, err, "mcl_host_comm.allgather did not bring the parts in the order of ranks");
  if (failed(c)) return share_failure(c, &cause, err);
  for (int32_t i = 1; i < c->host.size; i++)
    if (c->notes[i].what != c->notes[0].what || c->notes[i].bytes != c->notes[0].bytes) {
      mcli_fail(err, MCL_E_MISMATCH,
                "rank %d makes another call than rank 0, or has other rows or options", (int)i);
      return conclude(c, err);
    }
  return MCL_OK;
}

// A rank whose host kept a failure to itself fails all the same.
static mcl_status known(const mcl_comm *c, mcl_status s, mcl_error *err) {
  if (s < 0) return s;
  *err = c->cause;
  return err->status;
}

// ---- calls ----------------------------------------------------------------------------------------------------------

static const void *this_thread(void) {
  static _Thread_local char here;
  return &here;
}

mcl_status mcli_comm_enter(mcl_comm *c, mcl_error *err) {
  if (mcli_comm_is_alone(c)) return MCL_OK;
  if (atomic_load(&c->borrower) == this_thread()) {
    if (c->agreed) return known(c, MCL_OK, err); // the call that this one is within has failed
    atomic_store(&c->borrower, NULL);
  } else {
    mcl_status s = mcli_guard_enter(&c->guard, "comm", err);
    if (s < 0) return s;
    c->agreed = 0;
  }
  c->depth++;
  if (!c->lost) return MCL_OK;
  mcl_status s = lose(c, err, "the ranks have lost each other in an earlier call");
  return mcli_comm_end(c, s, err);
}

void mcli_comm_leave(mcl_comm *c) {
  if (mcli_comm_is_alone(c)) return;
  if (--c->depth == 0)
    mcli_guard_leave(&c->guard);
  else if (c->depth == c->lender)
    atomic_store(&c->borrower, this_thread());
}

int32_t mcli_comm_lend(mcl_comm *c) {
  if (mcli_comm_is_alone(c)) return 0;
  int32_t before = c->lender;
  c->lender = c->depth;
  atomic_store(&c->borrower, this_thread());
  return before;
}

void mcli_comm_take_back(mcl_comm *c, int32_t lent_before) {
  if (mcli_comm_is_alone(c)) return;
  c->lender = lent_before;
  atomic_store(&c->borrower, lent_before == c->depth ? this_thread() : NULL);
}

mcl_status mcli_comm_begin(mcl_comm *c, mcl_status s, uint64_t what, mcl_error *err) {
  if (mcli_comm_is_alone(c)) return s;
  return c->agreed ? known(c, s, err) : agree(c, s, what, 0, err);
}

// `what` of exchanges within a call: never that of a call.
enum { WITHIN = 1, AT_END = 2, ADDING = 3 };

mcl_status mcli_comm_end(mcl_comm *c, mcl_status s, mcl_error *err) {
  if (mcli_comm_is_alone(c)) return s;
  s = c->agreed ? known(c, s, err) : agree(c, s, AT_END, 0, err);
  mcli_comm_leave(c);
  return s;
}

// ---- moving numbers -------------------------------------------------------------------------------------------------

// (3): chunks lie [size, chunk] and are wanted as [size, bytes].
static mcl_status gather_chunks(mcl_comm *c, const char *send, char *recv, int64_t bytes,
                                int64_t chunk, char *place, mcl_error *err) {
  for (int64_t at = 0, n; at < bytes; at += n) {
    n = bytes - at < chunk ? bytes - at : chunk;
    mcl_status s = allgather(c, send + at, place, (size_t)n, err);
    if (s < 0) return s;
    for (int32_t r = 0; r < c->host.size; r++)
      // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the place that failed is told by agree()
      memcpy(recv + r * bytes + at, place + r * n, (size_t)n);
  }
  return MCL_OK;
}

static int64_t chunk_of(const mcl_comm *c) {
  int64_t most = ROUND_BYTES / mcl_comm_size(c);
  return most < MCL_COMM_BYTES ? most : MCL_COMM_BYTES;
}

mcl_status mcli_comm_gather(mcl_comm *c, mcl_status s, const void *send, void *recv, int64_t bytes,
                            mcl_error *err) {
  if (mcli_comm_is_alone(c)) {
    if (s == MCL_OK && bytes > 0) memcpy(recv, send, (size_t)bytes);
    return s;
  }
  if (c->agreed) return known(c, s, err);
  int64_t chunk = chunk_of(c);
  char *place = NULL;
  if (s == MCL_OK && bytes > chunk && !(place = MCLI_NEW(c->context, char, chunk * c->host.size)))
    s = mcli_nomem(err, "what the ranks send");
  s = agree(c, s, WITHIN, (uint64_t)bytes, err);
  if (s == MCL_OK && bytes > 0)
    s = bytes <= chunk ? allgather(c, send, recv, (size_t)bytes, err)
                       : gather_chunks(c, send, recv, bytes, chunk, place, err);
  mcli_free(c->context, place);
  return s;
}

// In rounds of as many bytes of every rank, of which the shorter parts have too few in the end.
typedef struct parts {
  const int64_t *first;
  int64_t row_bytes, longest, step; // the last two in bytes
  char *data, *place, *send;
} parts;

static void begin_and_bytes(const parts *p, int32_t rank, int64_t at, int64_t *from, int64_t *n) {
  int64_t end = p->first[rank + 1] * p->row_bytes;
  *from = p->first[rank] * p->row_bytes + at;
  *n = end - *from < p->step ? end - *from : p->step;
  if (*n < 0) *n = 0;
}

static mcl_status gather_round(mcl_comm *c, const parts *p, int64_t at, mcl_error *err) {
  int64_t from, n;
  begin_and_bytes(p, c->host.rank, at, &from, &n);
  if (n > 0) memcpy(p->send, p->data + from, (size_t)n);
  mcl_status s = allgather(c, p->send, p->place, (size_t)p->step, err);
  for (int32_t r = 0; r < c->host.size && s == MCL_OK; r++) {
    begin_and_bytes(p, r, at, &from, &n);
    if (n > 0 && r != c->host.rank) memcpy(p->data + from, p->place + r * p->step, (size_t)n);
  }
  return s;
}

mcl_status mcli_comm_gather_parts(mcl_comm *c, mcl_status s, const int64_t *first, void *data,
                                  int64_t row_bytes, mcl_error *err) {
  if (mcli_comm_is_alone(c)) return s;
  if (c->agreed) return known(c, s, err);
  if (s < 0) return agree(c, s, WITHIN, 0, err); // there may be no `first`
  parts p = {.first = first, .row_bytes = row_bytes, .data = data};
  for (int32_t r = 0; r < c->host.size; r++) {
    int64_t bytes = (first[r + 1] - first[r]) * row_bytes;
    if (bytes > p.longest) p.longest = bytes;
  }
  p.step = p.longest < chunk_of(c) ? p.longest : chunk_of(c);
  p.place = MCLI_NEW(c->context, char, p.step * c->host.size);
  p.send = MCLI_NEW0(c->context, char, p.step);
  if (!p.place || !p.send) s = mcli_nomem(err, "what the ranks send");
  s = agree(c, s, WITHIN, (uint64_t)p.longest, err);
  for (int64_t at = 0; at < p.longest && s == MCL_OK; at += p.step)
    s = gather_round(c, &p, at, err);
  mcli_free(c->context, p.place);
  mcli_free(c->context, p.send);
  return s;
}

// ---- adding up ------------------------------------------------------------------------------------------------------

// n numbers become their sums over ranks; `place`, where one was asked for, holds those of all ranks.
typedef mcl_status (*add_fn)(mcl_comm *c, void *data, int64_t n, void *place, mcl_error *err);

// Numbers of `size` bytes, at most `most` at once, in a place of libmcl's or, `by_host`, in none.
static mcl_status add_up(mcl_comm *c, mcl_status s, void *data, int64_t n, int64_t size,
                         int64_t most, int by_host, add_fn add, mcl_error *err) {
  if (mcli_comm_is_alone(c)) return s;
  if (c->agreed) return known(c, s, err);
  char *place = NULL, *numbers = data;
  if (most > n) most = n;
  if (s == MCL_OK && !by_host &&
      !(place = mcli_alloc(c->context, (uint64_t)(most * c->host.size), (uint64_t)size)))
    s = mcli_nomem(err, "what the ranks add up");
  s = agree(c, s, ADDING, (uint64_t)n, err);
  for (int64_t at = 0, m; at < n && s == MCL_OK; at += m) {
    m = n - at < most ? n - at : most;
    s = add(c, numbers + at * size, m, place, err);
  }
  mcli_free(c->context, place);
  return s;
}

static mcl_status add_floats(mcl_comm *c, void *data, int64_t n, void *place, mcl_error *err) {
  float *x = data, *all = place;
  mcl_status s = allgather(c, x, all, (size_t)n * sizeof *x, err);
  for (int64_t i = 0; i < n && s == MCL_OK; i++) {
    double sum = 0;
    for (int32_t r = 0; r < c->host.size; r++) sum += (double)all[r * n + i];
    x[i] = (float)sum;
  }
  return s;
}

static mcl_status add_counts(mcl_comm *c, void *data, int64_t n, void *place, mcl_error *err) {
  int64_t *x = data, *all = place;
  mcl_status s = allgather(c, x, all, (size_t)n * sizeof *x, err);
  for (int64_t i = 0; i < n && s == MCL_OK; i++) {
    x[i] = 0;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): likewise
    for (int32_t r = 0; r < c->host.size; r++) x[i] += all[r * n + i];
  }
  return s;
}

static mcl_status add_by_host(mcl_comm *c, void *data, int64_t n, void *place, mcl_error *err) {
  mcl_error inner;
  (void)place;
  mcli_callback_begin(&inner);
  mcl_status s = c->host.sum(c->host.user, data, (uint64_t)n, &inner);
  return settle(c, s, &inner, "mcl_host_comm.sum", err);
}

mcl_status mcli_comm_sum(mcl_comm *c, mcl_status s, float *data, int64_t n, mcl_error *err) {
  int64_t size = (int64_t)sizeof *data;
  if (!mcli_comm_is_alone(c) && c->host.sum)
    return add_up(c, s, data, n, size, MCL_COMM_FLOATS, 1, add_by_host, err);
  return add_up(c, s, data, n, size, chunk_of(c) / size, 0, add_floats, err);
}

mcl_status mcli_comm_add(mcl_comm *c, mcl_status s, int64_t *counts, int64_t n, mcl_error *err) {
  int64_t size = (int64_t)sizeof *counts;
  return add_up(c, s, counts, n, size, chunk_of(c) / size, 0, add_counts, err);
}
