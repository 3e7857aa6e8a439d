#!/bin/sh
# abidiff.sh SOURCE [STUB]: the headers still have the interface of each release that is kept here. What a release changes on
# purpose goes into tests/abi/allowed.abignore, reviewed; new functions need no entry. STUB: what scripts/abi.sh stub made.
set -eu
here=$1/tests/abi
command -v abidiff >/dev/null || { echo "skipped: no abidiff (abigail-tools)"; exit 77; }
library=${2-}
if [ -z "$library" ]; then
  library=$(mktemp)
  trap 'rm -f "$library"' EXIT
  sh "$1/scripts/abi.sh" stub "$library"
fi
failed=0
for old in "$here"/*/libmcl.abi; do
  abidiff --suppressions "$here/allowed.abignore" --no-added-syms --no-architecture --no-show-locs "$old" "$library" ||
    { echo "not what $old says (before the release: sh scripts/abi.sh)"; failed=1; }
done
exit $failed
