"""The precision in which a network computes on a device."""

from __future__ import annotations

import platform

import torch

from simsearch.errors import InputError, shown


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the dtype of the convolutions.

    Raises:
        InputError: it is none of "auto", "float32", "bfloat16".
    """
    if dtype == "auto":
        return torch.bfloat16 if _computes_bfloat16(device) else torch.float32
    if dtype not in ("float32", "bfloat16"):
        raise InputError(f"dtype {shown(dtype)} is not one of auto, float32, bfloat16")
    return torch.float32 if dtype == "float32" else torch.bfloat16


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if platform.machine() in ("x86_64", "AMD64"):  # where oneDNN emulates it, slowly, on any AVX-512
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
