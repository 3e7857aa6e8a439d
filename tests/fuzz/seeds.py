#!/usr/bin/env python3
"""The first inputs of the corpora that are not images: python3 tests/fuzz/seeds.py [TARGET ...]

A file a case, by a name that tells it. What fuzzing added beside them has a hash for a name.
"""
import gzip
import json
import os
import struct
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))


def put(target, name, data):
    folder = os.path.join(ROOT, target, "corpus")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def part(data):
    """What fuzz_part() reads."""
    return struct.pack("<H", len(data)) + data


# ---- safetensors ------------------------------------------------------------------------------

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def safetensors(tensors, meta=None, text=None):
    header, numbers = {}, b""
    if meta is not None:
        header["__metadata__"] = meta
    for name, dtype, shape in tensors:
        n = SIZES[dtype]
        for d in shape:
            n *= d
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(numbers), len(numbers) + n]}
        numbers += bytes(i * 37 & 255 for i in range(n))
    text = text or json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def one(fields, numbers=8):
    return safetensors([], text=b'{"a":{' + fields + b"}}") + bytes(numbers)


def make_safetensors():
    def add(name, data):
        put("safetensors", name, data)

    add("all-types", safetensors([(t, t, [2, 3]) for t in SIZES], {"format": "pt", "k": "v"}))
    add("scalar-and-empty", safetensors([("s", "F32", []), ("e", "F32", [0, 3]), ("f", "I32", [1, 1, 1, 2])]))
    add("five-dimensions", safetensors([("five", "F32", [1, 1, 1, 1, 2])]))
    add("nothing", safetensors([], text=b"{}"))
    add("no-bytes", b"")
    add("wrong-calls", safetensors([("!wrong", "F32", [2, 3])], {"k": "v"}))
    add("shorter-than-a-length", b"\1\0\0")
    add("length-beyond-the-file", b"\xff" * 8 + b"{}")
    add("blanks-around", safetensors([], text=b' {\t"a" : { "dtype":"U8", "shape" : [ 2 ] ,"data_offsets":[0,2] } } \n') + b"ab")
    add("escapes", safetensors([], text=rb'{"__metadata__":{"\u00e4":"\ud83d\ude00 \"\\\/\b\f\n\r\t","a\nb":"\u0041\u07ff\uFfFf"}}'))
    add("utf-8", safetensors([("\u00e4\u20ac\U0001f600", "U8", [1])], {"\u00e4": "\u4e2d"}))
    for name, text in {
        "utf-8-cut": b'{"__metadata__":{"k":"\xe2\x82"}}', "utf-8-overlong": b'{"__metadata__":{"k":"\xe0\x80\x80"}}',
        "utf-8-surrogate": b'{"__metadata__":{"k":"\xed\xa0\x80"}}', "utf-8-beyond": b'{"__metadata__":{"k":"\xf4\x90\x80\x80"}}',
        "utf-8-overlong-4": b'{"__metadata__":{"k":"\xf0\x80\x80\x80"}}', "utf-8-lone": b'{"__metadata__":{"k":"\x80"}}',
        "nul-escaped": rb'{"__metadata__":{"k":"\u0000"}}', "half-a-pair": rb'{"__metadata__":{"k":"\ud83d"}}',
        "second-half": rb'{"__metadata__":{"k":"\ude00"}}', "pair-of-firsts": rb'{"__metadata__":{"k":"\ud83d\ud83d"}}',
        "short-code": rb'{"__metadata__":{"k":"\u00g0"}}', "unknown-escape": rb'{"__metadata__":{"k":"\x"}}',
        "escape-at-the-end": b'{"__metadata__":{"k":"\\', "no-end-of-string": b'{"__metadata__":{"k":"v',
        "control-character": b'{"__metadata__":{"k":"\n"}}', "key-twice": b'{"__metadata__":{"k":"1","k":"2"}}',
        "meta-twice": b'{"__metadata__":{},"__metadata__":{}}', "meta-of-numbers": b'{"__metadata__":{"k":1}}',
        "no-colon": b'{"a" 1}', "no-object": b"[1]", "something-follows": b"{} x", "no-comma": b'{"__metadata__":{"a":"b" "c":"d"}}',
        "comma-at-the-end": b'{"__metadata__":{"a":"b",}}', "name-is-no-string": b"{a:1}",
    }.items():
        add(name, safetensors([], text=text))
    for name, fields in {
        "negative": b'"dtype":"F32","shape":[-2],"data_offsets":[0,8]', "fraction": b'"dtype":"F32","shape":[2.0],"data_offsets":[0,8]',
        "exponent": b'"dtype":"F32","shape":[2e0],"data_offsets":[0,8]', "leading-zero": b'"dtype":"F32","shape":[02],"data_offsets":[0,8]',
        "too-large-a-number": b'"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]',
        "largest-number": b'"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]',
        "number-one-too-large": b'"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]',
        "product-overflows": b'"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]',
        "product-overflows-unknown": b'"dtype":"X","shape":[4294967296,4294967296,0],"data_offsets":[0,8]',
        "wrong-size": b'"dtype":"F32","shape":[3],"data_offsets":[0,8]', "outside": b'"dtype":"F32","shape":[4],"data_offsets":[0,16]',
        "backwards": b'"dtype":"F32","shape":[0],"data_offsets":[8,0]', "gap": b'"dtype":"F32","shape":[1],"data_offsets":[4,8]',
        "ends-early": b'"dtype":"F32","shape":[1],"data_offsets":[0,4]', "one-offset": b'"dtype":"F32","shape":[2],"data_offsets":[8]',
        "three-offsets": b'"dtype":"F32","shape":[2],"data_offsets":[0,8,8]', "no-dtype": b'"shape":[2],"data_offsets":[0,8]',
        "field-twice": b'"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]', "unknown-field": b'"dtype":"F32","x":1',
        "shape-is-no-list": b'"dtype":"F32","shape":2,"data_offsets":[0,8]', "offsets-are-no-list": b'"dtype":"F32","shape":[2],"data_offsets":0',
        "33-dimensions": b'"dtype":"F32","shape":[' + b",".join([b"1"] * 33) + b'],"data_offsets":[0,8]',
        "offset-is-no-number": b'"dtype":"F32","shape":[2],"data_offsets":["0",8]',
    }.items():
        add("tensor-" + name, one(fields))
    for name, code in {"behind-9": rb"\u00:0", "behind-F": rb"\u00G0", "before-0": rb"\u00 0", "pair-is-letters": rb"\ud83dxx", "pair-is-an-escape": rb"\ud83d\n",
                       "pair-of-no-digits": rb"\ud83d\uzzzz", "pair-beyond": rb"\ud83d\uffff", "letters-are-fine": rb"\uABCD\uFfFe\uabcd"}.items():
        add("code-" + name, safetensors([], text=b'{"__metadata__":{"k":"' + code + b'"}}'))
    for name, shape in {"letter": b"x", "large-exponent": b"2E5", "null": b"null"}.items():
        add("tensor-size-" + name, one(b'"dtype":"F32","shape":[' + shape + b'],"data_offsets":[0,8]'))
    add("all-blanks", safetensors([], text=b"\r\n\t {\r}\r"))
    two = b'{"%s":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]},"%s":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}}'
    add("overlap", safetensors([], text=two % (b"a", 0, 4, b"b", 0, 4)) + bytes(4))
    add("twice", safetensors([], text=two % (b"a", 0, 4, b"a", 4, 8)) + bytes(8))
    add("backwards-in-the-header", safetensors([], text=two % (b"b", 4, 8, b"a", 0, 4)) + bytes(8))
    add("header-of-two-megabytes-is-cut", struct.pack("<Q", 1 << 21) + b"{}")


