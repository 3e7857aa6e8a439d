"""The work of each benchmark as its peers do it. peers.py runs this.

A function a benchmark: it runs our program, then each peer at the same case. A peer is made by a
function that imports what it needs (an ImportError: it is reported as missing) and returns two: the
call that is timed, and what turns its result into the fields that our program printed.
"""
import functools
import gzip
import os
import tempfile

from peer_inputs import CLASSES, DIM, FASHION, classed, fashion, loss_rows, mixture, np, square
from peer_networks import train

TEMPERATURE = 0.5


# ---- matrix products ----


def gemm(run):
    def answer(c):
        n = len(c)
        squares = (c.astype(np.float64) ** 2).sum(1)
        return {"checksum": float(squares @ np.arange(1, n + 1) / float(n) ** 4)}

    def with_numpy(n):
        a, b, c = square(1, n), square(2, n), np.empty((n, n), np.float32)
        return lambda: np.matmul(a, b, out=c), answer

    def with_torch(n):
        import torch

        a, b, c = torch.from_numpy(square(1, n)), torch.from_numpy(square(2, n)), torch.empty(n, n)
        return lambda: torch.mm(a, b, out=c), lambda c: answer(c.numpy())

    for line in run.ours("bench_gemm", *([256] if run.quick else [])):
        n = int(line["case"].split("-")[1])
        for name, make in (("numpy", with_numpy), ("PyTorch", with_torch)):
            run.peer(line, name, functools.partial(make, n), {"checksum": 1e-5})


# ---- k-means ----


def kmeans(run):
    def with_scikit(x, k):
        from sklearn.cluster import KMeans

        x = x()
        fit = KMeans(k, init=x[:k].copy(), n_init=1, max_iter=100, tol=1e-4, algorithm="lloyd")

        def answer(f):
            return {"inertia": float(f.inertia_) / len(x), "iterations": int(f.n_iter_)}

        return lambda: fit.fit(x), answer

    rows = 5000 if run.quick else 100000
    inputs = {"mixture": lambda: mixture(rows), "images": fashion}
    titles = {"images": "fashion-mnist"}
    with tempfile.NamedTemporaryFile(suffix="-idx3-ubyte") as unpacked:
        arguments = [rows, DIM, run.threads]
        if os.path.exists(FASHION) and not run.quick:
            unpacked.write(gzip.open(FASHION).read())
            unpacked.flush()
            arguments.append(unpacked.name)
        lines = run.ours("bench_kmeans", *arguments)
    for line in lines:
        if line["init"] == "given":
            name, k = line["case"].split("-")
            make = functools.partial(with_scikit, inputs[name], int(k))
            line["case"] = f"{titles.get(name, name)}-{k}"
            run.peer(line, "scikit-learn", make, {"inertia": 1e-3})


# ---- losses, forward and backward ----


def loss(run):
    tau = TEMPERATURE

    def normalised_backward(torch, x, u, du):
        return (du - u * (u * du).sum(1, keepdim=True)) / x.norm(dim=1, keepdim=True)

    # Scores are at most 1 / tau, which is 2 here: no row needs its own maximum.
    def nt_xent_by_hand(torch, a, b):
        x = torch.cat([a, b])
        n, m = len(a), len(x)
        u = torch.nn.functional.normalize(x)
        e = (u / tau) @ u.T
        positive = e.diagonal(n).clone()
        e.sub_(1 / tau).exp_().fill_diagonal_(0)
        r = 1 / e.sum(1)
        value = (1 / tau - r.log()).mean() - positive.mean()
        e.mul_(r[:, None] + r)
        du = (e @ u - 2 * torch.cat([u[n:], u[:n]])) / (m * tau)
        return value, normalised_backward(torch, x, u, du)

    def info_nce_by_hand(torch, a, b):
        u, v = torch.nn.functional.normalize(a), torch.nn.functional.normalize(b)
        e = (u / tau) @ v.T
        positive = e.diagonal().clone()
        e.sub_(1 / tau).exp_()
        r, c = 1 / e.sum(1), 1 / e.sum(0)
        value = 1 / tau - (r.log().mean() + c.log().mean()) / 2 - positive.mean()
        e.mul_(r[:, None] + c)
        scale = 1 / (2 * len(a) * tau)
        du, dv = (e @ v - 2 * v) * scale, (e.T @ u - 2 * u) * scale
        da, db = normalised_backward(torch, a, u, du), normalised_backward(torch, b, v, dv)
        return value, torch.cat([da, db])

    def autograd(forward, torch, a, b):
        a, b = a.detach().requires_grad_(), b.detach().requires_grad_()
        value = forward(torch.nn.functional, torch, a, b)
        value.backward()
        return value.detach(), torch.cat([a.grad, b.grad])

    def nt_xent(F, torch, a, b):
        u, n = F.normalize(torch.cat([a, b])), len(a)
        s = (u @ u.T / tau).fill_diagonal_(-float("inf"))
        return F.cross_entropy(s, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))

    def info_nce(F, torch, a, b):
        s, own = F.normalize(a) @ F.normalize(b).T / tau, torch.arange(len(a))
        return (F.cross_entropy(s, own) + F.cross_entropy(s.T, own)) / 2

    def with_torch(call, n):
        import torch

        a, b = torch.from_numpy(loss_rows(1, n)), torch.from_numpy(loss_rows(2, n))

        def answer(result):
            value, gradients = result
            return {"loss": float(value), "gradient": float(gradients.double().norm())}

        return lambda: call(torch, a, b), answer

    by_hand = {"nt_xent": nt_xent_by_hand, "info_nce": info_nce_by_hand}
    plain = {"nt_xent": nt_xent, "info_nce": info_nce}
    for line in run.ours("bench_loss", run.threads, *([256] if run.quick else [])):
        if line["cells"] > 1 or line["temperature"] != tau:
            continue
        kind, rows = line["bench"], int(line["case"].split("-")[0])
        n = rows // 2 if kind == "nt_xent" else rows
        agree = {"loss": 1e-5, "gradient": 1e-4}
        for name, call in (
            ("PyTorch, by hand", by_hand[kind]),
            ("PyTorch, autograd", functools.partial(autograd, plain[kind])),
        ):
            run.peer(line, name, functools.partial(with_torch, call, n), agree)


