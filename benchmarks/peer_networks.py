#!/usr/bin/python3
"""The networks of bench_train in PyTorch: a training step, and embedding. peers.py runs this.

Random weights: that networks agree is for the tests against tests/golden to say. Both views go
through in one batch, which is what is fastest there; the small CNN's first convolution is padded by 2
all around, not by 1 and 2 as ours: the same work.

By itself, `peer_networks.py train CASE [last]` prints by how many MiB the process grew, weights
included: the most of two steps. peers.py asks for that in a process of its own.
"""
import functools
import resource
import subprocess
import sys

from peer_inputs import np

# Rows a view, side, channels, outputs.
SIZES = {"small-cnn": (256, 14, 5, 64), "mlp": (256, 14, 5, 64), "resnet18-cifar": (64, 32, 3, 128),
         "vit-4-192-6": (64, 32, 3, 64)}


def small_cnn(nn):
    body = [nn.Conv2d(5, 32, 5, 2, 2), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()]
    body += [nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 16, 128)]
    return nn.Sequential(*body), nn.Sequential(nn.ReLU(), nn.Linear(128, 64))


def mlp(nn):
    body = [nn.Flatten(), nn.Linear(980, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*body, nn.Linear(512, 128)), nn.Sequential(nn.ReLU(), nn.Linear(128, 64))


def resnet(nn):
    relu = nn.functional.relu

    def conv(before, after, kernel, stride):
        layer = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(after))

    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.first, self.second = conv(before, after, 3, stride), conv(after, after, 3, 1)
            self.short = conv(before, after, 1, stride) if before != after else nn.Identity()

        def forward(self, x):
            return relu(self.second(relu(self.first(x))) + self.short(x))

    body, width = [conv(3, 64, 3, 1), nn.ReLU()], 64
    for group in range(4):
        for block in range(2):
            body.append(Block(width, 64 << group, 2 if group and not block else 1))
            width = 64 << group
    hidden = [nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU()]
    return (nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Sequential(*hidden, nn.Linear(512, 128)))


def vit(nn):
    import torch

    class Tower(nn.Module):
        def __init__(self, width=192, depth=6, heads=3, tokens=64):
            super().__init__()
            self.patches = nn.Conv2d(3, width, 4, 4, bias=False)
            self.first = nn.Parameter(torch.randn(1, 1, width) / width**0.5)
            self.places = nn.Parameter(torch.randn(1, tokens + 1, width) / width**0.5)
            block = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu",
                                               batch_first=True, norm_first=True)
            self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
            self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, 128, bias=False)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.places
            return self.last(self.norm(self.blocks(x)[:, 0]))

    return Tower(), nn.Sequential(nn.ReLU(), nn.Linear(128, 64))


MAKE = {"small-cnn": small_cnn, "mlp": mlp, "resnet18-cifar": resnet, "vit-4-192-6": vit}


def work(bench, case, channels_last):
    """What is timed, and what makes fields of its result: there are none."""
    import torch

    torch.manual_seed(0)
    rows, side, channels, outputs = SIZES[case]
    form = torch.channels_last if channels_last else torch.contiguous_format
    x = (np.arange(rows * side * side * channels) * 7919 % 1000).astype(np.float32) / 1000
    x = torch.from_numpy(x).reshape(rows, side, side, channels).permute(0, 3, 1, 2)
    x = torch.cat([x, x]).contiguous(memory_format=form)
    g = ((np.arange(rows * outputs) % 17 - 8) * 1e-4).astype(np.float32).reshape(rows, outputs)
    g = torch.from_numpy(np.concatenate([g, g]))
    body, head = MAKE[case](torch.nn)
    net = torch.nn.Sequential(body, head).to(memory_format=form)
    adam = torch.optim.Adam(net.parameters(), lr=1e-5)

    def step():
        adam.zero_grad(set_to_none=True)
        net(x).backward(g)
        adam.step()

    def embed():
        with torch.no_grad():
            body(x)

    if bench == "embed":
        net.eval()
    return (step if bench == "train" else embed), lambda _: {}


def grown(bench, case, channels_last):
    import torch

    torch.nn.Conv2d(3, 8, 3)(torch.zeros(1, 3, 8, 8)).sum().backward()  # what starting takes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call, _ = work(bench, case, channels_last)
    for _ in range(2):
        call()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def peak_of(bench, case, channels_last):
    words = [sys.executable, __file__, bench, case, *(["last"] if channels_last else [])]
    run = subprocess.run(words, capture_output=True, text=True)
    return float(run.stdout) if run.returncode == 0 else None


def train(run):
    times = 3 if run.quick else 80
    for line in run.ours("bench_train", run.threads, times):
        rows = SIZES.get(line["case"], [0])[0]
        large = line["case"] in ("resnet18-cifar", "vit-4-192-6")
        for last in (False, True) if rows else ():
            if last and line["case"] in ("mlp", "vit-4-192-6"):
                continue
            make = functools.partial(work, line["bench"], line["case"], last)
            peak = None if run.quick else peak_of(line["bench"], line["case"], last)
            run.peer(line, "PyTorch, channels last" if last else "PyTorch", make, {},
                     times=times // 16 if large else times, images=2 * rows, peak=peak)


if __name__ == "__main__":
    print(round(grown(sys.argv[1], sys.argv[2], len(sys.argv) > 3), 1))