# ---- npy --------------------------------------------------------------------------------------


def npy(header, numbers=b"", version=1, pad=True, length=None):
    text = header.encode("latin-1")
    if pad:
        text += b" " * (-(len(text) + 11) % 64) + b"\n"
    n = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + (struct.pack("<H", n) if version == 1 else struct.pack("<I", n)) + text + numbers


def make_npy():
    def add(name, data):
        put("npy", name, data)

    ordinary = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"
    numbers = struct.pack("<6f", 1, -2.5, 1e30, float("nan"), float("inf"), 1e-40)
    for descr, size in {"<f4": 4, "<f8": 8, "<f2": 2, "<i4": 4, "<i8": 8, "|u1": 1, ">f4": 4, "=f4": 4, "|O": 8}.items():
        add("of-" + descr.strip("<|") .replace(">", "big-").replace("=", "native-"), npy(ordinary % (descr, "2, 3"), bytes(range(6 * size))))
    add("empty-and-wrong-calls", b"")
    add("vector", npy(ordinary % ("<f4", "6,"), numbers))
    add("no-rows", npy(ordinary % ("<f4", "0, 3")))
    add("no-columns", npy(ordinary % ("<f4", "3, 0")))
    add("scalar", npy(ordinary % ("<f4", ""), numbers))
    add("three-dimensions", npy(ordinary % ("<f4", "1, 2, 3"), numbers))
    add("fortran", npy((ordinary % ("<f4", "2, 3")).replace("False", "True"), numbers))
    add("version-2", npy(ordinary % ("<f4", "2, 3"), numbers, 2))
    add("version-3", npy(ordinary % ("<f4", "2, 3"), numbers, 3))
    add("version-1.1", npy(ordinary % ("<f4", "2, 3"), numbers).replace(b"Y\1\0", b"Y\1\1"))
    add("version-4", npy(ordinary % ("<f4", "2, 3"), numbers, 4))
    add("version-2-of-ten-bytes", b"\x93NUMPY\2\0\0\0")
    add("not-a-npy", b"NUMPY is not here")
    add("header-beyond-the-file", npy(ordinary % ("<f4", "2, 3"), numbers, length=60000))
    add("header-of-two-megabytes", npy(ordinary % ("<f4", "2, 3"), numbers, 2, length=1 << 21))
    add("cut-short", npy(ordinary % ("<f4", "2, 3"), numbers[:20]))
    add("shape-overflows", npy(ordinary % ("<f4", "9223372036854775807, 3"), numbers))
    add("shape-overflows-in-bytes", npy(ordinary % ("<f8", "2305843009213693952, 2"), numbers))
    add("wide", npy(ordinary % ("<f4", "1, 4294967296"), numbers))
    add("wide-and-empty", npy(ordinary % ("<f4", "0, 2147483647")))
    add("too-large-a-number", npy(ordinary % ("<f4", "99999999999999999999, 3"), numbers))
    add("python-2", npy(ordinary % ("<f4", "2L, 3L"), numbers))
    add("other-order-and-quotes", npy('{"shape":(2,3),"fortran_order":False,"descr":"<f4"}', numbers))
    add("structured", npy("{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (2,), }", numbers))
    for name, text in {
        "no-brace": "'descr'", "no-end": "{'descr': '<f4'", "key-missing": "{'descr': '<f4', 'shape': (2, 3), }",
        "key-twice": "{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}", "key-unknown": "{'dtype': '<f4'}", "key-is-none": "{3: 4}",
        "no-colon": "{'descr' '<f4'}", "no-comma": "{'descr': '<f4' 'fortran_order': False}", "escape": "{'de\\x73cr': '<f4'}",
        "quote-has-no-end": "{'descr: '<f4}", "descr-is-a-number": "{'descr': 4}", "descr-is-empty": ordinary % ("", "2, 3"),
        "order-is-a-number": "{'fortran_order': 0}", "shape-is-a-list": "{'shape': [2, 3]}", "shape-is-one-number": "{'shape': (2)}",
        "shape-of-letters": "{'shape': (a, 3)}", "shape-lacks-a-comma": "{'shape': (2 3)}", "negative": ordinary % ("<f4", "-2, 3"),
        "33-dimensions": ordinary % ("<f4", "1, " * 33), "something-follows": ordinary % ("<f4", "2, 3") + " x",
        "nul": ordinary % ("<f4", "2, 3") + "\0",
    }.items():
        add("header-" + name, npy(text, numbers))


