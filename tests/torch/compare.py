#!/usr/bin/python3
"""Holds libmcl against PyTorch both ways, for ResNet-18, ResNet-50 and a vision transformer in torchvision's names.

    compare.py NETWORK SCRATCH          NETWORK: the program of network.c

PyTorch's model is given seeded random weights, saved, made a safetensors file by scripts/safetensors.py and read by libmcl; the
embedding, a training step's output and gradients, and ten steps of Adam are compared with PyTorch's in float64. What libmcl has trained
goes the way back, strictly, and must embed in PyTorch as in libmcl.

torchvision's models are used where it is installed, and held against those of tests/golden/torch_models.py, which stand in for them
elsewhere. Without PyTorch: exit status 77.

Two things make networks of this depth differ between any two float32 programs, PyTorch's own float32 and float64 too, by more than
rounding: a number in front of a ReLU or a maximum that is 0 but for rounding falls to the one side or the other, and Adam divides gradients
that are nothing but rounding by themselves. So the biases of batch norms are moved until no such number is near 0 (settle); the
last batch norm of each block is scaled by .1, which keeps 16 blocks from multiplying what rounding left; and Adam has an epsilon of a
third of a gradient's usual size.
"""
import importlib.util
import pathlib
import subprocess
import sys

try:
    import torch
except ImportError:
    print("no PyTorch here")
    sys.exit(77)
try:
    import torchvision
except ImportError:
    torchvision = None

HERE = pathlib.Path(__file__).resolve().parent
CONVERTER = HERE.parents[1] / "scripts/safetensors.py"
sys.path.insert(0, str(HERE.parent / "golden"))
import torch_models
from torch_models import ResNet, Vit, dense_projection

spec = importlib.util.spec_from_file_location("converter", CONVERTER)
converter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(converter)

torch.backends.mkldnn.enabled = False  # PyTorch 1.13 of Debian 12 crashes with it in some convolutions
torch.set_num_threads(1)
STEPS, RATE, EPSILON = 10, 1e-4, 1e-2
FORWARD, GRADIENT, TRAINED = 1e-4, 1e-3, 1e-2
MOVED = 5e-2  # weights move a hundredth in the steps: what has moved is asked for itself
MARGIN = 1e-5  # of a channel's deviation, ten times what rounding leaves: the seeds are those whose maxima have it
SIDE = {"resnet18": 33, "resnet50": 33, "vit": 32}
ROWS = {"resnet18": 8, "resnet50": 4, "vit": 8}
SEED = {"resnet18": 3, "resnet50": 3, "vit": 0}
NETWORK = {"resnet18": "resnet 18 33 1 0 10", "resnet50": "resnet 50 33 1 0 0", "vit": "vit 32 8 4 3 48 96 24 16 1"}


def ours(name):
    if name == "vit":
        return Vit(32, 8, 4, 3, 48, 96, dense_projection(48, 24, 16))
    return ResNet(int(name[6:]), torch.nn.Linear(512, 10) if name == "resnet18" else None)


def theirs(name):
    if name == "vit":
        net = torchvision.models.VisionTransformer(32, 8, 4, 3, 48, 96)
        net.heads = dense_projection(48, 24, 16)
        return net
    net = getattr(torchvision.models, name)(num_classes=10)
    if name == "resnet50":
        net.fc = torch.nn.Identity()
    return net


