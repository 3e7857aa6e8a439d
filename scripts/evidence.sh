#!/bin/sh
# The proof that later stages learn what the first one suppressed, piece by piece. A piece whose file is there is not run again,
# so this may be stopped at any time, and started with more pieces later. Writes docs/evidence.md and its pictures from what is
# there. What a piece found is kept in docs/evidence/: take the files away to run it anew.
#   sh scripts/evidence.sh discover                      Fashion-MNIST with four bits, three seeds: ten minutes on two cores
#   sh scripts/evidence.sh --mnist DIR randbits          RandBits-MNIST: hours. DIR holds the four files of MNIST, unpacked or .gz
#   sh scripts/evidence.sh fashion                       RandBits on Fashion-MNIST
#   sh scripts/evidence.sh attributes                    dominoes of two images, and shapes in colours and textures
#   sh scripts/evidence.sh networks                      the same small, with a ResNet-18 and a vision transformer: an hour of one core
#   sh scripts/evidence.sh --mnist DIR image_text        images and captions: half an hour of one core; without --mnist drawn figures only
#   sh scripts/evidence.sh captions                      clip art and its titles (Debian's openclipart-png): five minutes of one core
#   sh scripts/evidence.sh                               only writes the document
set -eu
cd "$(dirname "$0")/.."
sh scripts/build.sh
fashion=/usr/share/datasets/fashion-mnist
findings=docs/evidence # a JSON file a piece
here=build/evidence     # logs and what is at work
mkdir -p $findings $here
mnist=

# piece NAME PROGRAM options...: docs/evidence/NAME.json, by the program's --json.
piece() {
  name=$1 program=$2
  shift 2
  test -f "$findings/$name.json" && return
  echo "$name"
  "build/examples/$program" "$@" --json "$here/$name.tmp" >"$here/$name.log" 2>&1 || { tail -3 "$here/$name.log"; exit 1; }
  python3 scripts/findings.py stamp "$here/$name.tmp"
  mv "$here/$name.tmp" "$findings/$name.json"
}

discover() {
  for seed in 0 1 2; do
    test -f "$findings/discover-$seed.json" && continue
    echo "discover, seed $seed"
    build/examples/discover --labels $fashion/train-labels-idx1-ubyte.gz --rows 10000 --holdout 2000 --size 14 --randbits 4 \
      --stages 3 --clusters 10 --epochs 8 --batch 256 --temperature 0.5 --controls --seed "$seed" --out "$here/seed-$seed" \
      $fashion/train-images-idx3-ubyte.gz
    cp "$here/seed-$seed/report.json" "$here/report.tmp"
    python3 scripts/findings.py stamp "$here/report.tmp"
    mv "$here/report.tmp" "$findings/discover-$seed.json"
  done
}

# randbits_piece SET FOLDER SUFFIX ROWS EPOCHS BITS TEMPERATURE STAGES CONTROL SEED; CONTROL may be "published", too: the authors' network
randbits_piece() {
  control="--control $9"
  test "$9" = published && control=--published
  # shellcheck disable=SC2086 # words
  piece "$1-$4-b$6-t$7-$9-${10}" randbits --images "$2/train-images-idx3-ubyte$3" --labels "$2/train-labels-idx1-ubyte$3" \
    --test-images "$2/t10k-images-idx3-ubyte$3" --test-labels "$2/t10k-labels-idx1-ubyte$3" --rows "$4" --epochs "$5" \
    --bits "$6" --temperature "$7" --stages "$8" $control --seed "${10}"
}

randbits() {
  test -n "$mnist" || { echo "randbits needs --mnist DIR" >&2; exit 1; }
  suffix=
  test -f "$mnist/train-images-idx3-ubyte" || suffix=.gz
  on_mnist() { randbits_piece mnist "$mnist" "$suffix" "$@"; }
  # Three stages and their controls on a third of the rows; the first setting carries the bars.
  for seed in 0 1 2; do
    for control in none ensemble shuffled; do on_mnist 20000 5 10 0.2 3 $control $seed; done
  done
  for control in untrained pixels; do on_mnist 20000 5 10 0.2 1 $control 0; done
  # Stage 0 alone on all rows, with the authors' network: the published table.
  for bits in 0 10 15 20 5; do
    for temperature in 0.05 0.1 0.2; do on_mnist 60000 10 $bits $temperature 1 published 0; done
  done
  # All rows, as many stages as it takes.
  for control in none ensemble; do on_mnist 60000 10 10 0.2 3 $control 0; done
  for control in none ensemble; do on_mnist 60000 10 15 0.2 5 $control 0; done
  for setting in "5 0.1" "15 0.2"; do
    for seed in 0 1 2; do
      # shellcheck disable=SC2086 # two words
      for control in none ensemble shuffled; do on_mnist 20000 5 $setting 3 $control $seed; done
    done
  done
  on_mnist 60000 10 20 0.2 6 none 0
}

fashion() {
  for control in none ensemble shuffled untrained pixels; do
    randbits_piece fashion $fashion .gz 20000 5 10 0.2 3 $control 0
  done
}

