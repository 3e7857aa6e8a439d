#!/usr/bin/python3
"""The peers of bench_probe.c on the same rows, with as many threads as cores: scikit-learn, PyTorch and faiss where there are.

Prints one JSON line a case. Ratios hold for two programs run one after the other on an idle machine.
"""
import json
import time

import numpy as np

ROWS, TESTS, DIM, CLASSES, APART, TIMES, L2 = 60000, 10000, 128, 10, 0.5, 3, 1e-6


def unit(stream, n):
    z = np.arange(n, dtype=np.uint64) + (np.uint64(stream) << np.uint64(32))
    with np.errstate(over="ignore"):
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def rows(stream, n):
    y = (unit(stream, n) * CLASSES).astype(np.int64)
    z = unit(99, CLASSES * DIM).reshape(CLASSES, DIM)[y] * APART - 2
    for s in range(1, 5):
        z += unit(stream + s, n * DIM).reshape(n, DIM)
    return z.astype(np.float32), y


def fastest(name, call):
    best, more = None, {}
    for _ in range(TIMES):
        began = time.perf_counter()
        more = call() or {}
        ms = (time.perf_counter() - began) * 1e3
        best = ms if best is None else min(best, ms)
    print(json.dumps({"bench": "probe", "case": name, "ms": round(best, 1), **more}), flush=True)


z, y = rows(10, ROWS)
t, ty = rows(20, TESTS)
mean, sd = z.mean(0), z.std(0)
x, tx = (z - mean) / sd, (t - mean) / sd


def loss_of(w, b):
    s = x.astype(np.float64) @ w.T + b
    s -= s.max(1, keepdims=True)
    return float((np.log(np.exp(s).sum(1)) - s[np.arange(ROWS), y]).mean() + L2 * (w**2).sum())


def scikit_linear():
    from sklearn.linear_model import LogisticRegression

    fit = LogisticRegression(C=1 / (2 * L2 * ROWS), tol=1e-6 * ROWS, max_iter=2000).fit(x, y)
    return {"loss": loss_of(fit.coef_, fit.intercept_), "accuracy": float((fit.predict(tx) == ty).mean())}


def torch_linear():
    import torch

    xs, ys = torch.from_numpy(x), torch.from_numpy(y)
    w = torch.zeros(CLASSES, DIM, requires_grad=True)
    b = torch.zeros(CLASSES, requires_grad=True)
    steps = torch.optim.LBFGS([w, b], max_iter=2000, tolerance_grad=1e-6, tolerance_change=0, history_size=20,
                              line_search_fn="strong_wolfe")

    def closure():
        steps.zero_grad()
        loss = torch.nn.functional.cross_entropy(xs @ w.T + b, ys) + L2 * (w**2).sum()
        loss.backward()
        return loss

    steps.step(closure)
    guess = (torch.from_numpy(tx) @ w.T + b).argmax(1).numpy()
    return {"loss": loss_of(w.detach().numpy(), b.detach().numpy()), "accuracy": float((guess == ty).mean())}


def scikit_knn():
    from sklearn.neighbors import NearestNeighbors

    unit_z = z / np.linalg.norm(z, axis=1, keepdims=True)
    NearestNeighbors(n_neighbors=20, algorithm="brute").fit(unit_z).kneighbors(
        t / np.linalg.norm(t, axis=1, keepdims=True), return_distance=False)


def faiss_knn():
    import faiss

    index = faiss.IndexFlatIP(DIM)
    unit_z = z / np.linalg.norm(z, axis=1, keepdims=True)
    index.add(unit_z)
    index.search(t / np.linalg.norm(t, axis=1, keepdims=True), 20)


for name, call in (("linear scikit-learn", scikit_linear), ("linear pytorch", torch_linear),
                   ("knn scikit-learn", scikit_knn), ("knn faiss", faiss_knn)):
    try:
        fastest(name, call)
    except ImportError as missing:
        print(json.dumps({"bench": "probe", "case": name, "missing": str(missing)}))
