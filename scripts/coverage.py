#!/usr/bin/python3
"""Lines and branches of gcovr's summary: a line a file, then groups, which must reach BOUNDS: those named behind the summary,
else all. See scripts/coverage.sh.

Left out: lib/mpi, which only processes of MPI run (tests/mpi), and what is compiled for an instruction set that this
processor lacks, which gcov counts as one source with those it has.
"""
import json
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


def share(found, what):
    total = sum(f[f"{what}_total"] for f in found)
    return 100 * sum(f[f"{what}_covered"] for f in found) / total if total else 100


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        files = [x for x in json.load(f)["files"] if not x["filename"].startswith(LEFT_OUT)]
    print(f"{'':36}   lines   branches  not taken")
    for f in sorted(files, key=lambda f: f["filename"]):
        left = f["branch_total"] - f["branch_covered"]
        print(f"{f['filename']:36} {share([f], 'line'):6.1f} % {share([f], 'branch'):8.1f} % {left:6}")
    low = 0
    for group in sys.argv[2:] or GROUPS:
        names = GROUPS[group]
        mine = [f for f in files if f["filename"].startswith(tuple(names))]
        line, branch = share(mine, "line"), share(mine, "branch")
        wanted = BOUNDS.get(group, (0, 0))
        low |= line < wanted[0] or branch < wanted[1]
        print(f"{group:36} {line:6.1f} % {branch:8.1f} %    at least {wanted[0]}, {wanted[1]}")
    return int(low)


sys.exit(main())
