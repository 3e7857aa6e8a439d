#!/bin/sh
# subproject.sh BUILD SOURCE PREFIX: libmcl as a subproject of a Meson project, which builds of it what a host needs and no more,
# and is installed with it.
. "$(dirname "$0")/installed.sh"
mkdir -p project/subprojects
cp "$here/subproject/meson.build" "$here/consumer.c" project
ln -s "$source" project/subprojects/libmcl
# Not optimised: what is tried here is how it is built.
meson setup project/build project --force-fallback-for=libmcl --prefix="$scratch/prefix" --libdir=lib -Doptimization=0 -Ddebug=false >log 2>&1 ||
  { cat log; exit 1; }
ninja -C project/build >log 2>&1 || { tail -n 40 log; exit 1; }
test -z "$(find project/build/subprojects -name 'test_*' -o -name '*discover*' -o -name 'bench_*')" || fail "tests, examples or benchmarks were built"
libdir=$scratch/nowhere # the program knows where its library is
say "not installed"
runs project/build/consumer
say "installed"
meson install -C project/build --quiet
libdir=$scratch/prefix/lib
runs prefix/bin/consumer
test -e prefix/lib/pkgconfig/libmcl.pc || fail "the subproject's libmcl.pc is not installed"
