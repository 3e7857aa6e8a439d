#!/bin/sh
# randbits from outside: the quick setting on Fashion-MNIST where that is installed, every control on a few rows, bad input.
#   randbits.sh RANDBITS MAKE_IMAGES SCRATCH
set -u
randbits=$(realpath "$1") make_images=$(realpath "$2") scratch=$3
rm -rf "$scratch"; mkdir -p "$scratch"; cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; tail -n 5 log; exit 1; }
"$make_images" "$scratch/images" || exit 1
few="--images images.idx3 --labels images.idx1 --test-images images.idx3 --test-labels images.idx1 --rows 60 --epochs 2
  --batch 16 --bits 2 --clusters 3 --stages 2"

# Every control, and the same seed gives the same findings with one thread and with three.
for control in none ensemble shuffled untrained pixels; do
  for threads in 1 3; do
    "$randbits" $few --control $control --threads $threads --json $control-$threads.json >out 2>log || fail "$control"
    sed -i 's/"seconds":[0-9.]*//' $control-$threads.json
  done
  cmp $control-1.json $control-3.json || fail "threads change what $control finds"
  grep -q "\"control\":\"$control\"" $control-1.json || fail "$control is not named"
  for key in stages knn linear integrated equal_weights rows test_rows epochs clusters temperature seed bits; do
    grep -q "\"$key\":" $control-1.json || fail "the findings of $control have no $key"
  done
done
for control in none ensemble shuffled; do
  for key in stage online nmi rows_seen cells loss cell_cosine told advice; do
    test "$(grep -c "\"$key\":" $control-1.json)" = 2 || fail "$key is not there of both stages of $control"
  done
done
grep -q '"curve":\[{"growth":1,"knn":{"class":[0-9.]*,"bits":' none-1.json || fail "no kNN by the growth of weights"
grep -q '"fitted":{"class":{"knn":[0-9.]*,"weights":\[[0-9.e-]*,[0-9.e-]*\]}' none-1.json || fail "no fitted weights"
# Other networks, and stages that begin with the weights of the one before: stage 0 is that of fresh stages.
for encoder in resnet18 vit mlp; do
  for initial in fresh preceding; do
    "$randbits" $few --size 10 --encoder $encoder --initial $initial --threads 2 --json $encoder-$initial.json >out 2>log || fail "$encoder, $initial"
    grep -q "\"encoder\":\"$encoder\",\"initial\":\"$initial\"" $encoder-$initial.json || fail "$encoder, $initial, is not named"
  done
  for stage in 0 1; do
    for initial in fresh preceding; do grep "{\"stage\":$stage," $encoder-$initial.json >$initial.txt; done
    test $stage = 0 && { cmp fresh.txt preceding.txt || fail "stage 0 of $encoder is not the same"; }
    test $stage = 1 && cmp -s fresh.txt preceding.txt && fail "stage 1 of $encoder does not go on from stage 0"
  done
done
grep -q '"encoder":"cnn","initial":"fresh"' none-1.json || fail "the network is not named"
"$randbits" $few --size 10 --encoder vit --control untrained --json untrained.json >out 2>log || fail "an untrained vit"
# A head on the frozen stages changes nothing else, and does not depend on threads either.
for threads in 1 3; do
  "$randbits" $few --head --threads $threads --json head-$threads.json >out 2>log || fail "--head"
  sed -i 's/"seconds":[0-9.]*//' head-$threads.json
done
cmp head-1.json head-3.json || fail "threads change the head"
grep -q '"head":{"knn":{"class":[0-9.]*,"bits":' head-1.json || fail "no findings of the head"
sed 's/^ "head":.*},$//; /^$/d' head-1.json >without.json
test "$(head -c 1000 without.json)" = "$(head -c 1000 none-1.json)" || fail "the head changes the stages"
# Equal weights are the first point of the curve.
equal() { sed -n "s/.*\"$1\":{\(\"knn\":{[^}]*}\).*/\1/p" none-1.json; }
test "$(equal equal_weights)" = "$(sed -n 's/.*"growth":1,\("knn":{[^}]*}\).*/\1/p' none-1.json)" || fail "the curve does not begin at equal weights"
# The first member of the ensemble, and stage 0 among shuffled cells, are stage 0 of the loop.
stage0() { sed -n 's/.*{"stage":0,\(.*"online":{[^}]*}\).*/\1/p' $1-1.json; }
test -n "$(stage0 none)" || fail "no stage 0"
test "$(stage0 none)" = "$(stage0 ensemble)" || fail "stage 0 is not the first of the ensemble"
test "$(stage0 none)" = "$(stage0 shuffled)" || fail "stage 0 is not that of the shuffled control"
cmp -s none-1.json shuffled-1.json && fail "shuffling changes nothing"

# The quick setting: three bits in clothes. Stage 0 knows the bits; stage 1 has let go of some and knows the class better.
fashion=/usr/share/datasets/fashion-mnist
if [ -f $fashion/train-images-idx3-ubyte.gz ]; then
  clothes="--images $fashion/train-images-idx3-ubyte.gz --labels $fashion/train-labels-idx1-ubyte.gz
    --test-images $fashion/t10k-images-idx3-ubyte.gz --test-labels $fashion/t10k-labels-idx1-ubyte.gz"
  "$randbits" --quick $clothes --json quick.json >out 2>log || fail "--quick"
  awk '
    /^stage 0/ { class = $3; bits = $8 }
    /^stage 1/ { learnt = bits > .9 && $8 < bits - .2 && $3 > class + .02 }
    END { exit !learnt }' out || { cat out; fail "stage 1 learns no more of the class than stage 0"; }
  # Without bits the online probe finds most of the class. It finds .47, not .56, when it is shown embeddings of another length
  # than those that it learnt from.
  "$randbits" --quick $clothes --bits 0 --stages 1 --epochs 10 >out 2>log || fail "--bits 0"
  awk '/^stage 0/ { found = $6 > .52 } END { exit !found }' out || { cat out; fail "the online probe finds little"; }
fi

# Bad input: an exit code of 1 or 2 and a sentence that names the matter.
refuses() { # word, then arguments
  word=$1; shift
  "$randbits" "$@" >out 2>log
  code=$?
  test $code = 1 -o $code = 2 || fail "exit code $code for: $*"
  grep -q -- "$word" log || fail "no word of '$word' for: $*"
}
refuses "--test-labels" --images images.idx3
refuses "--rows" $few --rows 81
refuses "0 to 20" $few --bits 21
refuses "ensemble" $few --control nothing
refuses "nowhere" $few --images nowhere
refuses "one of cnn resnet18 vit" $few --encoder gpt
refuses "one of fresh preceding" $few --initial warm
refuses "authors" $few --encoder vit --published
refuses "--test-rows" $few --test-rows 81
refuses "above 0" $few --temperature 0
refuses "json" $few --control pixels --json nowhere/file
"$randbits" --help | grep -q "default: 0.2" || fail "--help"
echo "randbits: all passed"