# ---- idx --------------------------------------------------------------------------------------


def idx(kind, sizes, data):
    return bytes([0, 0, kind, len(sizes)]) + b"".join(struct.pack(">I", n & 0xFFFFFFFF) for n in sizes) + data


def make_idx():
    images, labels = idx(8, [3, 2, 2], bytes(range(12))), idx(8, [3], b"\0\1\1")
    zipped = gzip.compress(images, mtime=0)

    def add(name, how, x, y=labels):
        put("idx", name, bytes([how]) + part(x) + y)

    add("plain", 0, images)
    add("packed", 3, images)
    add("no-labels", 4, images)
    add("wrong-calls", 8, images)
    add("colour", 4, idx(8, [2, 2, 1, 3], bytes(range(12))))
    add("gzip", 0, zipped, gzip.compress(labels, mtime=0))
    add("gzip-of-two-members", 0, gzip.compress(images[:9], mtime=0) + gzip.compress(images[9:], mtime=0))
    add("gzip-cut", 0, zipped[:-12])
    add("gzip-damaged", 0, zipped[:12] + b"\xff\xff" + zipped[14:])
    add("gzip-something-follows", 0, zipped + b"xyz")
    add("gzip-header-alone", 0, zipped[:10])
    for name, kind, data in (("int8", 9, b"\0\1\2"), ("int16", 11, b"\0\0\0\1\1\0"), ("int32", 12, bytes(8) + b"\0\0\0\7"),
                             ("float", 13, bytes(12)), ("negative", 9, b"\0\xff\1"), ("negative-int16", 11, b"\0\0\xff\xff\0\1"),
                             ("negative-int32", 12, b"\0\0\0\1" + b"\xff" * 4 + bytes(4))):
        add("labels-" + name, 0, images, idx(kind, [3], data))
    add("labels-of-another-number", 0, images, idx(8, [4], bytes(4)))
    add("labels-of-two-dimensions", 0, images, idx(8, [3, 1], bytes(3)))
    add("labels-cut", 0, images, labels[:-1])
    add("labels-are-no-idx", 0, images, b"label")
    for name, x in {
        "of-int16": idx(11, [1, 1, 1], b"\0\0"), "two-dimensions": idx(8, [3, 4], bytes(12)), "five-dimensions": idx(8, [1] * 5, b"\0"),
        "no-dimensions": b"\0\0\x08\0", "header-cut": images[:9], "cut": images[:-1], "too-long": images + b"\0", "empty": b"",
        "size-0": idx(8, [0, 2, 2], b""), "claims-much": idx(8, [0xFFFFFFFF, 0xFFFFFFFF, 2], b""), "claims-most": idx(8, [1 << 17, 1 << 17, 2], b""),
        "not-an-idx": b"\1\0\x08\3" + bytes(30), "not-an-idx-2": b"\0\1\x08\3" + bytes(30), "overflows": idx(8, [0xFFFFFFFF] * 4, b""),
    }.items():
        add("images-" + name, 4, x)


