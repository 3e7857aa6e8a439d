# names.py SOURCE: what the pages name is there. Links lead to files, and to headings of these; paths, and names of files of the tree,
# exist; functions, types and constants of libmcl are in its headers (what begins with mcli_, in lib/), members in the struct named;
# options of commands are known to a program or script of the tree.
import functools
import pathlib
import re
import subprocess
import sys

import markdown

source = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(source / "docs/doxygen"))
from filter import slug
failures = []
counts = {"links": 0, "files": 0, "names": 0, "options": 0}

# Files that a command or a program writes, or that are the reader's own.
MADE = re.compile(r"^(build|program|labels|embeddings|report|captions|titles|photos|stage-|encoder|loop|vocab|merges|resnet|trained|ViT|"
                  r"integrator|sampler|NAME|FILE|DIR|tokenizer\.(json|txt)|x\.npy|clusterer\.)")
# Options of programs that are not of this tree: Meson, mpirun, torchrun, a compiler, valgrind, git.
ELSEWHERE = {"--suite", "--print-errorlogs", "--benchmark", "--verbose", "--cflags", "--libs", "--static", "--mca", "--standalone",
             "--nproc_per_node", "--no-undefined", "--num-processes", "--prefix", "--wrap", "--tags", "--no-suite", "--define-variable", "--exclude-libs",
             "--atleast-version"}
# Names that are spoken of because they are not libmcl's.
NOT_OURS = {"mcl_noun_verb", "mcl_fp_*", "mcl_fp_", "include/mcl/", "libmcl.Rows.npy", "mcl_kmeans_options.balance"}
FILES = r"(?:c|h|hpp|cpp|py|sh|md|map|svg|dox|in|abignore|txt|build|html|json|npy)"


@functools.lru_cache(None)
def anchors(page):
    found = {}
    for _, line in markdown.read(page)[1]:
        heading = re.match(r"#+ +(.*)", line)
        if heading:
            name = slug(heading.group(1))
            found[name] = found.get(name, -1) + 1
            if found[name]:
                found[f"{name}-{found[name]}"] = 0
    return found


def text_of(*globs):
    return "\n".join(file.read_text(encoding="utf-8", errors="replace")
                     for pattern in globs for file in sorted(source.glob(pattern)) if file.is_file())


PUBLIC = text_of("include/libmcl/*")
KNOWN = set(re.findall(r"\w+", PUBLIC))
INTERNAL = set(re.findall(r"\bmcli_\w+", text_of("lib/**/*.[ch]", "lib/meson.build")))
# Options as programs and scripts write them; examples look names up without the dashes.
OPTIONS = text_of("scripts/*", "examples/**/*.[ch]", "examples/**/*.cpp", "examples/**/*.py", "benchmarks/*", "tests/**/*.py", "tests/**/*.sh")
TREE = subprocess.run(["git", "-C", source, "ls-files"], capture_output=True, text=True).stdout.split() or \
    [str(file.relative_to(source)) for file in source.rglob("*") if file.is_file() and "build" not in file.parts[:1]]
NAMES = {path.rpartition("/")[2] for path in TREE}


@functools.lru_cache(None)
def members(struct):
    """The words between a struct's braces, None where there is no such struct."""
    found = re.search(r"typedef struct " + struct + r" \{(.*?)\n\} " + struct + ";", PUBLIC, re.S)
    return set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", found.group(1), flags=re.S))) if found else None


def link(page, where, target):
    if re.match(r"\w+:", target):
        return
    counts["links"] += 1
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        failures.append(f"{where}: the link to {target} leads nowhere")
    elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
        failures.append(f"{where}: {path or page.name} has no heading #{anchor}")


def file_named(page, where, word, beside=None):
    """A word that names a file, or a folder. `beside` is the path named before it in a row of where.md: there a bare name is its neighbour."""
    if word in NOT_OURS:
        return
    word = word.rstrip(".,:;/")
    if MADE.match(word) or re.search(r"[*<>{}$A-Z]{2}|[*<>{}$]", word):
        return
    if "/" in word:
        counts["files"] += 1
        # The tree's folders, lib/'s and examples' from where a page or table says so already, and the page's own folder.
        if not any((root / word).exists() for root in (source, source / "lib", source / "examples", source / "tests", page.parent)):
            failures.append(f"{where}: there is no {word}")
    else:
        counts["files"] += 1
        folder = (source / beside).parent if beside and "." in beside.rpartition("/")[2] else beside and source / beside
        if word not in NAMES or folder and folder.is_dir() and not (folder / word).exists():
            failures.append(f"{where}: there is no file {word}" + (f" beside {beside}" if folder else ""))


def names(where, text):
    for name in re.findall(r"\b(?:mcl_[a-z0-9_]+|MCL_[A-Z0-9_]+|mcli_[a-z0-9_]+)(?:\*|\b)", text):
        counts["names"] += 1
        if name in NOT_OURS:
            continue
        if name.endswith("*") or name.endswith("_"):
            stem = name.rstrip("*")
            if not any(known.startswith(stem) for known in KNOWN | INTERNAL):
                failures.append(f"{where}: nothing begins with {stem}")
        elif name not in (INTERNAL if name.startswith("mcli_") else KNOWN):
            failures.append(f"{where}: libmcl has no {name}")
    for struct, member in re.findall(r"\b(mcl_\w+)\.([a-z_]\w*)\b(?!\()", text):
        if f"{struct}.{member}" not in NOT_OURS and members(struct) is not None and member not in members(struct):
            failures.append(f"{where}: {struct} has no member {member}")


def options(where, text):
    for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", text):
        counts["options"] += 1
        if option not in ELSEWHERE and not re.search(r"(?:--|\")" + re.escape(option[2:]) + r"(?![\w-])", OPTIONS):
            failures.append(f"{where}: no program here has {option}")


for page in markdown.pages(source):
    blocks, prose = markdown.read(page)
    name = page.relative_to(source)
    for number, line in prose:
        where = f"{name}:{number}"
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line) if "](" in line else ""):
            link(page, where, target)
        for target in re.findall(r"\[`[^`]*`\]\(([^)\s]+)\)", line):
            link(page, where, target)
        beside = None
        # A sentence in backquotes may be cut by the end of a line: its halves are no names.
        for code in re.findall(r"`([^`]+)`", line):
            names(where, code)
            if not code.startswith("model."):
                options(where, code)
            for word in re.split(r"[\s()]+", code):
                if re.fullmatch(r"\.?[\w./+*-]+\." + FILES, word) or re.fullmatch(
                        r"(lib|include|tests|docs|examples|scripts|benchmarks|pkgconfig|\.ci)/[\w./+*-]+", word):
                    file_named(page, where, word, beside)
                    if page.name == "where.md" and "/" in word:
                        beside = word
        for word in re.findall(r"(?<![\w`/.])(?:lib|include|tests|docs|examples|scripts|benchmarks)/[\w./-]+\." + FILES + r"\b", line):
            file_named(page, where, word)
    for block in blocks:
        for number, line in enumerate(block.text.splitlines(), block.line):
            where = f"{name}:{number}"
            if block.language not in (None, ""):
                if block.language in ("c", "cpp"):
                    names(where, line)
                continue
            for word in re.findall(r"(?<![\w/.])(?:scripts|examples|benchmarks|docs|tests|lib)/[\w./-]+", line):
                file_named(page, where, word)
            options(where, line.partition("#")[0] if "$" not in line else "")
for failure in failures:
    print(failure)
print(", ".join(f"{what}: {n}" for what, n in counts.items()))
if not all(counts.values()):
    sys.exit("nothing was found to check")
sys.exit(bool(failures))
