#!/usr/bin/python3
# Pillow's bilinear resizing of a few small images: writes pillow_bilinear.h. Debian's python3-pil, 9.4.0.
from PIL import Image

CASES = [(28, 28, 1, 14, 14), (37, 53, 3, 20, 20), (20, 20, 3, 37, 53), (64, 48, 3, 9, 31),
         (5, 7, 1, 5, 3), (47, 63, 3, 28, 28)]  # the last shrinks about as 375 x 500 to 224 x 224


def samples(n):  # tests/image/test_resize.c draws the same
    state, out = 1, bytearray()
    for _ in range(n):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(state >> 24)
    return bytes(out)


with open("pillow_bilinear.h", "w") as f:
    f.write("// Made by pillow_bilinear.py: sizes, and the bytes of Pillow's resize(BILINEAR).\n")
    f.write("static const struct { int h, w, c, oh, ow, first; } pillow_cases[] = {\n")
    first, all_bytes = 0, []
    for h, w, c, oh, ow in CASES:
        f.write(f"    {{{h}, {w}, {c}, {oh}, {ow}, {first}}},\n")
        image = Image.frombytes("L" if c == 1 else "RGB", (w, h), samples(h * w * c))
        out = list(image.resize((ow, oh), Image.BILINEAR).tobytes())
        first += len(out)
        all_bytes += out
    f.write("};\nstatic const unsigned char pillow_bytes[] = {\n")
    for i in range(0, len(all_bytes), 20):
        f.write("    " + "".join(f"{b}," for b in all_bytes[i:i + 20]) + "\n")
    f.write("};\n")