# ---- tokenizer --------------------------------------------------------------------------------

ALPHABET, PACKED, NO_VOCABULARY, LEARN, MARKS, FAIL_LONG, REPLACE, SMALL = (1 << i for i in range(8))


def make_tokenizer():
    def add(name, how, vocabulary=b"", merges=b"", texts=b"the cat\0\xc3\x84b 'S 12 \xe2\x82\xac\0", room=20, context=10, more=3):
        files = b"" if how & LEARN else part(vocabulary) + part(merges)
        put("tokenizer", name, bytes([how, room, context, more]) + files + texts)

    merges = b"#version: 0.2\nt h\nth e</w>\nc a\nca t</w>\n"
    tokens = b', "th": 514, "the</w>": 515, "ca": 516, "cat</w>": 517'
    add("merges-alone", NO_VOCABULARY, b"", merges)
    add("both", ALPHABET | MARKS, tokens, merges)
    add("both-packed", ALPHABET | MARKS | PACKED, tokens, merges)
    add("marks-elsewhere", ALPHABET, b', "th": 512, "<|startoftext|>": 514, "<|endoftext|>": 513', b"t h\n")
    add("learn", LEARN, texts=b"the cat sat on the mat\0the the cat\0a hat", room=60)
    add("learn-long", LEARN | SMALL, texts=b"a text that is longer than twelve bytes")
    add("learn-no-utf-8", LEARN, texts=b"a\xff")
    add("learn-no-utf-8-replaced", LEARN | REPLACE, texts=b"a\xff\xff a\xff\xff", room=60)
    add("texts-of-all-scripts", NO_VOCABULARY | REPLACE, b"", merges, texts="\u0130I\u03a3\u03a3 \u4e2d\u6587 \u0661\u0662 \u1e9e \U0001f600!? 'll\0".encode() + b"\xe2\x82 \xf5", context=38)
    add("texts-too-long", NO_VOCABULARY | FAIL_LONG, b"", merges, texts=b"the cat is on the mat\0", context=3)
    add("texts-too-many-bytes", NO_VOCABULARY | SMALL, b"", b"t h\n", texts=b"the cat is on the mat\0")
    add("files-too-large", ALPHABET | MARKS | SMALL, tokens, merges)
    add("windows", NO_VOCABULARY, b"", b"#version: 0.2\r\nt h\r\n\r\n")
    add("no-heading", NO_VOCABULARY, b"", b"t h\nth e</w>")
    add("full", NO_VOCABULARY, b"", b"t h\nt a\nt b\nt c\n", room=2)
    add("no-files", 0)
    add("wrong-calls", LEARN | NO_VOCABULARY)
    add("another-saving", ALPHABET | MARKS, b"", b"#version: 0.2 libmcl 0123456789abcdef\n")
    add("bytes-by-their-names", NO_VOCABULARY, b"", "\u0120 t\n\u00c4 \u0122\n\u0142 \u0143</w>\n".encode())
    for name, text in {
        "one-piece": b"th\n", "three-pieces": b"t h e\n", "left-is-no-token": b"xy z\n", "right-is-no-token": b"x yz\n", "empty-piece": b" h\n",
        "left-ends-a-word": b"e</w> a\n", "twice": b"t h\nt h\n", "no-utf-8": b"\xff h\n", "no-byte": "\u4e2d h\n".encode(), "blank-line-within": b"t h\n\nc a\n",
    }.items():
        add("merges-" + name, NO_VOCABULARY, b"", text)
    add("merges-result-is-no-token", ALPHABET | MARKS, b"", b"t h\n")
    add("merges-result-is-a-byte-pair-known", ALPHABET | MARKS, b', "th": 514, "het": 515', b"t h\n")
    for name, text in {
        "id-too-large": b', "th": 99999', "id-twice": b', "th": 5', "id-left-out": b', "th": 515', "token-twice": b', "t": 514', "no-comma": b' "th": 514',
        "token-is-empty": b', "": 514', "token-of-no-byte": ', "\u4e2d": 514'.encode(), "word-end-alone": b', "</w>": 514', "no-number": b', "th": "514"', "something-follows": b"} x",
    }.items():
        add("vocabulary-" + name, ALPHABET | MARKS, text, b"")
    add("vocabulary-has-no-marks", ALPHABET, b"", b"")
    add("vocabulary-has-no-end", ALPHABET, b', "<|startoftext|>": 512', b"")
    add("vocabulary-has-few-bytes", 0, b'{"a": 0, "b": 1}', b"a b\n")
    add("vocabulary-is-a-list", 0, b"[1]", b"")
    add("gzip-damaged", ALPHABET | MARKS, tokens, gzip.compress(merges, mtime=0)[:-9])


