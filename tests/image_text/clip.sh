#!/bin/sh
# image_text --clip from outside: a tiny CLIP with random weights, self-made questions and pairs, bad input.
#   clip.sh IMAGE_TEXT MAKE_CLIP SCRATCH
set -u
image_text=$(realpath "$1") make_clip=$(realpath "$2") scratch=$3
rm -rf "$scratch"; mkdir -p "$scratch"; cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; tail -n 5 log; exit 1; }
"$make_clip" "$scratch" >log 2>&1 || fail "make_clip"
model="--clip clip.safetensors --vocab vocab.json --merges merges.txt"
run() { "$image_text" $model --mmvp mmvp "$@" >out 2>log || fail "$*"; }
# The share of pairs of each category, one image and one text at a time, as the program found it: "image 3 2 1".
shares() { # FILE STAGE
  awk -v stage="$2" '
    index($0, "{\"stage\":" stage ",") {
      for (way = 0; way < 2; way++) {
        line = $0
        sub(way ? ".*\"caption_asks\":" : ".*\"image_asks\":", "", line)
        n = split(line, part, "\"value\":")
        printf way ? "caption" : "image"
        for (i = 2; i <= 4; i++) {
          value = part[i] + 0
          sub(".*\"pairs\":", "", part[i])
          printf " %d", value * (part[i] + 0) + .5
        }
        print ""
      }
    }' "$1"
}

# The CLIP as it came.
run --json alone.json
shares alone.json 0 >found
cmp found expected || { cat found expected; fail "other answers than one at a time"; }
grep -q "12 .*(" out || fail "no line of all pairs"
grep -q 'Quantity "and" Count' out || fail "no line of a category"
grep -q '"Quantity \\"and\\" Count":{' alone.json || fail "a name is not escaped"

# Stages behind it: stage 0 is the CLIP, to the bit; later ones are not; threads and chunks change nothing that matters.
train="--pairs pairs.tsv --stages 2 --epochs 2 --batch 16 --clusters 2 --blocks 1 --learning-rate 0.001"
for threads in 1 3; do
  run $train --threads $threads --json $threads.json
  sed -i 's/"seconds":[0-9.]*//' $threads.json
done
cmp 1.json 3.json || fail "threads change what is found"
shares 1.json 0 >found
cmp found expected || fail "stage 0 is not the CLIP"
test "$(grep -c '"advice":' 1.json)" = 2 || fail "no report of both stages"
grep -q '"stage":0,.*"rows_seen":0,.*"loss":null' 1.json || fail "stage 0 was trained"
grep -q '"stage":1,.*"rows_seen":1,' 1.json || fail "stage 1 did not see all rows"
grep -q '"rows":40,"trained_blocks":1,' 1.json || fail "no settings"
for key in integrated equal_weights; do grep -q "\"$key\":{\"image_asks\":{\"all\":" 1.json || fail "no $key"; done
grep -q "all, equal weights" out || fail "no column of all stages"
# More of it trained, or another rate, is another model.
loss() { sed -n 's/.*"stage":1,.*"loss":\([0-9.e-]*\).*/\1/p' "$1"; }
test -n "$(loss 1.json)" || fail "no loss of stage 1"
for more in "--gelu exact" "--blocks 2" "--blocks 0" "--learning-rate 0.01"; do
  run $train $more --json more.json
  test "$(loss more.json)" != "$(loss 1.json)" || fail "$more changes nothing"
done
run $train --blocks 9 --json more.json
run $train --blocks 2 --json less.json
test "$(loss more.json)" = "$(loss less.json)" || fail "more blocks than there are is not all of them"
run $train --chunk 5 --json more.json
run $train --control ensemble --json ensemble.json
grep -q '"control":"ensemble"' ensemble.json || fail "the ensemble is not named"
test "$(grep -c '"rows_seen":1,' ensemble.json)" = 2 || fail "a member of the ensemble was not trained"

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
  refuses "wants --vocab" --clip clip.safetensors
  refuses "go with --clip" --mmvp mmvp
  refuses "do not go with --clip" $model --mmvp mmvp --data figures
  refuses "goes with --pairs" $model --mmvp mmvp --control ensemble
  refuses "shuffled" $model --mmvp mmvp --control shuffled --pairs pairs.tsv
  refuses "goes with --pairs" $model --mmvp mmvp --heading
  refuses "vocab.json" --clip vocab.json --vocab vocab.json --merges merges.txt --mmvp mmvp
  refuses "nowhere" --clip nowhere --vocab vocab.json --merges merges.txt --mmvp mmvp
  refuses "528 tokens, and the text tower of --clip 530" --clip clip.safetensors --vocab small.json --merges small.txt --mmvp mmvp
  refuses "nowhere.d" $model --mmvp nowhere.d
  refuses "few.tsv" $model --mmvp few.tsv
  refuses "nowhere.tsv" $model --mmvp mmvp --pairs nowhere.tsv
  refuses "k is 5" $model --mmvp mmvp --pairs few.tsv --clusters 5
  refuses "json" $model --mmvp mmvp --json nowhere/file
}
# A file of questions of one's own, without categories.
printf '00.png\t01.png\ta photo of bright 0\ta photo of dark 1\n' >own.tsv
"$image_text" $model --mmvp own.tsv >out 2>log || fail "a file of questions"
echo "clip: all passed"
