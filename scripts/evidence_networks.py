"""The section on other networks than the convolutional one, and on stages that begin with the weights of the one before; from the
findings of `randbits` and `attributes` with --encoder and --initial."""
import json, re

from findings import cells_line, figure, machines

NAME = re.compile(r"networks-(fashion|dominoes)-(cnn|resnet18|vit)-(none|preceding|ensemble|shuffled)-(\d+)$")
# What is suppressed, and by what.
HIDDEN = {"fashion": ("class", "bits"), "dominoes": ("second", "first")}
TITLES = {"fashion": "RandBits on Fashion-MNIST, 14 × 14 pixels, {bits} bits", "dominoes": "Dominoes"}
NETWORKS = (("cnn", "the CNN of the sections above"), ("resnet18", "ResNet-18"), ("vit", "vision transformer"))
# A difference below it is not called one: with 2,000 test rows the standard error of an accuracy of .5 is .011.
CLEAR = 0.02


def load(folder):
    found = {}
    for path in folder.glob("networks-*.json"):
        if m := NAME.match(path.stem):
            found.setdefault(m[1], {}).setdefault(m[2], {})[m[3]] = json.loads(path.read_text())
    return found


# ---- a table a set of rows ---------------------------------------------------------------------------

def cell(part, probe, what):
    return figure([part[probe][what]]) if part else "not run"


def line(name, run, controls, data):
    """One for each measure; `controls` None: there are none of this way to begin."""
    hidden, shortcut = HIDDEN[data]
    has_controls, controls = controls is not None, controls or {}
    ensemble, shuffled = controls.get("ensemble"), controls.get("shuffled")
    out = []
    for probe, what in (("knn", hidden), ("linear", hidden), ("knn", shortcut)):
        cells = [cell(s, probe, what) for s in run["stages"]] + [cell(run["equal_weights"], probe, what)]
        cells += [cell(ensemble and ensemble["equal_weights"], probe, what), cell(shuffled and shuffled["stages"][-1], probe, what),
                  cell(shuffled and shuffled["equal_weights"], probe, what)]
        cells = cells if has_controls else cells[:-3] + [""] * 3
        measure = f"{'kNN' if probe == 'knn' else 'linear'} `{what}`"
        out.append(f"| {name if not out else ''} | {measure} | " + " | ".join(cells) + " |")
    return out


def table(runs, data):
    stages = max(len(r["none"]["stages"]) for r in runs.values() if "none" in r)
    head = ["network", "measured"] + [f"stage {s}" for s in range(stages)] + ["all stages", "ensemble", f"shuffled, stage {stages - 1}", "shuffled, all"]
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for network, name in NETWORKS:
        controls = runs.get(network, {})
        if "none" in controls:
            out += line(name, controls["none"], controls, data)
        if "preceding" in controls:
            out += line(f"{name}, each stage from the one before", controls["preceding"], None, data)
    return "\n".join(out)


# ---- what it says ------------------------------------------------------------------------------------

def best(run, probe, what):
    return max(s[probe][what] for s in run["stages"])


def verdict(difference):
    return "more than" if difference >= CLEAR else "**less than**" if difference <= -CLEAR else "**no more than**"


def compared(run, others, probe, hidden):
    """The best stage against the best single network of the controls, and all against all."""
    single = best(run, probe, hidden) - max(best(o, probe, hidden) for o in others)
    whole = run["equal_weights"][probe][hidden] - max(o["equal_weights"][probe][hidden] for o in others)
    name = "kNN" if probe == "knn" else "the linear probe"
    return (f"by {name} the best stage knows {verdict(single)} the best network of a control ({single:+.3f}), and all stages together {verdict(whole)} "
            f"the better control ({whole:+.3f})")


def sentences(runs, data):
    hidden, _ = HIDDEN[data]
    out = []
    for network, name in NETWORKS:
        controls = runs.get(network, {})
        others = [controls[c] for c in ("ensemble", "shuffled") if c in controls]
        if "none" in controls and others:
            parts = [compared(controls["none"], others, probe, hidden) for probe in ("knn", "linear")]
            out.append(f"- {name}, `{hidden}`: " + "; ".join(parts) + ".")
        if "none" in controls and not others:
            first, *later = controls["none"]["stages"]
            by = [f"{'kNN' if p == 'knn' else 'linear'} {first[p][hidden]:.3f}, then {max(s[p][hidden] for s in later):.3f}" for p in ("knn", "linear")]
            out.append(f"- {name}, `{hidden}`, stage 0 and the best of the later ones: " + "; ".join(by) + ". The controls were not run.")
        if "none" in controls and "preceding" in controls:
            fresh, on = controls["none"], controls["preceding"]
            by = [f"{'kNN' if p == 'knn' else 'linear'} {best(on, p, hidden):.3f} against {best(fresh, p, hidden):.3f}" for p in ("knn", "linear")]
            out.append(f"- {name}, each stage from the one before instead of fresh, the best stage's `{hidden}`: " + ", ".join(by) + ".")
    return "\n".join(out)


# ---- the text ----------------------------------------------------------------------------------------

NOTE = """ResNet-18 has the stem for CIFAR and a quarter of the published filters (16, 32, 64 and 128), the transformer four blocks of 64 numbers and four heads over
patches of 7 × 7 pixels and a class token, with exact GELU; heads: SimCLR's of two layers with batch norm, and one layer (`examples/common/networks.c`).
All else is that of the sections on RandBits and on dominoes: views, loss, Adam from 1e-3 linearly to 0, packed batches, batch norm over the rows of a batch, whatever cells they are of.
One seed, a single thread; rows and epochs are few, so that a run takes minutes. Batches of 100 rows, but of dominoes 250 for the CNN and the transformer. *All stages*: equal weights.
"""

# Measured once beside the pieces above, seed 0.
WHY = """Steps decide whether a second stage gains at all: what is suppressed takes longer to learn than the shortcut. With 3,000 rows in batches of 250 and 5 epochs, some 60 to 80 steps a stage instead of
360, ResNet-18 gained nothing to speak of: of 3 bits the linear class went from .603 to .617, and of dominoes, which above have 150 steps, the `second` from .449 to .471.
"""


def text(data, runs):
    one = next(r["none"] for r in runs.values() if "none" in r)
    return f"""### {TITLES[data].format(**one)}

{one['rows']:,} rows, {one['test_rows']:,} test rows, {one['epochs']} epochs a stage, {one['clusters']} clusters, temperature {one['temperature']:g}; \
{', '.join(f"{n} {runs[n]['none']['seconds']:.0f} seconds" for n, _ in NETWORKS if 'none' in runs.get(n, {}))} for the stages and their probes \
on a machine with other work, {machines(list(r for controls in runs.values() for r in controls.values()))}.

{table(runs, data)}

{sentences(runs, data)}

{WHY if data == "dominoes" and "none" in runs.get("resnet18", {}) else ""}"""


def section(folder, docs):
    found = load(folder)
    parts = [text(data, found[data]) for data in HIDDEN if any("none" in r for r in found.get(data, {}).values())]
    if not parts:
        return ""
    return "## Other networks, and stages that go on from the one before\n\n" + NOTE + "\n" + "\n".join(parts) + "\n    sh scripts/evidence.sh networks\n"
