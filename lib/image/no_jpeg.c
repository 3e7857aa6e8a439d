// In place of jpeg.c where libmcl is built without libjpeg.
#include "image/decode.h"

const int mcli_has_jpeg = 0;

mcl_status mcli_jpeg_read(const mcli_encoded *in, mcli_raster *out, mcl_error *err) {
  (void)in, (void)out;
  return mcli_fail(err, MCL_E_UNSUPPORTED,
                   "the file is a JPEG, and this build of libmcl has no JPEG");
}
