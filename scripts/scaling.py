#!/usr/bin/python3
"""Times each part of libmcl at several sizes, fits exponents, and says what 10^8 rows would take.

usage: scripts/scaling.py [--quick] [--build FOLDER] [--jsonl FILE] [--from FILE] [--write FILE]

Runs benchmarks/bench_scaling.c, a case at a time: along each axis on one thread, the part's base
on two as well. --write puts the tables into a document between its two marker comments; without it
they go to standard output. --jsonl keeps the points, --from reads them instead of measuring.
--quick tries it all out on a fiftieth of the rows; its exponents mean nothing.

scripts/scaling.sh builds and runs this. Only figures of an otherwise idle machine mean anything.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import peers  # how a machine is described

BEGIN, END = "<!-- points, written by scripts/scaling.py -->", "<!-- end of the points -->"
ALL = 10**8
# Above what it must be by more than this, an exponent of the last two points is pointed out. Caches
# that are left, and vectors that are not full, make a tenth or two.
TOLERANCE = 0.2

Part = collections.namedtuple("Part", "title axes time memory why at_all")

# Axes: what n, d and k are. time, memory: the exponents by n, d, k, for large values; None where
# there is no such axis. at_all: how rows of 10^8 are read: "rows" (n goes there), "blocks" (as
# many calls of the base), or None.
PARTS = {
    "kmeans-pass": Part(
        "k-means, the first pass", ("rows", "numbers a row", "clusters"), (1, 1, 1), (1, 1, 1),
        "A fit of one pass, which knows no bounds yet, and the pass for sizes and inertia that ends"
        " every fit. All distances: n d k. Held: labels and bounds of the rows, centres, a block of"
        " distances.", "rows"),
    "kmeans-fit": Part(
        "k-means, a whole fit", ("rows", "numbers a row", "clusters"), (1, 1, 1), (1, 1, 1),
        "From given centres, until no label changes, 20 passes at most. A pass is n d k at most;"
        " bounds skip what they can, which is more where groups are well apart, and so depends on"
        " d and k in other ways too.", "rows"),
    "kmeans-seed": Part(
        "k-means++", ("rows", "numbers a row", "clusters"), (0, 1, 2), (0, 1, 1),
        "k rounds over a sample of 64 rows a centre, 16384 at least: k^2 d, where all rows would take"
        " n k d, times the logarithm of k for the candidates of a round; nothing by rows beyond the"
        " sample.", "rows"),
    "kmeans-assign": Part(
        "Labels of rows", ("rows", "numbers a row", "clusters"), (1, 1, 1), (1, 1, 1),
        "All distances: n d k. Held: labels, which are written on success only, and centres.",
        "rows"),
    "sampler-add": Part(
        "The sampler: adding labels of two stages", ("rows", None, "cells"), (1, None, 1),
        (1, None, 1),
        "A stable sort in place: n, and some half a microsecond a cell, which counts where a cell has"
        " ten rows. Held: an index of the rows, and some 80 bytes a cell.", "rows"),
    "sampler-epoch": Part(
        "The sampler: all batches of an epoch", ("rows", None, "cells"), (1, None, 1),
        (1, None, 1),
        "A row is a place computed and a line fetched, from memory once the index has left the"
        " caches. By cells nothing, until they are smaller than a batch: from then on there is a"
        " step a cell.", "rows"),
    "sampler-negatives": Part(
        "The sampler: negatives of 64 anchors", ("rows", None, "cells"), (0, None, 1),
        (1, None, 1),
        "16 rows of the anchor's cell, which is looked for in all of them by halving: k log(n / k), and"
        " a line from memory at each step. A map of the rows would make it a look-up, and double what"
        " the sampler holds; `mcl_sampler_cells()` writes one for hosts that have many anchors.",
        None),
    "nt-xent": Part(
        "NT-Xent, forward and backward", ("rows of both views", "numbers a row", "cells"),
        (2, 1, -1), (1, 1, 0),
        "All pairs within a cell: n^2 d / k. Held: normalised rows and their gradients, and a few"
        " tiles.", "blocks"),
    "info-nce": Part(
        "Cross-view InfoNCE, forward and backward", ("rows of a view", "numbers a row", "cells"),
        (2, 1, -1), (1, 1, 0), "As NT-Xent.", "blocks"),
    "embed": Part(
        "Embedding by the small CNN", ("images", "pixels", None), (1, 1, None), (1, 1, None),
        "Images are worked on in chunks of at most 512; beyond them only the results are held, 512"
        " bytes an image, which are written on success only.", "blocks"),
    "views": Part(
        "Views: SimCLR's augmentations", ("images", "pixels", None), (1, 1.5, None), (0, 1, None),
        "An image is a job of its own. The blur's radius is a twentieth of the side, so that a pixel"
        " costs the side where it is blurred.", "blocks"),
    "integrate": Part(
        "The integrator: concatenating stages", ("rows", "numbers a row", "stages"), (1, 1, 1),
        (0, 1, 1), "Every number once, in blocks of 512 rows.", "rows"),
    "weights": Part(
        "The integrator: fitting weights", ("labelled rows", "numbers a row", "stages"), (2, 1, 1),
        (2, 1, 1),
        "All pairs of labelled rows, and a number for each pair and stage. A hundred labelled rows"
        " are enough, whatever there is besides.", None),
    "linear-probe": Part(
        "The linear probe, 50 iterations", ("rows", "numbers a row", "classes"), (1, 1, 1),
        (1, 1, 1),
        "Scores and gradients: n d k an iteration. Held: a copy of the rows, standardised, and 50"
        " doubles a weight; classes are rounded up to 16.", "rows"),
    "knn": Part(
        "kNN of 1000 queries", ("rows", "numbers a row", "neighbours"), (1, 1, 1), (1, 1, 1),
        "All distances: n d; beside them, keeping the nearest grows by less than k. Held: a"
        " normalised copy of the rows.", "rows"),
}


def measure(options):
    program = options.build / "benchmarks" / "bench_scaling"

    def run(*arguments):
        command = [str(program), *arguments] + (["--quick"] if options.quick else [])
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    points = []
    for case in run("--list").splitlines():
        points.append(json.loads(run("--case", case, "--threads", "1")))
        if points[-1]["base"]:
            points.append(json.loads(run("--case", case, "--threads", "2")))
        print(f"{case}: {points[-1]['ours_ms']:.2f} ms", file=sys.stderr, flush=True)
    return points


def exponents(x, y):
    """Of a power law through all points, and through the last two."""
    x, y = np.log(x), np.log(y)
    return np.polyfit(x, y, 1)[0], (y[-1] - y[-2]) / (x[-1] - x[-2])


class Measured:
    """The points of one part: the base, and lines of them along its axes."""

    def __init__(self, name, points):
        self.part = PARTS[name]
        mine = [p for p in points if p["part"] == name]
        self.base, = [p for p in mine if p["base"] and p["threads"] == 1]
        self.two, = [p for p in mine if p["base"] and p["threads"] == 2]
        self.lines = {}
        for i, axis in enumerate("ndk"):
            others = [a for a in "ndk" if a != axis]
            line = [p for p in mine if p["threads"] == 1 and
                    all(p[a] == self.base[a] for a in others)]
            if self.part.axes[i]:
                self.lines[i] = sorted(line, key=lambda p: p[axis])

    def values(self, i):
        line = self.lines[i]
        return [[p[key] for p in line] for key in ("ndk"[i], "ms", "held_kib")]

    def growth(self):
        """[(axis, what, fitted, at the end, what it must be)]"""
        found = []
        for i in self.lines:
            x, ms, kib = self.values(i)
            for what, y, must in (("time", ms, self.part.time[i]), ("memory", kib, self.part.memory[i])):
                found.append((i, what, *exponents(x, y), must))
        return found

    def table(self):
        head = ["along", "points", "ms", "MiB", "time grows", "at the end", "must", "memory grows",
                "at the end", "must"]
        rows = []
        for i in self.lines:
            x, ms, kib = self.values(i)
            cells = [self.part.axes[i], listed(x), listed(ms), listed(k / 1024 for k in kib)]
            for axis, _, fitted, end, must in self.growth():
                if axis == i:
                    cells += [f"{fitted:.2f}", f"{end:.2f}", f"{must:g}"]
            rows.append(cells)
        axes = zip(self.part.axes, (self.base[a] for a in "ndk"))
        base = ", ".join(f"{value} {name}" for name, value in axes if name)
        return "\n".join([
            f"### {self.part.title}", "", self.part.why, "", as_table(head, rows), "",
            f"The others are {base}; there two threads take {short(self.two['ours_ms'])} ms, one takes"
            f" {short(self.base['ours_ms'])}: {self.base['ours_ms'] / self.two['ours_ms']:.2f}."])

    def at_all(self):
        """A row of the table of 10^8 rows."""
        line = self.lines[0]
        last, before = line[-1], line[-2]
        if self.part.at_all == "blocks":
            calls = ALL / self.base["n"]
            return [self.part.title, duration(self.base["ms"] * calls), "", size(self.base["held_kib"]),
                    f"once, in calls of {self.base['n']}"]
        times = ALL / last["n"]
        fitted, _ = exponents(*self.values(0)[:2])
        slope = max(0, (last["held_kib"] - before["held_kib"]) / (last["n"] - before["n"]))
        others = zip(self.part.axes[1:], (self.base["d"], self.base["k"]))
        return [self.part.title, duration(last["ms"] * times ** self.part.time[0]),
                duration(last["ms"] * times**fitted),
                size(last["held_kib"] + slope * (ALL - last["n"])),
                ", ".join(f"{value} {name}" for name, value in others if name)]


def short(x):
    return f"{x:.3g}" if x < 1000 else f"{x:.0f}"


def listed(values):
    return ", ".join(short(v) for v in values)


def duration(ms):
    for unit, factor in (("h", 3.6e6), ("min", 6e4), ("s", 1e3)):
        if ms >= factor:
            return f"{short(ms / factor)} {unit}"
    return f"{short(ms)} ms"


def size(kib):
    for unit, factor in (("GiB", 2**20), ("MiB", 2**10)):
        if kib >= factor:
            return f"{short(kib / factor)} {unit}"
    return f"{short(kib)} KiB"


def as_table(head, rows):
    lines = [head, ["---"] + ["---:" for _ in head[1:]]] + rows
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def verdict(parts):
    over = [f"{m.part.title}: {what} by {m.part.axes[i]} {end:.2f}, not {must:g}"
            for m in parts for i, what, _, end, must in m.growth() if end > must + TOLERANCE]
    if not over:
        return f"No exponent at the end is above what it must be by more than {TOLERANCE}."
    return f"Above what they must be by more than {TOLERANCE} at the end: " + "; ".join(over) + "."


def written(points, build):
    parts = [Measured(name, points) for name in PARTS]
    machine = peers.circumstances(build).split("; numpy")[0]
    extrapolated = as_table(
        ["part", "time, as it must grow", "time, as fitted", "memory", "with"],
        [m.at_all() for m in parts if m.part.at_all])
    return "\n\n".join([
        f"{machine}; one thread unless two are named.", verdict(parts),
        *(m.table() for m in parts),
        "### At 10^8 rows, extrapolated",
        "None of this was measured. Time is that of the largest point, times what the exponent makes of"
        " the rest of the way: the one that it must have, and the one fitted. Memory grows by what a"
        " row added between the last two points. Both assume that nothing else changes on the way: that"
        " rows are read as fast as from memory, and as many passes are enough.", extrapolated])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    option = parser.add_argument
    option("--quick", action="store_true", help="small inputs, one call: to try the script out")
    option("--build", type=pathlib.Path, default=ROOT / "build", help="where libmcl is built")
    option("--jsonl", type=pathlib.Path, metavar="FILE", help="where the points go too")
    option("--from", dest="points", type=pathlib.Path, metavar="FILE", help="points, not measured anew")
    option("--write", type=pathlib.Path, metavar="FILE", help="the document that gets the tables")
    options = parser.parse_args()
    if options.points:
        points = [json.loads(line) for line in options.points.open()]
    else:
        points = measure(options)
    if options.jsonl:
        options.jsonl.write_text("".join(json.dumps(p) + "\n" for p in points))
    text = written(points, options.build.resolve())
    if not options.write:
        print(text)
        return
    document = options.write.read_text()
    before, found, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        sys.exit(f"{options.write} lacks the comments {BEGIN} and {END}")
    options.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
