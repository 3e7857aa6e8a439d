#!/usr/bin/python3
"""Writes pair.h: what PyTorch (in float64) makes of two towers, their projections and a learnt temperature.

The towers are an MLP of encoders.py and a bag of texts.py, the loss is CLIP's as its users write it (cross entropy over a
matrix of cosines times exp of the log scale, both ways), the log scale is held in 0 .. log 100 after each step of SGD.
Run with Debian's python3-torch:  /usr/bin/python3 tests/golden/pair.py > tests/golden/pair.h
"""
import contextlib
import io
import math

import numpy as np
import torch
import torch.nn.functional as F

with contextlib.redirect_stdout(io.StringIO()):
    from encoders import Net, f32, mlp, sample, show, uniform
    from texts import Bag, tokens

STEPS, ROWS, INPUTS, CONTEXT, VOCABULARY, DIM = 6, 9, 11, 6, 13, 6


def results():
    dtype, found = torch.get_default_dtype(), {}
    body, _ = mlp(INPUTS, 9, 1, 7, 1)
    image, text = Net(body), Bag(VOCABULARY, CONTEXT, 8, False, 9, 1, 5, 0)
    own = []
    for i, width in enumerate((7, 5)):
        v = f32(f32(1.75 / math.sqrt(width)) * uniform(i, width * DIM)).reshape(width, DIM)
        own.append(torch.tensor(v, dtype=dtype, requires_grad=True))
    own.append(torch.tensor(f32(1 + 0.5 * uniform(2, 1)), dtype=dtype, requires_grad=True))
    x = torch.tensor(f32(0.5 + 0.5 * uniform(1000, ROWS * INPUTS)).reshape(ROWS, INPUTS), dtype=dtype)
    ids = tokens(1001, ROWS, CONTEXT, VOCABULARY, -1)
    sgd = torch.optim.SGD(image.values + text.weights.all + own, lr=0.2, momentum=0.9)

    def embed():
        return image.forward(x, False, body) @ own[0], text.embed(ids) @ own[1]

    found["loss"], found["temperature"] = [], []
    for step in range(STEPS):
        sgd.zero_grad()
        a, b = (F.normalize(z) for z in embed())
        scores = torch.exp(own[2]) * a @ b.T
        target = torch.arange(ROWS)
        loss = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
        loss.backward()
        if step == 0:
            for name, weights in (("image", image.values), ("text", text.weights.all), ("own", own)):
                found[f"{name}_gradients"] = np.concatenate([sample(t.grad) for t in weights])
        sgd.step()
        with torch.no_grad():
            own[2].clamp_(0, math.log(100))
        found["loss"].append(loss.item())
        found["temperature"].append(math.exp(-own[2].item()))
    found["image_embedding"], found["text_embedding"] = (z.detach().numpy() for z in embed())
    return {key: np.asarray(v, dtype=np.float64).ravel() for key, v in found.items()}


torch.set_default_dtype(torch.float32)
rough = results()
torch.set_default_dtype(torch.float64)
exact = results()
print("// Made by pair.py with PyTorch", torch.__version__.split("+")[0] + ". Do not edit.")
for key, v in exact.items():
    assert np.abs(rough[key] - v).max() <= 1e-5 * np.abs(v).max(), key
    show(f"pair_{key}", v)
