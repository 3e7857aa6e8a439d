#!/usr/bin/python3
"""Writes tests/golden/loss.h: PyTorch's losses and gradients, in double, of rows that both sides make by the same formula.

NT-Xent and the CLIP loss are written as their users write them: cross entropy over a matrix of cosines. Cells and duplicates
are entries of that matrix set to -inf; gradients are autograd's. Of each gradient the first 24 numbers of some rows are kept.

Needs python3-torch; made with 1.13. Run from the source root:
    /usr/bin/python3 tests/golden/loss.py > tests/golden/loss.h
"""
import numpy as np
import torch
import torch.nn.functional as F

KEPT_ROWS, KEPT_COLUMNS = 6, 24


def unit(stream, n):
    """splitmix64's top 24 bits as [0, 1): the same float32 here and in test_golden.c."""
    z = np.arange(n, dtype=np.uint64) + (np.uint64(stream) << np.uint64(32))
    with np.errstate(over="ignore"):
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def views(n, dim):
    """Two views that share a half of what they are; the rows' lengths differ by up to 8."""
    both, a, b = (unit(s, n * dim).reshape(n, dim) - 0.5 for s in (1, 2, 3))
    length = 2.0 ** (np.arange(n) % 7 - 3)[:, None]
    za, zb = ((both + x) * length for x in (a, b))
    return (torch.tensor(z.astype(np.float32).astype(np.float64), requires_grad=True) for z in (za, zb))


def apart(n, cells, copies, others):
    """[n, n]: whether two rows may not be each other's negatives. Cells and ids of both kinds as in test_golden_loss.c."""
    i = np.arange(n)
    cell, copy = i * i % cells, np.where(i % 3 > 0, i // copies if copies else -1, -1)
    if not copies:
        copy = np.full(n, -1)
    other = i % others if others else np.arange(n)
    return torch.tensor((cell[:, None] != cell) | ((copy[:, None] == copy) & (copy >= 0)) | (other[:, None] == other))


def nt_xent(za, zb, tau, no):
    n = len(za)
    u = F.normalize(torch.cat([za, zb]), dim=1)
    s = u @ u.T / tau
    positive = (torch.arange(2 * n) + n) % (2 * n)
    no = no.repeat(2, 2)
    no[torch.arange(2 * n), positive] = False
    no.fill_diagonal_(True)
    return F.cross_entropy(s.masked_fill(no, -torch.inf), positive)


def clip(za, zb, tau, no):
    n = len(za)
    s = F.normalize(za, dim=1) @ F.normalize(zb, dim=1).T / tau
    no = no.clone()
    no.fill_diagonal_(False)
    s = s.masked_fill(no, -torch.inf)
    return (F.cross_entropy(s, torch.arange(n)) + F.cross_entropy(s.T, torch.arange(n))) / 2


def case(name, loss, n, dim, tau, cells=1, copies=0, others=0):
    za, zb = views(n, dim)
    log_tau = torch.tensor(np.log(tau), dtype=torch.float64, requires_grad=True)
    value = loss(za, zb, log_tau.exp(), apart(n, cells, copies, others))
    value.backward()
    rows = np.linspace(0, n - 1, KEPT_ROWS).astype(int)
    kept = [z.grad.numpy()[rows, :KEPT_COLUMNS].ravel() for z in (za, zb)]
    numbers = ["{" + ", ".join(f"{x:.9g}" for x in k) + "}" for k in kept]
    print(f"  {{\"{name}\", {int(loss is nt_xent)}, {n}, {dim}, {cells}, {copies}, {others}, {tau}, {value.item():.12g}, "
          f"{log_tau.grad.item():.12g},\n   {numbers[0]},\n   {numbers[1]}}},")


print("// Made by tests/golden/loss.py with PyTorch: do not edit.")
print(f"enum {{ KEPT_ROWS = {KEPT_ROWS}, KEPT_COLUMNS = {KEPT_COLUMNS} }};")
print("static const struct {\n  const char *name;\n  int nt_xent, n, dim, cells, copies, others;\n  double tau, loss, d_log_temperature;\n"
      "  double dza[KEPT_ROWS * KEPT_COLUMNS], dzb[KEPT_ROWS * KEPT_COLUMNS];\n} golden_loss[] = {")
for loss, word in ((nt_xent, "NT-Xent"), (clip, "CLIP")):
    case(f"{word}, a small batch", loss, 24, 24, 0.5)
    case(f"{word}, several tiles", loss, 700, 32, 0.2)
    case(f"{word}, CLIP's lowest temperature", loss, 700, 32, 0.01)
    case(f"{word}, cells", loss, 600, 24, 0.1, cells=11)
    case(f"{word}, cells and duplicates", loss, 600, 24, 0.1, cells=5, copies=12)
    case(f"{word}, cells and duplicates of two kinds", loss, 600, 24, 0.1, cells=3, copies=12, others=70)
print("};")
