#!/bin/sh
# Every exported function is called by a fuzz target, or at least by a test: functions.txt says by which, and this checks that it
# names all functions of the version script, no others, and callers that do call them.
#   functions.sh SOURCE_ROOT           checks
#   functions.sh SOURCE_ROOT --write   writes functions.txt anew
set -eu
cd "$1"
table=tests/fuzz/functions.txt
exported=$(sed -n 's/^ *\(mcl_[a-z0-9_]*\);.*/\1/p' lib/libmcl.map | sort)

callers() { # targets that call it; else the first test that does
  found=$(grep -lE "\b$1\b" tests/fuzz/*/*.c | cut -d/ -f3 | sort -u | tr '\n' ' ')
  test -n "$found" || found=$(grep -lE "\b$1\b" tests/*/test_*.c | sort | head -n 1)
  echo "${found% }"
}

if [ "${2:-}" = --write ]; then
  for name in $exported; do echo "$name $(callers "$name")"; done >$table
  exit
fi

failed=0
test "$(cut -d' ' -f1 $table)" = "$exported" || {
  echo "$table and lib/libmcl.map name other functions:"
  echo "$exported" >"${TMPDIR:-/tmp}/exported.$$"; cut -d" " -f1 $table | diff "${TMPDIR:-/tmp}/exported.$$" - || true; rm "${TMPDIR:-/tmp}/exported.$$"
  failed=1
}
while read -r name by; do
  test -n "$by" || { echo "$name is called by no fuzz target and no test"; failed=1; }
  for caller in $by; do
    case $caller in
    tests/*) grep -qE "\b$name\b" "$caller" ;;
    *) grep -qE "\b$name\b" tests/fuzz/"$caller"/*.c ;;
    esac || { echo "$caller does not call $name"; failed=1; }
  done
done <$table
exit $failed
