"""The device that a name stands for."""

from __future__ import annotations

import torch

from simsearch.errors import InputError


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
        raise InputError(f"cannot use device {device!r}: {str(error).splitlines()[0]}; try 'auto' or 'cpu'") from error
    return chosen
