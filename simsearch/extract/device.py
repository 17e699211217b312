"""The device that a name stands for, and how much memory it has to give."""

from __future__ import annotations

import torch

from simsearch.errors import InputError, shortened, shown


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that can be had: what is free, and what torch's allocator keeps without using it."""
    told = torch.cuda.memory_stats(device)  # empty before the first allocation
    kept: int = told.get("reserved_bytes.all.current", 0) - told.get("allocated_bytes.all.current", 0)
    return torch.cuda.mem_get_info(device)[0] + kept


def choose_device(device: str) -> torch.device:
    """Return the device that a name stands for.

    Raises:
        InputError: there is no such device on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        why = shortened(str(error).splitlines()[0], 150)
        raise InputError(f"cannot use device {shown(device)!r}: {why}; try 'auto' or 'cpu'") from error
    return chosen
