#!/bin/sh
# Installs the Debian packages that are missing from those named; says nothing where none is. Root, or sudo.
#   sh scripts/install.sh            what building, demo and tests need
#   sh scripts/install.sh PACKAGE…   these
set -eu
test $# -gt 0 || set -- gcc g++ libc6-dev meson ninja-build pkg-config libblis-serial-dev libpng-dev \
  libjpeg62-turbo-dev zlib1g-dev check dataset-fashion-mnist
missing=
for package; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
test -n "$missing" || exit 0
if ! command -v apt-get >/dev/null; then
  echo "These packages are needed, and this is no Debian where they could be installed:$missing" >&2
  exit 1
fi
echo "Installing:$missing"
as_root=
test "$(id -u)" = 0 || as_root=sudo
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
