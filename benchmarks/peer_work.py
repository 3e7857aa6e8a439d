"""The work of each benchmark as its peers do it. peers.py runs this.

A Part a program. A peer is made by a function that imports what it needs (an ImportError: it is
reported as missing) and returns two: the call that is timed, and what turns its result into fields
that our program printed, or that only peers have.
"""
import ctypes
import functools
import io
import sys
import typing

import peer_networks
from peer_inputs import (CLASSES, DIM, cells, classed, encoded, fashion, files, loss_rows, mixture, np,
                         square)

TEMPERATURE = 0.5


class Part(typing.NamedTuple):
    program: str
    wanted: typing.Callable  # of the name of a case: whether it has peers
    inputs: typing.Callable  # of our program's line: makes the peers' inputs, which are kept
    peers: typing.Callable  # of that line: a dictionary of functions that make peers, by name
    agree: dict  # the relative difference allowed, by benchmark and field
    at_most: dict = {}  # the same, where ours may be any smaller
    times: int = 5
    warm: int = 1  # calls after which a peer's memory has been at its most


def set_threads(n):
    try:
        ctypes.CDLL("libgomp.so.1").omp_set_num_threads(n)
    except OSError:  # no peer uses OpenMP then
        pass
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(n)


def anything(_):
    return True


# ---- matrix products ----


def gemm_peers(line):
    n = line["rows"]

    def answer(c):
        squares = (c.astype(np.float64) ** 2).sum(1)
        return {"checksum": float(squares @ np.arange(1, n + 1) / float(n) ** 4)}

    def with_numpy():
        a, b, c = square(1, n), square(2, n), np.empty((n, n), np.float32)
        return lambda: np.matmul(a, b, out=c), answer

    def with_torch():
        import torch

        a, b, c = torch.from_numpy(square(1, n)), torch.from_numpy(square(2, n)), torch.empty(n, n)
        return lambda: torch.mm(a, b, out=c), lambda c: answer(c.numpy())

    return {"numpy": with_numpy, "PyTorch": with_torch}


GEMM = Part("bench_gemm", anything, lambda line: (square(1, line["rows"]), square(2, line["rows"])),
            gemm_peers, {"gemm": {"checksum": 1e-5}}, times=10)


# ---- k-means ----


def fit_rows(line):
    return (fashion if line["case"].startswith("fashion") else mixture)(line["rows"])


def kmeans_peers(line):
    def with_scikit():
        from sklearn.cluster import KMeans, MiniBatchKMeans

        x, k = fit_rows(line), line["k"]
        few = {"n_clusters": k, "init": x[:k].copy(), "n_init": 1,
               "max_iter": line["max_iterations"]}
        if line["bench"] == "minibatch":
            fit = MiniBatchKMeans(**few, batch_size=4096, random_state=0)
        else:
            fit = KMeans(**few, tol=1e-4, algorithm="lloyd")

        def answer(f):
            return {"inertia": float(f.inertia_) / len(x), "iterations": int(f.n_iter_)}

        return lambda: fit.fit(x), answer

    return {"scikit-learn": with_scikit}


KMEANS = Part("bench_kmeans", anything, fit_rows, kmeans_peers, {"kmeans": {"inertia": 1e-3}},
              {"minibatch": {"inertia": 5e-3}}, times=3)


