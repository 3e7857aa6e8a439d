#!/usr/bin/python3
"""Runs our benchmarks and the peers that are installed, in turns, on the same inputs.

usage: benchmarks/peers.py [--only PART ...] [--threads N] [--quick] [--build FOLDER] [--jsonl FILE]
                           [--keep FILE] [--write FILE]

Each result is a line of JSON on standard output and in --jsonl's file: ratio = peer_ms / ours_ms,
above 1 where libmcl is faster; ours_mib, peer_mib: memory beyond the inputs; same: whether both
found the same answer. A table for readers follows on standard error. --write puts it into a
document, between its two marker comments. --keep takes lines of an earlier --jsonl for what does
not run now, into the table and into --jsonl's file, which may be the same. A peer that is missing
is reported as missing. The exit status is 1 if an answer differs.

scripts/bench.sh installs the peers, builds, and runs this. Only figures of an otherwise idle
machine mean anything.
"""
import argparse
import ctypes
import datetime
import glob
import importlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import peer_work

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures, written by benchmarks/peers.py -->", "<!-- end of the figures -->"
MODULES = {"numpy": "numpy", "PyTorch": "torch", "scikit-learn": "sklearn", "faiss": "faiss",
           "OpenCV": "cv2", "Pillow": "PIL"}


def fair_environment():
    """Starts this script again in the environment in which the peers are fastest, if not in it.

    OPENBLAS_CORETYPE would hold OpenBLAS to an older processor's kernels. Its OpenMP build shares
    one pool of threads with the peers; the pthread build, and busy waiting, make pools fight for
    the cores.
    """
    wanted = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    wanted["OMP_WAIT_POLICY"] = "PASSIVE"
    path = wanted.get("LD_LIBRARY_PATH", "").split(":")
    for folder in glob.glob("/usr/lib/*/openblas-openmp"):
        if folder not in path:
            wanted["LD_LIBRARY_PATH"] = ":".join(filter(None, [folder, *path]))
    if wanted != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], wanted)


