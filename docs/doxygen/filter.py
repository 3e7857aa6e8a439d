#!/usr/bin/env python3
# filter.py FILE: a header or page as Doxygen is to read it. The headers are written to be read as they are, and the pages for a git web
# view; this says to Doxygen what it would otherwise want to be told by commands in them.
#
# In headers: the comment at the head is that of the part, a group of what is declared below it; what it sets apart by more indent is
# set as it stands; struct_size says what it is; types and constants are links; marks for compilers go. In pages: headings have the anchors, and links the aims, of a git web view; what is not
# a page is copied beside them (build.py); the names of libmcl in backquotes are links to their descriptions.
import functools
import html
import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# Each part in the order of the menu, and its title.
PARTS = {"version": "Version", "export": "Marks", "status": "Statuses", "context": "The context", "array": "Arrays", "rows": "Rows",
         "inputs": "Batches of views", "image": "Images", "dataset": "Datasets", "tokenizer": "The tokenizer", "encoder": "Encoders",
         "loss": "Losses", "clusterer": "The clusterer", "sampler": "The sampler", "integrator": "The integrator", "probe": "Probes",
         "multistage": "The multistage loop", "comm": "Several processes", "mpi": "MPI", "checkpoint": "Checkpoints",
         "dlpack": "DLPack", "mcl": "All of it", "hpp": "C++"}
# Lines that a header gets above its first: what a line is told to be wrong at is so many too high.
SHIFT = 2
SIZE = "the size of this struct, set by its init function or by mcl_struct_init()"


def part(path):
    return "hpp" if path.suffix == ".hpp" else path.stem


def header(path):
    text = path.read_text(encoding="utf-8")
    if path.name != "export.h":
        text = re.sub(r"\bMCL_(API|CHECK) |^MCL_(BEGIN|END)_DECLS$", "", text, flags=re.M)
    lines = text.split("\n")
    if path.suffix == ".hpp":
        return cpp(path, lines)
    # The comment at the head.
    end = next(i for i, line in enumerate(lines) if line.rstrip().endswith("*/"))
    margin = min(margins(lines, 0), default=1)
    lines[0] = f"/** @file\n *  @brief {brief(lines[:end + 1])} */ /** @defgroup {part(path)} {PARTS[part(path)]}\n *  " + lines[0][2:].lstrip()
    lines[end] = lines[end].rstrip()[:-2].rstrip() + " @{ */"
    base = None  # how far the text of the comment at hand stands from its stars
    for i, line in enumerate(lines):
        if i == 0 or line.lstrip().startswith("/**"):
            base = margin if i == 0 else min(margins(lines, i), default=None)
        if base is not None and re.match(r"\s*\*\s*$", line):
            set_apart(lines, i, base + 2)
        if line.rstrip().endswith(("*/", "@{ */")):
            base = None
        lines[i] = linked(lines, i)
        lines[i] = re.sub(r"^(\s+size_t struct_size;)$", rf"\1 /**< {SIZE} */", lines[i])
    return "\n".join(lines) + "\n/** @} */\n"


def linked(lines, i):
    """In a comment's prose, types and constants of libmcl are links, as functions are by their brackets."""
    line = lines[i]
    code = next((k for k in range(i, -1, -1) if "@code" in lines[k] or "@endcode" in lines[k] or "/**" in lines[k]), i)
    if "@code" in lines[code]:
        return line
    star = re.match(r"(\s*/\*\*|\s*\*|.*?/\*\*<)(?=\s)", line)
    return line[:star.end()] + prose(line[star.end():]) if star else line


def prose(text):
    """A line of a comment with links, and with dots that end no sentence, so no brief description either, as such."""
    pieces = text.split("`")
    for i in range(0, len(pieces), 2):
        pieces[i] = re.sub(r"(?<![\w#.\"])(mcl_\w+|MCL_\w+)\b(?![\w(*/]|\.\w)", lambda m: ("#" if m.group(1) in known() else "") + m.group(1),
                           pieces[i])
        pieces[i] = re.sub(r"\.\.(?=\s|$)", r".\\.", pieces[i])
        pieces[i] = re.sub(r"\b(al|eq|cf|fig|e\.g|i\.e)\.(?=\s|$)", r"\1\\.", pieces[i])
    return "`".join(pieces)


def margins(lines, i):
    """Of the comment that begins in line `i`, the indents of its other lines."""
    while "*/" not in lines[i]:
        i += 1
        text = re.match(r"\s*\*( +)\S", lines[i])
        if text:
            yield len(text.group(1))


def brief(lines):
    """The first sentence of the comment at the head of a file."""
    text = " ".join(re.sub(r"^\s*(/\*|\*|//)\s?", "", line).replace("*/", "").strip() for line in lines)
    return re.split(r"(?<=[.:?])\s", text + " ")[0].rstrip(":")


def set_apart(lines, i, indent):
    """Lines with `indent` or more behind the blank line `i` of a comment stand as they are."""
    deeper = re.compile(r"\s*\* {" + str(indent) + r",}\S")
    j = i + 1
    while j < len(lines) and (deeper.match(lines[j]) or re.match(r"\s*\*\s*$", lines[j])) and "*/" not in lines[j]:
        j += 1
    if j == i + 1 or not deeper.match(lines[i + 1]):
        return
    while not deeper.match(lines[j - 1]):
        j -= 1
    lines[i] = " * @code{.unparsed}"
    if re.match(r"\s*\*\s*$", lines[j]):
        lines[j] = " * @endcode"
    else:
        lines[j] = re.sub(r"\*", "* @endcode", lines[j], count=1)


