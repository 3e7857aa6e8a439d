#!/bin/sh
# libtorch.sh PROGRAM SCRATCH: the C++ host of examples/hosts/libtorch. Its table shows the clothes learnt behind the bits; a run that is
# killed and started again prints the same table; what PyTorch throws comes out as it was thrown.
set -eu
program=$1
scratch=$2
test -f /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz || { echo "no Fashion-MNIST here"; exit 77; }
rm -rf "$scratch"
mkdir -p "$scratch"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
few="--rows 400"

# shellcheck disable=SC2086 # words
"$program" $few >"$scratch/whole"
cat "$scratch/whole"
awk '
  { gsub(",", "") }
  $1 == "stage" { bits[$2] = $(NF - 2); clothes[$2] = $NF; stages++ }
  $1 == "all" { all = $NF; ended = 1 }
  END {
    if (stages != 3 || !ended) { print "no table of three stages"; exit 1 }
    if (bits[0] < .25) { print "stage 0 has not learnt the bits"; exit 1 }
    if (clothes[0] > .4) { print "stage 0 suppresses nothing"; exit 1 }
    if (clothes[2] < clothes[0] + .15 || all < clothes[0] + .1) { print "later stages have not learnt the clothes"; exit 1 }
  }' "$scratch/whole"

# Killed in stage 1, in between two saves.
# shellcheck disable=SC2086
"$program" $few --save "$scratch/run" >"$scratch/killed" &
pid=$!
until ls "$scratch/run" 2>/dev/null | grep -q '^stage-0\.'; do
  kill -0 "$pid" 2>/dev/null || { echo "ended before it was killed"; exit 1; }
  sleep .05
done
kill -9 "$pid"
wait "$pid" 2>/dev/null && { echo "ended before it was killed"; exit 1; }
test ! -s "$scratch/killed" || { echo "too late to kill it"; exit 1; }
# shellcheck disable=SC2086
"$program" $few --save "$scratch/run" >"$scratch/resumed"
cmp "$scratch/whole" "$scratch/resumed"

# A run of other rows is refused, by libmcl.
code=0
"$program" --rows 400 --bits 3 --save "$scratch/run" 2>"$scratch/said" || code=$?
test "$code" = 1 && grep -q MCL_E_MISMATCH "$scratch/said" || { echo "exit status $code:"; cat "$scratch/said"; exit 1; }

# c10::Error, thrown by a callback.
code=0
"$program" --rows 200 --side 20 >/dev/null 2>"$scratch/said" || code=$?
test "$code" = 3 && grep -q '^PyTorch: .*shapes cannot be multiplied' "$scratch/said" || { echo "exit status $code:"; cat "$scratch/said"; exit 1; }
