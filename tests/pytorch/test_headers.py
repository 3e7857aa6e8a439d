#!/usr/bin/python3
"""libmcl_h.py says what the headers say. Arguments: the C compiler's command."""
import ctypes as C
import re
import subprocess
import sys
import unittest

from suite import HOST, SCRATCH, SOURCE, Suite

import libmcl_h as h

COMPILER = sys.argv[1:] or ["cc"]
SCALARS = {C.c_int32: "int32_t", C.c_int64: "int64_t", C.c_uint32: "uint32_t",
           C.c_uint64: "uint64_t", C.c_double: "double", C.c_char_p: "const char *"}
STRUCTS = [s for n, s in vars(h).items() if n.startswith("mcl_")]
# ctypes has one type for size_t and uint64_t; the headers have size_t in front.
FIRST = "struct_size"


def member_type(struct, name, kind):
    """The C type that a member must have; None where any pointer will do."""
    callback = h.CALLBACKS.get(f"{struct.__name__}.{name}")
    if callback:
        return callback.replace("(", "(*)(", 1)
    if name == FIRST:
        return "size_t"
    if kind is C.c_void_p:
        return None
    if issubclass(kind, C.Array):
        element = "char" if kind._type_ is C.c_char else SCALARS[kind._type_]
        return f"{element}[{kind._length_}]"
    if issubclass(kind, C._Pointer):
        return f"const {kind._type_.__name__} *"
    return SCALARS[kind]


def questions():
    yield "#include <stddef.h>\n#include <libmcl/mcl.h>\n" + h.PROTOTYPES
    for s in STRUCTS:
        yield f"_Static_assert(sizeof({s.__name__}) == {C.sizeof(s)}, \"size\");"
        for name, kind in s._fields_:
            at = f"(({s.__name__} *)0)->{name}"
            yield (f"_Static_assert(offsetof({s.__name__}, {name}) == {getattr(s, name).offset} && "
                   f"sizeof({at}) == {getattr(s, name).size}, \"place of {name}\");")
            wanted = member_type(s, name, kind)
            same = (f"__builtin_types_compatible_p(__typeof__({at}), {wanted})" if wanted else
                    f"__builtin_classify_type({at}) == __builtin_classify_type((void *)0)")
            yield f"_Static_assert({same}, \"type of {s.__name__}.{name}\");"
    for name, value in vars(h).items():
        if name.startswith("MCL_"):
            yield f"_Static_assert({name} == {value}, \"value of {name}\");"


def compiler_says(text):
    source = SCRATCH / "headers.c"
    source.write_text(text)
    command = [*COMPILER, "-std=gnu11", "-fsyntax-only", "-I", SOURCE / "include", source]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


class Headers(Suite):
    def test_the_compiler_agrees_with_every_layout_constant_and_prototype(self):
        code, text = compiler_says("\n".join(questions()))
        self.assertEqual(code, 0, text)

    def test_the_compiler_is_asked(self):
        asked = "\n".join(questions())
        for right, wrong in (("double weight", "float weight"), ("user, int64_t", "user, int32_t"),
                             ("MCL_E_COMM == -13", "MCL_E_COMM == -14"),
                             ("mcl_rows, dim) == 24", "mcl_rows, dim) == 28")):
            self.assertIn(right, asked)
            self.assertNotEqual(compiler_says(asked.replace(right, wrong))[0], 0, right)

    def test_no_member_is_missing(self):
        kept = (SOURCE / "tests/abi/offsets.c").read_text()
        for s in STRUCTS:
            wanted = set(re.findall(rf"AT\({s.__name__}, (\w+), (\d+)\)", kept))
            self.assertEqual({(n, str(getattr(s, n).offset)) for n, _ in s._fields_}, wanted,
                             f"{s.__name__} in examples/hosts/pytorch/libmcl_h.py")

    def test_every_name_of_the_library_that_is_used_has_its_prototype(self):
        text = (HOST / "libmcl.py").read_text()
        used = {a or b for a, b in re.findall(r"lib\.(mcl_\w+)|\"(mcl_\w+_\w+)\"", text)}
        self.assertGreater(len(used), 20)
        for name in used:
            self.assertIsNotNone(getattr(h.lib, name).argtypes, name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
