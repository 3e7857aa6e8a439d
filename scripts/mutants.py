#!/usr/bin/python3
"""Mutants: does a test notice when one condition, bound, sign, constant, clean-up or flush is broken?

    sh scripts/mutants.sh                                  12 of each file, and those written by hand
    sh scripts/mutants.sh --per-file 30 --seed 2           others
    sh scripts/mutants.sh --file lib/sampler/cells.c --all every one of a file
    sh scripts/mutants.sh --written                        only those of scripts/mutants.written

A mutant is the source with one token, or one statement, changed. It is compiled alone and linked before libmcl.a with
the test programs that TESTS names for its file, most likely first, under the address sanitizer with leak detection; it
is caught by the first program that fails, reports an error or a leak, or does not end in time. It does not count when it
does not compile, or when gcc -O2 makes the same object code of it.

Survivors are written to build/mutants/survivors.diff. One that cannot be noticed (only speed, a bound that nothing
reaches) stands with its reason in scripts/mutants.allowed and is taken off both sides of the sum. Ends with 1 below 90 %
in any group.
"""
import argparse
import difflib
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(TOP, "build", "mutants")
WANTED = 0.90
# Half the time of a link, where it is there.
QUICK_LINKER = ["-fuse-ld=lld"] if shutil.which("ld.lld") else []

# Group -> files -> programs, in the order of likelihood. A name that ends in / stands for the files of a folder that
# have no entry of their own. A program's argument stands behind a colon, % for the folder of tests.
TESTS = {
    "sampler": {
        "lib/sampler/permutation.c": "test_permutation test_batches exhaustion/exhaustion:sampler",
        "lib/sampler/split.c": "test_split test_batches test_sampler exhaustion/exhaustion:sampler",
        "lib/sampler/plan.c": "test_batches test_sampler test_split test_cells exhaustion/exhaustion:sampler",
        "lib/sampler/sampler.c": "test_sampler test_batches test_cells test_split exhaustion/exhaustion:sampler",
        "lib/sampler/": "test_cells test_sampler test_batches test_split exhaustion/exhaustion:sampler",
        "lib/multistage/cells.c": "test_pull test_advice test_told",
        "lib/multistage/multistage.c": "test_pull test_advice test_run test_run_pair",
    },
    "checkpoint and parsers": {
        "lib/base/file.c": "test_file test_calls test_dataset_idx test_saves:npy exhaustion/exhaustion:store",
        "lib/base/writer.c": "test_writer test_calls test_saves:npy test_order test_checkpoint exhaustion/exhaustion:store",
        "lib/base/directory.c": "test_calls test_file test_writer test_dataset_folder exhaustion/exhaustion:store",
        "lib/encoder/folder.c":
            "test_calls test_order test_saves:integrator exhaustion/exhaustion:integrator:save "
            "exhaustion/exhaustion:integrator:load test_kills:run test_run",
        "lib/store/npy.c": "test_npy test_rows_read test_tokenizer_file exhaustion/exhaustion:store",
        "lib/store/npy_header.c": "test_npy exhaustion/exhaustion:store",
        "lib/store/json.c": "test_json test_checkpoint exhaustion/exhaustion:store",
        "lib/store/copy.c": "test_copy test_checkpoint exhaustion/exhaustion:store",
        "lib/store/rows.c": "test_rows_read test_npy exhaustion/exhaustion:store",
        "lib/store/": "test_checkpoint test_json test_npy exhaustion/exhaustion:store",
        "lib/image/png.c": "test_png exhaustion/exhaustion:image fuzz/fuzz_png:%/fuzz/png/corpus",
        "lib/image/jpeg.c": "test_jpeg exhaustion/exhaustion:image fuzz/fuzz_jpeg:%/fuzz/jpeg/corpus",
        "lib/image/exif.c": "test_exif",
        "lib/image/image.c": "test_png test_jpeg test_resize exhaustion/exhaustion:image",
        "lib/dataset/idx.c": "test_dataset_idx exhaustion/exhaustion:dataset:idx fuzz/fuzz_idx:%/fuzz/idx/corpus",
        "lib/dataset/table.c": "test_dataset_pairs test_questions exhaustion/exhaustion:dataset:pairs",
        "lib/dataset/pairs_file.c": "test_dataset_pairs test_questions exhaustion/exhaustion:dataset:pairs",
        "lib/dataset/tokenizer_file.c":
            "test_tokenizer_file test_tokenizer exhaustion/exhaustion:text test_saves:tokenizer test_kills:tokenizer",
        "lib/dataset/vocabulary.c": "test_tokenizer test_tokenizer_file exhaustion/exhaustion:text",
        "lib/dataset/walk.c": "test_dataset_folder exhaustion/exhaustion:dataset:folder",
        "lib/dataset/files.c": "test_dataset_folder test_dataset_pairs exhaustion/exhaustion:dataset:folder",
        "lib/dataset/folder.c": "test_dataset_folder exhaustion/exhaustion:dataset:folder",
    },
    "k-means": {
        "lib/clusterer/assign.c": "test_assign test_kmeans exhaustion/exhaustion:clusterer",
        "lib/clusterer/bounds.c": "test_bounds test_kmeans exhaustion/exhaustion:clusterer",
        "lib/clusterer/feed.c": "test_feed test_large_rows exhaustion/exhaustion:clusterer",
        "lib/clusterer/host.c": "test_host_clusterer exhaustion/exhaustion:clusterer",
        "lib/clusterer/saved.c": "test_saved_clusterer exhaustion/exhaustion:clusterer",
        "lib/clusterer/tree.c": "test_tree exhaustion/exhaustion:clusterer test_ranks",
        "lib/clusterer/sweep.c":
            "test_feed test_clusterer test_large_rows exhaustion/exhaustion:clusterer test_ranks",
        "lib/clusterer/budget.c": "test_budget test_large_rows exhaustion/exhaustion:clusterer",
        "lib/clusterer/":
            "test_saved_clusterer test_kmeans_edges test_kmeans test_clusterer test_bounds test_large_rows "
            "exhaustion/exhaustion:clusterer test_ranks",
    },
    "losses": {
        "lib/loss/": "test_golden_loss test_loss test_loss_inputs test_loss_anchors exhaustion/exhaustion:loss",
    },
}
# Of these only what is written by hand: they belong to no group as a whole.
ONLY_WRITTEN = ["lib/multistage/multistage.c"]


