// In place of png.c where libmcl is built without libpng.
#include "image/decode.h"

const int mcli_has_png = 0;

mcl_status mcli_png_read(const mcli_encoded *in, mcli_raster *out, mcl_error *err) {
  (void)in, (void)out;
  return mcli_fail(err, MCL_E_UNSUPPORTED,
                   "the file is a PNG, and this build of libmcl has no PNG");
}

mcl_status mcl_image_write_png(mcl_context *context, const char *path, const mcl_array *image,
                               mcl_error *err) {
  (void)image;
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  return mcli_fail(err, MCL_E_UNSUPPORTED, "cannot write %s: this build of libmcl has no PNG",
                   mcli_path_tail(path));
}
