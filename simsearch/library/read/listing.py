"""All items of a snapshot, and their rows, in batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.images.source import as_text
from simsearch.library.format.segment import Segment
from simsearch.library.format.snapshot import Snapshot

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("path", pa.large_utf8()),
        ("path_b64", pa.large_utf8()),
        ("sha256", pa.binary(32)),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("quality", pa.int16()),
        ("owner", pa.large_utf8()),
        ("attributes", pa.large_utf8()),
    ]
)
_KEPT = tuple(name for name in SCHEMA.names if name not in ("id", "path", "path_b64"))


def items(snapshot: Snapshot, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Yield the live items as batches in `SCHEMA`, in the order in which they are stored."""
    for s, segment in enumerate(snapshot.segments):
        live = snapshot.live(s)
        for start in range(0, len(live), batch_size):
            yield _batch(segment, live[start : start + batch_size])


def rows(snapshot: Snapshot, channel: str, batch_size: int) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Yield ids (n,) and rows (n, d) of the live items, copied out of the files."""
    for s, segment in enumerate(snapshot.segments):
        held, mask = segment.channels[channel], snapshot.live_rows(s, channel)
        at = np.arange(len(held.row)) if mask is None else np.flatnonzero(mask)
        for start in range(0, len(at), batch_size):
            some = at[start : start + batch_size]
            yield np.asarray(segment.ids[held.item[some]]), np.array(held.row[some])


def _batch(segment: Segment, positions: NDArray[np.intp]) -> pa.RecordBatch:
    texts = [(None, None) if path is None else as_text(path) for path in segment.paths(positions)]
    taken = segment.items.select(_KEPT).take(pa.array(positions))
    columns = {
        "id": pa.array(segment.ids[positions], pa.int64()),
        "path": pa.array([text for text, _ in texts], pa.large_utf8()),
        "path_b64": pa.array([encoded for _, encoded in texts], pa.large_utf8()),
        **{name: taken.column(name) for name in _KEPT},
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
