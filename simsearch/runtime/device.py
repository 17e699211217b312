"""Devices by name, and their free memory."""

from __future__ import annotations

import platform
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from simsearch.errors import InputError, shortened, shown

if TYPE_CHECKING:
    import torch

# Device files of the drivers of NVIDIA and AMD, also on Jetson and in Windows; without one of them no GPU is seen.
_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap", "/dev/kfd", "/dev/dxg")


def free_memory(device: torch.device) -> int:
    """Return the available bytes of a GPU: those free, and those that torch's allocator keeps unused."""
    import torch

    stats = torch.cuda.memory_stats(device)  # empty before the first allocation
    kept: int = stats.get("reserved_bytes.all.current", 0) - stats.get("allocated_bytes.all.current", 0)
    return torch.cuda.mem_get_info(device)[0] + kept


def choose_device(device: str) -> torch.device:
    """Return the device of a name.

    Raises:
        InputError: There is no such device on this machine.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        why = shortened(str(error).splitlines()[0], 150)
        raise InputError(f"cannot use device {shown(device)!r}: {why}; try 'auto' or 'cpu'") from error
    return chosen


def type_of(device: str) -> str:
    """Return the kind of device of a name, "cpu" or "cuda"; torch is loaded only where needed.

    Raises:
        InputError: There is no such device on this machine.
    """
    if device == "cpu" or (device == "auto" and "torch" not in sys.modules and not _may_have_gpu()):
        return "cpu"
    return choose_device(device).type


@cache
def _may_have_gpu() -> bool:
    """Return whether a driver's files are there; a driver that comes later is seen by the next process."""
    return sys.platform != "linux" or any(Path(driver).exists() for driver in _DRIVERS)


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the dtype of the convolutions.

    Raises:
        InputError: It is none of "auto", "float32", "bfloat16".
    """
    import torch

    if dtype == "auto":
        return torch.bfloat16 if _computes_bfloat16(device) else torch.float32
    if dtype not in ("float32", "bfloat16"):
        raise InputError(f"dtype {shown(dtype)} is not one of auto, float32, bfloat16")
    return torch.float32 if dtype == "float32" else torch.bfloat16


def _computes_bfloat16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if platform.machine() in ("x86_64", "AMD64"):  # where oneDNN emulates it, slowly, on any AVX-512
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
