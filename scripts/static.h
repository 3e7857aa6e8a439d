// Read by the static analysers before each file (scripts/static.sh), never by a compiler that builds: what they cannot
// see from one file. Without it every `if (!p) s = mcli_nomem(...); if (s < 0) goto done;` looks like a way to a NULL p.
#include "base/status.h"

static inline mcl_status analysed_failure(mcl_status s) {
  if (s >= 0) __builtin_unreachable();
  return s;
}

#define mcli_fail(...)     analysed_failure(mcli_fail(__VA_ARGS__))
#define mcli_fail_row(...) analysed_failure(mcli_fail_row(__VA_ARGS__))
#define mcli_nomem(...)    analysed_failure(mcli_nomem(__VA_ARGS__))