# ---- C text -----------------------------------------------------------------------------------------------------------

TOKEN = re.compile(r"""
  (?P<space>\s+|//[^\n]*|/\*.*?\*/)
 |(?P<directive>^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
 |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
 |(?P<number>(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)[uUlLfF]*)
 |(?P<word>[A-Za-z_]\w*)
 |(?P<operator><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.(){}\[\]])
""", re.X | re.S | re.M)

SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+=": "-=",
         "-=": "+=", "<<": ">>", ">>": "<<", "++": "--", "%": "/", "|=": "&="}
CLEANS = re.compile(r"(free|unref|close|abort|flush|fsync|leave|release|destroy|undo|unlink|remove|give_back)(_|$)")


class Token:
    def __init__(self, kind, text, at):
        self.kind, self.text, self.at = kind, text, at
        self.end = at + len(text)


def tokens_of(text):
    found, at = [], 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise SystemExit(f"cannot read {text[at:at + 40]!r}")
        if m.lastgroup not in ("space", "directive"):
            found.append(Token(m.lastgroup, m.group(), at))
        at = m.end()
    return found


def closing(tokens, i):
    """Where the bracket that tokens[i] opens is closed."""
    depth = 0
    for j in range(i, len(tokens)):
        depth += tokens[j].text in "([{"
        depth -= tokens[j].text in ")]}"
        if depth == 0:
            return j
    raise SystemExit("a bracket is not closed")


def bodies(tokens):
    """The token ranges of functions' bodies: a brace at the outermost level after a closing parenthesis."""
    i = 0
    while i < len(tokens):
        if tokens[i].text == "{":
            end = closing(tokens, i)
            if i and tokens[i - 1].text == ")":
                yield i + 1, end
            i = end
        i += 1


def is_binary(t, i):
    return t[i - 1].kind in ("word", "number") and t[i - 1].text not in ("return", "case") or t[i - 1].text in (")", "]")


def next_constant(text):
    m = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text)
    if m:
        digits = m.group(1)
        base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" and len(digits) > 1 else 10
        value = int(digits, base) + 1
        return {16: f"{value:#x}", 8: f"0{value:o}", 10: f"{value}"}[base] + m.group(2)
    m = re.fullmatch(r"([\d.]+(?:[eE][-+]?\d+)?)([fF]?)", text)
    return f"{float(m.group(1)) * 2 or 1.0!r}{m.group(2)}" if m else None


