#!/bin/sh
# scripts/scaling.py in small: every part has its points and a table; exponents of made-up points are those they were made
# with; the document around the tables stays.
#   scaling.sh SCALING.PY BUILD SCALING.MD SCRATCH
set -eu
python=/usr/bin/python3 # Debian's, which has Debian's numpy
"$python" -c 'import numpy' 2>/dev/null || exit 77
mkdir -p "$4"
cp "$3" "$4/scaling.md"
"$python" "$1" --quick --build "$2" --jsonl "$4/points.jsonl" --write "$4/scaling.md" 2>"$4/log" || { cat "$4/log"; exit 1; }
"$python" - "$4" <<'END'
import json, sys

points = [json.loads(line) for line in open(sys.argv[1] + "/points.jsonl")]
bases = [p["part"] for p in points if p["base"]]
assert len(bases) == 30 and all(bases.count(b) == 2 for b in bases), bases  # on one thread and two
for p in points:
    assert p["quick"] and p["ms"] > 0 and p["held_kib"] > 0, p
    p["ms"] = 1e-3 * p["n"] ** 1.5 * p["d"] / p["k"]
    p["held_kib"] = 0.25 * p["n"]
    p["ours_ms"] = p["ms"] / p["threads"]
with open(sys.argv[1] + "/made-up.jsonl", "w") as f:
    f.writelines(json.dumps(p) + "\n" for p in points)
END
"$python" "$1" --build "$2" --from "$4/made-up.jsonl" --write "$4/scaling.md"
"$python" - "$3" "$4/scaling.md" <<'END'
import sys

before, after = (open(name).read() for name in sys.argv[1:])
outside = [text.split("<!-- points")[0] + text.split("<!-- end of the points -->")[1] for text in (before, after)]
assert outside[0] == outside[1]
rows = [line for line in after.splitlines() if line.startswith("| rows |")]
assert len(rows) == 10, rows
assert all("| 1.50 | 1.50 | " in r and "| 1.00 | 1.00 | " in r for r in rows), rows
assert "k-means, the first pass: time by rows 1.50, not 1;" in after
assert after.count("one takes") == 15 and after.count(": 2.00.") == 15
# 400,000 rows of 64 at 100 clusters take .001 x 400000^1.5 x .64 ms; 250 times as many need 250 times, or 250^1.5.
assert "| k-means, the first pass | 11.2 h | 178 h | 23.8 GiB | 64 numbers a row, 100 clusters |" in after
END
