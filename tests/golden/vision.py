#!/usr/bin/python3
"""Writes vision.h: what PyTorch (in float64) makes of torchvision's networks, in torchvision's names and layouts.

The models are those of torch_models.py. Of each: the list of its tensors (its state dict's, without num_batches_tracked), and, with
weights, images and gradients by the hash of encoders.py, embeddings in evaluation, outputs in training, gradients, and embeddings and
tensors after ten Adam steps. A tensor's stream is its place in the list.
And positions of a square of patches brought to other grids, by torch.nn.functional.interpolate.
Run with Debian's python3-torch:  /usr/bin/python3 tests/golden/vision.py > tests/golden/vision.h
"""
import contextlib
import io
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

with contextlib.redirect_stdout(io.StringIO()):
    from encoders import f32, show, uniform
    import torch_models
    from torch_models import ResNet, Vit, dense_projection, margin, projection

# With oneDNN PyTorch 1.13 of Debian 12 crashes in some of these convolutions.
torch.backends.mkldnn.enabled = False

SAMPLES = 8  # of a tensor
STEPS, RATE, EPSILON = 10, 1e-4, 1e-2  # tests/torch/compare.py has why
MARGIN = 1e-5  # ten times what rounding leaves: streams of images are those that have it
# What is asked of libmcl, of the largest number of each: PyTorch's own float32 must be nearer by half.
FORWARD, GRADIENTS, TRAINED = 1e-4, 1e-3, 1e-2


def spread(net, name, shape):
    """Of its numbers, and their centre."""
    if name.startswith("layer") and name.endswith("bn3.weight" if hasattr(net.layer1[0], "bn3") else "bn2.weight"):
        return 0.05, 0.1
    if name.endswith("running_mean"):
        return 0.125, 0
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return 0.5, 1
    if name.endswith("bias"):
        return 0.25, 0
    if name in ("class_token", "encoder.pos_embedding"):
        return 0.5, 0
    return 1.75 / math.sqrt(math.prod(shape[1:])), 0


def tensors(net):
    return [(name, t) for name, t in net.state_dict().items() if not name.endswith("num_batches_tracked")]


def fill(net):
    for i, (name, t) in enumerate(tensors(net)):
        width, centre = spread(net, name, t.shape)
        t.copy_(torch.tensor(f32(centre + f32(width) * uniform(i, t.numel())).reshape(t.shape)))


def embed(net, x):
    z = torch_models.embed(net, x)
    return net.heads[0](z).detach() if hasattr(net, "heads") else z


def sample(t):
    """Some of its numbers, at places that differ along every axis."""
    flat = t.detach().numpy().ravel()
    n = len(flat)
    return flat if n <= SAMPLES else flat[[(i * (n // SAMPLES) + 37 * i) % n for i in range(SAMPLES)]]


def train(net, x, grad, steps):
    """Outputs of the first step, its gradients by name."""
    adam, first = torch.optim.Adam(net.parameters(), lr=RATE, eps=EPSILON), None
    net.train()
    for step in range(steps):
        adam.zero_grad()
        z = net(x)
        (z * grad).sum().backward()
        if step == 0:
            first = z.detach(), {name: p.grad.clone() for name, p in net.named_parameters()}
        adam.step()
    return first


def results(make, n, shape, stream):
    net, found = make(), {}
    fill(net)
    x = f32(0.5 + 0.5 * uniform(stream, n * math.prod(shape))).reshape(n, *shape)
    x = torch.tensor(x, dtype=torch.get_default_dtype()).permute(0, 3, 1, 2)
    kept = {key: t.clone() for key, t in net.state_dict().items()}
    found["margin"] = margin(net, x)
    net.load_state_dict(kept)
    found["embedding"] = embed(net, x)
    outputs = net(x).shape[1]
    grad = torch.tensor(f32(f32(uniform(2000, n * outputs)) / n).reshape(n, outputs), dtype=x.dtype)
    found["output"], gradients = train(net, x, grad, STEPS)
    for name, g in gradients.items():
        found["gradient " + name] = sample(g)
    found["trained_embedding"] = embed(net, x)
    for name, t in tensors(net):
        found["tensor " + name] = sample(t)
    return net, {key: np.asarray(x, dtype=np.float64).ravel() for key, x in found.items()}


def near(name, key, rough, exact):
    limit = {"gradient": GRADIENTS, "embedding": FORWARD, "output": FORWARD}.get(key.split()[0], TRAINED)
    apart = np.abs(rough - exact).max() / np.abs(exact).max()
    assert apart <= limit / 2, (name, key, apart)
    return apart / limit


def golden(name, make, n, shape, stream):
    torch.set_default_dtype(torch.float32)
    rough = results(make, n, shape, stream)[1]
    torch.set_default_dtype(torch.float64)
    net, exact = results(make, n, shape, stream)
    nearest = exact.pop("margin")[0]
    assert nearest > MARGIN, (name, nearest)
    print(f"enum {{ {name.upper()}_STREAM = {stream} }};")
    worst = max((near(name, key, rough[key], x), key) for key, x in exact.items())
    print(f"{name}: {worst[0]:.2f} of the tolerance, {worst[1]}", file=sys.stderr)
    print(f"static const golden_tensor {name}_tensors[] = {{")
    for key, t in tensors(net):
        width, centre = spread(net, key, t.shape)
        print(f'    {{"{key}", {t.ndim}, {{{", ".join(str(k) for k in t.shape)}}}, {width:.9g}, {centre}}},')
    print("};")
    for key in ("embedding", "output", "trained_embedding"):
        show(f"{name}_{key}", exact[key])
    for kind, called in (("gradient", "gradients"), ("tensor", "trained")):
        show(f"{name}_{called}", np.concatenate([x for key, x in exact.items() if key.startswith(kind + " ")]))


def positions(side, embed, stream):
    square = torch.tensor(f32(f32(0.5) * uniform(stream, (1 + side * side) * embed))[embed:]).reshape(side, side, embed)
    for height, width in ((3, 7), (8, 8), (1, 2)):
        x = F.interpolate(square.permute(2, 0, 1)[None], size=(height, width), mode="bicubic", align_corners=True)
        show(f"positions_{height}x{width}", x[0].permute(1, 2, 0))


if __name__ == "__main__":
    torch.manual_seed(0)
    print("// Made by vision.py with PyTorch", torch.__version__.split("+")[0] + ". Do not edit.")
    golden("resnet18", lambda: ResNet(18, projection(40, 12, 7), 3, 5), 8, (45, 52, 3), 1025)
    golden("cifar18", lambda: ResNet(18, torch.nn.Linear(32, 9), 2, 4, True), 8, (16, 14, 2), 1018)
    golden("resnet50", lambda: ResNet(50, None, 3, 4), 8, (33, 33, 3), 1027)
    golden("vit", lambda: Vit(32, 8, 2, 2, 12, 20, dense_projection(12, 8, 6)), 8, (32, 32, 3), 1000)
    positions(4, 12, [name for name, t in tensors(Vit(32, 8, 2, 2, 12, 20))].index("encoder.pos_embedding"))
