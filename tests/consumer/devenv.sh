#!/bin/sh
# devenv.sh BUILD SOURCE PREFIX: in `meson devenv` programs are compiled and run with the library as it was built, not installed.
. "$(dirname "$0")/installed.sh"
cat >inside <<END
set -eu
test "\$(pkg-config --variable=includedir libmcl)" = "$source/include"
test "\$(pkg-config --modversion libmcl)" = "$version"
${CC:-cc} -std=c99 $strict \$(pkg-config --cflags libmcl) "$here/consumer.c" -o consumer \$(pkg-config --libs libmcl)
ldd ./consumer | grep -q "libmcl.so.${version%%.*} => $build/lib/" || { ldd ./consumer; exit 1; }
./consumer
END
unset PKG_CONFIG_PATH LD_LIBRARY_PATH || true
test "$(meson devenv -C "$build" sh -c "cd '$scratch' && sh inside")" = "libmcl $version" || fail "meson devenv: a program could not be built and run"