class Ours:
    """One case of one of our programs, which makes a call when it is told to."""

    def __init__(self, program, *arguments):
        command = [program, "--turns", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        first = self.process.stdout.readline()
        self.line = json.loads(first) if first else None  # None: its inputs are not there

    def turn(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            raise RuntimeError(f"{self.process.args} ended early")

    def finish(self):
        rest = self.process.communicate()[0]
        if self.process.returncode:
            raise RuntimeError(f"{self.process.args} failed")
        return json.loads(rest) if rest else None


def take_turns(ours, calls, times, seconds=30):
    """One call of ours, one of each peer, and again, `times` times.

    Twice where that takes `seconds`; once where once takes as long as two may. Each peer's least
    milliseconds, and a result.
    """
    best, began = {name: (float("inf"), None) for name in calls}, time.perf_counter()
    for done in range(times):
        ours.turn()
        for name, call in calls.items():
            start = time.perf_counter()
            result = call()
            ms = (time.perf_counter() - start) * 1e3
            best[name] = min(best[name][0], ms), result
        if time.perf_counter() - began > (seconds if done else 2 * seconds):
            break
    return best


def memory(part, line, peer):
    script = pathlib.Path(__file__).with_name("peer_memory.py")
    run = subprocess.run([sys.executable, script, part, peer], input=json.dumps(line),
                         stdout=subprocess.PIPE, text=True, check=True)
    return float(run.stdout)


def lines(rows):
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


class Run:
    """Runs cases, ours and the peers' in turns, and keeps the rows."""

    def __init__(self, options, kept):
        self.programs, self.threads = options.build.resolve() / "benchmarks", options.threads
        self.quick, self.rows = options.quick, []
        self.file = options.jsonl and options.jsonl.open("w")
        if self.file:  # first, so that a run cut short does not lose them
            print(lines(kept), end="", file=self.file, flush=True)

    def part(self, name):
        part = peer_work.PARTS[name]
        program = self.programs / part.program
        listed = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True)
        for case in filter(part.wanted, listed.stdout.splitlines()):
            quick = ["--quick"] if self.quick else []
            ours = Ours(program, "--case", case, "--threads", self.threads, *quick)
            if ours.line:
                self.case(name, part, ours)
            else:
                print(f"{case}: its data are missing", file=sys.stderr)
                ours.finish()

    def case(self, name, part, ours):
        calls, answers, missing = {}, {}, {}
        for peer, make in part.peers(ours.line).items():
            try:
                if peer_work.np is None:
                    raise ImportError("No module named 'numpy'")
                calls[peer], answers[peer] = make()
            except ImportError as error:
                missing[peer] = {"missing": str(error)}
        peer_work.set_threads(ours.line["threads"])
        best = take_turns(ours, calls, 1 if self.quick else part.times)
        mib = {peer: memory(name, ours.line, peer) for peer in calls}
        line = ours.finish()
        for peer, (ms, result) in best.items():
            found = answers[peer](result)
            self.emit(line, peer, compared(line, ms, mib[peer], found,
                                           peer_work.same(part, line, peer, found)))
        for peer, why in missing.items():
            self.emit(line, peer, why)

    def emit(self, line, peer, figures):
        row = {k: line[k] for k in ("bench", "case", "threads", "ours_ms")} | {"peer": peer}
        row |= figures | ({"quick": True} if self.quick else {})
        self.rows.append(row)
        for file in filter(None, (sys.stdout, self.file)):
            print(lines([row]), end="", file=file, flush=True)


def compared(line, ms, mib, found, same):
    row = {"peer_ms": round(ms, 3), "ratio": round(ms / line["ours_ms"], 2),
           "ours_mib": line["ours_mib"], "peer_mib": mib}
    if "images_per_s" in line:
        row["ours_images_per_s"] = line["images_per_s"]
        row["peer_images_per_s"] = round(line["images_per_s"] * line["ours_ms"] / ms)
    for field, value in found.items():
        row |= {f"ours_{field}": line[field]} if field in line else {}
        row[f"peer_{field}"] = value
    return row | ({} if same is None else {"same": same})


def figure(ms):
    return f"{ms:.4g}" if ms < 1000 else f"{ms:.0f}"


def lined_up(cells):
    """A Markdown table that can be read as it is: words to the left, figures to the right."""
    wide = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    left = [title in ("work", "peer", "same answer") for title in cells[0]]

    def line(row):
        padded = (c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(row, wide, left))
        return "| " + " | ".join(padded) + " |"

    dashes = ("-" * (w + 1) + ("-" if to_left else ":") for w, to_left in zip(wide, left))
    return "\n".join([line(cells[0]), "|" + "|".join(dashes) + "|", *map(line, cells[1:])])


def remark(r):
    words = [{True: "yes", False: "NO", None: ""}[r.get("same")]]
    if "peer_difference" in r:
        words.append(f"{r['peer_difference']} grey levels apart")
    if "peer_images_per_s" in r:
        words.append(f"{r['ours_images_per_s']} and {r['peer_images_per_s']} images/s")
    return "; ".join(filter(None, words))


def table(rows):
    cells = [["work", "threads", "libmcl, ms", "peer", "peer, ms", "ratio", "libmcl, MiB",
              "peer, MiB", "same answer"]]
    for r in rows:
        figures = ["missing", "", "", "", ""]
        if "peer_ms" in r:
            figures = [figure(r["peer_ms"]), f"{r['ratio']:.2f}", f"{r['ours_mib']:.0f}",
                       f"{r['peer_mib']:.0f}", remark(r)]
        work = [f"{r['bench']} {r['case']}", str(r["threads"]), figure(r["ours_ms"])]
        cells.append([*work, r["peer"], *figures])
    return lined_up(cells)


def verdict(rows):
    timed = [r for r in rows if "ratio" in r]
    slower = [r for r in timed if r["ratio"] < 1]
    if not timed:
        return "No peer was timed."
    if not slower:
        return "No peer was faster than libmcl in this run."
    each = [f"{r['peer']} at {r['bench']} {r['case']} on {r['threads']}" for r in slower]
    return "Faster than libmcl, in this run, were: " + "; ".join(each) + "."


def described(build):
    """mcl_context_describe(): the version, BLIS and the kernels that this processor gets."""
    library = ctypes.CDLL(str(build / "lib" / "libmcl.so"))
    context, text = ctypes.c_void_p(), ctypes.create_string_buffer(1000)
    error = ctypes.create_string_buffer(4096)
    if library.mcl_context_create(None, ctypes.byref(context), error) < 0:
        return "libmcl"
    library.mcl_context_describe(context, text, ctypes.c_size_t(len(text)), None, error)
    library.mcl_context_unref(context)
    return text.value.decode()


def blas():
    """The library behind the peers' matrix products, and its folder, which tells Debian's apart."""
    paths = {line.split()[-1] for line in open("/proc/self/maps") if "blas" in line}
    chosen = {p for p in paths if "libblas" in p} or paths
    return ", ".join(sorted("/".join(p.split("/")[-2:]) for p in chosen)) or "none"


def circumstances(build):
    """Date, machine, system, versions."""
    models = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line]
    cores = f"{(models or [platform.machine()])[0]}, {len(os.sched_getaffinity(0))} cores"
    versions = []
    for name, module in MODULES.items():
        try:
            versions.append(f"{name} {importlib.import_module(module).__version__}")
        except ImportError:
            versions.append(f"{name} missing")
    versions.append(f"BLAS of the peers {blas()}")
    system = f"{platform.system()} {platform.release()}"
    parts = [str(datetime.date.today()), cores, system, described(build), ", ".join(versions)]
    return "; ".join(parts) + "."


