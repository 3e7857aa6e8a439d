"""The inputs of the benchmarks, bit for bit those of the C programs."""
import functools
import gzip
import pathlib

try:
    import numpy as np
except ImportError:
    np = None  # every peer is missing then

FASHION = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"
DIM, CLASSES, STAGES, CLUSTERS = 128, 10, 2, 10


def unit(stream, n):
    """bench_unit() of bench.c: n numbers in [0, 1)."""
    z = np.arange(n, dtype=np.uint64) + np.uint64(stream << 32)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) * 2.0**-24


class Congruential:
    """x <- a x + c mod 2^64, bench_next() of bench.c, a block at a time.

    x_n = a^n x_0 + c (1 + a + .. + a^(n-1))
    """

    BLOCK = 1 << 20

    def __init__(self, state):
        self.state = np.uint64(state)
        self.powers = np.cumprod(np.full(self.BLOCK, 6364136223846793005, np.uint64))
        ahead = np.concatenate([np.ones(1, np.uint64), self.powers[:-1]])
        self.sums = np.cumsum(ahead, dtype=np.uint64) * np.uint64(1442695040888963407)

    def fill(self, out, from_bits):
        """A flat array with from_bits(state) of the next states."""
        for first in range(0, len(out), self.BLOCK):
            m = min(len(out) - first, self.BLOCK)
            x = self.powers[:m] * self.state + self.sums[:m]
            out[first : first + m], self.state = from_bits(x), x[-1]
        return out

    def top24(self, n):
        """The top 24 bits of the next n states."""
        return self.fill(np.empty(n, np.float32), lambda x: x >> np.uint64(40))


@functools.lru_cache(4)
def square(stream, n):
    return (2 * unit(stream, n * n) - 1).astype(np.float32).reshape(n, n)


@functools.lru_cache(2)
def loss_rows(seed, n):
    x = Congruential(seed).top24(n * DIM) * np.float32(2.0**-23) - np.float32(1)
    return x.reshape(n, DIM)


@functools.lru_cache(1)
def mixture(rows):
    numbers, groups, block = Congruential(1), 100, 8192

    def draws(n):
        part = numbers.top24(4 * n * DIM).reshape(n, DIM, 4) / np.float32(2**24)
        total = ((part[..., 0] + part[..., 1]) + part[..., 2]) + part[..., 3]
        return (total - np.float32(2)) * np.float32(1.7320508)

    centres, x = np.float32(0.6) * draws(groups), np.empty((rows, DIM), np.float32)
    for first in range(0, rows, block):
        at = np.arange(first, min(first + block, rows))
        x[at] = centres[at * 37 % groups] + draws(len(at))
    return x


@functools.lru_cache(1)
def cells(rows):
    """The cell of each row that both stages' labels of bench_batches.c make."""
    numbers, cell = Congruential(1), np.zeros(rows, np.uint8)

    def label(x):
        return (x >> np.uint64(33)) % np.uint64(CLUSTERS)

    for _ in range(STAGES):
        labels = numbers.fill(np.empty(rows, np.uint8), label)
        cell = cell * np.uint8(CLUSTERS) + labels
    return cell


@functools.lru_cache(2)
def classed(stream, n):
    """Rows in classes, and the classes, of bench_probe.c."""
    y = (unit(stream, n) * CLASSES).astype(np.int64)
    z = unit(99, CLASSES * DIM).reshape(CLASSES, DIM)[y] * 0.5 - 2
    for s in range(1, 5):
        z += unit(stream + s, n * DIM).reshape(n, DIM)
    return z.astype(np.float32), y


@functools.lru_cache(1)
def fashion(rows):
    """The first training images, as bench_kmeans.c reads them."""
    pixels = np.frombuffer(gzip.open(FASHION).read(), np.uint8, offset=16)
    return pixels.reshape(-1, 784)[:rows].astype(np.float32) / np.float32(255)


@functools.lru_cache(1)
def files(folder, kind, n):
    """What bench_decode.c wrote: the encoded images, and all of them as it decoded them."""
    ours = np.frombuffer((pathlib.Path(folder) / "ours").read_bytes(), np.uint8)
    return encoded(folder, kind, n), ours.reshape(n, 224, 224, 3)


def encoded(folder, kind, n):
    return [(pathlib.Path(folder) / f"{i}.{kind}").read_bytes() for i in range(n)]
