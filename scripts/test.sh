#!/bin/sh
# Everything that demo.sh does, then the tests.
set -eu
cd "$(dirname "$0")/.."
sh scripts/demo.sh
meson test -C build --print-errorlogs
