#!/bin/sh
# Everything that demo.sh does, then the tests.
#   sh scripts/test.sh                    all
#   sh scripts/test.sh --suite sampler    as `meson test` takes them
set -eu
cd "$(dirname "$0")/.."
sh scripts/demo.sh
meson test -C build --print-errorlogs "$@"
