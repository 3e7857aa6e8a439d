#!/bin/sh
# attributes from outside: every control on a few rows of either kind of data, the quick setting, bad input.
#   attributes.sh ATTRIBUTES MAKE_IMAGES SCRATCH
set -u
attributes=$(realpath "$1") make_images=$(realpath "$2") scratch=$3
rm -rf "$scratch"; mkdir -p "$scratch"; cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; tail -n 5 log; exit 1; }
"$make_images" "$scratch/images" || exit 1
files="--images images.idx3 --labels images.idx1 --test-images images.idx3 --test-labels images.idx1"
few="--rows 48 --test-rows 20 --epochs 1 --batch 16 --clusters 3 --stages 2"
dominoes="--data dominoes $files --distinct 8 $few" trifeature="--data trifeature $few"
known_dominoes="first second" known_trifeature="shape colour texture"

# Every control, and the same seed gives the same findings with one thread and with three.
for data in dominoes trifeature; do
  eval "arguments=\$$data known=\$known_$data"
  for control in none ensemble shuffled untrained pixels; do
    for threads in 1 3; do
      # shellcheck disable=SC2086 # words
      "$attributes" $arguments --control $control --threads $threads --json $data-$control-$threads.json >out 2>log ||
        fail "$data $control"
      sed -i 's/"seconds":[0-9.]*//' $data-$control-$threads.json
    done
    cmp $data-$control-1.json $data-$control-3.json || fail "threads change what $control finds in $data"
    for key in stages integrated equal_weights rows test_rows epochs clusters temperature seed distinct contrast $known; do
      grep -q "\"$key\":" $data-$control-1.json || fail "the findings of $control in $data have no $key"
    done
    grep -q "\"control\":\"$control\"" $data-$control-1.json || fail "$control is not named"
    grep -q "\"data\":\"$data\"" $data-$control-1.json || fail "$data is not named"
    for name in $known; do grep -q "$name" out || fail "the table of $data has no $name"; done
  done
  cmp -s $data-none-1.json $data-shuffled-1.json && fail "shuffling changes nothing in $data"
  # shellcheck disable=SC2086
  "$attributes" $arguments --control pixels --seed 1 --json other.json >out 2>log || fail "seed 1"
  sed -i 's/"seconds":[0-9.]*//; s/"seed":1/"seed":0/' other.json
  cmp -s $data-pixels-1.json other.json && fail "another seed draws the same $data"
done

# Other networks, and stages that begin with the weights of the one before.
for encoder in resnet18 vit; do
  # shellcheck disable=SC2086
  "$attributes" $dominoes --encoder $encoder --initial preceding --threads 2 --json $encoder.json >out 2>log || fail "$encoder"
  grep -q "\"encoder\":\"$encoder\",\"initial\":\"preceding\"" $encoder.json || fail "$encoder is not named"
done

# The quick setting: stage 0 knows the colour and little of the texture; stage 1, among rows of one colour, has let go of it.
"$attributes" --data trifeature --quick --json quick.json >out 2>log || fail "--quick"
awk '
  /^stage 0/ { colour = $6; texture = $9 }
  /^stage 1/ { learnt = colour > .85 && texture < .3 && $6 < colour - .1 }
  END { exit !learnt }' out || { cat out; fail "stage 1 knows the colour as well as stage 0"; }

# Bad input: an exit code of 1 or 2 and a sentence that names the matter.
refuses() { # words, then arguments
  word=$1; shift
  "$attributes" "$@" >out 2>log
  code=$?
  test $code = 1 -o $code = 2 || fail "exit code $code for: $*"
  grep -q -- "$word" log || fail "no word of '$word' for: $*"
}
# shellcheck disable=SC2086
{
  refuses "dominoes or trifeature is wanted"
  refuses "one of dominoes trifeature" --data cubes
  refuses "--test-labels" --data dominoes --images images.idx3
  refuses "--rows" $dominoes --rows 81
  refuses "--test-rows" $dominoes --test-rows 81
  refuses "--distinct" $dominoes --distinct 81
  refuses "above 0" $dominoes --contrast 0
  refuses "at most 1" $dominoes --contrast 1.5
  refuses "from 4" $trifeature --rows 3
  refuses "ensemble" $trifeature --control nothing
  refuses "nowhere" $dominoes --images nowhere
  refuses "one of cnn resnet18 vit" $trifeature --encoder gpt
  refuses "one of fresh preceding" $trifeature --initial warm
  refuses "no option" $trifeature cubes
  refuses "json" $trifeature --control pixels --json nowhere/file
}
"$attributes" --help | grep -q "default: 0.2" || fail "--help"
echo "attributes: all passed"
