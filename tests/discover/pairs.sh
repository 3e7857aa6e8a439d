#!/bin/sh
# discover --pairs from outside: what it makes of images and captions, stopping and going on, and what it says to bad input.
#   pairs.sh DISCOVER MAKE_PAIRS SCRATCH
set -u
discover=$(realpath "$1") make_pairs=$(realpath "$2") scratch=$3
rm -rf "$scratch"; mkdir -p "$scratch"; cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; tail -n 5 log; exit 1; }
"$make_pairs" images || exit 1
pairs="--pairs images/pairs.tsv --size 12"
quick="--stages 2 --clusters 3 --epochs 2 --batch 64 --threads 1"
figures() { sed 's/"seconds":[0-9.]*//' "$1/report.json"; }
# The recall of a line of the table: of all of report.json's lines with `$2` the number `$4` ("1", "5", "10") of the way `$3`.
recall() { sed -n "s/.*\"$2.*\"$3\":{[^}]*\"$4\":\([0-9.e-]*\).*/\1/p" "$1/report.json" | head -n 1; }
above() { awk -v x="$1" -v y="$2" 'BEGIN { exit !(x != "" && x > y) }'; }

# Easy data, both sides clustered and all controls: what is found is far above chance, where an untrained pair is not.
# shellcheck disable=SC2086 # words
"$discover" $pairs --stages 2 --clusters 3 --epochs 12 --batch 64 --sides both --controls --threads 1 --out one >out 2>log || fail "pairs"
for file in report.json report.html labels.csv integrated.npy integrated-text.npy stage-1.npy stage-1-text.npy checkpoint/loop.safetensors; do
  test -s one/$file || fail "$file is not there"
done
chance=$(sed -n 's/.*"judged_images":\([0-9]*\).*/\1/p' one/report.json | awk '{ print 5 / $1 }')
for way in image_to_text text_to_image; do
  for what in 'stage":0' integrated ensemble shuffled; do
    above "$(recall one "$what" $way 5)" "$(awk -v c="$chance" 'BEGIN { print 3 * c }')" || fail "recall of $what, $way, is no better than chance"
  done
  above "$(recall one untrained $way 5)" "$(awk -v c="$chance" 'BEGIN { print 3 * c }')" && fail "an untrained pair knows captions"
done
ranks='{"1":[0-9.e-]*,"5":[0-9.e-]*,"10":[0-9.e-]*}'
test "$(grep -c "\"recall\":{\"image_to_text\":$ranks,\"text_to_image\":$ranks}" one/report.json)" = 6 || fail "six recalls are wanted"
grep -q '"knn"\|"nmi":' one/report.json && fail "there are no classes to know"
for key in images held_images judged sides files cells told_next advice; do grep -q "\"$key\":" one/report.json || fail "report.json has no $key"; done
for line in 'recall  ' 'stage 0 ' 'stage 1 ' 'integrated ' 'ensemble ' 'shuffled '; do grep -q "^$line.*[0-9]" out || fail "the table has no line of $line"; done
test "$(grep -c "^after stage" out)" = 2 || fail "a stage has no advice"

# The report: four sheets of clusters, blind pairs, eight images held out with the caption each stage finds first, all escaped.
test "$(grep -c "data:image/png;base64" one/report.html)" = 13 || fail "report.html does not have its pictures"
test "$(sed -n '/class="found"/,/<\/table>/p' one/report.html | grep -c '^</td>.*</tr>$')" = 8 || fail "eight images held out are wanted"
grep -q '&lt;i>' one/report.html || fail "report.html does not have the captions"
grep -q '<i>' one/report.html && fail "a caption is markup in report.html"
grep -q "http" one/report.html && fail "report.html needs something beside it"

# A line a caption; no image is trained on and held out; what is held out has no cluster, and all else has one of either side.
test "$(wc -l <one/labels.csv)" = 481 || fail "labels.csv does not have a line a caption"
head -n 1 one/labels.csv | grep -qx "row,name,caption,held_out,stage0_image,stage0_text,stage1_image,stage1_text" || fail "the heading of labels.csv"
sed -n 's/^[0-9]*,"\([0-9]*.png\)",.*",\([01]\),.*/\1 \2/p' one/labels.csv | sort -u >rows.txt
test "$(wc -l <rows.txt)" = 240 || fail "an image is trained on and held out, or missing"
test "$(grep -c ' 1$' rows.txt)" = 40 || fail "a sixth of the images is not held out"
grep -c '",1,,,,$' one/labels.csv | grep -qx 80 || fail "captions held out are in clusters"
grep -cE '",0,[0-2],[0-2],[0-2],[0-2]$' one/labels.csv | grep -qx 400 || fail "a caption trained on is in no cluster"
grep -q '"<i>red</i> & ""lime"" lines, standing"' one/labels.csv || fail "a caption in labels.csv is changed"

