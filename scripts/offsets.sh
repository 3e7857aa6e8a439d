#!/bin/sh
# Prints tests/abi/offsets.c: a static assertion for the size of every public struct, the offset of every member, and the
# value of every constant. A program made of the preprocessed headers measures them. mpi.h has none.
#   sh scripts/offsets.sh            of today's headers
#   sh scripts/offsets.sh INCLUDE    of a release's: what later headers must hold to. There a struct with struct_size may be larger
set -eu
cd "$(dirname "$0")/.."
include=${1:-include}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# "struct member" lines, "struct -" for the struct itself.
for header in "$include"/libmcl/*.h; do
  test "${header##*/}" = mpi.h || printf '#include <libmcl/%s>\n' "${header##*/}"
done | ${CC:-cc} -E -P -std=c99 -I"$include" -x c - >"$scratch/headers"

tr '\n' ' ' <"$scratch/headers" | sed 's/enum *{/\n&/g' | sed -n 's/^enum *{\([^}]*\)}.*/\1/p' | tr ',' '\n' |
  sed -n 's/^ *\(MCL_[A-Z0-9_]*\).*/\1/p' >"$scratch/constants"

sed 's/__attribute__ *(([^;]*))//' "$scratch/headers" | tr '\n' ' ' | sed 's/typedef struct mcl/\ntypedef struct mcl/g; s/} *mcl_[a-z0-9_]* *;/&\n/g' |
  sed -n 's/^typedef struct \(mcl_[a-z0-9_]*\) *{\(.*\)} *\1 *;.*$/\1 \2/p' |
  awk '{
    struct = $1
    print struct, "-"
    sub(/^[^ ]* */, "")
    n = split($0, members, ";")
    for (i = 1; i <= n; i++) {
      m = members[i]
      if (m ~ /\(\*/) { # a callback: its name is in the first parentheses
        sub(/^[^(]*\( *\* */, "", m)
        sub(/\).*/, "", m)
        print struct, m
        continue
      }
      parts = split(m, names, ",")
      for (j = 1; j <= parts; j++) {
        sub(/\[.*/, "", names[j])
        sub(/ *$/, "", names[j])
        sub(/.*[ *]/, "", names[j])
        if (names[j] != "") print struct, names[j]
      }
    }
  }' >"$scratch/members"

{
  printf '#include <stddef.h>\n#include <stdio.h>\n#include <libmcl/mcl.h>\nint main(void) {\n'
  while read -r struct member; do
    if [ "$member" = - ]; then
      size=SIZE
      test "$include" = include || ! grep -q "^$struct struct_size$" "$scratch/members" || size=AT_LEAST
      printf '  printf("\\n%s(%s, %%d)\\n", (int)sizeof(%s));\n' "$size" "$struct" "$struct"
    else
      printf '  printf("AT(%s, %s, %%d)\\n", (int)offsetof(%s, %s));\n' "$struct" "$member" "$struct" "$member"
    fi
  done <"$scratch/members"
  printf '  printf("\\n");\n'
  while read -r constant || [ -n "$constant" ]; do
    printf '  printf("VALUE(%s, %%d)\\n", %s);\n' "$constant" "$constant"
  done <"$scratch/constants"
  printf '}\n'
} >"$scratch/measure.c"
${CC:-cc} -std=c99 -I"$include" "$scratch/measure.c" -o "$scratch/measure"
cat <<'END'
// Where every member of every public struct lies on 64-bit machines, and what every constant is;
// scripts/offsets.sh writes this.
// A line that changes breaks programs that were built before, unless it is the size of an options
// struct with new members behind the last one.
#include <stddef.h>
#include <stdint.h>

#include <libmcl/mcl.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
END
test "$include" = include ||
  echo '#define AT_LEAST(type, bytes) _Static_assert(sizeof(type) >= (bytes), "size of " #type)'
cat <<'END'
#define AT(type, member, place)                                                                    \
  _Static_assert(offsetof(type, member) == (place), "place of " #type "." #member)
#define VALUE(constant, number) _Static_assert((constant) == (number), "value of " #constant)

// clang-format off
#if UINTPTR_MAX == UINT64_MAX
END
"$scratch/measure" | sed 's/)$/);/'
cat <<'END'

#endif
// clang-format on

int main(void) {
  return 0;
}
END
