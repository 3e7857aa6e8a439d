#!/bin/sh
# The main job on real images: a multistage representation of Fashion-MNIST with four random bits in every image, which an
# ordinary contrastive network learns instead of the clothes. Some minutes; the report is build/demo/report.html.
# With arguments: discover's, as in `sh scripts/demo.sh ~/Pictures`; `sh scripts/demo.sh --help` lists them.
set -eu
cd "$(dirname "$0")/.."
here=$PWD
sh scripts/build.sh
cd "${OLDPWD:-$here}"
test $# -eq 0 || exec "$here/build/examples/discover" "$@"
data=/usr/share/datasets/fashion-mnist
exec "$here/build/examples/discover" --labels $data/train-labels-idx1-ubyte.gz --rows 10000 --holdout 2000 --size 14 \
  --randbits 4 --stages 3 --clusters 10 --epochs 8 --batch 256 --temperature 0.5 --controls --seed 0 \
  --out "$here/build/demo" $data/train-images-idx3-ubyte.gz
