"""The items of a file's rows: columns that are joined to a segment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.extract.embeddings.batch import RowBatch
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import SCHEMA, Keys, rejects_batch, with_roots
from simsearch.library.format.segment import ChannelRows, SegmentDraft
from simsearch.library.write.rows.paths import Located

_MOST_ROWS = 1 << 18  # of one segment, which ends with a batch: each search has some work of every segment
_MOST_BYTES = 1 << 26


class RowsDraft:
    """Items of one segment, in their order."""

    def __init__(self) -> None:
        self._items: list[pa.RecordBatch] = []
        self._roots: dict[bytes, int] = {}

    def add(self, batch: RowBatch, places: Located, kept: NDArray[np.int64] | None = None) -> None:
        """Add the items of some rows of a batch, of all where `kept` does not name them (m,)."""
        numbers = np.arange(len(batch.rows)) if kept is None else kept
        chosen, number = pa.array(numbers), self._roots
        roots = [places.roots[i] for i in numbers.tolist()]
        for root in dict.fromkeys(roots):
            if root is not None:
                number.setdefault(root, len(number))
        columns = {
            "path": places.names.take(chosen),
            "root": pa.array([None if root is None else number[root] for root in roots], pa.int32()),
        }
        for name in ("sha256", "width", "height", "quality"):
            columns[name] = getattr(batch, name).take(chosen)
        unknown = (pa.nulls(len(roots), field.type) for field in SCHEMA)
        arrays = [columns.get(field.name, null) for field, null in zip(SCHEMA, unknown, strict=True)]
        self._items.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))

    def draft(self, channel: Channel, rows: NDArray[Any], keys: Keys | None = None) -> SegmentDraft:
        """Return the segment of these items and their rows (n, d); `keys` are those of their paths, where known."""
        items = pa.concat_batches(self._items).cast(with_roots(SCHEMA, list(self._roots)))
        return SegmentDraft(items, {channel.name: ChannelRows.whole(rows)}, rejects_batch([]), keys=keys)


def room_of(channel: Channel) -> int:
    """Return the rows of a channel in a full segment."""
    return max(1, min(_MOST_ROWS, _MOST_BYTES // (channel.dimension * channel.numpy_dtype.itemsize)))
