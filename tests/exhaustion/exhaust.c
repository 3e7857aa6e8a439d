#include "exhaustion/exhaust.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/context.h"

_Thread_local mcl_context *c;
_Thread_local mcl_error err;
test_allocator memory;
char untouched[1];
static char directory[4096];
static int64_t sites;

// Memory is what fails here. Files are written some thousand times, and would else wait for the disk each time.
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
  (void)fd;
  return 0;
}

// ---- what is seen --------------------------------------------------------------------------------------

void see(seen *s, const void *data, size_t n) {
  if (s->n + n > s->room) {
    s->room = 2 * (s->n + n);
    s->bytes = realloc(s->bytes, s->room);
  }
  if (n) memcpy(s->bytes + s->n, data, n);
  s->n += n;
}

void see_number(seen *s, double x) {
  see(s, &x, sizeof x);
}

const char *in(const char *name) {
  static _Thread_local char path[4][8300];
  static _Thread_local int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

void put_file(const char *name, const void *bytes, size_t n) {
  FILE *f = fopen(in(name), "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
  ck_assert_int_eq(fclose(f), 0);
}

// A file that is being written has a name with a number; it may be there, but what is in it nobody sees.
static void see_file(seen *s, const char *name) {
  static unsigned char block[65536];
  size_t n_name = strlen(name);
  if (n_name > 5 && !strcmp(name + n_name - 5, ".part")) {
    see(s, ".part", 6);
    return;
  }
  FILE *f = fopen(in(name), "rb");
  see(s, name, n_name + 1);
  ck_assert_ptr_nonnull(f);
  for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) see(s, block, n);
  fclose(f);
}

static void see_files_of(seen *s, const char *folder) {
  struct dirent **entries = NULL;
  int n = scandir(in(folder), &entries, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    char name[1024];
    struct stat what;
    snprintf(name, sizeof name, "%s/%s", folder, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.' || strlen(entries[i]->d_name) > 2) {
      ck_assert_int_eq(stat(in(name), &what), 0);
      if (S_ISDIR(what.st_mode))
        see_files_of(s, name);
      else
        see_file(s, name);
    }
    free(entries[i]);
  }
  free(entries);
}

void see_files(seen *s) {
  see_files_of(s, ".");
}

void remove_all(const char *name) {
  struct dirent **entries = NULL;
  int n = scandir(in(name), &entries, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    char inside[1024];
    snprintf(inside, sizeof inside, "%s/%s", name, entries[i]->d_name);
    if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, "..")) remove_all(inside);
    free(entries[i]);
  }
  free(entries);
  remove(in(name));
}

// ---- one case --------------------------------------------------------------------------------------------

// Which requests fail: number `first` from the call's beginning, and all later ones or, unless 0, the `second` one after it.
typedef struct fault {
  int64_t first, second;
  int for_ever;
} fault;

static char what[256]; // the case, and where it is, for messages

// Memory that the undisturbed call leaves behind: its results and what handles keep.
static int64_t kept, kept_bytes;

static mcl_status call_with(const exhaust_case *e, fault f, int64_t *unspent, int64_t *asked) {
  int64_t before = memory.requests;
  memory.fail_at = f.first, memory.fail_then = f.second, memory.for_ever = f.for_ever;
  mcl_status s = e->call();
  *unspent = memory.fail_at;
  memory.fail_at = memory.fail_then = memory.for_ever = 0;
  *asked = memory.requests - before;
  return s;
}

static void look(const exhaust_case *e, seen *s) {
  s->n = 0;
  e->look(s);
}

int64_t next_site(int64_t all, int64_t n) {
  return n < all ? n + 1 : n + n / 8 + 1;
}

void check_same(const seen *a, const seen *b, const char *when) {
  size_t n = a->n < b->n ? a->n : b->n, at = 0;
  while (at < n && a->bytes[at] == b->bytes[at]) at++;
  ck_assert_msg(a->n == b->n && at == n, "%s: %s: differs from byte %zu of %zu and %zu", what, when,
                at, a->n, b->n);
}

static void check_memory(const exhaust_case *e, int64_t live, int64_t bytes) {
  bool keeps = e->flags & KEEPS_ROOM;
  int64_t pieces = memory.live - live - (keeps ? kept : 0);
  int64_t more = memory.bytes - bytes - (keeps ? kept_bytes : 0);
  ck_assert_msg(e->flags & ADVANCES || (pieces <= 0 && more <= 0),
                "%s: %lld pieces and %lld bytes more are held", what, (long long)pieces,
                (long long)more);
}

static void check_failure(mcl_status s) {
  ck_assert_msg(s == MCL_E_NOMEM, "%s: %s: %s", what, mcl_status_name(s), err.message);
  ck_assert_msg(err.status == MCL_E_NOMEM && err.message[0], "%s: the error does not say", what);
}