def joined(kept, new):
    """New rows in the place of old ones of their benchmarks, others behind."""
    benches = {r["bench"] for r in new}
    rows = []
    for r in kept:
        rows += [r] if r["bench"] not in benches else [n for n in new if n["bench"] == r["bench"]]
        new = [n for n in new if n["bench"] != r["bench"]]
    return rows + new


def write(path, text):
    document = path.read_text()
    before, found, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        sys.exit(f"{path} lacks the comments {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    option = parser.add_argument
    option("--only", choices=peer_work.PARTS, nargs="+", help="some parts")
    option("--keep", type=pathlib.Path, metavar="FILE",
           help="lines of an earlier --jsonl, for the table, of benchmarks that do not run now")
    option("--threads", type=int, default=2, help="default 2; batches and decoding run on 1")
    option("--quick", action="store_true", help="small inputs, one call: to try the script out")
    option("--jsonl", type=pathlib.Path, metavar="FILE", help="where the lines go too")
    option("--build", type=pathlib.Path, default=ROOT / "build", help="where libmcl is built")
    option("--write", type=pathlib.Path, metavar="FILE", help="the document that gets the table")
    options = parser.parse_args()
    if options.write and (options.quick or (options.only and not options.keep)):
        parser.error("--write is for a whole run, or for a part with --keep")
    kept = [json.loads(line) for line in options.keep.open()] if options.keep else []
    if options.write and any("quick" in r for r in kept):
        parser.error("--write is not for lines of a --quick run")
    run = Run(options, kept)
    for name in dict.fromkeys(options.only or peer_work.PARTS):
        run.part(name)
    rows = joined(kept, run.rows)
    if options.jsonl:
        options.jsonl.write_text(lines(rows))
    text = f"{circumstances(options.build.resolve())}\n\n{table(rows)}\n\n{verdict(rows)}"
    print(f"\n{text}", file=sys.stderr)
    if options.write:
        write(options.write, text)
    return any(r.get("same") is False for r in run.rows)


if __name__ == "__main__":
    fair_environment()
    sys.exit(main())