def fill(net, seed):
    """Every number at random, batch norms' figures too."""
    torch.manual_seed(seed)
    for name, m in net.named_modules():
        if isinstance(m, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(m, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
            m.weight.data.uniform_(0.5, 1.5)
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.uniform_(-0.1, 0.1)
            m.running_var.uniform_(0.5, 1.5)
    for m in net.modules():
        if hasattr(m, "downsample"):
            getattr(m, "bn3" if hasattr(m, "bn3") else "bn2").weight.data.mul_(0.1)
    for name, p in net.named_parameters():
        if name.endswith("bias"):
            p.data.uniform_(-0.25, 0.25)
        if p.ndim == 2:
            p.data.normal_(0, p.shape[1] ** -0.5)
        if p.ndim == 3:  # class token, positions
            p.data.normal_(0, 0.5)


def data(net, name, seed):
    torch.manual_seed(1000 + seed)
    x = torch.randn(ROWS[name], 3, SIDE[name], SIDE[name])
    z = net.eval()(x)
    return x, torch.randn(z.shape) / len(x)


def clear(y):
    """What to add to each channel for its numbers to be far from 0: the middle of the largest gap within .3 deviations."""
    shifts = []
    for channel in y.transpose(0, 1).flatten(1):
        edge = 0.3 * channel.std()
        near = torch.cat([channel[channel.abs() < edge], edge[None], -edge[None]]).sort().values
        gaps = near.diff()
        shifts.append(-near[gaps.argmax()] - gaps.max() / 2)
    return torch.stack(shifts)


def settle(net, exact, x):
    """Moves the biases of both, of batch norms in front of ReLUs."""
    last, hooks = [], []

    def relu(_, inputs):
        shift = clear(inputs[0])
        for bias in (exact.get_parameter(last[0] + ".bias"), net.get_parameter(last[0] + ".bias")):
            bias.data.add_(shift.to(bias.dtype))
        return (inputs[0] + shift.reshape(1, -1, 1, 1),)

    for name, m in exact.named_modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            hooks.append(m.register_forward_hook(lambda *_, name=name: last.__setitem__(slice(None), [name])))
        if isinstance(m, torch.nn.ReLU):
            hooks.append(m.register_forward_pre_hook(relu))
    with torch.no_grad():
        exact.train()(x)
    for hook in hooks:
        hook.remove()


def embed(net, x):
    """libmcl's embedding: of a vision transformer behind its dense layer."""
    z = torch_models.embed(net, x)
    return net.heads[0](z).detach() if hasattr(net, "heads") else z


def double(net, name):
    """The same in float64."""
    other = (theirs if torchvision else ours)(name).double()
    other.load_state_dict({key: t.double() if t.is_floating_point() else t for key, t in net.state_dict().items()})
    return other


def train(net, x, gradient):
    adam, found = torch.optim.Adam(net.parameters(), lr=RATE, eps=EPSILON), {}
    net.train()
    for step in range(STEPS):
        adam.zero_grad()
        z = net(x)
        (z * gradient).sum().backward()
        if step == 0:
            found["output"] = z.detach()
            found.update((f"gradient.{name}", p.grad.clone()) for name, p in net.named_parameters())
        adam.step()
    return found


def far(got, wanted):
    return ((got.double() - wanted.double()).abs().max() / wanted.double().abs().max()).item()


def apart(got, wanted):
    return ((got.double().flatten() - wanted.double().flatten()).norm() / wanted.double().norm()).item()


def check(name, what, worst, limit):
    print(f"{name:9} {what:40} {worst:.1e} of {limit:.0e}")
    assert worst <= limit, (name, what, worst)


def convert(source, target):
    subprocess.run([sys.executable, CONVERTER, source, target], check=True)


def there(name, net, x, gradient, folder, program):
    """From PyTorch to libmcl. Gives what libmcl has found."""
    if name != "vit":
        settle(net, double(net, name), x.double())
        nearest = torch_models.margin(double(net, name), x.double())
        assert nearest >= MARGIN, (name, nearest)
    exact = double(net, name)
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, folder / "model.pth")
    convert(folder / "model.pth", folder / "model.safetensors")
    converter.save({"images": x.permute(0, 2, 3, 1), "gradient": gradient,
                    "optimiser": torch.tensor([RATE, EPSILON, STEPS])}, folder / "data.safetensors")
    subprocess.run([program, folder, *NETWORK[name].split()], check=True)
    found = converter.load(folder / "out.safetensors")
    x, gradient = x.double(), gradient.double()
    check(name, "embedding", far(found["embedding"], embed(exact, x)), FORWARD)
    wanted = train(exact, x, gradient)
    check(name, "output in training", far(found["output"], wanted.pop("output")), FORWARD)
    check(name, "gradient of a tensor, at most", max(apart(found[key], g) for key, g in wanted.items()), GRADIENT)
    check(name, "embedding after the steps", far(found["trained"], embed(exact, x)), TRAINED)
    trained = converter.load(folder / "trained.safetensors")
    state = {key: t for key, t in exact.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert set(trained) == set(state), set(trained) ^ set(state)
    check(name, "tensor after the steps, at most", max(apart(trained[key], t) for key, t in state.items()), TRAINED)
    moved = torch.cat([(p.detach() - net.state_dict()[key]).flatten() for key, p in exact.named_parameters()])
    missed = torch.cat([(trained[key] - p.detach()).flatten() for key, p in exact.named_parameters()])
    check(name, "what the steps have moved", (missed.norm() / moved.norm()).item(), MOVED)
    return found


def back(name, x, found, folder):
    """From libmcl to PyTorch."""
    convert(folder / "trained.safetensors", folder / "trained.pth")
    net = (theirs if torchvision else ours)(name)
    net.load_state_dict(torch.load(folder / "trained.pth"), strict=True)
    check(name, "libmcl's weights in PyTorch", far(embed(net, x), found["trained"]), FORWARD)


def stand_in(name):
    """The models of torch_models.py are torchvision's."""
    one, other = ours(name), theirs(name)
    fill(other, 1)
    one.load_state_dict(other.state_dict(), strict=True)
    x = data(one, name, 1)[0]
    assert torch.equal(one.eval()(x), other.eval()(x)), name


def made(name, seed):
    net = (theirs if torchvision else ours)(name)
    fill(net, seed)
    return net, *data(net, name, seed)


def main(program, scratch):
    print("torch", torch.__version__, "torchvision", torchvision and torchvision.__version__)
    for name in SEED:
        folder = pathlib.Path(scratch) / name
        folder.mkdir(parents=True, exist_ok=True)
        if torchvision:
            stand_in(name)
        net, x, gradient = made(name, SEED[name])
        back(name, x, there(name, net, x, gradient, folder, program), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
