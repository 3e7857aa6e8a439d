# snippets.py SOURCE SCRATCH CC [CXX]: every block of code in the pages is what it says it is. C and C++ are compiled, as C11 and C++11,
# without a warning; a block behind <!-- from PATH --> stands in that file word for word, which the build compiles. A block that is no
# program of its own is put into the text of the comment before it, where a line `...` stands for it:
#
#   <!-- with
#   void f(mcl_context *context) {
#   ...
#   }
#   -->
#
# Python is compiled; what it names in modules that are installed is there. The fence of C, C++ and Python names the language.
import ast
import importlib
import inspect
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import markdown

source, scratch, *compilers = sys.argv[1:]
source, scratch = pathlib.Path(source), pathlib.Path(scratch)
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", "-Wno-unused-but-set-variable", "-Wno-unused-function", "-fsyntax-only"]
counts = {}
failures = []


def count(what):
    counts[what] = counts.get(what, 0) + 1


def mpi_flags():
    """How a program with <mpi.h> is compiled, or None where there is no MPI."""
    for name in ("ompi-c", "mpich"):
        run = subprocess.run(["pkg-config", "--cflags", name], capture_output=True, text=True)
        if run.returncode == 0:
            return shlex.split(run.stdout.replace("-I", "-isystem "))
    return None


def compiled(block, where):
    cpp = block.language != "c"
    if cpp and len(compilers) < 2:
        return count("left out, without a C++ compiler")
    before, dots, after = ("\n" + (block.with_ or "...") + "\n").partition("\n...\n")
    if not dots:
        return failures.append(f"{where}: the comment before it has no line ...")
    text = f'{before}\n#line {block.line} "{where.partition(":")[0]}"\n{block.text}{after}\n'
    flags = []
    if re.search(r"<(libmcl/)?mpi\.h>", text):
        flags = mpi_flags()
        if flags is None:
            return count("left out, without MPI")
    file = scratch / f"snippet.{'cpp' if cpp else 'c'}"
    file.write_text("#include <stdio.h>\n" + ("#include <libmcl/mcl.hpp>\n" if cpp else "#include <libmcl/mcl.h>\n") + text)
    command = [*shlex.split(compilers[1 if cpp else 0]), f"-std={'c++11' if cpp else 'c11'}", *WARNINGS, f"-I{source}/include", *flags, file]
    run = subprocess.run(command, capture_output=True, text=True)
    count("compiled")
    if run.returncode:
        failures.append(f"{where}: does not compile\n{run.stderr}")


def quoted(block, where):
    file = source / block.from_
    if not file.is_file():
        failures.append(f"{where}: there is no {block.from_}")
    elif "\n" + block.text not in "\n" + file.read_text(encoding="utf-8"):
        failures.append(f"{where}: {block.from_} does not have these lines")
    count("quoted")


def module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        count(f"Python modules left out, {name}")
        return None


def python(block, where):
    try:
        tree = ast.parse((block.with_ + "\n" if block.with_ else "") + block.text)
        compile(block.text, where, "exec")
    except SyntaxError as error:
        failures.append(f"{where}: {error}")
        return
    count("Python")
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.split(".")[0]] = module(alias.name if alias.asname else alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            origin = module(node.module)
            for alias in node.names:
                if origin is not None and not hasattr(origin, alias.name):
                    failures.append(f"{where}: {node.module} has no {alias.name}")
                known[alias.asname or alias.name] = getattr(origin, alias.name, None)
    # An object's class is known where the object was made by it.
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            made = resolved(node.value.func, known)
            if isinstance(made, type):
                known[node.targets[0].id] = made
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            try:
                resolved(node, known)
            except AttributeError as error:
                failures.append(f"{where}: {error}")


def resolved(node, known):
    """The module, class or function that an expression names, None where that cannot be said without running it."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    owner = resolved(node.value, known)
    if owner is None:
        return None
    if hasattr(owner, node.attr):
        return getattr(owner, node.attr)
    if isinstance(owner, type) and f"self.{node.attr}" in "".join(map(source_of, owner.__mro__)):
        return None  # it is set when an object is made
    raise AttributeError(f"{getattr(owner, '__name__', owner)} has no {node.attr}")


def source_of(owner):
    """What a class was written as; "" for those of C."""
    try:
        return inspect.getsource(owner)
    except (OSError, TypeError):
        return ""


sys.path.insert(0, str(source / "examples/hosts/pytorch"))
sys.dont_write_bytecode = True
shutil.rmtree(scratch, ignore_errors=True)
scratch.mkdir(parents=True)
for page in markdown.pages(source):
    for block in markdown.read(page)[0]:
        where = f"{page.relative_to(source)}:{block.line}"
        if block.language is None or block.language == "":
            if re.search(r"mcl_\w+\(|^(import|from) |#include", block.text, re.M) and block.language is None:
                failures.append(f"{where}: a block of code, by indent; fence it, with its language")
        elif block.from_:
            quoted(block, where)
        elif block.language in ("c", "cpp"):
            compiled(block, where)
        elif block.language == "python":
            python(block, where)
for failure in failures:
    print(failure)
print(", ".join(f"{what}: {n}" for what, n in sorted(counts.items())))
if not counts.get("compiled") or not counts.get("quoted") or not counts.get("Python"):
    sys.exit("no blocks were found")
sys.exit(bool(failures))