// One failure on fresh handles, and the call made again. False when the call did not ask so often. Nothing is looked at before
// the call, since what is asked of handles leaves them buffers that the call would need: `before` is of others, made alike.
static bool fail_once(const exhaust_case *e, fault f, const seen *before, const seen *wanted,
                      int64_t *asked_after) {
  static seen after;
  int64_t unspent, asked, live = memory.live, bytes = memory.bytes;
  snprintf(what, sizeof what, "%s %s, request %lld%s", e->name, e->of, (long long)f.first,
           f.for_ever ? " and all after"
           : f.second ? " and one after"
                      : "");
  e->prepare();
  int64_t live_before = memory.live, bytes_before = memory.bytes;
  mcl_status s = call_with(e, f, &unspent, &asked);
  bool hit = f.for_ever ? asked >= f.first : unspent == 0;
  *asked_after = asked - f.first;
  if (s == MCL_OK) ck_assert_msg(!hit || e->flags & GOES_ON, "%s: succeeded", what);
  if (s < 0) {
    check_failure(s);
    check_memory(e, live_before, bytes_before);
    if (!(e->flags & ADVANCES)) {
      look(e, &after);
      check_same(before, &after, "after the failure");
    }
    if (e->again) e->again();
    s = call_with(e, (fault){0}, &unspent, &asked);
    ck_assert_msg(s == MCL_OK, "%s: again: %s: %s", what, mcl_status_name(s), err.message);
  }
  look(e, &after);
  check_same(wanted, &after, "in the end");
  e->finish();
  ck_assert_msg(memory.live == live && memory.bytes == bytes, "%s: %lld pieces are lost", what,
                (long long)(memory.live - live));
  sites += hit;
  return hit;
}

// Each request fails up to this one, then fewer. On two threads nearly all are those of one: every one of the first quarter.
static int64_t sites_of(const exhaust_case *e) {
  int64_t all = e->sites ? e->sites : 300;
  return mcli_workers(c) == 1 ? all : all / 4;
}

static void fail_each(const exhaust_case *e, const seen *before, const seen *wanted) {
  int64_t after, ignored;
  for (int64_t n = 1; fail_once(e, (fault){.first = n}, before, wanted, &after);) {
    for (int64_t m = 1; m <= after; m = next_site(8, m))
      fail_once(e, (fault){.first = n, .second = m}, before, wanted, &ignored);
    n = next_site(sites_of(e), n);
  }
  for (int64_t n = 1; fail_once(e, (fault){.first = n, .for_ever = 1}, before, wanted, &after);)
    n = next_site(sites_of(e), n);
}

// One set of handles: each try fails one request further.
static void fail_further(const exhaust_case *e, const seen *wanted) {
  static seen after;
  int64_t unspent, asked, n = 1;
  mcl_status s;
  e->prepare();
  for (;; n = next_site(sites_of(e), n)) {
    snprintf(what, sizeof what, "%s %s, one request further: %lld", e->name, e->of, (long long)n);
    s = call_with(e, (fault){.first = n, .for_ever = (int)(n % 2)}, &unspent, &asked);
    if (s == MCL_OK) break;
    check_failure(s);
    if (e->again) e->again();
    sites++;
  }
  look(e, &after);
  check_same(wanted, &after, "in the end");
  e->finish();
}

static void undisturbed(const exhaust_case *e, seen *before, seen *wanted) {
  int64_t unspent, asked, live = memory.live;
  snprintf(what, sizeof what, "%s %s, undisturbed", e->name, e->of);
  e->prepare();
  look(e, before);
  e->finish();
  e->prepare();
  kept = memory.live, kept_bytes = memory.bytes;
  mcl_status s = call_with(e, (fault){0}, &unspent, &asked);
  kept = memory.live - kept, kept_bytes = memory.bytes - kept_bytes;
  ck_assert_msg(s == MCL_OK, "%s: %s: %s", what, mcl_status_name(s), err.message);
  ck_assert_msg((asked == 0) == !!(e->flags & NO_MEMORY), "%s: %lld requests", what,
                (long long)asked);
  look(e, wanted);
  e->finish();
  ck_assert_msg(memory.live == live, "%s: %lld pieces are lost", what,
                (long long)(memory.live - live));
}

static void start_context(uint32_t threads) {
  test_allocator_init(&memory);
  c = test_context_with(&memory, threads);
}

void begin_case(uint32_t threads) {
  snprintf(directory, sizeof directory, "%s", test_directory("exhaustion"));
  start_context(threads);
}

void exhaust(const exhaust_case *e) {
  seen wanted[2] = {{0}}, before = {0};
  snprintf(directory, sizeof directory, "%s", test_directory("exhaustion"));
  sites = 0;
  if (e->run) e->run();
  for (int i = 0; !e->run && i < (e->flags & ONE_THREAD ? 1 : 2); i++) {
    start_context((uint32_t)i + 1);
    undisturbed(e, &before, &wanted[i]);
    fail_each(e, &before, &wanted[i]);
    fail_further(e, &wanted[i]);
    mcl_context_unref(c);
    ck_assert_int_eq(memory.live, 0);
    if (i == 1) check_same(&wanted[0], &wanted[1], "on two threads");
  }
  if (!e->run) printf("%s %s: %lld failures\n", e->name, e->of, (long long)sites);
  free(before.bytes), free(wanted[0].bytes), free(wanted[1].bytes);
}
