#!/usr/bin/python3
"""Writes the files beside it, with numpy and, for safetensors, from the format's description alone."""
import json
import os
import struct

import numpy as np
from numpy.lib import format as npy

here = os.path.dirname(os.path.abspath(__file__))
ramp = (np.arange(12, dtype=np.float64).reshape(4, 3) - 5) / 8


def save(name, array, version=None):
    with open(os.path.join(here, name + '.npy'), 'wb') as f:
        if version:
            npy.write_array(f, np.asanyarray(array), version=version)
        else:
            np.save(f, array)


save('f4', ramp.astype('<f4'))
save('f8', ramp.astype('<f8'))
save('f2', ramp.astype('<f2'))
save('version2', ramp.astype('<f4'), (2, 0))
save('version3', ramp.astype('<f4'), (3, 0))
save('vector', ramp.astype('<f4').ravel())
save('no_rows', np.zeros((0, 3), '<f4'))
save('i4', np.arange(-6, 6, dtype='<i4').reshape(4, 3))
save('i4_vector', np.arange(-6, 6, dtype='<i4'))
save('i8', np.arange(-6, 6, dtype='<i8').reshape(4, 3))
save('fortran', np.asfortranarray(ramp.astype('<f4')))
save('big_endian', ramp.astype('>f4'))
save('objects', np.array([{}, None], dtype=object))
save('structured', np.zeros(2, dtype=[('a', '<f4'), ('b', '<i4')]))
save('complex', ramp.astype('<c8'))
save('scalar', np.float32(1.5))
save('cube', np.zeros((2, 2, 2), '<f4'))
save('no_columns', np.zeros((3, 0), '<f4'))

# safetensors: 8 bytes of length, JSON, numbers.
tensors = {
    'f64': ('F64', np.array([[1.5, -2.25, 1e300]], '<f8')),
    'i64': ('I64', np.array([-2**63, 2**63 - 1], '<i8')),
    'f32': ('F32', ramp.astype('<f4')),
    'i32': ('I32', np.array([[[[-2**31]], [[7]]]], '<i4')),
    'scalar': ('F32', np.array(0.75, '<f4')),
    'f16': ('F16', np.array([1.0, 65504.0, 2.0**-24, -0.5], '<f2')),
    'bf16': ('BF16', np.array([0x3F80, 0xC040], '<u2')),  # 1, -3
    'u8': ('U8', np.array([0, 1, 255], 'u1')),
    'empty': ('F32', np.zeros((0, 5), '<f4')),
    'f8': ('F8_E4M3', np.array([1, 2, 3], 'u1')),
    'five': ('F32', np.zeros((1, 1, 1, 1, 2), '<f4')),
    'n\u00e4me "quoted" \U0001F600': ('BOOL', np.array([1], 'u1')),
}
header = {'__metadata__': {'format': 'pt', 'note': 'tab\there, "quotes", \u00e4 and \U0001F600'}}
numbers = b''
for name, (dtype, array) in tensors.items():
    data = array.tobytes()
    header[name] = {'dtype': dtype, 'shape': list(array.shape), 'data_offsets': [len(numbers), len(numbers) + len(data)]}
    numbers += data
for name, ascii in (('all.safetensors', True), ('all_utf8.safetensors', False)):
    text = json.dumps(header, ensure_ascii=ascii).encode()
    text += b' ' * (-len(text) % 8)
    with open(os.path.join(here, name), 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + numbers)
