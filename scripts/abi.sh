#!/bin/sh
# Writes down the interface of the version in version.h, before a release: tests/abi/MAJOR.MINOR/ gets the public headers
# and their ABI as abidw (abigail-tools) sees it, and tests/abi/offsets.c sizes, offsets and values. Read the
# difference before you commit it.
#   sh scripts/abi.sh              writes them
#   sh scripts/abi.sh stub FILE    makes only the shared library that abidw and abidiff look at
#
# That library has all public functions, empty, and an inner one, which the map must hide. In the real one abidw would also find
# what is behind the opaque types, and its
# --headers-dir, which goes by file names alone, takes lib/base/context.h for include/libmcl/context.h. That the real one has
# the same functions is tests/abi/symbols.sh's matter. mpi.h is kept too, but depends on the MPI: that programs made with the
# kept one work is tests/consumer's matter.
set -eu
cd "$(dirname "$0")/.."

version=$(sh scripts/version.sh)
stub() {
  for header in include/libmcl/*.h; do
    test "${header##*/}" = mpi.h || printf '#include <libmcl/%s>\n' "${header##*/}"
  done | ${CC:-cc} -E -P -std=c11 -Iinclude -x c - | tr '\n' ' ' |
    awk 'BEGIN { RS = ORS = ";" } /visibility *\( *"default"/ { sub(/$/, " { __builtin_trap(); }") } { print }
      END { printf "\nvoid mcli_inner(void) {}\n" }' |
    ${CC:-cc} -std=c11 -g -fPIC -shared -Wl,--version-script,lib/libmcl.map -Wl,-soname,"libmcl.so.${version%%.*}" -x c - -o "$1"
}

if [ "${1-}" = stub ]; then
  stub "$2"
  exit
fi
here=tests/abi/${version%.*}
rm -rf "$here"
mkdir -p "$here/include"
cp -R include/libmcl "$here/include/"
library=$(mktemp)
stub "$library"
abidw --no-architecture --no-corpus-path --no-comp-dir-path --no-show-locs "$library" >"$here/libmcl.abi"
rm "$library"
sh scripts/offsets.sh >tests/abi/offsets.c
echo "$here and tests/abi/offsets.c are written"
