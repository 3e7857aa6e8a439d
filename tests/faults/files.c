#include "faults/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// ---- the plan --------------------------------------------------------------------------------------

enum { DESCRIPTORS = 1024 };

static struct {
  pthread_mutex_t lock;
  int64_t at, calls, failed, events;
  uint32_t kinds;
  int fault, for_ever, failed_kind;
  files_event put_down[FILES_PUT_DOWN];
  char opened[DESCRIPTORS][sizeof((files_event *)0)->path];
} plan = {.lock = PTHREAD_MUTEX_INITIALIZER, .failed_kind = -1};

void files_fail(int64_t n, uint32_t kinds, int fault, int for_ever) {
  pthread_mutex_lock(&plan.lock);
  plan.at = n, plan.kinds = kinds, plan.fault = fault, plan.for_ever = for_ever;
  plan.calls = plan.failed = plan.events = 0;
  plan.failed_kind = -1;
  pthread_mutex_unlock(&plan.lock);
}

int64_t files_calls(void) {
  return plan.calls;
}

int64_t files_next(int64_t n, int64_t calls) {
  return n < 24 || n + 25 > calls - 20 ? n + 1 : n + 25;
}

int64_t files_failed(void) {
  return plan.failed;
}

int files_failed_kind(void) {
  return plan.failed_kind;
}

const files_event *files_events(int64_t *n) {
  *n = plan.events;
  return plan.put_down;
}

const char *files_kind_name(int kind) {
  static const char *const names[CALL_KINDS] = {
      "open",   "close", "pread",  "pwrite", "ftruncate", "fsync", "rename",  "link",
      "unlink", "stat",  "fchmod", "flock",  "readlink",  "mkdir", "opendir", "readdir"};
  return kind >= 0 && kind < CALL_KINDS ? names[kind] : "nothing";
}

static void put_path(char to[sizeof((files_event *)0)->path], const char *path) {
  size_t n = strlen(path), most = sizeof((files_event *)0)->path - 1;
  memcpy(to, n > most ? path + n - most : path, (n > most ? most : n) + 1);
}

// Puts the call down; the fault that it meets, or 0. Of faults by size only reads and writes know.
static int meet_renamed(int kind, int fd, const char *path, const char *from) {
  int fault = 0;
  pthread_mutex_lock(&plan.lock);
  if (plan.events < FILES_PUT_DOWN) {
    files_event *e = &plan.put_down[plan.events++];
    e->kind = kind;
    put_path(e->path, path ? path : fd >= 0 && fd < DESCRIPTORS ? plan.opened[fd] : "");
    put_path(e->from, from ? from : "");
  }
  if (plan.at > 0 && plan.kinds >> kind & 1) {
    plan.calls++;
    if (plan.calls == plan.at || (plan.for_ever && plan.calls > plan.at)) fault = plan.fault;
    if (fault && plan.failed++ == 0) plan.failed_kind = kind;
  }
  pthread_mutex_unlock(&plan.lock);
  if (fault == FAULT_KILL_BEFORE) kill(getpid(), SIGKILL);
  return fault;
}

static int meet(int kind, int fd, const char *path) {
  return meet_renamed(kind, fd, path, NULL);
}

// `fault` met, and the call not made.
static int is_error(int fault) {
  if (fault <= 0 || fault >= FAULT_ONE_BYTE) return 0;
  errno = fault;
  return 1;
}

static long after(int fault, long result) {
  if (fault == FAULT_KILL_AFTER) kill(getpid(), SIGKILL);
  if (fault != FAULT_NO_ANSWER) return result;
  errno = EINTR;
  return -1;
}

static size_t shortened(int fault, size_t n) {
  if (fault == FAULT_NOTHING) return 0;
  return fault == FAULT_ONE_BYTE && n > 1 ? 1 : fault == FAULT_HALF && n > 1 ? n / 2 : n;
}

// ---- the calls, by the names that glibc gives them with offsets of 64 bits -----------------------------

