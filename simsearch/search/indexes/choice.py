"""Which index a number of rows gets in so much memory: the rule of `optimize` and of `simsearch plan`."""

from __future__ import annotations

from simsearch.errors import IndexFailed
from simsearch.search.indexes.footprint import footprint
from simsearch.search.indexes.spec import GPU_KINDS, IndexSpec, spec_for

LEAST_CODE = 24
"""Bytes of a row's code below which no index is chosen by itself."""
_STEP = 8


def index_for(
    count: int,
    dimension: int,
    metric: str,
    *,
    kind: str = "auto",
    bytes_a_row: int | None = None,
    gpu_room: int | None = None,
    memory: int | None = None,
) -> IndexSpec:
    """Return the spec of `spec_for`; where the memory does not hold it and no size was asked for, with shorter codes.

    Args:
        count: Rows that the index will hold.
        dimension: Of the rows.
        metric: `js`, `cosine`, `l2` or `hamming`.
        kind: As for `spec_for`.
        bytes_a_row: As for `spec_for`.
        gpu_room: As for `spec_for`.
        memory: Bytes that building it may take of this machine's memory; None for all that it wants.

    Raises:
        IndexFailed: The memory holds none, or not the requested one; it says what is needed.
        InputError: As for `spec_for`.
        MetricError: No index serves the metric.

    Example:
        >>> index_for(10**8, 512, "js").code_bytes, index_for(10**8, 512, "js", memory=6 << 30).code_bytes
        (72, 48)
    """
    spec = spec_for(count, dimension, metric, kind=kind, bytes_a_row=bytes_a_row, gpu_room=gpu_room)
    needed = footprint(spec, count).building
    on_gpu = gpu_room is not None and spec.kind in GPU_KINDS and footprint(spec, count).memory <= gpu_room
    if memory is None or on_gpu or needed <= memory or spec.kind == "flat":
        return spec
    if bytes_a_row is None and spec.kind in ("rabitq", "ivf_pq"):
        for code in range(spec.code_bytes - _STEP, LEAST_CODE - 1, -_STEP):
            shorter = spec_for(count, dimension, metric, kind=spec.kind, bytes_a_row=code, gpu_room=gpu_room)
            if footprint(shorter, count).building <= memory:
                return shorter
    raise IndexFailed(
        f"building an index of kind {spec.kind} over {count:,} rows takes {needed:,} bytes of memory and {memory:,} "
        "are there: free some, ask for smaller codes (--bytes), or split the library; `simsearch plan` says what fits"
    )