# ---- folder -----------------------------------------------------------------------------------

USUAL = {"a": 0, "b": 1, "B": 2, "x.png": 3, "loop": 4, ".hidden": 5, "odd": 6, "a b": 7}
ENDINGS = {".png": 0, ".PNG": 1, ".jpg": 2, ".Jpeg": 3, "": 4, ".txt": 5}
FOLDER, GREY, COLOUR, BYTES, CUT, EMPTY, TO_FOLDER, TO_NOWHERE, TO_ROOT, PIPE = range(10)


def entry(kind, within, folders, name, ending=".png", data=b""):
    where = bytes([within]) if folders > 1 else b""
    text = bytes([USUAL[name]]) if name in USUAL else bytes([6 + len(name)]) + name.encode("latin-1")
    tail = part(data) if kind == BYTES else (bytes([int(data)]) if kind == TO_FOLDER and folders > 1 else b"")
    return bytes([kind]) + where + text + bytes([ENDINGS[ending]]) + tail


def make_folder():
    def add(name, how, *entries, side=b"\3\4"):
        put("folder", name, bytes([how]) + side + b"".join(entries))

    two = [entry(GREY, 0, 1, "a"), entry(COLOUR, 0, 1, "b", ".PNG")]
    classes = [entry(FOLDER, 0, 1, "a", ""), entry(FOLDER, 0, 2, "b", ""), entry(GREY, 1, 3, "a"), entry(COLOUR, 2, 3, "b"), entry(COLOUR, 2, 3, "a")]
    bad = [entry(CUT, 0, 1, "B"), entry(EMPTY, 0, 1, "odd", ".jpg"), entry(BYTES, 0, 1, "a b", data=b"no image"), entry(PIPE, 0, 1, ".hidden"), entry(TO_NOWHERE, 0, 1, "loop")]
    for how in (0, 8, 11, 16, 20, 32):
        add("two-%d" % how, how, *two)
    for how in (0, 4, 8, 12, 32):
        add("classes-%d" % how, how, *classes)
        add("bad-%d" % how, how, *bad, *two)
    add("all-are-bad", 0, *bad)
    add("bad-in-a-class", 8, entry(FOLDER, 0, 1, "a", ""), entry(CUT, 1, 2, "a"), entry(FOLDER, 0, 2, "b", ""), entry(GREY, 2, 3, "a"))
    add("above-the-classes", 8, *classes, entry(GREY, 0, 3, "B"))
    add("loops", 8, entry(FOLDER, 0, 1, "a", ""), entry(FOLDER, 1, 2, "b", ""), entry(TO_ROOT, 1, 3, "loop", ""), entry(TO_FOLDER, 2, 3, "B", "", 1),
        entry(TO_FOLDER, 0, 3, "B", "", 2), entry(GREY, 2, 3, "a"))
    add("deep", 8, *[entry(FOLDER, i, i + 1, "a", "") for i in range(34)], entry(GREY, 34, 35, "a"))
    add("deep-without-images", 8, *[entry(FOLDER, i, i + 1, "a", "") for i in range(31)], entry(GREY, 3, 32, "a"))
    add("odd-bytes", 8, entry(GREY, 0, 1, "\xff\n"), entry(GREY, 0, 1, "\x01%s"), entry(FOLDER, 0, 1, "\xe2\x82", ""), entry(GREY, 1, 2, "odd"))
    add("other-files", 8, entry(GREY, 0, 1, "a", ".txt"), entry(GREY, 0, 1, "b", ""))
    add("nothing", 8)
    add("wrong-calls", 64, *two)
    add("empty-folders", 8, entry(FOLDER, 0, 1, "a", ""), entry(FOLDER, 1, 2, "b", ""))
    add("a-folder-by-an-image's-name", 8, entry(FOLDER, 0, 1, "a", ".png"), entry(GREY, 1, 2, "a"))


