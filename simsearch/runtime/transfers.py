"""Asynchronous transfers to a device; to a GPU through pinned memory, on a stream of their own, ahead of the work."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Mark = TypeVar("Mark")
_BUFFERS = 2  # one is filled while the other is read


@dataclass(frozen=True, slots=True)
class Transfer:
    """A tensor whose transfer may still be under way.

    Attributes:
        tensor: The destination.
        done: The event of its arrival; None where there was no transfer.
    """

    tensor: Tensor
    done: Any = None

    def arrived(self) -> Tensor:
        """Return the tensor for use on the current stream of its device; only that stream waits."""
        if self.done is not None:
            stream = torch.cuda.current_stream(self.tensor.device)
            stream.wait_event(self.done)
            # It was allocated for another stream: its memory must not be reused before this one is done.
            self.tensor.record_stream(stream)
        return self.tensor


class Transfers:
    """Transfers of arrays to a device; safe for threads."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._lane = TransferQueue(device) if device.type == "cuda" else None

    def send(self, array: NDArray[Any] | Tensor) -> Transfer:
        """Begin to copy an array to the device, after which it may be written to; tensors are there already."""
        if self._lane is None or isinstance(array, Tensor) or not array.size:
            return Transfer(to_device(array, self._device))
        return self._lane.send(_as_plain(array))

    def ahead(self, pieces: Iterable[tuple[Mark, NDArray[Any] | Tensor]]) -> Iterator[tuple[Mark, Tensor]]:
        """Yield each piece on the device with its mark; on a GPU the next is copied during work on this one."""
        waiting: tuple[Mark, Transfer] | None = None
        for mark, array in pieces:
            sent = mark, self.send(array)
            if self._lane is None:
                yield mark, sent[1].arrived()
                continue
            if waiting is not None:
                yield waiting[0], waiting[1].arrived()
            waiting = sent
        if waiting is not None:
            yield waiting[0], waiting[1].arrived()


class TransferQueue:
    """A transfer queue to a GPU: pinned buffers, filled in turns, and a stream that copies from them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._buffers = [torch.empty(0, dtype=torch.uint8)] * _BUFFERS
        self._read: list[Any] = [None] * _BUFFERS  # events of buffers that have been copied
        self._turn = 0
        self._lock = threading.Lock()

    def send(self, array: NDArray[Any]) -> Transfer:
        """Begin to copy an array to the device."""
        with self._lock, torch.cuda.stream(self._stream):  # the device of the stream becomes the current one
            turn, self._turn = self._turn, (self._turn + 1) % _BUFFERS
            if self._read[turn] is not None:
                self._read[turn].synchronize()
            if len(self._buffers[turn]) < array.nbytes:
                self._buffers[turn] = pinned(array.nbytes)
            there = torch.empty(array.shape, dtype=to_device(array[:0], torch.device("cpu")).dtype, device=self._device)
            host = self._buffers[turn][: array.nbytes].view(there.dtype).view(there.shape)
            np.copyto(host.numpy(), array)
            copy(there, host)
            self._read[turn] = self._stream.record_event()
            return Transfer(there, self._read[turn])


def to_device(rows: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """Return the rows as a tensor on the device, of the same type or one that torch computes with; copies of arrays."""
    if isinstance(rows, Tensor):
        return plain(rows)
    return torch.from_numpy(_as_plain(rows, copy=True)).to(device)


def plain(rows: Tensor) -> Tensor:
    """Return a tensor without a gradient, of a type that torch computes with."""
    kinds = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.float64}
    return rows.detach().to(kinds.get(rows.dtype, rows.dtype))


def plain_type(rows: NDArray[Any]) -> np.dtype[Any]:
    """Return the dtype for an array: in native byte order, and one that torch computes with."""
    kind: np.dtype[Any] = rows.dtype.newbyteorder("=")
    if kind.itemsize > 8:
        return np.dtype(np.float64)
    return np.dtype({"u2": np.int32, "u4": np.int64, "u8": np.float64}.get(kind.str[1:], kind))


def _as_plain(rows: NDArray[Any], *, copy: bool | None = None) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # of long doubles, where a row of infinity is refused
        return np.array(rows, plain_type(rows), copy=copy)


def pinned(size: int) -> Tensor:
    """Return that many bytes of pinned memory."""
    return torch.empty(size, dtype=torch.uint8, pin_memory=True)


def copy(there: Tensor, host: Tensor) -> None:
    """Copy from pinned memory on the current stream."""
    there.copy_(host, non_blocking=True)
