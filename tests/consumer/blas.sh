#!/bin/sh
# blas.sh BUILD SOURCE PREFIX: hosts with OpenMP and with OpenBLAS, of threads of its own and of OpenMP's, beside libmcl.
. "$(dirname "$0")/installed.sh"
cc=${CC:-cc}
flags="-std=c99 $strict -Wno-pedantic"
$cc $flags $(shared --cflags) "$here/alone.c" -o alone $(shared --libs)
wanted=$(LD_LIBRARY_PATH=$libdir ./alone)

# host NAME RUNTIME KIND COMPILER FLAG... : the runtime of OpenMP that must be there, alone
host() {
  say "$1, $3"
  expected=$2; linked=$3; compiler=$4
  shift 4
  # The host's BLAS is named first: libblis.a holds the interface of BLAS too, and would be taken for what is still undefined.
  $compiler $flags $($linked --cflags) "$here/blas.c" -o host "$@" $($linked --libs) -ldl
  runs ./host "$wanted" "$expected"
}
for kind in shared static; do
  host "OpenMP of ${cc##*/}" libgomp $kind "$cc" -fopenmp
done
if command -v clang >/dev/null && echo 'int main(void) { return 0; }' | clang -fopenmp -x c - -o with_omp 2>/dev/null; then
  host "OpenMP of clang" libomp static clang -fopenmp
else
  echo "not tried, since it is not here: clang's OpenMP (libomp-dev)"
fi

missing=
for threads in pthread openmp; do
  dir=/usr/lib/$($cc -print-multiarch)/openblas-$threads
  blas=$dir/libopenblas.so.0
  test -e "$blas" || { missing="$missing libopenblas0-$threads"; continue; }
  with_blas="-DWITH_BLAS $blas -Wl,-rpath,$dir"
  runtime=none
  test $threads = pthread || runtime=libgomp
  nm -D --defined-only "$blas" | awk '{ print $3 }' | sort >blas_names
  for kind in shared static; do
    host "OpenBLAS ($threads)" $runtime $kind "$cc" $with_blas
    host "OpenBLAS ($threads), and OpenMP" libgomp $kind "$cc" $with_blas -fopenmp
    # Of a name in both the program's would be taken for the library's too.
    nm -g --defined-only host | awk '$3 !~ /^_/ { print $3 }' | sort | comm -12 - blas_names >both
    test ! -s both || fail "names of OpenBLAS's in the program: $(cat both)"
  done
done
say "names in a program with libmcl.a"
$cc $flags $(static --cflags) "$here/alone.c" -o named $(static --libs)
# Besides its own names, of BLIS's three have no prefix.
for name in $(nm -g --defined-only named | awk '$3 !~ /@|^(_|mcli?_|bli_|BLIS_)/ { print $3 }'); do
  case $name in main | data_start | global_rntm | global_rntm_mutex | get_cpu_name) ;; *) fail "neither libmcl's nor BLIS's: $name" ;; esac
done
test -z "$missing" || skip "OpenMP passed; OpenBLAS is not here:$missing"
