#!/bin/sh
# hosts.sh SOURCE TEST_MPI KMEANS SCRATCH: what tests/mpi has, with each rank on a host of its own, as far as one machine can make
# hosts: by TCP between network namespaces. Skipped (77) where these cannot be made.
set -eu
hosts=$1/scripts/hosts.sh
test_mpi=$2
kmeans=$3
scratch=$4
rm -rf "$scratch"
mkdir -p "$scratch/1" "$scratch/3" "$scratch/killed"
fail() { echo "$*"; exit 1; }
export SECONDS_MOST=120

sh "$hosts" 1 true || exit $?
sh "$hosts" 1 "$kmeans" make "$scratch/rows.npy"
sh "$hosts" 1 "$kmeans" fit "$scratch/rows.npy" "$scratch/1"
sh "$hosts" 3 "$kmeans" fit "$scratch/rows.npy" "$scratch/3"
for rank in 0 1 2; do
  for file in cosine-labels cosine-centroids cosine-saved minibatch-labels minibatch-centroids minibatch-saved; do
    cmp "$scratch/1/$file-0" "$scratch/3/$file-$rank"
  done
done

# All that test_mpi exchanges has gone over the wire: it sends 8 MiB a rank in one call.
RANKS=4 sh "$hosts" 2 sh -c '"$0" funneled && cat /sys/class/net/wire/statistics/tx_bytes' "$test_mpi" >"$scratch/sent"
test "$(grep -c . "$scratch/sent")" = 4 || fail "not four ranks"
while read -r bytes; do
  test "$bytes" -gt 8388608 || fail "a host sent only $bytes bytes"
done <"$scratch/sent"

# A host is cut off. Nobody says so to the others; Open MPI asks each host whether it is there, here more often than the default of
# some minutes.
export OMPI_MCA_oob_tcp_keepalive_time=3 OMPI_MCA_oob_tcp_keepalive_intvl=1 OMPI_MCA_oob_tcp_keepalive_probes=3
sh "$hosts" 3 "$kmeans" for_ever "$scratch/rows.npy" "$scratch/killed" >"$scratch/said" 2>&1 &
run=$!
for rank in 0 1 2; do
  tenths=600
  until [ -s "$scratch/killed/pid-$rank" ]; do
    tenths=$((tenths - 1))
    test $tenths -gt 0 || fail "rank $rank does not start"
    sleep .1
  done
done
sleep 1
began=$(date +%s)
ip -n "mcl$run-0" link set wire2 down
code=0
wait $run || code=$?
took=$(($(date +%s) - began))
test $code -ne 0 || fail "mpirun says that all went well"
test $took -le 60 || fail "mpirun returned $took s after a host was cut off"
