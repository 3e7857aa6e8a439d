#!/bin/sh
# Clusters a .npy of 12 GiB within 512 MiB, by hand: how much memory does the process take? Wants that much disk.
# And 10^9 rows that exist in a formula only, whose clusters are known: wants 13 GB of memory.
# And what a stage does with 10^8 rows besides: labels, cells, batches.
#   sh scripts/large.sh [GIB MIB K]
set -eu
cd "$(dirname "$0")/.."
sh scripts/build.sh
build/benchmarks/large build/large.npy "${1:-12}" "${2:-480}" "${3:-100}"
build/benchmarks/large 1000000000
build/benchmarks/large 100000000 100
