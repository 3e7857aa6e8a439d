#!/usr/bin/python3
"""Writes tests/golden/probe.h: what scikit-learn says about rows that both sides make by the same formula.

Needs python3-sklearn; made with 1.2.1. Run from the source root:
    python3 tests/golden/probe.py > tests/golden/probe.h
"""
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler, normalize


def unit(stream, n):
    """splitmix64's top 24 bits as [0, 1): the same float32 here and in test_golden.c."""
    z = np.arange(n, dtype=np.uint64) + (np.uint64(stream) << np.uint64(32))
    with np.errstate(over="ignore"):
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def rows(stream, n, dim, classes, apart):
    """Class centres `apart` wide, noise of four uniforms, and features of very different scale and offset."""
    y = (unit(stream, n) * classes).astype(np.int64)
    centre = unit(99, classes * dim).reshape(classes, dim)
    noise = sum(unit(stream + 1 + k, n * dim).reshape(n, dim) for k in range(4)) - 2
    z = centre[y] * apart + noise
    k = np.arange(dim)
    z = z * 2.0 ** (k % 5 * 3 - 6) + (k % 3) * 8
    z[:, dim - 1] = 3.25  # constant
    return z.astype(np.float32), y


def linear(name, n, m, dim, classes, apart, l2):
    z, y = rows(10, n, dim, classes, apart)
    t, ty = rows(20, m, dim, classes, apart)
    scale = StandardScaler().fit(z.astype(np.float64))
    x, tx = scale.transform(z.astype(np.float64)), scale.transform(t.astype(np.float64))
    # On a mean loss: C = 1 / (2 l2 n). scikit-learn's tol is on the gradient of the sum; its lbfgs also stops when the
    # loss falls slowly, newton-cg does not.
    fit = LogisticRegression(C=1 / (2 * l2 * n), tol=1e-8 * n, max_iter=10**6, solver="newton-cg").fit(x, y)
    logp = fit.predict_log_proba(x)[np.arange(n), y]
    value = -logp.mean() + l2 * (fit.coef_**2).sum()
    print(f"  {{\"{name}\", {n}, {m}, {dim}, {classes}, {apart}, {l2}, {value:.12g}, {int((fit.predict(tx) == ty).sum())}}},")


def vote(labels):
    """The commonest label; among equals the one that comes first."""
    best = max(np.unique(labels), key=lambda l: ((labels == l).sum(), -np.argmax(labels == l)))
    return best


def knn(n, m, dim, classes, apart, k):
    z, y = rows(10, n, dim, classes, apart)
    t, ty = rows(20, m, dim, classes, apart)
    near = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="cosine").fit(z.astype(np.float64))
    of = near.kneighbors(t.astype(np.float64), return_distance=False)
    right = sum(vote(y[of[i]]) == ty[i] for i in range(m))
    print(f"  {{{n}, {m}, {dim}, {classes}, {apart}, {k}, {right}}},")


def agreement(n, a, b, mix):
    """b follows a in a share `mix` of the rows."""
    x = (unit(30, n) * a).astype(np.int64)
    y = np.where(unit(31, n) < mix, x % b, (unit(32, n) * b).astype(np.int64))
    purity = contingency_matrix(x, y).max(axis=1).sum() / n
    print(f"  {{{n}, {a}, {b}, {mix}, {normalized_mutual_info_score(x, y):.15g}, "
          f"{adjusted_rand_score(x, y):.15g}, {purity:.15g}}},")


def retrieval(n, m, dim, groups, apart, k):
    """Rows of one class are a group."""
    z, y = rows(10, n, dim, groups, apart)
    t, ty = rows(20, m, dim, groups, apart)
    near = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="cosine").fit(z.astype(np.float64))
    of = near.kneighbors(t.astype(np.float64), return_distance=False)
    keep = np.isin(ty, y)
    print(f"  {{{n}, {m}, {dim}, {groups}, {apart}, {k}, {int((y[of] == ty[:, None]).any(1)[keep].sum())}}},")


def zero_shot(n, m, dim, classes, apart):
    """Prompts and rows from the same centres."""
    z, y = rows(10, n, dim, classes, apart)
    t, ty = rows(20, m, dim, classes, apart)
    z, t = normalize(z.astype(np.float64)), normalize(t.astype(np.float64))
    prototypes = normalize(np.stack([z[y == c].mean(0) for c in range(classes)]))
    print(f"  {{{n}, {m}, {dim}, {classes}, {apart}, {int(((t @ prototypes.T).argmax(1) == ty).sum())}}},")


print("// Made by tests/golden/probe.py with scikit-learn: do not edit.")
print("static const struct {\n  const char *name;\n  int n, m, dim, classes;\n  double apart, l2, value;\n  int correct;\n} golden_linear[] = {")
linear("overlapping", 600, 2000, 16, 5, 1.5, 1e-6)
linear("penalised", 600, 2000, 16, 5, 1.5, 1e-2)
linear("two classes", 300, 1000, 8, 2, 1.0, 1e-6)
linear("many classes", 3000, 2000, 40, 30, 1.0, 1e-6)
linear("separable", 1000, 2000, 64, 10, 1.0, 1e-6)
print("};\n\nstatic const struct {\n  int n, m, dim, classes;\n  double apart;\n  int k, correct;\n} golden_knn[] = {")
knn(600, 500, 16, 5, 1.5, 20)
knn(600, 700, 16, 5, 2.5, 1)
knn(1500, 300, 40, 30, 2.0, 7)
print("};\n\nstatic const struct {\n  int n, a, b;\n  double mix, nmi, ari, purity;\n} golden_agreement[] = {")
agreement(1000, 10, 10, 0.5)
agreement(1000, 10, 3, 0.9)
agreement(2000, 300, 16, 0.25)
agreement(500, 4, 4, 0.0)
agreement(500, 7, 7, 1.0)
agreement(200, 1, 6, 0.0)
agreement(1, 1, 1, 0.0)
print("};\n\nstatic const struct {\n  int n, m, dim, groups;\n  double apart;\n  int k, correct;\n} golden_retrieval[] = {")
retrieval(600, 500, 16, 90, 1.5, 1)
retrieval(600, 500, 16, 90, 2.5, 10)
retrieval(1500, 300, 40, 250, 2.0, 5)
print("};\n\nstatic const struct {\n  int n, m, dim, classes;\n  double apart;\n  int correct;\n} golden_zero_shot[] = {")
zero_shot(60, 500, 16, 5, 1.5)
zero_shot(400, 700, 40, 30, 2.0)
print("};")
