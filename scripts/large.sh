#!/bin/sh
# Clusters a .npy of 12 GiB within 512 MiB, by hand: how much memory does the process take? Wants that much disk.
#   sh scripts/large.sh [GIB MIB K]
set -eu
cd "$(dirname "$0")/.."
sh scripts/build.sh
build/benchmarks/large build/large.npy "${1:-12}" "${2:-480}" "${3:-100}"
