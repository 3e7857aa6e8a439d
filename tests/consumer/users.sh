#!/bin/sh
# users.sh BUILD SOURCE PREFIX: several users of libmcl in one process: a host and three plug-ins, two of which have libmcl inside them,
# hidden, and the third, as the host, by the shared library. No name is shared, and all have the bits of one that is alone.
. "$(dirname "$0")/installed.sh"

own="-std=c99 $strict -fPIC -fvisibility=hidden -shared"
for name in one two; do
  say "plug-in $name, with libmcl inside"
  ${CC:-cc} $own $(static --cflags) "$here/plugin.c" -o $name.so $(static --libs) -Wl,--exclude-libs,ALL
  alone $name.so
  test "$(nm -D --defined-only $name.so | awk '{ print $3 }' | sort | xargs)" = "plugin_version plugin_work" ||
    fail "$name.so exports more than its own: $(nm -D --defined-only $name.so | head -n 20)"
  test -z "$(nm -D --undefined-only $name.so | grep -E ' (mcli?|bli)_')" || fail "$name.so takes some of libmcl from elsewhere"
done
say "a plug-in by the shared library"
${CC:-cc} $own $(shared --cflags) "$here/plugin.c" -o three.so $(shared --libs)
for kind in shared static; do
  say "a host with libmcl, $kind"
  # -rdynamic: the host shows its libmcl to the plug-ins, which must not take it for theirs.
  ${CC:-cc} -std=c99 $strict -Wno-pedantic -rdynamic $($kind --cflags) "$here/plugins.c" -o host_$kind $($kind --libs) -ldl -pthread
  runs ./host_$kind ./one.so ./two.so ./three.so
done
