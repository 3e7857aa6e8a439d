#!/bin/sh
# Branches of each reader of files that the corpora of tests/fuzz reach by themselves, with and without refused memory, by
# gcc's gcov: no other test runs.
#   sh scripts/corpus_coverage.sh               a table
#   sh scripts/corpus_coverage.sh json.c        the lines of that file with a branch that is not taken
set -eu
cd "$(dirname "$0")/.."
test -f build-corpus/build.ninja || meson setup build-corpus --buildtype=plain -Dexamples=false -Dbenchmarks=false -Dmpi=disabled \
  -Dc_args='-O0 --coverage -fno-exceptions -fprofile-update=atomic' -Dc_link_args=--coverage >/dev/null
targets=$(cd tests/fuzz && ls -d */ | tr -d /)
ninja -C build-corpus $(for t in $targets; do echo "tests/fuzz/fuzz_$t" "tests/fuzz/fuzz_$t-failing"; done) >build-corpus/build.log 2>&1 ||
  { tail -n 40 build-corpus/build.log; exit 1; }
find build-corpus -name '*.gcda' -delete
for t in $targets; do
  for suffix in '' -failing; do
    build-corpus/tests/fuzz/fuzz_"$t$suffix" "tests/fuzz/$t/corpus" >/dev/null 2>build-corpus/run.log ||
      { tail -n 5 build-corpus/run.log; exit 1; }
  done
done
files=${1:-png.c jpeg.c exif.c image.c json.c safetensors.c checkpoint.c npy.c npy_header.c utf8.c idx.c walk.c files.c folder.c
  table.c pairs_file.c pairs.c questions.c tokenizer_file.c vocabulary.c}
cd build-corpus # the paths of sources are relative to it
test $# -gt 0 || printf '%-20s %8s %8s\n' file lines branches
for f in $files; do
  source=$(cd ../lib && ls image/"$f" store/"$f" dataset/"$f" 2>/dev/null | head -n 1)
  notes=$(find lib -name "$(echo "$source" | tr / _).gcno" | head -n 1)
  report=$(gcov -b -c -o "$(dirname "$notes")" "$notes" 2>/dev/null | grep -A4 "/$source'")
  if test $# -gt 0; then
    awk '/^ *[0-9#-]+\*?: *[0-9]+:/ { line = $0 } /^branch .*(never executed|taken 0)/ { if (line != "") print line; line = "" }' \
      "$f.gcov"
  else
    echo "$report" | sed -n 's/^Lines executed:\([0-9.]*%\).*/\1/p; s/^Taken at least once:\([0-9.]*%\).*/\1/p' | tr '\n' ' ' |
      xargs printf '%-20s %8s %8s\n' "$f"
  fi
done