def mutations(text):
    """(operator, begin, end, replacement) of all mutants, in the file's order."""
    t = tokens_of(text)
    for first, last in bodies(t):
        for i in range(first, last):
            k, word = t[i], t[i].text
            if word in SWAPS and (word not in "<><<>>" or is_binary(t, i)):
                yield "operator", k.at, k.end, SWAPS[word]
            elif word in ("+", "-") and is_binary(t, i):
                yield "sign", k.at, k.end, "-" if word == "+" else "+"
                if t[i + 1].text == "1":
                    yield "one off", k.at, t[i + 1].end, ""
            elif k.kind == "number" and t[i - 1].text != "{":
                new = next_constant(word)
                if new:
                    yield "constant", k.at, k.end, new
            elif word == "if" and t[i + 1].text == "(":
                end = closing(t, i + 1)
                inside = text[t[i + 1].end:t[end].at]
                yield "condition", t[i + 1].at, t[end].end, f"(!({inside}))"
                yield "condition", t[i + 1].at, t[end].end, f"(0 && ({inside}))"
            elif word == "return" and t[i + 2].text == ";":
                new = {"s": "MCL_OK", "status": "MCL_OK", "0": "1", "1": "0"}.get(t[i + 1].text)
                if new and t[i + 1].kind == "word":
                    yield "return", t[i + 1].at, t[i + 1].end, new
            elif k.kind == "word" and CLEANS.search(word) and t[i + 1].text == "(":
                end = closing(t, i + 1)
                if t[end + 1].text == ";" and (t[i - 1].text in (";", "{", "}", ")", "else", ":")):
                    yield "clean-up", k.at, t[end + 1].end, "(void)0;"


# ---- mutants ------------------------------------------------------------------------------------------------------------


class Mutant:
    def __init__(self, file, kind, text, mutated):
        self.file, self.kind, self.text, self.mutated = file, kind, text, mutated
        self.state, self.by = None, ""
        before, after = text.split("\n"), mutated.split("\n")
        n = 0
        while n < min(len(before), len(after)) and before[n] == after[n]:
            n += 1
        self.line = n + 1
        self.before = before[n].strip() if n < len(before) else ""
        self.after = after[n].strip() if n < len(after) else ""

    def key(self):
        return self.file, self.before, self.after

    def diff(self):
        lines = difflib.unified_diff(self.text.splitlines(True), self.mutated.splitlines(True), "a/" + self.file,
                                     "b/" + self.file, n=2)
        return f"# {self.kind}\n" + "".join(lines)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def made(file):
    text = read(file)
    return [Mutant(file, kind, text, text[:a] + new + text[b:]) for kind, a, b, new in mutations(text)]


def written():
    """scripts/mutants.written: blocks of `== name`, the file, lines of - and +."""
    found = []
    for block in re.split(r"^== ", read("scripts/mutants.written"), flags=re.M)[1:]:
        lines = block.rstrip("\n").split("\n")
        name, file = lines[0], lines[1]
        old = "\n".join(x[1:] for x in lines[2:] if x[:1] == "-")
        new = "\n".join(x[1:] for x in lines[2:] if x[:1] == "+")
        text = read(file)
        if text.count(old) != 1:
            raise SystemExit(f"scripts/mutants.written, {name}: its text is {text.count(old)} times in {file}")
        found.append(Mutant(file, name, text, text.replace(old, new)))
    return found


def allowed():
    """scripts/mutants.allowed: file ## line ## line of the mutant ## why it cannot be noticed."""
    found = set()
    for line in read("scripts/mutants.allowed").split("\n"):
        if line and line[0] != "#":
            file, before, after, _ = line.split(" ## ")
            found.add((file, before, after))
    return found


def group_of(file):
    """The group, and the programs."""
    for group, files in TESTS.items():
        for name in (file, os.path.dirname(file) + "/"):
            if name in files:
                return group, files[name].split()
    raise SystemExit(f"no tests are named for {file}")


def all_files():
    found = {}
    for files in TESTS.values():
        for name in files:
            names = [name]
            if name.endswith("/"):
                names = [name + x for x in sorted(os.listdir(os.path.join(TOP, name))) if x.endswith(".c")]
            found.update(dict.fromkeys(names))
    return list(found)


# ---- building and running -----------------------------------------------------------------------------------------------


def end_group(p):
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def time_of_group(group):
    """The processor's time, in ticks, of the processes of a group that live."""
    ticks = 0
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0
        except (OSError, IndexError):
            continue
    return ticks


