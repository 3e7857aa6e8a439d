#!/bin/sh
# Prints the version that include/libmcl/version.h states, the one place where it is written.
sed -n 's/^#define MCL_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\)$/\2/p' "$(dirname "$0")/../include/libmcl/version.h" |
  paste -sd.