def cpp(path, lines):
    """mcl.hpp: its head is of // lines, its comments of /// lines."""
    end = next(i for i, line in enumerate(lines) if not line.startswith("//"))
    heading = brief(lines[:end])
    for i in range(end):
        lines[i] = "///" + lines[i][2:]
    lines[0] = f"/** @file\n *  @brief {heading} */ /** @defgroup hpp C++ */\n/// @addtogroup hpp\n{lines[0]}"
    # What is in the namespace is in the group: from the line behind its opening to the one that closes it.
    opened = lines.index("namespace mcl {")
    lines[opened] += " /** @addtogroup hpp"
    lines[opened + 1] = " *  @{ */"
    closed = lines.index("} // namespace mcl")
    lines[closed] = "/** @} */ " + lines[closed]
    i = 0
    while i < len(lines):
        if re.match(r"///   +\S", lines[i]):
            first = i
            while i < len(lines) and (re.match(r"///   +\S", lines[i]) or lines[i].rstrip() == "///"):
                i += 1
            while lines[i - 1].rstrip() == "///":
                i -= 1
            lines[first - 1] += " @code{.cpp}"
            if i < len(lines) and lines[i].startswith("///"):
                lines[i] = lines[i].replace("///", "/// @endcode", 1)
            else:
                lines[i - 1] += "\n/// @endcode"
        elif i < len(lines) and (comment := re.match(r".*///<? ", lines[i])):
            lines[i] = comment.group(0) + prose(lines[i][comment.end():])
        i += 1
    return "\n".join(lines) + "\n"


@functools.lru_cache(None)
def declared():
    """The C headers without comments."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted((SOURCE / "include/libmcl").glob("*.h")))
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


@functools.lru_cache(None)
def known():
    """The names that have a description: functions, structs and other types, enumerators, macros."""
    text = declared()
    names = set(re.findall(r"\b(mcl_\w+)\s*\(", text)) | set(re.findall(r"\}\s*(mcl_\w+);", text))
    names |= set(re.findall(r"typedef [^;{]*\b(mcl_\w+);", text)) | set(re.findall(r"\(\*(mcl_\w+)\)\(", text))
    for enumerators in re.findall(r"enum \{(.*?)\}", text, re.S):
        names |= set(re.findall(r"\bMCL_\w+", enumerators))
    return names | set(re.findall(r"#define (MCL_VERSION_\w+)", text))


def label(page, anchor=""):
    """What a heading is called among all pages."""
    name = re.sub(r"\W", "_", str(page.relative_to(SOURCE).with_suffix("")))
    return f"page_{name}" + (f"_{re.sub(r'[^a-z0-9]', '_', anchor)}" if anchor else "")


def slug(heading):
    """The anchor that a git web view gives a heading."""
    heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


def aim(page, target):
    """What a link of a page is to Doxygen."""
    if re.match(r"\w+:", target):
        return target
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if file.suffix == ".md":
        return "@ref " + label(file, anchor)
    if file.parent == SOURCE / "include/libmcl":
        return "@ref " + file.name
    if file.suffix == ".svg":
        return file.name
    return str(file.relative_to(SOURCE)).replace("/", "-")


def code(match):
    text = match.group(1)
    name = re.match(r"(mcl_\w+|MCL_\w+)(?:(\.)(\w+))?(\(\))?$", text)
    if not name or name.group(1) not in known():
        return "<code>" + html.escape(text).replace("@", "\\@") + "</code>" if "@" in text else match.group(0)
    if name.group(2) and not re.search(r"typedef struct " + name.group(1) + r" \{[^}]*\b" + name.group(3) + r"\b", declared()):
        return match.group(0)
    if name.group(2):
        return f'<code>@ref {name.group(1)}::{name.group(3)} "{text}"</code>'
    return f'<code>@ref {name.group(1)} "{text}"</code>'


def line_of(page, line):
    pieces = re.split(r"(`[^`]*`)", line)
    linked = re.search(r"\[[^]]*`[^]]*\]\(", line)
    out = []
    for piece in pieces:
        if piece.startswith("`") and piece.endswith("`") and len(piece) > 1:
            out.append(piece if linked else re.sub(r"`([^`]+)`", code, piece))
        else:
            out.append(piece.replace("@", "\\@"))
    line = "".join(out)
    return re.sub(r"\]\(([^)\s]+)\)", lambda m: f"]({aim(page, m.group(1))})", line)


def page(path):
    fenced = comment = sections = False
    seen = {}
    out = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith("<!--"):
            comment = True
        if comment:
            comment = not line.rstrip().endswith("-->")
            continue
        if re.match(r"\s*```", line):
            fenced = not fenced
            line = re.sub(r"```(c|cpp|python)$", lambda m: "```{" + {"c": ".c", "cpp": ".cpp", "python": ".py"}[m.group(1)] + "}", line)
        elif not fenced and not line.startswith("    "):
            heading = re.match(r"(#+) +(.*)", line)
            if heading:
                name = slug(heading.group(2))
                seen[name] = seen.get(name, -1) + 1
                anchor = name + (f"-{seen[name]}" if seen[name] else "")
                title = re.sub(r"`", "", heading.group(2))
                # A heading of the third level right below the title is one of the second.
                level = heading.group(1) if len(heading.group(1)) < 3 or sections else "##"
                sections = sections or level == "##"
                line = f"{level} {title} {{#{label(path, '' if level == '#' else anchor)}}}"
            else:
                line = line_of(path, line)
        out.append(line)
    return "\n".join(out)


if __name__ == "__main__":
    file = pathlib.Path(sys.argv[1]).resolve()
    sys.stdout.write(page(file) if file.suffix == ".md" else header(file))
