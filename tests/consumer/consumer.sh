#!/bin/sh
# consumer.sh BUILD SOURCE PREFIX: installs the build somewhere else than it was configured for, then builds and runs
# programs against it as users do: by pkg-config, shared and static, in C and C++; with the headers of every
# release that is kept in tests/abi; and by dlopen. Warnings are errors. Of libmcl-mpi likewise, where it was built.
set -eu
build=$1
here=$2/tests/consumer
prefix=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
say() { printf '%s\n' "-- $*"; }
fail() { echo "$*"; exit 1; }

DESTDIR=$scratch/root meson install -C "$build" --no-rebuild --quiet
root=$scratch/root$prefix
pc=$(find "$root" -name libmcl.pc)
PKG_CONFIG_PATH=${pc%/*}
export PKG_CONFIG_PATH
config() { pkg-config --define-variable=prefix="$root" "$@" libmcl; }
libdir=$(config --variable=libdir)
version=$(sh "$2/scripts/version.sh")

say "what is installed"
for file in "$libdir/libmcl.so.${version%%.*}" "$libdir/libmcl.so" "$libdir/libmcl.a" "$root/include/libmcl/mcl.hpp"; do
  test -e "$file" || fail "$file is missing"
done
objdump -p "$libdir/libmcl.so" | grep -q "SONAME *libmcl.so.${version%%.*}\$" || fail "the soname is not libmcl.so.${version%%.*}"
objdump -p "$libdir/libmcl.so" | grep -E "NEEDED.*(blis|gomp|stdc)|R(UN)?PATH" && fail "it should not need that"

say "flags"
equal() { test "$(echo $2)" = "$3" || fail "$1: $2, not $3"; }
equal version "$(config --modversion)" "$version"
# libpng's own may follow: pkg-config lists those of Requires.private.
first() { set -- $1; echo "$1"; }
equal cflags "$(first "$(config --cflags)")" "-I$root/include"
equal libs "$(config --libs)" "-L$libdir -lmcl"
for flag in -l:libblis.a -lpng16 -ljpeg -lz -lm -pthread; do
  case "$(config --static --libs) " in *" $flag "*) ;; *) fail "no $flag in the static flags" ;; esac
done
# In a sysroot the same file serves.
equal sysroot "$(first "$(PKG_CONFIG_SYSROOT_DIR=$scratch/root pkg-config --cflags libmcl)")" "-I$root/include"

strict="-g -Wall -Wextra -Wconversion -pedantic -Werror"
runs() { # runs PROGRAM [ARGUMENT]: it succeeds and says the version
  test "$(LD_LIBRARY_PATH=$libdir "$@")" = "libmcl $version" || fail "$* failed"
}

say "C, shared"
${CC:-cc} -std=c99 $strict $(config --cflags) "$here/consumer.c" -o c_shared $(config --libs)
runs ./c_shared
say "C, a library that is opened"
${CC:-cc} -std=c99 $strict -Wno-pedantic $(config --cflags) "$here/opened.c" -o opened -ldl
runs ./opened "$libdir/libmcl.so.${version%%.*}"
if command -v "${CXX:-c++}" >/dev/null; then
  say "C++, shared"
  ${CXX:-c++} -std=c++11 $strict $(config --cflags) "$here/consumer.cpp" -o cpp_shared $(config --libs)
  runs ./cpp_shared
fi

for old in "$2"/tests/abi/*/include; do
  test -d "$old" || continue
  say "C, built with the headers in ${old#"$2"/}"
  ${CC:-cc} -std=c99 $strict -I"$old" "$here/consumer.c" -o old $(config --libs)
  runs ./old
done

if [ -e "${pc%.pc}-mpi.pc" ]; then
  say "C, with MPI"
  # A variable that is defined for pkg-config would be MPI's prefix too. What MPI's own headers are warned of is not our matter.
  mkdir moved
  for file in "$pc" "${pc%.pc}-mpi.pc"; do sed "s|^prefix=.*|prefix=$root|" "$file" >"moved/${file##*/}"; done
  with_mpi() { PKG_CONFIG_PATH=moved pkg-config "$@" libmcl-mpi | sed 's|-I/usr|-isystem /usr|g'; }
  equal version "$(with_mpi --modversion)" "$version"
  objdump -p "$libdir/libmcl-mpi.so" | grep -q "SONAME *libmcl-mpi.so.${version%%.*}\$" || fail "libmcl-mpi's soname is wrong"
  for include in "$root/include" "$2"/tests/abi/*/include; do
    ${CC:-cc} -std=c99 $strict -I"$include" $(with_mpi --cflags) "$here/consumer_mpi.c" -o c_mpi $(with_mpi --libs)
    runs env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 60 ./c_mpi
  done
else
  test ! -e "$root/include/libmcl/mpi.h" || fail "mpi.h is installed without its library"
fi

# Static: where there is no shared library, the linker takes the archive.
rm "$libdir"/libmcl.so*
alone() { ! objdump -p "$1" | grep -E 'NEEDED.*(libmcl|blis)' || fail "$1 is not static"; }
say "C, static"
${CC:-cc} -std=c99 $strict $(config --static --cflags) "$here/consumer.c" -o c_static $(config --static --libs)
alone c_static
runs ./c_static
if command -v "${CXX:-c++}" >/dev/null; then
  say "C++, static"
  ${CXX:-c++} -std=c++11 $strict $(config --static --cflags) "$here/consumer.cpp" -o cpp_static $(config --static --libs)
  alone cpp_static
  runs ./cpp_static
fi
