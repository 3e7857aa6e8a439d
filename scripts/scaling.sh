#!/bin/sh
# Builds, times every part at several sizes, and writes the tables of docs/scaling.md; points go to build/scaling.jsonl.
# Some three minutes on two idle cores; figures of a busy machine mean nothing.
#   sh scripts/scaling.sh            everything
#   sh scripts/scaling.sh --quick    or any other options of scripts/scaling.py: the document stays as it is
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh python3-numpy
sh scripts/build.sh
test $# -gt 0 || set -- --write docs/scaling.md
exec /usr/bin/python3 scripts/scaling.py --jsonl build/scaling.jsonl "$@"
