#!/usr/bin/env python3
"""Writes the table of docs/choosing.md from the reports of scripts/choosing.sh.

usage: choosing.py FOLDER FILE    FOLDER holds CASE/report.json; FILE has the two marks between which the table goes"""
import json, math, pathlib, sys

from findings import machine

folder, page = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
BEGIN, END = "<!-- table: sh scripts/choosing.sh -->", "<!-- end of table -->"
CASES = [("bits4-0", "4 bits, K = 10"), ("bits4-1", "the same, seed 1"), ("bits4-2", "the same, seed 2"),
         ("bits10k32-0", "10 bits, K = 32, packed"), ("bits20-0", "20 bits, K = 10"), ("bits0-0", "no bits, K = 10"),
         ("mlp4-0", "4 bits, K = 10, MLP")]


def bits(told):
    """As lib/multistage/advice.c: how many independent bits tell rows of a cell apart so well."""
    if told is None:
        return "–"
    return "> 15" if told > 1 - 2 ** -16 else f"{max(0, -math.log2(2 * (1 - told))) if told > .5 else 0:.1f}"


def so(stages, s):
    """What the labels say: the best kNN accuracy of the class up to this stage, and of the stages after it."""
    if s + 1 == len(stages):
        return "", ""
    so_far = max(x["knn"]["class"] for x in stages[:s + 1])
    later = max(x["knn"]["class"] for x in stages[s + 1:])
    gains = later > so_far + 0.01 # half of the 95 % interval of 2,000 rows
    wanted = stages[s]["advice"] == "go on"
    return f"{so_far:.3f} → {later:.3f}", "yes" if gains == wanted else "**no**"


def rows(name, title):
    path = folder / name / "report.json"
    stages = json.loads(path.read_text())["stages"]
    for s, x in enumerate(stages):
        best, right = so(stages, s)
        yield "| " + " | ".join([
            title if s == 0 else "", str(s), str(x["cells"]["median"]), bits(x["told_before"]), bits(x["told"]),
            bits(x["told_next"]), f"{x['entropy_given_previous']:.2f}", f"{x['next_cells']['enough_negatives']:.2f}",
            x["advice"], f"{x['knn']['class']:.3f}", f"{x['linear']['class']:.3f}", best, right]) + " |"


lines = ["| case | stage | median cell | bits before | by it | next | news | enough next | advice | kNN class | linear class "
         "| best kNN so far → later | right |", "|" + "---|" * 13]
for case in CASES:
    lines += rows(*case)
text = page.read_text()
before, after = text.split(BEGIN)[0], text.split(END)[1]
page.write_text(before + BEGIN + "\n" + "\n".join(lines) + f"\n\nMeasured on {machine()}.\n" + END + after)
