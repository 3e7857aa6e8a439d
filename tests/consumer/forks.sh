#!/bin/sh
# forks.sh BUILD SOURCE PREFIX: forks.c by the shared library and by the archive.
. "$(dirname "$0")/installed.sh"
for kind in shared static; do
  say "$kind"
  ${CC:-cc} -std=c99 $strict $($kind --cflags) "$here/forks.c" -o forks_$kind $($kind --libs) -pthread
  runs ./forks_$kind
done