#define WRAP(type, name, ...)                                                                      \
  type __real_##name(__VA_ARGS__);                                                                 \
  type __wrap_##name(__VA_ARGS__);                                                                 \
  type __wrap_##name(__VA_ARGS__)

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  int mode = flags & O_CREAT ? va_arg(list, int) : 0;
  va_end(list);
  int fault = meet(CALL_OPEN, -1, path);
  if (is_error(fault)) return -1;
  int fd = __real_open64(path, flags, mode);
  if (fd >= 0 && fd < DESCRIPTORS) put_path(plan.opened[fd], path);
  if (fault == FAULT_NO_ANSWER && fd >= 0) close(fd);
  return (int)after(fault, fd);
}

// A close that fails has closed.
WRAP(int, close, int fd) {
  int fault = meet(CALL_CLOSE, fd, NULL), code = __real_close(fd);
  return is_error(fault) ? -1 : (int)after(fault, code);
}

WRAP(ssize_t, pread64, int fd, void *to, size_t n, off_t offset) {
  int fault = meet(CALL_READ, fd, NULL);
  return is_error(fault) ? -1 : after(fault, __real_pread64(fd, to, shortened(fault, n), offset));
}

WRAP(ssize_t, pwrite64, int fd, const void *from, size_t n, off_t offset) {
  int fault = meet(CALL_WRITE, fd, NULL);
  return is_error(fault) ? -1
                         : after(fault, __real_pwrite64(fd, from, shortened(fault, n), offset));
}

WRAP(int, ftruncate64, int fd, off_t size) {
  int fault = meet(CALL_SIZE, fd, NULL);
  return is_error(fault) ? -1 : (int)after(fault, __real_ftruncate64(fd, size));
}

WRAP(int, fsync, int fd) {
  int fault = meet(CALL_FLUSH, fd, NULL);
  return is_error(fault) ? -1 : (int)after(fault, 0);
}

WRAP(int, rename, const char *from, const char *to) {
  int fault = meet_renamed(CALL_RENAME, -1, to, from);
  return is_error(fault) ? -1 : (int)after(fault, __real_rename(from, to));
}

WRAP(int, link, const char *from, const char *to) {
  int fault = meet(CALL_LINK, -1, to);
  return is_error(fault) ? -1 : (int)after(fault, __real_link(from, to));
}

WRAP(int, unlink, const char *path) {
  int fault = meet(CALL_REMOVE, -1, path);
  return is_error(fault) ? -1 : (int)after(fault, __real_unlink(path));
}

WRAP(int, stat64, const char *path, void *st) {
  int fault = meet(CALL_STAT, -1, path);
  return is_error(fault) ? -1 : (int)after(fault, __real_stat64(path, st));
}

WRAP(int, lstat64, const char *path, void *st) {
  int fault = meet(CALL_STAT, -1, path);
  return is_error(fault) ? -1 : (int)after(fault, __real_lstat64(path, st));
}

WRAP(int, fstat64, int fd, void *st) {
  int fault = meet(CALL_STAT, fd, NULL);
  return is_error(fault) ? -1 : (int)after(fault, __real_fstat64(fd, st));
}

WRAP(int, fchmod, int fd, mode_t mode) {
  int fault = meet(CALL_MODE, fd, NULL);
  return is_error(fault) ? -1 : (int)after(fault, __real_fchmod(fd, mode));
}

WRAP(int, flock, int fd, int how) {
  int fault = meet(CALL_LOCK, fd, NULL);
  return is_error(fault) ? -1 : (int)after(fault, __real_flock(fd, how));
}

// Who waits for a lock that it will never get need not wait.
WRAP(int, nanosleep, const struct timespec *time, struct timespec *left) {
  pthread_mutex_lock(&plan.lock);
  int never = plan.kinds == 1 << CALL_LOCK && plan.fault == EWOULDBLOCK && plan.for_ever;
  pthread_mutex_unlock(&plan.lock);
  return never ? 0 : __real_nanosleep(time, left);
}

WRAP(ssize_t, readlink, const char *path, char *to, size_t n) {
  int fault = meet(CALL_READLINK, -1, path);
  return is_error(fault) ? -1 : after(fault, __real_readlink(path, to, n));
}

WRAP(int, mkdir, const char *path, mode_t mode) {
  int fault = meet(CALL_MKDIR, -1, path);
  return is_error(fault) ? -1 : (int)after(fault, __real_mkdir(path, mode));
}

