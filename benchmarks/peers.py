#!/usr/bin/python3
"""Runs our benchmarks and the peers that are installed, one after the other, on the same inputs.

usage: benchmarks/peers.py [--only NAME] [--threads N] [--quick] [--build FOLDER] [--write FILE]

Each result is a line of JSON on standard output: ratio = peer_ms / ours_ms, above 1 where libmcl is
faster; same: whether both found the same answer. A table for readers follows on standard error.
--write puts it into a document, between its two marker comments. A peer that is missing is reported
as missing. The exit status is 1 if an answer differs.

Peers: Debian's python3-numpy, python3-torch, python3-sklearn and python3-faiss, with
libopenblas0-openmp for their matrix products. Only figures of an otherwise idle machine mean
anything; the whole run takes some minutes on two cores.
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
MODULES = {"numpy": "numpy", "PyTorch": "torch", "scikit-learn": "sklearn", "faiss": "faiss"}


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


def set_threads(n):
    try:
        ctypes.CDLL("libgomp.so.1").omp_set_num_threads(n)
    except OSError:  # no peer uses OpenMP then
        pass
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)


def fastest(call, times, seconds=6):
    """Least milliseconds of `times` calls, and a result; of two calls if they take `seconds`."""
    best, began = float("inf"), time.perf_counter()
    for done in range(times):
        start = time.perf_counter()
        result = call()
        end = time.perf_counter()
        best = min(best, (end - start) * 1e3)
        if done >= 1 and end - began > seconds:
            break
    return best, result


class Run:
    """What peer_work's functions are given to run our programs and their peers; keeps the rows."""

    def __init__(self, build, threads, quick):
        self.build, self.threads, self.quick, self.rows = build, threads, quick, []

    def ours(self, program, *arguments):
        command = [self.build / "benchmarks" / program, *map(str, arguments)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    def peer(self, line, name, make, agree, times=5, images=0, peak=None):
        """agree: the relative difference allowed, by field; images: in one call; peak: of memory, in MiB."""
        row = {k: line[k] for k in ("bench", "case", "threads", "ours_ms")} | {"peer": name}
        try:
            if peer_work.np is None:
                raise ImportError("No module named 'numpy'")
            call, answer = make()
            set_threads(line["threads"])
            ms, result = fastest(call, 1 if self.quick else times)
        except ImportError as missing:
            self.emit(row | {"missing": str(missing)})
            return
        found = answer(result)
        row |= {"peer_ms": round(ms, 3), "ratio": round(ms / line["ours_ms"], 2)}
        if images:
            row["ours_images_per_s"] = line["images_per_s"]
            row["peer_images_per_s"] = round(images / ms * 1e3)
        if peak:
            row |= {"ours_mib": line["peak_mib"], "peer_mib": peak}
        for field, value in found.items():
            row |= {f"ours_{field}": line[field], f"peer_{field}": value}
        if agree:
            row["same"] = all(abs(found[f] - line[f]) <= d * abs(line[f]) for f, d in agree.items())
        self.emit(row)

    def emit(self, row):
        print(json.dumps(row), flush=True)
        self.rows.append(row)


def figure(ms):
    return f"{ms:.4g}" if ms < 1000 else f"{ms:.0f}"


def lined_up(cells):
    """A Markdown table that can be read as it is: words to the left, figures to the right."""
    wide = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    left = [True, False, False, True, False, False, True]

    def line(row):
        padded = (c.ljust(w) if l else c.rjust(w) for c, w, l in zip(row, wide, left))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if l else ":") for w, l in zip(wide, left)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def table(rows):
    cells = [["work", "threads", "libmcl, ms", "peer", "peer, ms", "ratio", "same answer"]]
    for r in rows:
        figures = ["missing", "", ""]
        if "peer_ms" in r:
            same = {True: "yes", False: "NO", None: ""}[r.get("same")]
            figures = [figure(r["peer_ms"]), f"{r['ratio']:.2f}", same]
            if "peer_images_per_s" in r:
                figures[2] = f"{r['ours_images_per_s']} and {r['peer_images_per_s']} images/s"
            if "peer_mib" in r:
                figures[2] += f", {r['ours_mib']:.0f} and {r['peer_mib']:.0f} MiB"
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
    option("--only", choices=peer_work.PARTS, help="one part")
    option("--threads", type=int, default=2, help="default 2; matrix products run on 1 and 2")
    option("--quick", action="store_true", help="small inputs, one call: to try the script out")
    option("--build", type=pathlib.Path, default=ROOT / "build", help="where libmcl is built")
    option("--write", type=pathlib.Path, metavar="FILE", help="the document that gets the table")
    options = parser.parse_args()
    if options.write and (options.only or options.quick):
        parser.error("--write is for a whole run")
    run = Run(options.build.resolve(), options.threads, options.quick)
    for name, part in peer_work.PARTS.items():
        if options.only in (None, name):
            part(run)
    text = f"{circumstances(run.build)}\n\n{table(run.rows)}\n\n{verdict(run.rows)}"
    print(f"\n{text}", file=sys.stderr)
    if options.write:
        write(options.write, text)
    return any(r.get("same") is False for r in run.rows)


if __name__ == "__main__":
    fair_environment()
    sys.exit(main())
