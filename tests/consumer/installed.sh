# Sourced with BUILD SOURCE PREFIX as arguments, by every script here: the build is installed once, for all of them, somewhere else
# than it was configured for. Gives build, source, here, version; root, libdir: what was installed; scratch, an empty folder to
# be in; and what is said below.
set -eu
build=$1
source=$2
prefix=$3
here=$source/tests/consumer
version=$(sh "$source/scripts/version.sh")
stage=$build/consumer
root=$stage/root$prefix
mkdir -p "$stage"
(
  flock 9
  test -e "$stage/done" && test -z "$(find "$build/lib" "$build/pkgconfig" "$source/include" -maxdepth 2 \
    \( -name 'libmcl*.so.*' -o -name 'libmcl*.a' -o -name '*.pc' -o -path '*/libmcl/*.h*' \) -newer "$stage/done")" && exit
  rm -rf "$stage/root" "$stage/shared" "$stage/static" "$stage/done"
  touch "$stage/begun"
  DESTDIR=$stage/root meson install -C "$build" --no-rebuild --quiet
  # .pc files that know where they are. In static/ there is no shared library, and so the linker takes the archive.
  mkdir "$stage/shared" "$stage/static"
  pc=$(find "$root" -name libmcl.pc)
  for file in "${pc%/*}"/*.pc; do
    sed "s|^prefix=.*|prefix=$root|" "$file" >"$stage/shared/${file##*/}"
    sed "s|^libdir=.*|libdir=$stage/static|" "$stage/shared/${file##*/}" >"$stage/static/${file##*/}"
  done
  cp "${pc%/*/*}"/*.a "$stage/static"
  mv "$stage/begun" "$stage/done"
) 9>"$stage/lock"
libdir=$(PKG_CONFIG_PATH=$stage/shared pkg-config --variable=libdir libmcl)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

say() { printf '%s\n' "-- $*"; }
fail() { echo "$*"; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
shared() { PKG_CONFIG_PATH=$stage/shared pkg-config "$@" libmcl; }
static() { PKG_CONFIG_PATH=$stage/static pkg-config --static "$@" libmcl; }
strict="-g -Wall -Wextra -Wconversion -pedantic -Werror"
runs() { # runs PROGRAM [ARGUMENT]: it succeeds and says the version
  said=$(LD_LIBRARY_PATH=$libdir timeout 100 "$@") && test "$said" = "libmcl $version" || fail "$* failed, saying: $said"
}
alone() { ! objdump -p "$1" | grep -E 'NEEDED.*(libmcl|blis)' || fail "$1 is not static"; }
