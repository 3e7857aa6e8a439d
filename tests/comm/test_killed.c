// A process that is killed: three of them, joined by sockets, of which one gets SIGKILL at any moment. The others' engine sees
// the end of its sockets, so their call fails, and they hold nothing any more.
#include "comm/comm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libmcl/array.h>
#include <libmcl/clusterer.h>
#include <libmcl/rows.h>

#include "base/rng.h"
#include "support/suite.h"

enum { RANKS = 3, SECONDS = 20 };

// ---- an engine on sockets -------------------------------------------------------------------------------------------

typedef struct engine {
  int32_t rank;
  int fd[RANKS]; // to each other rank; -1 to itself
  uint32_t turn; // makes pieces of many lengths
} engine;

// What goes to a rank and comes from it in one allgather.
typedef struct exchange {
  const char *send;
  char *recv;
  uint64_t sent, got, bytes;
} exchange;

static size_t piece(engine *e, uint64_t left) {
  uint64_t n = 1 + (e->turn += 7919) % 5000;
  return (size_t)(n < left ? n : left);
}

// 0 when the rank is gone.
static int move(engine *e, int fd, exchange *x) {
  if (x->sent < x->bytes) {
    ssize_t n =
        send(fd, x->send + x->sent, piece(e, x->bytes - x->sent), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return 0;
    if (n > 0) x->sent += (uint64_t)n;
  }
  if (x->got < x->bytes) {
    ssize_t n = recv(fd, x->recv + x->got, piece(e, x->bytes - x->got), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return 0;
    if (n > 0) x->got += (uint64_t)n;
  }
  return 1;
}

// How many ranks are still to be waited for.
static int watch(const engine *e, const exchange *x, struct pollfd *p) {
  int waiting = 0;
  for (int r = 0; r < RANKS; r++) {
    short events =
        (short)((x[r].sent < x[r].bytes ? POLLOUT : 0) | (x[r].got < x[r].bytes ? POLLIN : 0));
    p[r] = (struct pollfd){.fd = events ? e->fd[r] : -1, .events = events};
    waiting += events != 0;
  }
  return waiting;
}

static mcl_status allgather(void *user, const void *send, void *recv, uint64_t bytes,
                            mcl_error *err) {
  engine *e = user;
  exchange x[RANKS];
  struct pollfd p[RANKS];
  for (int r = 0; r < RANKS; r++)
    x[r] = (exchange){.send = send, .recv = (char *)recv + (uint64_t)r * bytes, .bytes = bytes};
  memcpy(x[e->rank].recv, send, bytes);
  x[e->rank].bytes = 0;
  while (watch(e, x, p)) {
    if (poll(p, RANKS, SECONDS * 1000) == 0)
      return mcl_error_set(err, MCL_E_IO, ETIMEDOUT, "a rank does not answer");
    for (int r = 0; r < RANKS; r++)
      if (p[r].fd >= 0 && p[r].revents && !move(e, p[r].fd, &x[r]))
        return mcl_error_set(err, MCL_E_IO, ECONNRESET, "a rank is gone");
  }
  return mcl_ok(err);
}

static void hang_up(void *user) {
  engine *e = user;
  for (int r = 0; r < RANKS; r++)
    if (e->fd[r] >= 0) close(e->fd[r]);
}

// ---- a rank ---------------------------------------------------------------------------------------------------------

// Check's own assertions belong to the process that it forked itself.
#define MUST(condition)                                                                            \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "rank %d: line %d: not so: %s (%s)\n", (int)rank, __LINE__, #condition,      \
              err.message);                                                                        \
      _exit(1);                                                                                    \
    }                                                                                              \
  } while (0)

// A COLLECTIVE call, made again and again until it fails.
typedef mcl_status (*call_fn)(mcl_context *c, mcl_comm *comm, mcl_error *err);

static void live(int32_t rank, engine *e, call_fn call, int ready) {
  mcl_error err = {0};
  mcl_context_options o;
  mcl_context *c = NULL;
  mcl_comm *comm = NULL;
  mcl_host_comm h;
  test_allocator a;
  test_allocator_init(&a);
  mcl_context_options_init(&o, sizeof o);
  o.allocator = &a.table;
  o.threads = 2;
  mcl_struct_init(&h, sizeof h);
  h.user = e;
  h.rank = rank;
  h.size = RANKS;
  h.allgather = allgather;
  h.destroy = hang_up;
  MUST(mcl_context_create(&o, &c, &err) == MCL_OK);
  MUST(mcl_comm_create_host(c, &h, &comm, &err) == MCL_OK);
  int64_t held = a.live;
  mcl_status s = call(c, comm, &err); // all are here
  MUST(s == MCL_OK && write(ready, "r", 1) == 1);
  while (s == MCL_OK) s = call(c, comm, &err);
  MUST(s == MCL_E_COMM && err.status == MCL_E_COMM && err.host_code == ECONNRESET);
  MUST(strstr(err.message, "a rank is gone"));
  MUST(a.live == held);
  MUST(call(c, comm, &err) == MCL_E_COMM && strstr(err.message, "earlier"));
  mcl_comm_unref(comm);
  mcl_context_unref(c);
  MUST(a.live == 0);
  _exit(0);
}

