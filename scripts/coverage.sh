#!/bin/sh
# The tests under clang's address and undefined-behaviour sanitizers, and which lines and branches of lib/ they ran: both for each
# file and group. Fails where a test does, and below scripts/coverage.py's bounds.
#   sh scripts/coverage.sh              builds into build-coverage, runs the tests, prints
#   sh scripts/coverage.sh SUITE…       these suites alone; figures are then of these, and held to nothing
#   sh scripts/coverage.sh --print      what the last run found; line by line in build-coverage/coverage.html
# Counted by clang where the source has a branch, so neither optimisation nor a sanitizer's own branches change the figures:
# one run of the tests is enough for both. (gcov counts in what the compiler made of the source.)
set -eu
failed=0 held=1
cd "$(dirname "$0")/.."
sh scripts/install.sh
sh scripts/install.sh clang llvm-14 lld libclang-rt-14-dev
count='-fprofile-instr-generate -fcoverage-mapping'
test -f build-coverage/build.ninja ||
  CC=clang CXX=clang++ CC_LD=lld CXX_LD=lld meson setup build-coverage -Dwerror=true -Doptimization=1 -Db_lundef=false \
    -Db_sanitize=address,undefined -Dc_args="-g1 $count" -Dcpp_args="-g1 $count" -Dc_link_args="$count" -Dcpp_link_args="$count" \
    -Dmpi=disabled -Dexamples=false -Dbenchmarks=false >/dev/null
profiles=$PWD/build-coverage/profiles
if test "${1:-}" != --print; then
  ninja -C build-coverage >build-coverage/build.log 2>&1 || { tail -n 40 build-coverage/build.log; exit 1; }
  rm -rf "$profiles"
  # Not what wants the machine to itself, and PyTorch, which is not built for a sanitizer.
  suites='--no-suite hostile --no-suite torch'
  if test $# -gt 0; then
    suites='' held=
    for suite; do suites="$suites --suite $suite"; done
  fi
  # One process a program: leaks are looked for when it ends, which takes longer than most tests.
  # shellcheck disable=SC2086 # a list of words
  CK_FORK=no LLVM_PROFILE_FILE="$profiles/%m.profraw" UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    meson test -C build-coverage --print-errorlogs -t 4 $suites || failed=1
fi
# Functions of one name that are compiled for several instruction sets are said to be mismatched.
llvm() { "$@" 2>build-coverage/llvm.log || { cat build-coverage/llvm.log >&2; exit 1; }; }
all=build-coverage/all.profdata library=build-coverage/lib/libmcl.so
llvm llvm-profdata-14 merge -sparse -o $all "$profiles"/*.profraw
llvm llvm-cov-14 export -summary-only -instr-profile $all $library >build-coverage/coverage.json
llvm llvm-cov-14 show -format=html -show-branches=count -instr-profile $all $library >build-coverage/coverage.html
python3 scripts/coverage.py build-coverage/coverage.json || test ! "$held" || failed=1
exit $failed
