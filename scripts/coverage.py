#!/usr/bin/python3
"""Lines and branches of `llvm-cov export -summary-only`: a line a file of lib/, then groups, which must reach BOUNDS. See
scripts/coverage.sh.

Left out: lib/mpi, which only processes of MPI run (tests/mpi). A source that is compiled for several instruction sets counts
once, as what any of them ran.
"""
import json
import os
import sys

GROUPS = {
    "sampler": ["lib/sampler/", "lib/multistage/cells.c"],
    "checkpoint": ["lib/store/", "lib/base/file.c", "lib/base/writer.c", "lib/base/directory.c"],
    "parsers": ["lib/image/png.c", "lib/image/jpeg.c", "lib/image/exif.c", "lib/image/image.c", "lib/dataset/idx.c",
                "lib/dataset/table.c", "lib/dataset/pairs_file.c", "lib/dataset/tokenizer_file.c",
                "lib/dataset/vocabulary.c", "lib/dataset/walk.c", "lib/dataset/files.c", "lib/dataset/folder.c"],
    "k-means": ["lib/clusterer/"],
    "losses": ["lib/loss/"],
    "lib": ["lib/"],
}
# Percent of lines, of branches.
BOUNDS = {"sampler": (95, 95), "checkpoint": (95, 95), "parsers": (95, 95), "lib": (95, 85)}
LEFT_OUT = ("lib/mpi/",)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def share(files, what):
    total = sum(f[what]["count"] for f in files)
    return 100 * sum(f[what]["covered"] for f in files) / total if total else 100


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        found = {os.path.relpath(x["filename"], ROOT): x["summary"] for x in json.load(f)["data"][0]["files"]}
    files = {name: found[name] for name in sorted(found) if name.startswith("lib/") and not name.startswith(LEFT_OUT)}
    print(f"{'':36}   lines   branches  not taken")
    for name, f in files.items():
        left = f["branches"]["count"] - f["branches"]["covered"]
        print(f"{name:36} {share([f], 'lines'):6.1f} % {share([f], 'branches'):8.1f} % {left:6}")
    low = 0
    for group, names in GROUPS.items():
        mine = [f for name, f in files.items() if name.startswith(tuple(names))]
        line, branch = share(mine, "lines"), share(mine, "branches")
        wanted = BOUNDS.get(group, (0, 0))
        low |= line < wanted[0] or branch < wanted[1]
        print(f"{group:36} {line:6.1f} % {branch:8.1f} %    at least {wanted[0]}, {wanted[1]}")
    return int(low)


sys.exit(main())