# ---- pairs ------------------------------------------------------------------------------------

TSV, CSV, JSON, NDJSON = range(4)
PACK, TOKENS, QUESTIONS, BY_NAME, HEADING, FAIL = (4 << i for i in range(6))


def make_pairs():
    def add(name, how, data, more=4):
        put("pairs", name, bytes([how, more]) + data)

    tsv = b"a.png\tthe cat\tanother cat\nb.png\tthe dog\r\n\na.png\tthe cat\n"
    csv = b'a.png,"the ""cat"", a,\nb",x\r\n"b.png",the dog\n'
    objects = (b'{"image": "a.png", "caption": "the cat", "n": [1, -2.5e3, true, null, {"x": ["y", false]}]}\n\n'
               b'{"captions": ["a dog", "\\u00e4"], "image": "b.png"}')
    for name, form, data in (("tsv", TSV, tsv), ("csv", CSV, csv), ("json", JSON, objects)):
        add(name, form, data)
        add(name + "-tokens-packed", form | TOKENS | PACK | BY_NAME, data)
        add(name + "-short-lines", form, data, 1)
    add("tsv-bom-not-kept", TSV | BY_NAME, b"\xef\xbb\xbf" + tsv, 0)
    add("tsv-small-file", TSV, tsv * 3, 2)
    add("csv-no-utf-8", CSV, csv + b"\n\xff")
    add("tsv-nul", TSV, tsv[:30] + b"\0" + tsv[30:])
    add("tsv-heading", TSV | HEADING, b"image\tcaption\n" + tsv)
    add("json-heading", JSON | HEADING, objects)
    add("heading-alone", TSV | HEADING, b"image\tcaption")
    add("empty", TSV, b"\n\n")
    add("wrong-calls", TSV, tsv, 8)
    add("ndjson", NDJSON | BY_NAME, objects)
    add("tsv-gzip", TSV, gzip.compress(tsv, mtime=0))
    add("tsv-gzip-cut", TSV, gzip.compress(tsv, mtime=0)[:-9])
    add("bad-image", TSV | TOKENS, b"bad.png\tx\na.png\ty\nbad.png\tz\nnone.png\tw")
    add("bad-image-fails", TSV | FAIL, b"a.png\ty\nbad.png\tx")
    add("bad-images-alone", TSV, b"bad.png\tx\n")
    add("folder-for-an-image", TSV, b".\tx\na.png\ty\n/\tz")
    add("caption-in-other-case", TSV | TOKENS, b"a.png\tThe\nb.png\tthe")
    add("long-caption", TSV | TOKENS, b"a.png\t" + b"x " * 40)
    for name, data in {"no-caption": b"a.png", "empty-path": b"\tx", "empty-caption": b"a.png\t\t", "blank-caption": b"a.png\t \v\f", "lone-cr": b"a.png\tx\ry\n"}.items():
        add("tsv-" + name, TSV, data)
    for name, data in {"quote-within": b'a"b,x', "no-end": b'a.png,"x', "behind-the-quote": b'"a.png"x,y', "quoted-and-empty": b'a.png,""', "quoted-at-the-end": b'a.png,"x"', "long-quoted": b'a.png,"' + b"x" * 40 + b'"'}.items():
        add("csv-" + name, CSV, data, 1 if "long" in name else 0)
    for name, data in {
        "no-image": b'{"caption": "x"}', "no-caption": b'{"image": "a.png"}', "image-twice": b'{"image": "a.png", "image": "b.png"}',
        "captions-twice": b'{"caption": "x", "caption": "y", "image": "a.png"}', "no-captions": b'{"image": "a.png", "captions": []}',
        "blank": b'{"image": "a.png", "caption": " "}', 
        "caption-is-a-number": b'{"image": "a.png", "caption": 1}', 
        "nested-64": b'{"x": ' + b"[" * 64 + b"]" * 64 + b', "image": "a.png", "caption": "y"}', "nested-65": b'{"x": ' + b'[{"y":' * 33 + b"}]" * 33 + b"}",
        "numbers": b'{"a": [0, -0, 10, 1.5, 1e5, 1E+5, 1.25e-7], "image": "a.png", "caption": "y"}',
        "not-json": b"a.png", "follows": b'{"image": "a.png", "caption": "y"} x', "word": b'{"a": nul}', "list-comma": b'{"a": [1 2]}',
    }.items():
        add("json-" + name, JSON, data)
    for name, number in {"minus": b"-", "zeros": b"00", "point": b"1.", "point-first": b".5", "exponent": b"1e", "exponent-sign": b"1e+"}.items():
        add("json-number-" + name, JSON, b'{"a": ' + number + b', "image": "a.png", "caption": "y"}')
    own = b"a.png,b.png,the cat,the dog,animals\nb.png,a.png,x,y,others\na.png,a.png,z,w,animals\n"
    q = QUESTIONS
    add("questions", q | CSV, own)
    add("questions-tsv-heading", q | TSV | BY_NAME | HEADING, b"h\n" + own.replace(b",", b"\t"))
    add("questions-no-category", q | CSV, b"a.png,b.png,x,y")
    for name, data in {"mixed": b"a.png,b.png,x,y\na.png,b.png,x,y,z", "mixed-2": b"a.png,b.png,x,y,z\na.png,b.png,x,y", "blank-category": b"a.png,b.png,x,y, ", "three-fields": b"a,b,c",
                       "bad-image": b"a.png,bad.png,x,y"}.items():
        add("questions-" + name, q | CSV, data)
    head = b"Question ID,Type,Statement\n"
    q |= NDJSON
    add("mmvp", q, head + b"1,T,left\n2,T,right\n2,T,up\n1,T,down\n")
    for name, data in {"heading": b"ID,Type,Statement\n", "heading-quote": b'"Question', "empty": b"", "no-questions": head, "half": head + b"1,T,x",
                       "two-types": head + b"1,T,x\n2,U,y", "no-folder": head + b"1,U,x\n2,U,y", "no-image": head + b"1,T,x\n3,T,y", "id": head + b"x,T,y", "no-id": head + b",T,y",
                       "blank-type": head + b"1, ,x", "type-of-dots": head + b"1,../a,x\n2,../a,y"}.items():
        add("mmvp-" + name, q, data)


