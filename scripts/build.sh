#!/bin/sh
# Installs what is missing and builds into build/.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh
test -f build/build.ninja || meson setup build -Dwerror=true >build-setup.log 2>&1 ||
  { cat build-setup.log; rm -f build-setup.log; exit 1; }
rm -f build-setup.log
ninja -C build >build/build.log 2>&1 || { tail -n 40 build/build.log; exit 1; }
