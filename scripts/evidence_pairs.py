"""The sections on images and captions, from the findings of `image_text`: which pairs of images are told apart by their captions."""
import json, math, re

from findings import Chart, figure, machines

NAME = re.compile(r"pairs-(mnist|figures)-b(\d+)(-e30)?-(?:(image|text|both)-k(\d+)-)?(none|shuffled|ensemble|longer)-(\d+)$")
COLOURS = ("#2f6db5", "#c83c28", "#3a9a5b", "#8a5fb0", "#7a7a7a")
COLUMNS = ("stage 0", "3 × as long", "ensemble", "shuffled", "images, K = 10", "texts, K = 10", "each, 3 × 3")
BAR = 0.025
SIDES = {"image": "images", "text": "texts", "both": "each"}


def load(folder):
    """By (data, bits, suffix), then by (sides, K, control), then by seed. Sides and K are None where no clusters are used."""
    found = {}
    for path in folder.glob("pairs-*.json"):
        if m := NAME.match(path.stem):
            key = (m[4], int(m[5]) if m[5] else None, m[6])
            found.setdefault((m[1], int(m[2]), m[3] or ""), {}).setdefault(key, {})[int(m[7])] = json.loads(path.read_text())
    return found


def whole(run, kind="all"):
    return run["equal_weights"]["apart"][kind]["value"]


def known(run):
    return [kind for kind in run["stages"][0]["apart"] if kind != "all"]


def share(apart, kind):
    t = apart[kind]
    return f"{t['value']:.3f} ({t['low']:.3f}–{t['high']:.3f})"


def settings(run):
    return (f"{run['rows']:,} images and captions, batches of {run['batch']}, {run['epochs']} epochs a stage, {len(run['stages'])} stages, "
            f"temperature {run['temperature']:g}")


# ---- digits and six bits -------------------------------------------------------------------------------

def columns(runs, seed):
    """The pair accuracy of every way of training, or None where it was not run."""
    def of(*key):
        return whole(runs[key][seed]) if seed in runs.get(key, {}) else None
    first = [r[seed]["stages"][0]["apart"]["all"]["value"] for key, r in runs.items() if key[2] != "longer" and seed in r]
    return [first[0] if first else None, of(None, None, "longer"), of(None, None, "ensemble"), of("image", 10, "shuffled"), of("image", 10, "none"), of("text", 10, "none"),
            of("both", 3, "none")]


def digits_table(runs, seeds):
    out = ["| seed | " + " | ".join(COLUMNS) + " | 3 × 3 − better control | |", "|---|" + "---|" * (len(COLUMNS) + 2)]
    for seed in seeds:
        values = columns(runs, seed)
        controls = [v for v in values[2:4] if v is not None]
        gain = values[6] - max(controls) if values[6] is not None and len(controls) == 2 else None
        cells = ["not run" if v is None else f"{v:.3f}" for v in values]
        verdict = "" if gain is None else "reached" if gain >= BAR else "**missed**"
        out.append(f"| {seed} | " + " | ".join(cells) + f" | {'' if gain is None else f'{gain:+.3f}'} | {verdict} |")
    return "\n".join(out)


def stages_line(runs, key, what):
    if key not in runs:
        return ""
    ours = list(runs[key].values())
    stages = ", ".join(figure([r["stages"][s]["apart"]["all"]["value"] for r in ours]) for s in range(len(ours[0]["stages"])))
    return f"- {what}, by stage: {stages}; all stages at weights 2^s: {figure([r['integrated']['apart']['all']['value'] for r in ours])}."


def against_longer(runs, seeds):
    """Is the gain one that longer training gives too?"""
    out = []
    for key, what in ((("both", 3, "none"), "3 × 3"), (("image", 10, "none"), "clusters of images")):
        gains = [whole(runs[key][s]) - whole(runs[(None, None, "longer")][s]) for s in seeds
                 if s in runs.get(key, {}) and s in runs.get((None, None, "longer"), {})]
        if gains:
            out.append(f"{what} {figure(gains, '+')}")
    if not out:
        return ""
    return f"""**Against stage 0 of three times the epochs**, which took about as many steps, the stages gain less: {'; '.join(out)}. Part of what
an ensemble of ten epochs lacks is training."""


