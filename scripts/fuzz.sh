#!/bin/sh
# Fuzzes tests/fuzz by libFuzzer, with ASan and UBSan, and prints a table. What is found grows in build-fuzz/corpus; an input
# that brings a target down stays in build-fuzz/found.
#   sh scripts/fuzz.sh                    20 seconds of a processor a target, of which a quarter with refused memory
#   sh scripts/fuzz.sh 1800 png jpeg      half an hour of one for each of these
#   sh scripts/fuzz.sh --keep png         adds the few inputs that reach all edges found so far to tests/fuzz/png/corpus
# JOBS targets at a time (default: the processors).
set -eu
cd "$(dirname "$0")/.."
keep=; one=; seconds=20
case ${1:-} in
--keep) keep=1; shift ;;
--one) one=1; seconds=$2; shift 2 ;; # what is below for each target
[0-9]*) seconds=$1; shift ;;
esac
build() {
  sh scripts/install.sh clang lld libclang-rt-14-dev
  test -f build-fuzz/build.ninja || CC=clang CXX=clang++ CC_LD=lld CXX_LD=lld meson setup build-fuzz -Dfuzz=true \
    -Db_sanitize=address,undefined -Db_lundef=false -Dexamples=false -Dbenchmarks=false -Dmpi=disabled -Doptimization=1 \
    -Dc_args=-g1 -Dwerror=true >/dev/null
  ninja -C build-fuzz $(for t; do echo "tests/fuzz/$t" "tests/fuzz/$t-failing"; done) >build-fuzz/build.log 2>&1 ||
    { tail -n 40 build-fuzz/build.log; exit 1; }
  mkdir -p build-fuzz/corpus build-fuzz/found
}

test $# -gt 0 || set -- $(cd tests/fuzz && ls -d */ | tr -d /)
test "$one" || build "$@"
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1

if test "$keep"; then
  for t; do
    mkdir -p "build-fuzz/corpus/$t"
    build-fuzz/tests/fuzz/"$t" -set_cover_merge=1 -use_counters=0 -max_len=4096 "tests/fuzz/$t/corpus" "build-fuzz/corpus/$t" 2>&1 | tail -n 1
    find "tests/fuzz/$t/corpus" -size +8k -print # too large to keep
  done
  exit
fi

# What this shell's children have used, in whole seconds. (A subshell would have none.)
used() { # target
  times >build-fuzz/found/"$1".times
  used=$(tail -n 1 build-fuzz/found/"$1".times | tr 'ms' '  ' | awk '{ printf "%d", 60 * ($1 + $3) + $2 + $4 }')
}

one() { # target, suffix, seconds; again where others had the processors
  log=build-fuzz/found/$1$2.log
  mkdir -p "build-fuzz/corpus/$1"
  : >"$log"
  used "$1"; before=$used spent=0
  while test $(($3 - spent)) -gt $(($3 / 60 + 1)); do
    build-fuzz/tests/fuzz/"$1$2" -max_total_time=$(($3 - spent)) -max_len=4096 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="build-fuzz/found/$1$2-" "build-fuzz/corpus/$1" "tests/fuzz/$1/corpus" >>"$log" 2>&1 || { touch "$log.failed"; break; }
    used "$1"; spent=$((used - before))
  done
  used "$1"; echo "processor: $((used - before)) s" >>"$log"
}

row() { # target, suffix
  log=build-fuzz/found/$1$2.log
  result='nothing found'
  test ! -f "$log.failed" || result=$(grep -E '^fuzz: |ERROR: |runtime error|SUMMARY' "$log" | head -n 1)
  printf '%-20s %8s %10s %8s %8s %7s  %s\n' "$1$2" "$(grep -oE 'processor: [0-9]+' "$log" | grep -oE '[0-9]+')" \
    "$(grep -oE 'number_of_executed_units: [0-9]+' "$log" | awk '{ n += $2 } END { print n + 0 }')" "$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | grep -oE '[0-9]+')" \
    "$(grep -oE ' ft: [0-9]+' "$log" | tail -n 1 | grep -oE '[0-9]+')" "$(ls "build-fuzz/corpus/$1" | wc -l)" "$result"
}

if test "$one"; then
  one "$1" '' $((seconds - seconds / 4))
  one "$1" -failing $((seconds / 4))
  row "$1" ''
  row "$1" -failing
  exit
fi

rm -f build-fuzz/found/*.failed
printf '%-20s %8s %10s %8s %8s %7s  %s\n' target seconds runs edges features inputs result
printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -I TARGET sh scripts/fuzz.sh --one "$seconds" TARGET
! ls build-fuzz/found/*.failed >/dev/null 2>&1
