#!/bin/sh
# consumer.sh BUILD SOURCE PREFIX: builds and runs programs against what was installed as users do: by pkg-config, shared and
# static, in C and C++; with the headers of every release that is kept in tests/abi; and by dlopen. Warnings are errors. Of
# libmcl-mpi likewise, where it was built.
. "$(dirname "$0")/installed.sh"
pc=$(find "$root" -name libmcl.pc)
PKG_CONFIG_PATH=${pc%/*} # as installed; with it the prefix is given by the caller
export PKG_CONFIG_PATH
config() { pkg-config --define-variable=prefix="$root" "$@" libmcl; }

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
equal sysroot "$(first "$(PKG_CONFIG_SYSROOT_DIR=$stage/root pkg-config --cflags libmcl)")" "-I$root/include"

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
  ${CC:-cc} -std=c99 $strict -I"$old" -MD -MF used "$here/consumer.c" -o old $(config --libs)
  tr ' ' '\n' <used | grep '/libmcl/' | grep -v "^$old/" && fail "a header is not of $old"
  runs ./old
done

if [ -e "${pc%.pc}-mpi.pc" ]; then
  say "C, with MPI"
  # What MPI's own headers are warned of is not our matter.
  with_mpi() { PKG_CONFIG_PATH=$stage/shared pkg-config "$@" libmcl-mpi | sed 's|-I/usr|-isystem /usr|g'; }
  equal version "$(with_mpi --modversion)" "$version"
  objdump -p "$libdir/libmcl-mpi.so" | grep -q "SONAME *libmcl-mpi.so.${version%%.*}\$" || fail "libmcl-mpi's soname is wrong"
  for include in "$root/include" "$2"/tests/abi/*/include; do
    ${CC:-cc} -std=c99 $strict -I"$include" $(with_mpi --cflags) "$here/consumer_mpi.c" -o c_mpi $(with_mpi --libs)
    runs env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 60 ./c_mpi
  done
else
  test ! -e "$root/include/libmcl/mpi.h" || fail "mpi.h is installed without its library"
fi

say "C, static"
${CC:-cc} -std=c99 $strict $(static --cflags) "$here/consumer.c" -o c_static $(static --libs)
alone c_static
runs ./c_static
if command -v "${CXX:-c++}" >/dev/null; then
  say "C++, static"
  ${CXX:-c++} -std=c++11 $strict $(static --cflags) "$here/consumer.cpp" -o cpp_static $(static --libs)
  alone cpp_static
  runs ./cpp_static
fi