def all_longer(runs):
    """Everything trained three times as long."""
    names = (((None, None, "ensemble"), "ensemble"), (("both", 3, "none"), "3 × 3"), (("image", 10, "none"), "clusters of images"))
    found = [(name, runs[key][0]) for key, name in names if 0 in runs.get(key, {})]
    if len(found) < 2:
        return ""
    first = found[0][1]["stages"][0]["apart"]["all"]["value"]
    return (f"With {found[0][1]['epochs']} epochs a stage for all, seed 0: stage 0 {first:.3f}, "
            + ", ".join(f"{name} {whole(run):.3f}" for name, run in found) + ".")


def digits_picture(runs, seeds):
    """A dot a seed and way of training."""
    width, height, left, top, low = 700, 200, 50, 20, 0.6
    x = lambda i: left + (i + .5) * width / len(COLUMNS)
    y = lambda v: top + height * (1 - (v - low) / (1 - low))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 20}" height="{top + height + 50}" font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="#fff"/>']
    for v in (.6, .7, .8, .9, 1):
        out.append(f'<line x1="{left}" x2="{left + width}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ddd"/><text x="8" y="{y(v) + 4:.1f}">{v:g}</text>')
    for i, name in enumerate(COLUMNS):
        colour = COLOURS[4] if i < 4 else COLOURS[0]
        out.append(f'<text x="{x(i):.1f}" y="{top + height + 20}" text-anchor="middle" fill="{colour}">{name}</text>')
        for seed in seeds:
            v = columns(runs, seed)[i]
            if v is not None and v >= low:
                out.append(f'<circle cx="{x(i) + 10 * (seed - 1):.1f}" cy="{y(v):.1f}" r="5" fill="{colour}"/>')
    out.append(f'<text x="{left}" y="{top + height + 42}" fill="#555">share of pairs whose images both find their own caption, a dot a seed</text></svg>')
    return "\n".join(out) + "\n"


def digits(runs, longer, docs):
    seeds = sorted({seed for found in runs.values() for seed in found})
    one = next(iter(next(r for key, r in sorted(runs.items(), key=str) if key[2] != "longer").values()))
    (docs / "evidence-pairs.svg").write_text(digits_picture(runs, seeds))
    half = max((t["high"] - t["low"]) / 2 for found in runs.values() for r in found.values() for t in [r["equal_weights"]["apart"]["all"]])
    lines = [stages_line(runs, ("both", 3, "none"), "3 × 3"), stages_line(runs, ("image", 10, "none"), "Clusters of images"),
             stages_line(runs, ("text", 10, "none"), "Clusters of texts")]
    return f"""## Images and captions: a digit and six bits

CLIP's setting, small. An image is a digit of 14 × 14 pixels with six random bits as constant channels, and its caption names the digit and each bit: seven
words. The bits are soon matched; which digit it is matters less for telling a batch apart. {one['pairs']:,} pairs of images of rows that were
never trained on have the same bits and another digit; a pair counts when both images find their own caption, as in MMVP (Tong et al. 2024), by the sum
of the stages' cosines. By chance a quarter of them do. Clusters are of the images' embeddings, of the texts', or of each apart, which gives 3 × 3 a stage;
*shuffled* has the clusters of images with rows at random, *3 × as long* is stage 0 alone with three times the epochs.

![Pairs told apart, by way of training](evidence-pairs.svg)

{digits_table(runs, seeds)}

Bar: 3 × 3 − the better of ensemble and shuffled ≥ {BAR}, for every seed. The 95 % interval of one figure is ± {half:.3f} at most, over samples of pairs.

{against_longer(runs, seeds)}

{all_longer(longer)}

{chr(10).join(line for line in lines if line)}

Stages differ in what they match, and a later one alone may know less of the digit than stage 0, as with 3 × 3, whose cells are finer: it is the sum at
equal weights that gains. Weights 2^s, the default, which help kNN in the sections above, lean on the last stage here too, for better or worse.

Image tower: dense 256, ReLU, dense 64, with noise of .05 on its input; text tower: the sum of its words' embeddings of 64, dense 128, ReLU, dense 64; no head. {settings(one)},
which is fixed; Adam at 1e-3, packed batches. On {machines([r for found in runs.values() for r in found.values()])}.

    sh scripts/evidence.sh --mnist DIR image_text
"""


