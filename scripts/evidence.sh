#!/bin/sh
# The proof that later stages learn what the first one suppressed: Fashion-MNIST with four random bits, all controls, seeds 0,
# 1 and 2 (or those named). A quarter of an hour on two cores; seeds that are done are not run again. Writes docs/evidence.md
# and docs/evidence.svg from build/evidence/seed-*/report.json.
set -eu
cd "$(dirname "$0")/.."
test $# -gt 0 || set -- 0 1 2
sh scripts/build.sh
data=/usr/share/datasets/fashion-mnist
for seed; do
  out=build/evidence/seed-$seed
  test -f "$out/report.json" && continue
  echo "seed $seed"
  build/examples/discover --labels $data/train-labels-idx1-ubyte.gz --rows 10000 --holdout 2000 --size 14 --randbits 4 \
    --stages 3 --clusters 10 --epochs 8 --batch 256 --temperature 0.5 --controls --seed "$seed" --out "$out" \
    $data/train-images-idx3-ubyte.gz
done
python3 scripts/evidence.py build/evidence docs
