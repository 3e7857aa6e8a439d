#!/bin/sh
# benchmarks/peers.py in small, with numpy as the peer: each line is JSON, has every field, and both answers agree.
#   peers.sh PEERS.PY BUILD SCRATCH
set -eu
python=/usr/bin/python3 # Debian's, which has Debian's numpy
"$python" -c 'import numpy' 2>/dev/null || exit 77
mkdir -p "$3"
"$python" "$1" --quick --only batches --build "$2" --jsonl "$3/peers.jsonl" >"$3/lines" 2>"$3/table" || { cat "$3/table"; exit 1; }
cmp "$3/lines" "$3/peers.jsonl"
grep -q '^| batches 1e8 .*| numpy .*| yes' "$3/table" || { cat "$3/table"; exit 1; }
"$python" - "$3/peers.jsonl" <<'END'
import json, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
assert [r["case"] for r in rows] == ["1e6", "1e7", "1e8"], rows
for r in rows:
    assert (r["bench"], r["threads"], r["peer"], r["same"]) == ("batches", 1, "numpy", True), r
    assert r["ours_ms"] > 0 and r["peer_ms"] > 0, r
    assert abs(r["ratio"] - r["peer_ms"] / r["ours_ms"]) < 0.01, r
    # 20,000 rows: libmcl keeps 4 bytes a row and needs 220 KiB for the labels, numpy two arrays of 8 bytes.
    assert 0.05 < r["ours_mib"] < 2 and 0.2 < r["peer_mib"] < 20, r
END

# A part anew, the others as they were, in one file: the old line of batches gives way, the other stays.
old='"threads":1,"ours_ms":1,"peer":"numpy","missing":"numpy"}'
printf '%s\n' "{\"bench\":\"batches\",\"case\":\"old\",$old" "{\"bench\":\"gemm\",\"case\":\"old\",$old" >"$3/kept.jsonl"
"$python" "$1" --quick --only batches batches --build "$2" --keep "$3/kept.jsonl" --jsonl "$3/kept.jsonl" >"$3/lines" 2>"$3/table"
{ cat "$3/lines"; echo "{\"bench\":\"gemm\",\"case\":\"old\",$old"; } | cmp - "$3/kept.jsonl"
test "$(wc -l <"$3/kept.jsonl")" = 4
# Figures of small inputs never reach a document.
! "$python" "$1" --only batches --build "$2" --keep "$3/kept.jsonl" --write "$3/table" 2>"$3/refused" || exit 1
grep -q -e '--quick' "$3/refused"
