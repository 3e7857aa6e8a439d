#!/bin/sh
# Every public header compiles alone, as C99, C11 and C++11 (mcl.hpp up to C++20), by gcc and clang where they are, with
# every warning an error; and no public struct has padding on 64-bit machines, where a member added later would land
# in an old caller's struct unseen. dlpack.h is tried without DLPack and with it.
#   headers.sh SOURCE [MPI]   MPI: its name to pkg-config; without it mpi.h is left out
set -eu
tests=$1/tests/headers
cd "$1/include"
failed=0

# try HEADER "COMPILER AND FLAGS" ["MORE FLAGS"]
try() {
  command -v "${2%% *}" >/dev/null || return 0
  printf "#include <%s>\nextern int nothing;\n" "$1" |
    $2 ${3-} -fsyntax-only -I. -Wall -Wextra -Wconversion -pedantic -Werror - ||
    { echo "$1 fails as: $2 ${3-}"; failed=1; }
}

mpi=
test -z "${2-}" || mpi=$(pkg-config --cflags "$2" | sed 's/-I/-isystem /g')

for header in libmcl/*.h; do
  flags=
  if [ "$header" = libmcl/mpi.h ]; then
    test -n "${2-}" || continue
    flags=$mpi
  fi
  for language in "gcc -std=c99 -x c" "gcc -std=c11 -x c" "g++ -std=c++11 -x c++" "clang -std=c99 -x c" "clang++ -std=c++11 -x c++"; do
    try "$header" "$language" "$flags"
    test "$header" != libmcl/dlpack.h || try "$header" "$language" "-I$tests"
  done
  case $(uname -m) in
  x86_64 | aarch64)
    printf "#include <%s>\nextern int nothing;\n" "$header" | gcc -std=c99 -x c -fsyntax-only -I. $flags -Wpadded -Werror - ||
      { echo "$header has a padded struct"; failed=1; } ;;
  esac
done
for language in "g++ -std=c++11" "g++ -std=c++17" "g++ -std=c++20" "clang++ -std=c++11" "clang++ -std=c++20"; do
  try libmcl/mcl.hpp "$language -x c++" -Wshadow
done
exit $failed
