#!/usr/bin/env python3
"""What the documents on experiments share: figures over seeds, the machine that measured, the frame of a chart over stages.

usage: findings.py stamp FILE    adds the machine that this runs on to a JSON file of findings, which the documents then name"""
import json, pathlib, platform, subprocess, sys


# ---- the machine -------------------------------------------------------------------------------------

def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), platform.machine())
    cores = subprocess.run(["nproc"], capture_output=True, text=True).stdout.strip()
    return f"{model}, {cores} cores, {platform.system()}"


def machines(runs):
    """Those that measured the runs, not the one that writes about them."""
    return " and ".join(sorted({r.get("machine", "a machine that was not noted") for r in runs}))


def stamp(path):
    path.write_text(path.read_text().replace("{", '{"machine":' + json.dumps(machine()) + ",", 1))


# ---- numbers -----------------------------------------------------------------------------------------

def figure(values, sign=""):
    """The mean, and from the lowest to the highest; None is not counted."""
    values = [v for v in values if v is not None]
    if not values:
        return ""
    mean = sum(values) / len(values)
    to = " to " if sign else "–"
    return f"{mean:{sign}.3f}" if len(values) == 1 else f"{mean:{sign}.3f} ({min(values):{sign}.3f}{to}{max(values):{sign}.3f})"


def listed(runs, key, form=""):
    return ", ".join(f"{r[key]:{form}}" for r in runs)


def cells_line(run):
    parts = []
    for s in run["stages"][1:]:
        c = s["cells"]
        parts.append(f"stage {s['stage']}: {c['count']} cells of {c['smallest']} to {c['largest']} rows, median {c['median']}, "
                     f"{c['backed_off']} rows backed off, {100 * s['rows_seen']:.1f} % of the rows seen")
    return "; ".join(parts)


# ---- a chart -----------------------------------------------------------------------------------------

class Chart:
    """Accuracies, 0 to 1, over stages: lines, dashed levels, and a legend at the right."""

    WIDTH, HEIGHT, LEFT, TOP = 420, 240, 50, 20

    def __init__(self, stages, legend):
        self.stages, self.notes, self.out = stages, 0, []
        self.out.append(f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.LEFT + self.WIDTH + legend}" '
                        f'height="{self.TOP + self.HEIGHT + 45}" font-family="sans-serif" font-size="13">')
        self.out.append('<rect width="100%" height="100%" fill="#fff"/>')
        for v in (0, .25, .5, .75, 1):
            self.out.append(f'<line x1="{self.LEFT}" x2="{self.LEFT + self.WIDTH}" y1="{self.y(v):.1f}" y2="{self.y(v):.1f}" '
                            f'stroke="#ddd"/><text x="8" y="{self.y(v) + 4:.1f}">{v:g}</text>')
        for s in range(stages):
            self.out.append(f'<text x="{self.x(s) - 24:.1f}" y="{self.TOP + self.HEIGHT + 20}">stage {s}</text>')

    def x(self, stage):
        return self.LEFT + stage * self.WIDTH / max(self.stages - 1, 1)

    def y(self, value):
        return self.TOP + self.HEIGHT * (1 - value)

    def line(self, values, colour):
        points = " ".join(f"{self.x(s):.1f},{self.y(v):.1f}" for s, v in enumerate(values))
        self.out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def level(self, value, colour):
        y = self.y(value)
        self.out.append(f'<line x1="{self.LEFT}" x2="{self.LEFT + self.WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-dasharray="5 4"/>')

    def note(self, text, colour="#555"):
        """The next line of the legend."""
        self.out.append(f'<text x="{self.LEFT + self.WIDTH + 12}" y="{self.TOP + 20 + 20 * self.notes}" fill="{colour}">{text}</text>')
        self.notes += 1

    def svg(self):
        return "\n".join(self.out) + "</svg>\n"


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "stamp":
        sys.exit(__doc__)
    stamp(pathlib.Path(sys.argv[2]))
