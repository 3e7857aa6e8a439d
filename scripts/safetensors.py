#!/usr/bin/python3
"""Turns a PyTorch checkpoint into a safetensors file, or back, by the ends of their names; needs PyTorch alone.

    scripts/safetensors.py resnet18.pth resnet18.safetensors
    scripts/safetensors.py resnet18.safetensors resnet18.pth

A state dict under "state_dict" or "model" is taken out of what is around it. What is no tensor is left out.
"""
import json
import sys

import torch

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
         "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}


def save(tensors, path):
    header, blocks, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, t in tensors.items():
        plain = t.detach().cpu().contiguous()
        raw = (plain.view(torch.int16) if t.dtype == torch.bfloat16 else plain).numpy().tobytes()
        kind = next(key for key, dtype in TYPES.items() if dtype == t.dtype)
        header[name] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [at, at + len(raw)]}
        blocks.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(b"".join([len(text).to_bytes(8, "little"), text, *blocks]))


def load(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(data[slice(*t["data_offsets"])], dtype=TYPES[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items()}


if __name__ == "__main__":
    source, target = sys.argv[1:]
    if source.endswith(".safetensors"):
        torch.save(load(source), target)
    else:
        state = torch.load(source, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state.get("model", state))
        save({name: t for name, t in state.items() if isinstance(t, torch.Tensor)}, target)
