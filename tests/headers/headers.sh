#!/bin/sh
# Every public header compiles alone, as C99, C11 and C++11, with every warning an error; and no public struct has
# padding on 64-bit machines, where a member added later would land in an old caller's struct unseen.
set -eu
cd "$1/include"
failed=0
for header in libmcl/*.h; do
  for language in "cc -std=c99 -x c" "cc -std=c11 -x c" "c++ -std=c++11 -x c++"; do
    printf "#include <%s>\nextern int nothing;\n" "$header" | $language -fsyntax-only -I. -Wall -Wextra -Wconversion -pedantic -Werror - ||
      { echo "$header fails as: $language"; failed=1; }
  done
  case $(uname -m) in
  x86_64 | aarch64)
    printf "#include <%s>\nextern int nothing;\n" "$header" | gcc -std=c99 -x c -fsyntax-only -I. -Wpadded -Werror - ||
      { echo "$header has a padded struct"; failed=1; } ;;
  esac
done
exit $failed
