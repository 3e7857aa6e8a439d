#!/usr/bin/python3
"""By how many MiB a peer's work makes a process of its own grow: peers.py asks for that.

usage: peer_memory.py PART PEER < LINE

LINE is what our program printed of the case. The inputs, and what the peer's libraries take when
they start, are not counted; what the peer makes of the inputs, such as weights, is.
"""
import ctypes
import json
import sys

import peer_work


def start(peer):
    """Imports what the peer needs, and uses it once: threads, buffers of the BLAS."""
    peer_work.np.ones((256, 256), "f") @ peer_work.np.ones((256, 256), "f")
    if peer.startswith("PyTorch"):
        import torch

        layer = torch.nn.Conv2d(3, 8, 3)
        layer(torch.zeros(1, 3, 8, 8)).sum().backward()
        torch.optim.Adam(layer.parameters()).step()
    elif peer == "scikit-learn":
        import sklearn.cluster
        import sklearn.linear_model
        import sklearn.neighbors

        sklearn.cluster.KMeans(2, n_init=1).fit(peer_work.np.eye(64, dtype="f"))
    elif peer == "faiss":
        import faiss  # noqa: F401
    elif peer.startswith("OpenCV"):
        import cv2

        pixels = peer_work.np.zeros((64, 64, 3), "u1")
        for kind in (".jpg", ".png"):
            cv2.imdecode(cv2.imencode(kind, pixels)[1], cv2.IMREAD_COLOR)
        cv2.cvtColor(cv2.resize(pixels, (32, 32)), cv2.COLOR_BGR2RGB)
    elif peer.startswith("Pillow"):
        import PIL.Image

        PIL.Image.init()


def forget_peak():
    """Gives memory that is free back, and makes what is left the peak, where the system lets us."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except (AttributeError, OSError):
        pass


def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main():
    part, peer, line = peer_work.PARTS[sys.argv[1]], sys.argv[2], json.load(sys.stdin)
    start(peer)
    peer_work.set_threads(line["threads"])
    part.inputs(line)
    forget_peak()
    before = peak()
    call, _ = part.peers(line)[peer]()
    for _ in range(part.warm):
        call()
    print(f"{(peak() - before) / 1024:.1f}")


if __name__ == "__main__":
    main()
