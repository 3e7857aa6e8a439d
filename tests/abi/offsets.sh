#!/bin/sh
# offsets.sh SOURCE: tests/abi/offsets.c knows every public struct and member; and whatever it says by now, today's headers
# have all members and constants of each release that is kept, where and what they were there.
set -eu
cd "$1"
sh scripts/offsets.sh | diff -u tests/abi/offsets.c - || { echo "scripts/offsets.sh >tests/abi/offsets.c"; exit 1; }
for old in tests/abi/*/include; do
  sh scripts/offsets.sh "$old" | ${CC:-cc} -std=c11 -fsyntax-only -Iinclude -x c - || { echo "not what $old promised"; exit 1; }
done
