"""The sections on images with several known attributes, from the findings of `attributes`: what each stage knows of each."""
import json, re

from findings import Chart, cells_line, figure, listed, machines

NAME = re.compile(r"attributes-(dominoes|trifeature)-(\w+)-(\d+)$")
ATTRIBUTES = {"dominoes": ("first", "second"), "trifeature": ("shape", "colour", "texture")}
COLOURS = ("#2f6db5", "#c83c28", "#3a9a5b")
TITLES = {"dominoes": "Dominoes: a plain image beside a faint one", "trifeature": "Trifeature: shape, colour and texture"}
WHAT = {
    "dominoes": """Two independent images of Fashion-MNIST on one tile (after the dominoes of Shah et al. 2020 and the MultiDigit data of Chen, Luo & Li
2021): above, at full contrast, one of {distinct} images, the same {distinct} in train and test rows; below, at {contrast:g} of the contrast,
another image in every row. `first` and `second` are their classes, of ten.""",
    "trifeature": """Ten shapes in ten colours and ten textures, all independent, of random place, size, angle and shade, drawn by the program
(after the Trifeature data of Hermann & Lampinen 2020).""",
}
GAINS = """What the stages reach minus the better of ensemble and shuffled, like with like: the best stage against their best single network, all
stages together against all of theirs; for each seed and attribute apart. The best stage is picked by the test rows, on both sides.

"""
# A difference below it is not called one: with 2,000 test rows the standard error of an accuracy of .5 is .011.
CLEAR = 0.02


def load(folder):
    found = {}
    for path in folder.glob("attributes-*.json"):
        if m := NAME.match(path.stem):
            found.setdefault(m[1], {}).setdefault(m[2], {})[int(m[3])] = json.loads(path.read_text())
    return found


# ---- the matrix --------------------------------------------------------------------------------------

def matrix(runs, attributes):
    head = [f"{probe} {a}" for a in attributes for probe in ("kNN", "linear", "NMI")]
    out = ["| | " + " | ".join(head) + " |", "|---|" + "---|" * len(head)]

    def row(name, parts):
        cells = []
        for a in attributes:
            cells += [figure([p["knn"][a] for p in parts]), figure([p["linear"][a] for p in parts])]
            cells.append(figure([p["nmi"][a] for p in parts if "nmi" in p]))
        out.append(f"| {name} | " + " | ".join(cells) + " |")

    def of(control):
        return list(runs.get(control, {}).values())

    ours = of("none")
    for control in ("pixels", "untrained"):
        if of(control):
            row(control, [r["integrated"] for r in of(control)])
    for s in range(len(ours[0]["stages"])):
        row(f"stage {s}", [r["stages"][s] for r in ours])
    row("integrated, equal weights", [r["equal_weights"] for r in ours])
    row(f"integrated, {ours[0]['growth']:g}^s", [r["integrated"] for r in ours])
    for control in ("ensemble", "shuffled"):
        if of(control):
            row(f"{control}, integrated", [r["equal_weights"] for r in of(control)])
    if of("shuffled"):
        row("shuffled, last stage", [r["stages"][-1] for r in of("shuffled")])
    return "\n".join(out)


# ---- where it helps, and where not -------------------------------------------------------------------

def stage_accuracies(run, probe, attribute):
    return [s[probe][attribute] for s in run["stages"]]


def controls_best(runs, seed, probe, attribute, value):
    """What the better of ensemble and shuffled reaches by the same measure."""
    both = [runs[control][seed] for control in ("ensemble", "shuffled") if seed in runs.get(control, {})]
    return max((value(run, probe, attribute) for run in both), default=None)


def differences(runs, probe, attribute, value):
    """By seed: what the stages reach, by `value`, minus the better of the controls of that seed."""
    pairs = [(value(run, probe, attribute), controls_best(runs, seed, probe, attribute, value)) for seed, run in sorted(runs["none"].items())]
    return [ours - theirs for ours, theirs in pairs if theirs is not None]


def best_stage(run, probe, attribute):
    return max(stage_accuracies(run, probe, attribute))


def integrated(run, probe, attribute):
    return run["equal_weights"][probe][attribute]


def weighted(run, probe, attribute):
    return run["integrated"][probe][attribute]


