#!/usr/bin/python3
"""Writes tests/golden/tokenizer.h and tests/golden/tokenizer/: what a plain twin of the tokenizer says.

Written from the published description: byte-pair encoding as in Sennrich, Haddow & Birch 2016 (section 3.2, algorithm 1),
bytes as characters as in Radford et al. 2019 (GPT-2), words, marks and layout as in Radford et al. 2021 (CLIP). Every step
counts or looks for everything anew. Python's own str.lower() and unicodedata (Unicode 14.0 in Python 3.11) are the reference
for characters. Run from the source root:
    python3 tests/golden/tokenizer.py
"""
import gzip
import json
import re
import unicodedata

START, END = "<|startoftext|>", "<|endoftext|>"


def alphabet():
    """The character of each byte, in the order of CLIP's ids: printed ones first."""
    printed = [b for b in range(256) if chr(b).isprintable() and b not in (0x20, 0xA0, 0xAD)]
    others = [b for b in range(256) if b not in printed]
    names = {b: chr(b) for b in printed}
    names.update({b: chr(256 + i) for i, b in enumerate(others)})
    return names, printed + others


NAMES, ORDER = alphabet()


def kind(c):
    if c in "\t\n\v\f\r\x85\u2028\u2029" or unicodedata.category(c) == "Zs":
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(c)[0], "other")


def words(text):
    """The pattern by hand: contractions, runs of letters, single numbers, runs of others."""
    text, out, i = text.lower(), [], 0
    while i < len(text):
        short = re.match("'(s|t|re|ve|m|ll|d)", text[i:])
        if short:
            out.append(short.group())
        elif kind(text[i]) == "space":
            i += 1
            continue
        else:
            n = 1
            while kind(text[i]) != "number" and i + n < len(text) and kind(text[i + n]) == kind(text[i]):
                n += 1
            out.append(text[i:i + n])
        i += len(out[-1])
    return out


def spelt(word):
    pieces = [NAMES[b] for b in word.encode()]
    return tuple(pieces[:-1]) + (pieces[-1] + "</w>",)


def joined(word, pair):
    out, i = [], 0
    while i < len(word):
        if word[i:i + 2] == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return tuple(out)


def layout(merges):
    """Ids of CLIP's layout; a result that is there already gets no second id."""
    tokens = [NAMES[b] for b in ORDER]
    tokens += [t + "</w>" for t in tokens]
    tokens += [a + b for a, b in merges] + [START, END]
    return {t: i for i, t in enumerate(dict.fromkeys(tokens))}


def learn(texts, vocabulary, min_count):
    seen = {}
    for text in texts:
        for w in words(text):
            seen[spelt(w)] = seen.get(spelt(w), 0) + 1
    merges = []
    while len(layout(merges)) < vocabulary:
        counts, ids = {}, layout(merges)
        for word, n in seen.items():
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + n
        if not counts or max(counts.values()) < min_count:
            break
        best = min(counts, key=lambda p: (-counts[p], ids[p[0]], ids[p[1]]))
        merges.append(best)
        after = {}
        for word, n in seen.items():
            after[joined(word, best)] = after.get(joined(word, best), 0) + n
        seen = after
    return merges


def encode(text, ids, merges, context, padding=0):
    out, ranks = [ids[START]], {m: i for i, m in enumerate(merges)}
    for w in words(text):
        word = spelt(w)
        while True:
            here = [p for p in zip(word, word[1:]) if p in ranks]
            if not here:
                break
            word = joined(word, min(here, key=ranks.get))
        out += [ids[t] for t in word]
    out.append(ids[END])
    length = len(out)
    if length > context:
        out = out[:context - 1] + [ids[END]]
    return length, out + [padding] * (context - len(out))


# Pieces by hand. "l l</w>" stands before "h e", and "lo w</w>" before "l o", to be told from greedier algorithms.
HAND = """e r</w>
l l</w>
lo w</w>
l o
lo w
h e
he ll</w>
l l
he ll
hell o</w>
t h
th e</w>
a a
aa aa
aa a</w>
' s</w>
Ã ¤
Ã¤ h
! !</w>""".split("\n")