# ---- probes ----


def probe(run):
    l2 = 1e-6

    def standardised(rows):
        (z, y), (t, ty) = classed(10, rows), classed(20, rows // 6)
        mean, deviation = z.mean(0), z.std(0)
        return (z - mean) / deviation, y, (t - mean) / deviation, ty

    def linear_answer(rows, w, b):
        x, y, t, ty = standardised(rows)
        s = x.astype(np.float64) @ w.T + b
        s -= s.max(1, keepdims=True)
        value = float((np.log(np.exp(s).sum(1)) - s[np.arange(rows), y]).mean() + l2 * (w**2).sum())
        return {"loss": value, "accuracy": float(((t @ w.T + b).argmax(1) == ty).mean())}

    def scikit_linear(rows):
        from sklearn.linear_model import LogisticRegression

        x, y, _, _ = standardised(rows)
        fit = LogisticRegression(C=1 / (2 * l2 * rows), tol=1e-6 * rows, max_iter=2000)
        return lambda: fit.fit(x, y), lambda f: linear_answer(rows, f.coef_, f.intercept_)

    def torch_linear(rows):
        import torch

        x, y = (torch.from_numpy(a) for a in standardised(rows)[:2])

        def fit():
            w = torch.zeros(CLASSES, DIM, requires_grad=True)
            b = torch.zeros(CLASSES, requires_grad=True)
            steps = torch.optim.LBFGS(
                [w, b],
                max_iter=2000,
                tolerance_grad=1e-6,
                tolerance_change=0,
                history_size=20,
                line_search_fn="strong_wolfe",
            )

            def closure():
                steps.zero_grad()
                value = torch.nn.functional.cross_entropy(x @ w.T + b, y) + l2 * (w**2).sum()
                value.backward()
                return value

            steps.step(closure)
            return w, b

        return fit, lambda r: linear_answer(rows, *(v.detach().double().numpy() for v in r))

    def nearest(search):
        """Everything that mcl_probe_knn() does is timed: normalising, the search, the vote."""

        def make(rows):
            find = search()
            (z, y), (t, ty) = classed(10, rows), classed(20, rows // 6)

            def call():
                found = find(*(a / np.linalg.norm(a, axis=1, keepdims=True) for a in (z, t)))
                labels = y[found]
                tally = (labels[:, :, None] == np.arange(CLASSES)).sum(1)
                most = np.take_along_axis(tally, labels, 1) == tally.max(1, keepdims=True)
                return labels[np.arange(len(t)), most.argmax(1)]

            return call, lambda guess: {"accuracy": float((guess == ty).mean())}

        return make

    def scikit_search():
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=20, algorithm="brute")
        return lambda z, t: search.fit(z).kneighbors(t, return_distance=False)

    def torch_search():
        import torch

        def find(z, t):
            z, parts = torch.from_numpy(z), torch.from_numpy(t).split(1000)
            return torch.cat([(part @ z.T).topk(20).indices for part in parts]).numpy()

        return find

    def faiss_search():
        import faiss

        def find(z, t):
            index = faiss.IndexFlatIP(DIM)
            index.add(z)
            return index.search(t, 20)[1]

        return find

    peers = {"linear": (("PyTorch", torch_linear), ("scikit-learn", scikit_linear)),
             "knn": (("faiss", nearest(faiss_search)), ("PyTorch", nearest(torch_search)),
                     ("scikit-learn", nearest(scikit_search)))}
    for line in run.ours("bench_probe", run.threads, 6000 if run.quick else 60000):
        kind, rows = line["case"].rsplit("-", 1)
        agree = {"loss": 1e-3, "accuracy": 3e-3} if kind == "linear" else {"accuracy": 2e-3}
        for name, make in peers.get(kind, ()):
            run.peer(line, name, functools.partial(make, int(rows)), agree)


PARTS = {f.__name__: f for f in (gemm, kmeans, loss, train, probe)}
