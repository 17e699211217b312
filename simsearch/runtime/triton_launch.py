"""Launching Triton kernels: on the GPU of their tensors, in one variant for all sizes, with checked strides."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import triton  # type: ignore[import-untyped]
from torch import Tensor

from simsearch.errors import InputError


def kernel(function: Callable[..., None]) -> Any:
    """Return a kernel compiled once for all sizes and addresses: only its `tl.constexpr` arguments make variants.

    By default Triton compiles another variant where an integer is 1 or a multiple of 16, or a pointer is: a dozen of
    them, each inside some request.
    """
    parameters = inspect.signature(function).parameters.values()
    plain = [each.name for each in parameters if each.annotation is each.empty]
    return triton.jit(function, do_not_specialize=plain, do_not_specialize_on_alignment=plain)


def launch(kernel: Any, programs: int, *arguments: Tensor | int | float, **constants: int | bool) -> None:
    """Run programs of a kernel on the device of its tensors, which need not be the current one.

    Raises:
        InputError: A tensor does not lie row by row without gaps, or they are on several devices.
    """
    tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
    for tensor in tensors:
        if not tensor.is_contiguous():
            raise InputError(
                f"a kernel reads rows one after the other, and a tensor of shape {tuple(tensor.shape)} has strides "
                f"{tensor.stride()}: give it tensor.contiguous()"
            )
        if tensor.device != tensors[0].device:
            raise InputError(
                f"a kernel was given tensors on {tensors[0].device} and on {tensor.device}: bring them together"
            )
    if programs:
        with torch.cuda.device_of(tensors[0]):  # type: ignore[no-untyped-call]
            kernel[(programs,)](*arguments, **constants)
