# What the two tests of pages share: which pages there are, and what a page is made of.
import pathlib
import re


def pages(root):
    """The pages of a source tree: README.md, CHANGELOG.md, those of docs/ and the READMEs of examples."""
    found = [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").glob("*.md")), *sorted((root / "examples").rglob("*.md"))]
    return [page for page in found if page.is_file()]


class Block:
    """A block of code. `language` is the word behind the fence, "" without one, and None for a block by indent. `with_` is the text of
    the comment <!-- with ... --> before it, `from_` the path in <!-- from PATH -->; else None. `line` is that of its first line."""

    def __init__(self, language, line, with_, from_):
        self.language, self.line, self.with_, self.from_, self.text = language, line, with_, from_, ""


def read(page):
    """The blocks of a page, and its prose as a list of (line number, text), without blocks and comments."""
    blocks, prose = [], []
    block = comment = None  # what the line is inside of
    with_ = from_ = None
    blank = True  # a block by indent follows a blank line, and no item of a list
    listed = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if comment is not None:
            comment += "\n" + line
        elif block is not None and block.language is not None:
            if re.match(r"\s*```\s*$", line):
                block = None
            else:
                block.text += line + "\n"
            continue
        elif line.startswith("<!--"):
            comment = line
        if comment is not None:
            if comment.rstrip().endswith("-->"):
                word, _, text = comment.rstrip()[4:-3].strip().partition("\n" if "\n" in comment else " ")
                if word == "with":
                    with_ = text
                elif word == "from":
                    from_ = text.strip()
                comment = None
            continue
        fence = re.match(r"\s*```(\w*)\s*$", line)
        if fence:
            block = Block(fence.group(1), number + 1, with_, from_)
            blocks.append(block)
            with_ = from_ = None
        elif line.startswith("    ") and not listed and (blank or block):
            if block is None:
                block = Block(None, number, None, None)
                blocks.append(block)
            block.text += line[4:] + "\n"
        else:
            block = None
            if line.strip():
                listed = bool(re.match(r"\s*([-*]|\d+\.) ", line)) or (listed and line.startswith(" "))
            prose.append((number, line))
        blank = not line.strip()
    return blocks, prose
