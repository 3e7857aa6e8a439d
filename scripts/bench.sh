#!/bin/sh
# Installs the peers, builds, and times libmcl beside them: lines of JSON in build/bench.jsonl, the table in docs/benchmarks.md.
# Allow an hour on two idle cores, and 8 GB of memory; figures of a busy machine mean nothing.
#   sh scripts/bench.sh                everything
#   sh scripts/bench.sh --only gemm    a part, or any other options of benchmarks/peers.py: the document stays as it is
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh python3-sklearn python3-faiss python3-torch python3-opencv python3-pil libopenblas0-openmp
sh scripts/build.sh
test $# -gt 0 || set -- --write docs/benchmarks.md
exec /usr/bin/python3 benchmarks/peers.py --jsonl build/bench.jsonl "$@"