def seeding_peers(line):
    def with_scikit():
        from sklearn.cluster import kmeans_plusplus

        x = mixture(line["rows"])

        def answer(result):
            centres, total = result[0].astype(np.float64), 0
            for part in np.array_split(x.astype(np.float64), 1 + len(x) // 10000):
                d = (part**2).sum(1)[:, None] - 2 * part @ centres.T + (centres**2).sum(1)
                total += d.min(1).sum()
            return {"inertia": float(total) / len(x)}

        return lambda: kmeans_plusplus(x, line["k"], random_state=0), answer

    return {"scikit-learn": with_scikit}


SEEDING = Part("bench_seeding", anything, fit_rows, seeding_peers, {"seeding": {"inertia": 0.02}},
               times=3)


# ---- losses, forward and backward ----


def loss_peers(line):
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

    def with_torch(call):
        import torch

        a, b = (torch.from_numpy(loss_rows(seed, line["rows"])) for seed in (1, 2))

        def answer(result):
            value, gradients = result
            return {"loss": float(value), "gradient": float(gradients.double().norm())}

        return lambda: call(torch, a, b), answer

    by_hand = {"nt_xent": nt_xent_by_hand, "clip": info_nce_by_hand}[line["bench"]]
    plain = functools.partial(autograd, {"nt_xent": nt_xent, "clip": info_nce}[line["bench"]])
    return {"PyTorch, by hand": functools.partial(with_torch, by_hand),
            "PyTorch, autograd": functools.partial(with_torch, plain)}


AGREE = {"loss": 1e-5, "gradient": 1e-4}
LOSS = Part("bench_loss", lambda name: name.endswith("-128"),
            lambda line: [loss_rows(seed, line["rows"]) for seed in (1, 2)], loss_peers,
            {"nt_xent": AGREE, "clip": AGREE}, times=7)


# ---- probes ----


def probe_rows(line):
    return classed(10, line["rows"]), classed(20, line["rows"] // 6)


def probe_peers(line):
    rows = line["rows"]
    l2 = 1e-6

    def standardised():
        (z, y), (t, ty) = probe_rows(line)
        mean, deviation = z.mean(0), z.std(0)
        return (z - mean) / deviation, y, (t - mean) / deviation, ty

    def linear_answer(w, b):
        x, y, t, ty = standardised()
        s = x.astype(np.float64) @ w.T + b
        s -= s.max(1, keepdims=True)
        value = float((np.log(np.exp(s).sum(1)) - s[np.arange(rows), y]).mean() + l2 * (w**2).sum())
        return {"loss": value, "accuracy": float(((t @ w.T + b).argmax(1) == ty).mean())}

    def scikit_linear():
        from sklearn.linear_model import LogisticRegression

        x, y, _, _ = standardised()
        fit = LogisticRegression(C=1 / (2 * l2 * rows), tol=1e-6 * rows, max_iter=2000)
        return lambda: fit.fit(x, y), lambda f: linear_answer(f.coef_, f.intercept_)

    def torch_linear():
        import torch

        x, y = (torch.from_numpy(a) for a in standardised()[:2])

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

        return fit, lambda r: linear_answer(*(v.detach().double().numpy() for v in r))

    def nearest(search):
        """Everything that mcl_probe_knn() does is timed: normalising, the search, the vote."""

        def make():
            find = search()
            (z, y), (t, ty) = probe_rows(line)

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

    if line["bench"] == "linear-probe":
        return {"PyTorch": torch_linear, "scikit-learn": scikit_linear}
    return {"faiss": nearest(faiss_search), "PyTorch": nearest(torch_search),
            "scikit-learn": nearest(scikit_search)}


PROBE = Part("bench_probe", lambda name: name.split()[0] in ("linear-probe", "knn"), probe_rows,
             probe_peers, {"linear-probe": {"loss": 1e-3, "accuracy": 3e-3},
                           "knn": {"accuracy": 2e-3}}, times=3)


# ---- batches ----


def batches_peers(line):
    rows, batch = line["rows"], 256

    def with_numpy():
        cell = cells(rows)
        order = np.argsort(cell, kind="stable")
        members = np.split(order, np.bincount(cell).cumsum()[:-1])
        random = np.random.default_rng(0)

        def call():
            made = []
            for member in members:
                drawn = random.permutation(member)
                made += [drawn[i : i + batch] for i in range(0, len(drawn), batch)]
            return [made[i] for i in random.permutation(len(made))]

        def answer(made):
            return {"sum": sum(int(b.sum()) for b in made) - rows * (rows - 1) // 2}

        return call, answer

    return {"numpy": with_numpy}


BATCHES = Part("bench_batches", lambda name: name in ("batches 1e6", "batches 1e7", "batches 1e8"),
               lambda line: cells(line["rows"]), batches_peers, {"batches": {"sum": 0}})


# ---- decoding ----


def decode_inputs(line):
    return files(line["folder"], line["case"], line["images"])


def decode_peers(line):
    """difference: from our result, the mean in grey levels. Only Pillow resizes by our filter."""

    def decoding(decode):
        def make():
            into = decode()
            encoded, ours = decode_inputs(line)
            out = np.empty_like(ours)

            def call():
                for bytes_of, image in zip(encoded, out):
                    into(bytes_of, image)
                return out

            def answer(out):
                difference = float(np.abs(out.astype(np.int16) - ours).mean())
                return {"difference": round(difference, 3)}

            return call, answer

        return make

    def opencv(kind):
        import cv2

        how = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR}[kind]

        def into(encoded, image):
            whole = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
            small = cv2.resize(whole, image.shape[1::-1], interpolation=how)
            cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=image)

        return into

    def pillow():
        from PIL import Image

        def into(encoded, image):
            whole = Image.open(io.BytesIO(encoded)).convert("RGB")
            image[:] = np.asarray(whole.resize(image.shape[1::-1], Image.BILINEAR))

        return into

    return {"OpenCV, area": decoding(functools.partial(opencv, "area")),
            "OpenCV, linear": decoding(functools.partial(opencv, "linear")),
            "Pillow, antialiased": decoding(pillow)}


def views_inputs(line):
    return encoded(line["folder"], line["case"].split("-")[0], line["images"])


def opencv_view(cv2, random, image, into):
    """SimCLR's view of bytes in OpenCV's 8-bit operations, then float32. Crops are whole pixels."""
    h, w = image.shape[:2]
    for _ in range(10):
        side = (random.uniform(0.08, 1) * h * w)**0.5
        root = np.exp(random.uniform(-1, 1) * np.log(4 / 3) / 2)
        ch, cw = round(side / root), round(side * root)
        if ch <= h and cw <= w:
            break
    else:
        ch, cw = h, w
    y, x = random.integers(h - ch + 1), random.integers(w - cw + 1)
    v = cv2.resize(image[y:y + ch, x:x + cw], (w, h), interpolation=cv2.INTER_LINEAR)
    if random.random() < 0.5:
        v = cv2.flip(v, 1)
    if random.random() < 0.8:
        for change in random.permutation(4):
            f = random.uniform(0.2, 1.8)
            if change == 0:
                v = cv2.convertScaleAbs(v, alpha=f)
            elif change == 1:
                mean = cv2.mean(cv2.cvtColor(v, cv2.COLOR_RGB2GRAY))[0]
                v = cv2.addWeighted(v, f, v, 0, (1 - f) * mean)
            elif change == 2:
                luma = cv2.cvtColor(cv2.cvtColor(v, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
                v = cv2.addWeighted(v, f, luma, 1 - f, 0)
            else:
                v = cv2.cvtColor(v, cv2.COLOR_RGB2HSV_FULL)
                v[..., 0] += np.uint8(round(256 * random.uniform(-0.2, 0.2)) % 256)
                v = cv2.cvtColor(v, cv2.COLOR_HSV2RGB_FULL)
    if random.random() < 0.2:
        v = cv2.cvtColor(cv2.cvtColor(v, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if random.random() < 0.5:
        v = cv2.GaussianBlur(v, (23, 23), random.uniform(0.1, 2))
    np.multiply(v, np.float32(1 / 255), out=into)


def views_peers(line):
    """Files to two views each; files are shared among threads of Python, which OpenCV runs beside."""

    def opencv(kind):
        import concurrent.futures

        import cv2

        how = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR}[kind]
        folder, name, n = line["folder"], line["case"].split("-")[0], line["images"]
        views = np.empty((2, n, 224, 224, 3), np.float32)
        pool = concurrent.futures.ThreadPoolExecutor(line["threads"])

        def one(i):
            whole = cv2.imread(f"{folder}/{i}.{name}", cv2.IMREAD_COLOR)
            small = cv2.resize(whole, (224, 224), interpolation=how)
            image = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
            random = np.random.default_rng(i)
            for v in views[:, i]:
                opencv_view(cv2, random, image, v)

        def all_files():
            cv2.setNumThreads(1)  # here and not in the pool: OpenCV crashes when two threads say so
            return list(pool.map(one, range(n)))

        return all_files, lambda _: {}

    return {"OpenCV, area": functools.partial(opencv, "area"),
            "OpenCV, linear": functools.partial(opencv, "linear")}


def of(bench, decode, views):
    """Two benchmarks of one program: what each line's own function makes."""
    return lambda line: (decode if line["bench"] == bench else views)(line)


DECODE = Part("bench_decode", lambda name: "x" not in name, of("decode", decode_inputs, views_inputs),
              of("decode", decode_peers, views_peers), {})


# ---- networks ----

TRAIN = Part("bench_train", lambda name: name.split()[1] in peer_networks.SIZES,
             lambda line: peer_networks.inputs(line["case"]), peer_networks.peers, {}, times=80,
             warm=2)

PARTS = {"gemm": GEMM, "kmeans": KMEANS, "seeding": SEEDING, "loss": LOSS, "train": TRAIN,
         "probe": PROBE, "batches": BATCHES, "decode": DECODE}


def same(part, line, peer, found):
    """Whether both found the same answer; None where answers are not compared."""
    if peer.startswith("Pillow"):
        return found["difference"] <= 1
    bench = line["bench"]
    fields, at_most = part.agree.get(bench), part.at_most.get(bench)
    if at_most:
        return all(line[f] <= found[f] * (1 + d) for f, d in at_most.items())
    if fields is None:
        return None
    return all(abs(found[f] - line[f]) <= d * abs(line[f]) for f, d in fields.items())