def gains(runs, attributes):
    if not differences(runs, "knn", attributes[0], best_stage):
        return ""
    what = (("best stage", best_stage), ("integrated, equal weights", integrated),
            (f"integrated, {next(iter(runs['none'].values()))['growth']:g}^s", weighted))
    out = ["| minus the better control | " + " | ".join(f"{probe} {a}" for a in attributes for probe in ("kNN", "linear")) + " |",
           "|---|" + "---|---|" * len(attributes)]
    for name, value in what:
        cells = [figure(differences(runs, probe, a, value), "+") for a in attributes for probe in ("knn", "linear")]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return GAINS + "\n".join(out) + "\n\n" + sentences(runs, attributes)


def verdict(values):
    if min(values) >= CLEAR:
        return "more than either control, in every seed"
    if max(values) < -CLEAR:
        return "**less than the better control, in every seed**"
    if max(values) < CLEAR:
        return "**no more than the better control**"
    return "**more than the better control in some seeds only**"


def sentences(runs, attributes):
    out = []
    for a in attributes:
        ours = [run for _, run in sorted(runs["none"].items())]
        parts = []
        for probe, name in (("knn", "kNN"), ("linear", "linear")):
            values = differences(runs, probe, a, best_stage)
            if values:
                where = sorted({max(range(len(r["stages"])), key=lambda s: r["stages"][s][probe][a]) for r in ours})
                stages = " or ".join(str(s) for s in where)
                parts.append(f"by {name} the best stage ({stages}) knows {verdict(values)} ({figure(values, '+')})")
        whole = differences(runs, "linear", a, integrated)
        if whole:
            parts.append(f"all stages together, by the linear probe, know {verdict(whole)} ({figure(whole, '+')})")
        simple = [control for control in ("pixels", "untrained")
                  if (found := runs.get(control)) and max(r["integrated"]["linear"][a] for r in found.values())
                  > max(r["equal_weights"]["linear"][a] for r in ours)]
        if simple:
            parts.append(f"the linear probe reads it better from {' and '.join('an untrained network' if c == 'untrained' else c for c in simple)}")
        out.append(f"- `{a}`: " + "; ".join(parts) + ".")
    return "\n".join(out)


# ---- the picture -------------------------------------------------------------------------------------

def picture(runs, attributes):
    """kNN accuracy of each attribute by stage, all seeds; dashed: the ensemble's."""
    ours = list(runs["none"].values())
    chart = Chart(len(ours[0]["stages"]), 230)
    for a, colour in zip(attributes, COLOURS):
        for r in ours:
            chart.line(stage_accuracies(r, "knn", a), colour)
        for r in runs.get("ensemble", {}).values():
            chart.level(r["equal_weights"]["knn"][a], colour)
        chart.note(a, colour)
    chart.note("kNN; dashed: the ensemble")
    return chart.svg()


# ---- the text ----------------------------------------------------------------------------------------

def text(data, runs, docs):
    attributes = ATTRIBUTES[data]
    ours = [run for _, run in sorted(runs["none"].items())]
    one = ours[0]
    seeds, seconds = listed(ours, "seed"), listed(ours, "seconds", ".0f")
    (docs / f"evidence-{data}.svg").write_text(picture(runs, attributes))
    return f"""## {TITLES[data]}

{WHAT[data].format(**one)}

![kNN accuracy of {', '.join(attributes)} by stage](evidence-{data}.svg)

{one['rows']:,} rows, {one['test_rows']:,} test rows, {one['epochs']} epochs a stage, {one['clusters']} clusters, temperature {one['temperature']:g}; seeds {seeds}
(mean, lowest–highest), pixels and the untrained network of seed 0; {seconds} seconds for the stages on {machines(ours)}. Seed {one['seed']}, {cells_line(one)}.

{matrix(runs, attributes)}

{gains(runs, attributes)}

Network, optimiser and loss are those of RandBits; views: crops of area .5–1 and aspect 3/4–4/3, cut to the image where they are larger; brightness ×
U(.8, 1.2); normal noise of .1; no change of colour, no mirror.

    sh scripts/evidence.sh attributes
"""


def section(folder, docs):
    found = load(folder)
    return "\n".join(text(data, found[data], docs) for data in ATTRIBUTES if "none" in found.get(data, {}))
