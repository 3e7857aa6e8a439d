#!/bin/sh
# captions from outside: a folder's captions, hostile files among them, every control on a few rows, bad input.
#   captions.sh CAPTIONS MAKE_TITLED SCRATCH
set -u
captions=$(realpath "$1") make_titled=$(realpath "$2") scratch=$3
rm -rf "$scratch"; mkdir -p "$scratch/found"; cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; tail -n 5 log; exit 1; }
"$make_titled" "$scratch/images" || exit 1
few="--epochs 1 --batch 8 --stages 2 --clusters 2"
same() { sed 's/"seconds":[0-9.]*//' "$1" | cmp - "$2" || fail "$3"; }

# Every control, and the same seed gives the same findings with one thread and with three.
# shellcheck disable=SC2086 # words
for control in none ensemble; do
  for threads in 1 3; do
    "$captions" --folder images $few --control $control --threads $threads --json found/$control-$threads.json >out 2>log || fail "$control"
    sed -i 's/"seconds":[0-9.]*//' found/$control-$threads.json
  done
  found=found/$control-1.json
  cmp $found found/$control-3.json || fail "threads change what $control finds"
  for key in "control\":\"$control\"" 'sides":"both"' 'rows":25,' 'images":25,' 'held_out":6,' 'test_rows":6,' 'epochs":1,' 'clusters":2,'; do
    grep -q "\"$key" $found || fail "the findings of $control have no $key"
  done
  ranks='{"1":[0-9.e-]*,"5":[0-9.e-]*,"10":1}' # of six pairs the ten nearest are all
  test "$(grep -c "\"recall\":{\"image_to_text\":$ranks,\"text_to_image\":$ranks}" $found)" = 4 ||
    fail "$control does not say the recall of both stages and of all together"
  for key in loss cells advice; do
    test "$(grep -c "\"$key\":" $found)" = 2 || fail "$key is not there of both stages of $control"
  done
done
test "$(grep -c "^stage [01] " out)" = 2 || fail "the table has no stages"
stage0() { sed -n 's/.*"stage":0,\("recall":{[^}]*},[^}]*}}\).*/\1/p' found/$1-1.json; }
test -n "$(stage0 none)" || fail "no stage 0"
test "$(stage0 none)" = "$(stage0 ensemble)" || fail "stage 0 is not the first of the ensemble"

# What the captions are: a title within bounds, else the name; then the folders.
caption() { # file in the folder, its caption
  test "$(grep -F "$scratch/images/$1	" found/pairs.tsv | cut -f 2)" = "$2" || fail "the caption of $1 is not '$2'"
}
caption "at the top.png" "On top"
caption many_stripes/07.PNG "striped thing 7 many stripes"
caption odd/no-title_1.png "no title 1 odd"
caption odd/deep.er/latin.png "café ÿ odd deep er"
caption odd/nul.png "one two three four  five odd"
caption odd/___.png "   image odd"
caption odd/long.png "$(printf "%1024s" | tr " " x) odd"
for name in blank empty author titles keyword cut huge larger header signature; do caption odd/$name.png "$name odd"; done
test "$(wc -l <found/pairs.tsv)" = 36 || fail "files are missing or are there twice"
grep -q "2 files passed over" log || fail "names that no file of pairs can hold are not counted"
grep -q "5 of 36 images cannot be read" log || fail "bad images are not counted"

