"""The GPUs that may hold an index of FAISS, and what FAISS's kernels there can and cannot serve."""

from __future__ import annotations

from dataclasses import dataclass

from simsearch.distance import METRICS
from simsearch.runtime.device import type_of
from simsearch.search.indexes.spec import GPU_CODE_BYTES, GPU_KINDS, GPU_SQ8_BELOW, IndexSpec

MOST = 2048
"""Neighbours of a query, and lists probed, that FAISS's kernels select (GPU_MAX_SELECTION_K of DeviceDefs.cuh)."""
SHARE = 0.5
"""Of free memory that an index may take: lists that grow take up to twice their rows."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """Where an index lies.

    Attributes:
        numbers: The devices, as CUDA counts them.
        room: Bytes that an index may take of each.
    """

    numbers: tuple[int, ...]
    room: int

    @property
    def total(self) -> int:
        """Bytes that an index may take of all of them together."""
        return self.room * len(self.numbers)


def gpus_of(device: str) -> Gpus | None:
    """Return the GPUs of a torch device: all for "cuda", one for "cuda:1"; None for the CPU.

    Raises:
        InputError: There is no such device on this machine.
    """
    if type_of(device) != "cuda":
        return None
    import torch

    one = torch.device(device).index if device != "auto" else None
    numbers = tuple(range(torch.cuda.device_count())) if one is None else (one,)
    return Gpus(numbers, int(SHARE * min(torch.cuda.mem_get_info(number)[0] for number in numbers)))


def refused(spec: IndexSpec, gpus: Gpus, rows: int, *, effort: int = 1, depth: int = 1) -> str | None:
    """Return why FAISS cannot serve such an index on these GPUs; None where it can.

    Args:
        spec: What it is.
        gpus: Where it would lie.
        rows: How many it holds.
        effort: Of its searches.
        depth: Candidates of a search.
    """
    if METRICS[spec.metric].of_codes:
        return "FAISS has no lists and no tables of codes for GPUs"
    if spec.kind not in GPU_KINDS:
        return f"FAISS has {', '.join(GPU_KINDS)} for GPUs, and no {spec.kind}"
    if spec.kind == "ivf_pq" and spec.code_bytes not in GPU_CODE_BYTES:
        return f"codes of {spec.code_bytes} bytes are none of {', '.join(map(str, GPU_CODE_BYTES))}, which GPUs read"
    if spec.kind == "ivf_sq8" and spec.dimension >= GPU_SQ8_BELOW:
        return f"ivf_sq8 of GPUs takes fewer than {GPU_SQ8_BELOW:,} dimensions"
    if effort > MOST or depth > MOST:
        return f"it is asked for {depth:,} candidates of {effort:,} lists, and GPUs select {MOST:,} of either"
    if rows * spec.row_bytes > gpus.total:
        return f"it takes {rows * spec.row_bytes:,} bytes and may take {gpus.total:,}, half of what is free"
    return None
