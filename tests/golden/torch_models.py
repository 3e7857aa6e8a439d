"""torchvision's ResNets and vision transformers in plain torch.nn, under its names: for where there is no torchvision.

tests/torch/compare.py holds them against torchvision's own where it is installed: the same names, shapes and outputs. They take any
number of channels and filters, and CIFAR's stem; ResNets end in `fc`, vision transformers in `heads`, as given.
"""
import torch
from torch import nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, filters, stride, depth):
        super().__init__()
        if depth < 50:
            shape = ((inputs, filters, 3, stride), (filters, filters, 3, 1))
        else:
            shape = ((inputs, filters, 1, 1), (filters, filters, 3, stride), (filters, 4 * filters, 1, 1))
        self.n, outputs, self.relu = len(shape), shape[-1][1], nn.ReLU()
        for i, (a, b, k, s) in enumerate(shape):
            self.add_module(f"conv{i + 1}", conv(a, b, k, s))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(b))
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        self.outputs = outputs

    def forward(self, x):
        y = x
        for i in range(1, self.n + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = self.relu(y) if i < self.n else y
        return self.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    def __init__(self, depth, fc=None, channels=3, filters=64, cifar=False):
        super().__init__()
        self.conv1 = conv(channels, filters, 3 if cifar else 7, 1 if cifar else 2)
        self.bn1, self.relu = nn.BatchNorm2d(filters), nn.ReLU()
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, 1)
        width = filters
        for g, count in enumerate(BLOCKS[depth]):
            blocks = []
            for b in range(count):
                blocks.append(Block(width, filters << g, 2 if g and not b else 1, depth))
                width = blocks[-1].outputs
            self.add_module(f"layer{g + 1}", nn.Sequential(*blocks))
        self.fc = fc or nn.Identity()

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3)))


class EncoderBlock(nn.Module):
    def __init__(self, embed, heads, hidden):
        super().__init__()
        self.ln_1 = nn.LayerNorm(embed, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(embed, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(embed, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(embed, hidden), nn.GELU(), nn.Dropout(0), nn.Linear(hidden, embed))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    def __init__(self, tokens, layers, embed, heads, hidden):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.zeros(1, tokens, embed))
        self.layers = nn.Sequential()
        for i in range(layers):
            self.layers.add_module(f"encoder_layer_{i}", EncoderBlock(embed, heads, hidden))
        self.ln = nn.LayerNorm(embed, eps=1e-6)

    def forward(self, x):
        return self.ln(self.layers(x + self.pos_embedding))


class Vit(nn.Module):
    def __init__(self, side, patch, layers, heads, embed, hidden, head=None, channels=3):
        super().__init__()
        self.conv_proj = nn.Conv2d(channels, embed, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, embed))
        self.encoder = Encoder(1 + (side // patch) ** 2, layers, embed, heads, hidden)
        self.heads = head or nn.Identity()

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        return self.heads(self.encoder(torch.cat([self.class_token.expand(len(x), -1, -1), x], 1))[:, 0])


def embed(net, x):
    """What the head of a model is given, in evaluation; torchvision's models too."""
    head = "fc" if hasattr(net, "fc") else "heads"
    whole = getattr(net.eval(), head)
    setattr(net, head, nn.Identity())
    with torch.no_grad():
        z = net(x)
    setattr(net, head, whole)
    return z


def margin(net, x):
    """The least distance, of its channel's deviation, at which a number of a training step lies from where a ReLU or a maximum changes
    its mind. Where rounding takes it there, gradients part."""
    nearest, hooks = [], []

    def relu(_, inputs):
        y = inputs[0]
        nearest.append((y.abs() / y.std([d for d in range(y.ndim) if d != 1], keepdim=True)).min().item())

    def pool(_, inputs):
        y = inputs[0] / inputs[0].std((0, 2, 3), keepdim=True)
        two = nn.functional.unfold(y.flatten(0, 1)[:, None], 3, padding=1, stride=2).topk(2, 1).values
        nearest.append((two[:, 0] - two[:, 1])[two[:, 0] > 0].min().item())

    for m in net.modules():
        if isinstance(m, (nn.ReLU, nn.MaxPool2d)):
            hooks.append(m.register_forward_pre_hook(relu if isinstance(m, nn.ReLU) else pool))
    with torch.no_grad():
        net.train()(x)
    for hook in hooks:
        hook.remove()
    return min(nearest)


def projection(width, hidden, dim):
    """What mcl_encoder_create_resnet()'s head of two layers is as `fc`."""
    return nn.Sequential(nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, dim))


def dense_projection(embed, dim, out):
    """And mcl_encoder_create_vit()'s `dim` and `projection_dim` as `heads`."""
    return nn.Sequential(nn.Linear(embed, dim, bias=False), nn.ReLU(), nn.Linear(dim, out))
