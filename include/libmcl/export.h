/* Marks used by every libmcl header. Nothing here needs to be used by a host. */
#ifndef LIBMCL_EXPORT_H
#define LIBMCL_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
/** What libmcl exports. */
#define MCL_API __attribute__((visibility("default")))
/** What a call returns is to be looked at. */
#define MCL_CHECK __attribute__((warn_unused_result))
#else
#define MCL_API
#define MCL_CHECK
#endif

#ifdef __cplusplus
/** Between these two, names are C's. */
#define MCL_BEGIN_DECLS extern "C" {
/** See MCL_BEGIN_DECLS. */
#define MCL_END_DECLS }
#else
#define MCL_BEGIN_DECLS
#define MCL_END_DECLS
#endif

#endif
