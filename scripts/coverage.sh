#!/bin/sh
# Which lines and branches of lib/ do the tests run? Prints both for each file and group, and fails below scripts/coverage.py's
# bounds.
#   sh scripts/coverage.sh              builds into build-coverage, runs the tests, prints
#   sh scripts/coverage.sh --quick      of sampler, checkpoints and parsers, which have the highest bounds, by the suites of
#                                       these parts alone: what CI does
#   sh scripts/coverage.sh SUITE…       these suites alone; figures are then of these
#   sh scripts/coverage.sh --print      what the last run found, line by line: build-coverage/coverage.html
# -fno-exceptions, for this build alone: gcov counts the way out of every call by an exception as a branch (meson.build has
# -fexceptions, for hosts in C++), and no C test can take it.
set -eu
failed=0 groups=
cd "$(dirname "$0")/.."
sh scripts/install.sh
sh scripts/install.sh gcovr
test -f build-coverage/build.ninja ||
  meson setup build-coverage -Db_coverage=true -Doptimization=0 -Dc_args='-fno-exceptions -fprofile-update=atomic' \
    -Dmpi=disabled -Dexamples=false -Dbenchmarks=false >/dev/null
if test "${1:-}" = --quick; then
  groups='sampler checkpoint parsers'
  set -- base store image dataset sampler fuzz
fi
if test "${1:-}" != --print; then
  find build-coverage -name '*.gcda' -delete
  suites='--no-suite examples --no-suite torch --no-suite pytorch --no-suite mpi --no-suite consumer --no-suite abi'
  if test $# -gt 0; then
    suites=
    for suite; do suites="$suites --suite $suite"; done
  fi
  # shellcheck disable=SC2086 # a list of words
  meson test -C build-coverage --print-errorlogs -t 4 -q $suites || failed=1
fi
gcovr --root . --filter 'lib/' --exclude-throw-branches --json-summary build-coverage/coverage.json \
  --html-details build-coverage/coverage.html build-coverage >/dev/null
# shellcheck disable=SC2086
python3 scripts/coverage.py build-coverage/coverage.json $groups
exit $failed
