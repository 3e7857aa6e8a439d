"""The section on pictures and their titles, from the findings of `captions`: how often does one find the other?"""
import json, math

from findings import cells_line, machines

WAYS = ("image_to_text", "text_to_image")
RANKS = ("1", "5", "10")


def section(folder, docs):
    found = {control: json.loads(path.read_text()) for control in ("none", "ensemble")
             if (path := folder / f"captions-{control}-0.json").exists()}
    return text(found["none"], found["ensemble"]) if len(found) == 2 else None


def table(ours, ensemble):
    growth = f"{ours['growth']:g}^s"
    rows = [(f"stage {s['stage']}", s) for s in ours["stages"]]
    rows += [("all stages, equal weights", ours["equal_weights"]), (f"all stages, {growth}", ours["integrated"])]
    rows += [(f"ensemble, member {s['stage']}", s) for s in ensemble["stages"][1:]]
    rows += [("ensemble, equal weights", ensemble["equal_weights"])]
    out = ["| | " + " | ".join(f"{way.replace('_', ' ')} @{k}" for way in WAYS for k in RANKS) + " |", "|---|" + "---|" * 6]
    for name, part in rows:
        out.append(f"| {name} | " + " | ".join(f"{part['recall'][way][k]:.3f}" for way in WAYS for k in RANKS) + " |")
    n = ours["test_rows"]
    out.append("| by chance | " + " | ".join(f"{min(int(k) / n, 1):.3f}" for _ in WAYS for k in RANKS) + " |")
    return "\n".join(out)


def at_10(part):
    """Both ways."""
    return sum(part["recall"][way]["10"] for way in WAYS) / 2


def compared(value, other, error):
    """A difference within two standard errors is none."""
    sign = "more than" if value - other > 2 * error else "**less than**" if other - value > 2 * error else "**no more than**"
    return sign, f"{value - other:+.3f}"


def verdict(ours, ensemble):
    one, control = at_10(ours["stages"][0]), at_10(ensemble["equal_weights"])
    whole, last = at_10(ours["equal_weights"]), at_10(ours["stages"][-1])
    error = math.sqrt(control * (1 - control) / ours["test_rows"])
    parts = []
    for who, value, whom, other in (("All stages, equally weighted, find", whole, "stage 0 alone", one), ("they find", whole, "the ensemble", control),
                                    ("the last stage alone finds", last, "stage 0", one)):
        sign, difference = compared(value, other, error)
        parts.append(f"{who} {sign} {whom} ({difference})")
    return ("; ".join(parts) + f": by recall at 10, the mean of both ways. A difference counts from two standard errors, {2 * error:.3f}. "
            "One seed, and no shuffled control.")


def text(ours, ensemble):
    advice = "; ".join(f"after stage {s['stage']} *{s['advice']}*" for s in ours["stages"])
    return f"""## Clip art and its titles: retrieval

{ours['images'] + ours['held_out']:,} pictures of Debian's openclipart, 64 × 64 pixels; a caption is the title in the file, else its name, and the names of its folders.
{ours['held_out']} pictures are held out; of those with the same caption the first is judged, which leaves {ours['test_rows']}. How often is a picture's own caption
among the nearest 1, 5 and 10, and a caption's own picture? *Ensemble*: {len(ensemble['stages'])} stage-0 pairs of towers of other seeds; its member 0 is stage 0.

{table(ours, ensemble)}

{verdict(ours, ensemble)}

Advice: {advice}. {cells_line(ours)[0].upper() + cells_line(ours)[1:]}.

A convolutional network and a bag of byte-pair tokens (a vocabulary of {ours['vocabulary']:,}, trained on the same captions), a temperature that is learnt from {ours['temperature']:g}; cross-view InfoNCE, Adam from
1e-3 linearly to 0, batches of {ours['batch']}, {ours['epochs']} epochs a stage, {ours['clusters']} clusters of either tower's embeddings; views are crops of area .6–1. Seed {ours['seed']}, on {machines([ours])}.

    sh scripts/evidence.sh captions
"""
