"""What the tests of examples/hosts/pytorch share. Without PyTorch: exit status 77, skipped."""
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
HOST = SOURCE / "examples/hosts/pytorch"
SCRATCH = pathlib.Path(os.environ.get("MCL_SCRATCH", "/tmp")) / "pytorch"

try:
    import torch
except ImportError:
    print("no PyTorch here")
    sys.exit(77)
torch.set_num_threads(1)
sys.path.insert(0, str(HOST))
import libmcl


class Suite(unittest.TestCase):
    """A context, and checks of what fails."""

    @classmethod
    def setUpClass(cls):
        SCRATCH.mkdir(parents=True, exist_ok=True)
        cls.context = libmcl.Context(2)

    def fails(self, status, text, function, *arguments, **named):
        with self.assertRaises(libmcl.Error) as caught:
            function(*arguments, **named)
        self.assertEqual(caught.exception.status, status, caught.exception)
        self.assertIn(text, caught.exception.message)
        return caught.exception

    def same_bits(self, a, b):
        self.assertEqual(a.dtype, b.dtype)
        self.assertEqual(a.numpy().tobytes(), b.numpy().tobytes())


def random_rows(rows, dim, seed=0, clusters=0):
    """Standard normal rows, float32; with clusters, about far centres in turn."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, dim, generator=g)
    if clusters:
        x += 10 * torch.randn(clusters, dim, generator=g)[torch.arange(rows) % clusters]
    return x