def end_when_stuck(p, ended, stuck):
    """Ends a group whose processes wait for each other. One that waits for a processor gets some of it in two minutes."""
    last = -1
    while not ended.wait(120):
        now = time_of_group(p.pid)
        if now == last:
            stuck.set()
            end_group(p)
            return
        last = now


def run(command, folder, cpu=None, env=None, first_failure=False):
    """The exit status, None: not within so many seconds of a processor, or not at all. The whole process group goes.
    With first_failure a program of Check's goes as soon as one of its tests has failed."""
    if cpu:
        command = ["sh", "-c", f'ulimit -t {cpu}; exec "$@"', "sh"] + command
    if first_failure:
        env = dict(env, CK_TAP_LOG_FILE_NAME="-") # a line for each test, at once
    p = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         errors="replace", start_new_session=True)
    ended, stuck, failed, lines = threading.Event(), threading.Event(), False, []
    if cpu:
        threading.Thread(target=end_when_stuck, args=(p, ended, stuck), daemon=True).start()
    for line in p.stdout:
        lines.append(line)
        failed = first_failure and line.startswith("not ok ")
        if failed:
            end_group(p)
            break
    p.wait()
    ended.set()
    end_group(p)
    p.stdout.close()
    output = "".join(lines)
    if failed:
        return 1, output
    return None if stuck.is_set() or p.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else p.returncode, output


def must(command, folder):
    code, output = run(command, folder)
    if code != 0:
        raise SystemExit(f"{shlex.join(command)}\n{output[-4000:]}")
    return output


class Seconds:
    """What each program takes without a mutant, measured when it is first wanted; known from the last run where the
    program is the same to the byte."""

    def __init__(self, worker):
        self.path, self.worker, self.lock = os.path.join(WORK, "programs.json"), worker, threading.Lock()
        self.measuring, self.known, self.before = {}, {}, {}
        if os.path.isfile(self.path):
            with open(self.path, encoding="utf-8") as f:
                self.before = json.load(f)

    def of(self, program):
        with self.lock:
            measuring = self.measuring.setdefault(program, threading.Lock())
        with measuring: # who needs another program goes on
            if program not in self.known:
                digest = hashlib.sha256(self.worker.bytes(os.path.join(self.worker.build, target_of(program)))).hexdigest()
                of, seconds, fork = self.before.get(program, (None, 0, ""))
                if of != digest:
                    seconds, fork = self.worker.measure(program)
                    print(f"{program}: {seconds:.1f} s without a mutant", file=sys.stderr, flush=True)
                with self.lock:
                    self.known[program] = seconds, fork
                    self.before[program] = digest, seconds, fork
                    with open(self.path, "w", encoding="utf-8") as f:
                        json.dump(self.before, f)
            return self.known[program]


def target_of(program):
    return "tests/" + program.split(":")[0]


class Judged:
    """What has been caught before, by the text of the source, so that a run that was stopped goes on."""

    def __init__(self):
        self.path, self.known = os.path.join(WORK, "caught.json"), {}
        if os.path.isfile(self.path):
            with open(self.path, encoding="utf-8") as f:
                self.known = json.load(f)

    def key(self, m):
        return hashlib.sha256(f"{m.file}:{m.mutated}".encode()).hexdigest()

    def look(self, m):
        m.state, m.by = self.known.get(self.key(m), (None, ""))
        return m.state is not None

    def keep(self, m):
        if m.state not in ("caught", "same", "does not compile"):
            return
        self.known[self.key(m)] = m.state, m.by
        with open(self.path, "w", encoding="utf-8") as f:
            json.dump(self.known, f)


