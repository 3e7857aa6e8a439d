#!/usr/bin/python3
"""Writes encoders.h: what PyTorch (in float64) makes of the built-in networks.

Weights, inputs and gradients come from an integer hash that the test computes too, so only results are stored:
embeddings, projections of two views, gradients after both backwards, and embeddings and weights after five Adam steps
(of outputs at most the first 256 numbers, of a tensor at most 16, evenly spaced).
Run with Debian's python3-torch:  /usr/bin/python3 tests/golden/encoders.py > tests/golden/encoders.h
"""
import numpy as np
import torch
import torch.nn.functional as F

STEPS, SAMPLES, SHOWN = 5, 16, 256


def uniform(stream, n):
    """n numbers in [-1, 1), multiples of 2^-23; a function of (stream, place)."""
    h = (np.arange(n, dtype=np.uint64) + np.uint64(1) + np.uint64(7919 * stream)) * np.uint64(2654435761)
    h &= np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(13)
    return (h >> np.uint64(8)).astype(np.float64) / 2**23 - 1


def f32(x):
    return np.asarray(x, dtype=np.float32).astype(np.float64)


class Net:
    """Tensors in libmcl's order and layout; the forward pass in PyTorch's."""

    def __init__(self, layers):
        self.names, self.values = [], []
        for kind, shape in layers:
            if kind in ("conv", "conv_bias", "dense", "dense_bias"):
                fan_in = int(np.prod(shape[:-1] if kind.startswith("dense") else shape[:3]))
                self.add("kernel", shape if kind.startswith("dense") else shape[:4], 1.75 / np.sqrt(fan_in), 0)
                if kind.endswith("bias"):
                    self.add("bias", (shape[-1] if kind.startswith("dense") else shape[3],), 0.25, 0)
            if kind == "norm":
                self.add("scale", shape, 0.5, 1)
                self.add("shift", shape, 0.25, 0)
                self.add("mean", shape, 0.125, 0)
                self.add("variance", shape, 0.5, 1)

    def add(self, what, shape, spread, centre):
        v = f32(centre + f32(spread) * uniform(len(self.values), int(np.prod(shape))))
        self.names.append(what)
        trained = what not in ("mean", "variance")
        self.values.append(torch.tensor(v.reshape(shape), dtype=torch.get_default_dtype(), requires_grad=trained))

    def forward(self, x, training, layers, batch=None):
        """x [n, h, w, c] or [n, inputs]; batch: a list that gets (mean, unbiased variance) of each norm."""
        at = iter(self.values)
        for kind, shape in layers:
            if kind.startswith("conv"):
                k, stride = next(at), shape[4]
                pads = []
                for size in (x.shape[2], x.shape[1]) if shape[5] else ():
                    out = -(-size // stride)
                    total = max((out - 1) * stride + shape[0] - size, 0)
                    pads += [total // 2, total - total // 2]
                y = F.conv2d(F.pad(x.permute(0, 3, 1, 2), pads or [0, 0]), k.permute(3, 2, 0, 1), stride=stride)
                x = y.permute(0, 2, 3, 1)
                if kind == "conv_bias":
                    x = x + next(at)
            elif kind.startswith("dense"):
                x = x.reshape(x.shape[0], -1) @ next(at)
                if kind == "dense_bias":
                    x = x + next(at)
            elif kind == "norm":
                scale, shift, mean, variance = next(at), next(at), next(at), next(at)
                flat = x.reshape(-1, x.shape[-1])
                if training:
                    batch.append((flat.mean(0).detach(), flat.var(0, unbiased=True).detach()))
                y = F.batch_norm(flat, mean.clone(), variance.clone(), scale, shift, training, 0.1, 1e-5)
                x = y.reshape(x.shape)
            elif kind == "relu":
                x = torch.relu(x)
        return x

    def run(self, batches):
        """Running figures, a view at a time."""
        for batch in batches:
            figures = iter(batch)
            for i, name in enumerate(self.names):
                if name == "mean":
                    mean, variance = next(figures)
                    self.values[i].mul_(0.9).add_(0.1 * mean)
                    self.values[i + 1].mul_(0.9).add_(0.1 * variance)


def conv(k, c, f, s, bn, padded):
    return [("conv" if bn else "conv_bias", (k, k, c, f, s, padded))] + ([("norm", (f,))] if bn else []) + [("relu", ())]


def dense(i, o):
    return [("dense_bias", (i, o))]


def dense_bn(i, o):
    return [("dense", (i, o)), ("norm", (o,)), ("relu", ())]


def after(size, kernel, stride, padded):
    return -(-size // stride) if padded else (size - kernel) // stride + 1


def cnn(h, w, c, filters, kernels, strides, bn, dim, hidden, projection, padded=True):
    body = []
    for f, k, s in zip(filters, kernels, strides):
        body += conv(k, c, f, s, bn, padded)
        h, w, c = after(h, k, s, padded), after(w, k, s, padded), f
    body += dense_bn(h * w * c, dim) if bn else dense(h * w * c, dim)
    head = [] if bn else [("relu", ())]
    if hidden:
        head += dense_bn(dim, hidden) if bn else dense(dim, hidden) + [("relu", ())]
    return body, head + dense(hidden or dim, projection)


def mlp(inputs, hidden, layers, dim, projection):
    body, width = [], inputs
    for _ in range(layers):
        body += dense(width, hidden) + [("relu", ())]
        width = hidden
    return body + dense(width, dim), [("relu", ())] + dense(dim, projection)


def show(name, x):
    x = np.asarray(x, dtype=np.float64).ravel()
    print(f"static const float {name}[] = {{")
    for i in range(0, len(x), 8):
        print("    " + ", ".join(f"{v:.6e}F" for v in x[i : i + 8]) + ",")
    print("};")


def sample(t):
    flat = t.detach().numpy().ravel()
    n = len(flat)
    return flat if n <= SAMPLES else flat[[(i * n) // SAMPLES for i in range(SAMPLES)]]


def results(parts, n, row, decay):
    """Name -> numbers, in torch's default type."""
    body, head = parts
    dtype, found = torch.get_default_dtype(), {}
    net = Net(body + head)
    views = [torch.tensor(f32(0.5 + 0.5 * uniform(1000 + v, n * int(np.prod(row)))).reshape((n,) + row), dtype=dtype)
             for v in (0, 1)]
    outputs = head[-1][1][-1]
    grads = [torch.tensor(f32(uniform(2000 + v, n * outputs)).reshape(n, outputs), dtype=dtype) for v in (0, 1)]
    trained = [v for v in net.values if v.requires_grad]
    kernels = [v for v, what in zip(net.values, net.names) if what == "kernel"]
    adam = torch.optim.Adam(trained, lr=1e-3)
    found["embedding"] = net.forward(views[0], False, body).detach()
    for step in range(STEPS):
        adam.zero_grad()
        batches = []
        for v in (0, 1):
            batch = []
            z = net.forward(views[v], True, body + head, batch)
            batches.append(batch)
            if step == 0:
                found[f"projection{v}"] = z.detach()
            (z * grads[v]).sum().backward()
        if step == 0:
            found["gradients"] = np.concatenate([sample(t.grad) for t in trained])
        if decay:
            (decay * sum((k * k).sum() for k in kernels)).backward()
        adam.step()
        with torch.no_grad():
            net.run(batches)
    found["trained_embedding"] = net.forward(views[0], False, body).detach()
    found["trained_weights"] = np.concatenate([sample(t) for t in net.values])
    return {key: np.asarray(x, dtype=np.float64).ravel() for key, x in found.items()}


def golden(name, *arguments):
    """Numbers in float64, which float32 must reach too: where a number before a ReLU is 0 but for rounding, training
    goes one way or the other (with 5 rows of evidence1 PyTorch's own two types part by 6e-3): that proves nothing."""
    torch.set_default_dtype(torch.float32)
    rough = results(*arguments)
    torch.set_default_dtype(torch.float64)
    exact = results(*arguments)
    for key, x in exact.items():
        assert np.abs(rough[key] - x).max() <= 1e-5 * np.abs(x).max(), (name, key)
        show(f"{name}_{key}", x[:SHOWN] if key.endswith(("embedding", "0", "1")) else x)


print("// Made by encoders.py with PyTorch", torch.__version__.split("+")[0] + ". Do not edit.")
golden("plain", cnn(9, 8, 3, (4, 5, 6), (5, 3, 3), (2, 2, 1), False, 7, 0, 5), 5, (9, 8, 3), 0)
golden("normed", cnn(8, 9, 2, (4, 5, 6), (3, 3, 3), (2, 2, 2), True, 7, 9, 5), 7, (8, 9, 2), 5e-5)
golden("valid", cnn(15, 16, 2, (4, 5, 6), (3, 3, 3), (2, 2, 2), True, 7, 9, 5, False), 7, (15, 16, 2), 5e-5)
golden("dense", mlp(11, 9, 2, 7, 5), 6, (11,), 0)
golden("evidence2", cnn(14, 14, 5, (32, 64, 64), (5, 3, 3), (2, 2, 1), False, 128, 0, 64), 4, (14, 14, 5), 0)
golden("evidence1", cnn(28, 28, 11, (32, 64, 64), (3, 3, 3), (2, 2, 2), True, 128, 256, 64), 8, (28, 28, 11), 5e-5)
