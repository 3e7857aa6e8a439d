#!/usr/bin/python3
"""Writes lib/dataset/unicode_tables.h: the properties of characters that splitting a text into words needs.

Made with Python 3.11, whose unicodedata is of Unicode 14.0. Run from the source root:
    python3 scripts/unicode.py > lib/dataset/unicode_tables.h
Another version of Unicode gives other ids to texts with characters that are new in it.
"""
import unicodedata

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(member):
    """The code points of a set, as [first, last] pairs."""
    out = []
    for code in CODES:
        if not member(chr(code)):
            continue
        if out and out[-1][1] == code - 1:
            out[-1][1] = code
        else:
            out.append([code, code])
    return out


def cased(c):
    """Python has no names for these two, but asks them when it lowers a capital sigma: a final one where a cased letter
    stands before it, with only ignorable ones between, and none behind."""
    return (c + "\u03a3").lower()[-1] == "\u03c2"


def ignorable(c):
    return not cased(c) and ("a" + c + "\u03a3").lower()[-1] == "\u03c2"


def lowered():
    """[first, last, step, delta]: first, first + step, ... last each have a small letter delta further."""
    out = []
    for code in CODES:
        small = chr(code).lower()
        if small == chr(code) or len(small) > 1:  # of several characters: U+0130 alone, which the code knows
            continue
        delta = ord(small) - code
        if out and out[-1][3] == delta:
            first, last, step, _ = out[-1]
            gap = code - last
            if gap in (1, 2) and (first == last or gap == step):
                out[-1][1], out[-1][2] = code, gap
                continue
        out.append([code, code, 1, delta])
    return out


def table(kind, name, items, why):
    print(f"\n// {why}")
    print(f"static const {kind} {name}[] = {{")
    line = "   "
    for item in items:
        text = " {" + ", ".join(f"0x{x:X}" if i < 2 else str(x) for i, x in enumerate(item)) + "},"
        if len(line) + len(text) > 100:
            print(line)
            line = "   "
        line += text
    print(line)
    print("};")


print(f"// scripts/unicode.py writes this, of Unicode {unicodedata.unidata_version}. Sorted by code point.")
print("#ifndef MCL_DATASET_UNICODE_TABLES_H\n#define MCL_DATASET_UNICODE_TABLES_H\n")
print("#include <stdint.h>\n")
print("// clang-format off")
print("typedef struct range { uint32_t first, last; } range;")
print("typedef struct lowering { uint32_t first, last; int32_t step, delta; } lowering;")
table("range", "letters", ranges(lambda c: unicodedata.category(c)[0] == "L"), "General category L.")
table("range", "numbers", ranges(lambda c: unicodedata.category(c)[0] == "N"), "General category N.")
# Python's isspace() has four separators of ASCII besides, which the pattern's \\s has not.
table("range", "spaces", ranges(lambda c: c.isspace() and not 0x1C <= ord(c) <= 0x1F), "White_Space.")
table("range", "cased", ranges(cased), "Cased and not Case_Ignorable.")
table("range", "ignorable", ranges(ignorable), "Case_Ignorable.")
table("lowering", "lowerings", lowered(), "Lowercase_Mapping, where it is another single character.")
print("// clang-format on\n")
print("#endif")
