#!/bin/sh
# image_text from outside: every control on a few rows of either kind of data, the quick setting, bad input.
#   image_text.sh IMAGE_TEXT MAKE_IMAGES SCRATCH
set -u
image_text=$(realpath "$1") make_images=$(realpath "$2") scratch=$3
rm -rf "$scratch"; mkdir -p "$scratch"; cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; tail -n 5 log; exit 1; }
"$make_images" "$scratch/images" || exit 1
few="--rows 40 --epochs 1 --batch 16 --bits 2 --stages 2 --clusters 2"
classes="--images images.idx3 --labels images.idx1 $few --pairs 8" figures="--data figures $few --pairs 5"
known_classes="class" known_figures="shape colour texture place bits"

# Every control, and the same seed gives the same findings with one thread and with three.
for data in classes figures; do
  eval "arguments=\$$data known=\$known_$data"
  for control in none ensemble shuffled; do
    for threads in 1 3; do
      # shellcheck disable=SC2086 # words
      "$image_text" $arguments --control $control --threads $threads --json $data-$control-$threads.json >out 2>log ||
        fail "$data $control"
      sed -i 's/"seconds":[0-9.]*//' $data-$control-$threads.json
    done
    found=$data-$control-1.json
    cmp $found $data-$control-3.json || fail "threads change what $control finds in $data"
    for key in stages integrated equal_weights rows pairs epochs batch clusters temperature growth seed bits; do
      grep -q "\"$key\":" $found || fail "the findings of $control in $data have no $key"
    done
    grep -q "\"control\":\"$control\"" $found || fail "$control is not named"
    grep -q "\"data\":\"$data\"" $found || fail "$data is not named"
    grep -q '"sides":"both"' $found || fail "whose clusters these are is not said"
    for key in stage nmi rows_seen cells loss advice; do
      test "$(grep -c "\"$key\":" $found)" = 2 || fail "$key is not there of both stages of $control in $data"
    done
    test "$(grep -o '"told":' $found | wc -l)" = 2 || fail "a key stands twice in a stage of $control in $data"
    for name in all $known; do
      test "$(grep -c "\"apart\":.*\"$name\":{\"value\":[0-9.e-]*,\"low\":[0-9.e-]*,\"high\":[0-9.e-]*,\"pairs\":[0-9]*}" $found)" = 4 ||
        fail "$control does not say of both stages and of all together how many pairs of $data that differ in $name are told apart"
    done
    for name in $known; do grep -q "$name" out || fail "the table of $data has no $name"; done
  done
  # The first member of the ensemble, and stage 0 among shuffled cells, are stage 0 of the loop.
  stage0() { sed -n 's/.*"stage":0,\("apart":.*\),"nmi".*/\1/p' $data-$1-1.json; }
  test -n "$(stage0 none)" || fail "no stage 0 of $data"
  test "$(stage0 none)" = "$(stage0 ensemble)" || fail "stage 0 of $data is not the first of the ensemble"
  test "$(stage0 none)" = "$(stage0 shuffled)" || fail "stage 0 of $data is not that of the shuffled control"
  cmp -s $data-none-1.json $data-shuffled-1.json && fail "shuffling changes nothing in $data"
done
grep -q '"pairs":25,' figures-none-1.json || fail "figures have pairs of five kinds"

# Whose embeddings are clustered, and only theirs.
# shellcheck disable=SC2086
for sides in image text both; do
  "$image_text" $classes --sides $sides --json $sides.json >out 2>log || fail "--sides $sides"
  sed -i 's/"seconds":[0-9.]*//' $sides.json
done
nmi='{"class":[0-9.e-]*,"bits":[0-9.e-]*}' none='{"class":null,"bits":null}'
grep -q "\"nmi\":{\"image\":$nmi,\"text\":$none}" image.json || fail "--sides image clusters something else"
grep -q "\"nmi\":{\"image\":$none,\"text\":$nmi}" text.json || fail "--sides text clusters something else"
grep -q "\"nmi\":{\"image\":$nmi,\"text\":$nmi}" both.json || fail "--sides both does not cluster both"
cmp both.json classes-none-1.json || fail "both is not the default"

# Equal weights are W = 1, and they alone.
# shellcheck disable=SC2086
"$image_text" $figures --weights 1 --json equal.json >out 2>log || fail "--weights 1"
whole() { sed -n "s/.*\"$2\":{\(\"apart\":.*\)},/\1/p" $1; }
test -n "$(whole equal.json integrated)" || fail "nothing of all stages together"
test "$(whole equal.json integrated)" = "$(whole figures-none-1.json equal_weights)" || fail "equal weights are not W = 1"

# The quick setting: towers that match what they were shown, in clothes where these are installed, in shapes anywhere.
if [ -f /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz ]; then
  "$image_text" --quick --json quick.json >out 2>log || fail "--quick"
  awk '/^stage 0/ { told = $3 > .5 } END { exit !told }' out || { cat out; fail "stage 0 tells clothes apart by chance"; }
fi
"$image_text" --quick --data figures --stages 1 --rows 1000 --json quick.json >out 2>log || fail "--quick of figures"
awk '/^stage 0/ { told = $3 < .3 && $11 > .9 } END { exit !told }' out ||
  { cat out; fail "stage 0 does not suppress the shape for the bits"; }

# Bad input: an exit code of 1 or 2 and a sentence that names the matter.
refuses() { # words, then arguments
  word=$1; shift
  "$image_text" "$@" >out 2>log
  code=$?
  test $code = 1 -o $code = 2 || fail "exit code $code for: $*"
  grep -q -- "$word" log || fail "no word of '$word' for: $*"
}
# shellcheck disable=SC2086
{
  refuses "one of classes figures" --data cubes
  refuses "one of image text both" --sides none
  refuses "one of none ensemble shuffled" --control pixels
  refuses "go together" --images images.idx3
  refuses "--rows" $classes --rows 81
  refuses "--pairs" $classes --pairs 21
  refuses "0 to 20" $classes --bits 21
  refuses "above 0" $classes --temperature 0
  refuses "nowhere" $classes --images nowhere
  refuses "no option" $classes cubes
  refuses "json" $classes --json nowhere/file
}
"$image_text" --help | grep -q "default: 0.3" || fail "--help"
"$image_text" --help | grep -q "none|ensemble|shuffled " || fail "--help names other controls"
echo "image_text: all passed"
