#!/bin/sh
# symbols.sh SOURCE LIBRARY.so ARCHIVE.a: the names in the shared library are those of lib/libmcl.map, which are the
# functions that the headers declare, no more and no less; the soname is the major version's; and in the archive, where
# nothing hides them, libmcl's own names start with mcl_ or mcli_.
#   symbols.sh SOURCE LIBRARY.so ARCHIVE.a MPI   the same of libmcl-mpi and mpi.h; MPI: its name to pkg-config
set -eu
source=$1
name=libmcl
map=lib/libmcl.map
mpi=
if [ -n "${4-}" ]; then
  name=libmcl-mpi
  map=lib/mpi/libmcl-mpi.map
  mpi=$(pkg-config --cflags "$4")
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C
failed=0
same() { # same TITLE LEFT RIGHT
  diff -u "$scratch/$2" "$scratch/$3" || { echo "$1"; failed=1; }
}

nm -D --defined-only "$2" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$scratch/library"
sed -n 's/^ *\([a-z_0-9]*\);$/\1/p' "$source/$map" >"$scratch/unsorted"
sort "$scratch/unsorted" >"$scratch/map"
declared() { # the functions of the headers on standard input
  sed 's|.*/\(.*\)|#include <libmcl/\1>|' | ${CC:-cc} -E -P -std=c99 -I"$source/include" $mpi -x c - | tr '\n' ' ' | tr ';{}' '\n\n\n' |
    grep 'visibility *( *"default" *)' | sed 's/__attribute__ *(([a-z_]* *("default")))//g; s/__attribute__ *(([a-z_]*))//g' |
    awk 'match($0, /mcl_[a-z0-9_]* *\(/) { print substr($0, RSTART, RLENGTH - 1) }' | tr -d ' ' | sort
}
ls "$source"/include/libmcl/*.h | grep -v '/mpi\.h$' | declared >"$scratch/headers"
if [ -n "$mpi" ]; then
  mv "$scratch/headers" "$scratch/libmcl"
  echo include/libmcl/mpi.h | declared | comm -23 - "$scratch/libmcl" >"$scratch/headers"
fi
test -s "$scratch/headers" || { echo "no functions found in the headers"; failed=1; }

same "$map is not sorted" unsorted map
same "left: in $map, right: in the library" map library
same "left: in $map, right: declared in include/libmcl" map headers
if grep -v '^mcl_' "$scratch/library"; then
  echo "names without mcl_"
  failed=1
fi
if nm -g --defined-only "$3" 2>/dev/null | awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | grep -v -e '^mcli\{0,1\}_' -e '^_' -e '^DW\.'; then
  echo "names in the archive with neither mcl_ nor mcli_"
  failed=1
fi

major=$(sed -n 's/^#define MCL_VERSION_MAJOR //p' "$source/include/libmcl/version.h")
readelf -d "$2" | sed -n 's/.*soname: \[\(.*\)\]/\1/p' >"$scratch/soname"
echo "$name.so.$major" >"$scratch/wanted"
same "left: the soname that follows from version.h, right: the library's" wanted soname
exit $failed
