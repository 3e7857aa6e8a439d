#!/bin/sh
# Decodes PngSuite, libjpeg-turbo's test images and what its cjpeg makes of them by mcl_image_decode(), and compares: PNG with libpng,
# exactly; JPEG with libjpeg and with djpeg, within 2. Every damaged file of PngSuite is to be refused with a reason.
#   sh scripts/decoders.sh
# The images are in Debian's source packages libspng and libjpeg-turbo. apt-get source fetches them from wherever this machine's
# packages come from, into build/decoders, which is kept; apt's own configuration stays as it is. Where that cannot be, unpack the
# two sources in build/decoders/source by hand, and run the script again.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh libjpeg-turbo-progs dpkg-dev
test -f build/build.ninja || meson setup build >/dev/null
ninja -C build tests/decoders/compare_decoders >build/decoders.log 2>&1 || { tail -n 40 build/decoders.log; exit 1; }
here=$PWD/build/decoders
mkdir -p "$here/source" "$here/apt/parts" "$here/apt/lists/partial" "$here/apt/cache/archives/partial"

fetch() {
  for f in /etc/apt/sources.list /etc/apt/sources.list.d/*; do # the same places, their sources
    case $f in
    *.sources) sed 's/^Types:.*/Types: deb-src/' "$f" >"$here/apt/parts/${f##*/}" ;;
    *.list) test ! -f "$f" || sed 's/^deb /deb-src /' "$f" >"$here/apt/parts/${f##*/}" ;;
    esac
  done
  set -- -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$here/apt/parts" -o Dir::State::lists="$here/apt/lists" \
    -o Dir::Cache="$here/apt/cache" -o APT::Sandbox::User=root
  apt-get "$@" update >"$here/apt.log" 2>&1 || true # a place without sources is no matter if another has these
  (cd "$here/source" && apt-get "$@" source libspng libjpeg-turbo >>"$here/apt.log" 2>&1)
}
found() { find "$here/source" -path "$1" | head -n 1; }
test "$(found '*/tests/images/basn0g01.png')" && test "$(found '*/testimages/testorig.ppm')" || fetch || {
  tail -n 5 "$here/apt.log"
  echo "the sources of libspng and libjpeg-turbo cannot be fetched: unpack them in $here/source, and run this again"
  exit 2
}
suite=$(dirname "$(found '*/tests/images/basn0g01.png')")
originals=$(dirname "$(found '*/testimages/testorig.ppm')")

# As many ways to write one picture as cjpeg knows, and what djpeg reads.
rm -rf "$here/jpeg"
mkdir "$here/jpeg"
cp "$originals"/*.jpg "$here/jpeg"
number=0
for colours in '' -grayscale -rgb; do
  for coding in '' -optimize -progressive -arithmetic '-arithmetic -progressive'; do
    for sampling in 1x1 2x1 1x2 2x2 4x1 1x4 4x2; do
      for more in '-quality 95' '-quality 40 -restart 1'; do
        number=$((number + 1))
        cjpeg $colours $coding -sample $sampling $more "$originals/testorig.ppm" >"$here/jpeg/$number.jpg"
      done
    done
  done
done
for f in "$here"/jpeg/*.jpg; do djpeg -ppm "$f" >"$f.ppm" 2>/dev/null || rm -f "$f.ppm"; done

build/tests/decoders/compare_decoders "$suite"/*.png "$here"/jpeg/*.jpg