# ---- a code that is too rich ---------------------------------------------------------------------------

def rich(runs, bits):
    """Where the method hurts: its table, and what the advice said of it."""
    ours, ensemble = runs.get(("image", 10, "none"), {}), runs.get((None, None, "ensemble"), {})
    seeds = sorted(set(ours) & set(ensemble))
    if not seeds:
        return ""
    out = ["| seed | stage 0 | stage 1 | stage 2 | three stages | ensemble |", "|---|---|---|---|---|---|"]
    for seed in seeds:
        stages = [s["apart"]["all"]["value"] for s in ours[seed]["stages"]]
        out.append(f"| {seed} | " + " | ".join(f"{v:.3f}" for v in [*stages, whole(ours[seed]), whole(ensemble[seed])]) + " |")
    first = sorted({ours[seed]["stages"][0]["advice"] for seed in seeds})
    left = [ours[seed]["stages"][0]["told_next"] for seed in seeds]
    bits_left = [-math.log2(2 * (1 - t)) for t in left if t is not None]
    others = []
    for (sides, k, control), found in sorted(runs.items(), key=str):
        for seed, run in sorted(found.items()):
            if control == "none" and (sides, k) != ("image", 10) and seed in ensemble:
                stages = ", ".join(f"{s['apart']['all']['value']:.3f}" for s in run["stages"])
                cells = run["stages"][-1]["cells"]
                others.append(f"With {k} clusters of {SIDES[sides]}, seed {seed}: {stages} by stage, {whole(run):.3f} together, the ensemble {whole(ensemble[seed]):.3f}; "
                              f"the last stage trains in {cells['count']} cells, of {cells['median']} rows in the middle.")
    worse = all(whole(ours[s]) < whole(ensemble[s]) for s in seeds)
    return f"""### {bits} bits: {'where it hurts' if worse else 'a code far richer than the cells'}

{2 ** bits:,} codes against 10 clusters of images a stage: two stages leave some {2 ** bits // 100} codes in a cell, so the next stage matches more bits, not digits. {'In every seed the stages are worse than an ensemble of the same size.' if worse else ''}

{chr(10).join(out)}
{chr(10) + chr(10).join(others) + chr(10) if others else ''}
What the report advises after the first of ten clusters: {' or '.join(f'*{a}*' for a in first)}{f"; within the cells what was learnt still answers {min(bits_left):.1f} to {max(bits_left):.1f} yes-or-no questions, and a stage of ten clusters takes 3.3 of them" if bits_left else ""}.
"""


# ---- figures -------------------------------------------------------------------------------------------

def figures_table(runs, kinds):
    ours, out = runs[("image", 10, "none")], []
    for seed, run in sorted(ours.items()):
        out += [f"| seed {seed} | " + " | ".join(kinds) + " |", "|---|" + "---|" * len(kinds)]
        rows = [(f"stage {s['stage']}", s["apart"]) for s in run["stages"]]
        rows.append(("all stages, equal weights", run["equal_weights"]["apart"]))
        rows.append((f"all stages, {run['growth']:g}^s", run["integrated"]["apart"]))
        for name, key in (("ensemble", (None, None, "ensemble")), ("shuffled", ("image", 10, "shuffled")), ("stage 0, 3 × as long", (None, None, "longer"))):
            if seed in runs.get(key, {}):
                rows.append((name, runs[key][seed]["equal_weights"]["apart"]))
        out += [f"| {name} | " + " | ".join(share(apart, kind) for kind in kinds) + " |" for name, apart in rows] + [""]
    return "\n".join(out)


