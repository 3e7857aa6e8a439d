#!/bin/sh
# offsets.sh SOURCE: tests/abi/offsets.c knows every public struct and member.
set -eu
sh "$1/scripts/offsets.sh" | diff -u "$1/tests/abi/offsets.c" - || { echo "scripts/offsets.sh >tests/abi/offsets.c"; exit 1; }
