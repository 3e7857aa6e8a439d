"""Reads files that test programs wrote, with numpy and from the format's description alone: exits 0 when they hold
what the tests say, 77 without numpy."""
import json
import struct
import sys

try:
    import numpy as np
except ImportError:
    sys.exit(77)

ramp = (np.arange(12).reshape(4, 3) - 5) / 8


def read_safetensors(path):
    types = {'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': '<u2', 'U8': 'u1', 'I32': '<i4', 'I64': '<i8'}
    data = open(path, 'rb').read()
    length, = struct.unpack('<Q', data[:8])
    assert length % 8 == 0, 'the numbers begin aligned'
    header = json.loads(data[8:8 + length].decode('utf-8'))
    numbers = data[8 + length:]
    meta = header.pop('__metadata__', {})
    tensors, covered = {}, 0
    for name, t in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
        begin, end = t['data_offsets']
        assert begin == covered, 'no gap, no overlap'
        covered = end
        kind = np.dtype(types[t['dtype']])
        assert begin % kind.itemsize == 0, 'each tensor is aligned'
        tensors[name] = np.frombuffer(numbers[begin:end], kind).reshape(t['shape'])
    assert covered == len(numbers)
    return meta, tensors


def npy(directory):
    for name, kind in (('f4', '<f4'), ('f8', '<f8'), ('f2', '<f2')):
        a = np.load(directory + '/' + name + '.npy')
        assert a.dtype == np.dtype(kind) and a.shape == (4, 3) and (a == ramp).all(), name
    a = np.load(directory + '/i4.npy')
    assert a.dtype == np.dtype('<i4') and a.shape == (12,) and (a == np.arange(-6, 6)).all()
    a = np.load(directory + '/i8.npy')
    assert a.dtype == np.dtype('<i8') and a.shape == (4, 3) and (a.ravel() == np.arange(-6, 6)).all()
    a = np.load(directory + '/none.npy')
    assert a.dtype == np.dtype('<f4') and a.shape == (0, 3)


def checkpoint(directory):
    meta, tensors = read_safetensors(directory + '/ours.safetensors')
    assert meta == {'format': 'pt', 'odd "key" \u00e4': 'tab\t line\n quote" back\\ bell\a \U0001F600'}, meta
    assert (tensors['f32'] == ramp).all() and (tensors['f64'] == ramp).all() and (tensors['f16'] == ramp).all()
    assert ((tensors['bf16'].astype('<u4') << 16).view('<f4') == ramp).all()
    assert (tensors['u8'] == np.arange(3)).all() and (tensors['i32'] == np.arange(-6, 6).reshape(4, 3)).all()
    assert (tensors['i64'] == np.arange(-6, 6).reshape(2, 2, 1, 3)).all()
    assert tensors['transposed'].shape == (3, 4) and (tensors['transposed'] == ramp.T).all()
    assert tensors['n\u00e4me "x"'].shape == (0, 2)


{'npy': npy, 'checkpoint': checkpoint}[sys.argv[1]](sys.argv[2])