def figures_verdicts(runs, kinds):
    """Of each kind: all stages together minus the better control, by seed."""
    out, ours = [], runs[("image", 10, "none")]
    for kind in kinds:
        gains = []
        low = [seed for seed, run in sorted(ours.items()) if whole(run, kind) < 0.25]
        for seed, run in sorted(ours.items()):
            controls = [whole(runs[key][seed], kind) for key in ((None, None, "ensemble"), ("image", 10, "shuffled")) if seed in runs.get(key, {})]
            if controls:
                gains.append(whole(run, kind) - max(controls))
        if not gains:
            continue
        below = f"; **less than guessing gives** with seed {', '.join(map(str, low))}" if low else ""
        if min(gains) > 0.05:
            what = "more than the controls, in every seed" if len(gains) > 1 else "more than the controls"
        elif max(gains) < 0.02:
            what = "**no more than the better control**"
        else:
            what = "**more than the controls in some seeds only**" if min(gains) <= 0.02 else "a little more than the controls"
        out.append(f"- `{kind}`: {what} ({figure(gains, '+')}){below}.")
    missing = [f"{key[2]} of seed {seed}" for seed in sorted(ours) for key in ((None, None, "ensemble"), ("image", 10, "shuffled"))
               if seed not in runs.get(key, {})]
    return "\n".join(out) + (f"\n\nNot run yet: {', '.join(missing)}." if missing else "")


def figures_longer(runs, kinds):
    """The same against stage 0 of three times the epochs."""
    both = [(run, runs[(None, None, "longer")][seed]) for seed, run in sorted(runs[("image", 10, "none")].items())
            if seed in runs.get((None, None, "longer"), {})]
    if not both:
        return "**Not run yet**: stage 0 trained three times as long, which with digits makes up for much of the difference."
    return ("Minus stage 0 of three times the epochs: "
            + ", ".join(f"`{kind}` {figure([whole(a, kind) - whole(b, kind) for a, b in both], '+')}" for kind in kinds) + ".")


def figures_picture(runs, kinds):
    ours = runs[("image", 10, "none")]
    chart = Chart(len(next(iter(ours.values()))["stages"]), 290)
    for kind, colour in zip(kinds, COLOURS):
        for run in ours.values():
            chart.line([s["apart"][kind]["value"] for s in run["stages"]], colour)
        for run in runs.get((None, None, "ensemble"), {}).values():
            chart.level(whole(run, kind), colour)
        chart.note(kind, colour)
    chart.note("pairs told apart; dashed: the ensemble")
    return chart.svg()


def figures(runs, docs):
    ours = runs[("image", 10, "none")]
    one = ours[min(ours)]
    kinds = known(one)
    (docs / "evidence-figures.svg").write_text(figures_picture(runs, kinds))
    pairs = one["equal_weights"]["apart"][kinds[0]]["pairs"]
    return f"""## Images and captions: shape, colour, texture, place and six bits

Drawn figures: ten shapes in ten colours and ten textures, in one of four quarters of the image, with six random bits as constant channels, all independent;
the caption has a word for each. Pairs of images differ in exactly one of these things (of the bits in a single one), and in all that is
not named: angle, size, shade, exact place. {pairs:,} pairs of each kind; in brackets 95 % intervals over samples of pairs. By guessing each image apart a quarter would come
right; a tower to which both images look alike gives both the same caption, and comes near 0.

![Pairs told apart by kind, by stage](evidence-figures.svg)

{figures_table(runs, kinds)}
All stages together, equal weights, minus the better control:

{figures_verdicts(runs, kinds)}

{figures_longer(runs, kinds)}

Image tower: three convolutions 3 × 3 stride 2 of 32, 64, 64, ReLU, dense 64, with noise of .05; text tower and loss as above. {settings(one)}, 10 clusters of images. On {machines([r for found in runs.values() for r in found.values()])}.

    sh scripts/evidence.sh image_text
"""


def section(folder, docs):
    found = load(folder)
    parts = []
    for (data, bits, suffix), runs in sorted(found.items(), key=lambda item: (item[0][0] == "figures", item[0][1:])):
        if suffix:
            continue
        if data == "mnist" and bits == 6:
            parts.append(digits(runs, found.get((data, bits, "-e30"), {}), docs))
        elif data == "mnist":
            parts.append(rich(runs, bits))
        elif ("image", 10, "none") in runs:
            parts.append(figures(runs, docs))
    return "\n".join(part for part in parts if part)
