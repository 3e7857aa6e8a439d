#!/bin/sh
# An hour of random legal use of the whole interface under ASan, UBSan and LeakSanitizer; prints how the process grows.
#   sh scripts/soak.sh [SECONDS]
set -eu
cd "$(dirname "$0")/.."
test -f build-asan/build.ninja || meson setup build-asan -Dwerror=true -Dmpi=disabled -Db_sanitize=address,undefined \
  -Db_lundef=false -Dexamples=false -Dbenchmarks=false >/dev/null
ninja -C build-asan tests/soak/soak >build-asan/soak-build.log 2>&1 || { tail -n 40 build-asan/soak-build.log; exit 1; }
# A freed block is kept aside for a while; 8 MiB of them, so that what grows is seen.
ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=8 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  build-asan/tests/soak/soak 0 "${1:-3600}"
