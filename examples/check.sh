#!/bin/sh
# check.sh PROGRAM SOURCE [ARGUMENT...]: does the program print what the comment at the end of its source says?
#
# Words and whole numbers must be the same. Figures with a decimal point may differ by .1: rounding differs between
# processors, and training carries it on.
set -eu
program=$(realpath "$1")
source=$2
shift 2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed -n '/^\/\* Expected output:$/,/^ \*\/$/p' "$source" | sed '1d;$d;s/^ \* \{0,1\}//' >"$scratch/wanted"
test -s "$scratch/wanted" || { echo "$source does not end in its expected output"; exit 1; }
cd "$scratch"
"$program" "$@" >got
awk '
  function close_to(a, b) { return a ~ /^-?[0-9]*\.[0-9]+[,)]?$/ && b ~ /\./ && (a - b) ^ 2 <= .0101 }
  NR == FNR { wanted[++lines] = $0; next }
  {
    n = split(wanted[FNR], w)
    bad = n != NF
    for (i = 1; i <= NF; i++) if ($i != w[i] && !close_to($i, w[i])) bad = 1
    if (bad) { printf "line %d is\n  %s\nnot\n  %s\n", FNR, $0, wanted[FNR]; failed = 1 }
  }
  END { if (FNR != lines) { printf "%d lines, not %d\n", FNR, lines; failed = 1 } exit failed }
' wanted got
