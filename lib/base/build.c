// Facts that are fixed when the library is compiled.
#include <libmcl/version.h>

#include "base/built_with.h"

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define VERSION    TEXT(MCL_VERSION_MAJOR) "." TEXT(MCL_VERSION_MINOR) "." TEXT(MCL_VERSION_PATCH)

uint32_t mcl_version(void) {
  return MCL_VERSION_MAJOR << 16 | MCL_VERSION_MINOR << 8 | MCL_VERSION_PATCH;
}

const char *mcl_version_string(void) {
  return VERSION;
}

const char *mcl_build_info(void) {
  return "libmcl " VERSION
#if defined(__clang__)
         ", clang " __clang_version__
#elif defined(__GNUC__)
         ", gcc " __VERSION__
#endif
         ", blis=" MCLI_BUILT_BLIS ", png=" MCLI_BUILT_PNG ", jpeg=" MCLI_BUILT_JPEG
         ", zlib=" MCLI_BUILT_ZLIB ", isas=" MCLI_BUILT_ISAS;
}
