#!/bin/sh
# What the advice after each stage was, and what was so: runs whose labels are known, each for a stage or two beyond the
# advice to stop. A quarter of an hour on two cores; runs that are done are not run again. Writes the table of
# docs/choosing.md from build/choosing/CASE/report.json. Stages beyond the advice are asked for by --stages.
set -eu
cd "$(dirname "$0")/.."
sh scripts/build.sh
data=/usr/share/datasets/fashion-mnist
run() { # name, options
  out=build/choosing/$1
  shift
  test -f "$out/report.json" && return
  echo "$out"
  build/examples/discover --labels $data/train-labels-idx1-ubyte.gz --rows 10000 --holdout 2000 --size 14 --out "$out" "$@" \
    $data/train-images-idx3-ubyte.gz
}
run bits4-0 --randbits 4 --stages 4
run bits4-1 --randbits 4 --stages 4 --seed 1
run bits4-2 --randbits 4 --stages 4 --seed 2
run bits10k32-0 --randbits 10 --clusters 32 --batching packed --stages 4
run bits20-0 --randbits 20 --stages 3
run bits0-0 --stages 4
run mlp4-0 --randbits 4 --stages 3 --encoder mlp --controls
python3 scripts/choosing.py build/choosing docs/choosing.md
