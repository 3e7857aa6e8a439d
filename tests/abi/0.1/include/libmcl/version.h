/* Which libmcl is this? The only place where the version is written; the build reads it from here. */
#ifndef LIBMCL_VERSION_H
#define LIBMCL_VERSION_H

#include <stdint.h>

#include <libmcl/export.h>

/** The version of these headers: as it changes, programs are to be built anew; see docs/api-stability.md. */
#define MCL_VERSION_MAJOR 0
/** It grows where something is added. */
#define MCL_VERSION_MINOR 1
/** It grows where something is mended. */
#define MCL_VERSION_PATCH 0

MCL_BEGIN_DECLS

/** The version of the library that is loaded: major << 16 | minor << 8 | patch. Any thread. */
MCL_API uint32_t mcl_version(void);

/** The same as text, "0.1.0". Static storage. Any thread. */
MCL_API const char *mcl_version_string(void);

/** How the library was built, as "libmcl 0.1.0, gcc 12.2.0, blis=static 0.9.0, png=1.6.39, jpeg=2.1.5, zlib=1.2.13,
 *  isas=base avx2 avx512": the compiler, BLIS and how it is linked, the versions of what reads images ("blis=none",
 *  "png=none", "jpeg=none" where the build has none: mcl_image_decode() then refuses such files), and the instruction sets
 *  that kernels are compiled for. Static storage, fixed when compiled; what is known only at run time (processor, kernels,
 *  threads) is in mcl_context_describe(). */
MCL_API const char *mcl_build_info(void);

MCL_END_DECLS

#endif
