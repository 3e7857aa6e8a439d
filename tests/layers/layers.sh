#!/bin/sh
# The house's rule of direction: a part includes only parts below it, and each outside library is known to one file.
# Prints every include that breaks it.
#
# mpi is beside them all, and includes nothing but public headers.
#
#   base <- comm, math <- store <- { nn, image <- dataset, loss, clusterer, sampler, probe } <- encoder <- integrator <- multistage
set -eu
cd "$1/lib"
failed=0

may_include() { # part -> the parts it may include, itself apart
  case $1 in
  base | mpi) ;;
  comm | math) echo base ;;
  store) echo base math ;;
  nn | image | loss | clusterer | sampler | probe) echo base comm math store ;;
  dataset) echo base comm math store image ;;
  encoder) echo base comm math store nn image dataset loss clusterer sampler probe ;;
  integrator) echo base comm math store nn image dataset loss clusterer sampler probe encoder ;;
  multistage) echo base comm math store nn image dataset loss clusterer sampler probe encoder integrator ;;
  esac
}

for part in base comm math store nn image dataset loss clusterer sampler probe encoder integrator multistage mpi; do
  allowed=" $part $(may_include $part | tr '\n' ' ') "
  for found in $(grep -rhoE '^#include "[^"]+"' "$part" --include='*.[ch]' | sed 's/.*"\(.*\)"/\1/' | sort -u); do
    case $allowed in
    *" ${found%%/*} "*) ;;
    *) echo "lib/$part must not include \"$found\""; grep -rn "\"$found\"" "$part"; failed=1 ;;
    esac
    case $found in *../*) echo "lib/$part: no ../ in includes: \"$found\""; failed=1 ;; esac
  done
done

only_in() { # pattern file: an outside thing is known to one file
  hits=$(grep -rlE "$1" . --include='*.[ch]' | sed 's|^\./||' | grep -vxE "$2" || true)
  test -z "$hits" || { echo "$1 belongs to lib/$2 alone, but stands in:" $hits; failed=1; }
}
only_in '#include <(blis/)?blis.h>' 'math/gemm_blis.c'
only_in '#include <png.h>' 'image/png.c'
only_in '#include <jpeglib.h>' 'image/jpeg.c'
only_in '#include <pthread.h>' 'base/thread.c'
only_in '#include <zlib.h>' 'base/file.c'
files='base/(file|writer|directory).[ch]'
only_in '#include <(fcntl|dirent|sys/(stat|file|mman|uio)).h>' "$files"
only_in '\b(fopen|freopen|fdopen|tmpfile|remove|rename|unlink|fsync|truncate|access|opendir|mkstemp) *\(' "$files"
only_in '#include <(libmcl/)?mpi.h>' 'mpi/mpi.c'
only_in '\b(malloc|calloc|realloc|aligned_alloc|posix_memalign) *\(' 'base/alloc.c|mpi/mpi.c'
only_in '#include <libmcl/mcl.h>' 'nothing'
only_in '\b(printf|puts|abort|exit) *\(' 'nothing'
exit $failed
