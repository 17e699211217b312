"""Taking rows in by thousands: each has the outcome that it would have alone, and segments their final size at once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from simsearch.extract.rows_batch import RowBatch
from simsearch.library.held_rows import HeldRows
from simsearch.library.intake import Intake
from simsearch.library.items import SCHEMA, rejects_batch, with_roots
from simsearch.library.row_paths import Located, located
from simsearch.library.segment import ChannelRows, Draft

_MOST_ROWS = 1 << 16  # of one segment, which ends with a batch: twice what is merged as small
_MOST_BYTES = 1 << 26


class RowsIntake:
    """Holds back what becomes one segment."""

    def __init__(self, intake: Intake, folder: bytes) -> None:
        """Make it.

        Args:
            intake: Counts and commits.
            folder: What relative paths are relative to.
        """
        channel = intake.channel
        self._intake = intake
        self._folder = folder
        self._most = max(1, min(_MOST_ROWS, _MOST_BYTES // (channel.dimension * channel.numpy_dtype.itemsize)))
        self._held = HeldRows(np.empty((self._most, channel.dimension), channel.numpy_dtype))
        self._items: list[pa.RecordBatch] = []
        self._roots: dict[bytes, int] = {}

    def take(self, batch: RowBatch) -> None:
        """Take rows in, all of which the channel can keep."""
        intake, count = self._intake, len(batch.rows)
        if len(self._held) and (len(self._held) + count > self._most or intake.late):
            self.flush()
        if count > len(self._held.rows):  # one batch is more than a segment
            self._held = HeldRows(np.empty((count, intake.channel.dimension), intake.channel.numpy_dtype))
        places = located(batch.path, self._folder)
        rows = intake.channel.round(batch.rows)
        outcomes = self._held.take(intake, rows, places.paths, batch.sha256.to_pylist())
        self._items.append(self._columns(batch, places, list(outcomes)))
        for outcome, number in Counter(outcomes.values()).items():
            intake.count(outcome, number)
        if len(outcomes) < count:
            intake.count("unchanged", count - len(outcomes))

    def _columns(self, batch: RowBatch, places: Located, kept: list[int]) -> pa.RecordBatch:
        """The items that some rows become."""
        chosen, number = pa.array(kept, pa.int64()), self._roots
        roots = (places.roots[i] for i in kept)
        columns = {
            "path": places.names.take(chosen),
            "root": pa.array([r if r is None else number.setdefault(r, len(number)) for r in roots], pa.int32()),
        }
        for name in ("sha256", "width", "height", "quality"):
            columns[name] = getattr(batch, name).take(chosen)
        unknown = (pa.nulls(len(kept), field.type) for field in SCHEMA)
        arrays = [columns.get(field.name, null) for field, null in zip(SCHEMA, unknown, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)

    def flush(self) -> None:
        """Commit what is held."""
        held, n = self._held, len(self._held)
        draft = own = None
        if n:
            table = pa.Table.from_batches(self._items).combine_chunks()
            items = pa.RecordBatch.from_arrays(
                [column.chunk(0) for column in table.columns], schema=with_roots(SCHEMA, list(self._roots))
            )
            rows = {self._intake.channel.name: ChannelRows.whole(held.rows[:n])}
            draft = Draft(items, rows, rejects_batch([]))
            if held.superseded:
                own = np.zeros(n, bool)
                own[held.superseded] = True
        self._intake.commit(draft, list(held.removed), own)
        self._held, self._items, self._roots = HeldRows(held.rows), [], {}
