# Inertia of scikit-learn's k-means from given centres, for tests/clusterer/test_kmeans.c:
#   /usr/bin/python3 tests/golden/kmeans.py > tests/golden/kmeans.h
#
# The rows are made of integers, so that C makes the same ones to the bit (golden_rows in the test).
import numpy as np
import sklearn
from sklearn.cluster import KMeans

M = (1 << 64) - 1


def rows(n, dim, groups):
    state, out = 12345, np.zeros((n, dim), np.float32)

    def draw():
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) & M
        return (state >> 40) % 1024  # 0 .. 1023

    centres = [[draw() for _ in range(dim)] for _ in range(groups)]
    for i in range(n):
        for d in range(dim):
            out[i, d] = (centres[i % groups][d] + draw() + draw() - 1023) / 1024.0
    return out


print("// Made by kmeans.py with scikit-learn %s. Do not edit." % sklearn.__version__)
print("static const struct golden {\n  int n, dim, groups, k;\n  double inertia; // mean over rows\n} golden[] = {")
for n, dim, groups, k in [(2000, 16, 7, 8), (3000, 32, 20, 50), (1500, 5, 3, 12), (4000, 24, 40, 40)]:
    x = rows(n, dim, groups)
    m = KMeans(k, init=x[:k], n_init=1, max_iter=300, tol=1e-4, algorithm="lloyd").fit(x)
    d = x.astype(np.float64)[:, None] - m.cluster_centers_.astype(np.float64)
    print("    {%d, %d, %d, %d, %.9f}," % (n, dim, groups, k, (d * d).sum(2).min(1).mean()))
print("};")