class Worker:
    """A copy of the tree and a build of its own."""

    def __init__(self, number):
        self.top = os.path.join(WORK, f"worker{number}")
        self.build = os.path.join(self.top, "build")
        self.commands, self.links, self.seconds, self.objects = {}, {}, None, {}

    def copy(self):
        names = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, stdout=subprocess.PIPE, check=True).stdout
        for name in names.decode().split("\0"):
            source, target = os.path.join(TOP, name), os.path.join(self.top, name)
            if not name or not os.path.isfile(source):
                continue
            with open(source, "rb") as f:
                content = f.read()
            if os.path.isfile(target):
                with open(target, "rb") as f:
                    if f.read() == content:
                        continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.exists(target):
                os.unlink(target)
            shutil.copy(source, target)

    def clone(self, first):
        """The tree and the build of another worker, by links; all commands are relative to it."""
        shutil.rmtree(self.top, ignore_errors=True)
        must(["cp", "-al", first.top, self.top], TOP)
        shutil.rmtree(os.path.join(self.build, "scratch"), ignore_errors=True)
        for name in os.listdir(self.build):
            if name.startswith(("mutant", "plain.o")):
                os.unlink(os.path.join(self.build, name))
        self.commands, self.links = first.commands, first.links
        self.set_environment()

    def prepare(self, programs, jobs):
        self.copy()
        # What tests of earlier runs have left, which the other workers would be copies of too.
        shutil.rmtree(os.path.join(self.build, "scratch"), ignore_errors=True)
        if not os.path.isfile(os.path.join(self.build, "build.ninja")):
            must(["meson", "setup", self.build, "-Dmpi=disabled", "-Dexamples=false", "-Dbenchmarks=false",
                  "-Db_sanitize=address", "-Db_lundef=false", "-Doptimization=1", "-Ddebug=false"], self.top)
        must(["ninja", f"-j{jobs}"] + sorted({target_of(p) for p in programs}), self.build)
        self.read_commands(programs)

    def read_commands(self, programs):
        with open(os.path.join(self.build, "compile_commands.json"), encoding="utf-8") as f:
            for entry in json.load(f):
                path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), self.top)
                self.commands.setdefault(path, shlex.split(entry["command"]))
        for p in programs:
            lines = must(["ninja", "-t", "commands", "-s", target_of(p)], self.build).strip().split("\n")
            self.links[p] = shlex.split(lines[-1])
        self.set_environment()

    def set_environment(self):
        self.env = dict(os.environ, MCL_TESTS=os.path.join(self.top, "tests"),
                        MCL_MAP=os.path.join(self.top, "lib/libmcl.map"), CK_DEFAULT_TIMEOUT="300",
                        MCL_SCRATCH=os.path.join(self.build, "scratch"), ASAN_OPTIONS="detect_leaks=1:hard_rss_limit_mb=3000")

    def measure(self, program):
        """The seconds of a processor that it takes without a mutant, and CK_FORK: one process for all its tests is quicker,
        but some programs leave blocks behind that only the end of a process of each test's own gives back."""
        shown = 'code=0; "$@" || code=$?; times; exit $code'
        for fork in ("no", "yes"):
            code, output = run(["sh", "-c", shown, "sh", os.path.join(self.build, target_of(program))] + self.arguments(program),
                               self.build, 900, dict(self.env, CK_FORK=fork))
            if code == 0:
                minutes = re.findall(r"(\d+)m([\d.]+)s", output.strip().split("\n")[-1])
                return sum(60 * int(m) + float(s) for m, s in minutes), fork
        raise SystemExit(f"{program} fails without a mutant:\n{output[-3000:]}")

    def compile(self, file, plain):
        """The object of the file as it stands: with the sanitizer, or `plain` at -O2; None where it does not compile."""
        command = list(self.commands[file])
        target = os.path.join(self.build, "plain.o" if plain else "mutant.o")
        command[command.index("-o") + 1] = target
        for name in ("-MF", "-MQ"):
            i = command.index(name)
            del command[i:i + 2]
        command = [x for x in command if x not in ("-MD", "ccache") and not (plain and x in ("-fsanitize=address", "-O1"))]
        code, _ = run(command + ["-w"] + (["-O2", "-g0"] if plain else []), self.build)
        return target if code == 0 else None

    def bytes(self, path):
        with open(path, "rb") as f:
            return f.read()

    def write(self, file, text):
        """A file of its own: what was there may be another worker's too."""
        path = os.path.join(self.top, file)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(path + ".new", path)

    def arguments(self, program):
        return [x.replace("%", os.path.join(self.top, "tests")) for x in program.split(":")[1:]]

    def link(self, program, object_file):
        command = list(self.links[program])
        target = os.path.join(self.build, "mutant-" + os.path.basename(target_of(program)))
        command[command.index("-o") + 1] = target
        first = next(i for i, x in enumerate(command) if x.endswith(".o"))
        command.insert(first, object_file) # before libmcl.a, whose member is then not wanted
        must([x for x in command if x != "ccache"] + QUICK_LINKER, self.build)
        return target

    def judge(self, m):
        try:
            self.write(m.file, m.mutated)
            mutant = self.compile(m.file, 0)
            m.state = "survived" if mutant else "does not compile"
            for p in group_of(m.file)[1] if mutant else []:
                # Twice as long as without; the processor's time, whatever else the machine does.
                seconds, fork = self.seconds.of(p)
                code, _ = run([self.link(p, mutant)] + self.arguments(p), self.build, int(3 + 2 * seconds),
                              dict(self.env, CK_FORK=fork), first_failure=True)
                if code != 0:
                    m.state, m.by = "caught", p + (" (time)" if code is None else "")
                    return
            if m.state == "survived" and self.is_the_same(m):
                m.state = "same"
        finally:
            self.write(m.file, m.text)

    def is_the_same(self, m):
        """Is the object code of -O2 that of the source?"""
        mutant = self.bytes(self.compile(m.file, 1))
        if m.file not in self.objects:
            self.write(m.file, m.text)
            self.objects[m.file] = self.bytes(self.compile(m.file, 1))
        return mutant == self.objects[m.file]


