#!/usr/bin/env python3
# build.py OUTPUT [--check] [--depfile FILE]: the headers and the pages as OUTPUT/html, by Doxygen. What it warns of is an error. With --check also: every
# name has a description of its own, enumerators too, which Doxygen asks for in its later versions only; and every link of the pages that
# were made leads to a file and a place.
import html.parser
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree

sys.dont_write_bytecode = True
import filter as pages

SOURCE = pages.SOURCE
output = pathlib.Path(sys.argv[1]).resolve()
check = "--check" in sys.argv[2:]


def inputs():
    headers = [SOURCE / "include/libmcl" / ("mcl.hpp" if part == "hpp" else f"{part}.h") for part in pages.PARTS]
    extra = sorted(set((SOURCE / "include/libmcl").iterdir()) - set(headers))
    if extra:
        sys.exit(f"{extra[0].name} has no title in docs/doxygen/filter.py")
    others = ["getting-started", "concepts", "choosing", "embedding", "errors", "threads-and-ownership", "api-stability"]
    docs = [SOURCE / "docs/README.md"] + [SOURCE / f"docs/{name}.md" for name in others]
    docs += sorted(set((SOURCE / "docs").glob("*.md")) - set(docs))
    return headers + [SOURCE / "README.md"] + docs + [SOURCE / "examples/hosts/pytorch/README.md", SOURCE / "CHANGELOG.md"]


def copied():
    """Files that are linked to and are neither pages nor headers, by the names that the filter gives them."""
    folder = output / "linked"
    folder.mkdir()
    for page in inputs():
        if page.suffix == ".md":
            for target in re.findall(r"\]\(([^)\s#:]+)\)", page.read_text(encoding="utf-8")):
                file = (page.parent / target).resolve()
                if file.is_file() and file.suffix not in (".md", ".svg") and file.parent != SOURCE / "include/libmcl":
                    shutil.copyfile(file, folder / pages.aim(page, target))
    return sorted(folder.iterdir())


def run():
    version = subprocess.run(["sh", SOURCE / "scripts/version.sh"], capture_output=True, text=True, check=True).stdout.strip()
    values = {"VERSION": version, "OUTPUT": output, "SOURCE": SOURCE, "FILTER": SOURCE / "docs/doxygen/filter.py",
              "XML": "YES" if check else "NO", "INPUT": " ".join(map(str, inputs())), "FILES": " ".join(map(str, copied()))}
    text = (SOURCE / "docs/doxygen/Doxyfile.in").read_text(encoding="utf-8")
    text = re.sub(r"@(\w+)@", lambda match: str(values[match.group(1)]), text)
    (output / "Doxyfile").write_text(text)
    done = subprocess.run(["doxygen", output / "Doxyfile"], capture_output=True, text=True)
    told = list(dict.fromkeys(done.stderr.splitlines()))
    # Lines of headers are those of the file again.
    at = re.compile(r"(.*include/libmcl/[\w.]+:)(\d+)(:.*)")
    for line in told:
        match = at.match(line)
        print(f"{match.group(1)}{int(match.group(2)) - pages.SHIFT}{match.group(3)}" if match else line)
    if done.returncode or told:
        sys.exit(1)


def undescribed():
    """Members in Doxygen's own account of what it has read that nothing is said about."""
    missing, found = [], 0
    for file in sorted((output / "xml").glob("*.xml")):
        if not file.name.startswith(("group__", "struct", "class", "namespace")):
            continue
        for member in xml.etree.ElementTree.parse(file).getroot().iter():
            if member.tag not in ("memberdef", "enumvalue") or member.get("prot") == "private" or member.get("kind") == "enum":
                continue
            found += 1
            told = "".join("".join(member.find(which).itertext()).strip()
                           for which in ("briefdescription", "detaileddescription") if member.find(which) is not None)
            if not told:
                missing.append(f"{file.stem}: {member.findtext('name')} is not described")
    if found < 500:
        missing.append(f"{found} names alone were found")
    return sorted(set(missing)), found


class Page(html.parser.HTMLParser):
    """Places in a page that was made, and its links."""

    def __init__(self, text):
        super().__init__()
        self.places, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name"):
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken():
    made = {file.name: Page(file.read_text(encoding="utf-8")) for file in sorted((output / "html").glob("*.html"))}
    missing, found = [], 0
    for name, page in made.items():
        for link in page.links:
            path, _, place = urllib.parse.unquote(link).partition("#")
            path = path.partition("?")[0]
            if re.match(r"\w+:", link):
                continue
            found += 1
            if path and not (output / "html" / path).is_file():
                missing.append(f"{name}: the link to {link} leads nowhere")
            elif place and (path or name) in made and place not in made[path or name].places:
                missing.append(f"{name}: there is no place {link}")
    return sorted(set(missing)), found


if not shutil.which("doxygen"):
    print("Debian's doxygen is not installed")
    sys.exit(77)  # to Meson a test that is skipped
shutil.rmtree(output / "html", ignore_errors=True)
shutil.rmtree(output / "linked", ignore_errors=True)
output.mkdir(parents=True, exist_ok=True)
run()
if check:
    failures, names = undescribed()
    more, links = broken()
    print("\n".join(failures + more))
    print(f"names: {names}, links: {links}")
    sys.exit(bool(failures + more))
if "--depfile" in sys.argv:
    read = [*inputs(), *sorted((SOURCE / "docs/doxygen").iterdir())]
    pathlib.Path(sys.argv[sys.argv.index("--depfile") + 1]).write_text("docs/html: " + " ".join(map(str, read)) + "\n")
