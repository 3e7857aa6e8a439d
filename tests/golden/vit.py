#!/usr/bin/python3
"""Writes vit.h: what PyTorch (in float64) makes of the vision transformer.

As texts.py, whose blocks it shares; images come from encoders.py's integer hash, patches are F.conv2d's.
Run with Debian's python3-torch:  /usr/bin/python3 tests/golden/vit.py > tests/golden/vit.h
"""
import contextlib
import io
import math

import numpy as np
import torch
import torch.nn.functional as F

with contextlib.redirect_stdout(io.StringIO()):
    from encoders import STEPS, SHOWN, f32, sample, show, uniform
    from texts import Text, Weights, dense


class Vit(Text):
    def __init__(self, shape, patch, embed, layers, heads, hidden, quick, token, norm, scale, dim, projection,
                 bias=False, epsilon=1e-5):
        w = self.weights = Weights()
        self.heads, self.causal, self.quick = heads, False, quick
        height, width, channels = shape
        places = height // patch * (width // patch)
        self.scale = [w.add((channels,), 0.125), w.add((channels,), 0.5, 1)] if scale else None
        self.patch, self.epsilon = patch, epsilon
        self.kernel = w.add((patch, patch, channels, embed), 1.75 / math.sqrt(patch * patch * channels))
        self.bias = w.add((embed,), 0.25) if bias else None
        self.token = w.table(1, embed) if token else None
        self.positions = w.table(places + token, embed)
        self.pre = w.norm(embed) if norm else None
        self.blocks = [(w.norm(embed), w.dense(embed, 3 * embed), w.dense(embed, embed), w.norm(embed),
                        w.dense(embed, hidden), w.dense(hidden, embed)) for _ in range(layers)]
        self.norm = w.norm(embed)
        self.out = w.dense(embed, dim, bias=False) if dim else None
        self.head = w.dense(dim or embed, projection) if projection else None

    def trained(self):
        return self.weights.all[2 if self.scale else 0 :]

    def normed(self, x, weights):
        return F.layer_norm(x, (x.shape[-1],), *weights, self.epsilon)

    def embed(self, x):
        n, width = len(x), self.positions.shape[1]
        if self.scale:
            x = (x - self.scale[0].detach()) / self.scale[1].detach()
        y = F.conv2d(x.permute(0, 3, 1, 2), self.kernel.permute(3, 2, 0, 1), self.bias, stride=self.patch)
        x = y.flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(n, 1, width), x], 1)
        x = x + self.positions
        if self.pre:
            x = self.normed(x, self.pre)
        lengths = torch.full((n,), x.shape[1])
        for norm0, qkv, mix, norm1, wide, narrow in self.blocks:
            x = x + self.attend(self.normed(x, norm0), qkv, mix, lengths)
            h = dense(self.normed(x, norm1), wide)
            x = x + dense(h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h), narrow)
        x = self.normed(x[:, 0] if self.token is not None else x.mean(1), self.norm)
        return dense(x, self.out) if self.out else x


def results(make, n, shape, outputs):
    net, found = make(), {}
    dtype = torch.get_default_dtype()
    views = [torch.tensor(f32(0.5 + 0.5 * uniform(1000 + v, n * math.prod(shape))).reshape((n,) + shape), dtype=dtype)
             for v in (0, 1)]
    grads = [torch.tensor(f32(uniform(2000 + v, n * outputs)).reshape(n, outputs), dtype=dtype) for v in (0, 1)]
    sgd = torch.optim.SGD(net.trained(), lr=1e-3, momentum=0.9)  # see texts.py
    found["embedding"] = net.embed(views[0]).detach()
    for step in range(STEPS):
        sgd.zero_grad()
        for v in (0, 1):
            z = net.project(net.embed(views[v]))
            if step == 0:
                found[f"projection{v}"] = z.detach()
            (z * grads[v]).sum().backward()
        if step == 0:
            found["gradients"] = np.concatenate([sample(t.grad) for t in net.trained()])
        sgd.step()
    found["trained_embedding"] = net.embed(views[0]).detach()
    found["trained_weights"] = np.concatenate([sample(t) for t in net.weights.all])
    return {key: np.asarray(x, dtype=np.float64).ravel() for key, x in found.items()}


def golden(name, *arguments):
    torch.set_default_dtype(torch.float32)
    rough = results(*arguments)
    torch.set_default_dtype(torch.float64)
    exact = results(*arguments)
    for key, x in exact.items():
        assert np.abs(rough[key] - x).max() <= 2e-5 * np.abs(x).max(), (name, key, np.abs(rough[key] - x).max())
        show(f"{name}_{key}", x[:SHOWN] if key.endswith(("embedding", "0", "1")) else x)


if __name__ == "__main__":
    print("// Made by vit.py with PyTorch", torch.__version__.split("+")[0] + ". Do not edit.")
    golden("token", lambda: Vit((12, 8, 3), 4, 16, 2, 4, 64, True, 1, True, True, 0, 0), 9, (12, 8, 3), 16)
    # torchvision's form, with an epsilon that shows.
    golden("bias", lambda: Vit((8, 12, 3), 4, 16, 2, 4, 32, False, 1, False, False, 0, 0, True, 0.1), 8, (8, 12, 3), 16)
    golden("mean", lambda: Vit((9, 12, 2), 3, 12, 2, 3, 20, False, 0, False, False, 7, 5), 7, (9, 12, 2), 5)
    golden("clip", lambda: Vit((32, 32, 3), 8, 64, 2, 1, 256, True, 1, True, True, 32, 0), 4, (32, 32, 3), 32)
