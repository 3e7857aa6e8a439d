#include "faults/bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// A host's own tower writes by calls that nobody makes fail here: what is said of messages holds for ours.
const fault faults[] = {
    {"EIO", EIO, 0, CALLS_ALL, 0},
    {"EIO for ever", EIO, 1, CALLS_ALL, 0},
    {"ENOSPC", ENOSPC, 0, CALLS_WRITING, 0},
    {"EDQUOT for ever", EDQUOT, 1, CALLS_WRITING, 0},
    {"EROFS for ever", EROFS, 1, CALLS_WRITING | 1 << CALL_REMOVE, 0},
    {"EMFILE", EMFILE, 0, 1 << CALL_OPEN | 1 << CALL_LIST, 0},
    {"EINTR", EINTR, 0,
     1 << CALL_OPEN | 1 << CALL_CLOSE | 1 << CALL_READ | 1 << CALL_WRITE | 1 << CALL_SIZE |
         1 << CALL_FLUSH | 1 << CALL_RENAME | 1 << CALL_REMOVE | 1 << CALL_LOCK | 1 << CALL_MKDIR,
     1},
    {"no answer", FAULT_NO_ANSWER, 0, 1 << CALL_RENAME | 1 << CALL_REMOVE | 1 << CALL_MKDIR, 1},
    {"one byte", FAULT_ONE_BYTE, 0, 1 << CALL_READ | 1 << CALL_WRITE, 1},
    {"half", FAULT_HALF, 1, 1 << CALL_READ | 1 << CALL_WRITE, 1},
};
const int faults_count = sizeof faults / sizeof *faults;

void bench_open(bench *b, const kind *k) {
  mcl_error err;
  *b = (bench){.k = k, .c = test_context(1)};
  snprintf(b->directory, sizeof b->directory, "%s", test_directory(k->name));
  b->word = strrchr(b->directory, '/') + 1;
  for (int v = 0; v < VERSIONS; v++) {
    b->thing[v] = k->make(b->c, v);
    CHECK_OK(k->save(b->thing[v], b->directory, &err));
    b->tree[v] = files_read_tree(b->directory);
    ck_assert_int_eq(files_parts(b->directory), 0);
    CHECK_OK(k->load(b->c, b->directory, &b->looks[v], &err));
  }
  ck_assert(!files_same_tree(&b->tree[0], &b->tree[1]));
  ck_assert(b->looks[0].n > 0 && memcmp(&b->looks[0], &b->looks[1], sizeof b->looks[0]) != 0);
}

void bench_close(bench *b) {
  for (int v = 0; v < VERSIONS; v++) {
    b->k->drop(b->thing[v]);
    files_tree_free(&b->tree[v]);
  }
  mcl_context_unref(b->c);
}

int bench_loaded(bench *b, mcl_error *err) {
  seen s = {0};
  mcl_status status = b->k->load(b->c, b->directory, &s, err);
  for (int v = 0; status == MCL_OK && v < VERSIONS; v++)
    if (memcmp(&s, &b->looks[v], sizeof s) == 0) return v;
  return -1;
}
