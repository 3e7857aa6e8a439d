#!/usr/bin/python3
"""Static analysis of lib/: cppcheck, clang-tidy (.clang-tidy), and gcc -fanalyzer at -O0.

    sh scripts/static.sh                 all files; ends with 1 when there is a warning
    sh scripts/static.sh lib/base/*.c    these

Commands come from build/compile_commands.json. Each tool reads scripts/static.h before a file: what one file alone does
not tell, above all that mcli_fail() never returns MCL_OK.

What is left out, and why:
  gcc: -Wanalyzer-use-of-uninitialized-value   gcc 12 at -O0 does not see that memcpy(&x, ...) and __builtin_mul_overflow
                                               write x; clang-tidy, cppcheck and valgrind look for the same.
  gcc: -Wanalyzer-null-dereference, -argument  a pointer that any inline function compared with NULL may be NULL for gcc 12
                                               ever after, such as a parameter's that may be frozen; clang-tidy looks for
                                               the same with fewer mistakes.
  gcc: -Wanalyzer-malloc-leak in directory.c   "leaks here", of opendir() and at opendir().
  gcc: lib/*/x86                               vectors of gcc's own are beyond it ("shift by 23 >= precision of type (2)");
                                               nothing is allocated there.
  A source that is compiled once an instruction set is looked at once.
"""
import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
KNOWN = ["-include", os.path.join(TOP, "scripts/static.h")]
FOLDERS = ["-I" + os.path.join(TOP, d) for d in ("lib", "include")]
GCC = ["-O0", "-fanalyzer", "-Werror", "-fdiagnostics-color=never", "-o", "/dev/null"] + [
    f"-Wno-analyzer-{x}" for x in ("use-of-uninitialized-value", "null-dereference", "null-argument")]
CPPCHECK = ["cppcheck", "--quiet", "--error-exitcode=1", "--enable=warning,performance,portability", "--inline-suppr",
            "--std=c11", "--template=gcc", "--suppress=missingIncludeSystem", "-Iinclude", "-Ilib",
            "-D__GNUC__=12", "-D__x86_64__", "-DMCLI_ISA_NAME=base"]


def sources():
    """file -> its command, of the first instruction set."""
    found = {}
    with open(os.path.join(BUILD, "compile_commands.json")) as f:
        for entry in json.load(f):
            path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), TOP)
            if path.startswith("lib/"):
                found.setdefault(path, entry)
    return found


def extra(path):
    # There mcli_fail() is defined.
    return [] if path == "lib/base/status.c" else KNOWN


def gcc(path, entry):
    words = iter([w for w in shlex.split(entry["command"]) if w not in ("ccache", "-O2", "-O3", "-g", "-MD")])
    arguments = []
    for word in words:
        if word in ("-MQ", "-MF", "-o"):
            next(words)
        else:
            arguments.append(word)
    if "/x86/" in path:
        return None
    own = ["-Wno-analyzer-malloc-leak"] if path == "lib/base/directory.c" else []
    return arguments[:1] + FOLDERS + extra(path) + arguments[1:] + GCC + own, BUILD


def tidy(path, entry):
    before = [f"--extra-arg-before={x}" for x in FOLDERS + extra(path)]
    return ["clang-tidy", "-p", BUILD, "--quiet"] + before + [path], TOP


def cppcheck(path, entry):
    return CPPCHECK + [f"--include={x}" for x in extra(path)[1:]] + [path], TOP


def look(job):
    tool, path, command = job
    begun = time.monotonic()
    p = subprocess.run(command[0], cwd=command[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return tool, path, p.returncode, p.stdout, time.monotonic() - begun


def main():
    found = sources()
    wanted = [os.path.relpath(os.path.abspath(p), TOP) for p in sys.argv[1:]] or sorted(found)
    missing = [p for p in wanted if p not in found]
    if missing:
        sys.exit("this build does not compile " + ", ".join(missing))
    jobs = []
    tools = (("clang-tidy", tidy), ("gcc -fanalyzer", gcc), ("cppcheck", cppcheck))
    for tool, make in tools:
        commands = [(tool, path, make(path, found[path])) for path in wanted]
        jobs += [c for c in commands if c[2]]
    failed, seconds = {}, {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for tool, path, code, output, took in pool.map(look, jobs):
            seconds[tool] = seconds.get(tool, 0) + took
            if code == 0:
                continue
            failed[tool] = failed.get(tool, 0) + 1
            print(f"---- {tool}: {path}\n{output}")
    for tool in seconds:
        print(f"{tool}: {sum(1 for j in jobs if j[0] == tool)} files, {failed.get(tool, 0)} with warnings, {seconds[tool]:.0f} s")
    return 1 if failed else 0


sys.exit(main())
