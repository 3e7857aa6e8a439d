#!/bin/sh
# libmcl on other machines than this one, under qemu: without BLIS, PNG and JPEG on aarch64 and on 32-bit x86, and the
# default build on an x86-64 without AVX. Installs what is missing, builds, and runs the core tests there.
#   sh scripts/portability.sh                    all of it: i686 aarch64 nehalem
#   sh scripts/portability.sh i686 aarch64       these
#   sh scripts/portability.sh --quick ...        a program a part, for CI
set -eu
cd "$(dirname "$0")/.."
quick=
test "${1-}" != --quick || { quick=1; shift; }
test $# -gt 0 || set -- i686 aarch64 nehalem
cross=$PWD/build-cross
mkdir -p "$cross"

# Threads of several processes, kills and writes that fail are the machine's own matter: not emulated.
suites=$(printf ' --suite %s' base comm math store nn image dataset loss clusterer sampler probe encoder integrator multistage)
few='test_status test_file test_array test_gemm test_product test_rows test_npy test_sizes test_checkpoint test_formats test_dataset_idx
  test_golden_loss test_machines test_cells test_batches test_pairs test_integrator test_norm test_pull'

debian_of() { case $1 in aarch64) echo arm64 ;; i686) echo i386 ;; esac; }

# Debian's packages of zlib and Check for another machine, unpacked into a folder: nothing of this system is touched, and apt
# keeps its lists of that machine in a folder too.
sysroot() { # sysroot MACHINE
  to=$cross/sysroot-$1
  test ! -e "$to/done" || return 0
  state=$cross/apt-$1
  rm -rf "$to" "$state"
  mkdir -p "$to" "$state/lists/partial" "$state/cache/archives/partial" "$state/debs"
  : >"$state/status"
  apt() {
    apt-get -qq -o APT::Architecture="$debian" -o APT::Architectures="$debian" -o Dir::State::lists="$state/lists" \
      -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root \
      -o Acquire::Languages=none "$@"
  }
  debian=$(debian_of "$1")
  apt update || true # a list that is missing is noticed next
  (cd "$state/debs" && apt download check libsubunit-dev zlib1g-dev >/dev/null)
  for deb in "$state"/debs/*.deb; do dpkg -x "$deb" "$to"; done
  find "$to" -type l -name 'lib*.so' -delete # of libraries that are not there; the static ones serve
  touch "$to/done"
}

build() { # build FOLDER OPTION...: of no use without what the tests need
  folder=$1; shift
  test -f "$folder/build.ninja" || meson setup "$folder" -Dwerror=true -Dexamples=false -Dbenchmarks=false -Dmpi=disabled \
    -Dbuildtype=plain -Doptimization=2 "$@" >"$folder.log" 2>&1 || { tail -n 20 "$folder.log"; exit 1; }
}

names() { # names FOLDER: the programs of the core tests there
  if [ -n "$quick" ]; then
    echo $few
  else
    # shellcheck disable=SC2086
    meson test -C "$1" --list $suites --no-rebuild 2>/dev/null | sed -n 's|^.* / ||p'
  fi
}

check() { # check FOLDER [WRAPPER]
  programs=$(names "$1")
  # shellcheck disable=SC2046,SC2086 # lists of words
  ninja -C "$1" $(printf 'tests/%s ' $programs) >"$1.log" 2>&1 || { tail -n 40 "$1.log"; exit 1; }
  # Emulated, everything takes ten times as long, for Check's limits too. Other suites have programs of the same names.
  # shellcheck disable=SC2086
  CK_TIMEOUT_MULTIPLIER=10 meson test -C "$1" --no-rebuild -t 20 $suites --print-errorlogs ${2:+--wrapper "$2"} $programs
}

cross_check() { # cross_check MACHINE
  sysroot "$1"
  printf "[constants]\nsysroot = '%s'\n" "$cross/sysroot-$1" >"$cross/$1.ini"
  build "$cross/$1" --cross-file "$cross/$1.ini" --cross-file "scripts/cross/$1.ini" -Dblis=none -Dpng=disabled -Djpeg=disabled
  check "$cross/$1"
}

sh scripts/install.sh
for what; do
  echo "==== $what"
  case $what in
  i686) sh scripts/install.sh qemu-user gcc-i686-linux-gnu libc6-dev-i386-cross && cross_check i686 ;;
  aarch64) sh scripts/install.sh qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross && cross_check aarch64 ;;
  nehalem)
    sh scripts/install.sh qemu-user
    build "$cross/native"
    check "$cross/native" 'qemu-x86_64 -cpu Nehalem'
    ;;
  *) echo "portability.sh: $what is none of i686 aarch64 nehalem" >&2; exit 2 ;;
  esac
done
