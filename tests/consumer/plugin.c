/* A plug-in that uses libmcl for itself: by a copy inside it, or by the shared library. C99. */
#include "work.h"

__attribute__((visibility("default"))) uint64_t plugin_work(uint32_t threads);
__attribute__((visibility("default"))) const char *plugin_version(void);

uint64_t plugin_work(uint32_t threads) {
  return work_alone(threads);
}

const char *plugin_version(void) {
  return mcl_version_string();
}