# The file of pairs gives what the folder gave. It may lie elsewhere, and hold some of the files.
# shellcheck disable=SC2086
{
  "$captions" --pairs found/pairs.tsv $few --json again.json >out 2>log || fail "--pairs"
  same again.json found/none-1.json "the pairs of a folder are not the folder"
  "$captions" --folder images --write some.tsv --files 12 --holdout 3 $few --stages 1 --json some.json >out 2>log || fail "--write"
  test "$(wc -l <some.tsv)" = 12 || fail "--files 12 are not 12"
  grep -q '"held_out":3,' some.json || fail "--holdout 3 is not 3"
  { printf 'image\tcaption\n' && grep many_stripes found/pairs.tsv && grep many_stripes found/pairs.tsv | sed 's/	.*/	the same/'; } >several.tsv
  "$captions" --pairs several.tsv --heading --holdout 10 $few --json several.json >out 2>log || fail "--heading"
  # Ten images with two captions each are left; those held out are judged by all captions that no image before has.
  for key in 'rows":20,' 'images":10,' 'held_out":10,' 'test_rows":11,'; do
    grep -q "\"$key" several.json || fail "images with several captions are split otherwise: $key"
  done
  grep many_stripes found/pairs.tsv | sed 's/	.*/	the same/' >one.tsv
  "$captions" --pairs one.tsv $few --json one.json >out 2>log || fail "one caption"
  grep -q '"test_rows":1,' one.json || fail "images are judged by a caption that others have"
  # Whose embeddings are clustered.
  for sides in image text; do
    "$captions" --pairs found/pairs.tsv $few --sides $sides --json $sides.json >out 2>log || fail "--sides $sides"
    sed -i 's/"seconds":[0-9.]*//' $sides.json
    grep -q "\"sides\":\"$sides\"" $sides.json || fail "whose clusters these are is not said"
    cells=$(sed -n 's/.*"stage":1.*"cells":{"count":\([0-9]*\).*/\1/p' $sides.json)
    test "$cells" -le 2 || fail "--sides $sides has $cells cells of two clusters"
  done
  # Equal weights are W = 1, and they alone.
  "$captions" --pairs found/pairs.tsv $few --weights 1 --json equal.json >out 2>log || fail "--weights 1"
}
whole() { sed -n "s/.*\"$2\":{\(\"recall\":.*\)},/\1/p" "$1"; }
test -n "$(whole equal.json integrated)" || fail "nothing of all stages together"
test "$(whole equal.json integrated)" = "$(whole found/none-1.json equal_weights)" || fail "equal weights are not W = 1"

# Where pictures are installed: what was held out is found better than by chance.
if [ -d /usr/share/openclipart/png/animals ]; then
  "$captions" --folder /usr/share/openclipart/png --write clipart.tsv --files 1000 --epochs 6 --stages 1 --batch 64 >out 2>log || fail "clipart"
  awk '/^recall among/ { chance = $NF } /^stage 0/ { learnt = $5 > 1.5 * chance && $8 > 1.5 * chance } END { exit !learnt }' out ||
    { cat out; fail "clipart is found by chance"; }
fi

# Bad input: an exit code of 1 or 2 and a sentence that names the matter.
refuses() { # words, then arguments
  word=$1; shift
  "$captions" "$@" >out 2>log
  code=$?
  test $code = 1 -o $code = 2 || fail "exit code $code for: $*"
  grep -q -- "$word" log || fail "no word of '$word' for: $*"
}
mkdir empty
printf 'nowhere.png\ta caption\n' >nowhere.tsv
printf 'images/many_stripes/00.PNG\n' >bare.tsv
refuses "either --pairs or --folder"
refuses "either --pairs or --folder" --pairs some.tsv --folder images
refuses "go with --folder" --pairs some.tsv --files 5
refuses "goes with --pairs" --folder images --heading
refuses "one of none ensemble" --folder images --control shuffled
refuses "one of image text both" --folder images --sides none
refuses "nothing-here" --folder nothing-here
refuses "no PNG files in empty" --folder empty
refuses "nowhere/x.tsv" --folder images --write nowhere/x.tsv
refuses "nothing.tsv" --pairs nothing.tsv
refuses "nowhere" --pairs nowhere.tsv
refuses "no caption" --pairs bare.tsv
refuses "--holdout 30 of 31" --pairs found/pairs.tsv --holdout 30
refuses "temperature" --pairs found/pairs.tsv --temperature 2
# shellcheck disable=SC2086
refuses "json" --pairs found/pairs.tsv $few --json nowhere/file
"$captions" --help | grep -q "default: 0.07" || fail "--help"
"$captions" --help | grep -q "none|ensemble " || fail "--help names other controls"
echo "captions: all passed"
