#!/usr/bin/python3
"""Writes clip.h: what PyTorch (in float64) makes of a small CLIP whose state dict has OpenAI's names.

The model is written after Radford et al. 2021, section 2.4 and figure 3, of torch.nn's own layers; its modules are named so
that state_dict() gives OpenAI's names, which the test writes to a file. Weights come from encoders.py's hash, the stream of a
tensor being its place in `order`. Images are bytes, divided by 255 and brought to scale as CLIP does; the loss is CLIP's.
Run with Debian's python3-torch:  /usr/bin/python3 tests/golden/clip.py > tests/golden/clip.h
"""
import contextlib
import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

with contextlib.redirect_stdout(io.StringIO()):
    from encoders import f32, sample, show, uniform

STEPS, ROWS, LOG_SCALE = 3, 5, 2.3
SIDE, PATCH, IMAGE_WIDTH, IMAGE_BLOCKS = 32, 8, 128, 2
VOCABULARY, CONTEXT, TEXT_WIDTH, TEXT_BLOCKS, DIM = 50, 12, 64, 2, 48
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, width, mask, gelu):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // 64, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "gelu": gelu, "c_proj": nn.Linear(4 * width, width)})
        self.mask = mask

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=self.mask)[0]
        y = self.mlp["c_proj"](self.mlp["gelu"](self.mlp["c_fc"](self.ln_2(x))))
        return x + y


class Transformer(nn.Module):
    def __init__(self, width, blocks, gelu, mask=None):
        super().__init__()
        self.resblocks = nn.Sequential(*(Block(width, mask, gelu) for _ in range(blocks)))

    def forward(self, x):
        return self.resblocks(x)


