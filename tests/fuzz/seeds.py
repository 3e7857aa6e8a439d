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
    add("vector", npy(ordinary % ("<f4", "6,"), numbers))
    add("no-rows", npy(ordinary % ("<f4", "0, 3")))
    add("no-columns", npy(ordinary % ("<f4", "3, 0")))
    add("scalar", npy(ordinary % ("<f4", ""), numbers))
    add("three-dimensions", npy(ordinary % ("<f4", "1, 2, 3"), numbers))
    add("fortran", npy((ordinary % ("<f4", "2, 3")).replace("False", "True"), numbers))
    add("version-2", npy(ordinary % ("<f4", "2, 3"), numbers, 2))
    add("version-3", npy(ordinary % ("<f4", "2, 3"), numbers, 3))
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


MAKERS = {"safetensors": make_safetensors, "npy": make_npy, "idx": make_idx}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or MAKERS:
        MAKERS[wanted]()
