"""A network on a GPU as recorded graphs: a batch of a size that comes again is replayed, with no Python in between."""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from simsearch.errors import first_line

Forward = Callable[[Tensor], Tensor]

_WARM_UP = 3  # calls that choose algorithms and allocate, before one is recorded
_MOST = 4  # sizes that are recorded, each with its own memory


class Recording(NamedTuple):
    """A recorded call.

    Attributes:
        pixels: What it reads; written before each replay.
        rows: What it writes.
        replay: Does it again.
    """

    pixels: Tensor
    rows: Tensor
    replay: Callable[[], None]


class Recorded:
    """Calls a function of tensors on a GPU; from the second batch of a size on by replaying a graph of it.

    The function must do the same for any content, and give a new tensor. Where a graph cannot be recorded, calls go on
    without, and one warning says so. Safe for threads.
    """

    def __init__(self, forward: Forward, record: Callable[[Forward, Tensor], Recording] | None = None) -> None:
        self._forward = forward
        self._record = record_cuda if record is None else record
        self._seen: Counter[torch.Size] = Counter()
        self._recordings: dict[torch.Size, Recording] = {}
        self._works = True
        self._lock = threading.Lock()

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the function's result for these pixels."""
        with self._lock:
            recording = self._recording(pixels)
            if recording is None:
                return self._forward(pixels)
            with torch.cuda.device_of(pixels):  # type: ignore[no-untyped-call]
                recording.pixels.copy_(pixels)
                recording.replay()
                return recording.rows.clone()

    def _recording(self, pixels: Tensor) -> Recording | None:
        shape = pixels.shape
        if shape in self._recordings or not self._works or len(self._recordings) == _MOST:
            return self._recordings.get(shape)
        self._seen[shape] += 1
        if self._seen[shape] == 1:  # the last batch of a job never comes again
            return None
        try:
            self._recordings[shape] = self._record(self._forward, pixels)
        except torch.OutOfMemoryError:
            self._works = False  # the memory is needed for the batch
            return None
        except RuntimeError as error:
            self._works = False
            message = f"the network cannot be recorded as a CUDA graph, and runs without: {first_line(error)}"
            warnings.warn(message, RuntimeWarning, stacklevel=4)
            return None
        return self._recordings[shape]


@torch.inference_mode()
def record_cuda(forward: Forward, example: Tensor) -> Recording:
    """Record a call as a CUDA graph.

    Raises:
        RuntimeError: It does what cannot be recorded.
    """
    with torch.cuda.device(example.device):
        pixels, stream = example.clone(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                forward(pixels)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # On a stream of this device: that which torch would take is of the first device that ever recorded. And other
        # threads may be searching.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            rows = forward(pixels)
    return Recording(pixels, rows, graph.replay)