# The settings are small on purpose: a stage takes less than half a minute of one core.
attributes_piece() { # DATA CONTROL SEED options...
  data=$1 control=$2 seed=$3
  shift 3
  piece "attributes-$data-$control-$seed" attributes --data "$data" --control "$control" --seed "$seed" --threads 1 "$@"
}

attributes() {
  dominoes() {
    attributes_piece dominoes "$1" "$2" --rows 6000 --clusters 32 --images $fashion/train-images-idx3-ubyte.gz \
      --labels $fashion/train-labels-idx1-ubyte.gz --test-images $fashion/t10k-images-idx3-ubyte.gz \
      --test-labels $fashion/t10k-labels-idx1-ubyte.gz
  }
  trifeature() { attributes_piece trifeature "$1" "$2" --clusters 10; }
  for data in dominoes trifeature; do
    for seed in 0 1 2; do
      for control in none ensemble shuffled; do $data $control $seed; done
    done
    for control in untrained pixels; do $data $control 0; done
  done
}

# networks_piece DATA ENCODER CONTROL SEED: few rows and two stages, so that each takes minutes of one core. CONTROL may be "preceding", too: stages
# that begin with the weights of the one before.
networks_piece() {
  control="--control $3"
  test "$3" = preceding && control="--initial preceding"
  files="--images $fashion/train-images-idx3-ubyte.gz --labels $fashion/train-labels-idx1-ubyte.gz
    --test-images $fashion/t10k-images-idx3-ubyte.gz --test-labels $fashion/t10k-labels-idx1-ubyte.gz"
  case $1 in
  fashion) program="randbits --size 14 --rows 6000 --bits 6 --clusters 32 --batch 100 --epochs 6" ;;
  dominoes) program="attributes --data dominoes --rows 3000 --clusters 32" ;;
  esac
  test "$1-$2" = dominoes-resnet18 && program="$program --batch 100" # it needs the steps
  # shellcheck disable=SC2086 # words
  piece "networks-$1-$2-$3-$4" $program $files --test-rows 2000 --stages 2 --encoder "$2" $control --seed "$4" --threads 1
}

networks() {
  for data in fashion dominoes; do
    for encoder in resnet18 vit; do
      for control in none shuffled ensemble; do networks_piece $data $encoder $control 0; done
    done
    for control in none preceding shuffled ensemble; do networks_piece $data cnn $control 0; done
  done
}

# pairs_piece WHAT SIDES CLUSTERS CONTROL SEED options...: clusters of SIDES, which an ensemble only reports. "longer" is stage 0
# alone, with options of more epochs.
pairs_piece() {
  what=$1 sides=$2 clusters=$3 control=$4 seed=$5 name=$1-$2-k$3-$4-$5
  shift 5
  case $control in
  ensemble) name=$what-ensemble-$seed ;;
  longer) name=$what-longer-$seed control="ensemble --stages 1" ;;
  esac
  # shellcheck disable=SC2086 # words
  piece "pairs-$name" image_text --sides "$sides" --clusters "$clusters" --control $control --seed "$seed" --threads 1 "$@"
}

image_text() {
  for seed in 0 1 2; do
    for setting in "image 10 none" "both 3 ensemble" "image 10 shuffled"; do
      # shellcheck disable=SC2086 # three words
      pairs_piece figures-b6 $setting $seed --data figures --bits 6 --rows 6000 --epochs 8
    done
  done
  pairs_piece figures-b6 both 3 longer 0 --data figures --bits 6 --rows 6000 --epochs 24
  test -n "$mnist" || return 0
  suffix=
  test -f "$mnist/train-images-idx3-ubyte" || suffix=.gz
  digits() { # BITS or BITS-NOTE, then as pairs_piece
    what=$1
    shift
    pairs_piece "mnist-b$what" "$@" --bits "${what%%-*}" --images "$mnist/train-images-idx3-ubyte$suffix" \
      --labels "$mnist/train-labels-idx1-ubyte$suffix"
  }
  for seed in 0 1 2; do
    for setting in "both 3 none" "both 3 ensemble" "image 10 shuffled" "image 10 none" "text 10 none"; do
      # shellcheck disable=SC2086 # three words
      digits 6 $setting $seed
    done
    digits 6 both 3 longer $seed --epochs 30
    for control in none ensemble; do digits 12 image 10 $control $seed; done
  done
  digits 12 image 32 none 0
  for setting in "both 3 none" "both 3 ensemble" "image 10 none"; do
    # shellcheck disable=SC2086 # three words
    digits 6-e30 $setting 0 --epochs 30
  done
}

captions() {
  for control in none ensemble; do
    piece "captions-$control-0" captions --folder /usr/share/openclipart/png --files 3000 --control $control --threads 1
  done
}

while [ $# -gt 0 ]; do
  case $1 in
  --mnist) mnist=$2 && shift ;;
  discover | randbits | fashion | attributes | networks | image_text | captions) $1 ;;
  *) echo "evidence.sh: $1 is none of discover, randbits, fashion, attributes, networks, image_text, captions" >&2 && exit 1 ;;
  esac
  shift
done
python3 scripts/evidence.py $findings docs
