#!/bin/sh
# Static analysis; see scripts/static.py.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh cppcheck clang-tidy python3-minimal
test -f build/compile_commands.json || sh scripts/build.sh
exec python3 scripts/static.py "$@"