class Visual(nn.Module):
    def __init__(self, gelu):
        super().__init__()
        self.conv1 = nn.Conv2d(3, IMAGE_WIDTH, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(IMAGE_WIDTH))
        self.positional_embedding = nn.Parameter(torch.zeros((SIDE // PATCH) ** 2 + 1, IMAGE_WIDTH))
        self.ln_pre, self.ln_post = nn.LayerNorm(IMAGE_WIDTH), nn.LayerNorm(IMAGE_WIDTH)
        self.transformer = Transformer(IMAGE_WIDTH, IMAGE_BLOCKS, gelu)
        self.proj = nn.Parameter(torch.zeros(IMAGE_WIDTH, DIM))

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        return self.ln_post(self.transformer(self.ln_pre(x)))[:, 0] @ self.proj


class Clip(nn.Module):
    def __init__(self, gelu):
        super().__init__()
        self.visual = Visual(gelu)
        self.token_embedding = nn.Embedding(VOCABULARY, TEXT_WIDTH)
        self.positional_embedding = nn.Parameter(torch.zeros(CONTEXT, TEXT_WIDTH))
        mask = torch.triu(torch.full((CONTEXT, CONTEXT), float("-inf")), 1)
        self.transformer = Transformer(TEXT_WIDTH, TEXT_BLOCKS, gelu, mask)
        self.ln_final = nn.LayerNorm(TEXT_WIDTH)
        self.text_projection = nn.Parameter(torch.zeros(TEXT_WIDTH, DIM))
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def encode_text(self, ids):
        x = self.transformer(self.token_embedding(ids) + self.positional_embedding)
        return self.ln_final(x)[torch.arange(len(ids)), ids.argmax(-1)] @ self.text_projection


def block_names(prefix, blocks):
    return [f"{prefix}transformer.resblocks.{i}.{what}" for i in range(blocks) for what in (
        "ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
        "attn.out_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
        "mlp.c_proj.bias")]


IMAGE = (["visual.conv1.weight", "visual.class_embedding", "visual.positional_embedding", "visual.ln_pre.weight",
          "visual.ln_pre.bias"] + block_names("visual.", IMAGE_BLOCKS) + ["visual.ln_post.weight", "visual.ln_post.bias"])
TEXT = (["token_embedding.weight", "positional_embedding"] + block_names("", TEXT_BLOCKS)
        + ["ln_final.weight", "ln_final.bias"])
OWN = ["visual.proj", "text_projection", "logit_scale"]


def value(stream, name, shape):
    n = int(np.prod(shape))
    if name == "logit_scale":
        return np.float64(f32(LOG_SCALE))
    if "ln_" in name and name.endswith("weight"):
        spread, centre = 0.5, 1
    elif name.endswith("bias"):
        spread, centre = 0.25, 0
    elif name.endswith("_embedding") or name.startswith("token_embedding"):
        spread, centre = 1, 0
    else:
        fan_in = shape[0] if name in OWN else int(np.prod(shape[1:]))
        spread, centre = 1.75 / math.sqrt(fan_in), 0
    return f32(centre + f32(spread) * uniform(stream, n)).reshape(shape)


def arranged(name, x):
    """A tensor of the state dict as libmcl has it."""
    if name == "visual.conv1.weight":
        return x.permute(2, 3, 1, 0)
    return x.T if x.ndim == 2 and "resblocks" in name else x


def make(gelu):
    dtype = torch.get_default_dtype()
    net = Clip(gelu)
    state, order = net.state_dict(), IMAGE + TEXT + OWN
    assert sorted(state) == sorted(order)
    net.load_state_dict({name: torch.tensor(value(i, name, tuple(state[name].shape)), dtype=dtype)
                         for i, name in enumerate(order)})
    return net


def batch():
    dtype = torch.get_default_dtype()
    u = ((uniform(1000, ROWS * SIDE * SIDE * 3) + 1) * 128).astype(np.int64).reshape(ROWS, SIDE, SIDE, 3)
    mean, std = (torch.tensor(f32(np.array(v)), dtype=dtype) for v in (MEAN, STD))
    images = ((torch.tensor(u, dtype=dtype) / 255 - mean) / std).permute(0, 3, 1, 2)
    ids = ((uniform(1001, ROWS * CONTEXT) + 1) * 2**23).astype(np.int64) * (VOCABULARY - 2) >> 24
    ids = ids.reshape(ROWS, CONTEXT)
    for i in range(ROWS):
        ids[i, 0], ids[i, 3 + 2 * i] = VOCABULARY - 2, VOCABULARY - 1
        ids[i, 4 + 2 * i :] = 0
    return images, torch.tensor(ids)


def gradients(net, names):
    parameters = dict(net.named_parameters())
    return np.concatenate([sample(arranged(name, parameters[name].grad)) for name in names])


def results(gelu):
    net, (images, ids), found = make(gelu()), batch(), {}
    sgd = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    found["loss"] = []
    for step in range(STEPS):
        sgd.zero_grad()
        image, text = net.visual(images), net.encode_text(ids)
        logits = net.logit_scale.exp() * F.normalize(image) @ F.normalize(text).T
        target = torch.arange(ROWS)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        loss.backward()
        found["loss"].append(loss.item())
        if step == 0:
            found["image"], found["text"], found["logits"] = (x.detach().numpy() for x in (image, text, logits))
            for key, names in (("image", IMAGE), ("text", TEXT), ("own", OWN)):
                found[f"{key}_gradients"] = gradients(net, names)
        sgd.step()
    found["trained_image"], found["trained_text"] = (
        x.detach().numpy() for x in (net.visual(images), net.encode_text(ids)))
    return {key: np.asarray(x, dtype=np.float64).ravel() for key, x in found.items()}


def golden(name, gelu):
    torch.set_default_dtype(torch.float32)
    rough = results(gelu)
    torch.set_default_dtype(torch.float64)
    exact = results(gelu)
    for key, x in exact.items():
        assert np.abs(rough[key] - x).max() <= 2e-5 * np.abs(x).max(), (name, key, np.abs(rough[key] - x).max())
        show(f"{name}_{key}", x)


print("// Made by clip.py with PyTorch", torch.__version__.split("+")[0] + ". Do not edit.")
golden("quick", QuickGELU)
golden("exact", nn.GELU)