# Three threads; captions of one side; the other format and a heading: the same rows give the same figures.
# shellcheck disable=SC2086
{
  "$discover" $pairs $quick --out few >out 2>log || fail "defaults"
  "$discover" $pairs $quick --threads 3 --out three >out 2>log || fail "three threads"
  for file in integrated.npy integrated-text.npy labels.csv; do cmp few/$file three/$file || fail "threads change $file"; done
  test "$(figures few)" = "$(figures three)" || fail "threads change what is found"
  head -n 1 few/labels.csv | grep -qx "row,name,caption,held_out,stage0_image,stage1_image" || fail "images are not clustered by default"
  grep -q "cells packed" few/report.html || fail "batches are not packed by default"
  { printf 'image\tcaption\n'; cat images/pairs.tsv; } >images/heading.tsv
  "$discover" --pairs images/heading.tsv --heading --size 12 $quick --out heading >out 2>log || fail "--heading"
  test "$(figures few | sed 's/pairs.tsv//')" = "$(figures heading | sed 's/heading.tsv//')" || fail "a heading is a row"
  "$discover" $pairs $quick --sides text --encoder mlp --rows 100 --holdout 30 --out text >out 2>log || fail "--sides text"
  head -n 1 text/labels.csv | grep -qx "row,name,caption,held_out,stage0_text,stage1_text" || fail "texts are not clustered"
  grep -q '"rows":200,"holdout":60,.*"images":100,"held_images":30,' text/report.json || fail "--rows and --holdout do not count images"
  "$discover" $pairs $quick --holdout 0 --out none >out 2>log || fail "--holdout 0"
  grep -q "No image is held out" out || fail "nothing held out is not said"
  "$discover" $pairs $quick --stages 0 --out open >out 2>log || fail "stages left open"
  grep "^after stage" out | tail -n 1 | grep -q "Stop" || fail "it does not say that it is to stop"
}
# An image that cannot be read is left out with its captions.
{ cat images/pairs.tsv; printf 'broken.png\tone\ttwo\n'; } >images/broken.tsv
echo "no image" >images/broken.png
# shellcheck disable=SC2086
"$discover" --pairs images/broken.tsv --size 12 $quick --out broken >out 2>log || fail "a bad image"
grep -q "line 241: broken.png" log || fail "the bad file is not named"
grep -q "1 of 241 files" log || fail "the bad file is not counted"

# Stopped in the middle by Ctrl-C, and gone on: as if it had never stopped.
long="--stages 2 --clusters 3 --epochs 40 --batch 64"
# shellcheck disable=SC2086
{
  "$discover" $pairs $long --out whole >out 2>log || fail "the long run"
  : >log
  "$discover" $pairs $long --out stopped >out 2>log &
  pid=$!
  while ! grep -q "stage 1" log; do sleep 0.05; kill -0 $pid 2>/dev/null || break; done
  kill -INT $pid
  wait $pid
  code=$?
  test $code = 130 -o $code = 0 || fail "Ctrl-C ends with $code"
  test $code = 0 || grep -q -- "--resume" log || fail "a stopped run does not say how to go on"
  "$discover" $pairs $long --resume --out stopped >out 2>log || fail "--resume"
}
cmp whole/integrated-text.npy stopped/integrated-text.npy || fail "a resumed run differs"
test "$(figures whole)" = "$(figures stopped)" || fail "a resumed run finds otherwise"

# Bad input: an exit code of 1 or 2 and a sentence that names the matter.
refuses() { # words, then arguments
  word=$1; shift
  "$discover" --out refused "$@" >out 2>log
  code=$?
  test $code = 1 -o $code = 2 || fail "exit code $code for: $*"
  grep -q -- "$word" log || fail "no word of '$word' for: $*"
}
printf 'nowhere.png\ta caption\n' >nowhere.tsv
printf '000.png\tone\n001.png\n' >images/bare.tsv
head -n 6 images/pairs.tsv >images/six.tsv
refuses "no DATA goes with it: not images" --pairs images/pairs.tsv images
refuses "--labels goes with an IDX file" --pairs images/pairs.tsv --labels images/pairs.tsv
refuses "--randbits goes with images alone" --pairs images/pairs.tsv --randbits 2
refuses "--heading goes with --pairs" --heading images
refuses "--sides goes with --pairs" --sides image images
refuses "image or text or both" --pairs images/pairs.tsv --sides none
refuses "between 0.01 and 1" --pairs images/pairs.tsv --temperature 2
refuses "nothing.tsv" --pairs nothing.tsv
refuses "000.png ends in no name of a format" --pairs images/000.png
refuses "nowhere.png" --pairs nowhere.tsv
refuses "bare.tsv, line 2: there is a path and no caption" --pairs images/bare.tsv
refuses "images to train on (at least 8)" --pairs images/six.tsv
refuses "images to train on (at least 8) and 240 held out" --pairs images/pairs.tsv --holdout 240
refuses "--holdout 1" --pairs images/pairs.tsv --holdout 1
# shellcheck disable=SC2086
{
  refuses "400 rows" $pairs --clusters 401
  refuses "fingerprint" --resume --seed 7 $pairs $quick --out few
  refuses "cluster_modalities" --resume --sides both $pairs $quick --out few
}
"$discover" --help | grep -q -- "--pairs FILE" || fail "--help"
echo ok