// ---- who starts and kills them --------------------------------------------------------------------------------------

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// fd [RANKS, RANKS]: where rank r speaks to rank q.
static void join(int fd[RANKS][RANKS]) {
  for (int r = 0; r < RANKS; r++) {
    fd[r][r] = -1;
    for (int q = 0; q < r; q++) {
      int pair[2];
      ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
      fd[r][q] = pair[0];
      fd[q][r] = pair[1];
    }
  }
}

// Every end but those of rank `mine`: an end that anybody holds is no end for the other side.
static void close_all_but(int fd[RANKS][RANKS], int mine) {
  for (int r = 0; r < RANKS; r++)
    for (int q = 0; q < RANKS; q++)
      if (r != mine && fd[r][q] >= 0) close(fd[r][q]);
}

static void start(pid_t *pids, call_fn call, int ready) {
  int fd[RANKS][RANKS];
  join(fd);
  for (int r = 0; r < RANKS; r++) {
    pids[r] = fork();
    ck_assert_int_ge(pids[r], 0);
    if (pids[r] > 0) continue;
    engine e = {.rank = r};
    close_all_but(fd, r);
    memcpy(e.fd, fd[r], sizeof e.fd);
    live(r, &e, call, ready);
  }
  close_all_but(fd, -1);
}

// The seconds that the other two still lived.
static double kill_one(call_fn call, int victim, double after) {
  pid_t pids[RANKS];
  int ready[2], status;
  char byte;
  ck_assert_int_eq(pipe(ready), 0);
  start(pids, call, ready[1]);
  close(ready[1]);
  for (int r = 0; r < RANKS; r++) ck_assert_int_eq(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  usleep((useconds_t)(after * 1e6));
  double since = now();
  kill(pids[victim], SIGKILL);
  for (int r = 0; r < RANKS; r++) {
    ck_assert_int_eq(waitpid(pids[r], &status, 0), pids[r]);
    if (r == victim)
      ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else
      ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "rank %d", r);
  }
  return now() - since;
}

static void kill_at_many_moments(call_fn call, int times, double longest) {
  test_unfilled_memory();
  mcli_rng rng = mcli_rng_make(11, MCLI_RNG_DATA, 0, 0);
  for (int i = 0; i < times; i++) {
    double took = kill_one(call, i % RANKS, mcli_rng_between(&rng, 0, longest));
    ck_assert_msg(took < 10, "the others returned after %.1f s", took);
  }
}

// ---- what they were doing -------------------------------------------------------------------------------------------

static mcl_status exchanges(mcl_context *c, mcl_comm *comm, mcl_error *err) {
  static char mine[100000], all[RANKS * sizeof mine];
  (void)c;
  mcl_status s = mcli_comm_enter(comm, err);
  if (s < 0) return s;
  s = mcli_comm_begin(comm, MCL_OK, 5, err);
  for (int i = 0; i < 3 && s == MCL_OK; i++)
    s = mcli_comm_gather(comm, s, mine, all, sizeof mine, err);
  return mcli_comm_end(comm, s, err);
}

// 20 blocks of rows, some tens of passes.
static mcl_status clusters(mcl_context *c, mcl_comm *comm, mcl_error *err) {
  enum { ROWS = 20000, DIM = 16 };
  static float x[ROWS][DIM];
  static int32_t labels[ROWS];
  mcl_clusterer *k = NULL;
  mcl_kmeans_options o;
  mcl_rows rows;
  if (x[0][0] == 0) test_fill(x[0], ROWS * DIM, 3, -1, 1);
  mcl_array all = mcl_matrix_f32(x[0], ROWS, DIM);
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &all;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = 20;
  o.restarts = 1;
  mcl_status s = mcl_clusterer_create_kmeans(c, &o, comm, &k, err);
  if (s == MCL_OK) s = mcl_clusterer_fit(k, &rows, NULL, err);
  if (s == MCL_OK) s = mcl_clusterer_assign(k, &rows, NULL, labels, NULL, err);
  mcl_clusterer_unref(k);
  return s;
}

START_TEST(the_others_return_from_exchanges) {
  kill_at_many_moments(exchanges, 30, 0.02);
}
END_TEST

START_TEST(the_others_return_from_kmeans) {
  kill_at_many_moments(clusters, 15, 0.3);
}
END_TEST

RUN_TESTS("killed", the_others_return_from_exchanges, the_others_return_from_kmeans)
