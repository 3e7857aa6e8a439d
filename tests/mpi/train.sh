#!/bin/sh
# examples/hosts/mpi on real images: 1, 2 and 4 ranks train to the same figures, and what 2 ranks have trained is clustered by 1 and by 3
# ranks to the same labels, bit by bit.
#   train.sh MPIRUN.SH PROGRAM IMAGES SCRATCH
set -eu
mpirun=$(realpath "$1") program=$(realpath "$2") images=$3 scratch=$4
rows=2100
test -f "$images" || exit 77
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"

for ranks in 1 2 4; do
  sh "$mpirun" $ranks "$program" "$images" whole-$ranks $rows >whole-$ranks.txt
  cat whole-$ranks.txt
done
# Stage 0, whose batches are the same rows: gradients are added in another order, no more.
for ranks in 2 4; do
  awk -v ranks=$ranks '
    function off(a, b) { return a > b ? (a - b) / b : (b - a) / b }
    $2 != "0:" { next }
    NR == FNR { first = $4 + 0; last = $6 + 0; next }
    { seen = 1; if (off($4 + 0, first) > 1e-6 || off($6 + 0, last) > 5e-6) { print ranks " ranks: " $0; bad = 1 } }
    END { exit bad || !seen }' whole-1.txt whole-$ranks.txt
done

sh "$mpirun" 2 "$program" "$images" trained $rows 0
for ranks in 1 3; do
  cp -r trained from-2-on-$ranks
  sh "$mpirun" $ranks "$program" "$images" from-2-on-$ranks $rows >on-$ranks.txt
  grep '^stage 0' on-$ranks.txt
  grep '^stage 0' on-$ranks.txt | cmp - - <<END
$(grep '^stage 0' on-1.txt)
END
done