# ---- saved ------------------------------------------------------------------------------------

MLP, PAIR, TORCH, CLUSTERER, INTEGRATOR, CLIP = range(6)
AS_IT_IS, RAW, CHANGED = range(3)
DROP, REPEAT, NAME_OF, NAME, TYPE, SIZE, DEEPER, FLATTER, NUMBER = range(9)
TEXT_DROP, TEXT_KEY, TEXT_VALUE, TEXT_VALUE_OF = range(4)
# Tensors and texts of the good files.
COUNTS = {MLP: (18, 4), PAIR: (33, 12), TORCH: (20, 1), CLUSTERER: (5, 19), INTEGRATOR: (3, 1), CLIP: (38, 0)}


def changed(*changes):
    return bytes([CHANGED]) + part(b"".join(bytes(c) for c in changes))


def make_saved():
    def add(name, what, data):
        put("saved", name, bytes([what]) + data)

    names = {MLP: "mlp", PAIR: "pair", TORCH: "torch", CLUSTERER: "clusterer", CLIP: "clip"}
    for what, name in names.items():
        n, texts = COUNTS[what]
        add(name, what, bytes([AS_IT_IS]))
        for change, bits in {"drop": [DROP], "repeat": [REPEAT], "name": [NAME, 3], "half": [TYPE, 2], "double": [TYPE, 1], "integers": [TYPE, 6],
                             "longer": [SIZE, 0, 7], "deeper": [DEEPER], "nan": [NUMBER, 0, 0]}.items():
            if name == "pair" and change in ("half", "double"):
                continue # as in an MLP
            add(name + "-" + change, what, changed([n // 2] + bits))
        if texts:
            add(name + "-text-drop", what, changed([n, TEXT_DROP]))
            add(name + "-text-value", what, changed([n + texts - 1, TEXT_VALUE_OF, 1]))
        if n + texts < 128:
            add(name + "-cut", what, changed([n + texts, 3]))
    for name, size in {"of-no-tokens": 0, "of-nine-patches": 10, "of-no-patches": 1, "of-no-square": 7}.items():
        add("torch-positions-" + name, TORCH, changed([17, SIZE, 1, size]))
    add("not-a-file", MLP, bytes([RAW]) + part(b"not safetensors"))
    add("clip-locked", CLIP + 6, bytes([AS_IT_IS]))
    add("clip-locked-text", CLIP + 12, bytes([AS_IT_IS]))
    good, there = bytes([AS_IT_IS]), b"\0"
    add("integrator", INTEGRATOR, there + good + good)
    add("integrator-no-stage", INTEGRATOR, b"\7" + good)
    add("integrator-stage-nan", INTEGRATOR, there + changed([0, NUMBER, 0, 0]) + good)
    for i, name in enumerate(("dims", "encoders", "weights")):
        add("integrator-" + name + "-drop", INTEGRATOR, there + good + changed([i, DROP]))
        add("integrator-" + name + "-number", INTEGRATOR, there + good + changed([i, NUMBER, 0, 4]))
    add("integrator-text", INTEGRATOR, there + good + changed([3, TEXT_VALUE_OF, 3]))


# ---- run --------------------------------------------------------------------------------------

# Texts of loop.safetensors by their keys, behind its three tensors.
LOOP_TEXTS = sorted(
    """loop_version sampler_algorithm rows fingerprint seed epochs trained_stages initial modalities cluster_modalities
    sampler.batch_rows sampler.min_cell_rows sampler.small_cells sampler.batching sampler.order kmeans.k kmeans.method
    kmeans.metric kmeans.init kmeans.empty kmeans.restarts kmeans.max_iterations kmeans.minibatch_rows kmeans.max_train_rows
    kmeans.tolerance loss_kind loss.temperature loss.flags learning_rate schedule warm_up place.stage place.epoch
    place.step""".split())
LABELS, REPORT, TALLY = range(3)


def loop_text(key, what, *more):
    return bytes([3 + LOOP_TEXTS.index(key), what, *more])


def place(epoch, step, stage=3):
    return [loop_text("place.stage", TEXT_VALUE_OF, stage), loop_text("place.epoch", TEXT_VALUE_OF, epoch),
            loop_text("place.step", TEXT_VALUE_OF, step)]  # 2: "0", 3: "1", 4: "2"


def make_run():
    def add(name, loop, *encoders):
        there = b"\0\0"
        put("run", name, loop + b"".join(b"\0" + e if e else b"\7" for e in encoders) + there * (4 - len(encoders)))

    good = bytes([AS_IT_IS])
    add("as-it-is", good)
    add("not-a-file", bytes([RAW]) + part(b"{}"))
    add("cut", changed([3 + len(LOOP_TEXTS), 9]))
    for name, i in {"labels": LABELS, "report": REPORT, "tally": TALLY}.items():
        for change, bits in {"drop": [DROP], "type": [TYPE, 0], "longer": [SIZE, 0, 7], "deeper": [DEEPER], "huge": [NUMBER, 1, 10], "nan": [NUMBER, 1, 0],
                             "bits": [NUMBER, 2, 13, 254, 255, 255, 255, 0, 0, 0, 128]}.items():
            add(name + "-" + change, changed([i] + bits))
    for key in ("rows", "kmeans.tolerance", "warm_up", "place.stage", "place.epoch", "place.step"):
        add(key + "-drop", changed(loop_text(key, TEXT_DROP)))
        add(key + "-large", changed(loop_text(key, TEXT_VALUE_OF, 6)))
        add(key + "-letters", changed(loop_text(key, TEXT_VALUE_OF, 11)))
    add("within-stage-1", changed(*place(2, 3)))
    add("trained-stage-1", changed(*place(3, 2)))
    add("within-stage-0", changed(*place(2, 3, 2)))
    add("at-stage-2", changed(*place(2, 2, 4)))
    add("behind-its-stage", changed(*place(4, 2)))
    add("at-a-step-too-many", changed(*place(2, 9)))
    add("all-left-out", changed(*[bytes([LABELS, NUMBER, i, 3]) for i in range(12)]))
    add("no-encoder", good, None)
    add("no-encoder-in-training", changed(*place(2, 3)), good, None)
    add("encoder-of-nan", good, changed([0, NUMBER, 0, 0]))
    add("encoder-in-training-is-another", changed(*place(2, 3)), good, changed([0, DROP]))
    add("encoder-of-huge-weights", good, changed([0, NUMBER, 0, 2], [0, NUMBER, 1, 2], [6, NUMBER, 0, 2]))


MAKERS = {"safetensors": make_safetensors, "npy": make_npy, "idx": make_idx, "tokenizer": make_tokenizer,
          "folder": make_folder, "pairs": make_pairs, "saved": make_saved, "run": make_run}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or MAKERS:
        MAKERS[wanted]()
