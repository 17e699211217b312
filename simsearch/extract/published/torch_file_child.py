"""Reads a PyTorch file in a process of its own and writes its tensors as safetensors: FILE OUTPUT.

Such files are pickles. Only tensors and plain values are let in (`weights_only`), and of a TorchScript archive only the
tensors are taken; what a harmful file could still do ends with this process.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from simsearch.errors import first_line


def main() -> int:
    """Read the first argument, write the second."""
    file, output = (Path(argument) for argument in sys.argv[1:3])
    try:
        found = _loaded(file)
    except Exception as error:
        print(first_line(error), file=sys.stderr)
        return 3
    save_file({name: value.detach().contiguous().clone() for name, value in found.items()}, output)
    return 0


def _loaded(file: Path) -> dict[str, Tensor]:
    with torch.serialization.safe_globals([argparse.Namespace]):  # what training scripts keep their arguments in
        try:
            value: Any = torch.load(file, map_location="cpu", weights_only=True)
        except RuntimeError as error:
            if "TorchScript" not in str(error):
                raise
            value = torch.jit.load(file, map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
    for key in ("state_dict", "model"):
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    if not isinstance(value, dict):
        raise TypeError(f"holds a {type(value).__name__}, not weights by name")
    tensors = {str(name): tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise ValueError("holds no tensors")
    return tensors


if __name__ == "__main__":
    sys.exit(main())
