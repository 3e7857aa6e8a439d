// A file layer that fails. The linker leads every file call of the library and of the test program through here
// (-Wl,--wrap, tests/meson.build): it is counted, put down, and the n-th of some kinds fails, is short, or kills the process.
//
// Flushes are put down but not carried out: what reaches the disk when the power fails no test can see, the order can be seen.
#ifndef MCL_TESTS_FILES_H
#define MCL_TESTS_FILES_H

#include <stddef.h>
#include <stdint.h>

enum {
  CALL_OPEN,
  CALL_CLOSE,
  CALL_READ,  // pread
  CALL_WRITE, // pwrite
  CALL_SIZE,  // ftruncate
  CALL_FLUSH, // fsync
  CALL_RENAME,
  CALL_LINK,
  CALL_REMOVE, // unlink
  CALL_STAT,   // stat, lstat and fstat
  CALL_MODE,   // fchmod
  CALL_LOCK,   // flock
  CALL_READLINK,
  CALL_MKDIR,
  CALL_LIST,  // opendir
  CALL_ENTRY, // readdir
  CALL_KINDS
};
enum { CALLS_ALL = (1 << CALL_KINDS) - 1 };
// That change what is on the disk: what ENOSPC and the like can happen to.
enum {
  CALLS_WRITING = 1 << CALL_OPEN | 1 << CALL_WRITE | 1 << CALL_SIZE | 1 << CALL_FLUSH |
                  1 << CALL_RENAME | 1 << CALL_MKDIR
};

// What happens instead of an error; never an errno.
enum {
  FAULT_ONE_BYTE = 10001, // a read or write of 1 byte
  FAULT_HALF,             // of half
  FAULT_NOTHING,          // of none, and no error
  FAULT_KILL_BEFORE,      // SIGKILL instead of the call
  FAULT_KILL_AFTER,       // after it
  FAULT_NO_ANSWER         // carried out, and EINTR
};

// The n-th call from now of `kinds` (bits 1 << CALL_...) meets `fault`, and all later ones if `for_ever`. n = 0: none does.
// What was put down is forgotten.
void files_fail(int64_t n, uint32_t kinds, int fault, int for_ever);
int64_t files_calls(void);   // of those kinds, since
int64_t files_failed(void);  // how many have, since
int files_failed_kind(void); // CALL_..., of the first; -1: none

// The call to fail after the n-th of `calls`. Of more than 70 calls every 25th is enough between the first 24 and the last 20:
// a large encoder is written tensor by tensor, and what one write does the next does too.
int64_t files_next(int64_t n, int64_t calls);

// What was called since files_fail(), the first FILES_PUT_DOWN.
enum { FILES_PUT_DOWN = 2048 };
typedef struct files_event {
  int kind;
  char path[256]; // its tail; of a descriptor, the path it was opened by; of a rename the new one
  char from[256]; // of a rename, the old one
} files_event;
const files_event *files_events(int64_t *n);
const char *files_kind_name(int kind);

// ---- what tests look at ----------------------------------------------------------------------------

int files_descriptors(void);            // open ones of this process
int files_parts(const char *directory); // names that end in .part, in all of the tree
// Everything in a tree, names and bytes: to be compared, and put back. To be freed by files_tree_free().
typedef struct files_tree {
  char *bytes; // name, NUL, size (8 bytes), bytes; sorted by name
  size_t n;
} files_tree;
files_tree files_read_tree(const char *directory);
void files_write_tree(const char *directory, const files_tree *tree); // and nothing else is there
int files_same_tree(const files_tree *a, const files_tree *b);
void files_tree_free(files_tree *tree);

#endif