# ---- the whole --------------------------------------------------------------------------------------------------------------


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--per-file", type=int, default=12, help="mutants of a file that count")
    a.add_argument("--seed", default="1")
    a.add_argument("--file", action="append", help="only these; may be given several times")
    a.add_argument("--group", action="append", help="only these: " + ", ".join(TESTS))
    a.add_argument("--all", action="store_true", help="every mutant")
    a.add_argument("--written", action="store_true", help="only those written by hand")
    a.add_argument("--workers", type=int, default=2)
    return a.parse_args()


class Sample:
    """Mutants of one file until enough count."""

    def __init__(self, mutants, wanted):
        self.left, self.wanted, self.counted, self.busy = mutants, wanted, 0, 0


def main():
    o = arguments()
    files = [f for f in o.file or all_files() if not o.group or group_of(f)[0] in o.group]
    known, samples = allowed(), []
    for file in files if not o.written else []:
        if file in ONLY_WRITTEN and not o.file:
            continue
        mutants = made(file)
        if not o.all:
            random.Random(f"{o.seed}:{file}").shuffle(mutants)
        samples.append(Sample(mutants, len(mutants) if o.all else o.per_file))
    by_hand = [m for m in written() if m.file in files]
    samples.append(Sample(by_hand, len(by_hand)))
    programs = list(dict.fromkeys(p for f in files for p in group_of(f)[1]))
    workers = [Worker(i) for i in range(o.workers)]
    workers[0].prepare(programs, o.workers)
    for w in workers[1:]:
        w.clone(workers[0])
    seconds = Seconds(workers[0])
    judged, lock, before = [], threading.Lock(), Judged()

    def work(w):
        w.seconds = seconds
        for s in samples:
            while True:
                with lock:
                    if not s.left or s.counted + s.busy >= s.wanted:
                        break
                    m = s.left.pop(0)
                    s.busy += 1
                if m.key() in known:
                    m.state = "allowed"
                elif not before.look(m):
                    try:
                        w.judge(m)
                    except SystemExit as problem: # of a thread, which nobody would hear of
                        print(problem, file=sys.stderr, flush=True)
                        os._exit(2)
                with lock:
                    before.keep(m)
                    s.busy -= 1
                    s.counted += m.state in ("caught", "survived")
                    judged.append(m)
                    if m.state in ("survived", "caught"):
                        print(f"{m.state:9} {m.file}:{m.line} {m.before}  ->  {m.after}  {m.by}", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=work, args=(w,)) for w in workers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    sys.exit(report(files, judged))


def report(files, judged):
    survivors = [m for m in judged if m.state == "survived"]
    with open(os.path.join(WORK, "survivors.diff"), "w", encoding="utf-8") as f:
        f.write("\n".join(m.diff() for m in sorted(survivors, key=lambda m: (m.file, m.line))))
    low = 0
    count = lambda of, state: sum(1 for m in of if m.state == state)
    print(f"{'file':36} mutants  caught  survived  allowed  same code")
    for group in TESTS:
        mine = [f for f in files if group_of(f)[0] == group]
        whole = [m for m in judged if m.file in mine]
        for name, of in [(f, [m for m in whole if m.file == f]) for f in mine] + [(group, whole)]:
            caught, left = count(of, "caught"), count(of, "survived")
            share = f"{100 * caught / (caught + left):6.1f} %" if name == group and caught + left else ""
            if of:
                print(f"{name:36} {caught + left:7} {caught:7} {left:9} {count(of, 'allowed'):8} {count(of, 'same'):10} {share}")
            low |= name == group and caught < WANTED * (caught + left)
    return int(low)


if __name__ == "__main__":
    main()
