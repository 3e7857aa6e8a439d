#!/bin/sh
# Do the checks of the interface see what they are there for? Each way to break programs that were built before is applied to a
# copy of the headers and of what is checked beside them; tests/headers and tests/abi judge the copy. Nothing of the library is
# compiled: they look at its headers, and at a library of empty functions (scripts/abi.sh). "anew": offsets.c has been written
# again by who broke it and did not read it, so that another check must see it.
#   sh scripts/abi-mutants.sh        each is judged by the check that must see it
#   sh scripts/abi-mutants.sh all    by all of them
# Fails if the tree as it is does not pass all, if growth that was reviewed does not, or if a mutant survives.
set -eu

# judge FOLDER [all]: the names of the checks that fail in it, into FOLDER/caught.
judge() {
  cd "$1"
  d=$PWD
  changed=$(cat headers)
  wanted=${2-$(cat wanted)}
  : >caught
  check() { # check NAME COMMAND...
    name=$1; shift
    case $wanted in all | - | "$name") "$@" >"log.$name" 2>&1 || printf '%s ' "$name" >>caught ;; esac
  }
  # A header that is fit by itself is fit beside others, so that only those that changed need to be tried.
  # shellcheck disable=SC2086 # a list of names
  test "$changed" = none || check headers.sh sh tests/headers/headers.sh "$d" '' $changed
  check offsets.c cc -std=c11 -fsyntax-only -Iinclude tests/abi/offsets.c
  check offsets.sh sh tests/abi/offsets.sh "$d"
  case $wanted in all | - | symbols.sh | abidiff.sh) sh scripts/abi.sh stub "$d/stub.so" || printf 'stub ' >>caught ;; esac
  if [ -e soname ]; then check symbols.sh real "$d"; else check symbols.sh sh tests/abi/symbols.sh "$d" "$d/stub.so" /dev/null; fi
  check abidiff.sh sh tests/abi/abidiff.sh "$d" "$d/stub.so"
}

# The soname is meson's: configured, not built, and written into the stub.
real() {
  meson setup "$1/build" "$1" -Dtests=false -Dexamples=false -Dbenchmarks=false -Dmpi=disabled
  soname=$(sed -n 's/.*-Wl,-soname,\(libmcl\.so[.0-9]*\).*/\1/p' "$1/build/build.ninja" | head -n 1)
  test "$soname" = libmcl.so.7 || return 0 # it was not configured at all, and so nothing was seen
  sed "s/-soname,[^ ]*/-soname,$soname/" "$1/scripts/abi.sh" >"$1/scripts/named.sh"
  sh "$1/scripts/named.sh" stub "$1/named.so"
  sh "$1/tests/abi/symbols.sh" "$1" "$1/named.so" /dev/null
}

if [ "${1-}" = judge ]; then
  shift
  judge "$@"
  exit
