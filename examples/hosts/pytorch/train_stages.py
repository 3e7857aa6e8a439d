#!/usr/bin/python3
"""Stages of a ResNet-18 and of a vision transformer: PyTorch trains, libmcl says on what.

    train_stages.py [--network resnet18|vit] [--workers 2] [--rows 2000] ...

The images are Fashion-MNIST's, each with a code of four random bits as two channels of one colour.
Both views of an image share the code: a network learns it first and has little need of the clothes.
The table says what the nearest neighbours know after each stage: the code, and the clothes.

The loop is pulled (libmcl.Multistage): epochs, optimiser, loaders, autograd stay PyTorch's, no
callback is involved, and what has to be right about stages (their order, clusters, cells, reports,
what is saved) is libmcl's. The parts alone, Sampler and KMeans, would do for less of that; a network
behind libmcl's table of callbacks would turn PyTorch's own loop inside out.

Loaders work ahead of the loop all the same: a batch is a function of epoch and step, so they ask the
stage's sampler for the batches that the loop is going to hand out.
"""
import argparse
import gzip

import numpy
import torch
import torchvision

import libmcl

# PyTorch 1.13 of Debian 12 crashes in some convolutions of oneDNN's.
torch.backends.mkldnn.enabled = False
SIDE, CODES, PROJECTION = 28, 16, 32


def idx(path):
    """An IDX file: two bytes of zeros, a type, which is uint8 here, and its dimensions."""
    with gzip.open(path) as file:
        data = file.read()
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(data[3])]
    return torch.from_numpy(numpy.frombuffer(data, "u1", offset=4 + 4 * len(shape)).reshape(shape)
                            .copy())


class Images(torch.utils.data.Dataset):
    """Two views of a row, which are a function of run, stage, epoch and row: the same in any
    worker. `at` is (stage, epoch)."""

    def __init__(self, options, part, rows):
        g = torch.Generator().manual_seed(options.seed + len(part))
        self.clothes = idx(f"{options.data}/{part}-labels-idx1-ubyte.gz")[:rows].int()
        self.codes = torch.randint(CODES, (rows,), generator=g, dtype=torch.int32)
        self.x = torch.empty(rows, 3, SIDE, SIDE)
        self.x[:, 0] = idx(f"{options.data}/{part}-images-idx3-ubyte.gz")[:rows] / 255
        self.x[:, 1] = (self.codes % 4 / 3)[:, None, None]
        self.x[:, 2] = (self.codes // 4 / 3)[:, None, None]
        self.seed, self.at = options.seed, (0, 0)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        random = numpy.random.default_rng((self.seed, *self.at, row))
        return row, self.view(row, random), self.view(row, random)

    def view(self, row, random):
        x, (top, left) = self.x[row].clone(), random.integers(0, 9, 2)
        padded = torch.nn.functional.pad(x[:1], (4, 4, 4, 4))
        x[:1] = padded[:, top:top + SIDE, left:left + SIDE] * random.uniform(.6, 1.4)
        return x.flip(2) if random.random() < .5 else x


class Network(torch.nn.Module):
    """torchvision's, with a head for the loss, which learns its temperature too."""

    def __init__(self, kind):
        super().__init__()
        if kind == "resnet18":
            self.trunk, self.dim = torchvision.models.resnet18(), 512
            self.trunk.fc = torch.nn.Identity()
        else:
            self.trunk, self.dim = torchvision.models.VisionTransformer(
                image_size=SIDE, patch_size=7, num_layers=3, num_heads=4, hidden_dim=64,
                mlp_dim=128), 64
            self.trunk.heads = torch.nn.Identity()
        self.head = torch.nn.Sequential(torch.nn.Linear(self.dim, self.dim), torch.nn.ReLU(),
                                        torch.nn.Linear(self.dim, PROJECTION))
        self.log_temperature = torch.nn.Parameter(torch.tensor(.2).log())

    def forward(self, x):
        return self.head(self.trunk(x))

    @torch.no_grad()
    def embed(self, x):
        self.eval()
        return torch.cat([self.trunk(some) for some in x.split(256)])


class Table:
    """What the nearest neighbours of test rows know, by the embeddings of a stage and of all."""

    def __init__(self, context, train, test):
        self.context, self.train, self.test = context, train, test
        self.stages, self.integrator = ([], []), libmcl.Integrator(context)

    def judge(self, z, test_z):
        known = [libmcl.probe_knn(self.context, z, y, test_z, test_y).value for y, test_y in
                 ((self.train.codes, self.test.codes), (self.train.clothes, self.test.clothes))]
        return "code {:.2f}, clothes {:.2f}".format(*known)

    def add(self, z, test_z):
        self.integrator.add_stage(z.shape[1])
        self.stages[0].append(z)
        self.stages[1].append(test_z)
        return self.judge(z, test_z)

    def all(self):
        self.integrator.set_growth(2)
        return self.judge(*(self.integrator.concat(z) for z in self.stages))


def train_batch(context, network, adam, cells, a, b):
    network.train()
    loss = libmcl.nt_xent(context, network(a), network(b), network.log_temperature.exp(), cells)
    adam.zero_grad()
    loss.backward()
    adam.step()
    return loss.item()


def run(options, kind):
    context = libmcl.Context()
    train, test = Images(options, "train", options.rows), Images(options, "t10k", options.test_rows)
    table = Table(context, train, test)
    loop = libmcl.Multistage(context, len(train), stages=options.stages, epochs=options.epochs,
                             seed=options.seed, kmeans={"k": options.k},
                             sampler={"batch_rows": options.batch})
    for event in loop:
        if event.kind == libmcl.MCL_BEGIN_STAGE:
            torch.manual_seed(libmcl.seed(options.seed, event.stage))
            network, sampler, losses = Network(kind), loop.sampler(), []
            adam = torch.optim.Adam(network.parameters(), lr=options.rate)
            z = torch.empty(len(train), network.dim)
        if event.kind == libmcl.MCL_TRAIN_BATCH:
            if event.step == 0:
                train.at = event.stage, event.epoch
                batches = iter(torch.utils.data.DataLoader(
                    train, batch_sampler=libmcl.Batches(sampler, event.epoch),
                    num_workers=options.workers))
            rows, a, b = next(batches)
            assert torch.equal(rows, event.rows)
            losses.append(train_batch(context, network, adam, event.cells, a, b))
        if event.kind == libmcl.MCL_EMBED_ROWS:
            z[event.rows] = network.embed(train.x[event.rows])
            loop.put_embeddings(event, z[event.rows])
        if event.kind == libmcl.MCL_END_STAGE:
            report = loop.report(event.stage)
            epoch = len(losses) // options.epochs
            first, last = (sum(part) / epoch for part in (losses[:epoch], losses[-epoch:]))
            print(f"{kind}, stage {event.stage}: {report.cells} cells, loss {first:.3f} to "
                  f"{last:.3f}, temperature {network.log_temperature.exp():.3f}; neighbours know "
                  f"{table.add(z, network.embed(test.x))}", flush=True)
    print(f"{kind}, all stages: neighbours know {table.all()}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Stages of a ResNet-18 and a vision transformer.")
    parser.add_argument("--network", choices=("resnet18", "vit"), help="one of them; else both")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist",
                        help="a folder of Fashion-MNIST's files")
    for name, default in (("rows", 2000), ("test-rows", 1000), ("stages", 3), ("epochs", 8),
                          ("batch", 128), ("k", 10), ("workers", 0), ("seed", 0)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    for kind in (options.network,) if options.network else ("resnet18", "vit"):
        run(options, kind)


if __name__ == "__main__":
    main()
