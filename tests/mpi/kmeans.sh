#!/bin/sh
# kmeans.sh KMEANS SCRATCH: the same bytes on every rank of one to four; and mpirun returns when a rank is killed.
set -eu
here=$(dirname "$0")
kmeans=$1
scratch=$2
rm -rf "$scratch"
mkdir -p "$scratch"
fail() { echo "$*"; exit 1; }

sh "$here/mpirun.sh" 1 "$kmeans" make "$scratch/rows.npy"
for ranks in 1 2 3 4; do
  mkdir "$scratch/$ranks"
  sh "$here/mpirun.sh" $ranks "$kmeans" fit "$scratch/rows.npy" "$scratch/$ranks"
  for rank in $(seq 0 $((ranks - 1))); do
    for what in cosine minibatch; do
      for file in labels centroids saved; do
        cmp "$scratch/1/$what-$file-0" "$scratch/$ranks/$what-$file-$rank"
      done
    done
  done
done

# A rank is killed: that the others end, and mpirun, is Open MPI's doing.
within() { # within SECONDS "what did not happen" COMMAND...
  tenths=${1}0
  what=$2
  shift 2
  until "$@"; do
    tenths=$((tenths - 1))
    test $tenths -gt 0 || fail "$what"
    sleep .1
  done
}
pid_of() { cat "$scratch/killed/pid-$1"; }
started() { test -s "$scratch/killed/pid-0" && test -s "$scratch/killed/pid-1" && test -s "$scratch/killed/pid-2"; }
gone() { ! kill -0 "$1" 2>/dev/null; }

mkdir "$scratch/killed"
MCL_SECONDS=100 sh "$here/mpirun.sh" 3 "$kmeans" for_ever "$scratch/rows.npy" "$scratch/killed" 2>"$scratch/said" &
run=$!
within 60 "the ranks do not start" started
sleep 1
kill -0 $run || fail "it ended before a rank was killed"
kill -9 "$(pid_of 1)"
within 20 "mpirun did not return after a rank was killed" gone $run
code=0
wait $run || code=$?
test $code -ne 0 || fail "mpirun says that all went well"
within 20 "rank 0 is still there" gone "$(pid_of 0)"
within 20 "rank 2 is still there" gone "$(pid_of 2)"
