#!/bin/sh
# cmake.sh BUILD SOURCE PREFIX: a CMake project finds what is installed by pkg-config, shared and static.
. "$(dirname "$0")/installed.sh"
command -v cmake >/dev/null || skip "no cmake"
for kind in shared static; do
  say "CMake, $kind"
  option=OFF
  test $kind = shared || option=ON
  PKG_CONFIG_PATH=$stage/$kind cmake -S "$here/cmake" -B $kind -DCMAKE_C_FLAGS=-Werror -DLIBMCL_STATIC=$option >log 2>&1 &&
    cmake --build $kind >>log 2>&1 || { cat log; exit 1; }
  test $kind = shared || alone static/consumer
  runs $kind/consumer
done