fi
cd "$(dirname "$0")/.."
command -v abidiff >/dev/null || { echo "skipped: no abidiff (abigail-tools)"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/tree/lib" "$scratch/tree/tests" "$scratch/mutants"
cp -R include scripts "$scratch/tree"
cp -R tests/abi tests/headers "$scratch/tree/tests"
cp lib/libmcl.map "$scratch/tree/lib"

count=100
# begin "WHAT IT DOES" CHECK: a copy of the tree to break, in $d; CHECK must see it, "-": none may.
begin() {
  count=$((count + 1))
  d=$scratch/mutants/$count
  cp -R "$scratch/tree" "$d"
  echo "$1" >"$d/what"
  echo "$2" >"$d/wanted"
}
# edit FILE SED...: FILE by that script, which must change something.
edit() {
  file=$d/$1; shift
  cp "$file" "$scratch/before"
  sed "$@" "$scratch/before" >"$file"
  ! cmp -s "$scratch/before" "$file" || { echo "$(cat "$d/what"): nothing in $file is changed by: sed $*"; exit 1; }
}
anew() { (cd "$d" && sh scripts/offsets.sh >"$scratch/anew" && cp "$scratch/anew" tests/abi/offsets.c); }
clusterer=include/libmcl/clusterer.h
status=include/libmcl/status.h
swap='s/^  int32_t metric;/  int32_t swapped;/; s/^  int32_t init;/  int32_t metric;/; s/^  int32_t swapped;/  int32_t init;/'
grow='s/^  int64_t max_bytes;/&\n  int64_t more;/'
review() { printf '[suppress_type]\n  name = mcl_kmeans_options\n  has_data_member_inserted_at = end\n' >>"$d/tests/abi/allowed.abignore"; }

begin 'nothing' -
begin 'a member at the end and a function, reviewed' -
edit $clusterer "$grow; s/^MCL_END_DECLS/MCL_API int32_t mcl_clusterer_zzz(void);\n&/"
edit lib/libmcl.map 's/^  mcl_cnn_options_init;/  mcl_clusterer_zzz;\n&/'
review; anew

begin 'two members of one type swapped' offsets.c
edit $clusterer "$swap"
begin 'two members of one type swapped, anew' abidiff.sh
edit $clusterer "$swap"; anew
begin 'the same beside growth that was reviewed, anew' offsets.sh
edit $clusterer "$swap; $grow"; review; anew
begin 'a struct grown in the middle' offsets.c
edit $clusterer 's/^  uint64_t seed;/&\n  int64_t more;/'
begin 'a struct grown in the middle, anew' abidiff.sh
edit $clusterer 's/^  uint64_t seed;/&\n  int64_t more;/'; anew
begin 'a struct grown at the end, not reviewed' offsets.c
edit $clusterer "$grow"
begin 'a struct grown at the end, not reviewed, anew' abidiff.sh
edit $clusterer "$grow"; anew
begin 'a table of callbacks grown in the middle, anew' offsets.sh
edit $clusterer 's/^  mcl_status (\*assign)/  void (*more)(void *user);\n&/'; anew
begin 'a frozen struct grown, anew' offsets.sh
edit $status 's/^  int32_t host_code;/  int64_t more;\n&/'; anew
begin 'a member removed, anew' offsets.sh
edit $clusterer '/^  int64_t max_bytes;/d'; anew
begin 'a member of another type and the same size, anew' abidiff.sh
edit $clusterer 's/^  int64_t max_bytes;/  double max_bytes;/'; anew
begin 'a struct with padding, of no release, anew' headers.sh
edit $clusterer 's/^MCL_END_DECLS/typedef struct mcl_zzz {\n  size_t struct_size;\n  int32_t n;\n} mcl_zzz;\n&/'; anew
begin 'a struct that offsets.c does not know' offsets.sh
edit $clusterer 's/^MCL_END_DECLS/typedef struct mcl_zzz {\n  size_t struct_size;\n} mcl_zzz;\n&/'
begin 'the value of a status changed' offsets.c
edit $status 's/MCL_E_SHAPE = -4/MCL_E_SHAPE = -40/'
begin 'the value of a status changed, anew' offsets.sh
edit $status 's/MCL_E_SHAPE = -4/MCL_E_SHAPE = -40/'; anew
begin 'a constant before others, anew' offsets.sh
edit $clusterer 's/MCL_LLOYD = 1,/MCL_ZZZ = 1, MCL_LLOYD,/'; anew
begin 'a constant removed, anew' offsets.sh
edit $clusterer '/^  MCL_INIT_GIVEN/d'; anew

begin 'a function removed' abidiff.sh
edit $status '/mcl_status_name(/d'; edit lib/libmcl.map '/mcl_status_name;/d'
begin 'a function removed from the map alone' symbols.sh
edit lib/libmcl.map '/mcl_status_name;/d'
begin 'a parameter of another type' abidiff.sh
edit $clusterer 's/^                                                 int32_t n, mcl_error/int64_t n, mcl_error/'
begin 'one parameter more' abidiff.sh
edit $status 's/mcl_status_name(mcl_status status)/mcl_status_name(mcl_status status, int32_t form)/'
begin 'another return type' abidiff.sh
edit include/libmcl/comm.h 's/^MCL_API int32_t mcl_comm_size(/MCL_API int64_t mcl_comm_size(/'
begin 'a parameter of a callback of another type' abidiff.sh
edit $clusterer 's/(\*assign)(void \*user, const mcl_array \*block, int32_t \*labels/(*assign)(void *user, const mcl_array *block, int64_t *labels/'
begin 'a callback that returns another type' abidiff.sh
edit include/libmcl/context.h 's/uint32_t (\*concurrency)/uint64_t (*concurrency)/'

begin 'a function that is declared and not in the map' symbols.sh
edit $clusterer 's/^MCL_END_DECLS/MCL_API int32_t mcl_clusterer_zzz(void);\n&/'
begin 'a name in the map that is not declared' symbols.sh
edit lib/libmcl.map 's/^  mcl_cnn_options_init;/  mcl_clusterer_zzz;\n&/'
begin 'MCL_API forgotten' symbols.sh
edit include/libmcl/comm.h 's/^MCL_API int32_t mcl_comm_size(/int32_t mcl_comm_size(/'
begin 'inner names exported' symbols.sh
edit lib/libmcl.map '/^ *local:/,/\*;/d'
begin 'one inner name exported' symbols.sh
edit lib/libmcl.map 's/^  mcl_advice_text;/  mcli_inner;\n&/'
begin 'a function in another version node' abidiff.sh
edit lib/libmcl.map 's/^LIBMCL_0\.1 /LIBMCL_0.2 /'
begin 'another major version' abidiff.sh
edit include/libmcl/version.h 's/^#define MCL_VERSION_MAJOR 0/#define MCL_VERSION_MAJOR 1/'
begin 'the library by another soname' symbols.sh
mkdir "$d/docs"
cp docs/meson.build "$d/docs"
cp -R lib pkgconfig meson.build meson_options.txt "$d"
edit lib/meson.build "s/soversion: [^,]*,/soversion: '7',/"; touch "$d/soname"

begin 'a header that needs another one' headers.sh
edit include/libmcl/comm.h '/^#include/d'
begin 'a word of C++ for a parameter' headers.sh
edit $status 's/mcl_status_name(mcl_status status)/mcl_status_name(mcl_status new)/'
begin 'a C11 keyword in a header' headers.sh
edit $clusterer 's/^MCL_END_DECLS/_Static_assert(sizeof(int32_t) == 4, "");\n&/'

# What changed, for headers.sh. The tree as it is, and growth, are tried whole: by tests/headers where that is a test.
for d in "$scratch"/mutants/*; do
  (cd "$d/include" && for h in libmcl/*; do cmp -s "$h" "$scratch/tree/include/$h" || printf '%s ' "$h"; done) >"$d/headers"
  test -s "$d/headers" || echo none >"$d/headers"
done
find "$scratch/mutants" -mindepth 1 -maxdepth 1 | sort |
  xargs -P "$(nproc)" -I '{}' sh "$PWD/scripts/abi-mutants.sh" judge '{}' ${1+all}

failed=0
printf '%-55s %s\n' 'what was done' 'what saw it'
for d in "$scratch"/mutants/*; do
  caught=$(cat "$d/caught")
  wanted=$(cat "$d/wanted")
  verdict=
  case $wanted in
  -) test -z "$caught" || verdict="   IS REFUSED" ;;
  *) case " $caught" in *" $wanted "*) ;; *) verdict="   MISSED by $wanted" ;; esac ;;
  esac
  printf '%-55s %s\n' "$(cat "$d/what")" "${caught:-nothing}$verdict"
  test -z "$verdict" || { failed=1; tail -n 20 "$d"/log.*; }
done
exit $failed
