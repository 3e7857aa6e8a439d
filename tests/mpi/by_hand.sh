#!/bin/sh
# examples/hosts/mpi/by_hand.c: 2 and 4 ranks, of which the last one has no rows to embed, take the steps of one, to the same losses
# within 1e-5, and find the same cells.
#   by_hand.sh MPIRUN.SH PROGRAM SCRATCH
set -eu
mpirun=$(realpath "$1") program=$(realpath "$2") scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
for ranks in 1 2 4; do
  sh "$mpirun" $ranks "$program" >$ranks.txt
  cat $ranks.txt
done
# Only a line's last word is a figure that may differ, where it is a loss.
for ranks in 2 4; do
  awk -v ranks=$ranks '
    NR == FNR { line[NR] = $0; lines = NR; next }
    { split(line[FNR], one); last = $NF; off = last > one[NF] ? last - one[NF] : one[NF] - last
      if (last ~ /\./ && off <= 1e-5) sub(/[^ ]*$/, one[NF])
      if ($0 != line[FNR]) { print ranks " ranks: " $0 ", not " line[FNR]; bad = 1 } }
    END { exit bad || FNR != lines || lines != 6 }' 1.txt $ranks.txt
done
