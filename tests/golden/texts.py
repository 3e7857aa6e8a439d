#!/usr/bin/python3
"""Writes texts.h: what PyTorch (in float64) makes of the built-in networks for texts.

As encoders.py: weights, tokens and gradients come from its integer hash, results are stored. Attention is
F.multi_head_attention_forward with a causal mask or a mask of padding, embeddings are F.embedding and F.embedding_bag.
Run with Debian's python3-torch:  /usr/bin/python3 tests/golden/texts.py > tests/golden/texts.h
"""
import contextlib
import io
import math

import numpy as np
import torch
import torch.nn.functional as F

with contextlib.redirect_stdout(io.StringIO()):
    from encoders import STEPS, SHOWN, f32, sample, show, uniform

PADDING = 0


def tokens(stream, n, context, vocabulary, end):
    """[n, context]: every other row has an `end` of its own, the others up to three tokens of padding behind."""
    u = ((uniform(stream, n * context) + 1) * 2**23).astype(np.int64)
    ids = (u * vocabulary >> 24).reshape(n, context)
    for i in range(n):
        if i % 2 == 0 and end >= 0:
            ids[i, (3 * i + 2) % context] = end
        if i % 2 == 1 and i % 4 > 0:
            ids[i, context - min(i % 4, context - 1) :] = PADDING
    return torch.tensor(ids)


def length(row, end):
    row = row.tolist()
    if end in row:
        return row.index(end) + 1
    return max([1] + [j + 1 for j, t in enumerate(row) if t != PADDING])


class Weights:
    def __init__(self):
        self.all = []

    def add(self, shape, spread, centre=0):
        v = f32(centre + f32(spread) * uniform(len(self.all), int(np.prod(shape))))
        self.all.append(torch.tensor(v.reshape(shape), dtype=torch.get_default_dtype(), requires_grad=True))
        return self.all[-1]

    def table(self, rows, width):
        return self.add((rows, width), 1)

    def dense(self, inputs, outputs, bias=True):
        kernel = self.add((inputs, outputs), 1.75 / math.sqrt(inputs))
        return kernel, self.add((outputs,), 0.25) if bias else None

    def norm(self, width):
        return self.add((width,), 0.5, 1), self.add((width,), 0.25)


def dense(x, layer):
    kernel, bias = layer
    return x @ kernel + (0 if bias is None else bias)


class Bag:
    def __init__(self, vocabulary, context, embed, mean, hidden, layers, dim, projection, end=-1):
        w = self.weights = Weights()
        self.mean = mean
        self.table = w.table(vocabulary, embed)
        self.layers, width = [], embed
        for _ in range(layers):
            self.layers.append(w.dense(width, hidden))
            width = hidden
        self.out = w.dense(width, dim)
        self.head = w.dense(dim, projection) if projection else None

    def embed(self, ids):
        x = F.embedding_bag(ids, self.table, mode="mean" if self.mean else "sum", padding_idx=PADDING)
        for layer in self.layers:
            x = torch.relu(dense(x, layer))
        return dense(x, self.out)

    def project(self, z):
        return dense(torch.relu(z), self.head) if self.head else z


class Text(Bag):
    def __init__(self, vocabulary, context, embed, layers, heads, causal, quick, dim, projection, end):
        w = self.weights = Weights()
        self.heads, self.causal, self.quick, self.end = heads, causal, quick, end
        self.table, self.positions = w.table(vocabulary, embed), w.table(context, embed)
        self.blocks = [(w.norm(embed), w.dense(embed, 3 * embed), w.dense(embed, embed), w.norm(embed),
                        w.dense(embed, 4 * embed), w.dense(4 * embed, embed)) for _ in range(layers)]
        self.norm = w.norm(embed)
        self.out = w.dense(embed, dim, bias=False)
        self.head = w.dense(dim, projection) if projection else None

    def attend(self, x, qkv, mix, lengths):
        n, context, width = x.shape
        mask = torch.triu(torch.ones(context, context, dtype=torch.bool), 1) if self.causal else None
        hidden = None if self.causal else torch.arange(context)[None, :] >= lengths[:, None]
        x = x.transpose(0, 1)
        y, _ = F.multi_head_attention_forward(
            x, x, x, width, self.heads, qkv[0].T, qkv[1], None, None, False, 0.0, mix[0].T, mix[1],
            key_padding_mask=hidden, need_weights=False, attn_mask=mask)
        return y.transpose(0, 1)

    def embed(self, ids):
        lengths = torch.tensor([length(row, self.end) for row in ids])
        width = self.table.shape[1]
        x = F.embedding(ids, self.table) + self.positions
        for norm0, qkv, mix, norm1, wide, narrow in self.blocks:
            x = x + self.attend(F.layer_norm(x, (width,), *norm0), qkv, mix, lengths)
            h = dense(F.layer_norm(x, (width,), *norm1), wide)
            x = x + dense(h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h), narrow)
        x = F.layer_norm(x, (width,), *self.norm)[torch.arange(len(ids)), lengths - 1]
        return dense(x, self.out)


def results(make, n, context, vocabulary, outputs, end):
    net, found = make(), {}
    dtype = torch.get_default_dtype()
    views = [tokens(1000 + v, n, context, vocabulary, end) for v in (0, 1)]
    grads = [torch.tensor(f32(uniform(2000 + v, n * outputs)).reshape(n, outputs), dtype=dtype) for v in (0, 1)]
    # Not Adam, which makes steps of full size of a gradient that is 0 but for rounding, as that of a key's bias.
    sgd = torch.optim.SGD(net.weights.all, lr=1e-3, momentum=0.9)
    found["embedding"] = net.embed(views[0]).detach()
    for step in range(STEPS):
        sgd.zero_grad()
        for v in (0, 1):
            z = net.project(net.embed(views[v]))
            if step == 0:
                found[f"projection{v}"] = z.detach()
            (z * grads[v]).sum().backward()
        if step == 0:
            found["gradients"] = np.concatenate([sample(t.grad) for t in net.weights.all])
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


print("// Made by texts.py with PyTorch", torch.__version__.split("+")[0] + ". Do not edit.")
golden("bag_sum", lambda: Bag(13, 6, 8, False, 9, 2, 7, 5), 9, 6, 13, 5, -1)
golden("bag_mean", lambda: Bag(31, 9, 16, True, 12, 1, 10, 0), 11, 9, 31, 10, -1)
golden("causal", lambda: Text(17, 7, 12, 2, 3, True, True, 6, 0, 16), 9, 7, 17, 6, 16)
golden("whole", lambda: Text(17, 9, 16, 2, 4, False, False, 7, 5, 3), 10, 9, 17, 5, 3)
golden("clip", lambda: Text(40, 77, 64, 2, 8, True, True, 32, 0, 39), 5, 77, 40, 32, 39)