SENTENCES = ["", " \t\n ", "Hello", "hello, world!", "The lower hell's low.", "aaaaaaa aaa aa a", "it's we'll they'd I'M you've",
             "Don't 'tis 'stop !'s", "2024 x10 ½ ٣", "naïve café ÄHNLICH äh", "ΣΊΣΥΦΟΣ ΟΔΥΣΣΕΥΣ. Σ ΑΣ' ΑΣ'Β", "İstanbul",
             "日本語のテキスト", "a photo of a 🐈‍⬛!!", "tab\tand  two\u2003spaces\u00a0here", "<|endoftext|> </w> low</w>",
             "!!! ??? :-) ...", "ǅungla ﬀ Ⅷ ⓐ K Å", "x" * 40, "the the the the the the the the the the the the the the the"]

CORPUS = ["A red bird on a small tree", "a small red bird", "Two birds, one tree.", "a bird's tree isn't a house",
          "the house is red; the tree isn't", "three small houses", "Häuser und Bäume, Bäume und Häuser", "grün, grüner",
          "aaaa aaa aaaa", "abab ababab ab", "the red house and the redder bird", "100 birds in 10 trees", "日本 日本語",
          "tttt ttt tt t", "smaller, smallest: small", "on the tree is a bird and on the house is a bird"]


def digest(texts):
    """A number for many texts: 64-bit FNV-1a of their bytes, a NUL behind each."""
    h = 0xCBF29CE484222325
    for b in b"".join(t.encode() + b"\0" for t in texts):
        h = (h ^ b) * 0x100000001B3 & (1 << 64) - 1
    return h


def characters():
    """Every code point below 0x20000 but NUL, and some above, where nearly all are letters or unassigned: between letters, a
    number and an apostrophe, then behind and before a capital sigma."""
    for code in range(1, 0x110000):
        if (code < 0x20000 or code % 64 == 0) and not 0xD800 <= code < 0xE000:
            yield f"a{chr(code)}b 1{chr(code)}'s A{chr(code)}\u03a3 A\u03a3{chr(code)}B"


def c_text(text):
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode()) + '"'


def print_rows(out, name, ids, merges, context):
    rows = [encode(t, ids, merges, context) for t in SENTENCES]
    print(f"static const int32_t {name}_lengths[] = {{{', '.join(str(n) for n, _ in rows)}}};", file=out)
    print(f"static const int32_t {name}[][{context}] = {{", file=out)
    for _, row in rows:
        print("    {" + ", ".join(map(str, row)) + "},", file=out)
    print("};", file=out)


def main():
    hand = [tuple(line.split(" ")) for line in HAND]
    order = [m for m in hand if m != ("lo", "w</w>")]  # without a vocabulary, a piece must stand before its merge
    ids = layout(hand)
    turned = {t: len(ids) - 1 - i for t, i in ids.items()}  # as another program may lay them out
    learnt = learn(CORPUS, 600, 2)
    folder = "tests/golden/tokenizer/"
    lines = "#version: 0.2\n" + "\n".join(HAND) + "\n"
    open(folder + "merges.txt", "w").write(lines)
    with open(folder + "merges.txt.gz", "wb") as f:
        f.write(gzip.compress(lines.encode(), mtime=0))
    open(folder + "vocab.json", "w").write(json.dumps(turned, ensure_ascii=True))
    open(folder + "ordered.txt", "w").write("\n".join(" ".join(m) for m in order) + "\n")
    open(folder + "learnt.txt", "w").write("\n".join(" ".join(m) for m in learnt) + "\n")
    with open("tests/golden/tokenizer.h", "w") as out:
        print("// tests/golden/tokenizer.py writes this.", file=out)
        print("// clang-format off\n#include <stdint.h>\n", file=out)
        print("enum { GOLDEN_CONTEXT = 24, GOLDEN_TOKENS = %d, LEARNT_TOKENS = %d };" %
              (len(ids), len(layout(learnt))), file=out)
        all_words = [w for text in characters() for w in words(text)]
        print("static const int64_t character_words = %d;" % len(all_words), file=out)
        print("static const uint64_t character_digest = 0x%XU;" % digest(all_words), file=out)
        for name, texts in ("sentences", SENTENCES), ("corpus", CORPUS):
            print(f"static const char *const {name}[] = {{", file=out)
            print("".join(f"    {c_text(t)},\n" for t in texts) + "};", file=out)
        print_rows(out, "by_hand", turned, hand, 24)
        print_rows(out, "ordered", layout(order), order, 24)
        print_rows(out, "learnt", layout(learnt), learnt, 24)
        print("// clang-format on", file=out)


main()
