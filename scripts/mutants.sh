#!/bin/sh
# Breaks the source in one place at a time and runs its tests; see scripts/mutants.py.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh
mkdir -p build/mutants
exec nice -n 3 python3 scripts/mutants.py "$@"