WRAP(DIR *, opendir, const char *path) {
  int fault = meet(CALL_LIST, -1, path);
  if (is_error(fault)) return NULL;
  DIR *d = __real_opendir(path);
  if (fault == FAULT_KILL_AFTER) kill(getpid(), SIGKILL);
  return d;
}

WRAP(void *, readdir64, DIR *d) {
  int fault = meet(CALL_ENTRY, -1, "");
  if (is_error(fault)) return NULL;
  void *e = __real_readdir64(d);
  if (fault == FAULT_KILL_AFTER) kill(getpid(), SIGKILL);
  return e;
}

// ---- what tests look at ----------------------------------------------------------------------------

int files_descriptors(void) {
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n;
}

static int is_part(const char *name) {
  size_t n = strlen(name);
  return n >= 5 && strcmp(name + n - 5, ".part") == 0;
}

typedef struct names {
  char **of;
  int n, parts;
} names;

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

// Names of files, relative to the first directory.
static void gather(const char *root, const char *below, names *out) {
  char path[8400], name[8400];
  snprintf(path, sizeof path, "%s/%s", root, below);
  DIR *d = opendir(path);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", e->d_name);
    if (e->d_type == DT_DIR) {
      gather(root, name, out);
      continue;
    }
    out->parts += is_part(e->d_name);
    out->of = realloc(out->of, (size_t)(out->n + 1) * sizeof *out->of);
    out->of[out->n++] = strdup(name);
  }
  if (d) closedir(d);
}

static void names_free(names *l) {
  for (int i = 0; i < l->n; i++) free(l->of[i]);
  free(l->of);
}

int files_parts(const char *directory) {
  names l = {0};
  gather(directory, "", &l);
  names_free(&l);
  return l.parts;
}

static void append(files_tree *t, const void *bytes, size_t n) {
  t->bytes = realloc(t->bytes, t->n + n + 1);
  memcpy(t->bytes + t->n, bytes, n);
  t->n += n;
}

static void append_file(files_tree *t, const char *directory, const char *name) {
  char path[8400];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *f = fopen(path, "rb");
  if (!f) return;
  fseek(f, 0, SEEK_END);
  int64_t size = ftell(f);
  rewind(f);
  char *bytes = malloc((size_t)size + 1);
  size_t got = fread(bytes, 1, (size_t)size, f);
  fclose(f);
  size = (int64_t)got;
  append(t, name, strlen(name) + 1);
  append(t, &size, sizeof size);
  append(t, bytes, got);
  free(bytes);
}

files_tree files_read_tree(const char *directory) {
  files_tree t = {0};
  names l = {0};
  gather(directory, "", &l);
  if (l.n) qsort(l.of, (size_t)l.n, sizeof *l.of, by_bytes);
  for (int i = 0; i < l.n; i++) append_file(&t, directory, l.of[i]);
  names_free(&l);
  return t;
}

static void make_folders_of(char *path) {
  for (char *p = path + 1; *p; p++) {
    if (*p != '/') continue;
    *p = 0;
    mkdir(path, 0777);
    *p = '/';
  }
}

void files_write_tree(const char *directory, const files_tree *t) {
  char path[8400];
  names l = {0};
  gather(directory, "", &l);
  for (int i = 0; i < l.n; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, l.of[i]);
    remove(path);
  }
  names_free(&l);
  for (size_t at = 0; at < t->n;) {
    int64_t size;
    snprintf(path, sizeof path, "%s/%s", directory, t->bytes + at);
    at += strlen(t->bytes + at) + 1;
    memcpy(&size, t->bytes + at, sizeof size);
    at += sizeof size;
    make_folders_of(path);
    FILE *f = fopen(path, "wb");
    if (f) {
      fwrite(t->bytes + at, 1, (size_t)size, f);
      fclose(f);
    }
    at += (size_t)size;
  }
}

int files_same_tree(const files_tree *a, const files_tree *b) {
  return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}

void files_tree_free(files_tree *t) {
  free(t->bytes);
  *t = (files_tree){0};
}
