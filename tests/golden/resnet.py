#!/usr/bin/python3
"""Writes resnet.h: what PyTorch (in float64) makes of residual networks.

Written after He et al. 2016, section 4.1, with torchvision's strides and paddings, of torch.nn.functional. As encoders.py: weights,
images and gradients are of its hash, tensors in libmcl's order, in which a block's shortcut comes before the rest of it.
SGD with momentum, as in texts.py.
Run with Debian's python3-torch:  /usr/bin/python3 tests/golden/resnet.py > tests/golden/resnet.h
"""
import contextlib
import io
import math

import numpy as np
import torch
import torch.nn.functional as F

with contextlib.redirect_stdout(io.StringIO()):
    from encoders import STEPS, SHOWN, f32, sample, show, uniform

# With oneDNN PyTorch 1.13 of Debian 12 crashes in some of these convolutions.
torch.backends.mkldnn.enabled = False

RATE = 1e-5  # sums over many pixels have large gradients
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class ResNet:
    def __init__(self, channels, depth, cifar, filters, scale, layers, hidden, dim, frozen=0):
        self.all, self.norms, self.depth, self.cifar = [], [], depth, cifar
        self.scale = (self.add((channels,), .125, 0, False), self.add((channels,), .5, 1, False)) if scale else None
        self.stem = self.conv(3 if cifar else 7, channels, filters)
        self.blocks, width, left = [], filters, sum(BLOCKS[depth])
        self.frozen_tensors = self.frozen_norms = 0
        for g, count in enumerate(BLOCKS[depth]):
            for b in range(count):
                if frozen and left == frozen:
                    self.frozen_tensors, self.frozen_norms = len(self.all), len(self.norms)
                left -= 1
                f, stride = filters << g, 2 if g and not b else 1
                out = f if depth < 50 else 4 * f
                short = self.conv(1, width, out) if stride > 1 or width != out else None
                if depth < 50:
                    convs = [(self.conv(3, width, f), stride), (self.conv(3, f, f), 1)]
                else:
                    convs = [(self.conv(1, width, f), 1), (self.conv(3, f, f), stride), (self.conv(1, f, out), 1)]
                self.blocks.append((short, stride, convs))
                width = out
        self.head = []
        for i in range(layers if dim else 0):
            last = i == layers - 1
            size = dim if last else hidden
            kernel = self.add((width, size), 1.75 / math.sqrt(width))
            self.head.append((kernel, self.add((size,), .25) if last else self.norm(size)))
            width = size

    def add(self, shape, spread, centre=0, trained=True):
        x = f32(centre + f32(spread) * uniform(len(self.all), math.prod(shape))).reshape(shape)
        self.all.append(torch.tensor(x, dtype=torch.get_default_dtype(), requires_grad=trained))
        return self.all[-1]

    def norm(self, c):
        self.norms.append([self.add((c,), .5, 1), self.add((c,), .25), self.add((c,), .125, 0, False), self.add((c,), .5, 1, False)])
        return len(self.norms) - 1

    def conv(self, k, c, f):
        return k, self.add((k, k, c, f), 1.75 / math.sqrt(k * k * c)), self.norm(f)

    def trained(self):
        return [t for t in self.all[self.frozen_tensors :] if t.requires_grad]

    def normed(self, x, n, training, seen):
        scale, shift, mean, variance = self.norms[n]
        training = training and n >= self.frozen_norms
        flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]) if x.ndim == 4 else x
        if training:
            seen.append((n, flat.mean(0).detach(), flat.var(0, unbiased=True).detach()))
        y = F.batch_norm(flat, mean.clone(), variance.clone(), scale, shift, training, 0.1, 1e-5)
        return y.reshape(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2) if x.ndim == 4 else y

    def through(self, x, conv, stride, training, seen):
        k, kernel, n = conv
        return self.normed(F.conv2d(x, kernel.permute(3, 2, 0, 1), stride=stride, padding=k // 2), n, training, seen)

    def embed(self, x, training=False, seen=None):
        if self.scale:
            x = (x - self.scale[0]) / self.scale[1]
        x = F.relu(self.through(x.permute(0, 3, 1, 2), self.stem, 1 if self.cifar else 2, training, seen))
        if not self.cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        for short, stride, convs in self.blocks:
            y = x
            for i, (conv, s) in enumerate(convs):
                y = self.through(y, conv, s, training, seen)
                y = F.relu(y) if i + 1 < len(convs) else y
            x = F.relu(y + (self.through(x, short, stride, training, seen) if short else x))
        return x.mean((2, 3))

    def project(self, x, seen):
        for i, (kernel, rest) in enumerate(self.head):
            x = x @ kernel
            x = x + rest if i == len(self.head) - 1 else F.relu(self.normed(x, rest, True, seen))
        return x

    def run(self, seen):
        for n, mean, variance in seen:
            self.norms[n][2].mul_(0.9).add_(0.1 * mean)
            self.norms[n][3].mul_(0.9).add_(0.1 * variance)


def images(stream, n, height, width, channels):
    """Patches of 8 x 8 and noise. Noise alone has no difference left behind a few strides, and batch norm would divide by next
    to nothing."""
    row, y, x, c = np.ogrid[:n, :height, :width, :channels]
    patch = ((row * height + y // 8) * width + x // 8) * channels + c
    size = n * height * width * channels
    return f32(0.5 + 0.4 * uniform(stream, size)[patch] + 0.1 * uniform(stream + 10, size).reshape(patch.shape))


def results(make, n, shape, outputs):
    net, found = make(), {}
    dtype = torch.get_default_dtype()
    views = [torch.tensor(images(1000 + v, n, *shape), dtype=dtype) for v in (0, 1)]
    grads = [torch.tensor(f32(uniform(2000 + v, n * outputs)).reshape(n, outputs), dtype=dtype) for v in (0, 1)]
    sgd = torch.optim.SGD(net.trained(), lr=RATE, momentum=0.9)
    found["embedding"] = net.embed(views[0]).detach()
    for step in range(STEPS):
        sgd.zero_grad()
        seen = []
        for v in (0, 1):
            z = net.project(net.embed(views[v], True, seen), seen)
            if step == 0:
                found[f"projection{v}"] = z.detach()
            (z * grads[v]).sum().backward()
        if step == 0:
            found["gradients"] = np.concatenate([sample(t.grad) for t in net.trained()])
        sgd.step()
        with torch.no_grad():
            net.run(seen)
    found["trained_embedding"] = net.embed(views[0]).detach()
    found["trained_weights"] = np.concatenate([sample(t) for t in net.all])
    return {key: np.asarray(x, dtype=np.float64).ravel() for key, x in found.items()}


def golden(name, *arguments):
    torch.set_default_dtype(torch.float32)
    rough = results(*arguments)
    torch.set_default_dtype(torch.float64)
    exact = results(*arguments)
    for key, x in exact.items():
        assert np.abs(rough[key] - x).max() <= 5e-5 * np.abs(x).max(), (name, key, np.abs(rough[key] - x).max() / np.abs(x).max())
        show(f"{name}_{key}", x[:SHOWN] if key.endswith(("embedding", "0", "1")) else x)


if __name__ == "__main__":
    print("// Made by resnet.py with PyTorch", torch.__version__.split("+")[0] + ". Do not edit.")
    golden("cifar18", lambda: ResNet(3, 18, True, 6, True, 2, 10, 7), 6, (16, 14, 3), 7)
    golden("imagenet18", lambda: ResNet(2, 18, False, 5, False, 3, 9, 5), 7, (45, 52, 2), 5)
    # All of 50 layers, of few small images, parts float32 from float64: where a number before a ReLU is 0 but for rounding.
    golden("last50", lambda: ResNet(2, 50, False, 4, False, 1, 0, 0, frozen=4), 7, (45, 52, 2), 128)
    golden("last34", lambda: ResNet(3, 34, True, 4, False, 1, 0, 0, frozen=3), 5, (15, 16, 3), 32)
