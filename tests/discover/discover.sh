#!/bin/sh
# discover from outside: what it makes of a folder and of IDX files, stopping and going on, and what it says to bad input.
#   discover.sh DISCOVER MAKE_IMAGES SCRATCH
set -u
discover=$(realpath "$1") make_images=$(realpath "$2") scratch=$3
rm -rf "$scratch"; mkdir -p "$scratch"; cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; tail -n 5 log; exit 1; }
"$make_images" "$scratch/images" || exit 1
quick="--stages 2 --clusters 3 --epochs 2 --batch 16 --holdout 20"

# A folder: classes from its sub-folders, a bad file named and counted, a report that holds together.
"$discover" $quick --size 12 --randbits 2 --controls --out folder images >out 2>log || fail "a folder of images"
grep -q "broken.png" log || fail "the bad file is not named"
grep -q "1 of 81 files" log || fail "the bad file is not counted"
for file in report.json report.html labels.csv integrated.npy stage-0.npy stage-1.npy checkpoint/loop.safetensors; do
  test -s folder/$file || fail "$file is not there"
done
for key in stages knn linear nmi rows_seen cells next_cells enough_negatives told_next advice loss integrated ensemble shuffled untrained pixels seed seconds; do
  grep -q "\"$key\":" folder/report.json || fail "report.json has no $key"
done
test "$(wc -l <folder/labels.csv)" = 81 || fail "labels.csv does not have a line a row"
grep -q "http" folder/report.html && fail "report.html needs something beside it"
grep -c "data:image/png;base64" folder/report.html | grep -qx "3" || fail "report.html does not have its pictures"

# IDX files; and the same seed gives the same bytes with one thread and with three.
"$discover" $quick --labels images.idx1 --threads 1 --out one images.idx3 >out 2>log || fail "IDX files"
"$discover" $quick --labels images.idx1 --threads 3 --out three images.idx3 >out 2>log || fail "three threads"
cmp one/integrated.npy three/integrated.npy || fail "threads change the result"
cmp one/labels.csv three/labels.csv || fail "threads change the labels"

# Embeddings on the disk, k-means within a number of bytes: the same.
"$discover" $quick --labels images.idx1 --memory 8 --out little images.idx3 >out 2>log || fail "--memory"
cmp one/integrated.npy little/integrated.npy && cmp one/labels.csv little/labels.csv || fail "--memory changes the result"
test -s little/checkpoint/stage-0.npy || fail "--memory keeps no embeddings"
"$discover" $quick --labels images.idx1 --memory 1 --out little images.idx3 >out 2>log && fail "one MiB is enough"
grep -q "max_bytes" log || fail "no word of 'max_bytes'"

# Other networks; stages, and those of the shuffled control, that begin with the weights of the one before.
for encoder in resnet18 vit mlp; do
  "$discover" $quick --labels images.idx1 --encoder $encoder --out $encoder images.idx3 >out 2>log || fail "$encoder"
  grep -q "\"encoder\":\"$encoder\",\"initial\":\"fresh\"" $encoder/report.json || fail "report.json does not name $encoder"
  grep -q "encoder $encoder, each stage fresh" $encoder/report.html || fail "report.html does not name $encoder"
  cmp -s one/stage-0.npy $encoder/stage-0.npy && fail "$encoder is the default"
done
"$discover" $quick --labels images.idx1 --initial preceding --controls --out preceding images.idx3 >out 2>log || fail "--initial preceding"
cmp one/stage-0.npy preceding/stage-0.npy || fail "stage 0 begins with other weights"
cmp -s one/stage-1.npy preceding/stage-1.npy && fail "stage 1 does not go on from stage 0"
grep -q '"encoder":"cnn","initial":"preceding"' preceding/report.json || fail "report.json does not say how stages begin"
cp preceding/stage-1.npy whole-1.npy
"$discover" $quick --labels images.idx1 --initial preceding --controls --resume --out preceding images.idx3 >out 2>log || fail "--resume of it"
cmp whole-1.npy preceding/stage-1.npy || fail "a resumed run of it differs"
"$discover" $quick --labels images.idx1 --initial fresh --resume --out preceding images.idx3 >out 2>log && fail "it goes on with other weights"
grep -q "initial" log || fail "no word of 'initial'"

# A line of advice a stage, the last of them to stop where the number of stages is left open.
"$discover" $quick --stages 0 --labels images.idx1 --out open images.idx3 >out 2>log || fail "stages left open"
grep "^after stage" out | sed '$d' | grep -q "Stop" && fail "it went on after it was to stop"
grep "^after stage" out | tail -n 1 | grep -q "Stop" || fail "it does not say that it is to stop"
test "$(grep -c "^after stage" out)" = "$(ls open/stage-*.npy | wc -l)" || fail "a stage has no advice"
grep -q "<b>Stop" open/report.html || fail "report.html does not say that it is to stop"

# Stopped in the middle by Ctrl-C, and gone on: as if it had never stopped.
long="--stages 2 --clusters 3 --epochs 400 --batch 16 --holdout 20 --labels images.idx1"
"$discover" $long --out whole images.idx3 >out 2>log || fail "the long run"
: >log
"$discover" $long --out stopped images.idx3 >out 2>log &
pid=$!
while ! grep -q "stage 1" log; do sleep 0.05; kill -0 $pid 2>/dev/null || break; done
kill -INT $pid
wait $pid
code=$?
test $code = 130 -o $code = 0 || fail "Ctrl-C ends with $code"
test $code = 0 || grep -q -- "--resume" log || fail "a stopped run does not say how to go on"
"$discover" $long --resume --out stopped images.idx3 >out 2>log || fail "--resume"
cmp whole/integrated.npy stopped/integrated.npy || fail "a resumed run differs"

# Bad input: an exit code of 1 or 2 and a sentence that names the matter.
refuses() { # word, then arguments
  word=$1; shift
  "$discover" --out refused "$@" >out 2>log
  code=$?
  test $code = 1 -o $code = 2 || fail "exit code $code for: $*"
  grep -q -- "$word" log || fail "no word of '$word' for: $*"
}
mkdir empty one-image
cp images/rows/00.png one-image/
refuses "empty" empty
refuses "at least 8" one-image
refuses "nowhere" nowhere
refuses "images.idx3" --labels images.idx3 images.idx3
refuses "80" --rows 75 --holdout 20 images.idx3
refuses "clusters" --clusters 0 images.idx3
refuses "temperature" --temperature 0 images.idx3
refuses "encoder" --encoder gpt images.idx3
refuses "fresh or preceding" --initial warm images.idx3
refuses "folder" --labels images.idx1 images
refuses "60 rows" --clusters 61 --holdout 20 images.idx3
refuses "fingerprint" --resume --seed 7 $quick --out one --labels images.idx1 images.idx3
refuses "temperature" --resume --temperature 0.3 $quick --out one --labels images.idx1 images.idx3
head -c 500 images.idx3 >short.idx3
refuses "short.idx3" short.idx3
truncate -s -9 one/checkpoint/loop.safetensors
refuses "loop.safetensors" --resume $quick --out one --labels images.idx1 images.idx3
test -e /dev/full && { mkdir -p full; ln -sf /dev/full full/report.json
  "$discover" $quick --labels images.idx1 --out full images.idx3 >out 2>log && fail "a full disk is not noticed"
  grep -q "report.json" log || fail "a full disk is not named"; }
"$discover" --help | grep -q "default: 256" || fail "--help does not state the defaults"
"$discover" --version | grep -q "libmcl" || fail "--version"
echo ok
