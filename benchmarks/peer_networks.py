"""The networks of bench_train in PyTorch: a training step, and embedding. peers.py runs this.

Random weights: that networks agree is for the tests against tests/golden to say. Both views go
through in one batch, which is what is fastest there; the small CNN's first convolution is padded by
2 all around, not by 1 and 2 as ours: the same work.
"""
import functools

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


@functools.lru_cache(1)
def inputs(case):
    rows, side, channels, outputs = SIZES[case]
    x = (np.arange(rows * side * side * channels) * 7919 % 1000).astype(np.float32) / 1000
    g = ((np.arange(rows * outputs) % 17 - 8) * 1e-4).astype(np.float32).reshape(rows, outputs)
    return x.reshape(rows, side, side, channels), g


def work(line, channels_last):
    """What is timed, and what makes fields of its result: there are none."""
    import torch

    torch.manual_seed(0)
    form = torch.channels_last if channels_last else torch.contiguous_format
    x, g = (torch.from_numpy(a) for a in inputs(line["case"]))
    x = torch.cat([x, x]).permute(0, 3, 1, 2).contiguous(memory_format=form)
    g = torch.cat([g, g])
    body, head = MAKE[line["case"]](torch.nn)
    net = torch.nn.Sequential(body, head).to(memory_format=form)
    adam = torch.optim.Adam(net.parameters(), lr=1e-5)

    def step():
        adam.zero_grad(set_to_none=True)
        net(x).backward(g)
        adam.step()

    def embed():
        with torch.no_grad():
            body(x)

    if line["bench"] == "embed":
        net.eval()
    return (step if line["bench"] == "train" else embed), lambda _: {}


def peers(line):
    made = {"PyTorch": functools.partial(work, line, False)}
    if line["case"] in ("small-cnn", "resnet18-cifar"):
        made["PyTorch, channels last"] = functools.partial(work, line, True)
    return made
