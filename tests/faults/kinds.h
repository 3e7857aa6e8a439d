// One of each kind of thing that libmcl saves, tiny: made in two versions, saved, loaded, and looked at from outside.
#ifndef MCL_TESTS_KINDS_H
#define MCL_TESTS_KINDS_H

#include "support/suite.h"

#include <libmcl/mcl.h>

// What can be seen of something loaded: embeddings, labels, tokens, ...; the first `whole` of them are integers.
enum { SEEN = 1024 };
typedef struct seen {
  int n;
  double x[SEEN];
} seen;

enum { VERSIONS = 2 };
typedef struct kind {
  const char *name;
  // Of one shape and options, but other numbers. Never NULL; to be freed.
  void *(*make)(mcl_context *c, int version);
  void (*drop)(void *thing);
  mcl_status (*save)(void *thing, const char *directory, mcl_error *err);
  // Into something made anew, at which is looked then.
  mcl_status (*load)(mcl_context *c, const char *directory, seen *out, mcl_error *err);
  const char *files; // that there are afterwards, with blanks between
  int exact;         // what is seen are integers
} kind;

int kinds_count(void);
const kind *kind_at(int i);
const kind *kind_named(const char *name);
// Adds a test of each kind, or of the one that the program's first argument names.
void kinds_add_loop(TCase *c, const TTest *t, int argc, char **argv);

// What kinds.c and kinds_encoders.c share.
enum { KINDS_SIDE = 8 }; // of images, in pixels
extern const kind kinds_encoders[];
extern const int kinds_encoder_count;
const char *kinds_path(const char *directory,
                       const char *name); // "directory/name"; static storage of four, a thread
void kinds_see(seen *s, const float *x, int64_t n);
mcl_status kinds_make_mlp(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err);

#endif
