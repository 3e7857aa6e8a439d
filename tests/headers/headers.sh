#!/bin/sh
# Every public header compiles alone, as C99, C11, C++11 and C++20, by gcc and clang where they are, with every warning an
# error; and no public struct has padding on 64-bit machines, where a member added later would land in an old caller's
# struct unseen. dlpack.h is tried without DLPack and with it.
#   headers.sh SOURCE [MPI [HEADER...]]   MPI: its name to pkg-config; without it, or if it is "", mpi.h is left out
set -eu
tests=$1/tests/headers
cd "$1/include"
failed=0
mpi=
test -z "${2-}" || mpi=$(pkg-config --cflags "$2" | sed 's/-I/-isystem /g')
padded= # clang says nothing of structs that are not used
case $(uname -m) in x86_64 | aarch64) padded=-Wpadded ;; esac

missing=
for compiler in gcc g++ clang clang++; do
  command -v $compiler >/dev/null || missing="$missing $compiler"
done
test -z "$missing" || echo "not tried, since they are not here:$missing"
test "$missing" != " gcc g++ clang clang++"

# try HEADER "COMPILER AND FLAGS" ["MORE FLAGS"]
try() {
  case "$missing " in *" ${2%% *} "*) return ;; esac
  printf "#include <%s>\nextern int nothing;\n" "$1" |
    $2 ${3-} -fsyntax-only -I. -Wall -Wextra -Wconversion -pedantic -Werror - ||
    { echo "$1 fails as: $2 ${3-}"; failed=1; }
}

all=$(echo libmcl/*.h libmcl/mcl.hpp)
test $# -lt 2 || shift
test $# -lt 2 || { shift; all=$*; }
for header in $all; do
  flags=
  case $header in
  libmcl/mcl.hpp)
    for language in "g++ -std=c++11" "g++ -std=c++17" "g++ -std=c++20" "clang++ -std=c++11" "clang++ -std=c++20"; do
      try "$header" "$language -x c++" -Wshadow
    done
    continue ;;
  libmcl/mpi.h)
    test -n "$mpi" || continue
    flags=$mpi ;;
  esac
  for language in "gcc -std=c99 $padded" "gcc -std=c11" "clang -std=c99" "clang -std=c11"; do
    try "$header" "$language -x c" "$flags"
    test "$header" != libmcl/dlpack.h || try "$header" "$language -x c" "-isystem $tests"
  done
  for language in "g++ -std=c++11" "g++ -std=c++20" "clang++ -std=c++11" "clang++ -std=c++20"; do
    try "$header" "$language -x c++" "$flags"
    test "$header" != libmcl/dlpack.h || try "$header" "$language -x c++" "-isystem $tests"
  done
done
exit $failed
