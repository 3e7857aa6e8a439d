"""A process group of torch.distributed as libmcl's communicator.

gloo, because what libmcl exchanges lies in the host's memory. A job that trains over NCCL makes a
second group beside it: dist.new_group(backend="gloo", timeout=...).

A rank that dies, or is silent for longer than the group's time limit, makes gloo raise; libmcl then
fails with MCL_E_COMM on every rank that is left, in this call and in later ones. The default limit
is half an hour: give the group one that suits the job.
"""
import torch.distributed as dist

import libmcl


class Gloo(libmcl.Comm):
    """group: None is the default one. Every rank of it makes one, and then the same calls."""

    def __init__(self, context, group=None):
        if dist.get_backend(group) != "gloo":
            raise ValueError(f"a {dist.get_backend(group)} group; libmcl's ranks meet over gloo")

        def allgather(send, recv):
            # all_gather_into_tensor() would save a copy; PyTorch 1.13's gloo has none.
            dist.all_gather(list(recv), send, group)

        def allreduce(data):
            dist.all_reduce(data, group=group)  # in a ring: the same bits on every rank
        super().__init__(context, dist.get_rank(group), dist.get_world_size(group), allgather,
                         allreduce)
